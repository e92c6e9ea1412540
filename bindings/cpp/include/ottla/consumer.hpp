// Part of <ottla.hpp>: Consumer.
#ifndef OTTLA_CONSUMER_HPP
#define OTTLA_CONSUMER_HPP

#include "batch.hpp"
#include "config.hpp"
#include "stats.hpp"

#include <functional>
#include <map>

namespace ottla {

/// Where in a partition to read from.
class Start {
public:
    /// Where `auto.offset.reset` says.
    static Start reset() noexcept { return {OTTLA_START_RESET, 0}; }
    /// The first record there is.
    static Start earliest() noexcept { return {OTTLA_START_EARLIEST, 0}; }
    /// What is written from now on.
    static Start latest() noexcept { return {OTTLA_START_LATEST, 0}; }
    static Start offset(std::int64_t offset) noexcept { return {OTTLA_START_OFFSET, offset}; }
    /// The first record of this moment or later.
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

/// A partition to read, and where from.
struct Assignment {
    std::string topic;
    std::int32_t partition;
    Start start = Start::reset();
};

/// An offset that was committed: that of the next record to read.
struct CommittedOffset {
    std::string topic;
    std::int32_t partition;
    /// -1 where nothing is committed.
    std::int64_t offset;
    /// Leader epoch of the record before it, or -1.
    std::int32_t leader_epoch;
    /// What was kept with it.
    std::string metadata;
};

/// A consumer's membership as it was when it was asked for; a producer takes it as `GroupMetadata`.
struct Membership {
    std::string group_id;
    /// The generation, or the member's epoch; -1 outside of a membership.
    std::int32_t generation = -1;
    std::string member_id;
    /// `group.instance.id` of a static member.
    std::optional<std::string> instance_id;

    /// Views this object, which has to outlive it.
    operator GroupMetadata() const {
        return {group_id, generation, member_id,
                instance_id ? std::optional<Text>(*instance_id) : std::optional<Text>()};
    }
};

/// What to do when a group's partitions change hands. Called from inside `poll`, on its thread; a poll that has called
/// one goes on waiting. Each may be empty: then the poll gives the event instead.
struct Rebalance {
    using Callback = std::function<void(const std::vector<TopicPartition> &)>;
    /// Partitions are this member's now; a seek here comes before any record of them.
    Callback assigned;
    /// Partitions will be gone when this returns: the last moment to commit what was read of them.
    Callback revoked;
    /// Partitions are gone already.
    Callback lost;
};

/// A member of a group, as its leader sees it.
struct GroupMember {
    std::string id;
    std::optional<std::string> instance_id;
    std::vector<std::string> topics;
    std::vector<TopicPartition> owned;
    std::optional<std::string> user_data;
    std::optional<std::string> rack;
};

/// How a group's leader shares partitions out (classic groups): set before subscribing, in every member.
struct Assignor {
    /// Partitions by member id; members that are not named get nothing. `topics`: how many partitions each has.
    using Share = std::map<std::string, std::vector<TopicPartition>>;
    using Assign = std::function<Share(const std::vector<GroupMember> &members,
                                       const std::map<std::string, std::int32_t> &topics)>;
    std::string name;
    /// Called from inside `poll` of the leader. An exception ends that poll, and the group is asked for again.
    Assign assign;
    /// What this member tells the leader besides.
    std::optional<std::string> user_data = std::nullopt;
    /// Members keep reading what they keep through a rebalance (KIP-429).
    bool cooperative = false;
};

/// Reads partitions of one's choice or, as a member of a group, its share of topics, fetching in the background.
///
/// `poll` is for one thread at a time (a second one is answered `OTTLA_ERR_IN_USE`); everything else, `const`, may be
/// called from other threads meanwhile. Move and destroy it once those calls have returned. Batches outlive it.
///
///     ottla::Consumer consumer{{{"bootstrap.servers", "localhost:9092"}}};
///     consumer.assign_topic("greetings", ottla::Start::earliest());
///     while (auto polled = consumer.poll(10'000, 1s)) {
///         if (auto *batch = polled.batch())
///             for (auto record : *batch) use(record.offset(), *record.value());
///     }
///
/// Functions throw `Error`; their twins `try_…` return it instead.
class Consumer {
public:
    using Handle = detail::Handle<ottla_consumer, ottla_consumer_free>;

    /// Checks the settings; connects to nobody yet.
    explicit Consumer(const Config &config) : Consumer(open(config).value()) {}
    /// The same without exceptions.
    static Result<Consumer> open(const Config &config) {
        auto handle = detail::open<Handle>(config, ottla_consumer_new);
        if (!handle) {
            return handle.error();
        }
        return Consumer(*std::move(handle));
    }

