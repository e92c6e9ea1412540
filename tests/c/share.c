/* Share groups: polled, acknowledged record by record, given back; what is refused.
   Also on a real Kafka: OTTLA_TEST_BOOTSTRAP. */
#include "check.h"

static int old_kafka(void) {
    const char *version = getenv("OTTLA_TEST_KAFKA_VERSION");
    return version != NULL && version[0] == '3';
}

static ottla_share_consumer *member_of(ground g, const char *topic, const char *mode) {
    ottla_error *error = NULL;
    const char *pairs[] = {"group.id", topic, "fetch.max.wait.ms", "100", "share.acknowledgement.mode", mode, NULL};
    ottla_config *config = config_of(g.bootstrap, pairs);
    ottla_share_consumer *consumer = NULL;
    OK(ottla_share_consumer_new(config, &consumer, &error));
    ottla_config_free(config);
    OK(ottla_share_consumer_subscribe(consumer, &topic, 1, &error));
    return consumer;
}

static void end(ottla_share_consumer *consumer) {
    ottla_error *error = NULL;
    OK(ottla_share_consumer_close(consumer, 30000, &error));
    ottla_share_consumer_free(consumer);
}

/* The next event or batch. */
static void turn(ottla_share_consumer *consumer, ottla_batch **batch, ottla_event **event) {
    ottla_error *error = NULL;
    int64_t limit = now_ms() + LIMIT_MS;
    *batch = NULL;
    *event = NULL;
    while (*batch == NULL && *event == NULL) {
        CHECK(now_ms() < limit);
        OK(ottla_share_consumer_poll(consumer, 1000, batch, event, &error));
    }
}

static ottla_batch *records(ottla_share_consumer *consumer, size_t count, int16_t deliveries) {
    ottla_batch *batch = NULL;
    ottla_event *event = NULL;
    turn(consumer, &batch, &event);
    if (event != NULL) {
        fprintf(stderr, "an event that is not due: %s\n", ottla_event_message(event));
        exit(1);
    }
    SAME(ottla_batch_rows(batch), count);
    const int16_t *counts = ottla_batch_delivery_counts(batch);
    for (size_t i = 0; i < count; i++) {
        SAME(counts[i], deliveries);
    }
    return batch;
}

/* The group begins at the end of what is there when it first fetches. */
static void begin(ottla_share_consumer *consumer) {
    ottla_error *error = NULL;
    int64_t limit = now_ms() + LIMIT_MS, lock = -1;
    while (lock < 0) {
        ottla_batch *batch = NULL;
        ottla_event *event = NULL;
        CHECK(now_ms() < limit);
        OK(ottla_share_consumer_poll(consumer, 50, &batch, &event, &error));
        CHECK(batch == NULL && event == NULL);
        OK(ottla_share_consumer_lock_duration(consumer, &lock, &error));
    }
}

static void fill(ground g, const char *topic, int count) {
    ottla_error *error = NULL;
    ottla_producer *producer = producer_of(g, NULL);
    for (int i = 0; i < count; i++) {
        OK(ottla_producer_send(producer, topic, 0, bytes(NULL), bytes("job"), NULL, 0, -1, 0, -1, &error));
    }
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
}

