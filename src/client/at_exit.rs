//! The end of the process: clients that nobody has closed get a moment for what they should still tell the brokers, and
//! records that no broker has acknowledged are not lost without a word.
//!
//! Whoever calls exit() or returns from main runs the handler, while the I/O thread goes on. After a fork the child has
//! clients of its own only, as its I/O thread is another one.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use crate::log;
use crate::net::io_thread::{IoThread, generation};

/// How long the process's end is held up at most.
const LIMIT: Duration = Duration::from_secs(1);
/// Between two looks at whether all is said.
const PAUSE: Duration = Duration::from_millis(5);

/// A running client, on the I/O thread.
pub(crate) trait Client {
    /// Has what should still reach the brokers sent by then.
    fn leave(&self, by: Instant);
    /// What is left of that.
    fn unsaid(&self) -> Unsaid;
}

/// What clients have not told the brokers yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unsaid {
    /// Something is under way that is worth waiting for.
    pub(crate) busy: bool,
    /// Records that no broker has acknowledged.
    pub(crate) records: u64,
}

thread_local! {
    /// The clients of the I/O thread that this is.
    static CLIENTS: RefCell<Vec<Rc<dyn Client>>> = const { RefCell::new(Vec::new()) };
}

/// Records of producers that were freed without being closed, of this process since it was forked as often as
/// `GIVEN_UP_IN` says.
static GIVEN_UP: AtomicU64 = AtomicU64::new(0);
static GIVEN_UP_IN: AtomicU32 = AtomicU32::new(0);

/// A client begins, on the I/O thread.
pub(crate) fn add(client: Rc<dyn Client>) {
    CLIENTS.with_borrow_mut(|clients| clients.push(client));
}

/// It has ended.
pub(crate) fn remove(client: &Rc<dyn Client>) {
    CLIENTS.with_borrow_mut(|clients| clients.retain(|c| !Rc::ptr_eq(c, client)));
}

/// Notes records of a producer that nobody has flushed or closed.
pub(crate) fn note_given_up(records: u64) {
    if GIVEN_UP_IN.swap(generation(), Ordering::Relaxed) != generation() {
        GIVEN_UP.store(0, Ordering::Relaxed);
    }
    GIVEN_UP.fetch_add(records, Ordering::Relaxed);
}

fn given_up() -> u64 {
    match GIVEN_UP_IN.load(Ordering::Relaxed) == generation() {
        true => GIVEN_UP.load(Ordering::Relaxed),
        false => 0,
    }
}

fn all() -> Vec<Rc<dyn Client>> {
    CLIENTS.with_borrow(Clone::clone)
}

/// Runs `ask` on the I/O thread; `None` if it has not answered by then.
fn on_io_thread<T: Send + 'static>(
    thread: &IoThread,
    by: Instant,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (tell, told) = sync_channel(1);
    let job = move || drop(tell.try_send(ask()));
    thread.run(job).ok()?;
    told.recv_timeout(by.saturating_duration_since(Instant::now()))
        .ok()
}

fn unsaid() -> Unsaid {
    let start = Unsaid {
        busy: false,
        records: given_up(),
    };
    all().iter().fold(start, |sum, client| {
        let one = client.unsaid();
        Unsaid {
            busy: sum.busy || one.busy,
            records: sum.records + one.records,
        }
    })
}

/// What the process's end does.
fn last_words(thread: &IoThread) {
    let by = Instant::now() + LIMIT;
    let left = on_io_thread(thread, by, move || {
        all().iter().for_each(|client| client.leave(by));
        unsaid()
    });
    let Some(mut left) = left else {
        return;
    };
    while left.busy && Instant::now() < by {
        std::thread::sleep(PAUSE);
        match on_io_thread(thread, by, unsaid) {
            Some(now) => left = now,
            None => break,
        }
    }
    if left.records > 0 && !log::is_silenced() {
        let (count, s, are) = match left.records {
            1 => (1, "", "is"),
            many => (many, "s", "are"),
        };
        // A closed stderr is nothing to report.
        let _ = writeln!(
            std::io::stderr(),
            "ottla: the process ends and {count} record{s} that a producer took {are} lost, as no broker has acknowledged \
             them: flush or close producers before that (log.level=off or OTTLA_LOG=off: nothing is said of it)"
        );
    }
}

extern "C" fn handler() {
    // A panic has nobody to be told to, and may not leave a function that C calls.
    let _ = std::panic::catch_unwind(|| {
        if let Some(thread) = IoThread::running() {
            last_words(thread);
        }
    });
}

/// From now on the process's end is noticed.
pub(crate) fn watch() {
    static WATCH: std::sync::Once = std::sync::Once::new();
    // SAFETY: the handler takes no arguments and unwinds nowhere. Where the code may be unloaded (as part of a plug-in that
    // it is linked into), the C library runs the handler before that, and forgets it.
    WATCH.call_once(|| unsafe {
        libc::atexit(handler);
    });
}
