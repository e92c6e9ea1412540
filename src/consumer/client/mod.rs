//! The consumer as a program sees it.

mod committing;
#[cfg(feature = "simulation")]
mod simulated;
mod subscribing;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crate::client::calls::{Call, GRACE, LAST_WORDS, Reply, question};
use crate::client::driver;
use crate::client::engine::Engine;
use crate::client::mailbox::Answer;
use crate::client::waker::Waker;
use crate::clock::Clock;
use crate::cluster;
use crate::cluster::core::Core;
use crate::config::ConsumerConfig;
use crate::consumer::fetcher::Fetcher;
use crate::consumer::partition::Partition;
use crate::consumer::reader::Reader;
use crate::consumer::shared::{Command, EARLIEST, FoundOffset, LATEST, PartitionInfo, Shared};
use crate::error::{Error, ErrorCode, Result};
use crate::group::Given;
use crate::log::LogLine;
use crate::net::io_thread::{check_generation, generation};
use crate::net::socket::SocketOptions;
use crate::reading::poll::{Polled, Start};
use crate::stats::Stats;

/// Reads partitions of topics.
///
/// Records are fetched in the background from all leaders at once, and returned by [`Consumer::poll`]. Every method
/// may be called from any thread; only a second poll at the same time is refused. After a `fork` calls on the child's
/// copy return `FORKED`.
pub struct Consumer {
    shared: Option<Arc<Shared>>,
    reader: Mutex<Reader>,
    /// The fork generation it was made in.
    born: u32,
}

impl Consumer {
    /// Creates a consumer without an assignment. It connects in the background.
    ///
    /// # Errors
    /// `IO` if the I/O thread cannot be started.
    pub fn new(config: ConsumerConfig) -> Result<Self> {
        let options = SocketOptions::of(&config.common);
        let (consumer, waker, make) = Consumer::parts(config, Clock::System);
        driver::spawn(waker, options, make)?;
        Ok(consumer)
    }

    /// A consumer, what wakes its I/O side, and what makes that.
    pub(crate) fn parts(
        config: ConsumerConfig,
        clock: Clock,
    ) -> (
        Consumer,
        Waker,
        impl FnOnce(Instant) -> Engine<Fetcher> + Send + 'static,
    ) {
        let born = generation();
        let common = Arc::new(config.common.clone());
        let log = cluster::client_log(&common, &clock);
        let shared = Arc::new(Shared::new(config, log.clone(), clock.clone()));
        let theirs = shared.clone();
        let make = move |now| Engine::new(Core::new(common, log, clock, now), Fetcher::new(theirs));
        let waker = shared.waker.clone();
        let consumer = Consumer {
            shared: Some(shared),
            reader: Mutex::default(),
            born,
        };
        (consumer, waker, make)
    }

    /// Our side of the client, if it is ours, also while it is closing.
    fn ours(&self) -> Result<&Arc<Shared>> {
        check_generation(self.born)?;
        self.shared.as_ref().ok_or_else(closed)
    }

    /// What every call needs: our side of the client, if it is ours and open.
    fn shared(&self) -> Result<&Arc<Shared>> {
        self.ours()
            .and_then(|shared| match shared.inbox.is_closed() {
                false => Ok(shared),
                true => Err(closed()),
            })
    }

    /// Waits until the cluster has responded and a connection to one of its brokers is established.
    ///
    /// # Errors
    /// After `timeout`, or as soon as further waiting cannot help: each broker tried, the stage that failed, the
    /// reason.
    pub fn connect(&self, timeout: Duration) -> Result<()> {
        self.connect_async(timeout)?.wait()
    }

    /// [`Consumer::connect`] without waiting.
    ///
    /// # Errors
    /// `CLOSED`, `FORKED`; the call's are those of [`Consumer::connect`].
    pub fn connect_async(&self, timeout: Duration) -> Result<Call<()>> {
        let shared = self.shared()?;
        let now = shared.clock.now();
        shared.connect_calls.ask(&shared.waker, now, timeout)
    }

