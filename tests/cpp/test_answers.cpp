// Calls that don't wait: everything comes as an answer, and a descriptor tells when.
#include "cluster.hpp"

#include <poll.h>

namespace {

constexpr auto limit = 30s;

// Waits for the descriptor alone, as an event loop does.
template <class Client> ottla::Answer answer_of(const Client &client, std::uint64_t token) {
    std::optional<ottla::Answer> answer;
    while (!answer) {
        pollfd one{static_cast<int>(client.descriptor()), POLLIN, 0};
        EXPECT_EQ(poll(&one, 1, 30000), 1);
        answer = client.next_answer(0ms);
    }
    EXPECT_EQ(answer->token(), token);
    EXPECT_FALSE(answer->doing().empty());
    return *std::move(answer);
}

template <class Client> void succeeds(const Client &client, std::uint64_t token) {
    const auto error = answer_of(client, token).error();
    EXPECT_FALSE(error) << error->what();
}

} // namespace

TEST(Answers, OfEveryClient) {
    const std::string name = "cpp-answers-" + std::to_string(getpid());
    ottla::Admin admin(tests::config());
    admin.connect_async(limit, 1);
    succeeds(admin, 1);
    const ottla::NewTopic topic{name, 2};
    admin.create_topics_async(ottla::Span<const ottla::NewTopic>(&topic, 1), false, limit, 2);
    const auto created = ottla::Admin::topic_results_of(answer_of(admin, 2));
    ASSERT_EQ(created.size(), 1U);
    EXPECT_EQ(created[0].partitions, 2);
    admin.create_partitions_async(name, 3, false, limit, 3);
    succeeds(admin, 3);
    admin.list_topics_async(false, limit, 4);
    EXPECT_GE(ottla::Admin::topics_of(answer_of(admin, 4)).size(), 1U);
    const ottla::Span<const std::string> names(&name, 1);
    admin.describe_topics_async(names, limit, 5);
    EXPECT_EQ(ottla::Admin::descriptions_of(answer_of(admin, 5)).at(0).partitions.size(), 3U);
    admin.describe_cluster_async(limit, 6);
    EXPECT_FALSE(ottla::Admin::cluster_of(answer_of(admin, 6)).brokers.empty());

    ottla::Producer producer(tests::config());
    producer.connect_async(limit, 1);
    succeeds(producer, 1);
    producer.send({name, "v", "k", {}, 0});
    producer.flush_async(limit, 2);
    succeeds(producer, 2);
    producer.stats_async(limit, 3);
    EXPECT_FALSE(ottla::Producer::stats_of(answer_of(producer, 3)).json().empty());
    producer.purge_async(OTTLA_PURGE_ALL, 4);
    succeeds(producer, 4);
    EXPECT_FALSE(producer.try_init_transactions_async(limit, 5));
    producer.close_async(limit, 6);
    succeeds(producer, 6);

    auto config = tests::config();
    config.set("group.id", name);
    ottla::Consumer consumer(config);
    consumer.connect_async(limit, 1);
    succeeds(consumer, 1);
    const std::vector<ottla::TopicPartition> partitions{{name, 0}, {name, 1}};
    consumer.end_offsets_async(partitions, limit, 2);
    const ottla::Answer ends = answer_of(consumer, 2);
    ASSERT_EQ(ends.offsets().size(), 2U);
    EXPECT_EQ(ends.offsets()[0], 1);
    consumer.beginning_offsets_async(partitions, limit, 3);
    EXPECT_EQ(answer_of(consumer, 3).offsets()[0], 0);
    const std::vector<std::int64_t> times{0, 0};
    consumer.offsets_for_times_async(partitions, times, limit, 4);
    const ottla::Answer found = answer_of(consumer, 4);
    EXPECT_EQ(found.offsets()[1], -1);
    EXPECT_GT(found.timestamps()[0], 0);
    consumer.partition_count_async(name, limit, 5);
    EXPECT_EQ(answer_of(consumer, 5).count(), 3U);
    consumer.committed_async(partitions, limit, 6);
    EXPECT_EQ(ottla::Consumer::committed_of(answer_of(consumer, 6)).at(0).offset, -1);
    consumer.stats_async(limit, 7);
    EXPECT_FALSE(ottla::Consumer::stats_of(answer_of(consumer, 7)).json().empty());
    // Commits return their token, and an event reports the outcome.
    consumer.assign_topic(name, ottla::Start::earliest());
    (void)tests::next_batch(consumer, 1);
    const std::uint64_t commit = consumer.commit_polled_async();
    for (bool committed = false; !committed;) {
        const ottla::Polled polled = consumer.poll(0, limit);
        ASSERT_TRUE(polled);
        committed = polled.event() && polled.event()->kind() == ottla::EventKind::offsets_committed;
        EXPECT_TRUE(!committed || polled.event()->token() == commit);
    }
    // What another call gives is an error.
    consumer.unsubscribe_async(limit, 8);
    EXPECT_FALSE(ottla::Consumer::try_committed_of(answer_of(consumer, 8)));
    consumer.close_async(limit, 9);
    succeeds(consumer, 9);

    ottla::ShareConsumer share(config);
    share.connect_async(limit, 1);
    succeeds(share, 1);
    share.begin_commit(limit, 4);
    succeeds(share, 4);
    share.unsubscribe_async(limit, 2);
    succeeds(share, 2);
    share.close_async(limit, 3);
    succeeds(share, 3);

    admin.delete_topics_async(names, limit, 7);
    EXPECT_FALSE(ottla::Admin::topic_results_of(answer_of(admin, 7)).at(0).error);
    admin.close_async(limit, 8);
    succeeds(admin, 8);
    EXPECT_EQ(admin.try_next_answer(limit).error().code(), OTTLA_ERR_CLOSED);
}

TEST(Answers, OfTransactions) {
    const tests::Topic topic;
    auto config = tests::config();
    config.set("transactional.id", topic.name);
    ottla::Producer producer(config);
    producer.init_transactions_async(limit, 1);
    succeeds(producer, 1);
    for (const bool commit : {true, false}) {
        producer.begin_transaction();
        producer.send(topic.name, "v");
        const ottla::GroupMetadata group{topic.name};
        const std::vector<ottla::OffsetToCommit> offsets{{topic.name, 0, 1}};
        producer.send_offsets_async(offsets, group, limit, 2);
        succeeds(producer, 2);
        if (commit) {
            producer.commit_transaction_async(limit, 3);
        } else {
            producer.abort_transaction_async(limit, 3);
        }
        succeeds(producer, 3);
    }
}
