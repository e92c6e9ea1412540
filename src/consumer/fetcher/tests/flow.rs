//! Fetching when nothing goes wrong.

use super::*;
use crate::reading::buffer::FLOOR;
use crate::reading::testing::{Wire, marker, pooled};

fn with(mut part: FetchedPartition, batches: &[Vec<u8>]) -> FetchedPartition {
    part.records = Some(pooled(batches));
    part
}

#[test]
fn one_fetch_a_leader_and_only_changes_after_the_first() {
    let mut w = World::new(3, &[]);
    for partition in 0..3 {
        w.assign(partition, Start::Offset(10));
    }
    w.turn();
    // Assigned one by one, so the first broker was asked before its second partition was known.
    let (first, request) = w.fetch();
    assert_eq!((first.node, listed(&request)), (1, vec![(0, 10, -1)]));
    assert_eq!(
        (
            request.session_id,
            request.session_epoch,
            request.isolation_level
        ),
        (0, 0, 0)
    );
    let (second, request) = w.fetch();
    assert_eq!((second.node, listed(&request)), (2, vec![(1, 10, -1)]));
    assert!(w.fetches.is_empty(), "one on its way to each");
    w.fetched(
        &first,
        77,
        vec![with(part(0), &[Wire::new(10, 5).bytes()])],
        vec![],
    );
    let (again, request) = w.fetch();
    assert_eq!((request.session_id, request.session_epoch), (77, 1));
    assert_eq!(
        listed(&request),
        [(0, 15, 0), (2, 10, -1)],
        "goes on without the reader, and lists the new one"
    );
    assert_eq!(w.records(), [10, 11, 12, 13, 14]);
    assert_eq!(w.partition(0).position(), Some(10));
    assert_eq!(w.partition(0).end(false), Some(1000));
    w.fetched(&again, 77, vec![], vec![]);
    let (_, request) = w.fetch();
    assert_eq!(
        (request.session_epoch, listed(&request), forgotten(&request)),
        (2, vec![], vec![])
    );
}

#[test]
fn pausing_forgets_and_resuming_lists_again() {
    let mut w = World::new(4, &[]);
    w.assign(0, Start::Offset(0));
    w.assign(2, Start::Offset(0));
    let (asked, _) = w.fetch();
    w.fetched(&asked, 7, vec![], vec![]);
    let (asked, request) = w.fetch();
    assert_eq!(listed(&request), [(2, 0, -1)]);
    w.shared.set_paused(&[w.partition(2)], true);
    w.fetched(&asked, 7, vec![], vec![]);
    let (asked, request) = w.fetch();
    assert_eq!((listed(&request), forgotten(&request)), (vec![], vec![2]));
    w.shared.set_paused(&[w.partition(2)], false);
    w.fetched(&asked, 7, vec![], vec![]);
    let (asked, request) = w.fetch();
    assert_eq!(
        (listed(&request), forgotten(&request)),
        (vec![(2, 0, -1)], vec![])
    );
    w.shared.set_paused(&[w.partition(0), w.partition(2)], true);
    w.fetched(&asked, 7, vec![], vec![]);
    assert!(w.fetches.is_empty(), "nothing to fetch");
    w.shared.set_paused(&[w.partition(0)], false);
    w.turn();
    assert_eq!(forgotten(&w.fetch().1), [2]);
}

#[test]
fn what_is_looked_up_comes_before_the_fetch() {
    let mut w = World::new(4, &[]);
    for (partition, start) in [
        (0, Start::Earliest),
        (2, Start::Latest),
        (1, Start::Timestamp(500)),
    ] {
        w.assign(partition, start);
    }
    assert!(w.fetches.is_empty());
    w.looked_up(|partition, timestamp| {
        assert_eq!((partition, timestamp), (0, -2));
        (0, 3)
    });
    w.looked_up(|_, timestamp| (0, if timestamp == 500 { -1 } else { 9 }));
    w.looked_up(|partition, timestamp| {
        (
            0,
            if (partition, timestamp) == (2, -1) {
                40
            } else {
                41
            },
        )
    });
    w.looked_up(|_, timestamp| (0, if timestamp == -1 { 60 } else { 61 }));
    assert_eq!(w.partition(0).position(), Some(3));
    assert_eq!(w.partition(2).position(), Some(40));
    assert_eq!(
        w.partition(1).position(),
        Some(60),
        "no record so late: the end"
    );
}

