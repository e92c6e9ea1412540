//! Share groups: who is in them, sessions, records under locks and how they end, offsets.

use std::time::{Duration, Instant};

use kafka_protocol::messages::alter_share_group_offsets_request::{
    AlterShareGroupOffsetsRequestPartition, AlterShareGroupOffsetsRequestTopic,
};
use kafka_protocol::messages::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic;
use kafka_protocol::messages::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequestGroup, DescribeShareGroupOffsetsRequestTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch,
};
use kafka_protocol::messages::share_fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::*;

use super::batches::batch;
use super::talk::{Talk, text, topic};

const NAME: &str = "conf-share";
const THEN: i64 = 1_600_000_000_000;
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn cases(t: &mut Talk) {
    t.make_topics(&[(NAME, 1)], &[]);
    let mut m = Member {
        group: t.fresh("share-group"),
        name: t.fresh("member"),
        epoch: 0,
        session: 0,
    };
    coordinator(t, &m.group);
    heartbeats(t, &m);
    m.join(t);
    members(t, &m);
    sessions(t, &mut m);
    records(t, &mut m);
    offsets(t, &mut m);
    t.remove_topics(&[NAME]);
}

struct Member {
    group: String,
    name: String,
    epoch: i32,
    session: i32,
}

type Words<'a> = (i64, i64, &'a [i8]);

impl Member {
    fn beat(&self, epoch: i32) -> ShareGroupHeartbeatRequest {
        ShareGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_member_id(text(&self.name))
            .with_member_epoch(epoch)
            .with_subscribed_topic_names((epoch == 0).then(|| vec![topic(NAME)]))
    }

    /// Joins, and waits until it has the partition; Kafka first has to prepare it for the group.
    fn join(&mut self, t: &mut Talk) {
        let started = Instant::now();
        self.epoch = 0;
        loop {
            let answer = t.quietly(1, &self.beat(self.epoch));
            assert!(
                matches!(answer.error_code, 0 | 14..=16) && started.elapsed() < LIMIT,
                "{answer:?}"
            );
            if answer.error_code == 0 {
                self.epoch = answer.member_epoch;
            }
            let assigned = answer.assignment.unwrap_or_default();
            if !assigned.topic_partitions.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn fetch(&self, t: &Talk, words: &[Words]) -> ShareFetchRequest {
        let words = words.iter().map(|&(first, last, types)| {
            share_fetch_request::AcknowledgementBatch::default()
                .with_first_offset(first)
                .with_last_offset(last)
                .with_acknowledge_types(types.to_vec())
        });
        let partition = FetchPartition::default().with_acknowledgement_batches(words.collect());
        let wanted = FetchTopic::default()
            .with_topic_id(t.id_of(NAME))
            .with_partitions(vec![partition]);
        ShareFetchRequest::default()
            .with_group_id(Some(GroupId(text(&self.group))))
            .with_member_id(Some(text(&self.name)))
            .with_share_session_epoch(self.session)
            .with_max_wait_ms(200)
            .with_min_bytes(1)
            .with_max_bytes(1_000_000)
            .with_max_records(500)
            .with_batch_size(500)
            .with_topics(vec![wanted])
    }

    fn acknowledgement(&self, t: &Talk, words: &[Words]) -> ShareAcknowledgeRequest {
        let words = words.iter().map(|&(first, last, types)| {
            AcknowledgementBatch::default()
                .with_first_offset(first)
                .with_last_offset(last)
                .with_acknowledge_types(types.to_vec())
        });
        let partition =
            AcknowledgePartition::default().with_acknowledgement_batches(words.collect());
        let wanted = AcknowledgeTopic::default()
            .with_topic_id(t.id_of(NAME))
            .with_partitions(vec![partition]);
        ShareAcknowledgeRequest::default()
            .with_group_id(Some(GroupId(text(&self.group))))
            .with_member_id(Some(text(&self.name)))
            .with_share_session_epoch(self.session)
            .with_topics(vec![wanted])
    }

    /// Fetches until something comes, and writes that down without the records' bytes.
    fn deliver(&mut self, t: &mut Talk, label: &str, words: &[Words]) {
        let started = Instant::now();
        let mut words = words;
        loop {
            let answer = t.quietly(1, &self.fetch(t, words));
            assert_eq!(answer.error_code, 0, "{answer:?}");
            self.session += 1;
            words = &[];
            let partition = answer.responses.first().map(|r| r.partitions[0].clone());
            if let Some(p) = partition.filter(|p| !p.acquired_records.is_empty()) {
                let got: Vec<String> = p
                    .acquired_records
                    .iter()
                    .map(|a| {
                        let (first, last) = (a.first_offset, a.last_offset);
                        format!("{first}..{last} for the time {}", a.delivery_count)
                    })
                    .collect();
                t.write_down(label, &got.join("\n"));
                return;
            }
            assert!(started.elapsed() < LIMIT, "nothing comes: {answer:?}");
        }
    }

    /// Acknowledges and writes down what comes of it.
    fn say(&mut self, t: &mut Talk, label: &str, words: &[Words]) {
        t.ask(label, 1, &self.acknowledgement(t, words));
        self.session += 1;
    }
}

fn coordinator(t: &mut Talk, group: &str) {
    let request = FindCoordinatorRequest::default().with_key(text(group));
    let started = Instant::now();
    while t.quietly(3, &request).error_code != 0 {
        assert!(started.elapsed() < LIMIT, "no coordinator");
        std::thread::sleep(Duration::from_millis(50));
    }
    let describe = ShareGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(group))]);
    while matches!(t.quietly(1, &describe).groups[0].error_code, 14..=16) {
        assert!(
            started.elapsed() < LIMIT,
            "the coordinator does not come up"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn produce(t: &mut Talk, count: usize) {
    let values = ["a", "b", "c", "d", "e", "f"];
    let data =
        PartitionProduceData::default().with_records(Some(batch(&values[..count], THEN).seal()));
    let topic = TopicProduceData::default()
        .with_name(topic(NAME))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(5000)
        .with_topic_data(vec![topic]);
    t.quietly(9, &request);
}

fn heartbeats(t: &mut Talk, m: &Member) {
    t.ask("beat of an unknown group", 1, &m.beat(3));
    t.ask("leave an unknown group", 1, &m.beat(-1));
    t.ask(
        "beat without a member",
        1,
        &m.beat(0).with_member_id(text("")),
    );
    t.ask(
        "beat without a group",
        1,
        &m.beat(0).with_group_id(GroupId(text(""))),
    );
    t.ask(
        "beat with an empty rack",
        1,
        &m.beat(0).with_rack_id(Some(text(""))),
    );
    t.ask(
        "join without topics",
        1,
        &m.beat(0).with_subscribed_topic_names(None),
    );
    t.ask(
        "join with no topic",
        1,
        &m.beat(0).with_subscribed_topic_names(Some(vec![])),
    );
    t.ask("beat with a wrong epoch", 1, &m.beat(-2));
    let describe =
        ShareGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(&m.group))]);
    t.ask("describe an unknown group", 1, &describe);
}

