// Batches: iteration, columns, lifetimes.
#include "cluster.hpp"

#include <algorithm>
#include <numeric>
#include <thread>

using tests::config;
using tests::Topic;

namespace {

/// A batch of `rows` records in each of `partitions` partitions; value "PARTITION:I".
ottla::Batch batch_of(const Topic &topic, int partitions, int rows) {
    const ottla::Producer producer(config());
    for (int p = 0; p < partitions; p++) {
        for (int i = 0; i < rows; i++) {
            const std::string value = std::to_string(p) + ":" + std::to_string(i);
            ottla::Record record{topic.name, value};
            record.partition = p;
            producer.send(record);
        }
    }
    producer.flush(30s);
    ottla::Consumer consumer(config());
    consumer.assign_topic(topic.name, ottla::Start::earliest());
    // A poll returns what is there; wait until that is everything.
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    for (;;) {
        ottla::Batch batch = tests::next_batch(consumer);
        if (batch.rows() == static_cast<std::size_t>(partitions * rows)) {
            return batch;
        }
        if (std::chrono::steady_clock::now() > deadline) {
            throw std::runtime_error("never came as one batch");
        }
        for (int p = 0; p < partitions; p++) {
            consumer.seek(topic.name, p, ottla::Start::earliest());
        }
        while (consumer.buffered_bytes() == 0 && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::sleep_for(10ms);
        }
    }
}

} // namespace

TEST(Batch, RowsAndSegmentsSayTheSame) {
    const Topic topic(3);
    const ottla::Batch batch = batch_of(topic, 3, 50);
    ASSERT_EQ(batch.rows(), 150U);
    EXPECT_FALSE(batch.empty());
    std::size_t row = 0;
    auto record = batch.begin();
    for (const ottla::Segment &segment : batch.segments()) {
        EXPECT_STREQ(segment.topic(), topic.name.c_str());
        EXPECT_EQ(segment.first_row(), row);
        EXPECT_FALSE(segment.append_time());
        for (std::size_t i = 0; i < segment.rows(); i++, ++record, row++) {
            ASSERT_NE(record, batch.end());
            EXPECT_EQ((*record).row(), row);
            EXPECT_EQ((*record).partition(), segment.partition());
            EXPECT_EQ((*record).offset(), segment.offsets()[i]);
            EXPECT_EQ((*record).timestamp(), segment.timestamps()[i]);
            EXPECT_EQ((*record).value(), segment.value(i));
            EXPECT_EQ(batch[row].value(), segment[i].value());
            EXPECT_EQ(*segment.value(i), std::to_string(segment.partition()) + ":" + std::to_string(segment.offsets()[i]));
        }
    }
    EXPECT_EQ(record, batch.end());
    EXPECT_EQ(row, batch.rows());
}

TEST(Batch, OutlivesItsConsumerAndMoves) {
    const Topic topic;
    ottla::Batch first = batch_of(topic, 1, 10); // its consumer is gone
    const ottla::RecordView record = first[9];
    const std::string_view value = *record.value();
    const ottla::Batch second = std::move(first);
    EXPECT_EQ(value, "0:9");
    EXPECT_EQ(record.value(), second[9].value());
    EXPECT_EQ(record.offset(), 9);
}

TEST(Batch, IsReadFromAnotherThread) {
    const Topic topic;
    ottla::Batch batch = batch_of(topic, 1, 100);
    std::int64_t sum = 0;
    std::thread([&sum, mine = std::move(batch)] {
        for (const ottla::RecordView record : mine) {
            sum += record.offset();
        }
    }).join();
    EXPECT_EQ(sum, 99 * 100 / 2);
}

TEST(Batch, WorksWithAlgorithms) {
    const Topic topic;
    const ottla::Batch batch = batch_of(topic, 1, 20);
    const auto is_odd = [](ottla::RecordView record) { return record.offset() % 2 == 1; };
    EXPECT_EQ(std::count_if(batch.begin(), batch.end(), is_odd), 10);
    EXPECT_EQ(std::distance(batch.begin(), batch.end()), 20);
    const auto found = std::find_if(batch.begin(), batch.end(), [](auto record) { return *record.value() == "0:13"; });
    ASSERT_NE(found, batch.end());
    EXPECT_EQ((*found).offset(), 13);
}

TEST(Batch, CompactCopiesWhatItNeeds) {
    const Topic topic;
    const ottla::Batch batch = batch_of(topic, 1, 10);
    const ottla::Batch small = batch.compact();
    ASSERT_EQ(small.rows(), batch.rows());
    EXPECT_LE(small.held_bytes(), batch.held_bytes());
    for (std::size_t i = 0; i < batch.rows(); i++) {
        EXPECT_EQ(small[i].value(), batch[i].value());
        EXPECT_EQ(small[i].offset(), batch[i].offset());
    }
    EXPECT_NE(small[0].value().data(), batch[0].value().data());
}

TEST(Batch, MaxRecordsIsKept) {
    const Topic topic;
    const ottla::Producer producer(config());
    producer.send_batch(topic.name, std::vector<std::string>(100, "v"));
    producer.flush(30s);
    ottla::Consumer consumer(config());
    consumer.assign_topic(topic.name, ottla::Start::earliest());
    std::int64_t next = 0;
    for (std::size_t left = 100; left > 0;) {
        const ottla::Batch batch = tests::next_batch(consumer, 7);
        ASSERT_LE(batch.rows(), 7U);
        for (const ottla::RecordView record : batch) {
            ASSERT_EQ(record.offset(), next++);
        }
        left -= batch.rows();
    }
}
