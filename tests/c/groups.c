/* Consumer groups: assigned, revoked, committed; events in the order they happen; what is refused.
   Also on a real Kafka: OTTLA_TEST_BOOTSTRAP. */
#include "check.h"

enum { PARTITIONS = 4, EACH = 10 };

/* A member and what it was told so far. */
typedef struct {
    ottla_consumer *consumer;
    const char *topic;
    int owned[PARTITIONS];
    int owns;
    int64_t read;
    uint64_t last_token;
    /* The last batch and the last revocation, kept for the test to look at. */
    ottla_batch *batch;
    ottla_event *revoked;
} member;

static member join(ground g, const char *group, const char *topic) {
    ottla_error *error = NULL;
    const char *pairs[] = {
        "group.id", group, "auto.offset.reset", "earliest", "enable.auto.commit", "false",
        "metadata.max.age.ms", "500", "heartbeat.interval.ms", "100", NULL,
    };
    member m;
    memset(&m, 0, sizeof m);
    m.consumer = consumer_of(g, pairs);
    m.topic = topic;
    OK(ottla_consumer_subscribe(m.consumer, &topic, 1, &error));
    return m;
}

static void own(member *m, const ottla_event *event, int yes) {
    ottla_error *error = NULL;
    for (size_t i = 0; i < ottla_event_partition_count(event); i++) {
        ottla_topic_partition p;
        OK(ottla_event_partition_get(event, i, &p, &error));
        CHECK(strcmp(p.topic, m->topic) == 0);
        CHECK(p.partition >= 0 && p.partition < PARTITIONS);
        CHECK(m->owned[p.partition] != yes);
        m->owned[p.partition] = yes;
        m->owns += yes ? 1 : -1;
    }
}

/* One poll. A revocation is kept, and so are its partitions until the next poll. */
static void turn(member *m) {
    ottla_error *error = NULL;
    ottla_batch *batch = NULL;
    ottla_event *event = NULL;
    if (m->revoked != NULL) {
        own(m, m->revoked, 0);
        ottla_event_free(m->revoked);
        m->revoked = NULL;
    }
    OK(ottla_consumer_poll(m->consumer, 0, 20, &batch, &event, &error));
    if (batch != NULL) {
        for (size_t s = 0; s < ottla_batch_segment_count(batch); s++) {
            ottla_segment segment;
            OK(ottla_batch_segment(batch, s, &segment, &error));
            CHECK(m->owned[segment.partition]);
        }
        m->read += (int64_t)ottla_batch_rows(batch);
        ottla_batch_free(m->batch);
        m->batch = batch;
    }
    switch (ottla_event_kind(event)) {
    case 0:
        break;
    case OTTLA_EVENT_PARTITIONS_ASSIGNED:
        own(m, event, 1);
        break;
    case OTTLA_EVENT_PARTITIONS_REVOKED:
        m->revoked = event;
        return;
    case OTTLA_EVENT_OFFSETS_COMMITTED:
        CHECK(ottla_event_error(event) == NULL);
        m->last_token = ottla_event_token(event);
        break;
    default:
        fprintf(stderr, "an event that is not due: %s\n", ottla_event_message(event));
        exit(1);
    }
    ottla_event_free(event);
}

static void part(member *m) {
    ottla_error *error = NULL;
    ottla_batch_free(m->batch);
    ottla_event_free(m->revoked);
    OK(ottla_consumer_close(m->consumer, 30000, &error));
    ottla_consumer_free(m->consumer);
}

static void fill(ground g, const char *topic) {
    ottla_error *error = NULL;
    ottla_producer *producer = producer_of(g, NULL);
    for (int i = 0; i < PARTITIONS * EACH; i++) {
        OK(ottla_producer_send(producer, topic, i % PARTITIONS, bytes(NULL), bytes("v"), NULL, 0, -1, 0, -1, &error));
    }
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));
    OK(ottla_producer_close(producer, 10000, &error));
    ottla_producer_free(producer);
}

static int64_t committed(const member *m, int32_t partition) {
    ottla_error *error = NULL;
    ottla_topic_partition wanted = {m->topic, partition};
    ottla_offsets *offsets = NULL;
    OK(ottla_consumer_committed(m->consumer, &wanted, 1, 30000, &offsets, &error));
    SAME(ottla_offsets_count(offsets), 1);
    ottla_offset_to_commit one;
    OK(ottla_offsets_get(offsets, 0, &one, &error));
    CHECK(strcmp(one.topic, m->topic) == 0);
    SAME(one.partition, partition);
    int64_t offset = one.offset;
    ottla_offsets_free(offsets);
    return offset;
}

