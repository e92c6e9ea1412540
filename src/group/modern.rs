//! Membership by the new protocol (KIP-848, KIP-1082): one heartbeat says what a member wants and has, and is answered
//! with what it is to have. The brokers share partitions out, and give a member only what nobody else has any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::cluster::core::{Core, Purpose};
use crate::cluster::nodes::{Backoff, Node};
use crate::config::GroupProtocol;
use crate::error::{Error, ErrorCode, Result};
use crate::group::signal::Signal;
use crate::group::subscription::Subscription;
use crate::group::tag::{Ask, GroupTag, Identity};
use crate::group::terms::Terms;
use crate::group::words::{Trouble, advice, quoted, trouble};
use crate::net::conn::ConnId;
use crate::net::rpc::{self, Call};
use crate::protocol::wire::TopicId;
use crate::topic::TopicPartition;

pub(crate) const HEARTBEAT: i16 = 68;
/// Before version 1 members had no ids of their own and no patterns; such brokers have it as a preview only.
pub(crate) const VERSIONS: (i16, i16) = (1, 1);
const LEAVING: i32 = -1;
/// A static member leaves for now and comes back.
const AWAY: i32 = -2;

/// One membership.
#[derive(Debug)]
pub(crate) struct Modern {
    terms: Arc<Terms>,
    serial: u32,
    member_id: String,
    /// 0 until it has joined.
    epoch: i32,
    interval: Duration,
    heartbeat_at: Instant,
    sent: bool,
    /// The next heartbeat says everything, not only what has changed.
    full: bool,
    subscription_changed: bool,
    /// What the brokers were told last that it has.
    reported: Option<BTreeSet<TopicPartition>>,
    reporting: Option<BTreeSet<TopicPartition>>,
    /// What it is to have, by the ids of topics; and whether all their names were known when that was passed on.
    target: Option<BTreeMap<TopicId, Vec<i32>>>,
    /// The ids under which topics were assigned, by their names.
    ids: BTreeMap<Arc<str>, TopicId>,
    resolved: bool,
    failures: u32,
    /// The brokers may count it as a member.
    known: bool,
}

