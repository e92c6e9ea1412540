/* A record for which the system has no memory left is an error, and the producer goes on. */
#include "check.h"

#include <sys/resource.h>

enum { LARGE = 256 * 1024 * 1024, ROOM = 64 * 1024 * 1024 };

static long address_space(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;
    CHECK(file != NULL && fscanf(file, "%ld", &pages) == 1);
    fclose(file);
    return pages * 4096;
}

int main(void) {
    const char *preloaded = getenv("LD_PRELOAD");
    if (preloaded != NULL && strstr(preloaded, "vgpreload") != NULL) {
        return 0; /* valgrind needs memory itself */
    }
    ottla_error *error = NULL;
    ground g = {NULL, NULL};
    OK(ottla_broker_new(NULL, &g.broker, &error));
    g.bootstrap = ottla_broker_bootstrap_servers(g.broker);
    const char *topic = new_topic(g, 1);
    const char *pairs[] = {"buffer.memory", "1GiB", "max.request.size", "512MiB", NULL};
    ottla_producer *producer = producer_of(g, pairs);
    OK(ottla_producer_send(producer, topic, 0, bytes(NULL), bytes("v"), NULL, 0, -1, 0, -1, &error));
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));

    ottla_bytes large = {(const uint8_t *)calloc(1, LARGE), LARGE};
    CHECK(large.data != NULL);
    struct rlimit before, tight;
    SAME(getrlimit(RLIMIT_AS, &before), 0);
    tight = before;
    tight.rlim_cur = (rlim_t)(address_space() + ROOM);
    SAME(setrlimit(RLIMIT_AS, &tight), 0);
    ottla_status status = ottla_producer_send(producer, topic, 0, bytes(NULL), large, NULL, 0, -1, 0, -1, &error);
    SAME(setrlimit(RLIMIT_AS, &before), 0);
    FAILS(status, OTTLA_ERR_OUT_OF_MEMORY, "no memory for a buffer of");
    free((void *)(uintptr_t)large.data);

    OK(ottla_producer_send(producer, topic, 0, bytes(NULL), bytes("w"), NULL, 0, -1, 0, -1, &error));
    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    int64_t first = 0, end = 0;
    OK(ottla_broker_offsets(g.broker, topic, 0, &first, &end, &error));
    SAME(end, 2);
    ottla_producer_free(producer);
    ground_end(g);
    return 0;
}
