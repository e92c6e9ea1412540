//! Runs administration calls: whom to ask, when to try again, when the time is over. A state machine without I/O.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::refusal::Scene;
use crate::client::calls::Reply;
use crate::client::connect::ConnectCalls;
use crate::client::engine::Role;
use crate::client::mailbox::Mailbox;
use crate::cluster::core::{Core, Event, Purpose};
use crate::cluster::nodes::{Backoff, Node};
use crate::error::{Error, ErrorCode, Result};
use crate::net::conn::ConnId;
use crate::stats::Stats;

/// Tells which attempt of which call an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    call: u64,
    attempt: u32,
}

/// Who can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The controller; other brokers pass changes on (KRaft) or say who it is.
    Controller,
    /// Any broker, best the one asked before: others may not have heard yet of what it did.
    Same,
}

/// How an operation goes on after an answer.
#[derive(Debug)]
pub(super) enum Next {
    /// All is done: [`Operation::end`] comes next.
    Done,
    /// Another request is due after a while, and nothing was wrong.
    Again(Duration),
    /// The same shall be tried again, after a growing pause.
    Retry(Error),
}

/// An answer.
#[derive(Debug)]
pub(super) struct Response<'a> {
    pub(super) version: i16,
    pub(super) body: Bytes,
    pub(super) scene: Scene<'a>,
}

/// One call: the requests it sends and what it makes of the answers.
pub(super) trait Operation: Send {
    /// The call's name, as users know it.
    fn name(&self) -> &'static str;

    fn target(&self) -> Target;

    /// Sends the next request; brokers shall spend at most `limit` on it.
    fn send(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        conn: ConnId,
        limit: Duration,
        tag: Tag,
    ) -> Result<()>;

    /// Takes an answer; the number is for how many milliseconds the broker wants to be left alone (KIP-219).
    fn on_reply(&mut self, response: Response<'_>) -> Result<(Next, i32)>;

    /// A request got no answer; it may have been carried out.
    fn on_lost(&mut self, error: &Error);

    /// Answers the caller: after [`Next::Done`], or with what ended the call before.
    fn end(self: Box<Self>, outcome: Result<()>);
}

/// A call on its way in.
pub(super) struct NewCall {
    pub(super) operation: Box<dyn Operation>,
    pub(super) since: Instant,
    pub(super) deadline: Instant,
}

#[derive(Default)]
pub(super) struct Asked {
    calls: Vec<NewCall>,
    /// Set once, by close: when what is left is given up.
    closing: Option<Instant>,
    closers: Vec<Reply<()>>,
    ended: bool,
}

/// What callers' threads and the I/O thread share.
#[derive(Default)]
pub(super) struct Shared {
    asked: Mutex<Asked>,
    pub(super) connects: ConnectCalls,
    /// Nothing but answers comes.
    pub(super) mailbox: Mailbox<()>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a call over; an error once the client is closing.
    pub(super) fn push(&self, call: NewCall) -> Result<()> {
        let mut asked = self.lock();
        if asked.closing.is_some() {
            return Err(closed(call.operation.name()));
        }
        asked.calls.push(call);
        Ok(())
    }

    /// Refuses new calls and gives up, at `by`, those that still run. An earlier time wins. The reply comes when all is
    /// over.
    pub(super) fn close(&self, by: Instant, reply: Reply<()>) {
        let mut asked = self.lock();
        asked.closing = Some(asked.closing.map_or(by, |old| old.min(by)));
        if asked.ended {
            drop(asked);
            reply.give(Ok(()));
        } else {
            asked.closers.push(reply);
        }
    }

    /// The I/O side has ended.
    fn end(&self) {
        self.connects.close();
        let closers = {
            let mut asked = self.lock();
            asked.ended = true;
            std::mem::take(&mut asked.closers)
        };
        closers.iter().for_each(|reply| reply.give(Ok(())));
        self.mailbox.close();
    }
}

fn closed(call: &str) -> Error {
    Error::new(
        ErrorCode::CLOSED,
        format!("{call}: the admin client is closed"),
    )
}

enum State {
    /// To be sent, as soon as there is a connection but not before the time.
    Waiting(Option<Instant>),
    Sent {
        node: Node,
        at: Instant,
    },
}

struct Call {
    operation: Box<dyn Operation>,
    since: Instant,
    deadline: Instant,
    state: State,
    attempt: u32,
    /// Failures in a row.
    failures: u32,
    last_failure: Option<Error>,
    /// Whom it asked last.
    asked: Option<i32>,
}

/// The role of an admin client.
pub(crate) struct AdminRole {
    shared: Arc<Shared>,
    retries: u32,
    calls: BTreeMap<u64, Call>,
    next_call: u64,
    /// Whom any call asked last.
    asked: Option<i32>,
    finished: bool,
}

impl AdminRole {
    pub(super) fn new(shared: Arc<Shared>, retries: u32) -> Self {
        AdminRole {
            shared,
            retries,
            calls: BTreeMap::new(),
            next_call: 0,
            asked: None,
            finished: false,
        }
    }

