//! What waits for a program's poll, and what ends its wait: consumers and share consumers have one each.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::event::Event;
use crate::error::{Error, ErrorCode, Result};
use crate::queue::{Drained, Queue};

/// What a poll finds; all events lie before all chunks.
#[derive(Debug)]
pub(crate) enum Item<C> {
    Event(Event),
    Chunk(C),
}

/// How many events lie before the first chunk.
pub(crate) fn events<C>(items: &VecDeque<Item<C>>) -> usize {
    let event = |item: &&Item<C>| matches!(item, Item::Event(_));
    items.iter().take_while(event).count()
}

pub(crate) struct Inbox<C> {
    /// What its owner is called in messages.
    owner: &'static str,
    pub(crate) items: Queue<Item<C>>,
    /// Why no broker could be reached, until the first contact.
    unreachable: Mutex<Option<Error>>,
    closed: AtomicBool,
    /// The user asked for a poll to be woken; the queue is also woken to tell that no broker can be reached.
    wake_asked: AtomicBool,
}

impl<C> Inbox<C> {
    pub(crate) fn new(owner: &'static str) -> Self {
        Inbox {
            owner,
            items: Queue::default(),
            unreachable: Mutex::default(),
            closed: AtomicBool::new(false),
            wake_asked: AtomicBool::new(false),
        }
    }

    /// Hands events and chunks to the polling thread: one lock and at most one wake-up for all of them.
    pub(crate) fn deliver(&self, new: &mut Vec<Event>, chunks: &mut Vec<C>) {
        if new.is_empty() && chunks.is_empty() {
            return;
        }
        self.items.update(|items| {
            let before = events(items);
            for (i, event) in new.drain(..).enumerate() {
                items.insert(before + i, Item::Event(event));
            }
            items.extend(chunks.drain(..).map(Item::Chunk));
        });
    }

    pub(crate) fn set_unreachable(&self, error: Option<Error>) {
        let tell = error.is_some();
        *self
            .unreachable
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = error;
        if tell {
            self.items.wake();
        }
    }

    /// Why polls fail, until the first contact.
    pub(crate) fn unreachable(&self) -> Option<Error> {
        let unreachable = self.unreachable.lock();
        unreachable.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends one poll's wait.
    pub(crate) fn wake_poll(&self) {
        self.wake_asked.store(true, Ordering::Release);
        self.items.wake();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends every call; true for the first caller.
    pub(crate) fn close(&self) -> bool {
        let first = !self.closed.swap(true, Ordering::AcqRel);
        self.items.close();
        first
    }

    pub(crate) fn closed_error(&self) -> Error {
        Error::new(ErrorCode::CLOSED, format!("the {} is closed", self.owner))
    }

    /// # Errors
    /// Why a poll is not to wait at all.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_closed() {
            return Err(self.closed_error());
        }
        self.unreachable().map_or(Ok(()), Err)
    }

    /// What a poll makes of how its wait has ended: true if it goes on, with what it has taken if anything; false if its time
    /// is over.
    ///
    /// # Errors
    /// `WOKEN`, once for each [`Inbox::wake_poll`]; `CLOSED`.
    pub(crate) fn goes_on(&self, drained: Drained) -> Result<bool> {
        match drained {
            Drained::Items(_) => Ok(true),
            Drained::TimedOut => Ok(false),
            Drained::Woken if self.wake_asked.swap(false, Ordering::AcqRel) => Err(Error::new(
                ErrorCode::WOKEN,
                "the poll was woken by another thread",
            )),
            Drained::Woken => Ok(true),
            Drained::Closed => Err(self.closed_error()),
        }
    }
}