    /// Connects to a bootstrap broker; an error tells for each of them at which stage it failed, and why. Optional:
    /// everything connects by itself when it has to.
    Result<void> try_connect(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_consumer_connect(get(), timeout.ms(), error));
    }
    void connect(Timeout timeout) const { try_connect(timeout).value(); }

    /// Reads these partitions from now on and no others. One that was read before goes on where it is: its start is not
    /// looked at.
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

    /// Reads all partitions of a topic beside what is read already, also those it gets later (from their beginnings;
    /// an event tells). The start is not an offset.
    Result<void> try_assign_topic(const Text &topic, Start start = Start::reset()) const {
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_consumer_assign_topic(get(), name, start.kind(), start.value(), error));
    }
    void assign_topic(const Text &topic, Start start = Start::reset()) const { try_assign_topic(topic, start).value(); }

    /// Reads nothing from now on.
    Result<void> try_unassign() const {
        detail::Caught error;
        return error.after(ottla_consumer_unassign(get(), error));
    }
    void unassign() const { try_unassign().value(); }

    /// The partitions being read.
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

    /// Becomes a member of the group `group.id` and reads what it assigns of these topics, also those made later. Replaces
    /// an earlier subscription. Polls tell of changes, or the callbacks if there are any.
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

    /// The same for every topic whose whole name matches a regular expression (RE2's syntax).
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

    /// Gives the consumer an assignor of its own, the favourite among those of `partition.assignment.strategy`. Before
    /// subscribing; groups are joined by the classic protocol then.
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

    /// Leaves the group at once: commits what counts as read (`enable.auto.commit`), delivers nothing more.
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

    /// What lies before `offset` counts as read, though the next batch is not asked for.
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

    /// Commits offsets for the group and waits until that is done. `OTTLA_ERR_PARTITION_REVOKED` if this is a member and a
    /// partition not its own.
    template <class = void> Result<void> try_commit(Span<const OffsetToCommit> offsets, Timeout timeout) const {
        const Offsets raw(offsets);
        if (raw.texts.wrong()) {
            return *raw.texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_consumer_commit(get(), raw.rows.data(), raw.rows.size(), timeout.ms(), error));
    }
    template <class = void> void commit(Span<const OffsetToCommit> offsets, Timeout timeout) const { try_commit(offsets, timeout).value(); }

    /// The same in the background; an event `offsets_committed` with the token given tells how it ended.
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

