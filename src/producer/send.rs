//! The callers' side: checks a call, finds its partitions, encodes its records straight into their open batches.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Producer;
use super::partition::Partition;
use super::partitioner::{Choice, choose};
use super::pending::PendingEnd;
use super::shared::{Shared, lock};
use super::source::{Many, One, Rows, Source};
use super::topic::{Topic, check_topic_name};
use crate::clock::Recent;
use crate::error::{Error, ErrorCode, Result};
use crate::protocol::record::{HEADER_LEN, Records};

/// How long a call may wait for room in `buffer.memory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wait {
    /// Up to `max.block.ms`.
    #[default]
    MaxBlock,
    /// Up to this long; zero returns AGAIN instead of waiting.
    UpTo(Duration),
}

/// One record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition, or `None` to let the partitioner choose.
    pub partition: Option<i32>,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null (a tombstone in compacted topics).
    pub value: Option<&'a [u8]>,
    /// Headers in order; names may repeat.
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
    /// Milliseconds since 1970, or `None` for now.
    pub timestamp: Option<i64>,
    /// Returned in the record's completion; 0 requests no completion.
    pub token: u64,
}

/// What a thread keeps from one single record to the next.
#[derive(Default)]
struct Sending {
    /// The topic it used last, and its producer's number: most callers stay with one.
    topic: Option<(u64, Arc<Topic>)>,
    time: Recent,
}

thread_local! {
    static SENDING: RefCell<Sending> = RefCell::default();
}

impl Producer {
    /// Sends one record. Its bytes are copied before this returns.
    ///
    /// # Errors
    /// RECORD_TOO_LARGE, AGAIN or BUFFER_FULL (no room in `buffer.memory` in time), CLOSED,
    /// UNKNOWN_TOPIC_OR_PARTITION (the topic is known not to exist, or has no such partition). While no broker can be
    /// reached, records are accepted and wait, within the limits of `max.block.ms` and `delivery.timeout.ms`; call
    /// [`Producer::connect`] to fail early. With `transactional.id`: INVALID_TXN_STATE while no transaction is open;
    /// and every error except AGAIN and BUFFER_FULL, after which the record can be sent again, fails the transaction.
    pub fn send(&self, record: &Record<'_>, wait: Wait) -> Result<()> {
        let topic = record.topic;
        self.send_to(topic.as_bytes(), || Ok(topic), record, wait)
    }

