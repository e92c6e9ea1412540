/* A program that has functions of zstd's and LZ4's names itself, linked with the static library: each side calls its own. */
#include <ottla.h>
#include <stdio.h>

enum { LIMIT_MS = 30000 };

static int called = 0;

unsigned ZSTD_versionNumber(void);
unsigned ZSTD_versionNumber(void) {
    called++;
    return 1;
}

size_t ZSTD_compressBound(size_t size);
size_t ZSTD_compressBound(size_t size) {
    called++;
    return size;
}

int LZ4_compressBound(int size);
int LZ4_compressBound(int size) {
    called++;
    return size;
}

static void check(ottla_status status, ottla_error **error) {
    if (status != OTTLA_OK) {
        fprintf(stderr, "%s\n", ottla_error_message(*error));
        called = -1;
    }
}

int main(void) {
    ottla_error *error = NULL;
    ottla_broker *broker = NULL;
    check(ottla_broker_new(NULL, &broker, &error), &error);
    check(ottla_broker_create_topic(broker, "t", 1, &error), &error);
    const char *codecs[] = {"zstd", "lz4"};
    for (int i = 0; i < 2; i++) {
        ottla_config *config = ottla_config_new();
        ottla_producer *producer = NULL;
        ottla_bytes none = {NULL, 0}, value = {(const uint8_t *)"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 40};
        check(ottla_config_set(config, "bootstrap.servers", ottla_broker_bootstrap_servers(broker), &error), &error);
        check(ottla_config_set(config, "compression.type", codecs[i], &error), &error);
        if (i == 1) {
            check(ottla_config_set(config, "compression.lz4.level", "12", &error), &error);
        }
        check(ottla_producer_new(config, &producer, &error), &error);
        check(ottla_producer_send(producer, "t", 0, none, value, NULL, 0, -1, 0, -1, &error), &error);
        check(ottla_producer_close(producer, LIMIT_MS, &error), &error);
        ottla_producer_free(producer);
        ottla_config_free(config);
    }
    ottla_broker_free(broker);
    if (called != 0) {
        fprintf(stderr, "the library called the program's functions %d times, or a call failed\n", called);
        return 1;
    }
    return 0;
}
