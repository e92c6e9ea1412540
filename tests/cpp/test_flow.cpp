// Partitioners, topics' own settings, purges and statistics.
#include "cluster.hpp"

using tests::config;
using tests::Topic;

namespace {

std::int32_t partition_of_next(const ottla::Producer &producer) {
    const ottla::Completions completions = producer.poll(1, 30s);
    EXPECT_EQ(completions.size(), 1U);
    EXPECT_TRUE(completions[0].written());
    return completions[0].partition();
}

ottla::Record record(const Topic &topic, ottla::Bytes key, std::uint64_t token) {
    ottla::Record made{topic.name};
    made.key = key;
    made.token = token;
    return made;
}

} // namespace

TEST(Flow, APartitionerOfOnesOwn) {
    const Topic topic(3), other(3);
    ottla::Producer made(config());
    int asked = 0;
    made.set_partitioner([&](std::string_view name, ottla::Bytes key, std::int32_t count) -> std::int32_t {
        asked++;
        EXPECT_EQ(name, topic.name);
        EXPECT_EQ(count, 3);
        return key.is_null() ? -1 : static_cast<std::int32_t>(key.size()) % count;
    });
    made.set_partitioner(other.name, [](std::string_view, ottla::Bytes, std::int32_t) { return 2; });
    // It moves with its partitioners.
    const ottla::Producer producer = std::move(made);
    for (std::int32_t length : {0, 1, 2, 3}) {
        const std::string key(static_cast<std::size_t>(length), 'k');
        producer.send(record(topic, key, 1));
        EXPECT_EQ(partition_of_next(producer), length % 3);
    }
    EXPECT_EQ(asked, 4);
    producer.send(record(other, "any", 1));
    EXPECT_EQ(partition_of_next(producer), 2);
    producer.send(record(topic, nullptr, 1));
    EXPECT_LT(partition_of_next(producer), 3);
    producer.close(30s);
}

TEST(Flow, WhatAPartitionerThrowsComesOutOfSend) {
    const Topic topic(2);
    ottla::Producer producer(config());
    int answer = 5;
    producer.set_partitioner([&](std::string_view, ottla::Bytes, std::int32_t) -> std::int32_t {
        if (answer < 0) {
            throw std::out_of_range("mine");
        }
        return answer;
    });
    try {
        producer.send(topic.name, "v");
        FAIL();
    } catch (const ottla::Error &error) {
        EXPECT_EQ(error.code(), OTTLA_ERR_INVALID_ARGUMENT);
        EXPECT_NE(error.message().find("chose partition 5"), std::string_view::npos) << error.message();
    }
    answer = -1;
    EXPECT_THROW(producer.send(topic.name, "v"), std::out_of_range);
    const std::vector<std::string> values{"a", "b"};
    EXPECT_THROW(producer.send_batch(topic.name, ottla::Column(values)), std::out_of_range);
    answer = 1;
    producer.send(topic.name, "v");
    producer.flush(30s);
    EXPECT_EQ(producer.counts().written, 1U);
    EXPECT_FALSE(producer.try_set_partitioner(nullptr));
}

TEST(Flow, TopicsHaveSettingsOfTheirOwn) {
    const Topic topic(1);
    const ottla::Producer producer(config());
    producer.set_topic_config(topic.name, {{"acks", "0"}, {"compression.type", "gzip"}});
    producer.send(record(topic, "k", 1));
    const ottla::Completions completions = producer.poll(1, 30s);
    ASSERT_EQ(completions.size(), 1U);
    EXPECT_EQ(completions[0].base_offset(), -1);
    const auto refused = producer.try_set_topic_config("other", {{"batch.size", "1"}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), OTTLA_ERR_CONFIG);
}

TEST(Flow, PurgeGivesUp) {
    const ottla::testing::Broker broker;
    broker.create_topic("t", 1);
    const ottla::Producer producer({{"bootstrap.servers", broker.bootstrap_servers()}, {"linger.ms", "1h"}, {"delivery.timeout.ms", "inf"}});
    ottla::Record queued{"t"};
    queued.token = 7;
    producer.send(queued);
    producer.purge(OTTLA_PURGE_QUEUED);
    const ottla::Completions completions = producer.poll(1, 0s);
    ASSERT_EQ(completions.size(), 1U);
    EXPECT_EQ(completions[0].outcome(), ottla::Outcome::not_written);
    EXPECT_EQ(completions[0].error()->code(), OTTLA_ERR_PURGED);
    EXPECT_FALSE(producer.try_purge(9));
}

TEST(Flow, Statistics) {
    const Topic topic(2);
    {
        // A real broker refuses the first records of a topic that it has not heard of yet: those retries aren't to be counted.
        const ottla::Producer first(config());
        ottla::Record record{topic.name};
        record.partition = 1;
        first.send(record);
        first.flush(30s);
    }
    ottla::Config settings = config();
    settings.set("statistics.interval.ms", 50);
    const ottla::Producer producer(settings);
    ottla::Record sent{topic.name};
    sent.partition = 1;
    producer.send(sent);
    producer.flush(30s);
    const ottla::Stats stats = producer.stats(30s);
    EXPECT_EQ(stats.client().kind(), ottla::Stats::Kind::client);
    EXPECT_EQ(stats.client().value("records_written"), 1);
    EXPECT_FALSE(stats.client().value("nothing"));
    EXPECT_EQ(stats.client().histogram("batch_records")->count, 1U);
    const auto partition = stats.partition(topic.name, 1);
    ASSERT_TRUE(partition);
    EXPECT_EQ(partition->value("batches_sent"), 1);
    EXPECT_TRUE(partition->errors().empty());
    bool found = false;
    for (std::size_t i = 0; i < stats.size(); i++) {
        const ottla::Stats::Scope scope = stats[i];
        if (scope.kind() == ottla::Stats::Kind::broker && scope.broker() == partition->broker()) {
            found = true;
            EXPECT_EQ(scope.state(), "up");
            EXPECT_FALSE(scope.address().empty());
            EXPECT_GT(scope.histogram("produce_latency_us")->max, 0U);
        }
    }
    EXPECT_TRUE(found);
    EXPECT_NE(stats.json().find("\"records_written\":1"), std::string_view::npos);
    std::optional<ottla::Stats> made;
    for (int i = 0; i < 600 && !(made = producer.next_stats()); i++) {
        (void)producer.poll(1, 50ms);
    }
    EXPECT_TRUE(made);
    ottla::Consumer consumer(config());
    // The second record alone: the first was to make the topic known.
    consumer.assign({{topic.name, 1, ottla::Start::offset(1)}});
    (void)tests::next_batch(consumer);
    EXPECT_EQ(consumer.stats(30s).client().value("records_delivered"), 1);
    EXPECT_FALSE(consumer.next_stats());
}