#[test]
fn answers_to_an_earlier_position_are_dropped() {
    let mut w = World::new(1, &[]);
    w.assign(0, Start::Offset(10));
    let (asked, _) = w.fetch();
    let partition = w.partition(0);
    let generation = partition.restart(Start::Offset(500));
    w.shared.command(Command::Start {
        partition,
        generation,
        start: Start::Offset(500),
    });
    w.fetched(
        &asked,
        7,
        vec![with(part(0), &[Wire::new(10, 5).bytes()])],
        vec![],
    );
    assert!(matches!(w.poll(), Polled::Nothing));
    let (asked, request) = w.fetch();
    assert_eq!(listed(&request), [(0, 500, -1)]);
    w.fetched(
        &asked,
        7,
        vec![with(part(0), &[Wire::new(500, 1).bytes()])],
        vec![],
    );
    assert_eq!(w.records(), [500]);
}

#[test]
fn fetches_ask_for_no_more_than_there_is_room_for() {
    const CAP: i32 = 1 << 20;
    let mut w = World::new(
        2,
        &[
            ("fetch.memory.bytes", "1MiB"),
            ("max.partition.fetch.bytes", "1MiB"),
        ],
    );
    w.assign(0, Start::Offset(0));
    w.assign(1, Start::Offset(0));
    w.turn();
    let (one, request) = w.fetch();
    assert_eq!(request.max_bytes, CAP, "alone at first");
    let (two, request) = w.fetch();
    assert_eq!(
        (two.node, request.max_bytes),
        (2, FLOOR as i32),
        "all is set aside, and nothing can be read"
    );
    w.fetched(&two, 8, vec![], vec![]);
    // 600 kB come: from now on each gets half, while there is so much.
    let batch = || Wire::new(0, 30_000).bytes();
    let size = batch().len();
    assert!(size > 500_000 && size < 700_000, "{size}");
    w.fetched(&one, 7, vec![with(part(0), &[batch()])], vec![]);
    let unread = w.shared.memory.unread();
    let asked: Vec<_> = std::iter::from_fn(|| (!w.fetches.is_empty()).then(|| w.fetch())).collect();
    let together: i32 = asked.iter().map(|(_, r)| r.max_bytes).sum();
    assert!(
        !asked.is_empty() && unread + together as usize <= CAP as usize + FLOOR,
        "{unread} + {together}"
    );
    // A batch larger than all of it still passes, and then nothing is asked for until it is read.
    let large = Wire::new(30_000, 60_000).bytes();
    for (asked, _) in &asked {
        let parts = if asked.node == 1 {
            vec![with(part(0), std::slice::from_ref(&large))]
        } else {
            vec![]
        };
        w.fetched(asked, 7, parts, vec![]);
    }
    let late: Vec<_> = std::iter::from_fn(|| (!w.fetches.is_empty()).then(|| w.fetch())).collect();
    assert!(
        late.iter().all(|(asked, _)| asked.node == 2),
        "nothing more of the full partition"
    );
    assert!(w.shared.memory.armed());
    while matches!(w.poll(), Polled::Batch(_)) {}
    assert_eq!(w.shared.memory.unread(), 0);
    assert!(!w.shared.memory.armed(), "reading woke the I/O side");
    for (asked, _) in &late {
        w.fetched(asked, 7, vec![], vec![]);
    }
    assert!(!w.fetches.is_empty());
}

#[test]
fn a_partition_far_ahead_of_its_reader_waits() {
    let mut w = World::new(1, &[("max.partition.fetch.bytes", "10kB")]);
    w.assign(0, Start::Offset(0));
    let mut next = 0;
    while let Some(asked) = w.fetches.pop_front() {
        w.fetched(
            &asked,
            7,
            vec![with(part(0), &[Wire::new(next, 300).bytes()])],
            vec![],
        );
        next += 300;
        assert!(next < 3000, "fetching never ends");
    }
    assert!(w.shared.memory.unread() > 10_000);
    let polled = w.reader.poll(&w.shared, 10, Duration::ZERO).unwrap();
    assert!(matches!(polled, Polled::Batch(_)));
    w.turn();
    assert!(w.fetches.is_empty(), "a little was read: no reason to wake");
    while !w.records().is_empty() && w.fetches.is_empty() {}
    assert_eq!(listed(&w.fetch().1), [(0, next, 0)]);
}

