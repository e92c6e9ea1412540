//! Membership in groups on the embedded broker, by both protocols.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ottla::ErrorCode;
use ottla::broker::{Broker, BrokerOptions, Fault, FaultRule, api_key};
use ottla::consumer::{Consumer, Event, EventKind, Polled};
use ottla::protocol::compress::Codec;

use super::support::{LIMIT, batch, consumer, numbered, produce};

/// A member that is polled in turn with others, and what it has seen.
pub(crate) struct Member {
    pub(crate) consumer: Consumer,
    pub(crate) owned: BTreeSet<i32>,
    pub(crate) events: Vec<Event>,
    pub(crate) got: BTreeMap<i32, Vec<i64>>,
}

impl Member {
    fn new(broker: &Broker, more: &[(&str, &str)]) -> Self {
        let given = |key: &str| more.iter().any(|(given, _)| *given == key);
        let mut keys = vec![("group.id", "g"), ("auto.offset.reset", "earliest")];
        // The new protocol's heartbeats are the broker's to say.
        if !given("group.protocol") {
            keys.push(("heartbeat.interval.ms", "50"));
        }
        keys.retain(|(key, _)| !given(key));
        keys.extend(more);
        Member {
            consumer: consumer(&broker.bootstrap_servers(), &keys),
            owned: BTreeSet::new(),
            events: Vec::new(),
            got: BTreeMap::new(),
        }
    }

    pub(crate) fn subscribed(broker: &Broker, more: &[(&str, &str)]) -> Self {
        let member = Member::new(broker, more);
        member.consumer.subscribe(&["t"]).unwrap();
        member
    }

    /// Polls once, for a moment.
    pub(crate) fn poll(&mut self) {
        match self.consumer.poll(0, Duration::from_millis(5)).unwrap() {
            Polled::Batch(batch) => {
                for record in batch.iter() {
                    assert!(
                        self.owned.contains(&record.partition()),
                        "a record of partition {}, which is not assigned",
                        record.partition()
                    );
                    let of_partition = self.got.entry(record.partition()).or_default();
                    of_partition.push(record.offset());
                }
            }
            Polled::Event(event) => {
                let partitions = event.partitions.iter().map(|(_, p)| *p);
                match event.kind {
                    EventKind::PartitionsAssigned => self.owned.extend(partitions),
                    EventKind::PartitionsRevoked | EventKind::PartitionsLost => {
                        for partition in partitions {
                            assert!(self.owned.remove(&partition), "{event:?}");
                        }
                    }
                    _ => {}
                }
                self.events.push(event);
            }
            Polled::Nothing => {}
        }
    }

    pub(crate) fn kinds(&self) -> Vec<EventKind> {
        self.events.iter().map(|e| e.kind).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.got.values().map(Vec::len).sum()
    }
}

/// Polls all members until `done`.
pub(crate) fn poll_until(
    members: &mut [Member],
    what: &str,
    mut done: impl FnMut(&[Member]) -> bool,
) {
    let end = Instant::now() + LIMIT;
    while !done(members) {
        let told: Vec<_> = members.iter().map(|m| (&m.owned, m.kinds())).collect();
        assert!(Instant::now() < end, "{what} did not come about: {told:?}");
        members.iter_mut().for_each(Member::poll);
    }
}

/// Every partition has one owner.
pub(crate) fn shared_out(members: &[Member], partitions: i32) -> bool {
    let owned: Vec<i32> = members
        .iter()
        .flat_map(|m| m.owned.iter().copied())
        .collect();
    owned.len() == partitions as usize
        && members.iter().all(|m| !m.owned.is_empty())
        && owned.iter().collect::<BTreeSet<_>>().len() == owned.len()
}

/// A broker whose groups don't take long.
pub(crate) fn broker(nodes: usize) -> Broker {
    let options = BrokerOptions::new()
        .nodes(nodes)
        .consumer_heartbeat_interval(Duration::from_millis(50));
    Broker::start(options).unwrap()
}

pub(crate) const CLASSIC: [(&str, &str); 1] = [("heartbeat.interval.ms", "50")];
pub(crate) const MODERN: [(&str, &str); 1] = [("group.protocol", "consumer")];

pub(crate) fn topic(broker: &Broker, partitions: i32, records: u64) {
    broker.create_topic("t", partitions, &[]).unwrap();
    for partition in 0..partitions {
        produce(
            broker,
            "t",
            partition,
            &[batch(&numbered(0..records), Codec::None)],
        );
    }
}

