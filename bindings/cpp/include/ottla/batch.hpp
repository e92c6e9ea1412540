// Part of <ottla.hpp>: what a poll returns: batches of records, read in place, and events.
#ifndef OTTLA_BATCH_HPP
#define OTTLA_BATCH_HPP

#include "types.hpp"

#include <iterator>

namespace ottla {

/// The headers of a record, in order; names may repeat. Names and values are views into the batch.
class Headers {
public:
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const Header &operator[](std::size_t i) const noexcept { return data()[i]; }
    const Header *begin() const noexcept { return data(); }
    const Header *end() const noexcept { return data() + size_; }
    /// Returns the last header with this name, like Kafka's `lastHeader`; empty if there is none.
    std::optional<Bytes> last(std::string_view name) const noexcept {
        for (std::size_t i = size_; i > 0; i--) {
            if ((*this)[i - 1].name() == name) {
                return (*this)[i - 1].value();
            }
        }
        return std::nullopt;
    }

private:
    friend class RecordView;
    const Header *data() const noexcept { return size_ <= few_.size() ? few_.data() : many_.data(); }

    std::array<Header, 8> few_;
    std::vector<Header> many_;
    detail::Emptied<std::size_t> size_;
};

class RecordView;

/// The rows of a batch that come from one partition, as columns. A view into its batch.
class Segment {
public:
    const char *topic() const noexcept { return raw_.topic; }
    std::int32_t partition() const noexcept { return raw_.partition; }
    /// The leader epoch in which the rows were written; -1 if unknown.
    std::int32_t leader_epoch() const noexcept { return raw_.leader_epoch; }
    /// Whether the broker set the timestamps (`LogAppendTime`), not the producer.
    bool append_time() const noexcept { return raw_.timestamp_type == OTTLA_TIMESTAMP_APPEND; }
    std::size_t rows() const noexcept { return raw_.rows; }
    /// The row in the batch of this segment's row 0.
    std::size_t first_row() const noexcept { return raw_.first_row; }
    Span<const std::int64_t> offsets() const noexcept { return {raw_.offsets, raw_.rows}; }
    /// Milliseconds since 1970.
    Span<const std::int64_t> timestamps() const noexcept { return {raw_.timestamps, raw_.rows}; }
    Bytes key(std::size_t i) const noexcept { return bytes(raw_.key_start[i], raw_.key_len[i]); }
    Bytes value(std::size_t i) const noexcept { return bytes(raw_.value_start[i], raw_.value_len[i]); }
    inline RecordView operator[](std::size_t i) const noexcept;
    /// The raw columns: positions and lengths of keys and values in one buffer.
    const ottla_segment &raw() const noexcept { return raw_; }

private:
    friend class Batch;
    friend class RecordView;

    Bytes bytes(std::uint32_t start, std::int32_t length) const noexcept {
        return length < 0 ? Bytes() : Bytes(raw_.base + start, static_cast<std::size_t>(length));
    }

    ottla_segment raw_{};
    const ottla_batch *batch_ = nullptr;
};

/// A record: a view into its batch, valid as long as the batch. Two words; cheap to copy.
class RecordView {
public:
    RecordView(const Segment *segment, std::size_t i) noexcept : segment_(segment), i_(i) {}

