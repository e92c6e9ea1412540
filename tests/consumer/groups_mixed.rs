//! Members that exchange one protocol for the other, in one group, and groups whose coordinator goes and comes back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ottla::consumer::EventKind::{PartitionsLost as Lost, PartitionsRevoked as Revoked};
use ottla::protocol::compress::Codec;

use super::groups::{CLASSIC, MODERN, Member, broker, poll_until, shared_out, topic};
use super::support::{LIMIT, batch, numbered, produce};

#[test]
fn a_group_may_go_from_one_protocol_to_the_other() {
    let broker = broker(1);
    topic(&broker, 4, 10);
    let mut members = vec![Member::subscribed(&broker, &CLASSIC)];
    poll_until(&mut members, "all records", |m| m[0].count() == 40);
    members[0].consumer.commit_polled(LIMIT).unwrap();
    members.remove(0).consumer.close(LIMIT).unwrap();
    let mut members = vec![Member::subscribed(&broker, &MODERN)];
    poll_until(&mut members, "all partitions", |m| shared_out(m, 4));
    produce(&broker, "t", 0, &[batch(&numbered(10..12), Codec::None)]);
    poll_until(&mut members, "what is new", |m| m[0].count() == 2);
}

/// Nobody owns what another one does.
fn poll_without_overlap(members: &mut [Member], what: &str, done: impl Fn(&[Member]) -> bool) {
    let end = Instant::now() + LIMIT;
    while !done(members) {
        let told: Vec<_> = members.iter().map(|m| (&m.owned, m.kinds())).collect();
        assert!(Instant::now() < end, "{what} did not come about: {told:?}");
        for i in 0..members.len() {
            members[i].poll();
            let mut owner = BTreeSet::new();
            for m in &*members {
                for p in &m.owned {
                    assert!(owner.insert(*p), "{what}: two own {p}");
                }
            }
        }
    }
}

/// Members are exchanged one by one for others by the other protocol, there and back, while records come.
fn roll(strategy: &str) {
    let broker = broker(1);
    topic(&broker, 4, 10);
    let classic = [
        ("heartbeat.interval.ms", "50"),
        ("partition.assignment.strategy", strategy),
    ];
    let modern = MODERN;
    let mut written = 10;
    let mut read: Vec<(i32, i64)> = Vec::new();
    let mut members: Vec<Member> = Vec::new();
    let ways: [&[(&str, &str)]; 6] = [&classic, &classic, &modern, &modern, &classic, &classic];
    for way in ways {
        if members.len() == 2 {
            // What it has read is committed with its leaving, so that nothing is read again.
            let gone = members.remove(0);
            gone.consumer.commit_polled(LIMIT).unwrap();
            gone.consumer.close(LIMIT).unwrap();
            read.extend(gone.got.into_iter().flat_map(of_partition));
        }
        members.push(Member::subscribed(&broker, way));
        poll_without_overlap(&mut members, "a share each", |m| shared_out(m, 4));
        for partition in 0..4 {
            let rows = [batch(&numbered(written..written + 5), Codec::None)];
            produce(&broker, "t", partition, &rows);
        }
        written += 5;
        poll_without_overlap(&mut members, "all that is new", |m| {
            read.len() + m.iter().map(Member::count).sum::<usize>() >= 4 * written as usize
        });
    }
    read.extend(
        members
            .into_iter()
            .flat_map(|m| m.got)
            .flat_map(of_partition),
    );
    read.sort_unstable();
    let all = (0..4).flat_map(|p| (0..written as i64).map(move |o| (p, o)));
    assert_eq!(read, all.collect::<Vec<_>>(), "each once");
}

fn of_partition((partition, offsets): (i32, Vec<i64>)) -> impl Iterator<Item = (i32, i64)> {
    offsets.into_iter().map(move |offset| (partition, offset))
}

#[test]
fn eager_members_and_the_new_protocols_are_exchanged_one_by_one() {
    roll("range");
}

#[test]
fn cooperative_members_and_the_new_protocols_are_exchanged_one_by_one() {
    roll("cooperative-sticky");
}

#[test]
fn static_members_keep_what_they_have_when_they_change_the_protocol() {
    let broker = broker(1);
    topic(&broker, 4, 10);
    let named = |instance, mut keys: Vec<(&'static str, &'static str)>| {
        keys.push(("group.instance.id", instance));
        keys
    };
    let mut members = vec![
        Member::subscribed(&broker, &named("a", CLASSIC.to_vec())),
        Member::subscribed(&broker, &named("b", CLASSIC.to_vec())),
    ];
    poll_until(&mut members, "a share each", |m| shared_out(m, 4));
    for (instance, keys) in [
        ("a", &MODERN),
        ("b", &MODERN),
        ("a", &CLASSIC),
        ("b", &CLASSIC),
    ] {
        let gone = members.remove(0);
        gone.consumer.close(LIMIT).unwrap();
        members[0].events.clear();
        members.push(Member::subscribed(&broker, &named(instance, keys.to_vec())));
        poll_without_overlap(&mut members, "what it had", |m| m[1].owned == gone.owned);
        assert!(
            !members[0]
                .kinds()
                .iter()
                .any(|k| matches!(k, Revoked | Lost)),
            "{:?}",
            members[0].events
        );
    }
}

/// The node that coordinates goes and comes back, alone or among others: nobody joins anew.
#[test]
fn a_coordinator_that_comes_back_knows_its_members() {
    let pairs = [
        [&CLASSIC, &CLASSIC],
        [&MODERN, &MODERN],
        [&CLASSIC, &MODERN],
    ];
    for (nodes, pair) in [1, 3].into_iter().flat_map(|n| pairs.map(|pair| (n, pair))) {
        let broker = broker(nodes);
        topic(&broker, 4, 10);
        let mut members = pair.map(|keys| Member::subscribed(&broker, keys));
        poll_until(&mut members, "a share each", |m| shared_out(m, 4));
        let count = |m: &[Member]| m.iter().map(Member::count).sum::<usize>();
        poll_until(&mut members, "40 records", |m| count(m) == 40);
        let known = |m: &Member| m.consumer.group_metadata().unwrap();
        let before = [known(&members[0]), known(&members[1])];
        members.iter_mut().for_each(|m| m.events.clear());
        let node = broker.group_coordinator("g").unwrap().unwrap();
        broker.stop_node(node).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        broker.start_node(node).unwrap();
        produce(&broker, "t", 0, &[batch(&numbered(10..12), Codec::None)]);
        poll_until(&mut members, "what is new", |m| count(m) == 42);
        for (member, before) in members.iter().zip(before) {
            let now = known(member);
            assert_eq!(
                (now.member_id, now.generation),
                (before.member_id, before.generation)
            );
            assert!(
                !member.kinds().iter().any(|k| matches!(k, Revoked | Lost)),
                "{:?}",
                member.events
            );
        }
    }
}
