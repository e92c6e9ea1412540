//! A client's one mailbox: what arrives for the program (completions, records, events) and the answers to its calls, drained
//! in batches by waiting, or when the mailbox's one descriptor says so. Wakeable from any thread.

use std::any::Any;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorCode, Result};

/// A connected pair of sockets: a byte in it means readable. It works wherever there are sockets.
#[cfg(unix)]
mod pair {
    use std::io;
    use std::os::fd::AsRawFd;
    pub(super) use std::os::unix::net::UnixStream as Socket;

    pub(super) fn new() -> io::Result<(Socket, Socket)> {
        Socket::pair()
    }

    pub(super) fn descriptor(socket: &Socket) -> isize {
        socket.as_raw_fd() as isize
    }
}

#[cfg(windows)]
mod pair {
    use std::io;
    use std::net::TcpListener;
    pub(super) use std::net::TcpStream as Socket;
    use std::os::windows::io::AsRawSocket;

    pub(super) fn new() -> io::Result<(Socket, Socket)> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let writer = Socket::connect(listener.local_addr()?)?;
        let own = writer.local_addr()?;
        loop {
            let (reader, from) = listener.accept()?;
            // Only our own connection is taken; a stranger's is dropped.
            if from == own {
                return Ok((reader, writer));
            }
        }
    }

    pub(super) fn descriptor(socket: &Socket) -> isize {
        socket.as_raw_socket() as isize
    }
}

struct Pipe {
    reader: pair::Socket,
    writer: pair::Socket,
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (reader, writer) = pair::new()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(Pipe { reader, writer })
    }

    fn raise(&self) {
        // A full pipe is readable already, which is all that was wanted.
        let _ = (&self.writer).write(&[1]);
    }

    fn clear(&self) {
        let mut sink = [0; 16];
        while matches!((&self.reader).read(&mut sink), Ok(n) if n == sink.len()) {}
    }

    fn descriptor(&self) -> isize {
        pair::descriptor(&self.reader)
    }
}

/// Why a drain came back without items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drained {
    /// This many items were taken.
    Items(usize),
    /// The time is over.
    TimedOut,
    /// [`Mailbox::wake`] was called.
    Woken,
    /// [`Mailbox::close`] was called and nothing is left.
    Closed,
}

struct Inner<T> {
    items: VecDeque<T>,
    closed: bool,
    woken: bool,
    /// [`Mailbox::poke`] was called.
    poked: bool,
    answers: VecDeque<Answer>,
    /// Answers that will come.
    expected: usize,
    /// An answer has come and no wait for items was ended by it yet.
    answered: bool,
    /// The descriptor is readable. Kept under the lock, so that raise and clear can't cross.
    raised: bool,
    waiting: usize,
}

impl<T> Inner<T> {
    fn is_readable(&self) -> bool {
        !self.items.is_empty()
            || !self.answers.is_empty()
            || self.closed
            || self.woken
            || self.poked
    }
}

/// The answer to an asynchronous call.
pub struct Answer {
    token: u64,
    doing: &'static str,
    result: Result<Box<dyn Any + Send + Sync>>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("token", &self.token)
            .field("doing", &self.doing)
            .field("error", &self.error())
            .finish_non_exhaustive()
    }
}

impl Answer {
    pub(crate) fn new(
        token: u64,
        doing: &'static str,
        result: Result<Box<dyn Any + Send + Sync>>,
    ) -> Self {
        Answer {
            token,
            doing,
            result,
        }
    }

    /// The token that was passed to the call.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// A short description of the call.
    pub fn doing(&self) -> &'static str {
        self.doing
    }

    /// Why the call failed; `None` if it succeeded.
    pub fn error(&self) -> Option<&Error> {
        self.result.as_ref().err()
    }

    /// The value that the call returned, if it is of this type: that of the call that waits.
    pub fn value<T: 'static>(&self) -> Option<&T> {
        self.result.as_ref().ok()?.downcast_ref()
    }
}

