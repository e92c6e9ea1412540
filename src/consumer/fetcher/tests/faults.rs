//! Refusals, losses and resets.

use super::*;
use crate::reading::testing::Wire;

#[test]
fn a_leader_hint_is_followed_at_once() {
    let mut w = World::new(1, &[]);
    w.assign(0, Start::Offset(4));
    let (asked, _) = w.fetch();
    let before = w.metadata_requests;
    let hint = FetchedPartition {
        current_leader: Some((3, 9)),
        ..refused(0, 6)
    };
    w.fetched(&asked, 7, vec![hint], vec![]);
    let (asked, request) = w.fetch();
    assert_eq!(asked.node, 3);
    assert_eq!(request.topics[0].partitions[0].current_leader_epoch, 9);
    assert!(w.metadata_requests <= before + 1);
    w.fetched(
        &asked,
        8,
        vec![holding(0, &[Wire::new(4, 1).bytes()])],
        vec![],
    );
    assert_eq!(w.records(), [4]);
}

#[test]
fn without_a_hint_metadata_tells_and_the_refuser_is_left_alone() {
    for code in [6, 74, 75, 3, 100, 103, 56] {
        let mut w = World::new(1, &[]);
        w.assign(0, Start::Offset(4));
        w.wait(1000);
        let (asked, _) = w.fetch();
        w.fetched(&asked, 7, vec![refused(0, code)], vec![]);
        assert!(
            w.fetches.is_empty(),
            "{code}: metadata brought no news, so the leader is left alone"
        );
        w.wait(1000);
        let (asked, request) = w.fetch();
        assert_eq!(
            (asked.node, listed(&request)),
            (1, vec![]),
            "{code}: asked again as before"
        );
        w.leaders[0] = (2, 6);
        w.fetched(&asked, 7, vec![refused(0, code)], vec![]);
        let (asked, request) = w.fetch();
        assert_eq!(
            (asked.node, listed(&request)),
            (2, vec![(0, 4, -1)]),
            "{code}"
        );
        assert!(matches!(w.poll(), Polled::Nothing), "{code} is no event");
    }
}

#[test]
fn other_refusals_are_told_once_and_retried() {
    let mut w = World::new(1, &[]);
    w.assign(0, Start::Offset(4));
    for round in 0..3 {
        let (asked, _) = w.fetch();
        w.fetched(&asked, 7, vec![refused(0, 29)], vec![]);
        if round == 0 {
            let event = w.event();
            assert_eq!((event.kind, event.from), (EventKind::PartitionFailing, 4));
            assert!(event.error.unwrap().message().contains("ACL"));
        }
        assert!(matches!(w.poll(), Polled::Nothing));
        assert!(w.fetches.is_empty());
        w.wait(2000);
    }
    let (asked, _) = w.fetch();
    w.fetched(
        &asked,
        7,
        vec![holding(0, &[Wire::new(4, 1).bytes()])],
        vec![],
    );
    assert_eq!(w.records(), [4]);
}

#[test]
fn a_lost_session_is_begun_anew_at_once_but_not_for_ever() {
    let mut w = World::new(1, &[]);
    w.assign(0, Start::Offset(0));
    let (asked, _) = w.fetch();
    w.fetched(&asked, 7, vec![], vec![]);
    let (asked, _) = w.fetch();
    w.fetch_answered(&asked, 71, 0, vec![], vec![]);
    let (asked, request) = w.fetch();
    assert_eq!((request.session_id, request.session_epoch), (7, 0));
    assert_eq!(listed(&request), [(0, 0, -1)]);
    w.fetch_answered(&asked, 70, 0, vec![], vec![]);
    assert!(w.fetches.is_empty(), "twice in a row is trouble");
    w.wait(2000);
    let (_, request) = w.fetch();
    assert_eq!((request.session_id, request.session_epoch), (0, 0));
}

