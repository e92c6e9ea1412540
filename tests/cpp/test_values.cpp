// The small values that need no broker.
#include "cluster.hpp"

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
            EXPECT_NE(key.meaning, "");
        }
    }
    EXPECT_TRUE(found);
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
