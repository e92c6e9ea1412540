// Ottla: an Apache Kafka client
//
// OVERVIEW
//
// Ottla moves record batches, not messages: records are written straight from the caller's memory into the batch
// that goes out, and read as views into the buffer that came in. The functions on one record are conveniences; the fast
// ones take and give columns of thousands.
//
//   ottla_config     settings, by Kafka's own names
//   ottla_producer   writes records, in transactions too; its completions tell what became of them
//   ottla_consumer   reads assigned partitions, or as a member of a group; a poll gives a batch, or an event
//   ottla_share_consumer  reads as a member of a share group: each record is one member's at a time
//   ottla_admin      creates, deletes, lists and describes topics
//   ottla_answer     the result of a call that was begun without waiting
//   ottla_broker     a Kafka server inside this process, for first steps and for tests
//
// All clients of a process share one thread for input and output. No function of yours is ever called on it: completions,
// events and log lines wait in queues until they are polled, or a descriptor says that they are there. The one function
// that Ottla takes of you, a partitioner, runs inside your own sending calls.
//
// CONVENTIONS
//
// Names. ottla_<noun>_<verb>; constants are OTTLA_*. A handle is made by _new (or comes out of a call that says
// so) and freed by _free; _free of NULL does nothing.
//
// Arguments. The handle first, then inputs, then outputs, and last ottla_error **error, which may be NULL.
//
// Status and errors. Every function that can fail answers an ottla_status: 0 (OTTLA_OK), one of Kafka's error codes
// as on the wire, or one of Ottla's own, at or below -100. Only then, and only if error is not NULL, *error is
// set to an error object that the caller frees; on success it is left alone. Outputs are written on success only,
// except counts named accepted, which are written always. NULL where a handle, string or output is needed is
// OTTLA_ERR_INVALID_ARGUMENT, not a crash; accessors that can't fail answer 0, NULL or "" to NULL. Beside the errors a
// function names, each can answer OTTLA_ERR_INVALID_ARGUMENT; OTTLA_ERR_FORKED in a child process; OTTLA_ERR_CLOSED
// after _close; and OTTLA_ERR_PANIC after a bug in Ottla, whereupon the object refuses further use and can only be
// freed.
//
// Structs. None of them grows or changes within one OTTLA_ABI_VERSION: arrays of them have a fixed stride, and a program
// may hold them in its own. What is to be told or asked beyond their fields gets functions of its own, beside the old
// ones, and figures get names in the statistics. Set them to 0 before filling them in (= {0}), so that a later version
// which has other fields finds nothing by chance.
//
// Memory. Where the system has none left for a large buffer (a batch to send, a response, what a batch is decompressed
// to), the call or the connection fails with OTTLA_ERR_OUT_OF_MEMORY. Where it has none for something small, the process
// is aborted, as programs in Rust are.
//
// Bytes. A pointer and a length; a NULL pointer is Kafka's null, a pointer with length 0 is empty. Keys, values and
// headers are any bytes. Strings in are NUL-terminated UTF-8; strings out are so too, never NULL unless it is said, and
// belong to the object they came from.
//
// Ownership. Inputs are copied before a call returns. What a call gives belongs to the object it came from and lives
// until that is freed. Batches, events, completions and errors outlive the client they came from.
//
// Threads. A function that takes const T * may be called from many threads at once on the same object. One that takes
// T * may be called by one thread at a time, while const calls go on beside it; a second one at the same time is told
// OTTLA_ERR_IN_USE. _close may be called from any thread and wakes all who wait. _free only after every call
// with that object has returned.
//
// The end. Close clients before the process ends: closing waits until records are acknowledged and a member has left its
// group. A client that is only freed leaves in the background; when the process ends by exit() or by returning from
// main, clients have up to a second for that, and producers that were not freed for what they still hold. If records are
// lost by it nevertheless, one line on stderr says how many, unless the producer's log.level or the environment
// variable OTTLA_LOG is off. Nothing is sent after _exit() or a signal that kills the process.
//
// Signals. Ottla's threads take none: handlers run on the program's threads, and what these block stays pending.
//
// Time. timeout_ms is in milliseconds: 0 does not wait, -1 has no limit (for sending: max.block.ms). Timestamps are
// milliseconds since 1970.
//
// Forks. A child process can't use its parent's clients: every call answers OTTLA_ERR_FORKED, and freeing them touches
// nothing of the parent's. New clients work.

#ifndef OTTLA_H
#define OTTLA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The compiler warns where a status is not looked at.
#if defined(__cplusplus) && __cplusplus >= 201703L
#define OTTLA_MUST_USE [[nodiscard]]
#elif defined(__GNUC__)
#define OTTLA_MUST_USE __attribute__((warn_unused_result))
#else
#define OTTLA_MUST_USE
#endif

#ifdef __cplusplus
extern "C" {
#endif

// ==================================================================================================================
// Handles: what is behind them is Ottla's own.
// ==================================================================================================================

// Why a call failed, or why something that came from a queue did. Immutable: all its functions may be called from
// many threads at once.
typedef struct ottla_error ottla_error;

// Pairs of key and value. Any number of clients can be made of it, in turn or at once; it may be freed or changed as
// soon as they are made.
typedef struct ottla_config ottla_config;

// The table of all keys, for tools and wrappers. Immutable: its functions may be called from many threads at once.
typedef struct ottla_keys ottla_keys;

// Log lines, oldest first. Immutable: its functions may be called from many threads at once.
typedef struct ottla_log_lines ottla_log_lines;

// A producer. All its functions but _free may be called from many threads at once.
typedef struct ottla_producer ottla_producer;

// Completions of one poll. Immutable: its functions may be called from many threads at once.
typedef struct ottla_completions ottla_completions;

// A consumer. All its functions but ottla_consumer_poll and ottla_consumer_free may be called from many threads at
// once, also beside a poll.
typedef struct ottla_consumer ottla_consumer;

// A list of partitions. Immutable: its functions may be called from many threads at once.
typedef struct ottla_partitions ottla_partitions;

// Records. Immutable: all its functions but _free may be called from many threads at once; what they write lives as
// long as the batch.
typedef struct ottla_batch ottla_batch;

// Something that happened. Immutable: all its functions may be called from many threads at once; what they give lives
// as long as the event.
typedef struct ottla_event ottla_event;

// A consumer's membership as it was when it was asked for. Immutable: its functions may be called from many threads at
// once.
typedef struct ottla_membership ottla_membership;

// Committed offsets. Immutable: its functions may be called from many threads at once.
typedef struct ottla_offsets ottla_offsets;

// A member of a share group. All its functions but ottla_share_consumer_poll and ottla_share_consumer_free may be
// called from many threads at once, also beside a poll.
typedef struct ottla_share_consumer ottla_share_consumer;

// The figures of a client at one moment. Immutable: its functions may be called from many threads at once.
typedef struct ottla_stats ottla_stats;

// A client for administration. All its functions but _free may be called from many threads at once.
typedef struct ottla_admin ottla_admin;

// The cluster as a broker sees it.
typedef struct ottla_cluster ottla_cluster;

// Descriptions of topics, in the order of the call.
typedef struct ottla_topic_descriptions ottla_topic_descriptions;

// A list of topics, sorted by name.
typedef struct ottla_topic_list ottla_topic_list;

// What became of each topic of a call that changed topics, in the order of the call.
typedef struct ottla_topic_results ottla_topic_results;

// The answer to a call that was begun with a token. Immutable: its functions may be called from many threads at once.
typedef struct ottla_answer ottla_answer;

// A running broker, or several that form a cluster. All its functions but _free may be called from many threads at
// once.
typedef struct ottla_broker ottla_broker;

// ==================================================================================================================
// Version, status, bytes
// ==================================================================================================================

// Number of this ABI, which is the number in the library's SONAME. It changes when a program has to be compiled
// again.
#define OTTLA_ABI_VERSION 0

// The status of a success.
#define OTTLA_OK 0

// 0 is success. Kafka's own error codes are as on the wire (-1 and the numbers above 0), Ottla's own are at or below
// -100: the constants OTTLA_ERR_*.
typedef int32_t ottla_status;

// Bytes of somebody else's: a view, never freed by itself.
//
// data NULL is Kafka's null, with len 0. A pointer with len 0 is an empty string, which is something else.
typedef struct ottla_bytes {
    // The first byte, or NULL.
    const uint8_t *data;
    // How many.
    size_t len;
} ottla_bytes;

// A header of a record. Names may repeat; the order is kept.
typedef struct ottla_header {
    // The name; never null, and nothing promises that it is text.
    ottla_bytes name;
    // The value, or null.
    ottla_bytes value;
} ottla_header;

// The ABI number of the library that is running, to be compared with OTTLA_ABI_VERSION by whoever loads it at
// run time. Never fails; from any thread.
uint32_t ottla_abi_version(void);

// The library's version, for example "0.1.0". The string is static. From any thread.
const char *ottla_version(void);

// ==================================================================================================================
// Errors
//
// A function that fails answers its status, and, if the caller gave a place for it, an error object: what was
// tried, on which broker or key, what came back, and what to do about it. The caller frees it.
//
//     ottla_error *error = NULL;
//     if (ottla_producer_flush(producer, 10000, &error) != OTTLA_OK) {
//         fprintf(stderr, "%s: %s\n", ottla_error_name(error), ottla_error_message(error));
//         ottla_error_free(error);
//     }
//
// A function of yours that checks a status takes the error's address, or is called in a statement of its own. C may
// evaluate arguments in any order, so error beside the call that sets it may be read before the call is made:
//
//     check(ottla_producer_flush(producer, 10000, &error), &error);   // right
//     check(ottla_producer_flush(producer, 10000, &error), error);    // wrong: may see the NULL of before
//
// Its functions never fail. Given NULL they answer as of a success: 0, "NONE", "", false.
// ==================================================================================================================

// A configuration key or value is wrong: found at construction, or when a broker's answer does not fit into receive.message.max.bytes.
#define OTTLA_ERR_CONFIG (-100)
// An argument of a call is wrong (NULL handle, negative count, text where bytes are needed).
#define OTTLA_ERR_INVALID_ARGUMENT (-101)
// The time given to the call is over.
#define OTTLA_ERR_TIMED_OUT (-102)
// The call would have to wait and was told not to.
#define OTTLA_ERR_AGAIN (-103)
// The client is closed.
#define OTTLA_ERR_CLOSED (-104)
// Another thread is inside a call that needs this handle alone.
#define OTTLA_ERR_IN_USE (-105)
// No connection: refused, unreachable, reset.
#define OTTLA_ERR_CONNECT (-106)
// A host name could not be resolved.
#define OTTLA_ERR_DNS (-107)
// The peer sent bytes that are not Kafka's protocol, or not what was asked for.
#define OTTLA_ERR_PROTOCOL (-108)
// TLS failed, or the peer speaks TLS where plain text was configured, or the reverse.
#define OTTLA_ERR_TLS (-109)
// The peer refused our credentials.
#define OTTLA_ERR_AUTHENTICATION (-110)
// Another thread woke the waiting call.
#define OTTLA_ERR_WOKEN (-111)
// Ottla panicked (a bug); the object refuses further use.
#define OTTLA_ERR_PANIC (-112)
// The handle belongs to the parent process of a fork.
#define OTTLA_ERR_FORKED (-113)
// A local operating system call failed.
#define OTTLA_ERR_IO (-114)
// A record batch's checksum or structure is wrong; nothing of it is delivered.
#define OTTLA_ERR_CORRUPT_BATCH (-115)
// This broker or this build cannot do what was asked.
#define OTTLA_ERR_UNSUPPORTED (-116)
// A single record is larger than the client may send (max.request.size).
#define OTTLA_ERR_RECORD_TOO_LARGE (-117)
// The producer's buffer (buffer.memory) has no room.
#define OTTLA_ERR_BUFFER_FULL (-118)
// Discarded by purge or close before it was sent.
#define OTTLA_ERR_PURGED (-119)
// Compressed data expands beyond the limit.
#define OTTLA_ERR_DECOMPRESSION_LIMIT (-120)
// The broker's log no longer holds the wanted offsets and auto.offset.reset is none.
#define OTTLA_ERR_OFFSET_RESET (-121)
// The partition is no longer this member's of the group; nothing was committed of it.
#define OTTLA_ERR_PARTITION_REVOKED (-122)
// The program did not poll for max.poll.interval.ms, so it is no member of its group any more.
#define OTTLA_ERR_MAX_POLL_EXCEEDED (-123)
// The system has no memory left for a large buffer.
#define OTTLA_ERR_OUT_OF_MEMORY (-124)
// Kafka: the server experienced an unexpected error.
#define OTTLA_ERR_UNKNOWN_SERVER_ERROR (-1)
// Kafka: the requested offset is outside the log.
#define OTTLA_ERR_OFFSET_OUT_OF_RANGE 1
// Kafka: a batch failed its CRC check or is otherwise corrupt.
#define OTTLA_ERR_CORRUPT_MESSAGE 2
// Kafka: this server does not host this topic-partition.
#define OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION 3
// Kafka: the fetch size is invalid.
#define OTTLA_ERR_INVALID_FETCH_SIZE 4
// Kafka: there is no leader for this topic-partition now.
#define OTTLA_ERR_LEADER_NOT_AVAILABLE 5
// Kafka: this broker is not the partition's leader.
#define OTTLA_ERR_NOT_LEADER_OR_FOLLOWER 6
// Kafka: the request timed out on the broker.
#define OTTLA_ERR_REQUEST_TIMED_OUT 7
// Kafka: the broker is not available.
#define OTTLA_ERR_BROKER_NOT_AVAILABLE 8
// Kafka: the replica is not available.
#define OTTLA_ERR_REPLICA_NOT_AVAILABLE 9
// Kafka: the batch is larger than the broker accepts.
#define OTTLA_ERR_MESSAGE_TOO_LARGE 10
// Kafka: the controller moved.
#define OTTLA_ERR_STALE_CONTROLLER_EPOCH 11
// Kafka: offset metadata too large.
#define OTTLA_ERR_OFFSET_METADATA_TOO_LARGE 12
// Kafka: the server disconnected before a response.
#define OTTLA_ERR_NETWORK_EXCEPTION 13
// Kafka: the coordinator is loading.
#define OTTLA_ERR_COORDINATOR_LOAD_IN_PROGRESS 14
// Kafka: the coordinator is not available.
#define OTTLA_ERR_COORDINATOR_NOT_AVAILABLE 15
// Kafka: this is not the coordinator.
#define OTTLA_ERR_NOT_COORDINATOR 16
// Kafka: the topic name is invalid.
#define OTTLA_ERR_INVALID_TOPIC_EXCEPTION 17
// Kafka: the record list is larger than the segment size.
#define OTTLA_ERR_RECORD_LIST_TOO_LARGE 18
// Kafka: fewer in-sync replicas than required.
#define OTTLA_ERR_NOT_ENOUGH_REPLICAS 19
// Kafka: written, but to fewer in-sync replicas than required.
#define OTTLA_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND 20
// Kafka: invalid acks.
#define OTTLA_ERR_INVALID_REQUIRED_ACKS 21
// Kafka: the group generation is not current.
#define OTTLA_ERR_ILLEGAL_GENERATION 22
// Kafka: the group protocol is inconsistent.
#define OTTLA_ERR_INCONSISTENT_GROUP_PROTOCOL 23
// Kafka: the group id is invalid.
#define OTTLA_ERR_INVALID_GROUP_ID 24
// Kafka: the coordinator does not know this member.
#define OTTLA_ERR_UNKNOWN_MEMBER_ID 25
// Kafka: the session timeout is out of range.
#define OTTLA_ERR_INVALID_SESSION_TIMEOUT 26
// Kafka: the group is rebalancing.
#define OTTLA_ERR_REBALANCE_IN_PROGRESS 27
// Kafka: the commit is too large.
#define OTTLA_ERR_INVALID_COMMIT_OFFSET_SIZE 28
// Kafka: not authorized for the topic.
#define OTTLA_ERR_TOPIC_AUTHORIZATION_FAILED 29
// Kafka: not authorized for the group.
#define OTTLA_ERR_GROUP_AUTHORIZATION_FAILED 30
// Kafka: not authorized for the cluster.
#define OTTLA_ERR_CLUSTER_AUTHORIZATION_FAILED 31
// Kafka: the record's timestamp is out of range.
#define OTTLA_ERR_INVALID_TIMESTAMP 32
// Kafka: the SASL mechanism is not supported.
#define OTTLA_ERR_UNSUPPORTED_SASL_MECHANISM 33
// Kafka: the request is not valid in the SASL state.
#define OTTLA_ERR_ILLEGAL_SASL_STATE 34
// Kafka: the API version is not supported.
#define OTTLA_ERR_UNSUPPORTED_VERSION 35
// Kafka: the topic exists already.
#define OTTLA_ERR_TOPIC_ALREADY_EXISTS 36
// Kafka: the number of partitions is invalid.
#define OTTLA_ERR_INVALID_PARTITIONS 37
// Kafka: the replication factor is invalid.
#define OTTLA_ERR_INVALID_REPLICATION_FACTOR 38
// Kafka: the replica assignment is invalid.
#define OTTLA_ERR_INVALID_REPLICA_ASSIGNMENT 39
// Kafka: a topic's configuration is invalid.
#define OTTLA_ERR_INVALID_CONFIG 40
// Kafka: this is not the controller.
#define OTTLA_ERR_NOT_CONTROLLER 41
// Kafka: the request is invalid.
#define OTTLA_ERR_INVALID_REQUEST 42
// Kafka: the message format does not support the request.
#define OTTLA_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT 43
// Kafka: the request violates a policy.
#define OTTLA_ERR_POLICY_VIOLATION 44
// Kafka: a sequence number was skipped.
#define OTTLA_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER 45
// Kafka: this sequence was written before.
#define OTTLA_ERR_DUPLICATE_SEQUENCE_NUMBER 46
// Kafka: the producer's epoch is old.
#define OTTLA_ERR_INVALID_PRODUCER_EPOCH 47
// Kafka: the transaction is in the wrong state.
#define OTTLA_ERR_INVALID_TXN_STATE 48
// Kafka: the producer id does not belong to the transactional id.
#define OTTLA_ERR_INVALID_PRODUCER_ID_MAPPING 49
// Kafka: the transaction timeout is too long.
#define OTTLA_ERR_INVALID_TRANSACTION_TIMEOUT 50
// Kafka: another transaction is going on.
#define OTTLA_ERR_CONCURRENT_TRANSACTIONS 51
// Kafka: the transaction coordinator was fenced.
#define OTTLA_ERR_TRANSACTION_COORDINATOR_FENCED 52
// Kafka: not authorized for the transactional id.
#define OTTLA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED 53
// Kafka: security is disabled.
#define OTTLA_ERR_SECURITY_DISABLED 54
// Kafka: the operation was not attempted.
#define OTTLA_ERR_OPERATION_NOT_ATTEMPTED 55
// Kafka: a disk error on the broker.
#define OTTLA_ERR_KAFKA_STORAGE_ERROR 56
// Kafka: the log directory was not found.
#define OTTLA_ERR_LOG_DIR_NOT_FOUND 57
// Kafka: SASL authentication failed.
#define OTTLA_ERR_SASL_AUTHENTICATION_FAILED 58
// Kafka: the broker does not know this producer id.
#define OTTLA_ERR_UNKNOWN_PRODUCER_ID 59
// Kafka: a partition reassignment is in progress.
#define OTTLA_ERR_REASSIGNMENT_IN_PROGRESS 60
// Kafka: the group has members.
#define OTTLA_ERR_NON_EMPTY_GROUP 68
// Kafka: there is no such group.
#define OTTLA_ERR_GROUP_ID_NOT_FOUND 69
// Kafka: the fetch session was not found.
#define OTTLA_ERR_FETCH_SESSION_ID_NOT_FOUND 70
// Kafka: the fetch session epoch is invalid.
#define OTTLA_ERR_INVALID_FETCH_SESSION_EPOCH 71
// Kafka: no matching listener on the leader.
#define OTTLA_ERR_LISTENER_NOT_FOUND 72
// Kafka: topic deletion is disabled.
#define OTTLA_ERR_TOPIC_DELETION_DISABLED 73
// Kafka: the leader epoch in the request is older than the broker's.
#define OTTLA_ERR_FENCED_LEADER_EPOCH 74
// Kafka: the leader epoch in the request is newer than the broker's.
#define OTTLA_ERR_UNKNOWN_LEADER_EPOCH 75
// Kafka: the compression type is not supported.
#define OTTLA_ERR_UNSUPPORTED_COMPRESSION_TYPE 76
// Kafka: the broker epoch is stale.
#define OTTLA_ERR_STALE_BROKER_EPOCH 77
// Kafka: the leader has not caught up yet.
#define OTTLA_ERR_OFFSET_NOT_AVAILABLE 78
// Kafka: a member id is required.
#define OTTLA_ERR_MEMBER_ID_REQUIRED 79
// Kafka: the preferred leader is not available.
#define OTTLA_ERR_PREFERRED_LEADER_NOT_AVAILABLE 80
// Kafka: the group is full.
#define OTTLA_ERR_GROUP_MAX_SIZE_REACHED 81
// Kafka: the static member was fenced.
#define OTTLA_ERR_FENCED_INSTANCE_ID 82
// Kafka: no eligible leaders.
#define OTTLA_ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE 83
// Kafka: no election needed.
#define OTTLA_ERR_ELECTION_NOT_NEEDED 84
// Kafka: a member of the group is subscribed to the topic.
#define OTTLA_ERR_GROUP_SUBSCRIBED_TO_TOPIC 86
// Kafka: a record was refused by the broker.
#define OTTLA_ERR_INVALID_RECORD 87
// Kafka: unstable offsets exist.
#define OTTLA_ERR_UNSTABLE_OFFSET_COMMIT 88
// Kafka: the throttling quota was exceeded.
#define OTTLA_ERR_THROTTLING_QUOTA_EXCEEDED 89
// Kafka: a newer producer with this id fenced this one.
#define OTTLA_ERR_PRODUCER_FENCED 90
// Kafka: the topic id is not known.
#define OTTLA_ERR_UNKNOWN_TOPIC_ID 100
// Kafka: the topic id does not match.
#define OTTLA_ERR_INCONSISTENT_TOPIC_ID 103
// Kafka: the transactional id is not known.
#define OTTLA_ERR_TRANSACTIONAL_ID_NOT_FOUND 105
// Kafka: the fetch session refers to an unknown topic id.
#define OTTLA_ERR_FETCH_SESSION_TOPIC_ID_ERROR 106
// Kafka: the offset was moved to tiered storage.
#define OTTLA_ERR_OFFSET_MOVED_TO_TIERED_STORAGE 109
// Kafka: the member epoch is fenced.
#define OTTLA_ERR_FENCED_MEMBER_EPOCH 110
// Kafka: another member of the group holds this instance id.
#define OTTLA_ERR_UNRELEASED_INSTANCE_ID 111
// Kafka: the broker does not have this assignor.
#define OTTLA_ERR_UNSUPPORTED_ASSIGNOR 112
// Kafka: the member epoch is stale.
#define OTTLA_ERR_STALE_MEMBER_EPOCH 113
// Kafka: the subscription to a client's metrics has changed.
#define OTTLA_ERR_UNKNOWN_SUBSCRIPTION_ID 117
// Kafka: a client's metrics take too much room.
#define OTTLA_ERR_TELEMETRY_TOO_LARGE 118
// Kafka: the transaction must be aborted.
#define OTTLA_ERR_TRANSACTION_ABORTABLE 120
// Kafka: a record is not in the state that the acknowledgement needs.
#define OTTLA_ERR_INVALID_RECORD_STATE 121
// Kafka: the share session was not found.
#define OTTLA_ERR_SHARE_SESSION_NOT_FOUND 122
// Kafka: the share session's epoch is wrong.
#define OTTLA_ERR_INVALID_SHARE_SESSION_EPOCH 123
// Kafka: the share group's state has a newer epoch.
#define OTTLA_ERR_FENCED_STATE_EPOCH 124
// Kafka: a regular expression is not valid.
#define OTTLA_ERR_INVALID_REGULAR_EXPRESSION 128
// Kafka: the cluster asks its clients to bootstrap again.
#define OTTLA_ERR_REBOOTSTRAP_REQUIRED 129

// The status number: never 0, except of NULL.
int32_t ottla_error_code(const ottla_error *error);

// The code's name, for example "CONFIG" or "UNKNOWN_TOPIC_OR_PARTITION". Static.
const char *ottla_error_name(const ottla_error *error);

// The message, one or a few sentences of English in UTF-8. It lives as long as the error.
const char *ottla_error_message(const ottla_error *error);

// True where trying the same again later can succeed.
bool ottla_error_is_retriable(const ottla_error *error);

// True where the client cannot go on at all: close it, free it, make another.
bool ottla_error_is_fatal(const ottla_error *error);

// True where the ongoing transaction has to be aborted.
bool ottla_error_needs_abort(const ottla_error *error);

// A copy of its own, to be freed by the caller; for keeping an error longer than the completion, event or result it
// came with. NULL of NULL.
ottla_error *ottla_error_clone(const ottla_error *error);

// Frees an error that a call wrote to its last argument, or a clone. Not one that belongs to a completion, event or
// result. NULL does nothing.
void ottla_error_free(ottla_error *error);

// The name of a status, for example "NONE" of 0 or "CONFIG" of OTTLA_ERR_CONFIG; "UNKNOWN" of a number that is
// none. Static. From any thread.
const char *ottla_status_name(ottla_status status);

// ==================================================================================================================
// Configuration
//
// Pairs of key and value, both text, by Kafka's own names: bootstrap.servers, linger.ms, compression.type.
// docs/configuration.md lists them all. librdkafka's names are accepted where they mean the same. Plain numbers are in
// Kafka's own unit; values with a unit (5ms, 64MB, 64MiB) are accepted too.
//
// Everything is checked when a client is made of it: an unknown key, a wrong type, a number out of range, a
// key of another kind of client, two names of one key are OTTLA_ERR_CONFIG, whose message names the key, the value and
// what was probably meant.
//
//     ottla_config *config = ottla_config_new();
//     if (ottla_config_set(config, "bootstrap.servers", "localhost:9092", &error) == OTTLA_OK &&
//         ottla_config_set(config, "linger.ms", "5", &error) == OTTLA_OK) {
//         status = ottla_producer_new(config, &producer, &error);
//     }
//     ottla_config_free(config);
// ==================================================================================================================

// The key is one of producers.
#define OTTLA_KEY_PRODUCER 1

// The key is one of consumers.
#define OTTLA_KEY_CONSUMER 2

// The key is one of admin clients.
#define OTTLA_KEY_ADMIN 4

// clients: share consumers have the key.
#define OTTLA_KEY_SHARE_CONSUMER 8

// A row of the table of keys. Its strings live as long as the table.
typedef struct ottla_key {
    // Kafka's name of it.
    const char *name;
    // "boolean", "integer", "duration", "size", "text", "choice", "hosts", or "not yet" of a key that is known and
    // refused.
    const char *type_name;
    // The value when not set, as one would write it; NULL if there is none.
    const char *default_value;
    // What it means.
    const char *meaning;
    // The kinds of client that have it: a sum of OTTLA_KEY_*.
    uint32_t clients;
} ottla_key;

// An empty configuration, owned by the caller. Never NULL.
ottla_config *ottla_config_new(void);

// Sets a key; a key set before gets the new value. Key and value are copied. Nothing is checked yet but that both are
// UTF-8: only a client knows its keys.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_config_set(ottla_config *config,
                              const char *key,
                              const char *value,
                              ottla_error **error);

