//! Membership in a share group: one heartbeat (ShareGroupHeartbeat) says what is subscribed to, and is answered with the
//! partitions to read. Nothing changes hands: several members have the same ones.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::{
    GroupId, ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse, TopicName,
};

use crate::cluster::core::Core;
use crate::cluster::nodes::Node;
use crate::error::{Error, ErrorCode};
use crate::group::heart::{Answer, Assignment, Heart, Heartbeat, Refused, read_answer};
use crate::group::tag::GroupTag;
use crate::group::words::{Trouble, advice};
use crate::net::conn::ConnId;
use crate::protocol::wire::string;

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
    Assigned(Assignment),
    /// The group has gone on without this member, which joins anew.
    Lost(Error),
    /// It is not this broker that coordinates the group.
    CoordinatorLost(Error),
    /// The group can't be joined, or not be kept in touch with, for a reason that waiting may or may not cure.
    Failing(Error),
    /// The coordinator counts this member as alive.
    Heard,
}

/// ShareGroupHeartbeat.
#[derive(Debug)]
struct Beat;

impl Heartbeat for Beat {
    type Request = ShareGroupHeartbeatRequest;
    /// Version 0 was a preview and is gone.
    const VERSIONS: (i16, i16) = (1, 1);
    const GROUP: &'static str = "share group";

    fn read(response: ShareGroupHeartbeatResponse) -> Answer {
        read_answer!(response)
    }

    fn advice(code: ErrorCode) -> &'static str {
        match code {
            ErrorCode::GROUP_ID_NOT_FOUND => {
                "; the name belongs to a group of another kind: choose another group.id"
            }
            ErrorCode::UNSUPPORTED_VERSION => {
                "; the cluster has share groups switched off (feature share.version)"
            }
            _ => advice(code),
        }
    }
}

/// One membership.
#[derive(Debug)]
pub(crate) struct Member {
    heart: Heart<Beat>,
    rack: Option<String>,
    topics: BTreeSet<Arc<str>>,
    /// How long it waits for its first partitions before it asks again.
    eager: Option<Duration>,
}

impl Member {
    pub(crate) fn new(
        who: (Arc<str>, String),
        rack: Option<String>,
        topics: BTreeSet<Arc<str>>,
        now: Instant,
    ) -> Self {
        Member {
            heart: Heart::new(who, INTERVAL, 0, now),
            rack,
            topics,
            eager: Some(EAGER),
        }
    }

    pub(crate) fn topics(&self) -> &BTreeSet<Arc<str>> {
        &self.topics
    }

    pub(crate) fn subscribe(&mut self, topics: BTreeSet<Arc<str>>, now: Instant) {
        self.topics = topics;
        self.eager = Some(EAGER);
        self.heart.say_all();
        self.heart.hurry(now);
    }

    pub(crate) fn is_known(&self) -> bool {
        self.heart.is_known()
    }

    pub(crate) fn is_life(&self, serial: u32) -> bool {
        self.heart.serial() == serial
    }

    pub(crate) fn wants(&self, now: Instant) -> bool {
        self.heart.is_due(now)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.heart.deadline()
    }

    fn request(&self, epoch: i32) -> ShareGroupHeartbeatRequest {
        ShareGroupHeartbeatRequest::default()
            .with_group_id(GroupId(string(self.heart.group())))
            .with_member_id(string(self.heart.member_id()))
            .with_member_epoch(epoch)
            .with_subscribed_topic_names(None)
    }

    pub(crate) fn send(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        (node, conn): (Node, ConnId),
    ) -> Option<Signal> {
        let mut request = self.request(self.heart.epoch());
        if self.heart.says_all() {
            let topics = self.topics.iter().map(|t| TopicName(string(t))).collect();
            request = request
                .with_rack_id(self.rack.as_deref().map(string))
                .with_subscribed_topic_names(Some(topics));
        }
        let error = self.heart.send(core, now, conn, &request).err()?;
        let (group, who) = (self.heart.group(), core.address(node));
        let error = error.context(format_args!("joining share group '{group}' at {who}"));
        Some(Signal::Failing(error.and(
            "; share groups need Kafka 4.1 or newer, with share.version=1",
        )))
    }

    /// Says goodbye; false if that could not be sent.
    pub(crate) fn send_leave(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        conn: ConnId,
    ) -> bool {
        self.heart.forgotten();
        let request = self.request(LEAVING);
        self.heart.send_leave(core, now, conn, &request).is_ok()
    }

    pub(crate) fn answered(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        node: Node,
        version: i16,
        body: Bytes,
    ) -> Vec<Signal> {
        let assignment = match self.heart.answered(core, now, node, version, body) {
            Ok(assignment) => assignment,
            Err(refused) => return vec![self.meaning(core, now, refused)],
        };
        let mut signals = vec![Signal::Heard];
        if let Some(assignment) = assignment {
            if !assignment.is_empty() {
                self.eager = None;
            }
            signals.push(Signal::Assigned(assignment));
        }
        self.eager = self.eager.filter(|eager| *eager < self.heart.interval());
        if let Some(eager) = &mut self.eager {
            self.heart.not_after(now + *eager);
            *eager *= 2;
        }
        signals
    }

    fn meaning(
        &mut self,
        core: &Core<impl GroupTag>,
        now: Instant,
        Refused { error, trouble }: Refused,
    ) -> Signal {
        match trouble {
            Some(Trouble::Coordinator) => Signal::CoordinatorLost(error),
            Some(Trouble::Member) => {
                self.heart.begin(self.heart.serial().wrapping_add(1));
                self.eager = Some(EAGER);
                Signal::Lost(error)
            }
            // Nothing changes hands here: it is as good a reason to wait as any.
            Some(Trouble::Rebalancing) => {
                self.heart.not_before(now + core.config.retry_backoff_max);
                Signal::Failing(error)
            }
            None => Signal::Failing(error),
        }
    }

    /// A heartbeat brought nothing.
    pub(crate) fn failed(&mut self, core: &mut Core<impl GroupTag>, now: Instant) {
        self.heart.failed(core, now);
    }
}
