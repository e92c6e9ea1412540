//! Membership by the new protocol (KIP-848, KIP-1082): one heartbeat says what a member wants and has, and is answered
//! with what it is to have. The brokers share partitions out, and give a member only what nobody else has any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, GroupId, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::cluster::core::Core;
use crate::cluster::nodes::Node;
use crate::config::GroupProtocol;
use crate::error::{ErrorCode, Result};
use crate::group::heart::{Answer, Assignment, Heart, Heartbeat, Refused, read_answer};
use crate::group::signal::Signal;
use crate::group::subscription::Subscription;
use crate::group::tag::{GroupTag, Identity};
use crate::group::terms::Terms;
use crate::group::words::{Trouble, advice};
use crate::net::conn::ConnId;
use crate::protocol::wire::{TopicId, string};
use crate::topic::TopicPartition;

pub(crate) const HEARTBEAT: i16 = 68;
/// Before version 1 members had no ids of their own and no patterns; such brokers have it as a preview only.
pub(crate) const VERSIONS: (i16, i16) = (1, 1);
const LEAVING: i32 = -1;
/// A static member leaves for now and comes back.
const AWAY: i32 = -2;

/// ConsumerGroupHeartbeat.
#[derive(Debug)]
struct Beat;

impl Heartbeat for Beat {
    type Request = ConsumerGroupHeartbeatRequest;
    const VERSIONS: (i16, i16) = VERSIONS;
    const GROUP: &'static str = "group";

    fn read(response: ConsumerGroupHeartbeatResponse) -> Answer {
        read_answer!(response)
    }

    fn advice(code: ErrorCode) -> &'static str {
        advice(code)
    }
}

/// One membership.
#[derive(Debug)]
pub(crate) struct Modern {
    terms: Arc<Terms>,
    heart: Heart<Beat>,
    subscription_changed: bool,
    /// What the brokers were told last that it has.
    reported: Option<BTreeSet<TopicPartition>>,
    reporting: Option<BTreeSet<TopicPartition>>,
    /// What it is to have; and whether all the topics' names were known when that was passed on.
    target: Option<Assignment>,
    /// The ids under which topics were assigned, by their names.
    ids: BTreeMap<Arc<str>, TopicId>,
    resolved: bool,
}

impl Modern {
    pub(crate) fn new(
        core: &mut Core<impl GroupTag>,
        terms: Arc<Terms>,
        serial: u32,
        now: Instant,
    ) -> Self {
        let who = (terms.group.clone(), core.rng.id());
        Modern {
            heart: Heart::new(who, terms.heartbeat_interval, serial, now),
            terms,
            subscription_changed: false,
            reported: None,
            reporting: None,
            target: None,
            ids: BTreeMap::new(),
            resolved: true,
        }
    }

    pub(crate) fn identity(&self) -> Identity {
        let joined = self.has_joined();
        Identity {
            generation: if joined { self.heart.epoch() } else { -1 },
            member_id: if joined {
                self.heart.member_id().to_owned()
            } else {
                String::new()
            },
            instance_id: self.terms.instance_id.clone(),
        }
    }

    pub(crate) fn serial(&self) -> u32 {
        self.heart.serial()
    }

    pub(crate) fn subscribe(&mut self, now: Instant) {
        self.subscription_changed = true;
        self.heart.hurry(now);
    }

    /// Joins again, after what it had was lost.
    pub(crate) fn reset(&mut self, serial: u32, now: Instant) {
        self.heart.begin(serial);
        self.heart.forgotten();
        self.heart.hurry(now);
        self.reported = None;
        self.reporting = None;
        self.target = None;
    }

    /// No heartbeat before that time.
    pub(crate) fn not_before(&mut self, at: Instant) {
        self.heart.not_before(at);
    }

    pub(crate) fn has_to_leave(&self) -> bool {
        self.heart.is_known()
    }

    pub(crate) fn has_joined(&self) -> bool {
        self.heart.has_joined()
    }