// Frees a configuration. Clients made of it are not concerned.
void ottla_config_free(ottla_config *config);

// Writes the table of all keys, which the caller frees.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE ottla_status ottla_config_keys(ottla_keys **keys, ottla_error **error);

// How many keys there are; 0 of NULL.
size_t ottla_keys_count(const ottla_keys *keys);

// Writes row i, counted from 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_keys_get(const ottla_keys *keys,
                            size_t i,
                            ottla_key *key,
                            ottla_error **error);

// Frees the table of keys, and with it every string in it.
void ottla_keys_free(ottla_keys *keys);

// ==================================================================================================================
// Log lines
//
// Ottla never writes to stderr by itself, unless the environment variable OTTLA_LOG names a level (error, warn,
// info, debug, trace), but for one line at the process's end if records are lost by it; OTTLA_LOG=off silences that. Each client keeps its lines in a ring of 1,024, up to the level of its key log.level, until the
// program takes them with ottla_producer_logs, ottla_consumer_logs or ottla_admin_logs. Lines of one cause come at
// growing intervals, with the number left out between.
// ==================================================================================================================

// Level of a log line: something asked for did not happen.
#define OTTLA_LOG_ERROR 1

// Level of a log line: something is wrong and may go away by itself.
#define OTTLA_LOG_WARN 2

// Level of a log line: a change worth knowing.
#define OTTLA_LOG_INFO 3

// Level of a log line: what the client decides, and why.
#define OTTLA_LOG_DEBUG 4

// Level of a log line: every request and response.
#define OTTLA_LOG_TRACE 5

// One log line. Its strings live as long as the ottla_log_lines it is of.
typedef struct ottla_log_line {
    // The part of the client it is from, for example "connect".
    const char *facility;
    // The client's client.id.
    const char *client_id;
    // What happened.
    const char *message;
    // Milliseconds since 1970.
    int64_t time;
    // How many lines of the same cause were left out since the last one.
    uint64_t repeated;
    // OTTLA_LOG_*
    int32_t level;
} ottla_log_line;

// How many lines there are; 0 of NULL.
size_t ottla_log_lines_count(const ottla_log_lines *lines);

// Writes line i, counted from 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_log_lines_get(const ottla_log_lines *lines,
                                 size_t i,
                                 ottla_log_line *line,
                                 ottla_error **error);

// Frees log lines, and with them every string in them.
void ottla_log_lines_free(ottla_log_lines *lines);

// ==================================================================================================================
// Producer
//
// Writes records. One producer serves a whole program: all its functions may be called from many threads at
// once, and records are copied before a call returns. They gather in batches, one for each partition, which leave
// when they are full or linger.ms after their first record, whether or not the program calls again.
//
//     ottla_producer *producer = NULL;
//     status = ottla_producer_new(config, &producer, &error);
//     ottla_bytes none = {NULL, 0}, value = {(const uint8_t *)"hello", 5};
//     status = ottla_producer_send(producer, "greetings", -1, none, value, NULL, 0, -1, 0, -1, &error);
//     status = ottla_producer_flush(producer, 10000, &error);
//     status = ottla_producer_close(producer, 10000, &error);
//     ottla_producer_free(producer);
//
// Many records of one topic go in one call, as columns:
//
//     ottla_column values = {0};
//     values.blob = (const uint8_t *)"onetwothree";
//     values.blob_len = 11;
//     values.lengths = lengths;                                   // int32_t lengths[] = {3, 3, 5};
//     size_t accepted = 0;
//     status = ottla_producer_send_batch(producer, "numbers", -1, 3, NULL, &values, NULL, NULL, 1, -1,
//                                        &accepted, &error);
//
// A full buffer (buffer.memory) makes a call wait as long as its timeout says, or answer OTTLA_ERR_AGAIN at once
// where that is 0. What became of records is told by ottla_producer_poll. Undrained completions count as part of the
// buffer, so a program that gives tokens has to poll.
// ==================================================================================================================

// Byte strings, one for each record of a call, in one of three layouts; what a layout doesn't need is NULL or 0.
//
// - blob and lengths: one after another in the blob, of which they take all; -1 is null.
// - blob and offsets: record i is blob[offsets[i]] to blob[offsets[i + 1]], exclusive, as in Arrow. Rows + 1
//   offsets, never falling; the first need not be 0, the last need not be the blob's end. No nulls.
// - pointers and lengths: each somewhere else; the length -1 is null, and so is the pointer NULL with length 0.
typedef struct ottla_column {
    // All the bytes.
    const uint8_t *blob;
    // How many.
    size_t blob_len;
    // Where each string is.
    const uint8_t *const *pointers;
    // How long each string is.
    const int32_t *lengths;
    // Where each string starts in the blob, and one more.
    const int32_t *offsets;
} ottla_column;

