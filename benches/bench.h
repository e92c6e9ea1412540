/*
 * What every benchmark program in C and C++ shares: the command line, the payload, the checksum, the report.
 *
 *   PROG produce|consume|paced|transact|listen --bootstrap B --topic T --n N --size S --payload FILE --codec C --partitions P
 *        [--keyed] [--headers H] [--threads K] [--single] [--warm] [--group] [--rate R]
 *        [--stamp] [--mixed] [--set KEY=VALUE ...]
 *
 * FILE holds rows of S bytes; record i carries row i modulo their count. With --keyed its key is that row's
 * number as KEY_SIZE decimal digits. With --mixed (rdkafka fills topics so) values are of 50 B to 20 kB, S on average. --headers adds H headers per record. --warm has the first record written before the
 * others are sent. With --group partitions come from a consumer group of the program's own, and the time to the first
 * record, from before the client was made, is told. A program prints one JSON line.
 *
 * `paced` (in the programs *_steady) sends --rate records a second to the partitions in turn and tells how long they took from
 * the call to the completion; `transact` sends transactions of TRANSACTION records. `listen` reads from the partitions' ends on,
 * while another program sends there `paced` with --stamp: then values begin with the time they were sent at, and how long
 * records took from there is told.
 */
#ifndef BENCH_H
#define BENCH_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { KEY_SIZE = 16, MAX_SETTINGS = 32, TRANSACTION = 1000 };

#define HEADER_VALUE "0123456789abcdef"

typedef struct {
    const char *verb;
    int produce; /* else consume */
    const char *bootstrap;
    const char *topic;
    const char *codec;
    const char *payload;
    uint64_t n;
    size_t size;
    int partitions;
    uint64_t rate;
    int keyed;
    int headers;
    int threads;
    int single;
    int warm;
    int group;
    int stamp;
    int mixed;
    const char *settings[MAX_SETTINGS];
    int setting_count;
} bench_options;

typedef struct {
    char *values; /* rows * size bytes */
    char *keys;   /* rows * KEY_SIZE bytes */
    uint64_t rows;
} bench_payload;

static inline void bench_fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static inline bench_options bench_parse(int argc, char **argv) {
    bench_options o;
    memset(&o, 0, sizeof o);
    o.codec = "none";
    o.partitions = 1;
    o.threads = 1;
    o.rate = 1000;
    if (argc < 2) {
        bench_fail("usage", "PROG produce|consume|... --bootstrap B --topic T --n N --size S --payload FILE ...");
    }
    o.verb = argv[1];
    o.produce = strcmp(argv[1], "consume") != 0 && strcmp(argv[1], "listen") != 0;
    for (int i = 2; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--keyed") == 0) {
            o.keyed = 1;
            continue;
        }
        if (strcmp(name, "--single") == 0) {
            o.single = 1;
            continue;
        }
        if (strcmp(name, "--warm") == 0) {
            o.warm = 1;
            continue;
        }
        if (strcmp(name, "--group") == 0) {
            o.group = 1;
            continue;
        }
        if (strcmp(name, "--stamp") == 0) {
            o.stamp = 1;
            continue;
        }
        if (strcmp(name, "--mixed") == 0) {
            o.mixed = 1;
            continue;
        }
        if (++i == argc) {
            bench_fail(name, "needs a value");
        }
        const char *value = argv[i];
        if (strcmp(name, "--bootstrap") == 0) {
            o.bootstrap = value;
        } else if (strcmp(name, "--topic") == 0) {
            o.topic = value;
        } else if (strcmp(name, "--codec") == 0) {
            o.codec = value;
        } else if (strcmp(name, "--payload") == 0) {
            o.payload = value;
        } else if (strcmp(name, "--n") == 0) {
            o.n = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--size") == 0) {
            o.size = (size_t)strtoull(value, NULL, 10);
        } else if (strcmp(name, "--partitions") == 0) {
            o.partitions = atoi(value);
        } else if (strcmp(name, "--rate") == 0) {
            o.rate = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--headers") == 0) {
            o.headers = atoi(value);
        } else if (strcmp(name, "--threads") == 0) {
            o.threads = atoi(value);
        } else if (strcmp(name, "--set") == 0 && o.setting_count < MAX_SETTINGS) {
            o.settings[o.setting_count++] = value;
        } else {
            bench_fail(name, "unknown option");
        }
    }
    if (!o.bootstrap || !o.topic || !o.n || !o.size || !o.payload || o.threads < 1 || o.partitions < 1 ||
        !o.rate) {
        bench_fail("usage", "--bootstrap, --topic, --n, --size and --payload are needed");
    }
    return o;
}

