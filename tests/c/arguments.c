/* NULL handles, wrong arguments, mistakes in the configuration: an error that says what is wrong, never a crash. */
#include "check.h"

static void null_handles(void) {
    ottla_error *error = NULL;
    const ottla_status wrong = OTTLA_ERR_INVALID_ARGUMENT;
    size_t n = 0;
    int64_t number = 0, end = 0;
    int32_t small = 0;
    intptr_t descriptor = 0;
    uint64_t count = 0;
    ottla_producer *producer = NULL;
    ottla_consumer *consumer = NULL;
    ottla_admin *admin = NULL;
    ottla_broker *broker = NULL;
    ottla_batch *batch = NULL;
    ottla_event *event = NULL;
    ottla_completions *completions = NULL;
    ottla_log_lines *lines = NULL;
    ottla_keys *keys = NULL;
    ottla_partitions *partitions = NULL;
    ottla_topic_results *results = NULL;
    ottla_topic_list *list = NULL;
    ottla_topic_descriptions *descriptions = NULL;
    ottla_cluster *cluster = NULL;
    ottla_config *config = NULL;
    ottla_producer_counts counts;
    ottla_segment segment;
    ottla_record record;
    ottla_header header;
    ottla_key key;
    ottla_log_line line;
    ottla_topic_partition partition;
    ottla_topic_result result;
    ottla_topic_listing listing;
    ottla_topic_description description;
    ottla_partition_description one;
    ottla_cluster_broker node;

#define NULL_HANDLE(call, name) FAILS(call, wrong, name " is NULL")
    NULL_HANDLE(ottla_config_set(config, "a", "b", &error), "ottla_config_set: config");
    NULL_HANDLE(ottla_keys_get(keys, 0, &key, &error), "ottla_keys_get: keys");
    NULL_HANDLE(ottla_producer_new(config, &producer, &error), "ottla_producer_new: config");
    NULL_HANDLE(ottla_producer_connect(producer, 0, &error), "ottla_producer_connect: producer");
    NULL_HANDLE(ottla_producer_send(producer, "t", 0, bytes("k"), bytes("v"), NULL, 0, -1, 0, 0, &error), "producer");
    n = 9;
    NULL_HANDLE(ottla_producer_send_batch(producer, "t", 0, 0, NULL, NULL, NULL, NULL, 0, 0, &n, &error), "producer");
    SAME(n, 0);
    NULL_HANDLE(ottla_producer_poll(producer, 0, 0, &completions, &error), "producer");
    NULL_HANDLE(ottla_producer_flush(producer, 0, &error), "producer");
    NULL_HANDLE(ottla_producer_wake(producer, &error), "producer");
    NULL_HANDLE(ottla_producer_descriptor(producer, &descriptor, &error), "producer");
    NULL_HANDLE(ottla_producer_get_counts(producer, &counts, &error), "producer");
    NULL_HANDLE(ottla_producer_logs(producer, 0, &lines, &error), "producer");
    NULL_HANDLE(ottla_producer_close(producer, 0, &error), "producer");
    NULL_HANDLE(ottla_consumer_new(config, &consumer, &error), "config");
    NULL_HANDLE(ottla_consumer_connect(consumer, 0, &error), "consumer");
    NULL_HANDLE(ottla_consumer_assign(consumer, NULL, 0, &error), "consumer");
    NULL_HANDLE(ottla_consumer_assign_topic(consumer, "t", 0, 0, &error), "consumer");
    NULL_HANDLE(ottla_consumer_unassign(consumer, &error), "consumer");
    NULL_HANDLE(ottla_consumer_assignment(consumer, &partitions, &error), "consumer");
    NULL_HANDLE(ottla_consumer_seek(consumer, "t", 0, 0, 0, &error), "consumer");
    NULL_HANDLE(ottla_consumer_pause(consumer, NULL, 0, &error), "consumer");
    NULL_HANDLE(ottla_consumer_resume(consumer, NULL, 0, &error), "consumer");
    NULL_HANDLE(ottla_consumer_position(consumer, "t", 0, &number, &error), "consumer");
    NULL_HANDLE(ottla_consumer_lag(consumer, "t", 0, &number, &error), "consumer");
    NULL_HANDLE(ottla_consumer_beginning_offsets(consumer, NULL, 0, 0, &number, &error), "consumer");
    NULL_HANDLE(ottla_consumer_end_offsets(consumer, NULL, 0, 0, &number, &error), "consumer");
    NULL_HANDLE(ottla_consumer_offsets_for_times(consumer, NULL, NULL, 0, 0, &number, &error), "consumer");
    NULL_HANDLE(ottla_consumer_partition_count(consumer, "t", 0, &small, &error), "consumer");
    NULL_HANDLE(ottla_consumer_poll(consumer, 0, 0, &batch, &event, &error), "ottla_consumer_poll: consumer");
    NULL_HANDLE(ottla_consumer_wake(consumer, &error), "consumer");
    NULL_HANDLE(ottla_consumer_descriptor(consumer, &descriptor, &error), "consumer");
    NULL_HANDLE(ottla_consumer_held_bytes(consumer, &n, &error), "consumer");
    NULL_HANDLE(ottla_consumer_buffered_bytes(consumer, &n, &error), "consumer");
    NULL_HANDLE(ottla_consumer_logs(consumer, 0, &lines, &error), "consumer");
    NULL_HANDLE(ottla_consumer_close(consumer, 0, &error), "consumer");
    NULL_HANDLE(ottla_partitions_get(partitions, 0, &partition, &error), "partitions");
    NULL_HANDLE(ottla_batch_segment(batch, 0, &segment, &error), "batch");
    NULL_HANDLE(ottla_batch_record(batch, 0, &record, &error), "batch");
    NULL_HANDLE(ottla_batch_headers(batch, 0, &header, 1, &n, &error), "batch");
    NULL_HANDLE(ottla_batch_compact(batch, &batch, &error), "batch");
    NULL_HANDLE(ottla_admin_new(config, &admin, &error), "config");
    NULL_HANDLE(ottla_admin_connect(admin, 0, &error), "admin");
    NULL_HANDLE(ottla_admin_create_topics(admin, NULL, 0, false, 0, &results, &error), "admin");
    NULL_HANDLE(ottla_admin_delete_topics(admin, NULL, 0, 0, &results, &error), "admin");
    NULL_HANDLE(ottla_admin_create_partitions(admin, "t", 2, false, 0, &error), "admin");
    NULL_HANDLE(ottla_admin_list_topics(admin, false, 0, &list, &error), "admin");
    NULL_HANDLE(ottla_admin_describe_topics(admin, NULL, 0, 0, &descriptions, &error), "admin");
    NULL_HANDLE(ottla_admin_describe_cluster(admin, 0, &cluster, &error), "admin");
    NULL_HANDLE(ottla_admin_logs(admin, 0, &lines, &error), "admin");
    NULL_HANDLE(ottla_admin_close(admin, 0, &error), "admin");
    NULL_HANDLE(ottla_topic_results_get(results, 0, &result, &error), "results");
    NULL_HANDLE(ottla_topic_list_get(list, 0, &listing, &error), "list");
    NULL_HANDLE(ottla_topic_descriptions_get(descriptions, 0, &description, &error), "descriptions");
    NULL_HANDLE(ottla_topic_descriptions_partition(descriptions, 0, 0, &one, &error), "descriptions");
    NULL_HANDLE(ottla_cluster_get_broker(cluster, 0, &node, &error), "cluster");
    NULL_HANDLE(ottla_log_lines_get(lines, 0, &line, &error), "lines");
    NULL_HANDLE(ottla_broker_create_topic(broker, "t", 1, &error), "broker");
    NULL_HANDLE(ottla_broker_add_fault(broker, OTTLA_FAULT_DROP, 0, -1, -1, NULL, -1, 1, &error), "broker");
    NULL_HANDLE(ottla_broker_clear_faults(broker, &error), "broker");
    NULL_HANDLE(ottla_broker_move_leader(broker, "t", 0, 1, &error), "broker");
    NULL_HANDLE(ottla_broker_move_coordinator(broker, OTTLA_COORDINATOR_GROUP, "g", 1, 0, &error), "broker");
    NULL_HANDLE(ottla_broker_force_rebalance(broker, "g", &error), "broker");
    NULL_HANDLE(ottla_broker_expire_member(broker, "g", NULL, &error), "broker");
    NULL_HANDLE(ottla_broker_offsets(broker, "t", 0, &number, &end, &error), "broker");
    NULL_HANDLE(ottla_broker_stop_node(broker, 1, &error), "broker");
    NULL_HANDLE(ottla_broker_start_node(broker, 1, &error), "broker");
    NULL_HANDLE(ottla_broker_pause_node(broker, 1, &error), "broker");
    NULL_HANDLE(ottla_broker_resume_node(broker, 1, &error), "broker");
    NULL_HANDLE(ottla_broker_requests_seen(broker, -1, 0, &count, &error), "broker");
    NULL_HANDLE(ottla_broker_new(NULL, NULL, &error), "broker");

    /* Nobody has to want the error. */
    SAME(ottla_producer_flush(NULL, 0, NULL), wrong);

    SAME(ottla_error_code(NULL), 0);
    CHECK(strcmp(ottla_error_name(NULL), "NONE") == 0 && strcmp(ottla_error_message(NULL), "") == 0);
    CHECK(!ottla_error_is_retriable(NULL) && !ottla_error_is_fatal(NULL) && !ottla_error_needs_abort(NULL));
    CHECK(ottla_error_clone(NULL) == NULL);
    SAME(ottla_keys_count(NULL) + ottla_log_lines_count(NULL) + ottla_completions_count(NULL), 0);
    SAME(ottla_batch_rows(NULL) + ottla_batch_segment_count(NULL) + ottla_batch_held_bytes(NULL), 0);
    SAME(ottla_partitions_count(NULL) + ottla_topic_results_count(NULL) + ottla_topic_list_count(NULL), 0);
    SAME(ottla_topic_descriptions_count(NULL) + ottla_cluster_broker_count(NULL), 0);
    CHECK(ottla_completions_data(NULL) == NULL && ottla_event_error(NULL) == NULL);
    SAME(ottla_event_kind(NULL), 0);
    SAME(ottla_event_partition(NULL), -1);
    SAME(ottla_event_from(NULL), -1);
    SAME(ottla_event_to(NULL), -1);
    CHECK(strcmp(ottla_event_topic(NULL), "") == 0 && strcmp(ottla_event_message(NULL), "") == 0);
    CHECK(strcmp(ottla_cluster_id(NULL), "") == 0 && strcmp(ottla_broker_bootstrap_servers(NULL), "") == 0);
    SAME(ottla_cluster_controller(NULL), -1);

    ottla_error_free(NULL);
    ottla_config_free(NULL);
    ottla_keys_free(NULL);
    ottla_log_lines_free(NULL);
    ottla_producer_free(NULL);
    ottla_completions_free(NULL);
    ottla_consumer_free(NULL);
    ottla_partitions_free(NULL);
    ottla_batch_free(NULL);
    ottla_event_free(NULL);
    ottla_admin_free(NULL);
    ottla_topic_results_free(NULL);
    ottla_topic_list_free(NULL);
    ottla_topic_descriptions_free(NULL);
    ottla_cluster_free(NULL);
    ottla_broker_free(NULL);
}

