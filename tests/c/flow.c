/* Partitioners, topics' own settings, a bound on records, purges and statistics.
   Also on a real Kafka: OTTLA_TEST_BOOTSTRAP. */
#include "check.h"

#include <poll.h>

typedef struct {
    const char *topic;
    int asked;
    int32_t answer;
} asking;

static int32_t by_length(const char *topic, ottla_bytes key, int32_t partition_count, void *opaque) {
    asking *a = (asking *)opaque;
    a->asked++;
    CHECK(strcmp(topic, a->topic) == 0);
    SAME(partition_count, 3);
    if (a->answer != 0) {
        return a->answer;
    }
    return key.data == NULL ? -1 : (int32_t)key.len % partition_count;
}

static int32_t partition_of_next(ottla_producer *producer) {
    ottla_error *error = NULL;
    ottla_completions *completions = NULL;
    OK(ottla_producer_poll(producer, 1, LIMIT_MS, &completions, &error));
    SAME(ottla_completions_count(completions), 1);
    const ottla_completion *c = ottla_completions_data(completions);
    SAME(c->outcome, OTTLA_WRITTEN);
    int32_t partition = c->partition;
    ottla_completions_free(completions);
    return partition;
}

static void partitioners(ground g) {
    ottla_error *error = NULL;
    asking a = {new_topic(g, 3), 0, 0};
    ottla_producer *producer = producer_of(g, NULL);
    FAILS(ottla_producer_set_partitioner(producer, NULL, NULL, NULL, &error), OTTLA_ERR_INVALID_ARGUMENT, "function is NULL");
    OK(ottla_producer_set_partitioner(producer, a.topic, by_length, &a, &error));
    const char *keys[] = {NULL, "", "k", "kk", "kkk"};
    for (int i = 0; i < 5; i++) {
        OK(ottla_producer_send(producer, a.topic, -1, bytes(keys[i]), bytes("v"), NULL, 0, -1, 1, -1, &error));
        int32_t partition = partition_of_next(producer);
        if (keys[i] != NULL) {
            SAME(partition, strlen(keys[i]) % 3);
        }
    }
    SAME(a.asked, 5);
    /* A batch: all rows are asked for before any is taken. */
    const int32_t lengths[] = {1, 2, 3};
    ottla_column column = {(const uint8_t *)"kkkkkk", 6, NULL, lengths, NULL};
    size_t accepted = 9;
    a.answer = 3;
    FAILS(ottla_producer_send_batch(producer, a.topic, -1, 3, &column, NULL, NULL, NULL, 1, -1, &accepted, &error),
          OTTLA_ERR_INVALID_ARGUMENT, "chose partition 3");
    SAME(accepted, 0);
    a.answer = 0;
    OK(ottla_producer_send_batch(producer, a.topic, -1, 3, &column, NULL, NULL, NULL, 1, -1, &accepted, &error));
    SAME(accepted, 3);
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));
    FAILS(ottla_producer_set_partitioner(producer, a.topic, by_length, &a, &error), OTTLA_ERR_INVALID_ARGUMENT, "in use already");
    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
}

static void topics_of_their_own(ground g) {
    ottla_error *error = NULL;
    const char *topic = new_topic(g, 1);
    ottla_producer *producer = producer_of(g, NULL);
    ottla_config *config = ottla_config_new();
    OK(ottla_config_set(config, "acks", "0", &error));
    OK(ottla_producer_set_topic_config(producer, topic, config, &error));
    OK(ottla_config_set(config, "linger.ms", "soon", &error));
    FAILS(ottla_producer_set_topic_config(producer, "other", config, &error), OTTLA_ERR_CONFIG, "settings of topic 'other'");
    FAILS(ottla_producer_set_topic_config(producer, "other", NULL, &error), OTTLA_ERR_INVALID_ARGUMENT, "config is NULL");
    ottla_config_free(config);
    OK(ottla_producer_send(producer, topic, -1, bytes(NULL), bytes("v"), NULL, 0, -1, 1, -1, &error));
    ottla_completions *completions = NULL;
    OK(ottla_producer_poll(producer, 1, LIMIT_MS, &completions, &error));
    SAME(ottla_completions_data(completions)->base_offset, -1);
    ottla_completions_free(completions);
    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
}

