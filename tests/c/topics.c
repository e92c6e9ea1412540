/* Administration of topics, and what a consumer learns about them. Also on a real Kafka: OTTLA_TEST_BOOTSTRAP. */
#include "check.h"

static const ottla_error *first_error(const ottla_topic_results *results) {
    ottla_error *error = NULL;
    ottla_topic_result result;
    OK(ottla_topic_results_get(results, 0, &result, &error));
    return result.error;
}

static void describe(const ottla_admin *admin, const char *name, int32_t partitions) {
    ottla_error *error = NULL;
    ottla_topic_descriptions *descriptions = NULL;
    const char *const names[] = {name, "there-is-no-such-topic"};
    OK(ottla_admin_describe_topics(admin, names, 2, 30000, &descriptions, &error));
    SAME(ottla_topic_descriptions_count(descriptions), 2);
    ottla_topic_description topic;
    OK(ottla_topic_descriptions_get(descriptions, 0, &topic, &error));
    CHECK(strcmp(topic.name, name) == 0 && topic.error == NULL && !topic.internal);
    SAME(topic.partitions, partitions);
    for (size_t i = 0; i < topic.partitions; i++) {
        ottla_partition_description partition;
        OK(ottla_topic_descriptions_partition(descriptions, 0, i, &partition, &error));
        SAME(partition.partition, i);
        SAME(partition.replica_count, 1);
        SAME(partition.isr_count, 1);
        SAME(partition.replicas[0], partition.leader);
        SAME(partition.isr[0], partition.leader);
        CHECK(partition.leader >= 0 && partition.leader_epoch >= 0);
    }
    ottla_partition_description none;
    FAILS(ottla_topic_descriptions_partition(descriptions, 0, topic.partitions, &none, &error),
          OTTLA_ERR_INVALID_ARGUMENT, "partition is");
    OK(ottla_topic_descriptions_get(descriptions, 1, &topic, &error));
    SAME(ottla_error_code(topic.error), OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION);
    SAME(topic.partitions, 0);
    ottla_topic_descriptions_free(descriptions);
}

static int listed(const ottla_admin *admin, const char *name, int32_t partitions) {
    ottla_error *error = NULL;
    ottla_topic_list *list = NULL;
    int found = 0;
    OK(ottla_admin_list_topics(admin, false, 30000, &list, &error));
    for (size_t i = 0; i < ottla_topic_list_count(list); i++) {
        ottla_topic_listing listing;
        OK(ottla_topic_list_get(list, i, &listing, &error));
        CHECK(!listing.internal);
        if (strcmp(listing.name, name) == 0) {
            SAME(listing.partitions, partitions);
            found++;
        }
    }
    ottla_topic_list_free(list);
    return found;
}

static void cluster(const ottla_admin *admin) {
    ottla_error *error = NULL;
    ottla_cluster *cluster = NULL;
    OK(ottla_admin_describe_cluster(admin, 30000, &cluster, &error));
    CHECK(ottla_cluster_id(cluster)[0] != '\0');
    CHECK(ottla_cluster_broker_count(cluster) >= 1);
    int controller = 0;
    for (size_t i = 0; i < ottla_cluster_broker_count(cluster); i++) {
        ottla_cluster_broker broker;
        OK(ottla_cluster_get_broker(cluster, i, &broker, &error));
        CHECK(broker.host[0] != '\0' && broker.port > 0);
        controller += broker.id == ottla_cluster_controller(cluster);
    }
    SAME(controller, 1);
    ottla_cluster_free(cluster);
}