static void each_word(ground g) {
    ottla_error *error = NULL;
    const char *topic = new_topic(g, 1);
    ottla_share_consumer *first = member_of(g, topic, "explicit");
    begin(first);
    fill(g, topic, 4);
    ottla_batch *batch = records(first, 4, 1), *none = NULL;
    ottla_event *event = NULL;
    FAILS(ottla_share_consumer_poll(first, 0, &none, &event, &error), OTTLA_ERR_INVALID_ARGUMENT, "4 records");
    OK(ottla_share_consumer_acknowledge(first, batch, 0, 2, OTTLA_ACKNOWLEDGE_ACCEPT, &error));
    OK(ottla_share_consumer_acknowledge(first, batch, 2, 1, OTTLA_ACKNOWLEDGE_REJECT, &error));
    OK(ottla_share_consumer_acknowledge_offset(first, topic, 0, 3, OTTLA_ACKNOWLEDGE_RENEW, &error));
    OK(ottla_share_consumer_commit(first, 30000, &error));
    OK(ottla_share_consumer_acknowledge(first, batch, 3, 1, OTTLA_ACKNOWLEDGE_RELEASE, &error));
    OK(ottla_share_consumer_commit_async(first, &error));
    ottla_batch_free(batch);

    batch = records(first, 1, 2);
    ottla_record record;
    OK(ottla_batch_record(batch, 0, &record, &error));
    SAME(record.offset, 3);
    CHECK(is(record.value, "job"));

    FAILS(ottla_share_consumer_acknowledge(first, batch, 0, 2, OTTLA_ACKNOWLEDGE_ACCEPT, &error),
          OTTLA_ERR_INVALID_ARGUMENT, "a batch of 1");
    FAILS(ottla_share_consumer_acknowledge(first, batch, 0, 1, 7, &error), OTTLA_ERR_INVALID_ARGUMENT,
          "OTTLA_ACKNOWLEDGE_");
    FAILS(ottla_share_consumer_acknowledge(first, NULL, 0, 1, 1, &error), OTTLA_ERR_INVALID_ARGUMENT, "batch");
    FAILS(ottla_share_consumer_acknowledge_offset(first, topic, 0, 0, OTTLA_ACKNOWLEDGE_ACCEPT, &error),
          OTTLA_ERR_INVALID_ARGUMENT, "does not have");
    /* What it has when it goes is another one's at once, as no word was said of it. */
    end(first);
    ottla_batch_free(batch);
    ottla_share_consumer *second = member_of(g, topic, "implicit");
    batch = records(second, 1, 3);
    ottla_batch *copy = NULL;
    OK(ottla_batch_compact(batch, &copy, &error));
    SAME(ottla_batch_delivery_counts(copy)[0], 3);
    ottla_batch_free(copy);
    ottla_batch_free(batch);
    OK(ottla_share_consumer_commit(second, 30000, &error));
    OK(ottla_share_consumer_unsubscribe(second, 30000, &error));
    FAILS(ottla_share_consumer_poll(second, 0, &none, &event, &error), OTTLA_ERR_INVALID_ARGUMENT, "subscribe");
    end(second);
}

static void what_is_refused(ground g) {
    ottla_error *error = NULL;
    ottla_share_consumer *consumer = NULL;
    ottla_config *config = config_of(g.bootstrap, NULL);
    FAILS(ottla_share_consumer_new(config, &consumer, &error), OTTLA_ERR_CONFIG, "`group.id` is not set");
    OK(ottla_config_set(config, "group.id", "g", &error));
    OK(ottla_config_set(config, "auto.offset.reset", "earliest", &error));
    FAILS(ottla_share_consumer_new(config, &consumer, &error), OTTLA_ERR_CONFIG, "a share consumer");
    ottla_config_free(config);
    FAILS(ottla_share_consumer_new(NULL, &consumer, &error), OTTLA_ERR_INVALID_ARGUMENT, "config");
    FAILS(ottla_share_consumer_commit(NULL, 0, &error), OTTLA_ERR_INVALID_ARGUMENT, "share consumer");
    CHECK(ottla_batch_delivery_counts(NULL) == NULL);
    ottla_share_consumer_free(NULL);
}

static void too_old(ground g) {
    const char *topic = new_topic(g, 1);
    ottla_share_consumer *consumer = member_of(g, topic, "implicit");
    ottla_batch *batch = NULL;
    ottla_event *event = NULL;
    turn(consumer, &batch, &event);
    SAME(ottla_event_kind(event), OTTLA_EVENT_GROUP_FAILING);
    CHECK(strstr(ottla_event_message(event), "Kafka 4.1 or newer") != NULL);
    ottla_event_free(event);
    end(consumer);
}

int main(void) {
    ground g = ground_start();
    what_is_refused(g);
    if (old_kafka()) {
        too_old(g);
    } else {
        each_word(g);
    }
    ground_end(g);
    return 0;
}
