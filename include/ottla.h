// Ottla: an Apache Kafka client
//
// OVERVIEW
//
// Ottla works in record batches rather than single messages: records are encoded from the caller's memory directly
// into the batch that is sent, and are read as views into the buffer that was received. There are functions for
// single records, for convenience; the fast functions take and return columns of thousands of records.
//
//   ottla_config          settings, under Kafka's own names
//   ottla_producer        writes records, also in transactions; completions report the outcome of each
//   ottla_consumer        reads assigned partitions, or partitions of a group; a poll returns a batch or an event
//   ottla_share_consumer  reads as a member of a share group: each record is locked for one member at a time
//   ottla_admin           creates, deletes, lists and describes topics
//   ottla_answer          the result of a call that was started without waiting
//   ottla_broker          a Kafka server inside this process, for first steps and for tests
//
// All clients of a process share one I/O thread. Ottla never calls the program's functions on that thread:
// completions, events and log lines wait in queues until the program polls, and a descriptor signals that they are
// there. The only callback is a partitioner, and it runs inside the program's own send calls.
//
// CONVENTIONS
//
// Names. Functions are ottla_<noun>_<verb>, constants OTTLA_*. A handle is created by _new (or returned by a
// call that says so) and freed by _free; _free(NULL) does nothing.
//
// Arguments. The handle comes first, then inputs, then outputs, and last ottla_error **error, which may be NULL.
//
// Status and errors. Every function that can fail returns an ottla_status: 0 (OTTLA_OK), one of Kafka's error
// codes as on the wire, or one of Ottla's own, at or below -100. On failure, and if error is not NULL, *error is
// set to an error object that the caller frees; on success *error is left unchanged. Outputs are written on
// success only, except counts named accepted, which are always written. Passing NULL for a required handle, string
// or output is OTTLA_ERR_INVALID_ARGUMENT, not a crash; accessors that can't fail return 0, NULL or "" for NULL. In
// addition to the errors listed for a function, any function can return OTTLA_ERR_INVALID_ARGUMENT; OTTLA_ERR_FORKED
// in a child process; OTTLA_ERR_CLOSED after _close; and OTTLA_ERR_PANIC after a bug in Ottla, after which the
// object refuses further calls and can only be freed.
//
// Structs. No struct grows or changes within one OTTLA_ABI_VERSION, because arrays of them have a fixed stride and a
// program may embed them in its own. New properties get new functions, and new figures get names in the statistics.
// Set input structs to 0 before filling them in (= {0}), so that fields of a later version have a defined value.
//
// Memory. If the system has no memory left for a large buffer (a batch to send, a response, a decompressed batch),
// the call or the connection fails with OTTLA_ERR_OUT_OF_MEMORY. If a small allocation fails, the process is
// aborted, as is usual in Rust.
//
// Bytes. A pointer and a length; a NULL pointer is Kafka's null, a non-NULL pointer with length 0 is empty. Keys,
// values and headers may hold any bytes. Input strings are NUL-terminated UTF-8. So are output strings, which are
// never NULL unless documented, and belong to the object they came from.
//
// Ownership. Inputs are copied before a call returns. What a function returns or writes belongs to the handle it
// came from and is valid until that handle is freed. Batches, events, completions and errors stay valid after the
// client they came from is freed.
//
// Threads. A function that takes const T * may be called from many threads at once on the same object. One that
// takes T * may be called by one thread at a time, concurrently with const calls; a second such call at the same
// time returns OTTLA_ERR_IN_USE. _close may be called from any thread and wakes all waiting calls. _free must
// only be called once every call with that object has returned.
//
// Shutdown. Close clients before the process ends: closing waits until records are acknowledged and a member has
// left its group. A client that is only freed leaves in the background. When the process ends by exit() or by
// returning from main, clients have up to a second to do so, and producers that were not freed have up to a second
// to send what they hold. If records are lost nevertheless, one line on stderr says how many, unless the producer's
// log.level or the environment variable OTTLA_LOG is off. Nothing is sent after _exit() or a signal that kills
// the process.
//
// Signals. Ottla's threads block all signals: handlers run on the program's threads, and a signal that those block stays
// pending.
//
// Time. timeout_ms is in milliseconds: 0 does not wait, -1 waits without a limit (for sending: up to
// max.block.ms). Timestamps are milliseconds since 1970.
//
// Forks. A child process can't use its parent's clients: every call returns OTTLA_ERR_FORKED, and freeing them does
// not affect the parent. New clients work.

#ifndef OTTLA_H
#define OTTLA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The compiler warns if a status is ignored.
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
// Handles: opaque types
// ==================================================================================================================

// Why a call, or an operation reported by a queue, failed. Immutable: all its functions may be called from many
// threads at once.
typedef struct ottla_error ottla_error;

// Pairs of key and value. Any number of clients can be created from it; it may be freed or changed as soon as they
// are created.
typedef struct ottla_config ottla_config;

// The table of all keys, for tools and bindings. Immutable: its functions may be called from many threads at once.
typedef struct ottla_keys ottla_keys;

// Log lines, oldest first. Immutable: its functions may be called from many threads at once.
typedef struct ottla_log_lines ottla_log_lines;

// A producer. All its functions but _free may be called from many threads at once.
typedef struct ottla_producer ottla_producer;

// The completions returned by one poll. Immutable: its functions may be called from many threads at once.
typedef struct ottla_completions ottla_completions;

// A consumer. All its functions except ottla_consumer_poll and ottla_consumer_free may be called from many
// threads at once, also during a poll.
typedef struct ottla_consumer ottla_consumer;

// A list of partitions. Immutable: its functions may be called from many threads at once.
typedef struct ottla_partitions ottla_partitions;

// A batch of records. Immutable: all its functions except _free may be called from many threads at once; what they
// write is valid as long as the batch.
typedef struct ottla_batch ottla_batch;

// An event. Immutable: all its functions may be called from many threads at once; what they return is valid as long
// as the event.
typedef struct ottla_event ottla_event;

// A consumer's membership at the moment of the call. Immutable: its functions may be called from many threads at
// once.
typedef struct ottla_membership ottla_membership;

// Committed offsets. Immutable: its functions may be called from many threads at once.
typedef struct ottla_offsets ottla_offsets;

// A member of a share group. All its functions except ottla_share_consumer_poll and ottla_share_consumer_free
// may be called from many threads at once, also during a poll.
typedef struct ottla_share_consumer ottla_share_consumer;

// The figures of a client at one moment. Immutable: its functions may be called from many threads at once.
typedef struct ottla_stats ottla_stats;

// An admin client. All its functions except _free may be called from many threads at once.
typedef struct ottla_admin ottla_admin;

// A description of the cluster, as reported by a broker.
typedef struct ottla_cluster ottla_cluster;

// Descriptions of topics, in the order of the call.
typedef struct ottla_topic_descriptions ottla_topic_descriptions;

// A list of topics, sorted by name.
typedef struct ottla_topic_list ottla_topic_list;

// The outcome for each topic of a call that changes topics, in the order of the call.
typedef struct ottla_topic_results ottla_topic_results;

// The answer to an asynchronous call. Immutable: its functions may be called from many threads at once.
typedef struct ottla_answer ottla_answer;

// A running broker, or a cluster of several. All its functions except _free may be called from many threads at
// once.
typedef struct ottla_broker ottla_broker;

// ==================================================================================================================
// Version, status, bytes
// ==================================================================================================================

// The number of this ABI, as in the library's SONAME. It changes when programs have to be recompiled.
#define OTTLA_ABI_VERSION 0

// The status of a successful call.
#define OTTLA_OK 0

// A status code: 0 is success. Kafka's own error codes are as on the wire (-1 and the numbers above 0), Ottla's own
// are at or below -100: the constants OTTLA_ERR_*.
typedef int32_t ottla_status;

// A borrowed view of bytes. Never freed separately.
//
// data NULL, with len 0, is Kafka's null. A non-NULL pointer with len 0 is an empty string, which is not the
// same.
typedef struct ottla_bytes {
    // The first byte, or NULL.
    const uint8_t *data;
    // The number of bytes.
    size_t len;
} ottla_bytes;

// A header of a record. Names may repeat; the order is kept.
typedef struct ottla_header {
    // The name. Never null, but not necessarily text.
    ottla_bytes name;
    // The value, or null.
    ottla_bytes value;
} ottla_header;

// Returns the ABI number of the loaded library, for programs that load it at run time to compare with
// OTTLA_ABI_VERSION. Never fails. From any thread.
uint32_t ottla_abi_version(void);

// Returns the library's version, for example "0.1.0". The string is static. From any thread.
const char *ottla_version(void);

// ==================================================================================================================
// Errors
//
// A function that fails returns a status and, if the caller passed a pointer for it, an error object that says what
// was tried, on which broker or key, what came back, and what to do about it. The caller frees it. The codes that Kafka's brokers send are at the end
// of this header.
//
//     ottla_error *error = NULL;
//     if (ottla_producer_flush(producer, 10000, &error) != OTTLA_OK) {
//         fprintf(stderr, "%s: %s\n", ottla_error_name(error), ottla_error_message(error));
//         ottla_error_free(error);
//     }
//
// In a helper that checks a status, pass the address of the error, or make the call in a separate statement. C may
// evaluate arguments in any order, so error passed next to the call that sets it may be read before the call is
// made:
//
//     check(ottla_producer_flush(producer, 10000, &error), &error);   // right
//     check(ottla_producer_flush(producer, 10000, &error), error);    // wrong: may see the NULL of before
//
// The functions on an error never fail. For NULL they return the success values: 0, "NONE", "", false.
// ==================================================================================================================

// A configuration key or value is wrong: detected at construction, or when a response exceeds receive.message.max.bytes.
#define OTTLA_ERR_CONFIG (-100)
// An argument of a call is wrong (NULL handle, negative count, text where bytes are needed).
#define OTTLA_ERR_INVALID_ARGUMENT (-101)
// The call's timeout is over.
#define OTTLA_ERR_TIMED_OUT (-102)
// The call would have to wait, and its timeout is 0.
#define OTTLA_ERR_AGAIN (-103)
// The client is closed.
#define OTTLA_ERR_CLOSED (-104)
// Another thread is in a call that needs exclusive access to this handle.
#define OTTLA_ERR_IN_USE (-105)
// No connection: refused, unreachable, reset.
#define OTTLA_ERR_CONNECT (-106)
// A host name could not be resolved.
#define OTTLA_ERR_DNS (-107)
// The peer sent bytes that are not Kafka's protocol, or not the expected response.
#define OTTLA_ERR_PROTOCOL (-108)
// TLS failed, or the peer speaks TLS where plain text was configured, or the reverse.
#define OTTLA_ERR_TLS (-109)
// The peer refused the client's credentials.
#define OTTLA_ERR_AUTHENTICATION (-110)
// Another thread woke the waiting call.
#define OTTLA_ERR_WOKEN (-111)
// Ottla panicked (a bug); the object refuses further calls.
#define OTTLA_ERR_PANIC (-112)
// The handle belongs to the parent process of a fork.
#define OTTLA_ERR_FORKED (-113)
// A local operating system call failed.
#define OTTLA_ERR_IO (-114)
// A record batch's checksum or structure is wrong; none of its records are delivered.
#define OTTLA_ERR_CORRUPT_BATCH (-115)
// The broker or this build of Ottla does not support the request.
#define OTTLA_ERR_UNSUPPORTED (-116)
// A single record is larger than the client may send (max.request.size).
#define OTTLA_ERR_RECORD_TOO_LARGE (-117)
// The producer's buffer (buffer.memory) has no room.
#define OTTLA_ERR_BUFFER_FULL (-118)
// Discarded by a purge or by close before it was acknowledged.
#define OTTLA_ERR_PURGED (-119)
// Compressed data expands beyond the limit.
#define OTTLA_ERR_DECOMPRESSION_LIMIT (-120)
// The broker's log no longer holds the wanted offsets and auto.offset.reset is none.
#define OTTLA_ERR_OFFSET_RESET (-121)
// The partition is no longer assigned to this member of the group; its offset was not committed.
#define OTTLA_ERR_PARTITION_REVOKED (-122)
// The program did not poll for max.poll.interval.ms, so it has left its group.
#define OTTLA_ERR_MAX_POLL_EXCEEDED (-123)
// The system has no memory left for a large buffer.
#define OTTLA_ERR_OUT_OF_MEMORY (-124)

// Returns the status code; 0 only if error is NULL.
int32_t ottla_error_code(const ottla_error *error);

// Returns the name of the code, for example "CONFIG" or "UNKNOWN_TOPIC_OR_PARTITION". The string is static.
const char *ottla_error_name(const ottla_error *error);

// Returns the message: one or a few sentences of English, in UTF-8. The string lives as long as the error.
const char *ottla_error_message(const ottla_error *error);

// Returns true if the same call may succeed when retried later.
bool ottla_error_is_retriable(const ottla_error *error);

// Returns true if the client cannot continue: close it, free it and create another.
bool ottla_error_is_fatal(const ottla_error *error);

// Returns true if the open transaction has to be aborted.
bool ottla_error_needs_abort(const ottla_error *error);

// Returns a copy, which the caller frees, for keeping an error longer than the completion, event or result it
// belongs to. Returns NULL for NULL.
ottla_error *ottla_error_clone(const ottla_error *error);

// Frees an error that a call wrote to its last argument, or a copy made by ottla_error_clone. Must not be called
// with an error that belongs to a completion, event or result. Does nothing for NULL.
void ottla_error_free(ottla_error *error);

// Returns the name of a status, for example "NONE" for 0 or "CONFIG" for OTTLA_ERR_CONFIG; "UNKNOWN" for a number
// that is not a status. The string is static. From any thread.
const char *ottla_status_name(ottla_status status);