fn members(t: &mut Talk, m: &Member) {
    // Kafka takes some heartbeats until a member has its partitions, each with an epoch of its own.
    t.ask_sorted("beat as of the future", 1, &m.beat(m.epoch + 7), |answer| {
        let words = answer.error_message.take().unwrap_or_default();
        let words = words.replace(&format!("({})", m.epoch + 7), "(EPOCH)");
        let words = words.replace(&format!("({})", m.epoch), "(EPOCH)");
        answer.error_message = Some(text(&words));
    });
    let stranger = m.beat(1).with_member_id(text("conf-stranger"));
    t.ask("beat of a stranger", 1, &stranger);
    t.ask("a stranger leaves", 1, &stranger.with_member_epoch(-1));
    let describe = ShareGroupDescribeRequest::default()
        .with_group_ids(vec![GroupId(text(&m.group))])
        .with_include_authorized_operations(true);
    t.ask_sorted("describe", 1, &describe, |answer| {
        for group in &mut answer.groups {
            (group.group_epoch, group.assignment_epoch) = (0, 0);
            for member in &mut group.members {
                member.member_epoch = 0;
                member.client_host = text("HOST");
            }
        }
    });
}

fn sessions(t: &mut Talk, m: &mut Member) {
    m.session = 1;
    t.ask("fetch without a session", 1, &m.fetch(t, &[]));
    t.ask(
        "acknowledge without a session",
        1,
        &m.acknowledgement(t, &[]),
    );
    m.session = -1;
    t.ask("end no session", 1, &m.fetch(t, &[]));
    m.session = 0;
    t.ask("begin by acknowledging", 1, &m.acknowledgement(t, &[]));
    t.ask(
        "begin with acknowledgements",
        1,
        &m.fetch(t, &[(0, 0, &[1])]),
    );
    let long = "m".repeat(37);
    let wrong = m.fetch(t, &[]).with_member_id(Some(text(&long)));
    t.ask("fetch with a long member id", 1, &wrong);
    t.ask(
        "fetch without a member id",
        1,
        &m.fetch(t, &[]).with_member_id(Some(text(""))),
    );
    t.ask(
        "fetch for no group",
        1,
        &m.fetch(t, &[]).with_group_id(None),
    );
    // The group begins here with what comes later.
    let answer = t.quietly(1, &m.fetch(t, &[]));
    assert_eq!(answer.error_code, 0, "{answer:?}");
    m.session = 5;
    t.ask("fetch with a wrong epoch", 1, &m.fetch(t, &[]));
    t.ask(
        "acknowledge with a wrong epoch",
        1,
        &m.acknowledgement(t, &[]),
    );
    m.session = 1;
}

