//! Feeds an engine and obeys it, on the I/O thread. Decides nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::at_exit::{self, Client, Unsaid};
use super::core::Action;
use super::engine::{Engine, Role};
use crate::error::{Error, Result};
use crate::net::conn::ConnId;
use crate::net::frame::Arrival;
use crate::net::io_thread::IoThread;
use crate::net::socket::{self, ConnIo, Listener, SocketOptions};

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

impl Waker {
    pub(crate) fn wake(&self) {
        self.0.notify.notify_one();
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.0.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
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

    fn is_cut(&self) -> bool {
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

struct Running<R: Role> {
    engine: RefCell<Engine<R>>,
    conns: RefCell<HashMap<ConnId, Rc<ConnIo>>>,
    options: SocketOptions,
    /// The deadline moved closer: the timer must be set again.
    rearm: Notify,
    armed: RefCell<Option<Instant>>,
}

/// Starts a client on the I/O thread. `make` builds its engine there.
pub(crate) fn spawn<R: Role>(
    waker: Waker,
    options: SocketOptions,
    make: impl FnOnce(Instant) -> Engine<R> + Send + 'static,
) -> Result<()> {
    let thread = IoThread::get()?;
    at_exit::watch();
    *waker.life() = Life::Running;
    thread.run(move || {
        let running = Rc::new(Running {
            engine: RefCell::new(make(Instant::now())),
            conns: RefCell::new(HashMap::new()),
            options,
            rearm: Notify::new(),
            armed: RefCell::new(None),
        });
        let client: Rc<dyn Client> = Rc::new(running.clone());
        at_exit::add(client.clone());
        tokio::task::spawn_local(run(running, client, waker));
    })
}

async fn run<R: Role>(running: Rc<Running<R>>, client: Rc<dyn Client>, waker: Waker) {
    loop {
        running.drive(|engine, now| engine.turn(now));
        if running.engine.borrow().finished(Instant::now()) || waker.is_cut() {
            for io in running.conns.borrow_mut().drain() {
                io.1.close();
            }
            at_exit::remove(&client);
            waker.end();
            return;
        }
        let deadline = *running.armed.borrow();
        let sleep = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = waker.0.notify.notified() => {}
            () = running.rearm.notified() => {}
            () = sleep => {}
        }
    }
}

impl<R: Role> Running<R> {
    fn drive(self: &Rc<Self>, feed: impl FnOnce(&mut Engine<R>, Instant)) {
        let (actions, deadline) = {
            let mut engine = self.engine.borrow_mut();
            feed(&mut engine, Instant::now());
            (engine.take_actions(), engine.deadline())
        };
        for action in actions {
            self.obey(action);
        }
        let mut armed = self.armed.borrow_mut();
        let sooner = deadline.is_some_and(|new| armed.is_none_or(|old| new < old));
        // Not before it is quite finished: `run` would find that over and over, and let nobody else work.
        if sooner || self.engine.borrow().finished(Instant::now()) {
            self.rearm.notify_one();
        }
        *armed = deadline;
    }

    fn obey(self: &Rc<Self>, action: Action) {
        match action {
            Action::Connect { conn, peer } => {
                let io = ConnIo::new(self.options.max_frame);
                self.conns.borrow_mut().insert(conn, io.clone());
                let ear = Ear {
                    running: self.clone(),
                    conn,
                };
                tokio::task::spawn_local(socket::run(peer, self.options.clone(), io, ear));
            }
            Action::Write {
                conn,
                frame,
                expect,
            } => {
                if let Some(io) = self.conns.borrow().get(&conn) {
                    io.write(frame, expect);
                }
            }
            Action::Close { conn } => {
                if let Some(io) = self.conns.borrow_mut().remove(&conn) {
                    io.close();
                }
            }
        }
    }
}

impl<R: Role> Client for Rc<Running<R>> {
    fn leave(&self, by: Instant) {
        self.drive(|engine, now| engine.leave(now, by));
    }

    fn unsaid(&self) -> Unsaid {
        self.engine.borrow().role.unsaid()
    }
}

/// What a connection's task tells the engine through.
struct Ear<R: Role> {
    running: Rc<Running<R>>,
    conn: ConnId,
}

impl<R: Role> Listener for Ear<R> {
    fn connected(&self) {
        self.running
            .drive(|engine, now| engine.connected(now, self.conn));
    }

    fn arrived(&self, arrivals: &mut Vec<Arrival>) {
        self.running
            .drive(|engine, now| engine.arrived(now, self.conn, arrivals));
    }

    fn ended(&self, error: Error) {
        self.running.conns.borrow_mut().remove(&self.conn);
        self.running
            .drive(|engine, now| engine.ended(now, self.conn, error));
    }
}

/// The longest a timer is set for.
pub(crate) const FAR: Duration = Duration::from_secs(3600);