// ==================================================================================================================
// Configuration
//
// Pairs of key and value, both text, under Kafka's own names: bootstrap.servers, linger.ms, compression.type.
// docs/configuration.md lists all keys. librdkafka's names are accepted where they mean the same. Plain numbers are
// in Kafka's own unit; values with a unit (5ms, 64MB, 64MiB) are accepted too.
//
// Everything is checked when a client is created from the configuration: an unknown key, a wrong type, a number out
// of range, a key of another kind of client, or two names of the same key are OTTLA_ERR_CONFIG. The message names
// the key, the value and what was probably meant.
//
//     ottla_config *config = ottla_config_new();
//     if (ottla_config_set(config, "bootstrap.servers", "localhost:9092", &error) == OTTLA_OK &&
//         ottla_config_set(config, "linger.ms", "5", &error) == OTTLA_OK) {
//         status = ottla_producer_new(config, &producer, &error);
//     }
//     ottla_config_free(config);
// ==================================================================================================================

// The key applies to producers.
#define OTTLA_KEY_PRODUCER 1

// The key applies to consumers.
#define OTTLA_KEY_CONSUMER 2

// The key applies to admin clients.
#define OTTLA_KEY_ADMIN 4

// The key applies to share consumers.
#define OTTLA_KEY_SHARE_CONSUMER 8

// A row of the table of keys. Its strings live as long as the table.
typedef struct ottla_key {
    // Kafka's name of the key.
    const char *name;
    // "boolean", "integer", "duration", "size", "text", "choice", "hosts", or "not yet" for a key that is known but
    // not supported yet, and refused.
    const char *type_name;
    // The default value, as one would write it; NULL if there is none.
    const char *default_value;
    // What the key means.
    const char *meaning;
    // The kinds of client that the key applies to: a sum of OTTLA_KEY_*.
    uint32_t clients;
} ottla_key;

// Returns a new, empty configuration, which the caller frees with ottla_config_free. Never NULL.
ottla_config *ottla_config_new(void);

// Sets a key, replacing its earlier value. Key and value are copied, and are only checked to be UTF-8: whether the
// key exists and the value is valid is checked when a client is created.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_config_set(ottla_config *config,
                              const char *key,
                              const char *value,
                              ottla_error **error);

// Frees a configuration. Clients created from it are unaffected.
void ottla_config_free(ottla_config *config);

// Writes the table of all keys, which the caller frees with ottla_keys_free.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE ottla_status ottla_config_keys(ottla_keys **keys, ottla_error **error);

// Returns the number of keys, or 0 for NULL.
size_t ottla_keys_count(const ottla_keys *keys);

// Writes row i, counting from 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_keys_get(const ottla_keys *keys,
                            size_t i,
                            ottla_key *key,
                            ottla_error **error);

// Frees the table of keys, including every string in it.
void ottla_keys_free(ottla_keys *keys);

// ==================================================================================================================
// Log lines
//
// Ottla does not write to stderr, unless the environment variable OTTLA_LOG names a level (error, warn, info, debug,
// trace). The one exception is a line at the end of the process if records are lost; OTTLA_LOG=off silences it. Each
// client keeps its last 1,024 lines, up to the level of its key log.level, until the program takes them with
// ottla_producer_logs, ottla_consumer_logs, ottla_share_consumer_logs or ottla_admin_logs. Lines with the
// same cause are logged at growing intervals, with the number of lines left out in between.
// growing intervals, with the number left out between.
// ==================================================================================================================

// Log level: a requested operation failed.
#define OTTLA_LOG_ERROR 1

// Log level: something is wrong, but may recover without intervention.
#define OTTLA_LOG_WARN 2

// Log level: a noteworthy change.
#define OTTLA_LOG_INFO 3

// Log level: the client's decisions and their reasons.
#define OTTLA_LOG_DEBUG 4

// Log level: every request and response.
#define OTTLA_LOG_TRACE 5

// A log line. Its strings live as long as the ottla_log_lines that it belongs to.
typedef struct ottla_log_line {
    // The part of the client that logged it, for example "connect".
    const char *facility;
    // The client's client.id.
    const char *client_id;
    // What happened.
    const char *message;
    // Milliseconds since 1970.
    int64_t time;
    // The number of lines with the same cause that were left out since the previous one.
    uint64_t repeated;
    // OTTLA_LOG_*
    int32_t level;
} ottla_log_line;

// Returns the number of lines, or 0 for NULL.
size_t ottla_log_lines_count(const ottla_log_lines *lines);

// Writes line i, counting from 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_log_lines_get(const ottla_log_lines *lines,
                                 size_t i,
                                 ottla_log_line *line,
                                 ottla_error **error);

// Frees log lines, including every string in them.
void ottla_log_lines_free(ottla_log_lines *lines);

// ==================================================================================================================
// Producer
//
// Writes records. One producer is enough for a whole program: all its functions may be called from many threads at
// once, and records are copied before a call returns. Records are collected in one batch per partition. A batch is
// sent when it is full, or linger.ms after its first record, without any further call.
//
//     ottla_producer *producer = NULL;
//     status = ottla_producer_new(config, &producer, &error);
//     ottla_bytes none = {NULL, 0}, value = {(const uint8_t *)"hello", 5};
//     status = ottla_producer_send(producer, "greetings", -1, none, value, NULL, 0, -1, 0, -1, &error);
//     status = ottla_producer_flush(producer, 10000, &error);
//     status = ottla_producer_close(producer, 10000, &error);
//     ottla_producer_free(producer);
//
// Send many records of one topic in one call, as columns:
//
//     ottla_column values = {0};
//     values.blob = (const uint8_t *)"onetwothree";
//     values.blob_len = 11;
//     values.lengths = lengths;                                   // int32_t lengths[] = {3, 3, 5};
//     size_t accepted = 0;
//     status = ottla_producer_send_batch(producer, "numbers", -1, 3, NULL, &values, NULL, NULL, 1, -1,
//                                        &accepted, &error);
//
// When the buffer (buffer.memory) is full, a send call waits for up to its timeout, or returns OTTLA_ERR_AGAIN at
// once if that is 0. ottla_producer_poll reports the outcome of records. Completions that are not polled count as
// part of the buffer, so a program that passes tokens has to poll.
// ==================================================================================================================

// A column of byte strings, one for each record of a call, in one of three layouts. Fields that a layout doesn't use
// are NULL or 0.
//
// - blob and lengths: the strings follow one another in the blob and fill it completely; -1 is null.
// - blob and offsets: string i is blob[offsets[i]] up to, but not including, blob[offsets[i + 1]], as in
//   Arrow. There are rows + 1 offsets, which never decrease; the first need not be 0, the last need not be the end
//   of the blob. No nulls.
// - pointers and lengths: each string has its own address; the length -1 is null, and so is a NULL pointer with
//   length 0.
typedef struct ottla_column {
    // All strings, one after another.
    const uint8_t *blob;
    // The size of the blob in bytes.
    size_t blob_len;
    // The address of each string.
    const uint8_t *const *pointers;
    // The length of each string; -1 is null.
    const int32_t *lengths;
    // Where each string starts in the blob, and where the last one ends.
    const int32_t *offsets;
} ottla_column;

// The headers of all records of a call.
typedef struct ottla_header_column {
    // The number of headers of each record.
    const int32_t *counts;
    // For each header, in order, the length of its name and the length of its value (-1 for null).
    const int32_t *lengths;
    // The number of lengths: twice the sum of the counts.
    size_t lengths_count;
    // Names and values in the order of the lengths.
    const uint8_t *blob;
    // The size of the blob in bytes: the sum of the lengths.
    size_t blob_len;
} ottla_header_column;

// Totals since a producer was created, and what it holds now. ottla_producer_stats has further figures.
typedef struct ottla_producer_counts {
    // Records acknowledged.
    uint64_t written;
    // Records that were not written, or may not have been written.
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
    // Batches that are neither acknowledged nor failed yet.
    uint64_t live_batches;
} ottla_producer_counts;

// Creates a producer and writes its handle, which the caller frees with ottla_producer_free. It connects in the
// background: the first calls, or ottla_producer_connect, report whether brokers can be reached.
//
// Errors: OTTLA_ERR_CONFIG for a mistake in the configuration, OTTLA_ERR_IO if no thread can be started.
OTTLA_MUST_USE
ottla_status ottla_producer_new(const ottla_config *config,
                                ottla_producer **producer,
                                ottla_error **error);

// Waits until the cluster has responded and a connection to one of its brokers is established. Not needed before
// sending; it lets a program find out early.
//
// Errors: after the timeout, or as soon as further waiting cannot help, the first failure: OTTLA_ERR_CONNECT,
// OTTLA_ERR_DNS, OTTLA_ERR_TLS, OTTLA_ERR_PROTOCOL, OTTLA_ERR_TIMED_OUT. The message names each broker tried, as
// configured and as advertised, with the stage that failed and the reason.
OTTLA_MUST_USE
ottla_status ottla_producer_connect(const ottla_producer *producer,
                                    int64_t timeout_ms,
                                    ottla_error **error);

// Sends one record (Kafka's Produce request), copying its bytes. For many records ottla_producer_send_batch is
// cheaper.
//
// - partition: -1 lets the partitioner choose, by the key if there is one.
// - key, value: null if data is NULL.
// - headers: an array of header_count; NULL if that is 0.
// - timestamp: milliseconds since 1970, or -1 for now.
// - token: returned in the record's completion; 0 requests no completion.
// - timeout_ms: how long to wait for room in the buffer; 0 does not wait, -1 waits up to max.block.ms.
//
// Errors: OTTLA_ERR_AGAIN (timeout 0) or OTTLA_ERR_BUFFER_FULL if the buffer stayed full,
// OTTLA_ERR_RECORD_TOO_LARGE, OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION if the topic is known not to exist or has no such
// partition, OTTLA_ERR_CLOSED, OTTLA_ERR_INVALID_ARGUMENT. After an error the record was not accepted. While no
// broker can be reached, records are accepted and wait, within the limits of max.block.ms and
// delivery.timeout.ms: call ottla_producer_connect to fail early, and ottla_producer_next_event to learn the
// reason. A partition number beyond those known is looked up first, which takes a moment (OTTLA_ERR_AGAIN with
// timeout 0).
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

// Sends rows records of one topic, given as columns, copying everything.
//
// All records are checked first, then accepted in order. accepted is the number accepted: always a prefix of the
// call, all of them on success; it is written on failure too. Records that were not accepted can be sent again.
//
// - partition: for all records; -1 lets the partitioner choose for each.
// - keys, values: NULL for a column of nulls.
// - headers: NULL for none.
// - timestamps: one for each record, in milliseconds since 1970, -1 for now; NULL for now in all records.
// - token: identifies the call in completions, which also say which of its records they are about. 0 requests no
//   completions.
// - timeout_ms: as in ottla_producer_send, for the call as a whole.
//
// Errors: as ottla_producer_send. With OTTLA_ERR_RECORD_TOO_LARGE and OTTLA_ERR_INVALID_ARGUMENT (columns that
// don't fit together) no record is accepted.
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

// Takes up to max completions (0: all that are available), waiting up to the timeout for the first one. Writes
// them for the caller to free with ottla_completions_free, or NULL if there are none when the timeout ends.
// Several threads may poll; each completion is returned to one of them.
//
// Errors: OTTLA_ERR_WOKEN after ottla_producer_wake; OTTLA_ERR_CLOSED once the producer is closed and no
// completions are left.
OTTLA_MUST_USE
ottla_status ottla_producer_poll(const ottla_producer *producer,
                                 size_t max,
                                 int64_t timeout_ms,
                                 ottla_completions **completions,
                                 ottla_error **error);

// Sends everything accepted so far without waiting for linger.ms, and waits until all of it is acknowledged or has
// failed. Does not take completions, which can still be polled.
//
// Errors: OTTLA_ERR_TIMED_OUT, with the number of records left, which are still being sent; otherwise the first
// failure among records sent with the token 0 since the last flush.
OTTLA_MUST_USE
ottla_status ottla_producer_flush(const ottla_producer *producer,
                                  int64_t timeout_ms,
                                  ottla_error **error);

// Ends one wait of ottla_producer_poll, the current one or the next, with OTTLA_ERR_WOKEN.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE ottla_status ottla_producer_wake(const ottla_producer *producer, ottla_error **error);

// Writes a descriptor (a SOCKET on Windows) for poll, epoll, select or an event loop. It is readable while
// completions, events or statistics are available, after a wake, after close, and when there is room again after
// OTTLA_ERR_AGAIN; then call ottla_producer_poll with timeout 0, which may return nothing. The descriptor is
// created by the first call, owned by the producer and closed with it: only wait on it, never read from it.
//
// It is level-triggered: it stays readable until nothing is left, even if a poll took only a part, so a loop may
// poll once each time it is readable. With edge-triggered epoll (EPOLLET), poll until nothing is returned. Spurious
// wake-ups happen.
//
// Errors: OTTLA_ERR_IO if the operating system has no descriptors left.
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

// Takes up to max log lines (0: all there are), oldest first. Writes them for the caller to free with
// ottla_log_lines_free, or NULL if there are none.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_producer_logs(const ottla_producer *producer,
                                 size_t max,
                                 ottla_log_lines **lines,
                                 ottla_error **error);

// Stops accepting records, flushes for up to the timeout, then gives up the rest (reported as not written if never
// sent, as possibly written otherwise) and closes the connections. Records accepted from other threads before the
// call are flushed too; later send calls return OTTLA_ERR_CLOSED. Wakes all waiting calls. Completions can still
// be polled. Closing twice does nothing.
//
// Errors: as ottla_producer_flush; the producer is closed in any case.
OTTLA_MUST_USE
ottla_status ottla_producer_close(const ottla_producer *producer,
                                  int64_t timeout_ms,
                                  ottla_error **error);

// Frees a producer, once all calls with it have returned. If it was not closed first, unacknowledged records are
// given up, and a line on stderr at the end of the process says how many. Completions that were polled stay valid.
void ottla_producer_free(ottla_producer *producer);

// ==================================================================================================================
// Producer: settings per topic, partitioners, purge
//
// Topics use the producer's settings unless they are given their own before their first use:
//
//     ottla_config *orders = ottla_config_new();
//     status = ottla_config_set(orders, "acks", "1", &error);
//     status = ottla_config_set(orders, "compression.type", "zstd", &error);
//     status = ottla_producer_set_topic_config(producer, "orders", orders, &error);
//     ottla_config_free(orders);
//
// A custom partitioner is a function that is called for each record sent without a partition:
//
//     static int32_t by_first_byte(const char *topic, ottla_bytes key, int32_t partition_count, void *opaque) {
//         (void)topic, (void)opaque;
//         return key.len == 0 ? -1 : key.data[0] % partition_count;
//     }
//     status = ottla_producer_set_partitioner(producer, NULL, by_first_byte, NULL, &error);
// ==================================================================================================================

