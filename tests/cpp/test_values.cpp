// The small values that need no broker.
#include "cluster.hpp"

#include <functional>
#include <limits>

using ottla::Bytes;
using ottla::Column;
using ottla::Timeout;

TEST(Bytes, NullIsNotEmpty) {
    EXPECT_TRUE(Bytes().is_null());
    EXPECT_TRUE(Bytes(nullptr).is_null());
    EXPECT_TRUE(Bytes(std::nullopt).is_null());
    EXPECT_TRUE(Bytes(std::optional<std::string>()).is_null());
    EXPECT_TRUE(Bytes(static_cast<const char *>(nullptr)).is_null());
    EXPECT_FALSE(Bytes("").is_null());
    EXPECT_FALSE(Bytes(std::string_view()).is_null());
    EXPECT_FALSE(Bytes(std::string()).is_null());
    EXPECT_FALSE(Bytes(std::vector<std::uint8_t>()).is_null());
    EXPECT_NE(Bytes(), Bytes(""));
    EXPECT_EQ(Bytes(), Bytes(nullptr));
    EXPECT_EQ(*Bytes(), "");
    EXPECT_EQ(Bytes().value_or("none"), "none");
    EXPECT_EQ(Bytes("").value_or("none"), "");
}

TEST(Bytes, AnythingContiguous) {
    const std::vector<std::uint8_t> vector{'a', 0, 'b'};
    const std::array<std::byte, 2> array{std::byte{'x'}, std::byte{'y'}};
    EXPECT_EQ(*Bytes(vector), std::string_view("a\0b", 3));
    EXPECT_EQ(*Bytes(array), "xy");
    EXPECT_EQ(*Bytes(std::optional<std::string_view>("v")), "v");
    EXPECT_EQ(*Bytes("a\0b", 3), std::string_view("a\0b", 3));
    EXPECT_EQ(Bytes("text").str(), "text");
    EXPECT_EQ(*Bytes("text"), "text");
}

TEST(Timeout, RoundsUpAndStaysInRange) {
    EXPECT_EQ(Timeout(5ms).ms(), 5);
    EXPECT_EQ(Timeout(1us).ms(), 1);
    EXPECT_EQ(Timeout(1001us).ms(), 2);
    EXPECT_EQ(Timeout(0s).ms(), 0);
    EXPECT_EQ(Timeout(-1s).ms(), 0) << "a deadline that has passed must not mean no limit";
    EXPECT_EQ(Timeout(std::chrono::duration<double>(0.25)).ms(), 250);
    EXPECT_EQ(Timeout(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())).ms(), 0);
    EXPECT_GT(Timeout(std::chrono::hours::max()).ms(), std::int64_t{1} << 40);
    EXPECT_EQ(ottla::no_limit.ms(), -1);
}

TEST(Config, ValuesBecomeText) {
    ottla::Config config{{"a", "text"}, {"b", 5}, {"c", true}, {"d", 250ms}, {"e", std::string("owned")}};
    config.set("a", "other").set("f", std::string_view("viewed"));
    std::string all;
    for (const auto &setting : config.settings()) {
        all += setting.key + "=" + setting.value.text() + ";";
    }
    EXPECT_EQ(all, "a=other;b=5;c=true;d=250ms;e=owned;f=viewed;");
}

TEST(Config, KeysAreListed) {
    bool found = false;
    for (const ottla::ConfigKey &key : ottla::config_keys()) {
        if (key.name == "linger.ms") {
            found = true;
            EXPECT_EQ(key.default_value, "5");
            EXPECT_TRUE(key.producer);
            EXPECT_FALSE(key.consumer);
            EXPECT_FALSE(key.share_consumer);
            EXPECT_NE(key.meaning, "");
        }
    }
    EXPECT_TRUE(found);
    for (const ottla::ConfigKey &key : ottla::config_keys()) {
        if (key.name == "share.acknowledgement.mode") {
            EXPECT_TRUE(key.share_consumer);
            EXPECT_FALSE(key.producer || key.consumer || key.admin);
        }
    }
}

// A range whose elements are made as it is gone through, as a transformation's are.
template <class T> struct Made {
    struct Iterator {
        using iterator_category = std::input_iterator_tag;
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = T;
        T operator*() const { return T("made"); }
        Iterator &operator++() {
            at++;
            return *this;
        }
        bool operator!=(const Iterator &other) const { return at != other.at; }
        bool operator==(const Iterator &other) const { return at == other.at; }
        int at;
    };
    Iterator begin() const { return {0}; }
    Iterator end() const { return {2}; }
};
static_assert(!std::is_constructible_v<Column, const Made<std::string> &>, "the strings would be gone");
static_assert(!std::is_constructible_v<Column, const Made<std::optional<std::string>> &>, "the strings would be gone");
static_assert(std::is_constructible_v<Column, const Made<std::string_view> &>, "views of what stays");
static_assert(std::is_constructible_v<Column, const Made<Bytes> &> && std::is_constructible_v<Column, const Made<const char *> &>);
static_assert(std::is_constructible_v<Column, const std::vector<std::string> &>);
static_assert(std::is_constructible_v<Column, const std::vector<std::vector<std::uint8_t>> &>);
static_assert(std::is_constructible_v<Column, const std::vector<std::optional<std::string>> &>);

