/* Waiting and being woken: wake calls, descriptors, a second poller, a full buffer.
   Also on a real Kafka: OTTLA_TEST_BOOTSTRAP. */
#include "check.h"

#include <poll.h>
#include <pthread.h>

static int readable(intptr_t descriptor, int timeout_ms) {
    struct pollfd p = {(int)descriptor, POLLIN, 0};
    return poll(&p, 1, timeout_ms) == 1;
}

typedef struct {
    ottla_consumer *consumer;
    ottla_producer *producer;
    ottla_status status;
} waiter;

static void *wait_for_records(void *argument) {
    waiter *w = (waiter *)argument;
    ottla_batch *batch = NULL;
    ottla_event *event = NULL;
    do {
        ottla_event_free(event);
        event = NULL;
        w->status = ottla_consumer_poll(w->consumer, 0, -1, &batch, &event, NULL);
        /* The other thread polls too, without waiting; what it does may be in this one's way. */
    } while (event != NULL || w->status == OTTLA_ERR_IN_USE);
    CHECK(batch == NULL);
    return NULL;
}

static void *wait_for_completions(void *argument) {
    waiter *w = (waiter *)argument;
    ottla_completions *completions = NULL;
    w->status = ottla_producer_poll(w->producer, 0, -1, &completions, NULL);
    CHECK(completions == NULL);
    return NULL;
}

static void consumer_waits(ground g) {
    ottla_error *error = NULL;
    const char *topic = new_topic(g, 1);
    ottla_consumer *consumer = consumer_of(g, NULL);
    ottla_assignment assignment = {topic, 0, 0, OTTLA_START_EARLIEST};
    OK(ottla_consumer_assign(consumer, &assignment, 1, &error));
    waiter w = {consumer, NULL, 0};
    pthread_t thread;

    /* A second poller is refused as soon as the first one is inside; then a wake ends the first one's wait. */
    SAME(pthread_create(&thread, NULL, wait_for_records, &w), 0);
    int64_t limit = now_ms() + LIMIT_MS;
    ottla_status status = OTTLA_OK;
    while (status != OTTLA_ERR_IN_USE && now_ms() < limit) {
        ottla_batch *batch = NULL;
        ottla_event *event = NULL;
        ottla_error_free(error);
        error = NULL;
        status = ottla_consumer_poll(consumer, 0, 0, &batch, &event, &error);
        CHECK(batch == NULL);
        ottla_event_free(event);
    }
    SAME(status, OTTLA_ERR_IN_USE);
    CHECK(strstr(ottla_error_message(error), "another thread") != NULL);
    ottla_error_free(error);
    error = NULL;
    /* Const calls go on beside it. */
    int64_t position = 0;
    OK(ottla_consumer_position(consumer, topic, 0, &position, &error));
    OK(ottla_consumer_wake(consumer, &error));
    SAME(pthread_join(thread, NULL), 0);
    SAME(w.status, OTTLA_ERR_WOKEN);

    /* The descriptor is readable once records are there, and no more when they have been polled. */
    intptr_t descriptor = -1, again = -1;
    OK(ottla_consumer_descriptor(consumer, &descriptor, &error));
    OK(ottla_consumer_descriptor(consumer, &again, &error));
    SAME(descriptor, again);
    ottla_batch *batch = NULL;
    ottla_event *event = NULL;
    ottla_producer *producer = producer_of(g, NULL);
    OK(ottla_producer_send(producer, topic, 0, bytes(NULL), bytes("v"), NULL, 0, -1, 0, -1, &error));
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));
    while (batch == NULL && now_ms() < limit) {
        CHECK(readable(descriptor, LIMIT_MS));
        OK(ottla_consumer_poll(consumer, 0, 0, &batch, &event, &error));
        ottla_event_free(event);
        event = NULL;
    }
    SAME(ottla_batch_rows(batch), 1);
    ottla_batch_free(batch);
    while (readable(descriptor, 0)) {
        CHECK(now_ms() < limit);
        OK(ottla_consumer_poll(consumer, 0, 0, &batch, &event, &error));
        CHECK(batch == NULL);
        ottla_event_free(event);
        event = NULL;
    }
    OK(ottla_consumer_wake(consumer, &error));
    CHECK(readable(descriptor, LIMIT_MS));
    FAILS(ottla_consumer_poll(consumer, 0, 0, &batch, &event, &error), OTTLA_ERR_WOKEN, "woken");

    /* Closing ends a wait. */
    SAME(pthread_create(&thread, NULL, wait_for_records, &w), 0);
    OK(ottla_consumer_close(consumer, 10000, &error));
    SAME(pthread_join(thread, NULL), 0);
    SAME(w.status, OTTLA_ERR_CLOSED);
    FAILS(ottla_consumer_poll(consumer, 0, 0, &batch, &event, &error), OTTLA_ERR_CLOSED, "closed");
    ottla_consumer_free(consumer);
    OK(ottla_producer_close(producer, 10000, &error));
    ottla_producer_free(producer);
}