// Give up records that wait to be sent, or to be sent again.
#define OTTLA_PURGE_QUEUED 1

// Give up records that were sent and are not acknowledged yet: they may have been written nevertheless.
#define OTTLA_PURGE_IN_FLIGHT 2

// Give up both.
#define OTTLA_PURGE_ALL 3

// Chooses a record's partition. Returns its number, from 0 to partition_count - 1, or -1 to leave the choice to
// the configured partitioner. Any other number makes the send call fail with OTTLA_ERR_INVALID_ARGUMENT.
//
// It runs inside the send calls, on their threads, so possibly on several at once; it may call Ottla itself. topic
// and key are valid during the call only.
//
// It has to return. An exception or a longjmp that leaves it ends the process, directly or because of the frames it
// skips: those between it and the send call are Ottla's, and hold locks. Catch any exception, store it, return a
// number below -1, and rethrow it after the send call has failed; the C++ wrapper does this.
typedef int32_t (*ottla_partitioner)(const char *topic, ottla_bytes key, int32_t partition_count, void *opaque);

// Sets the configuration of one topic, before the producer first uses it: acks, compression.type and its levels,
// delivery.timeout.ms, linger.ms, partitioner, partitioner.ignore.keys,
// partitioner.adaptive.partitioning.enable, request.timeout.ms. Keys that are not set are inherited from the
// producer. The configuration is copied and can be freed or reused.
//
// If a topic asks for less than acks=all, its records are sent without idempotence; that is an error if
// idempotence was requested explicitly for the producer.
//
// Errors: OTTLA_ERR_CONFIG for a mistake in the settings, or a conflict with the producer's;
// OTTLA_ERR_INVALID_ARGUMENT if the topic is already in use; OTTLA_ERR_INVALID_TOPIC_EXCEPTION for an invalid topic
// name.
OTTLA_MUST_USE
ottla_status ottla_producer_set_topic_config(const ottla_producer *producer,
                                             const char *topic,
                                             const ottla_config *config,
                                             ottla_error **error);

// Sets a custom partitioner, before the topics it is for are first used.
//
// - topic: the topic; NULL for all topics that have no partitioner set by this function or by the key partitioner
//   in ottla_producer_set_topic_config.
// - function, opaque: the function is called with opaque until the producer is freed. Must not be NULL.
//
// Sending to a topic with such a partitioner waits until the topic's number of partitions is known, since the
// function needs it. With timeout 0 the call returns OTTLA_ERR_AGAIN until then, and the descriptor signals when to
// retry.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if the topic (for NULL: any topic) is already in use;
// OTTLA_ERR_INVALID_TOPIC_EXCEPTION for an invalid topic name.
OTTLA_MUST_USE
ottla_status ottla_producer_set_partitioner(const ottla_producer *producer,
                                            const char *topic,
                                            ottla_partitioner function,
                                            void *opaque,
                                            ottla_error **error);

// Gives up unacknowledged records: those queued, those in flight, or both (OTTLA_PURGE_*). When this returns,
// their completions can be polled; they have the error OTTLA_ERR_PURGED and the outcome OTTLA_NOT_WRITTEN, or
// OTTLA_POSSIBLY_WRITTEN for records that were sent and not acknowledged. Records sent from other threads during
// the call may not be purged. The producer stays usable.
//
// Errors: OTTLA_ERR_TIMED_OUT if the I/O thread did not respond within 5 s.
OTTLA_MUST_USE
ottla_status ottla_producer_purge(const ottla_producer *producer,
                                  int32_t what,
                                  ottla_error **error);

// ==================================================================================================================
// Transactions
//
// With transactional.id a producer writes records to many partitions, and commits a group's offsets, so that all
// of them become visible together or not at all (KIP-98, 447, 890). Consumers with isolation.level=read_committed
// only see committed records.
//
//     status = ottla_producer_init_transactions(producer, 30000, &error);     // once
//     status = ottla_producer_begin_transaction(producer, &error);
//     status = ottla_producer_send(producer, "out", -1, none, value, NULL, 0, -1, 0, -1, &error);
//     ottla_offset_to_commit next = {"in", 0, 42, -1, NULL};                  // of what was read to make it
//     ottla_group_metadata group = {"my-group", -1, NULL, NULL};
//     status = ottla_producer_send_offsets(producer, &next, 1, &group, 30000, &error);
//     status = ottla_producer_commit_transaction(producer, 30000, &error);
//
// An error has at most one of these properties, which says what to do. If it has none, the functions were called in
// the wrong order or state (OTTLA_ERR_INVALID_TXN_STATE, returned at once).
//
//   ottla_error_is_retriable  call the same function again; after a timeout the operation continues, and may succeed
//   ottla_error_needs_abort   call ottla_producer_abort_transaction; the producer is fully usable after that
//   ottla_error_is_fatal      another producer has taken over the transactional id (this one is fenced: nothing that it
//                               still sends is written), or the id may not be used: close the producer
//
// After a record or an offset of a transaction has failed, its commit fails with that error, whether or not the
// program looked at the failed call or its completion. Unsent records of an aborted transaction end as not written.
// ==================================================================================================================

// An offset for a group to commit.
typedef struct ottla_offset_to_commit {
    // The topic.
    const char *topic;
    // The partition.
    int32_t partition;
    // The offset of the next record to read: one more than that of the last processed record.
    int64_t offset;
    // Leader epoch of the last record that was read (KIP-320); -1 if it is unknown.
    int32_t leader_epoch;
    // Any text to store with it, or NULL.
    const char *metadata;
} ottla_offset_to_commit;

// A consumer's identity in its group, which lets the group's coordinator refuse a consumer that has lost its
// partitions (KIP-447).
typedef struct ottla_group_metadata {
    // group.id
    const char *group_id;
    // The generation, or the member epoch; -1 for a consumer that is not a member.
    int32_t generation;
    // The member id; NULL for a consumer that is not a member.
    const char *member_id;
    // group.instance.id of a static member; otherwise NULL.
    const char *instance_id;
} ottla_group_metadata;

// Prepares a producer with transactional.id for transactions (Kafka's InitProducerId request): a transaction that
// an earlier run left open under the same id is aborted, and a producer that still uses the id is fenced. Call it
// once, before any other transactional function.
//
// Errors: OTTLA_ERR_TIMED_OUT: call it again. Fatal errors from the coordinator, for example
// OTTLA_ERR_INVALID_TRANSACTION_TIMEOUT. OTTLA_ERR_INVALID_TXN_STATE without transactional.id.
OTTLA_MUST_USE
ottla_status ottla_producer_init_transactions(const ottla_producer *producer,
                                              int64_t timeout_ms,
                                              ottla_error **error);

// Begins a transaction: everything sent from now on belongs to it until it is committed or aborted. Sends no
// request.
//
// Errors: OTTLA_ERR_INVALID_TXN_STATE before ottla_producer_init_transactions and while a transaction is open; an
// error that needs an abort if the previous transaction failed; a fatal error if the producer is fenced.
OTTLA_MUST_USE
ottla_status ottla_producer_begin_transaction(const ottla_producer *producer,
                                              ottla_error **error);

// Adds a group's offsets to the open transaction (Kafka's TxnOffsetCommit request): they are committed together with
// it, or not at all if it is aborted.
//
// Errors: OTTLA_ERR_TIMED_OUT: the request continues, and the commit waits for it. An error that needs an abort, for
// example OTTLA_ERR_ILLEGAL_GENERATION if the consumer is no longer in the group. OTTLA_ERR_INVALID_TXN_STATE
// outside of a transaction.
OTTLA_MUST_USE
ottla_status ottla_producer_send_offsets(const ottla_producer *producer,
                                         const ottla_offset_to_commit *offsets,
                                         size_t count,
                                         const ottla_group_metadata *group,
                                         int64_t timeout_ms,
                                         ottla_error **error);

// Commits the open transaction (Kafka's EndTxn request): sends its remaining records, waits until all of them are
// written, then commits. Its records become visible to readers together.
//
// Errors: OTTLA_ERR_TIMED_OUT: the commit continues and may succeed; call again to learn the outcome. An error that
// needs an abort if any part of the transaction failed: nothing is committed, and the message says what failed and
// why. A fatal error if the producer is fenced. OTTLA_ERR_INVALID_TXN_STATE if no transaction is open.
OTTLA_MUST_USE
ottla_status ottla_producer_commit_transaction(const ottla_producer *producer,
                                               int64_t timeout_ms,
                                               ottla_error **error);

// Aborts the open transaction (Kafka's EndTxn request): gives up unsent records (they end as not written), waits for
// those that were sent, then aborts. To be called after an error that needs an abort.
//
// Errors: OTTLA_ERR_TIMED_OUT: the abort continues; call it again. OTTLA_ERR_INVALID_TXN_STATE if no transaction is
// open, or if its commit was requested and may have been carried out. A fatal error if the producer is fenced.
OTTLA_MUST_USE
ottla_status ottla_producer_abort_transaction(const ottla_producer *producer,
                                              int64_t timeout_ms,
                                              ottla_error **error);

// ==================================================================================================================
// Completions
//
// The outcome of records, reported in runs: records of one call that ended together in one partition. Calls with the
// token 0 get no completions; their records are only counted, and ottla_producer_flush reports the first failure
// among them.
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

// The broker acknowledged the records (with acks=0: they were written to the connection).
#define OTTLA_WRITTEN 0

// The records were definitely not written.
#define OTTLA_NOT_WRITTEN 1

// The records were sent, but no response says whether they were written.
#define OTTLA_POSSIBLY_WRITTEN 2

// A run of records of one call that ended together in one partition. Its pointers are valid as long as the
// ottla_completions that it belongs to.
typedef struct ottla_completion {
    // The token passed to the call.
    uint64_t token;
    // The topic.
    const char *topic;
    // Offset of the run's first record; the others follow it one by one. -1 if it is unknown.
    int64_t base_offset;
    // Milliseconds since 1970: the broker's time if the topic uses log append time, otherwise the timestamp of the
    // batch's first record.
    int64_t timestamp;
    // NULL if the run's records are contiguous in their call: first, first + 1 and so on. Otherwise count
    // indices within the call.
    const uint32_t *indices;
    // Why the records were not written; NULL if they were.
    const ottla_error *error;
    // The partition; -1 if none was chosen yet.
    int32_t partition;
    // Index within the call of the run's first record.
    uint32_t first;
    // Number of records.
    uint32_t count;
    // OTTLA_WRITTEN, OTTLA_NOT_WRITTEN or OTTLA_POSSIBLY_WRITTEN.
    int32_t outcome;
} ottla_completion;

// Returns the number of completions, or 0 for NULL.
size_t ottla_completions_count(const ottla_completions *completions);

// Returns the array of completions, or NULL for NULL.
const ottla_completion *ottla_completions_data(const ottla_completions *completions);

// Frees completions, including everything they point to.
void ottla_completions_free(ottla_completions *completions);

// ==================================================================================================================
// Consumer
//
// Reads partitions of topics. Records are fetched in the background from all leaders at once, up to
// fetch.memory.bytes; a poll returns what has arrived, events first.
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

// Start at the oldest record in the log.
#define OTTLA_START_EARLIEST 1

// Start after the newest record.
#define OTTLA_START_LATEST 2

// Start at the offset value.
#define OTTLA_START_OFFSET 3

// Start at the first record whose timestamp is value (milliseconds since 1970) or later; at the end if there is
// none.
#define OTTLA_START_TIMESTAMP 4

// A partition to read, and where to start.
typedef struct ottla_assignment {
    // The topic.
    const char *topic;
    // The value for OTTLA_START_OFFSET and OTTLA_START_TIMESTAMP.
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

// Creates a consumer without an assignment and writes its handle, which the caller frees with ottla_consumer_free.
// It connects in the background.
//
// Errors: OTTLA_ERR_CONFIG for a mistake in the configuration, OTTLA_ERR_IO if no thread can be started.
OTTLA_MUST_USE
ottla_status ottla_consumer_new(const ottla_config *config,
                                ottla_consumer **consumer,
                                ottla_error **error);

// Waits until the cluster has responded and a connection to one of its brokers is established. Not needed before
// polling.
//
// Errors: as ottla_producer_connect.
OTTLA_MUST_USE
ottla_status ottla_consumer_connect(const ottla_consumer *consumer,
                                    int64_t timeout_ms,
                                    ottla_error **error);

// Replaces the assignment with these partitions. A partition that was already assigned continues where it is; its
// start is ignored.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT for a negative partition or offset, an empty name, a partition given twice.
OTTLA_MUST_USE
ottla_status ottla_consumer_assign(const ottla_consumer *consumer,
                                   const ottla_assignment *partitions,
                                   size_t count,
                                   ottla_error **error);

// Adds all partitions of a topic to the assignment. Partitions added to the topic later are read too, from their
// beginnings, and reported by an event. start must not be OTTLA_START_OFFSET; value is a timestamp for
// OTTLA_START_TIMESTAMP, otherwise 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_consumer_assign_topic(const ottla_consumer *consumer,
                                         const char *topic,
                                         int32_t start,
                                         int64_t value,
                                         ottla_error **error);

// Clears the assignment.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_consumer_unassign(const ottla_consumer *consumer,
                                     ottla_error **error);

// Writes the assigned partitions, ordered by topic and partition, as a list that the caller frees with
// ottla_partitions_free.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_consumer_assignment(const ottla_consumer *consumer,
                                       ottla_partitions **partitions,
                                       ottla_error **error);

// Moves the position of an assigned partition. Records that were fetched but not polled are discarded.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if it is not assigned, or for a negative offset.
OTTLA_MUST_USE
ottla_status ottla_consumer_seek(const ottla_consumer *consumer,
                                 const char *topic,
                                 int32_t partition,
                                 int32_t start,
                                 int64_t value,
                                 ottla_error **error);

