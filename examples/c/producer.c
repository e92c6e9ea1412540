/*
 * Writes a million messages to a topic, one call each, and learns what became of every one.
 *
 *     cc -O2 producer.c -o producer $(pkg-config --cflags --libs ottla)
 *     ./producer [BOOTSTRAP [TOPIC]]
 *
 * On the Kafka at BOOTSTRAP (or in the environment variable of that name), otherwise on an embedded broker that this
 * program starts. The topic is created if it is not there.
 */
#define _POSIX_C_SOURCE 200112L

#include <ottla.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MESSAGES = 1000000, LIMIT_MS = 60000 };

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

static void create_topic(const ottla_config *config, const char *name) {
    ottla_admin *admin = NULL;
    check(ottla_admin_new(config, &admin, &error));
    ottla_new_topic topic = {name, NULL, 0, 4, -1};
    ottla_topic_results *results = NULL;
    ottla_topic_result result;
    check(ottla_admin_create_topics(admin, &topic, 1, false, LIMIT_MS, &results, &error));
    check(ottla_topic_results_get(results, 0, &result, &error));
    if (ottla_error_code(result.error) != OTTLA_ERR_TOPIC_ALREADY_EXISTS && result.error != NULL) {
        fprintf(stderr, "%s\n", ottla_error_message(result.error));
        exit(1);
    }
    ottla_topic_results_free(results);
    ottla_admin_free(admin);
}

/* Takes the completions that are there, waiting up to `timeout_ms` for the first. */
static uint64_t drain(const ottla_producer *producer, int64_t timeout_ms, int64_t *last_offset) {
    ottla_completions *completions = NULL;
    check(ottla_producer_poll(producer, 0, timeout_ms, &completions, &error));
    const ottla_completion *c = ottla_completions_data(completions);
    uint64_t written = 0;
    for (size_t i = 0; i < ottla_completions_count(completions); i++) {
        if (c[i].outcome != OTTLA_WRITTEN) {
            fprintf(stderr, "message %" PRIu64 ": %s\n", c[i].token, ottla_error_message(c[i].error));
            exit(1);
        }
        written += c[i].count;
        *last_offset = c[i].base_offset + c[i].count - 1;
    }
    ottla_completions_free(completions);
    return written;
}

int main(int argc, char **argv) {
    const char *bootstrap = argc > 1 ? argv[1] : getenv("BOOTSTRAP");
    const char *topic = argc > 2 ? argv[2] : "ottla-example";
    ottla_broker *broker = NULL;
    if (bootstrap == NULL || bootstrap[0] == '\0') {
        check(ottla_broker_new(NULL, &broker, &error));
        bootstrap = ottla_broker_bootstrap_servers(broker);
    }
    ottla_config *config = ottla_config_new();
    check(ottla_config_set(config, "bootstrap.servers", bootstrap, &error));
    create_topic(config, topic);
    check(ottla_config_set(config, "linger.ms", "5ms", &error));
    check(ottla_config_set(config, "compression.type", "lz4", &error));
    ottla_producer *producer = NULL;
    check(ottla_producer_new(config, &producer, &error));
    ottla_config_free(config);

    double begun = now();
    uint64_t written = 0;
    int64_t last_offset = -1;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        char key[16], text[64];
        ottla_bytes k = {(const uint8_t *)key, (size_t)snprintf(key, sizeof key, "user-%d", (int)(i % 1000))};
        ottla_bytes v = {(const uint8_t *)text, (size_t)snprintf(text, sizeof text, "message %" PRIu64, i)};
        ottla_header header = {{(const uint8_t *)"language", 8}, {(const uint8_t *)"C", 1}};
        check(ottla_producer_send(producer, topic, -1, k, v, &header, 1, -1, i + 1, -1, &error));
        if (i % 10000 == 0) {
            written += drain(producer, 0, &last_offset);
        }
    }
    check(ottla_producer_flush(producer, LIMIT_MS, &error));
    while (written < MESSAGES) {
        written += drain(producer, LIMIT_MS, &last_offset);
    }
    double seconds = now() - begun;
    printf("C: produced %" PRIu64 " messages with keys and headers to %s in %.2f s, %.1f million a second; last offset %"
           PRId64 "\n", written, topic, seconds, (double)written / seconds / 1e6, last_offset);

    check(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
    ottla_broker_free(broker);
    return 0;
}
