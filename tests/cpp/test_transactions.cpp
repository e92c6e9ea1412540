// Transactions: the guard, the function that takes a lambda, and what their errors say.
#include "cluster.hpp"

using tests::config;
using tests::Topic;

namespace {

constexpr auto limit = 60s;

/// A producer of transactions, ready, with the topic's name as its transactional.id.
ottla::Producer ready(const Topic &topic) {
    ottla::Producer producer{{{"bootstrap.servers", tests::bootstrap()}, {"transactional.id", topic.name}}};
    producer.init_transactions(limit);
    return producer;
}

/// The topic's committed values: `count` of them, and no more in a moment.
std::string committed(const Topic &topic, std::size_t count) {
    ottla::Consumer consumer{{{"bootstrap.servers", tests::bootstrap()}, {"isolation.level", "read_committed"}}};
    consumer.assign_topic(topic.name, ottla::Start::earliest());
    std::string all;
    for (bool quiet = false; all.size() < count || !quiet;) {
        const ottla::Polled polled = consumer.poll(0, all.size() < count ? ottla::Timeout(30s) : ottla::Timeout(300ms));
        quiet = !polled;
        if (quiet && all.size() < count) {
            return all + "…";
        }
        if (polled) {
            for (const ottla::RecordView record : *polled.batch()) {
                all += *record.value();
            }
        }
    }
    return all;
}

} // namespace

TEST(Transactions, AGuardCommitsOrAborts) {
    const Topic topic;
    const ottla::Producer producer = ready(topic);
    {
        ottla::Transaction transaction(producer);
        producer.send(topic.name, "a");
        transaction.commit();
        EXPECT_EQ(transaction.try_commit().error().code(), OTTLA_ERR_INVALID_TXN_STATE);
    }
    {
        const ottla::Transaction transaction(producer);
        producer.send(topic.name, "b");
    }
    try {
        const ottla::Transaction transaction(producer);
        producer.send(topic.name, "c");
        throw std::runtime_error("the work failed");
    } catch (const std::runtime_error &) {
    }
    {
        ottla::Transaction transaction(producer);
        producer.send(topic.name, "d");
        transaction.abort();
    }
    {
        auto transaction = ottla::Transaction::begin(producer);
        ASSERT_TRUE(transaction);
        EXPECT_FALSE(ottla::Transaction::begin(producer)) << "one at a time";
        producer.send(topic.name, "e");
        producer.send_offsets({{topic.name, 0, 7}}, {topic.name}, limit);
        ottla::Transaction moved = *std::move(transaction);
        moved.commit();
    }
    EXPECT_EQ(committed(topic, 2), "ae");
    producer.close(limit);
}

TEST(Transactions, AFunctionRunsInOne) {
    const Topic topic;
    const ottla::Producer producer = ready(topic);
    EXPECT_EQ(ottla::transact(producer, [&] {
                  producer.send(topic.name, "a");
                  return 42;
              }),
              42);
    EXPECT_THROW(ottla::transact(producer,
                                 [&] {
                                     producer.send(topic.name, "b");
                                     throw std::logic_error("no");
                                 }),
                 std::logic_error);
    ottla::transact(producer, [&] { producer.send(topic.name, "c"); });
    EXPECT_TRUE(ottla::try_transact(producer, [&] { return producer.try_send(topic.name, "d"); }));
    const auto refused = ottla::try_transact(producer, [&]() -> ottla::Result<void> {
        producer.send(topic.name, "e");
        return ottla::Error(OTTLA_ERR_INVALID_ARGUMENT, "the work failed");
    });
    EXPECT_EQ(refused.error().message(), "the work failed");
    EXPECT_EQ(committed(topic, 3), "acd");
}

TEST(Transactions, ErrorsSayWhatToDo) {
    const Topic topic;
    const ottla::Producer producer = ready(topic);
    const auto outside = producer.try_send(topic.name, "outside");
    ASSERT_FALSE(outside);
    EXPECT_EQ(outside.error().code(), OTTLA_ERR_INVALID_TXN_STATE);
    EXPECT_FALSE(outside.error().needs_abort() || outside.error().fatal() || outside.error().retriable());

    // A record that nobody looked at refuses the commit; the guard's end aborts.
    const std::string large(2'000'000, 'x');
    try {
        ottla::transact(producer, [&] { (void)producer.try_send(topic.name, large); });
        FAIL() << "committed";
    } catch (const ottla::Error &error) {
        EXPECT_TRUE(error.needs_abort()) << error.what();
        EXPECT_EQ(error.code(), OTTLA_ERR_RECORD_TOO_LARGE) << error.what();
    }
    ottla::transact(producer, [&] { producer.send(topic.name, "a"); });

    const ottla::Producer successor = ready(topic);
    try {
        ottla::transact(producer, [&] {
            producer.send(topic.name, "b");
            producer.flush(limit);
        });
        FAIL() << "a fenced producer committed";
    } catch (const ottla::Error &error) {
        EXPECT_FALSE(error.retriable()) << error.what();
    }
    const auto fenced = producer.try_begin_transaction();
    ASSERT_FALSE(fenced);
    EXPECT_TRUE(fenced.error().fatal()) << fenced.error().what();
    ottla::transact(successor, [&] { successor.send(topic.name, "c"); });
    EXPECT_EQ(committed(topic, 2), "ac");
}
