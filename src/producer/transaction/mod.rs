//! Transactions (KIP-98, 447, 588, 890): records of many partitions and a group's offsets become visible together, or
//! not at all.
//!
//! [`state`] decides, [`answers`] knows what brokers' error codes mean; the sender asks the coordinators
//! (`producer/sender/transaction.rs`). This file is the callers' side.

pub(super) mod answers;
pub(super) mod state;
#[cfg(test)]
mod tests;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Producer;
use super::shared::{Shared, Silent, lock};
use super::waiting::{Look, Over};
use crate::client::calls::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::group::offset::{GroupMetadata, OffsetAndMetadata};
use crate::net::io_thread;
use state::{Machine, Phase, end_call};

/// A partition and the offset that a group commits of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitOffset {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: OffsetAndMetadata,
}

/// A transactional producer's state, shared by callers and the I/O thread.
pub(crate) struct Transactions {
    machine: Mutex<Machine>,
}

impl Transactions {
    pub(super) fn new(id: &str) -> Self {
        Transactions {
            machine: Mutex::new(Machine::new(id)),
        }
    }
}

impl Shared {
    /// Works on the state of transactions; `None` without `transactional.id`. Whether records are taken follows the
    /// state before anybody else sees it. Never called with the lock of live batches held.
    pub(super) fn transact<R>(&self, work: impl FnOnce(&mut Machine) -> R) -> Option<R> {
        let transactions = self.transactions.as_ref()?;
        let mut machine = lock(&transactions.machine);
        let before = machine.accepts();
        let result = work(&mut machine);
        if machine.accepts() != before {
            self.open_gate(!before);
        }
        drop(machine);
        Some(result)
    }

    /// A look at the state of transactions, which changes nothing.
    pub(super) fn transaction<R>(&self, look: impl FnOnce(&Machine) -> R) -> Option<R> {
        let transactions = self.transactions.as_ref()?;
        Some(look(&lock(&transactions.machine)))
    }

    /// Records ended unwritten, or were refused: the transaction they belong to can't be committed. Answers the error
    /// as the program shall see it.
    #[cold]
    pub(super) fn fail_transaction(&self, error: &Error) -> Error {
        let failed = self.transact(|machine| {
            let fatal = matches!(
                error.code(),
                ErrorCode::PRODUCER_FENCED
                    | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                    | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
                    | ErrorCode::UNSUPPORTED_VERSION
            );
            if fatal {
                machine.fail_for_good(error);
                return error.fatal();
            }
            machine.fail(error);
            match machine.phase() {
                Phase::Failed(_) => error.abortable(),
                _ => error.clone(),
            }
        });
        self.waits.stir(self);
        failed.unwrap_or_else(|| error.clone())
    }

    /// Looks how something of the transactions that `call` waits for has ended; `next` is what to do where it has not in time.
    fn transacting(
        &self,
        (call, next): (&'static str, &'static str),
        timeout: Duration,
        mut look: impl FnMut(&mut Machine) -> Option<Result<()>> + Send + 'static,
    ) -> Look {
        Box::new(move |shared, over| {
            let (found, why) = {
                let mut machine = lock(&shared.transactions.as_ref()?.machine);
                (look(&mut machine), machine.last_error().cloned())
            };
            let late = || Err(shared.timed_out(call, timeout, why, next));
            found.or_else(|| (over != Over::No).then(late))
        })
    }

    fn timed_out(&self, call: &str, timeout: Duration, why: Option<Error>, next: &str) -> Error {
        if self.ended.load(Ordering::Acquire) {
            return super::send::closed().context(call);
        }
        let left = self.live_batches();
        let waits = match why.or_else(|| self.trouble()) {
            Some(why) => why.message().to_owned(),
            None if left > 0 => format!("{left} batches have not ended"),
            None => "the coordinator has not answered".to_owned(),
        };
        Error::new(
            ErrorCode::TIMED_OUT,
            format!("{call}: not done within {timeout:?}: {waits}; {next}"),
        )
        .retriable()
    }
}

impl Producer {
    fn transact<R>(&self, call: &str, work: impl FnOnce(&mut Machine) -> Result<R>) -> Result<R> {
        io_thread::check_generation(self.shared.generation)?;
        if self.shared.closing.load(Ordering::Acquire) {
            return Err(super::send::closed().context(call));
        }
        let result = self.shared.transact(work);
        self.shared.waits.stir(&self.shared);
        result.unwrap_or_else(|| {
            Err(Error::new(
                ErrorCode::INVALID_TXN_STATE,
                format!("{call}: this producer has no transactions; configure transactional.id"),
            ))
        })
    }

