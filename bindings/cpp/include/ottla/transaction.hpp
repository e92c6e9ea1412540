// Part of <ottla.hpp>: transactions of a producer.
#ifndef OTTLA_TRANSACTION_HPP
#define OTTLA_TRANSACTION_HPP

#include "producer.hpp"

namespace ottla {

/// A transaction with the lifetime of this object: begun by the constructor, committed by `commit`, otherwise aborted
/// by the destructor, also when an exception leaves its block.
///
///     producer.init_transactions(30s);                                        // once
///     while (const ottla::Polled polled = consumer.poll(1000, 1s)) {
///         const ottla::Batch *batch = polled.batch();
///         if (!batch) {
///             continue; // an event
///         }
///         ottla::Transaction transaction(producer);
///         for (const ottla::RecordView record : *batch) {
///             producer.send("out", work(record));
///         }
///         std::vector<ottla::OffsetToCommit> next;
///         for (const ottla::Segment &segment : batch->segments()) {
///             next.push_back({segment.topic(), segment.partition(), segment.offsets()[segment.rows() - 1] + 1});
///         }
///         producer.send_offsets(next, consumer.membership(), 30s);
///         transaction.commit();
///     }
///
/// The producer must outlive it. To be used by one thread.
class Transaction {
public:
    /// `limit` is the timeout of the abort in the destructor, and of `commit` without an argument.
    explicit Transaction(const Producer &producer, Timeout limit = std::chrono::seconds(60))
        : Transaction(begin(producer, limit).value()) {}
    /// The same without exceptions.
    static Result<Transaction> begin(const Producer &producer, Timeout limit = std::chrono::seconds(60)) {
        if (Result<void> begun = producer.try_begin_transaction(); !begun) {
            return begun.error();
        }
        return Transaction(&producer, limit);
    }
    Transaction(Transaction &&other) noexcept : producer_(std::exchange(other.producer_, nullptr)), limit_(other.limit_) {}
    Transaction &operator=(Transaction &&) = delete;
    ~Transaction() {
        if (producer_) {
            (void)try_abort();
        }
    }

    /// Commits everything sent since it began. An error with `needs_abort()` means that nothing was committed: the
    /// destructor aborts. With `retriable()`: the commit continues; call again.
    Result<void> try_commit() { return try_commit(limit_); }
    Result<void> try_commit(Timeout timeout) {
        if (!producer_) {
            return ended();
        }
        Result<void> committed = producer_->try_commit_transaction(timeout);
        if (committed || committed.error().fatal()) {
            producer_ = nullptr;
        }
        return committed;
    }
    void commit() { try_commit().value(); }
    void commit(Timeout timeout) { try_commit(timeout).value(); }

    /// Aborts it. An error with `fatal()` means that the producer can't continue.
    Result<void> try_abort() {
        if (!producer_) {
            return ended();
        }
        Result<void> aborted = producer_->try_abort_transaction(limit_);
        if (aborted || !aborted.error().retriable()) {
            producer_ = nullptr;
        }
        return aborted;
    }
    void abort() { try_abort().value(); }

private:
    Transaction(const Producer *producer, Timeout limit) noexcept : producer_(producer), limit_(limit) {}

    static Error ended() { return Error(OTTLA_ERR_INVALID_TXN_STATE, "this ottla::Transaction has ended already"); }

    /// NULL once it has ended.
    const Producer *producer_;
    Timeout limit_;
};

/// Runs `body` in a transaction: committed when it returns, aborted when it throws. Returns what `body` returns.
///
///     ottla::transact(producer, [&] { producer.send("out", "value"); });
///
/// Throws what `body` threw, or why the commit failed; the producer is then ready for another transaction, unless the
/// error is `fatal()`.
template <class F> auto transact(const Producer &producer, F &&body, Timeout limit = std::chrono::seconds(60)) {
    Transaction transaction(producer, limit);
    if constexpr (std::is_void_v<decltype(body())>) {
        std::forward<F>(body)();
        transaction.commit();
    } else {
        auto result = std::forward<F>(body)();
        transaction.commit();
        return result;
    }
}

/// The same without exceptions, for a `body` that returns a `Result<void>`.
template <class F>
Result<void> try_transact(const Producer &producer, F &&body, Timeout limit = std::chrono::seconds(60)) {
    Result<Transaction> transaction = Transaction::begin(producer, limit);
    if (!transaction) {
        return transaction.error();
    }
    if (Result<void> done = std::forward<F>(body)(); !done) {
        Result<void> aborted = transaction->try_abort();
        return !aborted && aborted.error().fatal() ? aborted : done;
    }
    return transaction->try_commit();
}

} // namespace ottla

#endif
