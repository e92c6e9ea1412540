//! How programs ask and are told. A call that has to wait for the I/O thread is a question with two ends: the [`Reply`], by
//! which whoever knows the answer gives it, once, and the [`Call`], by which the program gets it: it waits, polls it as a
//! future, or has it put into the client's mailbox under a token.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::mailbox::{Answer, Mailbox};
use crate::config::FOREVER;
use crate::error::{Error, ErrorCode, Result};

/// The I/O thread answers in time by itself; a caller waits this much longer before it gives up on it.
pub(crate) const GRACE: Duration = Duration::from_secs(2);
/// How long a client that is dropped without being closed may take in the background for what is still to be said.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(5);

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// When a call that begins `now` and has `timeout` is over; far enough for whoever waits for ever.
pub(crate) fn later(now: Instant, timeout: Duration) -> Instant {
    now.checked_add(timeout).unwrap_or(now + YEAR)
}

type Then<T> = Box<dyn FnOnce(Result<T>) + Send>;

enum State<T> {
    /// Not answered yet.
    Open {
        waker: Option<Waker>,
        /// Takes the answer as soon as it is there, on the thread that gives it.
        then: Option<Then<T>>,
    },
    Given(Result<T>),
    Taken,
}

struct Cell<T> {
    state: Mutex<State<T>>,
    given: Condvar,
}

impl<T> Cell<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a question at which it is answered, once: later answers are dropped. One that is dropped unanswered is
/// answered with `CLOSED`, so nobody waits for what can't come.
pub(crate) struct Reply<T>(Arc<Cell<T>>);

impl<T> std::fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reply")
    }
}

impl<T> Reply<T> {
    /// Answers. What follows from the answer runs on this thread, so no lock is held that it could take.
    pub(crate) fn give(&self, result: Result<T>) {
        let mut state = self.0.lock();
        let State::Open { waker, then } = &mut *state else {
            return;
        };
        let (waker, then) = (waker.take(), then.take());
        match then {
            Some(then) => {
                *state = State::Taken;
                drop(state);
                then(result);
            }
            None => {
                *state = State::Given(result);
                drop(state);
            }
        }
        self.0.given.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// True if nobody wants the answer any more.
    pub(crate) fn is_orphaned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
            && !matches!(&*self.0.lock(), State::Open { then: Some(_), .. })
    }
}

impl<T> Reply<T> {
    /// Of a question that nobody wants the answer to.
    pub(crate) fn unheard() -> Self {
        question("", Duration::ZERO).0
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if matches!(&*self.0.lock(), State::Open { .. }) {
            let text = "the client has ended without an answer to this call";
            self.give(Err(Error::new(ErrorCode::CLOSED, text)));
        }
    }
}

/// A call that was begun, and its answer.
///
/// Wait for it ([`Call::wait`]), await it in any executor, or ask now and then ([`Call::is_done`]). It ends by itself within
/// the timeout that was given to the call that made it. Dropping it doesn't take back what was asked for; the answer is then
/// lost.
#[must_use = "the call goes on by itself, but its result is lost"]
pub struct Call<T> {
    cell: Arc<Cell<T>>,
    /// Of the call as a whole.
    timeout: Duration,
    /// What is done, for messages.
    doing: &'static str,
}

impl<T> std::fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call({})", self.doing)
    }
}

/// A question to be asked: the end that is given away, and the caller's.
pub(crate) fn question<T>(doing: &'static str, timeout: Duration) -> (Reply<T>, Call<T>) {
    let cell = Arc::new(Cell {
        state: Mutex::new(State::Open {
            waker: None,
            then: None,
        }),
        given: Condvar::new(),
    });
    let call = Call {
        cell: cell.clone(),
        timeout: timeout.min(FOREVER),
        doing,
    };
    (Reply(cell), call)
}

impl<T> Call<T> {
    /// A call that needs no asking.
    pub(crate) fn done(doing: &'static str, result: Result<T>) -> Self {
        let (reply, call) = question(doing, Duration::ZERO);
        reply.give(result);
        call
    }

    /// True once the answer is there.
    pub fn is_done(&self) -> bool {
        !matches!(&*self.cell.lock(), State::Open { .. })
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// The answer's; `TIMED_OUT` if there is none though the call's timeout has been over for a while.
    pub fn wait(self) -> Result<T> {
        let limit = self.timeout.saturating_add(GRACE);
        self.wait_for(limit).unwrap_or_else(|| {
            let text = format!("{}: no answer within {:.1?}", self.doing, self.timeout);
            Err(Error::new(ErrorCode::TIMED_OUT, text))
        })
    }

    /// Waits for the answer; `None` if it does not come in time.
    pub(crate) fn wait_for(&self, timeout: Duration) -> Option<Result<T>> {
        let open = |state: &mut State<T>| matches!(state, State::Open { .. });
        let waited = self
            .cell
            .given
            .wait_timeout_while(self.cell.lock(), timeout, open);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Taken) {
            State::Given(result) => Some(result),
            open @ State::Open { .. } => {
                *state = open;
                None
            }
            State::Taken => None,
        }
    }

