//! What the program's threads and the I/O thread share of one share consumer.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::client::calls::Reply;
use crate::client::connect::ConnectCalls;
use crate::client::event::Event;
use crate::client::inbox::{Inbox, Item};
use crate::client::waker::Waker;
use crate::config::ShareConfig;
use crate::log::LogRing;
use crate::protocol::share::Acquired;
use crate::reading::buffer::FetchMemory;
use crate::share::Key;
use crate::share::ledger::{Ledger, Said, Source};

/// What one fetch brought of one partition.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) key: Key,
    pub(super) from: Source,
    /// Whole record batches, as they came.
    pub(super) records: Bytes,
    /// Which of their records are this member's.
    pub(super) acquired: Vec<Acquired>,
    /// When others may have them.
    pub(super) locked_until: Instant,
}

/// Who waits for acknowledgements to be carried out, and until when.
pub(super) type Waits = (Instant, Reply<()>);

/// What the program's threads ask of the I/O thread.
#[derive(Debug)]
pub(super) enum Command {
    /// Becomes a member, or wants other topics as one.
    Subscribe(BTreeSet<Arc<str>>),
    /// Sends what was said of records.
    Acknowledge(Vec<Said>, Option<Waits>),
    /// Sends that, leaves the group, gives back what was acquired.
    Unsubscribe(Vec<Said>, Waits),
    /// Does that and ends the client, at the deadline at the latest.
    Close(Vec<Said>, Waits),
}

/// One share consumer.
pub(super) struct Shared {
    pub(super) config: ShareConfig,
    pub(super) log: Arc<LogRing>,
    /// Counts the buffers that the program holds.
    pub(super) memory: FetchMemory,
    pub(super) inbox: Inbox<Chunk>,
    pub(super) waker: Waker,
    pub(super) connect_calls: ConnectCalls,
    commands: Mutex<Vec<Command>>,
    ledger: Mutex<Ledger>,
    subscription: Mutex<BTreeSet<Arc<str>>>,
    /// A poll found nothing to read: records are to be fetched. Nothing is acquired before that, as each lock runs.
    hungry: AtomicBool,
    /// For how many milliseconds records are locked; 0 while that is not known.
    lock_ms: AtomicU64,
    /// Closing was answered, and the client ends a little later.
    ends_later: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(config: ShareConfig, log: Arc<LogRing>) -> Self {
        Shared {
            memory: FetchMemory::new(config.fetch_max_bytes),
            config,
            log,
            inbox: Inbox::new("share consumer"),
            waker: Waker::default(),
            connect_calls: ConnectCalls::default(),
            commands: Mutex::default(),
            ledger: Mutex::default(),
            subscription: Mutex::default(),
            hungry: AtomicBool::new(false),
            lock_ms: AtomicU64::new(0),
            ends_later: AtomicBool::new(false),
        }
    }

    /// What the program has. Acknowledgements are taken from it and given as a command under one lock, so that they are
    /// sent in the order in which they were made.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(super) fn subscription(&self) -> MutexGuard<'_, BTreeSet<Arc<str>>> {
        lock(&self.subscription)
    }

    pub(super) fn command(&self, command: Command) {
        lock(&self.commands).push(command);
        self.waker.wake();
    }

    pub(super) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut *lock(&self.commands))
    }

    /// Hands events and chunks to the polling thread.
    pub(super) fn deliver(&self, events: &mut Vec<Event>, chunks: &mut Vec<Chunk>) {
        if !chunks.is_empty() {
            self.hungry.store(false, Ordering::Release);
        }
        self.inbox.deliver(events, chunks);
    }

    /// Drops what was acquired and not read.
    pub(super) fn drop_chunks(&self) {
        self.inbox
            .items
            .update(|items| items.retain(|item| matches!(item, Item::Event(_))));
    }

    pub(super) fn set_hungry(&self) {
        if !self.hungry.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    pub(super) fn is_hungry(&self) -> bool {
        self.hungry.load(Ordering::Acquire)
    }

    pub(super) fn set_ends_later(&self) {
        self.ends_later.store(true, Ordering::Release);
    }

    pub(super) fn ends_later(&self) -> bool {
        self.ends_later.load(Ordering::Acquire)
    }

    pub(super) fn set_lock(&self, ms: i32) {
        if let Ok(ms) = u64::try_from(ms) {
            self.lock_ms.store(ms, Ordering::Relaxed);
        }
    }

    pub(super) fn lock_duration(&self) -> Option<Duration> {
        let ms = self.lock_ms.load(Ordering::Relaxed);
        (ms > 0).then(|| Duration::from_millis(ms))
    }
}
