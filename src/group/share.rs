//! Membership in a share group: one heartbeat (ShareGroupHeartbeat) says what is subscribed to, and is answered with the
//! partitions to read. Nothing changes hands: several members have the same ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::{GroupId, ShareGroupHeartbeatRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::cluster::core::{Core, Purpose};
use crate::cluster::nodes::{Backoff, Node};
use crate::error::{Error, ErrorCode, Result};
use crate::group::tag::{Ask, GroupTag};
use crate::group::words::{Trouble, advice, quoted, trouble};
use crate::net::conn::ConnId;
use crate::net::rpc::{self, Call};
use crate::protocol::wire::TopicId;

const HEARTBEAT: i16 = 76;
/// Version 0 was a preview and is gone.
const VERSIONS: (i16, i16) = (1, 1);
const LEAVING: i32 = -1;
/// How soon a member asks again that has joined and got no partitions: a coordinator may share them out only after it has
/// answered, and would tell of it with the next heartbeat. Doubled each time, up to the interval between heartbeats.
const EAGER: Duration = Duration::from_millis(250);
/// Until a coordinator says otherwise.
const INTERVAL: Duration = Duration::from_secs(5);

/// What an answer has brought.
#[derive(Debug)]
pub(crate) enum Signal {
    /// These partitions are to be read, and no others.
    Assigned(BTreeMap<TopicId, Vec<i32>>),
    /// The group has gone on without this member, which joins anew.
    Lost(Error),
    /// It is not this broker that coordinates the group.
    CoordinatorLost(Error),
    /// The group can't be joined, or not be kept in touch with, for a reason that waiting may or may not cure.
    Failing(Error),
    /// The coordinator counts this member as alive.
    Heard,
}

/// One membership.
#[derive(Debug)]
pub(crate) struct Member {
    group: Arc<str>,
    rack: Option<String>,
    id: String,
    topics: BTreeSet<Arc<str>>,
    /// 0 until it has joined.
    epoch: i32,
    interval: Duration,
    /// How long it waits for its first partitions before it asks again.
    eager: Option<Duration>,
    heartbeat_at: Instant,
    sent: bool,
    /// The next heartbeat says everything.
    full: bool,
    failures: u32,
    /// The brokers may count it as a member.
    known: bool,
    /// Which life an answer belongs to.
    serial: u32,
}

