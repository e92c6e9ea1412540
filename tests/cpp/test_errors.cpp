// What errors say, and what becomes of calls on closed or moved-from clients.
#include "cluster.hpp"

using tests::config;
using tests::Topic;

namespace {

/// The error of a call that must fail.
template <class F> ottla::Error error_of(F &&function) {
    try {
        function();
    } catch (const ottla::Error &error) {
        return error;
    }
    throw std::runtime_error("nothing was thrown");
}

void expect_says(const ottla::Error &error, const std::string &part) {
    EXPECT_NE(error.message().find(part), std::string_view::npos) << error.what() << "\nlacks: " << part;
}

} // namespace

TEST(Errors, MisspeltKey) {
    const ottla::Error error = error_of([] { ottla::Producer{{{"bootstrap.servers", "localhost"}, {"linger.msec", 5}}}; });
    EXPECT_EQ(error.code(), OTTLA_ERR_CONFIG);
    EXPECT_EQ(error.name(), "CONFIG");
    EXPECT_FALSE(error.retriable());
    EXPECT_FALSE(error.fatal());
    EXPECT_FALSE(error.needs_abort());
    expect_says(error, "linger.msec");
    expect_says(error, "linger.ms");
    EXPECT_NE(std::string(error.what()).find("[CONFIG]"), std::string::npos);
}

TEST(Errors, WrongValueAndWrongClient) {
    expect_says(error_of([] { ottla::Producer{{{"bootstrap.servers", "localhost"}, {"linger.ms", "soon"}}}; }), "soon");
    expect_says(error_of([] { ottla::Producer{{{"bootstrap.servers", "localhost"}, {"max.poll.records", 5}}}; }),
                "max.poll.records");
    expect_says(error_of([] { ottla::Consumer{{{"bootstrap.servers", "localhost:99999"}}}; }), "99999");
    expect_says(error_of([] { ottla::Admin(ottla::Config()); }), "bootstrap.servers");
}

TEST(Errors, NulInsideText) {
    const Topic topic;
    const ottla::Producer producer(config());
    const std::string cut("to\0pic", 6);
    const ottla::Result<void> sent = producer.try_send(cut, "v");
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code(), OTTLA_ERR_INVALID_ARGUMENT);
    expect_says(sent.error(), "NUL");
    EXPECT_FALSE(producer.try_send(std::string_view(cut), "v"));
    EXPECT_TRUE(producer.try_send_batch(cut, {"v"}).error);
}

TEST(Errors, ATopicNameThatIsOnlyAView) {
    const Topic topic;
    const ottla::Producer producer(config());
    const std::string longer = topic.name + "behind";
    producer.send(std::string_view(longer).substr(0, topic.name.size()), "v");
    producer.flush(30s);
    EXPECT_EQ(producer.counts().written, 1U);
}

TEST(Errors, NobodyListens) {
    const ottla::Producer producer{{{"bootstrap.servers", "127.0.0.1:1"}}};
    const ottla::Error error = error_of([&] { producer.connect(5s); });
    expect_says(error, "127.0.0.1:1");
    EXPECT_TRUE(error.retriable());
}

TEST(Errors, TooLarge) {
    const Topic topic;
    const ottla::Producer producer(config());
    const ottla::Error error = error_of([&] { producer.send(topic.name, std::string(2'000'000, 'x')); });
    EXPECT_EQ(error.code(), OTTLA_ERR_RECORD_TOO_LARGE);
    expect_says(error, "max.request.size");
}

TEST(Errors, TopicExistsAlready) {
    const Topic topic;
    const ottla::Admin admin(config());
    const ottla::Error error = error_of([&] { admin.create_topic({topic.name, 1, 1}, 30s); });
    EXPECT_EQ(error.name(), "TOPIC_ALREADY_EXISTS");
    expect_says(error, topic.name);
}

TEST(Errors, AFailedDelivery) {
    const ottla::testing::Broker broker;
    broker.create_topic("orders");
    broker.add_fault(ottla::testing::Fault::error(OTTLA_ERR_MESSAGE_TOO_LARGE).on_request(0).on_topic("orders"));
    const ottla::Producer producer{{{"bootstrap.servers", broker.bootstrap_servers()}}};
    ottla::Record record{"orders", "v"};
    record.token = 9;
    producer.send(record);
    const ottla::Completions completions = producer.poll(10, 30s);
    ASSERT_EQ(completions.size(), 1U);
    EXPECT_EQ(completions[0].token(), 9U);
    EXPECT_EQ(completions[0].outcome(), ottla::Outcome::not_written);
    const std::optional<ottla::Error> error = completions[0].error();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), OTTLA_ERR_MESSAGE_TOO_LARGE);
    broker.clear_faults();
}

TEST(Errors, ARetriedDelivery) {
    const ottla::testing::Broker broker;
    broker.create_topic("orders");
    broker.add_fault(ottla::testing::Fault::error(OTTLA_ERR_NOT_LEADER_OR_FOLLOWER).on_request(0).times(2));
    broker.add_fault(ottla::testing::Fault::delay(20ms).on_request(0).on_node(1));
    const ottla::Producer producer{{{"bootstrap.servers", broker.bootstrap_servers()}}};
    producer.send("orders", "v");
    producer.flush(30s);
    EXPECT_EQ(broker.offsets("orders", 0), (std::pair<std::int64_t, std::int64_t>(0, 1)));
    EXPECT_GE(broker.requests_seen(0), 3U);
}

TEST(Errors, ClosedAndMovedFrom) {
    ottla::Producer producer(config());
    const ottla::Producer moved(std::move(producer));
    EXPECT_EQ(producer.try_send("t", "v").error().code(), OTTLA_ERR_INVALID_ARGUMENT);
    moved.close(5s);
    const ottla::Result<void> sent = moved.try_send("t", "v");
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().name(), "CLOSED");
}

TEST(Errors, OutliveTheirClient) {
    std::optional<ottla::Error> kept;
    {
        const ottla::Producer producer(config());
        producer.close(5s);
        kept = producer.try_flush(1s) ? producer.try_send("t", "v").error() : producer.try_flush(1s).error();
    }
    const ottla::Error copy = *kept;
    kept.reset();
    EXPECT_FALSE(copy.message().empty());
}

TEST(Logs, AreDrained) {
    const ottla::Producer producer{{{"bootstrap.servers", "127.0.0.1:1"}, {"log.level", "debug"}}};
    EXPECT_FALSE(producer.try_connect(2s));
    const auto lines = producer.logs();
    ASSERT_FALSE(lines.empty());
    EXPECT_GE(lines[0].level, ottla::LogLevel::error);
    EXPECT_LE(lines[0].level, ottla::LogLevel::trace);
    EXPECT_FALSE(lines[0].message.empty());
    EXPECT_GT(lines[0].time, std::chrono::system_clock::now() - 1h);
}
