//! The process's one I/O thread: a tokio current-thread runtime shared by every Ottla client in it.
//!
//! After a fork the child has no such thread. Each fork generation has a slot of its own, found without a lock,
//! so that a child may start afresh though its parent held whatever lock at the time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use once_cell::sync::OnceCell;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::error::{Error, ErrorCode, Result};
use crate::net::aside;
use crate::thread;

type Job = Box<dyn FnOnce() + Send>;

/// How often the process has forked, as seen from here; handles of an older generation are the parent's.
static GENERATION: AtomicU32 = AtomicU32::new(0);

struct Slot {
    generation: u32,
    thread: OnceCell<IoThread>,
    next: OnceLock<Box<Slot>>,
}

static FIRST: Slot = Slot {
    generation: 0,
    thread: OnceCell::new(),
    next: OnceLock::new(),
};

/// The running thread, as others see it.
pub(crate) struct IoThread {
    jobs: UnboundedSender<Job>,
    /// Clients that were freed and have not ended yet.
    leaving: AtomicUsize,
}

/// The present fork generation.
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// An error if a handle made in `born` came here by a fork.
pub(crate) fn check_generation(born: u32) -> Result<()> {
    if born == generation() {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::FORKED,
        "this handle was made before fork(), in the parent process, and its connections are the parent's; \
         make a new client in the child",
    ))
}

#[cfg(unix)]
mod fork {
    //! What happens at a fork. The child has only the forking thread, so a lock held by any other would be held in it
    //! for ever: the process-wide ones are all taken before the fork and given back after it on both sides. The
    //! locks of single clients need no care, since the child can't use those.

    use std::cell::RefCell;
    use std::sync::Once;
    use std::sync::atomic::Ordering;

    use crate::memory::{PoolLocks, hold_pool};
    use crate::protocol::record::{ColumnsLock, hold_columns};

    thread_local! {
        static HELD: RefCell<Option<(PoolLocks, ColumnsLock)>> = const { RefCell::new(None) };
    }

    fn hold(locks: Option<(PoolLocks, ColumnsLock)>) {
        // A thread that forks in its very last moments has no such storage any more; it goes without.
        let _ = HELD.try_with(|held| held.replace(locks));
    }

    extern "C" fn before() {
        hold(Some((hold_pool(), hold_columns())));
    }

    extern "C" fn in_parent() {
        hold(None);
    }

    extern "C" fn in_child() {
        super::GENERATION.fetch_add(1, Ordering::Relaxed);
        hold(None);
    }

    pub(super) fn watch() {
        static WATCH: Once = Once::new();
        // SAFETY: the handlers stay loaded, as the library is never unmapped; they only take and release locks, each of
        // which is held elsewhere for moments only, and add to an atomic.
        WATCH.call_once(|| unsafe {
            libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child));
        });
    }
}

/// From now on, forks of this process count. Needed before the first handle is made.
pub(crate) fn watch_forks() {
    #[cfg(unix)]
    fork::watch();
}

impl IoThread {
    /// The thread of this process, started at the first call.
    pub(crate) fn get() -> Result<&'static IoThread> {
        let generation = generation();
        let mut slot = &FIRST;
        while slot.generation != generation {
            slot = slot.next.get_or_init(|| {
                Box::new(Slot {
                    generation: slot.generation + 1,
                    thread: OnceCell::new(),
                    next: OnceLock::new(),
                })
            });
        }
        slot.thread.get_or_try_init(IoThread::start)
    }

    /// The thread of this process, if it was started.
    pub(crate) fn running() -> Option<&'static IoThread> {
        let generation = generation();
        let mut slot = &FIRST;
        while slot.generation != generation {
            slot = slot.next.get()?;
        }
        slot.thread.get()
    }

    /// A client was freed; how many have been and have not ended.
    pub(crate) fn begin_leaving(&self) -> usize {
        self.leaving.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Such a client has ended.
    pub(crate) fn end_leaving(&self) {
        self.leaving.fetch_sub(1, Ordering::AcqRel);
    }

    fn start() -> Result<IoThread> {
        let failed = |e: std::io::Error| {
            Error::new(
                ErrorCode::IO,
                format!("starting the I/O thread failed: {e}"),
            )
        };
        watch_forks();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Look-ups of names, and what is done beside this thread.
            .max_blocking_threads(8)
            .thread_name("ottla-blocking")
            .build()
            .map_err(failed)?;
        let (jobs, mut queue) = unbounded_channel::<Job>();
        thread::spawn("ottla-io", move || {
            aside::begin();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                while let Some(job) = queue.recv().await {
                    job();
                }
            });
        })
        .map_err(failed)?;
        Ok(IoThread {
            jobs,
            leaving: AtomicUsize::new(0),
        })
    }

    /// Runs `job` on the I/O thread, where it may spawn local tasks.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) -> Result<()> {
        self.jobs
            .send(Box::new(job))
            .map_err(|_| Error::new(ErrorCode::CLOSED, "the I/O thread has ended"))
    }
}