fn string(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

impl Member {
    pub(crate) fn new(
        (group, id): (Arc<str>, String),
        rack: Option<String>,
        topics: BTreeSet<Arc<str>>,
        now: Instant,
    ) -> Self {
        Member {
            group,
            rack,
            id,
            topics,
            epoch: 0,
            interval: INTERVAL,
            eager: Some(EAGER),
            heartbeat_at: now,
            sent: false,
            full: true,
            failures: 0,
            known: false,
            serial: 0,
        }
    }

    pub(crate) fn topics(&self) -> &BTreeSet<Arc<str>> {
        &self.topics
    }

    pub(crate) fn subscribe(&mut self, topics: BTreeSet<Arc<str>>, now: Instant) {
        self.topics = topics;
        self.full = true;
        self.eager = Some(EAGER);
        self.heartbeat_at = now;
    }

    pub(crate) fn is_known(&self) -> bool {
        self.known
    }

    pub(crate) fn is_life(&self, serial: u32) -> bool {
        self.serial == serial
    }

    pub(crate) fn wants(&self, now: Instant) -> bool {
        !self.sent && self.heartbeat_at <= now
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        (!self.sent).then_some(self.heartbeat_at)
    }

    fn request(&self, epoch: i32) -> ShareGroupHeartbeatRequest {
        ShareGroupHeartbeatRequest::default()
            .with_group_id(GroupId(string(&self.group)))
            .with_member_id(string(&self.id))
            .with_member_epoch(epoch)
            .with_subscribed_topic_names(None)
    }

    pub(crate) fn send(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        (node, conn): (Node, ConnId),
    ) -> Option<Signal> {
        let mut request = self.request(self.epoch);
        if self.full || self.epoch == 0 {
            let topics = self.topics.iter().map(|t| TopicName(string(t))).collect();
            request = request
                .with_rack_id(self.rack.as_deref().map(string))
                .with_subscribed_topic_names(Some(topics));
        }
        match self.call(core, conn, &request) {
            Ok(call) => {
                let timeout = core.config.request_timeout;
                core.send(
                    now,
                    conn,
                    call,
                    timeout,
                    Ask::Heartbeat(self.serial).into(),
                    true,
                );
                self.sent = true;
                self.known = true;
                self.full = false;
                None
            }
            Err(e) => {
                self.heartbeat_at = now + self.interval;
                let who = core.address(node);
                let e = e.context(format_args!(
                    "joining share group '{}' at {who}",
                    self.group
                ));
                Some(Signal::Failing(e.and(
                    "; share groups need Kafka 4.1 or newer, with share.version=1",
                )))
            }
        }
    }

    fn call(
        &self,
        core: &Core<impl GroupTag>,
        conn: ConnId,
        request: &ShareGroupHeartbeatRequest,
    ) -> Result<Call> {
        let version = core.version(conn, HEARTBEAT, VERSIONS)?;
        Call::encode(&core.config.client_id, version, request)
    }

    /// Says goodbye; false if that could not be sent.
    pub(crate) fn send_leave(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        conn: ConnId,
    ) -> bool {
        self.known = false;
        let Ok(call) = self.call(core, conn, &self.request(LEAVING)) else {
            return false;
        };
        let timeout = core.config.request_timeout;
        core.send(
            now,
            conn,
            call,
            timeout,
            Ask::Leave(self.serial).into(),
            true,
        );
        true
    }

    pub(crate) fn answered(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        node: Node,
        version: i16,
        body: Bytes,
    ) -> Vec<Signal> {
        self.sent = false;
        let response = match rpc::decode::<ShareGroupHeartbeatRequest>(version, body) {
            Ok(response) => response,
            Err(e) => {
                self.failed(core, now);
                return vec![Signal::Failing(e)];
            }
        };
        core.throttle(now, node, Purpose::Group, response.throttle_time_ms);
        let code = ErrorCode(i32::from(response.error_code));
        if code != ErrorCode::NONE {
            let words = quoted(response.error_message.as_deref());
            return vec![self.refused(core, now, node, code, &words)];
        }
        self.failures = 0;
        self.epoch = response.member_epoch;
        if let Some(ms) = u64::try_from(response.heartbeat_interval_ms)
            .ok()
            .filter(|ms| *ms > 0)
        {
            self.interval = Duration::from_millis(ms);
        }
        let mut signals = vec![Signal::Heard];
        if let Some(assignment) = response.assignment {
            if !assignment.topic_partitions.is_empty() {
                self.eager = None;
            }
            let each = assignment.topic_partitions.into_iter();
            signals.push(Signal::Assigned(
                each.map(|t| (t.topic_id.into_bytes(), t.partitions))
                    .collect(),
            ));
        }
        let eager = self.eager.filter(|eager| *eager < self.interval);
        self.eager = eager.map(|eager| 2 * eager);
        self.heartbeat_at = match eager {
            _ if self.full => now,
            Some(eager) => now + eager,
            None => now + self.interval,
        };
        signals
    }

    fn refused(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        node: Node,
        code: ErrorCode,
        words: &str,
    ) -> Signal {
        let advice = match code {
            ErrorCode::GROUP_ID_NOT_FOUND => {
                "; the name belongs to a group of another kind: choose another group.id"
            }
            ErrorCode::UNSUPPORTED_VERSION => {
                "; the cluster has share groups switched off (feature share.version)"
            }
            _ => advice(code),
        };
        let error = Error::new(
            code,
            format!(
                "heartbeat in share group '{}': {} answered {}{words}{advice}",
                self.group,
                core.address(node),
                code.name(),
            ),
        );
        self.failed(core, now);
        match trouble(code) {
            Some(Trouble::Coordinator) => Signal::CoordinatorLost(error),
            Some(Trouble::Member) => {
                self.serial = self.serial.wrapping_add(1);
                self.epoch = 0;
                self.eager = Some(EAGER);
                Signal::Lost(error)
            }
            Some(Trouble::Rebalancing) | None => {
                self.heartbeat_at = self.heartbeat_at.max(now + core.config.retry_backoff_max);
                Signal::Failing(error)
            }
        }
    }

    /// A heartbeat brought nothing; the next one says everything anew.
    pub(crate) fn failed(&mut self, core: &mut Core<impl GroupTag>, now: Instant) {
        self.sent = false;
        self.full = true;
        self.failures = self.failures.saturating_add(1);
        let backoff = Backoff {
            first: core.config.retry_backoff,
            last: core.config.retry_backoff_max,
        };
        self.heartbeat_at = now + backoff.after(self.failures, &mut core.rng);
    }
}
