/* Ottla through <ottla.h>; see bench.h for the command line. --single sends and reads record by record. */
#include "bench.h"

#include <ottla.h>
#include <pthread.h>

enum { SLICE = 10000, IDLE_LIMIT_MS = 60000, MAX_HEADERS = 16, TOKEN = 1 };

static void check(const char *what, ottla_status status, ottla_error *const *error) {
    if (status != OTTLA_OK) {
        bench_fail(what, ottla_error_message(*error));
    }
}

static ottla_config *configuration(const bench_options *o) {
    ottla_error *error = NULL;
    ottla_config *config = ottla_config_new();
    check("config", ottla_config_set(config, "bootstrap.servers", o->bootstrap, &error), &error);
    if (o->produce) {
        check("config", ottla_config_set(config, "compression.type", o->codec, &error), &error);
    }
    if (o->group) {
        check("config", ottla_config_set(config, "group.id", bench_group(), &error), &error);
        check("config", ottla_config_set(config, "auto.offset.reset", "earliest", &error), &error);
    }
    for (int i = 0; i < o->setting_count; i++) {
        char key[128];
        const char *equals = strchr(o->settings[i], '=');
        snprintf(key, sizeof key, "%.*s", (int)(equals - o->settings[i]), o->settings[i]);
        check("config", ottla_config_set(config, key, equals + 1, &error), &error);
    }
    return config;
}

typedef struct {
    const bench_options *o;
    const bench_payload *p;
    const ottla_producer *producer;
    uint64_t first, n;
    uint64_t written; /* by this thread's polls */
    pthread_t thread;
} sender;

static uint64_t drain(const ottla_producer *producer, int64_t timeout_ms) {
    ottla_error *error = NULL;
    ottla_completions *completions = NULL;
    check("poll", ottla_producer_poll(producer, SLICE, timeout_ms, &completions, &error), &error);
    const ottla_completion *c = ottla_completions_data(completions);
    uint64_t written = 0;
    for (size_t i = 0; i < ottla_completions_count(completions); i++) {
        if (c[i].outcome != OTTLA_WRITTEN) {
            bench_fail("delivery", ottla_error_message(c[i].error));
        }
        written += c[i].count;
    }
    ottla_completions_free(completions);
    return written;
}

static const char *const HEADERS[2][2] = {{"trace", HEADER_VALUE}, {"source", "bench"}};

static void send_single(sender *t) {
    const bench_options *o = t->o;
    ottla_error *error = NULL;
    ottla_header headers[MAX_HEADERS];
    for (int i = 0; i < o->headers; i++) {
        const char *const *pair = HEADERS[i % 2];
        ottla_bytes name = {(const uint8_t *)pair[0], strlen(pair[0])};
        ottla_bytes value = {(const uint8_t *)pair[1], strlen(pair[1])};
        headers[i].name = name;
        headers[i].value = value;
    }
    uint64_t row = t->first % t->p->rows;
    for (uint64_t i = 0; i < t->n; i++) {
        ottla_bytes value = {(const uint8_t *)t->p->values + row * o->size, o->size};
        ottla_bytes key = {o->keyed ? (const uint8_t *)t->p->keys + row * KEY_SIZE : NULL, o->keyed ? KEY_SIZE : 0};
        check("send",
              ottla_producer_send(t->producer, o->topic, -1, key, value, headers, (size_t)o->headers, -1, TOKEN, -1,
                                  &error),
              &error);
        if (++row == t->p->rows) {
            row = 0;
        }
        if (i % SLICE == 0) {
            t->written += drain(t->producer, 0);
        }
    }
}

static void *need(void *memory) {
    if (!memory) {
        bench_fail("malloc", "no memory");
    }
    return memory;
}

