//! A membership that says and hears everything by one heartbeat: its epoch, the pace of the heartbeats, and what an answer
//! means.
//!
//! Members of groups by the new protocol ([`super::modern`]) and of share groups ([`super::share`]) have one. They differ
//! in what they say with a heartbeat and in what they do with the partitions that it brings.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes};

use crate::cluster::core::{Core, Purpose};
use crate::cluster::nodes::{Backoff, Node};
use crate::error::{Error, ErrorCode, Result};
use crate::group::tag::{Ask, GroupTag};
use crate::group::words::{Trouble, quoted, trouble};
use crate::net::conn::ConnId;
use crate::net::rpc::{self, Call};
use crate::protocol::wire::TopicId;

/// Partitions by the ids of their topics, as coordinators assign them.
pub(crate) type Assignment = BTreeMap<TopicId, Vec<i32>>;

/// The request and the answer of one kind of group.
pub(crate) trait Heartbeat {
    type Request: Request<Response: Decodable + HeaderVersion>;
    const VERSIONS: (i16, i16);
    /// What the group is, for messages.
    const GROUP: &'static str;

    fn read(response: <Self::Request as Request>::Response) -> Answer;

    /// What to do about a refusal, where something can be done.
    fn advice(code: ErrorCode) -> &'static str;
}

/// What the answers of all kinds say.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) throttle_ms: i32,
    pub(crate) code: i16,
    pub(crate) words: Option<StrBytes>,
    pub(crate) member_id: Option<StrBytes>,
    pub(crate) epoch: i32,
    pub(crate) interval_ms: i32,
    pub(crate) assignment: Option<Assignment>,
}

/// Reads the answer of one kind: the types differ, the fields do not.
macro_rules! read_answer {
    ($response:expr) => {{
        let response = $response;
        let assignment = response.assignment.map(|assignment| {
            let each = assignment.topic_partitions.into_iter();
            each.map(|t| (t.topic_id.into_bytes(), t.partitions))
                .collect()
        });
        $crate::group::heart::Answer {
            throttle_ms: response.throttle_time_ms,
            code: response.error_code,
            words: response.error_message,
            member_id: response.member_id,
            epoch: response.member_epoch,
            interval_ms: response.heartbeat_interval_ms,
            assignment,
        }
    }};
}
pub(super) use read_answer;

/// A heartbeat that brought nothing.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) error: Error,
    pub(crate) trouble: Option<Trouble>,
}

/// One membership's heartbeats.
#[derive(Debug)]
pub(crate) struct Heart<H> {
    group: Arc<str>,
    member_id: String,
    /// Which life an answer belongs to.
    serial: u32,
    /// 0 until it has joined.
    epoch: i32,
    interval: Duration,
    /// When the next one is due.
    at: Instant,
    sent: bool,
    /// There is news since the last one was sent: the next one follows the answer at once.
    again: bool,
    /// The next one says everything, not only what has changed.
    full: bool,
    failures: u32,
    /// The brokers may count it as a member.
    known: bool,
    kind: PhantomData<H>,
}

impl<H: Heartbeat> Heart<H> {
    /// `interval` holds until a coordinator says otherwise.
    pub(crate) fn new(
        (group, member_id): (Arc<str>, String),
        interval: Duration,
        serial: u32,
        now: Instant,
    ) -> Self {
        Heart {
            group,
            member_id,
            serial,
            epoch: 0,
            interval,
            at: now,
            sent: false,
            again: false,
            full: true,
            failures: 0,
            known: false,
            kind: PhantomData,
        }
    }

    pub(crate) fn group(&self) -> &Arc<str> {
        &self.group
    }

    pub(crate) fn member_id(&self) -> &str {
        &self.member_id
    }

    pub(crate) fn serial(&self) -> u32 {
        self.serial
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(crate) fn has_joined(&self) -> bool {
        self.epoch > 0
    }

    pub(crate) fn is_known(&self) -> bool {
        self.known
    }

    /// True if the next heartbeat has to say everything.
    pub(crate) fn says_all(&self) -> bool {
        self.full || self.epoch == 0
    }

    /// True if the last heartbeat, if any, was answered well.
    pub(crate) fn is_sound(&self) -> bool {
        self.failures == 0
    }

    pub(crate) fn is_under_way(&self) -> bool {
        self.sent
    }

    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// True if a heartbeat is due.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        !self.sent && self.at <= now
    }