pub(crate) struct Mailbox<T> {
    inner: Mutex<Inner<T>>,
    arrived: Condvar,
    pipe: OnceLock<Pipe>,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Mailbox {
            inner: Mutex::new(Inner {
                items: VecDeque::new(),
                closed: false,
                woken: false,
                poked: false,
                answers: VecDeque::new(),
                expected: 0,
                answered: false,
                raised: false,
                waiting: 0,
            }),
            arrived: Condvar::new(),
            pipe: OnceLock::new(),
        }
    }
}

impl<T> Mailbox<T> {
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the queue and tells whoever waits.
    fn change(&self, change: impl FnOnce(&mut Inner<T>)) {
        let mut inner = self.lock();
        change(&mut inner);
        self.raise(&mut inner);
        if inner.waiting > 0 {
            drop(inner);
            self.arrived.notify_all();
        }
    }

    fn raise(&self, inner: &mut Inner<T>) {
        let readable = inner.is_readable();
        if readable
            && !inner.raised
            && let Some(pipe) = self.pipe.get()
        {
            pipe.raise();
            inner.raised = true;
        }
    }

    fn settle(&self, inner: &mut Inner<T>) {
        if inner.raised
            && !inner.is_readable()
            && let Some(pipe) = self.pipe.get()
        {
            pipe.clear();
            inner.raised = false;
        }
    }

    /// Items waiting.
    pub(crate) fn len(&self) -> usize {
        self.lock().items.len()
    }

    pub(crate) fn extend(&self, items: impl IntoIterator<Item = T>) {
        self.change(|inner| inner.items.extend(items));
    }

    /// Changes the waiting items in place and tells whoever waits.
    pub(crate) fn update(&self, f: impl FnOnce(&mut VecDeque<T>)) {
        self.change(|inner| {
            f(&mut inner.items);
            self.settle(inner);
        });
    }

    /// Ends one wait, present or next.
    pub(crate) fn wake(&self) {
        self.change(|inner| inner.woken = true);
    }

    /// Makes the descriptor readable, and ends a wait as if its time were over, so that the caller looks again at
    /// what it is waiting for besides items.
    pub(crate) fn poke(&self) {
        self.change(|inner| inner.poked = true);
    }

    /// One more answer will be put in.
    pub(crate) fn expect(&self) {
        self.lock().expected += 1;
    }

    /// Puts an answer in. The descriptor is readable until it is taken, and a wait for items ends as if its time were over.
    pub(crate) fn post(&self, answer: Answer) {
        self.change(|inner| {
            inner.expected = inner.expected.saturating_sub(1);
            inner.answers.push_back(answer);
            inner.answered = true;
        });
    }