// The headers of all records of a call.
typedef struct ottla_header_column {
    // How many headers each record has.
    const int32_t *counts;
    // For each header, in order, the length of its name and that of its value (-1 for null).
    const int32_t *lengths;
    // How many lengths there are: twice the sum of the counts.
    size_t lengths_count;
    // Names and values in the order of the lengths.
    const uint8_t *blob;
    // Its size in bytes, the sum of the lengths.
    size_t blob_len;
} ottla_header_column;

// Totals since a producer was made, and what it holds now. Further figures are in ottla_producer_stats.
typedef struct ottla_producer_counts {
    // Records acknowledged.
    uint64_t written;
    // Records not written, or possibly written.
    uint64_t failed;
    // Batches closed and handed over to be sent.
    uint64_t batches;
    // Produce requests sent.
    uint64_t requests;
    // Batches sent again.
    uint64_t retries;
    // Bytes of batches sent, as on the wire.
    uint64_t bytes;
    // Bytes of buffer.memory in use now.
    uint64_t buffered_bytes;
    // Batches not ended now.
    uint64_t live_batches;
} ottla_producer_counts;

// Makes a producer and writes its handle, which the caller frees with ottla_producer_free. Nothing is connected yet;
// the first calls find out, or ottla_producer_connect.
//
// Errors: OTTLA_ERR_CONFIG for a mistake in the configuration, OTTLA_ERR_IO if no thread can be started.
OTTLA_MUST_USE
ottla_status ottla_producer_new(const ottla_config *config,
                                ottla_producer **producer,
                                ottla_error **error);

// Waits until the cluster has answered and a connection to one of its brokers stands. Not needed before sending; it
// is for finding out early.
//
// Errors: after the timeout, or as soon as waiting is of no use, what failed first: OTTLA_ERR_CONNECT, OTTLA_ERR_DNS,
// OTTLA_ERR_TLS, OTTLA_ERR_PROTOCOL, OTTLA_ERR_TIMED_OUT. The message names each broker tried, as given and as
// advertised, with the stage that failed and why.
OTTLA_MUST_USE
ottla_status ottla_producer_connect(const ottla_producer *producer,
                                    int64_t timeout_ms,
                                    ottla_error **error);

// Sends one record; its bytes are copied. For many records ottla_producer_send_batch costs less.
//
// - partition: -1 to have the partitioner choose, by the key if there is one.
// - key, value: null where data is NULL.
// - headers: header_count of them; NULL with 0.
// - timestamp: milliseconds since 1970, or -1 for now.
// - token: comes back in the record's completion; 0 asks for none.
// - timeout_ms: how long to wait for room in the buffer; 0 not at all, -1 as long as max.block.ms says.
//
// Errors: OTTLA_ERR_AGAIN (timeout 0) or OTTLA_ERR_BUFFER_FULL where there was no room in time,
// OTTLA_ERR_RECORD_TOO_LARGE, OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION where the topic is known not to exist or has no such
// partition, OTTLA_ERR_CLOSED, OTTLA_ERR_INVALID_ARGUMENT. After an error the record was not taken. While no broker can be
// reached records are taken and wait, as long as max.block.ms and delivery.timeout.ms allow: ottla_producer_connect is
// for failing early, and ottla_producer_next_event tells what is in the way. A partition number beyond those known is
// looked up first, which takes a moment (OTTLA_ERR_AGAIN with timeout 0).
OTTLA_MUST_USE
ottla_status ottla_producer_send(const ottla_producer *producer,
                                 const char *topic,
                                 int32_t partition,
                                 ottla_bytes key,
                                 ottla_bytes value,
                                 const ottla_header *headers,
                                 size_t header_count,
                                 int64_t timestamp,
                                 uint64_t token,
                                 int64_t timeout_ms,
                                 ottla_error **error);

// Sends rows records of one topic, given as columns; everything is copied.
//
// All is checked first, then records are taken in order. accepted says how many were: always a prefix, all of them
// on success, and it is written on failure too. What was not taken can be given again.
//
// - partition: for all of them; -1 to have the partitioner choose for each.
// - keys, values: NULL for a column of nulls.
// - headers: NULL for none.
// - timestamps: one for each record, in milliseconds since 1970, -1 for now; NULL for now in all.
// - token: the call's; completions tell which of its records they are about. 0 asks for none.
// - timeout_ms: as in ottla_producer_send, for the call as a whole.
//
// Errors: as ottla_producer_send. OTTLA_ERR_RECORD_TOO_LARGE and OTTLA_ERR_INVALID_ARGUMENT (columns that don't fit
// together) take no record.
OTTLA_MUST_USE
ottla_status ottla_producer_send_batch(const ottla_producer *producer,
                                       const char *topic,
                                       int32_t partition,
                                       size_t rows,
                                       const ottla_column *keys,
                                       const ottla_column *values,
                                       const ottla_header_column *headers,
                                       const int64_t *timestamps,
                                       uint64_t token,
                                       int64_t timeout_ms,
                                       size_t *accepted,
                                       ottla_error **error);

// Takes up to max completions (0: all there are), waiting up to the timeout for the first, and writes them, or NULL
// when the time is over. The caller frees them. Several threads may poll; each completion comes to one of them.
//
// Errors: OTTLA_ERR_WOKEN after ottla_producer_wake; OTTLA_ERR_CLOSED when the producer is closed and nothing is left.
OTTLA_MUST_USE
ottla_status ottla_producer_poll(const ottla_producer *producer,
                                 size_t max,
                                 int64_t timeout_ms,
                                 ottla_completions **completions,
                                 ottla_error **error);

// Sends everything taken so far without lingering, and waits until all of it has ended. Completions are not drained
// by it.
//
// Errors: OTTLA_ERR_TIMED_OUT with how much is left, which goes on being sent; otherwise the first failure of records
// sent with the token 0 since the last flush.
OTTLA_MUST_USE
ottla_status ottla_producer_flush(const ottla_producer *producer,
                                  int64_t timeout_ms,
                                  ottla_error **error);

// Ends one wait of ottla_producer_poll, the present one or the next, with OTTLA_ERR_WOKEN.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE ottla_status ottla_producer_wake(const ottla_producer *producer, ottla_error **error);

// Writes a descriptor (a SOCKET on Windows) for poll, epoll, select or an event loop. It is readable while completions
// wait, after a wake, after close, and when room has come after an OTTLA_ERR_AGAIN; then call ottla_producer_poll with
// timeout 0, which may find nothing. It is made at the first call, owned by the producer and closed with it: only wait
// on it, never read it.
//
// It is level-triggered: it stays readable until nothing is left, also after a poll that took a part, so a loop may poll once
// each time it is readable. With an edge-triggered epoll (EPOLLET) poll until nothing comes. Readiness without cause happens.
//
// Errors: OTTLA_ERR_IO if the operating system has none left.
OTTLA_MUST_USE
ottla_status ottla_producer_descriptor(const ottla_producer *producer,
                                       intptr_t *descriptor,
                                       ottla_error **error);

// Writes the producer's totals.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_producer_get_counts(const ottla_producer *producer,
                                       ottla_producer_counts *counts,
                                       ottla_error **error);

// Takes up to max log lines (0: all there are), the oldest first, and writes them, or NULL if there are none. The
// caller frees them.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_producer_logs(const ottla_producer *producer,
                                 size_t max,
                                 ottla_log_lines **lines,
                                 ottla_error **error);

// Takes no more records, flushes for up to the timeout, then gives up what is left (not written where it was never
// sent, possibly written where it was) and ends the connections. Whatever another thread's send has taken is among
// what is flushed; sends from then on answer OTTLA_ERR_CLOSED. Wakes all who wait. Completions can still be polled.
// Closing twice does nothing.
//
// Errors: as ottla_producer_flush; the producer is closed all the same.
OTTLA_MUST_USE
ottla_status ottla_producer_close(const ottla_producer *producer,
                                  int64_t timeout_ms,
                                  ottla_error **error);

// Frees a producer when all calls with it have returned. Without a close before, what has not been acknowledged is given
// up, and when the process ends a line on stderr says how many records that were. Completions that were polled stay valid.
void ottla_producer_free(ottla_producer *producer);

// ==================================================================================================================
// Producer: topics of their own kind, partitioners, purge
//
// Topics share the producer's settings unless they are given their own, before they are first used:
//
//     ottla_config *orders = ottla_config_new();
//     status = ottla_config_set(orders, "acks", "1", &error);
//     status = ottla_config_set(orders, "compression.type", "zstd", &error);
//     status = ottla_producer_set_topic_config(producer, "orders", orders, &error);
//     ottla_config_free(orders);
//
// A partitioner of the program's own is a function, called for each record that names no partition:
//
//     static int32_t by_first_byte(const char *topic, ottla_bytes key, int32_t partition_count, void *opaque) {
//         (void)topic, (void)opaque;
//         return key.len == 0 ? -1 : key.data[0] % partition_count;
//     }
//     status = ottla_producer_set_partitioner(producer, NULL, by_first_byte, NULL, &error);
// ==================================================================================================================

// Records that wait to be sent, or to be sent again, are given up.
#define OTTLA_PURGE_QUEUED 1

// Records that were sent and are not answered are given up: they may have been written all the same.
#define OTTLA_PURGE_IN_FLIGHT 2

// Both.
#define OTTLA_PURGE_ALL 3

// Chooses a record's partition: its number, from 0 to below partition_count, or -1 to leave the choice to the
// configured partitioner. Any other number makes the sending call fail with OTTLA_ERR_INVALID_ARGUMENT.
//
// It runs inside the sending calls, on their threads, so perhaps on several at once; it may call Ottla itself. topic
// and key are lent for the call.
//
// It has to return. An exception or a longjmp that leaves it ends the process, at once or by what it skips: the frames
// between it and the sending call are Ottla's, with locks held. Catch what it may throw, remember it, answer a number
// below -1, and throw it again when the sending call has failed; that is what the C++ wrapper does.
typedef int32_t (*ottla_partitioner)(const char *topic, ottla_bytes key, int32_t partition_count, void *opaque);

// Gives a topic settings of its own, before the producer first uses it: acks, compression.type and its levels,
// delivery.timeout.ms, linger.ms, partitioner, partitioner.ignore.keys,
// partitioner.adaptive.partitioning.enable, request.timeout.ms. What is not given is as the producer has it. The
// configuration is read and can be freed or used again.
//
// Where a topic asks for less than acks=all its records are sent without idempotence; if the producer was explicitly
// asked for that, it is an error.
//
// Errors: OTTLA_ERR_CONFIG for a mistake in the settings, or one that contradicts the producer's;
// OTTLA_ERR_INVALID_ARGUMENT if the topic is in use already; OTTLA_ERR_INVALID_TOPIC_EXCEPTION for a name that cannot
// be a topic's.
OTTLA_MUST_USE
ottla_status ottla_producer_set_topic_config(const ottla_producer *producer,
                                             const char *topic,
                                             const ottla_config *config,
                                             ottla_error **error);

// Sets the program's own partitioner, before the topics it is for are first used.
//
// - topic: the topic it is for; NULL for all that are not given one of their own, neither by this function nor by the
//   key partitioner in ottla_producer_set_topic_config.
// - function, opaque: called with opaque until the producer is freed. Not NULL.
//
// Sending to a topic with such a partitioner waits until the topic's partitions are known (with timeout 0 it answers
// OTTLA_ERR_AGAIN until then, and the descriptor tells when), since the function needs their number.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if the topic (with NULL: any topic) is in use already;
// OTTLA_ERR_INVALID_TOPIC_EXCEPTION for a name that cannot be a topic's.
OTTLA_MUST_USE
ottla_status ottla_producer_set_partitioner(const ottla_producer *producer,
                                            const char *topic,
                                            ottla_partitioner function,
                                            void *opaque,
                                            ottla_error **error);

// Gives up records that have not ended: those queued, those in flight, or both (OTTLA_PURGE_*). When this returns
// their completions can be polled; they have the error OTTLA_ERR_PURGED and the outcome OTTLA_NOT_WRITTEN, or
// OTTLA_POSSIBLY_WRITTEN for records that were sent and not answered. Records that other threads send meanwhile may
// be spared. The producer goes on.
//
// Errors: OTTLA_ERR_TIMED_OUT if the I/O thread did not come to it within 5 s.
OTTLA_MUST_USE
ottla_status ottla_producer_purge(const ottla_producer *producer,
                                  int32_t what,
                                  ottla_error **error);

// ==================================================================================================================
// Transactions
//
// With transactional.id a producer writes records of many partitions, and a group's offsets, that become visible together
// or not at all (KIP-98, 447, 890). Consumers with isolation.level=read_committed see what was committed, and nothing else.
//
//     status = ottla_producer_init_transactions(producer, 30000, &error);     // once
//     status = ottla_producer_begin_transaction(producer, &error);
//     status = ottla_producer_send(producer, "out", -1, none, value, NULL, 0, -1, 0, -1, &error);
//     ottla_offset_to_commit next = {"in", 0, 42, -1, NULL};                  // of what was read to make it
//     ottla_group_metadata group = {"my-group", -1, NULL, NULL};
//     status = ottla_producer_send_offsets(producer, &next, 1, &group, 30000, &error);
//     status = ottla_producer_commit_transaction(producer, 30000, &error);
//
// An error tells what to do about it, and is exactly one of these, or none, which is a mistake in how the functions were
// called (OTTLA_ERR_INVALID_TXN_STATE, told at once):
//
//   ottla_error_is_retriable  call the same function again; where the time was over, what it began goes on, and may succeed
//   ottla_error_needs_abort   call ottla_producer_abort_transaction; the producer is as good as new then
//   ottla_error_is_fatal      another producer has taken the transactional id over (it is fenced: nothing that it still
//                               sends gets written), or it may not be used: close the producer
//
// After a record, or offsets, of a transaction failed, its commit is refused with that error, whether or not the program
// looked at the failed call or its completion. Records of an aborted transaction that were not sent end as not written.
// ==================================================================================================================

// An offset for a group to commit.
typedef struct ottla_offset_to_commit {
    // The topic.
    const char *topic;
    // The partition.
    int32_t partition;
    // The offset of the next record to read: one more than that of the last one that was worked on.
    int64_t offset;
    // Leader epoch of the last record that was read (KIP-320); -1 if it isn't known.
    int32_t leader_epoch;
    // Anything to keep with it, or NULL.
    const char *metadata;
} ottla_offset_to_commit;

// A consumer's place in its group, by which the group's coordinator refuses one that has lost its partitions (KIP-447).
typedef struct ottla_group_metadata {
    // group.id
    const char *group_id;
    // The generation, or the member's epoch; -1 outside of a membership.
    int32_t generation;
    // The member's id; NULL outside of a membership.
    const char *member_id;
    // group.instance.id of a static member; NULL of others.
    const char *instance_id;
} ottla_group_metadata;

// Readies a producer with transactional.id for transactions: what an earlier run of the program left open under the same
// id is aborted, and a producer that still uses it is fenced. Called once, first of all.
//
// Errors: OTTLA_ERR_TIMED_OUT: call it again. Fatal ones: what the coordinator refused, for example
// OTTLA_ERR_INVALID_TRANSACTION_TIMEOUT. OTTLA_ERR_INVALID_TXN_STATE without transactional.id.
OTTLA_MUST_USE
ottla_status ottla_producer_init_transactions(const ottla_producer *producer,
                                              int64_t timeout_ms,
                                              ottla_error **error);

// Begins a transaction: all that is sent from now on belongs to it until it is committed or aborted. Nothing goes over the
// network.
//
// Errors: OTTLA_ERR_INVALID_TXN_STATE before ottla_producer_init_transactions and while a transaction is open; one that
// needs an abort where the transaction before failed; a fatal one of a fenced producer.
OTTLA_MUST_USE
ottla_status ottla_producer_begin_transaction(const ottla_producer *producer,
                                              ottla_error **error);

// Adds a group's offsets to the open transaction: they are committed when it is, and not at all if it is aborted.
//
// Errors: OTTLA_ERR_TIMED_OUT: it goes on, and the commit waits for it. One that needs an abort, for example
// OTTLA_ERR_ILLEGAL_GENERATION where the consumer is not in the group any more. OTTLA_ERR_INVALID_TXN_STATE outside of a
// transaction.
OTTLA_MUST_USE
ottla_status ottla_producer_send_offsets(const ottla_producer *producer,
                                         const ottla_offset_to_commit *offsets,
                                         size_t count,
                                         const ottla_group_metadata *group,
                                         int64_t timeout_ms,
                                         ottla_error **error);

