//! The world of one seed: a heap of events by time and order, clients, a network, the embedded broker's core, and one
//! clock that stands still between events. One thread, no runtime.

mod carrying;
mod client;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::chance::Chance;
use super::faults::{FaultKind, Faults};
use super::lasting::Lasting;
use super::network::{LinkId, Network, Way};
use super::reading::feed::Feed;
use super::trace::Trace;
use crate::broker::core::fault::FaultRule;
use crate::broker::core::{Action as BrokerAction, BrokerCore, ConnId as ServerConn, Now};
use crate::client::engine::{Engine, Role};
use crate::client::waker::Waker;
use crate::clock::VirtualClock;

use self::client::Client;
pub(super) use self::client::{Around, Machine, Program};

#[derive(Debug)]
enum Event {
    Connected(LinkId),
    ConnectFailed(LinkId, &'static str),
    Arrives(LinkId, Way, Bytes),
    /// The other side has closed the connection, or it was reset.
    Ends(LinkId, Way, &'static str),
    Write(LinkId),
    Timer(usize, Instant),
    Wake(usize),
    Step(usize),
    Broker,
    Feed,
    Fault(usize),
    Mend(usize),
    Rule(Box<FaultRule>),
}

struct Entry {
    at: Duration,
    order: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// Faults of a seed, fewer than which call for another.
const FEWEST_FAULTS: u64 = 5;
/// Events of one seed, more than which mean that something goes round in circles.
const MOST_EVENTS: u64 = 600_000;
/// Turns of a client in a row, each asked for at once by the one before.
const MOST_SPINS: u32 = 200;

/// Everything of one seed.
pub(super) struct World {
    pub(super) clock: Arc<VirtualClock>,
    pub(super) net: Network,
    pub(super) broker: BrokerCore,
    /// The brokers' wall clock against the clients'.
    pub(super) broker_wall_offset: i64,
    pub(super) faults: Faults,
    pub(super) feed: Feed,
    /// An error that lasts, and until when.
    pub(super) lasting: Lasting,
    pub(super) lasting_until: Duration,
    /// What is wrong with what the clients send.
    complaint: Option<String>,
    /// The names of groups.
    pub(super) groups: Vec<String>,
    pub(super) trace: Trace,
    /// How often each kind of fault has fired.
    pub(super) fired: BTreeMap<FaultKind, u64>,
    heap: BinaryHeap<Reverse<Entry>>,
    order: u64,
    clients: Vec<Client>,
    servers: BTreeMap<ServerConn, LinkId>,
    broker_timer: Option<Duration>,
    healed: bool,
}

impl World {
    pub(super) fn new(
        clock: Arc<VirtualClock>,
        net: Network,
        broker: BrokerCore,
        faults: Faults,
        feed: Feed,
        trace: Trace,
    ) -> Self {
        let mut world = World {
            clock,
            net,
            broker,
            broker_wall_offset: 0,
            faults,
            feed,
            lasting: Lasting::default(),
            lasting_until: Duration::ZERO,
            complaint: None,
            groups: Vec::new(),
            trace,
            fired: BTreeMap::new(),
            heap: BinaryHeap::new(),
            order: 0,
            clients: Vec::new(),
            servers: BTreeMap::new(),
            broker_timer: None,
            healed: false,
        };
        for (i, at) in world.faults.times().into_iter().enumerate() {
            world.push(at, Event::Fault(i));
        }
        if !world.feed.over {
            world.push(Duration::ZERO, Event::Feed);
        }
        world
    }

    /// Adds a client, which begins at `at`.
    pub(super) fn add_client<R: Role>(
        &mut self,
        engine: Engine<R>,
        program: Box<dyn Program>,
        waker: Waker,
        at: Duration,
    ) {
        let config = engine.core.config.clone();
        let id = self.clients.len();
        self.clients.push(Client {
            machine: Box::new(engine),
            program,
            waker,
            max_frame: config.receive_message_max_bytes,
            backoff: config.retry_backoff,
            armed: None,
            conns: BTreeMap::new(),
            stopped_until: Duration::ZERO,
            program_ended: false,
            machine_ended: false,
            spins: 0,
        });
        self.push(at, Event::Wake(id));
        self.push(at, Event::Step(id));
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    fn instant(&self) -> Instant {
        self.clock.start() + self.now()
    }

    pub(super) fn broker_now(&self) -> Now {
        let wall = self.clock.wall();
        let wall_ms = wall
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as i64);
        Now {
            mono: self.now(),
            wall_ms: wall_ms + self.broker_wall_offset,
        }
    }

    fn push(&mut self, at: Duration, event: Event) {
        self.order += 1;
        self.heap.push(Reverse(Entry {
            at,
            order: self.order,
            event,
        }));
    }

    /// Schedules the end of a fault.
    pub(super) fn mend_at(&mut self, at: Duration, fault: usize) {
        self.push(at, Event::Mend(fault));
    }

    /// Has the broker misbehave from then on.
    pub(super) fn rule_at(&mut self, at: Duration, rule: FaultRule) {
        self.push(at, Event::Rule(Box::new(rule)));
    }

    /// Schedules another try of a fault that found nothing to happen to.
    pub(super) fn fault_at(&mut self, at: Duration, fault: usize) {
        self.push(at, Event::Fault(fault));
    }

    /// Runs until nothing is left to happen.
    ///
    /// # Errors
    /// What a program found wrong, or that something never ends.
    pub(super) fn run(&mut self) -> Result<(), String> {
        while let Some(Reverse(entry)) = self.heap.pop() {
            self.clock.advance_to(entry.at);
            if let Some(deferred) = self.deferred(&entry.event) {
                self.push(deferred, entry.event);
                continue;
            }
            self.happen(entry.event)?;
            if self.trace.events() > MOST_EVENTS {
                return Err(format!(
                    "more than {MOST_EVENTS} events: something goes round in circles"
                ));
            }
        }
        match self
            .clients
            .iter()
            .position(|c| !c.program_ended || !c.machine_ended)
        {
            Some(stuck) => Err(format!(
                "client {stuck} is stuck: nothing is left to happen, and its {} has not ended",
                if self.clients[stuck].program_ended {
                    "I/O side"
                } else {
                    "program"
                }
            )),
            None => Ok(()),
        }
    }

    /// When a stopped process gets its event.
    fn deferred(&self, event: &Event) -> Option<Duration> {
        let client = match event {
            Event::Timer(c, _) | Event::Wake(c) | Event::Step(c) => *c,
            Event::Arrives(link, Way::Down, _) | Event::Ends(link, Way::Down, _) => {
                self.net.links[*link].client
            }
            Event::Connected(link) | Event::ConnectFailed(link, _) | Event::Write(link) => {
                self.net.links[*link].client
            }
            _ => return None,
        };
        let until = self.clients[client].stopped_until;
        (until > self.now()).then_some(until)
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        let now = self.now();
        match event {
            Event::Connected(id) => self.connected(id),
            Event::ConnectFailed(id, why) => self.end_at_client(id, why),
            Event::Arrives(id, Way::Up, bytes) => self.at_broker(id, &bytes),
            Event::Arrives(id, Way::Down, bytes) => self.at_client(id, &bytes),
            Event::Ends(id, Way::Up, _) => self.end_at_broker(id),
            Event::Ends(id, Way::Down, why) => self.end_at_client(id, why),
            Event::Write(id) => {
                if self.net.links[id].client_open {
                    self.write_out(id);
                }
            }
            Event::Timer(client, at) => {
                if self.clients[client].armed == Some(at) {
                    self.clients[client].armed = None;
                    self.drive(client, "timer", |m, now| m.turn(now));
                }
            }
            Event::Wake(client) => self.drive(client, "wake", |m, now| m.turn(now)),
            Event::Step(client) => self.step(client),
            Event::Broker => {
                if self.broker_timer.is_some_and(|at| at <= now) {
                    self.broker_timer = None;
                    self.act(|core, now, out| core.tick(now, out));
                }
            }
            Event::Feed => {
                if super::reading::feed::go_on(self) {
                    let soon = Duration::from_micros(self.net.rng.range(1000, 200_000));
                    self.push(now + soon, Event::Feed);
                }
            }
            Event::Fault(i) => super::faults::begin(self, i),
            Event::Mend(i) => super::faults::mend(self, i),
            Event::Rule(rule) => self.broker.add_fault(*rule),
        }
        if !self.healed
            && self.faults.all_over()
            && self.fired.values().sum::<u64>() < FEWEST_FAULTS
        {
            let more = self.faults.one_more();
            self.push(now + Duration::from_millis(100), Event::Fault(more));
        }
        if !self.healed && self.faults.all_over() {
            self.healed = true;
            self.trace.note(now, "healed", [0; 3], format_args!(""));
            super::faults::heal(self);
        }
        if let Some(complaint) = self.complaint.take() {
            return Err(complaint);
        }
        for (i, client) in self.clients.iter().enumerate() {
            if let Some(complaint) = client.program.complaint() {
                return Err(format!("client {i}: {complaint}"));
            }
            if client.spins > MOST_SPINS {
                return Err(format!("client {i}: its I/O thread spins"));
            }
        }
        Ok(())
    }

    fn step(&mut self, id: usize) {
        let mut writing = self.clients.iter().filter(|c| c.program.writes());
        let around = Around {
            now: self.now(),
            healed: self.healed,
            written: self.feed.over && writing.all(|c| c.machine_ended),
            broker: &self.broker,
            tracing: self.trace.prints(),
            net: &self.net,
        };
        let client = &mut self.clients[id];
        if client.program_ended {
            return;
        }
        let next = client.program.step(&around);
        let now = around.now;
        let tallies = client.program.take_tallies();
        for note in client.program.take_notes() {
            self.trace.tell(now, id, &note);
        }
        let (done, of) = client.program.progress();
        let read = client.program.read();
        self.trace.note(
            now,
            "step",
            [id as u64, done, read],
            format_args!("client {id}: {done} of {of} records, {read} read"),
        );
        for kind in tallies {
            self.tally(kind);
        }
        self.check_wake(id);
        match next {
            Some(wait) => self.push(now + wait, Event::Step(id)),
            None => self.clients[id].program_ended = true,
        }
        if self.clients[id].program.is_killed() {
            self.kill(id);
        }
    }

    /// A client's process ends, and with it its connections.
    fn kill(&mut self, id: usize) {
        self.clients[id].machine_ended = true;
        for link in std::mem::take(&mut self.clients[id].conns).into_values() {
            self.net.links[link].client_open = false;
            self.end_at_broker(link);
        }
    }

    pub(super) fn is_healed(&self) -> bool {
        self.healed
    }

    /// Passes a wake-up on, after the moment that another thread takes to notice.
    fn check_wake(&mut self, id: usize) {
        if self.clients[id].waker.take() {
            let moment = Duration::from_nanos(self.net.rng.range(100, 80_000));
            let at = self.now() + moment;
            self.push(at, Event::Wake(id));
        }
    }

    /// Feeds a client's engine, obeys it, and sets its timer, as the driver does.
    fn drive(
        &mut self,
        id: usize,
        why: &'static str,
        feed: impl FnOnce(&mut dyn Machine, Instant),
    ) {
        if self.clients[id].machine_ended {
            return;
        }
        let (now, instant) = (self.now(), self.instant());
        feed(self.clients[id].machine.as_mut(), instant);
        let actions = self.clients[id].machine.take_actions();
        self.trace.note(
            now,
            why,
            [id as u64, actions.len() as u64, 0],
            format_args!("client {id}: {} actions", actions.len()),
        );
        let idle = actions.is_empty();
        for action in actions {
            self.obey(id, action);
        }
        self.check_wake(id);
        let client = &mut self.clients[id];
        if client.machine.finished(instant) {
            client.machine_ended = true;
            for link in std::mem::take(&mut client.conns).into_values() {
                self.close_by_client(link);
            }
            return;
        }
        let deadline = client.machine.deadline();
        let over = deadline.is_some_and(|at| at <= instant);
        client.spins = if over && idle { client.spins + 1 } else { 0 };
        if let Some(at) = deadline
            && client.armed != Some(at)
        {
            client.armed = Some(at);
            // Timers of an operating system are late rather than exact.
            let late = if self.net.rng.chance(1, 2) {
                0
            } else {
                self.net.rng.range(0, 1_500_000)
            };
            let due = at.saturating_duration_since(self.clock.start()).max(now);
            self.push(due + Duration::from_nanos(late), Event::Timer(id, at));
        } else if deadline.is_none() {
            client.armed = None;
        }
    }

    /// Does something with the broker and carries out what comes of it.
    pub(super) fn act<T>(
        &mut self,
        act: impl FnOnce(&mut BrokerCore, Now, &mut Vec<BrokerAction>) -> T,
    ) -> T {
        let mut out = Vec::new();
        let now = self.broker_now();
        let result = act(&mut self.broker, now, &mut out);
        for action in out {
            match action {
                BrokerAction::Reply { conn, parts } => {
                    if let Some(&id) = self.servers.get(&conn) {
                        self.send(id, Way::Down, parts.concat().into());
                    }
                }
                BrokerAction::Close { conn } => {
                    if let Some(id) = self.servers.remove(&conn) {
                        self.net.links[id].server = None;
                        if let Some(at) = self.net.end(self.now(), id, Way::Down) {
                            self.push(
                                at,
                                Event::Ends(id, Way::Down, "the broker closed the connection"),
                            );
                        }
                    }
                }
            }
        }
        for fault in self.broker.take_met() {
            self.tally(FaultKind::of(&fault));
        }
        if let Some(at) = self.broker.deadline()
            && self.broker_timer.is_none_or(|armed| at < armed)
        {
            self.broker_timer = Some(at);
            self.push(at.max(self.now()), Event::Broker);
        }
        result
    }

    /// Counts a fault that has fired.
    pub(super) fn tally(&mut self, kind: FaultKind) {
        *self.fired.entry(kind).or_default() += 1;
        let now = self.now();
        self.trace.note(
            now,
            "fault",
            [kind as u64, 0, 0],
            format_args!("{}", kind.name()),
        );
    }

    /// Stops a client's process for a while.
    pub(super) fn stop_client(&mut self, id: usize, until: Duration) {
        self.clients[id].stopped_until = until;
    }

    pub(super) fn client_count(&self) -> usize {
        self.clients.len()
    }

    pub(super) fn programs(&mut self) -> impl Iterator<Item = &mut Box<dyn Program>> {
        self.clients.iter_mut().map(|c| &mut c.program)
    }
}
