//! One connection's state: what it is for, what it may speak, which requests wait for their answers.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::frame::Expect;
use super::rpc::{Call, Versions};
use crate::config::HostPort;
use crate::protocol::produce::OutFrame;

/// Names a connection of one client; never used twice.
pub(crate) type ConnId = u64;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Name look-up and TCP.
    Connecting,
    /// Waiting for the answer to ApiVersions.
    Negotiating,
    /// Requests may go out.
    Ready,
}

/// A request sent and not answered.
#[derive(Debug)]
pub(crate) struct InFlight<T> {
    pub(crate) correlation: i32,
    pub(crate) key: i16,
    pub(crate) version: i16,
    pub(crate) sent: Instant,
    pub(crate) deadline: Instant,
    pub(crate) tag: T,
}

/// The state of one connection. `T` is what the client wants back with an answer.
#[derive(Debug)]
pub(crate) struct Conn<T> {
    pub(crate) stage: Stage,
    pub(crate) versions: Versions,
    pub(crate) inflight: VecDeque<InFlight<T>>,
    /// No new request goes out before (KIP-219).
    pub(crate) muted_until: Option<Instant>,
    pub(crate) last_used: Instant,
    /// When it began to be opened.
    pub(crate) opened: Instant,
    next_correlation: i32,
}

impl<T> Conn<T> {
    pub(crate) fn new(now: Instant) -> Self {
        Conn {
            stage: Stage::Connecting,
            versions: Versions::default(),
            inflight: VecDeque::new(),
            muted_until: None,
            last_used: now,
            opened: now,
            next_correlation: 1,
        }
    }

    /// Numbers a request and notes it as sent. A request without an answer (`acks=0`) is not waited for.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        mut call: Call,
        timeout: Duration,
        tag: T,
        answered: bool,
    ) -> (OutFrame, Option<(i32, Expect)>) {
        let correlation = self.next_correlation;
        self.next_correlation = self.next_correlation.checked_add(1).unwrap_or(1);
        call.set_correlation(correlation);
        self.last_used = now;
        if !answered {
            return (call.frame, None);
        }
        let kind = if call.key == crate::protocol::fetch::KEY {
            Expect::Fetch(call.version)
        } else {
            Expect::Whole
        };
        self.inflight.push_back(InFlight {
            correlation,
            key: call.key,
            version: call.version,
            sent: now,
            deadline: now + timeout,
            tag,
        });
        (call.frame, Some((correlation, kind)))
    }

    /// The request that `correlation` answers; answers come in order, so it is the oldest.
    pub(crate) fn oldest(&self, correlation: i32) -> Option<&InFlight<T>> {
        self.inflight
            .front()
            .filter(|r| r.correlation == correlation)
    }

    /// Takes the request that `correlation` answers.
    pub(crate) fn answered(&mut self, now: Instant, correlation: i32) -> Option<InFlight<T>> {
        self.oldest(correlation)?;
        self.last_used = now;
        self.inflight.pop_front()
    }

    /// When the first waiting request runs out of time.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.inflight.iter().map(|r| r.deadline).min()
    }
}

/// Where to connect.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: HostPort,
    /// It comes from `bootstrap.servers`.
    pub(crate) bootstrap: bool,
    /// How long each step may take: look-up, connecting to each of the addresses found.
    pub(crate) limit: Duration,
    /// Addresses that were no good, the one that failed first in front: tried after all others.
    pub(crate) avoid: Vec<SocketAddr>,
}
