/* A child process is told that its parent's clients are not its own, frees them without harm, and makes new ones.
   Also on a real Kafka: OTTLA_TEST_BOOTSTRAP. */
#include "check.h"

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
        /* What belongs to the parent stays allocated here on purpose; a memory checker would call it leaked at exit. */
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    int status = 0;
    SAME(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "the child ended with status %d\n", status);
        return 1;
    }
    /* The parent's clients are as they were. */
    OK(ottla_producer_send(producer, topic, 0, bytes(NULL), bytes("again"), NULL, 0, -1, 0, -1, &error));
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));
    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
    ottla_consumer_free(consumer);
    ottla_admin_free(admin);
    send_and_read(g, topic, "last", 4);
    ground_end(g);
    return 0;
}
