//! Strategies of the program's own for sharing a group out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ottla::ErrorCode;
use ottla::broker::{Broker, BrokerOptions};
use ottla::consumer::{Consumer, Event, EventKind, OwnAssignor, Polled};

use super::support::{LIMIT, consumer};

const PARTITIONS: i32 = 4;

fn own(user_data: &str) -> OwnAssignor {
    OwnAssignor {
        name: "by-wish".to_owned(),
        user_data: Some(user_data.as_bytes().to_vec()),
        cooperative: false,
    }
}

fn broker() -> Broker {
    let broker = Broker::start(BrokerOptions::new()).unwrap();
    broker.create_topic("t", PARTITIONS, &[]).unwrap();
    broker.create_topic("u", 1, &[]).unwrap();
    broker
}

fn member(broker: &Broker, assignor: Option<OwnAssignor>, more: &[(&str, &str)]) -> Consumer {
    let mut keys = vec![
        ("group.id", "g"),
        ("heartbeat.interval.ms", "50"),
        ("auto.offset.reset", "earliest"),
    ];
    keys.retain(|(key, _)| more.iter().all(|(given, _)| given != key));
    keys.extend(more);
    let member = consumer(&broker.bootstrap_servers(), &keys);
    if let Some(assignor) = assignor {
        member.set_assignor(assignor).unwrap();
    }
    member.subscribe(&["t"]).unwrap();
    member
}

/// Polls all in turn until one is asked; gives who, and the event. What they own is kept.
fn asked<'a>(
    members: &'a [Consumer],
    owned: &mut BTreeMap<usize, BTreeSet<i32>>,
    count: usize,
) -> (&'a Consumer, Event) {
    let end = Instant::now() + LIMIT;
    loop {
        assert!(Instant::now() < end, "nobody was asked: {owned:?}");
        for (i, member) in members.iter().enumerate() {
            let Some(event) = turn(member, owned.entry(i).or_default()) else {
                continue;
            };
            let group = event.group.as_ref().unwrap();
            if group.members.len() == count {
                return (member, event);
            }
            // Not all have joined yet.
            let _ = member.assign_group(&event, []);
        }
    }
}

/// One poll; the event if it asks for an assignment.
fn turn(member: &Consumer, owned: &mut BTreeSet<i32>) -> Option<Event> {
    let Polled::Event(event) = member.poll(0, Duration::from_millis(5)).unwrap() else {
        return None;
    };
    let partitions = event.partitions.iter().map(|(_, p)| *p);
    match event.kind {
        EventKind::PartitionsAssigned => owned.extend(partitions),
        EventKind::PartitionsRevoked | EventKind::PartitionsLost => {
            let gone: BTreeSet<i32> = partitions.collect();
            owned.retain(|p| !gone.contains(p));
        }
        EventKind::AssignmentWanted => return Some(event),
        kind => panic!("{kind:?}: {event:?}"),
    }
    None
}

fn until(
    members: &[Consumer],
    owned: &mut BTreeMap<usize, BTreeSet<i32>>,
    what: &str,
    holds: impl Fn(&BTreeMap<usize, BTreeSet<i32>>) -> bool,
) {
    let end = Instant::now() + LIMIT;
    while !holds(owned) {
        assert!(Instant::now() < end, "{what} did not come about: {owned:?}");
        for (i, member) in members.iter().enumerate() {
            let event = turn(member, owned.entry(i).or_default());
            assert!(event.is_none(), "{event:?}");
        }
    }
}

