//! Producing: records go straight from the caller's memory into the open batch of their partition; full or due
//! batches are sent by the I/O thread; what became of them comes back in completions.
//!
//! Callers' side: [`send`](Producer::send), buffers, topics, partitions. I/O side: `sender`, a state machine.

mod append;
mod buffer;
mod chain;
mod completion;
mod ended;
mod partition;
pub mod partitioner;
mod pending;
mod press;
mod purge;
mod send;
mod sender;
mod sequence;
mod settings;
mod shared;
mod shortcut;
#[cfg(feature = "simulation")]
mod simulated;
mod source;
mod topic;
mod transaction;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub use completion::{Completion, Outcome};
pub(crate) use ended::Ended;
pub use purge::Purge;
pub use send::{Record, Wait};
pub use settings::UserPartitioner;

use crate::client::calls::{Call, question};
use crate::client::driver;
use crate::client::engine::Engine;
use crate::client::event::Event;
use crate::client::mailbox::{Answer, Drained};
use crate::client::waker::Waker;
use crate::clock::Clock;
use crate::cluster;
use crate::cluster::core::Core;
use crate::config::{FOREVER, ProducerConfig};
use crate::error::{Error, ErrorCode, Result};
use crate::log::{Level, LogLine};
use crate::memory::Budget;
use crate::net::io_thread;
use crate::net::socket::SocketOptions;
use crate::stats::Stats;
use sender::Sender;
use settings::TopicSettings;
use shared::{Shared, lock};
use topic::check_topic_name;
use waiting::{Look, Over};

/// A producer. All methods may be called from many threads at once.
///
/// Records are numbered and resent so that each is written once and in order (`enable.idempotence`, the default),
/// even when brokers fail. Dropping a producer gives up unsent records; call [`Producer::close`] first.
pub struct Producer {
    shared: Arc<Shared>,
    _budget: Budget,
}

/// Totals since a producer was created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProducerCounts {
    /// Records acknowledged.
    pub written: u64,
    /// Records that were not written, or may not have been written.
    pub failed: u64,
    /// Batches sealed.
    pub batches: u64,
    /// Produce requests sent.
    pub requests: u64,
    /// Batches sent again.
    pub retries: u64,
    /// Bytes of batches sent, as on the wire.
    pub bytes: u64,
    /// Bytes of `buffer.memory` in use now.
    pub buffered_bytes: u64,
    /// Batches that are neither acknowledged nor failed yet.
    pub live_batches: u64,
    /// Records accepted that are neither acknowledged nor failed yet; 0 unless `buffer.records` is set.
    pub buffered_records: u64,
}

impl Producer {
    /// Creates a producer. It connects in the background; see [`Producer::connect`].
    ///
    /// # Errors
    /// IO if the I/O thread cannot be started.
    pub fn new(config: ProducerConfig) -> Result<Producer> {
        let options = SocketOptions::of(&config.common);
        let waker = Waker::default();
        let (producer, make) = Producer::parts(config, Clock::System, waker.clone());
        driver::spawn(waker, options, make)?;
        Ok(producer)
    }

    /// A producer, and what makes its I/O side.
    pub(crate) fn parts(
        config: ProducerConfig,
        clock: Clock,
        waker: Waker,
    ) -> (
        Producer,
        impl FnOnce(Instant) -> Engine<Sender> + Send + 'static,
    ) {
        let common = Arc::new(config.common.clone());
        let log = cluster::client_log(&common, &clock);
        let budget = Budget::new(config.buffer_memory);
        let shared = Shared::new(config, clock.clone(), log.clone(), waker);
        let role_shared = shared.clone();
        let make = move |now| {
            let core = Core::new(common, log, clock, now);
            Engine::new(core, Sender::new(role_shared))
        };
        let producer = Producer {
            shared,
            _budget: budget,
        };
        (producer, make)
    }

    /// Sets the configuration of one topic, before its first use: `acks`, `compression.type` and its levels,
    /// `delivery.timeout.ms`, `linger.ms`, `partitioner`, `partitioner.ignore.keys`,
    /// `partitioner.adaptive.partitioning.enable`, `request.timeout.ms`. Keys that are not set are inherited from the
    /// producer.
    ///
    /// If the topic asks for less than `acks=all`, its records are sent without idempotence; that is an error if
    /// idempotence was requested explicitly for the producer.
    ///
    /// # Errors
    /// CONFIG for a mistake in the settings, or a conflict with the producer's; INVALID_ARGUMENT if the topic is
    /// already in use, or its name is invalid.
    pub fn set_topic_config<'a>(
        &self,
        topic: &str,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<()> {
        check_topic_name(topic)?;
        let config = &self.shared.config;
        let (config, names_partitioner) = config
            .for_topic(pairs)
            .map_err(|e| e.context(format_args!("the settings of topic '{topic}'")))?;
        let mut settings = TopicSettings::of(&config);
        // Without an id of the producer's there is nothing to number records by.
        settings.idempotent &= self.shared.config.enable_idempotence;
        self.set_up(Some(topic), |setup| {
            setup.set_settings(topic, settings, names_partitioner);
        })
    }

