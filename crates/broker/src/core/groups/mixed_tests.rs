//! Groups whose members speak both protocols, as a simulator drives them.

use std::collections::BTreeSet;

use bytes::Bytes;
use ottla_base::error::ErrorCode;

use super::classic::Join;
use super::mixed_world::{New, Old, REBALANCE, SESSION, World, assignment, secs, subscription};
use super::{Committer, Group};

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
    assert_eq!(malformed.code, inconsistent);
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