use EventKind::{
    PartitionsAssigned as Assigned, PartitionsLost as Lost, PartitionsRevoked as Revoked,
};

#[test]
fn a_member_reads_all_and_the_next_goes_on_where_it_left() {
    let broker = broker(1);
    topic(&broker, 3, 10);
    let mut first = [Member::subscribed(&broker, &[])];
    poll_until(&mut first, "30 records", |m| m[0].count() == 30);
    assert_eq!(first[0].kinds(), [Assigned]);
    let metadata = first[0].consumer.group_metadata().unwrap();
    assert!(metadata.generation > 0 && !metadata.member_id.is_empty());
    // What was polled last counts as read by the next poll.
    assert!(matches!(
        first[0].consumer.poll(0, Duration::ZERO).unwrap(),
        Polled::Nothing
    ));
    first[0].consumer.close(LIMIT).unwrap();
    for partition in 0..3 {
        produce(
            &broker,
            "t",
            partition,
            &[batch(&numbered(10..12), Codec::None)],
        );
    }
    let mut second = [Member::subscribed(&broker, &[])];
    poll_until(&mut second, "6 records", |m| m[0].count() == 6);
    for partition in 0..3 {
        assert_eq!(second[0].got[&partition], [10, 11]);
    }
}

#[test]
fn what_was_polled_last_is_not_read_by_closing_but_by_marking() {
    let broker = broker(1);
    topic(&broker, 1, 10);
    let mut first = [Member::subscribed(&broker, &[])];
    poll_until(&mut first, "10 records", |m| m[0].count() == 10);
    first[0].consumer.mark("t", 0, 4).unwrap();
    let error = first[0].consumer.mark("t", 0, 11).unwrap_err();
    assert_eq!(error.code(), ErrorCode::INVALID_ARGUMENT);
    first[0].consumer.close(LIMIT).unwrap();
    let mut second = [Member::subscribed(&broker, &[])];
    poll_until(&mut second, "6 records", |m| m[0].count() == 6);
    assert_eq!(second[0].got[&0][0], 4);
}

#[test]
fn eager_members_give_everything_up_first() {
    let broker = broker(1);
    topic(&broker, 4, 10);
    for strategy in ["range", "roundrobin", "sticky"] {
        let group = format!("g-{strategy}");
        let keys = [
            ("partition.assignment.strategy", strategy),
            ("group.id", &group),
        ];
        let mut members = vec![Member::subscribed(&broker, &keys)];
        poll_until(&mut members, "all records", |m| m[0].count() == 40);
        members.push(Member::subscribed(&broker, &keys));
        poll_until(&mut members, "a share each", |m| shared_out(m, 4));
        assert_eq!(members[0].kinds(), [Assigned, Revoked, Assigned]);
        assert_eq!(members[0].events[1].partitions.len(), 4);
        assert_eq!(members[0].owned.len(), 2, "{strategy}");
        assert_eq!(members[1].kinds(), [Assigned]);
        assert_eq!(members[1].count(), 0, "what was read was committed");
        // Who leaves does so at once.
        members.pop().unwrap().consumer.close(LIMIT).unwrap();
        poll_until(&mut members, "all of it again", |m| shared_out(m, 4));
    }
}

#[test]
fn cooperative_members_keep_what_they_keep() {
    let broker = broker(1);
    topic(&broker, 4, 10);
    let keys = [("partition.assignment.strategy", "cooperative-sticky")];
    let mut members = vec![Member::subscribed(&broker, &keys)];
    poll_until(&mut members, "all records", |m| m[0].count() == 40);
    members.push(Member::subscribed(&broker, &keys));
    poll_until(&mut members, "a share each", |m| shared_out(m, 4));
    assert_eq!(members[0].kinds(), [Assigned, Revoked]);
    assert_eq!(
        members[0].events[1].partitions.len(),
        2,
        "no more than has to be"
    );
    assert_eq!(members[1].count(), 0);
    members.push(Member::subscribed(&broker, &keys));
    poll_until(&mut members, "a share each of three", |m| shared_out(m, 4));
    let metadata: BTreeSet<i32> = members
        .iter()
        .map(|m| m.consumer.group_metadata().unwrap().generation)
        .collect();
    assert_eq!(metadata.len(), 1);
}