#[test]
fn the_leaders_answer_is_what_members_get() {
    let broker = broker();
    let members = [
        member(&broker, Some(own("odd")), &[]),
        member(&broker, Some(own("even")), &[]),
    ];
    let mut owned = BTreeMap::new();
    let (leader, event) = asked(&members, &mut owned, 2);
    let group = event.group.clone().unwrap();
    assert_eq!(group.topics, [("t".into(), PARTITIONS)]);
    let mut shares: Vec<(&str, &str, i32)> = Vec::new();
    let mut of_word = BTreeMap::new();
    for m in &group.members {
        assert_eq!(m.topics, ["t".into()]);
        let word = String::from_utf8(m.user_data.clone().unwrap()).unwrap();
        let first = i32::from(word == "odd");
        shares.extend((first..PARTITIONS).step_by(2).map(|p| (&*m.id, "t", p)));
        of_word.insert(word, &*m.id);
    }
    // What can't be is refused, and may be answered again.
    let (odd, even) = (of_word["odd"], of_word["even"]);
    for (wrong, why) in [
        (vec![("nobody", "t", 0)], "no such member"),
        (vec![(odd, "t", 9)], "has 4 partitions"),
        (vec![(odd, "u", 0)], "nobody subscribes"),
        (vec![(odd, "t", 0), (even, "t", 0)], "given it too"),
    ] {
        let error = leader.assign_group(&event, wrong).unwrap_err();
        assert_eq!(error.code(), ErrorCode::INVALID_ARGUMENT);
        assert!(error.message().contains(why), "{error}");
    }
    leader.assign_group(&event, shares.clone()).unwrap();
    let wanted: BTreeMap<usize, BTreeSet<i32>> = [(0, [1, 3].into()), (1, [0, 2].into())].into();
    until(&members, &mut owned, "the shares", |owned| *owned == wanted);
    // Too late: it was answered.
    let error = leader.assign_group(&event, shares).unwrap_err();
    assert_eq!(error.code(), ErrorCode::REBALANCE_IN_PROGRESS);
    assert!(error.message().contains("has gone on"), "{error}");
}

#[test]
fn a_refused_question_is_asked_again_and_an_unanswered_one_does_not_end_the_membership() {
    let broker = broker();
    // Heartbeats go on while the program thinks, beyond the session's time.
    let short = [
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "50"),
    ];
    let members = [member(&broker, Some(own("x")), &short)];
    let mut owned = BTreeMap::new();
    let (leader, first) = asked(&members, &mut owned, 1);
    leader.refuse_assignment(&first).unwrap();
    let (_, second) = asked(&members, &mut owned, 1);
    assert_ne!(first.token, second.token);
    let late = leader.assign_group(&first, []).unwrap_err();
    assert_eq!(late.code(), ErrorCode::REBALANCE_IN_PROGRESS);
    std::thread::sleep(Duration::from_millis(6500));
    let group = second.group.clone().unwrap();
    let id = &*group.members[0].id;
    let all = (0..PARTITIONS).map(|p| (id, "t", p));
    leader.assign_group(&second, all).unwrap();
    until(&members, &mut owned, "the shares", |owned| {
        owned[&0].len() == PARTITIONS as usize
    });
}

#[test]
fn a_member_without_it_has_the_group_agree_on_another() {
    let broker = broker();
    let members = [
        member(&broker, Some(own("x")), &[]),
        member(&broker, None, &[("group.protocol", "classic")]),
    ];
    let mut owned = BTreeMap::new();
    let end = Instant::now() + LIMIT;
    let even = |owned: &BTreeMap<usize, BTreeSet<i32>>| {
        owned.len() == 2 && owned.values().all(|o| o.len() == 2)
    };
    while !even(&owned) {
        assert!(Instant::now() < end, "{owned:?}");
        for (i, member) in members.iter().enumerate() {
            // The first may be alone at first, and its own.
            if let Some(event) = turn(member, owned.entry(i).or_default()) {
                let _ = member.assign_group(&event, []);
            }
        }
    }
}

#[test]
fn what_cannot_be_set_is_refused() {
    let broker = broker();
    let refused = |member: &Consumer, own: OwnAssignor, why: &str| {
        let error = member.set_assignor(own).unwrap_err();
        assert_eq!(error.code(), ErrorCode::INVALID_ARGUMENT);
        assert!(error.message().contains(why), "{error}");
    };
    let servers = broker.bootstrap_servers();
    refused(&consumer(&servers, &[]), own("x"), "group.id");
    let grouped = consumer(&servers, &[("group.id", "g")]);
    refused(&grouped, OwnAssignor::default(), "name is empty");
    let known = OwnAssignor {
        name: "range".to_owned(),
        ..own("x")
    };
    refused(&grouped, known, "there already");
    let modern = [("group.id", "g"), ("group.protocol", "consumer")];
    refused(
        &consumer(&servers, &modern),
        own("x"),
        "group.protocol=classic",
    );
    grouped.subscribe(&["t"]).unwrap();
    refused(&grouped, own("x"), "subscribed already");
    let event = loop {
        if let Polled::Event(event) = grouped.poll(0, LIMIT).unwrap() {
            break event;
        }
    };
    let error = grouped.assign_group(&event, []).unwrap_err();
    assert!(error.message().contains("does not ask for it"), "{error}");
}