#[test]
fn a_lost_connection_loses_nothing() {
    let mut w = World::new(1, &[]);
    w.assign(0, Start::Offset(0));
    let (asked, _) = w.fetch();
    w.fetched(&asked, 7, vec![], vec![]);
    let (asked, _) = w.fetch();
    // Half of the answer, then the end.
    let head = FetchHead {
        throttle_ms: 0,
        error_code: 0,
        session_id: 7,
    };
    let parts = [
        FetchPart::Head(head),
        FetchPart::Partition(holding(0, &[Wire::new(0, 2).bytes()])),
    ];
    let mut arrivals: Vec<_> = parts
        .into_iter()
        .map(|p| Arrival::Fetch(asked.correlation, p))
        .collect();
    w.engine.arrived(w.now, asked.conn, &mut arrivals);
    w.act();
    w.engine
        .ended(w.now, asked.conn, Error::new(ErrorCode::CONNECT, "gone"));
    w.act();
    assert_eq!(w.records(), [0, 1]);
    w.wait(3000);
    let (_, request) = w.fetch();
    assert_eq!(
        (request.session_id, request.session_epoch, listed(&request)),
        (7, 0, vec![(0, 2, 0)])
    );
    assert_eq!(w.shared.memory.unread(), 0);
}

#[test]
fn the_next_leader_is_asked_with_the_epoch_that_the_last_one_forgot() {
    let mut w = World::new(1, &[]);
    w.assign(0, Start::Offset(10));
    let (asked, _) = w.fetch();
    let records = holding(0, &[Wire::new(10, 2).bytes()]);
    w.fetched(&asked, 7, vec![records], vec![]);
    for _ in 0..2 {
        let (asked, _) = w.fetch();
        w.fetched(&asked, 7, vec![refused(0, 1)], vec![]);
    }
    let (asked, request) = w.fetch();
    assert_eq!(listed(&request), [(0, 12, -1)]);
    // The log holds the offset, and nothing new; then another broker leads, which may have cut it.
    let hint = FetchedPartition {
        current_leader: Some((3, 9)),
        ..refused(0, 6)
    };
    w.fetched(&asked, 7, vec![hint], vec![]);
    let (asked, request) = w.fetch();
    assert_eq!((asked.node, listed(&request)), (3, vec![(0, 12, 0)]));
}

#[test]
fn out_of_range_resets_by_the_policy_in_turn() {
    let mut w = World::new(1, &[("auto.offset.reset", "earliest")]);
    w.assign(0, Start::Offset(10));
    let (asked, _) = w.fetch();
    w.fetched(
        &asked,
        7,
        vec![holding(0, &[Wire::new(10, 2).bytes()])],
        vec![],
    );
    let (asked, request) = w.fetch();
    assert_eq!(listed(&request), [(0, 12, 0)]);
    w.fetched(&asked, 7, vec![refused(0, 1)], vec![]);
    let (asked, request) = w.fetch();
    assert_eq!(listed(&request), [], "asked the same once more");
    w.fetched(&asked, 7, vec![refused(0, 1)], vec![]);
    let (asked, request) = w.fetch();
    assert_eq!(
        listed(&request),
        [(0, 12, -1)],
        "asked once more without the epoch"
    );
    w.fetched(&asked, 7, vec![refused(0, 1)], vec![]);
    w.looked_up(|_, timestamp| {
        assert_eq!(timestamp, -2);
        (0, 700)
    });
    let event = w.event();
    assert_eq!(
        (event.kind, event.from, event.to),
        (EventKind::PositionReset, 12, 700)
    );
    let (asked, request) = w.fetch();
    assert_eq!(listed(&request), [(0, 700, -1)]);
    assert_eq!(
        w.records(),
        [10, 11],
        "what was fetched before is still delivered"
    );
    assert!(matches!(w.poll(), Polled::Nothing));
    assert_eq!(w.partition(0).position(), Some(700));
    w.fetched(
        &asked,
        7,
        vec![holding(0, &[Wire::new(700, 1).bytes()])],
        vec![],
    );
    assert_eq!(w.records(), [700]);
}

#[test]
fn a_truncated_log_is_reported() {
    for policy in ["latest", "none"] {
        let mut w = World::new(1, &[("auto.offset.reset", policy)]);
        w.assign(0, Start::Offset(10));
        let (asked, _) = w.fetch();
        w.fetched(
            &asked,
            7,
            vec![holding(
                0,
                &[Wire {
                    epoch: 5,
                    ..Wire::new(10, 10)
                }
                .bytes()],
            )],
            vec![],
        );
        let (asked, request) = w.fetch();
        assert_eq!(listed(&request), [(0, 20, 5)]);
        // Said in passing: the broker is asked the same again, by which it notices.
        w.fetched(&asked, 7, vec![refused(0, 1)], vec![]);
        let (asked, _) = w.fetch();
        w.fetched(
            &asked,
            7,
            vec![FetchedPartition {
                diverging_epoch: Some((4, 15)),
                ..part(0)
            }],
            vec![],
        );
        let event = w.event();
        assert_eq!((event.from, event.to), (20, 15));
        assert!(event.error.unwrap().message().contains("truncated"));
        if policy == "none" {
            assert_eq!(event.kind, EventKind::PartitionStopped);
            assert!(w.fetches.is_empty());
        } else {
            assert_eq!(event.kind, EventKind::PositionReset);
            // Should it be cut again before anything is read, that is noticed too.
            assert_eq!(listed(&w.fetch().1), [(0, 15, 4)]);
        }
    }
}

