//! Groups of the classic protocol as a simulator drives them: time moves only when the test says so.

use std::time::Duration;

use bytes::Bytes;
use ottla_base::error::ErrorCode;

use super::answer::{Answer, Joined, Synced};
use super::classic::{Join, Sync};
use super::{Committer, Group, Groups, Ticket};
use crate::api::tests::Bench;

const SESSION: u64 = 10;
const REBALANCE: u64 = 60;

/// Groups on one node, and the time in seconds.
struct Rig {
    bench: Bench,
    groups: Groups,
    now: u64,
    unique: u32,
}

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

impl Rig {
    fn new() -> Rig {
        Rig {
            bench: Bench::new(1),
            groups: Groups::default(),
            now: 0,
            unique: 0,
        }
    }

    fn request(&mut self, id: &str) -> Join {
        self.unique += 1;
        Join {
            member_id: id.to_owned(),
            instance: None,
            client_id: "c".to_owned(),
            client_host: String::new(),
            session_timeout: secs(SESSION),
            rebalance_timeout: secs(REBALANCE),
            protocol_type: "consumer".to_owned(),
            protocols: vec![("range".to_owned(), Bytes::new())],
            must_know_id: false,
            may_skip_assignment: true,
            unique: self.unique.to_string(),
        }
    }

    fn send(&mut self, join: Join) -> Ticket {
        let ticket = self.groups.ticket();
        let cluster = &self.bench.core.cluster;
        self.groups
            .join(secs(self.now), 1, cluster, "g", join, ticket);
        ticket
    }

    fn join(&mut self, id: &str) -> Ticket {
        let join = self.request(id);
        self.send(join)
    }

    fn join_static(&mut self, instance: &str) -> Ticket {
        let mut join = self.request("");
        join.instance = Some(instance.to_owned());
        self.send(join)
    }

    /// The answer to a JoinGroup, which must be there.
    fn joined(&mut self, ticket: Ticket) -> Joined {
        match self.groups.answers.take(ticket) {
            Some(Answer::Joined(joined)) => joined,
            other => panic!("{other:?}"),
        }
    }

    fn waits(&mut self, ticket: Ticket) -> bool {
        self.groups.answers.take(ticket).is_none()
    }

    fn sync(&mut self, joined: &Joined, assignments: &[(&str, &'static str)]) -> Ticket {
        let ticket = self.groups.ticket();
        let assignments = assignments.iter();
        let sync = Sync {
            member_id: joined.member_id.clone(),
            instance: None,
            generation: joined.generation,
            protocol_type: Some("consumer".to_owned()),
            protocol: Some("range".to_owned()),
            assignments: assignments
                .map(|(id, a)| ((*id).to_owned(), Bytes::from_static(a.as_bytes())))
                .collect(),
        };
        let cluster = &self.bench.core.cluster;
        self.groups.sync(secs(self.now), cluster, "g", sync, ticket);
        ticket
    }

    fn synced(&mut self, ticket: Ticket) -> Synced {
        match self.groups.answers.take(ticket) {
            Some(Answer::Synced(synced)) => synced,
            other => panic!("{other:?}"),
        }
    }

    fn heartbeat(&mut self, joined: &Joined) -> ErrorCode {
        self.groups.heartbeat(
            secs(self.now),
            "g",
            &joined.member_id,
            None,
            joined.generation,
        )
    }

    fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        let cluster = &self.bench.core.cluster;
        self.groups
            .tick(secs(self.now), cluster, secs(1), |_| false);
    }

    fn state(&self) -> &'static str {
        self.groups.get("g").map_or("none", Group::state_name)
    }

    /// Two members in a stable group, the leader first.
    fn two(&mut self) -> (Joined, Joined) {
        let first = self.join("");
        self.pass(0);
        let first = self.joined(first);
        let second = self.join("");
        let again = self.join(&first.member_id);
        let (first, second) = (self.joined(again), self.joined(second));
        self.settle(&first, &second);
        (first, second)
    }