    fn end(&mut self, id: u64, outcome: Result<()>) {
        if let Some(call) = self.calls.remove(&id) {
            call.operation.end(outcome);
        }
    }

    fn on_reply(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        node: Node,
        tag: Tag,
        version: i16,
        body: Bytes,
    ) {
        let Some(call) = self
            .calls
            .get_mut(&tag.call)
            .filter(|c| c.attempt == tag.attempt)
        else {
            return;
        };
        let broker = core.address(node);
        let scene = Scene {
            call: call.operation.name(),
            broker: &broker,
            brokers: core.brokers().count(),
        };
        match call.operation.on_reply(Response {
            version,
            body,
            scene,
        }) {
            Ok((next, throttle_ms)) => {
                core.throttle(now, node, Purpose::Control, throttle_ms);
                match next {
                    Next::Done => self.end(tag.call, Ok(())),
                    Next::Again(pause) => {
                        call.failures = 0;
                        call.last_failure = None;
                        call.state = State::Waiting(Some(now + pause));
                    }
                    Next::Retry(error) => self.retry(core, now, tag.call, error),
                }
            }
            Err(error) => {
                let error = error.context(format_args!("{}: the answer of {broker}", scene.call));
                self.end(tag.call, Err(error));
            }
        }
    }

    fn on_lost(&mut self, core: &mut Core<Tag>, now: Instant, tag: Tag, error: Error) {
        let Some(call) = self
            .calls
            .get_mut(&tag.call)
            .filter(|c| c.attempt == tag.attempt)
        else {
            return;
        };
        call.operation.on_lost(&error);
        if error.code().is_retriable() {
            self.retry(core, now, tag.call, error);
        } else {
            let error = error.context(call.operation.name());
            self.end(tag.call, Err(error));
        }
    }

    fn retry(&mut self, core: &mut Core<Tag>, now: Instant, id: u64, error: Error) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.failures = call.failures.saturating_add(1);
        if call.failures > self.retries {
            let given_up = format!(
                "{}: given up after {} retries (retries)",
                call.operation.name(),
                self.retries
            );
            return self.end(id, Err(error.context(given_up)));
        }
        // Another controller may have been elected, or brokers may have come and gone.
        core.refresh_metadata();
        let backoff = Backoff::retries(&core.config);
        let wait = backoff.after(call.failures, &mut core.rng);
        let name = call.operation.name();
        core.debug(now, "admin", name, || {
            format!("{name}: trying again in {wait:.1?}: {}", error.message())
        });
        call.state = State::Waiting(Some(now + wait));
        call.last_failure = Some(error);
    }

    /// Ends the calls whose time is over or whose waiting is of no use.
    fn expire(&mut self, core: &mut Core<Tag>, now: Instant, closing: Option<Instant>) {
        let mut ended = Vec::new();
        for (id, call) in &self.calls {
            let name = call.operation.name();
            let setup = core.config.connection_setup_timeout;
            let idle = matches!(call.state, State::Waiting(_));
            let error = if closing.is_some_and(|by| by <= now) {
                closed(name)
            } else if let Some(error) = core.incurable(call.since).filter(|_| idle) {
                error.context(name)
            } else if call.deadline <= now {
                call.timed_out(core, now)
            } else if idle && core.hope_ends(call.since).is_some_and(|at| at <= now) {
                core.unreachable(now, setup, " (socket.connection.setup.timeout.ms)")
                    .context(name)
            } else {
                continue;
            };
            ended.push((*id, error));
        }
        for (id, error) in ended {
            self.end(id, Err(error));
        }
    }

