//! What the user's threads and the I/O thread share of one consumer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::client::calls::{Reply, later};
use crate::client::connect::ConnectCalls;
use crate::client::event::{Event, EventKind};
use crate::client::inbox::{Inbox, Item, events};
use crate::client::stats_hub::StatsHub;
use crate::client::waker::Waker;
use crate::clock::Clock;
use crate::config::{ConsumerConfig, IsolationLevel};
use crate::consumer::chunk::Chunk;
use crate::consumer::partition::{Assignment, Partition};
use crate::group::offset::GroupMetadata;
use crate::group::tag::Identity;
use crate::group::{Commit, Found, Given, OwnAssignor, Polls, Shares, Subscription};
use crate::log::LogRing;
use crate::reading::buffer::FetchMemory;
use crate::reading::poll::Start;
use crate::topic::TopicPartition;

/// Timestamps that ask ListOffsets for a log's beginning and end.
pub(super) const EARLIEST: i64 = -2;
pub(super) const LATEST: i64 = -1;

/// What ListOffsets answers: offset and timestamp of a record; the offset is -1 where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FoundOffset {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
}

/// One partition of a topic, as the cluster tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    /// The partition's index.
    pub partition: i32,
    /// The leader's broker id, or -1 while there is none.
    pub leader: i32,
    /// The leader's epoch, or -1.
    pub leader_epoch: i32,
    /// Broker ids of all replicas.
    pub replicas: Vec<i32>,
    /// Broker ids of the replicas in sync.
    pub isr: Vec<i32>,
}

/// What the user's threads ask of the I/O thread.
#[derive(Debug)]
pub(super) enum Command {
    /// Fetches a partition from here on; it may be new.
    Start {
        partition: Arc<Partition>,
        generation: u32,
        start: Start,
    },
    /// No longer fetches a partition.
    Remove(Arc<Partition>),
    /// No longer fetches what cannot be read, until it is started again.
    Stop {
        partition: Arc<Partition>,
        generation: u32,
    },
    /// Fetches a topic whole.
    Whole { topic: Arc<str>, start: Start },
    /// No longer looks for new partitions of a topic.
    NotWhole(Arc<str>),
    /// Partitions were paused or resumed.
    Replan,
    /// Looks offsets up: topic, partition, timestamp.
    Offsets {
        wanted: Vec<(Arc<str>, i32, i64)>,
        deadline: Instant,
        reply: Reply<Vec<FoundOffset>>,
    },
    /// Describes a topic.
    Partitions {
        topic: Arc<str>,
        deadline: Instant,
        reply: Reply<Vec<PartitionInfo>>,
    },
    /// Commits offsets.
    Commit(Commit),
    /// Looks committed offsets up.
    Committed {
        wanted: Vec<TopicPartition>,
        deadline: Instant,
        reply: Reply<Vec<Found>>,
    },
    /// Becomes a member of the group, or wants something else as one.
    Subscribe(Subscription),
    /// Leaves the group.
    Unsubscribe { deadline: Instant, reply: Reply<()> },
    /// A revocation was dealt with.
    Acknowledge(u64),
    /// Subscriptions from now on have a strategy of the program's own.
    SetAssignor(OwnAssignor),
    /// How the group is shared out; `None` if the program can't say.
    ShareOut {
        number: u64,
        shares: Option<Shares>,
        reply: Reply<()>,
    },
    /// The program polls again after it was too late to.
    Returned,
    /// Ends the client, at the deadline at the latest.
    Close { deadline: Instant, reply: Reply<()> },
}

/// One consumer.
pub(super) struct Shared {
    pub(super) config: ConsumerConfig,
    pub(super) log: Arc<LogRing>,
    pub(super) clock: Clock,
    pub(super) memory: FetchMemory,
    pub(super) stats: StatsHub,
    /// Time spent in polls.
    pub(super) poll_us: AtomicU64,
    /// Records that polls have given.
    pub(super) delivered: AtomicU64,
    pub(super) inbox: Inbox<Chunk>,
    pub(super) waker: Waker,
    pub(super) connect_calls: ConnectCalls,
    assignment: Mutex<Assignment>,
    commands: Mutex<Vec<Command>>,
    /// Chunks of paused partitions. Locked only while the queue's lock is held, where it matters which side a chunk
    /// is on.
    stashed: Mutex<VecDeque<Chunk>>,
    last_token: AtomicU64,
    group: Mutex<Identity>,
    watch: Mutex<Watch>,
}

