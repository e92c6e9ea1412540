// Part of <ottla.hpp>: Consumer.
#ifndef OTTLA_CONSUMER_HPP
#define OTTLA_CONSUMER_HPP

#include "answer.hpp"
#include "batch.hpp"
#include "config.hpp"
#include "stats.hpp"

#include <functional>
#include <map>

namespace ottla {

/// Where to start reading a partition.
class Start {
public:
    /// Where `auto.offset.reset` says.
    static Start reset() noexcept { return {OTTLA_START_RESET, 0}; }
    /// The oldest record in the log.
    static Start earliest() noexcept { return {OTTLA_START_EARLIEST, 0}; }
    /// After the newest record.
    static Start latest() noexcept { return {OTTLA_START_LATEST, 0}; }
    static Start offset(std::int64_t offset) noexcept { return {OTTLA_START_OFFSET, offset}; }
    /// The first record with this timestamp or a later one.
    static Start at(std::chrono::system_clock::time_point moment) noexcept {
        return {OTTLA_START_TIMESTAMP, milliseconds(moment)};
    }

    std::int32_t kind() const noexcept { return kind_; }
    std::int64_t value() const noexcept { return value_; }

private:
    Start(std::int32_t kind, std::int64_t value) noexcept : kind_(kind), value_(value) {}

    std::int32_t kind_;
    std::int64_t value_;
};

/// A partition to read, and where to start.
struct Assignment {
    std::string topic;
    std::int32_t partition;
    Start start = Start::reset();
};

/// A committed offset: that of the next record to read.
struct CommittedOffset {
    std::string topic;
    std::int32_t partition;
    /// -1 if nothing is committed.
    std::int64_t offset;
    /// Leader epoch of the record before it, or -1.
    std::int32_t leader_epoch;
    /// The text that was committed with it.
    std::string metadata;
};

/// A consumer's membership at the moment of the call; a producer takes it as `GroupMetadata`.
struct Membership {
    std::string group_id;
    /// The generation, or the member epoch; -1 for a consumer that is not a member.
    std::int32_t generation = -1;
    std::string member_id;
    /// `group.instance.id` of a static member.
    std::optional<std::string> instance_id;

    /// A view of this object, which has to outlive it.
    operator GroupMetadata() const {
        return {group_id, generation, member_id,
                instance_id ? std::optional<Text>(*instance_id) : std::optional<Text>()};
    }
};

/// Callbacks for changes of a group's assignment. They are called inside `poll`, on its thread; a poll that has
/// called one continues to wait. Without a callback, the poll returns the event instead.
struct Rebalance {
    using Callback = std::function<void(const std::vector<TopicPartition> &)>;
    /// Partitions were assigned; a seek made here takes effect before any of their records is returned.
    Callback assigned;
    /// Partitions are revoked when this returns: the last moment to commit what was read from them.
    Callback revoked;
    /// Partitions are already lost.
    Callback lost;
};

/// A member of a group, as seen by its leader.
struct GroupMember {
    std::string id;
    std::optional<std::string> instance_id;
    std::vector<std::string> topics;
    std::vector<TopicPartition> owned;
    std::optional<std::string> user_data;
    std::optional<std::string> rack;
};

/// A custom assignor for classic groups: set it before subscribing, in every member.
struct Assignor {
    /// Partitions by member id; members that are not listed get none. `topics` has the number of partitions of each
    /// topic.
    using Share = std::map<std::string, std::vector<TopicPartition>>;
    using Assign = std::function<Share(const std::vector<GroupMember> &members,
                                       const std::map<std::string, std::int32_t> &topics)>;
    std::string name;
    /// Called inside `poll` of the leader. If it throws, the exception leaves that poll, and the group asks again.
    Assign assign;
    /// Data for the leader.
    std::optional<std::string> user_data = std::nullopt;
    /// Members keep reading the partitions that they keep during a rebalance (KIP-429).
    bool cooperative = false;
};

/// Reads assigned partitions or, as a member of a group, its share of subscribed topics, fetching in the background.
///
/// `poll` is for one thread at a time (a second one gets `OTTLA_ERR_IN_USE`); all other functions are `const` and may
/// be called from other threads meanwhile. Move and destroy it once those calls have returned. Batches outlive it.
///
///     ottla::Consumer consumer{{{"bootstrap.servers", "localhost:9092"}}};
///     consumer.assign_topic("greetings", ottla::Start::earliest());
///     while (auto polled = consumer.poll(10'000, 1s)) {
///         if (auto *batch = polled.batch())
///             for (auto record : *batch) use(record.offset(), *record.value());
///     }
///
/// Functions throw `Error`; their `try_…` variants return it instead.
class Consumer {
public:
    using Handle = detail::Handle<ottla_consumer, ottla_consumer_free>;
    using Found = detail::Handle<ottla_offsets, ottla_offsets_free>;

