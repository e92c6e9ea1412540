/* librdkafka at a steady rate, sending and reading, and in transactions; see ../bench.h for the command line. */
#include "../steady.h"
#include "rdkafka_api.h"

enum { LIMIT_MS = 60000, POLL_MS = 100, IDLE_LIMIT_S = 60 };

/* As in rdkafka.c. */
static const char *const CONSUMER[] = {
    "group.id=bench", "enable.auto.commit=false", "auto.offset.reset=latest", "queued.min.messages=100000",
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

/* Takes `conf` over. */
static rd_kafka_t *client(const bench_options *o, int type, rd_kafka_conf_t *conf) {
    char error[512];
    if (rd_kafka_conf_set(conf, "bootstrap.servers", o->bootstrap, error, sizeof error) != 0) {
        bench_fail("librdkafka", error);
    }
    for (int i = 0; i < o->setting_count; i++) {
        set(conf, o->settings[i]);
    }
    /* Transactions tell of failures themselves. */
    rd_kafka_conf_set_events(conf, strcmp(o->verb, "paced") == 0 ? RD_KAFKA_EVENT_DR : 0);
    rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof error);
    if (!rk) {
        bench_fail("librdkafka", error);
    }
    return rk;
}

static rd_kafka_t *producer_of(const bench_options *o) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "acks=all");
    return client(o, RD_KAFKA_PRODUCER, conf);
}

typedef struct {
    rd_kafka_queue_t *queue;
    steady_times *times;
} receiver;

static void *receive(void *argument) {
    receiver *r = (receiver *)argument;
    const rd_kafka_message_t *messages[1024];
    const double limit = bench_now() + STEADY_LIMIT_S;
    while (r->times->ended < r->times->n && bench_now() < limit) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(r->queue, STEADY_POLL_MS);
        const double now = bench_now();
        size_t count;
        while (event && (count = rd_kafka_event_message_array(event, messages, 1024)) > 0) {
            for (size_t i = 0; i < count; i++) {
                if (messages[i]->err) {
                    bench_fail("delivery", rd_kafka_err2str(messages[i]->err));
                }
                steady_ended(r->times, (uint64_t)(uintptr_t)messages[i]->private_, now);
            }
        }
        if (event) {
            rd_kafka_event_destroy(event);
        }
    }
    return NULL;
}

static void send(rd_kafka_t *rk, rd_kafka_topic_t *rkt, const bench_options *o, const bench_payload *p, uint64_t i,
                 int32_t partition) {
    while (rd_kafka_produce(rkt, partition, RD_KAFKA_MSG_F_COPY, p->values + i % p->rows * o->size, o->size, NULL, 0,
                            (void *)(uintptr_t)i) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_ERR_QUEUE_FULL) {
            bench_fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
        }
        rd_kafka_poll(rk, POLL_MS);
    }
}

static void paced(const bench_options *o, const bench_payload *p) {
    rd_kafka_t *rk = producer_of(o);
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, o->topic, NULL);
    steady_times times = steady_new(o->n);
    receiver r = {rd_kafka_queue_get_main(rk), &times};
    pthread_t thread;
    if (pthread_create(&thread, NULL, receive, &r) != 0) {
        bench_fail("pthread_create", "failed");
    }
    times.sent[0] = bench_now();
    steady_stamp(o, p->values, times.sent[0]);
    send(rk, rkt, o, p, 0, 0);
    steady_warm(&times);
    const double begun = bench_now();
    for (uint64_t i = 1; i < o->n; i++) {
        steady_pace(begun, i, o->rate);
        times.sent[i] = bench_now();
        steady_stamp(o, p->values + i % p->rows * o->size, times.sent[i]);
        send(rk, rkt, o, p, i, (int32_t)(i % (uint64_t)o->partitions));
    }
    pthread_join(thread, NULL);
    const double wall_s = bench_now() - begun;
    rd_kafka_queue_destroy(r.queue);
    rd_kafka_topic_destroy(rkt);
    rd_kafka_destroy(rk);
    if (times.ended != o->n) {
        bench_fail("paced", "not everything was delivered");
    }
    steady_report(&times, wall_s, times.n / 20);
}

static rd_kafka_t *consumer_of(const bench_options *o) {
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (const char *const *setting = CONSUMER; *setting; setting++) {
        set(conf, *setting);
    }
    if (o->group && rd_kafka_conf_set(conf, "group.id", bench_group(), error, sizeof error) != 0) {
        bench_fail("librdkafka", error);
    }
    return client(o, RD_KAFKA_CONSUMER, conf);
}

/* Record by record: asked for many at a time, it waits for as many, or until the timeout. */
static void listen_to(const bench_options *o) {
    rd_kafka_t *rk = consumer_of(o);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(o->partitions);
    if (o->group) {
        rd_kafka_topic_partition_list_add(list, o->topic, RD_KAFKA_PARTITION_UA);
    }
    for (int i = 0; i < o->partitions && !o->group; i++) {
        rd_kafka_topic_partition_list_add(list, o->topic, i);
        rd_kafka_topic_partition_list_set_offset(list, o->topic, i, RD_KAFKA_OFFSET_END);
    }
    steady_times times = steady_new(o->n);
    int64_t *next = steady_offsets(o);
    const double begun = bench_now();
    const int error = o->group ? rd_kafka_subscribe(rk, list) : rd_kafka_assign(rk, list);
    if (error) {
        bench_fail("assign", rd_kafka_err2str(error));
    }
    rd_kafka_topic_partition_list_destroy(list);
    for (double last = begun; times.ended < times.n;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, POLL_MS);
        const double now = bench_now();
        if (m && m->err) {
            bench_fail("listen", rd_kafka_err2str(m->err));
        }
        if (m) {
            steady_came(&times, next + m->partition, m->offset, m->payload, now);
            rd_kafka_message_destroy(m);
            last = now;
        } else if (now - last > IDLE_LIMIT_S) {
            bench_fail("listen", "nothing came for 60 s");
        }
    }
    const double wall_s = bench_now() - begun;
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    free(next);
    /* Until each partition's start is found a second or two may pass. */
    steady_report(&times, wall_s, times.n / 2);
}

static void check(const char *what, rd_kafka_error_t *error) {
    if (error) {
        bench_fail(what, rd_kafka_error_string(error));
    }
}

static void transact(const bench_options *o, const bench_payload *p) {
    rd_kafka_t *rk = producer_of(o);
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, o->topic, NULL);
    check("init", rd_kafka_init_transactions(rk, LIMIT_MS));
    const double begun = bench_now();
    for (uint64_t i = 0; i < o->n;) {
        check("begin", rd_kafka_begin_transaction(rk));
        for (const uint64_t end = i + TRANSACTION < o->n ? i + TRANSACTION : o->n; i < end; i++) {
            send(rk, rkt, o, p, i, RD_KAFKA_PARTITION_UA);
        }
        check("commit", rd_kafka_commit_transaction(rk, LIMIT_MS));
    }
    const double wall_s = bench_now() - begun;
    rd_kafka_topic_destroy(rkt);
    rd_kafka_destroy(rk);
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
