//! The share consumer as a program sees it.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use crate::client::calls::{Call, GRACE, LAST_WORDS, Reply, later, question};
use crate::client::driver;
use crate::client::engine::Engine;
use crate::client::event::Event;
use crate::client::inbox::Item;
use crate::client::mailbox::Answer;
use crate::client::waker::Waker;
use crate::clock::Clock;
use crate::cluster;
use crate::cluster::core::Core;
use crate::config::{AcknowledgementMode, ShareConfig};
use crate::consumer::Polled;
use crate::error::{Error, ErrorCode, Result};
use crate::log::LogLine;
use crate::net::io_thread::{check_generation, generation};
use crate::net::socket::SocketOptions;
use crate::reading::batch::Batch;
use crate::share::ledger::{AcknowledgeType, Ledger};
use crate::share::reader;
use crate::share::role::ShareRole;
use crate::share::shared::{Chunk, Command, Shared};

/// Reads topics as a member of a share group (KIP-932): each record is delivered to one member at a time, locked for
/// the group's `share.record.lock.duration.ms`, and acknowledged by that member.
///
/// With `share.acknowledgement.mode=implicit` the records of a poll are accepted by the next poll or commit, except
/// those that were acknowledged otherwise with [`ShareConsumer::acknowledge`]. With `explicit` each must be
/// acknowledged before the next poll; acknowledgements are sent with that poll, or by a commit. Records that are not
/// acknowledged in time are delivered again, perhaps to another member, up to the group's
/// `share.delivery.count.limit`.
///
/// Every method may be called from any thread; only a second poll at the same time is refused.
///
/// ```no_run
/// use std::time::Duration;
/// use ottla::config::ShareConfig;
/// use ottla::consumer::Polled;
/// use ottla::share::{AcknowledgeType, ShareConsumer};
///
/// # fn main() -> ottla::Result<()> {
/// # fn work(_: Option<&[u8]>) -> bool { true }
/// let config = ShareConfig::from_pairs([
///     ("bootstrap.servers", "localhost:9092"),
///     ("group.id", "workers"),
///     ("share.acknowledgement.mode", "explicit"),
/// ])?;
/// let consumer = ShareConsumer::new(config)?;
/// consumer.subscribe(&["jobs"])?;
/// loop {
///     if let Polled::Batch(batch) = consumer.poll(Duration::from_secs(1))? {
///         for (row, record) in batch.iter().enumerate() {
///             let word = if work(record.value()) { AcknowledgeType::Accept } else { AcknowledgeType::Release };
///             consumer.acknowledge(&batch, row..row + 1, word)?;
///         }
///         consumer.commit(Duration::from_secs(30))?;
///     }
/// }
/// # }
/// ```
pub struct ShareConsumer {
    shared: Option<Arc<Shared>>,
    polling: Mutex<()>,
    /// The fork generation it was made in.
    born: u32,
}

impl ShareConsumer {
    /// Creates a share consumer without a subscription. It connects in the background.
    ///
    /// # Errors
    /// `IO` if the I/O thread cannot be started.
    pub fn new(config: ShareConfig) -> Result<Self> {
        let options = SocketOptions::of(&config.common);
        let (consumer, waker, make) = Self::parts(config, Clock::System);
        driver::spawn(waker, options, make)?;
        Ok(consumer)
    }

    /// A share consumer, what wakes its I/O side, and what makes that.
    pub(crate) fn parts(
        config: ShareConfig,
        clock: Clock,
    ) -> (
        ShareConsumer,
        Waker,
        impl FnOnce(Instant) -> Engine<ShareRole> + Send + 'static,
    ) {
        let born = generation();
        let common = Arc::new(config.common.clone());
        let log = cluster::client_log(&common, &clock);
        let shared = Arc::new(Shared::new(config, log.clone()));
        let theirs = shared.clone();
        let make =
            move |now| Engine::new(Core::new(common, log, clock, now), ShareRole::new(theirs));
        let waker = shared.waker.clone();
        let consumer = ShareConsumer {
            shared: Some(shared),
            polling: Mutex::new(()),
            born,
        };
        (consumer, waker, make)
    }