    /// As [`Producer::send`], whatever `record.topic` is, to the topic `name`; `text` is asked for the same as text where it
    /// isn't the thread's last.
    #[inline]
    pub(crate) fn send_to<'n>(
        &self,
        name: &[u8],
        text: impl FnOnce() -> Result<&'n str>,
        record: &Record<'_>,
        wait: Wait,
    ) -> Result<()> {
        self.try_send_to(name, text, record, wait)
            .map_err(|e| self.shared.not_taken(e))
    }

    #[inline(always)]
    fn try_send_to<'n>(
        &self,
        name: &[u8],
        text: impl FnOnce() -> Result<&'n str>,
        record: &Record<'_>,
        wait: Wait,
    ) -> Result<()> {
        let shared = &*self.shared;
        shared.check_open()?;
        let mut one = One {
            key: record.key,
            value: record.value,
            headers: record.headers,
            timestamp: record.timestamp.unwrap_or(0),
            first: 0,
        };
        let by_user = SENDING.with_borrow_mut(
            |Sending { topic: last, time }| -> Result<Option<Arc<Topic>>> {
                if record.timestamp.is_none() {
                    one.timestamp = shared.clock.recent_wall_ms(time);
                }
                let topic = match last {
                    Some((number, topic))
                        if *number == shared.number && *topic.name.as_bytes() == *name =>
                    {
                        topic
                    }
                    _ => &mut last.insert((shared.number, shared.topic(text()?)?)).1,
                };
                let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
                if size + 1024 > shared.config.max_request_size || !record.headers.is_empty() {
                    shared.check_size(&topic.name, None, one.next_size())?;
                }
                // The program's own code may send in its turn, so it isn't called from in here.
                if topic.settings.user.is_some() && record.partition.is_none() {
                    return Ok(Some(topic.clone()));
                }
                let mut partitions = match topic.partitions() {
                    Some(partitions) => partitions,
                    None => {
                        match shared.append_pending(
                            topic,
                            record.partition,
                            one,
                            record.token,
                            wait,
                        ) {
                            PendingEnd::Taken(_, result) => return result.map(|()| None),
                            PendingEnd::Known(partitions, _) => partitions,
                        }
                    }
                };
                let (index, sticky) = match record.partition {
                    Some(p) => {
                        if !is_one_of(p, partitions.len()) {
                            partitions = shared.newest_partitions(topic, p, wait)?;
                        }
                        (valid_partition(topic, p, partitions.len())?, false)
                    }
                    None => shared.configured(topic, partitions.len(), record.key),
                };
                if shared.append_within(&partitions[index], sticky, &one, record.token) {
                    return Ok(None);
                }
                shared
                    .append_to(topic, partitions, index, sticky, one, record.token, wait)
                    .1
                    .map(|()| None)
            },
        )?;
        let Some(topic) = by_user else {
            return Ok(());
        };
        let partitions = shared.known_partitions(&topic, wait)?;
        let (index, sticky) = shared.choose(&topic, partitions.len(), record.key)?;
        shared
            .append_to(&topic, partitions, index, sticky, one, record.token, wait)
            .1
    }

    /// Sends many records of one topic, given as columns.
    ///
    /// All records are checked first, then accepted in order: the first `accepted` of them, which is also returned
    /// with an error. With `partition` `None` the partitioner chooses for every record.
    ///
    /// # Errors
    /// As [`Producer::send`]; if `accepted` is less than the number of rows, the rest was not accepted.
    pub fn send_batch(
        &self,
        topic: &str,
        partition: Option<i32>,
        records: &Records<'_>,
        token: u64,
        wait: Wait,
    ) -> (usize, Result<()>) {
        let (accepted, result) = self
            .try_send_batch(topic, partition, records, token, wait)
            .unwrap_or_else(|e| (0, Err(e)));
        (accepted, result.map_err(|e| self.shared.not_taken(e)))
    }

    fn try_send_batch(
        &self,
        topic: &str,
        partition: Option<i32>,
        records: &Records<'_>,
        token: u64,
        wait: Wait,
    ) -> Result<(usize, Result<()>)> {
        let shared = &*self.shared;
        shared.check_open()?;
        if u32::try_from(records.rows()).is_err() {
            return Err(Error::argument("a batch call takes at most 2^32-1 records"));
        }
        shared.check_sizes(topic, records)?;
        let topic = shared.topic(topic)?;
        let mut all = Many {
            records,
            rows: Rows::Range(0, records.rows()),
        };
        let mut before = 0;
        let by_user = partition.is_none() && topic.settings.user.is_some();
        let partitions = match topic.partitions() {
            _ if by_user => shared.known_partitions(&topic, wait)?,
            Some(partitions) => partitions,
            None => match shared.append_pending(&topic, partition, all, token, wait) {
                PendingEnd::Taken(n, result) => return Ok((n, result)),
                PendingEnd::Known(partitions, n) => {
                    before = n;
                    all = all.skip(n);
                    partitions
                }
            },
        };
        let (n, result) = if let Some(p) = partition {
            let newest = if is_one_of(p, partitions.len()) {
                Ok(partitions)
            } else {
                shared.newest_partitions(&topic, p, wait)
            };
            let chosen =
                newest.and_then(|newest| Ok((valid_partition(&topic, p, newest.len())?, newest)));
            match chosen {
                Ok((index, newest)) => {
                    shared.append_to(&topic, newest, index, false, all, token, wait)
                }
                Err(e) => (0, Err(e)),
            }
        } else {
            // Keyless records of a sticky partitioner go out in one run, partition after partition.
            let keyless = records.keys().rows().is_none() || topic.settings.ignore_keys;
            match shared.configured(&topic, partitions.len(), None) {
                (index, true) if keyless && !by_user => {
                    shared.append_to(&topic, partitions, index, true, all, token, wait)
                }
                _ => shared.append_scattered(&topic, partitions, records, before, token, wait),
            }
        };
        Ok((before + n, result))
    }
}

