// Part of <ottla.hpp>: answers to calls that don't wait.
#ifndef OTTLA_ANSWER_HPP
#define OTTLA_ANSWER_HPP

#include "types.hpp"

namespace ottla {

/// The answer to a call that was begun with a token: every function that waits has a form that doesn't, the same name with
/// `_async`. It takes a token of the caller's choice and returns at once; the answer comes from the client's `next_answer`,
/// and the client's descriptor is readable while one is available.
///
///     const std::vector<ottla::TopicPartition> partitions{{"orders", 0}, {"orders", 1}};
///     consumer.end_offsets_async(partitions, 10s, 7);
///     const auto answer = consumer.next_answer(10s);    // or with 0ms, when the descriptor is readable
///     if (answer && answer->token() == 7 && !answer->error())
///         ends.assign(answer->offsets().begin(), answer->offsets().end());
///
/// What other calls return is read by the client: `Consumer::committed_of`, `Consumer::stats_of`, `Producer::stats_of`,
/// `Admin::topic_results_of`, `Admin::topics_of`, `Admin::descriptions_of`, `Admin::cluster_of`.
class Answer {
public:
    using Handle = detail::Handle<ottla_answer, ottla_answer_free>;

    explicit Answer(Handle handle) noexcept : handle_(std::move(handle)) {}

    /// Returns the token that was given to the call.
    std::uint64_t token() const noexcept { return ottla_answer_token(get()); }
    /// Returns what was asked for, in a few words.
    std::string_view doing() const noexcept { return ottla_answer_doing(get()); }
    /// Returns why the call failed; empty on success.
    std::optional<Error> error() const {
        const ottla_error *error = ottla_answer_error(get());
        return error ? std::optional<Error>(Error::copy(error)) : std::nullopt;
    }
    /// Returns the number of offsets, or of partitions for `partition_count_async`.
    std::size_t count() const noexcept { return ottla_answer_count(get()); }
    /// Returns the offsets that were asked for, in order; -1 where there is none. A view into the answer.
    Span<const std::int64_t> offsets() const noexcept { return column(ottla_answer_offsets(get())); }
    /// Returns the timestamps that belong to the offsets of `offsets_for_times_async`. A view into the answer.
    Span<const std::int64_t> timestamps() const noexcept { return column(ottla_answer_timestamps(get())); }

    /// Returns the handle for the C API, which this object keeps owning.
    ottla_answer *get() const noexcept { return handle_.get(); }

private:
    Span<const std::int64_t> column(const std::int64_t *first) const noexcept {
        return first ? Span<const std::int64_t>(first, count()) : Span<const std::int64_t>();
    }

    Handle handle_;
};

namespace detail {

/// The next answer from a client's mailbox; empty if none came in time.
template <class Client, class F> Result<std::optional<Answer>> next_answer(Client *client, Timeout timeout, F function) {
    CaughtHandle<Answer::Handle> making;
    auto handle = making.made(function(client, timeout.ms(), making.out(), making));
    if (!handle) {
        return handle.error();
    }
    return *handle ? std::optional<Answer>(Answer(*std::move(handle))) : std::nullopt;
}

} // namespace detail

} // namespace ottla

#endif