    /// True if a heartbeat is due: in its time, or at once where there is news.
    pub(crate) fn wants(&self, now: Instant, owned: &BTreeSet<TopicPartition>) -> bool {
        let heart = &self.heart;
        let news = heart.has_joined() && heart.is_sound() && self.reported.as_ref() != Some(owned);
        heart.is_due(now) || (news && !heart.is_under_way())
    }

    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        // One that is due already waits for the coordinator's connection.
        self.heart.deadline().filter(|at| *at > now)
    }

    pub(crate) fn send(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        (_, conn): (Node, ConnId),
        // `None` while the topics that match a pattern are not known.
        subscription: Option<&Subscription>,
        owned: &BTreeSet<TopicPartition>,
        signals: &mut Vec<Signal>,
    ) {
        let joining = !self.heart.has_joined();
        let full = self.heart.says_all();
        let mut request = self.request(self.heart.epoch());
        if full {
            let ms = self.terms.rebalance_timeout.as_millis();
            request = request
                .with_instance_id(self.terms.instance_id.as_deref().map(string))
                .with_rack_id(self.terms.rack.as_deref().map(string))
                .with_rebalance_timeout_ms(i32::try_from(ms).unwrap_or(i32::MAX))
                .with_server_assignor(self.terms.remote_assignor.as_deref().map(string));
        }
        if let Some(subscription) = subscription.filter(|_| full || self.subscription_changed) {
            // What is not subscribed to by one way is told so by an empty value: librdkafka's mock broker, for one, ends its
            // process where only one of both is there.
            request = match subscription {
                Subscription::Topics(topics) => request
                    .with_subscribed_topic_names(Some(
                        topics.iter().map(|t| TopicName(string(t))).collect(),
                    ))
                    .with_subscribed_topic_regex(Some(StrBytes::from_static_str(""))),
                Subscription::Pattern(pattern) => request
                    .with_subscribed_topic_names(Some(Vec::new()))
                    .with_subscribed_topic_regex(Some(string(&pattern.text))),
            };
        }
        if joining {
            request = request.with_topic_partitions(Some(Vec::new()));
            self.reporting = Some(BTreeSet::new());
        } else if full || self.reported.as_ref() != Some(owned) {
            request = request.with_topic_partitions(Some(self.by_id(owned)));
            self.reporting = Some(owned.clone());
        }
        match self.heart.send(core, now, conn, &request) {
            Ok(()) => self.subscription_changed &= subscription.is_none(),
            Err(e) => signals.push(Signal::Failing(e)),
        }
    }

    fn request(&self, epoch: i32) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(string(&self.terms.group)))
            .with_member_id(string(self.heart.member_id()))
            .with_member_epoch(epoch)
            .with_rebalance_timeout_ms(-1)
            .with_subscribed_topic_names(None)
            .with_topic_partitions(None)
    }

    pub(crate) fn send_leave(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        (_, conn): (Node, ConnId),
    ) -> Result<()> {
        let request = match &self.terms.instance_id {
            Some(instance) => self.request(AWAY).with_instance_id(Some(string(instance))),
            None => self.request(LEAVING),
        };
        self.heart.send_leave(core, now, conn, &request)
    }

    pub(crate) fn answered(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        node: Node,
        version: i16,
        body: Bytes,
        signals: &mut Vec<Signal>,
    ) {
        match self.heart.answered(core, now, node, version, body) {
            Ok(assignment) => {
                if let Some(reported) = self.reporting.take() {
                    self.reported = Some(reported);
                }
                signals.push(Signal::Heard);
                if assignment.is_some() {
                    self.target = assignment;
                    self.resolve(core, signals);
                }
            }
            Err(refused) => {
                self.reporting = None;
                signals.extend(self.meaning(refused));
            }
        }
    }

    /// Passes on what is to be owned, as far as the topics' names are known.
    fn resolve(&mut self, core: &mut Core<impl GroupTag>, signals: &mut Vec<Signal>) {
        let Some(target) = &self.target else {
            return;
        };
        let mut keys = BTreeSet::new();
        self.resolved = true;
        for (id, partitions) in target {
            let name = core.topics.name_of(id).cloned();
            let Some(name) = name.or_else(|| core.topics.name_of_every(id)) else {
                self.resolved = false;
                continue;
            };
            core.want_topic(&name);
            self.ids.insert(name.clone(), *id);
            keys.extend(partitions.iter().map(|p| (name.clone(), *p)));
        }
        if !self.resolved {
            core.refresh_metadata();
        }
        signals.push(Signal::Target(keys));
    }

    pub(crate) fn on_metadata(
        &mut self,
        core: &mut Core<impl GroupTag>,
        signals: &mut Vec<Signal>,
    ) {
        if !self.resolved {
            self.resolve(core, signals);
        }
    }

    fn meaning(&self, Refused { error, trouble }: Refused) -> Option<Signal> {
        let elsewhere = matches!(
            error.code(),
            ErrorCode::UNSUPPORTED_VERSION
                | ErrorCode::GROUP_ID_NOT_FOUND
                | ErrorCode::INCONSISTENT_GROUP_PROTOCOL
        );
        if elsewhere && !self.has_joined() && self.terms.protocol == GroupProtocol::Auto {
            return Some(Signal::FallBack(error));
        }
        match trouble {
            Some(Trouble::Coordinator) => Some(Signal::CoordinatorLost(error)),
            Some(Trouble::Member) => Some(Signal::Lost(error)),
            Some(Trouble::Rebalancing) => None,
            None => Some(Signal::Failing(error)),
        }
    }

    /// A heartbeat brought nothing.
    pub(crate) fn failed(&mut self, core: &mut Core<impl GroupTag>, now: Instant) {
        self.reporting = None;
        self.heart.failed(core, now);
    }

    /// Partitions by the ids under which their topics were assigned. What metadata tells of a topic comes later, and a member
    /// that left out what it owns would lose it to others at once.
    fn by_id(&self, owned: &BTreeSet<TopicPartition>) -> Vec<TopicPartitions> {
        let mut topics: Vec<(Arc<str>, TopicPartitions)> = Vec::new();
        for (topic, index) in owned {
            if topics.last().is_none_or(|(name, _)| name != topic) {
                let Some(id) = self.ids.get(topic) else {
                    debug_assert!(false, "{topic} is owned and was never assigned");
                    continue;
                };
                let id = uuid::Uuid::from_bytes(*id);
                let row = TopicPartitions::default().with_topic_id(id);
                topics.push((topic.clone(), row));
            }
            if let Some((_, row)) = topics.last_mut() {
                row.partitions.push(*index);
            }
        }
        topics.into_iter().map(|(_, row)| row).collect()
    }
}