#[inline]
fn is_one_of(partition: i32, n: usize) -> bool {
    usize::try_from(partition).is_ok_and(|p| p < n)
}

pub(super) fn valid_partition(topic: &Topic, partition: i32, n: usize) -> Result<usize> {
    usize::try_from(partition)
        .ok()
        .filter(|p| *p < n)
        .ok_or_else(|| {
            Error::new(
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                format!(
                    "topic '{}' has no partition {partition}: it has {n}, numbered from 0",
                    topic.name
                ),
            )
        })
}

impl Shared {
    /// Appends a record to the partition's open batch, if it has one with memory for it and doesn't become full, and
    /// nothing else is to be looked at: most single records come no further. False: nothing was done.
    #[inline]
    fn append_within(
        &self,
        partition: &Partition,
        sticky: bool,
        one: &One<'_>,
        token: u64,
    ) -> bool {
        if self.memory.counts_records() || (sticky && !partition.is_available()) {
            return false;
        }
        let mut queue = partition.lock();
        let Some(open) = &mut queue.open else {
            return false;
        };
        let taken = open
            .builder
            .append_within(one.key, one.value, one.headers, one.timestamp);
        if taken {
            open.tokens.add(token, one.first, 1);
        }
        taken
    }

    /// A call that sends was refused: in a transaction it counts as failed, unless room was all that was missing.
    #[cold]
    fn not_taken(&self, error: Error) -> Error {
        const HARMLESS: [ErrorCode; 5] = [
            ErrorCode::AGAIN,
            ErrorCode::BUFFER_FULL,
            ErrorCode::CLOSED,
            ErrorCode::FORKED,
            ErrorCode::INVALID_TXN_STATE,
        ];
        if self.transactions.is_none() || HARMLESS.contains(&error.code()) {
            return error;
        }
        self.fail_transaction(&error)
    }

    #[inline]
    pub(super) fn check_open(&self) -> Result<()> {
        crate::net::io_thread::check_generation(self.generation)?;
        if self.closing.load(Ordering::Relaxed) {
            return Err(closed());
        }
        self.check_transaction()
    }

