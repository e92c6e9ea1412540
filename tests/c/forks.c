/* A child process is told that its parent's clients are not its own, frees them without harm, and makes new ones.
   Also on a real Kafka: OTTLA_TEST_BOOTSTRAP. */
#include "check.h"

#include <pthread.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static void send_and_read(ground g, const char *topic, const char *value, size_t rows) {
    ottla_error *error = NULL;
    ottla_producer *producer = producer_of(g, NULL);
    OK(ottla_producer_send(producer, topic, 0, bytes(NULL), bytes(value), NULL, 0, -1, 0, -1, &error));
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));
    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
    ottla_consumer *consumer = consumer_of(g, NULL);
    OK(ottla_consumer_assign_topic(consumer, topic, OTTLA_START_EARLIEST, 0, &error));
    size_t seen = 0;
    while (seen < rows) {
        ottla_batch *batch = next_batch(consumer, 0);
        seen += ottla_batch_rows(batch);
        ottla_record record;
        OK(ottla_batch_record(batch, ottla_batch_rows(batch) - 1, &record, &error));
        CHECK(seen < rows || is(record.value, value));
        ottla_batch_free(batch);
    }
    SAME(seen, rows);
    OK(ottla_consumer_close(consumer, LIMIT_MS, &error));
    ottla_consumer_free(consumer);
}

static volatile int stop = 0;

typedef struct {
    ottla_producer *producer;
    ottla_consumer *consumer;
    const char *topic;
} traffic;

/* Keeps this thread and the I/O thread busy, in whatever lock a fork may find them. */
static void *keep_busy(void *argument) {
    traffic *t = (traffic *)argument;
    ottla_error *error = NULL;
    while (!stop) {
        for (int i = 0; i < 20; i++) {
            OK(ottla_producer_send(t->producer, t->topic, -1, bytes("k"), bytes("v"), NULL, 0, -1, 0, -1, &error));
        }
        ottla_batch *batch = NULL;
        ottla_event *event = NULL;
        OK(ottla_consumer_poll(t->consumer, 0, 0, &batch, &event, &error));
        ottla_batch_free(batch);
        ottla_event_free(event);
    }
    return NULL;
}

static void wait_for(pid_t pid) {
    int status = 0;
    SAME(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "the child ended with status %d\n", status);
        exit(1);
    }
}

/* What belongs to the parent stays allocated in its child on purpose; a memory checker would call it leaked at exit. */
static void end_child(void) {
    execl("/bin/true", "true", (char *)NULL);
    _exit(1);
}

/* Forks at any moment: no child finds a lock that nobody will ever release. */
static void amid_traffic(ground g) {
    ottla_error *error = NULL;
    const char *topic = new_topic(g, 1), *children = new_topic(g, 1);
    /* Few enough for a slow broker to take in the time that close has. */
    static const char *const quick[] = {"linger.ms", "0", "batch.size", "200", "buffer.records", "5000", NULL};
    traffic t = {producer_of(g, quick), consumer_of(g, NULL), topic};
    OK(ottla_consumer_assign_topic(t.consumer, topic, OTTLA_START_EARLIEST, 0, &error));
    pthread_t thread;
    SAME(pthread_create(&thread, NULL, keep_busy, &t), 0);
    enum { FORKS = 20 };
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            alarm(100);
            ottla_producer *producer = producer_of(g, NULL);
            OK(ottla_producer_send(producer, children, 0, bytes(NULL), bytes("v"), NULL, 0, -1, 0, -1, &error));
            OK(ottla_producer_close(producer, LIMIT_MS, &error));
            ottla_producer_free(producer);
            end_child();
        }
        wait_for(pid);
    }
    stop = 1;
    SAME(pthread_join(thread, NULL), 0);
    ottla_topic_partition partition = {children, 0};
    int64_t end = 0;
    OK(ottla_consumer_end_offsets(t.consumer, &partition, 1, LIMIT_MS, &end, &error));
    SAME(end, FORKS);
    OK(ottla_producer_close(t.producer, LIMIT_MS, &error));
    OK(ottla_consumer_close(t.consumer, LIMIT_MS, &error));
    ottla_producer_free(t.producer);
    ottla_consumer_free(t.consumer);
}

static void child(ground g, const char *topic, ottla_producer *producer, ottla_consumer *consumer, ottla_admin *admin) {
    ottla_error *error = NULL;
    const ottla_status forked = OTTLA_ERR_FORKED;
    size_t accepted = 0;
    ottla_completions *completions = NULL;
    ottla_batch *batch = NULL;
    ottla_event *event = NULL;
    ottla_topic_list *list = NULL;
    ottla_log_lines *lines = NULL;
    FAILS(ottla_producer_send(producer, topic, 0, bytes(NULL), bytes("v"), NULL, 0, -1, 0, -1, &error), forked, "fork()");
    FAILS(ottla_producer_send_batch(producer, topic, 0, 0, NULL, NULL, NULL, NULL, 0, -1, &accepted, &error), forked, "");
    FAILS(ottla_producer_poll(producer, 0, -1, &completions, &error), forked, "new client");
    FAILS(ottla_producer_flush(producer, -1, &error), forked, "fork()");
    FAILS(ottla_producer_wake(producer, &error), forked, "fork()");
    FAILS(ottla_producer_logs(producer, 0, &lines, &error), forked, "fork()");
    FAILS(ottla_producer_close(producer, -1, &error), forked, "fork()");
    FAILS(ottla_consumer_poll(consumer, 0, -1, &batch, &event, &error), forked, "fork()");
    FAILS(ottla_consumer_close(consumer, -1, &error), forked, "fork()");
    FAILS(ottla_admin_list_topics(admin, false, -1, &list, &error), forked, "fork()");
    FAILS(ottla_admin_logs(admin, 0, &lines, &error), forked, "fork()");
    ottla_producer_free(producer);
    ottla_consumer_free(consumer);
    ottla_admin_free(admin);
    if (g.broker != NULL) {
        FAILS(ottla_broker_create_topic(g.broker, "u", 1, &error), forked, "fork()");
    }
    send_and_read(g, topic, "child", 2);
    ground_end(g);
}

int main(void) {
    ottla_error *error = NULL;
    ground g = ground_start();
    const char *topic = new_topic(g, 1);
    send_and_read(g, topic, "parent", 1);
    ottla_producer *producer = producer_of(g, NULL);
    ottla_consumer *consumer = consumer_of(g, NULL);
    ottla_admin *admin = NULL;
    ottla_config *config = config_of(g.bootstrap, NULL);
    OK(ottla_admin_new(config, &admin, &error));
    ottla_config_free(config);
    OK(ottla_producer_connect(producer, 30000, &error));
    OK(ottla_consumer_connect(consumer, 30000, &error));
    OK(ottla_admin_connect(admin, 30000, &error));

    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(100);
        child(g, topic, producer, consumer, admin);
        end_child();
    }
    wait_for(pid);
    /* The parent's clients are as they were. */
    OK(ottla_producer_send(producer, topic, 0, bytes(NULL), bytes("again"), NULL, 0, -1, 0, -1, &error));
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));
    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
    ottla_consumer_free(consumer);
    ottla_admin_free(admin);
    send_and_read(g, topic, "last", 4);
    amid_traffic(g);
    ground_end(g);
    return 0;
}
