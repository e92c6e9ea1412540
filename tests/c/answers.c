/* Calls that don't wait: an event loop that only ever waits for the clients' descriptors.
   Also on a real Kafka: OTTLA_TEST_BOOTSTRAP. */
#include "check.h"

#include <poll.h>

/* Waits until the descriptor is readable. */
static void until_readable(intptr_t descriptor) {
    struct pollfd p = {(int)descriptor, POLLIN, 0};
    SAME(poll(&p, 1, LIMIT_MS), 1);
}

#define NEXT_ANSWER(kind)                                                                                              \
    static ottla_answer *kind##_answer(const ottla_##kind *client, intptr_t descriptor, uint64_t token) {              \
        ottla_error *error = NULL;                                                                                     \
        ottla_answer *answer = NULL;                                                                                   \
        while (answer == NULL) {                                                                                       \
            until_readable(descriptor);                                                                                \
            OK(ottla_##kind##_next_answer(client, 0, &answer, &error));                                                \
        }                                                                                                              \
        SAME(ottla_answer_token(answer), token);                                                                       \
        return answer;                                                                                                 \
    }

NEXT_ANSWER(producer)
NEXT_ANSWER(admin)
NEXT_ANSWER(consumer)
NEXT_ANSWER(share_consumer)

static void succeeded(ottla_answer *answer) {
    const ottla_error *failed = ottla_answer_error(answer);
    if (failed != NULL) {
        fprintf(stderr, "%s: %s\n", ottla_answer_doing(answer), ottla_error_message(failed));
    }
    CHECK(failed == NULL);
    ottla_answer_free(answer);
}

static void administration(ground g, const char *topic) {
    ottla_error *error = NULL;
    ottla_config *config = config_of(g.bootstrap, NULL);
    ottla_admin *admin = NULL;
    OK(ottla_admin_new(config, &admin, &error));
    ottla_config_free(config);
    intptr_t fd = -1;
    OK(ottla_admin_descriptor(admin, &fd, &error));

    OK(ottla_admin_connect_async(admin, LIMIT_MS, 1, &error));
    succeeded(admin_answer(admin, fd, 1));

    ottla_new_topic wanted = {0};
    wanted.name = topic;
    wanted.partitions = 2;
    wanted.replication_factor = -1;
    OK(ottla_admin_create_topics_async(admin, &wanted, 1, false, LIMIT_MS, 2, &error));
    ottla_answer *answer = admin_answer(admin, fd, 2);
    ottla_topic_results *results = NULL;
    OK(ottla_answer_topic_results(answer, &results, &error));
    SAME(ottla_topic_results_count(results), 1);
    ottla_topic_results_free(results);
    /* An answer gives what its call gives, and nothing else. */
    ottla_cluster *cluster = NULL;
    FAILS(ottla_answer_cluster(answer, &cluster, &error), OTTLA_ERR_INVALID_ARGUMENT, "gives no description of a cluster");
    CHECK(ottla_answer_offsets(answer) == NULL);
    ottla_answer_free(answer);

    OK(ottla_admin_create_partitions_async(admin, topic, 3, false, LIMIT_MS, 3, &error));
    succeeded(admin_answer(admin, fd, 3));
    OK(ottla_admin_create_partitions_async(admin, topic, 3, false, LIMIT_MS, 4, &error));
    answer = admin_answer(admin, fd, 4);
    SAME(ottla_error_code(ottla_answer_error(answer)), OTTLA_ERR_INVALID_PARTITIONS);
    ottla_answer_free(answer);

    OK(ottla_admin_list_topics_async(admin, false, LIMIT_MS, 5, &error));
    answer = admin_answer(admin, fd, 5);
    ottla_topic_list *list = NULL;
    OK(ottla_answer_topic_list(answer, &list, &error));
    CHECK(ottla_topic_list_count(list) >= 1);
    ottla_topic_list_free(list);
    ottla_answer_free(answer);

    OK(ottla_admin_describe_topics_async(admin, &topic, 1, LIMIT_MS, 6, &error));
    answer = admin_answer(admin, fd, 6);
    ottla_topic_descriptions *descriptions = NULL;
    OK(ottla_answer_topic_descriptions(answer, &descriptions, &error));
    SAME(ottla_topic_descriptions_count(descriptions), 1);
    ottla_topic_descriptions_free(descriptions);
    ottla_answer_free(answer);

    OK(ottla_admin_describe_cluster_async(admin, LIMIT_MS, 7, &error));
    answer = admin_answer(admin, fd, 7);
    OK(ottla_answer_cluster(answer, &cluster, &error));
    ottla_cluster_free(cluster);
    ottla_answer_free(answer);

    /* Wrong arguments are told at once. */
    FAILS(ottla_admin_describe_cluster_async(admin, -2, 8, &error), OTTLA_ERR_INVALID_ARGUMENT, "timeout_ms is -2");
    FAILS(ottla_admin_list_topics_async(NULL, false, 1, 8, &error), OTTLA_ERR_INVALID_ARGUMENT, "admin is NULL");

    OK(ottla_admin_close_async(admin, LIMIT_MS, 9, &error));
    succeeded(admin_answer(admin, fd, 9));
    answer = NULL;
    FAILS(ottla_admin_next_answer(admin, LIMIT_MS, &answer, &error), OTTLA_ERR_CLOSED, "no answer will come");
    FAILS(ottla_admin_list_topics_async(admin, false, LIMIT_MS, 10, &error), OTTLA_ERR_CLOSED, "closed");
    ottla_admin_free(admin);
}