// Commits the open transaction: sends what is left of it, waits until all of it is written, then has it committed. Readers
// get all of it in a moment.
//
// Errors: OTTLA_ERR_TIMED_OUT: the commit goes on and may succeed; call it again to learn its end. One that needs an abort
// where anything of the transaction failed: nothing of it is committed, and the message says what failed and why. A fatal
// one of a fenced producer. OTTLA_ERR_INVALID_TXN_STATE when no transaction is open.
OTTLA_MUST_USE
ottla_status ottla_producer_commit_transaction(const ottla_producer *producer,
                                               int64_t timeout_ms,
                                               ottla_error **error);

// Aborts the open transaction: gives up what was not sent (it ends as not written), waits for what was, then has it
// aborted. The way on after an error that needs an abort.
//
// Errors: OTTLA_ERR_TIMED_OUT: the abort goes on; call it again. OTTLA_ERR_INVALID_TXN_STATE when no transaction is open,
// or when its commit was asked for and may have been carried out. A fatal one of a fenced producer.
OTTLA_MUST_USE
ottla_status ottla_producer_abort_transaction(const ottla_producer *producer,
                                              int64_t timeout_ms,
                                              ottla_error **error);

// ==================================================================================================================
// Completions
//
// What became of records, told in runs: records of one call that ended together in one partition. A call that
// gave the token 0 gets none; its records are only counted, and ottla_producer_flush reports the first of them that
// failed.
//
//     ottla_completions *completions = NULL;
//     status = ottla_producer_poll(producer, 0, 1000, &completions, &error);
//     const ottla_completion *c = ottla_completions_data(completions);
//     for (size_t i = 0; i < ottla_completions_count(completions); i++) {
//         if (c[i].outcome == OTTLA_WRITTEN) {
//             printf("call %llu: %u records from offset %lld on\n", (unsigned long long)c[i].token,
//                    (unsigned)c[i].count, (long long)c[i].base_offset);
//         } else {
//             printf("%s\n", ottla_error_message(c[i].error));
//         }
//     }
//     ottla_completions_free(completions);
// ==================================================================================================================

// The broker acknowledged the records (with acks=0: they were handed to the connection).
#define OTTLA_WRITTEN 0

// It is certain that the records were not written.
#define OTTLA_NOT_WRITTEN 1

// The records were sent, and no answer tells whether they were written.
#define OTTLA_POSSIBLY_WRITTEN 2

// A run of records of one call that ended together in one partition. What it points to lives as long as the
// ottla_completions it is of.
typedef struct ottla_completion {
    // The token given with the call.
    uint64_t token;
    // The topic.
    const char *topic;
    // Offset of the run's first record, the others following by one; -1 where it is not known.
    int64_t base_offset;
    // Milliseconds since 1970: the broker's time where the topic stamps on append, otherwise the timestamp of the
    // batch's first record.
    int64_t timestamp;
    // NULL where the run's records lie side by side in their call: first, first + 1 and so on. Otherwise count
    // indices within the call.
    const uint32_t *indices;
    // Why they were not written; NULL if they were.
    const ottla_error *error;
    // The partition; -1 where none was chosen yet.
    int32_t partition;
    // Index within the call of the run's first record.
    uint32_t first;
    // Number of records.
    uint32_t count;
    // OTTLA_WRITTEN, OTTLA_NOT_WRITTEN or OTTLA_POSSIBLY_WRITTEN.
    int32_t outcome;
} ottla_completion;

// How many there are; 0 of NULL.
size_t ottla_completions_count(const ottla_completions *completions);

// The completions, one after another in memory; NULL of NULL.
const ottla_completion *ottla_completions_data(const ottla_completions *completions);

// Frees completions, and with them all they point to.
void ottla_completions_free(ottla_completions *completions);

// ==================================================================================================================
// Consumer
//
// Reads partitions of topics. Records are fetched in the background from all their leaders at once, up to
// fetch.memory.bytes; a poll gives what is there, events first.
//
//     ottla_consumer *consumer = NULL;
//     status = ottla_consumer_new(config, &consumer, &error);
//     status = ottla_consumer_assign_topic(consumer, "greetings", OTTLA_START_EARLIEST, 0, &error);
//     for (;;) {
//         ottla_batch *batch = NULL;
//         ottla_event *event = NULL;
//         status = ottla_consumer_poll(consumer, 0, 1000, &batch, &event, &error);
//         if (status != OTTLA_OK) break;
//         if (event) fprintf(stderr, "%s\n", ottla_event_message(event));
//         ottla_event_free(event);
//         ...                                                     // the batch's segments, if there is a batch
//         ottla_batch_free(batch);
//     }
//     ottla_consumer_free(consumer);
// ==================================================================================================================

// Start where auto.offset.reset says.
#define OTTLA_START_RESET 0

// Start at the oldest record the log holds.
#define OTTLA_START_EARLIEST 1

// Start after the newest record.
#define OTTLA_START_LATEST 2

// Start at the offset value.
#define OTTLA_START_OFFSET 3

// Start at the first record with the timestamp value (milliseconds since 1970) or later; at the end if there is none.
#define OTTLA_START_TIMESTAMP 4

// A partition to read, and where to start.
typedef struct ottla_assignment {
    // The topic.
    const char *topic;
    // Of OTTLA_START_OFFSET and OTTLA_START_TIMESTAMP.
    int64_t value;
    // The partition.
    int32_t partition;
    // OTTLA_START_*
    int32_t start;
} ottla_assignment;

// A partition of a topic.
typedef struct ottla_topic_partition {
    // The topic.
    const char *topic;
    // The partition.
    int32_t partition;
} ottla_topic_partition;

// Makes a consumer without an assignment and writes its handle, which the caller frees with ottla_consumer_free. It
// connects in the background.
//
// Errors: OTTLA_ERR_CONFIG for a mistake in the configuration, OTTLA_ERR_IO if no thread can be started.
OTTLA_MUST_USE
ottla_status ottla_consumer_new(const ottla_config *config,
                                ottla_consumer **consumer,
                                ottla_error **error);

// Waits until the cluster has answered and a connection to one of its brokers stands. Not needed before polling.
//
// Errors: as ottla_producer_connect.
OTTLA_MUST_USE
ottla_status ottla_consumer_connect(const ottla_consumer *consumer,
                                    int64_t timeout_ms,
                                    ottla_error **error);

// Replaces the assignment by these partitions. One that was assigned before goes on where it is; its start is not
// looked at.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT for a negative partition or offset, an empty name, a partition given twice.
OTTLA_MUST_USE
ottla_status ottla_consumer_assign(const ottla_consumer *consumer,
                                   const ottla_assignment *partitions,
                                   size_t count,
                                   ottla_error **error);

// Adds all partitions of a topic to the assignment. Partitions that it gets later are read too, from their beginnings,
// and an event tells of them. start is not OTTLA_START_OFFSET; value is that of OTTLA_START_TIMESTAMP, otherwise 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_consumer_assign_topic(const ottla_consumer *consumer,
                                         const char *topic,
                                         int32_t start,
                                         int64_t value,
                                         ottla_error **error);

// Empties the assignment.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_consumer_unassign(const ottla_consumer *consumer,
                                     ottla_error **error);

// Writes the assigned partitions, ordered by topic and partition; the caller frees the list.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_consumer_assignment(const ottla_consumer *consumer,
                                       ottla_partitions **partitions,
                                       ottla_error **error);

// Goes on reading an assigned partition somewhere else. What was fetched of it is dropped.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if it is not assigned, or for a negative offset.
OTTLA_MUST_USE
ottla_status ottla_consumer_seek(const ottla_consumer *consumer,
                                 const char *topic,
                                 int32_t partition,
                                 int32_t start,
                                 int64_t value,
                                 ottla_error **error);

// Stops fetching and handing out records of partitions; what was fetched of them is kept.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if one of them is not assigned; then none is paused.
OTTLA_MUST_USE
ottla_status ottla_consumer_pause(const ottla_consumer *consumer,
                                  const ottla_topic_partition *partitions,
                                  size_t count,
                                  ottla_error **error);

// Goes on with paused partitions.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if one of them is not assigned; then none is resumed.
OTTLA_MUST_USE
ottla_status ottla_consumer_resume(const ottla_consumer *consumer,
                                   const ottla_topic_partition *partitions,
                                   size_t count,
                                   ottla_error **error);

// Writes the offset after the last record that counts as read, or -1 while the start is being looked up. Records of
// the batch that was polled last count as read once the next is asked for.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if the partition is not assigned.
OTTLA_MUST_USE
ottla_status ottla_consumer_position(const ottla_consumer *consumer,
                                     const char *topic,
                                     int32_t partition,
                                     int64_t *position,
                                     ottla_error **error);

// Writes how many offsets the position is behind the end of what can be read, as far as the brokers have told; -1
// before they have. Each fetch tells; the end of a paused partition is asked for every 5 seconds.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if the partition is not assigned.
OTTLA_MUST_USE
ottla_status ottla_consumer_lag(const ottla_consumer *consumer,
                                const char *topic,
                                int32_t partition,
                                int64_t *lag,
                                ottla_error **error);

// Asks the brokers for the oldest offset of each partition and writes it to offsets, an array of count. The partitions
// need not be assigned.
//
// Errors: the first partition's that failed; OTTLA_ERR_TIMED_OUT.
OTTLA_MUST_USE
ottla_status ottla_consumer_beginning_offsets(const ottla_consumer *consumer,
                                              const ottla_topic_partition *partitions,
                                              size_t count,
                                              int64_t timeout_ms,
                                              int64_t *offsets,
                                              ottla_error **error);

// Asks the brokers for the offset after the last record that can be read of each partition (with
// isolation.level=read_committed: the first open transaction's) and writes it to offsets, an array of count.
//
// Errors: as ottla_consumer_beginning_offsets.
OTTLA_MUST_USE
ottla_status ottla_consumer_end_offsets(const ottla_consumer *consumer,
                                        const ottla_topic_partition *partitions,
                                        size_t count,
                                        int64_t timeout_ms,
                                        int64_t *offsets,
                                        ottla_error **error);

// Asks the brokers for the first record of partition i with the timestamp times[i] (milliseconds since 1970) or later
// and writes its offset to offsets[i]; -1 where there is none.
//
// Errors: as ottla_consumer_beginning_offsets.
OTTLA_MUST_USE
ottla_status ottla_consumer_offsets_for_times(const ottla_consumer *consumer,
                                              const ottla_topic_partition *partitions,
                                              const int64_t *times,
                                              size_t count,
                                              int64_t timeout_ms,
                                              int64_t *offsets,
                                              ottla_error **error);

// Writes how many partitions a topic has.
//
// Errors: what the cluster answers for the topic; OTTLA_ERR_TIMED_OUT.
OTTLA_MUST_USE
ottla_status ottla_consumer_partition_count(const ottla_consumer *consumer,
                                            const char *topic,
                                            int64_t timeout_ms,
                                            int32_t *count,
                                            ottla_error **error);

// Waits up to the timeout for an event or a record and writes, for the caller to free, either an event, or a batch of
// up to max_records records (0: max.poll.records) of what has arrived. The other one, and when the time is over both,
// are NULL. One thread at a time. Batches hold their memory until they are freed, without a limit:
// ottla_consumer_held_bytes tells how much that is.
//
// Errors: OTTLA_ERR_IN_USE while another thread polls; OTTLA_ERR_WOKEN after ottla_consumer_wake; OTTLA_ERR_CLOSED;
// until the first contact with the cluster, once socket.connection.setup.timeout.ms is over, why no broker can be
// reached.
OTTLA_MUST_USE
ottla_status ottla_consumer_poll(ottla_consumer *consumer,
                                 size_t max_records,
                                 int64_t timeout_ms,
                                 ottla_batch **batch,
                                 ottla_event **event,
                                 ottla_error **error);

// Ends the wait of the poll that is under way, or of the next one that has to wait, with OTTLA_ERR_WOKEN.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE ottla_status ottla_consumer_wake(const ottla_consumer *consumer, ottla_error **error);

// Writes a descriptor (a SOCKET on Windows) for poll, epoll, select or an event loop, readable while a poll would give
// something at once; then poll with timeout 0, which may find nothing. It is made at the first call, owned by the
// consumer and closed with it: only wait on it, never read it.
//
// It is level-triggered: it stays readable until nothing is left, also after a poll that took a part, so a loop may poll once
// each time it is readable. With an edge-triggered epoll (EPOLLET) poll until nothing comes. Readiness without cause happens.
//
// Errors: OTTLA_ERR_IO if the operating system has none left.
OTTLA_MUST_USE
ottla_status ottla_consumer_descriptor(const ottla_consumer *consumer,
                                       intptr_t *descriptor,
                                       ottla_error **error);

// Writes how many bytes of buffers polled batches keep from being used again.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_consumer_held_bytes(const ottla_consumer *consumer,
                                       size_t *bytes,
                                       ottla_error **error);

// Writes how many bytes were fetched and not polled yet, limited by fetch.memory.bytes.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_consumer_buffered_bytes(const ottla_consumer *consumer,
                                           size_t *bytes,
                                           ottla_error **error);

// Takes up to max log lines (0: all there are), as ottla_producer_logs.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_consumer_logs(const ottla_consumer *consumer,
                                 size_t max,
                                 ottla_log_lines **lines,
                                 ottla_error **error);

// Ends every call with OTTLA_ERR_CLOSED, drops what was fetched, commits what counts as read (with enable.auto.commit),
// waits for commits in the background that were asked for, leaves the group at once (a static member stays in it), and waits
// up to the timeout until the connections are closed.
// The batch polled last does not count as read by this. Batches stay valid. Closing twice does nothing.
//
// Errors: OTTLA_ERR_TIMED_OUT; closing then goes on in the background.
OTTLA_MUST_USE
ottla_status ottla_consumer_close(const ottla_consumer *consumer,
                                  int64_t timeout_ms,
                                  ottla_error **error);

// Frees a consumer when all calls with it have returned. Its batches and events stay valid. Without a close before, it
// leaves its group in the background within five seconds; close it to be sure that it has left. Where more than 16
// clients are leaving at once it waits up to 0.1 s, and then leaves unheard.
void ottla_consumer_free(ottla_consumer *consumer);

// How many partitions are in the list; 0 of NULL.
size_t ottla_partitions_count(const ottla_partitions *partitions);

// Writes partition i of the list, counted from 0. Its topic lives as long as the list.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_partitions_get(const ottla_partitions *partitions,
                                  size_t i,
                                  ottla_topic_partition *partition,
                                  ottla_error **error);

// Frees a list of partitions.
void ottla_partitions_free(ottla_partitions *partitions);

// ==================================================================================================================
// Batches
//
// The records of one poll. They are not copied: a batch is a list of segments, each with the records of one partition
// that lie in one buffer, and columns that tell where in it they lie.
//
//     for (size_t s = 0; s < ottla_batch_segment_count(batch); s++) {
//         ottla_segment seg;
//         status = ottla_batch_segment(batch, s, &seg, &error);
//         for (size_t i = 0; i < seg.rows; i++) {
//             const uint8_t *value = seg.base + seg.value_start[i];
//             if (seg.value_len[i] >= 0) {                         // -1 is null
//                 use(seg.topic, seg.partition, seg.offsets[i], value, (size_t)seg.value_len[i]);
//             }
//         }
//     }
//     ottla_batch_free(batch);
//
// A batch keeps its buffers until it is freed, from whichever thread, also after its consumer is gone. What batches hold is
// not limited by fetch.memory.bytes: a program that doesn't free them takes memory without bound. How much that is, all
// batches together, is what ottla_consumer_held_bytes and held_bytes of the statistics tell; of one batch,
// ottla_batch_held_bytes. To keep a few records for long, ottla_batch_compact copies them out of their large buffers.
// ==================================================================================================================

// timestamp_type: the producer set the timestamps.
#define OTTLA_TIMESTAMP_CREATE 0

// timestamp_type: the broker set the timestamps when it appended the records.
#define OTTLA_TIMESTAMP_APPEND 1

