// Share groups: polled, acknowledged, given back.
#include "cluster.hpp"

using ottla::AcknowledgeType;
using tests::config;
using tests::Topic;

namespace {

/// A Kafka before 4.1 has no share groups.
bool too_old() {
    const char *version = std::getenv("OTTLA_TEST_KAFKA_VERSION");
    return version != nullptr && version[0] == '3';
}

ottla::ShareConsumer member(const Topic &topic, const char *mode) {
    auto c = config();
    c.set("group.id", topic.name);
    c.set("fetch.max.wait.ms", "100");
    c.set("share.acknowledgement.mode", mode);
    ottla::ShareConsumer consumer(c);
    consumer.subscribe({topic.name});
    return consumer;
}

/// The group begins at the end of what is there when it first fetches.
void begin(ottla::ShareConsumer &consumer) {
    const auto limit = std::chrono::steady_clock::now() + 60s;
    while (!consumer.lock_duration()) {
        ASSERT_LT(std::chrono::steady_clock::now(), limit);
        ASSERT_FALSE(consumer.poll(50ms));
    }
}

ottla::Batch next(ottla::ShareConsumer &consumer) {
    ottla::Polled polled = consumer.poll(60s);
    if (const ottla::Event *event = polled.event()) {
        throw std::runtime_error("an event, not a batch: " + std::string(event->message()));
    }
    if (!polled) {
        throw std::runtime_error("nothing came in 60 s");
    }
    return std::move(*polled.batch());
}

TEST(Share, SaysWhatBrokersAreTooOldFor) {
    const Topic topic;
    auto consumer = member(topic, "implicit");
    if (!too_old()) {
        begin(consumer);
        return;
    }
    const ottla::Polled polled = consumer.poll(60s);
    ASSERT_NE(polled.event(), nullptr);
    EXPECT_EQ(polled.event()->kind(), ottla::EventKind::group_failing);
    EXPECT_NE(polled.event()->message().find("Kafka 4.1 or newer"), std::string_view::npos);
}

TEST(Share, EachRecordIsAcknowledged) {
    if (too_old()) {
        return;
    }
    const Topic topic;
    auto consumer = member(topic, "explicit");
    begin(consumer);
    const ottla::Producer producer(config());
    for (int i = 0; i < 3; i++) {
        producer.send(topic.name, std::to_string(i));
    }
    producer.flush(30s);
    const ottla::Batch batch = next(consumer);
    ASSERT_EQ(batch.rows(), 3U);
    EXPECT_EQ(batch.delivery_counts()[2], 1);
    const auto refused = consumer.try_poll(0s);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), OTTLA_ERR_INVALID_ARGUMENT);
    consumer.acknowledge(batch, AcknowledgeType::accept);
    consumer.acknowledge(batch[1], AcknowledgeType::release);
    consumer.acknowledge_offset(topic.name, 0, 2, AcknowledgeType::reject);
    consumer.commit(30s);

    const ottla::Batch again = next(consumer);
    ASSERT_EQ(again.rows(), 1U);
    EXPECT_EQ(again[0].offset(), 1);
    EXPECT_EQ(again.delivery_counts()[0], 2);
    consumer.acknowledge(again, 0, 1, AcknowledgeType::accept);
    consumer.commit_async();
    EXPECT_FALSE(consumer.poll(300ms));
    EXPECT_GE(consumer.descriptor(), 0);
    EXPECT_FALSE(consumer.try_acknowledge(again, AcknowledgeType::accept));
    consumer.unsubscribe(30s);
    consumer.close(30s);
    EXPECT_EQ(consumer.try_poll(0s).error().code(), OTTLA_ERR_CLOSED);
}

TEST(Share, ImplicitlyAcceptedByTheNextPoll) {
    if (too_old()) {
        return;
    }
    const Topic topic;
    auto first = member(topic, "implicit");
    begin(first);
    const ottla::Producer producer(config());
    producer.send(topic.name, "one");
    producer.flush(30s);
    EXPECT_EQ(next(first).rows(), 1U);
    EXPECT_FALSE(first.poll(300ms)); // accepts it
    producer.send(topic.name, "two");
    producer.flush(30s);
    EXPECT_EQ(next(first).rows(), 1U);
    first.close(30s); // gives it back
    auto second = member(topic, "implicit");
    const ottla::Batch again = next(second);
    ASSERT_EQ(again.rows(), 1U);
    EXPECT_EQ(again[0].offset(), 1);
    EXPECT_EQ(again.delivery_counts()[0], 2);
    second.commit(30s);
    second.wake();
    EXPECT_EQ(second.try_poll(30s).error().code(), OTTLA_ERR_WOKEN);
}

} // namespace
