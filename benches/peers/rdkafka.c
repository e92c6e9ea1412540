/* librdkafka with the settings best for it; see ../bench.h for the command line. */
#include "../bench.h"
#include "rdkafka_api.h"

#include <pthread.h>

enum { POLL_MS = 100, SLICE = 10000, IDLE_LIMIT_S = 60 };

static const char *const PRODUCER[] = {
    "acks=all", "linger.ms=5", "batch.size=1000000", "batch.num.messages=1000000",
    "queue.buffering.max.messages=2000000", "queue.buffering.max.kbytes=131072", NULL,
};

/* Tried: larger queues and fetches cost more CPU, not less. */
static const char *const CONSUMER[] = {
    "group.id=bench", "enable.auto.commit=false", "auto.offset.reset=earliest", "queued.min.messages=100000",
    "queued.max.messages.kbytes=65536", "fetch.message.max.bytes=2097152", "check.crcs=false", NULL,
};

static void set(rd_kafka_conf_t *conf, const char *setting) {
    char key[128], error[512];
    const char *equals = strchr(setting, '=');
    snprintf(key, sizeof key, "%.*s", (int)(equals - setting), setting);
    if (rd_kafka_conf_set(conf, key, equals + 1, error, sizeof error) != 0) {
        bench_fail(setting, error);
    }
}

static rd_kafka_t *client(const bench_options *o, int type, const char *const *settings) {
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (; *settings; settings++) {
        set(conf, *settings);
    }
    if (rd_kafka_conf_set(conf, "bootstrap.servers", o->bootstrap, error, sizeof error) != 0 ||
        (o->produce && rd_kafka_conf_set(conf, "compression.codec", o->codec, error, sizeof error) != 0)) {
        bench_fail("librdkafka", error);
    }
    for (int i = 0; i < o->setting_count; i++) {
        set(conf, o->settings[i]);
    }
    if (o->group && rd_kafka_conf_set(conf, "group.id", bench_group(), error, sizeof error) != 0) {
        bench_fail("librdkafka", error);
    }
    rd_kafka_conf_set_events(conf, type == RD_KAFKA_PRODUCER ? RD_KAFKA_EVENT_DR : 0);
    rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof error);
    if (!rk) {
        bench_fail("librdkafka", error);
    }
    return rk;
}

typedef struct {
    const bench_options *o;
    const bench_payload *p;
    rd_kafka_t *rk;
    rd_kafka_topic_t *rkt;
    rd_kafka_queue_t *queue;
    uint64_t first, n;
    uint64_t delivered; /* by this thread's polls */
    pthread_t thread;
} producer;

/* Count delivery reports, whole events of them, as librdkafka hands them out. */
static void drain(producer *t, int timeout_ms) {
    const rd_kafka_message_t *messages[1024];
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(t->queue, timeout_ms)) != NULL) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
            size_t count;
            while ((count = rd_kafka_event_message_array(event, messages, 1024)) > 0) {
                for (size_t i = 0; i < count; i++) {
                    if (messages[i]->err) {
                        bench_fail("delivery", rd_kafka_err2str(messages[i]->err));
                    }
                }
                t->delivered += count;
            }
        }
        rd_kafka_event_destroy(event);
        timeout_ms = 0;
    }
}

static int with_headers(producer *t, char *value, size_t size, char *key, size_t key_size) {
    return rd_kafka_producev(t->rk, RD_KAFKA_VTYPE_RKT, t->rkt, RD_KAFKA_VTYPE_PARTITION, (int)RD_KAFKA_PARTITION_UA,
                             RD_KAFKA_VTYPE_MSGFLAGS, (int)RD_KAFKA_MSG_F_COPY, RD_KAFKA_VTYPE_VALUE, value, size,
                             RD_KAFKA_VTYPE_KEY, key, key_size, RD_KAFKA_VTYPE_HEADER, "trace", HEADER_VALUE,
                             (ssize_t)KEY_SIZE, RD_KAFKA_VTYPE_HEADER, "source", "bench", (ssize_t)5,
                             RD_KAFKA_VTYPE_END);
}

