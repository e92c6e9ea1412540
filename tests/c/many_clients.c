/* Two hundred clients in one process use no more threads than one of each kind.
   Also on a real Kafka: OTTLA_TEST_BOOTSTRAP. */
#include "check.h"

static int threads(void) {
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file != NULL);
    char line[256];
    int count = -1;
    while (count < 0 && fgets(line, sizeof line, file)) {
        if (sscanf(line, "Threads: %d", &count) != 1) {
            count = -1;
        }
    }
    fclose(file);
    return count;
}

enum { EACH = 67 };

int main(void) {
    ottla_error *error = NULL;
    ground g = ground_start();
    const char *topic = new_topic(g, 1);
    static ottla_producer *producers[EACH];
    static ottla_consumer *consumers[EACH];
    static ottla_admin *admins[EACH];
    int with_one = 0;
    ottla_config *config = config_of(g.bootstrap, NULL);
    for (int i = 0; i < EACH; i++) {
        producers[i] = producer_of(g, NULL);
        consumers[i] = consumer_of(g, NULL);
        OK(ottla_admin_new(config, &admins[i], &error));
        OK(ottla_producer_connect(producers[i], 30000, &error));
        OK(ottla_consumer_connect(consumers[i], 30000, &error));
        OK(ottla_admin_connect(admins[i], 30000, &error));
        if (i == 0) {
            with_one = threads();
        }
    }
    ottla_config_free(config);
    CHECK(threads() <= with_one);
    /* And all of them work. */
    for (int i = 0; i < EACH; i++) {
        OK(ottla_producer_send(producers[i], topic, 0, bytes(NULL), bytes("v"), NULL, 0, -1, 0, -1, &error));
        OK(ottla_consumer_assign_topic(consumers[i], topic, OTTLA_START_EARLIEST, 0, &error));
    }
    for (int i = 0; i < EACH; i++) {
        OK(ottla_producer_flush(producers[i], LIMIT_MS, &error));
    }
    for (int i = 0; i < EACH; i++) {
        size_t rows = 0;
        while (rows < EACH) {
            ottla_batch *batch = next_batch(consumers[i], 0);
            rows += ottla_batch_rows(batch);
            ottla_batch_free(batch);
        }
        SAME(rows, EACH);
    }
    CHECK(threads() <= with_one);
    for (int i = 0; i < EACH; i++) {
        OK(ottla_producer_close(producers[i], LIMIT_MS, &error));
        OK(ottla_consumer_close(consumers[i], LIMIT_MS, &error));
        OK(ottla_admin_close(admins[i], LIMIT_MS, &error));
        ottla_producer_free(producers[i]);
        ottla_consumer_free(consumers[i]);
        ottla_admin_free(admins[i]);
    }
    ground_end(g);
    return 0;
}
