//! Calls that wait until the producer has come so far: until batches have ended, a transaction has, or the client itself.
//!
//! Each has a look at what it waits for. It is taken when the call is begun, and by the sender at the end of each of its
//! turns, which is where what is waited for comes about; [`Waits::stir`] has it take one where another thread changed
//! something. A call is in the list before its caller looks last, so either that look or a turn's sees the change.
//!
//! Lock order: the list, then what the looks take (the state of transactions, live batches). Replies are given without any.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::shared::{Shared, lock};
use crate::client::calls::{Call, Reply, later, question};
use crate::clock::earliest;
use crate::error::Result;

/// Why a look is the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// It isn't.
    No,
    /// The call's time is over.
    Time,
    /// The I/O side has ended.
    Ended,
}

/// How a call has ended; `None` while it has not, which only [`Over::No`] allows.
pub(super) type Look = Box<dyn FnMut(&Shared, Over) -> Option<Result<()>> + Send>;

struct Wait {
    number: u64,
    /// `None` where the caller watches the time.
    deadline: Option<Instant>,
    look: Look,
    reply: Reply<()>,
}

#[derive(Default)]
struct List {
    waits: Vec<Wait>,
    last: u64,
    ended: bool,
}

/// A call that has ended, and how.
type Ended = (Reply<()>, Result<()>);

/// The calls that wait.
#[derive(Default)]
pub(super) struct Waits {
    list: Mutex<List>,
    /// How many there are.
    count: AtomicUsize,
}

impl Waits {
    /// Something changed that calls may wait for, and perhaps not in a turn of the sender's.
    pub(super) fn stir(&self, shared: &Shared) {
        if self.count.load(Ordering::SeqCst) > 0 {
            shared.waker.wake();
        }
    }

    /// Takes those out that a look says have ended, with how.
    fn take_ended(
        &self,
        shared: &Shared,
        over: impl Fn(&Wait) -> Over,
    ) -> (Vec<Ended>, Option<Instant>) {
        let mut ended = Vec::new();
        let mut deadline = None;
        let mut list = lock(&self.list);
        let mut at = 0;
        while let Some(wait) = list.waits.get_mut(at) {
            let over = over(wait);
            match (wait.look)(shared, over) {
                Some(result) => {
                    let wait = list.waits.remove(at);
                    ended.push((wait.reply, result));
                }
                None => {
                    debug_assert_eq!(over, Over::No, "the last look must end the call");
                    deadline = earliest(deadline, wait.deadline);
                    at += 1;
                }
            }
        }
        self.count.store(list.waits.len(), Ordering::SeqCst);
        drop(list);
        (ended, deadline)
    }
}

impl Shared {
    /// Begins a call, which ends within `timeout`.
    pub(super) fn ask(&self, doing: &'static str, timeout: Duration, look: Look) -> Call<()> {
        let deadline = later(self.clock.now(), timeout);
        let (call, number) = self.enlist(doing, timeout, Some(deadline), look);
        if number.is_some() {
            // The I/O thread watches the time.
            self.waker.wake();
        }
        call
    }

    /// Waits for what [`Shared::ask`] begins, watching the time itself, so that the I/O thread needs no wake-up for it.
    pub(super) fn wait(&self, doing: &'static str, timeout: Duration, look: Look) -> Result<()> {
        let (call, number) = self.enlist(doing, timeout, None, look);
        if let Some(result) = call.wait_for(timeout) {
            return result;
        }
        let over = |wait: &Wait| {
            if Some(wait.number) == number {
                Over::Time
            } else {
                Over::No
            }
        };
        self.end_waits(over);
        call.wait()
    }

    /// A call and its number in the list, if it has to wait.
    fn enlist(
        &self,
        doing: &'static str,
        timeout: Duration,
        deadline: Option<Instant>,
        mut look: Look,
    ) -> (Call<()>, Option<u64>) {
        let over = if timeout.is_zero() {
            Over::Time
        } else {
            Over::No
        };
        if let Some(result) = look(self, over) {
            return (Call::done(doing, result), None);
        }
        let (reply, call) = question(doing, timeout);
        let mut list = lock(&self.waits.list);
        if list.ended {
            drop(list);
            if let Some(result) = look(self, Over::Ended) {
                reply.give(result);
            }
            return (call, None);
        }
        list.last += 1;
        let number = list.last;
        list.waits.push(Wait {
            number,
            deadline,
            look,
            reply,
        });
        self.waits.count.store(list.waits.len(), Ordering::SeqCst);
        drop(list);
        self.end_waits(|_| Over::No);
        (call, Some(number))
    }

    fn end_waits(&self, over: impl Fn(&Wait) -> Over) -> Option<Instant> {
        let (ended, deadline) = self.waits.take_ended(self, over);
        for (reply, result) in ended {
            reply.give(result);
        }
        deadline
    }

    /// The sender's look at the end of a turn; when the next call's time is over.
    pub(super) fn poll_waits(&self, now: Instant) -> Option<Instant> {
        if self.waits.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        self.end_waits(|wait| match wait.deadline {
            Some(deadline) if deadline <= now => Over::Time,
            _ => Over::No,
        })
    }

    /// The I/O side has ended: every wait does, present and future.
    pub(super) fn close_waits(&self) {
        lock(&self.waits.list).ended = true;
        self.end_waits(|_| Over::Ended);
    }
}
