// Part of <ottla.hpp>: ShareConsumer.
#ifndef OTTLA_SHARE_HPP
#define OTTLA_SHARE_HPP

#include "answer.hpp"
#include "batch.hpp"
#include "config.hpp"

namespace ottla {

/// How a record of a share group is acknowledged (KIP-932, KIP-1222).
enum class AcknowledgeType : std::int32_t {
    /// Processed: the record is not delivered again.
    accept = OTTLA_ACKNOWLEDGE_ACCEPT,
    /// Released: it is delivered again, perhaps to another member, until its delivery limit is reached.
    release = OTTLA_ACKNOWLEDGE_RELEASE,
    /// Rejected, as it can't be processed: it is not delivered again.
    reject = OTTLA_ACKNOWLEDGE_REJECT,
    /// Still being processed: its lock is renewed, and another acknowledgement must follow. Kafka 4.2 and newer.
    renew = OTTLA_ACKNOWLEDGE_RENEW,
};

/// Reads topics as a member of a share group: each record is delivered to one member at a time, locked for a limited
/// time, and acknowledged by that member.
///
/// With `share.acknowledgement.mode=implicit`, the default, the records of a poll are accepted by the next poll or
/// commit, except those that were acknowledged otherwise; with `explicit` each must be acknowledged before the next
/// poll. `poll` is for one thread at a time; all other functions are `const` and may be called from other threads
/// meanwhile.
///
///     ottla::ShareConsumer consumer{{{"bootstrap.servers", "localhost:9092"}, {"group.id", "workers"}}};
///     consumer.subscribe({"jobs"});
///     while (auto polled = consumer.poll(10s)) {
///         if (auto *batch = polled.batch())
///             for (auto record : *batch)
///                 if (!work(*record.value())) consumer.acknowledge(record, ottla::AcknowledgeType::release);
///     }
///
/// Functions throw `Error`; their `try_…` variants return it instead.
class ShareConsumer {
public:
    using Handle = detail::Handle<ottla_share_consumer, ottla_share_consumer_free>;

    /// Checks the configuration; does not connect yet.
    explicit ShareConsumer(const Config &config) : ShareConsumer(open(config).value()) {}
    /// The same without exceptions.
    static Result<ShareConsumer> open(const Config &config) {
        auto handle = detail::open<Handle>(config, ottla_share_consumer_new);
        if (!handle) {
            return handle.error();
        }
        return ShareConsumer(*std::move(handle));
    }

    /// Connects to a bootstrap broker; the error names for each of them the stage that failed, and why. Optional.
    Result<void> try_connect(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_share_consumer_connect(get(), timeout.ms(), error));
    }
    void connect(Timeout timeout) const { try_connect(timeout).value(); }

    /// Joins the share group `group.id` and reads these topics, including topics created later. Replaces an earlier
    /// subscription.
    template <class = void> Result<void> try_subscribe(Span<const std::string> topics) const {
        detail::Texts texts;
        const auto raw = detail::c_strings(topics, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_share_consumer_subscribe(get(), raw.data(), raw.size(), error));
    }
    template <class = void> void subscribe(Span<const std::string> topics) const { try_subscribe(topics).value(); }