    /// Prepares a producer with `transactional.id` for transactions: a transaction that another producer (an earlier
    /// run of this program) left open under the same id is aborted, and that producer is fenced: it can't write any
    /// more (InitProducerId, KIP-98). Call it once, before any other transactional method.
    ///
    /// # Errors
    /// TIMED_OUT: call it again. INVALID_TXN_STATE without `transactional.id`, and if it was called before. Fatal
    /// errors from the coordinator, for example INVALID_TRANSACTION_TIMEOUT.
    pub fn init_transactions(&self, timeout: Duration) -> Result<()> {
        let look = self.initializing(timeout)?;
        self.shared.wait(INIT, timeout, look)
    }

    /// [`Producer::init_transactions`] without waiting.
    ///
    /// # Errors
    /// INVALID_TXN_STATE, CLOSED, FORKED; the call's are those of [`Producer::init_transactions`].
    pub fn init_transactions_async(&self, timeout: Duration) -> Result<Call<()>> {
        let look = self.initializing(timeout)?;
        Ok(self.shared.ask(INIT, timeout, look))
    }

    fn initializing(&self, timeout: Duration) -> Result<Look> {
        self.transact(INIT, Machine::init)?;
        self.shared.waker.wake();
        let words = (INIT, "it goes on: call it again");
        Ok(self
            .shared
            .transacting(words, timeout, |machine| machine.init_result()))
    }

    /// Begins a transaction: everything sent from now on belongs to it, until it is committed or aborted. Sends no
    /// request.
    ///
    /// # Errors
    /// INVALID_TXN_STATE before [`Producer::init_transactions`] and while a transaction is open. An error that needs
    /// an abort if the previous transaction failed; a fatal error if the producer was fenced.
    pub fn begin_transaction(&self) -> Result<()> {
        self.transact("begin_transaction", Machine::begin)
    }

    /// Adds a group's offsets to the open transaction: they are committed together with it, or not at all if it is
    /// aborted (TxnOffsetCommit, KIP-447). An offset is that of the next record to read. `group` is
    /// [`Consumer::group_metadata`] of the consumer, which lets the coordinator refuse a member that has lost its
    /// partitions.
    ///
    /// # Errors
    /// TIMED_OUT: the request continues, and the commit waits for it. An error that needs an abort, for example
    /// ILLEGAL_GENERATION if the consumer is no longer in the group. INVALID_TXN_STATE outside of a transaction.
    ///
    /// [`Consumer::group_metadata`]: crate::consumer::Consumer
    pub fn send_offsets(
        &self,
        offsets: &[(&str, i32, OffsetAndMetadata)],
        group: &GroupMetadata,
        timeout: Duration,
    ) -> Result<()> {
        let look = self.sending_offsets(offsets, group, timeout)?;
        self.shared.wait("send_offsets", timeout, look)
    }

    /// [`Producer::send_offsets`] without waiting.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, INVALID_TXN_STATE, CLOSED, FORKED; the call's are those of [`Producer::send_offsets`].
    pub fn send_offsets_async(
        &self,
        offsets: &[(&str, i32, OffsetAndMetadata)],
        group: &GroupMetadata,
        timeout: Duration,
    ) -> Result<Call<()>> {
        let look = self.sending_offsets(offsets, group, timeout)?;
        Ok(self.shared.ask("send_offsets", timeout, look))
    }

    fn sending_offsets(
        &self,
        offsets: &[(&str, i32, OffsetAndMetadata)],
        group: &GroupMetadata,
        timeout: Duration,
    ) -> Result<Look> {
        const CALL: &str = "send_offsets";
        if group.group_id.is_empty() {
            return Err(Error::argument(format!("{CALL}: the group id is empty")));
        }
        let wrong = offsets
            .iter()
            .find(|(topic, partition, o)| topic.is_empty() || *partition < 0 || o.offset < 0);
        if let Some((topic, partition, offset)) = wrong {
            let text = format!(
                "{CALL}: offset {} of {topic}-{partition}: a topic, a partition and an offset of 0 or more are needed",
                offset.offset
            );
            return Err(Error::argument(text));
        }
        let offsets: Arc<[CommitOffset]> = offsets
            .iter()
            .map(|(topic, partition, offset)| CommitOffset {
                topic: (*topic).into(),
                partition: *partition,
                offset: offset.clone(),
            })
            .collect();
        let empty = offsets.is_empty();
        let (transaction, number) = self.transact(CALL, |machine| {
            if empty && machine.accepts() {
                return Ok((machine.number(), 0));
            }
            let number = machine.add_offsets(group.clone(), offsets)?;
            Ok((machine.number(), number))
        })?;
        self.shared.waker.wake();
        let words = (CALL, "it goes on, and the commit waits for it");
        Ok(self.shared.transacting(words, timeout, move |machine| {
            machine.offsets_end(transaction, number)
        }))
    }