/* The whole payload again and again, a call each time. */
static void send_columns(sender *t) {
    const bench_options *o = t->o;
    const size_t all = (size_t)t->p->rows, headers = (size_t)o->headers;
    ottla_error *error = NULL;
    int32_t *value_lengths = (int32_t *)need(malloc(all * sizeof *value_lengths));
    int32_t *key_lengths = (int32_t *)need(malloc(all * sizeof *key_lengths));
    int32_t *header_counts = (int32_t *)need(malloc(all * sizeof *header_counts));
    int32_t *header_lengths = (int32_t *)need(malloc((all * headers * 2 + 1) * sizeof *header_lengths));
    uint8_t *header_blob = (uint8_t *)need(malloc(all * headers * 64 + 1));
    size_t lengths_a_row = 2 * headers, bytes_a_row = 0, at = 0;
    for (size_t row = 0; row < all; row++) {
        value_lengths[row] = (int32_t)o->size;
        key_lengths[row] = KEY_SIZE;
        header_counts[row] = o->headers;
        const size_t begin = at;
        for (size_t part = 0; part < lengths_a_row; part++) {
            const char *text = HEADERS[part / 2 % 2][part % 2];
            header_lengths[row * lengths_a_row + part] = (int32_t)strlen(text);
            memcpy(header_blob + at, text, strlen(text));
            at += strlen(text);
        }
        bytes_a_row = at - begin;
    }
    uint64_t row = t->first % t->p->rows;
    for (uint64_t left = t->n; left > 0; row = 0) {
        const size_t rows = (size_t)(left < all - row ? left : all - row);
        ottla_column values = {(const uint8_t *)t->p->values + row * o->size, rows * o->size, NULL, value_lengths, NULL};
        ottla_column keys = {(const uint8_t *)t->p->keys + row * KEY_SIZE, rows * KEY_SIZE, NULL, key_lengths, NULL};
        ottla_header_column column = {header_counts, header_lengths, rows * lengths_a_row, header_blob,
                                      rows * bytes_a_row};
        size_t accepted = 0;
        check("send_batch",
              ottla_producer_send_batch(t->producer, o->topic, -1, rows, o->keyed ? &keys : NULL, &values,
                                        headers ? &column : NULL, NULL, TOKEN, -1, &accepted, &error),
              &error);
        left -= rows;
        t->written += drain(t->producer, 0);
    }
    free(value_lengths);
    free(key_lengths);
    free(header_counts);
    free(header_lengths);
    free(header_blob);
}

static void *send_some(void *argument) {
    sender *t = (sender *)argument;
    t->o->single ? send_single(t) : send_columns(t);
    return NULL;
}

static void produce(const bench_options *o, const bench_payload *p) {
    ottla_error *error = NULL;
    ottla_config *config = configuration(o);
    ottla_producer *producer = NULL;
    check("producer", ottla_producer_new(config, &producer, &error), &error);
    ottla_config_free(config);
    sender *threads = (sender *)need(calloc((size_t)o->threads, sizeof *threads));
    uint64_t written = 0, first = 0;
    double begun = bench_now();
    if (o->warm) {
        sender t = {o, p, producer, 0, 1, 0, 0};
        send_some(&t);
        check("flush", ottla_producer_flush(producer, IDLE_LIMIT_MS, &error), &error);
        written += t.written;
        first = 1;
    }
    const uint64_t left = o->n - first;
    for (int i = 0; i < o->threads; i++) {
        uint64_t n = left / (uint64_t)o->threads + ((uint64_t)i < left % (uint64_t)o->threads);
        sender t = {o, p, producer, first, n, 0, 0};
        first += n;
        threads[i] = t;
        if (i > 0 && pthread_create(&threads[i].thread, NULL, send_some, &threads[i]) != 0) {
            bench_fail("pthread_create", "failed");
        }
    }
    send_some(&threads[0]);
    for (int i = 0; i < o->threads; i++) {
        if (i > 0) {
            pthread_join(threads[i].thread, NULL);
        }
        written += threads[i].written;
    }
    while (written < o->n) {
        uint64_t more = drain(producer, IDLE_LIMIT_MS);
        if (more == 0) {
            bench_fail("produce", "not everything was delivered");
        }
        written += more;
    }
    double wall_s = bench_now() - begun;
    check("close", ottla_producer_close(producer, IDLE_LIMIT_MS, &error), &error);
    ottla_producer_free(producer);
    free(threads);
    bench_report(written, wall_s, 0);
}