    /// Has `then` take the answer, at once if it is there, otherwise on the thread that gives it.
    pub(crate) fn then(self, then: impl FnOnce(Result<T>) + Send + 'static) {
        let mut state = self.cell.lock();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Open { waker, .. } => {
                *state = State::Open {
                    waker,
                    then: Some(Box::new(then)),
                };
            }
            State::Given(result) => {
                drop(state);
                then(result);
            }
            State::Taken => {}
        }
    }

    /// The same call with what `change` makes of its answer.
    pub(crate) fn map<U: Send + 'static>(
        self,
        change: impl FnOnce(Result<T>) -> Result<U> + Send + 'static,
    ) -> Call<U>
    where
        T: Send + 'static,
    {
        let (reply, mapped) = question(self.doing, self.timeout);
        self.then(move |result| reply.give(change(result)));
        mapped
    }

    /// Has the answer put into the mailbox of `owner`, under `token`. An owner that is gone by then drops it.
    pub(crate) fn answer_to<S, I>(self, owner: &Arc<S>, mailbox: fn(&S) -> &Mailbox<I>, token: u64)
    where
        T: Any + Send + Sync,
        S: Send + Sync + 'static,
        I: 'static,
    {
        mailbox(owner).expect();
        let owner = Arc::downgrade(owner);
        let doing = self.doing;
        self.then(move |result| {
            if let Some(owner) = owner.upgrade() {
                let result = result.map(|value| Box::new(value) as Box<dyn Any + Send + Sync>);
                mailbox(&owner).post(Answer::new(token, doing, result));
            }
        });
    }
}

/// Ready with the answer. Ends by itself as [`Call::wait`] does only as long as the process's I/O thread works; it needs no
/// timer of the executor's.
impl<T> Future for Call<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let mut state = self.cell.lock();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Given(result) => Poll::Ready(result),
            State::Open { then, .. } => {
                let waker = Some(context.waker().clone());
                *state = State::Open { waker, then };
                Poll::Pending
            }
            State::Taken => Poll::Ready(Err(Error::new(
                ErrorCode::INVALID_ARGUMENT,
                format!("{}: the answer was taken before", self.doing),
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn an_answer_is_given_once() {
        let (reply, call) = question("asking", LIMIT);
        assert!(!call.is_done());
        reply.give(Ok(1));
        reply.give(Ok(2));
        assert!(call.is_done());
        assert_eq!(call.wait().unwrap(), 1);
    }

    #[test]
    fn a_waiting_caller_gets_it_from_another_thread() {
        let (reply, call) = question("asking", LIMIT);
        let other = std::thread::spawn(move || reply.give(Ok("here")));
        assert_eq!(call.wait().unwrap(), "here");
        other.join().unwrap();
    }

    #[test]
    fn nobody_waits_for_what_cannot_come() {
        let (reply, call) = question::<()>("asking", LIMIT);
        drop(reply);
        assert_eq!(call.wait().unwrap_err().code(), ErrorCode::CLOSED);
        let (reply, call) = question::<()>("asking", Duration::ZERO);
        let none = call.wait_for(Duration::ZERO);
        assert!(none.is_none());
        drop(call);
        assert!(reply.is_orphaned());
    }

    #[test]
    fn answers_are_passed_on_changed() {
        let (reply, call) = question("asking", LIMIT);
        let call = call.map(|n: Result<i32>| n.map(|n| n.to_string()));
        assert!(!reply.is_orphaned());
        reply.give(Ok(7));
        assert_eq!(call.wait().unwrap(), "7");
        let before = Call::done("asking", Ok(1)).map(|n| n.map(|n| n + 1));
        assert_eq!(before.wait().unwrap(), 2);
    }

    #[test]
    fn a_call_is_a_future() {
        let (reply, mut call) = question("asking", LIMIT);
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut call).poll(&mut context).is_pending());
        reply.give(Ok(3));
        let Poll::Ready(answer) = Pin::new(&mut call).poll(&mut context) else {
            panic!("it was answered");
        };
        assert_eq!(answer.unwrap(), 3);
    }
}
