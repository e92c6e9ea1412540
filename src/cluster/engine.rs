//! A client's state machine as a whole: the cluster's core and what the client is for.

use std::time::Instant;

use super::core::{Action, Core, Event};
use crate::error::Error;
use crate::net::conn::ConnId;
use crate::net::frame::Arrival;

/// What a client is for: producing, consuming, administration.
pub(crate) trait Role: 'static {
    /// What the role wants back with each answer.
    type Tag: Clone + std::fmt::Debug + 'static;

    /// Something the role asked for has come, or failed.
    fn on_event(&mut self, core: &mut Core<Self::Tag>, now: Instant, event: Event<Self::Tag>);

    /// Does what can be done now; answers when it next needs a call though nothing else happens.
    fn poll(&mut self, core: &mut Core<Self::Tag>, now: Instant) -> Option<Instant>;

    /// True when the client is closed and nothing is left to do.
    fn finished(&self) -> bool;
}

/// One client, without clock or sockets.
pub(crate) struct Engine<R: Role> {
    pub(crate) core: Core<R::Tag>,
    pub(crate) role: R,
    deadline: Option<Instant>,
}

impl<R: Role> Engine<R> {
    pub(crate) fn new(core: Core<R::Tag>, role: R) -> Self {
        Engine {
            core,
            role,
            deadline: None,
        }
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
        self.deadline = [role_deadline, self.core.deadline(now)]
            .into_iter()
            .flatten()
            .min();
    }

    pub(crate) fn take_actions(&mut self) -> Vec<Action> {
        self.core.take_actions()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}
