//! What a producer's callers and the I/O thread share.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Instant;

use super::buffer::BufferMemory;
use super::completion::{Outcome, SpareTokens, Tokens};
use super::ended::Ended;
use super::partition::{Batch, Partition};
use super::purge::PurgeCalls;
use super::settings::TopicSetup;
use super::shortcut::Shortcut;
use super::topic::Topic;
use super::transaction::Transactions;
use super::waiting::Waits;
use crate::client::connect::ConnectCalls;
use crate::client::event::Event;
use crate::client::mailbox::Mailbox;
use crate::client::stats_hub::StatsHub;
use crate::client::waker::Waker;
use crate::clock::Clock;
use crate::config::ProducerConfig;
use crate::error::{Error, Result};
use crate::log::LogRing;

/// No deadline is armed.
const NEVER: u64 = u64::MAX;

/// Partitions and topics the I/O thread has not looked at yet.
#[derive(Default)]
pub(crate) struct News {
    /// Topics seen for the first time, and those whose newest partitions a caller wants to know.
    pub(crate) topics: Vec<Arc<Topic>>,
    /// Partitions with a new open batch, or a full one.
    pub(crate) partitions: Vec<Arc<Partition>>,
}

/// Errors of records without a token, told at the next flush.
#[derive(Default)]
pub(crate) struct Silent {
    pub(crate) first: Option<Error>,
    pub(crate) failed: u64,
}

/// Events kept for a program that doesn't take them.
const EVENTS_KEPT: usize = 64;

/// Batches that have not ended.
#[derive(Default)]
struct Live {
    /// Their ids, with how many bear each: parts of a batch keep its id.
    batches: BTreeMap<u64, u32>,
    /// None begins: the producer is transactional and no transaction is open.
    shut: bool,
}

pub(crate) struct Shared {
    /// Itself, for work that is handed to another thread.
    pub(super) me: Weak<Shared>,
    pub(crate) config: ProducerConfig,
    pub(crate) clock: Clock,
    pub(crate) setup: Mutex<TopicSetup>,
    pub(crate) memory: BufferMemory,
    pub(crate) topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    pub(crate) news: Mutex<News>,
    pub(crate) waker: Waker,
    pub(crate) connect_calls: ConnectCalls,
    pub(crate) completions: Mailbox<Ended>,
    pub(crate) spare_tokens: SpareTokens,
    pub(crate) silent: Mutex<Silent>,
    pub(crate) log: Arc<LogRing>,
    pub(crate) generation: u32,
    /// Names this producer among all of the process, for the callers' memory of their last topic.
    pub(crate) number: u64,
    /// Set once: no more records are taken.
    /// Set under the lock of `live`, so that a batch begins before or not at all.
    pub(crate) closing: AtomicBool,
    /// What is left shall be given up.
    pub(crate) purge: AtomicBool,
    /// It was freed without being closed.
    pub(crate) abandoned: AtomicBool,
    pub(crate) purges: PurgeCalls,
    pub(crate) stats: StatsHub,
    /// The I/O side has ended.
    pub(crate) ended: AtomicBool,
    /// Batches opened up to this id leave without lingering.
    pub(crate) flush_to: AtomicU64,
    /// Why nothing can be sent while no broker was ever reached: for the errors of calls that wait in vain.
    trouble: Mutex<Option<Error>>,
    /// What happened beside completions, the oldest first.
    events: Mutex<VecDeque<Event>>,
    /// The producer is transactional and no transaction is open.
    no_transaction: AtomicBool,
    /// With `transactional.id` only.
    pub(super) transactions: Option<Transactions>,
    next_batch: AtomicU64,
    live: Mutex<Live>,
    /// Calls that wait for batches, transactions or the end.
    pub(super) waits: Waits,
    epoch: Instant,
    /// When the I/O thread looks at open batches next, in nanoseconds since `epoch`.
    armed: AtomicU64,
    pub(super) shortcut: Shortcut,
    pub(crate) counters: Counters,
}