    /// Commits the open transaction: sends its remaining records, waits until all of them are written, then commits
    /// (EndTxn). Its records then become visible together to readers with `isolation.level=read_committed`.
    ///
    /// # Errors
    /// TIMED_OUT: the commit continues and may succeed; call again to learn the outcome. An error that needs an abort
    /// if any part of the transaction failed (a record was not written, offsets were refused, it exceeded
    /// `transaction.timeout.ms`): nothing is committed. A fatal error if the producer was fenced. INVALID_TXN_STATE
    /// if no transaction is open.
    pub fn commit_transaction(&self, timeout: Duration) -> Result<()> {
        let look = self.ending(true, timeout)?;
        self.shared.wait(end_call(true), timeout, look)
    }

    /// [`Producer::commit_transaction`] without waiting.
    ///
    /// # Errors
    /// INVALID_TXN_STATE, CLOSED, FORKED; the call's are those of [`Producer::commit_transaction`].
    pub fn commit_transaction_async(&self, timeout: Duration) -> Result<Call<()>> {
        let look = self.ending(true, timeout)?;
        Ok(self.shared.ask(end_call(true), timeout, look))
    }

    /// Aborts the open transaction: gives up unsent records (they end as not written), waits for those that were
    /// sent, then aborts (EndTxn). To be called after an error that needs an abort.
    ///
    /// # Errors
    /// TIMED_OUT: the abort continues; call it again. INVALID_TXN_STATE if no transaction is open, or if its commit
    /// was requested and may have been carried out. A fatal error if the producer was fenced.
    pub fn abort_transaction(&self, timeout: Duration) -> Result<()> {
        let look = self.ending(false, timeout)?;
        self.shared.wait(end_call(false), timeout, look)
    }

    /// [`Producer::abort_transaction`] without waiting.
    ///
    /// # Errors
    /// INVALID_TXN_STATE, CLOSED, FORKED; the call's are those of [`Producer::abort_transaction`].
    pub fn abort_transaction_async(&self, timeout: Duration) -> Result<Call<()>> {
        let look = self.ending(false, timeout)?;
        Ok(self.shared.ask(end_call(false), timeout, look))
    }

    fn ending(&self, commit: bool, timeout: Duration) -> Result<Look> {
        let number = self.transact(end_call(commit), |machine| machine.end(commit))?;
        Ok(self.shared.finishing(number, commit, timeout))
    }

    /// What `close` does about a transaction that is open: it is aborted, so that readers need not wait for its
    /// time-out; a commit that is under way is waited for.
    pub(super) fn closing_transaction(&self, timeout: Duration) -> Call<()> {
        let wanted = self.shared.transact(|machine| match machine.phase() {
            Phase::Open | Phase::Failed(_) => machine.end(false).ok().map(|number| (number, false)),
            Phase::Ending { commit, .. } => Some((machine.number(), *commit)),
            _ => None,
        });
        match wanted.flatten() {
            Some((number, commit)) => {
                let look = self.shared.finishing(number, commit, timeout);
                self.shared.ask(end_call(commit), timeout, look)
            }
            None => Call::done("close", Ok(())),
        }
    }
}

const INIT: &str = "init_transactions";

impl Shared {
    fn finishing(&self, number: u64, commit: bool, timeout: Duration) -> Look {
        // No batch is begun any more, so this is all there is; open ones leave without lingering.
        self.begin_flush();
        self.waker.wake();
        let next = if commit {
            "the commit goes on: call commit_transaction again to learn its end"
        } else {
            "the abort goes on: call abort_transaction again"
        };
        let words = (end_call(commit), next);
        let mut look = self.transacting(words, timeout, move |machine| {
            machine.end_result(number, commit)
        });
        Box::new(move |shared, over| {
            let ended = look(shared, over)?;
            if ended.is_ok() && !commit {
                // What failed is undone with all the rest: no later flush tells of it.
                *lock(&shared.silent) = Silent::default();
            }
            Some(ended)
        })
    }
}
