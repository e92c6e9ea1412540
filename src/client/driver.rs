//! Feeds an engine and obeys it. Decides nothing.
//!
//! An engine is run by whichever thread has its lock: as a rule the I/O thread, and a caller that finds its client idle and
//! wants what it has just left to go out at once ([`Waker::turn_here`]), which spares the hand-over to another thread.
//! Neither waits for the other: a caller that finds the lock taken wakes the I/O thread instead, and the I/O thread keeps what
//! came for an engine that a caller is running, which tells it when it is done.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::client::at_exit::{self, Client, Unsaid};
use crate::client::engine::{Engine, Role};
use crate::client::waker::{Turn, Waker};
use crate::cluster::core::Action;
use crate::error::{Error, Result};
use crate::net::conn::ConnId;
use crate::net::frame::Arrival;
use crate::net::io_thread::IoThread;
use crate::net::socket::{self, ConnIo, Listener, Reached, SocketOptions};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the I/O thread and callers share of a running client.
///
/// Lock order: `engine`, then one of the others or a connection's.
struct Seat<R: Role> {
    engine: Mutex<Engine<R>>,
    /// The I/O thread has found `engine` taken since it last had it: whoever has it wakes the I/O thread afterwards.
    missed: AtomicBool,
    conns: Mutex<HashMap<ConnId, Arc<ConnIo>>>,
    /// What only the I/O thread can do.
    deferred: Mutex<Vec<Action>>,
    /// When the I/O thread runs the engine at the latest; never later than the engine asked for.
    armed: Mutex<Option<Instant>>,
    /// `armed` has moved closer, or something else is for the I/O thread to do.
    rearm: Notify,
}

impl<R: Role> Seat<R> {
    fn try_engine(&self) -> Option<MutexGuard<'_, Engine<R>>> {
        match self.engine.try_lock() {
            Ok(engine) => Some(engine),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The engine for the I/O thread; `None` while a caller runs it, which then sets off `rearm`.
    fn engine_for_io(&self) -> Option<MutexGuard<'_, Engine<R>>> {
        self.missed.store(true, Ordering::Relaxed);
        // With the fence in `try_turn`: either this sees the lock given back, or the caller sees `missed`.
        fence(Ordering::SeqCst);
        let engine = self.try_engine()?;
        self.missed.store(false, Ordering::Relaxed);
        Some(engine)
    }

    /// Writes what the engine wants written and returns what else it wants. Requests in a row to one connection leave in
    /// one write.
    fn write(&self, actions: Vec<Action>) -> Vec<Action> {
        let mut others = Vec::new();
        let mut last: Option<(ConnId, Arc<ConnIo>)> = None;
        for action in actions {
            let Action::Write {
                conn,
                frame,
                expect,
            } = action
            else {
                others.push(action);
                continue;
            };
            if last.as_ref().is_none_or(|(other, _)| *other != conn) {
                if let Some((_, io)) = last.take() {
                    io.flush_now();
                }
                let found = lock(&self.conns).get(&conn).cloned();
                last = found.map(|io| (conn, io));
            }
            if let Some((_, io)) = &last {
                io.write(frame, expect);
            }
        }
        if let Some((_, io)) = last {
            io.flush_now();
        }
        others
    }

    /// Sees to it that the I/O thread looks when the engine wants it to. A later time than what is armed is left for then,
    /// as each answer moves it.
    fn arm(&self, deadline: Option<Instant>, finished: bool) {
        let mut armed = lock(&self.armed);
        let sooner = deadline.is_some_and(|new| armed.is_none_or(|old| new < old));
        if sooner {
            *armed = deadline;
        }
        drop(armed);
        // Not before it is quite finished: `run` would find that over and over, and let nobody else work.
        if sooner || finished {
            self.rearm.notify_one();
        }
    }
}

impl<R: Role> Turn for Seat<R> {
    fn try_turn(&self) -> bool {
        let Some(mut engine) = self.try_engine() else {
            return false;
        };
        let now = Instant::now();
        engine.turn(now);
        let (actions, deadline) = (engine.take_actions(), engine.deadline());
        // Written with the lock held, so that requests leave in the order they were made in.
        let others = self.write(actions);
        let finished = engine.finished(now);
        drop(engine);
        fence(Ordering::SeqCst);
        if self.missed.swap(false, Ordering::Relaxed) {
            self.rearm.notify_one();
        }
        if !others.is_empty() {
            lock(&self.deferred).extend(others);
            self.rearm.notify_one();
        }
        self.arm(deadline, finished);
        true
    }
}

/// What came for the engine while a caller ran it.
enum Came {
    Connected(ConnId, Reached),
    Arrived(ConnId, Vec<Arrival>),
    Ended(ConnId, Error),
    /// The process ends at this time.
    Leave(Instant),
}

/// A client on the I/O thread.
struct Running<R: Role> {
    seat: Arc<Seat<R>>,
    /// In order; whatever comes later queues behind.
    kept: RefCell<Vec<Came>>,
    /// An empty list to exchange for one that has been filled, so that none is allocated.
    spare: RefCell<Vec<Arrival>>,
    options: SocketOptions,
}