    fn settle(&mut self, leader: &Joined, follower: &Joined) {
        let waiting = self.sync(follower, &[]);
        assert!(self.groups.answers.drain().is_empty());
        let led = self.sync(
            leader,
            &[
                (leader.member_id.as_str(), "one"),
                (follower.member_id.as_str(), "two"),
            ],
        );
        assert_eq!(self.synced(led).assignment, "one");
        assert_eq!(self.synced(waiting).assignment, "two");
        assert_eq!(self.state(), "Stable");
    }
}

#[test]
fn members_join_and_the_leader_assigns() {
    let mut rig = Rig::new();
    let (first, second) = rig.two();
    assert_eq!((first.generation, second.generation), (2, 2));
    assert_eq!(first.leader, first.member_id);
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
    assert_eq!(rig.heartbeat(&first), ErrorCode::NONE);
    let stale = Joined {
        generation: 1,
        ..second.clone()
    };
    assert_eq!(rig.heartbeat(&stale), ErrorCode::ILLEGAL_GENERATION);
}

#[test]
fn a_member_without_an_id_is_told_one_first() {
    let mut rig = Rig::new();
    let mut join = rig.request("");
    join.must_know_id = true;
    let told = rig.send(join);
    let told = rig.joined(told);
    assert_eq!(told.code, ErrorCode::MEMBER_ID_REQUIRED);
    assert_eq!(rig.state(), "Empty");
    let joined = rig.join(&told.member_id);
    rig.pass(0);
    assert_eq!(rig.joined(joined).member_id, told.member_id);
    // One that never comes back is forgotten after its session, and keeps nobody waiting for longer.
    let mut join = rig.request("");
    join.must_know_id = true;
    let lost = rig.send(join);
    assert_eq!(rig.joined(lost).code, ErrorCode::MEMBER_ID_REQUIRED);
    let again = rig.join("");
    let first = rig.join(&told.member_id);
    assert!(rig.waits(first), "the one told an id may still come");
    rig.pass(SESSION);
    assert_eq!(rig.joined(first).generation, 2);
    assert_eq!(rig.joined(again).generation, 2);
}