    /// Sets a custom partitioner for one topic, or with `None` for all topics that have none set otherwise, before
    /// their first use.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if the topic, or with `None` any topic, is already in use.
    pub fn set_partitioner(
        &self,
        topic: Option<&str>,
        partitioner: impl UserPartitioner + 'static,
    ) -> Result<()> {
        if let Some(topic) = topic {
            check_topic_name(topic)?;
        }
        let partitioner = Arc::new(partitioner);
        self.set_up(topic, |setup| setup.set_partitioner(topic, partitioner))
    }

    fn set_up(
        &self,
        topic: Option<&str>,
        change: impl FnOnce(&mut settings::TopicSetup),
    ) -> Result<()> {
        io_thread::check_generation(self.shared.generation)?;
        // Topics take their settings under this lock.
        let topics = self.shared.topics.write();
        let topics = topics.unwrap_or_else(std::sync::PoisonError::into_inner);
        let used = match topic {
            Some(topic) => topics.contains_key(topic).then_some(topic),
            None => topics.keys().min().map(|name| &**name),
        };
        if let Some(used) = used {
            return Err(Error::argument(format!(
                "topic '{used}' is in use already; set what is special about topics before sending to them"
            )));
        }
        change(&mut lock(&self.shared.setup));
        Ok(())
    }

    /// Waits until the cluster has responded and a connection to one of its brokers is established.
    ///
    /// # Errors
    /// After `timeout`, or as soon as further waiting cannot help: each broker tried, the stage that failed, the
    /// reason.
    pub fn connect(&self, timeout: Duration) -> Result<()> {
        self.connect_async(timeout)?.wait()
    }

    /// [`Producer::connect`] without waiting.
    ///
    /// # Errors
    /// CLOSED, FORKED; the call's are those of [`Producer::connect`].
    pub fn connect_async(&self, timeout: Duration) -> Result<Call<()>> {
        io_thread::check_generation(self.shared.generation)?;
        let shared = &self.shared;
        let now = shared.clock.now();
        shared.connect_calls.ask(&shared.waker, now, timeout)
    }

    /// Moves up to `max` completions into `out`, waiting up to `timeout` for the first. Returns how many; 0 if the
    /// timeout ends.
    ///
    /// # Errors
    /// WOKEN after [`Producer::wake`]; CLOSED once the producer is closed and no completions are left.
    pub fn completions(
        &self,
        max: usize,
        timeout: Duration,
        out: &mut Vec<Completion>,
    ) -> Result<usize> {
        let ended = self.drain_ended(max, timeout)?;
        let before = out.len();
        for ended in ended {
            ended.completions_into(out);
            self.recycle(ended);
        }
        Ok(out.len() - before)
    }

    /// As [`Producer::completions`], a batch's together; to be given back by [`Producer::recycle`].
    pub(crate) fn drain_ended(&self, max: usize, timeout: Duration) -> Result<Vec<Ended>> {
        io_thread::check_generation(self.shared.generation)?;
        let mut out = Vec::new();
        let drained = self
            .shared
            .completions
            .take_with(timeout, |items| ended::drain(items, max, &mut out));
        self.shared.release(out.iter().map(|e| e.cost).sum());
        match drained {
            Drained::Items(_) | Drained::TimedOut => Ok(out),
            Drained::Woken => Err(Error::new(
                ErrorCode::WOKEN,
                "waiting for completions was ended by wake()",
            )),
            Drained::Closed => Err(Error::new(
                ErrorCode::CLOSED,
                "the producer is closed and has no more completions",
            )),
        }
    }

    /// Gives memory back for other batches' tokens.
    pub(crate) fn recycle(&self, ended: Ended) {
        self.shared.spare_tokens.give(ended.into_tokens());
    }

    /// Ends one wait of [`Producer::completions`], the current one or the next. From any thread.
    pub fn wake(&self) {
        self.shared.completions.wake();
    }

    /// Returns a descriptor that is readable while completions are available, after [`Producer::wake`], and when
    /// there is room again after AGAIN. Created by the first call, owned by the producer: only wait on it.
    pub fn descriptor(&self) -> Result<isize> {
        io_thread::check_generation(self.shared.generation)?;
        self.shared.completions.descriptor()
    }