/// Totals since the producer was made.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) written: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(
        config: ProducerConfig,
        clock: Clock,
        log: Arc<LogRing>,
        waker: Waker,
    ) -> Arc<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let transactional = config.transactional_id.is_some();
        Arc::new_cyclic(|me| Shared {
            me: me.clone(),
            setup: Mutex::new(TopicSetup::new(&config)),
            memory: BufferMemory::new(config.buffer_memory, config.buffer_records),
            topics: RwLock::new(HashMap::new()),
            news: Mutex::new(News::default()),
            waker,
            connect_calls: ConnectCalls::default(),
            completions: Mailbox::default(),
            spare_tokens: SpareTokens::default(),
            silent: Mutex::new(Silent::default()),
            log,
            generation: crate::net::io_thread::generation(),
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            closing: AtomicBool::new(false),
            purge: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            purges: PurgeCalls::default(),
            stats: StatsHub::default(),
            ended: AtomicBool::new(false),
            flush_to: AtomicU64::new(0),
            trouble: Mutex::new(None),
            events: Mutex::new(VecDeque::new()),
            no_transaction: AtomicBool::new(transactional),
            transactions: config.transactional_id.as_deref().map(Transactions::new),
            next_batch: AtomicU64::new(1),
            live: Mutex::new(Live {
                batches: BTreeMap::new(),
                shut: transactional,
            }),
            waits: Waits::default(),
            epoch: clock.now(),
            armed: AtomicU64::new(NEVER),
            shortcut: Shortcut::default(),
            counters: Counters::default(),
            config,
            clock,
        })
    }

    /// Numbers a new batch and counts it as living.
    ///
    /// # Errors
    /// CLOSED once the producer is being closed; why, where no transaction is open that the batch would belong to.
    pub(crate) fn begin_batch(&self) -> Result<u64> {
        let mut live = lock(&self.live);
        if self.closing.load(Ordering::Relaxed) {
            return Err(super::send::closed());
        }
        if live.shut {
            drop(live);
            return Err(self.no_transaction());
        }
        let id = self.next_batch.fetch_add(1, Ordering::AcqRel);
        live.batches.insert(id, 1);
        Ok(id)
    }

    /// Lets batches begin, or not. A batch begins before the gate shuts or not at all, so that whoever shuts it knows
    /// them all: the end of a transaction waits for each of its batches.
    pub(super) fn open_gate(&self, open: bool) {
        let mut live = lock(&self.live);
        live.shut = !open;
        self.no_transaction.store(!open, Ordering::Release);
    }

    /// Notes what stands in the way of everything, if something does.
    pub(crate) fn set_trouble(&self, error: Option<Error>) {
        *lock(&self.trouble) = error;
    }

    pub(crate) fn trouble(&self) -> Option<Error> {
        lock(&self.trouble).clone()
    }

    /// The same as the end of a sentence.
    pub(super) fn trouble_text(&self) -> String {
        self.trouble().map_or_else(String::new, |e| {
            format!("; no broker was reached so far: {}", e.message())
        })
    }

    /// Queues an event and makes the descriptor readable; of too many the oldest are dropped.
    pub(super) fn tell(&self, event: Event) {
        let mut events = lock(&self.events);
        if events.len() == EVENTS_KEPT {
            events.pop_front();
        }
        events.push_back(event);
        drop(events);
        self.completions.poke();
    }

    pub(super) fn next_event(&self) -> Option<Event> {
        lock(&self.events).pop_front()
    }

    /// Why no record is taken, if none is.
    #[inline]
    pub(super) fn check_transaction(&self) -> Result<()> {
        if self.no_transaction.load(Ordering::Relaxed) {
            return Err(self.no_transaction());
        }
        Ok(())
    }

    /// The error of a record that belongs to no transaction.
    #[cold]
    pub(super) fn no_transaction(&self) -> Error {
        self.transaction(|machine| machine.refusal("send"))
            .unwrap_or_else(super::send::closed)
    }

    /// Counts a batch that takes over records of batch `id`, so that a flush waits for it too.
    pub(crate) fn begin_batch_as(&self, id: u64) {
        *lock(&self.live).batches.entry(id).or_insert(0) += 1;
    }

    pub(super) fn end_batch(&self, id: u64) {
        let mut live = lock(&self.live);
        if let Some(bearers) = live.batches.get_mut(&id) {
            *bearers -= 1;
            if *bearers == 0 {
                live.batches.remove(&id);
            }
        }
        drop(live);
        self.waits.stir(self);
    }

    /// The first half of closing: no more records are taken, and nobody waits for room. A batch begins before this or
    /// not at all, so that the flush of a close knows every record whose call has succeeded or will.
    pub(crate) fn stop_taking(&self) {
        let live = lock(&self.live);
        self.closing.store(true, Ordering::Release);
        drop(live);
        self.memory.close();
        self.tell_topics();
    }

    /// Those who wait for a topic's partitions look again whether waiting is of use.
    pub(crate) fn tell_topics(&self) {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        for topic in topics.values() {
            drop(topic.pending());
            topic.tell();
        }
    }

    /// The second half: what is left is given up.
    pub(crate) fn give_up(&self) {
        self.purge.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// The I/O side has ended.
    pub(crate) fn end(&self) {
        // First of all, so that whoever has seen close() return finds the queue closed.
        self.completions.close();
        self.connect_calls.close();
        self.purges.close();
        self.stats.close();
        let live = lock(&self.live);
        self.ended.store(true, Ordering::Release);
        drop(live);
        self.close_waits();
    }

    /// Batches that have not ended.
    pub(crate) fn live_batches(&self) -> usize {
        lock(&self.live).batches.len()
    }

    /// Has everything accepted so far sent without lingering; the mark up to which batches are to be waited for.
    pub(crate) fn begin_flush(&self) -> u64 {
        let live = lock(&self.live);
        let upto = self.next_batch.load(Ordering::Acquire) - 1;
        self.flush_to.fetch_max(upto, Ordering::AcqRel);
        let pending = any_upto(&live, upto);
        drop(live);
        if pending && self.shortcut.idle() {
            self.waker.turn_here();
        } else if pending {
            self.waker.wake();
        }
        upto
    }

    /// True once all batches up to the mark of [`Shared::begin_flush`] have ended.
    pub(crate) fn flushed(&self, upto: u64) -> bool {
        !any_upto(&lock(&self.live), upto)
    }

    /// Tells the I/O thread of a partition with something new; wakes it only if it must look before it would anyway.
    ///
    /// With `linger.ms=0` the caller may send by itself: see `shortcut.rs`. Otherwise the I/O thread sends, beside callers
    /// that go on filling.
    pub(crate) fn announce(&self, partition: &Arc<Partition>, due: Option<Instant>) {
        if partition.claim_listing() {
            lock(&self.news).partitions.push(partition.clone());
        }
        let due = due.map_or(0, |due| self.since_epoch(due));
        // The news is in the list before the armed time is read; the I/O thread stores the armed time before it
        // takes the list. So one of both sees the other.
        if due < self.armed.load(Ordering::SeqCst) {
            self.armed.store(due, Ordering::SeqCst);
            let at_once = due > 0 && partition.settings().linger.is_zero();
            if at_once && self.shortcut.take(due) {
                self.waker.turn_here();
                self.shortcut.done(self.since_epoch(self.clock.now()));
            } else {
                self.waker.wake();
            }
        }
    }

    fn since_epoch(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.epoch).as_nanos() as u64
    }

    /// The I/O thread is looking: nobody needs to wake it.
    pub(crate) fn arm_now(&self) {
        self.armed.store(0, Ordering::SeqCst);
    }

    /// The I/O thread notes when it will look next; called before it takes the news.
    pub(crate) fn arm(&self, at: Option<Instant>) {
        let at = at.map_or(NEVER, |at| self.since_epoch(at));
        self.armed.store(at, Ordering::SeqCst);
    }

    pub(super) fn recharge(&self, old: usize, new: usize) {
        if new > old {
            self.memory.force_charge(new - old);
        } else {
            self.release(old - new);
        }
    }

    /// Gives memory back and tells those who were refused.
    pub(crate) fn release(&self, bytes: usize) {
        if self.memory.release(bytes) {
            self.completions.poke();
        }
    }

    /// Ends a batch: its completions are queued, its memory is given back.
    // Batches travel boxed; unboxing one only to end it would move it once more.
    #[allow(clippy::boxed_local)]
    pub(crate) fn complete(
        &self,
        partition: &Partition,
        batch: Box<Batch>,
        outcome: Outcome,
        base_offset: i64,
        log_append_time: i64,
        error: Option<&Error>,
    ) {
        let timestamp = if log_append_time >= 0 {
            log_append_time
        } else {
            batch.sealed.base_timestamp()
        };
        let count = batch.sealed.count() as u64;
        let Batch {
            id,
            tokens,
            charged,
            sealed,
            ..
        } = *batch;
        drop(sealed);
        self.memory.sub_backlog(&partition.backlog, charged);
        let end = End {
            partition: (partition.topic(), partition.index),
            outcome,
            base_offset,
            timestamp,
            error,
        };
        self.complete_tokens(id, tokens, charged, count, &end);
    }

    /// Ends records by their tokens.
    pub(crate) fn complete_tokens(
        &self,
        id: u64,
        tokens: Tokens,
        charged: usize,
        count: u64,
        end: &End<'_>,
    ) {
        let counter = if end.outcome == Outcome::Written {
            &self.counters.written
        } else {
            &self.counters.failed
        };
        counter.fetch_add(count, Ordering::Relaxed);
        // Before the batch counts as ended: the end of its transaction waits for that.
        let failed = match end.error {
            Some(error) if self.transactions.is_some() && count > 0 => {
                Some(self.fail_transaction(error))
            }
            _ => None,
        };
        let end = &End {
            error: failed.as_ref().or(end.error),
            ..*end
        };
        if let Some(error) = end.error {
            tokens.for_each(|token, _, count, _| {
                if token == 0 {
                    let mut silent = lock(&self.silent);
                    silent.first.get_or_insert_with(|| error.clone());
                    silent.failed += u64::from(count);
                }
            });
        }
        match Ended::new(tokens, end) {
            Ok(ended) => {
                self.memory.force_charge(ended.cost);
                self.completions.extend([ended]);
            }
            Err(tokens) => self.spare_tokens.give(tokens),
        }
        if self.memory.dismiss(count as usize) {
            self.completions.poke();
        }
        let leaks = planted!("memory-leak") && end.outcome == Outcome::NotWritten;
        self.release(if leaks { charged / 2 } else { charged });
        self.end_batch(id);
    }
}

/// True if a batch up to `upto` lives.
fn any_upto(live: &Live, upto: u64) -> bool {
    live.batches
        .first_key_value()
        .is_some_and(|(first, _)| *first <= upto)
}

/// How records ended.
pub(crate) struct End<'a> {
    pub(crate) partition: (&'a Arc<str>, i32),
    pub(crate) outcome: Outcome,
    pub(crate) base_offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) error: Option<&'a Error>,
}

impl<'a> End<'a> {
    pub(crate) fn not_written(partition: (&'a Arc<str>, i32), error: Option<&'a Error>) -> Self {
        End {
            partition,
            outcome: Outcome::NotWritten,
            base_offset: -1,
            timestamp: -1,
            error,
        }
    }
}
