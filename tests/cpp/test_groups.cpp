// Consumer groups: callbacks and events of rebalances, offsets that are kept, patterns.
#include "cluster.hpp"

#include <set>

using ottla::EventKind;
using tests::config;
using tests::Topic;

namespace {

constexpr int partitions = 4;

void fill(const Topic &topic, int each) {
    const ottla::Producer producer(config());
    for (int i = 0; i < partitions * each; i++) {
        ottla::Record record{topic.name, "v"};
        record.partition = i % partitions;
        producer.send(record);
    }
    producer.flush(30s);
}

ottla::Config of_group(const std::string &group) {
    auto c = config();
    c.set("group.id", group);
    c.set("auto.offset.reset", "earliest");
    c.set("metadata.max.age.ms", "500");
    c.set("heartbeat.interval.ms", "100");
    return c;
}

/// Calls until it is true, for a minute at most.
template <class F> void until(const char *what, F &&good) {
    const auto limit = std::chrono::steady_clock::now() + 60s;
    while (!good()) {
        ASSERT_LT(std::chrono::steady_clock::now(), limit) << "not " << what << " within a minute";
    }
}

/// A member with callbacks: what it owns, and how many records it has read.
struct Member {
    explicit Member(const std::string &group) : consumer(of_group(group)) {}
    ~Member() { EXPECT_TRUE(consumer.try_close(30s)); }
    Member(const Member &) = delete;
    Member &operator=(const Member &) = delete;

    ottla::Rebalance callbacks() {
        ottla::Rebalance rebalance;
        rebalance.assigned = [this](const std::vector<ottla::TopicPartition> &all) {
            for (const auto &p : all) {
                EXPECT_TRUE(owned.emplace(p.topic, p.partition).second);
            }
        };
        rebalance.revoked = [this](const std::vector<ottla::TopicPartition> &all) {
            consumer.commit_polled(30s);
            for (const auto &p : all) {
                EXPECT_EQ(owned.erase({p.topic, p.partition}), 1U);
            }
            revocations++;
        };
        return rebalance;
    }

    void turn() {
        auto polled = consumer.poll(0, 20ms);
        if (const ottla::Batch *batch = polled.batch()) {
            for (const ottla::RecordView record : *batch) {
                EXPECT_EQ(owned.count({record.topic(), record.partition()}), 1U);
                total++;
            }
        } else if (const ottla::Event *event = polled.event()) {
            ADD_FAILURE() << event->message();
        }
    }

    ottla::Consumer consumer;
    std::set<std::pair<std::string, std::int32_t>> owned;
    int total = 0, revocations = 0;
};

} // namespace

TEST(Groups, CallbacksTellOfRebalancesAndNothingIsReadTwice) {
    const Topic topic(partitions);
    fill(topic, 10);
    Member first(topic.name);
    first.consumer.subscribe({topic.name}, first.callbacks());
    until("read", [&] {
        first.turn();
        return first.total == partitions * 10;
    });
    EXPECT_EQ(first.owned.size(), std::size_t{partitions});
    const auto place = first.consumer.membership();
    EXPECT_EQ(place.group_id, topic.name);
    EXPECT_GE(place.generation, 0);
    EXPECT_FALSE(place.member_id.empty());
    {
        Member second(topic.name);
        second.consumer.subscribe({topic.name}, second.callbacks());
        until("shared", [&] {
            first.turn();
            second.turn();
            return first.owned.size() == 2 && second.owned.size() == 2;
        });
        EXPECT_GE(first.revocations, 1);
        fill(topic, 5);
        until("read by both", [&] {
            first.turn();
            second.turn();
            return first.total + second.total == partitions * 15;
        });
        // What the first had read before it gave the partitions up was committed.
        EXPECT_EQ(second.total, 2 * 5);
        // The batch polled last counts as read with the next poll, which doesn't come.
        second.consumer.commit_polled(30s);
    }
    until("taken back", [&] {
        first.turn();
        return first.owned.size() == std::size_t{partitions};
    });
    first.consumer.commit_polled(30s);
    first.consumer.unsubscribe(30s);
    EXPECT_EQ(first.consumer.membership().generation, -1);
    for (const auto &one : first.consumer.committed({{topic.name, 0}, {topic.name, 3}}, 30s)) {
        EXPECT_EQ(one.topic, topic.name);
        EXPECT_EQ(one.offset, 15);
    }
}