static uint64_t add_columns(const ottla_batch *batch) {
    ottla_error *error = NULL;
    uint64_t checksum = 0;
    for (size_t s = 0; s < ottla_batch_segment_count(batch); s++) {
        ottla_segment seg;
        check("segment", ottla_batch_segment(batch, s, &seg, &error), &error);
        for (size_t i = 0; i < seg.rows; i++) {
            size_t key_length = seg.key_len[i] < 0 ? 0 : (size_t)seg.key_len[i];
            size_t length = seg.value_len[i] < 0 ? 0 : (size_t)seg.value_len[i];
            checksum += bench_checksum(seg.offsets[i], seg.base + seg.key_start[i], key_length,
                                       seg.base + seg.value_start[i], length);
        }
    }
    return checksum;
}

static uint64_t add_records(const ottla_batch *batch) {
    ottla_error *error = NULL;
    uint64_t checksum = 0;
    for (size_t row = 0; row < ottla_batch_rows(batch); row++) {
        ottla_record r;
        check("record", ottla_batch_record(batch, row, &r, &error), &error);
        checksum += bench_checksum(r.offset, r.key.data, r.key.len, r.value.data, r.value.len);
    }
    return checksum;
}

static void start(const bench_options *o, const ottla_consumer *consumer) {
    ottla_error *error = NULL;
    if (o->group) {
        check("subscribe", ottla_consumer_subscribe(consumer, &o->topic, 1, &error), &error);
        return;
    }
    ottla_assignment *partitions = (ottla_assignment *)need(calloc((size_t)o->partitions, sizeof *partitions));
    for (int i = 0; i < o->partitions; i++) {
        ottla_assignment one = {o->topic, 0, i, OTTLA_START_OFFSET};
        partitions[i] = one;
    }
    check("assign", ottla_consumer_assign(consumer, partitions, (size_t)o->partitions, &error), &error);
    free(partitions);
}

static void consume(const bench_options *o) {
    ottla_error *error = NULL;
    const double made = bench_now();
    ottla_config *config = configuration(o);
    ottla_consumer *consumer = NULL;
    check("consumer", ottla_consumer_new(config, &consumer, &error), &error);
    ottla_config_free(config);
    double begun = bench_now();
    start(o, consumer);
    uint64_t got = 0, checksum = 0;
    while (got < o->n) {
        ottla_batch *batch = NULL;
        ottla_event *event = NULL;
        const size_t wanted = o->n - got < SLICE ? (size_t)(o->n - got) : SLICE;
        check("poll", ottla_consumer_poll(consumer, wanted, IDLE_LIMIT_MS, &batch, &event, &error), &error);
        if (event) {
            if (ottla_event_kind(event) != OTTLA_EVENT_PARTITIONS_ASSIGNED) {
                bench_fail("consume", ottla_event_message(event));
            }
            ottla_event_free(event);
            continue;
        }
        if (!batch) {
            bench_fail("consume", "nothing came for 60 s");
        }
        if (o->group && got == 0) {
            bench_first_ms = (bench_now() - made) * 1e3;
        }
        checksum += o->single ? add_records(batch) : add_columns(batch);
        got += ottla_batch_rows(batch);
        ottla_batch_free(batch);
    }
    double wall_s = bench_now() - begun;
    check("close", ottla_consumer_close(consumer, IDLE_LIMIT_MS, &error), &error);
    ottla_consumer_free(consumer);
    bench_report(got, wall_s, checksum);
}

int main(int argc, char **argv) {
    bench_options o = bench_parse(argc, argv);
    if (o.headers > MAX_HEADERS) {
        bench_fail("--headers", "at most 16");
    }
    bench_payload p = bench_load(&o);
    if (o.produce) {
        produce(&o, &p);
    } else {
        consume(&o);
    }
    free(p.values);
    free(p.keys);
    return 0;
}