    /// Sends what can be sent.
    fn send_due(&mut self, core: &mut Core<Tag>, now: Instant) {
        if !core.contacted() {
            return;
        }
        let mut ended = Vec::new();
        for (id, call) in &mut self.calls {
            let State::Waiting(not_before) = &call.state else {
                continue;
            };
            if not_before.is_some_and(|at| now < at) {
                continue;
            }
            let controller = Some(core.controller).filter(|id| *id >= 0);
            let preferred = match call.operation.target() {
                Target::Controller => controller,
                Target::Same => call.asked.or(self.asked).or(controller),
            };
            let Some((node, conn)) = core.broker_conn(now, preferred) else {
                continue;
            };
            call.attempt = call.attempt.wrapping_add(1);
            let tag = Tag {
                call: *id,
                attempt: call.attempt,
            };
            let limit = call
                .deadline
                .saturating_duration_since(now)
                .min(core.config.request_timeout);
            match call.operation.send(core, now, conn, limit, tag) {
                Ok(()) => {
                    call.state = State::Sent { node, at: now };
                    if let Node::Id(broker) = node {
                        call.asked = Some(broker);
                        self.asked = Some(broker);
                    }
                }
                Err(e) => ended.push((
                    *id,
                    e.context(format_args!(
                        "{}: {}",
                        call.operation.name(),
                        core.address(node)
                    )),
                )),
            }
        }
        for (id, error) in ended {
            self.end(id, Err(error));
        }
    }

    fn deadline(
        &self,
        core: &Core<Tag>,
        now: Instant,
        closing: Option<Instant>,
    ) -> Option<Instant> {
        let mut due: Vec<Instant> = closing
            .into_iter()
            .filter(|_| !self.calls.is_empty())
            .collect();
        for call in self.calls.values() {
            due.push(call.deadline);
            let State::Waiting(not_before) = &call.state else {
                continue;
            };
            due.extend(core.hope_ends(call.since));
            match not_before.filter(|at| now < *at) {
                Some(at) => due.push(at),
                None => due.extend(core.broker_conn_deadline(now)),
            }
        }
        due.into_iter().min()
    }
}

impl Call {
    fn tried(&self, last: &Error) -> String {
        let times = self.attempt;
        format!("tried {times} times; the last time: {}", last.message())
    }

    fn timed_out(&self, core: &Core<Tag>, now: Instant) -> Error {
        let name = self.operation.name();
        let waited = now.saturating_duration_since(self.since);
        let why = match (&self.state, &self.last_failure) {
            (State::Sent { node, at }, last) => {
                let silent = now.saturating_duration_since(*at);
                let silence = format!("{} has not answered for {silent:.1?}", core.address(*node));
                match last {
                    None => silence,
                    Some(error) => format!("{silence}; {}", self.tried(error)),
                }
            }
            (State::Waiting(_), Some(error)) => self.tried(error),
            (State::Waiting(_), None) => return core.unreachable(now, waited, "").context(name),
        };
        Error::new(
            ErrorCode::TIMED_OUT,
            format!("{name}: not done within {waited:.1?}: {why}"),
        )
    }
}

impl Role for AdminRole {
    type Tag = Tag;

    fn on_event(&mut self, core: &mut Core<Tag>, now: Instant, event: Event<Tag>) {
        match event {
            Event::Response {
                node,
                tag,
                version,
                body,
            } => self.on_reply(core, now, node, tag, version, body),
            Event::Failed { tag, error, .. } => self.on_lost(core, now, tag, error),
            // Calls have limits of their own, and nothing here fetches.
            Event::Metadata
            | Event::Coordinator
            | Event::Unreachable(_)
            | Event::FetchPart { .. } => {}
        }
    }

    fn poll(&mut self, core: &mut Core<Tag>, now: Instant) -> Option<Instant> {
        let closing = {
            let mut asked = self.shared.lock();
            for new in asked.calls.drain(..) {
                let call = Call {
                    operation: new.operation,
                    since: new.since,
                    deadline: new.deadline,
                    state: State::Waiting(None),
                    attempt: 0,
                    failures: 0,
                    last_failure: None,
                    asked: None,
                };
                self.calls.insert(self.next_call, call);
                self.next_call += 1;
            }
            asked.closing
        };
        self.expire(core, now, closing);
        self.send_due(core, now);
        if closing.is_some() && self.calls.is_empty() && !self.finished {
            self.finished = true;
            self.shared.end();
        }
        let connects = self.shared.connects.poll(core, now);
        self.deadline(core, now, closing)
            .into_iter()
            .chain(connects)
            .min()
    }

    fn finished(&self) -> bool {
        self.finished
    }

    fn stats(&self, core: &Core<Tag>, now: Instant) -> Stats {
        core.plain_stats("admin.client", now)
    }
}
