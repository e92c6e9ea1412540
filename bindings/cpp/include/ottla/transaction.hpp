// Part of <ottla.hpp>: transactions of a producer.
#ifndef OTTLA_TRANSACTION_HPP
#define OTTLA_TRANSACTION_HPP

#include "producer.hpp"

namespace ottla {

/// A transaction as long as this object lives: begun by its making, committed by `commit`, aborted by its end otherwise,
/// also when an exception leaves its block.
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
/// The producer must outlive it. One thread uses it.
class Transaction {
public:
    /// `limit` is how long the abort at its end may take, and `commit` where it is given none.
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

    /// Commits all that was sent since it began. An error with `needs_abort()` says that nothing of it was committed: the
    /// end of this object aborts it. One with `retriable()`: the commit goes on, and this can be called again.
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

    /// Aborts it. An error with `fatal()` says that the producer can't go on.
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

/// Runs `body` in a transaction: committed when it returns, aborted when it throws. Answers what `body` does.
///
///     ottla::transact(producer, [&] { producer.send("out", "value"); });
///
/// Throws what `body` threw, or why the commit was refused; the producer is ready for another transaction then, unless
/// the error is `fatal()`.
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

/// The same without exceptions, for a `body` that answers a `Result<void>`.
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