    /// The oldest answer, waited for up to `timeout`; `None` if none comes in time.
    ///
    /// # Errors
    /// `CLOSED` if the client is closed and no answer will come.
    pub(crate) fn next_answer(&self, timeout: Duration) -> Result<Option<Answer>> {
        let start = Instant::now();
        let mut inner = self.lock();
        loop {
            if let Some(answer) = inner.answers.pop_front() {
                if inner.answers.is_empty() {
                    inner.answered = false;
                }
                self.settle(&mut inner);
                return Ok(Some(answer));
            }
            if inner.closed && inner.expected == 0 {
                let text = "waiting for an answer: the client is closed and no answer will come";
                return Err(Error::new(ErrorCode::CLOSED, text));
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            inner = self.wait(inner, left);
        }
    }

    /// Ends every wait for good; items already there can still be drained.
    pub(crate) fn close(&self) {
        self.change(|inner| inner.closed = true);
    }

    /// Waits up to `timeout` until there are items, then lets `take` have what it wants of them. `take` answers
    /// how many it took; taking none of what is there counts as waiting on.
    pub(crate) fn take_with(
        &self,
        timeout: Duration,
        mut take: impl FnMut(&mut VecDeque<T>) -> usize,
    ) -> Drained {
        let start = Instant::now();
        let mut inner = self.lock();
        loop {
            if !inner.items.is_empty() {
                let n = take(&mut inner.items);
                if n > 0 {
                    self.settle(&mut inner);
                    return Drained::Items(n);
                }
            }
            if inner.woken {
                inner.woken = false;
                self.settle(&mut inner);
                return Drained::Woken;
            }
            if inner.closed {
                return Drained::Closed;
            }
            if inner.poked || inner.answered {
                inner.poked = false;
                inner.answered = false;
                self.settle(&mut inner);
                return Drained::TimedOut;
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Drained::TimedOut;
            }
            inner = self.wait(inner, left);
        }
    }

    /// Waits until something changes, for `left` at the most.
    fn wait<'a>(
        &self,
        mut inner: MutexGuard<'a, Inner<T>>,
        left: Duration,
    ) -> MutexGuard<'a, Inner<T>> {
        inner.waiting += 1;
        let waited = self.arrived.wait_timeout(inner, left);
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        inner.waiting -= 1;
        inner
    }

    /// Looks at or changes the waiting items in place.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        let mut inner = self.lock();
        let result = f(&mut inner.items);
        self.settle(&mut inner);
        self.raise(&mut inner);
        result
    }

    /// The descriptor: readable while there are items (also after a partial drain), after a wake or a close.
    /// Made at the first call, non-blocking, owned by the queue; only to be waited on, never read.
    ///
    /// # Errors
    /// `IO` if the operating system has none left.
    pub(crate) fn descriptor(&self) -> Result<isize> {
        let mut inner = self.lock();
        if self.pipe.get().is_none() {
            let pipe = Pipe::new().map_err(|e| {
                let text = format!("making a descriptor to wait on failed: {e}");
                Error::new(ErrorCode::IO, text)
            })?;
            let _ = self.pipe.set(pipe);
        }
        self.raise(&mut inner);
        Ok(self.pipe.get().map_or(-1, Pipe::descriptor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    impl<T> Mailbox<T> {
        /// Moves up to `max` items into `out`, waiting up to `timeout` for the first.
        fn drain(&self, max: usize, timeout: Duration, out: &mut Vec<T>) -> Drained {
            self.take_with(timeout, |items| {
                let n = items.len().min(max);
                out.extend(items.drain(..n));
                n
            })
        }
    }

    #[test]
    fn drains_in_order_and_wakes() {
        let q = Arc::new(Mailbox::default());
        q.extend([1, 2, 3]);
        let mut out = Vec::new();
        assert_eq!(q.drain(2, Duration::ZERO, &mut out), Drained::Items(2));
        assert_eq!(q.drain(2, Duration::ZERO, &mut out), Drained::Items(1));
        assert_eq!(out, [1, 2, 3]);
        assert_eq!(
            q.drain(2, Duration::from_millis(1), &mut out),
            Drained::TimedOut
        );
        let other = q.clone();
        let t =
            std::thread::spawn(move || other.drain(1, Duration::from_secs(20), &mut Vec::new()));
        q.wake();
        assert_eq!(t.join().unwrap(), Drained::Woken);
        q.extend([4]);
        q.close();
        assert_eq!(q.drain(9, Duration::ZERO, &mut out), Drained::Items(1));
        assert_eq!(
            q.drain(9, Duration::from_secs(9), &mut out),
            Drained::Closed
        );
    }

    #[cfg(unix)]
    #[test]
    fn descriptor_is_readable_until_drained() {
        let q = Mailbox::default();
        let fd = q.descriptor().unwrap() as i32;
        let readable = || {
            let mut p = libc::pollfd {
                fd,
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one valid pollfd, no timeout.
            unsafe { libc::poll(&mut p, 1, 0) == 1 }
        };
        assert!(!readable());
        q.extend([1, 2]);
        assert!(readable());
        q.drain(1, Duration::ZERO, &mut Vec::new());
        assert!(readable(), "after a partial drain");
        q.drain(1, Duration::ZERO, &mut Vec::new());
        assert!(!readable());
        q.wake();
        assert!(readable());
        assert_eq!(q.drain(1, Duration::ZERO, &mut Vec::new()), Drained::Woken);
        assert!(!readable());
    }
}