// Stops fetching and returning records of partitions; records that were already fetched are kept.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if one of them is not assigned; none is paused in that case.
OTTLA_MUST_USE
ottla_status ottla_consumer_pause(const ottla_consumer *consumer,
                                  const ottla_topic_partition *partitions,
                                  size_t count,
                                  ottla_error **error);

// Resumes paused partitions.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if one of them is not assigned; none is resumed in that case.
OTTLA_MUST_USE
ottla_status ottla_consumer_resume(const ottla_consumer *consumer,
                                   const ottla_topic_partition *partitions,
                                   size_t count,
                                   ottla_error **error);

// Writes the position of a partition: the offset after the last record that counts as read, or -1 while the start is
// being looked up. Records of the latest batch count as read when the next poll is made.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if the partition is not assigned.
OTTLA_MUST_USE
ottla_status ottla_consumer_position(const ottla_consumer *consumer,
                                     const char *topic,
                                     int32_t partition,
                                     int64_t *position,
                                     ottla_error **error);

// Writes the number of offsets between the position and the end of the readable log, as last reported by the
// brokers; -1 if unknown. Every fetch updates it; for a paused partition the end is requested every 5 seconds.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if the partition is not assigned.
OTTLA_MUST_USE
ottla_status ottla_consumer_lag(const ottla_consumer *consumer,
                                const char *topic,
                                int32_t partition,
                                int64_t *lag,
                                ottla_error **error);

// Requests the oldest offset of each partition (Kafka's ListOffsets) and writes it to offsets, an array of
// count. The partitions need not be assigned.
//
// Errors: that of the first partition that failed; OTTLA_ERR_TIMED_OUT.
OTTLA_MUST_USE
ottla_status ottla_consumer_beginning_offsets(const ottla_consumer *consumer,
                                              const ottla_topic_partition *partitions,
                                              size_t count,
                                              int64_t timeout_ms,
                                              int64_t *offsets,
                                              ottla_error **error);

// Requests the end offset of each partition (Kafka's ListOffsets) and writes it to offsets, an array of count:
// the offset after the last readable record, or with isolation.level=read_committed the start of the first open
// transaction.
//
// Errors: as ottla_consumer_beginning_offsets.
OTTLA_MUST_USE
ottla_status ottla_consumer_end_offsets(const ottla_consumer *consumer,
                                        const ottla_topic_partition *partitions,
                                        size_t count,
                                        int64_t timeout_ms,
                                        int64_t *offsets,
                                        ottla_error **error);

// Requests for each partition i the first record whose timestamp is times[i] (milliseconds since 1970) or later
// (Kafka's ListOffsets), and writes its offset to offsets[i]; -1 if there is none.
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

// Writes the number of partitions of a topic.
//
// Errors: the cluster's error for the topic; OTTLA_ERR_TIMED_OUT.
OTTLA_MUST_USE
ottla_status ottla_consumer_partition_count(const ottla_consumer *consumer,
                                            const char *topic,
                                            int64_t timeout_ms,
                                            int32_t *count,
                                            ottla_error **error);

// Waits up to the timeout for an event or for records, and writes either an event, or a batch of up to max_records
// records (0: max.poll.records) that have arrived; the caller frees it. The other output is NULL, and both are
// NULL when the timeout ends. To be called by one thread at a time. Batches hold their memory until they are freed,
// without a limit: ottla_consumer_held_bytes reports how much.
//
// Errors: OTTLA_ERR_IN_USE while another thread polls; OTTLA_ERR_WOKEN after ottla_consumer_wake;
// OTTLA_ERR_CLOSED; before the first contact with the cluster, once socket.connection.setup.timeout.ms is over,
// the reason why no broker can be reached.
// reached.
OTTLA_MUST_USE
ottla_status ottla_consumer_poll(ottla_consumer *consumer,
                                 size_t max_records,
                                 int64_t timeout_ms,
                                 ottla_batch **batch,
                                 ottla_event **event,
                                 ottla_error **error);

// Ends the wait of the current poll, or of the next one that has to wait, with OTTLA_ERR_WOKEN.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE ottla_status ottla_consumer_wake(const ottla_consumer *consumer, ottla_error **error);

// Writes a descriptor (a SOCKET on Windows) for poll, epoll, select or an event loop. It is readable while a poll
// would return something at once; then poll with timeout 0, which may return nothing. The descriptor is created by
// the first call, owned by the consumer and closed with it: only wait on it, never read from it.
//
// It is level-triggered: it stays readable until nothing is left, even if a poll took only a part, so a loop may
// poll once each time it is readable. With edge-triggered epoll (EPOLLET), poll until nothing is returned. Spurious
// wake-ups happen.
//
// Errors: OTTLA_ERR_IO if the operating system has no descriptors left.
OTTLA_MUST_USE
ottla_status ottla_consumer_descriptor(const ottla_consumer *consumer,
                                       intptr_t *descriptor,
                                       ottla_error **error);

// Writes the number of bytes of buffers that are held by polled batches.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_consumer_held_bytes(const ottla_consumer *consumer,
                                       size_t *bytes,
                                       ottla_error **error);

// Writes the number of bytes fetched and not polled yet, which fetch.memory.bytes limits.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_consumer_buffered_bytes(const ottla_consumer *consumer,
                                           size_t *bytes,
                                           ottla_error **error);

// Takes up to max log lines (0: all there are); see ottla_producer_logs.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_consumer_logs(const ottla_consumer *consumer,
                                 size_t max,
                                 ottla_log_lines **lines,
                                 ottla_error **error);

// Closes the consumer: makes every other call return OTTLA_ERR_CLOSED, discards what was fetched, commits what
// counts as read (with enable.auto.commit), waits for background commits, leaves the group at once (except a
// static member, which stays in it), and waits up to the timeout until the connections are closed. The latest batch
// does not count as read yet. Batches stay valid. Closing twice does nothing.
//
// Errors: OTTLA_ERR_TIMED_OUT; closing then continues in the background.
OTTLA_MUST_USE
ottla_status ottla_consumer_close(const ottla_consumer *consumer,
                                  int64_t timeout_ms,
                                  ottla_error **error);

// Frees a consumer, once all calls with it have returned. Its batches and events stay valid. If it was not closed
// first, it leaves its group in the background, within five seconds; close it to be sure that it has left. While
// more than 16 clients are leaving at once, this call waits up to 0.1 s, and then gives up without leaving: the group
// notices when the member's session expires.
void ottla_consumer_free(ottla_consumer *consumer);

// Returns the number of partitions in the list, or 0 for NULL.
size_t ottla_partitions_count(const ottla_partitions *partitions);

// Writes partition i of the list, counting from 0. Its topic lives as long as the list.
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
// The records of one poll. They are not copied: a batch is a list of segments, each with records of one partition
// that share a buffer, and columns with their positions in the buffer.
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
// A batch keeps its buffers until it is freed, from any thread, even after its consumer was freed.
// fetch.memory.bytes does not limit what batches hold: a program that doesn't free them uses memory without bound.
// ottla_consumer_held_bytes, and held_bytes in the statistics, report the total for all batches;
// ottla_batch_held_bytes reports it for one batch. To keep a few records for long, copy them out of their large
// buffers with ottla_batch_compact.
// ==================================================================================================================

// timestamp_type: the producer set the timestamps.
#define OTTLA_TIMESTAMP_CREATE 0

// timestamp_type: the broker set the timestamps when it appended the records.
#define OTTLA_TIMESTAMP_APPEND 1

// Records of one partition that share a buffer, as columns of rows elements each. The key of record i is the
// key_len[i] bytes at base + key_start[i]; a length of -1 is null. The same holds for values.
typedef struct ottla_segment {
    // The topic.
    const char *topic;
    // The start of the buffer.
    const uint8_t *base;
    // Offsets in the partition: increasing, with possible gaps.
    const int64_t *offsets;
    // Milliseconds since 1970.
    const int64_t *timestamps;
    // The start of each key.
    const uint32_t *key_start;
    // The length of each key; -1 is null.
    const int32_t *key_len;
    // The start of each value.
    const uint32_t *value_start;
    // The length of each value; -1 is null.
    const int32_t *value_len;
    // The number of headers of each record; read them with ottla_batch_headers.
    const int32_t *header_count;
    // The number of records.
    size_t rows;
    // The row in the batch of the segment's first record.
    size_t first_row;
    // The partition.
    int32_t partition;
    // The leader epoch of the segment's last record; -1 if it is unknown.
    int32_t leader_epoch;
    // Who set the timestamps: OTTLA_TIMESTAMP_*.
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
    // The number of headers.
    int32_t header_count;
    // Who set the timestamp: OTTLA_TIMESTAMP_*.
    int32_t timestamp_type;
} ottla_record;

// Returns the number of records, or 0 for NULL.
size_t ottla_batch_rows(const ottla_batch *batch);

// Returns the number of segments, or 0 for NULL. Their rows are numbered consecutively.
size_t ottla_batch_segment_count(const ottla_batch *batch);

// Writes segment i, counting from 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_batch_segment(const ottla_batch *batch,
                                 size_t i,
                                 ottla_segment *segment,
                                 ottla_error **error);

// Writes the record in row row of the batch, counting from 0. To read all of many records, segments are cheaper.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_batch_record(const ottla_batch *batch,
                                size_t row,
                                ottla_record *record,
                                ottla_error **error);

// Writes the headers of the record in row row of the batch, in order, up to capacity of them, and the number it
// has to count. headers may be NULL if capacity is 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_batch_headers(const ottla_batch *batch,
                                 size_t row,
                                 ottla_header *headers,
                                 size_t capacity,
                                 size_t *count,
                                 ottla_error **error);

// Returns an array with the number of deliveries of each record in the batch, including this one. The array lives as
// long as the batch. Returns NULL for NULL, and for a batch that does not come from a share group.
const int16_t *ottla_batch_delivery_counts(const ottla_batch *batch);

// Copies the records into a new batch with one small buffer, and writes it. The caller frees both batches.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_batch_compact(const ottla_batch *batch,
                                 ottla_batch **compacted,
                                 ottla_error **error);

// Returns the number of bytes of buffers that this batch keeps in use, or 0 for NULL. Batches may share a buffer.
size_t ottla_batch_held_bytes(const ottla_batch *batch);

// Frees a batch and returns its buffers to their pool. From any thread, before or after its consumer is freed.
void ottla_batch_free(ottla_batch *batch);

// ==================================================================================================================
// Events
//
// What happened to a consumer other than records arriving: reported once, in order, before the records that follow.
// Polls of a consumer return events; a producer's are returned by ottla_producer_next_event. Most can be ignored,
// as the client keeps trying by itself.
// ==================================================================================================================

// The position of a partition was moved from from to to, because the log no longer holds the records there: this
// consumer has missed them.
#define OTTLA_EVENT_POSITION_RESET 1

// A partition cannot be read any more: no records of it are returned until the program seeks or assigns it again.
#define OTTLA_EVENT_PARTITION_STOPPED 2

// A partition cannot be read at present; the client keeps trying. If a broker's failure can't be attributed to one
// partition, the event lists all partitions that may be affected.
#define OTTLA_EVENT_PARTITION_FAILING 3

// A topic cannot be found or may not be read; the client keeps trying.
#define OTTLA_EVENT_TOPIC_FAILING 4

// A topic was deleted and created again: its offsets start over. A start that was given as earliest, latest or a
// timestamp also applies to the new topic, whose records are all later than that start: it is read from its
// beginning, or from that timestamp. Partitions that started at an offset, by auto.offset.reset or in a group
// continue where auto.offset.reset says; if that is latest, records written before the new topic was noticed are
// not read.
#define OTTLA_EVENT_TOPIC_RECREATED 5

// A topic assigned as a whole has grown: its partitions from to to, exclusive, are read too, from their
// beginnings.
#define OTTLA_EVENT_PARTITIONS_ADDED 6

// A broker can't be reached: connections to it have failed for some seconds, or it has not answered a fetch for
// request.timeout.ms. The client keeps trying, and reports this once until the broker answers a fetch again.
#define OTTLA_EVENT_BROKER_UNREACHABLE 7

// A background commit has ended, with or without an error. The event's token is the one that the call wrote.
#define OTTLA_EVENT_OFFSETS_COMMITTED 8

// Partitions were assigned to this member of the group. Their records start at the committed offset, or where
// auto.offset.reset says; a seek made now takes effect before any record is returned.
#define OTTLA_EVENT_PARTITIONS_ASSIGNED 9

// Partitions are being revoked, and no more of their records are returned. They belong to this member until that is
// acknowledged, by ottla_consumer_acknowledge or the next poll: until then records that were read can be
// committed.
#define OTTLA_EVENT_PARTITIONS_REVOKED 10

// Partitions no longer belong to this member, and may already belong to others: nothing can be committed.
#define OTTLA_EVENT_PARTITIONS_LOST 11

// The group can't be joined at present, or its coordinator cannot be reached, or positions cannot be committed in
// the background; the client keeps trying.
#define OTTLA_EVENT_GROUP_FAILING 12

// The membership has ended for good; subscribe again to rejoin.
#define OTTLA_EVENT_GROUP_LEFT 13

// Acknowledgements of records in a share group were not carried out, or may not have been: those of a partition from
// from to to, exclusive. The records are delivered again.
#define OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED 14

// This member leads a group that uses the program's own assignor: assign the partitions of the topics
// (ottla_event_group_topic) to the members (ottla_event_group_member) with ottla_consumer_assign_group.
#define OTTLA_EVENT_ASSIGNMENT_WANTED 15

// Writes the oldest event of a producer that has not been taken, for the caller to free with ottla_event_free;
// NULL if there is none. The last 64 are kept. While one is available, the producer's descriptor is readable and
// ottla_producer_poll does not wait. Events report what records are waiting for, and need no action: they are
// OTTLA_EVENT_BROKER_UNREACHABLE and OTTLA_EVENT_TOPIC_FAILING.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_producer_next_event(const ottla_producer *producer,
                                       ottla_event **event,
                                       ottla_error **error);

// Returns the kind of event, OTTLA_EVENT_*, or 0 for NULL. Later versions may have kinds that this header doesn't
// list.
int32_t ottla_event_kind(const ottla_event *event);