static void producing(ground g, const char *topic) {
    ottla_error *error = NULL;
    ottla_producer *producer = producer_of(g, NULL);
    intptr_t fd = -1;
    OK(ottla_producer_descriptor(producer, &fd, &error));
    OK(ottla_producer_connect_async(producer, LIMIT_MS, 1, &error));
    succeeded(producer_answer(producer, fd, 1));

    /* Token 0: nothing but the flush tells. */
    OK(ottla_producer_send(producer, topic, 0, bytes("k"), bytes("v"), NULL, 0, -1, 0, -1, &error));
    OK(ottla_producer_flush_async(producer, LIMIT_MS, 2, &error));
    succeeded(producer_answer(producer, fd, 2));
    ottla_producer_counts counts;
    OK(ottla_producer_get_counts(producer, &counts, &error));
    SAME(counts.written, 1);

    OK(ottla_producer_stats_async(producer, LIMIT_MS, 3, &error));
    ottla_answer *answer = producer_answer(producer, fd, 3);
    ottla_stats *stats = NULL;
    OK(ottla_answer_stats(answer, &stats, &error));
    ottla_stats_free(stats);
    ottla_answer_free(answer);

    OK(ottla_producer_purge_async(producer, OTTLA_PURGE_ALL, 4, &error));
    succeeded(producer_answer(producer, fd, 4));
    FAILS(ottla_producer_purge_async(producer, 9, 5, &error), OTTLA_ERR_INVALID_ARGUMENT, "what is 9");
    FAILS(ottla_producer_init_transactions_async(producer, LIMIT_MS, 5, &error), OTTLA_ERR_INVALID_TXN_STATE, "transactional.id");

    OK(ottla_producer_close_async(producer, LIMIT_MS, 6, &error));
    succeeded(producer_answer(producer, fd, 6));
    ottla_producer_free(producer);
}

static void transactions(ground g, const char *topic) {
    ottla_error *error = NULL;
    const char *pairs[] = {"transactional.id", topic, NULL};
    ottla_producer *producer = producer_of(g, pairs);
    intptr_t fd = -1;
    OK(ottla_producer_descriptor(producer, &fd, &error));
    OK(ottla_producer_init_transactions_async(producer, LIMIT_MS, 1, &error));
    succeeded(producer_answer(producer, fd, 1));
    for (uint64_t i = 0; i < 2; i++) {
        OK(ottla_producer_begin_transaction(producer, &error));
        OK(ottla_producer_send(producer, topic, 2, bytes("k"), bytes("v"), NULL, 0, -1, 0, -1, &error));
        ottla_offset_to_commit offset;
        memset(&offset, 0, sizeof offset);
        offset.topic = topic;
        offset.offset = 1;
        offset.leader_epoch = -1;
        ottla_group_metadata group;
        memset(&group, 0, sizeof group);
        group.group_id = topic;
        group.generation = -1;
        OK(ottla_producer_send_offsets_async(producer, &offset, 1, &group, LIMIT_MS, 2, &error));
        succeeded(producer_answer(producer, fd, 2));
        if (i == 0) {
            OK(ottla_producer_commit_transaction_async(producer, LIMIT_MS, 3, &error));
        } else {
            OK(ottla_producer_abort_transaction_async(producer, LIMIT_MS, 3, &error));
        }
        succeeded(producer_answer(producer, fd, 3));
    }
    OK(ottla_producer_begin_transaction(producer, &error));
    /* Closing aborts what is open. */
    OK(ottla_producer_close_async(producer, LIMIT_MS, 4, &error));
    succeeded(producer_answer(producer, fd, 4));
    ottla_answer *answer = NULL;
    FAILS(ottla_producer_next_answer(producer, LIMIT_MS, &answer, &error), OTTLA_ERR_CLOSED, "no answer will come");
    ottla_producer_free(producer);
}

