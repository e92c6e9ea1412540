//! Brokers that answer one kind of request with one error for good: every client must go on asking calmly. Each
//! combination of a role, a request, an error code and the place of the error in the answer is a run of its own, forty
//! seconds long by the virtual clock.

mod known;
mod roles;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use self::roles::Client;
pub use self::roles::RefusedRole;
use super::faults::Faults;
use super::network::Network;
use super::oracle::Logs;
use super::reading::feed::{self, Feed};
use super::scenario::{self, WALL_START};
use super::trace::Trace;
use super::world::{Around, Program, World};
use crate::broker::TelemetrySubscription;
use crate::broker::api_key::WRITE_TXN_MARKERS;
use crate::broker::core::cluster::Placement;
use crate::broker::core::fault::{Fault, FaultRule};
use crate::broker::core::share::Reset;
use crate::clock::VirtualClock;
use crate::error::ErrorCode;
use crate::protocol::compress::Codec;
use crate::protocol::schema;
use crate::rng::Rng;

/// The most requests of one kind within a second.
const MOST_A_SECOND: u64 = 60;
/// The most events for the program within the time watched, whether it polls or not.
const MOST_EVENTS: u64 = 100;
/// How long each combination is watched.
const WATCHED: Duration = Duration::from_secs(40);
/// By then everything has been under way for a while.
const LATE: Duration = Duration::from_secs(6);
/// How often the program does something.
const STEP: Duration = Duration::from_millis(50);
const SECOND: Duration = Duration::from_secs(1);
pub(super) const TOPIC: &str = "t";
pub(super) const PARTITIONS: i32 = 2;

/// Where an answer has its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Where Kafka puts it; the request is not carried out.
    Usual,
    /// At this level, whatever that means to the request, which is carried out: 0 is the answer as a whole, 1 each
    /// topic, 2 each partition.
    Level(u8),
}

/// What is refused, to whom, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Combination {
    /// The client.
    pub role: RefusedRole,
    /// The kind of request.
    pub api: i16,
    /// Where in its answer the error is.
    pub place: Place,
    /// The error.
    pub code: i32,
    /// From the start, or once all is under way.
    pub late: bool,
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = ErrorCode(self.code);
        write!(
            f,
            "{:?}: {} refused with {} ({})",
            self.role,
            schema::api_name(self.api),
            code.name(),
            self.code,
        )?;
        if let Place::Level(level) = self.place {
            write!(f, " at level {level}")?;
        }
        f.write_str(if self.late {
            ", later"
        } else {
            ", from the start"
        })
    }
}

/// What became of a combination.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// How often the error was answered.
    pub refused: u64,
    /// The kind of request that was sent most within a second, and how often.
    pub busiest: (i16, u64),
    /// Requests of each kind within that time.
    pub requests: BTreeMap<i16, u64>,
    /// Events that the program was told.
    pub events: u64,
    /// What is wrong.
    pub failure: Option<String>,
}

/// Combinations that differ in their codes alone.
pub type Group = Vec<Combination>;

/// Every combination. Where a group's first one does not come about, as the request is not sent any more or its answer
/// has no such place, none of it does.
pub fn combinations() -> Vec<Group> {
    let mut all = Vec::new();
    for &role in RefusedRole::ALL {
        for &api in role.requests() {
            let levels = schema::error_levels(api);
            // One level alone is the usual place.
            let levels = levels.iter().filter(|_| levels.len() > 1);
            let places = levels.map(|level| Place::Level(*level));
            for place in std::iter::once(Place::Usual).chain(places) {
                for late in [false, true] {
                    let codes = ErrorCode::ALL.iter().map(|(code, ..)| code.0);
                    let codes = codes.filter(|code| *code > 0 || *code == -1);
                    let group = codes.map(|code| Combination {
                        role,
                        api,
                        place,
                        code,
                        late,
                    });
                    all.push(group.collect());
                }
            }
        }
    }
    all
}

/// Whether it is known that a combination fails.
pub fn is_known(combination: &Combination) -> bool {
    known::FAILING.iter().any(|known| known.is(combination))
}

/// What the program has seen of its own world.
#[derive(Debug, Default)]
struct Watch {
    busiest: (i16, u64),
    requests: BTreeMap<i16, u64>,
    events: u64,
}

/// Runs one combination, or the role with nothing wrong.
pub fn refuse(role: RefusedRole, combination: Option<&Combination>, print: bool) -> Verdict {
    let watch = Rc::new(RefCell::new(Watch::default()));
    let result = build(role, combination, &watch, print).map(|mut world| {
        let result = world.run();
        let refused = world.fired.values().sum();
        (refused, result)
    });
    let watch = watch.take();
    let (refused, result) = match result {
        Ok(ran) => ran,
        Err(e) => (0, Err(e)),
    };
    let mut failure = result.err();
    if watch.events > MOST_EVENTS {
        failure.get_or_insert_with(|| format!("{} events in {WATCHED:?}", watch.events));
    }
    Verdict {
        refused,
        busiest: watch.busiest,
        requests: watch.requests,
        events: watch.events,
        failure,
    }
}