/// How the program polls, watched for a member of a group.
#[derive(Debug, Default)]
struct Watch {
    /// Inside a poll.
    polling: bool,
    polls: Polls,
    /// It was too late; the next poll is news.
    late: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(config: ConsumerConfig, log: Arc<LogRing>, clock: Clock) -> Self {
        Shared {
            memory: FetchMemory::new(config.fetch_memory_bytes),
            stats: StatsHub::default(),
            poll_us: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            config,
            log,
            clock,
            inbox: Inbox::new("consumer"),
            waker: Waker::default(),
            connect_calls: ConnectCalls::default(),
            assignment: Mutex::default(),
            commands: Mutex::default(),
            stashed: Mutex::default(),
            last_token: AtomicU64::new(0),
            group: Mutex::default(),
            watch: Mutex::default(),
        }
    }

    /// When a call that begins now and has `timeout` is over.
    pub(super) fn later(&self, timeout: Duration) -> Instant {
        later(self.clock.now(), timeout)
    }

    pub(super) fn read_committed(&self) -> bool {
        self.config.isolation_level == IsolationLevel::ReadCommitted
    }

    /// The assignment. Commands that follow from a change of it are given while it is locked, so that the I/O thread
    /// sees them in the order of the changes.
    pub(super) fn assignment(&self) -> MutexGuard<'_, Assignment> {
        lock(&self.assignment)
    }

    /// Asks something of the I/O thread.
    pub(super) fn command(&self, command: Command) {
        lock(&self.commands).push(command);
        self.waker.wake();
    }

    pub(super) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut *lock(&self.commands))
    }

    /// Puts back what a poll could not use up; under the queue's lock it goes where it belongs by now.
    pub(super) fn give_back(&self, work: &mut VecDeque<Chunk>, event: Option<Event>) {
        let mut stale = Vec::new();
        self.inbox.items.with(|items| {
            let mut at = events(items);
            if let Some(event) = event {
                items.insert(at, Item::Event(event));
                at += 1;
            }
            while let Some(chunk) = work.pop_back() {
                if chunk.is_stale() {
                    stale.push(chunk);
                } else if chunk.partition.paused() {
                    self.stash_front(chunk);
                } else {
                    items.insert(at, Item::Chunk(chunk));
                }
            }
        });
        for chunk in stale {
            self.discard(chunk);
        }
    }

    /// Keeps a paused partition's chunk. Called with the queue locked.
    pub(super) fn stash(&self, chunk: Chunk) {
        let wake = self.memory.stash(chunk.charged);
        lock(&self.stashed).push_back(chunk);
        if wake {
            self.waker.wake();
        }
    }

    fn stash_front(&self, chunk: Chunk) {
        let wake = self.memory.stash(chunk.charged);
        lock(&self.stashed).push_front(chunk);
        if wake {
            self.waker.wake();
        }
    }

    /// Pauses or resumes partitions; what was fetched of them is kept aside, or comes back to the front.
    pub(super) fn set_paused(&self, partitions: &[Arc<Partition>], paused: bool) {
        self.inbox.items.update(|items| {
            for partition in partitions {
                partition.set_paused(paused);
            }
            if paused {
                for item in std::mem::take(items) {
                    match item {
                        Item::Chunk(chunk) if chunk.partition.paused() => self.stash(chunk),
                        item => items.push_back(item),
                    }
                }
            } else {
                let at = events(items);
                let mut stashed = lock(&self.stashed);
                for chunk in std::mem::take(&mut *stashed).into_iter().rev() {
                    if chunk.partition.paused() {
                        stashed.push_front(chunk);
                    } else {
                        self.memory.unstash(chunk.charged);
                        items.insert(at, Item::Chunk(chunk));
                    }
                }
            }
        });
        self.command(Command::Replan);
    }

    /// Drops what was fetched for an earlier life of its partition.
    pub(super) fn purge(&self) {
        let mut stale = Vec::new();
        self.inbox.items.with(|items| {
            for item in std::mem::take(items) {
                match item {
                    Item::Chunk(chunk) if chunk.is_stale() => stale.push(chunk),
                    item => items.push_back(item),
                }
            }
            let mut stashed = lock(&self.stashed);
            for chunk in std::mem::take(&mut *stashed) {
                if chunk.is_stale() {
                    self.memory.unstash(chunk.charged);
                    stale.push(chunk);
                } else {
                    stashed.push_back(chunk);
                }
            }
        });
        for chunk in stale {
            self.discard(chunk);
        }
    }

    /// A seek takes the place of moves of the position that the program was not told of.
    pub(super) fn forget_moves(&self, topic: &str, index: i32) {
        self.inbox.items.with(|items| {
            items.retain(|item| match item {
                Item::Event(event) => {
                    event.kind != EventKind::PositionReset
                        || event.partition != index
                        || event.topic.as_deref() != Some(topic)
                }
                Item::Chunk(_) => true,
            });
        });
    }

    /// Drops a chunk and counts its bytes as read.
    pub(super) fn discard(&self, chunk: Chunk) {
        self.release(&chunk.partition, chunk.charged);
    }

    /// Counts what was delivered of a chunk as read.
    pub(super) fn release_read(&self, chunk: &mut Chunk) {
        let left = chunk.charged.min(chunk.bytes_left());
        let read = chunk.charged - left;
        chunk.charged = left;
        self.release(&chunk.partition, read);
    }

    fn release(&self, partition: &Partition, n: usize) {
        partition.take_unread(n);
        if self.memory.release(n) {
            self.waker.wake();
        }
    }

    /// A number for a call that an event will tell of.
    pub(super) fn next_token(&self) -> u64 {
        self.last_token.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// As whom the group knows this consumer now.
    pub(super) fn group_metadata(&self) -> GroupMetadata {
        let identity = lock(&self.group).clone();
        GroupMetadata {
            group_id: self.config.group_id.clone().unwrap_or_default(),
            generation: identity.generation,
            member_id: identity.member_id,
            instance_id: identity.instance_id,
        }
    }

    pub(super) fn set_identity(&self, identity: &Identity) {
        let mut known = lock(&self.group);
        if *known != *identity {
            *known = identity.clone();
        }
    }

    /// Watches how the program polls, from now on.
    pub(super) fn watch_polls(&self, now: Instant) {
        lock(&self.watch).polls.idle_since = Some(now);
    }

    pub(super) fn polls(&self) -> Polls {
        let watch = lock(&self.watch);
        let polling = watch.polling;
        Polls {
            idle_since: watch.polls.idle_since.filter(|_| !polling),
            ..watch.polls
        }
    }

    /// The member has left because the program did not poll.
    pub(super) fn set_late(&self) {
        let mut watch = lock(&self.watch);
        watch.late = !watch.polling;
        if !watch.late {
            drop(watch);
            self.command(Command::Returned);
        }
    }

    /// A poll begins.
    pub(super) fn poll_begins(&self) {
        let mut watch = lock(&self.watch);
        watch.polling = true;
        if std::mem::take(&mut watch.late) {
            drop(watch);
            self.command(Command::Returned);
        }
    }

    /// A poll ends, at `now`; or the program shows that it is at work on what the last one gave.
    pub(super) fn poll_ends(&self, now: Instant, given: Option<Given>) {
        let mut watch = lock(&self.watch);
        watch.polls.idle_since = Some(now);
        if let Some(given) = given {
            watch.polling = false;
            watch.polls.given = given;
        }
    }

    /// Lets nothing more of these partitions be delivered; what was fetched of them is dropped.
    pub(super) fn revoke(&self, partitions: &[Arc<Partition>]) {
        self.inbox
            .items
            .with(|_| partitions.iter().for_each(|p| p.revoke()));
        self.purge();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorCode};

    #[test]
    fn a_seek_takes_the_place_of_moves_that_were_not_told() {
        let pairs = [("bootstrap.servers", "a:1")];
        let config = ConsumerConfig::from_pairs(pairs).unwrap();
        let log = Arc::new(LogRing::new("c", None));
        let shared = Shared::new(config, log, Clock::System);
        let moved = |partition| {
            let error = Error::new(ErrorCode::OFFSET_OUT_OF_RANGE, "gone");
            let kind = EventKind::PositionReset;
            Event::of_partition(kind, &Arc::from("t"), partition, (168, 0), error)
        };
        let mut events = vec![moved(0), moved(1), Event::of(EventKind::GroupFailing)];
        shared.inbox.deliver(&mut events, &mut Vec::new());
        shared.forget_moves("t", 1);
        let left = shared.inbox.items.with(|items| {
            let kinds = items.iter().map(|item| match item {
                Item::Event(event) => (event.kind, event.partition),
                Item::Chunk(_) => unreachable!("nothing was fetched"),
            });
            kinds.collect::<Vec<_>>()
        });
        let expected = [(EventKind::PositionReset, 0), (EventKind::GroupFailing, -1)];
        assert_eq!(left, expected);
    }
}