static void *produce_some(void *argument) {
    producer *t = (producer *)argument;
    const bench_options *o = t->o;
    const size_t bytes = (size_t)t->p->rows * o->size;
    uint64_t row = t->first % t->p->rows;
    for (uint64_t i = 0; i < t->n; i++) {
        const size_t size = bench_size(o, t->first + i);
        const size_t at = (size_t)row * o->size;
        char *value = t->p->values + (at + size > bytes ? bytes - size : at);
        char *key = o->keyed ? t->p->keys + row * KEY_SIZE : NULL;
        size_t key_size = o->keyed ? KEY_SIZE : 0;
        for (;;) {
            int error;
            if (o->headers) {
                error = with_headers(t, value, size, key, key_size);
            } else {
                error = rd_kafka_produce(t->rkt, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value, size, key,
                                         key_size, NULL)
                            ? rd_kafka_last_error()
                            : 0;
            }
            if (!error) {
                break;
            }
            if (error != RD_KAFKA_ERR_QUEUE_FULL) {
                bench_fail("produce", rd_kafka_err2str(error));
            }
            drain(t, POLL_MS);
        }
        if (++row == t->p->rows) {
            row = 0;
        }
        if (i % SLICE == 0) {
            drain(t, 0);
        }
    }
    return NULL;
}

static void produce(const bench_options *o, const bench_payload *p) {
    rd_kafka_t *rk = client(o, RD_KAFKA_PRODUCER, PRODUCER);
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, o->topic, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(rk);
    producer *threads = (producer *)calloc((size_t)o->threads, sizeof *threads);
    uint64_t delivered = 0, first = 0;
    double begun = bench_now();
    for (int i = 0; i < o->threads; i++) {
        uint64_t n = o->n / (uint64_t)o->threads + ((uint64_t)i < o->n % (uint64_t)o->threads);
        producer t = {o, p, rk, rkt, queue, first, n, 0, 0};
        first += n;
        threads[i] = t;
        if (i > 0 && pthread_create(&threads[i].thread, NULL, produce_some, &threads[i]) != 0) {
            bench_fail("pthread_create", "failed");
        }
    }
    produce_some(&threads[0]);
    for (int i = 1; i < o->threads; i++) {
        pthread_join(threads[i].thread, NULL);
        delivered += threads[i].delivered;
    }
    double limit = bench_now() + IDLE_LIMIT_S;
    while (delivered + threads[0].delivered < o->n && bench_now() < limit) {
        drain(&threads[0], POLL_MS);
    }
    delivered += threads[0].delivered;
    double wall_s = bench_now() - begun;
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(rkt);
    rd_kafka_destroy(rk);
    if (delivered != o->n) {
        bench_fail("produce", "not everything was delivered");
    }
    free(threads);
    bench_report(delivered, wall_s, 0);
}

static void consume(const bench_options *o) {
    const double made = bench_now();
    rd_kafka_t *rk = client(o, RD_KAFKA_CONSUMER, CONSUMER);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(o->partitions);
    if (o->group) {
        rd_kafka_topic_partition_list_add(list, o->topic, RD_KAFKA_PARTITION_UA);
    }
    for (int i = 0; i < o->partitions && !o->group; i++) {
        rd_kafka_topic_partition_list_add(list, o->topic, i);
        rd_kafka_topic_partition_list_set_offset(list, o->topic, i, 0);
    }
    double begun = bench_now(), last = begun;
    int error = o->group ? rd_kafka_subscribe(rk, list) : rd_kafka_assign(rk, list);
    if (error) {
        bench_fail("assign", rd_kafka_err2str(error));
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    static rd_kafka_message_t *messages[SLICE];
    uint64_t got = 0, checksum = 0;
    /* A timeout of 100 ms makes it wait that long for a full slice, so only the very last may wait. */
    while (got < o->n) {
        size_t wanted = o->n - got < SLICE ? (size_t)(o->n - got) : SLICE;
        ssize_t count = rd_kafka_consume_batch_queue(queue, POLL_MS, messages, o->single ? 1 : wanted);
        for (ssize_t i = 0; i < count; i++) {
            const rd_kafka_message_t *m = messages[i];
            if (m->err) {
                bench_fail("consume", rd_kafka_err2str(m->err));
            }
            checksum += bench_checksum(m->offset, m->key, m->key_len, m->payload, m->len);
            rd_kafka_message_destroy(messages[i]);
        }
        double now = bench_now();
        if (count > 0) {
            if (o->group && got == 0) {
                bench_first_ms = (now - made) * 1e3;
            }
            got += (uint64_t)count;
            last = now;
        } else if (now - last > IDLE_LIMIT_S) {
            bench_fail("consume", "nothing came for 60 s");
        }
    }
    double wall_s = bench_now() - begun;
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    bench_report(got, wall_s, checksum);
}

int main(int argc, char **argv) {
    bench_options o = bench_parse(argc, argv);
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
