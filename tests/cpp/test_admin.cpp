// Topics and the cluster.
#include "cluster.hpp"

#include <algorithm>

using tests::config;
using tests::Topic;

TEST(Admin, CreatesDescribesDeletes) {
    const ottla::Admin admin(config());
    const std::string name = "cpp-admin-" + std::to_string(getpid());
    const std::vector<ottla::NewTopic> wanted{{name, 3, 1, {{"cleanup.policy", "compact"}}}};
    EXPECT_FALSE(admin.create_topics(wanted, 30s, true)[0].error) << "only asked whether it could be done";
    const auto created = admin.create_topics(wanted, 30s);
    ASSERT_EQ(created.size(), 1U);
    EXPECT_EQ(created[0].name, name);
    EXPECT_FALSE(created[0].error);

    const auto described = admin.describe_topics({name}, 30s);
    ASSERT_EQ(described.size(), 1U);
    ASSERT_FALSE(described[0].error);
    ASSERT_EQ(described[0].partitions.size(), 3U);
    EXPECT_EQ(described[0].partitions[2].partition, 2);
    EXPECT_GE(described[0].partitions[2].leader, 0);
    EXPECT_EQ(described[0].partitions[2].replicas.size(), 1U);
    EXPECT_EQ(described[0].partitions[2].isr, described[0].partitions[2].replicas);
    EXPECT_FALSE(described[0].internal);

    admin.create_partitions(name, 5, 30s);
    EXPECT_EQ(admin.describe_topics({name}, 30s)[0].partitions.size(), 5U);

    const auto listed = admin.list_topics(30s);
    const auto found = std::find_if(listed.begin(), listed.end(), [&](const auto &t) { return t.name == name; });
    ASSERT_NE(found, listed.end());
    EXPECT_EQ(found->partitions, 5);
    EXPECT_EQ(found->id, described[0].id);

    admin.delete_topic(name, 30s);
    const ottla::Result<void> again = admin.try_delete_topic(name, 30s);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().name(), "UNKNOWN_TOPIC_OR_PARTITION");
}

TEST(Admin, OneFailureLeavesTheOthers) {
    const Topic topic;
    const ottla::Admin admin(config());
    const auto results = admin.describe_topics({topic.name, "absent"}, 30s);
    ASSERT_EQ(results.size(), 2U);
    for (const ottla::TopicDescription &result : results) {
        EXPECT_EQ(result.error.has_value(), result.name == "absent") << result.name;
    }
}

TEST(Admin, DescribesTheCluster) {
    const ottla::Admin admin(config());
    const ottla::ClusterDescription cluster = admin.describe_cluster(30s);
    EXPECT_FALSE(cluster.id.empty());
    ASSERT_FALSE(cluster.brokers.empty());
    EXPECT_GT(cluster.brokers[0].port, 0);
    EXPECT_FALSE(cluster.brokers[0].host.empty());
}

TEST(Broker, SeveralNodesOfWhichOneStops) {
    const ottla::testing::Broker broker({{"nodes", 3}});
    broker.create_topic("orders", 3);
    const ottla::Admin admin{{{"bootstrap.servers", broker.bootstrap_servers()}}};
    EXPECT_EQ(admin.describe_cluster(30s).brokers.size(), 3U);
    broker.move_leader("orders", 0, 3);
    EXPECT_EQ(admin.describe_topics({"orders"}, 30s)[0].partitions[0].leader, 3);
    broker.stop_node(3);
    EXPECT_NE(admin.describe_topics({"orders"}, 30s)[0].partitions[0].leader, 3);
    broker.start_node(3);
    EXPECT_FALSE(broker.try_stop_node(17));
    broker.move_coordinator(ottla::testing::Coordinator::transaction, "payments", 2, 10ms);
    EXPECT_FALSE(broker.try_move_coordinator(ottla::testing::Coordinator::group, "readers", 17));
}