    /// When the next heartbeat is due; `None` while one is under way.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (!self.sent).then_some(self.at)
    }

    /// There is news: the next heartbeat is due at once, or behind the answer to the one that is under way.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.at = now;
        self.again = self.sent;
    }

    /// The next heartbeat says everything.
    pub(crate) fn say_all(&mut self) {
        self.full = true;
    }

    /// No heartbeat before that time.
    pub(crate) fn not_before(&mut self, at: Instant) {
        self.at = self.at.max(at);
    }

    /// The next heartbeat is due then, if that is sooner.
    pub(crate) fn not_after(&mut self, at: Instant) {
        self.at = self.at.min(at);
    }

    /// Joins anew, after the group has gone on without it.
    pub(crate) fn begin(&mut self, serial: u32) {
        self.serial = serial;
        self.epoch = 0;
        self.sent = false;
        self.again = false;
        self.full = true;
    }

    /// The brokers don't count it as a member any more.
    pub(crate) fn forgotten(&mut self) {
        self.known = false;
    }

    /// Sends a heartbeat. An error is that the broker does not speak of such groups, or that the request can't be encoded.
    pub(crate) fn send(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        conn: ConnId,
        request: &H::Request,
    ) -> Result<()> {
        let ask = Ask::Heartbeat(self.serial);
        if let Err(e) = self.hand_on(core, now, conn, request, ask) {
            self.at = now + self.interval;
            return Err(e);
        }
        self.sent = true;
        self.again = false;
        self.known = true;
        self.full = false;
        Ok(())
    }

    /// Says goodbye.
    pub(crate) fn send_leave(
        &self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        conn: ConnId,
        request: &H::Request,
    ) -> Result<()> {
        self.hand_on(core, now, conn, request, Ask::Leave(self.serial))
    }

    fn hand_on<T: GroupTag>(
        &self,
        core: &mut Core<T>,
        now: Instant,
        conn: ConnId,
        request: &H::Request,
        ask: Ask,
    ) -> Result<()> {
        let version = core.version(conn, H::Request::KEY, H::VERSIONS)?;
        let call = Call::encode(&core.config.client_id, version, request)?;
        let timeout = core.config.request_timeout;
        core.send(now, conn, call, timeout, T::from(ask), true);
        Ok(())
    }

    /// Takes an answer. Returns what is assigned, if it says so.
    pub(crate) fn answered(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        node: Node,
        version: i16,
        body: Bytes,
    ) -> std::result::Result<Option<Assignment>, Refused> {
        let answer = match rpc::decode::<H::Request>(version, body) {
            Ok(response) => H::read(response),
            Err(error) => {
                self.failed(core, now);
                return Err(Refused {
                    error,
                    trouble: None,
                });
            }
        };
        core.throttle(now, node, Purpose::Group, answer.throttle_ms);
        let code = ErrorCode(i32::from(answer.code));
        if code != ErrorCode::NONE {
            self.failed(core, now);
            let trouble = trouble(code);
            if trouble.is_none() {
                self.not_before(now + core.config.retry_backoff_max);
            }
            let text = format!(
                "heartbeat in {} '{}': {} answered {}{}{}",
                H::GROUP,
                self.group,
                core.address(node),
                code.name(),
                quoted(answer.words.as_deref()),
                H::advice(code)
            );
            return Err(Refused {
                error: Error::new(code, text),
                trouble,
            });
        }
        self.sent = false;
        self.failures = 0;
        if let Some(id) = answer.member_id {
            self.member_id = id.to_string();
        }
        self.epoch = answer.epoch;
        let ms = u64::try_from(answer.interval_ms).unwrap_or(0);
        if ms > 0 {
            self.interval = Duration::from_millis(ms);
        }
        self.at = match std::mem::take(&mut self.again) {
            true => now,
            false => now + self.interval,
        };
        Ok(answer.assignment)
    }

    /// A heartbeat brought nothing; the next one says everything anew.
    pub(crate) fn failed(&mut self, core: &mut Core<impl GroupTag>, now: Instant) {
        self.sent = false;
        self.again = false;
        self.full = true;
        self.failures = self.failures.saturating_add(1);
        let backoff = Backoff::retries(&core.config);
        self.at = now + backoff.after(self.failures, &mut core.rng);
    }
}
