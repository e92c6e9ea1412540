/*
 * What every C test shares: checks that name their place, and a broker to talk to.
 *
 * OTTLA_TEST_BOOTSTRAP names a real Kafka to use; without it an embedded broker is started.
 */
#ifndef CHECK_H
#define CHECK_H

#define _DEFAULT_SOURCE /* clocks, threads, fork: POSIX beside C99 */

#include <ottla.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(condition)                                                                    \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);         \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

/* Two numbers that have to be the same; tells both. */
#define SAME(got, wanted) same((int64_t)(got), (int64_t)(wanted), #got, __FILE__, __LINE__)

static inline void same(int64_t got, int64_t wanted, const char *what, const char *file, int line) {
    if (got != wanted) {
        fprintf(stderr, "%s:%d: %s is %" PRId64 ", not %" PRId64 "\n", file, line, what, got, wanted);
        exit(1);
    }
}

/* A call that has to succeed; `error` is the caller's variable. */
#define OK(call)                                                                            \
    do {                                                                                    \
        ottla_status ok_status = (call);                                                    \
        if (ok_status != OTTLA_OK) {                                                        \
            fprintf(stderr, "%s:%d: %s: %s: %s\n", __FILE__, __LINE__, #call,               \
                    ottla_status_name(ok_status), ottla_error_message(error));              \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

/* A call that has to fail with this status, and a message that holds this text. Frees the error. */
#define FAILS(call, status, text)                                                           \
    do {                                                                                    \
        ottla_status fails_status = (call);                                                 \
        fails(fails_status, (status), &error, (text), #call, __FILE__, __LINE__);           \
    } while (0)

static inline void fails(ottla_status got, ottla_status wanted, ottla_error **error, const char *text,
                         const char *call, const char *file, int line) {
    const char *message = ottla_error_message(*error);
    if (got != wanted || ottla_error_code(*error) != wanted || strstr(message, text) == NULL) {
        fprintf(stderr, "%s:%d: %s: got %s (%s), wanted %s with '%s'\n", file, line, call, ottla_status_name(got),
                message, ottla_status_name(wanted), text);
        exit(1);
    }
    ottla_error_free(*error);
    *error = NULL;
}

static inline ottla_bytes bytes(const char *text) {
    ottla_bytes b = {(const uint8_t *)text, text ? strlen(text) : 0};
    return b;
}

static inline int is(ottla_bytes got, const char *wanted) {
    if (wanted == NULL) {
        return got.data == NULL && got.len == 0;
    }
    return got.data != NULL && got.len == strlen(wanted) && memcmp(got.data, wanted, got.len) == 0;
}

static inline int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Where the test's clients connect to. */
typedef struct {
    ottla_broker *broker; /* NULL on a real Kafka */
    const char *bootstrap;
} ground;

static inline ground ground_start(void) {
    ottla_error *error = NULL;
    ground g = {NULL, getenv("OTTLA_TEST_BOOTSTRAP")};
    if (g.bootstrap == NULL || g.bootstrap[0] == '\0') {
        OK(ottla_broker_new(NULL, &g.broker, &error));
        g.bootstrap = ottla_broker_bootstrap_servers(g.broker);
    }
    return g;
}

static inline void ground_end(ground g) {
    ottla_broker_free(g.broker);
}

/* A configuration of pairs that ends with NULL, beside bootstrap.servers. */
static inline ottla_config *config_of(const char *bootstrap, const char *const *pairs) {
    ottla_error *error = NULL;
    ottla_config *config = ottla_config_new();
    if (bootstrap != NULL) {
        OK(ottla_config_set(config, "bootstrap.servers", bootstrap, &error));
    }
    for (; pairs != NULL && pairs[0] != NULL; pairs += 2) {
        OK(ottla_config_set(config, pairs[0], pairs[1], &error));
    }
    return config;
}

static inline ottla_producer *producer_of(ground g, const char *const *pairs) {
    ottla_error *error = NULL;
    ottla_config *config = config_of(g.bootstrap, pairs);
    ottla_producer *producer = NULL;
    OK(ottla_producer_new(config, &producer, &error));
    ottla_config_free(config);
    return producer;
}

static inline ottla_consumer *consumer_of(ground g, const char *const *pairs) {
    ottla_error *error = NULL;
    ottla_config *config = config_of(g.bootstrap, pairs);
    ottla_consumer *consumer = NULL;
    OK(ottla_consumer_new(config, &consumer, &error));
    ottla_config_free(config);
    return consumer;
}

/* A topic that no earlier run has used; the name lives until the program ends. */
static inline const char *new_topic(ground g, int32_t partitions) {
    static char names[8][64];
    static int next = 0;
    CHECK(next < 8);
    char *name = names[next];
    snprintf(name, sizeof names[0], "c-%d-%" PRId64, next++, now_ms());
    ottla_error *error = NULL;
    ottla_config *config = config_of(g.bootstrap, NULL);
    ottla_admin *admin = NULL;
    OK(ottla_admin_new(config, &admin, &error));
    ottla_config_free(config);
    ottla_new_topic topic;
    memset(&topic, 0, sizeof topic);
    topic.name = name;
    topic.partitions = partitions;
    topic.replication_factor = 1;
    ottla_topic_results *results = NULL;
    OK(ottla_admin_create_topics(admin, &topic, 1, false, 30000, &results, &error));
    ottla_topic_result result;
    OK(ottla_topic_results_get(results, 0, &result, &error));
    if (result.error != NULL) {
        fprintf(stderr, "creating %s: %s\n", name, ottla_error_message(result.error));
        exit(1);
    }
    ottla_topic_results_free(results);
    OK(ottla_admin_close(admin, 10000, &error));
    ottla_admin_free(admin);
    return name;
}

enum { LIMIT_MS = 60000 };

/* The next batch, whatever events come before it. */
static inline ottla_batch *next_batch(ottla_consumer *consumer, size_t max) {
    ottla_error *error = NULL;
    int64_t limit = now_ms() + LIMIT_MS;
    while (now_ms() < limit) {
        ottla_batch *batch = NULL;
        ottla_event *event = NULL;
        OK(ottla_consumer_poll(consumer, max, 1000, &batch, &event, &error));
        CHECK(batch == NULL || event == NULL);
        ottla_event_free(event);
        if (batch != NULL) {
            return batch;
        }
    }
    fprintf(stderr, "no record came within %d ms\n", (int)LIMIT_MS);
    exit(1);
}

#endif
