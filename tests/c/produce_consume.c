/* Records written one by one and as columns, in every layout, and read back with every column checked.
   Also on a real Kafka: OTTLA_TEST_BOOTSTRAP. */
#include "check.h"

enum { MAX_ROWS = 64 };

typedef struct {
    const char *key, *value;
    int64_t timestamp;
    int headers;
    const char *names[2], *values[2];
} expected;

static expected wanted[MAX_ROWS];
static size_t wanted_count;

static expected *expect(const char *key, const char *value, int64_t timestamp) {
    CHECK(wanted_count < MAX_ROWS);
    expected *e = &wanted[wanted_count++];
    memset(e, 0, sizeof *e);
    e->key = key;
    e->value = value;
    e->timestamp = timestamp;
    return e;
}

static void header(expected *e, const char *name, const char *value) {
    e->names[e->headers] = name;
    e->values[e->headers++] = value;
}

static void send_single(ottla_producer *producer, const char *topic) {
    ottla_error *error = NULL;
    OK(ottla_producer_send(producer, topic, 0, bytes("k"), bytes("one"), NULL, 0, 1000, 11, -1, &error));
    expect("k", "one", 1000);
    OK(ottla_producer_send(producer, topic, 0, bytes(NULL), bytes(""), NULL, 0, 1001, 12, -1, &error));
    expect(NULL, "", 1001);
    OK(ottla_producer_send(producer, topic, 0, bytes(""), bytes(NULL), NULL, 0, 1002, 13, -1, &error));
    expect("", NULL, 1002);
    ottla_header headers[2] = {{bytes("trace"), bytes("a")}, {bytes("trace"), bytes(NULL)}};
    OK(ottla_producer_send(producer, topic, 0, bytes("h"), bytes("two"), headers, 2, 1003, 14, -1, &error));
    expected *e = expect("h", "two", 1003);
    header(e, "trace", "a");
    header(e, "trace", NULL);
    /* More than the function keeps on its stack. */
    ottla_header many[20];
    for (int i = 0; i < 20; i++) {
        many[i] = headers[0];
    }
    OK(ottla_producer_send(producer, topic, 0, bytes("20"), bytes(""), many, 20, 1004, 15, -1, &error));
    expect("20", "", 1004)->headers = 20;
}

static void send_columns(ottla_producer *producer, const char *topic) {
    ottla_error *error = NULL;
    size_t accepted = 99;

    /* A blob with lengths, -1 being null; timestamps; headers. */
    const int32_t key_lengths[] = {1, -1, 0}, value_lengths[] = {3, 0, -1};
    ottla_column keys = {(const uint8_t *)"x", 1, NULL, key_lengths, NULL};
    ottla_column values = {(const uint8_t *)"abc", 3, NULL, value_lengths, NULL};
    const int32_t counts[] = {1, 0, 2}, lengths[] = {1, 2, 2, -1, 1, 0};
    ottla_header_column headers = {counts, lengths, 6, (const uint8_t *)"nvvmmo", 6};
    const int64_t timestamps[] = {2000, 2001, 2002};
    OK(ottla_producer_send_batch(producer, topic, 0, 3, &keys, &values, &headers, timestamps, 21, -1, &accepted,
                                 &error));
    SAME(accepted, 3);
    header(expect("x", "abc", 2000), "n", "vv");
    expect(NULL, "", 2001);
    expected *e = expect("", NULL, 2002);
    header(e, "mm", NULL);
    header(e, "o", "");

    /* A blob with offsets, as a slice of an Arrow array: they don't begin at 0, nor end at the blob's end. */
    const int32_t offsets[] = {1, 3, 3, 6};
    ottla_column slice = {(const uint8_t *)"?defgh?", 7, NULL, NULL, offsets};
    OK(ottla_producer_send_batch(producer, topic, 0, 3, NULL, &slice, NULL, timestamps, 22, -1, &accepted, &error));
    SAME(accepted, 3);
    expect(NULL, "de", 2000);
    expect(NULL, "", 2001);
    expect(NULL, "fgh", 2002);

    /* Pointers with lengths; a NULL pointer and the length -1 are null. */
    const uint8_t *pointers[] = {(const uint8_t *)"far", NULL, (const uint8_t *)"away", (const uint8_t *)"never"};
    const int32_t pointer_lengths[] = {3, 0, 4, -1};
    ottla_column scattered = {NULL, 0, pointers, pointer_lengths, NULL};
    const int64_t times[] = {3000, 3001, 3002, 3003};
    OK(ottla_producer_send_batch(producer, topic, 0, 4, &scattered, &scattered, NULL, times, 23, -1, &accepted,
                                 &error));
    SAME(accepted, 4);
    expect("far", "far", 3000);
    expect(NULL, NULL, 3001);
    expect("away", "away", 3002);
    expect(NULL, NULL, 3003);

    /* NULL columns are columns of nulls; no rows are no error. */
    OK(ottla_producer_send_batch(producer, topic, 0, 2, NULL, NULL, NULL, times, 24, -1, &accepted, &error));
    SAME(accepted, 2);
    expect(NULL, NULL, 3000);
    expect(NULL, NULL, 3001);
    OK(ottla_producer_send_batch(producer, topic, 0, 0, NULL, NULL, NULL, NULL, 25, -1, &accepted, &error));
    SAME(accepted, 0);
}