#[test]
fn until_a_revocation_is_acknowledged_what_was_read_can_be_committed() {
    let broker = broker(1);
    topic(&broker, 2, 10);
    let keys = [("enable.auto.commit", "false")];
    let first = Member::subscribed(&broker, &keys);
    let mut batches = Vec::new();
    while batches
        .iter()
        .map(ottla::consumer::Batch::len)
        .sum::<usize>()
        < 20
    {
        if let Polled::Batch(batch) = first.consumer.poll(0, LIMIT).unwrap() {
            batches.push(batch);
        }
    }
    let mut second = Member::subscribed(&broker, &keys);
    let revoked = loop {
        second.poll();
        if let Polled::Event(event) = first.consumer.poll(0, Duration::from_millis(5)).unwrap() {
            break event;
        }
    };
    assert_eq!(revoked.kind, Revoked);
    // It waits for us.
    for _ in 0..40 {
        second.poll();
        assert_eq!(second.kinds(), []);
    }
    first.consumer.commit(&[("t", 0, 7.into())], LIMIT).unwrap();
    first.consumer.commit_batch(&batches[0], LIMIT).unwrap();
    first.consumer.acknowledge(&revoked).unwrap();
    let mut members = [first, second];
    poll_until(&mut members, "a share each", |m| !m[1].owned.is_empty());
    let gone = *members[1].owned.iter().next().unwrap();
    let error = members[0]
        .consumer
        .commit(&[("t", gone, 1.into())], LIMIT)
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::PARTITION_REVOKED);
    assert!(error.message().contains(&format!("t-{gone}")), "{error}");
    let values: usize = batches
        .iter()
        .flat_map(|b| b.iter())
        .filter(|r| r.value().is_some())
        .count();
    assert_eq!(values, 20, "the batch can still be read");
}

#[test]
fn a_member_that_was_put_out_commits_nothing_as_a_stranger() {
    let broker = broker(1);
    topic(&broker, 1, 10);
    let keys = [
        ("auto.commit.interval.ms", "600000"),
        ("group.protocol", "classic"),
        ("heartbeat.interval.ms", "200"),
        ("session.timeout.ms", "6000"),
    ];
    let mut member = [Member::subscribed(&broker, &keys)];
    poll_until(&mut member, "ten records", |m| m[0].count() == 10);
    let [member] = member;
    // Nobody is left in the group: a stranger may commit. The heartbeat that tells the member so is answered late, and
    // what it commits meanwhile goes out behind it.
    let until = |what: &str, api: i16, count: u64| {
        let end = Instant::now() + LIMIT;
        while broker.requests_seen(None, api).unwrap() < count {
            assert!(Instant::now() < end, "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let late = Fault::Delay(Duration::from_millis(300));
    let rule = FaultRule::new(late).api(api_key::HEARTBEAT);
    broker.add_fault(rule).unwrap();
    let id = broker.group_members("g").unwrap().remove(0);
    broker.expire_member("g", &id).unwrap();
    let beats = broker.requests_seen(None, api_key::HEARTBEAT).unwrap();
    until("a heartbeat", api_key::HEARTBEAT, beats + 1);
    member.consumer.mark("t", 0, 3).unwrap();
    member.consumer.close(Duration::from_secs(10)).unwrap();
    until("a commit", api_key::OFFSET_COMMIT, 1);
    let other = consumer(&broker.bootstrap_servers(), &[("group.id", "g")]);
    let committed = other.committed(&[("t", 0)], LIMIT).unwrap();
    assert_eq!(committed, [None]);
}

#[test]
fn closing_has_all_its_time_for_the_last_commit() {
    let broker = broker(1);
    topic(&broker, 1, 10);
    let keys = [
        ("auto.commit.interval.ms", "600000"),
        ("max.poll.interval.ms", "1000"),
        ("session.timeout.ms", "6000"),
        ("request.timeout.ms", "500"),
        ("reconnect.backoff.max.ms", "100"),
    ];
    let mut member = [Member::subscribed(&broker, &keys)];
    poll_until(&mut member, "ten records", |m| m[0].count() == 10);
    let [mut member] = member;
    member.poll();
    // Longer than a rebalance would wait for the commit, and than one request may take.
    broker.stop_node(1).unwrap();
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| member.consumer.close(Duration::from_secs(20)));
        std::thread::sleep(Duration::from_millis(900));
        broker.start_node(1).unwrap();
        closing.join().unwrap().unwrap();
    });
    let other = consumer(&broker.bootstrap_servers(), &[("group.id", "g")]);
    let committed = other.committed(&[("t", 0)], LIMIT).unwrap();
    assert_eq!(committed[0].as_ref().map(|c| c.offset), Some(10));
    assert!(broker.group_members("g").unwrap().is_empty());
}