    /// Sends everything accepted so far without waiting for `linger.ms`, and waits until all of it is acknowledged or
    /// has failed.
    ///
    /// # Errors
    /// TIMED_OUT with what is left; or the first error among records sent with token 0 since the last flush.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        io_thread::check_generation(self.shared.generation)?;
        let look = self.shared.flushing(timeout);
        self.shared.wait("flush", timeout, look)
    }

    /// [`Producer::flush`] without waiting, for everything accepted so far.
    ///
    /// # Errors
    /// FORKED; the call's are those of [`Producer::flush`].
    pub fn flush_async(&self, timeout: Duration) -> Result<Call<()>> {
        io_thread::check_generation(self.shared.generation)?;
        let look = self.shared.flushing(timeout);
        Ok(self.shared.ask("flush", timeout, look))
    }

    /// Has the answer to a call put into the mailbox, under `token`.
    pub(crate) fn answered<T: Send + Sync + 'static>(
        &self,
        call: Call<T>,
        token: u64,
    ) -> Result<()> {
        call.answer_to(&self.shared, |shared| &shared.completions, token);
        Ok(())
    }

    /// Waits up to `timeout` for an answer to an asynchronous call; `None` if none comes in time. While one is
    /// available the descriptor is readable.
    ///
    /// # Errors
    /// CLOSED if the producer is closed and no answer will come.
    pub fn next_answer(&self, timeout: Duration) -> Result<Option<Answer>> {
        io_thread::check_generation(self.shared.generation)?;
        self.shared.completions.next_answer(timeout)
    }

    /// Gives up unacknowledged records. Their completions, which are available when this returns, have the error
    /// PURGED and the outcome NotWritten if they were never sent, PossiblyWritten if they were sent and not
    /// acknowledged. Records sent from other threads during the call may not be purged.
    ///
    /// # Errors
    /// TIMED_OUT if the I/O thread did not respond within 5 s; CLOSED after a close, which has given up everything.
    pub fn purge(&self, what: Purge) -> Result<()> {
        const LIMIT: Duration = Duration::from_secs(5);
        let call = self.purge_async(what)?;
        call.wait_for(LIMIT).unwrap_or_else(|| {
            Err(Error::new(
                ErrorCode::TIMED_OUT,
                format!("purge: the I/O thread has not carried it out within {LIMIT:?}; it will"),
            ))
        })
    }

    /// [`Producer::purge`] without waiting.
    ///
    /// # Errors
    /// CLOSED, FORKED.
    pub fn purge_async(&self, what: Purge) -> Result<Call<()>> {
        let shared = &self.shared;
        io_thread::check_generation(shared.generation)?;
        let (reply, call) = question("purge", FOREVER);
        shared.purges.ask(what, reply)?;
        shared.waker.wake();
        Ok(call)
    }

    /// Returns totals, and what the producer holds now.
    pub fn counts(&self) -> ProducerCounts {
        let c = &self.shared.counters;
        ProducerCounts {
            written: c.written.load(Ordering::Relaxed),
            failed: c.failed.load(Ordering::Relaxed),
            batches: c.batches.load(Ordering::Relaxed),
            requests: c.requests.load(Ordering::Relaxed),
            retries: c.retries.load(Ordering::Relaxed),
            bytes: c.bytes.load(Ordering::Relaxed),
            buffered_bytes: self.shared.memory.used() as u64,
            live_batches: self.shared.live_batches() as u64,
            buffered_records: self.shared.memory.records() as u64,
        }
    }

    /// Returns the figures of the client, of each broker, and of each partition written to.
    ///
    /// # Errors
    /// CLOSED after a close; TIMED_OUT if the I/O thread does not respond in time.
    pub fn stats(&self, timeout: Duration) -> Result<Stats> {
        self.stats_async(timeout)?.wait()
    }

    /// [`Producer::stats`] without waiting.
    ///
    /// # Errors
    /// CLOSED, FORKED.
    pub fn stats_async(&self, timeout: Duration) -> Result<Call<Stats>> {
        let shared = &self.shared;
        io_thread::check_generation(shared.generation)?;
        shared.stats.ask(|| shared.waker.wake(), timeout)
    }

    /// Returns the oldest statistics recorded by the timer (`statistics.interval.ms`) that have not been taken; the
    /// last eight are kept. Their histograms cover the time since the previous ones. While new ones are available the
    /// descriptor is readable, and a wait in [`Producer::completions`] ends.
    pub fn next_stats(&self) -> Option<Stats> {
        self.shared.stats.next()
    }

    /// Returns the oldest event that has not been taken; the last 64 are kept. While one is available the descriptor
    /// is readable, and a wait in [`Producer::completions`] ends. Events need no action, as the client keeps trying:
    /// [`EventKind::BrokerUnreachable`] if records wait for a broker that could not be reached for
    /// `socket.connection.setup.timeout.ms` or has not responded within `request.timeout.ms`, and
    /// [`EventKind::TopicFailing`] if the brokers report that a topic can't be written.
    ///
    /// [`EventKind::BrokerUnreachable`]: crate::consumer::EventKind::BrokerUnreachable
    /// [`EventKind::TopicFailing`]: crate::consumer::EventKind::TopicFailing
    pub fn next_event(&self) -> Option<Event> {
        self.shared.next_event()
    }

    /// Moves up to `max` log lines into `out`, and returns how many are left.
    pub fn log_lines(&self, max: usize, out: &mut Vec<LogLine>) -> usize {
        self.shared.log.drain(max, out)
    }

    /// Stops accepting records, flushes for up to `timeout` (an open transaction is aborted), then gives up the rest
    /// (as NotWritten if never sent, otherwise as PossiblyWritten) and closes the connections. Records accepted from
    /// other threads before the call are flushed too; later sends fail with CLOSED. Completions can still be polled.
    /// Wakes all waiting calls. Calling it again does nothing.
    ///
    /// # Errors
    /// As [`Producer::flush`].
    pub fn close(&self, timeout: Duration) -> Result<()> {
        let call = self.close_async(timeout)?;
        let closed = call.wait_for(timeout.min(FOREVER).saturating_add(2 * GIVING_UP));
        self.shared.waker.wait_ended();
        closed.unwrap_or_else(|| {
            Err(Error::new(
                ErrorCode::TIMED_OUT,
                format!("close: the I/O thread has not ended the producer within {timeout:?}"),
            ))
        })
    }

    /// [`Producer::close`] without waiting; the connections may be closed a moment after its answer.
    ///
    /// # Errors
    /// FORKED; the call's are those of [`Producer::close`].
    pub fn close_async(&self, timeout: Duration) -> Result<Call<()>> {
        const DOING: &str = "close";
        let shared = self.shared.clone();
        io_thread::check_generation(shared.generation)?;
        if shared.ended.load(Ordering::Acquire) {
            return Ok(Call::done(DOING, Ok(())));
        }
        shared.stop_taking();
        let (reply, call) = question(DOING, timeout);
        let begun = shared.clock.now();
        let transaction = self.closing_transaction(timeout);
        transaction.then(move |transaction| {
            let spent = shared.clock.now().saturating_duration_since(begun);
            let left = timeout.saturating_sub(spent);
            let flush = shared.ask("flush", left, shared.flushing(left));
            flush.then(move |flushed| {
                shared.give_up();
                // Giving up is the I/O thread's work and takes no network; the limit is only against the unforeseen.
                let ended: Look = Box::new(|shared, over| {
                    let ended = shared.ended.load(Ordering::Acquire);
                    (ended || over != Over::No).then_some(Ok(()))
                });
                let ended = shared.ask(DOING, GIVING_UP, ended);
                ended.then(move |_| reply.give(transaction.and(flushed)));
            });
        });
        Ok(call)
    }
}

