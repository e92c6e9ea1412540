//! What went wrong with whom, in words: for errors and log lines.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::cluster::core::{Core, Node, NodeState, Purpose, Slot};
use crate::config::HostPort;
use crate::error::{Error, ErrorCode};
use crate::net::conn::Stage;
use crate::net::socket::Reached;

/// True where trying again in a moment gives the same answer: the peer isn't what the client was told it is.
fn is_incurable(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::PROTOCOL
            | ErrorCode::CONFIG
            | ErrorCode::TLS
            | ErrorCode::AUTHENTICATION
            | ErrorCode::UNSUPPORTED
            | ErrorCode::UNSUPPORTED_VERSION
            | ErrorCode::UNSUPPORTED_SASL_MECHANISM
            | ErrorCode::SASL_AUTHENTICATION_FAILED
    )
}

/// Several errors as one, with the code of the first.
fn join(errors: &[Error]) -> Option<Error> {
    let code = errors.first()?.code();
    let lines: Vec<&str> = errors.iter().map(Error::message).collect();
    Some(Error::new(code, lines.join("; ")))
}

impl<T: Clone> Core<T> {
    /// When a node that can't be used now may be tried again; `None` if it is connected or being connected.
    /// What is past is no answer: whoever waited for it would spin while the next try is under way.
    pub(crate) fn retry_at(&self, now: Instant, node: Node) -> Option<Instant> {
        let state = self.nodes.get(&node)?;
        let purposes = (node, Purpose::FIRST)..=(node, Purpose::LAST);
        let unanswered = self.unanswered.range(purposes).map(|(_, (_, at))| *at);
        state
            .retry_at
            .into_iter()
            .chain(unanswered)
            .filter(|at| *at > now || planted!("spins-while-connecting"))
            .min()
    }

    /// Since when a broker has failed, and why.
    pub(crate) fn failing(&self, node: Node) -> Option<(Instant, Error)> {
        let state = self.nodes.get(&node)?;
        Some((state.failing_since?, self.describe_failure(node, state)?))
    }

    /// Why a broker cannot be reached, once it has refused for the whole connect timeout without having ever
    /// answered: then waiting on is of no use to a caller, though the attempts go on.
    pub(crate) fn hopeless(&self, now: Instant, node: Node) -> Option<Error> {
        let state = self.nodes.get(&node).filter(|state| !state.untried)?;
        // One that is being tried again may have come up meanwhile.
        let tried = self
            .conns
            .values()
            .any(|s| s.node == node && s.conn.stage != Stage::Ready);
        let since = state.failing_since.filter(|_| !state.contacted && !tried)?;
        (now >= since + self.config.connection_setup_timeout)
            .then(|| self.describe_failure(node, state))
            .flatten()
    }

    /// Why a broker counts as out of reach: it has refused for the whole connect timeout, or has not answered a request in
    /// time and nothing since.
    pub(crate) fn out_of_reach(&self, now: Instant, node: Node) -> Option<Error> {
        let state = self.nodes.get(&node)?;
        let since = state.failing_since?;
        let silent = state.failed_at == Stage::Ready
            && state.last_error.as_ref().map(Error::code) == Some(ErrorCode::TIMED_OUT);
        (silent || now >= since + self.config.connection_setup_timeout)
            .then(|| self.describe_failure(node, state))
            .flatten()
    }

    /// True if a broker's last request did not fail.
    pub(crate) fn is_healthy(&self, node: Node) -> bool {
        self.nodes
            .get(&node)
            .is_none_or(|state| state.failures == 0)
    }

    /// Why nobody can be reached, once nothing that waiting could cure is left: every broker was tried since `since`
    /// and is not what the configuration takes it for. Bootstrap addresses count until the cluster has told its
    /// brokers.
    pub(crate) fn incurable(&self, since: Instant) -> Option<Error> {
        let by_id = self.contacted && self.brokers().next().is_some();
        let mut errors = Vec::new();
        for (node, state) in &self.nodes {
            if by_id && matches!(node, Node::Bootstrap(_)) {
                continue;
            }
            state
                .last_failure
                .filter(|at| *at >= since && !state.untried)?;
            state
                .last_error
                .as_ref()
                .filter(|e| is_incurable(e.code()) || self.is_unresolved(e.code(), state))?;
            errors.extend(self.describe_failure(*node, state));
        }
        join(&errors)
    }

    /// True where a bootstrap name has failed to be looked up for as long as it may.
    fn is_unresolved(&self, code: ErrorCode, state: &NodeState) -> bool {
        let limit = self.config.bootstrap_resolve_timeout;
        let by = self.started + limit;
        let over = state.last_failure.is_some_and(|at| at >= by);
        code == ErrorCode::DNS && !limit.is_zero() && over && !self.contacted
    }