#[test]
fn who_does_not_poll_leaves_and_comes_back() {
    let broker = broker(1);
    topic(&broker, 2, 10);
    let keys = [
        ("max.poll.interval.ms", "1000"),
        ("session.timeout.ms", "6000"),
    ];
    let mut members = vec![
        Member::subscribed(&broker, &keys),
        Member::subscribed(&broker, &keys),
    ];
    poll_until(&mut members, "a share each", |m| shared_out(m, 2));
    let mut lazy = members.remove(0);
    poll_until(&mut members, "all for the other", |m| shared_out(m, 2));
    std::thread::sleep(Duration::from_millis(200));
    lazy.events.clear();
    lazy.poll();
    assert_eq!(lazy.kinds(), [Lost]);
    let error = lazy.events[0].error.as_ref().unwrap();
    assert_eq!(error.code(), ErrorCode::MAX_POLL_EXCEEDED);
    assert!(error.message().contains("max.poll.records"), "{error}");
    members.push(lazy);
    poll_until(&mut members, "a share each again", |m| shared_out(m, 2));
}

#[test]
fn patterns_and_new_partitions_are_picked_up() {
    let broker = broker(1);
    topic(&broker, 1, 5);
    broker.create_topic("other", 1, &[]).unwrap();
    let keys = [("metadata.max.age.ms", "100")];
    let mut member = [Member::new(&broker, &keys)];
    member[0].consumer.subscribe_pattern("t.*").unwrap();
    poll_until(&mut member, "five records", |m| m[0].count() == 5);
    assert_eq!(member[0].consumer.assignment().unwrap().len(), 1);
    broker.create_topic("tau", 2, &[]).unwrap();
    poll_until(&mut member, "three partitions", |m| {
        m[0].consumer.assignment().unwrap().len() == 3
    });
    let error = member[0].consumer.subscribe_pattern("(").unwrap_err();
    assert_eq!(error.code(), ErrorCode::INVALID_ARGUMENT);
}

#[test]
fn static_members_come_back_to_what_they_had() {
    let broker = broker(1);
    topic(&broker, 4, 10);
    let keys = |instance| [("group.instance.id", instance)];
    let mut members = vec![
        Member::subscribed(&broker, &keys("a")),
        Member::subscribed(&broker, &keys("b")),
    ];
    poll_until(&mut members, "a share each", |m| shared_out(m, 4));
    let away = members.remove(0);
    away.consumer.close(LIMIT).unwrap();
    members[0].events.clear();
    let mut back = vec![Member::subscribed(&broker, &keys("a"))];
    poll_until(&mut back, "what it had", |m| m[0].owned == away.owned);
    (0..40).for_each(|_| members[0].poll());
    assert_eq!(members[0].kinds(), [], "nobody else has noticed");
    // Another one of the same name fences it.
    let mut thief = [Member::subscribed(&broker, &keys("a"))];
    poll_until(&mut thief, "what the other had", |m| {
        m[0].owned == away.owned
    });
    poll_until(&mut back, "being told", |m| {
        m[0].kinds().contains(&EventKind::GroupLeft)
    });
    let last = back[0].events.last().unwrap().error.clone().unwrap();
    assert_eq!(last.code(), ErrorCode::FENCED_INSTANCE_ID);
}

#[test]
fn unsubscribing_and_assigning() {
    let broker = broker(1);
    topic(&broker, 2, 10);
    let mut member = [Member::subscribed(&broker, &[])];
    let refused = member[0]
        .consumer
        .assign(&[("t", 0, ottla::consumer::Start::Reset)]);
    assert!(refused.unwrap_err().message().contains("unsubscribe first"));
    poll_until(&mut member, "20 records", |m| m[0].count() == 20);
    member[0].consumer.commit_polled(LIMIT).unwrap();
    member[0].consumer.unsubscribe(LIMIT).unwrap();
    assert_eq!(member[0].consumer.assignment().unwrap(), []);
    assert_eq!(member[0].consumer.group_metadata().unwrap().generation, -1);
    let committed = member[0].consumer.committed(&[("t", 0), ("t", 1)], LIMIT);
    assert_eq!(
        committed.unwrap(),
        [Some(10.into()), Some(10.into())].map(|o| o.map(
            |o: ottla::consumer::OffsetAndMetadata| ottla::consumer::OffsetAndMetadata {
                leader_epoch: 0,
                ..o
            }
        ))
    );
    member[0]
        .consumer
        .assign(&[("t", 0, ottla::consumer::Start::Earliest)])
        .unwrap();
    member[0].owned.insert(0);
    poll_until(&mut member, "10 more", |m| m[0].count() == 30);
}