// Returns the topic that the event is about, or "" if there is none, and for NULL.
const char *ottla_event_topic(const ottla_event *event);

// Returns the partition that the event is about, or -1 if there is none, and for NULL.
int32_t ottla_event_partition(const ottla_event *event);

// Returns the position before the event, or the offset where the problem is; -1 if there is none, and for NULL.
int64_t ottla_event_from(const ottla_event *event);

// Returns the position after the event; -1 if there is none, and for NULL.
int64_t ottla_event_to(const ottla_event *event);

// Returns the token of the call that the event is about; 0 if there is none, and for NULL.
uint64_t ottla_event_token(const ottla_event *event);

// Returns the number of partitions that were assigned, revoked or lost, or may be failing; 0 for other events and
// for NULL.
size_t ottla_event_partition_count(const ottla_event *event);

// Writes partition i of those, counting from 0. Its topic lives as long as the event.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_event_partition_get(const ottla_event *event,
                                       size_t i,
                                       ottla_topic_partition *partition,
                                       ottla_error **error);

// Returns the error that caused the event, which belongs to the event and must not be freed; NULL if there is none,
// and for NULL.
const ottla_error *ottla_event_error(const ottla_event *event);

// Returns a message in English that says what happened and what to do about it; "" for NULL.
const char *ottla_event_message(const ottla_event *event);

// Frees an event.
void ottla_event_free(ottla_event *event);

// ==================================================================================================================
// Consumer groups
//
// A consumer with a group.id can subscribe to topics instead of being assigned partitions: the group divides the
// partitions of its topics among its members, and does so again when members join and leave. Polls report this in
// order: OTTLA_EVENT_PARTITIONS_ASSIGNED, then the records of those partitions; OTTLA_EVENT_PARTITIONS_REVOKED
// before they move to another member; OTTLA_EVENT_PARTITIONS_LOST if they have already moved.
//
// Offsets. Records count as read when the next poll is made, or when they are marked or committed. With
// enable.auto.commit, the offsets of records that count as read are committed every auto.commit.interval.ms,
// before partitions are given up, and on close; records that were only fetched never are. To commit manually, switch
// it off and commit each batch after processing it:
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
// Between a revocation and its acknowledgement, by the next poll, the partitions still belong to this member:
// whatever was read of them can be committed. After that a commit returns OTTLA_ERR_PARTITION_REVOKED; batches stay
// readable. A member that does not poll for max.poll.interval.ms leaves its group.
// ==================================================================================================================

// Joins the group and reads the partitions that it assigns of these topics; topics that don't exist yet are read
// once they do. Replaces an earlier subscription.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT without group.id, without a topic, for an empty name, or while partitions are
// assigned manually.
OTTLA_MUST_USE
ottla_status ottla_consumer_subscribe(const ottla_consumer *consumer,
                                      const char *const *topics,
                                      size_t count,
                                      ottla_error **error);

// Subscribes, as ottla_consumer_subscribe, to every topic whose whole name matches a regular expression (RE2
// syntax), including topics created later. exclude.internal.topics excludes internal topics.
//
// Errors: as ottla_consumer_subscribe; OTTLA_ERR_INVALID_ARGUMENT for an invalid regular expression.
OTTLA_MUST_USE
ottla_status ottla_consumer_subscribe_pattern(const ottla_consumer *consumer,
                                              const char *pattern,
                                              ottla_error **error);

// Leaves the group at once: commits what counts as read (with enable.auto.commit); no more records are returned,
// and no event reports it. Waits up to the timeout until other members can have the partitions. Does nothing without
// a subscription.
//
// Errors: OTTLA_ERR_TIMED_OUT; leaving then continues in the background.
OTTLA_MUST_USE
ottla_status ottla_consumer_unsubscribe(const ottla_consumer *consumer,
                                        int64_t timeout_ms,
                                        ottla_error **error);

// Acknowledges a revocation: its partitions are released once what counts as read of them is committed (with
// enable.auto.commit). The next poll does this implicitly; call it if the next poll is not soon. Other events need
// no acknowledgement.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_consumer_acknowledge(const ottla_consumer *consumer,
                                        const ottla_event *event,
                                        ottla_error **error);

// Marks everything in a partition before offset as read, without waiting for the next poll. Also shows that the
// program is making progress, for max.poll.interval.ms.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if the partition is not assigned, or polls have not returned its records up to
// there.
OTTLA_MUST_USE
ottla_status ottla_consumer_mark(const ottla_consumer *consumer,
                                 const char *topic,
                                 int32_t partition,
                                 int64_t offset,
                                 ottla_error **error);

// Commits these offsets for the group (Kafka's OffsetCommit request), and waits up to the timeout until that is
// done. The consumer need not be a member.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT without group.id, or for a negative offset; OTTLA_ERR_PARTITION_REVOKED if
// this consumer is a member and the partition is not assigned to it; the coordinator's error; OTTLA_ERR_TIMED_OUT,
// after which the offsets may or may not have been committed.
OTTLA_MUST_USE
ottla_status ottla_consumer_commit(const ottla_consumer *consumer,
                                   const ottla_offset_to_commit *offsets,
                                   size_t count,
                                   int64_t timeout_ms,
                                   ottla_error **error);

// Commits these offsets in the background, after those of earlier calls, and writes a number to token: an event
// OTTLA_EVENT_OFFSETS_COMMITTED with that token reports the outcome, within default.api.timeout.ms.
//
// Errors: those of ottla_consumer_commit that can be detected at once.
OTTLA_MUST_USE
ottla_status ottla_consumer_commit_async(const ottla_consumer *consumer,
                                         const ottla_offset_to_commit *offsets,
                                         size_t count,
                                         uint64_t *token,
                                         ottla_error **error);

// Commits everything that was polled, including the latest batch, and waits up to the timeout until that is done.
//
// Errors: as ottla_consumer_commit.
OTTLA_MUST_USE
ottla_status ottla_consumer_commit_polled(const ottla_consumer *consumer,
                                          int64_t timeout_ms,
                                          ottla_error **error);

// Commits the end of a batch (for each of its partitions, the offset after its last record), and waits up to the
// timeout until that is done.
//
// Errors: as ottla_consumer_commit.
OTTLA_MUST_USE
ottla_status ottla_consumer_commit_batch(const ottla_consumer *consumer,
                                         const ottla_batch *batch,
                                         int64_t timeout_ms,
                                         ottla_error **error);

// Commits everything that was polled in the background; see ottla_consumer_commit_async.
//
// Errors: as ottla_consumer_commit_async.
OTTLA_MUST_USE
ottla_status ottla_consumer_commit_polled_async(const ottla_consumer *consumer,
                                                uint64_t *token,
                                                ottla_error **error);

// Commits the end of a batch in the background; see ottla_consumer_commit_async.
//
// Errors: as ottla_consumer_commit_async.
OTTLA_MUST_USE
ottla_status ottla_consumer_commit_batch_async(const ottla_consumer *consumer,
                                               const ottla_batch *batch,
                                               uint64_t *token,
                                               ottla_error **error);

// Requests the committed offsets of the group for these partitions (Kafka's OffsetFetch), and writes a list in the
// same order, which the caller frees with ottla_offsets_free. With isolation.level=read_committed it waits for
// the end of open transactions that commit offsets.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT without group.id; the coordinator's error; OTTLA_ERR_TIMED_OUT.
OTTLA_MUST_USE
ottla_status ottla_consumer_committed(const ottla_consumer *consumer,
                                      const ottla_topic_partition *partitions,
                                      size_t count,
                                      int64_t timeout_ms,
                                      ottla_offsets **offsets,
                                      ottla_error **error);

// Returns the number of offsets in the list, or 0 for NULL.
size_t ottla_offsets_count(const ottla_offsets *offsets);

// Writes offset i of the list, counting from 0. Its strings live as long as the list.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_offsets_get(const ottla_offsets *offsets,
                               size_t i,
                               ottla_offset_to_commit *offset,
                               ottla_error **error);

// Frees a list of offsets.
void ottla_offsets_free(ottla_offsets *offsets);

// Writes the consumer's membership of its group, for ottla_producer_send_offsets. The caller frees it with
// ottla_membership_free.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT without group.id.
OTTLA_MUST_USE
ottla_status ottla_consumer_membership(const ottla_consumer *consumer,
                                       ottla_membership **membership,
                                       ottla_error **error);

// Writes the membership as the struct that a producer takes. Its strings live as long as the membership.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_membership_get(const ottla_membership *membership,
                                  ottla_group_metadata *metadata,
                                  ottla_error **error);

// Frees a membership.
void ottla_membership_free(ottla_membership *membership);

// ==================================================================================================================
// Custom assignors
//
// In a classic group one member, the leader, assigns the partitions to all members. A program can do so with its own
// strategy: set it before subscribing, in every member. If the group agrees on it, the leader's poll returns an
// event OTTLA_EVENT_ASSIGNMENT_WANTED, and the group waits for the assignment while heartbeats continue.
//
//     status = ottla_consumer_set_assignor(consumer, "by-size", (ottla_bytes){NULL, 0}, false, &error);
//     ...
//     if (ottla_event_kind(event) == OTTLA_EVENT_ASSIGNMENT_WANTED) {
//         ottla_group_share shares[100];
//         size_t count = share_out(event, shares);    // reads ottla_event_group_member and ottla_event_group_topic
//         status = ottla_consumer_assign_group(consumer, event, shares, count, &error);
//     }
// ==================================================================================================================

// A member of a group that is to be assigned partitions. Its pointers are valid as long as the event.
typedef struct ottla_group_member {
    // The member id, for use in the assignment.
    const char *member_id;
    // group.instance.id of a static member; otherwise NULL.
    const char *instance_id;
    // The member's rack (client.rack); NULL if it has none.
    const char *rack;
    // Data passed by the member's assignor, or null.
    ottla_bytes user_data;
    // The topics it subscribes to.
    const char *const *topics;
    // The number of topics.
    size_t topic_count;
    // The partitions it owns at present.
    const ottla_topic_partition *owned;
    // The number of partitions it owns.
    size_t owned_count;
} ottla_group_member;

// A partition assigned to a member.
typedef struct ottla_group_share {
    // The member.
    const char *member_id;
    // The topic.
    const char *topic;
    // The partition.
    int32_t partition;
} ottla_group_share;

// Sets a custom assignor, which is preferred to those of partition.assignment.strategy: a group uses it if all its
// members have it. Call it before subscribing; the consumer then joins its group with the classic protocol.
// user_data, which may be null, is data for the leader. With cooperative, members keep reading the partitions
// that they keep during a rebalance (KIP-429), and the assignment must leave out a partition that is moving until
// its current owner no longer lists it in owned.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT without group.id, after subscribing, for an empty name or that of a built-in
// strategy, or with group.protocol=consumer.
OTTLA_MUST_USE
ottla_status ottla_consumer_set_assignor(const ottla_consumer *consumer,
                                         const char *name,
                                         ottla_bytes user_data,
                                         bool cooperative,
                                         ottla_error **error);

// Returns the number of members to assign partitions to; 0 for other events and for NULL.
size_t ottla_event_group_member_count(const ottla_event *event);

// Writes member i of those, counting from 0. Its pointers are valid as long as the event.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_event_group_member(const ottla_event *event,
                                      size_t i,
                                      ottla_group_member *member,
                                      ottla_error **error);

// Returns the number of topics to assign; 0 for other events and for NULL.
size_t ottla_event_group_topic_count(const ottla_event *event);

// Writes topic i of those, counting from 0, and its number of partitions. Its name lives as long as the event.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_event_group_topic(const ottla_event *event,
                                     size_t i,
                                     const char **topic,
                                     int32_t *partitions,
                                     ottla_error **error);

// Completes an event OTTLA_EVENT_ASSIGNMENT_WANTED with the partitions of each member, one row each. Members that
// are not listed get none. The group waits for this for up to its members' max.poll.interval.ms.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT for another event, for a member or partition that doesn't exist, and for a
// partition that its member does not subscribe to or that is listed twice: the call can then be repeated.
// OTTLA_ERR_REBALANCE_IN_PROGRESS if the group has started another rebalance.
OTTLA_MUST_USE
ottla_status ottla_consumer_assign_group(const ottla_consumer *consumer,
                                         const ottla_event *event,
                                         const ottla_group_share *shares,
                                         size_t count,
                                         ottla_error **error);

// Reports that there is no assignment at present: after a moment the group rebalances, and asks again.
//
// Errors: as ottla_consumer_assign_group.
OTTLA_MUST_USE
ottla_status ottla_consumer_refuse_assignment(const ottla_consumer *consumer,
                                              const ottla_event *event,
                                              ottla_error **error);

// ==================================================================================================================
// Share groups
//
// In a share group (KIP-932; Kafka 4.1 and newer) members read the same partitions together, record by record: each
// record is delivered to one member at a time, locked for a limited time, and acknowledged by that member. Records
// that are not acknowledged in time are delivered again, perhaps to another member, up to the group's
// share.delivery.count.limit. A group may have more members than partitions. There are no positions, and records
// are not ordered.
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
// With share.acknowledgement.mode=implicit, the default, the records of a poll are accepted by the next poll or
// commit, except those that were acknowledged otherwise.
// ==================================================================================================================

// Processed: the record is not delivered again.
#define OTTLA_ACKNOWLEDGE_ACCEPT 1

// Released: the record is delivered again, perhaps to another member, until its delivery limit is reached.
#define OTTLA_ACKNOWLEDGE_RELEASE 2

// Rejected, as it can't be processed: the record is not delivered again.
#define OTTLA_ACKNOWLEDGE_REJECT 3

// Still being processed: its lock is renewed, and another acknowledgement must follow (KIP-1222; Kafka 4.2 and
// newer).
#define OTTLA_ACKNOWLEDGE_RENEW 4

// Creates a share consumer without a subscription and writes its handle, which the caller frees with
// ottla_share_consumer_free. It connects in the background. group.id names the share group.
//
// Errors: OTTLA_ERR_CONFIG for a mistake in the configuration, OTTLA_ERR_IO if no thread can be started.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_new(const ottla_config *config,
                                      ottla_share_consumer **consumer,
                                      ottla_error **error);

