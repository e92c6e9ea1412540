// Part of <ottla.hpp>: Producer and its completions.
#ifndef OTTLA_PRODUCER_HPP
#define OTTLA_PRODUCER_HPP

#include "answer.hpp"
#include "batch.hpp"
#include "columns.hpp"
#include "config.hpp"
#include "partitioner.hpp"
#include "stats.hpp"

#include <iterator>
#include <memory>

namespace ottla {

/// A record to send. Everything except the topic may be omitted:
///
///     producer.send({"orders", "the value", "the key"});
///     producer.send({.topic = "orders", .value = "v", .headers = {{"trace", "17"}}});   // C++20
///
/// It is a view of the caller's bytes, which are copied before `send` returns.
struct Record {
    Text topic;
    /// `nullptr` deletes the key from a compacted topic.
    Bytes value{};
    Bytes key{};
    Span<const Header> headers{};
    /// -1: chosen by the partitioner.
    std::int32_t partition = -1;
    /// Milliseconds since 1970; -1: now.
    std::int64_t timestamp = -1;
    /// Returned in the record's completion; 0 requests no completion.
    std::uint64_t token = 0;
};

/// What accompanies the values of a batch to send.
struct BatchOptions {
    /// As many rows as there are values; without it all keys are null.
    const Column *keys = nullptr;
    /// As many rows as there are values.
    const HeaderColumn *headers = nullptr;
    /// One for each value, in milliseconds since 1970; without them: now.
    Span<const std::int64_t> timestamps{};
    /// -1: chosen by the partitioner for each record.
    std::int32_t partition = -1;
    /// Returned in the call's completions; 0 requests no completions.
    std::uint64_t token = 0;
    /// How long to wait for room in the buffer.
    Timeout timeout = max_block;
};

/// How much of a batch was accepted.
struct Accepted {
    /// The number of rows accepted, counting from the first; also set if there is an error.
    std::size_t rows;
    /// Why not all rows were accepted.
    std::optional<Error> error;
};

/// The outcome of records.
enum class Outcome : std::int32_t {
    written = OTTLA_WRITTEN,
    /// They are not in the log, and never will be.
    not_written = OTTLA_NOT_WRITTEN,
    /// The response was lost: they may be in the log.
    possibly_written = OTTLA_POSSIBLY_WRITTEN,
};

/// The outcome of some records of one call, all in one partition. A view into its `Completions`.
class Completion {
public:
    explicit Completion(const ottla_completion &raw) noexcept : raw_(&raw) {}

    /// The token passed to the call.
    std::uint64_t token() const noexcept { return raw_->token; }
    Outcome outcome() const noexcept { return static_cast<Outcome>(raw_->outcome); }
    bool written() const noexcept { return outcome() == Outcome::written; }
    /// Why they were not written.
    std::optional<Error> error() const {
        return raw_->error ? std::optional<Error>(Error::copy(raw_->error)) : std::nullopt;
    }
    const char *topic() const noexcept { return raw_->topic; }
    std::int32_t partition() const noexcept { return raw_->partition; }
    /// The number of records.
    std::uint32_t count() const noexcept { return raw_->count; }
    /// The row within its call of the `i`th of these records.
    std::uint32_t row(std::uint32_t i) const noexcept {
        return raw_->indices ? raw_->indices[i] : raw_->first + i;
    }
    /// The offset of the first of them; the others follow it one by one. -1 if unknown.
    std::int64_t base_offset() const noexcept { return raw_->base_offset; }
    /// Milliseconds since 1970: the broker's time if the topic uses log append time, otherwise the timestamp of their
    /// batch's first record.
    std::int64_t timestamp() const noexcept { return raw_->timestamp; }
    const ottla_completion &raw() const noexcept { return *raw_; }

private:
    const ottla_completion *raw_;
};

/// The result of `Producer::poll`: a range of `Completion`. Owns them; may be used from any thread and outlive the
/// producer.
class Completions {
public:
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag; // C++17 wants references from more
        using iterator_concept = std::forward_iterator_tag;
        using value_type = Completion;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = Completion;