fn build(
    role: RefusedRole,
    combination: Option<&Combination>,
    watch: &Rc<RefCell<Watch>>,
    print: bool,
) -> Result<World, String> {
    let mut rng = Rng::new(7);
    let mut fork = || Rng::new(rng.next());
    let clock = Arc::new(VirtualClock::new(7, WALL_START));
    let mut network = Network::new(fork());
    let bootstrap = scenario::addresses(&mut network, &mut fork(), 2).join(",");
    let mut broker = scenario::broker(2, fork().next(), role.transaction_version());
    broker.share.options.reset = Reset::Earliest;
    broker.telemetry.subscribe(Some(TelemetrySubscription {
        metrics: vec![String::new()],
        interval: Duration::from_secs(5),
        delta: false,
        codecs: vec![Codec::None],
    }));
    let placement = Placement::Counts {
        partitions: PARTITIONS,
        replication_factor: 2,
    };
    broker
        .create_topic(TOPIC, &placement, BTreeMap::new(), false)
        .map_err(|e| format!("creating {TOPIC}: {:?} {:?}", e.code, e.message))?;
    let mut world = World::new(
        clock.clone(),
        network,
        broker,
        Faults::lasting(),
        Feed::new(fork(), Vec::new()),
        Trace::new(print),
    );
    for partition in 0..PARTITIONS {
        for _ in 0..roles::BATCHES {
            feed::append(&mut world, TOPIC, partition);
        }
    }
    let (watch, api) = (watch.clone(), combination.map(|c| c.api));
    roles::enter(&mut world, role, &bootstrap, &clock, |client| Watched {
        role,
        api,
        watch,
        client: Some(client),
        before: BTreeMap::new(),
        looks_at: SECOND,
        complaint: None,
    })?;
    if let Some(c) = combination {
        let code = ErrorCode(c.code);
        let fault = match c.place {
            Place::Usual => Fault::Error { code },
            Place::Level(level) => Fault::Answer { code, level },
        };
        let rule = FaultRule::new(fault).api(c.api).forever();
        let at = if c.late { LATE } else { Duration::ZERO };
        world.rule_at(at, rule);
    }
    Ok(world)
}

/// A program whose requests are counted.
struct Watched {
    role: RefusedRole,
    /// What is refused.
    api: Option<i16>,
    watch: Rc<RefCell<Watch>>,
    client: Option<Client>,
    /// Requests up to the last look.
    before: BTreeMap<i16, u64>,
    looks_at: Duration,
    complaint: Option<String>,
}

impl Watched {
    /// Counts the last second's requests.
    fn look(&mut self, around: &Around<'_>) {
        self.looks_at = around.now + SECOND;
        let mut so_far: BTreeMap<i16, u64> = BTreeMap::new();
        let of_clients = around.broker.requests();
        for (api, count) in of_clients.filter(|(api, _)| *api != WRITE_TXN_MARKERS) {
            *so_far.entry(api).or_default() += count;
        }
        let mut watch = self.watch.borrow_mut();
        for (&api, &count) in &so_far {
            let fresh = count - self.before.get(&api).unwrap_or(&0);
            if fresh > watch.busiest.1 {
                watch.busiest = (api, fresh);
            }
            if fresh > MOST_A_SECOND {
                self.complaint.get_or_insert(format!(
                    "{fresh} {} requests within a second",
                    schema::api_name(api)
                ));
            }
            if !self.role.requests().contains(&api) && Some(api) != self.api {
                self.complaint.get_or_insert(format!(
                    "{} is sent, which is not tried for this role",
                    schema::api_name(api)
                ));
            }
        }
        watch.requests.clone_from(&so_far);
        self.before = so_far;
    }
}

impl Program for Watched {
    fn step(&mut self, around: &Around<'_>) -> Option<Duration> {
        let mut client = self.client.take()?;
        let over = around.now >= WATCHED;
        let polls = self.role.polls() || over || around.now < LATE / 2;
        let told = client.go_on(around.now, polls);
        self.watch.borrow_mut().events += told;
        if around.now >= self.looks_at {
            self.look(around);
        }
        if over {
            return None;
        }
        self.client = Some(client);
        Some(STEP)
    }

    fn complaint(&self) -> Option<String> {
        self.complaint.clone()
    }

    fn writes(&self) -> bool {
        false
    }

    fn is_killed(&self) -> bool {
        self.client.is_none()
    }

    fn check(&self, _logs: &Logs) -> Result<(), String> {
        Ok(())
    }
}
