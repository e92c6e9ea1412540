//! Reading: limits, errors, sessions, leader epochs.

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;
use uuid::Uuid;

use super::batches::batch;
use super::talk::{Talk, topic};

const THEN: i64 = 1_600_000_000_000;
const NAME: &str = "conf-fetch";

pub(crate) fn cases(t: &mut Talk) {
    let id = t.make_topics(&[(NAME, 3)], &[])[0];
    for i in 0..3 {
        append(t, 0, &format!("value-{i}"));
    }
    append(t, 1, "only");
    every_version(t, id);
    wrong(t);
    limits(t);
    epochs(t);
    sessions(t, id);
    t.remove_topics(&[NAME]);
}

fn append(t: &mut Talk, partition: i32, value: &str) {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(batch(&[value, "second"], THEN).seal()));
    let topic = TopicProduceData::default()
        .with_name(topic(NAME))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(5000)
        .with_topic_data(vec![topic]);
    assert_eq!(
        t.quietly(9, &request).responses[0].partition_responses[0].error_code,
        0
    );
}

fn at(partition: i32, offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(100_000)
}

fn of(name: &str, partitions: Vec<FetchPartition>) -> FetchRequest {
    request(
        FetchTopic::default()
            .with_topic(topic(name))
            .with_partitions(partitions),
    )
}

fn by_id(id: Uuid, partitions: Vec<FetchPartition>) -> FetchRequest {
    request(
        FetchTopic::default()
            .with_topic_id(id)
            .with_partitions(partitions),
    )
}

fn request(topic: FetchTopic) -> FetchRequest {
    FetchRequest::default()
        .with_topics(vec![topic])
        .with_max_bytes(1_000_000)
        .with_min_bytes(1)
        .with_max_wait_ms(0)
}

fn sessionless(version: i16, request: FetchRequest) -> FetchRequest {
    if version >= 7 {
        request.with_session_epoch(-1)
    } else {
        request
    }
}

fn every_version(t: &mut Talk, id: Uuid) {
    for version in 4..=18 {
        let partitions = vec![at(0, 2), at(1, 0), at(2, 0)];
        let request = if version >= 13 {
            by_id(id, partitions)
        } else {
            of(NAME, partitions)
        };
        t.ask("fetch", version, &sessionless(version, request));
    }
    t.ask(
        "fetch committed records only",
        11,
        &sessionless(11, of(NAME, vec![at(0, 4)])).with_isolation_level(1),
    );
    t.ask(
        "fetch in the middle of a batch",
        11,
        &sessionless(11, of(NAME, vec![at(0, 5)])),
    );
}

fn wrong(t: &mut Talk) {
    for version in [6, 11, 12] {
        let mut ask = |label: &str, r: FetchRequest| {
            t.ask(label, version, &sessionless(version, r));
        };
        ask("fetch at the end", of(NAME, vec![at(0, 6)]));
        ask("fetch behind the end", of(NAME, vec![at(0, 7)]));
        ask("fetch before the start", of(NAME, vec![at(0, -1)]));
        ask("fetch an unknown partition", of(NAME, vec![at(9, 0)]));
        ask("fetch a negative partition", of(NAME, vec![at(-1, 0)]));
        ask("fetch an unknown topic", of("conf-unknown", vec![at(0, 0)]));
        ask("fetch nothing", FetchRequest::default().with_min_bytes(1));
    }
    for version in [13, 17] {
        t.ask(
            "fetch an unknown id",
            version,
            &sessionless(version, by_id(Uuid::from_u128(5), vec![at(0, 0)])),
        );
    }
}

fn limits(t: &mut Talk) {
    let partition = |bytes: i32| at(0, 0).with_partition_max_bytes(bytes);
    t.ask(
        "fetch less than a batch",
        11,
        &sessionless(11, of(NAME, vec![partition(10)])),
    );
    t.ask(
        "fetch a batch and a bit",
        11,
        &sessionless(11, of(NAME, vec![partition(100)])),
    );
    t.ask(
        "fetch no bytes of a partition",
        11,
        &sessionless(11, of(NAME, vec![partition(0)])),
    );
    t.ask(
        "fetch no bytes at all",
        11,
        &sessionless(11, of(NAME, vec![at(0, 0)])).with_max_bytes(0),
    );
    let both = of(NAME, vec![at(0, 0), at(1, 0)]);
    t.ask(
        "fetch two partitions within one batch",
        11,
        &sessionless(11, both.clone()).with_max_bytes(10),
    );
    t.ask(
        "fetch two partitions within three batches",
        11,
        &sessionless(11, both.clone()).with_max_bytes(300),
    );
    let first_small = of(NAME, vec![partition(10), at(1, 0)]);
    t.ask(
        "fetch a small part, then all",
        11,
        &sessionless(11, first_small),
    );
    let waiting = of(NAME, vec![at(2, 0)]).with_max_wait_ms(50);
    t.ask(
        "wait for data that does not come",
        11,
        &sessionless(11, waiting),
    );
    let more = of(NAME, vec![at(0, 0)])
        .with_max_wait_ms(50)
        .with_min_bytes(100_000);
    t.ask("wait for more than there is", 11, &sessionless(11, more));
}