    const char *topic() const noexcept { return segment_->raw_.topic; }
    std::int32_t partition() const noexcept { return segment_->raw_.partition; }
    std::int64_t offset() const noexcept { return segment_->raw_.offsets[i_]; }
    /// Milliseconds since 1970; -1 if the record has none.
    std::int64_t timestamp() const noexcept { return segment_->raw_.timestamps[i_]; }
    std::chrono::system_clock::time_point time() const noexcept {
        return std::chrono::system_clock::time_point(std::chrono::milliseconds(timestamp()));
    }
    Bytes key() const noexcept { return segment_->key(i_); }
    /// Null marks a deleted key in a compacted topic.
    Bytes value() const noexcept { return segment_->value(i_); }
    std::int32_t header_count() const noexcept {
        return segment_->raw_.header_count ? segment_->raw_.header_count[i_] : 0;
    }
    /// Returns the headers; one call into the library, none if there are no headers.
    Result<Headers> try_headers() const {
        Headers headers;
        headers.size_ = static_cast<std::size_t>(header_count());
        if (headers.size_ == 0) {
            return headers;
        }
        Header *to = headers.few_.data();
        if (headers.size_ > headers.few_.size()) {
            headers.many_.resize(headers.size_);
            to = headers.many_.data();
        }
        std::size_t count = 0;
        detail::Caught caught;
        auto read = caught.after(ottla_batch_headers(segment_->batch_, row(), reinterpret_cast<ottla_header *>(to), headers.size_,
                                       &count, caught));
        if (!read) {
            return read.error();
        }
        return headers;
    }
    Headers headers() const { return try_headers().value(); }
    /// The row of this record in the batch.
    std::size_t row() const noexcept { return segment_->raw_.first_row + i_; }

private:
    const Segment *segment_;
    std::size_t i_;
};

inline RecordView Segment::operator[](std::size_t i) const noexcept { return {this, i}; }

/// Records of one or more partitions, in offset order within each partition, as views into the receive buffers.
///
/// It may be used from many threads at once and outlives its consumer. Everything it returns is valid as long as the
/// batch itself, even if that is moved. Its memory does not count towards the consumer's limit and has no limit (the
/// consumer's `held_bytes` reports how much it is): free it soon, or copy a small part of a large buffer with
/// `compact`.
///
///     for (ottla::RecordView record : batch) use(record.offset(), *record.value());
///     for (const ottla::Segment &segment : batch.segments()) use(segment.topic(), segment.offsets());
class Batch {
public:
    using Handle = detail::Handle<ottla_batch, ottla_batch_free>;

    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag; // C++17 wants references from more
        using iterator_concept = std::forward_iterator_tag;
        using value_type = RecordView;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = RecordView;

        Iterator() noexcept = default;
        Iterator(const Segment *segment, std::size_t i) noexcept : segment_(segment), i_(i) {}
        RecordView operator*() const noexcept { return {segment_, i_}; }
        Iterator &operator++() noexcept {
            if (++i_ == segment_->rows()) {
                ++segment_;
                i_ = 0;
            }
            return *this;
        }
        Iterator operator++(int) noexcept {
            Iterator before = *this;
            ++*this;
            return before;
        }
        friend bool operator==(Iterator a, Iterator b) noexcept { return a.segment_ == b.segment_ && a.i_ == b.i_; }
        friend bool operator!=(Iterator a, Iterator b) noexcept { return !(a == b); }

    private:
        const Segment *segment_ = nullptr;
        std::size_t i_ = 0;
    };

    /// Takes ownership of a batch of the C API.
    static Result<Batch> take(Handle handle) {
        Batch batch(std::move(handle));
        const std::size_t count = ottla_batch_segment_count(batch.get());
        batch.segments_.reserve(count);
        for (std::size_t i = 0; i < count; i++) {
            Segment segment;
            segment.batch_ = batch.get();
            detail::Caught caught;
            auto got = caught.after(ottla_batch_segment(batch.get(), i, &segment.raw_, caught));
            if (!got) {
                return got.error();
            }
            // Iterators step from row to row, so each segment needs one.
            if (segment.rows() > 0) {
                batch.segments_.push_back(segment);
            }
        }
        return batch;
    }