TEST(Groups, EventsComeFromThePollWithoutCallbacks) {
    const Topic topic(partitions);
    ottla::Consumer consumer(of_group(topic.name));
    consumer.subscribe({topic.name});
    const auto polled = consumer.poll(0, 60s);
    ASSERT_NE(polled.event(), nullptr);
    EXPECT_EQ(polled.event()->kind(), EventKind::partitions_assigned);
    EXPECT_EQ(polled.event()->partitions().size(), std::size_t{partitions});
    fill(topic, 1);
    const auto batch = tests::next_batch(consumer);
    const auto token = consumer.commit_batch_async(batch);
    until("committed", [&] {
        const auto next = consumer.poll(0, 1s);
        return next.event() && next.event()->kind() == EventKind::offsets_committed && next.event()->token() == token;
    });
    // Others of the group have their own: a commit of what is none of this member's business is refused.
    const auto refused = consumer.try_commit({{"no-such-topic", 0, 1}}, 30s);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), OTTLA_ERR_PARTITION_REVOKED) << refused.error().message();
    const auto unknown = consumer.try_subscribe_pattern("a(b");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code(), OTTLA_ERR_INVALID_ARGUMENT);
    consumer.close(30s);
}

TEST(Groups, TopicsThatMatchLaterAreReadToo) {
    const Topic topic(partitions);
    fill(topic, 1);
    Member member(topic.name);
    member.consumer.subscribe_pattern(topic.name + "(-later)?", member.callbacks());
    until("read", [&] {
        member.turn();
        return member.total == partitions;
    });
    const ottla::Admin admin(config());
    const auto later = topic.name + "-later";
    admin.create_topic({later, 1, 1}, 30s);
    {
        const ottla::Producer producer(config());
        producer.send({later, "late"});
        producer.flush(30s);
    }
    until("read of the new topic", [&] {
        member.turn();
        return member.total == partitions + 1;
    });
    EXPECT_EQ(member.owned.count({later, 0}), 1U);
    admin.delete_topic(later, 30s);
}

namespace {

TEST(Groups, AnAssignorOfOnesOwnSharesOut) {
    const Topic topic(partitions);
    const auto member = [&](const std::string &wish) {
        ottla::Consumer consumer(of_group(topic.name));
        ottla::Assignor assignor;
        assignor.name = "by-wish";
        assignor.user_data = wish;
        assignor.assign = [](const std::vector<ottla::GroupMember> &members,
                             const std::map<std::string, std::int32_t> &topics) {
            ottla::Assignor::Share share;
            for (const auto &one : members) {
                EXPECT_EQ(topics.at(one.topics.at(0)), partitions);
                for (const char digit : one.user_data.value()) {
                    share[one.id].push_back({one.topics.at(0), digit - '0'});
                }
            }
            return share;
        };
        consumer.set_assignor(std::move(assignor));
        consumer.subscribe({topic.name});
        return consumer;
    };
    auto first = member("03");
    auto second = member("12");
    const auto owned = [](const ottla::Consumer &consumer) {
        std::set<std::int32_t> all;
        for (const auto &p : consumer.assignment()) {
            all.insert(p.partition);
        }
        return all;
    };
    until("shared out as wished", [&] {
        (void)first.poll(0, 20ms);
        (void)second.poll(0, 20ms);
        return owned(first) == std::set<std::int32_t>{0, 3} && owned(second) == std::set<std::int32_t>{1, 2};
    });
    first.close(30s);
    second.close(30s);
}

} // namespace