/* Answers that nobody has taken, or that come after the client is gone, are dropped. */
static void forgotten(ground g) {
    ottla_error *error = NULL;
    ottla_producer *producer = producer_of(g, NULL);
    OK(ottla_producer_connect_async(producer, LIMIT_MS, 1, &error));
    OK(ottla_producer_flush_async(producer, LIMIT_MS, 2, &error));
    OK(ottla_producer_close_async(producer, LIMIT_MS, 3, &error));
    ottla_producer_free(producer);
    SAME(ottla_answer_token(NULL), 0);
    SAME(strlen(ottla_answer_doing(NULL)), 0);
    CHECK(ottla_answer_error(NULL) == NULL);
    SAME(ottla_answer_count(NULL), 0);
    CHECK(ottla_answer_offsets(NULL) == NULL);
    ottla_answer_free(NULL);
}

/* An answer in time, though what is waited for does not come. */
static void out_of_time(void) {
    ottla_error *error = NULL;
    const char *nobody[] = {"bootstrap.servers", "127.0.0.1:1", NULL};
    ottla_config *config = config_of(NULL, nobody);
    ottla_producer *producer = NULL;
    OK(ottla_producer_new(config, &producer, &error));
    ottla_config_free(config);
    intptr_t fd = -1;
    OK(ottla_producer_descriptor(producer, &fd, &error));
    OK(ottla_producer_send(producer, "t", 0, bytes("k"), bytes("v"), NULL, 0, -1, 0, -1, &error));
    int64_t begun = now_ms();
    OK(ottla_producer_flush_async(producer, 200, 1, &error));
    ottla_answer *answer = producer_answer(producer, fd, 1);
    SAME(ottla_error_code(ottla_answer_error(answer)), OTTLA_ERR_TIMED_OUT);
    CHECK(strstr(ottla_error_message(ottla_answer_error(answer)), "1 batches have not ended") != NULL);
    CHECK(now_ms() - begun >= 190);
    ottla_answer_free(answer);
    OK(ottla_producer_close_async(producer, 100, 2, &error));
    answer = producer_answer(producer, fd, 2);
    SAME(ottla_error_code(ottla_answer_error(answer)), OTTLA_ERR_TIMED_OUT);
    ottla_answer_free(answer);
    ottla_producer_free(producer);
}

