//! Coordinators: which broker looks after a group or a transactional id (FindCoordinator, KIP-699).
//!
//! A role asks with [`Core::coordinator`] each time it has a request for one, and gets a connection to it, or is to
//! wait: it is polled again when there is more to tell. Who the coordinator is, is kept until a broker denies it
//! ([`Core::coordinator_lost`]) or can't be reached.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::{Message, Request, StrBytes};

use crate::cluster::core::{Backoff, Core, Event, Node, Purpose, Tag};
use crate::error::{Error, ErrorCode, Result};
use crate::log::Level;
use crate::net::conn::ConnId;
use crate::net::rpc::{self, Call};

/// What a coordinator looks after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum CoordinatorKind {
    Group,
    Transaction,
}

impl CoordinatorKind {
    /// The key type on the wire.
    fn wire(self) -> i8 {
        match self {
            CoordinatorKind::Group => 0,
            CoordinatorKind::Transaction => 1,
        }
    }
}

impl fmt::Display for CoordinatorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CoordinatorKind::Group => "group",
            CoordinatorKind::Transaction => "transactional.id",
        })
    }
}

/// What [`Core::coordinator`] can offer now.
#[derive(Debug)]
pub(crate) enum Coordinator {
    /// A ready connection to it.
    Ready(Node, ConnId),
    /// Being looked for or connected to. The role is polled again when that has changed.
    Waiting,
    /// It can't be had, and asking again would not help by itself. Asked for again after a pause nevertheless, for
    /// a role that goes on.
    Refused(Error),
}

#[derive(Debug)]
enum State {
    /// To be asked for, not before the time.
    Wanted(Option<Instant>),
    Asking,
    At(i32),
    Refused(Error, Instant),
}

#[derive(Debug)]
struct Entry {
    state: State,
    /// Who it was said to be last.
    named: Option<i32>,
    /// Answers in a row that named no coordinator.
    failures: u32,
    last_error: Option<Error>,
}

/// Names an entry.
pub(super) type Key = (CoordinatorKind, Arc<str>);

/// The coordinators a client has asked for.
#[derive(Debug, Default)]
pub(super) struct Coordinators(BTreeMap<Key, Entry>);

impl Coordinators {
    /// A broker can't be reached: what it coordinates may have moved.
    pub(super) fn forget_node(&mut self, node: Node, error: &Error) {
        for entry in self.0.values_mut() {
            if matches!(entry.state, State::At(id) if node == Node::Id(id)) {
                entry.state = State::Wanted(None);
                entry.last_error = Some(error.clone());
            }
        }
    }

    fn wanted(&self) -> impl Iterator<Item = (&Key, Option<Instant>)> {
        self.0.iter().filter_map(|(key, entry)| match entry.state {
            State::Wanted(not_before) => Some((key, not_before)),
            _ => None,
        })
    }
}

impl<T: Clone> Core<T> {
    /// The connection, for `purpose`, to the coordinator of a group or transactional id. Starts what is needed to
    /// have one.
    pub(crate) fn coordinator(
        &mut self,
        now: Instant,
        kind: CoordinatorKind,
        key: &Arc<str>,
        purpose: Purpose,
    ) -> Coordinator {
        let entry = self
            .coordinators
            .0
            .entry((kind, key.clone()))
            .or_insert(Entry {
                state: State::Wanted(None),
                named: None,
                failures: 0,
                last_error: None,
            });
        match &entry.state {
            State::At(id) => {
                let node = Node::Id(*id);
                if !self.nodes.contains_key(&node) {
                    // It has left the cluster since.
                    entry.state = State::Wanted(None);
                    self.poll_coordinators(now);
                    return Coordinator::Waiting;
                }
                match self.conn(now, node, purpose) {
                    Some(conn) => Coordinator::Ready(node, conn),
                    None => Coordinator::Waiting,
                }
            }
            State::Refused(error, until) if now < *until => Coordinator::Refused(error.clone()),
            State::Refused(..) => {
                entry.state = State::Wanted(None);
                self.poll_coordinators(now);
                Coordinator::Waiting
            }
            State::Wanted(_) => {
                self.poll_coordinators(now);
                Coordinator::Waiting
            }
            State::Asking => Coordinator::Waiting,
        }
    }

    /// A broker denied being the coordinator, or said that it is not available: it is looked for again, after a
    /// pause that grows while that brings nothing. `error` is told to whoever waits in vain.
    pub(crate) fn coordinator_lost(
        &mut self,
        now: Instant,
        kind: CoordinatorKind,
        key: &Arc<str>,
        error: &Error,
    ) {
        if matches!(
            self.coordinators.0.get(&(kind, key.clone())),
            Some(entry) if matches!(entry.state, State::At(_))
        ) {
            self.coordinator_missing(now, (kind, key.clone()), error.clone());
        }
    }

