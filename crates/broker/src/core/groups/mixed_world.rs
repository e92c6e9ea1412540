//! What tests of groups whose members speak both protocols drive: clients of each, and their groups on one node.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::consumer_protocol_subscription::TopicPartition;
use kafka_protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName,
    consumer_protocol_assignment,
};
use kafka_protocol::protocol::{Encodable, StrBytes};
use ottla_base::error::ErrorCode;
use ottla_protocol::schema::decode_assignment;
use uuid::Uuid;

use super::answer::{Answer, Joined, Synced};
use super::classic::{Join, Sync};
use super::modern::{Beaten, Heartbeat, LEAVE};
use super::modern_member::Partitions;
use super::{Groups, Ticket};
use crate::api::tests::Bench;
use crate::log::Refused;

pub(super) const TOPIC: &str = "t";
pub(super) const PARTITIONS: i32 = 4;
pub(super) const SESSION: u64 = 10;
pub(super) const REBALANCE: u64 = 20;

pub(super) fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

fn encoded(version: i16, message: &impl Encodable) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(version);
    message.encode(&mut out, version).expect("encoded");
    out.freeze()
}

pub(super) fn subscription(topics: &[&str], owned: &BTreeSet<i32>) -> Bytes {
    let owned = TopicPartition::default()
        .with_topic(name(TOPIC))
        .with_partitions(owned.iter().copied().collect());
    let topics = topics
        .iter()
        .map(|t| StrBytes::from_string((*t).to_owned()));
    let message = ConsumerProtocolSubscription::default()
        .with_topics(topics.collect())
        .with_owned_partitions(vec![owned]);
    encoded(3, &message)
}

pub(super) fn assignment(partitions: &[i32], user_data: Option<&'static [u8]>) -> Bytes {
    let topic = consumer_protocol_assignment::TopicPartition::default()
        .with_topic(name(TOPIC))
        .with_partitions(partitions.to_vec());
    let message = ConsumerProtocolAssignment::default()
        .with_assigned_partitions(vec![topic])
        .with_user_data(user_data.map(Bytes::from_static));
    encoded(1, &message)
}

pub(super) fn partitions(assignment: &Bytes) -> BTreeSet<i32> {
    let read = decode_assignment(assignment.clone()).expect("an assignment");
    let topics = read.assigned_partitions.iter();
    topics.flat_map(|t| t.partitions.iter().copied()).collect()
}

/// A consumer of the classic protocol that keeps what it keeps (cooperative rebalancing).
#[derive(Clone, Debug, Default)]
pub(super) struct Old {
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) generation: i32,
    pub(super) owned: BTreeSet<i32>,
}

/// A consumer of the new protocol that gives up at once what it is to give up.
#[derive(Clone, Debug, Default)]
pub(super) struct New {
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) epoch: i32,
    pub(super) owned: BTreeSet<i32>,
}

pub(super) struct World {
    pub(super) bench: Bench,
    pub(super) topic: Uuid,
    pub(super) groups: Groups,
    pub(super) now: u64,
    unique: u64,
}

impl World {
    pub(super) fn new() -> World {
        let mut bench = Bench::new(1);
        let topic = bench.topic(TOPIC, PARTITIONS);
        World {
            bench,
            topic,
            groups: Groups::default(),
            now: 0,
            unique: 0,
        }
    }

    pub(super) fn join_of(&mut self, old: &Old) -> Join {
        self.unique += 1;
        Join {
            member_id: old.id.clone(),
            instance: old.instance.clone(),
            client_id: "c".to_owned(),
            client_host: String::new(),
            session_timeout: secs(SESSION),
            rebalance_timeout: secs(REBALANCE),
            protocol_type: "consumer".to_owned(),
            protocols: vec![("range".to_owned(), subscription(&[TOPIC], &old.owned))],
            must_know_id: false,
            may_skip_assignment: true,
            unique: format!("made-up-{:04}", self.unique),
        }
    }

    pub(super) fn send_join(&mut self, join: Join) -> Ticket {
        let ticket = self.groups.ticket();
        let (now, cluster) = (secs(self.now), &self.bench.core.cluster);
        self.groups.join(now, 1, cluster, "g", join, ticket);
        ticket
    }

    pub(super) fn joined(&mut self, ticket: Ticket) -> Joined {
        match self.groups.answers.take(ticket) {
            Some(Answer::Joined(joined)) => joined,
            other => panic!("{other:?}"),
        }
    }

    /// A JoinGroup that is answered at once.
    pub(super) fn join(&mut self, old: &mut Old) -> Joined {
        let join = self.join_of(old);
        let ticket = self.send_join(join);
        let joined = self.joined(ticket);
        if joined.code == ErrorCode::NONE {
            old.id.clone_from(&joined.member_id);
            old.generation = joined.generation;
        }
        joined
    }