    /// The number of records.
    std::size_t rows() const noexcept { return rows_; }
    bool empty() const noexcept { return rows_ == 0; }
    Iterator begin() const noexcept { return {segments_.data(), 0}; }
    Iterator end() const noexcept { return {segments_.data() + segments_.size(), 0}; }
    Span<const Segment> segments() const noexcept { return segments_; }
    /// Returns the record in a row below `rows()`; to visit all of them, iterate.
    RecordView operator[](std::size_t row) const noexcept {
        std::size_t low = 0;
        for (std::size_t high = segments_.size(); high - low > 1;) {
            const std::size_t middle = low + (high - low) / 2;
            (segments_[middle].first_row() <= row ? low : high) = middle;
        }
        return segments_[low][row - segments_[low].first_row()];
    }
    /// The number of deliveries of each record, including this one, for batches of a share group; otherwise empty.
    Span<const std::int16_t> delivery_counts() const noexcept {
        const std::int16_t *counts = ottla_batch_delivery_counts(get());
        return {counts, counts ? rows() : 0};
    }
    /// The bytes of buffers that this batch keeps in use.
    std::size_t held_bytes() const noexcept { return ottla_batch_held_bytes(get()); }
    /// Returns a copy that holds only the bytes of its records.
    Result<Batch> try_compact() const {
        detail::CaughtHandle<Handle> making;
        auto handle = making.made(ottla_batch_compact(get(), making.out(), making));
        if (!handle) {
            return handle.error();
        }
        return take(*std::move(handle));
    }
    Batch compact() const { return try_compact().value(); }

    /// Returns the handle for the C API, which this object keeps owning.
    ottla_batch *get() const noexcept { return handle_.get(); }

private:
    friend class Polled;
    explicit Batch(Handle handle) : handle_(std::move(handle)), rows_(ottla_batch_rows(handle_.get())) {}

    Handle handle_;
    std::vector<Segment> segments_;
    detail::Emptied<std::size_t> rows_;
};

/// The kinds of events.
enum class EventKind : std::int32_t {
    /// The position of a partition was moved from `from` to `to`, because the log no longer holds the records there:
    /// this consumer has missed them.
    position_reset = OTTLA_EVENT_POSITION_RESET,
    /// A partition cannot be read any more: no records of it are returned until the program seeks or assigns it
    /// again.
    partition_stopped = OTTLA_EVENT_PARTITION_STOPPED,
    /// A partition cannot be read at present; the client keeps trying.
    partition_failing = OTTLA_EVENT_PARTITION_FAILING,
    /// A topic cannot be found or may not be read; the client keeps trying.
    topic_failing = OTTLA_EVENT_TOPIC_FAILING,
    /// A topic was deleted and created again: its offsets start over.
    topic_recreated = OTTLA_EVENT_TOPIC_RECREATED,
    /// A topic assigned as a whole has grown by the partitions from `from` to `to` (exclusive).
    partitions_added = OTTLA_EVENT_PARTITIONS_ADDED,
    /// A broker could not be reached for some time; the client keeps trying.
    broker_unreachable = OTTLA_EVENT_BROKER_UNREACHABLE,
    /// A background commit has ended, with `error` if it failed. `token` is the one that the call returned.
    offsets_committed = OTTLA_EVENT_OFFSETS_COMMITTED,
    /// `partitions` were assigned to this member; a seek made now takes effect before any of their records is
    /// returned.
    partitions_assigned = OTTLA_EVENT_PARTITIONS_ASSIGNED,
    /// `partitions` are being revoked, and none of their records are returned any more. They belong to this member
    /// until that is acknowledged (by the next poll): until then records that were read can be committed.
    partitions_revoked = OTTLA_EVENT_PARTITIONS_REVOKED,
    /// `partitions` no longer belong to this member; nothing can be committed for them.
    partitions_lost = OTTLA_EVENT_PARTITIONS_LOST,
    /// The group can't be joined at present, or its coordinator can't be reached, or positions can't be committed in
    /// the background; the client keeps trying.
    group_failing = OTTLA_EVENT_GROUP_FAILING,
    /// The membership has ended for good; subscribe again to rejoin.
    group_left = OTTLA_EVENT_GROUP_LEFT,
    /// Acknowledgements of a share group's records from `from` to `to` (exclusive) were not carried out, or may not
    /// have been; the records are delivered again.
    acknowledgement_failed = OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED,
    /// This member leads a group that uses the program's own assignor; `Consumer::poll` calls it.
    assignment_wanted = OTTLA_EVENT_ASSIGNMENT_WANTED,
};

