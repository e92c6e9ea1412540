/*
 * The ceiling that the broker sets: the least a program can do to move the same records through the same broker.
 * `produce` sends one ready-made 1 MB batch again and again, IN_FLIGHT requests at a time; `consume` fetches and reads
 * nothing but each batch's header. No client: no copies, no encoding, no checks, one partition.
 */
#include "../bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH_BYTES = 1000000, IN_FLIGHT = 5, FETCH_BYTES = 8 << 20, HEADER = 61, LOG_OVERHEAD = 12 };
enum { PRODUCE = 0, FETCH = 1, PRODUCE_VERSION = 3, FETCH_VERSION = 4 };

typedef struct {
    unsigned char *at;
} writer;

static void put(writer *w, int bytes, uint64_t value) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
        *w->at++ = (unsigned char)(value >> shift);
    }
}

static void put_text(writer *w, const char *text) {
    size_t length = strlen(text);
    put(w, 2, length);
    memcpy(w->at, text, length);
    w->at += length;
}

static void put_varint(writer *w, int64_t value) {
    uint64_t left = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    for (; left > 0x7f; left >>= 7) {
        *w->at++ = (unsigned char)(left | 0x80);
    }
    *w->at++ = (unsigned char)left;
}

static int varint_length(int64_t value) {
    unsigned char scratch[10];
    writer w = {scratch};
    put_varint(&w, value);
    return (int)(w.at - scratch);
}

static uint64_t get(const unsigned char *at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static uint32_t crc32c(const unsigned char *bytes, size_t size) {
    static uint32_t table[256];
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++) {
            table[i] = table[i] >> 1 ^ (0x82f63b78u & -(table[i] & 1));
        }
    }
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 0xff];
    }
    return ~crc;
}

/* A whole batch of `count` records; returns its bytes. */
static size_t build_batch(unsigned char *out, const bench_options *o, const bench_payload *p, uint32_t count) {
    writer w = {out + HEADER};
    for (uint32_t i = 0; i < count; i++) {
        /* attributes, timestamp delta 0, offset delta, null key, value, no headers */
        int length = 1 + 1 + varint_length(i) + 1 + varint_length((int64_t)o->size) + (int)o->size + 1;
        put_varint(&w, length);
        put(&w, 1, 0);
        put_varint(&w, 0);
        put_varint(&w, i);
        put_varint(&w, -1);
        put_varint(&w, (int64_t)o->size);
        memcpy(w.at, p->values + i % p->rows * o->size, o->size);
        w.at += o->size;
        put_varint(&w, 0);
    }
    size_t size = (size_t)(w.at - out);
    uint64_t now = (uint64_t)time(NULL) * 1000;
    writer h = {out};
    put(&h, 8, 0);
    put(&h, 4, size - LOG_OVERHEAD);
    put(&h, 4, (uint64_t)-1);
    put(&h, 1, 2);
    put(&h, 4, 0);
    put(&h, 2, 0);
    put(&h, 4, count - 1);
    put(&h, 8, now);
    put(&h, 8, now);
    put(&h, 8, (uint64_t)-1);
    put(&h, 2, (uint64_t)-1);
    put(&h, 4, (uint64_t)-1);
    put(&h, 4, count);
    writer crc = {out + 17};
    put(&crc, 4, crc32c(out + 21, size - 21));
    return size;
}

static void read_all(int fd, unsigned char *to, size_t size) {
    while (size > 0) {
        ssize_t n = read(fd, to, size);
        if (n <= 0) {
            bench_fail("read", "the broker closed the connection");
        }
        to += n;
        size -= (size_t)n;
    }
}

static void write_all(int fd, const unsigned char *from, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, from, size);
        if (n <= 0) {
            bench_fail("write", "the broker closed the connection");
        }
        from += n;
        size -= (size_t)n;
    }
}

static size_t read_answer(int fd, unsigned char *to, size_t room) {
    unsigned char head[4];
    read_all(fd, head, sizeof head);
    size_t size = get(head, 4);
    if (size > room) {
        bench_fail("answer", "larger than asked for");
    }
    read_all(fd, to, size);
    return size;
}

static void request_header(writer *w, int api, int version) {
    put(w, 2, (uint64_t)api);
    put(w, 2, (uint64_t)version);
    put(w, 4, 0);
    put_text(w, "raw");
}

