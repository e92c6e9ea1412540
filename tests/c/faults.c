/* What goes wrong on the broker reaches the program: in completions, events and log lines. The embedded broker only. */
#include "check.h"

static ottla_broker *cluster_of(const char *nodes) {
    ottla_error *error = NULL;
    const char *const pairs[] = {"nodes", nodes, "memory.bytes", "64MiB", "default.partitions", "3", NULL};
    ottla_config *options = config_of(NULL, pairs);
    ottla_broker *broker = NULL;
    OK(ottla_broker_new(options, &broker, &error));
    ottla_config_free(options);
    return broker;
}

/* A refused batch: the completions of all its calls share one error. */
static void refused_records(void) {
    ottla_error *error = NULL;
    ottla_broker *broker = cluster_of("1");
    ground g = {broker, ottla_broker_bootstrap_servers(broker)};
    OK(ottla_broker_create_topic(broker, "t", 1, &error));
    FAILS(ottla_broker_create_topic(broker, "t", 1, &error), OTTLA_ERR_TOPIC_ALREADY_EXISTS, "t");
    OK(ottla_broker_add_fault(broker, OTTLA_FAULT_ERROR, OTTLA_ERR_TOPIC_AUTHORIZATION_FAILED, -1, 0, "t", 0, 1,
                              &error));
    static const char *const slow[] = {"linger.ms", "1000", NULL};
    ottla_producer *producer = producer_of(g, slow);
    for (uint64_t token = 1; token <= 3; token++) {
        OK(ottla_producer_send(producer, "t", 0, bytes(NULL), bytes("v"), NULL, 0, -1, token, -1, &error));
    }
    OK(ottla_producer_send(producer, "t", 0, bytes(NULL), bytes("silent"), NULL, 0, -1, 0, -1, &error));
    FAILS(ottla_producer_flush(producer, LIMIT_MS, &error), OTTLA_ERR_TOPIC_AUTHORIZATION_FAILED, "1 records failed");
    ottla_completions *completions = NULL;
    OK(ottla_producer_poll(producer, 0, 0, &completions, &error));
    SAME(ottla_completions_count(completions), 3);
    const ottla_completion *c = ottla_completions_data(completions);
    for (int i = 0; i < 3; i++) {
        SAME(c[i].token, i + 1);
        SAME(c[i].outcome, OTTLA_NOT_WRITTEN);
        SAME(c[i].base_offset, -1);
        SAME(ottla_error_code(c[i].error), OTTLA_ERR_TOPIC_AUTHORIZATION_FAILED);
        CHECK(c[i].error == c[0].error);
    }
    ottla_error *kept = ottla_error_clone(c[0].error);
    ottla_completions_free(completions);
    CHECK(strstr(ottla_error_message(kept), "t") != NULL);
    ottla_error_free(kept);
    /* A record that is too large fails alone, and at once. */
    static char large[2000000];
    ottla_bytes value = {(const uint8_t *)large, sizeof large};
    FAILS(ottla_producer_send(producer, "t", 0, bytes(NULL), value, NULL, 0, -1, 1, -1, &error),
          OTTLA_ERR_RECORD_TOO_LARGE, "max.request.size=1048576");
    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
    uint64_t seen = 0;
    OK(ottla_broker_requests_seen(broker, -1, 0, &seen, &error));
    SAME(seen, 1);
    ottla_broker_free(broker);
}

