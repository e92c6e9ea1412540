/*
 * Reads a topic, works on each message, and writes the results to another one, each exactly once.
 *
 *     cc -O2 transactions.c -o transactions $(pkg-config --cflags --libs ottla)
 *     ./transactions [BOOTSTRAP [FROM TO]]
 *
 * On the Kafka at BOOTSTRAP (or in the environment variable of that name), otherwise on an embedded broker that this
 * program starts and fills. What is written and how far was read are one transaction: kill it at any moment and start it
 * again, and each message has one result, for readers with isolation.level=read_committed. It ends when nothing came for
 * three seconds.
 */
#include <ottla.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGES = 10000, PARTITIONS = 3, LIMIT_MS = 60000 };

/* Partitions are assigned here, not subscribed; the name keeps the offsets. */
static const char *const group = "ottla-example-worker";
static ottla_error *error = NULL;

static void check(ottla_status status) {
    if (status != OTTLA_OK) {
        fprintf(stderr, "%s: %s\n", ottla_error_name(error), ottla_error_message(error));
        exit(1); /* whatever was open is aborted by the next run's init_transactions */
    }
}

static void fill(const char *servers, const char *topic) {
    ottla_config *config = ottla_config_new();
    ottla_producer *producer = NULL;
    ottla_bytes none = {NULL, 0};
    check(ottla_config_set(config, "bootstrap.servers", servers, &error));
    check(ottla_producer_new(config, &producer, &error));
    for (int i = 0; i < MESSAGES; i++) {
        char text[32];
        ottla_bytes value = {(const uint8_t *)text, (size_t)snprintf(text, sizeof text, "message %d", i)};
        check(ottla_producer_send(producer, topic, i % PARTITIONS, none, value, NULL, 0, -1, 0, -1, &error));
    }
    check(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
    ottla_config_free(config);
}

/* The work on one message, into `text`. */
static ottla_bytes work(ottla_bytes value, char *text, size_t room) {
    size_t len = value.len < room ? value.len : room;
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)toupper(value.data[i]);
    }
    ottla_bytes result = {(const uint8_t *)text, len};
    return result;
}

/* One batch in one transaction. On an error that needs an abort the transaction is aborted and the program ends. */
static void work_on(const ottla_producer *producer, const ottla_batch *batch, const char *from, const char *to) {
    ottla_group_metadata place = {group, -1, NULL, NULL};
    ottla_bytes none = {NULL, 0};
    check(ottla_producer_begin_transaction(producer, &error));
    for (size_t row = 0; row < ottla_batch_rows(batch); row++) {
        char text[256];
        ottla_record record;
        check(ottla_batch_record(batch, row, &record, &error));
        ottla_bytes result = work(record.value, text, sizeof text);
        check(ottla_producer_send(producer, to, record.partition, none, result, NULL, 0, -1, 0, -1, &error));
    }
    for (size_t s = 0; s < ottla_batch_segment_count(batch); s++) {
        ottla_segment segment;
        check(ottla_batch_segment(batch, s, &segment, &error));
        ottla_offset_to_commit next = {from, segment.partition, segment.offsets[segment.rows - 1] + 1, -1, NULL};
        check(ottla_producer_send_offsets(producer, &next, 1, &place, LIMIT_MS, &error));
    }
    ottla_status status = ottla_producer_commit_transaction(producer, LIMIT_MS, &error);
    if (ottla_error_needs_abort(error)) {
        (void)!ottla_producer_abort_transaction(producer, LIMIT_MS, NULL);
    }
    check(status);
}

int main(int argc, char **argv) {
    const char *servers = argc > 1 ? argv[1] : getenv("BOOTSTRAP");
    const char *from = argc > 3 ? argv[2] : "ottla-example-in", *to = argc > 3 ? argv[3] : "ottla-example-out";
    ottla_broker *broker = NULL;
    if (servers == NULL || servers[0] == '\0') {
        check(ottla_broker_new(NULL, &broker, &error));
        check(ottla_broker_create_topic(broker, from, PARTITIONS, &error));
        check(ottla_broker_create_topic(broker, to, PARTITIONS, &error));
        servers = ottla_broker_bootstrap_servers(broker);
        fill(servers, from);
    }

    ottla_config *config = ottla_config_new();
    ottla_producer *producer = NULL;
    check(ottla_config_set(config, "bootstrap.servers", servers, &error));
    check(ottla_config_set(config, "transactional.id", group, &error));
    check(ottla_producer_new(config, &producer, &error));
    ottla_config_free(config);

    ottla_consumer *consumer = NULL;
    config = ottla_config_new();
    check(ottla_config_set(config, "bootstrap.servers", servers, &error));
    check(ottla_config_set(config, "group.id", group, &error));
    check(ottla_config_set(config, "isolation.level", "read_committed", &error));
    check(ottla_config_set(config, "auto.offset.reset", "earliest", &error));
    check(ottla_consumer_new(config, &consumer, &error));
    ottla_config_free(config);

    /* First of all: it ends what an earlier run of this program left open, so that its offsets are final. */
    check(ottla_producer_init_transactions(producer, LIMIT_MS, &error));
    check(ottla_consumer_assign_topic(consumer, from, OTTLA_START_RESET, 0, &error));
    size_t count = 0;
    for (;;) {
        ottla_batch *batch = NULL;
        ottla_event *event = NULL;
        check(ottla_consumer_poll(consumer, 1000, 3000, &batch, &event, &error));
        if (event != NULL) {
            fprintf(stderr, "%s\n", ottla_event_message(event));
            ottla_event_free(event);
        } else if (batch == NULL) {
            break;
        } else {
            work_on(producer, batch, from, to);
            count += ottla_batch_rows(batch);
            ottla_batch_free(batch);
        }
    }
    printf("C: worked on %zu messages of %s, each exactly once, into %s\n", count, from, to);
    check(ottla_producer_close(producer, LIMIT_MS, &error));
    check(ottla_consumer_close(consumer, LIMIT_MS, &error));
    ottla_producer_free(producer);
    ottla_consumer_free(consumer);
    ottla_broker_free(broker);
    return 0;
}