    /// Checks the configuration; does not connect yet.
    explicit Consumer(const Config &config) : Consumer(open(config).value()) {}
    /// The same without exceptions.
    static Result<Consumer> open(const Config &config) {
        auto handle = detail::open<Handle>(config, ottla_consumer_new);
        if (!handle) {
            return handle.error();
        }
        return Consumer(*std::move(handle));
    }

    /// Connects to a bootstrap broker; the error names for each of them the stage that failed, and why. Optional:
    /// other calls connect when needed.
    Result<void> try_connect(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_consumer_connect(get(), timeout.ms(), error));
    }
    void connect(Timeout timeout) const { try_connect(timeout).value(); }

    /// Replaces the assignment with these partitions. A partition that was already assigned continues where it is;
    /// its start is ignored.
    template <class = void> Result<void> try_assign(Span<const Assignment> assignments) const {
        detail::Texts texts;
        std::vector<ottla_assignment> raw;
        raw.reserve(assignments.size());
        for (const Assignment &a : assignments) {
            ottla_assignment one{};
            one.topic = texts.add(a.topic);
            one.partition = a.partition;
            one.start = a.start.kind();
            one.value = a.start.value();
            raw.push_back(one);
        }
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_consumer_assign(get(), raw.data(), raw.size(), error));
    }
    template <class = void> void assign(Span<const Assignment> assignments) const { try_assign(assignments).value(); }

    /// Adds all partitions of a topic to the assignment, including those added later (from their beginnings, reported
    /// by an event). The start must not be an offset.
    Result<void> try_assign_topic(const Text &topic, Start start = Start::reset()) const {
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_consumer_assign_topic(get(), name, start.kind(), start.value(), error));
    }
    void assign_topic(const Text &topic, Start start = Start::reset()) const { try_assign_topic(topic, start).value(); }

    /// Clears the assignment.
    Result<void> try_unassign() const {
        detail::Caught error;
        return error.after(ottla_consumer_unassign(get(), error));
    }
    void unassign() const { try_unassign().value(); }

    /// Returns the assigned partitions.
    template <class = void> Result<std::vector<TopicPartition>> try_assignment() const {
        using Partitions = detail::Handle<ottla_partitions, ottla_partitions_free>;
        detail::CaughtHandle<Partitions> making;
        auto partitions = making.made(ottla_consumer_assignment(get(), making.out(), making));
        if (!partitions) {
            return partitions.error();
        }
        std::vector<TopicPartition> all;
        for (std::size_t i = 0; i < ottla_partitions_count(partitions->get()); i++) {
            ottla_topic_partition raw_one{};
            detail::Caught caught;
            auto one = caught.after(ottla_partitions_get(partitions->get(), i, &raw_one, caught), raw_one);
            if (!one) {
                return one.error();
            }
            all.push_back({one->topic, one->partition});
        }
        return all;
    }
    template <class = void> std::vector<TopicPartition> assignment() const { return try_assignment().value(); }

    /// Joins the group `group.id` and reads the partitions that it assigns of these topics, including topics created
    /// later. Replaces an earlier subscription. Polls report changes, or call the callbacks if there are any.
    ///
    ///     consumer.subscribe({"orders"}, {{}, [&](auto &) { consumer.commit_polled(30s); }, {}});
    template <class = void> Result<void> try_subscribe(Span<const std::string> topics, Rebalance rebalance = {}) {
        detail::Texts texts;
        const auto raw = detail::c_strings(topics, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        rebalance_ = std::move(rebalance);
        detail::Caught error;
        return error.after(ottla_consumer_subscribe(get(), raw.data(), raw.size(), error));
    }
    template <class = void> void subscribe(Span<const std::string> topics, Rebalance rebalance = {}) {
        try_subscribe(topics, std::move(rebalance)).value();
    }

    /// The same for every topic whose whole name matches a regular expression (RE2 syntax).
    template <class = void> Result<void> try_subscribe_pattern(const Text &pattern, Rebalance rebalance = {}) {
        rebalance_ = std::move(rebalance);
        const detail::TextArgument text(pattern);
        if (text.cut()) {
            return text.error();
        }
        detail::Caught error;
        return error.after(ottla_consumer_subscribe_pattern(get(), text, error));
    }
    template <class = void> void subscribe_pattern(const Text &pattern, Rebalance rebalance = {}) {
        try_subscribe_pattern(pattern, std::move(rebalance)).value();
    }

    /// Sets a custom assignor, which is preferred to those of `partition.assignment.strategy`. Call it before
    /// subscribing; the consumer then joins its group with the classic protocol.
    template <class = void> Result<void> try_set_assignor(Assignor assignor) {
        const std::optional<std::string> &data = assignor.user_data;
        const ottla_bytes bytes = data ? Bytes(*data).raw() : ottla_bytes{nullptr, 0};
        const detail::TextArgument name(assignor.name);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught caught;
        auto set = caught.after(ottla_consumer_set_assignor(get(), name, bytes, assignor.cooperative, caught));
        if (set) {
            assignor_ = std::move(assignor.assign);
        }
        return set;
    }
    template <class = void> void set_assignor(Assignor assignor) { try_set_assignor(std::move(assignor)).value(); }

    /// Leaves the group at once: commits what counts as read (`enable.auto.commit`), and returns no more records.
    Result<void> try_unsubscribe(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_consumer_unsubscribe(get(), timeout.ms(), error));
    }
    void unsubscribe(Timeout timeout) const { try_unsubscribe(timeout).value(); }

    /// Acknowledges a revocation before the next poll does.
    Result<void> try_acknowledge(const Event &event) const {
        detail::Caught error;
        return error.after(ottla_consumer_acknowledge(get(), event.get(), error));
    }
    void acknowledge(const Event &event) const { try_acknowledge(event).value(); }

    /// Marks everything before `offset` as read, without waiting for the next poll.
    Result<void> try_mark(const Text &topic, std::int32_t partition, std::int64_t offset) const {
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_consumer_mark(get(), name, partition, offset, error));
    }
    void mark(const Text &topic, std::int32_t partition, std::int64_t offset) const {
        try_mark(topic, partition, offset).value();
    }

    /// Commits offsets for the group and waits until that is done. `OTTLA_ERR_PARTITION_REVOKED` if this consumer is
    /// a member and a partition is not assigned to it.
    template <class = void> Result<void> try_commit(Span<const OffsetToCommit> offsets, Timeout timeout) const {
        const Offsets raw(offsets);
        if (raw.texts.wrong()) {
            return *raw.texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_consumer_commit(get(), raw.rows.data(), raw.rows.size(), timeout.ms(), error));
    }
    template <class = void> void commit(Span<const OffsetToCommit> offsets, Timeout timeout) const { try_commit(offsets, timeout).value(); }

    /// Commits in the background and returns a token; an event `offsets_committed` with this token reports the
    /// outcome.
    template <class = void> Result<std::uint64_t> try_commit_async(Span<const OffsetToCommit> offsets) const {
        const Offsets raw(offsets);
        if (raw.texts.wrong()) {
            return *raw.texts.wrong();
        }
        std::uint64_t out{};
        detail::Caught error;
        return error.after(ottla_consumer_commit_async(get(), raw.rows.data(), raw.rows.size(), &out, error), out);
    }
    template <class = void> std::uint64_t commit_async(Span<const OffsetToCommit> offsets) const { return try_commit_async(offsets).value(); }

    /// Commits everything that was polled, including the latest batch.
    Result<void> try_commit_polled(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_consumer_commit_polled(get(), timeout.ms(), error));
    }
    void commit_polled(Timeout timeout) const { try_commit_polled(timeout).value(); }

    /// Commits everything that was polled in the background; see `commit_async`.
    Result<std::uint64_t> try_commit_polled_async() const {
        std::uint64_t out{};
        detail::Caught error;
        return error.after(ottla_consumer_commit_polled_async(get(), &out, error), out);
    }
    std::uint64_t commit_polled_async() const { return try_commit_polled_async().value(); }

    /// Commits the end of a batch.
    Result<void> try_commit_batch(const Batch &batch, Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_consumer_commit_batch(get(), batch.get(), timeout.ms(), error));
    }
    void commit_batch(const Batch &batch, Timeout timeout) const { try_commit_batch(batch, timeout).value(); }

    /// Commits the end of a batch in the background; see `commit_async`.
    Result<std::uint64_t> try_commit_batch_async(const Batch &batch) const {
        std::uint64_t out{};
        detail::Caught error;
        return error.after(ottla_consumer_commit_batch_async(get(), batch.get(), &out, error), out);
    }
    std::uint64_t commit_batch_async(const Batch &batch) const { return try_commit_batch_async(batch).value(); }

    /// Returns the committed offsets of the group for these partitions, in order; offset -1 if nothing is committed.
    template <class = void> Result<std::vector<CommittedOffset>> try_committed(Span<const TopicPartition> partitions, Timeout timeout) const {
        detail::Texts texts;
        const auto raw = views(partitions, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::CaughtHandle<Found> making;
        auto found = making.made(ottla_consumer_committed(get(), raw.data(), raw.size(), timeout.ms(), making.out(), making));
        return committed_rows(found);
    }
    template <class = void> std::vector<CommittedOffset> committed(Span<const TopicPartition> partitions, Timeout timeout) const {
        return try_committed(partitions, timeout).value();
    }

    /// Returns this consumer's membership, for a producer's transaction.
    template <class = void> Result<Membership> try_membership() const {
        using Own = detail::Handle<ottla_membership, ottla_membership_free>;
        detail::CaughtHandle<Own> making;
        auto handle = making.made(ottla_consumer_membership(get(), making.out(), making));
        if (!handle) {
            return handle.error();
        }
        ottla_group_metadata raw_own{};
        detail::Caught caught;
        auto own = caught.after(ottla_membership_get(handle->get(), &raw_own, caught), raw_own);
        if (!own) {
            return own.error();
        }
        return Membership{own->group_id, own->generation, own->member_id ? own->member_id : "",
                          own->instance_id ? std::optional<std::string>(own->instance_id) : std::nullopt};
    }
    template <class = void> Membership membership() const { return try_membership().value(); }

    /// Moves the position of an assigned partition.
    Result<void> try_seek(const Text &topic, std::int32_t partition, Start start) const {
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_consumer_seek(get(), name, partition, start.kind(), start.value(), error));
    }
    void seek(const Text &topic, std::int32_t partition, Start start) const {
        try_seek(topic, partition, start).value();
    }

    /// Stops fetching and returning records of these partitions until they are resumed; records already fetched are
    /// kept.
    template <class = void> Result<void> try_pause(Span<const TopicPartition> partitions) const {
        detail::Texts texts;
        const auto raw = views(partitions, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_consumer_pause(get(), raw.data(), raw.size(), error));
    }
    template <class = void> void pause(Span<const TopicPartition> partitions) const { try_pause(partitions).value(); }

    /// Resumes paused partitions.
    template <class = void> Result<void> try_resume(Span<const TopicPartition> partitions) const {
        detail::Texts texts;
        const auto raw = views(partitions, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_consumer_resume(get(), raw.data(), raw.size(), error));
    }
    template <class = void> void resume(Span<const TopicPartition> partitions) const { try_resume(partitions).value(); }

    /// Returns the offset after the last record that counts as read: records of the latest batch count as read when
    /// the next poll is made. Empty if unknown.
    Result<std::optional<std::int64_t>> try_position(const Text &topic, std::int32_t partition) const {
        return offset_or_nothing(topic, partition, ottla_consumer_position);
    }
    std::optional<std::int64_t> position(const Text &topic, std::int32_t partition) const {
        return try_position(topic, partition).value();
    }

    /// Returns the number of offsets between the position and the end of the readable log, as last reported by the
    /// brokers; empty if unknown.
    Result<std::optional<std::int64_t>> try_lag(const Text &topic, std::int32_t partition) const {
        return offset_or_nothing(topic, partition, ottla_consumer_lag);
    }
    std::optional<std::int64_t> lag(const Text &topic, std::int32_t partition) const {
        return try_lag(topic, partition).value();
    }

    /// Returns the oldest offset of each of these partitions, in order.
    template <class = void> Result<std::vector<std::int64_t>> try_beginning_offsets(Span<const TopicPartition> partitions, Timeout timeout) const {
        return offsets(partitions, timeout, ottla_consumer_beginning_offsets);
    }
    template <class = void> std::vector<std::int64_t> beginning_offsets(Span<const TopicPartition> partitions, Timeout timeout) const {
        return try_beginning_offsets(partitions, timeout).value();
    }

    /// Returns the offset that the next record of each partition will get.
    template <class = void> Result<std::vector<std::int64_t>> try_end_offsets(Span<const TopicPartition> partitions, Timeout timeout) const {
        return offsets(partitions, timeout, ottla_consumer_end_offsets);
    }
    template <class = void> std::vector<std::int64_t> end_offsets(Span<const TopicPartition> partitions, Timeout timeout) const {
        return try_end_offsets(partitions, timeout).value();
    }

    /// Returns for each partition the offset of the first record at or after a time (milliseconds since 1970); -1 if
    /// there is none.
    template <class = void> Result<std::vector<std::int64_t>> try_offsets_for_times(Span<const TopicPartition> partitions,
                                                            Span<const std::int64_t> times, Timeout timeout) const {
        if (times.size() != partitions.size()) {
            return Error(OTTLA_ERR_INVALID_ARGUMENT, "offsets for times: " + std::to_string(partitions.size()) +
                                                         " partitions, but " + std::to_string(times.size()) + " times");
        }
        return offsets(partitions, timeout,
                       [&](auto *consumer, const ottla_topic_partition *raw, std::size_t count, std::int64_t ms,
                           std::int64_t *out, ottla_error **error) {
                           return ottla_consumer_offsets_for_times(consumer, raw, times.data(), count, ms, out, error);
                       });
    }
    template <class = void> std::vector<std::int64_t> offsets_for_times(Span<const TopicPartition> partitions, Span<const std::int64_t> times,
                                                Timeout timeout) const {
        return try_offsets_for_times(partitions, times, timeout).value();
    }

    /// Returns the number of partitions of a topic.
    Result<std::int32_t> try_partition_count(const Text &topic, Timeout timeout) const {
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        std::int32_t out{};
        detail::Caught error;
        return error.after(ottla_consumer_partition_count(get(), name, timeout.ms(), &out, error), out);
    }
    std::int32_t partition_count(const Text &topic, Timeout timeout) const {
        return try_partition_count(topic, timeout).value();
    }

    /// Waits for records or an event and returns as soon as there are any; empty if the timeout ends. At most
    /// `max_records` records; 0: `max.poll.records`.
    template <class = void> Result<Polled> try_poll(std::size_t max_records, Timeout timeout) {
        const auto start = std::chrono::steady_clock::now();
        for (;;) {
            auto polled = poll_once(max_records, timeout.left_since(start));
            if (!polled || !polled->event()) {
                return polled;
            }
            if (assignor_ && polled->event()->kind() == EventKind::assignment_wanted) {
                auto assigned = assign(*polled->event());
                if (!assigned) {
                    return assigned.error();
                }
            } else if (!rebalanced(*polled->event())) {
                return polled;
            }
        }
    }
    template <class = void> Polled poll(std::size_t max_records, Timeout timeout) { return try_poll(max_records, timeout).value(); }

    /// Ends a `poll` that waits in another thread, or the next one that has to wait, with `OTTLA_ERR_WOKEN`.
    Result<void> try_wake() const {
        detail::Caught error;
        return error.after(ottla_consumer_wake(get(), error));
    }
    void wake() const { try_wake().value(); }

    /// Returns a file descriptor (on Windows a SOCKET) that is readable while a poll would return something: for
    /// epoll, Asio and the like. It belongs to the consumer: only wait on it.
    Result<std::intptr_t> try_descriptor() const {
        std::intptr_t out{};
        detail::Caught error;
        return error.after(ottla_consumer_descriptor(get(), &out, error), out);
    }
    std::intptr_t descriptor() const { return try_descriptor().value(); }

    /// Returns the bytes of buffers that are held by batches of this consumer.
    Result<std::size_t> try_held_bytes() const {
        std::size_t out{};
        detail::Caught error;
        return error.after(ottla_consumer_held_bytes(get(), &out, error), out);
    }
    std::size_t held_bytes() const { return try_held_bytes().value(); }

    /// Returns the bytes fetched and not polled yet.
    Result<std::size_t> try_buffered_bytes() const {
        std::size_t out{};
        detail::Caught error;
        return error.after(ottla_consumer_buffered_bytes(get(), &out, error), out);
    }
    std::size_t buffered_bytes() const { return try_buffered_bytes().value(); }

    /// Returns the figures of the client, of each broker and of each assigned partition.
    template <class = void> Result<Stats> try_stats(Timeout timeout) const {
        detail::CaughtHandle<Stats::Handle> making;
        return detail::stats(making.made(ottla_consumer_stats(get(), timeout.ms(), making.out(), making)));
    }
    template <class = void> Stats stats(Timeout timeout) const { return try_stats(timeout).value(); }
    /// Returns the oldest figures recorded by the timer (`statistics.interval.ms`) that have not been taken.
    template <class = void> Result<std::optional<Stats>> try_next_stats() const {
        detail::CaughtHandle<Stats::Handle> making;
        return detail::next_stats(making.made(ottla_consumer_next_stats(get(), making.out(), making)));
    }
    template <class = void> std::optional<Stats> next_stats() const { return try_next_stats().value(); }

    /// Takes up to `max` log lines.
    template <class = void> Result<std::vector<LogLine>> try_logs(std::size_t max = 1000) const {
        detail::CaughtHandle<detail::LogLines> making;
        return detail::log_lines(making.made(ottla_consumer_logs(get(), max, making.out(), making)));
    }
    template <class = void> std::vector<LogLine> logs(std::size_t max = 1000) const { return try_logs(max).value(); }

    /// Closes the consumer and wakes all waiting calls.
    Result<void> try_close(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_consumer_close(get(), timeout.ms(), error));
    }
    void close(Timeout timeout) const { try_close(timeout).value(); }

    /// Begins `connect` without waiting; see `Answer`.
    Result<void> try_connect_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_consumer_connect_async(get(), timeout.ms(), token, error));
    }
    void connect_async(Timeout timeout, std::uint64_t token) const { try_connect_async(timeout, token).value(); }
    /// Begins `unsubscribe` without waiting; see `Answer`.
    Result<void> try_unsubscribe_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_consumer_unsubscribe_async(get(), timeout.ms(), token, error));
    }
    void unsubscribe_async(Timeout timeout, std::uint64_t token) const { try_unsubscribe_async(timeout, token).value(); }
    /// Begins `stats` without waiting; see `Answer`.
    Result<void> try_stats_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_consumer_stats_async(get(), timeout.ms(), token, error));
    }
    void stats_async(Timeout timeout, std::uint64_t token) const { try_stats_async(timeout, token).value(); }
    /// Begins `close` without waiting; see `Answer`.
    Result<void> try_close_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_consumer_close_async(get(), timeout.ms(), token, error));
    }
    void close_async(Timeout timeout, std::uint64_t token) const { try_close_async(timeout, token).value(); }
    /// Begins `beginning_offsets` without waiting; see `Answer`.
    template <class = void> Result<void> try_beginning_offsets_async(Span<const TopicPartition> partitions, Timeout timeout, std::uint64_t token) const {
        detail::Texts texts;
        const auto raw = views(partitions, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_consumer_beginning_offsets_async(get(), raw.data(), raw.size(), timeout.ms(), token, error));
    }
    template <class = void> void beginning_offsets_async(Span<const TopicPartition> partitions, Timeout timeout, std::uint64_t token) const { try_beginning_offsets_async(partitions, timeout, token).value(); }
    /// Begins `end_offsets` without waiting; see `Answer`.
    template <class = void> Result<void> try_end_offsets_async(Span<const TopicPartition> partitions, Timeout timeout, std::uint64_t token) const {
        detail::Texts texts;
        const auto raw = views(partitions, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_consumer_end_offsets_async(get(), raw.data(), raw.size(), timeout.ms(), token, error));
    }
    template <class = void> void end_offsets_async(Span<const TopicPartition> partitions, Timeout timeout, std::uint64_t token) const { try_end_offsets_async(partitions, timeout, token).value(); }
    /// Begins `committed` without waiting; see `Answer`.
    template <class = void> Result<void> try_committed_async(Span<const TopicPartition> partitions, Timeout timeout, std::uint64_t token) const {
        detail::Texts texts;
        const auto raw = views(partitions, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_consumer_committed_async(get(), raw.data(), raw.size(), timeout.ms(), token, error));
    }
    template <class = void> void committed_async(Span<const TopicPartition> partitions, Timeout timeout, std::uint64_t token) const { try_committed_async(partitions, timeout, token).value(); }
    /// Begins `offsets_for_times` without waiting; see `Answer`.
    template <class = void> Result<void> try_offsets_for_times_async(Span<const TopicPartition> partitions, Span<const std::int64_t> times, Timeout timeout, std::uint64_t token) const {
        if (times.size() != partitions.size()) {
            return Error(OTTLA_ERR_INVALID_ARGUMENT, "offsets for times: " + std::to_string(partitions.size()) +
                                                         " partitions, but " + std::to_string(times.size()) + " times");
        }
        detail::Texts texts;
        const auto raw = views(partitions, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_consumer_offsets_for_times_async(get(), raw.data(), times.data(), raw.size(), timeout.ms(), token, error));
    }
    template <class = void> void offsets_for_times_async(Span<const TopicPartition> partitions, Span<const std::int64_t> times, Timeout timeout, std::uint64_t token) const { try_offsets_for_times_async(partitions, times, timeout, token).value(); }
    /// Begins `partition_count` without waiting; see `Answer`.
    Result<void> try_partition_count_async(const Text &topic, Timeout timeout, std::uint64_t token) const {
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_consumer_partition_count_async(get(), name, timeout.ms(), token, error));
    }
    void partition_count_async(const Text &topic, Timeout timeout, std::uint64_t token) const { try_partition_count_async(topic, timeout, token).value(); }
    /// Returns the next answer to an `_async` call, waiting for it; empty if the timeout ends.
    Result<std::optional<Answer>> try_next_answer(Timeout timeout) const {
        return detail::next_answer(get(), timeout, ottla_consumer_next_answer);
    }
    std::optional<Answer> next_answer(Timeout timeout) const { return try_next_answer(timeout).value(); }

    /// Returns the offsets of an answer to `committed_async`.
    template <class = void> static Result<std::vector<CommittedOffset>> try_committed_of(const Answer &answer) {
        detail::CaughtHandle<Found> making;
        return committed_rows(making.made(ottla_answer_committed(answer.get(), making.out(), making)));
    }
    template <class = void> static std::vector<CommittedOffset> committed_of(const Answer &answer) { return try_committed_of(answer).value(); }
    /// Returns the figures of an answer to `stats_async`.
    template <class = void> static Result<Stats> try_stats_of(const Answer &answer) {
        detail::CaughtHandle<Stats::Handle> making;
        return detail::stats(making.made(ottla_answer_stats(answer.get(), making.out(), making)));
    }
    template <class = void> static Stats stats_of(const Answer &answer) { return try_stats_of(answer).value(); }

    /// Returns the handle for the C API, which this object keeps owning.
    ottla_consumer *get() const noexcept { return handle_.get(); }

