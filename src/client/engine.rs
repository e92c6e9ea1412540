//! A client's state machine as a whole: the cluster's core and what the client is for.

use std::time::{Duration, Instant};

use crate::client::at_exit::Unsaid;
use crate::client::stats_hub::{StatsHub, StatsTimer};
use crate::cluster::core::{Action, Core, Event};
use crate::error::Error;
use crate::net::conn::ConnId;
use crate::net::frame::Arrival;
use crate::stats::Stats;

/// How long a broker's answer to a client's last metrics is waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What a client is for: producing, consuming, administration.
pub(crate) trait Role: Send + 'static {
    /// What the role wants back with each answer.
    type Tag: Clone + std::fmt::Debug + Send + 'static;

    /// Something the role asked for has come, or failed.
    fn on_event(&mut self, core: &mut Core<Self::Tag>, now: Instant, event: Event<Self::Tag>);

    /// Does what can be done now; answers when it next needs a call though nothing else happens.
    fn poll(&mut self, core: &mut Core<Self::Tag>, now: Instant) -> Option<Instant>;

    /// True when the client is closed and nothing is left to do.
    fn finished(&self) -> bool;

    /// Where statistics are asked for, of a client that has some.
    fn stats_hub(&self) -> Option<&StatsHub> {
        None
    }

    /// The client's figures.
    fn stats(&self, core: &Core<Self::Tag>, now: Instant) -> Stats;

    /// The process ends though the client was neither closed nor freed: has what should still reach the brokers sent by
    /// then.
    fn leave(&mut self, _core: &mut Core<Self::Tag>, _now: Instant, _by: Instant) {}

    /// What has not reached the brokers yet when the process ends.
    fn unsaid(&self) -> Unsaid {
        Unsaid::default()
    }

    /// The timer made statistics: whoever waits for the client's queue shall look.
    fn stats_made(&self) {}
}

/// One client, without clock or sockets.
pub(crate) struct Engine<R: Role> {
    pub(crate) core: Core<R::Tag>,
    pub(crate) role: R,
    timer: StatsTimer,
    /// The role has finished; what is left to do has time until then.
    ending: Option<Instant>,
    deadline: Option<Instant>,
}

impl<R: Role> Engine<R> {
    pub(crate) fn new(core: Core<R::Tag>, role: R) -> Self {
        Engine {
            core,
            role,
            timer: StatsTimer::default(),
            ending: None,
            deadline: None,
        }
    }

    /// The process ends; see [`Role::leave`].
    pub(crate) fn leave(&mut self, now: Instant, by: Instant) {
        self.role.leave(&mut self.core, now, by);
        self.turn(now);
    }

    pub(crate) fn connected(&mut self, now: Instant, conn: ConnId) {
        self.core.on_connected(now, conn);
        self.turn(now);
    }

    pub(crate) fn arrived(&mut self, now: Instant, conn: ConnId, arrivals: &mut Vec<Arrival>) {
        for arrival in arrivals.drain(..) {
            self.core.on_arrival(now, conn, arrival);
        }
        self.turn(now);
    }

    pub(crate) fn ended(&mut self, now: Instant, conn: ConnId, error: Error) {
        self.core.on_ended(now, conn, error);
        self.turn(now);
    }

    /// Lets everyone do what can be done: after a wake-up, or when the deadline is due.
    pub(crate) fn turn(&mut self, now: Instant) {
        let role_deadline = loop {
            while let Some(event) = self.core.next_event() {
                self.role.on_event(&mut self.core, now, event);
            }
            self.core.poll(now);
            let deadline = self.role.poll(&mut self.core, now);
            // The role may have asked for what only the core's poll starts (metadata of a new topic).
            self.core.poll(now);
            match self.core.next_event() {
                Some(event) => self.role.on_event(&mut self.core, now, event),
                None => break deadline,
            }
        };
        let stats_deadline = self.poll_stats(now);
        self.push_metrics(now);
        self.deadline = [
            role_deadline,
            stats_deadline,
            self.ending,
            self.core.deadline(now),
        ]
        .into_iter()
        .flatten()
        .min();
    }

    fn poll_stats(&mut self, now: Instant) -> Option<Instant> {
        let Engine {
            core, role, timer, ..
        } = self;
        let hub = role.stats_hub()?;
        let interval = core.config.statistics_interval;
        let (made, next) = timer.poll(hub, now, interval, || role.stats(core, now));
        if made {
            role.stats_made();
        }
        next
    }

    /// Tells the brokers of the client what they asked for, in time and when it ends.
    fn push_metrics(&mut self, now: Instant) {
        let ends = self.role.finished() && self.ending.is_none();
        if ends {
            self.ending = Some(now + LAST_WORDS);
        }
        if (ends && self.core.telemetry_subscribed()) || self.core.telemetry_due(now) {
            let stats = self.role.stats(&self.core, now);
            self.core.push_telemetry(now, stats, ends);
        }
    }

    /// True when the client is closed and nothing is left to do.
    pub(crate) fn finished(&self, now: Instant) -> bool {
        let over = |by: Instant| by <= now || !self.core.telemetry_ending();
        self.role.finished() && self.ending.is_some_and(over)
    }

    pub(crate) fn take_actions(&mut self) -> Vec<Action> {
        self.core.take_actions()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}