static void null_outputs(void) {
    ottla_error *error = NULL;
    const ottla_status wrong = OTTLA_ERR_INVALID_ARGUMENT;
    ottla_config *config = config_of("localhost:1", NULL);
    FAILS(ottla_producer_new(config, NULL, &error), wrong, "ottla_producer_new: producer is NULL");
    FAILS(ottla_config_set(config, NULL, "v", &error), wrong, "key is NULL");
    FAILS(ottla_config_set(config, "k", NULL, &error), wrong, "value is NULL");
    FAILS(ottla_config_set(config, "k", "\xc3", &error), wrong, "value is not UTF-8");
    ottla_consumer *consumer = NULL;
    OK(ottla_consumer_new(config, &consumer, &error));
    ottla_batch *batch = NULL;
    ottla_event *event = NULL;
    FAILS(ottla_consumer_poll(consumer, 0, 0, NULL, &event, &error), wrong, "batch is NULL");
    FAILS(ottla_consumer_poll(consumer, 0, 0, &batch, NULL, &error), wrong, "event is NULL");
    FAILS(ottla_consumer_poll(consumer, 0, -7, &batch, &event, &error), wrong, "timeout_ms is -7");
    FAILS(ottla_consumer_seek(consumer, "t", 0, OTTLA_START_EARLIEST, 0, &error), wrong, "not assigned");
    FAILS(ottla_consumer_assign_topic(consumer, "t", 99, 0, &error), wrong, "start is 99");
    FAILS(ottla_consumer_assign_topic(consumer, NULL, 0, 0, &error), wrong, "topic is NULL");
    FAILS(ottla_consumer_assign(consumer, NULL, 3, &error), wrong, "partitions is NULL, where 3 are needed");
    ottla_assignment twice[2] = {{"t", 0, 1, OTTLA_START_EARLIEST}, {"t", 0, 1, OTTLA_START_EARLIEST}};
    FAILS(ottla_consumer_assign(consumer, twice, 2, &error), wrong, "twice");
    ottla_consumer_free(consumer);
    ottla_config_free(config);
}