    fn ask<T>(
        &self,
        timeout: Duration,
        doing: &'static str,
        command: impl FnOnce(Instant, Reply<T>) -> Command,
    ) -> Result<Call<T>> {
        let shared = self.shared()?;
        let (reply, call) = question(doing, timeout);
        shared.command(command(shared.later(timeout), reply));
        Ok(call)
    }

    /// Has the answer to a call put into the mailbox, under `token`.
    pub(crate) fn answered<T: Send + Sync + 'static>(
        &self,
        call: Call<T>,
        token: u64,
    ) -> Result<()> {
        call.answer_to(self.ours()?, |shared| &shared.inbox.items, token);
        Ok(())
    }

    /// Waits up to `timeout` for an answer to an asynchronous call; `None` if none comes in time. While one is
    /// available the descriptor is readable.
    ///
    /// # Errors
    /// `CLOSED` if the consumer is closed and no answer will come.
    pub fn next_answer(&self, timeout: Duration) -> Result<Option<Answer>> {
        self.ours()?.inbox.items.next_answer(timeout)
    }

    /// Replaces the assignment with these partitions. A partition that was already assigned continues where it is,
    /// with the records fetched so far; its start is ignored.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a negative partition or offset, an empty topic name, or the same partition twice.
    pub fn assign(&self, partitions: &[(&str, i32, Start)]) -> Result<()> {
        let shared = self.shared()?;
        let mut wanted = BTreeMap::new();
        for (topic, index, start) in partitions {
            check(topic, *index, *start)?;
            if wanted.insert((*topic, *index), *start).is_some() {
                return Err(Error::argument(format!(
                    "assigning {topic}-{index} twice in one call"
                )));
            }
        }
        let mut assignment = shared.assignment();
        not_subscribed(&assignment, "assigning partitions")?;
        for topic in std::mem::take(&mut assignment.whole).into_keys() {
            shared.command(Command::NotWhole(topic));
        }
        let gone = assignment.retain(|p| wanted.contains_key(&(&*p.topic, p.index)));
        remove(shared, gone);
        for ((topic, index), start) in wanted {
            if let Some(partition) = assignment.add(topic, index) {
                let generation = partition.restart(start);
                shared.command(Command::Start {
                    partition,
                    generation,
                    start,
                });
            }
        }
        drop(assignment);
        shared.purge();
        Ok(())
    }

    /// Adds all partitions of a topic to the assignment. Partitions added to the topic later are read too, from their
    /// beginnings, so that no record is missed; an event reports them.
    /// # Errors
    /// `INVALID_ARGUMENT` for an empty topic name, or an offset as the start.
    pub fn assign_topic(&self, topic: &str, start: Start) -> Result<()> {
        let shared = self.shared()?;
        check(topic, 0, start)?;
        if matches!(start, Start::Offset(_)) {
            return Err(Error::argument(format!(
                "assigning all of {topic} at one offset: offsets differ by partition; assign each with its own"
            )));
        }
        let topic: Arc<str> = Arc::from(topic);
        let mut assignment = shared.assignment();
        not_subscribed(&assignment, "assigning a topic")?;
        assignment.whole.insert(topic.clone(), start);
        shared.command(Command::Whole { topic, start });
        Ok(())
    }

    /// Clears the assignment.
    pub fn unassign(&self) -> Result<()> {
        self.assign(&[])
    }

    /// Returns the assigned partitions, ordered by topic and partition.
    pub fn assignment(&self) -> Result<Vec<(Arc<str>, i32)>> {
        Ok(self
            .shared()?
            .assignment()
            .iter()
            .map(|p| p.key())
            .collect())
    }

    /// Moves the position of a partition. Records that were fetched but not polled are discarded, and so are events about
    /// earlier moves of its position that no poll has returned yet.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if it is not assigned, or for a negative offset.
    pub fn seek(&self, topic: &str, index: i32, start: Start) -> Result<()> {
        let shared = self.shared()?;
        check(topic, index, start)?;
        let assignment = shared.assignment();
        let partition = assigned(&assignment, topic, index)?.clone();
        let generation = partition.restart(start);
        shared.command(Command::Start {
            partition,
            generation,
            start,
        });
        drop(assignment);
        shared.forget_moves(topic, index);
        shared.purge();
        Ok(())
    }

    /// Stops fetching and returning records of partitions; records that were already fetched are kept.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if one of them is not assigned; none is paused in that case.
    pub fn pause(&self, partitions: &[(&str, i32)]) -> Result<()> {
        self.set_paused(partitions, true)
    }

    /// Resumes paused partitions.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if one of them is not assigned; none is resumed in that case.
    pub fn resume(&self, partitions: &[(&str, i32)]) -> Result<()> {
        self.set_paused(partitions, false)
    }

    fn set_paused(&self, partitions: &[(&str, i32)], paused: bool) -> Result<()> {
        let shared = self.shared()?;
        let assignment = shared.assignment();
        let found: Result<Vec<Arc<Partition>>> = partitions
            .iter()
            .map(|(topic, index)| assigned(&assignment, topic, *index).cloned())
            .collect();
        shared.set_paused(&found?, paused);
        Ok(())
    }

    /// The partitions that are paused.
    pub fn paused(&self) -> Result<Vec<(Arc<str>, i32)>> {
        Ok(self
            .shared()?
            .assignment()
            .iter()
            .filter(|p| p.paused())
            .map(|p| p.key())
            .collect())
    }

    /// Returns the offset after the last record that counts as read: records of the latest batch count as read when
    /// the next poll is made. `None` while the start is being looked up.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the partition is not assigned.
    pub fn position(&self, topic: &str, partition: i32) -> Result<Option<i64>> {
        Ok(assigned(&self.shared()?.assignment(), topic, partition)?.position())
    }

    /// Returns the number of offsets between the position and the end of the readable log, as last reported by the
    /// brokers; `None` if unknown. Every fetch updates it; for a paused partition the end is requested every 5
    /// seconds.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the partition is not assigned.
    pub fn lag(&self, topic: &str, partition: i32) -> Result<Option<i64>> {
        let shared = self.shared()?;
        let assignment = shared.assignment();
        let partition = assigned(&assignment, topic, partition)?;
        let end = partition.end(shared.read_committed());
        Ok(partition
            .position()
            .zip(end)
            .map(|(position, end)| (end - position).max(0)))
    }

    /// Waits for an event or for records, and returns it: events first, then up to `max_records` records (0:
    /// `max.poll.records`) that have arrived, without waiting for more.
    ///
    /// # Errors
    /// `IN_USE` while another thread polls; `WOKEN` after [`Consumer::wake`]; `CLOSED`; and before the first contact
    /// with the cluster, once `socket.connection.setup.timeout.ms` is over, the reason why no broker can be reached.
    pub fn poll(&self, max_records: usize, timeout: Duration) -> Result<Polled> {
        let shared = self.shared()?;
        let mut reader = match self.reader.try_lock() {
            Ok(reader) => reader,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    ErrorCode::IN_USE,
                    "polling: another thread is polling this consumer; poll from one thread at a time",
                ));
            }
        };
        let max_records = if max_records == 0 {
            shared.config.max_poll_records
        } else {
            max_records
        };
        let begun = shared.clock.now();
        if shared.config.group_id.is_some() {
            shared.poll_begins();
        }
        let polled = reader.poll(shared, max_records, timeout);
        let spent = shared.clock.now().duration_since(begun).as_micros() as u64;
        shared.poll_us.fetch_add(spent, Ordering::Relaxed);
        if shared.config.group_id.is_some() {
            let given = match &polled {
                Ok(Polled::Batch(batch)) => {
                    Given::Records(u32::try_from(batch.len()).unwrap_or(u32::MAX))
                }
                Ok(Polled::Event(_)) => Given::Event,
                Ok(Polled::Nothing) | Err(_) => Given::Nothing,
            };
            shared.poll_ends(shared.clock.now(), Some(given));
        }
        polled
    }

    /// Returns the figures of the client, of each broker, and of each assigned partition.
    ///
    /// # Errors
    /// `CLOSED`; `TIMED_OUT` if the I/O thread does not respond in time.
    pub fn stats(&self, timeout: Duration) -> Result<Stats> {
        self.stats_async(timeout)?.wait()
    }

    /// [`Consumer::stats`] without waiting.
    ///
    /// # Errors
    /// `CLOSED`, `FORKED`.
    pub fn stats_async(&self, timeout: Duration) -> Result<Call<Stats>> {
        let shared = self.shared()?;
        shared.stats.ask(|| shared.waker.wake(), timeout)
    }

    /// Returns the oldest statistics recorded by the timer (`statistics.interval.ms`) that have not been taken; the
    /// last eight are kept. Their histograms cover the time since the previous ones. While new ones are available the
    /// descriptor is readable, and a waiting poll returns nothing.
    pub fn next_stats(&self) -> Option<Stats> {
        self.shared.as_ref()?.stats.next()
    }

    /// Ends the wait of the current poll, or of the next one that has to wait.
    pub fn wake(&self) -> Result<()> {
        self.shared()?.inbox.wake_poll();
        Ok(())
    }

    /// Returns a descriptor that is readable while a poll would return something at once. It is owned by the
    /// consumer: only wait on it.
    ///
    /// # Errors
    /// `IO` if the operating system has no descriptors left.
    pub fn descriptor(&self) -> Result<isize> {
        self.ours()?.inbox.items.descriptor()
    }

    /// Returns the oldest offset of each partition, in order.
    ///
    /// # Errors
    /// That of the first partition that failed; `TIMED_OUT` names what was still missing and why.
    pub fn beginning_offsets(
        &self,
        partitions: &[(&str, i32)],
        timeout: Duration,
    ) -> Result<Vec<i64>> {
        self.beginning_offsets_async(partitions, timeout)?.wait()
    }

    /// [`Consumer::beginning_offsets`] without waiting.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `CLOSED`, `FORKED`; the call's are those of [`Consumer::beginning_offsets`].
    pub fn beginning_offsets_async(
        &self,
        partitions: &[(&str, i32)],
        timeout: Duration,
    ) -> Result<Call<Vec<i64>>> {
        self.offsets_at(partitions, EARLIEST, timeout)
    }

    /// Returns the offset after the last readable record of each partition (with `read_committed`: the start of the
    /// first open transaction), in order.
    ///
    /// # Errors
    /// As [`Consumer::beginning_offsets`].
    pub fn end_offsets(&self, partitions: &[(&str, i32)], timeout: Duration) -> Result<Vec<i64>> {
        self.end_offsets_async(partitions, timeout)?.wait()
    }

    /// [`Consumer::end_offsets`] without waiting.
    ///
    /// # Errors
    /// As [`Consumer::beginning_offsets_async`].
    pub fn end_offsets_async(
        &self,
        partitions: &[(&str, i32)],
        timeout: Duration,
    ) -> Result<Call<Vec<i64>>> {
        self.offsets_at(partitions, LATEST, timeout)
    }

    fn offsets_at(
        &self,
        partitions: &[(&str, i32)],
        at: i64,
        timeout: Duration,
    ) -> Result<Call<Vec<i64>>> {
        let wanted = partitions.iter().map(|(topic, index)| (*topic, *index, at));
        let offsets = |found: Vec<FoundOffset>| found.into_iter().map(|f| f.offset).collect();
        Ok(self
            .offsets(wanted, timeout)?
            .map(move |found| found.map(offsets)))
    }

    /// Returns offset and timestamp of the first record at or after a timestamp (milliseconds since 1970) in each
    /// partition, in order; `None` if there is none.
    ///
    /// # Errors
    /// As [`Consumer::beginning_offsets`]; `INVALID_ARGUMENT` for a negative timestamp.
    pub fn offsets_for_times(
        &self,
        partitions: &[(&str, i32, i64)],
        timeout: Duration,
    ) -> Result<Vec<Option<(i64, i64)>>> {
        self.offsets_for_times_async(partitions, timeout)?.wait()
    }

    /// [`Consumer::offsets_for_times`] without waiting.
    ///
    /// # Errors
    /// As [`Consumer::beginning_offsets_async`].
    pub fn offsets_for_times_async(
        &self,
        partitions: &[(&str, i32, i64)],
        timeout: Duration,
    ) -> Result<Call<Vec<Option<OffsetAndTimestamp>>>> {
        if let Some((topic, index, time)) = partitions.iter().find(|(_, _, time)| *time < 0) {
            return Err(Error::argument(format!(
                "looking up {topic}-{index} by time: timestamp {time} is negative"
            )));
        }
        let each = |f: FoundOffset| (f.offset >= 0).then_some((f.offset, f.timestamp));
        let found = self.offsets(partitions.iter().copied(), timeout)?;
        Ok(found.map(move |found| Ok(found?.into_iter().map(each).collect())))
    }

    fn offsets<'a>(
        &self,
        wanted: impl Iterator<Item = (&'a str, i32, i64)>,
        timeout: Duration,
    ) -> Result<Call<Vec<FoundOffset>>> {
        let wanted: Result<Vec<(Arc<str>, i32, i64)>> = wanted
            .map(|(topic, index, time)| {
                check(topic, index, Start::Reset)?;
                Ok((Arc::from(topic), index, time))
            })
            .collect();
        let wanted = wanted?;
        if wanted.is_empty() {
            self.shared()?;
            return Ok(Call::done("looking up offsets", Ok(Vec::new())));
        }
        self.ask(timeout, "looking up offsets", |deadline, reply| {
            Command::Offsets {
                wanted,
                deadline,
                reply,
            }
        })
    }

    /// Returns the partitions of a topic, by index.
    ///
    /// # Errors
    /// The cluster's error for the topic; `TIMED_OUT`.
    pub fn partitions_for(&self, topic: &str, timeout: Duration) -> Result<Vec<PartitionInfo>> {
        self.partitions_for_async(topic, timeout)?.wait()
    }

    /// [`Consumer::partitions_for`] without waiting.
    ///
    /// # Errors
    /// As [`Consumer::beginning_offsets_async`].
    pub fn partitions_for_async(
        &self,
        topic: &str,
        timeout: Duration,
    ) -> Result<Call<Vec<PartitionInfo>>> {
        check(topic, 0, Start::Reset)?;
        let topic = Arc::from(topic);
        self.ask(timeout, "describing a topic", |deadline, reply| {
            Command::Partitions {
                topic,
                deadline,
                reply,
            }
        })
    }

    /// The bytes of buffers that are held by polled batches, which `fetch.memory.bytes` does not limit.
    pub fn held_bytes(&self) -> Result<usize> {
        Ok(self.shared()?.memory.held())
    }

    /// The bytes fetched and not polled yet, which `fetch.memory.bytes` limits.
    pub fn buffered_bytes(&self) -> Result<usize> {
        Ok(self.shared()?.memory.unread())
    }

    /// Takes up to `max` log lines, the oldest first.
    pub fn log_lines(&self, max: usize) -> Result<Vec<LogLine>> {
        check_generation(self.born)?;
        let mut lines = Vec::new();
        if let Some(shared) = &self.shared {
            shared.log.drain(max, &mut lines);
        }
        Ok(lines)
    }

    /// Closes the consumer: makes every other call return `CLOSED`, discards what was fetched, commits what counts as
    /// read (with `enable.auto.commit`), waits for background commits, leaves the group at once (except a static
    /// member, which stays in it, KIP-345), and waits until the connections are closed. The latest batch does not
    /// count as read yet: mark or commit it first. Batches stay valid. Closing twice is not an error.
    ///
    /// # Errors
    /// `TIMED_OUT` if the I/O thread does not respond within `timeout`; pending group operations are then given up.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        let Some(call) = self.closing(timeout)? else {
            return Ok(());
        };
        let closed = call.wait_for(timeout.saturating_add(GRACE));
        if let (Some(_), Some(shared)) = (&closed, &self.shared) {
            shared.waker.wait_ended();
        }
        closed.unwrap_or_else(|| {
            Err(Error::new(
                ErrorCode::TIMED_OUT,
                format!("closing the consumer: not done within {timeout:.1?}"),
            ))
        })
    }

    /// [`Consumer::close`] without waiting; the connections may be closed a moment after its answer.
    ///
    /// # Errors
    /// `FORKED`; the call's are those of [`Consumer::close`].
    pub fn close_async(&self, timeout: Duration) -> Result<Call<()>> {
        let call = self.closing(timeout)?;
        Ok(call.unwrap_or_else(|| Call::done(CLOSING, Ok(()))))
    }

    /// Begins to close; `None` if that was done already.
    fn closing(&self, timeout: Duration) -> Result<Option<Call<()>>> {
        check_generation(self.born)?;
        let Some(shared) = self.shared.as_ref().filter(|s| s.inbox.close()) else {
            return Ok(None);
        };
        let (reply, call) = question(CLOSING, timeout);
        shared.command(Command::Close {
            deadline: shared.later(timeout),
            reply,
        });
        Ok(Some(call))
    }
}