static void expect_written(int fd, const bench_options *o) {
    unsigned char answer[1024];
    read_answer(fd, answer, sizeof answer);
    /* correlation id, one topic, its name, one partition, its index, the error */
    size_t error_at = 4 + 4 + 2 + strlen(o->topic) + 4 + 4;
    if (get(answer + error_at, 2) != 0) {
        bench_fail("produce", "the broker refused a batch");
    }
}

static void produce(int fd, const bench_options *o, const bench_payload *p) {
    uint32_t most = (uint32_t)(BATCH_BYTES / (o->size + 24));
    unsigned char *batch = (unsigned char *)malloc(BATCH_BYTES + HEADER + o->size);
    unsigned char head[1024];
    int in_flight = 0;
    for (uint64_t left = o->n; left > 0;) {
        uint32_t count = left < most ? (uint32_t)left : most;
        size_t size = 0;
        if (left == o->n || count != most) {
            size = build_batch(batch, o, p, count);
        } else {
            size = get(batch + 8, 4) + LOG_OVERHEAD;
        }
        writer w = {head + 4};
        request_header(&w, PRODUCE, PRODUCE_VERSION);
        put(&w, 2, (uint64_t)-1); /* no transaction */
        put(&w, 2, (uint64_t)-1); /* acks=all */
        put(&w, 4, 30000);
        put(&w, 4, 1);
        put_text(&w, o->topic);
        put(&w, 4, 1);
        put(&w, 4, 0);
        put(&w, 4, size);
        size_t head_size = (size_t)(w.at - head);
        writer frame = {head};
        put(&frame, 4, head_size - 4 + size);
        if (in_flight == IN_FLIGHT) {
            expect_written(fd, o);
            in_flight--;
        }
        write_all(fd, head, head_size);
        write_all(fd, batch, size);
        in_flight++;
        left -= count;
    }
    for (; in_flight > 0; in_flight--) {
        expect_written(fd, o);
    }
    free(batch);
}

static void consume(int fd, const bench_options *o) {
    size_t room = FETCH_BYTES + 2 * BATCH_BYTES;
    unsigned char *answer = (unsigned char *)malloc(room);
    uint64_t offset = 0;
    while (offset < o->n) {
        unsigned char request[1024];
        writer w = {request + 4};
        request_header(&w, FETCH, FETCH_VERSION);
        put(&w, 4, (uint64_t)-1);
        put(&w, 4, 500);
        put(&w, 4, 1);
        put(&w, 4, FETCH_BYTES);
        put(&w, 1, 0);
        put(&w, 4, 1);
        put_text(&w, o->topic);
        put(&w, 4, 1);
        put(&w, 4, 0);
        put(&w, 8, offset);
        put(&w, 4, FETCH_BYTES);
        writer frame = {request};
        put(&frame, 4, (size_t)(w.at - request) - 4);
        write_all(fd, request, (size_t)(w.at - request));
        size_t size = read_answer(fd, answer, room);
        /* correlation id, throttle, one topic, its name, one partition, its index */
        size_t at = 4 + 4 + 4 + 2 + strlen(o->topic) + 4 + 4;
        if (get(answer + at, 2) != 0) {
            bench_fail("fetch", "the broker answered with an error");
        }
        at += 2 + 8 + 8;
        uint32_t aborted = (uint32_t)get(answer + at, 4);
        at += 4 + (aborted == UINT32_MAX ? 0 : 16 * (size_t)aborted) + 4;
        while (at + HEADER <= size) {
            offset = get(answer + at, 8) + get(answer + at + 23, 4) + 1;
            at += get(answer + at + 8, 4) + LOG_OVERHEAD;
        }
    }
    free(answer);
}

int main(int argc, char **argv) {
    bench_options o = bench_parse(argc, argv);
    bench_payload p = bench_load(&o);
    char host[128];
    const char *colon = strrchr(o.bootstrap, ':');
    if (!colon || o.partitions != 1) {
        bench_fail("usage", "one broker as host:port, one partition");
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - o.bootstrap), o.bootstrap);
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        bench_fail(host, "is no IPv4 address");
    }
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        bench_fail(o.bootstrap, "cannot be reached");
    }
    double begun = bench_now();
    if (o.produce) {
        produce(fd, &o, &p);
    } else {
        consume(fd, &o);
    }
    bench_report(o.n, bench_now() - begun, 0);
    close(fd);
    free(p.values);
    free(p.keys);
    return 0;
}
