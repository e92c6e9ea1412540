/* Clients made and freed as fast as two threads can: neither descriptors nor memory pile up behind them. */
#include "check.h"

#include <dirent.h>
#include <pthread.h>

enum { ROUNDS = 500, MAX_DESCRIPTORS = 250, MAX_GROWTH_KB = 96 * 1024 };

static int descriptors(void) {
    int count = 0;
    DIR *open_now = opendir("/proc/self/fd");
    CHECK(open_now != NULL);
    while (readdir(open_now) != NULL) {
        count++;
    }
    closedir(open_now);
    return count;
}

static long resident_kb(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0, resident = 0;
    CHECK(file != NULL && fscanf(file, "%ld %ld", &size, &resident) == 2);
    fclose(file);
    return resident * 4;
}

static const char *topic;

static void *make_and_free(void *argument) {
    ground g = *(ground *)argument;
    ottla_error *error = NULL;
    const char *in_group[] = {"group.id", "freeing", NULL};
    for (int i = 0; i < ROUNDS; i++) {
        ottla_producer *producer = producer_of(g, NULL);
        ottla_consumer *consumer = consumer_of(g, i % 2 ? in_group : NULL);
        OK(ottla_consumer_assign_topic(consumer, topic, OTTLA_START_EARLIEST, 0, &error));
        if (i % 3 == 0) {
            OK(ottla_producer_send(producer, topic, -1, bytes(NULL), bytes("v"), NULL, 0, -1, 0, -1, &error));
        }
        ottla_consumer_free(consumer);
        ottla_producer_free(producer);
        CHECK(descriptors() < MAX_DESCRIPTORS);
    }
    return NULL;
}

static void churn(ground g) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        SAME(pthread_create(&threads[i], NULL, make_and_free, &g), 0);
    }
    for (int i = 0; i < 2; i++) {
        SAME(pthread_join(threads[i], NULL), 0);
    }
}

/* Members freed while the broker does not answer that they leave: only so many wait for it. Each has up to five
   connections, and this process has both ends. */
static void leave_unheard(ground g) {
    enum { MEMBERS = 40, LEAVE_GROUP = 13, MAX_LEFT = 20, DESCRIPTORS = 10 };
    ottla_error *error = NULL;
    ottla_consumer *members[MEMBERS];
    ottla_producer *producer = producer_of(g, NULL);
    OK(ottla_producer_send(producer, topic, -1, bytes(NULL), bytes("v"), NULL, 0, -1, 0, -1, &error));
    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
    int idle = descriptors();
    for (int i = 0; i < MEMBERS; i++) {
        char group[16];
        snprintf(group, sizeof group, "leave-%d", i);
        const char *pairs[] = {"group.id", group, "group.protocol", "classic", "auto.offset.reset", "earliest", NULL};
        members[i] = consumer_of(g, pairs);
        OK(ottla_consumer_subscribe(members[i], &topic, 1, &error));
    }
    for (int i = 0; i < MEMBERS; i++) {
        ottla_batch_free(next_batch(members[i], 0));
    }
    OK(ottla_broker_add_fault(g.broker, OTTLA_FAULT_SWALLOW_REPLY, 0, -1, LEAVE_GROUP, NULL, -1, -1, &error));
    int64_t begun = now_ms();
    for (int i = 0; i < MEMBERS; i++) {
        ottla_consumer_free(members[i]);
    }
    CHECK(now_ms() - begun < 20000);
    CHECK(descriptors() < idle + MAX_LEFT * DESCRIPTORS);
    OK(ottla_broker_clear_faults(g.broker, &error));
}

int main(void) {
    setenv("OTTLA_LOG", "off", 1); /* what is given up here is so on purpose */
    ottla_error *error = NULL;
    ground g = {NULL, NULL};
    OK(ottla_broker_new(NULL, &g.broker, &error));
    g.bootstrap = ottla_broker_bootstrap_servers(g.broker);
    topic = new_topic(g, 1);
    int idle = descriptors();
    churn(g);
    long before = resident_kb();
    churn(g);
    churn(g);
    CHECK(resident_kb() - before < MAX_GROWTH_KB);
    int64_t limit = now_ms() + 10000;
    while (descriptors() > idle + 8) {
        CHECK(now_ms() < limit);
        struct timespec pause = {0, 10 * 1000 * 1000};
        nanosleep(&pause, NULL);
    }
    leave_unheard(g);
    ground_end(g);
    return 0;
}
