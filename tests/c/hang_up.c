/*
 * A peer that hangs up is an error, never the signal SIGPIPE, which would end this program: on the embedded broker's side and
 * on the client's. The embedded broker only.
 */
#include "check.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* ApiVersions, version 0, of a client without a name: its answer is longer than the request. */
static const unsigned char request[] = {0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff};

/* Asks many times over and goes before the answers are read. */
static void ask_and_hang_up(const char *bootstrap) {
    const char *port = strrchr(bootstrap, ':');
    CHECK(port != NULL);
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(port + 1));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(s >= 0 && connect(s, (struct sockaddr *)&address, sizeof address) == 0);
    /* More than are read at once: there are answers still to write when the first have come back as refused. */
    for (int i = 0; i < 200; i++) {
        CHECK(send(s, request, sizeof request, MSG_NOSIGNAL) == (ssize_t)sizeof request);
    }
    close(s);
}

int main(void) {
    signal(SIGPIPE, SIG_DFL);
    ottla_error *error = NULL;
    ground g = {NULL, NULL};
    OK(ottla_broker_new(NULL, &g.broker, &error));
    g.bootstrap = ottla_broker_bootstrap_servers(g.broker);
    for (int i = 0; i < 100; i++) {
        ask_and_hang_up(g.bootstrap);
    }
    /* Clients and a broker that go at the same moment, with requests and answers under way both ways. */
    OK(ottla_broker_create_topic(g.broker, "t", 1, &error));
    for (int i = 0; i < 50; i++) {
        ottla_producer *producer = producer_of(g, NULL);
        for (uint64_t token = 1; token <= 100; token++) {
            OK(ottla_producer_send(producer, "t", 0, bytes(NULL), bytes("v"), NULL, 0, -1, token, -1, &error));
        }
        OK(ottla_broker_stop_node(g.broker, 1, &error));
        ottla_producer_free(producer);
        OK(ottla_broker_start_node(g.broker, 1, &error));
    }
    ground_end(g);
    return 0;
}
