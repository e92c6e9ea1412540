/* The structs of ottla.h don't change within an ABI number: their sizes, where pointers have 8 bytes. */
#include "check.h"

#define SIZE(type, wanted) SAME(sizeof(type), wanted)

int main(void) {
    if (sizeof(void *) != 8) {
        return 0;
    }
    SIZE(ottla_bytes, 16);
    SIZE(ottla_header, 32);
    SIZE(ottla_key, 40);
    SIZE(ottla_log_line, 48);
    SIZE(ottla_column, 40);
    SIZE(ottla_header_column, 40);
    SIZE(ottla_producer_counts, 64);
    SIZE(ottla_offset_to_commit, 40);
    SIZE(ottla_group_metadata, 32);
    SIZE(ottla_completion, 64);
    SIZE(ottla_assignment, 24);
    SIZE(ottla_topic_partition, 16);
    SIZE(ottla_segment, 104);
    SIZE(ottla_record, 72);
    SIZE(ottla_group_member, 72);
    SIZE(ottla_group_share, 24);
    SIZE(ottla_stats_scope, 40);
    SIZE(ottla_histogram, 64);
    SIZE(ottla_error_count, 16);
    SIZE(ottla_new_topic, 32);
    SIZE(ottla_topic_result, 24);
    SIZE(ottla_topic_listing, 32);
    SIZE(ottla_topic_description, 48);
    SIZE(ottla_partition_description, 48);
    SIZE(ottla_cluster_broker, 24);
    return 0;
}
