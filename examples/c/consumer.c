/*
 * Reads a topic from its beginning to its present end, batch by batch.
 *
 *     cc -O2 consumer.c -o consumer $(pkg-config --cflags --libs ottla)
 *     ./consumer [BOOTSTRAP [TOPIC]]
 *
 * On the Kafka at BOOTSTRAP (or in the environment variable of that name), otherwise on an embedded broker that this
 * program starts and fills with a million messages.
 */
#define _POSIX_C_SOURCE 200112L

#include <ottla.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MESSAGES = 1000000, PARTITIONS = 4, SIZE = 100, LIMIT_MS = 60000 };

static ottla_error *error = NULL;

static void check(ottla_status status) {
    if (status != OTTLA_OK) {
        fprintf(stderr, "%s: %s\n", ottla_error_name(error), ottla_error_message(error));
        exit(1);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fill(const ottla_config *config, const char *topic) {
    static uint8_t blob[MESSAGES / PARTITIONS * SIZE / 10];
    static int32_t lengths[MESSAGES / PARTITIONS / 10];
    const size_t rows = sizeof lengths / sizeof lengths[0];
    memset(blob, 'x', sizeof blob);
    for (size_t i = 0; i < rows; i++) {
        lengths[i] = SIZE;
    }
    ottla_producer *producer = NULL;
    check(ottla_producer_new(config, &producer, &error));
    ottla_column values = {blob, sizeof blob, NULL, lengths, NULL};
    for (int call = 0; call < 10 * PARTITIONS; call++) {
        size_t accepted = 0;
        check(ottla_producer_send_batch(producer, topic, call % PARTITIONS, rows, NULL, &values, NULL, NULL, 0, -1,
                                        &accepted, &error));
    }
    check(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
}

/* How many offsets there are from beginning to end, all partitions together. */
static int64_t size_of_topic(const ottla_consumer *consumer, const char *topic) {
    int32_t count = 0;
    check(ottla_consumer_partition_count(consumer, topic, LIMIT_MS, &count, &error));
    ottla_topic_partition *partitions = calloc((size_t)count, sizeof *partitions);
    int64_t *begins = calloc((size_t)count, sizeof *begins), *ends = calloc((size_t)count, sizeof *ends);
    for (int32_t i = 0; i < count; i++) {
        partitions[i].topic = topic;
        partitions[i].partition = i;
    }
    check(ottla_consumer_beginning_offsets(consumer, partitions, (size_t)count, LIMIT_MS, begins, &error));
    check(ottla_consumer_end_offsets(consumer, partitions, (size_t)count, LIMIT_MS, ends, &error));
    int64_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        sum += ends[i] - begins[i];
    }
    free(partitions);
    free(begins);
    free(ends);
    return sum;
}

int main(int argc, char **argv) {
    const char *bootstrap = argc > 1 ? argv[1] : getenv("BOOTSTRAP");
    const char *topic = argc > 2 ? argv[2] : "ottla-example";
    ottla_broker *broker = NULL;
    ottla_config *config = ottla_config_new();
    if (bootstrap == NULL || bootstrap[0] == '\0') {
        check(ottla_broker_new(NULL, &broker, &error));
        check(ottla_broker_create_topic(broker, topic, PARTITIONS, &error));
        bootstrap = ottla_broker_bootstrap_servers(broker);
    }
    check(ottla_config_set(config, "bootstrap.servers", bootstrap, &error));
    if (broker != NULL) {
        fill(config, topic);
    }
    ottla_consumer *consumer = NULL;
    check(ottla_consumer_new(config, &consumer, &error));
    ottla_config_free(config);
    check(ottla_consumer_connect(consumer, LIMIT_MS, &error));
    int64_t left = size_of_topic(consumer, topic);

    double begun = now();
    uint64_t messages = 0, bytes = 0, keys = 0, headers = 0;
    check(ottla_consumer_assign_topic(consumer, topic, OTTLA_START_EARLIEST, 0, &error));
    while (left > 0) {
        ottla_batch *batch = NULL;
        ottla_event *event = NULL;
        check(ottla_consumer_poll(consumer, 0, 5000, &batch, &event, &error));
        if (event != NULL) {
            fprintf(stderr, "%s\n", ottla_event_message(event));
            ottla_event_free(event);
        } else if (batch == NULL) {
            break; /* the topic's last offsets may be no records: transactions' marks, or compacted away */
        }
        for (size_t s = 0; s < ottla_batch_segment_count(batch); s++) {
            ottla_segment seg;
            check(ottla_batch_segment(batch, s, &seg, &error));
            for (size_t i = 0; i < seg.rows; i++) {
                bytes += seg.value_len[i] > 0 ? (uint64_t)seg.value_len[i] : 0;
                keys += seg.key_len[i] >= 0;
                headers += (uint64_t)seg.header_count[i];
            }
            messages += seg.rows;
            left -= (int64_t)seg.rows;
        }
        ottla_batch_free(batch);
    }
    double seconds = now() - begun;
    printf("C: consumed %" PRIu64 " messages (%" PRIu64 " with a key, %" PRIu64 " headers, %.1f MB of values) from %s in "
           "%.2f s, %.1f million a second\n", messages, keys, headers, (double)bytes / 1e6, topic, seconds,
           (double)messages / seconds / 1e6);
    check(ottla_consumer_close(consumer, LIMIT_MS, &error));
    ottla_consumer_free(consumer);
    ottla_broker_free(broker);
    return 0;
}
