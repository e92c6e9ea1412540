//! Groups of the new protocol as a simulator drives them.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_base::error::ErrorCode;
use uuid::Uuid;

use super::modern::{Beaten, Heartbeat, LEAVE, LEAVE_FOR_A_WHILE};
use super::modern_member::Partitions;
use super::{Group, Groups};
use crate::api::tests::Bench;
use crate::log::Refused;

const SESSION: u64 = 45;
const REBALANCE: u64 = 30;

struct Rig {
    bench: Bench,
    groups: Groups,
    now: u64,
}

/// A client that does what it is told: it gives up at once what it is no more to have.
#[derive(Clone, Debug, Default)]
struct Client {
    id: String,
    instance: Option<String>,
    epoch: i32,
    owned: Partitions,
}

impl Rig {
    fn new() -> Rig {
        Rig {
            bench: Bench::new(1),
            groups: Groups::default(),
            now: 0,
        }
    }

    fn beat_of(&self, client: &Client) -> Heartbeat {
        let joins = client.epoch == 0;
        Heartbeat {
            member_id: client.id.clone(),
            epoch: client.epoch,
            instance: client.instance.clone(),
            rack: None,
            rebalance_timeout: joins.then_some(Duration::from_secs(REBALANCE)),
            topics: joins.then(|| ["t".to_owned()].into()),
            regex: None,
            assignor: None,
            owned: Some(client.owned.clone()),
            client_id: "c".to_owned(),
            client_host: String::new(),
        }
    }

    fn send(&mut self, beat: Heartbeat) -> Result<Beaten, Refused> {
        let now = Duration::from_secs(self.now);
        self.groups
            .beat(now, 1, "g", &self.bench.core.cluster, beat)
    }

    fn beat(&mut self, client: &mut Client) -> Option<Partitions> {
        let beat = self.beat_of(client);
        let beaten = self.send(beat).expect("a good heartbeat");
        client.epoch = beaten.epoch;
        if let Some(assigned) = &beaten.assignment {
            client.owned.clone_from(assigned);
        }
        beaten.assignment
    }

    fn join(&mut self, id: &str) -> Client {
        let mut client = Client {
            id: id.to_owned(),
            ..Client::default()
        };
        self.beat(&mut client);
        client
    }

    fn leave(&mut self, id: &str, instance: Option<&str>, epoch: i32) -> Result<Beaten, Refused> {
        let (now, cluster) = (Duration::from_secs(self.now), &self.bench.core.cluster);
        self.groups
            .leave_modern(now, cluster, "g", id, instance, epoch)
    }

    fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        let now = Duration::from_secs(self.now);
        let cluster = &self.bench.core.cluster;
        self.groups
            .tick(now, cluster, Duration::from_secs(1), |_| false);
    }

    fn state(&self) -> &'static str {
        self.groups.get("g").map_or("none", Group::state_name)
    }

    fn refused(&mut self, beat: Heartbeat) -> ErrorCode {
        self.send(beat).expect_err("refused").code
    }
}

fn count(partitions: &Partitions) -> usize {
    partitions.values().map(|p| p.len()).sum()
}

#[test]
fn partitions_are_given_up_before_they_are_given() {
    let mut rig = Rig::new();
    rig.bench.topic("t", 4);
    let mut a = rig.join("a");
    assert_eq!((a.epoch, count(&a.owned)), (2, 4));
    let mut b = rig.join("b");
    assert_eq!((b.epoch, count(&b.owned)), (3, 0), "all are a's still");
    assert_eq!(rig.state(), "Reconciling");
    let told = rig.beat(&mut a).expect("told to give up");
    assert_eq!((a.epoch, count(&told)), (2, 2));
    assert_eq!(rig.beat(&mut b), None, "a has not said that it did");
    rig.beat(&mut a);
    assert_eq!(a.epoch, 3);
    assert_eq!(rig.beat(&mut b).map(|p| count(&p)), Some(2));
    assert_eq!(rig.state(), "Stable");
    rig.leave("a", None, LEAVE).unwrap();
    assert_eq!(rig.state(), "Assigning");
    rig.beat(&mut b);
    assert_eq!((b.epoch, count(&b.owned)), (4, 4));
    rig.leave("b", None, LEAVE).unwrap();
    assert_eq!(rig.state(), "Empty");
}