#[test]
fn old_brokers_are_asked_by_name_and_without_sessions() {
    for (version, sessions) in [(12, true), (7, true), (6, false), (4, false)] {
        let mut w = World::new(1, &[]);
        w.max_fetch_version = version;
        w.assign(0, Start::Offset(0));
        let (asked, request) = w.fetch();
        assert_eq!(
            (asked.version, request.topics[0].topic.as_str()),
            (version, "t")
        );
        let by_name = |mut p: FetchedPartition| {
            p.topic = TopicRef::Name("t".to_owned());
            p
        };
        let session = if sessions { 9 } else { 0 };
        w.fetched(
            &asked,
            session,
            vec![with(by_name(part(0)), &[Wire::new(0, 2).bytes()])],
            vec![],
        );
        let (asked, request) = w.fetch();
        assert_eq!(
            listed(&request).iter().map(|l| l.1).collect::<Vec<_>>(),
            [2],
            "version {version}"
        );
        w.fetched(&asked, session, vec![by_name(part(0))], vec![]);
        let request = w.fetch().1;
        assert_eq!(
            listed(&request).len(),
            usize::from(!sessions),
            "version {version}: everything again, or nothing new"
        );
        assert_eq!(w.records(), [0, 1]);
    }
}

#[test]
fn control_batches_and_cut_off_ones_move_on() {
    let mut w = World::new(1, &[("isolation.level", "read_committed")]);
    w.assign(0, Start::Offset(0));
    let (asked, request) = w.fetch();
    assert_eq!(request.isolation_level, 1);
    let mut cut = Wire::new(4, 5).bytes();
    cut.truncate(80);
    let mut aborted = with(
        part(0),
        &[
            Wire::new(0, 3).of(4).bytes(),
            marker(3, 4, false),
            cut.clone(),
        ],
    );
    aborted.aborted = vec![(4, 0)];
    w.fetched(&asked, 7, vec![aborted], vec![]);
    assert!(matches!(w.poll(), Polled::Nothing));
    assert_eq!(w.partition(0).position(), Some(4));
    let (asked, request) = w.fetch();
    assert_eq!(listed(&request), [(0, 4, 0)]);
    w.fetched(&asked, 7, vec![with(part(0), &[cut])], vec![]);
    let (asked, request) = w.fetch();
    assert_eq!(
        listed(&request),
        [],
        "less than a batch came: asked for again as it was"
    );
    w.fetched(
        &asked,
        7,
        vec![with(part(0), &[Wire::new(4, 5).bytes()])],
        vec![],
    );
    assert_eq!(w.records(), [4, 5, 6, 7, 8]);
    assert_eq!(w.partition(0).end(true), Some(1000));
}

#[test]
fn a_nearer_replica_is_read_until_it_fails() {
    let mut w = World::new(1, &[("client.rack", "r1")]);
    w.assign(0, Start::Offset(0));
    let (asked, request) = w.fetch();
    assert_eq!((asked.node, &*request.rack_id), (1, "r1"));
    let mut redirect = part(0);
    redirect.preferred_read_replica = 3;
    w.fetched(&asked, 7, vec![redirect], vec![]);
    let (asked, request) = w.fetch();
    assert_eq!((asked.node, listed(&request)), (3, vec![(0, 0, -1)]));
    w.fetched(
        &asked,
        8,
        vec![with(part(0), &[Wire::new(0, 2).bytes()])],
        vec![],
    );
    let (asked, _) = w.fetch();
    assert_eq!(asked.node, 3);
    let mut lost = part(0);
    lost.error_code = 1;
    w.fetched(&asked, 8, vec![lost], vec![]);
    let (asked, request) = w.fetch();
    assert_eq!(
        (asked.node, listed(&request)),
        (1, vec![(0, 2, 0)]),
        "the leader decides"
    );
    assert_eq!(w.records(), [0, 1]);
}