static void bounded_and_purged(ground g) {
    ottla_error *error = NULL;
    const char *topic = new_topic(g, 1);
    const char *pairs[] = {"buffer.records", "2", "linger.ms", "1h", "delivery.timeout.ms", "inf", NULL};
    ottla_producer *producer = producer_of(g, pairs);
    intptr_t descriptor = -1;
    OK(ottla_producer_descriptor(producer, &descriptor, &error));
    for (uint64_t token = 1; token <= 2; token++) {
        OK(ottla_producer_send(producer, topic, 0, bytes(NULL), bytes("v"), NULL, 0, -1, token, 0, &error));
    }
    FAILS(ottla_producer_purge(producer, 0, &error), OTTLA_ERR_INVALID_ARGUMENT, "what is 0");
    OK(ottla_producer_purge(producer, OTTLA_PURGE_ALL, &error));
    ottla_completions *completions = NULL;
    OK(ottla_producer_poll(producer, 0, 0, &completions, &error));
    uint32_t ended = 0;
    for (size_t i = 0; i < ottla_completions_count(completions); i++) {
        const ottla_completion *c = ottla_completions_data(completions) + i;
        SAME(c->outcome, OTTLA_NOT_WRITTEN);
        SAME(ottla_error_code(c->error), OTTLA_ERR_PURGED);
        ended += c->count;
    }
    SAME(ended, 2);
    ottla_completions_free(completions);
    /* Full, a call that may not wait is refused; what lingers goes, and the descriptor tells of the room. */
    OK(ottla_producer_send(producer, topic, 0, bytes(NULL), bytes("v"), NULL, 0, -1, 0, 0, &error));
    OK(ottla_producer_send(producer, topic, 0, bytes(NULL), bytes("v"), NULL, 0, -1, 0, 0, &error));
    int64_t limit = now_ms() + LIMIT_MS;
    int refused = 0;
    while (ottla_producer_send(producer, topic, 0, bytes(NULL), bytes("v"), NULL, 0, -1, 0, 0, &error) != OTTLA_OK) {
        SAME(ottla_error_code(error), OTTLA_ERR_AGAIN);
        ottla_error_free(error);
        error = NULL;
        refused++;
        CHECK(now_ms() < limit);
        struct pollfd p = {(int)descriptor, POLLIN, 0};
        SAME(poll(&p, 1, LIMIT_MS), 1);
        completions = NULL;
        OK(ottla_producer_poll(producer, 0, 0, &completions, &error));
        ottla_completions_free(completions);
    }
    CHECK(refused > 0);
    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
}

static void statistics(ground g) {
    ottla_error *error = NULL;
    const char *topic = new_topic(g, 1);
    const char *pairs[] = {"statistics.interval.ms", "50", NULL};
    ottla_producer *producer = producer_of(g, pairs);
    OK(ottla_producer_send(producer, topic, 0, bytes("k"), bytes("v"), NULL, 0, -1, 0, -1, &error));
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));
    ottla_stats *stats = NULL;
    OK(ottla_producer_stats(producer, LIMIT_MS, &stats, &error));
    size_t count = ottla_stats_count(stats), partitions = 0, brokers = 0;
    CHECK(count >= 3);
    for (size_t i = 0; i < count; i++) {
        ottla_stats_scope scope;
        OK(ottla_stats_get(stats, i, &scope, &error));
        int64_t value = -1;
        ottla_histogram histogram;
        switch (scope.kind) {
        case OTTLA_STATS_CLIENT:
            CHECK(i == 0 && scope.topic == NULL && scope.address == NULL);
            OK(ottla_stats_value(stats, i, "records_written", &value, &error));
            SAME(value, 1);
            OK(ottla_stats_histogram(stats, i, "batch_size_bytes", &histogram, &error));
            SAME(histogram.count, 1);
            CHECK(histogram.min == histogram.max && histogram.p50 == histogram.p999);
            break;
        case OTTLA_STATS_BROKER:
            CHECK(scope.address != NULL && scope.state != NULL);
            brokers += scope.broker >= 0;
            break;
        default:
            SAME(scope.kind, OTTLA_STATS_PARTITION);
            CHECK(strcmp(scope.topic, topic) == 0 && scope.partition == 0);
            OK(ottla_stats_value(stats, i, "batches_sent", &value, &error));
            SAME(value, 1);
            SAME(ottla_stats_error_count(stats, i), 0);
            partitions++;
        }
        FAILS(ottla_stats_value(stats, i, "colour", &value, &error), OTTLA_ERR_INVALID_ARGUMENT, "is 'colour', but there are");
    }
    CHECK(partitions == 1 && brokers >= 1);
    CHECK(strstr(ottla_stats_json(stats), "\"records_written\":1") != NULL);
    ottla_stats_free(stats);
    /* The timer's ones end a poll that waits. */
    int64_t limit = now_ms() + LIMIT_MS;
    stats = NULL;
    while (stats == NULL) {
        CHECK(now_ms() < limit);
        ottla_completions *completions = NULL;
        OK(ottla_producer_poll(producer, 1, LIMIT_MS, &completions, &error));
        CHECK(completions == NULL);
        OK(ottla_producer_next_stats(producer, &stats, &error));
    }
    ottla_stats_free(stats);
    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);

    ottla_consumer *consumer = consumer_of(g, NULL);
    ottla_assignment assignment = {topic, 0, 0, OTTLA_START_EARLIEST};
    OK(ottla_consumer_assign(consumer, &assignment, 1, &error));
    ottla_batch *batch = next_batch(consumer, 0);
    OK(ottla_consumer_stats(consumer, LIMIT_MS, &stats, &error));
    int64_t held = 0;
    OK(ottla_stats_value(stats, 0, "held_bytes", &held, &error));
    CHECK(held > 0);
    ottla_stats_free(stats);
    OK(ottla_consumer_next_stats(consumer, &stats, &error));
    CHECK(stats == NULL);
    ottla_batch_free(batch);
    OK(ottla_consumer_close(consumer, LIMIT_MS, &error));
    ottla_consumer_free(consumer);
}

int main(void) {
    ground g = ground_start();
    partitioners(g);
    topics_of_their_own(g);
    bounded_and_purged(g);
    statistics(g);
    ground_end(g);
    return 0;
}