static void members_come_and_go(ground g) {
    ottla_error *error = NULL;
    const char *topic = new_topic(g, PARTITIONS);
    fill(g, topic);
    int64_t limit = now_ms() + LIMIT_MS;

    member first = join(g, topic, topic);
    while (first.read < PARTITIONS * EACH) {
        CHECK(now_ms() < limit);
        turn(&first);
    }
    SAME(first.read, PARTITIONS * EACH);
    SAME(first.owns, PARTITIONS);
    SAME(committed(&first, 0), -1);
    OK(ottla_consumer_commit_polled(first.consumer, 30000, &error));
    for (int32_t p = 0; p < PARTITIONS; p++) {
        SAME(committed(&first, p), EACH);
    }

    ottla_membership *membership = NULL;
    ottla_group_metadata place;
    OK(ottla_consumer_membership(first.consumer, &membership, &error));
    OK(ottla_membership_get(membership, &place, &error));
    CHECK(strcmp(place.group_id, topic) == 0);
    CHECK(place.generation >= 0 && place.member_id != NULL && place.instance_id == NULL);
    ottla_membership_free(membership);

    /* In the background, with metadata; an event tells of it. */
    ottla_offset_to_commit mark = {topic, 0, 3, -1, "by hand"};
    uint64_t token = 0;
    OK(ottla_consumer_commit_async(first.consumer, &mark, 1, &token, &error));
    CHECK(token != 0);
    while (first.last_token != token) {
        CHECK(now_ms() < limit);
        turn(&first);
    }
    SAME(committed(&first, 0), 3);
    mark.offset = EACH;
    OK(ottla_consumer_commit(first.consumer, &mark, 1, 30000, &error));
    mark.offset = -5;
    FAILS(ottla_consumer_commit(first.consumer, &mark, 1, 30000, &error), OTTLA_ERR_INVALID_ARGUMENT, "-5");

    /* A second member takes its share, after the first was asked for it. */
    member second = join(g, topic, topic);
    while (first.revoked == NULL) {
        CHECK(now_ms() < limit);
        turn(&first);
        turn(&second);
    }
    ottla_topic_partition given;
    OK(ottla_event_partition_get(first.revoked, 0, &given, &error));
    /* Until it is acknowledged it can be committed. */
    ottla_offset_to_commit last = {topic, given.partition, EACH, -1, NULL};
    OK(ottla_consumer_commit(first.consumer, &last, 1, 30000, &error));
    OK(ottla_consumer_acknowledge(first.consumer, first.revoked, &error));
    while (first.owns != PARTITIONS / 2 || second.owns != PARTITIONS / 2) {
        CHECK(now_ms() < limit);
        turn(&first);
        turn(&second);
    }
    for (int p = 0; p < PARTITIONS; p++) {
        SAME(first.owned[p] + second.owned[p], 1);
        if (second.owned[p]) {
            last.partition = p;
        }
    }
    /* Everything was committed: the second reads nothing twice. What is not its own can't be committed any more. */
    SAME(second.read, 0);
    FAILS(ottla_consumer_commit(first.consumer, &last, 1, 30000, &error), OTTLA_ERR_PARTITION_REVOKED, topic);

    fill(g, topic);
    while (first.read + second.read < 2 * PARTITIONS * EACH) {
        CHECK(now_ms() < limit);
        turn(&first);
        turn(&second);
    }
    SAME(second.read, PARTITIONS / 2 * EACH);
    OK(ottla_consumer_commit_batch(second.consumer, second.batch, 30000, &error));
    OK(ottla_consumer_commit_polled(second.consumer, 30000, &error));
    OK(ottla_consumer_commit_polled(first.consumer, 30000, &error));

    /* One that goes gives its share back. */
    part(&second);
    while (first.owns != PARTITIONS) {
        CHECK(now_ms() < limit);
        turn(&first);
    }
    SAME(committed(&first, last.partition), 2 * EACH);
    OK(ottla_consumer_unsubscribe(first.consumer, 30000, &error));
    OK(ottla_consumer_membership(first.consumer, &membership, &error));
    OK(ottla_membership_get(membership, &place, &error));
    SAME(place.generation, -1);
    CHECK(place.member_id == NULL);
    ottla_membership_free(membership);
    part(&first);
}

static void what_is_refused(ground g) {
    ottla_error *error = NULL;
    const char *topic = "some";
    ottla_consumer *alone = consumer_of(g, NULL);
    ottla_offset_to_commit mark = {topic, 0, 3, -1, NULL};
    FAILS(ottla_consumer_subscribe(alone, &topic, 1, &error), OTTLA_ERR_INVALID_ARGUMENT, "group.id");
    FAILS(ottla_consumer_commit(alone, &mark, 1, 1000, &error), OTTLA_ERR_INVALID_ARGUMENT, "group.id");
    OK(ottla_consumer_close(alone, 10000, &error));
    ottla_consumer_free(alone);

    const char *pairs[] = {"group.id", "refusals", NULL};
    ottla_consumer *consumer = consumer_of(g, pairs);
    const char *empty = "";
    FAILS(ottla_consumer_subscribe(consumer, &empty, 1, &error), OTTLA_ERR_INVALID_ARGUMENT, "empty");
    FAILS(ottla_consumer_subscribe(consumer, NULL, 0, &error), OTTLA_ERR_INVALID_ARGUMENT, "topic");
    FAILS(ottla_consumer_subscribe_pattern(consumer, "a(b", &error), OTTLA_ERR_INVALID_ARGUMENT, "a(b");
    ottla_assignment assignment = {topic, 0, 0, OTTLA_START_EARLIEST};
    OK(ottla_consumer_assign(consumer, &assignment, 1, &error));
    FAILS(ottla_consumer_subscribe(consumer, &topic, 1, &error), OTTLA_ERR_INVALID_ARGUMENT, "assign");
    FAILS(ottla_consumer_mark(consumer, topic, 1, 5, &error), OTTLA_ERR_INVALID_ARGUMENT, "some-1");
    OK(ottla_consumer_close(consumer, 10000, &error));
    FAILS(ottla_consumer_subscribe(consumer, &topic, 1, &error), OTTLA_ERR_CLOSED, "closed");
    ottla_consumer_free(consumer);
    FAILS(ottla_consumer_subscribe(NULL, &topic, 1, &error), OTTLA_ERR_INVALID_ARGUMENT, "NULL");
}

int main(void) {
    ground g = ground_start();
    members_come_and_go(g);
    what_is_refused(g);
    ground_end(g);
    return 0;
}
