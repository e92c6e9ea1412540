// Producing in every form, and reading it back.
#include "cluster.hpp"

#include <algorithm>
#include <thread>

using ottla::Bytes;
using tests::config;
using tests::Topic;

namespace {

ottla::Consumer reader(const Topic &topic) {
    ottla::Consumer consumer(config());
    consumer.assign_topic(topic.name, ottla::Start::earliest());
    return consumer;
}

} // namespace

TEST(Produce, ARecordWithEverything) {
    const Topic topic(2);
    const ottla::Producer producer(config());
    ottla::Record record{topic.name, "value", "key", {}, 1, 1'700'000'000'000, 42};
    const ottla::Header headers[] = {{"trace", "17"}, {"empty", ""}, {"null", nullptr}, {"trace", "18"}};
    record.headers = headers;
    producer.send(record);
    producer.flush(30s);

    const ottla::Completions completions = producer.poll(10, 30s);
    ASSERT_EQ(completions.size(), 1U);
    const ottla::Completion done = completions[0];
    EXPECT_TRUE(done.written());
    EXPECT_EQ(done.token(), 42U);
    EXPECT_STREQ(done.topic(), topic.name.c_str());
    EXPECT_EQ(done.partition(), 1);
    EXPECT_EQ(done.base_offset(), 0);
    EXPECT_EQ(done.count(), 1U);
    EXPECT_FALSE(done.error());

    ottla::Consumer consumer = reader(topic);
    const ottla::Batch batch = tests::next_batch(consumer);
    ASSERT_EQ(batch.rows(), 1U);
    const ottla::RecordView read = *batch.begin();
    EXPECT_STREQ(read.topic(), topic.name.c_str());
    EXPECT_EQ(read.partition(), 1);
    EXPECT_EQ(read.offset(), 0);
    EXPECT_EQ(read.timestamp(), 1'700'000'000'000);
    EXPECT_EQ(*read.key(), "key");
    EXPECT_EQ(*read.value(), "value");
    ASSERT_EQ(read.header_count(), 4);
    const ottla::Headers got = read.headers();
    ASSERT_EQ(got.size(), 4U);
    EXPECT_EQ(got[0].name(), "trace");
    EXPECT_EQ(*got[0].value(), "17");
    EXPECT_EQ(got[1].value(), Bytes(""));
    EXPECT_TRUE(got[2].value().is_null());
    EXPECT_EQ(**got.last("trace"), "18");
    EXPECT_FALSE(got.last("absent"));
}

TEST(Produce, NullAndEmptyStayApart) {
    const Topic topic;
    const ottla::Producer producer(config());
    producer.send({topic.name, nullptr, "deleted"});
    producer.send({topic.name, "", ""});
    producer.send(topic.name, "no key");
    producer.flush(30s);

    ottla::Consumer consumer = reader(topic);
    std::vector<std::pair<Bytes, Bytes>> records;
    const auto held =
        tests::read(consumer, 3, [&](ottla::RecordView record) { records.emplace_back(record.key(), record.value()); });
    EXPECT_EQ(records[0], std::make_pair(Bytes("deleted"), Bytes(nullptr)));
    EXPECT_EQ(records[1], std::make_pair(Bytes(""), Bytes("")));
    EXPECT_EQ(records[2], std::make_pair(Bytes(nullptr), Bytes("no key")));
}

TEST(Produce, ManyHeaders) {
    const Topic topic;
    const ottla::Producer producer(config());
    std::vector<std::string> names;
    for (int i = 0; i < 100; i++) {
        names.push_back("header-" + std::to_string(i));
    }
    std::vector<ottla::Header> headers;
    for (const std::string &name : names) {
        headers.emplace_back(name, name);
    }
    ottla::Record record{topic.name, "v"};
    record.headers = headers;
    producer.send(record);
    producer.flush(30s);

    ottla::Consumer consumer = reader(topic);
    const ottla::Batch batch = tests::next_batch(consumer);
    const ottla::Headers got = batch[0].headers();
    ASSERT_EQ(got.size(), 100U);
    EXPECT_EQ(got[99].name(), "header-99");
    EXPECT_EQ(*got[99].value(), "header-99");
}

TEST(SendBatch, AllForms) {
    const Topic topic;
    const ottla::Producer producer(config());
    const std::vector<std::string> strings{"s0", "s1"};
    const std::vector<std::string_view> views{"v0"};
    const std::vector<Bytes> bytes{"b0", nullptr};
    const std::vector<std::int32_t> lengths{2, -1, 2}, offsets{0, 2, 4};
    EXPECT_EQ(producer.send_batch(topic.name, strings), 2U);
    EXPECT_EQ(producer.send_batch(topic.name, views), 1U);
    EXPECT_EQ(producer.send_batch(topic.name, bytes), 2U);
    EXPECT_EQ(producer.send_batch(topic.name, {"i0", nullptr}), 2U);
    EXPECT_EQ(producer.send_batch(topic.name, ottla::Column::lengths("l0l2", lengths)), 3U);
    EXPECT_EQ(producer.send_batch(topic.name, ottla::Column::offsets("o0o1", offsets)), 2U);
    EXPECT_EQ(producer.send_batch(topic.name, std::vector<std::string>()), 0U);
    producer.flush(30s);

    ottla::Consumer consumer = reader(topic);
    std::string all;
    tests::read(consumer, 12, [&](ottla::RecordView record) { all += record.value().value_or("-"); });
    EXPECT_EQ(all, "s0s1v0b0-i0-l0-l2o0o1");
}

