//! Long work beside the I/O thread, which serves all clients of the process and may be kept by none of them.
//!
//! A few threads of the runtime's blocking pool take the jobs in the order in which they came. They are there while there
//! is work and for some seconds after.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Work for another thread.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// As many threads work at most.
const WORKERS: usize = 4;

thread_local! {
    /// Of the I/O thread; no other thread has one. In a forked child, a new I/O thread begins with a new one.
    static BENCH: OnceCell<Arc<Bench>> = const { OnceCell::new() };
}

struct Bench {
    state: Mutex<State>,
    most: usize,
}

struct State {
    jobs: VecDeque<Job>,
    workers: usize,
}

impl Bench {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a job, or ends a worker. Under one lock, so that no job is left that a worker at its end did not see.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        let job = state.jobs.pop_front();
        if job.is_none() {
            state.workers -= 1;
        }
        job
    }
}

/// Makes the calling thread, the I/O thread, one that can hand work on.
pub(super) fn begin() {
    // One core is left to the I/O thread where there are several.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let bench = Bench {
        state: Mutex::new(State {
            jobs: VecDeque::new(),
            workers: 0,
        }),
        most: cores.saturating_sub(1).clamp(1, WORKERS),
    };
    BENCH.with(|slot| {
        slot.get_or_init(|| Arc::new(bench));
    });
}

/// True on the I/O thread: long work is to be handed on by [`hand_on`].
pub(crate) fn is_io_thread() -> bool {
    BENCH.with(|bench| bench.get().is_some())
}

/// Has another thread do the job; on any other thread than the I/O thread it is done here and now.
pub(crate) fn hand_on(job: Job) {
    let Some(bench) = BENCH.with(|bench| bench.get().cloned()) else {
        return job();
    };
    let mut state = bench.lock();
    state.jobs.push_back(job);
    if state.workers == bench.most {
        return;
    }
    state.workers += 1;
    drop(state);
    tokio::task::spawn_blocking(move || {
        while let Some(job) = bench.next() {
            // A job that panics has been reported by then, and those behind it wait for a worker.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::net::io_thread::IoThread;

    #[test]
    fn jobs_of_the_io_thread_are_done_beside_it_and_all_of_them() {
        let (tell, told) = mpsc::channel();
        let (done, all_done) = mpsc::channel();
        let begin = move || {
            for n in 0..100 {
                let done = done.clone();
                hand_on(Box::new(move || {
                    assert!(n % 10 != 3, "a job's panic ends no other job");
                    done.send((n, is_io_thread())).unwrap();
                }));
            }
            tell.send(is_io_thread()).unwrap();
        };
        IoThread::get().unwrap().run(begin).unwrap();
        assert!(told.recv_timeout(Duration::from_secs(10)).unwrap());
        let mut seen: Vec<(i32, bool)> = (0..90)
            .map(|_| all_done.recv_timeout(Duration::from_secs(10)).unwrap())
            .collect();
        seen.sort_unstable();
        let wanted = (0..100).filter(|n| n % 10 != 3).map(|n| (n, false));
        assert!(seen.into_iter().eq(wanted));
    }

    #[test]
    fn a_caller_does_its_work_itself() {
        let (tell, told) = mpsc::channel();
        hand_on(Box::new(move || {
            tell.send(std::thread::current().id()).unwrap()
        }));
        assert_eq!(told.try_recv(), Ok(std::thread::current().id()));
        assert!(!is_io_thread());
    }
}