// The records of one partition that lie in one buffer, as columns of rows elements each. The key of record i is the
// key_len[i] bytes from base + key_start[i] on; a length of -1 is null. Values likewise.
typedef struct ottla_segment {
    // The topic.
    const char *topic;
    // The buffer.
    const uint8_t *base;
    // Offsets in the partition; rising, not always by one.
    const int64_t *offsets;
    // Milliseconds since 1970.
    const int64_t *timestamps;
    // Where keys start.
    const uint32_t *key_start;
    // How long keys are; -1 is null.
    const int32_t *key_len;
    // Where values start.
    const uint32_t *value_start;
    // How long values are; -1 is null.
    const int32_t *value_len;
    // How many headers each record has; ottla_batch_headers reads them.
    const int32_t *header_count;
    // Number of records.
    size_t rows;
    // Its first record's row in the batch.
    size_t first_row;
    // The partition.
    int32_t partition;
    // Leader epoch of the segment's last record; -1 where it is not known.
    int32_t leader_epoch;
    // Who set the timestamps: OTTLA_TIMESTAMP_*
    int32_t timestamp_type;
} ottla_segment;

// One record.
typedef struct ottla_record {
    // The topic.
    const char *topic;
    // The key, or null.
    ottla_bytes key;
    // The value, or null.
    ottla_bytes value;
    // The offset in the partition.
    int64_t offset;
    // Milliseconds since 1970.
    int64_t timestamp;
    // The partition.
    int32_t partition;
    // How many headers it has.
    int32_t header_count;
    // Who set the timestamp: OTTLA_TIMESTAMP_*
    int32_t timestamp_type;
} ottla_record;

// Number of records; 0 of NULL.
size_t ottla_batch_rows(const ottla_batch *batch);

// Number of segments; 0 of NULL. Their rows follow each other without a gap.
size_t ottla_batch_segment_count(const ottla_batch *batch);

// Writes segment i, counted from 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_batch_segment(const ottla_batch *batch,
                                 size_t i,
                                 ottla_segment *segment,
                                 ottla_error **error);

// Writes the record in row row of the batch, counted from 0. For all of many records, segments cost less.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_batch_record(const ottla_batch *batch,
                                size_t row,
                                ottla_record *record,
                                ottla_error **error);

// Writes the headers of the record in row row of the batch, in their order, but not more than capacity, and to
// count how many it has. headers may be NULL if capacity is 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_batch_headers(const ottla_batch *batch,
                                 size_t row,
                                 ottla_header *headers,
                                 size_t capacity,
                                 size_t *count,
                                 ottla_error **error);

// How often each record of the batch has been delivered, this time included: an array of as many as it has rows, which
// lives as long as the batch. NULL of a batch that is not a share group's, and of NULL.
const int16_t *ottla_batch_delivery_counts(const ottla_batch *batch);

// Copies the records into a batch of their own with one small buffer, and writes it; the caller frees both.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_batch_compact(const ottla_batch *batch,
                                 ottla_batch **compacted,
                                 ottla_error **error);

// Bytes of the buffers that this batch keeps from being used again; batches may share a buffer. 0 of NULL.
size_t ottla_batch_held_bytes(const ottla_batch *batch);

// Frees a batch and gives its buffers back; from any thread, before or after its consumer is freed.
void ottla_batch_free(ottla_batch *batch);

// ==================================================================================================================
// Events
//
// What happened to what is read, beside records: told once, in the order it happened, and before the records that
// follow. A producer's events come by ottla_producer_next_event. Most can be ignored; the attempts go on by themselves.
// ==================================================================================================================

// A partition's position was moved from from to to, because the log no longer holds what was there: records were
// lost to this reader.
#define OTTLA_EVENT_POSITION_RESET 1

// A partition cannot be read on: nothing more comes of it until it is sought or assigned anew.
#define OTTLA_EVENT_PARTITION_STOPPED 2

// A partition cannot be read at present; the attempts go on. Where it isn't known which of several partitions of a broker
// it is, the event's partitions are those that it may be.
#define OTTLA_EVENT_PARTITION_FAILING 3

// A topic cannot be found or may not be read; the attempts go on.
#define OTTLA_EVENT_TOPIC_FAILING 4

// A topic was deleted and created again: its offsets begin anew. A start that was asked for as earliest, latest or by time
// holds for the new topic too, all of whose records are later than the start: it is read from its beginning, or from that
// time on. What started at an offset, by auto.offset.reset or in a group goes where auto.offset.reset says; if that is
// latest, records that were written before the new topic was noticed are not read.
#define OTTLA_EVENT_TOPIC_RECREATED 5

// A topic that is read whole has grown: its partitions from to to, exclusive, are read too, from their beginnings.
#define OTTLA_EVENT_PARTITIONS_ADDED 6

// A broker can't be reached: connections to it have failed for some seconds, or it has left a fetch unanswered for
// request.timeout.ms. The attempts go on, and this is told once until it answers a fetch again.
#define OTTLA_EVENT_BROKER_UNREACHABLE 7

// A commit in the background has ended: well, or with an error. Its token is that of the call.
#define OTTLA_EVENT_OFFSETS_COMMITTED 8

// Partitions are this member's of its group from now on. What follows of them starts at what the group has committed, or
// where auto.offset.reset says; a seek now comes before any record.
#define OTTLA_EVENT_PARTITIONS_ASSIGNED 9

// Partitions are to be given up, and no more records of them come. They are this member's until that is acknowledged, by
// ottla_consumer_acknowledge or the next poll: until then what was read of them can be committed.
#define OTTLA_EVENT_PARTITIONS_REVOKED 10

// Partitions are no longer this member's, since some time ago: others may have them, and nothing can be committed.
#define OTTLA_EVENT_PARTITIONS_LOST 11

// The group can't be joined at present, or not be kept in touch with, or positions not be committed in the background;
// the attempts go on.
#define OTTLA_EVENT_GROUP_FAILING 12

// The membership has ended for good; it takes a new subscription to join again.
#define OTTLA_EVENT_GROUP_LEFT 13

// What was acknowledged of records of a share group was not carried out, or may not have been: those of a partition from
// from to to, exclusive. They are delivered again.
#define OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED 14

// The program's own assignor is the group's, and this member its leader: the members (ottla_event_group_member) are to be
// given the partitions of topics (ottla_event_group_topic), by ottla_consumer_assign_group.
#define OTTLA_EVENT_ASSIGNMENT_WANTED 15

// Writes the oldest event of a producer that was not taken yet, which the caller frees; NULL if there is none. The last 64 are
// kept. When one is there the producer's descriptor is readable, and a wait in ottla_producer_poll ends. They tell what
// records wait for, and nothing has to be done about them: OTTLA_EVENT_BROKER_UNREACHABLE and
// OTTLA_EVENT_TOPIC_FAILING.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_producer_next_event(const ottla_producer *producer,
                                       ottla_event **event,
                                       ottla_error **error);

// Its kind, OTTLA_EVENT_*; 0 of NULL. Later versions may have kinds of which this header doesn't know.
int32_t ottla_event_kind(const ottla_event *event);

// The topic it is about; "" if it is about none, and of NULL.
const char *ottla_event_topic(const ottla_event *event);

// The partition it is about; -1 if it is about none, and of NULL.
int32_t ottla_event_partition(const ottla_event *event);

// The position before, or where the trouble is; -1 where there is none, and of NULL.
int64_t ottla_event_from(const ottla_event *event);

// The position after; -1 where there is none, and of NULL.
int64_t ottla_event_to(const ottla_event *event);

// The number of the call it is about; 0 if it is about none, and of NULL.
uint64_t ottla_event_token(const ottla_event *event);

// How many partitions were assigned, revoked or lost, or may be those that are failing; 0 of other events, and of NULL.
size_t ottla_event_partition_count(const ottla_event *event);

// Writes partition i of those, counted from 0. Its topic lives as long as the event.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_event_partition_get(const ottla_event *event,
                                       size_t i,
                                       ottla_topic_partition *partition,
                                       ottla_error **error);

// Why it happened, part of the event (not to be freed); NULL where there is no error, and of NULL.
const ottla_error *ottla_event_error(const ottla_event *event);

// What happened and what to do about it, in English; "" of NULL.
const char *ottla_event_message(const ottla_event *event);

// Frees an event.
void ottla_event_free(ottla_event *event);

// ==================================================================================================================
// Consumer groups
//
// A consumer with a group.id can subscribe instead of being assigned partitions: the group shares the partitions of
// its topics out among its members, and anew when members come and go. Polls tell of it, in the order it happens:
// OTTLA_EVENT_PARTITIONS_ASSIGNED, then the records of those partitions; OTTLA_EVENT_PARTITIONS_REVOKED before they go to
// another member; OTTLA_EVENT_PARTITIONS_LOST when they are gone already.
//
// Offsets. A record counts as read once the poll after the one that gave it is made, or when it is marked or committed.
// With enable.auto.commit what counts as read is committed every auto.commit.interval.ms, before partitions are
// given up, and on close; what was only fetched never is. To commit by hand, switch that off and commit a batch when it
// is done with:
//
//     const char *topics[] = {"orders"};
//     status = ottla_consumer_subscribe(consumer, topics, 1, &error);
//     for (;;) {
//         status = ottla_consumer_poll(consumer, 0, 1000, &batch, &event, &error);
//         if (status != OTTLA_OK) break;
//         if (batch) {
//             ...                                                 // work on it
//             status = ottla_consumer_commit_batch(consumer, batch, 30000, &error);
//         }
//         ottla_batch_free(batch);
//         ottla_event_free(event);                                // the next poll acknowledges a revocation
//     }
//
// Between a revocation and its acknowledgement, which the next poll is, the partitions are still this member's: whatever
// was read of them can be committed then. Afterwards a commit answers OTTLA_ERR_PARTITION_REVOKED; batches stay readable.
// A member that does not poll for max.poll.interval.ms leaves its group.
// ==================================================================================================================

// Becomes a member of the group and reads what it assigns of these topics; topics that don't exist yet are read once they
// do. Replaces an earlier subscription.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT without group.id, without a topic, for an empty name, or while partitions are
// assigned by hand.
OTTLA_MUST_USE
ottla_status ottla_consumer_subscribe(const ottla_consumer *consumer,
                                      const char *const *topics,
                                      size_t count,
                                      ottla_error **error);

// The same for every topic whose whole name matches a regular expression (RE2's syntax), also those made later. Internal
// topics are left out by exclude.internal.topics.
//
// Errors: as ottla_consumer_subscribe; OTTLA_ERR_INVALID_ARGUMENT for what is no regular expression.
OTTLA_MUST_USE
ottla_status ottla_consumer_subscribe_pattern(const ottla_consumer *consumer,
                                              const char *pattern,
                                              ottla_error **error);

// Leaves the group at once: what counts as read is committed (with enable.auto.commit), nothing more is delivered, and no
// event tells of it. Waits up to the timeout until the others can have the partitions. Without a subscription it does
// nothing.
//
// Errors: OTTLA_ERR_TIMED_OUT; leaving goes on in the background.
OTTLA_MUST_USE
ottla_status ottla_consumer_unsubscribe(const ottla_consumer *consumer,
                                        int64_t timeout_ms,
                                        ottla_error **error);

// Acknowledges a revocation: its partitions are let go once what counts as read of them is committed (with
// enable.auto.commit). The next poll does so by itself; this is for those who don't poll soon. Other events need no
// acknowledgement.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_consumer_acknowledge(const ottla_consumer *consumer,
                                        const ottla_event *event,
                                        ottla_error **error);

// What of a partition lies before offset counts as read, though the next batch is not asked for. Also shows that the
// program is at work on what it was given (max.poll.interval.ms).
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if the partition is not assigned, or no poll has given it that far.
OTTLA_MUST_USE
ottla_status ottla_consumer_mark(const ottla_consumer *consumer,
                                 const char *topic,
                                 int32_t partition,
                                 int64_t offset,
                                 ottla_error **error);

// Commits these offsets for the group, and waits up to the timeout until that is done. Needs no membership.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT without group.id, or for a negative offset; OTTLA_ERR_PARTITION_REVOKED if this
// consumer is a member and the partition not its own; what the group's coordinator answered; OTTLA_ERR_TIMED_OUT: it may
// then have been committed or not.
OTTLA_MUST_USE
ottla_status ottla_consumer_commit(const ottla_consumer *consumer,
                                   const ottla_offset_to_commit *offsets,
                                   size_t count,
                                   int64_t timeout_ms,
                                   ottla_error **error);

// Commits these offsets in the background, after those of earlier calls, and writes a number to token: an event
// OTTLA_EVENT_OFFSETS_COMMITTED with that token tells how it ended, at the latest after default.api.timeout.ms.
//
// Errors: as ottla_consumer_commit, as far as that can be said at once.
OTTLA_MUST_USE
ottla_status ottla_consumer_commit_async(const ottla_consumer *consumer,
                                         const ottla_offset_to_commit *offsets,
                                         size_t count,
                                         uint64_t *token,
                                         ottla_error **error);

// Commits everything that was polled, the batch polled last too, and waits up to the timeout until that is done.
//
// Errors: as ottla_consumer_commit.
OTTLA_MUST_USE
ottla_status ottla_consumer_commit_polled(const ottla_consumer *consumer,
                                          int64_t timeout_ms,
                                          ottla_error **error);

// Commits the end of a batch, for each of its partitions the offset after its last record, and waits up to the timeout
// until that is done.
//
// Errors: as ottla_consumer_commit.
OTTLA_MUST_USE
ottla_status ottla_consumer_commit_batch(const ottla_consumer *consumer,
                                         const ottla_batch *batch,
                                         int64_t timeout_ms,
                                         ottla_error **error);

// Commits the end of a batch in the background, as ottla_consumer_commit_async.
//
// Errors: as ottla_consumer_commit_async.
OTTLA_MUST_USE
ottla_status ottla_consumer_commit_batch_async(const ottla_consumer *consumer,
                                               const ottla_batch *batch,
                                               uint64_t *token,
                                               ottla_error **error);

// Asks what the group has committed of each partition and writes a list in the same order, which the caller frees. With
// isolation.level=read_committed, offsets of transactions that are still open are waited for.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT without group.id; what the group's coordinator answered; OTTLA_ERR_TIMED_OUT.
OTTLA_MUST_USE
ottla_status ottla_consumer_committed(const ottla_consumer *consumer,
                                      const ottla_topic_partition *partitions,
                                      size_t count,
                                      int64_t timeout_ms,
                                      ottla_offsets **offsets,
                                      ottla_error **error);

// How many offsets are in the list; 0 of NULL.
size_t ottla_offsets_count(const ottla_offsets *offsets);

// Writes offset i of the list, counted from 0. Its strings live as long as the list.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_offsets_get(const ottla_offsets *offsets,
                               size_t i,
                               ottla_offset_to_commit *offset,
                               ottla_error **error);

// Frees a list of offsets.
void ottla_offsets_free(ottla_offsets *offsets);

// Writes the consumer's place in its group, which the caller frees: for ottla_producer_send_offsets.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT without group.id.
OTTLA_MUST_USE
ottla_status ottla_consumer_membership(const ottla_consumer *consumer,
                                       ottla_membership **membership,
                                       ottla_error **error);

// Writes the membership as a producer takes it. Its strings live as long as the membership.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_membership_get(const ottla_membership *membership,
                                  ottla_group_metadata *metadata,
                                  ottla_error **error);

// Frees a membership.
void ottla_membership_free(ottla_membership *membership);

// ==================================================================================================================
// Assignors of one's own
//
// In a classic group one member, the leader, shares the partitions out for all. A program can do that by a strategy of its
// own: set it before subscribing, in every member; where the group agrees on it, the leader's poll gives an event
// OTTLA_EVENT_ASSIGNMENT_WANTED, and the group waits for the answer while heartbeats go on.
//
//     status = ottla_consumer_set_assignor(consumer, "by-size", (ottla_bytes){NULL, 0}, false, &error);
//     ...
//     if (ottla_event_kind(event) == OTTLA_EVENT_ASSIGNMENT_WANTED) {
//         ottla_group_share shares[100];
//         size_t count = share_out(event, shares);    // reads ottla_event_group_member and ottla_event_group_topic
//         status = ottla_consumer_assign_group(consumer, event, shares, count, &error);
//     }
// ==================================================================================================================