/// Offset and timestamp (milliseconds since 1970) of a record.
pub type OffsetAndTimestamp = (i64, i64);

const CLOSING: &str = "closing the consumer";

fn closed() -> Error {
    Error::new(ErrorCode::CLOSED, "the consumer is closed")
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if check_generation(self.born).is_err() {
            let shared = self.shared.take();
            // The parent's locks may be held by threads that this process does not have.
            std::mem::forget(shared);
            std::mem::forget(std::mem::take(
                self.reader
                    .get_mut()
                    .unwrap_or_else(PoisonError::into_inner),
            ));
            return;
        }
        // Nobody waits for the answer.
        drop(self.closing(LAST_WORDS));
        if let Some(shared) = &self.shared {
            shared.waker.leave();
        }
    }
}

fn check(topic: &str, index: i32, start: Start) -> Result<()> {
    if topic.is_empty() {
        return Err(Error::argument("the topic's name is empty"));
    }
    if index < 0 {
        return Err(Error::argument(format!(
            "{topic}: partition {index} is negative"
        )));
    }
    match start {
        Start::Offset(n) if n < 0 => Err(Error::argument(format!(
            "{topic}-{index}: offset {n} is negative; for the log's beginning or end there are starts of their own"
        ))),
        Start::Timestamp(n) if n < 0 => Err(Error::argument(format!(
            "{topic}-{index}: timestamp {n} is negative"
        ))),
        _ => Ok(()),
    }
}

fn not_subscribed(assignment: &super::partition::Assignment, doing: &str) -> Result<()> {
    if assignment.subscribed {
        return Err(Error::argument(format!(
            "{doing}: this consumer is subscribed, so its group assigns partitions to it; unsubscribe first"
        )));
    }
    Ok(())
}

fn assigned<'a>(
    assignment: &'a super::partition::Assignment,
    topic: &str,
    index: i32,
) -> Result<&'a Arc<Partition>> {
    assignment.get(topic, index).ok_or_else(|| {
        Error::argument(format!(
            "{topic}-{index} is not assigned to this consumer; assign it first"
        ))
    })
}

fn remove(shared: &Shared, gone: Vec<Arc<Partition>>) {
    for partition in gone {
        partition.restart(Start::Reset);
        shared.command(Command::Remove(partition));
    }
}