private:
    explicit Consumer(Handle handle) noexcept : handle_(std::move(handle)) {}

    Result<Polled> poll_once(std::size_t max_records, Timeout timeout) {
        return detail::polled([&](ottla_batch **batch, ottla_event **event, ottla_error **error) {
            return ottla_consumer_poll(get(), max_records, timeout.ms(), batch, event, error);
        });
    }

    /// Refuses an assignment that is not made, as an exception ends the poll.
    struct Refusal {
        const Consumer &consumer;
        const Event &event;
        bool made = false;
        ~Refusal() {
            if (!made) {
                detail::Caught caught;
                (void)caught.after(ottla_consumer_refuse_assignment(consumer.get(), event.get(), caught));
            }
        }
    };

    /// Shares the group out. That it has gone on meanwhile is no error of the poll's.
    template <class = void> Result<void> assign(const Event &event) const {
        const ottla_event *raw = event.get();
        std::vector<GroupMember> members;
        for (std::size_t i = 0; i < ottla_event_group_member_count(raw); i++) {
            ottla_group_member one{};
            if (ottla_event_group_member(raw, i, &one, nullptr) != 0) {
                continue;
            }
            GroupMember member;
            member.id = one.member_id;
            if (one.instance_id) {
                member.instance_id = one.instance_id;
            }
            if (one.rack) {
                member.rack = one.rack;
            }
            if (one.user_data.data) {
                member.user_data.emplace(reinterpret_cast<const char *>(one.user_data.data), one.user_data.len);
            }
            member.topics.assign(one.topics, one.topics + one.topic_count);
            for (std::size_t k = 0; k < one.owned_count; k++) {
                member.owned.push_back({one.owned[k].topic, one.owned[k].partition});
            }
            members.push_back(std::move(member));
        }
        std::map<std::string, std::int32_t> topics;
        for (std::size_t i = 0; i < ottla_event_group_topic_count(raw); i++) {
            const char *name = nullptr;
            std::int32_t partitions = 0;
            if (ottla_event_group_topic(raw, i, &name, &partitions, nullptr) == 0) {
                topics.emplace(name, partitions);
            }
        }
        Refusal refusal{*this, event};
        const Assignor::Share share = assignor_(members, topics);
        detail::Texts texts;
        std::vector<ottla_group_share> rows;
        for (const auto &[id, partitions] : share) {
            for (const TopicPartition &p : partitions) {
                rows.push_back({texts.add(id), texts.add(p.topic), p.partition});
            }
        }
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught caught;
        auto assigned = caught.after(ottla_consumer_assign_group(get(), raw, rows.data(), rows.size(), caught));
        refusal.made = assigned || assigned.error().code() == OTTLA_ERR_REBALANCE_IN_PROGRESS;
        return refusal.made ? Result<void>() : assigned;
    }

    /// Calls the callback an event has, if it has one.
    template <class = void> bool rebalanced(const Event &event) const {
        const Rebalance::Callback *callback = nullptr;
        switch (event.kind()) {
        case EventKind::partitions_assigned: callback = &rebalance_.assigned; break;
        case EventKind::partitions_revoked: callback = &rebalance_.revoked; break;
        case EventKind::partitions_lost: callback = &rebalance_.lost; break;
        default: break;
        }
        if (!callback || !*callback) {
            return false;
        }
        (*callback)(event.partitions());
        return true;
    }

    /// Offsets as C takes them, and the strings they point to.
    struct Offsets {
        template <class = void> explicit Offsets(Span<const OffsetToCommit> offsets) {
            rows.reserve(offsets.size());
            for (const OffsetToCommit &own : offsets) {
                rows.push_back({texts.copy(own.topic), own.partition, own.offset, own.leader_epoch, texts.copy(own.metadata)});
            }
        }

        detail::Texts texts;
        std::vector<ottla_offset_to_commit> rows;
    };

    template <class = void> static std::vector<ottla_topic_partition> views(Span<const TopicPartition> partitions, detail::Texts &texts) {
        std::vector<ottla_topic_partition> raw;
        raw.reserve(partitions.size());
        for (const TopicPartition &p : partitions) {
            ottla_topic_partition one{};
            one.topic = texts.add(p.topic);
            one.partition = p.partition;
            raw.push_back(one);
        }
        return raw;
    }

    template <class F>
    Result<std::optional<std::int64_t>> offset_or_nothing(const Text &topic, std::int32_t partition, F function) const {
        using Maybe = Result<std::optional<std::int64_t>>;
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        std::int64_t raw_offset{};
        detail::Caught caught;
        auto offset = caught.after(function(get(), name, partition, &raw_offset, caught), raw_offset);
        if (!offset) {
            return offset.error();
        }
        return Maybe(*offset < 0 ? std::nullopt : std::optional<std::int64_t>(*offset));
    }

    template <class F>
    Result<std::vector<std::int64_t>> offsets(Span<const TopicPartition> partitions, Timeout timeout, F &&function) const {
        detail::Texts texts;
        const auto raw = views(partitions, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        std::vector<std::int64_t> all(raw.size());
        detail::Caught caught;
        auto got = caught.after(function(get(), raw.data(), raw.size(), timeout.ms(), all.data(), caught));
        if (!got) {
            return got.error();
        }
        return all;
    }

    template <class = void> static Result<std::vector<CommittedOffset>> committed_rows(const Result<Found> &found) {
        if (!found) {
            return found.error();
        }
        std::vector<CommittedOffset> all;
        for (std::size_t i = 0; i < ottla_offsets_count(found->get()); i++) {
            ottla_offset_to_commit raw_one{};
            detail::Caught caught;
            auto one = caught.after(ottla_offsets_get(found->get(), i, &raw_one, caught), raw_one);
            if (!one) {
                return one.error();
            }
            all.push_back({one->topic, one->partition, one->offset, one->leader_epoch, one->metadata});
        }
        return all;
    }

    Handle handle_;
    Rebalance rebalance_;
    Assignor::Assign assignor_;
};

} // namespace ottla

#endif