    /// Why the broker that was named as the coordinator cannot be reached, once that has lasted for the whole connect
    /// timeout: see [`Core::hopeless`].
    pub(crate) fn coordinator_hopeless(
        &self,
        now: Instant,
        kind: CoordinatorKind,
        key: &Arc<str>,
    ) -> Option<Error> {
        let entry = self.coordinators.0.get(&(kind, key.clone()))?;
        let error = self.hopeless(now, Node::Id(entry.named?))?;
        Some(error.context(format_args!("coordinator of {kind} '{key}'")))
    }

    /// What stands between a caller and a coordinator: for the error of a call that waited in vain.
    pub(crate) fn describe_coordinator(
        &self,
        now: Instant,
        kind: CoordinatorKind,
        key: &Arc<str>,
    ) -> Error {
        let entry = self.coordinators.0.get(&(kind, key.clone()));
        let why = match entry {
            Some(Entry {
                state: State::At(id),
                ..
            }) => self.last_error(Node::Id(*id)).unwrap_or_else(|| {
                Error::new(
                    ErrorCode::TIMED_OUT,
                    format!("it is {}", self.address(Node::Id(*id))),
                )
            }),
            Some(Entry {
                state: State::Refused(error, _),
                ..
            }) => return error.clone(),
            Some(Entry {
                last_error: Some(error),
                ..
            }) => error.clone(),
            _ => self.describe_failures(now).unwrap_or_else(|| {
                Error::new(ErrorCode::TIMED_OUT, "no broker has told which it is")
            }),
        };
        why.context(format_args!("coordinator of {kind} '{key}'"))
    }

    /// Asks for the coordinators that are wanted, if somebody can be asked.
    pub(super) fn poll_coordinators(&mut self, now: Instant) {
        loop {
            let due = self
                .coordinators
                .wanted()
                .find(|(_, not_before)| not_before.is_none_or(|at| at <= now))
                .map(|(key, _)| key.clone());
            let Some(key) = due else {
                return;
            };
            let Some((node, conn)) = self.any_conn(now) else {
                return;
            };
            match self.find_coordinator(now, conn, &key) {
                Ok(()) => self.set_coordinator(&key, State::Asking),
                Err(e) => {
                    let e = e.context(self.address(node));
                    self.refuse_coordinator(now, key, e);
                }
            }
        }
    }

    fn find_coordinator(&mut self, now: Instant, conn: ConnId, key: &Key) -> Result<()> {
        // Version 0 knows groups only.
        let min = match key.0 {
            CoordinatorKind::Group => FindCoordinatorRequest::VERSIONS.min,
            CoordinatorKind::Transaction => 1,
        };
        let version = self.version(
            conn,
            FindCoordinatorRequest::KEY,
            (min, FindCoordinatorRequest::VERSIONS.max),
        )?;
        let name = StrBytes::from_string(key.1.to_string());
        let request = if version >= 4 {
            FindCoordinatorRequest::default().with_coordinator_keys(vec![name])
        } else {
            FindCoordinatorRequest::default().with_key(name)
        };
        let request = if version >= 1 {
            request.with_key_type(key.0.wire())
        } else {
            request
        };
        let call = Call::encode(&self.config.client_id, version, &request)?;
        let tag = Tag::Coordinator(key.clone());
        self.send_tagged(now, conn, call, self.config.request_timeout, tag, true);
        Ok(())
    }

    fn set_coordinator(&mut self, key: &Key, state: State) {
        if let Some(entry) = self.coordinators.0.get_mut(key) {
            entry.state = state;
        }
    }

    fn refuse_coordinator(&mut self, now: Instant, key: Key, error: Error) {
        let error = error.context(format_args!("coordinator of {} '{}'", key.0, key.1));
        let until = now + self.config.retry_backoff_max;
        self.set_coordinator(&key, State::Refused(error, until));
        self.events.push_back(Event::Coordinator);
    }

    /// A request for it got no answer.
    pub(super) fn coordinator_unanswered(&mut self, key: &Key, error: &Error) {
        if let Some(entry) = self.coordinators.0.get_mut(key) {
            // The connection's own pause holds; another broker may be asked at once.
            entry.state = State::Wanted(None);
            entry.last_error = Some(error.clone());
        }
    }