    pub(super) fn sync_with(&mut self, old: &Old, assignments: Vec<(String, Bytes)>) -> Synced {
        let ticket = self.groups.ticket();
        let sync = Sync {
            member_id: old.id.clone(),
            instance: old.instance.clone(),
            generation: old.generation,
            protocol_type: Some("consumer".to_owned()),
            protocol: Some("range".to_owned()),
            assignments,
        };
        let (now, cluster) = (secs(self.now), &self.bench.core.cluster);
        self.groups.sync(now, cluster, "g", sync, ticket);
        match self.groups.answers.take(ticket) {
            Some(Answer::Synced(synced)) => synced,
            other => panic!("{other:?}"),
        }
    }

    /// Fetches the assignment and takes it over.
    pub(super) fn sync(&mut self, old: &mut Old) -> Synced {
        let synced = self.sync_with(old, Vec::new());
        if synced.code == ErrorCode::NONE {
            old.owned = partitions(&synced.assignment);
        }
        synced
    }

    pub(super) fn rejoin(&mut self, old: &mut Old) {
        assert_eq!(self.join(old).code, ErrorCode::NONE);
        assert_eq!(self.sync(old).code, ErrorCode::NONE);
    }

    pub(super) fn heartbeat(&mut self, old: &Old) -> ErrorCode {
        let instance = old.instance.as_deref();
        self.groups
            .heartbeat(secs(self.now), "g", &old.id, instance, old.generation)
    }

    pub(super) fn leave_old(&mut self, id: &str, instance: Option<&str>) -> ErrorCode {
        let (now, cluster) = (secs(self.now), &self.bench.core.cluster);
        let leaving = [(id.to_owned(), instance.map(str::to_owned))];
        self.groups.leave(now, cluster, "g", &leaving)[0]
    }

    pub(super) fn beat_of(&self, new: &New) -> Heartbeat {
        let joins = new.epoch == 0;
        let owned: Partitions = [(self.topic, new.owned.clone())].into();
        Heartbeat {
            member_id: new.id.clone(),
            epoch: new.epoch,
            instance: new.instance.clone(),
            rack: None,
            rebalance_timeout: joins.then_some(secs(REBALANCE)),
            topics: joins.then(|| [TOPIC.to_owned()].into()),
            regex: None,
            assignor: None,
            owned: Some(owned),
            client_id: "c".to_owned(),
            client_host: String::new(),
        }
    }

    pub(super) fn send(&mut self, beat: Heartbeat) -> Result<Beaten, Refused> {
        let (now, cluster) = (secs(self.now), &self.bench.core.cluster);
        self.groups.beat(now, 1, "g", cluster, beat)
    }

    pub(super) fn beat(&mut self, new: &mut New) -> Result<(), ErrorCode> {
        let beaten = self.send(self.beat_of(new)).map_err(|r| r.code)?;
        new.epoch = beaten.epoch;
        if let Some(assigned) = beaten.assignment {
            new.owned = assigned.get(&self.topic).cloned().unwrap_or_default();
        }
        Ok(())
    }

    pub(super) fn new_member(&mut self, id: &str) -> New {
        let mut new = New {
            id: id.to_owned(),
            ..New::default()
        };
        self.beat(&mut new).expect("joined");
        new
    }

    pub(super) fn leave_new(
        &mut self,
        id: &str,
        instance: Option<&str>,
    ) -> Result<Beaten, Refused> {
        let (now, cluster) = (secs(self.now), &self.bench.core.cluster);
        self.groups
            .leave_modern(now, cluster, "g", id, instance, LEAVE)
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        let cluster = &self.bench.core.cluster;
        self.groups
            .tick(secs(self.now), cluster, secs(1), |_| false);
    }

    pub(super) fn kind(&self) -> (&'static str, &'static str) {
        let group = self.groups.get("g");
        group.map_or(("none", ""), |g| (g.type_name(), g.state_name()))
    }

    /// A stable classic group of one member, which has all partitions.
    pub(super) fn classic(&mut self, instance: Option<&str>) -> Old {
        let mut old = Old {
            instance: instance.map(str::to_owned),
            ..Old::default()
        };
        let join = self.join_of(&old);
        let ticket = self.send_join(join);
        self.pass(0);
        let joined = self.joined(ticket);
        (old.id, old.generation) = (joined.member_id, joined.generation);
        self.assign_all(&mut old);
        old
    }

    pub(super) fn assign_all(&mut self, old: &mut Old) {
        let all: Vec<i32> = (0..PARTITIONS).collect();
        let made = vec![(old.id.clone(), assignment(&all, None))];
        let synced = self.sync_with(old, made);
        old.owned = partitions(&synced.assignment);
        assert_eq!(old.owned.len(), all.len());
    }
}
