/* Ottla at a steady rate, sending and reading, and in transactions; see bench.h for the command line. */
#include "steady.h"

#include <ottla.h>

enum { LIMIT_MS = 60000, SLICE = 10000 };

static void check(const char *what, ottla_status status, ottla_error *const *error) {
    if (status != OTTLA_OK) {
        bench_fail(what, ottla_error_message(*error));
    }
}

static ottla_config *configuration(const bench_options *o) {
    ottla_error *error = NULL;
    ottla_config *config = ottla_config_new();
    check("config", ottla_config_set(config, "bootstrap.servers", o->bootstrap, &error), &error);
    for (int i = 0; i < o->setting_count; i++) {
        char key[128];
        const char *equals = strchr(o->settings[i], '=');
        snprintf(key, sizeof key, "%.*s", (int)(equals - o->settings[i]), o->settings[i]);
        check("config", ottla_config_set(config, key, equals + 1, &error), &error);
    }
    return config;
}

static ottla_producer *producer_of(const bench_options *o) {
    ottla_error *error = NULL;
    ottla_producer *producer = NULL;
    ottla_config *config = configuration(o);
    check("producer", ottla_producer_new(config, &producer, &error), &error);
    ottla_config_free(config);
    return producer;
}

typedef struct {
    const ottla_producer *producer;
    steady_times *times;
} receiver;

/* A record's token is its number and one. */
static void *receive(void *argument) {
    receiver *r = (receiver *)argument;
    const double limit = bench_now() + STEADY_LIMIT_S;
    while (r->times->ended < r->times->n && bench_now() < limit) {
        ottla_error *error = NULL;
        ottla_completions *completions = NULL;
        check("poll", ottla_producer_poll(r->producer, 0, STEADY_POLL_MS, &completions, &error), &error);
        const double now = bench_now();
        const ottla_completion *c = ottla_completions_data(completions);
        for (size_t i = 0; i < ottla_completions_count(completions); i++) {
            if (c[i].outcome != OTTLA_WRITTEN) {
                bench_fail("delivery", ottla_error_message(c[i].error));
            }
            steady_ended(r->times, c[i].token - 1, now);
        }
        ottla_completions_free(completions);
    }
    return NULL;
}

static void send(const bench_options *o, const bench_payload *p, const ottla_producer *producer, uint64_t i,
                 int32_t partition, uint64_t token) {
    ottla_error *error = NULL;
    const ottla_bytes none = {NULL, 0};
    const ottla_bytes value = {(const uint8_t *)p->values + i % p->rows * o->size, o->size};
    check("send", ottla_producer_send(producer, o->topic, partition, none, value, NULL, 0, -1, token, -1, &error), &error);
}

static void paced(const bench_options *o, const bench_payload *p) {
    ottla_producer *producer = producer_of(o);
    steady_times times = steady_new(o->n);
    receiver r = {producer, &times};
    pthread_t thread;
    if (pthread_create(&thread, NULL, receive, &r) != 0) {
        bench_fail("pthread_create", "failed");
    }
    times.sent[0] = bench_now();
    steady_stamp(o, p->values, times.sent[0]);
    send(o, p, producer, 0, 0, 1);
    steady_warm(&times);
    const double begun = bench_now();
    for (uint64_t i = 1; i < o->n; i++) {
        steady_pace(begun, i, o->rate);
        times.sent[i] = bench_now();
        steady_stamp(o, p->values + i % p->rows * o->size, times.sent[i]);
        send(o, p, producer, i, (int32_t)(i % (uint64_t)o->partitions), i + 1);
    }
    pthread_join(thread, NULL);
    const double wall_s = bench_now() - begun;
    ottla_producer_free(producer);
    if (times.ended != o->n) {
        bench_fail("paced", "not everything was delivered");
    }
    steady_report(&times, wall_s, times.n / 20);
}

