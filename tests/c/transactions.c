/* Transactions from C: what is committed is seen, what is aborted is not, misuse and fencing are told by the error object.
   Also on a real Kafka: OTTLA_TEST_BOOTSTRAP. */
#include "check.h"

/* What can be done about an error: exactly one thing, or nothing. */
static char kind(const ottla_error *error) {
    int retriable = ottla_error_is_retriable(error), abort = ottla_error_needs_abort(error);
    int fatal = ottla_error_is_fatal(error);
    CHECK(retriable + abort + fatal <= 1);
    return retriable ? 'r' : abort ? 'a' : fatal ? 'f' : '-';
}

/* A call that has to fail, with an error of this kind whose message holds this text. */
#define REFUSED(call, wanted, text)                                                                     \
    do {                                                                                                \
        CHECK((call) != OTTLA_OK);                                                                      \
        if (kind(error) != (wanted) || strstr(ottla_error_message(error), (text)) == NULL) {            \
            fprintf(stderr, "%s:%d: got %c: %s\n", __FILE__, __LINE__, kind(error),                     \
                    ottla_error_message(error));                                                        \
            exit(1);                                                                                    \
        }                                                                                               \
        ottla_error_free(error);                                                                        \
        error = NULL;                                                                                   \
    } while (0)

static ottla_error *error = NULL;

static ottla_status send(ottla_producer *producer, const char *topic, const char *value) {
    return ottla_producer_send(producer, topic, 0, bytes(NULL), bytes(value), NULL, 0, -1, 0, -1, &error);
}

/* Reads the committed values of a topic; they must be these, one letter each. */
static void check_committed(ground g, const char *topic, const char *letters) {
    const char *pairs[] = {"isolation.level", "read_committed", NULL};
    ottla_consumer *consumer = consumer_of(g, pairs);
    OK(ottla_consumer_assign_topic(consumer, topic, OTTLA_START_EARLIEST, 0, &error));
    size_t read = 0, wanted = strlen(letters);
    for (int quiet = 0; read < wanted || quiet == 0;) {
        ottla_batch *batch = NULL;
        ottla_event *event = NULL;
        OK(ottla_consumer_poll(consumer, 0, read < wanted ? LIMIT_MS : 300, &batch, &event, &error));
        CHECK(event == NULL);
        quiet = batch == NULL;
        for (size_t row = 0; row < ottla_batch_rows(batch); row++) {
            ottla_record record;
            OK(ottla_batch_record(batch, row, &record, &error));
            CHECK(read < wanted);
            CHECK(record.value.len == 1 && record.value.data[0] == (uint8_t)letters[read]);
            read++;
        }
        ottla_batch_free(batch);
    }
    ottla_consumer_free(consumer);
}

static void misuse(ground g, const char *topic) {
    ottla_producer *plain = producer_of(g, NULL);
    REFUSED(ottla_producer_init_transactions(plain, LIMIT_MS, &error), '-', "configure transactional.id");
    ottla_producer_free(plain);

    const char *pairs[] = {"transactional.id", topic, NULL};
    ottla_producer *producer = producer_of(g, pairs);
    REFUSED(ottla_producer_begin_transaction(producer, &error), '-', "call init_transactions first");
    OK(ottla_producer_init_transactions(producer, LIMIT_MS, &error));
    REFUSED(send(producer, topic, "x"), '-', "no transaction is open");
    REFUSED(ottla_producer_commit_transaction(producer, LIMIT_MS, &error), '-', "no transaction is open");
    OK(ottla_producer_begin_transaction(producer, &error));
    REFUSED(ottla_producer_begin_transaction(producer, &error), '-', "a transaction is open");
    ottla_offset_to_commit offset = {topic, 0, 1, -1, NULL};
    ottla_group_metadata group = {topic, -1, NULL, NULL}, nameless = {NULL, -1, NULL, NULL};
    FAILS(ottla_producer_send_offsets(producer, &offset, 1, NULL, LIMIT_MS, &error), OTTLA_ERR_INVALID_ARGUMENT, "group");
    FAILS(ottla_producer_send_offsets(producer, &offset, 1, &nameless, LIMIT_MS, &error), OTTLA_ERR_INVALID_ARGUMENT,
          "group_id");
    FAILS(ottla_producer_send_offsets(producer, NULL, 1, &group, LIMIT_MS, &error), OTTLA_ERR_INVALID_ARGUMENT, "offsets");
    offset.offset = -1;
    FAILS(ottla_producer_send_offsets(producer, &offset, 1, &group, LIMIT_MS, &error), OTTLA_ERR_INVALID_ARGUMENT, "offset -1");
    OK(ottla_producer_abort_transaction(producer, LIMIT_MS, &error));
    FAILS(ottla_producer_begin_transaction(NULL, &error), OTTLA_ERR_INVALID_ARGUMENT, "producer");
    ottla_producer_free(producer);
}

static void commit_abort_and_fence(ground g, const char *topic) {
    const char *pairs[] = {"transactional.id", topic, "max.request.size", "2000", "batch.size", "1000", NULL};
    ottla_producer *producer = producer_of(g, pairs);
    OK(ottla_producer_init_transactions(producer, LIMIT_MS, &error));

    OK(ottla_producer_begin_transaction(producer, &error));
    OK(send(producer, topic, "a"));
    ottla_offset_to_commit offset = {topic, 0, 1, -1, "so far"};
    ottla_group_metadata group = {topic, -1, NULL, NULL};
    OK(ottla_producer_send_offsets(producer, &offset, 1, &group, LIMIT_MS, &error));
    OK(ottla_producer_commit_transaction(producer, LIMIT_MS, &error));

    OK(ottla_producer_begin_transaction(producer, &error));
    OK(send(producer, topic, "b"));
    OK(ottla_producer_abort_transaction(producer, LIMIT_MS, &error));

    /* A record that failed refuses the commit, though nobody looked. */
    char large[3000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    OK(ottla_producer_begin_transaction(producer, &error));
    OK(send(producer, topic, "c"));
    REFUSED(send(producer, topic, large), 'a', "max.request.size");
    REFUSED(ottla_producer_commit_transaction(producer, LIMIT_MS, &error), 'a', topic);
    OK(ottla_producer_abort_transaction(producer, LIMIT_MS, &error));

    OK(ottla_producer_begin_transaction(producer, &error));
    OK(send(producer, topic, "d"));
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));

    ottla_producer *successor = producer_of(g, pairs);
    OK(ottla_producer_init_transactions(successor, LIMIT_MS, &error));
    REFUSED(ottla_producer_commit_transaction(producer, LIMIT_MS, &error), 'f', "has taken the transactional.id over");
    REFUSED(ottla_producer_begin_transaction(producer, &error), 'f', "PRODUCER_FENCED");
    OK(ottla_producer_begin_transaction(successor, &error));
    OK(send(successor, topic, "e"));
    OK(ottla_producer_commit_transaction(successor, LIMIT_MS, &error));
    check_committed(g, topic, "ae");
    OK(ottla_producer_close(successor, LIMIT_MS, &error));
    (void)!ottla_producer_close(producer, LIMIT_MS, NULL);
    ottla_producer_free(producer);
    ottla_producer_free(successor);
}

int main(void) {
    ground g = ground_start();
    misuse(g, new_topic(g, 1));
    commit_abort_and_fence(g, new_topic(g, 1));
    ground_end(g);
    return 0;
}
