//! The explicit `connect` of every kind of client: waits until the cluster is there, or says what is in the way.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::client::calls::{Call, Reply, later, question};
use crate::client::waker::Waker;
use crate::cluster::core::Core;
use crate::error::{Error, ErrorCode, Result};

struct Waiting {
    since: Instant,
    deadline: Instant,
    reply: Reply<()>,
}

type Answers = Vec<(Reply<()>, Result<()>)>;

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    closed: bool,
}

/// The callers of `connect`, shared by their threads and the client's role. The role calls
/// [`ConnectCalls::poll`] in each of its polls and [`ConnectCalls::close`] when it ends.
#[derive(Default)]
pub(crate) struct ConnectCalls(Mutex<State>);

impl ConnectCalls {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for an answer once metadata has come and a connection to a broker by its id stands.
    ///
    /// # Errors
    /// CLOSED if the client is closed. Of the call: after `timeout`, or as soon as waiting is useless, each broker tried,
    /// as given and as advertised, with the stage that failed and the reason; CLOSED if the client gets closed.
    pub(crate) fn ask(&self, waker: &Waker, now: Instant, timeout: Duration) -> Result<Call<()>> {
        let (reply, call) = question("connect", timeout);
        {
            let mut state = self.lock();
            if state.closed {
                return Err(closed());
            }
            state.waiting.push(Waiting {
                since: now,
                deadline: later(now, timeout),
                reply,
            });
        }
        waker.wake();
        Ok(call)
    }

    /// Does what can be done for those who wait; answers when it next needs a call though nothing else happens.
    pub(crate) fn poll<T: Clone>(&self, core: &mut Core<T>, now: Instant) -> Option<Instant> {
        let (answers, deadline) = self.take_ended(core, now);
        // Without the lock: whoever is woken may ask again at once.
        for (reply, answer) in answers {
            reply.give(answer);
        }
        deadline
    }

    /// Who waits no longer, with the answer, and when the next wait ends.
    fn take_ended<T: Clone>(&self, core: &mut Core<T>, now: Instant) -> (Answers, Option<Instant>) {
        let mut state = self.lock();
        if state.waiting.is_empty() {
            return (Vec::new(), None);
        }
        if core.contacted() && core.broker_conn(now, None).is_some() {
            let all = state.waiting.drain(..);
            return (all.map(|w| (w.reply, Ok(()))).collect(), None);
        }
        let mut answers = Vec::new();
        for w in std::mem::take(&mut state.waiting) {
            let waited = now.saturating_duration_since(w.since);
            let error = match core.incurable(w.since) {
                Some(error) => error,
                None if w.deadline <= now => core.unreachable(now, waited, ""),
                None => {
                    state.waiting.push(w);
                    continue;
                }
            };
            answers.push((w.reply, Err(error.context("connect"))));
        }
        let deadlines = state.waiting.iter().map(|w| w.deadline);
        let deadline = deadlines.chain(core.broker_conn_deadline(now)).min();
        (answers, deadline)
    }

    /// Ends every wait, present and future.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting
            .into_iter()
            .for_each(|w| w.reply.give(Err(closed())));
    }
}

fn closed() -> Error {
    Error::new(ErrorCode::CLOSED, "connect: the client is closed")
}