/// An event. Outlives its consumer.
class Event {
public:
    using Handle = detail::Handle<ottla_event, ottla_event_free>;
    explicit Event(Handle handle) noexcept : handle_(std::move(handle)) {}

    EventKind kind() const noexcept { return static_cast<EventKind>(ottla_event_kind(handle_.get())); }
    /// What happened, and what to do about it.
    std::string_view message() const noexcept { return ottla_event_message(handle_.get()); }
    /// The error that caused it, if there is one.
    std::optional<Error> error() const {
        const ottla_error *error = ottla_event_error(handle_.get());
        return error ? std::optional<Error>(Error::copy(error)) : std::nullopt;
    }
    /// The topic, or empty if there is none.
    std::string_view topic() const noexcept { return ottla_event_topic(handle_.get()); }
    /// The partition, or -1 if there is none.
    std::int32_t partition() const noexcept { return ottla_event_partition(handle_.get()); }
    /// The position before the event, or -1.
    std::int64_t from() const noexcept { return ottla_event_from(handle_.get()); }
    /// The position after the event, or -1.
    std::int64_t to() const noexcept { return ottla_event_to(handle_.get()); }
    /// The token of the call that it is about, or 0.
    std::uint64_t token() const noexcept { return ottla_event_token(handle_.get()); }
    /// The partitions that were assigned, revoked or lost.
    template <class = void> std::vector<TopicPartition> partitions() const {
        std::vector<TopicPartition> all;
        for (std::size_t i = 0; i < ottla_event_partition_count(handle_.get()); i++) {
            ottla_topic_partition one{};
            if (ottla_event_partition_get(handle_.get(), i, &one, nullptr) == 0) {
                all.push_back({one.topic, one.partition});
            }
        }
        return all;
    }
    /// Returns the handle for the C API, which this object keeps owning.
    const ottla_event *get() const noexcept { return handle_.get(); }

private:
    Handle handle_;
};

/// The result of a poll: a batch, an event, or nothing if the timeout ended.
class Polled {
public:
    Polled() = default;
    Polled(Batch batch) noexcept : batch_(std::move(batch)) {}
    Polled(Event event) noexcept : event_(std::move(event)) {}

    /// Whether there is a batch or an event.
    explicit operator bool() const noexcept { return batch() || event(); }
    /// The batch, owned by this object (move from it to keep it), or NULL.
    Batch *batch() noexcept { return batch_.get() ? &batch_ : nullptr; }
    const Batch *batch() const noexcept { return batch_.get() ? &batch_ : nullptr; }
    /// The event, or NULL.
    Event *event() noexcept { return event_.get() ? &event_ : nullptr; }
    const Event *event() const noexcept { return event_.get() ? &event_ : nullptr; }

private:
    Batch batch_{Batch::Handle()};
    Event event_{Event::Handle()};
};

namespace detail {

/// The result of a poll of the C API.
template <class F> Result<Polled> polled(F &&poll) {
    ottla_batch *batch = nullptr;
    ottla_event *event = nullptr;
    ottla_error *error = nullptr;
    const ottla_status status = poll(&batch, &event, &error);
    if (status != 0) {
        return Error::take(status, error);
    }
    if (event) {
        return Polled(Event(Event::Handle(event)));
    }
    if (!batch) {
        return Polled();
    }
    auto taken = Batch::take(Batch::Handle(batch));
    if (!taken) {
        return taken.error();
    }
    return Polled(*std::move(taken));
}

} // namespace detail

} // namespace ottla

#endif