#[test]
fn the_coordinator_may_go_and_come_back() {
    let broker = broker(3);
    topic(&broker, 3, 10);
    let keys = [("session.timeout.ms", "6000")];
    let mut members = [
        Member::subscribed(&broker, &keys),
        Member::subscribed(&broker, &keys),
    ];
    poll_until(&mut members, "a share each", |m| shared_out(m, 3));
    for node in 1..=3 {
        broker.stop_node(node).unwrap();
        (0..20).for_each(|_| members.iter_mut().for_each(Member::poll));
        broker.start_node(node).unwrap();
    }
    poll_until(&mut members, "30 records", |m| {
        m[0].count() + m[1].count() >= 30
    });
    poll_until(&mut members, "a share each", |m| shared_out(m, 3));
}

#[test]
fn the_new_protocol_shares_and_gives_up_no_more_than_has_to_be() {
    let broker = broker(1);
    topic(&broker, 4, 10);
    let mut members = vec![Member::subscribed(&broker, &MODERN)];
    poll_until(&mut members, "all records", |m| m[0].count() == 40);
    // An assignment may come in more than one step.
    let told = |member: &Member| {
        let mut kinds = member.kinds();
        kinds.dedup();
        kinds
    };
    assert_eq!(told(&members[0]), [Assigned]);
    members.push(Member::subscribed(&broker, &MODERN));
    poll_until(&mut members, "a share each", |m| shared_out(m, 4));
    assert_eq!(told(&members[0]), [Assigned, Revoked]);
    let revoked = members[0].events.last().map(|e| e.partitions.len());
    assert_eq!(revoked, Some(2));
    assert_eq!(members[1].count(), 0, "what was read was committed");
    let metadata = members[1].consumer.group_metadata().unwrap();
    assert!(metadata.generation > 0 && !metadata.member_id.is_empty());
    members.pop().unwrap().consumer.close(LIMIT).unwrap();
    poll_until(&mut members, "all of it again", |m| shared_out(m, 4));
    // A subscription may change while it lasts.
    broker.create_topic("u", 1, &[]).unwrap();
    members[0].consumer.subscribe(&["u"]).unwrap();
    poll_until(&mut members, "the other topic", |m| {
        let assigned = m[0].consumer.assignment().unwrap();
        assigned.len() == 1 && &*assigned[0].0 == "u"
    });
}

#[test]
fn the_new_protocol_picks_up_patterns_and_growth() {
    let broker = broker(1);
    topic(&broker, 1, 5);
    let keys = [MODERN[0], ("metadata.max.age.ms", "100")];
    let mut member = [Member::new(&broker, &keys)];
    member[0].consumer.subscribe_pattern("t.*").unwrap();
    poll_until(&mut member, "five records", |m| m[0].count() == 5);
    broker.create_topic("tau", 2, &[]).unwrap();
    poll_until(&mut member, "three partitions", |m| {
        m[0].consumer.assignment().unwrap().len() == 3
    });
}

#[test]
fn a_member_of_the_new_protocol_that_does_not_poll_leaves_and_comes_back() {
    let broker = broker(1);
    topic(&broker, 2, 10);
    let keys = [MODERN[0], ("max.poll.interval.ms", "1000")];
    let mut members = vec![
        Member::subscribed(&broker, &keys),
        Member::subscribed(&broker, &keys),
    ];
    poll_until(&mut members, "a share each", |m| shared_out(m, 2));
    let mut lazy = members.remove(0);
    poll_until(&mut members, "all for the other", |m| shared_out(m, 2));
    lazy.events.clear();
    lazy.poll();
    assert_eq!(lazy.kinds(), [Lost]);
    members.push(lazy);
    poll_until(&mut members, "a share each again", |m| shared_out(m, 2));
}

#[test]
fn static_members_of_the_new_protocol_come_back_to_what_they_had() {
    let broker = broker(1);
    topic(&broker, 4, 10);
    let keys = |instance| [MODERN[0], ("group.instance.id", instance)];
    let mut members = vec![
        Member::subscribed(&broker, &keys("a")),
        Member::subscribed(&broker, &keys("b")),
    ];
    poll_until(&mut members, "a share each", |m| shared_out(m, 4));
    let away = members.remove(0);
    away.consumer.close(LIMIT).unwrap();
    members[0].events.clear();
    let mut back = vec![Member::subscribed(&broker, &keys("a"))];
    poll_until(&mut back, "what it had", |m| m[0].owned == away.owned);
    (0..40).for_each(|_| members[0].poll());
    assert_eq!(members[0].kinds(), [], "nobody else has noticed");
}