static void refused_columns(ottla_producer *producer, const char *topic) {
    ottla_error *error = NULL;
    size_t accepted = 99;
    const ottla_status wrong = OTTLA_ERR_INVALID_ARGUMENT;
    const int32_t lengths[] = {1, 1}, below[] = {-2, 4}, falling[] = {0, 2, 1};
    const uint8_t *pointers[] = {NULL, (const uint8_t *)"b"};
    const struct {
        ottla_column column;
        const char *message;
    } cases[] = {
        {{(const uint8_t *)"abc", 3, NULL, lengths, NULL}, "add up to 2 bytes"},
        {{(const uint8_t *)"ab", 2, NULL, below, NULL}, "a length is -2"},
        {{(const uint8_t *)"ab", 2, NULL, NULL, falling}, "row 1 goes from 2 to 1"},
        {{(const uint8_t *)"a", 1, NULL, NULL, falling}, "falling offsets"},
        {{NULL, 2, NULL, lengths, NULL}, "is NULL, where 2 are needed"},
        {{(const uint8_t *)"ab", 2, NULL, lengths, falling}, "both lengths and offsets"},
        {{(const uint8_t *)"ab", 2, NULL, NULL, NULL}, "neither lengths nor offsets"},
        {{NULL, 0, pointers, NULL, NULL}, "has pointers"},
        {{NULL, 0, pointers, lengths, NULL}, "row 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        accepted = 99;
        FAILS(ottla_producer_send_batch(producer, topic, 0, 2, NULL, &cases[i].column, NULL, NULL, 1, -1, &accepted,
                                        &error),
              wrong, cases[i].message);
        SAME(accepted, 0);
    }
    const int32_t counts[] = {1, 0}, none[] = {-1, 0};
    ottla_header_column headers = {counts, none, 2, NULL, 0};
    FAILS(ottla_producer_send_batch(producer, topic, 0, 2, NULL, NULL, &headers, NULL, 1, -1, &accepted, &error), wrong,
          "only a value may be null");
    const int64_t times[] = {-2, 5};
    FAILS(ottla_producer_send_batch(producer, topic, 0, 2, NULL, NULL, NULL, times, 1, -1, &accepted, &error), wrong,
          "timestamps has -2");
    FAILS(ottla_producer_send_batch(producer, topic, 0, 2, NULL, NULL, NULL, NULL, 1, -1, NULL, &error), wrong,
          "accepted is NULL");
    FAILS(ottla_producer_send_batch(producer, topic, -2, 2, NULL, NULL, NULL, NULL, 1, -1, &accepted, &error), wrong,
          "partition is -2");
    FAILS(ottla_producer_send_batch(producer, topic, 0, 2, NULL, NULL, NULL, NULL, 1, -2, &accepted, &error), wrong,
          "timeout_ms is -2");
    FAILS(ottla_producer_send(producer, topic, 9, bytes("k"), bytes("v"), NULL, 0, -1, 1, -1, &error),
          OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION, "no partition 9");
    ottla_header nameless = {bytes(NULL), bytes("v")};
    FAILS(ottla_producer_send(producer, topic, 0, bytes("k"), bytes("v"), &nameless, 1, -1, 1, -1, &error), wrong,
          "a header's name is NULL");
    FAILS(ottla_producer_send(producer, "no spaces", 0, bytes("k"), bytes("v"), NULL, 0, -1, 1, -1, &error),
          OTTLA_ERR_INVALID_TOPIC_EXCEPTION, "no spaces");
    FAILS(ottla_producer_send(producer, "\xff", 0, bytes("k"), bytes("v"), NULL, 0, -1, 1, -1, &error), wrong, "UTF-8");
}

/* Every record of every token, by its place in the order of sending. */
static void completions(ottla_producer *producer, const char *topic, int64_t *base) {
    ottla_error *error = NULL;
    const struct {
        uint64_t token;
        uint32_t rows, first;
    } calls[] = {{11, 1, 0}, {12, 1, 1},  {13, 1, 2},  {14, 1, 3}, {15, 1, 4},
                 {21, 3, 5}, {22, 3, 8}, {23, 4, 11}, {24, 2, 15}};
    size_t seen = 0;
    int64_t limit = now_ms() + LIMIT_MS;
    *base = -1;
    while (seen < wanted_count && now_ms() < limit) {
        ottla_completions *got = NULL;
        OK(ottla_producer_poll(producer, 3, 1000, &got, &error));
        CHECK(ottla_completions_count(got) <= 3);
        const ottla_completion *c = ottla_completions_data(got);
        for (size_t i = 0; i < ottla_completions_count(got); i++) {
            size_t at = 0;
            while (at < sizeof calls / sizeof calls[0] && calls[at].token != c[i].token) {
                at++;
            }
            CHECK(at < sizeof calls / sizeof calls[0]);
            SAME(c[i].outcome, OTTLA_WRITTEN);
            CHECK(c[i].error == NULL && c[i].indices == NULL);
            CHECK(strcmp(c[i].topic, topic) == 0);
            SAME(c[i].partition, 0);
            CHECK(c[i].first + c[i].count <= calls[at].rows);
            int64_t own = c[i].base_offset - calls[at].first - c[i].first;
            if (*base < 0) {
                *base = own;
            }
            SAME(own, *base);
            seen += c[i].count;
        }
        ottla_completions_free(got);
    }
    SAME(seen, wanted_count);
}

static void check_headers(const ottla_batch *batch, size_t row, const expected *e) {
    ottla_error *error = NULL;
    ottla_header headers[32];
    size_t count = 99;
    OK(ottla_batch_headers(batch, row, NULL, 0, &count, &error));
    SAME(count, e->headers);
    OK(ottla_batch_headers(batch, row, headers, 32, &count, &error));
    SAME(count, e->headers);
    for (int i = 0; i < e->headers && i < 2 && e->names[0] != NULL; i++) {
        CHECK(is(headers[i].name, e->names[i]));
        CHECK(is(headers[i].value, e->values[i]));
    }
}

static void check_batch(const ottla_batch *batch, const char *topic, size_t *at, int64_t base) {
    ottla_error *error = NULL;
    size_t row = 0;
    for (size_t s = 0; s < ottla_batch_segment_count(batch); s++) {
        ottla_segment seg;
        OK(ottla_batch_segment(batch, s, &seg, &error));
        CHECK(strcmp(seg.topic, topic) == 0);
        SAME(seg.partition, 0);
        SAME(seg.first_row, row);
        SAME(seg.timestamp_type, OTTLA_TIMESTAMP_CREATE);
        for (size_t i = 0; i < seg.rows; i++, row++) {
            CHECK(*at < wanted_count);
            const expected *e = &wanted[*at];
            SAME(seg.offsets[i], base + (int64_t)*at);
            SAME(seg.timestamps[i], e->timestamp);
            SAME(seg.key_len[i], e->key ? (int)strlen(e->key) : -1);
            SAME(seg.value_len[i], e->value ? (int)strlen(e->value) : -1);
            SAME(seg.header_count[i], e->headers);
            if (e->value) {
                CHECK(memcmp(seg.base + seg.value_start[i], e->value, strlen(e->value)) == 0);
            }
            if (e->key) {
                CHECK(memcmp(seg.base + seg.key_start[i], e->key, strlen(e->key)) == 0);
            }
            ottla_record record;
            OK(ottla_batch_record(batch, row, &record, &error));
            CHECK(strcmp(record.topic, topic) == 0);
            CHECK(is(record.key, e->key) && is(record.value, e->value));
            SAME(record.offset, seg.offsets[i]);
            SAME(record.timestamp, e->timestamp);
            SAME(record.partition, 0);
            SAME(record.header_count, e->headers);
            SAME(record.timestamp_type, OTTLA_TIMESTAMP_CREATE);
            check_headers(batch, row, e);
            ++*at;
        }
    }
    SAME(row, ottla_batch_rows(batch));
    ottla_segment seg;
    ottla_record record;
    FAILS(ottla_batch_segment(batch, ottla_batch_segment_count(batch), &seg, &error), OTTLA_ERR_INVALID_ARGUMENT, "i is");
    FAILS(ottla_batch_record(batch, row, &record, &error), OTTLA_ERR_INVALID_ARGUMENT, "the batch has");
}

int main(void) {
    ottla_error *error = NULL;
    ground g = ground_start();
    const char *topic = new_topic(g, 1);
    static const char *const produce[] = {"linger.ms", "5", NULL};
    ottla_producer *producer = producer_of(g, produce);
    OK(ottla_producer_connect(producer, 30000, &error));
    send_single(producer, topic);
    send_columns(producer, topic);
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));
    refused_columns(producer, topic);
    int64_t base = 0;
    completions(producer, topic, &base);
    SAME(base, 0);
    ottla_producer_counts counts;
    OK(ottla_producer_get_counts(producer, &counts, &error));
    SAME(counts.written, wanted_count);
    SAME(counts.failed, 0);
    SAME(counts.live_batches, 0);
    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    FAILS(ottla_producer_send(producer, topic, 0, bytes("k"), bytes("v"), NULL, 0, -1, 1, -1, &error), OTTLA_ERR_CLOSED,
          "closed");
    ottla_completions *left = NULL;
    FAILS(ottla_producer_poll(producer, 0, 0, &left, &error), OTTLA_ERR_CLOSED, "closed");
    CHECK(left == NULL);
    ottla_producer_free(producer);

    ottla_consumer *consumer = consumer_of(g, NULL);
    ottla_assignment assignment = {topic, 0, 0, OTTLA_START_EARLIEST};
    OK(ottla_consumer_assign(consumer, &assignment, 1, &error));
    size_t at = 0;
    ottla_batch *compacted = NULL;
    size_t compacted_from = 0, held = 0;
    while (at < wanted_count) {
        size_t from = at;
        ottla_batch *batch = next_batch(consumer, 7);
        CHECK(ottla_batch_rows(batch) <= 7);
        check_batch(batch, topic, &at, base);
        if (compacted == NULL) {
            OK(ottla_batch_compact(batch, &compacted, &error));
            compacted_from = from;
            CHECK(ottla_batch_held_bytes(compacted) > 0);
            OK(ottla_consumer_held_bytes(consumer, &held, &error));
            CHECK(held >= ottla_batch_held_bytes(batch));
        }
        ottla_batch_free(batch);
    }
    OK(ottla_consumer_close(consumer, 10000, &error));
    ottla_consumer_free(consumer);
    ground_end(g);
    /* A batch outlives its consumer. */
    check_batch(compacted, topic, &compacted_from, base);
    ottla_batch_free(compacted);
    return 0;
}
