//! Calls of the user's threads, and how they wait for the I/O thread's answer.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::driver::FAR;
use crate::error::{Error, ErrorCode, Result};

/// The I/O thread answers in time by itself; a caller waits this much longer before it gives up on it.
pub(crate) const GRACE: Duration = Duration::from_secs(2);
/// How long a client that is dropped without being closed may take in the background for what is still to be said.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(5);

/// Far enough for whoever waits for ever.
pub(crate) fn later(now: Instant, timeout: Duration) -> Instant {
    now.checked_add(timeout).unwrap_or(now + FAR * 24 * 365)
}

/// The answer to a call, waited for by the caller and given once.
#[derive(Debug)]
pub(crate) struct Reply<T>(Arc<(Mutex<Option<Result<T>>>, Condvar)>);

impl<T> Clone for Reply<T> {
    fn clone(&self) -> Self {
        Reply(self.0.clone())
    }
}

impl<T> Default for Reply<T> {
    fn default() -> Self {
        Reply(Arc::new((Mutex::new(None), Condvar::new())))
    }
}

impl<T> Reply<T> {
    pub(crate) fn give(&self, result: Result<T>) {
        let (slot, given) = &*self.0;
        slot.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(result);
        given.notify_all();
    }

    /// True if nobody waits for it any more.
    pub(crate) fn is_orphaned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Waits for the answer to a call that has `timeout`.
    ///
    /// # Errors
    /// The answer's; `TIMED_OUT` if there is none.
    pub(crate) fn answer(&self, timeout: Duration, doing: &str) -> Result<T> {
        let answer = self.wait(timeout.saturating_add(GRACE));
        answer.unwrap_or_else(|| {
            Err(Error::new(
                ErrorCode::TIMED_OUT,
                format!("{doing}: no answer within {timeout:.1?}"),
            ))
        })
    }

    /// Waits for the answer; `None` if it does not come in time.
    pub(crate) fn wait(&self, timeout: Duration) -> Option<Result<T>> {
        let (slot, given) = &*self.0;
        let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut slot, _) = given
            .wait_timeout_while(slot, timeout, |s| s.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        slot.take()
    }
}