fn string(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

impl Modern {
    pub(crate) fn new(
        core: &mut Core<impl GroupTag>,
        terms: Arc<Terms>,
        serial: u32,
        now: Instant,
    ) -> Self {
        Modern {
            member_id: core.rng.id(),
            interval: terms.heartbeat_interval,
            terms,
            serial,
            epoch: 0,
            heartbeat_at: now,
            sent: false,
            full: true,
            subscription_changed: false,
            reported: None,
            reporting: None,
            target: None,
            ids: BTreeMap::new(),
            resolved: true,
            failures: 0,
            known: false,
        }
    }

    pub(crate) fn identity(&self) -> Identity {
        let joined = self.epoch > 0;
        Identity {
            generation: if joined { self.epoch } else { -1 },
            member_id: if joined {
                self.member_id.clone()
            } else {
                String::new()
            },
            instance_id: self.terms.instance_id.clone(),
        }
    }

    pub(crate) fn serial(&self) -> u32 {
        self.serial
    }

    pub(crate) fn subscribe(&mut self, now: Instant) {
        self.subscription_changed = true;
        self.heartbeat_at = now;
    }

    /// Joins again, after what it had was lost.
    pub(crate) fn reset(&mut self, serial: u32, now: Instant) {
        self.serial = serial;
        self.epoch = 0;
        self.sent = false;
        self.full = true;
        self.reported = None;
        self.reporting = None;
        self.target = None;
        self.known = false;
        self.heartbeat_at = now;
    }

    /// No heartbeat before that time.
    pub(crate) fn not_before(&mut self, at: Instant) {
        self.heartbeat_at = self.heartbeat_at.max(at);
    }

    pub(crate) fn has_to_leave(&self) -> bool {
        self.known
    }

    pub(crate) fn has_joined(&self) -> bool {
        self.epoch > 0
    }

    /// True if a heartbeat is due: in its time, or at once where there is news.
    pub(crate) fn wants(&self, now: Instant, owned: &BTreeSet<TopicPartition>) -> bool {
        let news = self.epoch > 0 && self.failures == 0 && self.reported.as_ref() != Some(owned);
        !self.sent && (news || self.heartbeat_at <= now)
    }

    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        // One that is due already waits for the coordinator's connection.
        (!self.sent && self.heartbeat_at > now).then_some(self.heartbeat_at)
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
        let joining = self.epoch == 0;
        let full = self.full || joining;
        let mut request = self.request(self.epoch);
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
        let sent = core
            .version(conn, HEARTBEAT, VERSIONS)
            .and_then(|version| Call::encode(&core.config.client_id, version, &request));
        match sent {
            Ok(call) => {
                let timeout = core.config.request_timeout;
                let tag = Ask::Heartbeat(self.serial).into();
                core.send(now, conn, call, timeout, tag, true);
                self.sent = true;
                self.known = true;
                self.full = false;
                self.subscription_changed &= subscription.is_none();
            }
            Err(e) => {
                self.heartbeat_at = now + self.interval;
                signals.push(Signal::Failing(e));
            }
        }
    }

    fn request(&self, epoch: i32) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(string(&self.terms.group)))
            .with_member_id(string(&self.member_id))
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
        let version = core.version(conn, HEARTBEAT, VERSIONS)?;
        let request = match &self.terms.instance_id {
            Some(instance) => self.request(AWAY).with_instance_id(Some(string(instance))),
            None => self.request(LEAVING),
        };
        let call = Call::encode(&core.config.client_id, version, &request)?;
        let timeout = core.config.request_timeout;
        core.send(
            now,
            conn,
            call,
            timeout,
            Ask::Leave(self.serial).into(),
            true,
        );
        Ok(())
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
        self.sent = false;
        let response = match rpc::decode::<ConsumerGroupHeartbeatRequest>(version, body) {
            Ok(response) => response,
            Err(e) => {
                self.failed(core, now);
                return signals.push(Signal::Failing(e));
            }
        };
        core.throttle(now, node, Purpose::Group, response.throttle_time_ms);
        let code = ErrorCode(i32::from(response.error_code));
        if code != ErrorCode::NONE {
            let words = quoted(response.error_message.as_deref());
            return self.refused(core, now, node, code, &words, signals);
        }
        self.failures = 0;
        if let Some(id) = response.member_id {
            self.member_id = id.to_string();
        }
        self.epoch = response.member_epoch;
        if let Some(reported) = self.reporting.take() {
            self.reported = Some(reported);
        }
        let ms = u64::try_from(response.heartbeat_interval_ms).unwrap_or(0);
        if ms > 0 {
            self.interval = Duration::from_millis(ms);
        }
        self.heartbeat_at = now + self.interval;
        signals.push(Signal::Heard);
        if let Some(assignment) = response.assignment {
            let each = assignment.topic_partitions.into_iter();
            self.target = Some(
                each.map(|t| (t.topic_id.into_bytes(), t.partitions))
                    .collect(),
            );
            self.resolve(core, signals);
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

    fn refused(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        node: Node,
        code: ErrorCode,
        words: &str,
        signals: &mut Vec<Signal>,
    ) {
        let error = Error::new(
            code,
            format!(
                "heartbeat in group '{}': {} answered {}{words}{}",
                self.terms.group,
                core.address(node),
                code.name(),
                advice(code)
            ),
        );
        self.failed(core, now);
        let elsewhere = matches!(
            code,
            ErrorCode::UNSUPPORTED_VERSION
                | ErrorCode::GROUP_ID_NOT_FOUND
                | ErrorCode::INCONSISTENT_GROUP_PROTOCOL
        );
        if elsewhere && self.epoch == 0 && self.terms.protocol == GroupProtocol::Auto {
            return signals.push(Signal::FallBack(error));
        }
        match trouble(code) {
            Some(Trouble::Coordinator) => signals.push(Signal::CoordinatorLost(error)),
            Some(Trouble::Member) => signals.push(Signal::Lost(error)),
            Some(Trouble::Rebalancing) => {}
            None => {
                self.heartbeat_at = self.heartbeat_at.max(now + core.config.retry_backoff_max);
                signals.push(Signal::Failing(error));
            }
        }
    }

    /// A heartbeat brought nothing; the next one says everything anew.
    pub(crate) fn failed(&mut self, core: &mut Core<impl GroupTag>, now: Instant) {
        self.sent = false;
        self.full = true;
        self.reporting = None;
        self.failures = self.failures.saturating_add(1);
        let backoff = Backoff {
            first: core.config.retry_backoff,
            last: core.config.retry_backoff_max,
        };
        self.heartbeat_at = now + backoff.after(self.failures, &mut core.rng);
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