static void offsets(ground g, const char *topic) {
    ottla_error *error = NULL;
    ottla_producer *producer = producer_of(g, NULL);
    for (int i = 0; i < 5; i++) {
        OK(ottla_producer_send(producer, topic, 1, bytes(NULL), bytes("v"), NULL, 0, 1000 * (i + 1), 0, -1, &error));
    }
    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);

    static const char *const reset[] = {"auto.offset.reset", "earliest", NULL};
    ottla_consumer *consumer = consumer_of(g, reset);
    int32_t count = 0;
    OK(ottla_consumer_partition_count(consumer, topic, 30000, &count, &error));
    SAME(count, 3);
    ottla_topic_partition two[2] = {{topic, 0}, {topic, 1}};
    int64_t found[2] = {-7, -7};
    OK(ottla_consumer_beginning_offsets(consumer, two, 2, 30000, found, &error));
    CHECK(found[0] == 0 && found[1] == 0);
    OK(ottla_consumer_end_offsets(consumer, two, 2, 30000, found, &error));
    CHECK(found[0] == 0 && found[1] == 5);
    const int64_t times[2] = {1, 2500};
    OK(ottla_consumer_offsets_for_times(consumer, two, times, 2, 30000, found, &error));
    CHECK(found[0] == -1 && found[1] == 2);

    ottla_assignment both[2] = {{topic, 0, 0, OTTLA_START_RESET}, {topic, 2500, 1, OTTLA_START_TIMESTAMP}};
    OK(ottla_consumer_assign(consumer, both, 2, &error));
    ottla_partitions *partitions = NULL;
    OK(ottla_consumer_assignment(consumer, &partitions, &error));
    SAME(ottla_partitions_count(partitions), 2);
    ottla_topic_partition partition;
    OK(ottla_partitions_get(partitions, 1, &partition, &error));
    CHECK(strcmp(partition.topic, topic) == 0 && partition.partition == 1);
    ottla_partitions_free(partitions);

    ottla_batch *batch = next_batch(consumer, 1);
    ottla_record record;
    OK(ottla_batch_record(batch, 0, &record, &error));
    SAME(record.offset, 2);
    ottla_batch_free(batch);
    OK(ottla_consumer_seek(consumer, topic, 1, OTTLA_START_OFFSET, 4, &error));
    batch = next_batch(consumer, 0);
    OK(ottla_batch_record(batch, 0, &record, &error));
    SAME(record.offset, 4);
    SAME(ottla_batch_rows(batch), 1);
    ottla_batch_free(batch);
    OK(ottla_consumer_pause(consumer, two, 2, &error));
    ottla_event *event = NULL;
    OK(ottla_consumer_poll(consumer, 0, 0, &batch, &event, &error));
    CHECK(batch == NULL);
    ottla_event_free(event);
    int64_t position = 0, lag = -7;
    OK(ottla_consumer_position(consumer, topic, 1, &position, &error));
    SAME(position, 5);
    OK(ottla_consumer_lag(consumer, topic, 1, &lag, &error));
    SAME(lag, 0);
    OK(ottla_consumer_resume(consumer, two, 2, &error));
    size_t buffered = 1;
    OK(ottla_consumer_buffered_bytes(consumer, &buffered, &error));
    SAME(buffered, 0);
    OK(ottla_consumer_unassign(consumer, &error));
    OK(ottla_consumer_assignment(consumer, &partitions, &error));
    SAME(ottla_partitions_count(partitions), 0);
    ottla_partitions_free(partitions);
    FAILS(ottla_consumer_position(consumer, topic, 1, &position, &error), OTTLA_ERR_INVALID_ARGUMENT, "not assigned");
    OK(ottla_consumer_close(consumer, 10000, &error));
    ottla_consumer_free(consumer);
}

int main(void) {
    ottla_error *error = NULL;
    ground g = ground_start();
    ottla_config *config = config_of(g.bootstrap, NULL);
    ottla_admin *admin = NULL;
    OK(ottla_admin_new(config, &admin, &error));
    ottla_config_free(config);
    OK(ottla_admin_connect(admin, 30000, &error));

    char name[64];
    snprintf(name, sizeof name, "topics-%" PRId64, now_ms());
    const char *const settings[] = {"retention.ms", "-1"};
    ottla_new_topic topic;
    memset(&topic, 0, sizeof topic);
    topic.name = name;
    topic.configs = settings;
    topic.config_count = 1;
    topic.partitions = 2;
    topic.replication_factor = 1;
    ottla_topic_results *results = NULL;
    OK(ottla_admin_create_topics(admin, &topic, 1, true, 30000, &results, &error));
    CHECK(first_error(results) == NULL);
    ottla_topic_results_free(results);
    SAME(listed(admin, name, 2), 0);
    OK(ottla_admin_create_topics(admin, &topic, 1, false, 30000, &results, &error));
    CHECK(first_error(results) == NULL);
    ottla_topic_results_free(results);
    SAME(listed(admin, name, 2), 1);
    OK(ottla_admin_create_topics(admin, &topic, 1, false, 30000, &results, &error));
    SAME(ottla_error_code(first_error(results)), OTTLA_ERR_TOPIC_ALREADY_EXISTS);
    CHECK(strstr(ottla_error_message(first_error(results)), name) != NULL);
    ottla_topic_results_free(results);
    describe(admin, name, 2);
    OK(ottla_admin_create_partitions(admin, name, 3, false, 30000, &error));
    describe(admin, name, 3);
    FAILS(ottla_admin_create_partitions(admin, name, 3, false, 30000, &error), OTTLA_ERR_INVALID_PARTITIONS, name);
    cluster(admin);
    offsets(g, name);
    const char *const names[] = {name};
    OK(ottla_admin_delete_topics(admin, names, 1, 30000, &results, &error));
    CHECK(first_error(results) == NULL);
    ottla_topic_results_free(results);
    SAME(listed(admin, name, 3), 0);
    const char *const bad[] = {NULL};
    FAILS(ottla_admin_delete_topics(admin, bad, 1, 30000, &results, &error), OTTLA_ERR_INVALID_ARGUMENT, "names is NULL");
    ottla_log_lines *lines = NULL;
    OK(ottla_admin_logs(admin, 0, &lines, &error));
    ottla_log_lines_free(lines);
    OK(ottla_admin_close(admin, 10000, &error));
    FAILS(ottla_admin_list_topics(admin, false, 1000, NULL, &error), OTTLA_ERR_INVALID_ARGUMENT, "list is NULL");
    ottla_topic_list *list = NULL;
    FAILS(ottla_admin_list_topics(admin, false, 1000, &list, &error), OTTLA_ERR_CLOSED, "closed");
    ottla_admin_free(admin);
    ground_end(g);
    return 0;
}