// A member of a group that is to be shared out. What it points to lives as long as the event.
typedef struct ottla_group_member {
    // Its id, by which it is given partitions.
    const char *member_id;
    // group.instance.id of a static member; NULL of another.
    const char *instance_id;
    // Where it runs (client.rack); NULL if it does not say.
    const char *rack;
    // What its own assignor tells besides, or null.
    ottla_bytes user_data;
    // The topics it subscribes to.
    const char *const *topics;
    // How many.
    size_t topic_count;
    // The partitions it has.
    const ottla_topic_partition *owned;
    // How many.
    size_t owned_count;
} ottla_group_member;

// A partition that a member is given.
typedef struct ottla_group_share {
    // The member.
    const char *member_id;
    // The topic.
    const char *topic;
    // The partition.
    int32_t partition;
} ottla_group_share;

// Gives a consumer an assignor of its own, the favourite among those of partition.assignment.strategy: a group uses it if all
// members have it. To be called before subscribing; groups are joined by the classic protocol then. user_data, which may
// be null, is what this member tells the leader besides. With cooperative, members keep reading what they keep through a
// rebalance (KIP-429), and the answer must leave out what has to change hands until who has it does not name it any more.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT without group.id, after subscribing, for a name that is empty or a known strategy's, or
// with group.protocol=consumer.
OTTLA_MUST_USE
ottla_status ottla_consumer_set_assignor(const ottla_consumer *consumer,
                                         const char *name,
                                         ottla_bytes user_data,
                                         bool cooperative,
                                         ottla_error **error);

// How many members a group has that is to be shared out; 0 of other events, and of NULL.
size_t ottla_event_group_member_count(const ottla_event *event);

// Writes member i of those, counted from 0. What it points to lives as long as the event.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_event_group_member(const ottla_event *event,
                                      size_t i,
                                      ottla_group_member *member,
                                      ottla_error **error);

// How many topics are to be shared out; 0 of other events, and of NULL.
size_t ottla_event_group_topic_count(const ottla_event *event);

// Writes topic i of those, counted from 0, and how many partitions it has. Its name lives as long as the event.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_event_group_topic(const ottla_event *event,
                                     size_t i,
                                     const char **topic,
                                     int32_t *partitions,
                                     ottla_error **error);

// Answers an event OTTLA_EVENT_ASSIGNMENT_WANTED: which partitions each member gets, one row each. Members that are not named
// get nothing. The group waits for it for up to the members' max.poll.interval.ms.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT for another event, a member or partition that there is not, one that its member does not
// subscribe to, or one given twice: it can be answered again. OTTLA_ERR_REBALANCE_IN_PROGRESS if the group has gone on
// meanwhile.
OTTLA_MUST_USE
ottla_status ottla_consumer_assign_group(const ottla_consumer *consumer,
                                         const ottla_event *event,
                                         const ottla_group_share *shares,
                                         size_t count,
                                         ottla_error **error);

// Says that there is no answer at present: the group is rebalanced and asked for again, after a moment.
//
// Errors: as ottla_consumer_assign_group.
OTTLA_MUST_USE
ottla_status ottla_consumer_refuse_assignment(const ottla_consumer *consumer,
                                              const ottla_event *event,
                                              ottla_error **error);

// ==================================================================================================================
// Share groups
//
// In a share group (KIP-932; Kafka 4.1 and newer) members read the same partitions together, record by record: each record
// is given to one member at a time, which has it to itself for a time and says how it ended. What is not said in time is
// delivered again, perhaps to another member, up to the group's share.delivery.count.limit. There are more members than
// partitions if you like, and no positions; records are not in order.
//
//     ottla_config_set(config, "group.id", "workers", &error);
//     ottla_config_set(config, "share.acknowledgement.mode", "explicit", &error);
//     status = ottla_share_consumer_new(config, &consumer, &error);
//     const char *topics[] = {"jobs"};
//     status = ottla_share_consumer_subscribe(consumer, topics, 1, &error);
//     for (;;) {
//         status = ottla_share_consumer_poll(consumer, 1000, &batch, &event, &error);
//         if (status != OTTLA_OK) break;
//         for (size_t row = 0; row < ottla_batch_rows(batch); row++) {
//             int32_t type = work(batch, row) ? OTTLA_ACKNOWLEDGE_ACCEPT : OTTLA_ACKNOWLEDGE_RELEASE;
//             status = ottla_share_consumer_acknowledge(consumer, batch, row, 1, type, &error);
//         }
//         ottla_batch_free(batch);
//         ottla_event_free(event);                                // the next poll sends what was acknowledged
//     }
//
// With share.acknowledgement.mode=implicit, the default, the records of a poll count as accepted once the next poll or
// commit is made, but for those of which something else was said.
// ==================================================================================================================

// Done: nobody is given the record any more.
#define OTTLA_ACKNOWLEDGE_ACCEPT 1

// Given back: it is delivered again, perhaps to another member, until its deliveries are used up.
#define OTTLA_ACKNOWLEDGE_RELEASE 2

// It can't be processed: nobody is given it any more.
#define OTTLA_ACKNOWLEDGE_REJECT 3

// Not done yet: its lock begins anew, and another acknowledgement follows (KIP-1222; Kafka 4.2 and newer).
#define OTTLA_ACKNOWLEDGE_RENEW 4

// Makes a share consumer without a subscription and writes its handle, which the caller frees with
// ottla_share_consumer_free. It connects in the background. group.id names the share group.
//
// Errors: OTTLA_ERR_CONFIG for a mistake in the configuration, OTTLA_ERR_IO if no thread can be started.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_new(const ottla_config *config,
                                      ottla_share_consumer **consumer,
                                      ottla_error **error);

// Waits until the cluster has answered and a connection to one of its brokers stands. Not needed before polling.
//
// Errors: as ottla_producer_connect.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_connect(const ottla_share_consumer *consumer,
                                          int64_t timeout_ms,
                                          ottla_error **error);

// Becomes a member of the share group that reads these topics; topics that don't exist yet are read once they do. Replaces
// an earlier subscription. Where the group has not read before, its share.auto.offset.reset (latest by default) says where
// it begins.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT without a topic, or for an empty name.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_subscribe(const ottla_share_consumer *consumer,
                                            const char *const *topics,
                                            size_t count,
                                            ottla_error **error);

// Leaves the share group: sends what was acknowledged, gives the rest back at once, and waits up to the timeout until others
// can have it. With implicit acknowledgement the records polled last are among the rest: commit before. Without a
// subscription it does nothing.
//
// Errors: the first acknowledgement that was refused, or OTTLA_ERR_TIMED_OUT for one that was not answered in time.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_unsubscribe(const ottla_share_consumer *consumer,
                                              int64_t timeout_ms,
                                              ottla_error **error);

// Waits up to the timeout for an event or a record and writes, for the caller to free, either an event, or a batch of records
// of one partition: at most max.poll.records, or whole record batches where share.acquire.mode is batch_optimized. The
// other one, and when the time is over both, are NULL. One thread at a time. ottla_batch_delivery_counts tells how often
// each was delivered.
//
// With implicit acknowledgement it accepts what the poll before gave. It sends what was acknowledged, and does not wait for
// the answer: an event OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED tells of a refusal.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT without a subscription, and with explicit acknowledgement while a record of the polls
// before is not acknowledged (renewed ones may stay); OTTLA_ERR_IN_USE while another thread polls; OTTLA_ERR_WOKEN after
// ottla_share_consumer_wake; OTTLA_ERR_CLOSED; until the first contact with the cluster, once
// socket.connection.setup.timeout.ms is over, why no broker can be reached.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_poll(ottla_share_consumer *consumer,
                                       int64_t timeout_ms,
                                       ottla_batch **batch,
                                       ottla_event **event,
                                       ottla_error **error);

// Says how count records of a polled batch, from row row on, ended (acknowledge: OTTLA_ACKNOWLEDGE_*). It is sent
// with the next poll or commit, and may be changed until then.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if the batch has no such rows, or one of the records is not, or no longer, this
// consumer's: acknowledged before, or given back.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_acknowledge(const ottla_share_consumer *consumer,
                                              const ottla_batch *batch,
                                              size_t row,
                                              size_t count,
                                              int32_t acknowledge,
                                              ottla_error **error);

// The same of the record at offset of a partition.
//
// Errors: as ottla_share_consumer_acknowledge.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_acknowledge_offset(const ottla_share_consumer *consumer,
                                                     const char *topic,
                                                     int32_t partition,
                                                     int64_t offset,
                                                     int32_t acknowledge,
                                                     ottla_error **error);

// Sends what was acknowledged and waits until the brokers have carried it out. With implicit acknowledgement, that is
// everything that was polled.
//
// Errors: the first acknowledgement that was refused, such as OTTLA_ERR_INVALID_RECORD_STATE where a lock had run out;
// OTTLA_ERR_TIMED_OUT.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_commit(const ottla_share_consumer *consumer,
                                         int64_t timeout_ms,
                                         ottla_error **error);

// The same in the background; an event OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED tells of each refusal.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_commit_async(const ottla_share_consumer *consumer,
                                               ottla_error **error);

// Writes for how many milliseconds a record is locked for the member that got it, as a broker has told; -1 before the first
// fetch.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_lock_duration(const ottla_share_consumer *consumer,
                                                int64_t *duration_ms,
                                                ottla_error **error);

// Ends the wait of the poll that is under way, or of the next one that has to wait, with OTTLA_ERR_WOKEN.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_wake(const ottla_share_consumer *consumer,
                                       ottla_error **error);

// Writes a descriptor for poll, epoll, select or an event loop, as ottla_consumer_descriptor. Records are only fetched once
// a poll has found nothing: poll with timeout 0 before waiting on it.
//
// Errors: OTTLA_ERR_IO if the operating system has none left.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_descriptor(const ottla_share_consumer *consumer,
                                             intptr_t *descriptor,
                                             ottla_error **error);

// Takes up to max log lines (0: all there are), as ottla_producer_logs.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_logs(const ottla_share_consumer *consumer,
                                       size_t max,
                                       ottla_log_lines **lines,
                                       ottla_error **error);

// Sends what was acknowledged, gives the rest back, leaves the group, and waits up to the timeout until the connections are
// closed. With implicit acknowledgement the records polled last are among the rest: commit before. Batches stay valid.
// Closing twice does nothing.
//
// Errors: the first acknowledgement that was refused, or OTTLA_ERR_TIMED_OUT for one that was not answered in time; the share
// consumer is closed all the same.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_close(const ottla_share_consumer *consumer,
                                        int64_t timeout_ms,
                                        ottla_error **error);

// Frees a share consumer when all calls with it have returned. Its batches and events stay valid. Without a close before,
// it leaves its group as one freed by ottla_consumer_free does.
void ottla_share_consumer_free(ottla_share_consumer *consumer);

// ==================================================================================================================
// Statistics
//
// What a producer or consumer can tell of itself: figures of the client as a whole, of each broker, and of each partition
// that it writes or reads. They are there on request, and every statistics.interval.ms if that is set: then the
// descriptor becomes readable and a poll that waits ends, and ottla_producer_next_stats gives them.
//
//     ottla_stats *stats = NULL;
//     status = ottla_producer_stats(producer, 1000, &stats, &error);
//     for (size_t i = 0; i < ottla_stats_count(stats); i++) {
//         ottla_stats_scope scope;
//         ottla_histogram latency;
//         status = ottla_stats_get(stats, i, &scope, &error);
//         if (scope.kind == OTTLA_STATS_BROKER &&
//             ottla_stats_histogram(stats, i, "produce_latency_us", &latency, &error) == OTTLA_OK) {
//             printf("%s: 99 %% within %llu us\n", scope.address, (unsigned long long)latency.p99);
//         }
//     }
//     puts(ottla_stats_json(stats));
//     ottla_stats_free(stats);
//
// Figures have names, which end with their unit: _bytes, _ms, _us (microseconds); others count things. docs/statistics.md
// lists them. Later versions may have more.
// ==================================================================================================================

// The figures are the client's own.
#define OTTLA_STATS_CLIENT 0

// The figures are a broker's.
#define OTTLA_STATS_BROKER 1

// The figures are a partition's.
#define OTTLA_STATS_PARTITION 2

// What figures are about. Its strings live as long as the statistics.
typedef struct ottla_stats_scope {
    // The topic; NULL unless it is a partition.
    const char *topic;
    // A broker's host and port; NULL unless it is one.
    const char *address;
    // A broker's connections: "up", "connecting", "failing" (waiting to try again) or "idle" (none, and no reason for
    // one); NULL unless it is a broker.
    const char *state;
    // OTTLA_STATS_CLIENT, OTTLA_STATS_BROKER or OTTLA_STATS_PARTITION.
    int32_t kind;
    // The broker's id, or that of the partition's leader; -1 for an entry of bootstrap.servers, or if there is none.
    int32_t broker;
    // The partition; -1 if it is none.
    int32_t partition;
} ottla_stats_scope;

// What there is to say of many values. Percentiles are at most a sixteenth too high.
typedef struct ottla_histogram {
    // Number of values.
    uint64_t count;
    // Their sum.
    uint64_t sum;
    // The smallest; 0 of none.
    uint64_t min;
    // The largest; 0 of none.
    uint64_t max;
    // Half of them are at most this.
    uint64_t p50;
    // 90 % of them.
    uint64_t p90;
    // 99 % of them.
    uint64_t p99;
    // 99.9 % of them.
    uint64_t p999;
} ottla_histogram;

// How often an error was met.
typedef struct ottla_error_count {
    // How often.
    uint64_t count;
    // Its code; ottla_status_name tells its name.
    ottla_status code;
} ottla_error_count;

// Writes a producer's figures as they are now, which the caller frees. Histograms cover all the time since the
// producer was made.
//
// Errors: OTTLA_ERR_TIMED_OUT if the I/O thread does not answer in time.
OTTLA_MUST_USE
ottla_status ottla_producer_stats(const ottla_producer *producer,
                                  int64_t timeout_ms,
                                  ottla_stats **stats,
                                  ottla_error **error);

// Writes the oldest figures that the timer (statistics.interval.ms) has made and that were not taken yet, which the
// caller frees, or NULL if there are none: take them until it is NULL. The last eight are kept. Their histograms cover the time since those before.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_producer_next_stats(const ottla_producer *producer,
                                       ottla_stats **stats,
                                       ottla_error **error);

// Writes a consumer's figures, as ottla_producer_stats does a producer's.
//
// Errors: OTTLA_ERR_TIMED_OUT if the I/O thread does not answer in time.
OTTLA_MUST_USE
ottla_status ottla_consumer_stats(const ottla_consumer *consumer,
                                  int64_t timeout_ms,
                                  ottla_stats **stats,
                                  ottla_error **error);

// Writes the next of a consumer's figures that the timer has made, as ottla_producer_next_stats does a producer's.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_consumer_next_stats(const ottla_consumer *consumer,
                                       ottla_stats **stats,
                                       ottla_error **error);

// How many scopes there are: the client, then brokers by id, then partitions by topic and number; 0 of NULL.
size_t ottla_stats_count(const ottla_stats *stats);

// Writes what the figures of scope i, counted from 0, are about.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_stats_get(const ottla_stats *stats,
                             size_t i,
                             ottla_stats_scope *scope,
                             ottla_error **error);

// Writes the number of this name in scope i.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is none, with the names there are.
OTTLA_MUST_USE
ottla_status ottla_stats_value(const ottla_stats *stats,
                               size_t i,
                               const char *name,
                               int64_t *value,
                               ottla_error **error);

// Writes the histogram of this name in scope i. Those of a broker are there once they have a value.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is none, with the names there are.
OTTLA_MUST_USE
ottla_status ottla_stats_histogram(const ottla_stats *stats,
                                   size_t i,
                                   const char *name,
                                   ottla_histogram *histogram,
                                   ottla_error **error);

// How many kinds of errors were met in scope i; 0 if there is no such scope, and of NULL.
size_t ottla_stats_error_count(const ottla_stats *stats, size_t i);

// The errors met in scope i, one after another in memory, by code; NULL if there is no such scope, and of NULL.
const ottla_error_count *ottla_stats_errors(const ottla_stats *stats,
                                                   size_t i);

