//! Groups whose members speak both protocols, as a simulator drives them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::consumer_protocol_subscription::TopicPartition;
use kafka_protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName,
    consumer_protocol_assignment,
};
use kafka_protocol::protocol::{Encodable, StrBytes};
use uuid::Uuid;

use super::answer::{Answer, Joined, Synced};
use super::classic::{Join, Sync};
use super::modern::{Beaten, Heartbeat, LEAVE};
use super::modern_member::Partitions;
use super::{Committer, Group, Groups, Ticket};
use crate::broker::api::tests::Bench;
use crate::broker::core::random::Random;
use crate::broker::log::Refused;
use crate::error::ErrorCode;
use crate::protocol::schema::decode_assignment;

const TOPIC: &str = "t";
const PARTITIONS: i32 = 4;
const SESSION: u64 = 10;
const REBALANCE: u64 = 20;

fn secs(s: u64) -> Duration {
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

fn subscription(topics: &[&str], owned: &BTreeSet<i32>) -> Bytes {
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

fn assignment(partitions: &[i32], user_data: Option<&'static [u8]>) -> Bytes {
    let topic = consumer_protocol_assignment::TopicPartition::default()
        .with_topic(name(TOPIC))
        .with_partitions(partitions.to_vec());
    let message = ConsumerProtocolAssignment::default()
        .with_assigned_partitions(vec![topic])
        .with_user_data(user_data.map(Bytes::from_static));
    encoded(1, &message)
}

fn partitions(assignment: &Bytes) -> BTreeSet<i32> {
    let read = decode_assignment(assignment.clone()).expect("an assignment");
    let topics = read.assigned_partitions.iter();
    topics.flat_map(|t| t.partitions.iter().copied()).collect()
}

/// A consumer of the classic protocol that keeps what it keeps (cooperative rebalancing).
#[derive(Clone, Debug, Default)]
struct Old {
    id: String,
    instance: Option<String>,
    generation: i32,
    owned: BTreeSet<i32>,
}

/// A consumer of the new protocol that gives up at once what it is to give up.
#[derive(Clone, Debug, Default)]
struct New {
    id: String,
    instance: Option<String>,
    epoch: i32,
    owned: BTreeSet<i32>,
}

struct World {
    bench: Bench,
    topic: Uuid,
    groups: Groups,
    now: u64,
    unique: u64,
}

impl World {
    fn new() -> World {
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

    fn join_of(&mut self, old: &Old) -> Join {
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

    fn send_join(&mut self, join: Join) -> Ticket {
        let ticket = self.groups.ticket();
        let (now, cluster) = (secs(self.now), &self.bench.core.cluster);
        self.groups.join(now, 1, cluster, "g", join, ticket);
        ticket
    }

    fn joined(&mut self, ticket: Ticket) -> Joined {
        match self.groups.answers.take(ticket) {
            Some(Answer::Joined(joined)) => joined,
            other => panic!("{other:?}"),
        }
    }

    /// A JoinGroup that is answered at once.
    fn join(&mut self, old: &mut Old) -> Joined {
        let join = self.join_of(old);
        let ticket = self.send_join(join);
        let joined = self.joined(ticket);
        if joined.code == ErrorCode::NONE {
            old.id.clone_from(&joined.member_id);
            old.generation = joined.generation;
        }
        joined
    }

    fn sync_with(&mut self, old: &Old, assignments: Vec<(String, Bytes)>) -> Synced {
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
    fn sync(&mut self, old: &mut Old) -> Synced {
        let synced = self.sync_with(old, Vec::new());
        if synced.code == ErrorCode::NONE {
            old.owned = partitions(&synced.assignment);
        }
        synced
    }

    fn rejoin(&mut self, old: &mut Old) {
        assert_eq!(self.join(old).code, ErrorCode::NONE);
        assert_eq!(self.sync(old).code, ErrorCode::NONE);
    }

    fn heartbeat(&mut self, old: &Old) -> ErrorCode {
        let instance = old.instance.as_deref();
        self.groups
            .heartbeat(secs(self.now), "g", &old.id, instance, old.generation)
    }

    fn leave_old(&mut self, id: &str, instance: Option<&str>) -> ErrorCode {
        let (now, cluster) = (secs(self.now), &self.bench.core.cluster);
        let leaving = [(id.to_owned(), instance.map(str::to_owned))];
        self.groups.leave(now, cluster, "g", &leaving)[0]
    }

    fn beat_of(&self, new: &New) -> Heartbeat {
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

    fn send(&mut self, beat: Heartbeat) -> Result<Beaten, Refused> {
        let (now, cluster) = (secs(self.now), &self.bench.core.cluster);
        self.groups.beat(now, 1, "g", cluster, beat)
    }

    fn beat(&mut self, new: &mut New) -> Result<(), ErrorCode> {
        let beaten = self.send(self.beat_of(new)).map_err(|r| r.code)?;
        new.epoch = beaten.epoch;
        if let Some(assigned) = beaten.assignment {
            new.owned = assigned.get(&self.topic).cloned().unwrap_or_default();
        }
        Ok(())
    }

    fn new_member(&mut self, id: &str) -> New {
        let mut new = New {
            id: id.to_owned(),
            ..New::default()
        };
        self.beat(&mut new).expect("joined");
        new
    }

    fn leave_new(&mut self, id: &str, instance: Option<&str>) -> Result<Beaten, Refused> {
        let (now, cluster) = (secs(self.now), &self.bench.core.cluster);
        self.groups
            .leave_modern(now, cluster, "g", id, instance, LEAVE)
    }

    fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        let cluster = &self.bench.core.cluster;
        self.groups
            .tick(secs(self.now), cluster, secs(1), |_| false);
    }

    fn kind(&self) -> (&'static str, &'static str) {
        let group = self.groups.get("g");
        group.map_or(("none", ""), |g| (g.type_name(), g.state_name()))
    }

    /// A stable classic group of one member, which has all partitions.
    fn classic(&mut self, instance: Option<&str>) -> Old {
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

    fn assign_all(&mut self, old: &mut Old) {
        let all: Vec<i32> = (0..PARTITIONS).collect();
        let made = vec![(old.id.clone(), assignment(&all, None))];
        let synced = self.sync_with(old, made);
        old.owned = partitions(&synced.assignment);
        assert_eq!(old.owned.len(), all.len());
    }
}

#[test]
fn a_classic_group_becomes_one_of_the_new_protocol_and_one_of_the_classic_again() {
    let mut w = World::new();
    let mut old = w.classic(None);
    assert_eq!(w.kind(), ("classic", "Stable"));
    let mut new = w.new_member("new");
    assert_eq!(w.kind(), ("consumer", "Reconciling"));
    assert_eq!(
        (old.generation, new.epoch),
        (1, 2),
        "epochs go on where generations were"
    );
    assert_eq!(new.owned.len(), 0, "all are the old one's still");
    // The old one gives up two, says so by joining again, and the new one gets them.
    assert_eq!(w.heartbeat(&old), ErrorCode::REBALANCE_IN_PROGRESS);
    let joined = w.join(&mut old);
    assert_eq!((joined.generation, joined.leader.as_str()), (1, ""));
    assert_eq!(
        (joined.protocol.as_deref(), joined.members.len()),
        (Some("range"), 0)
    );
    assert_eq!(w.sync(&mut old).code, ErrorCode::NONE);
    assert_eq!(old.owned.len(), 2);
    w.beat(&mut new).unwrap();
    assert_eq!(new.owned.len(), 0, "the old one has not said that it did");
    assert_eq!(w.heartbeat(&old), ErrorCode::REBALANCE_IN_PROGRESS);
    w.rejoin(&mut old);
    assert_eq!((old.generation, old.owned.len()), (2, 2));
    assert_eq!(w.heartbeat(&old), ErrorCode::NONE);
    w.beat(&mut new).unwrap();
    assert_eq!(new.owned.len(), 2);
    assert!(new.owned.is_disjoint(&old.owned));
    assert_eq!(w.kind(), ("consumer", "Stable"));
    // A third one, of the classic protocol, comes into the group as it is.
    let mut third = Old::default();
    w.rejoin(&mut third);
    assert_eq!((third.generation, third.owned.len()), (3, 0));
    assert_eq!(
        w.heartbeat(&third),
        ErrorCode::NONE,
        "others hold what it waits for"
    );
    for _ in 0..2 {
        w.rejoin(&mut old);
        w.beat(&mut new).unwrap();
    }
    assert_eq!(w.heartbeat(&third), ErrorCode::REBALANCE_IN_PROGRESS);
    w.rejoin(&mut third);
    assert_eq!(third.owned.len() + old.owned.len() + new.owned.len(), 4);
    // The last of the new protocol goes: those that are left rebalance among themselves.
    w.leave_new("new", None).unwrap();
    assert_eq!(w.kind(), ("classic", "PreparingRebalance"));
    assert_eq!(w.heartbeat(&old), ErrorCode::REBALANCE_IN_PROGRESS);
    let (a, b) = (w.join_of(&old), w.join_of(&third));
    let (a, b) = (w.send_join(a), w.send_join(b));
    let (a, b) = (w.joined(a), w.joined(b));
    assert_eq!((a.generation, b.generation), (4, 4));
    assert_eq!(
        a.members.len() + b.members.len(),
        2,
        "one leads and learns of both"
    );
}

#[test]
fn those_that_wait_in_a_classic_group_are_sent_into_the_new_one() {
    let mut w = World::new();
    let mut old = w.classic(None);
    let second = w.join_of(&Old::default());
    let second = w.send_join(second);
    let mut new = w.new_member("new");
    let told = w.joined(second);
    assert_eq!(told.code, ErrorCode::REBALANCE_IN_PROGRESS);
    let mut second = Old {
        id: told.member_id,
        ..Old::default()
    };
    w.rejoin(&mut second);
    for _ in 0..3 {
        w.rejoin(&mut old);
        w.beat(&mut new).unwrap();
        w.rejoin(&mut second);
    }
    assert_eq!(w.kind(), ("consumer", "Stable"));
    assert_eq!(old.owned.len() + new.owned.len() + second.owned.len(), 4);
    assert!(w.groups.answers.drain().is_empty());
    // The same in the very first rebalance, for which others are still waited for.
    let mut w = World::new();
    w.groups.options.initial_rebalance_delay = secs(3);
    let first = w.join_of(&Old::default());
    let first = w.send_join(first);
    w.new_member("new");
    assert_eq!(w.joined(first).code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(w.kind().0, "consumer");
}

#[test]
fn groups_that_are_not_of_consumers_stay_classic() {
    let refused = |w: &mut World| {
        let new = New {
            id: "new".to_owned(),
            ..New::default()
        };
        let code = w.send(w.beat_of(&new)).expect_err("refused").code;
        assert_eq!(w.kind().0, "classic");
        code
    };
    let mut w = World::new();
    let mut connect = w.join_of(&Old::default());
    connect.protocol_type = "connect".to_owned();
    let ticket = w.send_join(connect);
    w.pass(0);
    w.joined(ticket);
    assert_eq!(refused(&mut w), ErrorCode::GROUP_ID_NOT_FOUND);
    let mut w = World::new();
    let mut odd = w.join_of(&Old::default());
    odd.protocols[0].1 = Bytes::from_static(b"\0");
    let ticket = w.send_join(odd);
    w.pass(0);
    w.joined(ticket);
    assert_eq!(refused(&mut w), ErrorCode::GROUP_ID_NOT_FOUND);
    // What an assignor has put in for itself would be lost.
    let mut w = World::new();
    let old = w.classic(None);
    let join = w.join_of(&old);
    let ticket = w.send_join(join);
    let joined = w.joined(ticket);
    let old = Old {
        generation: joined.generation,
        ..old
    };
    w.sync_with(&old, vec![(old.id.clone(), assignment(&[0], Some(b"x")))]);
    assert_eq!(refused(&mut w), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(w.heartbeat(&old), ErrorCode::NONE);
    // Only who joins can change the group.
    let mut w = World::new();
    w.classic(None);
    let beat = w.beat_of(&New {
        id: "new".to_owned(),
        epoch: 1,
        ..New::default()
    });
    assert_eq!(
        w.send(beat).expect_err("refused").code,
        ErrorCode::GROUP_ID_NOT_FOUND
    );
    let left = w.leave_new("new", None).expect_err("refused");
    assert_eq!(left.code, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(w.kind(), ("classic", "Stable"));
}

#[test]
fn requests_that_do_not_fit_are_refused() {
    let mut w = World::new();
    let mut old = w.classic(None);
    let mut new = w.new_member("new");
    let failed = |w: &mut World, change: &dyn Fn(&mut Join)| {
        let mut join = w.join_of(&Old::default());
        change(&mut join);
        let ticket = w.send_join(join);
        w.joined(ticket)
    };
    let inconsistent = ErrorCode::INCONSISTENT_GROUP_PROTOCOL;
    assert_eq!(
        failed(&mut w, &|j| j.protocol_type = "connect".to_owned()).code,
        inconsistent
    );
    assert_eq!(
        failed(&mut w, &|j| j.protocols[0].0 = "other".to_owned()).code,
        inconsistent
    );
    assert_eq!(failed(&mut w, &|j| j.protocols.clear()).code, inconsistent);
    let malformed = failed(&mut w, &|j| j.protocols[0].1 = Bytes::new());
    assert_eq!(malformed.code, ErrorCode::UNKNOWN_SERVER_ERROR);
    let told = failed(&mut w, &|j| j.must_know_id = true);
    assert_eq!(told.code, ErrorCode::MEMBER_ID_REQUIRED);
    assert!(told.member_id.starts_with("made-up"));
    let unknown = failed(&mut w, &|j| {
        (j.instance, j.member_id) = (Some("i".to_owned()), "x".to_owned());
    });
    assert_eq!(unknown.code, ErrorCode::UNKNOWN_MEMBER_ID);
    // A member of the new protocol has no business with these requests.
    let as_old = Old {
        id: "new".to_owned(),
        generation: new.epoch,
        ..Old::default()
    };
    assert_eq!(w.heartbeat(&as_old), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(
        w.sync_with(&as_old, Vec::new()).code,
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    // Generations and protocols other than the member's own.
    let wrong = Old {
        generation: 7,
        ..old.clone()
    };
    assert_eq!(w.heartbeat(&wrong), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(
        w.sync_with(&wrong, Vec::new()).code,
        ErrorCode::ILLEGAL_GENERATION
    );
    assert_eq!(
        w.sync_with(&old, Vec::new()).code,
        ErrorCode::REBALANCE_IN_PROGRESS,
        "it has to join first"
    );
    for _ in 0..2 {
        w.rejoin(&mut old);
        w.beat(&mut new).unwrap();
    }
    let check = |w: &mut World, id: &str, generation: i32, knows_epochs: bool| {
        let who = Committer {
            member_id: id,
            instance: None,
            generation,
            in_transaction: false,
            knows_epochs,
        };
        w.groups.check_commit(secs(0), 1, "g", &who)
    };
    // An old client has old requests; a new one must not.
    assert_eq!(check(&mut w, &old.id, old.generation, false), Ok(None));
    let code = check(&mut w, "new", new.epoch, false);
    assert_eq!(code, Err(ErrorCode::UNSUPPORTED_VERSION));
    let (illegal, stale) = (ErrorCode::ILLEGAL_GENERATION, ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(check(&mut w, &old.id, 9, true), Err(illegal));
    assert_eq!(check(&mut w, "new", 9, true), Err(stale));
    let of = |owned: &BTreeSet<i32>| *owned.first().expect("a partition");
    assert_eq!(
        w.groups
            .may_commit("g", &old.id, 1, w.topic, of(&old.owned)),
        Ok(())
    );
    assert_eq!(
        w.groups
            .may_commit("g", &old.id, 1, w.topic, of(&new.owned)),
        Err(illegal)
    );
    assert_eq!(
        w.groups.may_commit("g", "new", 1, w.topic, of(&new.owned)),
        Err(stale)
    );
    assert_eq!(w.groups.check_fetch("g", Some(&old.id), 1), Err(illegal));
    assert_eq!(w.groups.check_fetch("g", Some("new"), 1), Err(stale));
    assert_eq!(
        w.groups.check_fetch("g", Some(&old.id), old.generation),
        Ok(())
    );
    // LeaveGroup takes out either kind.
    assert_eq!(w.leave_old("x", None), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(w.leave_old("", Some("x")), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(w.leave_old(&old.id, None), ErrorCode::NONE);
    assert_eq!(w.kind(), ("consumer", "Assigning"));
    assert_eq!(w.leave_old("new", None), ErrorCode::NONE);
    assert_eq!(w.kind(), ("consumer", "Empty"));
}

#[test]
fn static_members_may_come_back_by_the_other_protocol() {
    let mut w = World::new();
    let old = w.classic(Some("i"));
    let mut new = New {
        id: "new".to_owned(),
        instance: Some("i".to_owned()),
        ..New::default()
    };
    w.beat(&mut new).unwrap();
    assert_eq!(new.owned.len(), 4, "it has what the one before had");
    assert_eq!(w.heartbeat(&old), ErrorCode::FENCED_INSTANCE_ID);
    let Some(Group::Modern(group)) = w.groups.get("g") else {
        panic!("a group of the new protocol")
    };
    assert_eq!(group.members.len(), 1);
    // And back: nobody of the new protocol is left, and nothing changes hands.
    let mut back = Old {
        instance: Some("i".to_owned()),
        ..Old::default()
    };
    let joined = w.join(&mut back);
    assert_eq!(
        (joined.code, joined.generation),
        (ErrorCode::NONE, new.epoch)
    );
    assert_eq!(w.kind(), ("classic", "Stable"));
    assert_eq!(w.sync(&mut back).code, ErrorCode::NONE);
    assert_eq!(back.owned.len(), 4);
    let beat = w.beat_of(&new);
    assert_eq!(
        w.send(beat).expect_err("gone").code,
        ErrorCode::GROUP_ID_NOT_FOUND
    );
    assert_eq!(w.heartbeat(&back), ErrorCode::NONE);
    // With another subscription it is a rebalance besides.
    new.epoch = 0;
    w.beat(&mut new).unwrap();
    let mut join = w.join_of(&Old {
        instance: Some("i".to_owned()),
        ..Old::default()
    });
    join.protocols[0].1 = subscription(&["other"], &BTreeSet::new());
    let ticket = w.send_join(join);
    assert_eq!(w.joined(ticket).code, ErrorCode::NONE);
    assert_eq!(w.kind(), ("classic", "PreparingRebalance"));
    // One that others of the new protocol are beside only takes the place.
    let mut w = World::new();
    w.new_member("other");
    w.beat(&mut New {
        epoch: 0,
        ..new.clone()
    })
    .unwrap();
    back.id.clear();
    back.owned.clear();
    assert_eq!(w.join(&mut back).code, ErrorCode::NONE);
    assert_eq!(w.kind().0, "consumer");
    let mut taken = back.clone();
    taken.id = "new".to_owned();
    assert_eq!(w.join(&mut taken).code, ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(w.leave_old("x", Some("i")), ErrorCode::FENCED_INSTANCE_ID);
    assert_eq!(w.leave_old("", Some("i")), ErrorCode::NONE);
}

#[test]
fn members_that_do_not_do_in_time_what_they_are_told_are_out() {
    // The session of the classic protocol is what the client asked for.
    let mut w = World::new();
    let old = w.classic(None);
    let mut new = w.new_member("new");
    w.pass(SESSION - 1);
    w.beat(&mut new).unwrap();
    w.pass(1);
    assert_eq!(w.heartbeat(&old), ErrorCode::UNKNOWN_MEMBER_ID);
    w.beat(&mut new).unwrap();
    assert_eq!(new.owned.len(), 4);
    // Told to join, it goes on with heartbeats only.
    let mut w = World::new();
    let old = w.classic(None);
    w.new_member("new");
    for _ in 0..REBALANCE {
        assert_eq!(w.heartbeat(&old), ErrorCode::REBALANCE_IN_PROGRESS);
        w.pass(1);
    }
    assert_eq!(w.heartbeat(&old), ErrorCode::UNKNOWN_MEMBER_ID);
    // It has joined and does not sync.
    let mut w = World::new();
    let mut old = w.classic(None);
    w.new_member("new");
    w.join(&mut old);
    for _ in 0..REBALANCE {
        assert_eq!(w.heartbeat(&old), ErrorCode::REBALANCE_IN_PROGRESS);
        w.pass(1);
    }
    assert_eq!(w.heartbeat(&old), ErrorCode::UNKNOWN_MEMBER_ID);
    // The last one of the new protocol is silent: its session's end is its leaving.
    let mut w = World::new();
    w.groups.options.modern.session_timeout = secs(5);
    let mut old = w.classic(None);
    w.new_member("new");
    w.rejoin(&mut old);
    w.rejoin(&mut old);
    w.pass(5);
    assert_eq!(w.kind(), ("classic", "PreparingRebalance"));
    let joined = w.join(&mut old);
    assert_eq!((joined.generation, joined.leader == old.id), (3, true));
    w.assign_all(&mut old);
    // So is its being put out by hand.
    w.new_member("new");
    let cluster = &w.bench.core.cluster;
    assert!(w.groups.expire_member(secs(w.now), cluster, "g", "new"));
    assert_eq!(w.kind(), ("classic", "PreparingRebalance"));
}

#[test]
fn another_coordinator_knows_members_of_both_protocols() {
    let mut w = World::new();
    let mut old = w.classic(None);
    let mut new = w.new_member("new");
    for _ in 0..2 {
        w.rejoin(&mut old);
        w.beat(&mut new).unwrap();
    }
    w.groups.moved(secs(w.now), |_| None);
    assert_eq!(w.groups.deadline(), None);
    w.pass(1000);
    w.groups.moved(secs(w.now), |_| Some(2));
    assert_eq!(w.heartbeat(&old), ErrorCode::NONE);
    let owned = new.owned.clone();
    w.beat(&mut new).unwrap();
    assert_eq!(new.owned, owned);
    // What became classic again is known as that.
    w.leave_new("new", None).unwrap();
    w.groups.moved(secs(w.now), |_| Some(1));
    assert_eq!(w.kind(), ("classic", "Stable"));
    let joined = w.join(&mut old);
    assert_eq!(joined.generation, 3);
}

/// Clients of either protocol, some of which change it between lives.
#[test]
fn whatever_clients_of_both_protocols_do_no_partition_has_two_owners() {
    let long = std::env::var("OTTLA_TEST_LONG").is_ok_and(|v| v == "1");
    for seed in 0..if long { 2000 } else { 60 } {
        let mut random = Random::new(seed);
        let mut storm = Storm {
            w: World::new(),
            clients: BTreeMap::new(),
            waits: BTreeMap::new(),
        };
        storm.w.groups.options.modern.session_timeout = secs(SESSION);
        for _ in 0..300 {
            storm.step(&mut random);
            storm.check(seed);
        }
        storm
            .clients
            .entry(1)
            .or_insert_with(|| Client::Old(Old::default()));
        let resting = (0..200).any(|_| {
            for i in 0..CLIENTS {
                storm.go_on(i);
                storm.check(seed);
            }
            storm.w.pass(1);
            storm.answers();
            storm.check(seed);
            let owned = storm
                .clients
                .values()
                .map(|c| c.owned().len())
                .sum::<usize>();
            storm.w.kind().1 == "Stable" && owned == PARTITIONS as usize
        });
        assert!(resting, "seed {seed}: {:?}", storm.w.groups.get("g"));
    }
}

const CLIENTS: u64 = 5;

#[derive(Clone, Debug)]
enum Client {
    Old(Old),
    New(New),
}

impl Client {
    fn owned(&self) -> &BTreeSet<i32> {
        match self {
            Client::Old(c) => &c.owned,
            Client::New(c) => &c.owned,
        }
    }
}

struct Storm {
    w: World,
    clients: BTreeMap<u64, Client>,
    /// Those that wait for an answer.
    waits: BTreeMap<u64, Ticket>,
}

impl Storm {
    fn step(&mut self, random: &mut Random) {
        let i = random.next_u64() % CLIENTS;
        match random.next_u64() % 16 {
            0 => self.leave(i),
            // It dies, and nobody knows.
            1 => {
                self.clients.remove(&i);
                self.waits.remove(&i);
            }
            2 => {
                let node = (random.next_u64() % 2) as i32;
                self.w.groups.moved(secs(self.w.now), |_| Some(node));
            }
            3..=5 => self.w.pass(1),
            _ if random.next_u64().is_multiple_of(3) && !self.clients.contains_key(&i) => {
                let instance = (i == 0).then(|| "i".to_owned());
                let client = if random.next_u64().is_multiple_of(2) {
                    Client::Old(Old {
                        instance,
                        ..Old::default()
                    })
                } else {
                    Client::New(New {
                        id: format!("new-{}", random.next_u64()),
                        instance,
                        ..New::default()
                    })
                };
                self.clients.insert(i, client);
            }
            _ => self.go_on(i),
        }
        self.answers();
    }

    fn leave(&mut self, i: u64) {
        self.waits.remove(&i);
        match self.clients.remove(&i) {
            Some(Client::Old(old)) => {
                self.w.leave_old(&old.id, old.instance.as_deref());
            }
            Some(Client::New(new)) => {
                let _ = self.w.leave_new(&new.id, new.instance.as_deref());
            }
            None => {}
        }
    }

    /// The client does the next thing that it should.
    fn go_on(&mut self, i: u64) {
        if self.waits.contains_key(&i) {
            return;
        }
        match self.clients.remove(&i) {
            None => {}
            Some(Client::New(mut new)) => {
                match self.w.beat(&mut new) {
                    Ok(()) => {}
                    // Another has its instance id.
                    Err(ErrorCode::FENCED_INSTANCE_ID) => return,
                    Err(_) => (new.epoch, new.owned) = (0, BTreeSet::new()),
                }
                self.clients.insert(i, Client::New(new));
            }
            Some(Client::Old(mut old)) => {
                let beaten = if old.generation == 0 {
                    ErrorCode::REBALANCE_IN_PROGRESS
                } else {
                    self.w.heartbeat(&old)
                };
                match beaten {
                    ErrorCode::NONE => {}
                    ErrorCode::FENCED_INSTANCE_ID => return,
                    code => {
                        if code != ErrorCode::REBALANCE_IN_PROGRESS {
                            old.owned.clear();
                        }
                        if code == ErrorCode::UNKNOWN_MEMBER_ID {
                            old.id.clear();
                        }
                        let join = self.w.join_of(&old);
                        let ticket = self.w.send_join(join);
                        self.waits.insert(i, ticket);
                    }
                }
                self.clients.insert(i, Client::Old(old));
                self.answers();
            }
        }
    }

    fn answers(&mut self) {
        let mut answers: Vec<(Ticket, Answer)> = self.w.groups.answers.drain();
        while !answers.is_empty() {
            for (ticket, answer) in std::mem::take(&mut answers) {
                let waits = self.waits.iter().find(|(_, t)| **t == ticket);
                let Some((&i, _)) = waits else { continue };
                self.waits.remove(&i);
                let Some(Client::Old(mut old)) = self.clients.get(&i).cloned() else {
                    continue;
                };
                match answer {
                    Answer::Joined(joined) => self.joined(i, &mut old, joined),
                    Answer::Synced(synced) if synced.code == ErrorCode::NONE => {
                        old.owned = partitions(&synced.assignment);
                    }
                    Answer::Synced(synced) => {
                        // It joins again.
                        old.generation = 0;
                        if synced.code != ErrorCode::REBALANCE_IN_PROGRESS {
                            old.owned.clear();
                        }
                    }
                }
                self.clients.insert(i, Client::Old(old));
            }
            answers.extend(self.w.groups.answers.drain());
        }
    }

    fn joined(&mut self, i: u64, old: &mut Old, joined: Joined) {
        match joined.code {
            ErrorCode::NONE => {
                (old.id, old.generation) = (joined.member_id, joined.generation);
                // A leader shares out by number, but gives nobody what another holds (cooperative).
                let ids: Vec<&String> = joined.members.iter().map(|(id, ..)| id).collect();
                let holder = |p: i32| {
                    let mut olds = self.clients.values().filter_map(|c| match c {
                        Client::Old(o) if o.owned.contains(&p) => Some(&o.id),
                        _ => None,
                    });
                    olds.find(|id| ids.contains(id)).cloned()
                };
                let mut shares: BTreeMap<String, Vec<i32>> = BTreeMap::new();
                for p in 0..PARTITIONS {
                    if let Some(next) = ids.get(p as usize % ids.len().max(1)) {
                        let id = holder(p).unwrap_or_else(|| (*next).clone());
                        shares.entry(id).or_default().push(p);
                    }
                }
                let ticket = self.w.groups.ticket();
                let assignments = ids.iter().map(|id| {
                    let share = shares.get(*id).map_or(&[][..], Vec::as_slice);
                    ((*id).clone(), assignment(share, None))
                });
                let sync = Sync {
                    member_id: old.id.clone(),
                    instance: old.instance.clone(),
                    generation: old.generation,
                    protocol_type: None,
                    protocol: None,
                    assignments: assignments.collect(),
                };
                self.waits.insert(i, ticket);
                let (now, cluster) = (secs(self.w.now), &self.w.bench.core.cluster);
                self.w.groups.sync(now, cluster, "g", sync, ticket);
            }
            ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::NOT_COORDINATOR => {
                old.id = joined.member_id;
                old.generation = 0;
            }
            _ => {
                *old = Old {
                    instance: old.instance.clone(),
                    ..Old::default()
                };
            }
        }
    }

    /// In a group of the new protocol nobody holds what another one does, by the group's account and by the clients'
    /// own, as far as they are members.
    fn check(&self, seed: u64) {
        let Some(Group::Modern(group)) = self.w.groups.get("g") else {
            return;
        };
        let mut owner: BTreeMap<i32, &str> = BTreeMap::new();
        for (id, m) in &group.members {
            for p in m.holdings().values().flatten() {
                let before = owner.insert(*p, id);
                assert!(
                    before.is_none(),
                    "seed {seed}: {p} is {before:?}'s and {id}'s"
                );
            }
        }
    }
}
