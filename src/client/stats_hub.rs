//! Between those who want statistics and the I/O thread that makes them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::calls::{Call, Reply, question};
use crate::error::{Error, ErrorCode, Result};
use crate::stats::Stats;

/// Statistics that nobody takes are dropped, the oldest first.
const KEPT: usize = 8;

#[derive(Default)]
struct State {
    asked: Vec<Reply<Stats>>,
    /// Made by the timer and not taken yet.
    made: VecDeque<Stats>,
    closed: bool,
}

/// Calls for statistics and the timer's ones, shared by a client's callers and its role.
#[derive(Default)]
pub(crate) struct StatsHub(Mutex<State>);

impl StatsHub {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the I/O thread for statistics.
    ///
    /// # Errors
    /// CLOSED if the client is or gets closed.
    pub(crate) fn ask(&self, wake: impl FnOnce(), timeout: Duration) -> Result<Call<Stats>> {
        let (reply, call) = question("statistics", timeout);
        {
            let mut state = self.lock();
            if state.closed {
                return Err(closed());
            }
            state.asked.push(reply);
        }
        wake();
        Ok(call)
    }

    /// The oldest statistics that the timer made and nobody has taken.
    pub(crate) fn next(&self) -> Option<Stats> {
        self.lock().made.pop_front()
    }

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let asked = std::mem::take(&mut state.asked);
        drop(state);
        asked.iter().for_each(|reply| reply.give(Err(closed())));
    }
}

fn closed() -> Error {
    Error::new(ErrorCode::CLOSED, "statistics: the client is closed")
}

/// The role's side.
#[derive(Default)]
pub(crate) struct StatsTimer {
    next: Option<Instant>,
    /// What the timer made last, to tell what came since.
    last: Option<Stats>,
}

impl StatsTimer {
    /// Answers those who ask, and makes what is due every `interval` (zero: never). True if that was made; and when it
    /// is due next.
    pub(crate) fn poll(
        &mut self,
        hub: &StatsHub,
        now: Instant,
        interval: Duration,
        make: impl Fn() -> Stats,
    ) -> (bool, Option<Instant>) {
        let asked = std::mem::take(&mut hub.lock().asked);
        if !asked.is_empty() {
            let stats = make();
            for answer in asked {
                answer.give(Ok(stats.clone()));
            }
        }
        if interval.is_zero() {
            return (false, None);
        }
        let next = *self.next.get_or_insert(now + interval);
        if now < next {
            return (false, Some(next));
        }
        // In step, without making up for what was missed.
        let next = Some(next + interval).filter(|next| *next > now);
        let next = next.unwrap_or(now + interval);
        self.next = Some(next);
        let stats = make();
        let told = match &self.last {
            Some(last) => stats.since(last),
            None => stats.clone(),
        };
        self.last = Some(stats);
        let mut state = hub.lock();
        if state.made.len() == KEPT {
            state.made.pop_front();
        }
        state.made.push_back(told);
        (true, Some(next))
    }
}