TEST(Column, OfViewsThatARangeMakes) {
    const Column column{Made<std::string_view>()};
    ASSERT_EQ(column.rows(), 2U);
    EXPECT_EQ(column.raw().lengths[1], 4);
}

TEST(Moved, ErrorsStillTell) {
    ottla::Error error(OTTLA_ERR_TIMED_OUT, "it took too long");
    const ottla::Error taken = std::move(error);
    EXPECT_STREQ(taken.what(), "it took too long [TIMED_OUT]");
    EXPECT_STREQ(error.what(), "it took too long [TIMED_OUT]"); // NOLINT: that is what is tested
    EXPECT_EQ(error.code(), OTTLA_ERR_TIMED_OUT);
    ottla::Result<std::string> result = ottla::Error(OTTLA_ERR_CLOSED, "closed");
    const ottla::Result<std::string> other = std::move(result);
    EXPECT_EQ(result.error().message(), "closed");
    EXPECT_EQ(other.error().message(), "closed");
}

TEST(Moved, ViewsAreEmpty) {
    Column column{"a", "b"};
    const Column other = std::move(column);
    EXPECT_EQ(other.rows(), 2U);
    EXPECT_EQ(column.rows(), 0U);
    EXPECT_NE(column.raw().lengths, nullptr);
    EXPECT_EQ(column.from(0).rows(), 0U);
}