// All of it as one JSON object: the client's figures, then brokers, an array, then topics, an object with their
// partitions by number. "" of NULL.
const char *ottla_stats_json(const ottla_stats *stats);

// Frees statistics, and with them all they point to.
void ottla_stats_free(ottla_stats *stats);

// ==================================================================================================================
// Topics
//
// Creates, deletes, lists and describes topics. Calls block until they are done or their time is over; failures of
// connections are tried again within it. A call on several topics answers for each: the call itself succeeds, and each
// result carries the topic's own error, if there is one.
//
//     ottla_new_topic topic = {0};
//     topic.name = "orders";
//     topic.partitions = 8;
//     topic.replication_factor = -1;
//     ottla_topic_results *results = NULL;
//     status = ottla_admin_create_topics(admin, &topic, 1, false, 10000, &results, &error);
// ==================================================================================================================

// A topic to create.
typedef struct ottla_new_topic {
    // 1 to 249 letters, digits, '.', '_' and '-'.
    const char *name;
    // The topic's own settings, for example "retention.ms", "60000": key and value in turn; NULL for none.
    const char *const *configs;
    // How many settings: pairs of key and value.
    size_t config_count;
    // How many partitions; -1 leaves it to the broker.
    int32_t partitions;
    // How many brokers hold each partition; -1 leaves it to the broker.
    int16_t replication_factor;
} ottla_new_topic;

// Makes an admin client and writes its handle, which the caller frees with ottla_admin_free. Nothing is connected yet.
//
// Errors: OTTLA_ERR_CONFIG for a mistake in the configuration, OTTLA_ERR_IO if no thread can be started.
OTTLA_MUST_USE
ottla_status ottla_admin_new(const ottla_config *config,
                             ottla_admin **admin,
                             ottla_error **error);

// Waits until the cluster has answered and a connection to one of its brokers stands. Other calls do so by themselves.
//
// Errors: as ottla_producer_connect.
OTTLA_MUST_USE
ottla_status ottla_admin_connect(const ottla_admin *admin,
                                 int64_t timeout_ms,
                                 ottla_error **error);

// Creates topics and writes a result for each, in order, which the caller frees. When it returns, the metadata of the
// broker that was asked shows the new topics with their leaders. With validate_only nothing is created, only checked.
//
// Errors: of the call as a whole, where no broker could be reached or the time is over; of one topic, in its result,
// OTTLA_ERR_TOPIC_ALREADY_EXISTS and others of Kafka's.
OTTLA_MUST_USE
ottla_status ottla_admin_create_topics(const ottla_admin *admin,
                                       const ottla_new_topic *topics,
                                       size_t count,
                                       bool validate_only,
                                       int64_t timeout_ms,
                                       ottla_topic_results **results,
                                       ottla_error **error);

// Deletes topics with all they hold and writes a result for each, in order, which the caller frees.
//
// Errors: as ottla_admin_create_topics; OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION in the result of a topic that is not
// there.
OTTLA_MUST_USE
ottla_status ottla_admin_delete_topics(const ottla_admin *admin,
                                       const char *const *names,
                                       size_t count,
                                       int64_t timeout_ms,
                                       ottla_topic_results **results,
                                       ottla_error **error);

// Gives a topic more partitions, total in all. Records with keys go to other partitions than before.
//
// Errors: the topic's own, for example OTTLA_ERR_INVALID_PARTITIONS if it has as many or more already; otherwise as
// ottla_admin_create_topics.
OTTLA_MUST_USE
ottla_status ottla_admin_create_partitions(const ottla_admin *admin,
                                           const char *topic,
                                           int32_t total,
                                           bool validate_only,
                                           int64_t timeout_ms,
                                           ottla_error **error);

// Lists topics, sorted by name, Kafka's own only if include_internal, and writes the list, which the caller frees.
//
// Errors: where no broker could be reached or the time is over.
OTTLA_MUST_USE
ottla_status ottla_admin_list_topics(const ottla_admin *admin,
                                     bool include_internal,
                                     int64_t timeout_ms,
                                     ottla_topic_list **list,
                                     ottla_error **error);

// Describes topics, in order, and writes the descriptions, which the caller frees. One that doesn't exist has an error
// in its description, and is not created.
//
// Errors: of the call as a whole, where no broker could be reached or the time is over.
OTTLA_MUST_USE
ottla_status ottla_admin_describe_topics(const ottla_admin *admin,
                                         const char *const *names,
                                         size_t count,
                                         int64_t timeout_ms,
                                         ottla_topic_descriptions **descriptions,
                                         ottla_error **error);

// Describes the cluster and writes the description, which the caller frees.
//
// Errors: where no broker could be reached or the time is over.
OTTLA_MUST_USE
ottla_status ottla_admin_describe_cluster(const ottla_admin *admin,
                                          int64_t timeout_ms,
                                          ottla_cluster **cluster,
                                          ottla_error **error);

// Takes up to max log lines (0: all there are), as ottla_producer_logs.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_admin_logs(const ottla_admin *admin,
                              size_t max,
                              ottla_log_lines **lines,
                              ottla_error **error);

// Takes no more calls, gives those of other threads up to the timeout to end, after which they answer
// OTTLA_ERR_CLOSED, and closes the connections. Closing twice does nothing.
//
// Errors: OTTLA_ERR_TIMED_OUT.
OTTLA_MUST_USE
ottla_status ottla_admin_close(const ottla_admin *admin,
                               int64_t timeout_ms,
                               ottla_error **error);

// Frees an admin client when all calls with it have returned. Results stay valid.
void ottla_admin_free(ottla_admin *admin);

// ==================================================================================================================
// Results about topics and the cluster
//
// What an admin call gives is immutable: its functions may be called from many threads at once, and strings and arrays in
// what they write live until it is freed.
// ==================================================================================================================

// What became of one topic.
typedef struct ottla_topic_result {
    // The topic.
    const char *name;
    // Why it was not done; NULL if it was.
    const ottla_error *error;
    // How many partitions it has now; -1 where it is not known.
    int32_t partitions;
    // How many brokers hold each; -1 where it is not known.
    int32_t replication_factor;
} ottla_topic_result;

// A topic in a list.
typedef struct ottla_topic_listing {
    // Its name.
    const char *name;
    // Its id; all zero from brokers before 2.8.
    uint8_t id[16];
    // How many partitions it has.
    int32_t partitions;
    // True for Kafka's own, for example "__consumer_offsets".
    bool internal;
} ottla_topic_listing;

// All about one topic but its partitions.
typedef struct ottla_topic_description {
    // Its name.
    const char *name;
    // Why nothing is known of it, for example OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION; NULL if it is known.
    const ottla_error *error;
    // How many partitions it has.
    size_t partitions;
    // Its id; all zero from brokers before 2.8.
    uint8_t id[16];
    // True for Kafka's own.
    bool internal;
} ottla_topic_description;

// One partition of a topic. Brokers are given by their ids.
typedef struct ottla_partition_description {
    // Those that hold it, the preferred leader first.
    const int32_t *replicas;
    // How many.
    size_t replica_count;
    // Those of them that have all of it.
    const int32_t *isr;
    // How many.
    size_t isr_count;
    // Its number.
    int32_t partition;
    // The broker that reads and writes it now; -1 while there is none.
    int32_t leader;
    // How often the leader has changed; -1 where it is not known.
    int32_t leader_epoch;
} ottla_partition_description;

// A broker of the cluster.
typedef struct ottla_cluster_broker {
    // The host it advertises.
    const char *host;
    // Its broker.rack; NULL for none.
    const char *rack;
    // Its id.
    int32_t id;
    // The port it advertises.
    int32_t port;
} ottla_cluster_broker;

// How many results there are; 0 of NULL.
size_t ottla_topic_results_count(const ottla_topic_results *results);

// Writes result i, counted from 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_topic_results_get(const ottla_topic_results *results,
                                     size_t i,
                                     ottla_topic_result *result,
                                     ottla_error **error);

// Frees results.
void ottla_topic_results_free(ottla_topic_results *results);

// How many topics there are; 0 of NULL.
size_t ottla_topic_list_count(const ottla_topic_list *list);

// Writes topic i, counted from 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_topic_list_get(const ottla_topic_list *list,
                                  size_t i,
                                  ottla_topic_listing *listing,
                                  ottla_error **error);

// Frees a list.
void ottla_topic_list_free(ottla_topic_list *list);

// How many descriptions there are; 0 of NULL.
size_t ottla_topic_descriptions_count(const ottla_topic_descriptions *descriptions);

// Writes description i, counted from 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_topic_descriptions_get(const ottla_topic_descriptions *descriptions,
                                          size_t i,
                                          ottla_topic_description *description,
                                          ottla_error **error);

// Writes a partition of description i; both are counted from 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_topic_descriptions_partition(const ottla_topic_descriptions *descriptions,
                                                size_t i,
                                                size_t partition,
                                                ottla_partition_description *description,
                                                ottla_error **error);

// Frees descriptions.
void ottla_topic_descriptions_free(ottla_topic_descriptions *descriptions);

// The cluster's id; "" if it has none, and of NULL.
const char *ottla_cluster_id(const ottla_cluster *cluster);

// Id of the broker to send changes to; -1 while there is none, and of NULL.
int32_t ottla_cluster_controller(const ottla_cluster *cluster);

// How many brokers there are; 0 of NULL.
size_t ottla_cluster_broker_count(const ottla_cluster *cluster);

// Writes broker i, counted from 0, in the order of their ids.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_cluster_get_broker(const ottla_cluster *cluster,
                                      size_t i,
                                      ottla_cluster_broker *broker,
                                      ottla_error **error);

// Frees a description of the cluster.
void ottla_cluster_free(ottla_cluster *cluster);

// ==================================================================================================================
// Answers
//
// Every call that can wait has a form that doesn't: the same name with _async. It takes a token, a number of the caller's
// choice, checks its arguments, and returns at once. The result comes as an answer with that token from the mailbox of the
// client: ottla_producer_next_answer, ottla_consumer_next_answer, ottla_share_consumer_next_answer,
// ottla_admin_next_answer. The client's descriptor is readable while an answer waits, so an event loop never has to
// block. Answers come in the order in which the calls end, within the timeout each was given.
//
//     status = ottla_consumer_end_offsets_async(consumer, partitions, 2, 10000, 7, &error);
//     // The descriptor is readable:
//     ottla_answer *answer = NULL;
//     status = ottla_consumer_next_answer(consumer, 0, &answer, &error);
//     if (answer != NULL && ottla_answer_token(answer) == 7) {
//         const ottla_error *failed = ottla_answer_error(answer);
//         if (failed == NULL) {
//             const int64_t *ends = ottla_answer_offsets(answer);
//         }
//     }
//     ottla_answer_free(answer);
//
// Freeing a client drops the answers that nobody has taken. After _close_async the answer is that the client is closed.
// ==================================================================================================================

// Waits up to the timeout for an answer to one of the producer's _async calls and writes it for the caller to free, or NULL if
// none has come. Any number of threads may wait; each answer is given once.
//
// Errors: OTTLA_ERR_CLOSED once the producer is closed and no answer will come.
OTTLA_MUST_USE
ottla_status ottla_producer_next_answer(const ottla_producer *producer,
                                        int64_t timeout_ms,
                                        ottla_answer **answer,
                                        ottla_error **error);

// Waits up to the timeout for an answer to one of the consumer's _async calls and writes it for the caller to free, or NULL if
// none has come. Any number of threads may wait; each answer is given once.
//
// Errors: OTTLA_ERR_CLOSED once the consumer is closed and no answer will come.
OTTLA_MUST_USE
ottla_status ottla_consumer_next_answer(const ottla_consumer *consumer,
                                        int64_t timeout_ms,
                                        ottla_answer **answer,
                                        ottla_error **error);

// Waits up to the timeout for an answer to one of the share consumer's _async calls and writes it for the caller to free, or NULL if
// none has come. Any number of threads may wait; each answer is given once.
//
// Errors: OTTLA_ERR_CLOSED once the share consumer is closed and no answer will come.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_next_answer(const ottla_share_consumer *consumer,
                                              int64_t timeout_ms,
                                              ottla_answer **answer,
                                              ottla_error **error);

// Waits up to the timeout for an answer to one of the admin client's _async calls and writes it for the caller to free, or NULL if
// none has come. Any number of threads may wait; each answer is given once.
//
// Errors: OTTLA_ERR_CLOSED once the admin client is closed and no answer will come.
OTTLA_MUST_USE
ottla_status ottla_admin_next_answer(const ottla_admin *admin,
                                     int64_t timeout_ms,
                                     ottla_answer **answer,
                                     ottla_error **error);

// Writes a descriptor that is readable while answers wait, or the admin client is closed. It is made at the first call and
// owned by the admin client; wait on it, don't read or close it.
//
// Errors: OTTLA_ERR_IO if the operating system has none left.
OTTLA_MUST_USE
ottla_status ottla_admin_descriptor(const ottla_admin *admin,
                                    intptr_t *descriptor,
                                    ottla_error **error);

// Returns the token that was given to the call; 0 for NULL.
uint64_t ottla_answer_token(const ottla_answer *answer);

// Returns what was asked for, in a few words of English, for messages; "" for NULL. It lives as long as the answer.
const char *ottla_answer_doing(const ottla_answer *answer);

// Returns why the call failed, or NULL if it succeeded. The error belongs to the answer.
const ottla_error *ottla_answer_error(const ottla_answer *answer);

// Returns how many offsets the answer has, or partitions for ottla_consumer_partition_count_async; 0 where it has none.
size_t ottla_answer_count(const ottla_answer *answer);

// Returns the offsets of an answer to ottla_consumer_beginning_offsets_async, ottla_consumer_end_offsets_async or
// ottla_consumer_offsets_for_times_async, in the order of the call: ottla_answer_count of them, -1 where there is none;
// NULL for other answers. They live as long as the answer.
const int64_t *ottla_answer_offsets(const ottla_answer *answer);

// Returns the timestamps that belong to the offsets of an answer to ottla_consumer_offsets_for_times_async, in
// milliseconds since 1970; NULL for other answers.
const int64_t *ottla_answer_timestamps(const ottla_answer *answer);

// Writes the committed offsets of an answer to ottla_consumer_committed_async, which the caller frees.
//
// Errors: the call's, if it failed; OTTLA_ERR_INVALID_ARGUMENT for the answer to another call.
OTTLA_MUST_USE
ottla_status ottla_answer_committed(const ottla_answer *answer,
                                    ottla_offsets **offsets,
                                    ottla_error **error);

// Writes the figures of an answer to ottla_producer_stats_async or ottla_consumer_stats_async, which the caller frees.
//
// Errors: the call's, if it failed; OTTLA_ERR_INVALID_ARGUMENT for the answer to another call.
OTTLA_MUST_USE
ottla_status ottla_answer_stats(const ottla_answer *answer,
                                ottla_stats **figures,
                                ottla_error **error);

// Writes what became of each topic, of an answer to ottla_admin_create_topics_async or
// ottla_admin_delete_topics_async, which the caller frees.
//
// Errors: the call's, if it failed; OTTLA_ERR_INVALID_ARGUMENT for the answer to another call.
OTTLA_MUST_USE
ottla_status ottla_answer_topic_results(const ottla_answer *answer,
                                        ottla_topic_results **results,
                                        ottla_error **error);

// Writes the topics of an answer to ottla_admin_list_topics_async, which the caller frees.
//
// Errors: the call's, if it failed; OTTLA_ERR_INVALID_ARGUMENT for the answer to another call.
OTTLA_MUST_USE
ottla_status ottla_answer_topic_list(const ottla_answer *answer,
                                     ottla_topic_list **list,
                                     ottla_error **error);

// Writes the descriptions of an answer to ottla_admin_describe_topics_async, which the caller frees.
//
// Errors: the call's, if it failed; OTTLA_ERR_INVALID_ARGUMENT for the answer to another call.
OTTLA_MUST_USE
ottla_status ottla_answer_topic_descriptions(const ottla_answer *answer,
                                             ottla_topic_descriptions **descriptions,
                                             ottla_error **error);

