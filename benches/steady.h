/*
 * What the *_steady programs share: sending at a rate, and the times from call to completion, or to the reader.
 *
 * One thread sends, sleeping from one millisecond to the next; another takes completions and notes when each came. The time
 * that --stamp puts into values is the machine's, not the process's, so that a reader elsewhere can tell how long they took.
 */
#ifndef STEADY_H
#define STEADY_H

#include "bench.h"

#include <pthread.h>

enum { STEADY_LIMIT_S = 60, STEADY_POLL_MS = 100 };

typedef struct {
    double *sent; /* when record i was given to the client */
    double *took; /* how long until its completion came */
    uint64_t n, ended;
} steady_times;

static inline steady_times steady_new(uint64_t n) {
    steady_times t = {(double *)calloc(n, sizeof(double)), (double *)calloc(n, sizeof(double)), n, 0};
    if (!t.sent || !t.took) {
        bench_fail("malloc", "no memory");
    }
    return t;
}

static inline void steady_ended(steady_times *t, uint64_t record, double now) {
    t->took[record] = now - t->sent[record];
    __atomic_fetch_add(&t->ended, 1, __ATOMIC_RELEASE);
}

/* Waits for the first record, which waits for connections and metadata. */
static inline void steady_warm(const steady_times *t) {
    const double limit = bench_now() + STEADY_LIMIT_S;
    while (__atomic_load_n(&t->ended, __ATOMIC_ACQUIRE) == 0 && bench_now() < limit) {
        const struct timespec pause = {0, 1000000};
        nanosleep(&pause, NULL);
    }
}

/* Sleeps until record `i` is due: `rate` a second, those of a millisecond together. */
static inline void steady_pace(double begun, uint64_t i, uint64_t rate) {
    const uint64_t together = rate > 1000 ? rate / 1000 : 1;
    if (i % together == 0) {
        const double due = begun + (double)i / (double)rate;
        struct timespec at;
        at.tv_sec = (time_t)due;
        at.tv_nsec = (long)((due - (double)at.tv_sec) * 1e9);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    }
}

static inline void steady_stamp(const bench_options *o, char *value, double now) {
    if (o->stamp && o->size >= sizeof now) {
        memcpy(value, &now, sizeof now);
    }
}

/* Where each partition goes on; 0 before its first record. */
static inline int64_t *steady_offsets(const bench_options *o) {
    int64_t *next = (int64_t *)calloc((size_t)o->partitions, sizeof(int64_t));
    if (!next) {
        bench_fail("malloc", "no memory");
    }
    return next;
}

/* A stamped record has come to a reader. */
static inline void steady_came(steady_times *t, int64_t *next, int64_t offset, const void *value, double now) {
    double sent;
    memcpy(&sent, value, sizeof sent);
    if (*next != 0 && *next != offset) {
        bench_fail("listen", "a record is missing, or came twice");
    }
    *next = offset + 1;
    t->took[t->ended++] = now - sent;
}

static int steady_compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Tells of all records but the first `skip`, which meet caches and partitions that are not warm yet. */
static inline void steady_report(steady_times *t, double wall_s, uint64_t skip) {
    const uint64_t count = t->n - skip;
    qsort(t->took + skip, count, sizeof(double), steady_compare);
    printf("{\"n\": %llu, \"wall_s\": %.6f, \"cpu_s\": %.6f, \"peak_mb\": %.1f, \"checksum\": 0, \"p50_us\": %.1f, "
           "\"p99_us\": %.1f}\n",
           (unsigned long long)t->n, wall_s, bench_cpu(), bench_peak_mb(), t->took[skip + count / 2] * 1e6,
           t->took[skip + count * 99 / 100] * 1e6);
    free(t->sent);
    free(t->took);
}

#endif