        Iterator() noexcept = default;
        explicit Iterator(const ottla_completion *at) noexcept : at_(at) {}
        Completion operator*() const noexcept { return Completion(*at_); }
        Iterator &operator++() noexcept {
            ++at_;
            return *this;
        }
        Iterator operator++(int) noexcept { return Iterator(at_++); }
        friend bool operator==(Iterator a, Iterator b) noexcept { return a.at_ == b.at_; }
        friend bool operator!=(Iterator a, Iterator b) noexcept { return a.at_ != b.at_; }

    private:
        const ottla_completion *at_ = nullptr;
    };

    using Handle = detail::Handle<ottla_completions, ottla_completions_free>;
    explicit Completions(Handle handle) noexcept : handle_(std::move(handle)) {
        if (handle_) {
            data_ = ottla_completions_data(handle_.get());
            size_ = ottla_completions_count(handle_.get());
        }
    }

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    Completion operator[](std::size_t i) const noexcept { return *Iterator(data_ + i); }
    Iterator begin() const noexcept { return Iterator(data_); }
    Iterator end() const noexcept { return Iterator(data_ + size_); }

private:
    Handle handle_;
    detail::Emptied<const ottla_completion *> data_;
    detail::Emptied<std::size_t> size_;
};

/// Sends records. All its functions may be called from many threads at once; move and destroy it once those calls
/// have returned. A moved-from producer returns an error from every call.
///
///     ottla::Producer producer{{{"bootstrap.servers", "localhost:9092"}}};
///     producer.send("greetings", "hello");
///     producer.flush(10s);
///
/// Call `flush` or `close` at the end: destroying a producer discards unsent records. Functions throw `Error`; their
/// `try_…` variants return it instead.
class Producer {
public:
    using Handle = detail::Handle<ottla_producer, ottla_producer_free>;

    /// Checks the configuration; does not connect yet.
    explicit Producer(const Config &config) : Producer(open(config).value()) {}
    /// The same without exceptions.
    static Result<Producer> open(const Config &config) {
        auto handle = detail::open<Handle>(config, ottla_producer_new);
        if (!handle) {
            return handle.error();
        }
        return Producer(*std::move(handle));
    }