// Waits until the cluster has responded and a connection to one of its brokers is established. Not needed before
// polling.
//
// Errors: as ottla_producer_connect.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_connect(const ottla_share_consumer *consumer,
                                          int64_t timeout_ms,
                                          ottla_error **error);

// Joins the share group and reads these topics; topics that don't exist yet are read once they do. Replaces an
// earlier subscription. If the group has not read a topic before, its share.auto.offset.reset (latest by default)
// says where it starts.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT without a topic, or for an empty name.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_subscribe(const ottla_share_consumer *consumer,
                                            const char *const *topics,
                                            size_t count,
                                            ottla_error **error);

// Leaves the share group: sends pending acknowledgements, releases all other records at once, and waits up to the
// timeout until other members can have them. With implicit acknowledgement the records of the latest poll are
// released too: commit first to accept them. Does nothing without a subscription.
//
// Errors: the first acknowledgement that was refused, or OTTLA_ERR_TIMED_OUT if one was not answered in time.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_unsubscribe(const ottla_share_consumer *consumer,
                                              int64_t timeout_ms,
                                              ottla_error **error);

// Waits up to the timeout for an event or for records, and writes either an event, or a batch of records of one
// partition: at most max.poll.records, or whole record batches if share.acquire.mode is batch_optimized; the
// caller frees it. The other output is NULL, and both are NULL when the timeout ends. To be called by one thread at
// a time. ottla_batch_delivery_counts returns how often each record was delivered.
//
// With implicit acknowledgement it accepts the records of the previous poll. It sends pending acknowledgements (in
// Kafka's ShareFetch request) without waiting for the response: an event OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED reports
// a refusal.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT without a subscription, and with explicit acknowledgement while a record of
// earlier polls is not acknowledged (renewed ones may remain); OTTLA_ERR_IN_USE while another thread polls;
// OTTLA_ERR_WOKEN after ottla_share_consumer_wake; OTTLA_ERR_CLOSED; before the first contact with the cluster,
// once socket.connection.setup.timeout.ms is over, the reason why no broker can be reached.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_poll(ottla_share_consumer *consumer,
                                       int64_t timeout_ms,
                                       ottla_batch **batch,
                                       ottla_event **event,
                                       ottla_error **error);

// Acknowledges count records of a polled batch, from row row on (acknowledge: OTTLA_ACKNOWLEDGE_*). The
// acknowledgement is sent with the next poll or commit, and may be changed until then.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if the batch has no such rows, or if one of the records is not, or no longer,
// locked for this consumer: already acknowledged, or released. The other records are acknowledged nevertheless.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_acknowledge(const ottla_share_consumer *consumer,
                                              const ottla_batch *batch,
                                              size_t row,
                                              size_t count,
                                              int32_t acknowledge,
                                              ottla_error **error);

// Acknowledges the record at offset of a partition; see ottla_share_consumer_acknowledge.
//
// Errors: as ottla_share_consumer_acknowledge.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_acknowledge_offset(const ottla_share_consumer *consumer,
                                                     const char *topic,
                                                     int32_t partition,
                                                     int64_t offset,
                                                     int32_t acknowledge,
                                                     ottla_error **error);

// Sends pending acknowledgements (Kafka's ShareAcknowledge request) and waits until the brokers have carried them
// out. With implicit acknowledgement, it accepts everything that was polled.
//
// Errors: the first acknowledgement that was refused, for example OTTLA_ERR_INVALID_RECORD_STATE if a lock had
// expired; OTTLA_ERR_TIMED_OUT.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_commit(const ottla_share_consumer *consumer,
                                         int64_t timeout_ms,
                                         ottla_error **error);

// Does the same as ottla_share_consumer_commit in the background; an event OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED
// reports each refusal.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_commit_async(const ottla_share_consumer *consumer,
                                               ottla_error **error);

// Writes the number of milliseconds for which a record is locked for the member that received it, as reported by a
// broker; -1 before the first fetch.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_lock_duration(const ottla_share_consumer *consumer,
                                                int64_t *duration_ms,
                                                ottla_error **error);

// Ends the wait of the current poll, or of the next one that has to wait, with OTTLA_ERR_WOKEN.
//
// Errors: OTTLA_ERR_CLOSED.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_wake(const ottla_share_consumer *consumer,
                                       ottla_error **error);

// Writes a descriptor for poll, epoll, select or an event loop; see ottla_consumer_descriptor. Records are only
// fetched after a poll has returned nothing: poll with timeout 0 before waiting on the descriptor.
//
// Errors: OTTLA_ERR_IO if the operating system has no descriptors left.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_descriptor(const ottla_share_consumer *consumer,
                                             intptr_t *descriptor,
                                             ottla_error **error);

// Takes up to max log lines (0: all there are); see ottla_producer_logs.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_logs(const ottla_share_consumer *consumer,
                                       size_t max,
                                       ottla_log_lines **lines,
                                       ottla_error **error);

// Closes the share consumer: sends pending acknowledgements, releases all other records, leaves the group, and waits
// up to the timeout until the connections are closed. With implicit acknowledgement the records of the latest poll
// are released too: commit first to accept them. Batches stay valid. Closing twice does nothing.
//
// Errors: the first acknowledgement that was refused, or OTTLA_ERR_TIMED_OUT if one was not answered in time; the
// share consumer is closed in any case.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_close(const ottla_share_consumer *consumer,
                                        int64_t timeout_ms,
                                        ottla_error **error);

// Frees a share consumer, once all calls with it have returned. Its batches and events stay valid. If it was not
// closed first, it leaves its group in the background, as described for ottla_consumer_free.
void ottla_share_consumer_free(ottla_share_consumer *consumer);

// ==================================================================================================================
// Statistics
//
// Figures of a producer or consumer: for the client as a whole, for each broker, and for each partition that it
// writes or reads. They are available on request, and also every statistics.interval.ms if that is set: the
// descriptor then becomes readable, a waiting poll ends, and ottla_producer_next_stats returns them.
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
// Figures have names that end with their unit: _bytes, _ms, _us (microseconds); the others are counts.
// docs/statistics.md lists them. Later versions may have more.
// ==================================================================================================================

// The figures of the client as a whole.
#define OTTLA_STATS_CLIENT 0

// The figures of a broker.
#define OTTLA_STATS_BROKER 1

// The figures of a partition.
#define OTTLA_STATS_PARTITION 2

// What a set of figures is about. Its strings live as long as the statistics.
typedef struct ottla_stats_scope {
    // The topic of a partition; otherwise NULL.
    const char *topic;
    // The host and port of a broker; otherwise NULL.
    const char *address;
    // The state of a broker's connections: "up", "connecting", "failing" (waiting to retry) or "idle" (none, because
    // none is needed); NULL unless it is a broker.
    const char *state;
    // OTTLA_STATS_CLIENT, OTTLA_STATS_BROKER or OTTLA_STATS_PARTITION.
    int32_t kind;
    // The id of the broker, or of the partition's leader; -1 for an entry of bootstrap.servers, or if there is
    // none.
    int32_t broker;
    // The partition; -1 if it is not a partition.
    int32_t partition;
} ottla_stats_scope;

// A summary of many values. Percentiles are at most a sixteenth too high.
typedef struct ottla_histogram {
    // The number of values.
    uint64_t count;
    // The sum of the values.
    uint64_t sum;
    // The smallest value; 0 if there are none.
    uint64_t min;
    // The largest value; 0 if there are none.
    uint64_t max;
    // The median: 50 % of the values are at most this.
    uint64_t p50;
    // 90 % of the values are at most this.
    uint64_t p90;
    // 99 % of the values are at most this.
    uint64_t p99;
    // 99.9 % of the values are at most this.
    uint64_t p999;
} ottla_histogram;

// The number of occurrences of an error.
typedef struct ottla_error_count {
    // The number of occurrences.
    uint64_t count;
    // The error code; ottla_status_name returns its name.
    ottla_status code;
} ottla_error_count;

// Writes the current figures of a producer, for the caller to free with ottla_stats_free. Histograms cover the
// time since the producer was created.
//
// Errors: OTTLA_ERR_TIMED_OUT if the I/O thread does not respond in time.
OTTLA_MUST_USE
ottla_status ottla_producer_stats(const ottla_producer *producer,
                                  int64_t timeout_ms,
                                  ottla_stats **stats,
                                  ottla_error **error);

// Writes the oldest figures recorded by the timer (statistics.interval.ms) that have not been taken, for the
// caller to free with ottla_stats_free, or NULL if there are none: call it until it writes NULL. The last eight
// are kept. Their histograms cover the time since the previous ones.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_producer_next_stats(const ottla_producer *producer,
                                       ottla_stats **stats,
                                       ottla_error **error);

// Writes the current figures of a consumer; see ottla_producer_stats.
//
// Errors: OTTLA_ERR_TIMED_OUT if the I/O thread does not respond in time.
OTTLA_MUST_USE
ottla_status ottla_consumer_stats(const ottla_consumer *consumer,
                                  int64_t timeout_ms,
                                  ottla_stats **stats,
                                  ottla_error **error);

// Writes the oldest figures of a consumer recorded by the timer; see ottla_producer_next_stats.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_consumer_next_stats(const ottla_consumer *consumer,
                                       ottla_stats **stats,
                                       ottla_error **error);

// Returns the number of scopes, or 0 for NULL. The first is the client, then come brokers by id, then partitions by
// topic and number.
size_t ottla_stats_count(const ottla_stats *stats);

// Writes what scope i, counting from 0, is about.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_stats_get(const ottla_stats *stats,
                             size_t i,
                             ottla_stats_scope *scope,
                             ottla_error **error);

// Writes the figure with this name in scope i.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is none; the message lists the names that exist.
OTTLA_MUST_USE
ottla_status ottla_stats_value(const ottla_stats *stats,
                               size_t i,
                               const char *name,
                               int64_t *value,
                               ottla_error **error);

// Writes the histogram with this name in scope i. A broker's histogram exists once it has a value.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is none; the message lists the names that exist.
OTTLA_MUST_USE
ottla_status ottla_stats_histogram(const ottla_stats *stats,
                                   size_t i,
                                   const char *name,
                                   ottla_histogram *histogram,
                                   ottla_error **error);

// Returns the number of different errors in scope i; 0 if there is no such scope, and for NULL.
size_t ottla_stats_error_count(const ottla_stats *stats, size_t i);

// Returns the array of errors in scope i, ordered by code; NULL if there is no such scope, and for NULL.
const ottla_error_count *ottla_stats_errors(const ottla_stats *stats, size_t i);

// Returns all figures as one JSON object: the client's, then brokers, an array, then topics, an object with
// their partitions by number. Returns "" for NULL. The string lives as long as the statistics.
const char *ottla_stats_json(const ottla_stats *stats);

// Frees statistics, including everything they point to.
void ottla_stats_free(ottla_stats *stats);

// ==================================================================================================================
// Topics
//
// Creates, deletes, lists and describes topics. Calls wait until they are done or their timeout is over; connection
// failures are retried within it. A call on several topics succeeds as a whole, and writes one result for each
// topic, with the topic's own error if there is one.
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
    // The topic's configuration, for example "retention.ms", "60000": keys and values in turn; NULL for none.
    const char *const *configs;
    // The number of settings, each a pair of key and value.
    size_t config_count;
    // The number of partitions; -1 for the broker's default.
    int32_t partitions;
    // The number of replicas of each partition; -1 for the broker's default.
    int16_t replication_factor;
} ottla_new_topic;

// Creates an admin client and writes its handle, which the caller frees with ottla_admin_free. It connects when
// needed.
//
// Errors: OTTLA_ERR_CONFIG for a mistake in the configuration, OTTLA_ERR_IO if no thread can be started.
OTTLA_MUST_USE
ottla_status ottla_admin_new(const ottla_config *config,
                             ottla_admin **admin,
                             ottla_error **error);

// Waits until the cluster has responded and a connection to one of its brokers is established. Not needed before
// other calls.
//
// Errors: as ottla_producer_connect.
OTTLA_MUST_USE
ottla_status ottla_admin_connect(const ottla_admin *admin,
                                 int64_t timeout_ms,
                                 ottla_error **error);

// Creates topics (Kafka's CreateTopics request) and writes a result for each, in order, for the caller to free with
// ottla_topic_results_free. When it returns, the metadata of the broker that was asked shows the new topics with
// their leaders. With validate_only the request is checked and nothing is created.
//
// Errors: of the call as a whole, if no broker could be reached or the timeout is over; in the result of a topic,
// OTTLA_ERR_TOPIC_ALREADY_EXISTS and other codes of Kafka's.
OTTLA_MUST_USE
ottla_status ottla_admin_create_topics(const ottla_admin *admin,
                                       const ottla_new_topic *topics,
                                       size_t count,
                                       bool validate_only,
                                       int64_t timeout_ms,
                                       ottla_topic_results **results,
                                       ottla_error **error);

// Deletes topics with all their records (Kafka's DeleteTopics request) and writes a result for each, in order, for
// the caller to free with ottla_topic_results_free.
//
// Errors: as ottla_admin_create_topics; OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION in the result of a topic that does
// not exist.
OTTLA_MUST_USE
ottla_status ottla_admin_delete_topics(const ottla_admin *admin,
                                       const char *const *names,
                                       size_t count,
                                       int64_t timeout_ms,
                                       ottla_topic_results **results,
                                       ottla_error **error);

// Increases the number of partitions of a topic to total (Kafka's CreatePartitions request). Records with keys may
// then go to different partitions than before.
//
// Errors: the topic's error, for example OTTLA_ERR_INVALID_PARTITIONS if it already has that many partitions or
// more; otherwise as ottla_admin_create_topics.
OTTLA_MUST_USE
ottla_status ottla_admin_create_partitions(const ottla_admin *admin,
                                           const char *topic,
                                           int32_t total,
                                           bool validate_only,
                                           int64_t timeout_ms,
                                           ottla_error **error);

// Lists topics, sorted by name (Kafka's Metadata request), internal ones only if include_internal is true. Writes
// the list for the caller to free with ottla_topic_list_free.
//
// Errors: if no broker could be reached or the timeout is over.
OTTLA_MUST_USE
ottla_status ottla_admin_list_topics(const ottla_admin *admin,
                                     bool include_internal,
                                     int64_t timeout_ms,
                                     ottla_topic_list **list,
                                     ottla_error **error);

