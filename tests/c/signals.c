/* Ottla's threads take no signals: one that the program blocks stays pending, and handlers run on the program's threads. */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum { STORM = 20000 };

static pthread_t own;
static volatile sig_atomic_t here = 0, elsewhere = 0;

static void on_signal(int number) {
    (void)number;
    if (pthread_equal(pthread_self(), own)) {
        here++;
    } else {
        elsewhere++;
    }
}

/* Traffic that keeps the I/O thread, the broker's and those for name look-ups busy. */
static void traffic(const ottla_producer *producer, const char *topic) {
    ottla_error *error = NULL;
    OK(ottla_producer_send(producer, topic, -1, bytes("k"), bytes("v"), NULL, 0, -1, 0, -1, &error));
    OK(ottla_producer_flush(producer, LIMIT_MS, &error));
}

int main(void) {
    ottla_error *error = NULL;
    ground g = {NULL, NULL};
    own = pthread_self();
    OK(ottla_broker_new(NULL, &g.broker, &error));
    g.bootstrap = ottla_broker_bootstrap_servers(g.broker);
    const char *topic = new_topic(g, 2);
    /* A name, so that it is looked up: that is done by threads apart. */
    char named[64];
    snprintf(named, sizeof named, "localhost:%s", strrchr(g.bootstrap, ':') + 1);
    ground by_name = {g.broker, named};
    ottla_producer *producer = producer_of(by_name, NULL);
    traffic(producer, topic);

    /* Blocked only now that all the threads are there. */
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    SAME(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    SAME(kill(getpid(), SIGTERM), 0); /* ends the process if any thread lets it through */
    traffic(producer, topic);
    SAME(sigpending(&pending), 0);
    CHECK(sigismember(&pending, SIGTERM));
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    int number = 0;
    SAME(sigwait(&term, &number), 0);
    SAME(number, SIGTERM);

    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    SAME(sigaction(SIGUSR1, &action, NULL), 0);
    for (int i = 0; i < STORM; i++) {
        SAME(kill(getpid(), SIGUSR1), 0);
        if (i % 1000 == 0) {
            traffic(producer, topic);
        }
    }
    SAME(here + elsewhere, 0);
    SAME(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    SAME(here, 1);
    for (int i = 0; i < STORM; i++) {
        SAME(kill(getpid(), SIGUSR1), 0);
        if (i % 1000 == 0) {
            traffic(producer, topic);
        }
    }
    CHECK(here > 1);
    SAME(elsewhere, 0);

    OK(ottla_producer_close(producer, LIMIT_MS, &error));
    ottla_producer_free(producer);
    ground_end(g);
    return 0;
}