static inline bench_payload bench_load(const bench_options *o) {
    bench_payload p;
    FILE *file = fopen(o->payload, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        bench_fail(o->payload, "cannot be read");
    }
    long bytes = ftell(file);
    rewind(file);
    p.rows = (uint64_t)bytes / o->size;
    p.values = (char *)malloc((size_t)bytes);
    p.keys = (char *)malloc(p.rows * KEY_SIZE);
    if (!p.values || !p.keys || p.rows == 0 || fread(p.values, o->size, p.rows, file) != p.rows) {
        bench_fail(o->payload, "holds no whole row");
    }
    fclose(file);
    for (uint64_t i = 0; i < p.rows; i++) {
        uint64_t left = i;
        for (int digit = KEY_SIZE - 1; digit >= 0; digit--, left /= 10) {
            p.keys[i * KEY_SIZE + (uint64_t)digit] = (char)('0' + left % 10);
        }
    }
    return p;
}

/* What a consuming loop adds up for each record: the same in every language. */
static inline uint64_t bench_checksum(int64_t offset, const void *key, size_t key_length, const void *value,
                                      size_t length) {
    const unsigned char *k = (const unsigned char *)key;
    const unsigned char *v = (const unsigned char *)value;
    uint64_t sum = (uint64_t)offset + length + key_length;
    if (length > 0) {
        sum += (uint64_t)v[0] + v[length - 1];
    }
    if (key_length > 0) {
        sum += k[key_length - 1];
    }
    return sum;
}

/* The sizes of --mixed: log-normal with sigma 1.1, the same each time. */
static inline size_t bench_size(const bench_options *o, uint64_t i) {
    const double least = 50, most = 20000;
    if (!o->mixed) {
        return o->size;
    }
    uint64_t state = i + 1;
    double normal = -6; /* twelve uniform numbers added up are close to normal */
    for (int n = 0; n < 12; n++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        normal += (double)(state >> 11) / 9007199254740992.0;
    }
    const double size = (double)o->size * exp(1.1 * normal - 1.1 * 1.1 / 2);
    return (size_t)(size < least ? least : size > most ? most : size);
}

static inline double bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The most memory this program had in use. ru_maxrss would not do: it survives exec, so it knows the parent's too. */
static inline double bench_peak_mb(void) {
    char line[256];
    unsigned long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) {
        if (sscanf(line, "VmHWM: %lu", &kib) == 1) {
            break;
        }
    }
    if (status) {
        fclose(status);
    }
    return (double)kib * 1024e-6;
}

static inline double bench_cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

/* A consumer group of this run's own. */
static inline const char *bench_group(void) {
    static char name[64];
    snprintf(name, sizeof name, "bench-%d-%.0f", (int)getpid(), bench_now() * 1e3);
    return name;
}

/* When the first record came, in ms; below 0 where it isn't measured. */
static double bench_first_ms = -1;

static inline void bench_report(uint64_t n, double wall_s, uint64_t checksum) {
    printf("{\"n\": %llu, \"wall_s\": %.6f, \"cpu_s\": %.6f, \"peak_mb\": %.1f, \"checksum\": %llu",
           (unsigned long long)n, wall_s, bench_cpu(), bench_peak_mb(), (unsigned long long)checksum);
    if (bench_first_ms >= 0) {
        printf(", \"first_ms\": %.3f", bench_first_ms);
    }
    printf("}\n");
}

#endif