// Describes topics, in order (Kafka's Metadata request), and writes the descriptions for the caller to free with
// ottla_topic_descriptions_free. A topic that doesn't exist has an error in its description, and is not created.
//
// Errors: of the call as a whole, if no broker could be reached or the timeout is over.
OTTLA_MUST_USE
ottla_status ottla_admin_describe_topics(const ottla_admin *admin,
                                         const char *const *names,
                                         size_t count,
                                         int64_t timeout_ms,
                                         ottla_topic_descriptions **descriptions,
                                         ottla_error **error);

// Describes the cluster and writes the description for the caller to free with ottla_cluster_free.
//
// Errors: if no broker could be reached or the timeout is over.
OTTLA_MUST_USE
ottla_status ottla_admin_describe_cluster(const ottla_admin *admin,
                                          int64_t timeout_ms,
                                          ottla_cluster **cluster,
                                          ottla_error **error);

// Takes up to max log lines (0: all there are); see ottla_producer_logs.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
OTTLA_MUST_USE
ottla_status ottla_admin_logs(const ottla_admin *admin,
                              size_t max,
                              ottla_log_lines **lines,
                              ottla_error **error);

// Stops accepting calls, waits up to the timeout for those of other threads to end, after which they return
// OTTLA_ERR_CLOSED, and closes the connections. Closing twice does nothing.
//
// Errors: OTTLA_ERR_TIMED_OUT.
OTTLA_MUST_USE
ottla_status ottla_admin_close(const ottla_admin *admin,
                               int64_t timeout_ms,
                               ottla_error **error);

// Frees an admin client, once all calls with it have returned. Results stay valid.
void ottla_admin_free(ottla_admin *admin);

// ==================================================================================================================
// Results about topics and the cluster
//
// The results of admin calls are immutable: their functions may be called from many threads at once. Strings and
// arrays in what they write are valid until the result is freed.
// ==================================================================================================================

// The outcome for one topic.
typedef struct ottla_topic_result {
    // The topic.
    const char *name;
    // Why the operation failed; NULL if it succeeded.
    const ottla_error *error;
    // The number of partitions it has now; -1 if it is unknown.
    int32_t partitions;
    // The number of replicas of each partition; -1 if it is unknown.
    int32_t replication_factor;
} ottla_topic_result;

// A topic in a list.
typedef struct ottla_topic_listing {
    // The name of the topic.
    const char *name;
    // The topic id; all zero from brokers before 2.8.
    uint8_t id[16];
    // The number of partitions.
    int32_t partitions;
    // True for an internal topic, for example "__consumer_offsets".
    bool internal;
} ottla_topic_listing;

// A topic, except its partitions.
typedef struct ottla_topic_description {
    // The name of the topic.
    const char *name;
    // Why the topic could not be described, for example OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION; NULL on success.
    const ottla_error *error;
    // The number of partitions.
    size_t partitions;
    // The topic id; all zero from brokers before 2.8.
    uint8_t id[16];
    // True for an internal topic.
    bool internal;
} ottla_topic_description;

// A partition of a topic. Brokers are given by their ids.
typedef struct ottla_partition_description {
    // The brokers that hold a replica, the preferred leader first.
    const int32_t *replicas;
    // The number of replicas.
    size_t replica_count;
    // The replicas that are in sync.
    const int32_t *isr;
    // The number of replicas in sync.
    size_t isr_count;
    // The number of the partition.
    int32_t partition;
    // The current leader; -1 if there is none.
    int32_t leader;
    // The leader epoch, which grows with each change of leader; -1 if it is unknown.
    int32_t leader_epoch;
} ottla_partition_description;

// A broker of the cluster.
typedef struct ottla_cluster_broker {
    // The host it advertises.
    const char *host;
    // The broker's broker.rack; NULL if it has none.
    const char *rack;
    // The id of the broker.
    int32_t id;
    // The port it advertises.
    int32_t port;
} ottla_cluster_broker;

// Returns the number of results, or 0 for NULL.
size_t ottla_topic_results_count(const ottla_topic_results *results);

// Writes result i, counting from 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_topic_results_get(const ottla_topic_results *results,
                                     size_t i,
                                     ottla_topic_result *result,
                                     ottla_error **error);

// Frees results.
void ottla_topic_results_free(ottla_topic_results *results);

// Returns the number of topics, or 0 for NULL.
size_t ottla_topic_list_count(const ottla_topic_list *list);

// Writes topic i, counting from 0.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT.
OTTLA_MUST_USE
ottla_status ottla_topic_list_get(const ottla_topic_list *list,
                                  size_t i,
                                  ottla_topic_listing *listing,
                                  ottla_error **error);

// Frees a list.
void ottla_topic_list_free(ottla_topic_list *list);

// Returns the number of descriptions, or 0 for NULL.
size_t ottla_topic_descriptions_count(const ottla_topic_descriptions *descriptions);

// Writes description i, counting from 0.
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

// Returns the cluster id, or "" if there is none, and for NULL.
const char *ottla_cluster_id(const ottla_cluster *cluster);

// Returns the id of the controller, the broker that changes are sent to; -1 if there is none, and for NULL.
int32_t ottla_cluster_controller(const ottla_cluster *cluster);

// Returns the number of brokers, or 0 for NULL.
size_t ottla_cluster_broker_count(const ottla_cluster *cluster);

// Writes broker i, counting from 0, in the order of their ids.
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
// Every call that waits for the brokers also has an asynchronous form with the suffix _async. It takes a token (any number
// that the caller chooses), checks its arguments, and returns at once. The outcome arrives as an answer with the same token
// in the client's mailbox: ottla_producer_next_answer, ottla_consumer_next_answer, ottla_share_consumer_next_answer,
// ottla_admin_next_answer. A consumer's commits are older than that: they return a token, and an event reports the outcome;
// for a share consumer's commit there is also ottla_share_consumer_begin_commit. The client's descriptor is readable while an answer waits, so an event loop never has to
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
// Freeing a client discards the answers that were not taken. The answer to _close_async reports that the client is closed.
// ==================================================================================================================

// Waits up to the timeout for an answer to one of the producer's _async calls, and writes it for the caller to
// free with ottla_answer_free, or NULL if none has come. Several threads may wait; each answer is returned to one of them.
//
// Errors: OTTLA_ERR_CLOSED once the producer is closed and no answers are left.
OTTLA_MUST_USE
ottla_status ottla_producer_next_answer(const ottla_producer *producer,
                                        int64_t timeout_ms,
                                        ottla_answer **answer,
                                        ottla_error **error);

// Waits up to the timeout for an answer to one of the consumer's _async calls, and writes it for the caller to
// free with ottla_answer_free, or NULL if none has come. Several threads may wait; each answer is returned to one of them.
//
// Errors: OTTLA_ERR_CLOSED once the consumer is closed and no answers are left.
OTTLA_MUST_USE
ottla_status ottla_consumer_next_answer(const ottla_consumer *consumer,
                                        int64_t timeout_ms,
                                        ottla_answer **answer,
                                        ottla_error **error);

// Waits up to the timeout for an answer to one of the share consumer's _async calls, and writes it for the caller to
// free with ottla_answer_free, or NULL if none has come. Several threads may wait; each answer is returned to one of them.
//
// Errors: OTTLA_ERR_CLOSED once the share consumer is closed and no answers are left.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_next_answer(const ottla_share_consumer *consumer,
                                              int64_t timeout_ms,
                                              ottla_answer **answer,
                                              ottla_error **error);

// Waits up to the timeout for an answer to one of the admin client's _async calls, and writes it for the caller to
// free with ottla_answer_free, or NULL if none has come. Several threads may wait; each answer is returned to one of them.
//
// Errors: OTTLA_ERR_CLOSED once the admin client is closed and no answers are left.
OTTLA_MUST_USE
ottla_status ottla_admin_next_answer(const ottla_admin *admin,
                                     int64_t timeout_ms,
                                     ottla_answer **answer,
                                     ottla_error **error);

// Writes a descriptor that is readable while answers are available, or after the admin client is closed. It is created by
// the first call, owned by the admin client and closed with it: only wait on it, never read from it.
//
// Errors: OTTLA_ERR_IO if the operating system has no descriptors left.
OTTLA_MUST_USE
ottla_status ottla_admin_descriptor(const ottla_admin *admin,
                                    intptr_t *descriptor,
                                    ottla_error **error);

// Returns the token that was passed to the call, or 0 for NULL.
uint64_t ottla_answer_token(const ottla_answer *answer);

// Returns a short English description of the call, for messages, or "" for NULL. It lives as long as the answer.
const char *ottla_answer_doing(const ottla_answer *answer);

// Returns why the call failed, or NULL if it succeeded. The error belongs to the answer.
const ottla_error *ottla_answer_error(const ottla_answer *answer);

// Returns the number of offsets in the answer, or of partitions for ottla_consumer_partition_count_async; 0 for others.
size_t ottla_answer_count(const ottla_answer *answer);

// Returns the offsets of an answer to ottla_consumer_beginning_offsets_async, ottla_consumer_end_offsets_async or
// ottla_consumer_offsets_for_times_async, in the order of the call: ottla_answer_count of them, -1 if there is none;
// NULL for other answers. They live as long as the answer.
const int64_t *ottla_answer_offsets(const ottla_answer *answer);

// Returns the timestamps that belong to the offsets of an answer to ottla_consumer_offsets_for_times_async, in
// milliseconds since 1970; NULL for other answers.
const int64_t *ottla_answer_timestamps(const ottla_answer *answer);

// Writes the committed offsets from an answer to ottla_consumer_committed_async.
// The caller frees the result.
//
// Errors: the call's error, if it failed; OTTLA_ERR_INVALID_ARGUMENT for an answer to another function.
OTTLA_MUST_USE
ottla_status ottla_answer_committed(const ottla_answer *answer,
                                    ottla_offsets **offsets,
                                    ottla_error **error);

// Writes the figures from an answer to ottla_producer_stats_async or ottla_consumer_stats_async.
// The caller frees the result.
//
// Errors: the call's error, if it failed; OTTLA_ERR_INVALID_ARGUMENT for an answer to another function.
OTTLA_MUST_USE
ottla_status ottla_answer_stats(const ottla_answer *answer,
                                ottla_stats **figures,
                                ottla_error **error);

// Writes the result for each topic from an answer to ottla_admin_create_topics_async or
// ottla_admin_delete_topics_async. The caller frees it with ottla_topic_results_free.
//
// Errors: the call's error, if it failed; OTTLA_ERR_INVALID_ARGUMENT for an answer to another function.
OTTLA_MUST_USE
ottla_status ottla_answer_topic_results(const ottla_answer *answer,
                                        ottla_topic_results **results,
                                        ottla_error **error);

// Writes the topics from an answer to ottla_admin_list_topics_async.
// The caller frees the result.
//
// Errors: the call's error, if it failed; OTTLA_ERR_INVALID_ARGUMENT for an answer to another function.
OTTLA_MUST_USE
ottla_status ottla_answer_topic_list(const ottla_answer *answer,
                                     ottla_topic_list **list,
                                     ottla_error **error);

// Writes the descriptions from an answer to ottla_admin_describe_topics_async.
// The caller frees the result.
//
// Errors: the call's error, if it failed; OTTLA_ERR_INVALID_ARGUMENT for an answer to another function.
OTTLA_MUST_USE
ottla_status ottla_answer_topic_descriptions(const ottla_answer *answer,
                                             ottla_topic_descriptions **descriptions,
                                             ottla_error **error);

// Writes the description from an answer to ottla_admin_describe_cluster_async.
// The caller frees the result.
//
// Errors: the call's error, if it failed; OTTLA_ERR_INVALID_ARGUMENT for an answer to another function.
OTTLA_MUST_USE
ottla_status ottla_answer_cluster(const ottla_answer *answer,
                                  ottla_cluster **cluster,
                                  ottla_error **error);

// Frees an answer. Does nothing for NULL.
void ottla_answer_free(ottla_answer *answer);

// ==================================================================================================================
// Asynchronous calls of a producer
//
// Each function starts the same operation as its counterpart without _async, and returns at once. The outcome arrives as
// an answer with the given token (see "Answers").
// ==================================================================================================================

// Starts ottla_producer_connect without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_connect_async(const ottla_producer *producer,
                                          int64_t timeout_ms,
                                          uint64_t token,
                                          ottla_error **error);

// Starts ottla_producer_flush without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_flush_async(const ottla_producer *producer,
                                        int64_t timeout_ms,
                                        uint64_t token,
                                        ottla_error **error);

// Starts ottla_producer_stats without waiting.
// Read the result from the answer with ottla_answer_stats.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_stats_async(const ottla_producer *producer,
                                        int64_t timeout_ms,
                                        uint64_t token,
                                        ottla_error **error);

// Starts ottla_producer_init_transactions without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_init_transactions_async(const ottla_producer *producer,
                                                    int64_t timeout_ms,
                                                    uint64_t token,
                                                    ottla_error **error);

// Starts ottla_producer_commit_transaction without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_commit_transaction_async(const ottla_producer *producer,
                                                     int64_t timeout_ms,
                                                     uint64_t token,
                                                     ottla_error **error);

// Starts ottla_producer_abort_transaction without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_abort_transaction_async(const ottla_producer *producer,
                                                    int64_t timeout_ms,
                                                    uint64_t token,
                                                    ottla_error **error);

// Starts ottla_producer_close without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_close_async(const ottla_producer *producer,
                                        int64_t timeout_ms,
                                        uint64_t token,
                                        ottla_error **error);

// Starts ottla_producer_send_offsets without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_send_offsets_async(const ottla_producer *producer,
                                               const ottla_offset_to_commit *offsets,
                                               size_t count,
                                               const ottla_group_metadata *group,
                                               int64_t timeout_ms,
                                               uint64_t token,
                                               ottla_error **error);

// Starts ottla_producer_purge without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_producer_purge_async(const ottla_producer *producer,
                                        int32_t what,
                                        uint64_t token,
                                        ottla_error **error);