    /// Our side of the client, if it is ours, also while it is closing.
    fn ours(&self) -> Result<&Arc<Shared>> {
        check_generation(self.born)?;
        self.shared.as_ref().ok_or_else(closed)
    }

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

    /// [`ShareConsumer::connect`] without waiting.
    ///
    /// # Errors
    /// `CLOSED`, `FORKED`; the call's are those of [`ShareConsumer::connect`].
    pub fn connect_async(&self, timeout: Duration) -> Result<Call<()>> {
        let shared = self.shared()?;
        shared
            .connect_calls
            .ask(&shared.waker, Instant::now(), timeout)
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
    /// `CLOSED` if the share consumer is closed and no answer will come.
    pub fn next_answer(&self, timeout: Duration) -> Result<Option<Answer>> {
        self.ours()?.inbox.items.next_answer(timeout)
    }

    /// Joins the share group `group.id` and reads these topics; topics that don't exist yet are read once they do.
    /// Replaces an earlier subscription. Records are fetched from the first poll on; if the group has not read a
    /// topic before, the group's `share.auto.offset.reset` (latest by default) says where it starts.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` without a topic, or for an empty name.
    pub fn subscribe(&self, topics: &[&str]) -> Result<()> {
        if topics.is_empty() {
            return Err(Error::argument(
                "subscribing to no topic at all; to leave the share group, unsubscribe",
            ));
        }
        if topics.iter().any(|t| t.is_empty()) {
            return Err(Error::argument("subscribing: a topic's name is empty"));
        }
        let shared = self.shared()?;
        let topics: BTreeSet<Arc<str>> = topics.iter().map(|t| Arc::from(*t)).collect();
        let mut subscription = shared.subscription();
        subscription.clone_from(&topics);
        shared.command(Command::Subscribe(topics));
        Ok(())
    }

    /// Returns the subscribed topics, in order.
    pub fn subscription(&self) -> Result<Vec<Arc<str>>> {
        Ok(self.shared()?.subscription().iter().cloned().collect())
    }

    /// Leaves the share group: sends pending acknowledgements, releases all other records at once, and waits until
    /// other members can have them. With implicit acknowledgement the records of the latest poll are released too:
    /// commit first to accept them.
    ///
    /// # Errors
    /// The first acknowledgement that was refused or not answered in time (`TIMED_OUT`).
    pub fn unsubscribe(&self, timeout: Duration) -> Result<()> {
        self.unsubscribe_async(timeout)?.wait()
    }

    /// [`ShareConsumer::unsubscribe`] without waiting.
    ///
    /// # Errors
    /// `CLOSED`, `FORKED`; the call's are those of [`ShareConsumer::unsubscribe`].
    pub fn unsubscribe_async(&self, timeout: Duration) -> Result<Call<()>> {
        const DOING: &str = "leaving the share group";
        let shared = self.shared()?;
        let (reply, call) = question(DOING, timeout);
        {
            let mut subscription = shared.subscription();
            if subscription.is_empty() {
                return Ok(Call::done(DOING, Ok(())));
            }
            subscription.clear();
            let mut ledger = shared.ledger();
            let said = ledger.take();
            *ledger = Ledger::default();
            let waits = (later(Instant::now(), timeout), reply);
            shared.command(Command::Unsubscribe(said, waits));
        }
        Ok(call)
    }

    /// Waits for an event or for records, and returns it: events first, then records that have arrived, at most
    /// `max.poll.records`, or whole record batches if `share.acquire.mode` is `batch_optimized`.
    /// [`Batch::delivery_counts`] has the number of deliveries of each record.
    ///
    /// With implicit acknowledgement, accepts the records of the previous poll. Sends pending acknowledgements.
    ///
    /// # Errors
    /// With explicit acknowledgement: `INVALID_ARGUMENT` while a record is not acknowledged (renewed ones may
    /// remain). `IN_USE` while another thread polls; `WOKEN` after [`ShareConsumer::wake`]; `CLOSED`;
    /// `INVALID_ARGUMENT` without a subscription; and before the first contact with the cluster, once
    /// `socket.connection.setup.timeout.ms` is over, the reason why no broker can be reached.
    pub fn poll(&self, timeout: Duration) -> Result<Polled> {
        let shared = self.shared()?;
        let _polling = match self.polling.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    ErrorCode::IN_USE,
                    "polling: another thread is polling this share consumer; poll from one thread at a time",
                ));
            }
        };
        if shared.subscription().is_empty() {
            return Err(Error::argument(
                "polling a share consumer that is subscribed to nothing; subscribe first",
            ));
        }
        self.conclude(shared)?;
        let start = Instant::now();
        loop {
            shared.inbox.check()?;
            if shared.inbox.items.len() == 0 {
                shared.set_hungry();
            }
            let mut taken = Taken::default();
            let left = timeout.saturating_sub(start.elapsed());
            let drained = shared
                .inbox
                .items
                .take_with(left, |items| taken.take(items));
            if !shared.inbox.goes_on(drained)? {
                return Ok(Polled::Nothing);
            }
            if let Some(event) = taken.event {
                return Ok(Polled::Event(event));
            }
            let Some(chunk) = taken.chunk else { continue };
            // The lock of what waited too long has run out: others may have it by now.
            if chunk.locked_until <= Instant::now() {
                continue;
            }
            let mut batch = Batch::take();
            let failed = reader::read(shared, &chunk, &mut batch);
            let read = &batch.columns.offsets;
            reader::enter(&chunk, read, failed.is_some(), &mut shared.ledger());
            if let Some(event) = failed {
                shared
                    .inbox
                    .items
                    .update(|items| items.push_front(Item::Event(event)));
            }
            if !batch.is_empty() {
                return Ok(Polled::Batch(batch));
            }
            // Nothing but gaps, or what can't be read: told at once, so that the group moves on.
            self.conclude(shared)?;
        }
    }

    /// Sends what was said of the records given before.
    fn conclude(&self, shared: &Shared) -> Result<()> {
        let mut ledger = shared.ledger();
        match shared.config.acknowledgement {
            AcknowledgementMode::Implicit => ledger.accept_rest(),
            AcknowledgementMode::Explicit => {
                if let Some(((topic, partition), offset, count)) = ledger.unsaid() {
                    return Err(Error::argument(format!(
                        "polling: {count} records of the polls before are not acknowledged, first {topic}-{partition} at \
                         offset {offset}; with share.acknowledgement.mode=explicit acknowledge each (accept, release, \
                         reject, renew) before the next poll"
                    )));
                }
            }
        }
        let said = ledger.take();
        if !said.is_empty() {
            shared.command(Command::Acknowledge(said, None));
        }
        Ok(())
    }

    /// Acknowledges rows of a polled batch. The acknowledgement is sent with the next poll or commit, and may be
    /// changed until then.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the batch has no such rows, or if one of the records is not, or no longer, locked for
    /// this consumer: already acknowledged, or released. The other records are acknowledged nevertheless.
    pub fn acknowledge(
        &self,
        batch: &Batch,
        rows: Range<usize>,
        word: AcknowledgeType,
    ) -> Result<()> {
        let shared = self.shared()?;
        if rows.end > batch.len() || rows.start > rows.end {
            return Err(Error::argument(format!(
                "acknowledging rows {} to {} of a batch of {}",
                rows.start,
                rows.end,
                batch.len()
            )));
        }
        let mut ledger = shared.ledger();
        let mut missing = None;
        for segment in batch.segments() {
            let own = segment.rows();
            let (from, to) = (rows.start.max(own.start), rows.end.min(own.end));
            if from >= to {
                continue;
            }
            let offsets = &batch.columns().offsets[from..to];
            let key = (segment.topic().clone(), segment.partition());
            let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
            let count = ledger.say(&key, first, last, word);
            let lacking = offsets.len() as u64 - count.min(offsets.len() as u64);
            if lacking > 0 {
                missing.get_or_insert_with(|| not_held(&key.0, key.1, first, last, lacking));
            }
        }
        missing.map_or(Ok(()), Err)
    }

    /// Acknowledges one record by its offset.
    ///
    /// # Errors
    /// As [`ShareConsumer::acknowledge`].
    pub fn acknowledge_offset(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        word: AcknowledgeType,
    ) -> Result<()> {
        let key = (Arc::from(topic), partition);
        match self.shared()?.ledger().say(&key, offset, offset, word) {
            0 => Err(not_held(topic, partition, offset, offset, 1)),
            _ => Ok(()),
        }
    }

    /// Sends pending acknowledgements and waits until the brokers have carried them out. With implicit
    /// acknowledgement, accepts everything that was polled.
    ///
    /// # Errors
    /// The first acknowledgement that was refused, for example `INVALID_RECORD_STATE` if a lock had expired;
    /// `TIMED_OUT`.
    pub fn commit(&self, timeout: Duration) -> Result<()> {
        self.begin_commit(timeout)?.wait()
    }

    /// [`ShareConsumer::commit`] without waiting: the returned call reports the outcome, whereas
    /// [`commit_async`](ShareConsumer::commit_async) only reports failures, as events.
    ///
    /// # Errors
    /// `CLOSED`, `FORKED`; the call's are those of [`ShareConsumer::commit`].
    pub fn begin_commit(&self, timeout: Duration) -> Result<Call<()>> {
        const DOING: &str = "committing acknowledgements";
        let (reply, call) = question(DOING, timeout);
        let waits = (later(Instant::now(), timeout), reply);
        if !self.send_said(Some(waits))? {
            return Ok(Call::done(DOING, Ok(())));
        }
        Ok(call)
    }

    /// Sends pending acknowledgements in the background; an event
    /// [`AcknowledgementFailed`](crate::consumer::EventKind::AcknowledgementFailed) reports each refusal.
    /// Acknowledgements are sent with the next poll anyway: this is for programs that don't poll soon.
    pub fn commit_async(&self) -> Result<()> {
        self.send_said(None).map(|_| ())
    }

    /// False if there is nothing to send.
    fn send_said(&self, waits: Option<(Instant, Reply<()>)>) -> Result<bool> {
        let shared = self.shared()?;
        let mut ledger = shared.ledger();
        if shared.config.acknowledgement == AcknowledgementMode::Implicit {
            ledger.accept_rest();
        }
        let said = ledger.take();
        if said.is_empty() {
            return Ok(false);
        }
        shared.command(Command::Acknowledge(said, waits));
        Ok(true)
    }

    /// Returns how long a record is locked for the member that received it, as reported by a broker; `None` before
    /// the first fetch.
    pub fn lock_duration(&self) -> Result<Option<Duration>> {
        Ok(self.shared()?.lock_duration())
    }

    /// Ends the wait of the current poll, or of the next one that has to wait.
    pub fn wake(&self) -> Result<()> {
        self.shared()?.inbox.wake_poll();
        Ok(())
    }

    /// Returns a descriptor that is readable while a poll would return something at once. Records are only fetched
    /// after a poll has returned nothing: poll with a timeout of 0 before waiting on it. It is owned by the share
    /// consumer: only wait on it.
    ///
    /// # Errors
    /// `IO` if the operating system has no descriptors left.
    pub fn descriptor(&self) -> Result<isize> {
        self.ours()?.inbox.items.descriptor()
    }

    /// The bytes of buffers that are held by polled batches.
    pub fn held_bytes(&self) -> Result<usize> {
        Ok(self.shared()?.memory.held())
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

    /// Closes the share consumer: sends pending acknowledgements, releases all other records, leaves the group and
    /// closes the connections. It does not wait for a fetch in flight: the broker releases the rest as soon as that
    /// has ended, within `fetch.max.wait.ms`. Every other call returns `CLOSED`. With implicit acknowledgement the
    /// records of the latest poll are released too: commit first to accept them. Batches stay valid. Closing twice is
    /// not an error.
    ///
    /// # Errors
    /// The first acknowledgement that was refused or not answered in time (`TIMED_OUT`); the client is closed in any
    /// case.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        let Some((shared, call)) = self.closing(timeout)? else {
            return Ok(());
        };
        let closed = call.wait_for(timeout.saturating_add(GRACE));
        if closed.is_some() && !shared.ends_later() {
            shared.waker.wait_ended();
        }
        closed.unwrap_or_else(|| {
            Err(Error::new(
                ErrorCode::TIMED_OUT,
                format!("closing the share consumer: not done within {timeout:.1?}"),
            ))
        })
    }

    /// [`ShareConsumer::close`] without waiting; the connections may be closed a moment after its answer.
    ///
    /// # Errors
    /// `FORKED`; the call's are those of [`ShareConsumer::close`].
    pub fn close_async(&self, timeout: Duration) -> Result<Call<()>> {
        let closing = self.closing(timeout)?;
        Ok(closing.map_or_else(|| Call::done(CLOSING, Ok(())), |(_, call)| call))
    }

    /// Begins to close; `None` if that was done already.
    fn closing(&self, timeout: Duration) -> Result<Option<(&Arc<Shared>, Call<()>)>> {
        check_generation(self.born)?;
        let Some(shared) = self.shared.as_ref().filter(|s| s.inbox.close()) else {
            return Ok(None);
        };
        let (reply, call) = question(CLOSING, timeout);
        begin_close(shared, timeout, reply);
        Ok(Some((shared, call)))
    }
}