    /// Connects to a bootstrap broker; the error names for each of them the stage that failed, and why. Optional:
    /// other calls connect when needed.
    Result<void> try_connect(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_producer_connect(get(), timeout.ms(), error));
    }
    void connect(Timeout timeout) const { try_connect(timeout).value(); }

    /// Sets the configuration of one topic, before its first use:
    ///
    ///     producer.set_topic_config("orders", {{"acks", "1"}, {"compression.type", "zstd"}});
    ///
    /// `acks`, `compression.type` and its levels, `delivery.timeout.ms`, `linger.ms`, `partitioner` and related keys,
    /// `request.timeout.ms`. Keys that are not set are inherited from the producer.
    Result<void> try_set_topic_config(const Text &topic, const Config &config) const {
        auto handle = detail::make(config);
        if (!handle) {
            return handle.error();
        }
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_producer_set_topic_config(get(), name, handle->get(), error));
    }
    void set_topic_config(const Text &topic, const Config &config) const { try_set_topic_config(topic, config).value(); }

    /// Sets a custom partitioner for all topics that have none set otherwise, before any topic is used. Must not be
    /// called while other threads use the producer.
    ///
    ///     producer.set_partitioner([](std::string_view, ottla::Bytes key, std::int32_t count) {
    ///         return key.empty() ? -1 : static_cast<unsigned char>((*key)[0]) % count;
    ///     });
    template <class = void> Result<void> try_set_partitioner(Partitioner partitioner) { return set_own(nullptr, std::move(partitioner)); }
    template <class = void> void set_partitioner(Partitioner partitioner) { try_set_partitioner(std::move(partitioner)).value(); }
    /// The same for one topic.
    template <class = void> Result<void> try_set_partitioner(const Text &topic, Partitioner partitioner) {
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        return set_own(name, std::move(partitioner));
    }
    template <class = void> void set_partitioner(const Text &topic, Partitioner partitioner) {
        try_set_partitioner(topic, std::move(partitioner)).value();
    }

    /// Adds a record to the open batch of its partition. Waits for room if the buffer is full, then returns
    /// `OTTLA_ERR_BUFFER_FULL`; with `timeout` 0 it returns `OTTLA_ERR_AGAIN` at once. After an error the record was
    /// not accepted.
    Result<void> try_send(const Record &record, Timeout timeout = max_block) const {
        const detail::TextArgument topic(record.topic);
        if (topic.cut()) {
            return topic.error();
        }
        return sent([&](ottla_error **error) {
            return ottla_producer_send(get(), topic, record.partition, record.key.raw(), record.value.raw(),
                                       reinterpret_cast<const ottla_header *>(record.headers.data()),
                                       record.headers.size(), record.timestamp, record.token, timeout.ms(), error);
        });
    }
    Result<void> try_send(const Text &topic, Bytes value, Timeout timeout = max_block) const {
        return try_send(Record{topic, value}, timeout);
    }
    void send(const Record &record, Timeout timeout = max_block) const { try_send(record, timeout).value(); }
    void send(const Text &topic, Bytes value, Timeout timeout = max_block) const {
        try_send(topic, value, timeout).value();
    }

    /// Sends many records at once, the fastest way. The result says how many rows, counting from the first, were
    /// accepted.
    Accepted try_send_batch(const Text &topic, const Column &values, const BatchOptions &options = {}) const {
        Accepted accepted{0, std::nullopt};
        const detail::TextArgument name(topic);
        if (name.cut()) {
            accepted.error = name.error();
            return accepted;
        }
        if ((options.keys && options.keys->rows() != values.rows()) ||
            (options.headers && options.headers->rows() != values.rows()) ||
            (!options.timestamps.empty() && options.timestamps.size() != values.rows())) {
            accepted.error = Error(OTTLA_ERR_INVALID_ARGUMENT,
                                   "sending a batch to " + topic.str() + ": there are " +
                                       std::to_string(values.rows()) + " values, but not as many keys, headers or timestamps");
            return accepted;
        }
        const ottla_column value_column = values.raw();
        const ottla_column key_column = options.keys ? options.keys->raw() : ottla_column{};
        const ottla_header_column header_column = options.headers ? options.headers->raw() : ottla_header_column{};
        ottla_error *error = nullptr;
        const ottla_status status = ottla_producer_send_batch(
            get(), name, options.partition, values.rows(), options.keys ? &key_column : nullptr, &value_column,
            options.headers ? &header_column : nullptr, options.timestamps.data(), options.token,
            options.timeout.ms(), &accepted.rows, &error);
        if (status != 0) {
            detail::rethrow_after(error);
            accepted.error = Error::take(status, error);
        }
        return accepted;
    }
    /// The same, throwing. Returns less than all rows only if the timeout is 0 and the buffer is full; continue with
    /// `values.from(accepted)` when there is room.
    std::size_t send_batch(const Text &topic, const Column &values, const BatchOptions &options = {}) const {
        const Accepted accepted = try_send_batch(topic, values, options);
        if (accepted.error && accepted.error->code() != OTTLA_ERR_AGAIN) {
            detail::raise(*accepted.error);
        }
        return accepted.rows;
    }

    /// Takes up to `max` completions (0: all that are available), waiting for the first; empty if the timeout ends.
    /// Completions that are not polled fill the buffer, so a program that passes tokens has to poll.
    Result<Completions> try_poll(std::size_t max, Timeout timeout) const {
        detail::CaughtHandle<Completions::Handle> making;
        auto handle = making.made(ottla_producer_poll(get(), max, timeout.ms(), making.out(), making));
        if (!handle) {
            return handle.error();
        }
        return Completions(*std::move(handle));
    }
    Completions poll(std::size_t max, Timeout timeout) const { return try_poll(max, timeout).value(); }

    /// Waits until everything sent before is written or has failed. The error is the first failure of records that
    /// requested no completion, or that the timeout is over.
    Result<void> try_flush(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_producer_flush(get(), timeout.ms(), error));
    }
    void flush(Timeout timeout) const { try_flush(timeout).value(); }

    /// Prepares a producer with `transactional.id` for transactions; call it once, before any other transactional
    /// function. A transaction that an earlier run left open under the same id is aborted, and a producer that still
    /// uses the id is fenced.
    Result<void> try_init_transactions(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_producer_init_transactions(get(), timeout.ms(), error));
    }
    void init_transactions(Timeout timeout) const { try_init_transactions(timeout).value(); }

    /// Begins a transaction: everything sent from now on belongs to it. `Transaction` and `transact` also commit or
    /// abort it.
    Result<void> try_begin_transaction() const {
        detail::Caught error;
        return error.after(ottla_producer_begin_transaction(get(), error));
    }
    void begin_transaction() const { try_begin_transaction().value(); }

    /// Adds a group's offsets to the open transaction: they are committed together with it, or not at all.
    template <class = void> Result<void> try_send_offsets(Span<const OffsetToCommit> offsets, const GroupMetadata &group,
                                  Timeout timeout) const {
        detail::Texts texts;
        std::vector<ottla_offset_to_commit> rows;
        rows.reserve(offsets.size());
        for (const OffsetToCommit &own : offsets) {
            rows.push_back({texts.copy(own.topic), own.partition, own.offset, own.leader_epoch, texts.copy(own.metadata)});
        }
        const ottla_group_metadata raw{texts.copy(group.group_id), group.generation, texts.copy(group.member_id),
                                       group.instance_id ? texts.copy(*group.instance_id) : nullptr};
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_producer_send_offsets(get(), rows.data(), rows.size(), &raw, timeout.ms(), error));
    }
    template <class = void> void send_offsets(Span<const OffsetToCommit> offsets, const GroupMetadata &group, Timeout timeout) const {
        try_send_offsets(offsets, group, timeout).value();
    }

    /// Commits the open transaction: waits until all its records are written, then commits. An error with
    /// `needs_abort()`: a part of it failed, and nothing is committed. With `retriable()`: the commit continues; call
    /// again.
    Result<void> try_commit_transaction(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_producer_commit_transaction(get(), timeout.ms(), error));
    }
    void commit_transaction(Timeout timeout) const { try_commit_transaction(timeout).value(); }

    /// Aborts the open transaction: unsent records are given up, and readers of committed records see none of it.
    Result<void> try_abort_transaction(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_producer_abort_transaction(get(), timeout.ms(), error));
    }
    void abort_transaction(Timeout timeout) const { try_abort_transaction(timeout).value(); }

    /// Stops accepting records, waits for those in flight, then gives up the rest, and wakes all waiting calls.
    Result<void> try_close(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_producer_close(get(), timeout.ms(), error));
    }
    void close(Timeout timeout) const { try_close(timeout).value(); }

    /// Ends a `poll` that waits in another thread, or the next one, with `OTTLA_ERR_WOKEN`.
    Result<void> try_wake() const {
        detail::Caught error;
        return error.after(ottla_producer_wake(get(), error));
    }
    void wake() const { try_wake().value(); }

    /// Returns a file descriptor (on Windows a SOCKET) that is readable while completions are available or there is
    /// room again: for epoll, Asio and the like. It belongs to the producer: only wait on it.
    Result<std::intptr_t> try_descriptor() const {
        std::intptr_t out{};
        detail::Caught error;
        return error.after(ottla_producer_descriptor(get(), &out, error), out);
    }
    std::intptr_t descriptor() const { return try_descriptor().value(); }

    /// Returns totals, and what the producer holds now.
    Result<ottla_producer_counts> try_counts() const {
        ottla_producer_counts out{};
        detail::Caught error;
        return error.after(ottla_producer_get_counts(get(), &out, error), out);
    }
    ottla_producer_counts counts() const { return try_counts().value(); }

    /// Returns the figures of the client, of each broker and of each partition written to.
    template <class = void> Result<Stats> try_stats(Timeout timeout) const {
        detail::CaughtHandle<Stats::Handle> making;
        return detail::stats(making.made(ottla_producer_stats(get(), timeout.ms(), making.out(), making)));
    }
    template <class = void> Stats stats(Timeout timeout) const { return try_stats(timeout).value(); }
    /// Returns the oldest figures recorded by the timer (`statistics.interval.ms`) that have not been taken; the last
    /// eight are kept. Their histograms cover the time since the previous ones.
    template <class = void> Result<std::optional<Stats>> try_next_stats() const {
        detail::CaughtHandle<Stats::Handle> making;
        return detail::next_stats(making.made(ottla_producer_next_stats(get(), making.out(), making)));
    }
    template <class = void> std::optional<Stats> next_stats() const { return try_next_stats().value(); }

    /// Returns the oldest event that has not been taken, of the last 64: what records are waiting for (a broker that
    /// can't be reached, a topic that is missing). While one is available the descriptor is readable; no action is
    /// needed.
    template <class = void> Result<std::optional<Event>> try_next_event() const {
        detail::CaughtHandle<Event::Handle> making;
        auto handle = making.made(ottla_producer_next_event(get(), making.out(), making));
        if (!handle) {
            return handle.error();
        }
        return *handle ? std::optional<Event>(*std::move(handle)) : std::nullopt;
    }
    template <class = void> std::optional<Event> next_event() const { return try_next_event().value(); }

    /// Gives up unacknowledged records: `OTTLA_PURGE_QUEUED`, `OTTLA_PURGE_IN_FLIGHT` or `OTTLA_PURGE_ALL`. Their
    /// completions, available when this returns, say whether they may have been written.
    Result<void> try_purge(std::int32_t what = OTTLA_PURGE_ALL) const {
        detail::Caught error;
        return error.after(ottla_producer_purge(get(), what, error));
    }
    void purge(std::int32_t what = OTTLA_PURGE_ALL) const { try_purge(what).value(); }

    /// Takes up to `max` log lines.
    template <class = void> Result<std::vector<LogLine>> try_logs(std::size_t max = 1000) const {
        detail::CaughtHandle<detail::LogLines> making;
        return detail::log_lines(making.made(ottla_producer_logs(get(), max, making.out(), making)));
    }
    template <class = void> std::vector<LogLine> logs(std::size_t max = 1000) const { return try_logs(max).value(); }

    /// Begins `connect` without waiting; see `Answer`.
    Result<void> try_connect_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_producer_connect_async(get(), timeout.ms(), token, error));
    }
    void connect_async(Timeout timeout, std::uint64_t token) const { try_connect_async(timeout, token).value(); }
    /// Begins `flush` without waiting; see `Answer`.
    Result<void> try_flush_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_producer_flush_async(get(), timeout.ms(), token, error));
    }
    void flush_async(Timeout timeout, std::uint64_t token) const { try_flush_async(timeout, token).value(); }
    /// Begins `init_transactions` without waiting; see `Answer`.
    Result<void> try_init_transactions_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_producer_init_transactions_async(get(), timeout.ms(), token, error));
    }
    void init_transactions_async(Timeout timeout, std::uint64_t token) const { try_init_transactions_async(timeout, token).value(); }
    /// Begins `commit_transaction` without waiting; see `Answer`.
    Result<void> try_commit_transaction_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_producer_commit_transaction_async(get(), timeout.ms(), token, error));
    }
    void commit_transaction_async(Timeout timeout, std::uint64_t token) const { try_commit_transaction_async(timeout, token).value(); }
    /// Begins `abort_transaction` without waiting; see `Answer`.
    Result<void> try_abort_transaction_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_producer_abort_transaction_async(get(), timeout.ms(), token, error));
    }
    void abort_transaction_async(Timeout timeout, std::uint64_t token) const { try_abort_transaction_async(timeout, token).value(); }
    /// Begins `stats` without waiting; see `Answer`.
    Result<void> try_stats_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_producer_stats_async(get(), timeout.ms(), token, error));
    }
    void stats_async(Timeout timeout, std::uint64_t token) const { try_stats_async(timeout, token).value(); }
    /// Begins `close` without waiting; see `Answer`.
    Result<void> try_close_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_producer_close_async(get(), timeout.ms(), token, error));
    }
    void close_async(Timeout timeout, std::uint64_t token) const { try_close_async(timeout, token).value(); }
    /// Begins `send_offsets` without waiting; see `Answer`.
    template <class = void> Result<void> try_send_offsets_async(Span<const OffsetToCommit> offsets, const GroupMetadata &group, Timeout timeout, std::uint64_t token) const {
        detail::Texts texts;
        std::vector<ottla_offset_to_commit> rows;
        rows.reserve(offsets.size());
        for (const OffsetToCommit &own : offsets) {
            rows.push_back({texts.copy(own.topic), own.partition, own.offset, own.leader_epoch, texts.copy(own.metadata)});
        }
        const ottla_group_metadata raw{texts.copy(group.group_id), group.generation, texts.copy(group.member_id),
                                       group.instance_id ? texts.copy(*group.instance_id) : nullptr};
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_producer_send_offsets_async(get(), rows.data(), rows.size(), &raw, timeout.ms(), token, error));
    }
    template <class = void> void send_offsets_async(Span<const OffsetToCommit> offsets, const GroupMetadata &group, Timeout timeout, std::uint64_t token) const { try_send_offsets_async(offsets, group, timeout, token).value(); }
    /// Begins `purge` without waiting; see `Answer`.
    Result<void> try_purge_async(std::int32_t what, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_producer_purge_async(get(), what, token, error));
    }
    void purge_async(std::int32_t what, std::uint64_t token) const { try_purge_async(what, token).value(); }
    /// Returns the next answer to an `_async` call, waiting for it; empty if the timeout ends.
    Result<std::optional<Answer>> try_next_answer(Timeout timeout) const {
        return detail::next_answer(get(), timeout, ottla_producer_next_answer);
    }
    std::optional<Answer> next_answer(Timeout timeout) const { return try_next_answer(timeout).value(); }

    /// Returns the figures of an answer to `stats_async`.
    template <class = void> static Result<Stats> try_stats_of(const Answer &answer) {
        detail::CaughtHandle<Stats::Handle> making;
        return detail::stats(making.made(ottla_answer_stats(answer.get(), making.out(), making)));
    }
    template <class = void> static Stats stats_of(const Answer &answer) { return try_stats_of(answer).value(); }

    /// Returns the handle for the C API, which this object keeps owning.
    ottla_producer *get() const noexcept { return handle_.get(); }

private:
    explicit Producer(Handle handle) noexcept : handle_(std::move(handle)) {}

    template <class = void> Result<void> set_own(const char *topic, Partitioner partitioner) {
        if (!partitioner) {
            return Error(OTTLA_ERR_INVALID_ARGUMENT, "the partitioner is empty");
        }
        auto own = std::make_unique<Partitioner>(std::move(partitioner));
        detail::Caught caught;
        auto set = caught.after(ottla_producer_set_partitioner(get(), topic, detail::ottla_cpp_partitioner, own.get(), caught));
        if (set) {
            partitioners_.push_back(std::move(own));
        }
        return set;
    }

    template <class F> static Result<void> sent(F &&function) {
        ottla_error *error = nullptr;
        const ottla_status status = function(&error);
        if (status != 0) {
            detail::rethrow_after(error);
            return Error::take(status, error);
        }
        return {};
    }

    // Called by the producer, so they go after it.
    std::vector<std::unique_ptr<Partitioner>> partitioners_;
    Handle handle_;
};

} // namespace ottla

#endif