#[test]
fn a_topic_created_anew_begins_anew() {
    let mut w = World::new(1, &[("auto.offset.reset", "earliest")]);
    w.assign(0, Start::Offset(10));
    let (asked, _) = w.fetch();
    w.fetched(
        &asked,
        7,
        vec![holding(0, &[Wire::new(10, 2).bytes()])],
        vec![],
    );
    let (asked, _) = w.fetch();
    w.topic_id = 2;
    w.wait(1000);
    w.fetched(&asked, 7, vec![refused(0, 100)], vec![]);
    let event = w.event();
    assert_eq!(event.kind, EventKind::TopicRecreated);
    assert!(
        matches!(w.poll(), Polled::Nothing),
        "records of the old topic are dropped"
    );
    w.looked_up(|_, _| (0, 0));
    let (asked, request) = w.fetch();
    assert_eq!(listed(&request), [(0, 0, -1)]);
    assert_eq!(request.topics[0].topic_id, uuid::Uuid::from_bytes([2; 16]));
    assert_eq!(
        request.forgotten_topics_data[0].topic_id,
        uuid::Uuid::from_bytes([1; 16])
    );
    let mut first = holding(0, &[Wire::new(0, 1).bytes()]);
    first.topic = TopicRef::Id([2; 16]);
    w.fetched(&asked, 7, vec![first], vec![]);
    assert_eq!(w.records(), [0]);
}

#[test]
fn a_missing_topic_is_told_after_a_moment_and_found_later() {
    let mut w = World::new(1, &[]);
    w.exists = false;
    w.assign(0, Start::Offset(0));
    assert!(
        matches!(w.poll(), Polled::Nothing),
        "it may have been created just now"
    );
    w.wait(500);
    assert!(matches!(w.poll(), Polled::Nothing));
    w.wait(600);
    let event = w.event();
    assert_eq!(event.kind, EventKind::TopicFailing);
    assert!(event.error.unwrap().message().contains("'t'"));
    w.wait(5000);
    assert!(matches!(w.poll(), Polled::Nothing), "told once");
    w.exists = true;
    w.wait(5000);
    assert_eq!(listed(&w.fetch().1), [(0, 0, -1)]);
}

#[test]
fn lookups_are_retried_where_that_can_help() {
    let mut w = World::new(1, &[]);
    w.assign(0, Start::Earliest);
    w.looked_up(|_, _| (6, -1));
    assert!(w.lookups.is_empty());
    w.wait(2000);
    w.looked_up(|_, _| (0, 3));
    assert_eq!(w.partition(0).position(), Some(3));
    let mut w = World::new(1, &[]);
    w.assign(0, Start::Earliest);
    w.looked_up(|_, _| (29, -1));
    let event = w.event();
    assert_eq!(event.kind, EventKind::PartitionStopped);
    assert_eq!(
        event.error.unwrap().code(),
        ErrorCode::TOPIC_AUTHORIZATION_FAILED
    );
}

#[test]
fn a_broken_header_is_left_to_the_reader() {
    let mut w = World::new(1, &[]);
    w.assign(0, Start::Offset(0));
    let (asked, _) = w.fetch();
    let mut bad = Wire::new(2, 2).bytes();
    bad[16] = 9;
    w.fetched(
        &asked,
        7,
        vec![holding(0, &[Wire::new(0, 2).bytes(), bad])],
        vec![],
    );
    assert!(w.fetches.is_empty());
    assert_eq!(w.records(), [0, 1]);
    let event = w.event();
    assert_eq!((event.kind, event.from), (EventKind::PartitionStopped, 2));
    let partition = w.partition(0);
    let generation = partition.restart(Start::Offset(4));
    w.shared.command(Command::Start {
        partition,
        generation,
        start: Start::Offset(4),
    });
    w.turn();
    assert_eq!(listed(&w.fetch().1), [(0, 4, -1)]);
}