TEST(SendBatch, KeysHeadersTimestamps) {
    const Topic topic;
    const ottla::Producer producer(config());
    const ottla::Column keys{"k0", nullptr, "k2"};
    ottla::HeaderColumn headers;
    headers.add({{"a", "1"}, {"b", nullptr}});
    headers.add({});
    headers.add({{"c", ""}});
    const std::vector<std::int64_t> timestamps{1000, 2000, 3000};
    ottla::BatchOptions options;
    options.keys = &keys;
    options.headers = &headers;
    options.timestamps = timestamps;
    options.partition = 0;
    options.token = 7;
    EXPECT_EQ(producer.send_batch(topic.name, {"v0", "v1", "v2"}, options), 3U);
    producer.flush(30s);

    std::uint32_t written = 0;
    while (written < 3) {
        const ottla::Completions completions = producer.poll(100, 30s);
        ASSERT_FALSE(completions.empty());
        for (const ottla::Completion completion : completions) {
            EXPECT_EQ(completion.token(), 7U);
            EXPECT_TRUE(completion.written());
            EXPECT_EQ(completion.row(0), written);
            EXPECT_EQ(completion.base_offset(), written);
            written += completion.count();
        }
    }

    ottla::Consumer consumer = reader(topic);
    std::vector<ottla::RecordView> records;
    const auto held = tests::read(consumer, 3, [&](ottla::RecordView record) { records.push_back(record); });
    EXPECT_EQ(records[0].key(), Bytes("k0"));
    EXPECT_TRUE(records[1].key().is_null());
    EXPECT_EQ(records[2].timestamp(), 3000);
    EXPECT_EQ(records[0].headers().size(), 2U);
    EXPECT_TRUE(records[0].headers()[1].value().is_null());
    EXPECT_TRUE(records[1].headers().empty());
    EXPECT_EQ(records[2].headers()[0].name(), "c");
}

TEST(SendBatch, UnequalColumnsAreRefused) {
    const Topic topic;
    const ottla::Producer producer(config());
    const ottla::Column keys{"one"};
    ottla::BatchOptions options;
    options.keys = &keys;
    const ottla::Accepted accepted = producer.try_send_batch(topic.name, {"a", "b"}, options);
    EXPECT_EQ(accepted.rows, 0U);
    ASSERT_TRUE(accepted.error);
    EXPECT_EQ(accepted.error->code(), OTTLA_ERR_INVALID_ARGUMENT);
    EXPECT_NE(accepted.error->message().find("2 values"), std::string_view::npos);
}

TEST(SendBatch, GoesOnWhereRoomRanOut) {
    const ottla::testing::Broker broker;
    broker.create_topic("full");
    const ottla::Producer producer{{{"bootstrap.servers", broker.bootstrap_servers()},
                                    {"buffer.memory", 100'000},
                                    {"batch.size", 20'000},
                                    {"linger.ms", 0}}};
    producer.send("full", "first"); // so that the topic is known
    producer.flush(30s);
    broker.pause_node(1);

    const std::vector<std::string> values(5000, std::string(100, 'x'));
    const ottla::Column column(values);
    ottla::BatchOptions options;
    options.timeout = 0s;
    std::size_t sent = producer.send_batch("full", column, options);
    EXPECT_GT(sent, 0U);
    EXPECT_LT(sent, 1000U) << "100 bytes each, into a buffer of 100 kB that nobody empties";
    const ottla::Accepted refused = producer.try_send_batch("full", column.from(sent), options);
    EXPECT_EQ(refused.rows, 0U);
    ASSERT_TRUE(refused.error);
    EXPECT_EQ(refused.error->code(), OTTLA_ERR_AGAIN);
    EXPECT_TRUE(refused.error->retriable());

    broker.resume_node(1);
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (sent < column.rows() && std::chrono::steady_clock::now() < deadline) {
        sent += producer.send_batch("full", column.from(sent), options);
        std::this_thread::yield();
    }
    producer.flush(30s);
    EXPECT_EQ(broker.offsets("full", 0).second, 5001);
}

TEST(Produce, FromManyThreads) {
    const Topic topic(3);
    const ottla::Producer producer(config());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&producer, &topic, t] {
            for (int i = 0; i < 1000; i++) {
                const std::string value = std::to_string(t) + ":" + std::to_string(i);
                producer.send(topic.name, value);
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    producer.flush(30s);
    EXPECT_EQ(producer.counts().written, 4000U);

    ottla::Consumer consumer = reader(topic);
    std::vector<std::string> values;
    tests::read(consumer, 4000, [&](ottla::RecordView record) { values.push_back(record.value().str()); });
    std::sort(values.begin(), values.end());
    EXPECT_EQ(std::unique(values.begin(), values.end()), values.end());
    EXPECT_EQ(values.size(), 4000U);
}

TEST(Produce, Codecs) {
    for (const char *codec : {"none", "gzip", "snappy", "lz4", "zstd"}) {
        const Topic topic;
        ottla::Config with = config();
        const ottla::Producer producer(with.set("compression.type", codec));
        std::vector<std::string> values;
        for (int i = 0; i < 2000; i++) {
            values.push_back("value number " + std::to_string(i));
        }
        producer.send_batch(topic.name, values);
        producer.flush(30s);
        ottla::Consumer consumer = reader(topic);
        std::size_t i = 0;
        tests::read(consumer, values.size(), [&](ottla::RecordView record) {
            ASSERT_LT(i, values.size());
            ASSERT_EQ(*record.value(), values[i]) << codec;
            i++;
        });
    }
}
