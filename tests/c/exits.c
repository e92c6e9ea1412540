/* How a process ends that has not closed its clients: members leave their group, records that are under way arrive, and
   those that can't are told of on stderr. Each end is a child's, which runs this program with arguments. */
#include "check.h"

#include <fcntl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOON_MS = 15000 }; /* far less than the 45 s after which a group gives a silent member up */

static char said[8192]; /* by a child on stderr */

/* Runs this program anew and gives its status. */
static int child(const char *self, const char *what, const char *bootstrap, const char *topic) {
    int ends[2];
    SAME(pipe(ends), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(self, self, what, bootstrap, topic, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t got;
    while (len + 1 < sizeof said && (got = read(ends[0], said + len, sizeof said - 1 - len)) > 0) {
        len += (size_t)got;
    }
    said[len] = '\0';
    close(ends[0]);
    int status = 0;
    SAME(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static ottla_consumer *member(const char *bootstrap, const char *topic, const char *protocol) {
    ottla_error *error = NULL;
    ground g = {NULL, bootstrap};
    const char *pairs[] = {"group.id",          topic,      "group.protocol", protocol,
                           "auto.offset.reset", "earliest", NULL};
    ottla_consumer *consumer = consumer_of(g, pairs);
    OK(ottla_consumer_subscribe(consumer, &topic, 1, &error));
    return consumer;
}

/* Polls until partitions are assigned. */
static void be_assigned(ottla_consumer *consumer) {
    ottla_error *error = NULL;
    bool assigned = false;
    int64_t limit = now_ms() + SOON_MS;
    while (!assigned) {
        CHECK(now_ms() < limit);
        ottla_batch *batch = NULL;
        ottla_event *event = NULL;
        OK(ottla_consumer_poll(consumer, 0, 1000, &batch, &event, &error));
        assigned = batch != NULL || (event != NULL && ottla_event_kind(event) == OTTLA_EVENT_PARTITIONS_ASSIGNED);
        ottla_event_free(event);
        ottla_batch_free(batch);
    }
}

static int run_child(const char *what, const char *bootstrap, const char *topic) {
    ottla_error *error = NULL;
    ground g = {NULL, bootstrap};
    bool frees = strstr(what, "free") != NULL;
    if (strncmp(what, "member", 6) == 0) {
        ottla_consumer *consumer = member(bootstrap, topic, strstr(what, "new") ? "consumer" : "classic");
        be_assigned(consumer);
        if (frees) {
            ottla_consumer_free(consumer);
        }
        return 0;
    }
    const char *pairs[] = {"linger.ms", "1min", strstr(what, "silent") ? "log.level" : NULL, "off", NULL};
    ottla_producer *producer = producer_of(g, pairs);
    for (int i = 0; i < 3; i++) {
        OK(ottla_producer_send(producer, topic, -1, bytes(NULL), bytes("v"), NULL, 0, -1, 0, -1, &error));
    }
    if (frees) {
        ottla_producer_free(producer);
    }
    if (strstr(what, "fork") != NULL) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        int status = 0;
        if (pid > 0) {
            SAME(waitpid(pid, &status, 0), pid);
            SAME(status, 0);
            OK(ottla_producer_flush(producer, LIMIT_MS, &error));
        }
    }
    return 0;
}

/* The partitions of a member whose process has ended are another's at once. */
static void members_leave(const char *self, ground g) {
    const char *ends[] = {"member-free-classic", "member-classic", "member-free-new", "member-new"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const char *topic = new_topic(g, 1);
        SAME(child(self, ends[i], g.bootstrap, topic), 0);
        SAME(strlen(said), 0);
        int64_t begun = now_ms();
        ottla_consumer *next = member(g.bootstrap, topic, strstr(ends[i], "new") ? "consumer" : "classic");
        be_assigned(next);
        CHECK(now_ms() - begun < SOON_MS);
        ottla_error *error = NULL;
        OK(ottla_consumer_close(next, LIMIT_MS, &error));
        ottla_consumer_free(next);
    }
}

static void records_are_sent_or_told_of(const char *self, ground g) {
    const char *topic = new_topic(g, 1);
    /* Sent though nobody flushed: the broker is there. Of a child that forked, by the parent alone. */
    SAME(child(self, "send", g.bootstrap, topic), 0);
    SAME(strlen(said), 0);
    SAME(child(self, "send-fork", g.bootstrap, topic), 0);
    SAME(strlen(said), 0);
    ottla_error *error = NULL;
    ottla_consumer *consumer = consumer_of(g, NULL);
    OK(ottla_consumer_assign_topic(consumer, topic, OTTLA_START_EARLIEST, 0, &error));
    size_t rows = 0;
    while (rows < 6) {
        ottla_batch *batch = next_batch(consumer, 0);
        rows += ottla_batch_rows(batch);
        ottla_batch_free(batch);
    }
    SAME(rows, 6);
    OK(ottla_consumer_close(consumer, LIMIT_MS, &error));
    ottla_consumer_free(consumer);

    const char *nobody = "127.0.0.1:1";
    const char *ends[] = {"send", "send-free"};
    for (int i = 0; i < 2; i++) {
        SAME(child(self, ends[i], nobody, topic), 0);
        CHECK(strstr(said, "3 records that a producer took are lost") != NULL);
        CHECK(strstr(said, "flush or close") != NULL);
        CHECK(strchr(said, '\n') == said + strlen(said) - 1);
    }
    SAME(child(self, "send-silent", nobody, topic), 0);
    SAME(strlen(said), 0);
    setenv("OTTLA_LOG", "off", 1);
    SAME(child(self, "send", nobody, topic), 0);
    SAME(strlen(said), 0);
    unsetenv("OTTLA_LOG");
}

int main(int argc, char **argv) {
    if (argc == 4) {
        return run_child(argv[1], argv[2], argv[3]);
    }
    ottla_error *error = NULL;
    ground g = {NULL, NULL};
    OK(ottla_broker_new(NULL, &g.broker, &error));
    g.bootstrap = ottla_broker_bootstrap_servers(g.broker);
    records_are_sent_or_told_of(argv[0], g);
    members_leave(argv[0], g);
    ground_end(g);
    return 0;
}