    /// Leaves the share group: sends pending acknowledgements and releases all other records at once.
    Result<void> try_unsubscribe(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_share_consumer_unsubscribe(get(), timeout.ms(), error));
    }
    void unsubscribe(Timeout timeout) const { try_unsubscribe(timeout).value(); }

    /// Waits for records or an event and returns as soon as there are any; empty if the timeout ends. Sends pending
    /// acknowledgements; an event `acknowledgement_failed` reports a refusal.
    Result<Polled> try_poll(Timeout timeout) {
        return detail::polled([&](ottla_batch **batch, ottla_event **event, ottla_error **error) {
            return ottla_share_consumer_poll(get(), timeout.ms(), batch, event, error);
        });
    }
    Polled poll(Timeout timeout) { return try_poll(timeout).value(); }

    /// Acknowledges `count` records of a polled batch, from row `row` on. Sent with the next poll or commit; may be
    /// changed until then.
    Result<void> try_acknowledge(const Batch &batch, std::size_t row, std::size_t count, AcknowledgeType type) const {
        detail::Caught error;
        return error.after(ottla_share_consumer_acknowledge(get(), batch.get(), row, count, static_cast<std::int32_t>(type), error));
    }
    void acknowledge(const Batch &batch, std::size_t row, std::size_t count, AcknowledgeType type) const {
        try_acknowledge(batch, row, count, type).value();
    }
    /// The same for all records of a batch.
    Result<void> try_acknowledge(const Batch &batch, AcknowledgeType type) const {
        return try_acknowledge(batch, 0, batch.rows(), type);
    }
    void acknowledge(const Batch &batch, AcknowledgeType type) const { try_acknowledge(batch, type).value(); }
    /// The same for one record.
    Result<void> try_acknowledge(const RecordView &record, AcknowledgeType type) const {
        return try_acknowledge_offset(record.topic(), record.partition(), record.offset(), type);
    }
    void acknowledge(const RecordView &record, AcknowledgeType type) const { try_acknowledge(record, type).value(); }
    /// The same for one record, by its offset.
    Result<void> try_acknowledge_offset(const Text &topic, std::int32_t partition, std::int64_t offset,
                                        AcknowledgeType type) const {
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_share_consumer_acknowledge_offset(get(), name, partition, offset,
                                                           static_cast<std::int32_t>(type), error));
    }
    void acknowledge_offset(const Text &topic, std::int32_t partition, std::int64_t offset, AcknowledgeType type) const {
        try_acknowledge_offset(topic, partition, offset, type).value();
    }

    /// Sends pending acknowledgements (with implicit acknowledgement: accepts everything that was polled) and waits
    /// until the brokers have carried them out; the error is that of the first one refused.
    Result<void> try_commit(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_share_consumer_commit(get(), timeout.ms(), error));
    }
    void commit(Timeout timeout) const { try_commit(timeout).value(); }

    /// The same in the background; an event `acknowledgement_failed` reports each refusal.
    Result<void> try_commit_async() const {
        detail::Caught error;
        return error.after(ottla_share_consumer_commit_async(get(), error));
    }
    void commit_async() const { try_commit_async().value(); }

    /// Begins `commit` without waiting; see `Answer`. The answer reports the first acknowledgement that was refused.
    Result<void> try_begin_commit(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_share_consumer_begin_commit(get(), timeout.ms(), token, error));
    }
    void begin_commit(Timeout timeout, std::uint64_t token) const { try_begin_commit(timeout, token).value(); }

    /// Returns how long a record is locked for the member that received it; empty before the first fetch.
    Result<std::optional<std::chrono::milliseconds>> try_lock_duration() const {
        using Maybe = Result<std::optional<std::chrono::milliseconds>>;
        std::int64_t raw_ms{};
        detail::Caught caught;
        auto ms = caught.after(ottla_share_consumer_lock_duration(get(), &raw_ms, caught), raw_ms);
        if (!ms) {
            return ms.error();
        }
        return Maybe(*ms < 0 ? std::nullopt : std::optional<std::chrono::milliseconds>(*ms));
    }
    std::optional<std::chrono::milliseconds> lock_duration() const { return try_lock_duration().value(); }

    /// Ends a `poll` that waits in another thread, or the next one that has to wait, with `OTTLA_ERR_WOKEN`.
    Result<void> try_wake() const {
        detail::Caught error;
        return error.after(ottla_share_consumer_wake(get(), error));
    }
    void wake() const { try_wake().value(); }

    /// Returns a file descriptor (on Windows a SOCKET) that is readable while a poll would return something. Records
    /// are only fetched after a poll has returned nothing. It belongs to the share consumer: only wait on it.
    Result<std::intptr_t> try_descriptor() const {
        std::intptr_t out{};
        detail::Caught error;
        return error.after(ottla_share_consumer_descriptor(get(), &out, error), out);
    }
    std::intptr_t descriptor() const { return try_descriptor().value(); }

    /// Takes up to `max` log lines.
    template <class = void> Result<std::vector<LogLine>> try_logs(std::size_t max = 1000) const {
        detail::CaughtHandle<detail::LogLines> making;
        return detail::log_lines(making.made(ottla_share_consumer_logs(get(), max, making.out(), making)));
    }
    template <class = void> std::vector<LogLine> logs(std::size_t max = 1000) const { return try_logs(max).value(); }

    /// Sends pending acknowledgements, releases all other records, leaves the group and wakes all waiting calls.
    Result<void> try_close(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_share_consumer_close(get(), timeout.ms(), error));
    }
    void close(Timeout timeout) const { try_close(timeout).value(); }

    /// Begins `connect` without waiting; see `Answer`.
    Result<void> try_connect_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_share_consumer_connect_async(get(), timeout.ms(), token, error));
    }
    void connect_async(Timeout timeout, std::uint64_t token) const { try_connect_async(timeout, token).value(); }
    /// Begins `unsubscribe` without waiting; see `Answer`.
    Result<void> try_unsubscribe_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_share_consumer_unsubscribe_async(get(), timeout.ms(), token, error));
    }
    void unsubscribe_async(Timeout timeout, std::uint64_t token) const { try_unsubscribe_async(timeout, token).value(); }
    /// Begins `close` without waiting; see `Answer`.
    Result<void> try_close_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_share_consumer_close_async(get(), timeout.ms(), token, error));
    }
    void close_async(Timeout timeout, std::uint64_t token) const { try_close_async(timeout, token).value(); }
    /// Returns the next answer to an `_async` call, waiting for it; empty if the timeout ends.
    Result<std::optional<Answer>> try_next_answer(Timeout timeout) const {
        return detail::next_answer(get(), timeout, ottla_share_consumer_next_answer);
    }
    std::optional<Answer> next_answer(Timeout timeout) const { return try_next_answer(timeout).value(); }


    /// Returns the handle for the C API, which this object keeps owning.
    ottla_share_consumer *get() const noexcept { return handle_.get(); }

private:
    explicit ShareConsumer(Handle handle) noexcept : handle_(std::move(handle)) {}

    Handle handle_;
};

} // namespace ottla

#endif