static void start(const bench_options *o, const ottla_consumer *consumer) {
    ottla_error *error = NULL;
    if (o->group) {
        check("subscribe", ottla_consumer_subscribe(consumer, &o->topic, 1, &error), &error);
        return;
    }
    ottla_assignment *partitions = (ottla_assignment *)calloc((size_t)o->partitions, sizeof *partitions);
    if (!partitions) {
        bench_fail("malloc", "no memory");
    }
    for (int i = 0; i < o->partitions; i++) {
        const ottla_assignment one = {o->topic, 0, i, OTTLA_START_LATEST};
        partitions[i] = one;
    }
    check("assign", ottla_consumer_assign(consumer, partitions, (size_t)o->partitions, &error), &error);
    free(partitions);
}

static void take(const ottla_batch *batch, steady_times *times, int64_t *next) {
    ottla_error *error = NULL;
    const double now = bench_now();
    for (size_t s = 0; s < ottla_batch_segment_count(batch); s++) {
        ottla_segment seg;
        check("segment", ottla_batch_segment(batch, s, &seg, &error), &error);
        for (size_t i = 0; i < seg.rows; i++) {
            steady_came(times, next + seg.partition, seg.offsets[i], seg.base + seg.value_start[i], now);
        }
    }
}

static void listen_to(const bench_options *o) {
    ottla_error *error = NULL;
    ottla_consumer *consumer = NULL;
    ottla_config *config = configuration(o);
    if (o->group) {
        check("config", ottla_config_set(config, "group.id", bench_group(), &error), &error);
        check("config", ottla_config_set(config, "auto.offset.reset", "latest", &error), &error);
    }
    check("consumer", ottla_consumer_new(config, &consumer, &error), &error);
    ottla_config_free(config);
    steady_times times = steady_new(o->n);
    int64_t *next = steady_offsets(o);
    start(o, consumer);
    const double begun = bench_now();
    while (times.ended < times.n) {
        ottla_batch *batch = NULL;
        ottla_event *event = NULL;
        const size_t left = (size_t)(times.n - times.ended), wanted = left < SLICE ? left : SLICE;
        check("poll", ottla_consumer_poll(consumer, wanted, LIMIT_MS, &batch, &event, &error), &error);
        if (event) {
            if (ottla_event_kind(event) != OTTLA_EVENT_PARTITIONS_ASSIGNED) {
                bench_fail("listen", ottla_event_message(event));
            }
            ottla_event_free(event);
            continue;
        }
        if (!batch) {
            bench_fail("listen", "nothing came for 60 s");
        }
        take(batch, &times, next);
        ottla_batch_free(batch);
    }
    const double wall_s = bench_now() - begun;
    check("close", ottla_consumer_close(consumer, LIMIT_MS, &error), &error);
    ottla_consumer_free(consumer);
    free(next);
    /* Until each partition's start is found a second or two may pass. */
    steady_report(&times, wall_s, times.n / 2);
}

static void transact(const bench_options *o, const bench_payload *p) {
    ottla_error *error = NULL;
    ottla_producer *producer = producer_of(o);
    check("init", ottla_producer_init_transactions(producer, LIMIT_MS, &error), &error);
    const double begun = bench_now();
    for (uint64_t i = 0; i < o->n;) {
        check("begin", ottla_producer_begin_transaction(producer, &error), &error);
        for (const uint64_t end = i + TRANSACTION < o->n ? i + TRANSACTION : o->n; i < end; i++) {
            send(o, p, producer, i, -1, 0);
        }
        check("commit", ottla_producer_commit_transaction(producer, LIMIT_MS, &error), &error);
    }
    const double wall_s = bench_now() - begun;
    ottla_producer_free(producer);
    bench_report(o->n, wall_s, 0);
}

int main(int argc, char **argv) {
    bench_options o = bench_parse(argc, argv);
    bench_payload p = bench_load(&o);
    if (strcmp(o.verb, "paced") == 0) {
        paced(&o, &p);
    } else if (strcmp(o.verb, "listen") == 0) {
        listen_to(&o);
    } else {
        transact(&o, &p);
    }
    free(p.values);
    free(p.keys);
    return 0;
}
