/*
 * The floor under 10 kB and 100 kB: the same bytes over a bare loopback connection, nothing done to them. `produce`
 * measures the writing process against a reader that acknowledges each MB; `consume` the reading process.
 */
#include "../bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 1 << 20 };

static void write_all(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n <= 0) {
            bench_fail("write", "failed");
        }
        bytes += n;
        size -= (size_t)n;
    }
}

static void send_records(int fd, uint64_t total, const char *block) {
    for (uint64_t left = total; left > 0;) {
        size_t size = left < CHUNK ? (size_t)left : CHUNK;
        write_all(fd, block, size);
        left -= size;
    }
    shutdown(fd, SHUT_WR);
    char acknowledgements[256];
    while (read(fd, acknowledgements, sizeof acknowledgements) > 0) {
    }
}

static void receive_records(int fd, uint64_t total, char *block) {
    uint64_t got = 0, acknowledged = 0;
    ssize_t n;
    while ((n = read(fd, block, CHUNK)) > 0) {
        got += (uint64_t)n;
        while (got - acknowledged >= CHUNK) {
            acknowledged += CHUNK;
            write_all(fd, "+", 1);
        }
    }
    if (got != total) {
        bench_fail("read", "connection ended early");
    }
}

int main(int argc, char **argv) {
    bench_options o = bench_parse(argc, argv);
    uint64_t total = o.n * o.size;
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        bench_fail("listen", "failed");
    }
    char *block = (char *)malloc(CHUNK);
    memset(block, 'x', CHUNK);
    pid_t peer = fork();
    if (peer == 0) {
        int fd = accept(listener, NULL, NULL);
        if (o.produce) {
            receive_records(fd, total, block);
        } else {
            send_records(fd, total, block);
        }
        _exit(0);
    }
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, length) != 0) {
        bench_fail("connect", "failed");
    }
    double begun = bench_now();
    if (o.produce) {
        send_records(fd, total, block);
    } else {
        receive_records(fd, total, block);
    }
    double wall_s = bench_now() - begun;
    close(fd);
    /* The peer is not waited for, so that its CPU is in nobody's figure; it ends by itself. */
    bench_report(o.n, wall_s, 0);
    free(block);
    return 0;
}
