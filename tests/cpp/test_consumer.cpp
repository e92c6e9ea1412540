// Positions, seeking, pausing, waking.
#include "cluster.hpp"

#include <poll.h>

#include <thread>

using ottla::Start;
using tests::config;
using tests::Topic;

namespace {

void fill(const Topic &topic, int count, std::int64_t first_time = 1000) {
    const ottla::Producer producer(config());
    for (int i = 0; i < count; i++) {
        const std::string value = std::to_string(i);
        ottla::Record record{topic.name, value};
        record.timestamp = first_time + i * 1000;
        record.partition = 0;
        producer.send(record);
    }
    producer.flush(30s);
}

} // namespace

TEST(Consumer, StartsWhereTold) {
    const Topic topic;
    fill(topic, 10);
    ottla::Consumer consumer(config());
    const auto first_offset = [&](Start start) {
        consumer.unassign(); // else it would go on where it is
        consumer.assign({{topic.name, 0, start}});
        return tests::next_batch(consumer)[0].offset();
    };
    EXPECT_EQ(first_offset(Start::earliest()), 0);
    EXPECT_EQ(first_offset(Start::offset(4)), 4);
    EXPECT_EQ(first_offset(Start::at(std::chrono::system_clock::time_point(3500ms))), 3);
}

TEST(Consumer, SeeksAndTellsItsPosition) {
    const Topic topic;
    fill(topic, 10);
    ottla::Consumer consumer(config());
    consumer.assign({{topic.name, 0, Start::earliest()}});
    EXPECT_EQ(consumer.assignment(), (std::vector<ottla::TopicPartition>{{topic.name, 0}}));
    EXPECT_EQ(tests::next_batch(consumer, 3).rows(), 3U);
    EXPECT_EQ(tests::next_batch(consumer, 3)[0].offset(), 3);
    EXPECT_EQ(consumer.position(topic.name, 0), 3) << "the last batch counts as read when the next is asked for";
    consumer.seek(topic.name, 0, Start::offset(8));
    EXPECT_EQ(tests::next_batch(consumer)[0].offset(), 8);
    EXPECT_FALSE(consumer.poll(0, 0s));
    EXPECT_EQ(consumer.position(topic.name, 0), 10);
    EXPECT_EQ(consumer.lag(topic.name, 0), 0);
    consumer.unassign();
    EXPECT_TRUE(consumer.assignment().empty());
}

TEST(Consumer, PausesAndResumes) {
    const Topic topic;
    ottla::Consumer consumer(config());
    consumer.assign({{topic.name, 0, Start::earliest()}});
    consumer.pause({{topic.name, 0}});
    fill(topic, 5);
    EXPECT_FALSE(consumer.poll(0, 300ms));
    consumer.resume({{topic.name, 0}});
    EXPECT_EQ(tests::next_batch(consumer)[0].offset(), 0);
}

TEST(Consumer, KnowsOffsets) {
    const Topic topic(2);
    fill(topic, 5);
    const ottla::Consumer consumer(config());
    const std::vector<ottla::TopicPartition> both{{topic.name, 0}, {topic.name, 1}};
    EXPECT_EQ(consumer.beginning_offsets(both, 30s), (std::vector<std::int64_t>{0, 0}));
    EXPECT_EQ(consumer.end_offsets(both, 30s), (std::vector<std::int64_t>{5, 0}));
    EXPECT_EQ(consumer.offsets_for_times(both, {2500, 2500}, 30s), (std::vector<std::int64_t>{2, -1}));
    EXPECT_EQ(consumer.partition_count(topic.name, 30s), 2);
    EXPECT_FALSE(consumer.try_offsets_for_times(both, {1}, 30s));
}

TEST(Consumer, IsWokenFromAnotherThread) {
    const Topic topic;
    ottla::Consumer consumer(config());
    consumer.assign_topic(topic.name, Start::latest());
    std::thread waker([&consumer] { consumer.wake(); });
    const ottla::Result<ottla::Polled> polled = consumer.try_poll(0, 30s);
    waker.join();
    ASSERT_FALSE(polled);
    EXPECT_EQ(polled.error().code(), OTTLA_ERR_WOKEN);
}

TEST(Consumer, DescriptorTellsOfRecords) {
    const Topic topic;
    ottla::Consumer consumer(config());
    consumer.assign_topic(topic.name, Start::earliest());
    pollfd waiting{static_cast<int>(consumer.descriptor()), POLLIN, 0};
    fill(topic, 1);
    // It may be readable without cause, so what counts is that a poll without waiting gets the record in the end.
    for (;;) {
        ASSERT_GT(poll(&waiting, 1, 30'000), 0);
        if (ottla::Polled polled = consumer.poll(0, 0s)) {
            ASSERT_NE(polled.batch(), nullptr);
            EXPECT_EQ(polled.batch()->rows(), 1U);
            break;
        }
    }
}

TEST(Consumer, MovesWithItsState) {
    const Topic topic;
    fill(topic, 3);
    ottla::Consumer first(config());
    first.assign_topic(topic.name, Start::earliest());
    ottla::Consumer second(std::move(first));
    EXPECT_EQ(tests::next_batch(second).rows(), 3U);
    ottla::Consumer third(config());
    third = std::move(second);
    EXPECT_FALSE(third.poll(0, 0s));
    EXPECT_EQ(third.position(topic.name, 0), 3);
    EXPECT_EQ(first.get(), nullptr);
    EXPECT_EQ(first.try_poll(0, 0s).error().code(), OTTLA_ERR_INVALID_ARGUMENT);
}

TEST(Consumer, ReportsLostRecordsAsAnEvent) {
    const Topic topic;
    fill(topic, 3);
    ottla::Config earliest = config();
    ottla::Consumer consumer(earliest.set("auto.offset.reset", "earliest"));
    consumer.assign({{topic.name, 0, Start::offset(1000)}});
    const ottla::Polled polled = consumer.poll(0, 30s);
    const ottla::Event *event = polled.event();
    ASSERT_NE(event, nullptr);
    EXPECT_EQ(event->kind(), ottla::EventKind::position_reset);
    EXPECT_EQ(event->topic(), topic.name);
    EXPECT_EQ(event->partition(), 0);
    EXPECT_EQ(event->from(), 1000);
    EXPECT_EQ(event->to(), 0);
    EXPECT_FALSE(event->message().empty());
    EXPECT_EQ(tests::next_batch(consumer)[0].offset(), 0);
}

TEST(Consumer, HeldAndBufferedBytes) {
    const Topic topic;
    fill(topic, 3);
    ottla::Consumer consumer(config());
    consumer.assign_topic(topic.name, Start::earliest());
    {
        const ottla::Batch batch = tests::next_batch(consumer);
        EXPECT_GT(consumer.held_bytes(), 0U);
        EXPECT_GT(batch.held_bytes(), 0U);
    }
    EXPECT_EQ(consumer.held_bytes(), 0U);
    EXPECT_EQ(consumer.buffered_bytes(), 0U);
}