static void consuming(ground g, const char *topic) {
    ottla_error *error = NULL;
    const char *pairs[] = {"group.id", topic, NULL};
    ottla_consumer *consumer = consumer_of(g, pairs);
    intptr_t fd = -1;
    OK(ottla_consumer_descriptor(consumer, &fd, &error));

    OK(ottla_consumer_connect_async(consumer, LIMIT_MS, 1, &error));
    succeeded(consumer_answer(consumer, fd, 1));

    const ottla_topic_partition partitions[] = {{topic, 0}, {topic, 1}};
    OK(ottla_consumer_beginning_offsets_async(consumer, partitions, 2, LIMIT_MS, 2, &error));
    ottla_answer *answer = consumer_answer(consumer, fd, 2);
    SAME(ottla_answer_count(answer), 2);
    SAME(ottla_answer_offsets(answer)[0], 0);
    SAME(ottla_answer_offsets(answer)[1], 0);
    CHECK(ottla_answer_timestamps(answer) == NULL);
    ottla_answer_free(answer);

    OK(ottla_consumer_end_offsets_async(consumer, partitions, 2, LIMIT_MS, 3, &error));
    answer = consumer_answer(consumer, fd, 3);
    SAME(ottla_answer_offsets(answer)[0], 1);
    ottla_answer_free(answer);

    const int64_t times[] = {0, 0};
    OK(ottla_consumer_offsets_for_times_async(consumer, partitions, times, 2, LIMIT_MS, 4, &error));
    answer = consumer_answer(consumer, fd, 4);
    SAME(ottla_answer_offsets(answer)[0], 0);
    CHECK(ottla_answer_timestamps(answer)[0] > 0);
    SAME(ottla_answer_offsets(answer)[1], -1);
    ottla_answer_free(answer);

    OK(ottla_consumer_partition_count_async(consumer, topic, LIMIT_MS, 5, &error));
    answer = consumer_answer(consumer, fd, 5);
    SAME(ottla_answer_count(answer), 3);
    ottla_answer_free(answer);

    OK(ottla_consumer_committed_async(consumer, partitions, 2, LIMIT_MS, 6, &error));
    answer = consumer_answer(consumer, fd, 6);
    ottla_offsets *committed = NULL;
    OK(ottla_answer_committed(answer, &committed, &error));
    SAME(ottla_offsets_count(committed), 2);
    ottla_offsets_free(committed);
    ottla_answer_free(answer);

    OK(ottla_consumer_stats_async(consumer, LIMIT_MS, 7, &error));
    answer = consumer_answer(consumer, fd, 7);
    ottla_stats *stats = NULL;
    OK(ottla_answer_stats(answer, &stats, &error));
    CHECK(ottla_stats_count(stats) >= 1);
    ottla_stats_free(stats);
    ottla_answer_free(answer);

    /* Commits return their token, and an event reports the outcome. */
    const ottla_assignment reads = {topic, 0, 0, OTTLA_START_EARLIEST};
    OK(ottla_consumer_assign(consumer, &reads, 1, &error));
    ottla_batch_free(next_batch(consumer, 1));
    uint64_t commit = 0;
    OK(ottla_consumer_commit_polled_async(consumer, &commit, &error));
    ottla_event *event = NULL;
    while (event == NULL) {
        ottla_batch *batch = NULL;
        until_readable(fd);
        OK(ottla_consumer_poll(consumer, 1, 0, &batch, &event, &error));
        ottla_batch_free(batch);
    }
    SAME(ottla_event_kind(event), OTTLA_EVENT_OFFSETS_COMMITTED);
    SAME(ottla_event_token(event), commit);
    CHECK(ottla_event_error(event) == NULL);
    ottla_event_free(event);
    OK(ottla_consumer_committed_async(consumer, partitions, 1, LIMIT_MS, 11, &error));
    answer = consumer_answer(consumer, fd, 11);
    OK(ottla_answer_committed(answer, &committed, &error));
    ottla_offset_to_commit found;
    OK(ottla_offsets_get(committed, 0, &found, &error));
    SAME(found.offset, 1);
    ottla_offsets_free(committed);
    ottla_answer_free(answer);

    /* What can't be had: the call's own error, and what it gives is not to be had either. */
    const ottla_topic_partition absent = {"no-such-topic-here", 7};
    OK(ottla_consumer_end_offsets_async(consumer, &absent, 1, 1500, 8, &error));
    answer = consumer_answer(consumer, fd, 8);
    CHECK(ottla_answer_error(answer) != NULL);
    SAME(ottla_answer_count(answer), 0);
    FAILS(ottla_answer_stats(answer, &stats, &error), ottla_error_code(ottla_answer_error(answer)), "no-such-topic-here");
    ottla_answer_free(answer);

    OK(ottla_consumer_unsubscribe_async(consumer, LIMIT_MS, 9, &error));
    succeeded(consumer_answer(consumer, fd, 9));
    OK(ottla_consumer_close_async(consumer, LIMIT_MS, 10, &error));
    succeeded(consumer_answer(consumer, fd, 10));
    ottla_consumer_free(consumer);
}

static void sharing(ground g, const char *topic) {
    ottla_error *error = NULL;
    const char *pairs[] = {"group.id", "answers-shared", NULL};
    ottla_config *config = config_of(g.bootstrap, pairs);
    ottla_share_consumer *consumer = NULL;
    OK(ottla_share_consumer_new(config, &consumer, &error));
    ottla_config_free(config);
    intptr_t fd = -1;
    OK(ottla_share_consumer_descriptor(consumer, &fd, &error));
    OK(ottla_share_consumer_connect_async(consumer, LIMIT_MS, 1, &error));
    succeeded(share_consumer_answer(consumer, fd, 1));
    OK(ottla_share_consumer_subscribe(consumer, &topic, 1, &error));
    OK(ottla_share_consumer_begin_commit(consumer, LIMIT_MS, 4, &error));
    succeeded(share_consumer_answer(consumer, fd, 4));
    OK(ottla_share_consumer_unsubscribe_async(consumer, LIMIT_MS, 2, &error));
    succeeded(share_consumer_answer(consumer, fd, 2));
    OK(ottla_share_consumer_close_async(consumer, LIMIT_MS, 3, &error));
    succeeded(share_consumer_answer(consumer, fd, 3));
    ottla_share_consumer_free(consumer);
}

int main(void) {
    ground g = ground_start();
    static char topic[64];
    snprintf(topic, sizeof topic, "answers-%" PRId64, now_ms());
    administration(g, topic);
    producing(g, topic);
    transactions(g, topic);
    consuming(g, topic);
    sharing(g, topic);
    forgotten(g);
    out_of_time();
    ground_end(g);
    return 0;
}