TEST(Moved, WhatPollsBringIsEmptyThen) {
    tests::Topic topic;
    ottla::Producer producer(tests::config());
    ottla::Record record{topic.name, "v"};
    record.token = 7;
    producer.send(record);
    ottla::Completions completions = producer.poll(0, 30s);
    ASSERT_EQ(completions.size(), 1U);
    const ottla::Completions kept = std::move(completions);
    EXPECT_EQ(kept[0].token(), 7U);
    EXPECT_TRUE(completions.empty());
    EXPECT_EQ(std::distance(completions.begin(), completions.end()), 0);

    ottla::Consumer consumer(tests::config());
    consumer.assign_topic(topic.name, ottla::Start::earliest());
    ottla::Polled polled = consumer.poll(0, 30s);
    ASSERT_TRUE(polled.batch());
    const ottla::Batch batch = std::move(*polled.batch());
    EXPECT_EQ(batch.rows(), 1U);
    EXPECT_FALSE(polled);
    EXPECT_FALSE(polled.batch());

    const ottla::Producer moved = std::move(producer);
    EXPECT_EQ(producer.try_send(topic.name, "v").error().code(), OTTLA_ERR_INVALID_ARGUMENT);
    const ottla::Consumer elsewhere = std::move(consumer);
    EXPECT_EQ(consumer.try_poll(0, 0s).error().code(), OTTLA_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(consumer.try_seek(topic.name, 0, ottla::Start::earliest()).error().code(), OTTLA_ERR_INVALID_ARGUMENT);
}

// A NUL would end the name on the other side of the C API: "ord" would be deleted.
TEST(Names, WithANulAreRefusedEverywhere) {
    using namespace std::string_literals;
    const std::string bad = "ord\0ers"s;
    const auto refused = [](const auto &result) {
        ASSERT_FALSE(result);
        EXPECT_EQ(result.error().code(), OTTLA_ERR_INVALID_ARGUMENT);
        EXPECT_NE(result.error().message().find("NUL"), std::string_view::npos) << result.error().message();
    };
    const ottla::Admin admin(tests::config());
    refused(admin.try_create_topic({bad, 1}, 1s));
    refused(admin.try_create_topic({"ord", 1, -1, {{"cleanup.policy\0x"s, "compact"}}}, 1s));
    refused(admin.try_create_topic({"ord", 1, -1, {{"cleanup.policy", "compact\0x"s}}}, 1s));
    refused(admin.try_delete_topic(bad, 1s));
    refused(admin.try_delete_topics({"fine"s, bad}, 1s));
    refused(admin.try_create_partitions(bad, 2, 1s));
    refused(admin.try_describe_topics({bad}, 1s));

    ottla::Producer producer(tests::config());
    refused(producer.try_send({bad, "v"}));
    refused(producer.try_send(std::string_view(bad), "v"));
    EXPECT_EQ(producer.try_send_batch(bad, {"v"}).error->code(), OTTLA_ERR_INVALID_ARGUMENT);
    refused(producer.try_set_topic_config(bad, {}));
    refused(producer.try_set_partitioner(bad, [](std::string_view, Bytes, std::int32_t) { return 0; }));
    refused(producer.try_send_offsets({{bad, 0, 1}}, {"g"}, 1s));
    refused(producer.try_send_offsets({{"t", 0, 1, -1, bad}}, {"g"}, 1s));
    refused(producer.try_send_offsets({{"t", 0, 1}}, {bad}, 1s));
    refused(producer.try_send_offsets({{"t", 0, 1}}, {"g", 1, bad}, 1s));
    refused(producer.try_send_offsets({{"t", 0, 1}}, {"g", 1, "m", ottla::Text(bad)}, 1s));

    ottla::Config grouped = tests::config();
    ottla::Consumer consumer(grouped.set("group.id", "names"));
    refused(consumer.try_assign({{bad, 0}}));
    refused(consumer.try_assign_topic(bad));
    refused(consumer.try_subscribe({bad}));
    refused(consumer.try_subscribe_pattern(bad));
    refused(consumer.try_set_assignor({bad, [](const auto &, const auto &) { return ottla::Assignor::Share(); }}));
    refused(consumer.try_pause({{bad, 0}}));
    refused(consumer.try_resume({{bad, 0}}));
    refused(consumer.try_seek(bad, 0, ottla::Start::earliest()));
    refused(consumer.try_mark(bad, 0, 1));
    refused(consumer.try_position(bad, 0));
    refused(consumer.try_lag(bad, 0));
    refused(consumer.try_commit({{bad, 0, 1}}, 1s));
    refused(consumer.try_commit_async({{"t", 0, 1, -1, bad}}));
    refused(consumer.try_committed({{bad, 0}}, 1s));
    refused(consumer.try_beginning_offsets({{bad, 0}}, 1s));
    refused(consumer.try_end_offsets({{bad, 0}}, 1s));
    refused(consumer.try_offsets_for_times({{bad, 0}}, {1}, 1s));
    refused(consumer.try_partition_count(bad, 1s));

    const ottla::ShareConsumer share(grouped.set("group.id", "names-shared"));
    refused(share.try_subscribe({bad}));
    refused(share.try_acknowledge_offset(bad, 0, 0, ottla::AcknowledgeType::accept));

    refused(ottla::Producer::open({{"client.id", bad}}));
    const ottla::testing::Broker broker;
    refused(broker.try_create_topic(bad));
    refused(broker.try_add_fault(ottla::testing::Fault::drop().on_topic(bad)));
    refused(broker.try_force_rebalance(bad));
    refused(broker.try_expire_member("g", bad));
}

TEST(Column, ViewsAndNulls) {
    const Column column{"a", nullptr, "", "abc"};
    ASSERT_EQ(column.rows(), 4U);
    const std::vector<std::int32_t> lengths(column.raw().lengths, column.raw().lengths + 4);
    EXPECT_EQ(lengths, (std::vector<std::int32_t>{1, -1, 0, 3}));
    EXPECT_EQ(column.raw().pointers[1], nullptr);
}

TEST(Column, MovingKeepsWhatItViews) {
    const std::vector<std::string> rows{"one", "two", "three"};
    Column column(rows);
    const Column moved(std::move(column));
    ASSERT_EQ(moved.rows(), 3U);
    EXPECT_EQ(std::memcmp(moved.raw().pointers[2], "three", 5), 0);
}

TEST(Column, TheRestOfIt) {
    const std::vector<std::int32_t> lengths{1, -1, 2, 3}, offsets{0, 1, 1, 3, 6};
    const Column by_lengths = Column::lengths("abbccc", lengths), by_offsets = Column::offsets("abbccc", offsets);
    const Column views{"a", nullptr, "bb", "ccc"};
    const Column rest = by_lengths.from(2);
    EXPECT_EQ(rest.rows(), 2U);
    EXPECT_EQ(rest.raw().blob_len, 5U);
    EXPECT_EQ(rest.raw().blob[0], 'b');
    EXPECT_EQ(rest.raw().lengths[1], 3);
    EXPECT_EQ(by_offsets.from(3).raw().offsets[0], 3);
    EXPECT_EQ(views.from(3).raw().pointers[0][0], 'c');
    EXPECT_EQ(views.from(9).rows(), 0U);
}

TEST(Result, ValueOrError) {
    const ottla::Result<int> good(5);
    const ottla::Result<int> bad(ottla::Error(OTTLA_ERR_TIMED_OUT, "waited"));
    EXPECT_EQ(good.value(), 5);
    EXPECT_FALSE(bad);
    EXPECT_EQ(bad.error().name(), "TIMED_OUT");
    EXPECT_STREQ(bad.error().what(), "waited [TIMED_OUT]");
    EXPECT_THROW((void)bad.value(), ottla::Error);
}

TEST(Version, IsTold) { EXPECT_EQ(std::count(ottla::version().begin(), ottla::version().end(), '.'), 2); }