/* A stopped node: records go on over the others; nothing is lost. */
static void moving_leaders(void) {
    ottla_error *error = NULL;
    ottla_broker *broker = cluster_of("3");
    ground g = {broker, ottla_broker_bootstrap_servers(broker)};
    OK(ottla_broker_create_topic(broker, "t", 3, &error));
    ottla_producer *producer = producer_of(g, NULL);
    enum { EACH = 30 };
    for (int i = 0; i < EACH; i++) {
        if (i == 10) {
            OK(ottla_broker_move_leader(broker, "t", 1, 3, &error));
            OK(ottla_broker_add_fault(broker, OTTLA_FAULT_SWALLOW_REPLY, 1, -1, 0, NULL, -1, 1, &error));
        }
        if (i == 20) {
            OK(ottla_broker_stop_node(broker, 1, &error));
        }
        for (int32_t p = 0; p < 3; p++) {
            OK(ottla_producer_send(producer, "t", p, bytes(NULL), bytes("v"), NULL, 0, -1, 0, -1, &error));
        }
    }
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));
    OK(ottla_broker_start_node(broker, 1, &error));
    OK(ottla_broker_clear_faults(broker, &error));
    for (int32_t p = 0; p < 3; p++) {
        int64_t start = -1, end = -1;
        OK(ottla_broker_offsets(broker, "t", p, &start, &end, &error));
        SAME(start, 0);
        SAME(end, EACH);
    }
    int64_t start = 0, end = 0;
    FAILS(ottla_broker_offsets(broker, "t", 3, &start, &end, &error), OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION, "t-3");
    FAILS(ottla_broker_stop_node(broker, 9, &error), OTTLA_ERR_INVALID_ARGUMENT, "no such node");
    FAILS(ottla_broker_move_leader(broker, "t", 0, 9, &error), OTTLA_ERR_INVALID_ARGUMENT, "node 9");
    OK(ottla_broker_move_coordinator(broker, OTTLA_COORDINATOR_TRANSACTION, "tx", 2, 10, &error));
    OK(ottla_broker_move_coordinator(broker, OTTLA_COORDINATOR_GROUP, "g", 3, 0, &error));
    FAILS(ottla_broker_move_coordinator(broker, OTTLA_COORDINATOR_GROUP, "g", 9, 0, &error),
          OTTLA_ERR_INVALID_ARGUMENT, "node 9");
    FAILS(ottla_broker_move_coordinator(broker, 7, "g", 1, 0, &error), OTTLA_ERR_INVALID_ARGUMENT, "kind is 7");
    FAILS(ottla_broker_move_coordinator(broker, OTTLA_COORDINATOR_GROUP, "g", 1, -1, &error),
          OTTLA_ERR_INVALID_ARGUMENT, "loading_ms is -1");
    FAILS(ottla_broker_force_rebalance(broker, "g", &error), OTTLA_ERR_INVALID_ARGUMENT, "nobody is in it");
    FAILS(ottla_broker_expire_member(broker, "g", NULL, &error), OTTLA_ERR_INVALID_ARGUMENT, "nobody is in it");
    FAILS(ottla_broker_expire_member(broker, "g", "m", &error), OTTLA_ERR_INVALID_ARGUMENT, "no such member");
    FAILS(ottla_broker_add_fault(broker, 77, 0, -1, -1, NULL, -1, 1, &error), OTTLA_ERR_INVALID_ARGUMENT, "fault is 77");
    FAILS(ottla_broker_add_fault(broker, OTTLA_FAULT_DELAY, -5, -1, -1, NULL, -1, 1, &error),
          OTTLA_ERR_INVALID_ARGUMENT, "value is -5");
    FAILS(ottla_broker_add_fault(broker, OTTLA_FAULT_DROP, 0, -1, 99999, NULL, -1, 1, &error),
          OTTLA_ERR_INVALID_ARGUMENT, "api_key is 99999");
    FAILS(ottla_broker_add_fault(broker, OTTLA_FAULT_DROP, 0, -1, 0, NULL, -1, -2, &error), OTTLA_ERR_INVALID_ARGUMENT,
          "count is -2");
    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
    ottla_broker_free(broker);
}

/* A position that the log doesn't have: an event tells from where to where it was moved. */
static void events(void) {
    ottla_error *error = NULL;
    ottla_broker *broker = cluster_of("1");
    ground g = {broker, ottla_broker_bootstrap_servers(broker)};
    OK(ottla_broker_create_topic(broker, "t", 1, &error));
    static const char *const reset[] = {"auto.offset.reset", "earliest", NULL};
    ottla_consumer *consumer = consumer_of(g, reset);
    ottla_assignment assignment = {"t", 50, 0, OTTLA_START_OFFSET};
    OK(ottla_consumer_assign(consumer, &assignment, 1, &error));
    ottla_event *event = NULL;
    int64_t limit = now_ms() + LIMIT_MS;
    while (event == NULL && now_ms() < limit) {
        ottla_batch *batch = NULL;
        OK(ottla_consumer_poll(consumer, 0, 1000, &batch, &event, &error));
        CHECK(batch == NULL);
    }
    OK(ottla_consumer_close(consumer, 10000, &error));
    ottla_consumer_free(consumer);
    ottla_broker_free(broker);
    /* An event outlives its consumer. */
    SAME(ottla_event_kind(event), OTTLA_EVENT_POSITION_RESET);
    CHECK(strcmp(ottla_event_topic(event), "t") == 0);
    SAME(ottla_event_partition(event), 0);
    SAME(ottla_event_from(event), 50);
    SAME(ottla_event_to(event), 0);
    CHECK(ottla_event_message(event)[0] != '\0');
    SAME(ottla_error_code(ottla_event_error(event)), OTTLA_ERR_OFFSET_OUT_OF_RANGE);
    ottla_event_free(event);
}

/* Nobody there: connect says who was tried, and the log has lines of it. */
static void nobody_listening(void) {
    ottla_error *error = NULL;
    ottla_broker *broker = cluster_of("1");
    char bootstrap[128];
    snprintf(bootstrap, sizeof bootstrap, "%s", ottla_broker_bootstrap_servers(broker));
    ottla_broker_free(broker);
    ground g = {NULL, bootstrap};
    static const char *const quick[] = {"socket.connection.setup.timeout.ms", "500", NULL};
    ottla_producer *producer = producer_of(g, quick);
    FAILS(ottla_producer_connect(producer, 5000, &error), OTTLA_ERR_CONNECT, bootstrap);
    ottla_log_lines *lines = NULL;
    OK(ottla_producer_logs(producer, 0, &lines, &error));
    CHECK(ottla_log_lines_count(lines) > 0);
    ottla_log_line line;
    OK(ottla_log_lines_get(lines, 0, &line, &error));
    CHECK(line.level >= OTTLA_LOG_ERROR && line.level <= OTTLA_LOG_TRACE);
    CHECK(line.facility[0] != '\0' && line.message[0] != '\0' && line.client_id != NULL);
    CHECK(line.time > now_ms() - LIMIT_MS && line.time <= now_ms());
    FAILS(ottla_log_lines_get(lines, 100000, &line, &error), OTTLA_ERR_INVALID_ARGUMENT, "i is 100000");
    ottla_log_lines_free(lines);
    ottla_producer_free(producer);
}

int main(void) {
    refused_records();
    moving_leaders();
    events();
    nobody_listening();
    return 0;
}