#[test]
fn without_the_new_protocol_the_classic_one_is_used_and_the_log_says_so() {
    let options = BrokerOptions::new().nodes(1).new_group_protocol(false);
    let broker = Broker::start(options).unwrap();
    topic(&broker, 2, 10);
    let auto = [("group.protocol", "auto")];
    let mut member = [Member::subscribed(&broker, &auto)];
    poll_until(&mut member, "all records", |m| m[0].count() == 20);
    let lines = member[0].consumer.log_lines(1000).unwrap();
    let told = lines
        .iter()
        .any(|line| line.message.contains("by the classic one"));
    assert!(told, "{lines:?}");
    let mut strict = [Member::subscribed(&broker, &MODERN)];
    poll_until(&mut strict, "being told", |m| {
        m[0].kinds() == [EventKind::GroupFailing]
    });
    let error = strict[0].events[0].error.clone().unwrap();
    assert_eq!(error.code(), ErrorCode::UNSUPPORTED);
    assert!(
        error.message().contains("group.protocol=classic"),
        "{error}"
    );
}

/// Heartbeats and commits go on another connection than joins: one that is carried out when a join has been is refused for
/// its old generation, which says nothing of the membership.
#[test]
fn what_a_join_overtakes_costs_nothing() {
    let broker = broker(1);
    topic(&broker, 2, 5);
    let keys = [
        ("heartbeat.interval.ms", "50"),
        // Nothing is given up before a join, so the join need not wait for commits.
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("metadata.max.age.ms", "100"),
        ("enable.auto.commit", "false"),
    ];
    let mut members = [Member::new(&broker, &keys)];
    members[0]
        .consumer
        .subscribe(&["t", "later", "last"])
        .unwrap();
    poll_until(&mut members, "reading", |m| m[0].count() == 10);
    let before = members[0].consumer.group_metadata().unwrap();
    let fault = |fault, api| {
        let rule = FaultRule::new(fault).api(api);
        broker.add_fault(rule).unwrap();
        Instant::now()
    };
    let commit = |members: &[Member], offset: i64| {
        let offsets = [("t", 0, offset.into())];
        members[0].consumer.commit_async(&offsets).unwrap();
    };
    let committed = |members: &[Member]| {
        let of = |e: &&Event| e.kind == EventKind::OffsetsCommitted;
        members[0].events.iter().filter(of).count()
    };

    // A heartbeat waits behind a slow commit.
    let time = Duration::from_secs(4);
    let begun = fault(Fault::Delay(time), api_key::OFFSET_COMMIT);
    commit(&members, 3);
    std::thread::sleep(Duration::from_millis(200));
    broker.create_topic("later", 1, &[]).unwrap();
    poll_until(&mut members, "another generation", |m| {
        m[0].consumer.group_metadata().unwrap().generation > before.generation
    });
    assert!(begun.elapsed() < time, "the heartbeat was not overtaken");
    poll_until(
        &mut members,
        "the commit and the heartbeat behind it",
        |m| committed(m) == 1 && begun.elapsed() > time + Duration::from_millis(300),
    );

    let after = members[0].consumer.group_metadata().unwrap();
    assert_eq!(after.member_id, before.member_id);
    assert_eq!(after.generation, before.generation + 1);

    // A commit is read after a join whose answer has not come.
    let seen = |api| broker.requests_seen(None, api).unwrap();
    let (joins, commits) = (seen(api_key::JOIN_GROUP), seen(api_key::OFFSET_COMMIT));
    fault(Fault::SwallowReply { close: false }, api_key::JOIN_GROUP);
    broker.create_topic("last", 1, &[]).unwrap();
    poll_until(&mut members, "a join on its way", |_| {
        seen(api_key::JOIN_GROUP) > joins
    });
    commit(&members, 5);
    // The second of them comes of the first one's refusal.
    poll_until(&mut members, "the commit again", |_| {
        seen(api_key::OFFSET_COMMIT) > commits + 1
    });
    let still = members[0].consumer.group_metadata().unwrap();
    assert_eq!(
        (still.member_id, still.generation),
        (after.member_id, after.generation)
    );
    assert!(!members[0].kinds().contains(&EventKind::PartitionsLost));
}