    /// The topic of this name; at the first time the I/O thread asks for its partitions.
    pub(super) fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        let read = self
            .topics
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(topic) = read.get(name) {
            return Ok(topic.clone());
        }
        drop(read);
        check_topic_name(name)?;
        let mut write = self
            .topics
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(topic) = write.get(name) {
            return Ok(topic.clone());
        }
        let settings = lock(&self.setup).of(name);
        let topic = Arc::new(Topic::new(name, settings, self.clock.rng()));
        write.insert(topic.name.clone(), topic.clone());
        drop(write);
        lock(&self.news).topics.push(topic.clone());
        self.waker.wake();
        Ok(topic)
    }

    /// A topic's partitions; waits for them where they are not known yet.
    pub(super) fn known_partitions<'t>(
        &self,
        topic: &'t Topic,
        wait: Wait,
    ) -> Result<&'t [Arc<Partition>]> {
        if let Some(partitions) = topic.partitions() {
            return Ok(partitions);
        }
        let deadline = self.deadline(wait);
        let mut pending = topic.pending();
        loop {
            // Set under the lock.
            if let Some(partitions) = topic.partitions() {
                return Ok(partitions);
            }
            if let Some(e) = &pending.refused {
                return Err(e.clone());
            }
            self.check_open()?;
            let unknown = |code, text: &str| {
                Error::new(
                    code,
                    format!(
                        "the partitions of topic '{}' are not known{text}, and the partitioner set for it needs their number",
                        topic.name
                    ),
                )
            };
            let Some(deadline) = deadline else {
                topic.refused.store(true, Ordering::Release);
                return Err(unknown(ErrorCode::AGAIN, " yet"));
            };
            match topic.wait(pending, deadline) {
                Some(again) => pending = again,
                None => return Err(unknown(ErrorCode::TIMED_OUT, " in time")),
            }
        }
    }

    /// A topic's partitions by metadata not older than a second: `partition` is none of those known, and may have been added
    /// since.
    #[cold]
    fn newest_partitions<'t>(
        &self,
        topic: &'t Arc<Topic>,
        partition: i32,
        wait: Wait,
    ) -> Result<&'t [Arc<Partition>]> {
        /// A program that goes on with a wrong number doesn't have metadata asked for each time.
        const FRESH: Duration = Duration::from_secs(1);
        let deadline = self.deadline(wait);
        let mut pending = topic.pending();
        let fresh = pending
            .looked
            .is_some_and(|at| self.clock.now() < at + FRESH);
        if partition >= 0 && !fresh {
            if !pending.looking {
                pending.looking = true;
                lock(&self.news).topics.push(topic.clone());
                self.waker.wake();
            }
            while pending.looking {
                self.check_open()?;
                let unknown = |code, text: &str| {
                    let trouble = self.trouble_text();
                    let text = format!(
                        "topic '{}' has no partition {partition} as far as is known, and whether it was added is not known \
                         {text}{trouble}",
                        topic.name
                    );
                    Error::new(code, text)
                };
                let Some(deadline) = deadline else {
                    topic.refused.store(true, Ordering::Release);
                    return Err(unknown(ErrorCode::AGAIN, "yet"));
                };
                match topic.wait(pending, deadline) {
                    Some(again) => pending = again,
                    None => return Err(unknown(ErrorCode::TIMED_OUT, "in time")),
                }
            }
        }
        Ok(topic.partitions().unwrap_or_default())
    }

    fn check_size(&self, topic: &str, row: Option<usize>, bound: usize) -> Result<()> {
        let size = bound + HEADER_LEN;
        let limit = self.config.max_request_size;
        if size <= limit {
            return Ok(());
        }
        let which = row.map_or_else(String::new, |row| format!(" (row {row} of the call)"));
        Err(Error::new(
            ErrorCode::RECORD_TOO_LARGE,
            format!(
                "a record for topic '{topic}'{which} takes {size} bytes in a batch of its own, more than \
                 max.request.size={limit}; raise max.request.size (and the topic's max.message.bytes), or send less"
            ),
        ))
    }

    /// No row is taken of a call that holds one too large.
    fn check_sizes(&self, topic: &str, records: &Records<'_>) -> Result<()> {
        for row in 0..records.rows() {
            let bound = records.size_bound(row);
            if bound + HEADER_LEN > self.config.max_request_size {
                self.check_size(topic, Some(row), bound)?;
            }
        }
        Ok(())
    }

    /// The partition's index for a key, and whether it is the sticky one. May call the program's own code.
    #[inline]
    pub(super) fn choose(
        &self,
        topic: &Topic,
        n: usize,
        key: Option<&[u8]>,
    ) -> Result<(usize, bool)> {
        if let Some(user) = &topic.settings.user
            && let Some(partition) = user.partition(&topic.name, key, n as i32)
        {
            let index = usize::try_from(partition).ok().filter(|p| *p < n);
            return index
                .map(|index| (index, false))
                .ok_or_else(|| not_chosen(topic, partition, n));
        }
        Ok(self.configured(topic, n, key))
    }

    /// As [`Shared::choose`], by the configured partitioner alone.
    #[inline]
    pub(super) fn configured(&self, topic: &Topic, n: usize, key: Option<&[u8]>) -> (usize, bool) {
        let settings = &*topic.settings;
        match choose(settings.partitioner, settings.ignore_keys, key, n as u32) {
            Choice::Fixed(p) => (p as usize, false),
            Choice::Sticky => (topic.sticky(n), true),
            Choice::Random => (topic.random(n), false),
            Choice::RoundRobin => (topic.next_turn(n), false),
        }
    }
}

/// The program's own partitioner answered with what is none of the topic's partitions.
#[cold]
fn not_chosen(topic: &Topic, partition: i32, n: usize) -> Error {
    Error::argument(format!(
        "the partitioner set for topic '{}' chose partition {partition}: the topic has {n}, numbered from 0; for the \
         configured partitioner's choice it may answer -1 (in Rust: None)",
        topic.name
    ))
}

pub(super) fn closed() -> Error {
    Error::new(ErrorCode::CLOSED, "the producer is closed")
}