static void producer_waits(ground g) {
    ottla_error *error = NULL;
    const char *topic = new_topic(g, 1);
    ottla_producer *producer = producer_of(g, NULL);
    waiter w = {NULL, producer, 0};
    pthread_t thread;
    SAME(pthread_create(&thread, NULL, wait_for_completions, &w), 0);
    OK(ottla_producer_wake(producer, &error));
    SAME(pthread_join(thread, NULL), 0);
    SAME(w.status, OTTLA_ERR_WOKEN);

    intptr_t descriptor = -1;
    OK(ottla_producer_descriptor(producer, &descriptor, &error));
    CHECK(!readable(descriptor, 0));
    const int32_t lengths[] = {1, 1, 1};
    ottla_column values = {(const uint8_t *)"abc", 3, NULL, lengths, NULL};
    size_t accepted = 0;
    OK(ottla_producer_send_batch(producer, topic, -1, 3, NULL, &values, NULL, NULL, 5, -1, &accepted, &error));
    OK(ottla_producer_send(producer, topic, -1, bytes(NULL), bytes("d"), NULL, 0, -1, 6, -1, &error));
    uint32_t seen = 0;
    while (seen < 4) {
        /* No call but poll(2): the batch leaves by itself. */
        CHECK(readable(descriptor, LIMIT_MS));
        ottla_completions *completions = NULL;
        OK(ottla_producer_poll(producer, 1, 0, &completions, &error));
        const ottla_completion *c = ottla_completions_data(completions);
        for (size_t i = 0; i < ottla_completions_count(completions); i++) {
            SAME(c[i].outcome, OTTLA_WRITTEN);
            CHECK(c[i].timestamp >= now_ms() - LIMIT_MS && c[i].timestamp <= now_ms() + 1000);
            seen += c[i].count;
        }
        ottla_completions_free(completions);
    }
    SAME(seen, 4);
    CHECK(!readable(descriptor, 0));

    SAME(pthread_create(&thread, NULL, wait_for_completions, &w), 0);
    OK(ottla_producer_close(producer, 10000, &error));
    SAME(pthread_join(thread, NULL), 0);
    SAME(w.status, OTTLA_ERR_CLOSED);
    ottla_producer_free(producer);
}

/* A full buffer answers AGAIN to who doesn't wait, and the descriptor tells of room. */
static void full_buffer(void) {
    ottla_error *error = NULL;
    ground g = {NULL, NULL};
    OK(ottla_broker_new(NULL, &g.broker, &error));
    g.bootstrap = ottla_broker_bootstrap_servers(g.broker);
    OK(ottla_broker_create_topic(g.broker, "full", 1, &error));
    static const char *const small[] = {"buffer.memory", "200000",      "batch.size",   "20000", "max.request.size",
                                        "100000",        "max.block.ms", "200", NULL};
    ottla_producer *producer = producer_of(g, small);
    OK(ottla_producer_connect(producer, 30000, &error));
    intptr_t descriptor = -1;
    OK(ottla_producer_descriptor(producer, &descriptor, &error));
    /* With the topic known, records are kept as long as delivery.timeout.ms says. */
    OK(ottla_producer_send(producer, "full", 0, bytes(NULL), bytes("first"), NULL, 0, -1, 0, -1, &error));
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));
    OK(ottla_broker_pause_node(g.broker, 1, &error));

    enum { ROWS = 1000, SIZE = 100 };
    static uint8_t blob[ROWS * SIZE];
    static int32_t lengths[ROWS];
    for (int i = 0; i < ROWS; i++) {
        lengths[i] = SIZE;
    }
    ottla_column values = {blob, sizeof blob, NULL, lengths, NULL};
    size_t taken = 0, accepted = 0;
    ottla_status status = OTTLA_OK;
    for (int i = 0; i < 10 && status == OTTLA_OK; i++) {
        ottla_error_free(error);
        error = NULL;
        status = ottla_producer_send_batch(producer, "full", 0, ROWS, NULL, &values, NULL, NULL, 0, 0, &accepted, &error);
        taken += accepted;
    }
    SAME(status, OTTLA_ERR_AGAIN);
    CHECK(accepted < ROWS);
    CHECK(ottla_error_is_retriable(error));
    CHECK(strstr(ottla_error_message(error), "buffer.memory=200000") != NULL);
    ottla_error_free(error);
    error = NULL;
    /* Whoever waits, waits as long as max.block.ms says, or as long as the call says. */
    FAILS(ottla_producer_send_batch(producer, "full", 0, ROWS, NULL, &values, NULL, NULL, 0, -1, &accepted, &error),
          OTTLA_ERR_BUFFER_FULL, "no room");
    taken += accepted;
    FAILS(ottla_producer_send_batch(producer, "full", 0, ROWS, NULL, &values, NULL, NULL, 0, 50, &accepted, &error),
          OTTLA_ERR_BUFFER_FULL, "no room");
    taken += accepted;
    ottla_status again = ottla_producer_send_batch(producer, "full", 0, ROWS, NULL, &values, NULL, NULL, 0, 0, &accepted,
                                                   NULL);
    SAME(again, OTTLA_ERR_AGAIN);
    taken += accepted;
    OK(ottla_broker_resume_node(g.broker, 1, &error));
    CHECK(readable(descriptor, LIMIT_MS));
    ottla_completions *completions = NULL;
    OK(ottla_producer_poll(producer, 0, 0, &completions, &error));
    CHECK(completions == NULL);
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));
    int64_t start = -1, end = -1;
    OK(ottla_broker_offsets(g.broker, "full", 0, &start, &end, &error));
    SAME(start, 0);
    SAME(end, 1 + taken);
    OK(ottla_producer_close(producer, 10000, &error));
    ottla_producer_free(producer);
    ottla_broker_free(g.broker);
}

int main(void) {
    ground g = ground_start();
    consumer_waits(g);
    producer_waits(g);
    ground_end(g);
    full_buffer();
    return 0;
}