/// How long the I/O thread may take to give up what is left.
const GIVING_UP: Duration = Duration::from_secs(5);

impl Shared {
    /// Has everything accepted so far sent without lingering, and looks whether all of it has ended.
    fn flushing(&self, timeout: Duration) -> Look {
        let upto = self.begin_flush();
        Box::new(move |shared, over| {
            if shared.flushed(upto) {
                return Some(shared.take_silent());
            }
            (over != Over::No).then(|| {
                Err(Error::new(
                    ErrorCode::TIMED_OUT,
                    format!(
                        "flush: {} batches have not ended within {timeout:?}{}",
                        shared.live_batches(),
                        shared.trouble_text()
                    ),
                ))
            })
        })
    }

    /// The first error of records sent with token 0 since the last flush.
    pub(crate) fn take_silent(&self) -> Result<()> {
        let mut silent = lock(&self.silent);
        let failed = std::mem::take(&mut silent.failed);
        match silent.first.take() {
            Some(first) => Err(first.context(format!("{failed} records failed; the first"))),
            None => Ok(()),
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // In a forked child the I/O side is the parent's: nothing of it may be touched.
        if io_thread::check_generation(self.shared.generation).is_ok() {
            let shared = &self.shared;
            if !shared.closing.load(Ordering::Acquire) {
                shared.abandoned.store(true, Ordering::Release);
            }
            shared.stop_taking();
            let left = shared.live_batches();
            if left > 0 {
                let (now, wall) = (shared.clock.now(), shared.clock.wall());
                shared
                    .log
                    .log(Level::Warn, "producer", "dropped", now, wall, || {
                        let trouble = shared.trouble_text();
                        format!(
                            "the producer is freed with {left} batches that have not ended, which are given up: flush or \
                             close it before{trouble}"
                        )
                    });
            }
            shared.give_up();
            shared.waker.leave();
        }
    }
}
