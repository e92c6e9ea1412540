//! What fails for good: it is tried again calmly, and what is told of it doesn't pile up though nobody polls.

use super::*;

/// How the cluster answers for ever.
type Answer<'a> = &'a dyn Fn(&mut World, &Asked, &FetchRequest);

/// Ten seconds of that; how many fetches, lookups and metadata requests were made.
fn ten_seconds(w: &mut World, answer: Answer) -> [usize; 3] {
    let end = w.now + Duration::from_secs(10);
    let before = w.metadata_requests;
    let mut counts = [0; 3];
    while w.now < end {
        if w.fetches.is_empty() && w.lookups.is_empty() {
            w.wait(5);
            continue;
        }
        while !w.fetches.is_empty() {
            let (asked, request) = w.fetch();
            counts[0] += 1;
            answer(w, &asked, &request);
        }
        while !w.lookups.is_empty() {
            counts[1] += 1;
            w.looked_up(|_, _| (0, 7));
        }
        assert!(counts[0] + counts[1] < 1000, "a busy loop: {counts:?}");
    }
    counts[2] = w.metadata_requests - before;
    counts
}

/// At most 15 requests of a kind in a second, and at most two events that wait.
fn assert_calm(w: &World, what: &str, counts: [usize; 3]) {
    assert!(counts[0] > 3, "{what}: is it tried again? {counts:?}");
    assert!(counts.iter().all(|n| *n <= 150), "{what}: {counts:?}");
    let waiting = w.shared.inbox.items.with(|items| {
        let event = |item: &&crate::client::inbox::Item<Chunk>| {
            matches!(item, crate::client::inbox::Item::Event(_))
        };
        items.iter().filter(event).count()
    });
    assert!(waiting <= 2, "{what}: {waiting} events wait");
}

#[test]
fn any_refusal_of_a_partition_is_retried_calmly() {
    for code in (-1..=133).filter(|code| *code != 0) {
        let mut w = World::new(1, &[("auto.offset.reset", "earliest")]);
        w.assign(0, Start::Offset(4));
        let refuse = |w: &mut World, asked: &Asked, _: &FetchRequest| {
            let hint = FetchedPartition {
                current_leader: Some((2, 9)),
                ..refused(0, code)
            };
            w.fetched(asked, 7, vec![hint], vec![]);
        };
        let counts = ten_seconds(&mut w, &refuse);
        // These two end the matter.
        if !matches!(code, 35 | 76) {
            assert_calm(&w, &format!("code {code}"), counts);
        }
    }
}

#[test]
fn any_refusal_of_a_fetch_is_retried_calmly() {
    for code in (-1..=133).filter(|code| *code != 0) {
        let mut w = World::new(1, &[]);
        w.assign(0, Start::Offset(4));
        let refuse = |w: &mut World, asked: &Asked, _: &FetchRequest| {
            w.fetch_answered(asked, code, 0, vec![], vec![])
        };
        let counts = ten_seconds(&mut w, &refuse);
        assert_calm(&w, &format!("code {code}"), counts);
        assert!(
            counts[0] < 30,
            "{code}: pauses grow, whatever metadata brings: {counts:?}"
        );
    }
}

#[test]
fn out_of_range_where_the_reset_leads_is_told_once() {
    let mut w = World::new(1, &[("auto.offset.reset", "earliest")]);
    w.assign(0, Start::Offset(4));
    let refuse = |w: &mut World, asked: &Asked, _: &FetchRequest| {
        w.fetched(asked, 7, vec![refused(0, 1)], vec![]);
    };
    let counts = ten_seconds(&mut w, &refuse);
    assert_calm(&w, "out of range", counts);
    let event = w.event();
    assert_eq!(
        (event.kind, event.from, event.to),
        (EventKind::PositionReset, 4, 7)
    );
    let event = w.event();
    assert_eq!((event.kind, event.from), (EventKind::PartitionFailing, 7));
    assert!(matches!(w.poll(), Polled::Nothing));
    // What is readable again is read.
    let (asked, _) = std::iter::from_fn(|| {
        w.wait(100);
        while !w.lookups.is_empty() {
            w.looked_up(|_, _| (0, 7));
        }
        Some(!w.fetches.is_empty())
    })
    .take(30)
    .any(|there| there)
    .then(|| w.fetch())
    .expect("a fetch");
    w.fetched(
        &asked,
        7,
        vec![holding(
            0,
            &[crate::reading::testing::Wire::new(7, 1).bytes()],
        )],
        vec![],
    );
    assert_eq!(w.records(), [7]);
}

#[test]
fn a_log_said_to_diverge_for_good_is_asked_for_calmly() {
    let mut w = World::new(1, &[]);
    w.assign(0, Start::Offset(20));
    let diverge = |w: &mut World, asked: &Asked, _: &FetchRequest| {
        let part = FetchedPartition {
            diverging_epoch: Some((4, 15)),
            ..part(0)
        };
        w.fetched(asked, 7, vec![part], vec![]);
    };
    let counts = ten_seconds(&mut w, &diverge);
    assert_calm(&w, "diverging", counts);
    assert_eq!(
        (w.event().from, w.shared.inbox.items.len()),
        (20, 1),
        "and the jump"
    );
}