#[test]
fn silent_members_and_those_that_do_not_give_up_are_fenced() {
    let mut rig = Rig::new();
    rig.bench.topic("t", 4);
    let mut a = rig.join("a");
    rig.pass(SESSION - 1);
    let mut b = rig.join("b");
    rig.pass(1);
    let beat = rig.beat_of(&a);
    assert_eq!(rig.refused(beat), ErrorCode::UNKNOWN_MEMBER_ID);
    rig.beat(&mut b);
    assert_eq!(count(&b.owned), 4);
    // Now b is told to give up and goes on beating without doing so.
    (a.epoch, a.owned) = (0, Partitions::new());
    rig.beat(&mut a);
    let all = b.owned.clone();
    rig.beat(&mut b);
    for _ in 0..3 {
        b.owned.clone_from(&all);
        let beat = rig.beat_of(&b);
        rig.send(beat).expect("still a member");
        rig.pass(REBALANCE / 3);
        rig.beat(&mut a);
    }
    let beat = rig.beat_of(&b);
    assert_eq!(rig.refused(beat), ErrorCode::UNKNOWN_MEMBER_ID);
    rig.beat(&mut a);
    assert_eq!(count(&a.owned), 4);
}

#[test]
fn epochs_other_than_the_members_own_are_fenced_but_for_a_lost_answer() {
    let mut rig = Rig::new();
    rig.bench.topic("t", 2);
    let mut a = rig.join("a");
    let mut b = rig.join("b");
    rig.beat(&mut a);
    let before = a.clone();
    rig.beat(&mut a);
    rig.beat(&mut b);
    assert_eq!((before.epoch, a.epoch), (2, 3));
    let again = rig.beat_of(&before);
    assert_eq!(rig.send(again).map(|b| b.epoch).ok(), Some(3));
    for epoch in [4, 9] {
        let mut beat = rig.beat_of(&a);
        beat.epoch = epoch;
        assert_eq!(rig.refused(beat), ErrorCode::FENCED_MEMBER_EPOCH);
    }
    rig.join("c");
    rig.beat(&mut a);
    rig.beat(&mut a);
    let mut beat = rig.beat_of(&a);
    beat.epoch = 1;
    assert_eq!(rig.refused(beat), ErrorCode::FENCED_MEMBER_EPOCH);
}

#[test]
fn a_static_member_that_left_for_a_while_finds_its_partitions_again() {
    let mut rig = Rig::new();
    rig.bench.topic("t", 3);
    let mut a = Client {
        id: "a".to_owned(),
        instance: Some("i".to_owned()),
        ..Client::default()
    };
    rig.beat(&mut a);
    let mut other = Client {
        id: "other".to_owned(),
        ..a.clone()
    };
    (other.epoch, other.owned) = (0, Partitions::new());
    let beat = rig.beat_of(&other);
    assert_eq!(rig.refused(beat), ErrorCode::UNRELEASED_INSTANCE_ID);
    let left = rig.leave("a", Some("i"), LEAVE_FOR_A_WHILE);
    assert_eq!(left.map(|l| l.epoch).ok(), Some(-2));
    rig.beat(&mut other);
    assert_eq!((other.epoch, count(&other.owned)), (2, 3), "no rebalance");
    let beat = rig.beat_of(&a);
    assert_eq!(rig.refused(beat), ErrorCode::FENCED_INSTANCE_ID);
}