    fn coordinator_missing(&mut self, now: Instant, key: Key, error: Error) {
        let backoff = Backoff::retries(&self.config);
        let Some(entry) = self.coordinators.0.get_mut(&key) else {
            return;
        };
        entry.failures = entry.failures.saturating_add(1);
        let wait = backoff.after(entry.failures, &mut self.rng);
        entry.state = State::Wanted(Some(now + wait));
        entry.last_error = Some(error.clone());
        let wall = self.clock.wall();
        self.log
            .log(Level::Info, "coordinator", &key, now, wall, || {
                format!(
                    "looking for the coordinator of {} '{}' again: {}",
                    key.0,
                    key.1,
                    error.message()
                )
            });
    }

    /// The role has had an answer that only the coordinator gives.
    pub(crate) fn coordinator_answered(&mut self, kind: CoordinatorKind, key: &Arc<str>) {
        if let Some(entry) = self.coordinators.0.get_mut(&(kind, key.clone())) {
            entry.failures = 0;
            entry.last_error = None;
        }
    }

    pub(super) fn on_coordinator(
        &mut self,
        now: Instant,
        id: ConnId,
        node: Node,
        version: i16,
        key: Key,
        body: Bytes,
    ) {
        let response = match rpc::decode::<FindCoordinatorRequest>(version, body) {
            Ok(response) => response,
            Err(e) => {
                self.coordinator_unanswered(&key, &e);
                return self.fail_conn(now, id, e);
            }
        };
        self.throttle(now, node, Purpose::Control, response.throttle_time_ms);
        let asked = self.address(node);
        match found(&response, version, &key) {
            Ok((id, host, port)) => {
                let rack = self.nodes.get(&Node::Id(id)).and_then(|n| n.rack.clone());
                self.add_node(id, &host, port, rack);
                self.debug(now, "coordinator", ("found", &key), || {
                    let (kind, name) = &key;
                    format!("the coordinator of {kind} '{name}' is broker {id} at {host}:{port}")
                });
                self.set_coordinator(&key, State::At(id));
                if let Some(entry) = self.coordinators.0.get_mut(&key) {
                    entry.named = Some(id);
                }
                self.events.push_back(Event::Coordinator);
            }
            Err(e) => {
                let retriable = e.code().is_retriable();
                let e = e.context(format_args!("{asked} answered FindCoordinator"));
                if retriable {
                    self.coordinator_missing(now, key, e);
                } else {
                    self.refuse_coordinator(now, key, e);
                }
            }
        }
    }

    /// When coordinators can be asked for next.
    pub(super) fn coordinators_deadline(&self, now: Instant) -> Option<Instant> {
        let wanted = self.coordinators.wanted().map(|(_, at)| at.unwrap_or(now));
        let refused = self
            .coordinators
            .0
            .values()
            .filter_map(|entry| match entry.state {
                State::Refused(_, until) if until > now => Some(until),
                // Known, and left alone for a while since it could not be reached.
                State::At(id) => self.retry_at(now, Node::Id(id)),
                _ => None,
            });
        let due = wanted
            .min()
            .and_then(|due| Some(due.max(self.any_conn_at(now)?)));
        due.into_iter().chain(refused).min()
    }
}

/// The coordinator that an answer names: its id, host and port.
fn found(
    response: &FindCoordinatorResponse,
    version: i16,
    key: &Key,
) -> Result<(i32, String, i32)> {
    let (code, message, id, host, port) = if version >= 4 {
        let own = response.coordinators.iter().find(|c| *c.key == *key.1);
        let own =
            own.ok_or_else(|| Error::protocol(format!("without a word on {} '{}'", key.0, key.1)))?;
        (
            own.error_code,
            &own.error_message,
            own.node_id.0,
            &own.host,
            own.port,
        )
    } else {
        (
            response.error_code,
            &response.error_message,
            response.node_id.0,
            &response.host,
            response.port,
        )
    };
    let code = ErrorCode(i32::from(code));
    if code == ErrorCode::NONE && id >= 0 {
        return Ok((id, host.to_string(), port));
    }
    let advice = match code {
        ErrorCode::NONE => {
            let text = "no coordinator, and no error either";
            return Err(Error::new(ErrorCode::COORDINATOR_NOT_AVAILABLE, text));
        }
        ErrorCode::GROUP_AUTHORIZATION_FAILED => {
            "; this client may not use the group: check its ACLs"
        }
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => {
            "; this client may not use the transactional.id: check its ACLs"
        }
        ErrorCode::COORDINATOR_NOT_AVAILABLE => {
            "; a young cluster makes its internal topics first, which needs as many brokers as their replication \
             factor says (offsets.topic.replication.factor, transaction.state.log.replication.factor)"
        }
        _ => "",
    };
    let words = message
        .as_deref()
        .filter(|m| !m.is_empty())
        .map_or_else(String::new, |m| format!(" (\"{m}\")"));
    Err(Error::new(code, format!("{}{words}{advice}", code.name())))
}
