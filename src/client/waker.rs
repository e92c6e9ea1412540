//! Wakes a client's engine from any thread, and waits for its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::net::io_thread::IoThread;

/// Wakes a client's engine from any thread, and tells when it has ended.
#[derive(Clone, Default)]
pub(crate) struct Waker(Arc<Wake>);

#[derive(Default)]
struct Wake {
    notify: Notify,
    life: Mutex<Life>,
    told: Condvar,
    /// It ends at once, whatever it has yet to say.
    cut: AtomicBool,
    /// The engine, once it runs. Weak: what the engine belongs to holds its waker.
    engine: OnceLock<Weak<dyn Turn>>,
}

/// How far the client is on the I/O thread.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Life {
    /// It is not there yet, or never will be.
    #[default]
    Unborn,
    Running,
    /// Its handle is gone.
    Leaving,
    Ended,
}

/// So many clients may be saying their last words in the background. One more has a moment for them, for which its freeing
/// waits. So what freed clients hold is bounded, however many there are and whatever brokers don't answer.
const MAX_LEAVING: usize = 16;
const MOMENT: Duration = Duration::from_millis(100);

/// An engine that any thread may run for a moment.
pub(super) trait Turn: Send + Sync {
    /// Lets the engine do what can be done, unless another thread is running it.
    fn try_turn(&self) -> bool;
}

impl Waker {
    pub(crate) fn wake(&self) {
        self.0.notify.notify_one();
    }

    /// Runs the engine on this thread, for what must go out at once while little else is under way; wakes the I/O thread
    /// where that can't be. The caller holds no lock that an engine takes.
    pub(crate) fn turn_here(&self) {
        let engine = self.0.engine.get().and_then(Weak::upgrade);
        if !engine.is_some_and(|engine| engine.try_turn()) {
            self.wake();
        }
    }

    /// The client begins on the I/O thread.
    pub(super) fn begin(&self) {
        *self.life() = Life::Running;
    }

    /// Lets callers run the engine. A waker belongs to one engine; were there another, it would only be woken.
    pub(super) fn attach(&self, engine: Weak<dyn Turn>) {
        let _ = self.0.engine.set(engine);
    }

    /// Comes back once it is woken.
    pub(super) async fn woken(&self) {
        self.0.notify.notified().await;
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.0.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn end(&self) {
        if std::mem::replace(&mut *self.life(), Life::Ended) == Life::Leaving
            && let Some(thread) = IoThread::running()
        {
            thread.end_leaving();
        }
        self.0.told.notify_all();
    }

    /// Waits until the client has said its last words to the brokers, for a moment.
    pub(crate) fn wait_ended(&self) {
        self.wait(Duration::from_secs(1));
    }

    fn wait(&self, limit: Duration) {
        let running = |life: &mut Life| *life != Life::Ended;
        drop(self.0.told.wait_timeout_while(self.life(), limit, running));
    }

    /// The client's handle is freed, in the process it was made in, and the client was told to end.
    pub(crate) fn leave(&self) {
        let mut life = self.life();
        let Some(thread) = IoThread::running().filter(|_| *life == Life::Running) else {
            return;
        };
        *life = Life::Leaving;
        let leaving = thread.begin_leaving();
        drop(life);
        if leaving > MAX_LEAVING {
            self.wait(MOMENT);
            self.0.cut.store(true, Ordering::Release);
            self.wake();
        }
    }

    pub(super) fn is_cut(&self) -> bool {
        self.0.cut.load(Ordering::Acquire)
    }

    /// Whether it was woken since the last time this was asked.
    #[cfg(feature = "simulation")]
    pub(crate) fn take(&self) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let woken = std::pin::pin!(self.0.notify.notified());
        std::future::Future::poll(woken, &mut context).is_ready()
    }
}
