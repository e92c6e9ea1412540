/* Sends a message and reads it back: on the Kafka named on the command line, or on one inside this program. */
#include <ottla.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_MS = 10000 };

/* Takes the error's address: C may evaluate arguments in any order, so `error` itself could be read before the call. */
static void check(ottla_status status, ottla_error **error) {
    if (status != OTTLA_OK) {
        fprintf(stderr, "%s\n", ottla_error_message(*error));
        exit(1);
    }
}

int main(int argc, char **argv) {
    ottla_error *error = NULL;
    ottla_broker *broker = NULL;
    ottla_config *config = ottla_config_new();
    if (argc < 2) {
        check(ottla_broker_new(NULL, &broker, &error), &error);
    }
    const char *servers = argc < 2 ? ottla_broker_bootstrap_servers(broker) : argv[1];
    check(ottla_config_set(config, "bootstrap.servers", servers, &error), &error);

    ottla_admin *admin;
    ottla_topic_results *results;
    ottla_new_topic topic = {.name = "hello-c", .partitions = 1, .replication_factor = -1};
    check(ottla_admin_new(config, &admin, &error), &error);
    check(ottla_admin_create_topics(admin, &topic, 1, false, LIMIT_MS, &results, &error), &error);
    ottla_topic_results_free(results);

    ottla_producer *producer;
    ottla_bytes none = {NULL, 0}, value = {(const uint8_t *)"hello", 5};
    check(ottla_producer_new(config, &producer, &error), &error);
    check(ottla_producer_send(producer, "hello-c", -1, none, value, NULL, 0, -1, 0, -1, &error), &error);
    check(ottla_producer_flush(producer, LIMIT_MS, &error), &error);

    ottla_consumer *consumer;
    ottla_batch *batch = NULL;
    ottla_event *event = NULL;
    check(ottla_consumer_new(config, &consumer, &error), &error);
    check(ottla_consumer_assign_topic(consumer, "hello-c", OTTLA_START_EARLIEST, 0, &error), &error);
    check(ottla_consumer_poll(consumer, 0, LIMIT_MS, &batch, &event, &error), &error);
    for (size_t row = 0; row < ottla_batch_rows(batch); row++) {
        ottla_record record;
        check(ottla_batch_record(batch, row, &record, &error), &error);
        printf("%" PRId64 ": %.*s\n", record.offset, (int)record.value.len, (const char *)record.value.data);
    }

    const char *name = "hello-c";
    check(ottla_admin_delete_topics(admin, &name, 1, LIMIT_MS, &results, &error), &error);
    ottla_topic_results_free(results);
    ottla_batch_free(batch); /* freeing NULL does nothing */
    ottla_event_free(event);
    ottla_consumer_free(consumer);
    ottla_producer_free(producer);
    ottla_admin_free(admin);
    ottla_config_free(config);
    ottla_broker_free(broker);
    return 0;
}