/// Starts a client on the I/O thread. `make` builds its engine there.
pub(crate) fn spawn<R: Role>(
    waker: Waker,
    options: SocketOptions,
    make: impl FnOnce(Instant) -> Engine<R> + Send + 'static,
) -> Result<()> {
    let thread = IoThread::get()?;
    at_exit::watch();
    waker.begin();
    thread.run(move || {
        let seat = Arc::new(Seat {
            engine: Mutex::new(make(Instant::now())),
            missed: AtomicBool::new(false),
            conns: Mutex::default(),
            deferred: Mutex::default(),
            armed: Mutex::default(),
            rearm: Notify::new(),
        });
        let turn: Arc<dyn Turn> = seat.clone();
        waker.attach(Arc::downgrade(&turn));
        let running = Rc::new(Running {
            seat,
            kept: RefCell::default(),
            spare: RefCell::default(),
            options,
        });
        let client: Rc<dyn Client> = Rc::new(running.clone());
        at_exit::add(client.clone());
        tokio::task::spawn_local(run(running, client, waker));
    })
}

async fn run<R: Role>(running: Rc<Running<R>>, client: Rc<dyn Client>, waker: Waker) {
    let seat = running.seat.clone();
    loop {
        // What was armed is done now. A caller may arm a sooner time meanwhile, and sets off `rearm`.
        *lock(&seat.armed) = None;
        let (deadline, finished) = running.drive(None);
        if finished || waker.is_cut() {
            let conns = std::mem::take(&mut *lock(&seat.conns));
            for io in conns.values() {
                io.close();
            }
            at_exit::remove(&client);
            waker.end();
            return;
        }
        let deadline = {
            let mut armed = lock(&seat.armed);
            *armed = [deadline, *armed].into_iter().flatten().min();
            *armed
        };
        let sleep = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = waker.woken() => {}
            () = seat.rearm.notified() => {}
            () = sleep => {}
        }
    }
}

impl<R: Role> Running<R> {
    /// Runs the engine with what came, or keeps that until the engine is free. Returns when the engine wants to run next,
    /// and whether the client has finished.
    fn drive(self: &Rc<Self>, came: Option<Came>) -> (Option<Instant>, bool) {
        let deferred = std::mem::take(&mut *lock(&self.seat.deferred));
        for action in deferred {
            self.obey(action);
        }
        let Some(mut engine) = self.seat.engine_for_io() else {
            self.kept.borrow_mut().extend(came);
            return (None, false);
        };
        let now = Instant::now();
        let kept = std::mem::take(&mut *self.kept.borrow_mut());
        let mut turned = false;
        for came in kept.into_iter().chain(came) {
            turned = true;
            match came {
                Came::Connected(conn, reached) => {
                    engine.core.on_reached(conn, reached);
                    engine.connected(now, conn);
                }
                Came::Arrived(conn, mut arrivals) => {
                    engine.arrived(now, conn, &mut arrivals);
                    *self.spare.borrow_mut() = arrivals;
                }
                Came::Ended(conn, error) => engine.ended(now, conn, error),
                Came::Leave(by) => engine.leave(now, by),
            }
        }
        if !turned {
            engine.turn(now);
        }
        let (actions, deadline) = (engine.take_actions(), engine.deadline());
        let others = self.seat.write(actions);
        let finished = engine.finished(now);
        drop(engine);
        for action in others {
            self.obey(action);
        }
        (deadline, finished)
    }

    fn tell(self: &Rc<Self>, came: Came) {
        let (deadline, finished) = self.drive(Some(came));
        self.seat.arm(deadline, finished);
    }

    fn obey(self: &Rc<Self>, action: Action) {
        match action {
            Action::Connect { conn, peer } => {
                let io = ConnIo::new(self.options.max_frame);
                lock(&self.seat.conns).insert(conn, io.clone());
                let ear = Ear {
                    running: self.clone(),
                    conn,
                };
                tokio::task::spawn_local(socket::run(peer, self.options.clone(), io, ear));
            }
            Action::Close { conn } => {
                if let Some(io) = lock(&self.seat.conns).remove(&conn) {
                    io.close();
                }
            }
            // Done by `Seat::write`.
            Action::Write { .. } => {}
        }
    }
}

impl<R: Role> Client for Rc<Running<R>> {
    fn leave(&self, by: Instant) {
        self.tell(Came::Leave(by));
    }

    fn unsaid(&self) -> Unsaid {
        // A caller that runs the engine has something under way.
        self.seat.try_engine().map_or(
            Unsaid {
                busy: true,
                records: 0,
            },
            |engine| engine.role.unsaid(),
        )
    }
}

/// What a connection's task tells the engine through.
struct Ear<R: Role> {
    running: Rc<Running<R>>,
    conn: ConnId,
}

impl<R: Role> Listener for Ear<R> {
    fn connected(&self, reached: Reached) {
        self.running.tell(Came::Connected(self.conn, reached));
    }

    fn arrived(&self, arrivals: &mut Vec<Arrival>) {
        let empty = std::mem::take(&mut *self.running.spare.borrow_mut());
        let filled = std::mem::replace(arrivals, empty);
        self.running.tell(Came::Arrived(self.conn, filled));
    }

    fn ended(&self, error: Error) {
        lock(&self.running.seat.conns).remove(&self.conn);
        self.running.tell(Came::Ended(self.conn, error));
    }
}
