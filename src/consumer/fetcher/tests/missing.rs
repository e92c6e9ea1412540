//! Partitions that don't exist, and topics that are created anew.

use super::*;
use crate::client::calls::question;
use crate::consumer::shared::FoundOffset;

#[test]
fn a_partition_that_does_not_exist_is_told_and_looked_for() {
    for start in [Start::Offset(0), Start::Earliest] {
        let mut w = World::new(1, &[]);
        w.assign(1, start);
        w.wait(900);
        assert!(
            matches!(w.poll(), Polled::Nothing),
            "it may have been made just now"
        );
        w.wait(200);
        let event = w.event();
        assert_eq!(
            (event.kind, event.partition),
            (EventKind::PartitionFailing, 1)
        );
        let message = event.message();
        assert!(
            message.contains("t-1") && message.contains("1 partition"),
            "{message}"
        );
        let before = w.metadata_requests;
        for _ in 0..600 {
            w.wait(100);
        }
        assert!(matches!(w.poll(), Polled::Nothing), "told once");
        let asked = w.metadata_requests - before;
        assert!((10..=30).contains(&asked), "{asked} in a minute");
        w.leaders.push((2, 5));
        w.wait(6000);
        if start == Start::Earliest {
            w.looked_up(|_, _| (0, 3));
        }
        assert_eq!(listed(&w.fetch().1).len(), 1, "made later, it is read soon");
        assert!(matches!(w.poll(), Polled::Nothing));
        // Gone again, which is news.
        w.leaders.pop();
        w.topic_id = 2;
        w.engine.core.refresh_metadata();
        w.wait(200);
        w.wait(1100);
        let kinds = [w.event().kind, w.event().kind];
        assert_eq!(
            kinds,
            [EventKind::TopicRecreated, EventKind::PartitionFailing]
        );
    }
}

#[test]
fn a_sought_partition_that_does_not_exist_is_told_of_again() {
    let mut w = World::new(1, &[]);
    w.assign(1, Start::Offset(0));
    w.wait(1100);
    assert_eq!(w.event().kind, EventKind::PartitionFailing);
    w.seek(1, Start::Offset(4));
    let event = w.event();
    assert_eq!(
        (event.kind, event.partition),
        (EventKind::PartitionFailing, 1)
    );
}

#[test]
fn offsets_of_a_new_partition_are_found_though_it_is_not_known_yet() {
    let mut w = World::new(1, &[]);
    w.assign(0, Start::Offset(0));
    let ask = |w: &mut World, partition: i32| {
        let (reply, call) = question("looking up offsets", Duration::ZERO);
        w.shared.command(Command::Offsets {
            wanted: vec![(Arc::from("t"), partition, -1)],
            deadline: w.now + Duration::from_secs(10),
            reply,
        });
        w.turn();
        call
    };
    w.leaders.push((2, 5));
    let call = ask(&mut w, 1);
    w.wait(200);
    w.looked_up(|_, _| (0, 30));
    let found = FoundOffset {
        offset: 30,
        timestamp: -1,
    };
    assert_eq!(call.wait_for(Duration::ZERO).unwrap().unwrap(), [found]);
    let call = ask(&mut w, 9);
    w.wait(200);
    let error = call.wait_for(Duration::ZERO).unwrap().unwrap_err();
    assert!(error.message().contains("t-9 does not exist"), "{error}");
}

#[test]
fn a_topic_created_anew_is_read_from_the_start_that_was_asked_for() {
    for (start, policy, timestamp) in [
        (Start::Earliest, "latest", -2),
        // Everything in the new topic is later than the start.
        (Start::Latest, "latest", -2),
        (Start::Timestamp(500), "latest", 500),
        (Start::Offset(10), "latest", -1),
        (Start::Offset(10), "earliest", -2),
        (Start::Reset, "latest", -1),
        (Start::Reset, "earliest", -2),
    ] {
        let mut w = World::new(1, &[("auto.offset.reset", policy)]);
        w.assign(0, start);
        if !w.lookups.is_empty() {
            w.looked_up(|_, _| (0, 10));
        }
        let (asked, _) = w.fetch();
        for topic_id in [2, 3] {
            w.topic_id = topic_id;
            w.engine.core.refresh_metadata();
            w.wait(1000);
            assert_eq!(w.event().kind, EventKind::TopicRecreated);
            w.looked_up(|_, asked| {
                assert_eq!(asked, timestamp, "{start:?} {policy}");
                (0, 0)
            });
        }
        w.fetched(&asked, 7, vec![], vec![]);
        while w.fetches.len() > 1 {
            w.fetches.pop_front();
        }
        assert_eq!(listed(&w.fetch().1), [(0, 0, -1)]);
    }
}

#[test]
fn the_end_of_a_paused_partition_is_renewed() {
    let mut w = World::new(1, &[]);
    w.assign(0, Start::Offset(10));
    let (asked, _) = w.fetch();
    w.fetched(&asked, 7, vec![part(0)], vec![]);
    assert_eq!(w.partition(0).end(false), Some(1000));
    w.shared.set_paused(&[w.partition(0)], true);
    w.turn();
    w.wait(4900);
    assert!(w.lookups.is_empty());
    w.wait(200);
    w.looked_up(|_, timestamp| (0, if timestamp == -1 { 4000 } else { 0 }));
    assert_eq!(w.partition(0).end(false), Some(4000));
    assert_eq!(w.partition(0).position(), Some(10));
    w.wait(5100);
    w.looked_up(|_, _| (29, -1));
    assert!(
        matches!(w.poll(), Polled::Nothing),
        "that it fails is found when it is read"
    );
    w.wait(5100);
    assert_eq!(w.lookups.len(), 1);
    w.shared.set_paused(&[w.partition(0)], false);
    w.turn();
    w.looked_up(|_, _| (0, 1));
    assert_eq!(w.partition(0).end(false), Some(4000), "fetches know better");
    w.wait(20_000);
    assert!(w.lookups.is_empty(), "nothing is paused");
}