    /// Commits everything that was polled, the last batch too.
    Result<void> try_commit_polled(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_consumer_commit_polled(get(), timeout.ms(), error));
    }
    void commit_polled(Timeout timeout) const { try_commit_polled(timeout).value(); }

    /// Commits the end of a batch.
    Result<void> try_commit_batch(const Batch &batch, Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_consumer_commit_batch(get(), batch.get(), timeout.ms(), error));
    }
    void commit_batch(const Batch &batch, Timeout timeout) const { try_commit_batch(batch, timeout).value(); }

    /// Commits the end of a batch in the background, as `commit_async`.
    Result<std::uint64_t> try_commit_batch_async(const Batch &batch) const {
        std::uint64_t out{};
        detail::Caught error;
        return error.after(ottla_consumer_commit_batch_async(get(), batch.get(), &out, error), out);
    }
    std::uint64_t commit_batch_async(const Batch &batch) const { return try_commit_batch_async(batch).value(); }

    /// What the group has committed of each of these partitions, in their order; offset -1 where nothing is.
    template <class = void> Result<std::vector<CommittedOffset>> try_committed(Span<const TopicPartition> partitions, Timeout timeout) const {
        using Found = detail::Handle<ottla_offsets, ottla_offsets_free>;
        detail::Texts texts;
        const auto raw = views(partitions, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::CaughtHandle<Found> making;
        auto found = making.made(ottla_consumer_committed(get(), raw.data(), raw.size(), timeout.ms(), making.out(), making));
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
    template <class = void> std::vector<CommittedOffset> committed(Span<const TopicPartition> partitions, Timeout timeout) const {
        return try_committed(partitions, timeout).value();
    }

    /// This consumer's place in its group, for a producer's transaction.
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

    /// Goes on reading an assigned partition from elsewhere.
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

    /// Fetches and delivers nothing of these partitions until they are resumed; what was fetched is kept.
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

    /// Takes `pause` back.
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

    /// The offset after the last record that counts as read: those of the last batch do once the next is asked for.
    /// Nothing while it isn't known yet.
    Result<std::optional<std::int64_t>> try_position(const Text &topic, std::int32_t partition) const {
        return offset_or_nothing(topic, partition, ottla_consumer_position);
    }
    std::optional<std::int64_t> position(const Text &topic, std::int32_t partition) const {
        return try_position(topic, partition).value();
    }

    /// How many offsets the position is behind the end of what can be read, as far as the brokers have told; nothing
    /// before they have.
    Result<std::optional<std::int64_t>> try_lag(const Text &topic, std::int32_t partition) const {
        return offset_or_nothing(topic, partition, ottla_consumer_lag);
    }
    std::optional<std::int64_t> lag(const Text &topic, std::int32_t partition) const {
        return try_lag(topic, partition).value();
    }

    /// The first offset of each of these partitions, in their order.
    template <class = void> Result<std::vector<std::int64_t>> try_beginning_offsets(Span<const TopicPartition> partitions, Timeout timeout) const {
        return offsets(partitions, timeout, ottla_consumer_beginning_offsets);
    }
    template <class = void> std::vector<std::int64_t> beginning_offsets(Span<const TopicPartition> partitions, Timeout timeout) const {
        return try_beginning_offsets(partitions, timeout).value();
    }

    /// The offset that the next record of each will get.
    template <class = void> Result<std::vector<std::int64_t>> try_end_offsets(Span<const TopicPartition> partitions, Timeout timeout) const {
        return offsets(partitions, timeout, ottla_consumer_end_offsets);
    }
    template <class = void> std::vector<std::int64_t> end_offsets(Span<const TopicPartition> partitions, Timeout timeout) const {
        return try_end_offsets(partitions, timeout).value();
    }

    /// The offset of the first record at or after a time (milliseconds since 1970) for each; -1 where there is none.
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

    /// How many partitions a topic has.
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

    /// Waits for records or an event and returns as soon as there are any; nothing if the time is over. At most
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

    /// A file descriptor (on Windows a SOCKET) that is readable while a poll would bring something: for epoll, Asio
    /// and the like. It belongs to the consumer; only poll it.
    Result<std::intptr_t> try_descriptor() const {
        std::intptr_t out{};
        detail::Caught error;
        return error.after(ottla_consumer_descriptor(get(), &out, error), out);
    }
    std::intptr_t descriptor() const { return try_descriptor().value(); }

    /// Bytes of buffers that batches of this consumer, not yet freed, keep alive.
    Result<std::size_t> try_held_bytes() const {
        std::size_t out{};
        detail::Caught error;
        return error.after(ottla_consumer_held_bytes(get(), &out, error), out);
    }
    std::size_t held_bytes() const { return try_held_bytes().value(); }

    /// Bytes fetched and not yet polled.
    Result<std::size_t> try_buffered_bytes() const {
        std::size_t out{};
        detail::Caught error;
        return error.after(ottla_consumer_buffered_bytes(get(), &out, error), out);
    }
    std::size_t buffered_bytes() const { return try_buffered_bytes().value(); }

    /// Its figures: of itself, of each broker, of each assigned partition.
    template <class = void> Result<Stats> try_stats(Timeout timeout) const {
        detail::CaughtHandle<Stats::Handle> making;
        return detail::stats(making.made(ottla_consumer_stats(get(), timeout.ms(), making.out(), making)));
    }
    template <class = void> Stats stats(Timeout timeout) const { return try_stats(timeout).value(); }
    /// The oldest figures that the timer (`statistics.interval.ms`) has made and that were not taken yet.
    template <class = void> Result<std::optional<Stats>> try_next_stats() const {
        detail::CaughtHandle<Stats::Handle> making;
        return detail::next_stats(making.made(ottla_consumer_next_stats(get(), making.out(), making)));
    }
    template <class = void> std::optional<Stats> next_stats() const { return try_next_stats().value(); }

    /// Drains up to `max` lines of its log.
    template <class = void> Result<std::vector<LogLine>> try_logs(std::size_t max = 1000) const {
        detail::CaughtHandle<detail::LogLines> making;
        return detail::log_lines(making.made(ottla_consumer_logs(get(), max, making.out(), making)));
    }
    template <class = void> std::vector<LogLine> logs(std::size_t max = 1000) const { return try_logs(max).value(); }

    /// Stops fetching and wakes whoever waits.
    Result<void> try_close(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_consumer_close(get(), timeout.ms(), error));
    }
    void close(Timeout timeout) const { try_close(timeout).value(); }

    /// The handle for the C API; it stays this object's.
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
        using Answer = Result<std::optional<std::int64_t>>;
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
        return Answer(*offset < 0 ? std::nullopt : std::optional<std::int64_t>(*offset));
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

    Handle handle_;
    Rebalance rebalance_;
    Assignor::Assign assignor_;
};

} // namespace ottla

#endif
