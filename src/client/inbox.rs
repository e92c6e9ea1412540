//! What waits for a program's poll, and what ends its wait: consumers and share consumers have one each.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::client::event::{Event, Subject};
use crate::client::mailbox::{Drained, Mailbox};
use crate::error::{Error, ErrorCode, Result};

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

/// Drops waiting events that new ones take the place of.
fn drop_replaced<C>(items: &mut VecDeque<Item<C>>, new: &mut [Event]) {
    if !matches!(items.front(), Some(Item::Event(_))) {
        return;
    }
    let subjects = new.iter().enumerate();
    let places: HashMap<Subject, usize> = subjects
        .filter_map(|(at, event)| Some((event.subject()?, at)))
        .collect();
    let replaced = |earlier: &Event, new: &mut [Event]| {
        let at = places.get(&earlier.subject()?)?;
        Some(new.get_mut(*at)?.replaces(earlier))
    };
    items.retain(|item| match item {
        Item::Event(earlier) => replaced(earlier, new) != Some(true),
        Item::Chunk(_) => true,
    });
}

pub(crate) struct Inbox<C> {
    /// What its owner is called in messages.
    owner: &'static str,
    pub(crate) items: Mailbox<Item<C>>,
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
            items: Mailbox::default(),
            unreachable: Mutex::default(),
            closed: AtomicBool::new(false),
            wake_asked: AtomicBool::new(false),
        }
    }

    /// Hands events and chunks to the polling thread: one lock and at most one wake-up for all of them. What comes again
    /// and again while nobody polls takes the place of what it repeats.
    pub(crate) fn deliver(&self, new: &mut Vec<Event>, chunks: &mut Vec<C>) {
        if new.is_empty() && chunks.is_empty() {
            return;
        }
        self.items.update(|items| {
            if !new.is_empty() {
                drop_replaced(items, new);
            }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::client::event::EventKind;

    fn moved(partition: i32, from: i64, to: i64) -> Event {
        let error = Error::new(ErrorCode::OFFSET_OUT_OF_RANGE, format!("to {to}"));
        let topic = Arc::from("t");
        Event::of_partition(
            EventKind::PositionReset,
            &topic,
            partition,
            (from, to),
            error,
        )
    }

    fn unreachable(broker: i32) -> Event {
        let error = Error::new(ErrorCode::CONNECT, "refused");
        Event::of_broker(EventKind::BrokerUnreachable, broker, error)
    }

    fn waiting(inbox: &Inbox<()>) -> Vec<(EventKind, i64, i64, i32)> {
        let shown = |item: &Item<()>| match item {
            Item::Event(e) => Some((e.kind, e.from, e.to, e.broker)),
            Item::Chunk(()) => None,
        };
        inbox
            .items
            .with(|items| items.iter().filter_map(shown).collect())
    }

    #[test]
    fn events_that_nobody_polls_stay_few() {
        let inbox: Inbox<()> = Inbox::new("consumer");
        for round in 0..1000 {
            let mut new = vec![moved(0, round, round + 1), unreachable(1), unreachable(2)];
            inbox.deliver(&mut new, &mut vec![()]);
        }
        let expected = [
            (EventKind::PositionReset, 0, 1000, -1),
            (EventKind::BrokerUnreachable, -1, -1, 1),
            (EventKind::BrokerUnreachable, -1, -1, 2),
        ];
        assert_eq!(waiting(&inbox), expected);
        assert_eq!(inbox.items.len(), 1003, "chunks are untouched, and behind");
    }

    #[test]
    fn what_a_program_needs_each_of_is_kept() {
        let inbox: Inbox<()> = Inbox::new("consumer");
        let committed = |token| Event {
            token,
            ..Event::of(EventKind::OffsetsCommitted)
        };
        // Between these two moves something was read.
        for mut new in [
            vec![moved(0, 10, 20), committed(1)],
            vec![moved(0, 30, 40), committed(2)],
            vec![moved(1, 40, 50)],
        ] {
            inbox.deliver(&mut new, &mut Vec::new());
        }
        let kinds: Vec<_> = waiting(&inbox).into_iter().map(|e| (e.0, e.1)).collect();
        let expected = [
            (EventKind::PositionReset, 10),
            (EventKind::OffsetsCommitted, -1),
            (EventKind::PositionReset, 30),
            (EventKind::OffsetsCommitted, -1),
            (EventKind::PositionReset, 40),
        ];
        assert_eq!(kinds, expected);
    }
}