#[test]
fn new_topics_and_partitions_are_noticed() {
    let mut rig = Rig::new();
    let mut a = rig.join("a");
    assert_eq!((a.epoch, count(&a.owned)), (2, 0), "no such topic yet");
    rig.bench.topic("t", 1);
    rig.beat(&mut a);
    assert_eq!((a.epoch, count(&a.owned)), (3, 1));
    rig.bench
        .core
        .create_partitions("t", 3, None, false)
        .unwrap();
    rig.beat(&mut a);
    assert_eq!((a.epoch, count(&a.owned)), (4, 3));
    rig.bench.topic("unrelated", 1);
    assert_eq!(rig.beat(&mut a), None);
    assert_eq!(a.epoch, 4);
    let mut beat = rig.beat_of(&a);
    (beat.topics, beat.regex) = (Some([].into()), Some("unre.*|x".to_owned()));
    assert_eq!(
        rig.send(beat).map(|b| b.epoch).ok(),
        Some(4),
        "t is given up first"
    );
    a.owned.clear();
    rig.beat(&mut a);
    assert_eq!((a.epoch, count(&a.owned)), (5, 1));
    rig.bench.topic("x", 2);
    rig.bench.topic("xx", 2);
    rig.beat(&mut a);
    assert_eq!(
        (a.epoch, count(&a.owned)),
        (6, 3),
        "the whole name must match"
    );
    let mut beat = rig.beat_of(&a);
    beat.regex = Some("(".to_owned());
    assert_eq!(rig.refused(beat), ErrorCode::INVALID_REGULAR_EXPRESSION);
    rig.bench.core.delete_topic("x");
    rig.beat(&mut a);
    rig.beat(&mut a);
    assert_eq!(count(&a.owned), 1);
}

#[test]
fn commits_of_an_earlier_epoch_are_for_what_was_held_then() {
    let mut rig = Rig::new();
    let id = rig.bench.topic("t", 2);
    let mut a = rig.join("a");
    rig.join("b");
    let kept = rig.beat(&mut a).unwrap()[&id].clone();
    rig.beat(&mut a);
    let Some(Group::Modern(group)) = rig.groups.get("g") else {
        panic!("no group")
    };
    assert_eq!(group.check_commit("a", 3), Ok(None));
    assert_eq!(group.check_commit("a", 2), Ok(Some(2)));
    assert_eq!(
        group.check_commit("a", 4),
        Err(ErrorCode::STALE_MEMBER_EPOCH)
    );
    assert_eq!(
        group.check_commit("x", 3),
        Err(ErrorCode::UNKNOWN_MEMBER_ID)
    );
    let held: BTreeMap<i32, bool> = (0..2)
        .map(|p| (p, group.held_then("a", 2, id, p).is_ok()))
        .collect();
    for (partition, held) in held {
        assert_eq!(held, kept.contains(&partition));
    }
    let never = group.held_then("a", 2, Uuid::nil(), 0);
    assert_eq!(never, Err(ErrorCode::STALE_MEMBER_EPOCH));
    assert_eq!(
        group.check_fetch(Some("a"), 2),
        Err(ErrorCode::STALE_MEMBER_EPOCH)
    );
    assert_eq!(group.check_fetch(None, -1), Ok(()));
}

#[test]
fn targets_are_worked_out_no_more_often_than_the_interval_allows() {
    let mut rig = Rig::new();
    rig.groups.options.modern.assignment_interval = Duration::from_secs(1);
    rig.bench.topic("t", 2);
    let mut a = rig.join("a");
    let mut b = rig.join("b");
    assert_eq!((a.epoch, b.epoch), (2, 2));
    assert_eq!(rig.state(), "Assigning");
    assert_eq!(rig.beat(&mut a), None);
    rig.pass(1);
    assert!(rig.beat(&mut a).is_some());
    rig.beat(&mut a);
    rig.beat(&mut b);
    assert_eq!((b.epoch, count(&b.owned)), (3, 1));
}

#[test]
fn rebalances_and_ends_of_sessions_on_demand() {
    let mut rig = Rig::new();
    rig.bench.topic("t", 2);
    let mut a = rig.join("a");
    let now = Duration::ZERO;
    assert!(rig.groups.force_rebalance(now, "g"));
    rig.beat(&mut a);
    assert_eq!(a.epoch, 3);
    let cluster = &rig.bench.core.cluster;
    assert!(rig.groups.expire_member(now, cluster, "g", "a"));
    assert!(!rig.groups.expire_member(now, cluster, "g", "a"));
    assert!(!rig.groups.force_rebalance(now, "g"));
    let beat = rig.beat_of(&a);
    assert_eq!(rig.refused(beat), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(rig.groups.deadline(), None);
}