#[test]
fn a_replica_that_is_named_and_refuses_for_good_is_asked_calmly() {
    let mut w = World::new(1, &[("client.rack", "r1")]);
    w.assign(0, Start::Offset(0));
    let answer = |w: &mut World, asked: &Asked, _: &FetchRequest| {
        let redirect = FetchedPartition {
            preferred_read_replica: 3,
            ..part(0)
        };
        let answer = if asked.node == 3 {
            refused(0, 1)
        } else {
            redirect
        };
        w.fetched(asked, 7, vec![answer], vec![]);
    };
    let counts = ten_seconds(&mut w, &answer);
    assert_calm(&w, "redirected", counts);
}

#[test]
fn an_answer_that_is_too_large_is_told_and_tried_again_calmly() {
    for partitions in [1, 3] {
        let mut w = World::new(partitions, &[]);
        w.leaders.iter_mut().for_each(|leader| leader.0 = 1);
        for partition in 0..partitions {
            w.assign(partition as i32, Start::Offset(4));
        }
        if let Some(asked) = w.fetches.pop_front() {
            w.fetched(&asked, 7, vec![], vec![]);
        }
        let too_large = |w: &mut World, asked: &Asked, _: &FetchRequest| {
            let error = Error::new(
                ErrorCode::CONFIG,
                "2004 bytes, receive.message.max.bytes=1000",
            );
            w.cut(asked.conn, error);
            // Metadata says that the broker is well.
            w.engine.core.refresh_metadata();
        };
        let counts = ten_seconds(&mut w, &too_large);
        assert_calm(&w, "too large", counts);
        assert!(counts[0] <= 25, "pauses grow: {counts:?}");
        let event = w.event();
        assert_eq!(event.kind, EventKind::PartitionFailing);
        assert_eq!(
            (event.partition, event.partitions.len()),
            if partitions == 1 { (0, 0) } else { (-1, 3) }
        );
        let message = event.message();
        for part in [
            "2004",
            "receive.message.max.bytes=1000",
            "t-0",
            "broker1:1000",
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert!(matches!(w.poll(), Polled::Nothing), "told once");
    }
}

#[test]
fn a_broker_that_stops_answering_is_told_once_and_again_after_it_was_back() {
    let mut w = World::new(1, &[("request.timeout.ms", "5s")]);
    w.assign(0, Start::Offset(4));
    for _ in 0..2 {
        let (asked, _) = w.fetch();
        w.wait(4900);
        assert!(matches!(w.poll(), Polled::Nothing));
        w.wait(200);
        let event = w.event();
        assert_eq!(event.kind, EventKind::BrokerUnreachable);
        let message = event.message();
        for part in ["broker1:1000", "no answer to Fetch"] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!w.conns.contains_key(&asked.conn));
        for _ in 0..3 {
            w.wait(6000);
            assert!(matches!(w.poll(), Polled::Nothing), "told once");
        }
        while w.fetches.len() > 1 {
            w.fetches.pop_front();
        }
        let (asked, _) = w.fetch();
        w.fetched(&asked, 7, vec![], vec![]);
    }
}

#[test]
fn a_broker_that_is_down_is_told_after_a_moment() {
    let mut w = World::new(1, &[]);
    w.assign(0, Start::Offset(4));
    let (asked, _) = w.fetch();
    w.fetched(&asked, 7, vec![], vec![]);
    w.down.insert(1);
    let conns: Vec<ConnId> = w.conns.keys().copied().collect();
    for conn in conns {
        if w.conns[&conn] == 1 {
            w.cut(conn, Error::new(ErrorCode::CONNECT, "connection reset"));
        }
    }
    for _ in 0..19 {
        w.wait(100);
        assert!(matches!(w.poll(), Polled::Nothing), "it may only restart");
    }
    w.wait(150);
    let event = w.event();
    assert_eq!(event.kind, EventKind::BrokerUnreachable);
    assert!(
        event.message().contains("connection refused"),
        "{}",
        event.message()
    );
    for _ in 0..20 {
        w.wait(1000);
        assert!(matches!(w.poll(), Polled::Nothing), "told once");
    }
    w.down.clear();
    w.fetches.clear();
    w.wait(2000);
    let (asked, request) = w.fetch();
    assert_eq!(listed(&request), [(0, 4, -1)]);
    w.fetched(&asked, 8, vec![], vec![]);
    let mut lines = Vec::new();
    w.engine.core.log.drain(100, &mut lines);
    let back = |line: &crate::log::LogLine| line.message.contains("again");
    assert!(lines.iter().any(back), "{lines:?}");
}
