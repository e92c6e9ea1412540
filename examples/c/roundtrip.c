/*
 * A million messages out and back from C.
 *
 *     cc -O2 roundtrip.c -o roundtrip $(pkg-config --cflags --libs ottla)
 *     ./roundtrip [BOOTSTRAP]
 *
 * On the Kafka at BOOTSTRAP (or in the environment variable of that name), otherwise on an embedded broker that this
 * program starts.
 */
#define _POSIX_C_SOURCE 200112L

#include <ottla.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MESSAGES = 1000000, SIZE = 100, CALL = 10000, LIMIT_MS = 60000 };

static ottla_error *error = NULL;

/* Every call answers a status; the error says what happened and what to do. */
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

static void report(const char *what, double begun) {
    double seconds = now() - begun;
    printf("C: %s %d messages of %d bytes in %.2f s, %.1f million a second\n", what, MESSAGES, SIZE, seconds,
           MESSAGES / seconds / 1e6);
}

static void create_topic(const ottla_config *config, const char *name) {
    ottla_admin *admin = NULL;
    check(ottla_admin_new(config, &admin, &error));
    ottla_new_topic topic = {name, NULL, 0, 1, -1};
    ottla_topic_results *results = NULL;
    ottla_topic_result result;
    check(ottla_admin_create_topics(admin, &topic, 1, false, LIMIT_MS, &results, &error));
    check(ottla_topic_results_get(results, 0, &result, &error));
    if (result.error != NULL) {
        fprintf(stderr, "%s\n", ottla_error_message(result.error));
        exit(1);
    }
    ottla_topic_results_free(results);
    ottla_admin_free(admin);
}

/* Each message is its number, in digits, filled up with dots. Ten thousand go in one call, as columns. */
static void produce(const ottla_config *config, const char *topic) {
    static uint8_t blob[CALL * SIZE];
    static int32_t lengths[CALL];
    ottla_producer *producer = NULL;
    check(ottla_producer_new(config, &producer, &error));
    memset(blob, '.', sizeof blob);
    for (int i = 0; i < CALL; i++) {
        lengths[i] = SIZE;
    }
    ottla_column values = {blob, sizeof blob, NULL, lengths, NULL};
    for (int first = 0; first < MESSAGES; first += CALL) {
        for (int i = 0; i < CALL; i++) {
            char digits[16];
            memcpy(blob + i * SIZE, digits, (size_t)snprintf(digits, sizeof digits, "%08d", first + i));
        }
        size_t accepted = 0;
        check(ottla_producer_send_batch(producer, topic, -1, CALL, NULL, &values, NULL, NULL, 0, -1, &accepted, &error));
    }
    /* Waits for the broker's acknowledgement of all of them; fails if one of them failed. */
    check(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
}

static uint64_t consume(const ottla_config *config, const char *topic) {
    ottla_consumer *consumer = NULL;
    check(ottla_consumer_new(config, &consumer, &error));
    check(ottla_consumer_assign_topic(consumer, topic, OTTLA_START_EARLIEST, 0, &error));
    uint64_t sum = 0;
    size_t got = 0;
    while (got < MESSAGES) {
        ottla_batch *batch = NULL;
        ottla_event *event = NULL;
        check(ottla_consumer_poll(consumer, 0, LIMIT_MS, &batch, &event, &error));
        if (event != NULL) {
            fprintf(stderr, "%s\n", ottla_event_message(event));
            ottla_event_free(event);
            continue;
        }
        if (batch == NULL) {
            fprintf(stderr, "only %zu messages came\n", got);
            exit(1);
        }
        for (size_t s = 0; s < ottla_batch_segment_count(batch); s++) {
            ottla_segment seg;
            check(ottla_batch_segment(batch, s, &seg, &error));
            for (size_t i = 0; i < seg.rows; i++) {
                const uint8_t *value = seg.base + seg.value_start[i];
                uint64_t number = 0;
                for (int digit = 0; digit < 8 && digit < seg.value_len[i]; digit++) {
                    number = number * 10 + (uint64_t)(value[digit] - '0');
                }
                sum += number;
            }
        }
        got += ottla_batch_rows(batch);
        ottla_batch_free(batch);
    }
    check(ottla_consumer_close(consumer, LIMIT_MS, &error));
    ottla_consumer_free(consumer);
    return sum;
}

int main(int argc, char **argv) {
    const char *bootstrap = argc > 1 ? argv[1] : getenv("BOOTSTRAP");
    ottla_broker *broker = NULL;
    if (bootstrap == NULL || bootstrap[0] == '\0') {
        check(ottla_broker_new(NULL, &broker, &error));
        bootstrap = ottla_broker_bootstrap_servers(broker);
    }
    ottla_config *config = ottla_config_new();
    check(ottla_config_set(config, "bootstrap.servers", bootstrap, &error));
    char topic[64];
    snprintf(topic, sizeof topic, "ottla-c-%" PRId64, (int64_t)time(NULL));
    create_topic(config, topic);

    double begun = now();
    produce(config, topic);
    report("produced", begun);
    begun = now();
    uint64_t sum = consume(config, topic);
    report("consumed", begun);

    ottla_config_free(config);
    ottla_broker_free(broker);
    if (sum != (uint64_t)MESSAGES * (MESSAGES - 1) / 2) {
        fprintf(stderr, "the numbers add up to %" PRIu64 ", so not every one came once\n", sum);
        return 1;
    }
    return 0;
}