fn epochs(t: &mut Talk) {
    for epoch in [0, 1] {
        let partition = at(0, 0).with_current_leader_epoch(epoch);
        t.ask(
            &format!("fetch believing in leader epoch {epoch}"),
            11,
            &sessionless(11, of(NAME, vec![partition.clone()])),
        );
        t.ask(
            &format!("fetch believing in leader epoch {epoch}"),
            12,
            &sessionless(12, of(NAME, vec![partition])),
        );
    }
    for (epoch, offset) in [(0, 2), (0, 6), (1, 2)] {
        let partition = at(0, offset)
            .with_last_fetched_epoch(epoch)
            .with_partition_max_bytes(50);
        t.ask(
            &format!("fetch after offset {offset} of epoch {epoch}"),
            12,
            &sessionless(12, of(NAME, vec![partition])),
        );
    }
}

fn sessions(t: &mut Talk, topic_id: Uuid) {
    let all = || of(NAME, vec![at(0, 6), at(1, 2), at(2, 0)]);
    let nothing = || {
        FetchRequest::default()
            .with_max_bytes(1_000_000)
            .with_min_bytes(1)
    };
    let begun = t.ask("session begun", 11, &all().with_session_epoch(0));
    let id = begun.map_or(0, |b| b.session_id);
    let within = |epoch: i32, r: FetchRequest| r.with_session_id(id).with_session_epoch(epoch);
    t.ask("session, nothing new", 11, &within(1, nothing()));
    append(t, 1, "news");
    t.ask("session, news", 11, &within(2, nothing()));
    t.ask("session, news again", 11, &within(3, nothing()));
    t.ask(
        "session, moved on",
        11,
        &within(4, of(NAME, vec![at(1, 4)])),
    );
    t.ask(
        "session, out of range",
        11,
        &within(5, of(NAME, vec![at(2, 99)])),
    );
    t.ask("session, still out of range", 11, &within(6, nothing()));
    t.ask(
        "session, in range again",
        11,
        &within(7, of(NAME, vec![at(2, 0)])),
    );
    let forgotten = ForgottenTopic::default()
        .with_topic(topic(NAME))
        .with_partitions(vec![2]);
    t.ask(
        "session, one forgotten",
        11,
        &within(8, nothing()).with_forgotten_topics_data(vec![forgotten]),
    );
    append(t, 2, "unheard");
    t.ask(
        "session, news of the forgotten one",
        11,
        &within(9, nothing()),
    );
    t.ask("session, an old epoch", 11, &within(2, nothing()));
    t.ask("session, a future epoch", 11, &within(99, nothing()));
    t.ask(
        "session of somebody else",
        11,
        &nothing().with_session_id(id ^ 1).with_session_epoch(1),
    );
    t.ask(
        "session by name, then by id",
        13,
        &within(10, by_id(topic_id, vec![at(0, 6)])),
    );
    let forgotten = ForgottenTopic::default()
        .with_topic(topic(NAME))
        .with_partitions(vec![0, 1]);
    t.ask(
        "session, all forgotten",
        11,
        &within(10, nothing()).with_forgotten_topics_data(vec![forgotten]),
    );
    t.ask("session that is over", 11, &within(11, nothing()));
    let begun = t.ask(
        "session by id",
        16,
        &by_id(topic_id, vec![at(0, 6), at(1, 2)]).with_session_epoch(0),
    );
    let id = begun.map_or(0, |b| b.session_id);
    t.ask(
        "session by id goes on",
        16,
        &nothing().with_session_id(id).with_session_epoch(1),
    );
    t.ask(
        "session by id closed",
        16,
        &nothing().with_session_id(id).with_session_epoch(-1),
    );
    t.ask(
        "session by id that is over",
        16,
        &nothing().with_session_id(id).with_session_epoch(2),
    );
}