// ==================================================================================================================
// Asynchronous calls
//
// Each function starts the same operation as its counterpart without _async, and returns at once. The outcome arrives as
// an answer with the given token (see "Answers").
// ==================================================================================================================

// Starts ottla_consumer_connect without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_connect_async(const ottla_consumer *consumer,
                                          int64_t timeout_ms,
                                          uint64_t token,
                                          ottla_error **error);

// Starts ottla_consumer_beginning_offsets without waiting.
// Read the result from the answer with ottla_answer_offsets.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_beginning_offsets_async(const ottla_consumer *consumer,
                                                    const ottla_topic_partition *partitions,
                                                    size_t count,
                                                    int64_t timeout_ms,
                                                    uint64_t token,
                                                    ottla_error **error);

// Starts ottla_consumer_end_offsets without waiting.
// Read the result from the answer with ottla_answer_offsets.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_end_offsets_async(const ottla_consumer *consumer,
                                              const ottla_topic_partition *partitions,
                                              size_t count,
                                              int64_t timeout_ms,
                                              uint64_t token,
                                              ottla_error **error);

// Starts ottla_consumer_offsets_for_times without waiting.
// Read the result from the answer with ottla_answer_offsets and ottla_answer_timestamps.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_offsets_for_times_async(const ottla_consumer *consumer,
                                                    const ottla_topic_partition *partitions,
                                                    const int64_t *times,
                                                    size_t count,
                                                    int64_t timeout_ms,
                                                    uint64_t token,
                                                    ottla_error **error);

// Starts ottla_consumer_partition_count without waiting.
// Read the result from the answer with ottla_answer_count.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_partition_count_async(const ottla_consumer *consumer,
                                                  const char *topic,
                                                  int64_t timeout_ms,
                                                  uint64_t token,
                                                  ottla_error **error);

// Starts ottla_consumer_committed without waiting.
// Read the result from the answer with ottla_answer_committed.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_committed_async(const ottla_consumer *consumer,
                                            const ottla_topic_partition *partitions,
                                            size_t count,
                                            int64_t timeout_ms,
                                            uint64_t token,
                                            ottla_error **error);

// Starts ottla_consumer_unsubscribe without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_unsubscribe_async(const ottla_consumer *consumer,
                                              int64_t timeout_ms,
                                              uint64_t token,
                                              ottla_error **error);

// Starts ottla_consumer_stats without waiting.
// Read the result from the answer with ottla_answer_stats.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_stats_async(const ottla_consumer *consumer,
                                        int64_t timeout_ms,
                                        uint64_t token,
                                        ottla_error **error);

// Starts ottla_consumer_close without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_consumer_close_async(const ottla_consumer *consumer,
                                        int64_t timeout_ms,
                                        uint64_t token,
                                        ottla_error **error);

// Starts ottla_share_consumer_connect without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_connect_async(const ottla_share_consumer *consumer,
                                                int64_t timeout_ms,
                                                uint64_t token,
                                                ottla_error **error);

// Starts ottla_share_consumer_commit without waiting. The answer reports the first acknowledgement that was refused,
// where ottla_share_consumer_commit_async leaves refusals to events.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_begin_commit(const ottla_share_consumer *consumer,
                                               int64_t timeout_ms,
                                               uint64_t token,
                                               ottla_error **error);

// Starts ottla_share_consumer_unsubscribe without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_unsubscribe_async(const ottla_share_consumer *consumer,
                                                    int64_t timeout_ms,
                                                    uint64_t token,
                                                    ottla_error **error);

// Starts ottla_share_consumer_close without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_share_consumer_close_async(const ottla_share_consumer *consumer,
                                              int64_t timeout_ms,
                                              uint64_t token,
                                              ottla_error **error);

// Starts ottla_admin_connect without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_connect_async(const ottla_admin *admin,
                                       int64_t timeout_ms,
                                       uint64_t token,
                                       ottla_error **error);

// Starts ottla_admin_create_topics without waiting.
// Read the result from the answer with ottla_answer_topic_results.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_create_topics_async(const ottla_admin *admin,
                                             const ottla_new_topic *topics,
                                             size_t count,
                                             bool validate_only,
                                             int64_t timeout_ms,
                                             uint64_t token,
                                             ottla_error **error);

// Starts ottla_admin_delete_topics without waiting.
// Read the result from the answer with ottla_answer_topic_results.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_delete_topics_async(const ottla_admin *admin,
                                             const char *const *names,
                                             size_t count,
                                             int64_t timeout_ms,
                                             uint64_t token,
                                             ottla_error **error);

// Starts ottla_admin_create_partitions without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_create_partitions_async(const ottla_admin *admin,
                                                 const char *topic,
                                                 int32_t total,
                                                 bool validate_only,
                                                 int64_t timeout_ms,
                                                 uint64_t token,
                                                 ottla_error **error);

// Starts ottla_admin_list_topics without waiting.
// Read the result from the answer with ottla_answer_topic_list.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_list_topics_async(const ottla_admin *admin,
                                           bool include_internal,
                                           int64_t timeout_ms,
                                           uint64_t token,
                                           ottla_error **error);

// Starts ottla_admin_describe_topics without waiting.
// Read the result from the answer with ottla_answer_topic_descriptions.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_describe_topics_async(const ottla_admin *admin,
                                               const char *const *names,
                                               size_t count,
                                               int64_t timeout_ms,
                                               uint64_t token,
                                               ottla_error **error);

// Starts ottla_admin_describe_cluster without waiting.
// Read the result from the answer with ottla_answer_cluster.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_describe_cluster_async(const ottla_admin *admin,
                                                int64_t timeout_ms,
                                                uint64_t token,
                                                ottla_error **error);

// Starts ottla_admin_close without waiting.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
OTTLA_MUST_USE
ottla_status ottla_admin_close_async(const ottla_admin *admin,
                                     int64_t timeout_ms,
                                     uint64_t token,
                                     ottla_error **error);

// ==================================================================================================================
// Embedded broker
//
// A Kafka server in this process, on its own thread, for first steps and for tests. It speaks Kafka's protocol to
// any client, keeps its topics in memory (up to a limit) or in a directory, can be a cluster of several nodes, and
// can simulate failures. Not for production. (A library built without the feature broker has none of these
// functions.)
//
//     ottla_broker *broker = NULL;
//     status = ottla_broker_new(NULL, &broker, &error);
//     status = ottla_broker_create_topic(broker, "greetings", 4, &error);
//     status = ottla_config_set(config, "bootstrap.servers", ottla_broker_bootstrap_servers(broker), &error);
//
// Its options, all with defaults, are set in a separate ottla_config:
//
//   nodes                the number of brokers in the cluster, with the ids 1, 2, 3 and so on. Default 1
//   host                 the address to listen on. Default 127.0.0.1; any other exposes it to the network without a password
//   port                 the port of the first node, followed by those of the others. Default 0: free ports
//   advertised.host      the host that clients are given. Default: the host listened on
//   advertised.port      the port that clients are given. Default: the port listened on
//   directory            where to keep topics, records, settings and committed offsets, but not group members; for one
//                          broker at a time. Default: in memory
//   memory.bytes         the most bytes of records to keep in memory; beyond that the oldest are dropped. Default 1GiB
//   auto.create.topics   whether topics are created when a client asks for them. Default false
//   default.partitions   partitions of a topic created without a number, up to 10000. Default 1
//   transaction.version  Kafka's feature of that name, as reported to clients, 1 or 2 (KIP-890). Default 2
//   share.record.lock.duration.ms  how long a record of a share group is locked for a member. Default 30000
//   share.delivery.count.limit     the most deliveries of a record to a share group. Default 5
//   share.auto.offset.reset        where a share group starts, earliest or latest. Default latest
//   group.version        Kafka's feature of that name: 1, or 0 to disable the new group protocol (KIP-848). Default 1
//   group.initial.rebalance.delay.ms     how long an empty classic group waits for more members. Default 0
//   group.consumer.session.timeout.ms    session timeout of members that use the new protocol. Default 45000
//   group.consumer.heartbeat.interval.ms heartbeat interval of such members. Default 1000
// ==================================================================================================================

// A fault: the request is not carried out, and is answered with the Kafka error code value.
#define OTTLA_FAULT_ERROR 0

// A fault: the response is delayed by value milliseconds; later requests on the same connection wait.
#define OTTLA_FAULT_DELAY 1

// A fault: the connection is closed, and the request is not carried out.
#define OTTLA_FAULT_DROP 2

// A fault: the request is carried out, but not answered. With value 1 the connection is closed.
#define OTTLA_FAULT_SWALLOW_REPLY 3

// A fault: a byte of fetched records is flipped, so that a checksum is wrong.
#define OTTLA_FAULT_CORRUPT_BATCH 4

// A fault: the request is carried out, value bytes of the response are sent, then the connection is closed.
#define OTTLA_FAULT_CUT_REPLY 5

// A fault: the response has a throttle time of value milliseconds, and the connection is not read for that long.
#define OTTLA_FAULT_THROTTLE 6

// A kind of coordinator: that of a group, by group id.
#define OTTLA_COORDINATOR_GROUP 0

// A kind of coordinator: that of transactions, by transactional id.
#define OTTLA_COORDINATOR_TRANSACTION 1

// Starts a broker and writes its handle, which the caller frees with ottla_broker_free, which also stops the
// broker. When this returns, its nodes accept connections. options may be NULL.
//
// Errors: OTTLA_ERR_CONFIG and OTTLA_ERR_INVALID_ARGUMENT for invalid options; OTTLA_ERR_IO if a port is not
// available, the directory can't be read, or no thread can be started.
OTTLA_MUST_USE
ottla_status ottla_broker_new(const ottla_config *options,
                              ottla_broker **broker,
                              ottla_error **error);

// Returns the addresses of all nodes, in the format of a client's bootstrap.servers. The string lives as long as
// the broker. Returns "" for NULL.
const char *ottla_broker_bootstrap_servers(const ottla_broker *broker);

// Creates a topic with a replica on every node. Node 1 leads partition 0, node 2 partition 1, and so on in turn.
//
// Errors: Kafka's code for an invalid name or number, or for a topic that exists.
OTTLA_MUST_USE
ottla_status ottla_broker_create_topic(const ottla_broker *broker,
                                       const char *topic,
                                       int32_t partitions,
                                       ottla_error **error);

// Makes requests fail. Faults are applied in the order in which they were added; several can apply to one request.
//
// - fault: OTTLA_FAULT_*, with its value.
// - node, api_key, topic, partition: applies only to requests to this node, of this kind (Kafka's API key: 0
//   Produce, 1 Fetch, 2 ListOffsets, 3 Metadata, ...), for this topic and partition; -1 and NULL match any.
// - count: the number of requests to apply it to; -1 for all.
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
// Errors: OTTLA_ERR_TIMED_OUT or OTTLA_ERR_CLOSED if the broker's thread does not respond.
OTTLA_MUST_USE ottla_status ottla_broker_clear_faults(const ottla_broker *broker, ottla_error **error);

// Makes node the leader of a partition, with a new leader epoch.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is no such partition, or the node is not running.
OTTLA_MUST_USE
ottla_status ottla_broker_move_leader(const ottla_broker *broker,
                                      const char *topic,
                                      int32_t partition,
                                      int32_t node,
                                      ottla_error **error);

// Makes node the coordinator of a group or transactional id; the others then return NOT_COORDINATOR. For
// loading_ms milliseconds the new one returns COORDINATOR_LOAD_IN_PROGRESS, like a broker that is loading the
// state.
//
// - kind: OTTLA_COORDINATOR_*; key is the group id or the transactional id.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT, also if the node is not running.
OTTLA_MUST_USE
ottla_status ottla_broker_move_coordinator(const ottla_broker *broker,
                                           int32_t kind,
                                           const char *key,
                                           int32_t node,
                                           int64_t loading_ms,
                                           ottla_error **error);

// Makes a group rebalance now, as if a member had joined or left.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if the group has no members.
OTTLA_MUST_USE
ottla_status ottla_broker_force_rebalance(const ottla_broker *broker,
                                          const char *group,
                                          ottla_error **error);

// Expires the session of a group member now, as if it had sent no heartbeat for too long; of all members if member
// is NULL.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is no such member, or the group has none.
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

// Stops a node: its connections are closed, its port no longer accepts any, and its partitions move to other nodes.
// So do its groups; if it is the last node, they wait for its return: members that come back within their session
// timeout, which then starts over, keep their id, their generation or epoch, and their assignment.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is no such node.
OTTLA_MUST_USE
ottla_status ottla_broker_stop_node(const ottla_broker *broker,
                                    int32_t node,
                                    ottla_error **error);

// Starts a stopped node again, on the same port.
//
// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is no such node, OTTLA_ERR_IO if its port is in use.
OTTLA_MUST_USE
ottla_status ottla_broker_start_node(const ottla_broker *broker,
                                     int32_t node,
                                     ottla_error **error);

// Pauses a node: it accepts requests without answering any, like a stopped process, until
// ottla_broker_resume_node.
//
// Errors: OTTLA_ERR_TIMED_OUT or OTTLA_ERR_CLOSED if the broker's thread does not respond.
OTTLA_MUST_USE
ottla_status ottla_broker_pause_node(const ottla_broker *broker,
                                     int32_t node,
                                     ottla_error **error);

// Resumes a paused node.
//
// Errors: as ottla_broker_pause_node.
OTTLA_MUST_USE
ottla_status ottla_broker_resume_node(const ottla_broker *broker,
                                      int32_t node,
                                      ottla_error **error);

// Writes the number of requests of a kind that a node has received, or all nodes if node is -1.
//
// Errors: as ottla_broker_pause_node.
OTTLA_MUST_USE
ottla_status ottla_broker_requests_seen(const ottla_broker *broker,
                                        int32_t node,
                                        int32_t api_key,
                                        uint64_t *count,
                                        ottla_error **error);

// Stops a broker and frees it; its clients' connections are closed. Records in memory are lost, those in a directory
// are kept.
void ottla_broker_free(ottla_broker *broker);

// ==================================================================================================================
// Kafka's error codes, as on the wire
// ==================================================================================================================

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

#ifdef __cplusplus
}
#endif

#endif // OTTLA_H