const CLOSING: &str = "closing the share consumer";

fn closed() -> Error {
    Error::new(ErrorCode::CLOSED, "the share consumer is closed")
}

impl Drop for ShareConsumer {
    fn drop(&mut self) {
        let Some(shared) = self.shared.take() else {
            return;
        };
        if check_generation(self.born).is_err() {
            // The parent's locks may be held by threads that this process does not have.
            std::mem::forget(shared);
        } else {
            if shared.inbox.close() {
                begin_close(&shared, LAST_WORDS, Reply::unheard());
            }
            shared.waker.leave();
        }
    }
}

fn begin_close(shared: &Shared, timeout: Duration, reply: Reply<()>) {
    let said = shared.ledger().take();
    shared.command(Command::Close(
        said,
        (later(Instant::now(), timeout), reply),
    ));
}

/// What a poll takes of the queue: one event, or one chunk.
#[derive(Default)]
struct Taken {
    event: Option<Event>,
    chunk: Option<Chunk>,
}

impl Taken {
    fn take(&mut self, items: &mut VecDeque<Item<Chunk>>) -> usize {
        match items.pop_front() {
            Some(Item::Event(event)) => self.event = Some(event),
            Some(Item::Chunk(chunk)) => self.chunk = Some(chunk),
            None => return 0,
        }
        1
    }
}

fn not_held(topic: &str, partition: i32, first: i64, last: i64, count: u64) -> Error {
    let place = if first == last {
        format!("{topic}-{partition} at offset {first}")
    } else {
        format!("{topic}-{partition} at offsets {first} to {last}")
    };
    Error::argument(format!(
        "acknowledging {place}: {count} of them this share consumer does not have; they were not polled, or were \
         acknowledged and sent before"
    ))
}