static void configuration(void) {
    ottla_error *error = NULL;
    const struct {
        const char *key, *value, *message;
    } cases[] = {
        {"linger.msec", "5", "linger.ms"},
        {"linger.ms", "soon", "`linger.ms` is set to `soon`"},
        {"acks", "7", "acks"},
        {"fetch.min.bytes", "1", "a key of the consumer"},
        {"bootstrap.servers", "localhost:99999", "99999"},
        {"bootstrap.servers", "", "bootstrap.servers"},
        {"max.in.flight.requests.per.connection", "-1", "out of range"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ottla_config *config = config_of("localhost:9092", NULL);
        OK(ottla_config_set(config, cases[i].key, cases[i].value, &error));
        ottla_producer *producer = NULL;
        FAILS(ottla_producer_new(config, &producer, &error), OTTLA_ERR_CONFIG, cases[i].message);
        CHECK(producer == NULL);
        ottla_config_free(config);
    }
    ottla_config *config = config_of("localhost:9092", NULL);
    OK(ottla_config_set(config, "linger.ms", "5", &error));
    OK(ottla_config_set(config, "queue.buffering.max.ms", "5", &error));
    ottla_producer *producer = NULL;
    FAILS(ottla_producer_new(config, &producer, &error), OTTLA_ERR_CONFIG, "two names of one key");
    ottla_config_free(config);

    config = config_of(NULL, NULL);
    FAILS(ottla_producer_new(config, &producer, &error), OTTLA_ERR_CONFIG, "`bootstrap.servers` is not set");
    SAME(ottla_producer_new(config, &producer, &error), OTTLA_ERR_CONFIG);
    CHECK(strcmp(ottla_error_name(error), "CONFIG") == 0 && !ottla_error_is_retriable(error));
    ottla_error *clone = ottla_error_clone(error);
    ottla_error_free(error);
    error = NULL;
    SAME(ottla_error_code(clone), OTTLA_ERR_CONFIG);
    ottla_error_free(clone);
    /* Setting a key again replaces its value. */
    OK(ottla_config_set(config, "bootstrap.servers", "localhost:0", &error));
    OK(ottla_config_set(config, "bootstrap.servers", "localhost:9092", &error));
    OK(ottla_producer_new(config, &producer, &error));
    ottla_config_free(config);
    ottla_producer_free(producer);

    ottla_broker *broker = NULL;
    static const char *const misspelt[] = {"node", "3", NULL};
    config = config_of(NULL, misspelt);
    FAILS(ottla_broker_new(config, &broker, &error), OTTLA_ERR_CONFIG, "did you mean `nodes`?");
    ottla_config_free(config);
    static const char *const wrong[] = {"memory.bytes", "lots", NULL};
    config = config_of(NULL, wrong);
    FAILS(ottla_broker_new(config, &broker, &error), OTTLA_ERR_CONFIG, "`memory.bytes` is set to `lots`");
    ottla_config_free(config);
}

static void key_table(void) {
    ottla_error *error = NULL;
    ottla_keys *keys = NULL;
    OK(ottla_config_keys(&keys, &error));
    int found = 0;
    for (size_t i = 0; i < ottla_keys_count(keys); i++) {
        ottla_key key;
        OK(ottla_keys_get(keys, i, &key, &error));
        CHECK(key.name[0] != '\0' && key.meaning[0] != '\0' && key.clients != 0);
        if (strcmp(key.name, "linger.ms") == 0) {
            SAME(key.clients, OTTLA_KEY_PRODUCER);
            CHECK(strcmp(key.type_name, "duration") == 0 && key.default_value != NULL);
            found++;
        }
        if (strcmp(key.name, "bootstrap.servers") == 0) {
            SAME(key.clients, OTTLA_KEY_PRODUCER | OTTLA_KEY_CONSUMER | OTTLA_KEY_ADMIN | OTTLA_KEY_SHARE_CONSUMER);
            CHECK(key.default_value == NULL);
            found++;
        }
    }
    SAME(found, 2);
    ottla_key key;
    FAILS(ottla_keys_get(keys, 10000, &key, &error), OTTLA_ERR_INVALID_ARGUMENT, "i is 10000");
    ottla_keys_free(keys);
}

int main(void) {
    SAME(ottla_abi_version(), OTTLA_ABI_VERSION);
    CHECK(strchr(ottla_version(), '.') != NULL);
    CHECK(strcmp(ottla_status_name(OTTLA_ERR_AGAIN), "AGAIN") == 0);
    CHECK(strcmp(ottla_status_name(OTTLA_OK), "NONE") == 0);
    CHECK(strcmp(ottla_status_name(-99), "UNKNOWN") == 0);
    null_handles();
    null_outputs();
    configuration();
    key_table();
    return 0;
}