fn records(t: &mut Talk, m: &mut Member) {
    produce(t, 6);
    m.deliver(t, "delivered", &[]);
    let wrong: [(&str, &[Words]); 10] = [
        ("backwards", &[(3, 2, &[1])]),
        ("with no word", &[(0, 1, &[])]),
        ("with too few words", &[(0, 5, &[1, 1])]),
        ("with too many words", &[(0, 1, &[1, 1, 1])]),
        ("with a wrong word", &[(0, 0, &[9])]),
        ("with a negative word", &[(0, 0, &[-1])]),
        ("with renewal, which version 1 has not", &[(0, 0, &[4])]),
        ("in the wrong order", &[(3, 4, &[1]), (0, 1, &[1])]),
        ("behind the end", &[(5, 9, &[1])]),
        ("far behind the end", &[(100, 100, &[1])]),
    ];
    for (label, words) in wrong {
        m.say(t, &format!("acknowledge {label}"), words);
    }
    m.say(t, "accept and reject", &[(0, 1, &[1, 3])]);
    m.say(t, "accept what is accepted", &[(0, 0, &[1])]);
    m.say(t, "release", &[(2, 3, &[2])]);
    m.deliver(t, "delivered again", &[]);
    m.say(
        t,
        "a gap, and the rest",
        &[(2, 2, &[0]), (3, 5, &[1, 1, 1])],
    );
    m.say(t, "what all is done with", &[(0, 5, &[1])]);
    produce(t, 2);
    m.deliver(t, "delivered next", &[]);
    produce(t, 1);
    m.deliver(t, "delivered with words", &[(6, 7, &[1])]);
    m.session = -1;
    t.ask("end the session", 1, &m.acknowledgement(t, &[]));
    t.ask("end it again", 1, &m.acknowledgement(t, &[]));
    m.session = 0;
    m.deliver(t, "delivered to the next session", &[]);
    m.say(t, "accept in the next session", &[(8, 8, &[1])]);
}

fn offsets(t: &mut Talk, m: &mut Member) {
    let describe = |m: &Member, topics: Option<&[(&str, i32)]>| {
        let topics = topics.map(|all| {
            let wanted = all.iter().map(|&(name, partition)| {
                DescribeShareGroupOffsetsRequestTopic::default()
                    .with_topic_name(topic(name))
                    .with_partitions(vec![partition])
            });
            wanted.collect()
        });
        let group = DescribeShareGroupOffsetsRequestGroup::default()
            .with_group_id(GroupId(text(&m.group)))
            .with_topics(topics);
        DescribeShareGroupOffsetsRequest::default().with_groups(vec![group])
    };
    let alter = |m: &Member, name: &str, partition: i32| {
        let partition = AlterShareGroupOffsetsRequestPartition::default()
            .with_partition_index(partition)
            .with_start_offset(3);
        let wanted = AlterShareGroupOffsetsRequestTopic::default()
            .with_topic_name(topic(name))
            .with_partitions(vec![partition]);
        AlterShareGroupOffsetsRequest::default()
            .with_group_id(GroupId(text(&m.group)))
            .with_topics(vec![wanted])
    };
    let delete = |m: &Member, name: &str| {
        let wanted = DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(topic(name));
        DeleteShareGroupOffsetsRequest::default()
            .with_group_id(GroupId(text(&m.group)))
            .with_topics(vec![wanted])
    };
    // What Kafka tells may lag behind what was accepted.
    let begun = |answer: &mut DescribeShareGroupOffsetsResponse| {
        for partition in answer
            .groups
            .iter_mut()
            .flat_map(|g| &mut g.topics)
            .flat_map(|t| &mut t.partitions)
        {
            assert!((8..=9).contains(&partition.start_offset), "{partition:?}");
            partition.start_offset = 8;
        }
    };
    t.ask_sorted("offsets", 0, &describe(m, Some(&[(NAME, 0)])), begun);
    t.ask_sorted("all offsets", 0, &describe(m, None), begun);
    t.ask("offsets of nothing", 0, &describe(m, Some(&[])));
    t.ask(
        "offsets of an unknown topic",
        0,
        &describe(m, Some(&[("conf-unknown", 0)])),
    );
    t.ask("set offsets of a group in use", 0, &alter(m, NAME, 0));
    t.ask("delete offsets of a group in use", 0, &delete(m, NAME));
    m.session = -1;
    t.quietly(1, &m.fetch(t, &[]));
    t.ask("leave", 1, &m.beat(-1));
    t.ask("set offsets", 0, &alter(m, NAME, 0));
    t.ask(
        "set offsets of an unknown topic",
        0,
        &alter(m, "conf-unknown", 0),
    );
    t.ask("offsets that were set", 0, &describe(m, Some(&[(NAME, 0)])));
    t.ask(
        "delete offsets of an unknown topic",
        0,
        &delete(m, "conf-unknown"),
    );
    t.ask("delete offsets", 0, &delete(m, NAME));
    m.group = t.fresh("share-unknown");
    t.ask("offsets of an unknown group", 0, &describe(m, None));
    t.ask("set offsets of an unknown group", 0, &alter(m, NAME, 0));
    t.ask("delete offsets of an unknown group", 0, &delete(m, NAME));
}
