//! The process's one I/O thread: a tokio current-thread runtime shared by every Ottla client in it.
//!
//! After a fork the child has no such thread. Each fork generation has a slot of its own, found without a lock,
//! so that a child may start afresh though its parent held whatever lock at the time.

#[cfg(unix)]
use std::sync::Once;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use once_cell::sync::OnceCell;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::error::{Error, ErrorCode, Result};

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
extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// From now on, forks of this process count. Needed before the first handle is made.
pub(crate) fn watch_forks() {
    #[cfg(unix)]
    {
        static WATCH: Once = Once::new();
        // SAFETY: `in_child` only adds to an atomic, which is allowed in a forked child.
        WATCH.call_once(|| unsafe {
            libc::pthread_atfork(None, None, Some(in_child));
        });
    }
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
            .max_blocking_threads(4)
            .thread_name("ottla-blocking")
            .build()
            .map_err(failed)?;
        let (jobs, mut queue) = unbounded_channel::<Job>();
        std::thread::Builder::new()
            .name("ottla-io".into())
            .spawn(move || {
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, async move {
                    while let Some(job) = queue.recv().await {
                        job();
                    }
                });
            })
            .map_err(failed)?;
        Ok(IoThread { jobs })
    }

    /// Runs `job` on the I/O thread, where it may spawn local tasks.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) -> Result<()> {
        self.jobs
            .send(Box::new(job))
            .map_err(|_| Error::new(ErrorCode::CLOSED, "the I/O thread has ended"))
    }
}