    /// True while a node that failed, or has not greeted yet, has another address, which has not failed: too early to give
    /// up.
    pub(crate) fn untried(&self) -> bool {
        let greeting = |slot: &Slot<T>| {
            let reached = slot.reached.as_ref().filter(|_| !slot.proved);
            let avoid = self.nodes.get(&slot.node).map(|state| &state.avoid);
            let good = |r: &Reached, a: &SocketAddr| {
                *a != r.address && !avoid.is_some_and(|bad| bad.contains(a))
            };
            reached.is_some_and(|r| r.all.iter().any(|a| good(r, a)))
        };
        self.nodes.values().any(|state| state.untried) || self.conns.values().any(greeting)
    }

    /// What last went wrong with a node, in full.
    pub(crate) fn last_error(&self, node: Node) -> Option<Error> {
        self.describe_failure(node, self.nodes.get(&node)?)
    }

    fn describe_failure(&self, node: Node, state: &NodeState) -> Option<Error> {
        let cause = state.last_error.as_ref()?;
        let reason = cause.message();
        let text = match node {
            Node::Bootstrap(_) => {
                let advice = match (state.failed_at, cause.code()) {
                    (Stage::Connecting, ErrorCode::CONNECT) => {
                        "; is a Kafka broker running there, and are host and port right?"
                    }
                    (Stage::Connecting, ErrorCode::DNS) => {
                        "; check the host name in bootstrap.servers"
                    }
                    _ => "",
                };
                format!("bootstrap server {}: {reason}{advice}", state.address)
            }
            Node::Id(id) if state.contacted => {
                format!("broker {id} at {}: {reason}", state.address)
            }
            Node::Id(id) => format!(
                "broker {id} advertises {}, which cannot be reached from here: {reason}; the cluster was found \
                 through bootstrap.servers={}, so check advertised.listeners in that broker's settings",
                state.address,
                self.bootstrap_list()
            ),
        };
        Some(Error::new(cause.code(), text))
    }

    pub(crate) fn bootstrap_list(&self) -> String {
        let list: Vec<String> = self
            .config
            .bootstrap_servers
            .iter()
            .map(HostPort::to_string)
            .collect();
        list.join(", ")
    }

    /// What a node's control connection waits for, if it is not of use yet.
    fn describe_pending(&self, now: Instant, node: Node) -> Option<Error> {
        let slot = self
            .conns
            .get(self.by_purpose.get(&(node, Purpose::Control))?)?;
        let state = self.nodes.get(&node)?;
        let waited = now.saturating_duration_since(slot.conn.last_used);
        let text = match slot.conn.stage {
            Stage::Connecting if state.address.host.parse::<std::net::IpAddr>().is_ok() => {
                format!(
                    "TCP connect has not succeeded after {waited:.1?}; is there a firewall between?"
                )
            }
            Stage::Connecting => {
                format!("name look-up or TCP connect has not succeeded after {waited:.1?}")
            }
            Stage::Negotiating => format!(
                "TCP connected, but ApiVersions has not been answered for {waited:.1?}; \
                 is that port a Kafka broker's, and does it expect TLS or SASL (security.protocol)?"
            ),
            Stage::Ready => {
                let oldest = slot.conn.inflight.front()?;
                let waited = now.saturating_duration_since(oldest.sent);
                format!(
                    "{} has not been answered for {waited:.1?}",
                    crate::protocol::schema::api_name(oldest.key)
                )
            }
        };
        Some(Error::new(
            ErrorCode::TIMED_OUT,
            format!("{}: {text}", self.address(node)),
        ))
    }

    /// What stands in the way of each node, a clause each: its last failure, or what it is waited for.
    pub(crate) fn describe_failures(&self, now: Instant) -> Option<Error> {
        let each = self.nodes.iter();
        let failures: Vec<Error> = each
            .filter_map(|(node, state)| {
                self.describe_failure(*node, state)
                    .or_else(|| self.describe_pending(now, *node))
            })
            .collect();
        join(&failures)
    }

    /// The error of a caller that waited for the cluster in vain.
    pub(crate) fn unreachable(&self, now: Instant, waited: Duration, limit: &str) -> Error {
        let why = self.describe_failures(now).unwrap_or_else(|| {
            Error::new(
                ErrorCode::TIMED_OUT,
                "no connection was tried yet; the time given is too short",
            )
        });
        Error::new(
            why.code(),
            format!(
                "no broker could be reached within {waited:.1?}{limit}: {}",
                why.message()
            ),
        )
    }

    /// The address of a node, for messages.
    pub(crate) fn address(&self, node: Node) -> String {
        match (node, self.nodes.get(&node)) {
            (Node::Id(id), Some(state)) => format!("broker {id} at {}", state.address),
            (Node::Bootstrap(_), Some(state)) => format!("bootstrap server {}", state.address),
            (_, None) => "a broker that has left".to_owned(),
        }
    }
}