// Writes the description of an answer to ottla_admin_describe_cluster_async, which the caller frees.
//
// Errors: the call's, if it failed; OTTLA_ERR_INVALID_ARGUMENT for the answer to another call.
OTTLA_MUST_USE
ottla_status ottla_answer_cluster(const ottla_answer *answer,
                                  ottla_cluster **cluster,
                                  ottla_error **error);

// Frees an answer; NULL does nothing.
void ottla_answer_free(ottla_answer *answer);

// ==================================================================================================================
// Calls of a producer that don't wait
//
// Each begins what the function without _async does, and answers with the token (section "Answers").
// ==================================================================================================================

// Begins ottla_producer_connect without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_connect_async(const ottla_producer *producer,
                                          int64_t timeout_ms,
                                          uint64_t token,
                                          ottla_error **error);

// Begins ottla_producer_flush without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_flush_async(const ottla_producer *producer,
                                        int64_t timeout_ms,
                                        uint64_t token,
                                        ottla_error **error);

// Begins ottla_producer_stats without waiting. The answer gives ottla_answer_stats.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_stats_async(const ottla_producer *producer,
                                        int64_t timeout_ms,
                                        uint64_t token,
                                        ottla_error **error);

// Begins ottla_producer_init_transactions without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_init_transactions_async(const ottla_producer *producer,
                                                    int64_t timeout_ms,
                                                    uint64_t token,
                                                    ottla_error **error);

// Begins ottla_producer_commit_transaction without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_commit_transaction_async(const ottla_producer *producer,
                                                     int64_t timeout_ms,
                                                     uint64_t token,
                                                     ottla_error **error);

// Begins ottla_producer_abort_transaction without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_abort_transaction_async(const ottla_producer *producer,
                                                    int64_t timeout_ms,
                                                    uint64_t token,
                                                    ottla_error **error);

// Begins ottla_producer_close without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_close_async(const ottla_producer *producer,
                                        int64_t timeout_ms,
                                        uint64_t token,
                                        ottla_error **error);

// Begins ottla_producer_send_offsets without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_send_offsets_async(const ottla_producer *producer,
                                               const ottla_offset_to_commit *offsets,
                                               size_t count,
                                               const ottla_group_metadata *group,
                                               int64_t timeout_ms,
                                               uint64_t token,
                                               ottla_error **error);

// Begins ottla_producer_purge without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_purge_async(const ottla_producer *producer,
                                        int32_t what,
                                        uint64_t token,
                                        ottla_error **error);

// ==================================================================================================================
// Calls that don't wait
//
// Each begins what the function without _async does, and answers with the token (section "Answers").
// ==================================================================================================================

// Begins ottla_consumer_connect without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_connect_async(const ottla_consumer *consumer,
                                          int64_t timeout_ms,
                                          uint64_t token,
                                          ottla_error **error);

// Begins ottla_consumer_beginning_offsets without waiting. The answer gives ottla_answer_offsets.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_beginning_offsets_async(const ottla_consumer *consumer,
                                                    const ottla_topic_partition *partitions,
                                                    size_t count,
                                                    int64_t timeout_ms,
                                                    uint64_t token,
                                                    ottla_error **error);

// Begins ottla_consumer_end_offsets without waiting. The answer gives ottla_answer_offsets.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_end_offsets_async(const ottla_consumer *consumer,
                                              const ottla_topic_partition *partitions,
                                              size_t count,
                                              int64_t timeout_ms,
                                              uint64_t token,
                                              ottla_error **error);

// Begins ottla_consumer_offsets_for_times without waiting. The answer gives ottla_answer_offsets and ottla_answer_timestamps.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_offsets_for_times_async(const ottla_consumer *consumer,
                                                    const ottla_topic_partition *partitions,
                                                    const int64_t *times,
                                                    size_t count,
                                                    int64_t timeout_ms,
                                                    uint64_t token,
                                                    ottla_error **error);

// Begins ottla_consumer_partition_count without waiting. The answer gives ottla_answer_count.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_partition_count_async(const ottla_consumer *consumer,
                                                  const char *topic,
                                                  int64_t timeout_ms,
                                                  uint64_t token,
                                                  ottla_error **error);

// Begins ottla_consumer_committed without waiting. The answer gives ottla_answer_committed.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_committed_async(const ottla_consumer *consumer,
                                            const ottla_topic_partition *partitions,
                                            size_t count,
                                            int64_t timeout_ms,
                                            uint64_t token,
                                            ottla_error **error);

// Begins ottla_consumer_unsubscribe without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_unsubscribe_async(const ottla_consumer *consumer,
                                              int64_t timeout_ms,
                                              uint64_t token,
                                              ottla_error **error);

// Begins ottla_consumer_stats without waiting. The answer gives ottla_answer_stats.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_stats_async(const ottla_consumer *consumer,
                                        int64_t timeout_ms,
                                        uint64_t token,
                                        ottla_error **error);

// Begins ottla_consumer_close without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_close_async(const ottla_consumer *consumer,
                                        int64_t timeout_ms,
                                        uint64_t token,
                                        ottla_error **error);

// Begins ottla_share_consumer_connect without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_connect_async(const ottla_share_consumer *consumer,
                                                int64_t timeout_ms,
                                                uint64_t token,
                                                ottla_error **error);

// Begins ottla_share_consumer_unsubscribe without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_unsubscribe_async(const ottla_share_consumer *consumer,
                                                    int64_t timeout_ms,
                                                    uint64_t token,
                                                    ottla_error **error);

// Begins ottla_share_consumer_close without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_close_async(const ottla_share_consumer *consumer,
                                              int64_t timeout_ms,
                                              uint64_t token,
                                              ottla_error **error);

// Begins ottla_admin_connect without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_connect_async(const ottla_admin *admin,
                                       int64_t timeout_ms,
                                       uint64_t token,
                                       ottla_error **error);

// Begins ottla_admin_create_topics without waiting. The answer gives ottla_answer_topic_results.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_create_topics_async(const ottla_admin *admin,
                                             const ottla_new_topic *topics,
                                             size_t count,
                                             bool validate_only,
                                             int64_t timeout_ms,
                                             uint64_t token,
                                             ottla_error **error);

// Begins ottla_admin_delete_topics without waiting. The answer gives ottla_answer_topic_results.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_delete_topics_async(const ottla_admin *admin,
                                             const char *const *names,
                                             size_t count,
                                             int64_t timeout_ms,
                                             uint64_t token,
                                             ottla_error **error);

// Begins ottla_admin_create_partitions without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_create_partitions_async(const ottla_admin *admin,
                                                 const char *topic,
                                                 int32_t total,
                                                 bool validate_only,
                                                 int64_t timeout_ms,
                                                 uint64_t token,
                                                 ottla_error **error);

// Begins ottla_admin_list_topics without waiting. The answer gives ottla_answer_topic_list.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_list_topics_async(const ottla_admin *admin,
                                           bool include_internal,
                                           int64_t timeout_ms,
                                           uint64_t token,
                                           ottla_error **error);

// Begins ottla_admin_describe_topics without waiting. The answer gives ottla_answer_topic_descriptions.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_describe_topics_async(const ottla_admin *admin,
                                               const char *const *names,
                                               size_t count,
                                               int64_t timeout_ms,
                                               uint64_t token,
                                               ottla_error **error);

// Begins ottla_admin_describe_cluster without waiting. The answer gives ottla_answer_cluster.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_describe_cluster_async(const ottla_admin *admin,
                                                int64_t timeout_ms,
                                                uint64_t token,
                                                ottla_error **error);

// Begins ottla_admin_close without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; the rest comes with the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_close_async(const ottla_admin *admin,
                                     int64_t timeout_ms,
                                     uint64_t token,
                                     ottla_error **error);

// ==================================================================================================================
// Embedded broker
//
// A Kafka server in a thread of its own, for first steps and for tests: it speaks Kafka's protocol to any
// client, keeps its topics in memory (bounded) or under a directory, can be a cluster of several nodes, and can be told
// to fail. Not for production. (A library built without the feature broker has none of these functions.)
//
//     ottla_broker *broker = NULL;
//     status = ottla_broker_new(NULL, &broker, &error);
//     status = ottla_broker_create_topic(broker, "greetings", 4, &error);
//     status = ottla_config_set(config, "bootstrap.servers", ottla_broker_bootstrap_servers(broker), &error);
//
// Its options, all of which may be left out, are set in an ottla_config of their own:
//
//   nodes                how many brokers the cluster has, with the ids 1, 2, 3 and so on: 1
//   host                 the address to listen on: 127.0.0.1. Any other opens it to the network, without a password
//   port                 the first node's port, the others' follow: 0, free ports
//   advertised.host      the host given out to clients: the one listened on
//   advertised.port      the port given out to clients: the one listened on
//   directory            where to keep topics, records, settings and committed offsets, but not who is in a group; for
//                          one broker at a time: in memory
//   memory.bytes         most bytes of records in memory, beyond which the oldest are dropped: 1GiB
//   auto.create.topics   whether topics are created when asked for: false
//   default.partitions   partitions of a topic created without a number, up to 10000: 1
//   transaction.version  Kafka's feature of that name as clients are told it, 1 or 2 (KIP-890): 2
//   share.record.lock.duration.ms  how long a member of a share group has a record to itself: 30000
//   share.delivery.count.limit     how often a share group is delivered a record at most: 5
//   share.auto.offset.reset        where a share group begins, earliest or latest: latest
//   group.version        Kafka's feature of that name, 1, or 0 without the new group protocol (KIP-848): 1
//   group.initial.rebalance.delay.ms     how long an empty group of the classic protocol waits for more members: 0
//   group.consumer.session.timeout.ms    how long a member of the new protocol may stay silent: 45000
//   group.consumer.heartbeat.interval.ms how often such members are told to send heartbeats: 1000
// ==================================================================================================================

// A fault: the request is not carried out and answered with the Kafka error code value.
#define OTTLA_FAULT_ERROR 0

// A fault: the answer comes value milliseconds later; requests behind it on its connection wait.
#define OTTLA_FAULT_DELAY 1

// A fault: the connection is closed, the request not carried out.
#define OTTLA_FAULT_DROP 2

// A fault: the request is carried out and never answered. With value 1 the connection is closed.
#define OTTLA_FAULT_SWALLOW_REPLY 3

// A fault: a byte of fetched records is flipped, so that a checksum is wrong.
#define OTTLA_FAULT_CORRUPT_BATCH 4

// A fault: the request is carried out, value bytes of the answer are sent, the connection is closed.
#define OTTLA_FAULT_CUT_REPLY 5

// A fault: the answer carries the throttle time of value milliseconds, and the connection is not read for so long.
#define OTTLA_FAULT_THROTTLE 6

// What is coordinated: a group, by its id.
#define OTTLA_COORDINATOR_GROUP 0

// What is coordinated: the transactions of a transactional id.
#define OTTLA_COORDINATOR_TRANSACTION 1

// Starts a broker and writes its handle, which the caller frees with ottla_broker_free; that stops it. When this
// returns, its nodes accept connections. options may be NULL.
//
// Errors: OTTLA_ERR_CONFIG and OTTLA_ERR_INVALID_ARGUMENT for options that can't be; OTTLA_ERR_IO if a port can't be
// listened on, the directory can't be read, or no thread can be started.
OTTLA_MUST_USE
ottla_status ottla_broker_new(const ottla_config *options,
                              ottla_broker **broker,
                              ottla_error **error);

// The addresses of all nodes, as a client's bootstrap.servers takes them. The string lives as long as the broker; ""
// of NULL.
const char *ottla_broker_bootstrap_servers(const ottla_broker *broker);

// Creates a topic with a replica on every node; partition 0 is led by node 1, partition 1 by node 2, and so on round.
//
// Errors: Kafka's own for a bad name or number, or a topic that exists.
OTTLA_MUST_USE
ottla_status ottla_broker_create_topic(const ottla_broker *broker,
                                       const char *topic,
                                       int32_t partitions,
                                       ottla_error **error);

// Has requests go wrong. Faults are met in the order they were added; one request can meet several.
//
// - fault: OTTLA_FAULT_*, with its value.
// - node, api_key, topic, partition: only requests to this node, of this kind (Kafka's number: 0 Produce, 1 Fetch,
//   2 ListOffsets, 3 Metadata, ...), that name this topic and partition; -1 and NULL for any.
// - count: for so many requests; -1 for all.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_broker_add_fault(const ottla_broker *broker,
                                    int32_t fault,
                                    int64_t value,
                                    int32_t node,
                                    int32_t api_key,
                                    const char *topic,
                                    int32_t partition,
                                    int64_t count,
                                    ottla_error **error);

// Removes all faults.
//
// Errors: OTTLA_ERR_TIMED_OUT or OTTLA_ERR_CLOSED if the broker's thread does not answer.
OTTLA_MUST_USE ottla_status ottla_broker_clear_faults(const ottla_broker *broker, ottla_error **error);

// Makes node the leader of a partition, in a new leader epoch.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is no such partition, or the node does not run.
OTTLA_MUST_USE
ottla_status ottla_broker_move_leader(const ottla_broker *broker,
                                      const char *topic,
                                      int32_t partition,
                                      int32_t node,
                                      ottla_error **error);

// Makes node the coordinator of a group or transactional id; the others answer NOT_COORDINATOR. For loading_ms
// milliseconds it answers COORDINATOR_LOAD_IN_PROGRESS, as one that reads what the old one knew.
//
// - kind: OTTLA_COORDINATOR_*; key is the group's id or the transactional id.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, also if the node does not run.
OTTLA_MUST_USE
ottla_status ottla_broker_move_coordinator(const ottla_broker *broker,
                                           int32_t kind,
                                           const char *key,
                                           int32_t node,
                                           int64_t loading_ms,
                                           ottla_error **error);

// Has a group rebalance now, as if a member had come or gone.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if nobody is in the group.
OTTLA_MUST_USE
ottla_status ottla_broker_force_rebalance(const ottla_broker *broker,
                                          const char *group,
                                          ottla_error **error);

// Ends the session of a group's member now, as if it had sent no heartbeat for too long; with member NULL those of
// all its members.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is no such member, or none at all.
OTTLA_MUST_USE
ottla_status ottla_broker_expire_member(const ottla_broker *broker,
                                        const char *group,
                                        const char *member,
                                        ottla_error **error);

// Writes the first offset of a partition, and the offset after its last record.
//
// Errors: OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION.
OTTLA_MUST_USE
ottla_status ottla_broker_offsets(const ottla_broker *broker,
                                  const char *topic,
                                  int32_t partition,
                                  int64_t *start,
                                  int64_t *end,
                                  ottla_error **error);

// Stops a node: its connections are closed, nobody listens on its port, its partitions move to others. So do its
// groups, or they wait for it if it is the last: members that come back within their session's time, which begins
// anew then, keep their id, their generation or epoch and what they are assigned.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is no such node.
OTTLA_MUST_USE
ottla_status ottla_broker_stop_node(const ottla_broker *broker,
                                    int32_t node,
                                    ottla_error **error);

// Starts a stopped node again on its port.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is no such node, OTTLA_ERR_IO if its port is taken.
OTTLA_MUST_USE
ottla_status ottla_broker_start_node(const ottla_broker *broker,
                                     int32_t node,
                                     ottla_error **error);

// Has a node take requests without answering any, as a stopped process does, until ottla_broker_resume_node.
//
// Errors: OTTLA_ERR_TIMED_OUT or OTTLA_ERR_CLOSED if the broker's thread does not answer.
OTTLA_MUST_USE
ottla_status ottla_broker_pause_node(const ottla_broker *broker,
                                     int32_t node,
                                     ottla_error **error);

// Has a paused node go on.
//
// Errors: as ottla_broker_pause_node.
OTTLA_MUST_USE
ottla_status ottla_broker_resume_node(const ottla_broker *broker,
                                      int32_t node,
                                      ottla_error **error);

// Writes how many requests of a kind came to a node, or to all with node -1.
//
// Errors: as ottla_broker_pause_node.
OTTLA_MUST_USE
ottla_status ottla_broker_requests_seen(const ottla_broker *broker,
                                        int32_t node,
                                        int32_t api_key,
                                        uint64_t *count,
                                        ottla_error **error);

// Stops a broker and frees it; clients see closed connections. Records in memory are gone, those in a directory stay.
void ottla_broker_free(ottla_broker *broker);

#ifdef __cplusplus
}
#endif

#endif // OTTLA_H