#[test]
fn a_session_that_ends_sends_the_others_into_a_rebalance() {
    let mut rig = Rig::new();
    let (first, second) = rig.two();
    rig.pass(SESSION - 1);
    assert_eq!(rig.heartbeat(&second), ErrorCode::NONE);
    rig.pass(1);
    assert_eq!(rig.state(), "PreparingRebalance");
    assert_eq!(rig.heartbeat(&first), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(rig.heartbeat(&second), ErrorCode::REBALANCE_IN_PROGRESS);
    let alone = rig.join(&second.member_id);
    let alone = rig.joined(alone);
    assert_eq!(alone.leader, second.member_id, "leadership has moved");
    assert_eq!((alone.generation, alone.members.len()), (3, 1));
}

#[test]
fn a_rebalance_goes_on_without_those_that_do_not_come_back() {
    let mut rig = Rig::new();
    let (first, second) = rig.two();
    let third = rig.join("");
    for _ in 0..(REBALANCE / 5 - 1) {
        rig.pass(5);
        assert_eq!(rig.heartbeat(&first), ErrorCode::REBALANCE_IN_PROGRESS);
        assert_eq!(rig.heartbeat(&second), ErrorCode::REBALANCE_IN_PROGRESS);
    }
    let again = rig.join(&second.member_id);
    assert!(rig.waits(third) && rig.waits(again));
    rig.pass(5);
    let (third, second) = (rig.joined(third), rig.joined(again));
    assert_eq!((third.generation, second.generation), (3, 3));
    assert_ne!(third.leader, first.member_id, "the leader has not come");
    assert_eq!(rig.heartbeat(&first), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_member_that_never_syncs_is_removed() {
    let mut rig = Rig::new();
    let (first, second) = rig.two();
    let third = rig.join("");
    let (first, second) = (rig.join(&first.member_id), rig.join(&second.member_id));
    let (first, second, third) = (rig.joined(first), rig.joined(second), rig.joined(third));
    let led = rig.sync(&first, &[]);
    let followed = rig.sync(&second, &[]);
    assert_eq!(rig.synced(led).code, ErrorCode::NONE);
    assert_eq!(rig.synced(followed).code, ErrorCode::NONE);
    for _ in 0..(REBALANCE / 5) {
        rig.pass(5);
        for member in [&first, &second, &third] {
            rig.heartbeat(member);
        }
    }
    assert_eq!(rig.heartbeat(&third), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(rig.heartbeat(&first), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn waiting_syncs_learn_of_a_new_rebalance() {
    let mut rig = Rig::new();
    let (first, second) = rig.two();
    let second = rig.join(&second.member_id);
    let second = rig.joined(second);
    assert_eq!(second.generation, 2, "nothing has changed");
    let first = rig.join(&first.member_id);
    let again = rig.join(&second.member_id);
    let (first, second) = (rig.joined(first), rig.joined(again));
    let waiting = rig.sync(&second, &[]);
    let third = rig.join("");
    assert_eq!(rig.synced(waiting).code, ErrorCode::REBALANCE_IN_PROGRESS);
    assert!(rig.waits(third));
    assert_eq!(rig.heartbeat(&first), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_static_member_is_replaced_without_a_rebalance_and_its_predecessor_fenced() {
    let mut rig = Rig::new();
    let first = rig.join_static("i");
    rig.pass(0);
    let first = rig.joined(first);
    let led = rig.sync(&first, &[(first.member_id.as_str(), "all")]);
    assert_eq!(rig.synced(led).assignment, "all");
    let next = rig.join_static("i");
    let next = rig.joined(next);
    assert_eq!(next.generation, first.generation);
    assert!(next.skip_assignment && next.leader == next.member_id);
    let synced = rig.sync(&next, &[]);
    assert_eq!(rig.synced(synced).assignment, "all");
    let old = rig
        .groups
        .heartbeat(secs(0), "g", &first.member_id, Some("i"), 1);
    assert_eq!(old, ErrorCode::FENCED_INSTANCE_ID);
    let who = Committer {
        member_id: &first.member_id,
        instance: Some("i"),
        generation: 1,
        in_transaction: false,
        knows_epochs: false,
    };
    assert_eq!(
        rig.groups.check_commit(secs(0), 1, "g", &who),
        Err(ErrorCode::FENCED_INSTANCE_ID)
    );
    let left = rig.groups.leave(
        secs(0),
        &rig.bench.core.cluster,
        "g",
        &[(String::new(), Some("i".to_owned()))],
    );
    assert_eq!(left, [ErrorCode::NONE]);
    assert_eq!(rig.state(), "Empty");
}

#[test]
fn an_empty_group_waits_for_more_members_if_told_to() {
    let mut rig = Rig::new();
    rig.groups.options.initial_rebalance_delay = secs(3);
    let first = rig.join("");
    rig.pass(2);
    let second = rig.join("");
    rig.pass(1);
    assert!(rig.waits(first), "the newcomer has stretched the delay");
    rig.pass(3);
    assert_eq!(rig.joined(first).generation, 1);
    assert_eq!(rig.joined(second).generation, 1);
}

#[test]
fn commits_are_for_members_of_this_generation() {
    let mut rig = Rig::new();
    let check = |rig: &mut Rig, id: &str, generation: i32| {
        let who = Committer {
            member_id: id,
            instance: None,
            generation,
            in_transaction: false,
            knows_epochs: true,
        };
        rig.groups.check_commit(secs(0), 1, "g", &who).err()
    };
    assert_eq!(check(&mut rig, "", 5), Some(ErrorCode::GROUP_ID_NOT_FOUND));
    assert_eq!(check(&mut rig, "", -1), None);
    let (first, _) = rig.two();
    assert_eq!(check(&mut rig, "", -1), Some(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(
        check(&mut rig, &first.member_id, 1),
        Some(ErrorCode::ILLEGAL_GENERATION)
    );
    assert_eq!(check(&mut rig, &first.member_id, 2), None);
    let third = rig.join("");
    assert_eq!(check(&mut rig, &first.member_id, 2), None);
    assert!(rig.waits(third));
}

#[test]
fn those_that_wait_learn_that_the_coordinator_has_moved_and_find_the_group_there() {
    let mut rig = Rig::new();
    let (first, second) = rig.two();
    let third = rig.join("");
    rig.groups.moved(secs(0), |_| Some(2));
    assert_eq!(rig.joined(third).code, ErrorCode::NOT_COORDINATOR);
    // What was written is the generation before, which goes on.
    assert_eq!(rig.state(), "Stable");
    assert_eq!(rig.heartbeat(&first), ErrorCode::NONE);
    assert_eq!(rig.heartbeat(&second), ErrorCode::NONE);
    let third = rig.join("");
    assert_eq!(rig.heartbeat(&first), ErrorCode::REBALANCE_IN_PROGRESS);
    let first = rig.join(&first.member_id);
    let second = rig.join(&second.member_id);
    assert_eq!(rig.joined(first).generation, 3);
    assert_eq!(rig.joined(second).generation, 3);
    assert_eq!(rig.joined(third).generation, 3);
    // The leader has not assigned yet: nobody knows of this generation elsewhere.
    rig.groups.moved(secs(0), |_| Some(1));
    let Some(Group::Classic(group)) = rig.groups.get("g") else {
        panic!("no classic group")
    };
    assert_eq!((group.generation, group.members.len()), (2, 2));
    assert_eq!(rig.state(), "Stable");
}

#[test]
fn members_find_their_group_again_when_its_only_node_comes_back() {
    let mut rig = Rig::new();
    let (first, second) = rig.two();
    let fixed = rig.join_static("i");
    let first = rig.join(&first.member_id);
    rig.join(&second.member_id);
    let (first, fixed) = (rig.joined(first), rig.joined(fixed));
    let led = rig.sync(&first, &[(fixed.member_id.as_str(), "fixed")]);
    assert_eq!(rig.synced(led).code, ErrorCode::NONE);
    rig.groups.moved(secs(rig.now), |_| None);
    assert_eq!(
        rig.groups.deadline(),
        None,
        "nobody counts while it is away"
    );
    rig.pass(SESSION * 9);
    rig.groups.moved(secs(rig.now), |_| Some(1));
    rig.pass(SESSION - 1);
    assert_eq!(rig.state(), "Stable");
    assert_eq!(rig.heartbeat(&fixed), ErrorCode::NONE);
    let again = rig.join_static("i");
    let again = rig.joined(again);
    assert_eq!(
        (again.code, again.generation),
        (ErrorCode::NONE, fixed.generation)
    );
    let synced = rig.sync(&again, &[]);
    assert_eq!(rig.synced(synced).assignment, "fixed");
    // The others have not been heard of since.
    rig.pass(1);
    assert_eq!(rig.heartbeat(&first), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_paused_coordinator_ends_no_session() {
    let mut rig = Rig::new();
    let (first, _) = rig.two();
    let cluster = &rig.bench.core.cluster;
    rig.groups
        .tick(secs(SESSION * 2), cluster, secs(1), |node| node == 1);
    assert_eq!(rig.state(), "Stable");
    assert_eq!(rig.groups.deadline(), Some(secs(SESSION * 2 + 1)));
    rig.pass(SESSION * 2 + 1);
    assert_eq!(rig.state(), "Empty");
    assert_eq!(rig.heartbeat(&first), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(rig.groups.deadline(), None);
}
