//! Batches, good and bad.

use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;
use ottla::protocol::record::Attributes;
use uuid::Uuid;

use super::batches::{Batch, batch};
use super::talk::{Talk, topic};

const NAMES: [&str; 4] = ["conf-produce", "conf-stamped", "conf-small", "conf-safe"];
/// A time in the past.
const THEN: i64 = 1_600_000_000_000;

pub(crate) fn cases(t: &mut Talk) {
    let id = t.make_topics(&[("conf-produce", 2)], &[])[0];
    t.make_topics(
        &[("conf-stamped", 1)],
        &[("message.timestamp.type", "LogAppendTime")],
    );
    t.make_topics(&[("conf-small", 1)], &[("max.message.bytes", "200")]);
    t.make_topics(&[("conf-safe", 1)], &[("min.insync.replicas", "2")]);
    every_version(t, id);
    acks(t);
    wrong_places(t);
    wrong_batches(t);
    idempotent(t);
    t.remove_topics(&NAMES);
}

fn good() -> Batch {
    batch(&["one", "two", "three"], THEN)
}

fn data(index: i32, records: Bytes) -> PartitionProduceData {
    PartitionProduceData::default()
        .with_index(index)
        .with_records(Some(records))
}

fn to(name: &str, partitions: Vec<PartitionProduceData>) -> ProduceRequest {
    let topic = TopicProduceData::default()
        .with_name(topic(name))
        .with_partition_data(partitions);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(5000)
        .with_topic_data(vec![topic])
}

fn one(name: &str, batch: Batch) -> ProduceRequest {
    to(name, vec![data(0, batch.seal())])
}

fn by_index(answer: &mut ProduceResponse) {
    answer.responses[0]
        .partition_responses
        .sort_by_key(|p| p.index);
}

fn every_version(t: &mut Talk, id: Uuid) {
    for version in 3..=12 {
        t.ask("produce", version, &one("conf-produce", good()));
    }
    let by_id = |id| {
        let topic = TopicProduceData::default()
            .with_topic_id(id)
            .with_partition_data(vec![data(0, good().seal())]);
        ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(5000)
            .with_topic_data(vec![topic])
    };
    t.ask("produce by id", 13, &by_id(id));
    t.ask("produce by unknown id", 13, &by_id(Uuid::from_u128(5)));
    t.ask_sorted(
        "produce to two partitions",
        9,
        &to(
            "conf-produce",
            vec![data(1, good().seal()), data(0, good().seal())],
        ),
        by_index,
    );
    t.ask(
        "produce nothing",
        9,
        &ProduceRequest::default().with_acks(-1),
    );
    t.ask(
        "produce where the broker stamps",
        9,
        &one("conf-stamped", good()),
    );
}

fn acks(t: &mut Talk) {
    t.ask(
        "produce, leader only",
        9,
        &one("conf-produce", good()).with_acks(1),
    );
    for acks in [2, -2] {
        t.ask(
            &format!("produce with acks {acks}"),
            9,
            &one("conf-produce", good()).with_acks(acks),
        );
    }
    t.ask("produce to too few replicas", 9, &one("conf-safe", good()));
    t.ask(
        "produce to too few replicas that are not asked for",
        9,
        &one("conf-safe", good()).with_acks(1),
    );
    for (label, name) in [
        ("silently", "conf-produce"),
        ("silently, to nothing", "conf-unknown"),
    ] {
        let mut both = t.frame(9, &one(name, good()).with_acks(0));
        both.extend(t.frame(0, &ApiVersionsRequest::default()));
        t.reconnect();
        t.send(&both);
        let answered = matches!(t.receive(), super::talk::Reply::Frame(_));
        t.write_down(
            &format!("produce {label}, then ask"),
            &format!("answered {answered}"),
        );
        t.reconnect();
    }
}

fn wrong_places(t: &mut Talk) {
    for version in [3, 9] {
        t.ask(
            "produce to an unknown topic",
            version,
            &one("conf-unknown", good()),
        );
        t.ask("produce to a bad name", version, &one("bad!", good()));
        t.ask(
            "produce to an unknown partition",
            version,
            &to("conf-produce", vec![data(2, good().seal())]),
        );
        t.ask(
            "produce to a negative partition",
            version,
            &to("conf-produce", vec![data(-1, good().seal())]),
        );
    }
    let two = to(
        "conf-produce",
        vec![data(5, good().seal()), data(0, good().seal())],
    );
    t.ask_sorted(
        "produce to a wrong place and a right one",
        9,
        &two,
        by_index,
    );
}

fn wrong_batches(t: &mut Talk) {
    let mut ask = |label: &str, records: Bytes| {
        for version in [7, 9] {
            t.ask(
                label,
                version,
                &to("conf-produce", vec![data(0, records.clone())]),
            );
        }
    };
    let changed = |place: usize| {
        let mut bytes = good().seal().to_vec();
        bytes[place] ^= 0x40;
        Bytes::from(bytes)
    };
    ask("no batch", Bytes::new());
    ask("a damaged batch", changed(70));
    ask("a damaged crc", changed(18));
    ask(
        "two batches",
        Bytes::from([good().seal(), good().seal()].concat()),
    );
    ask("half a batch", good().seal().slice(..70));
    ask("half a header", good().seal().slice(..30));
    ask("nearly no bytes", good().seal().slice(..8));
    ask("magic 1", with_magic(1));
    ask("magic 3", with_magic(3));
    ask("a base offset", good().change(|h| h.base_offset = 7).seal());
    ask(
        "a record count too large",
        good().change(|h| h.record_count = 4).seal(),
    );
    ask(
        "a record count too small",
        good().change(|h| h.record_count = 2).seal(),
    );
    ask(
        "a last offset delta too large",
        good().change(|h| h.last_offset_delta = 9).seal(),
    );
    ask(
        "no records",
        batch(&[], THEN).change(|h| h.max_timestamp = THEN).seal(),
    );
    ask(
        "a control batch",
        good().change(|h| h.attributes = Attributes(0x20)).seal(),
    );
    ask(
        "a batch that says the broker stamped it",
        good().change(|h| h.attributes = Attributes(0x08)).seal(),
    );
    ask(
        "codec 5",
        good().change(|h| h.attributes = Attributes(5)).seal(),
    );
    ask(
        "a leader epoch",
        good().change(|h| h.partition_leader_epoch = 3).seal(),
    );
    ask(
        "a producer without a sequence",
        good().producer(5, 0, -1).seal(),
    );
    ask(
        "a far future",
        good()
            .change(|h| (h.base_timestamp, h.max_timestamp) = (i64::MAX - 9, i64::MAX - 7))
            .seal(),
    );
    let long = "x".repeat(300);
    t.ask(
        "too large for the topic",
        9,
        &one("conf-small", batch(&[&long], THEN)),
    );
    t.ask("small enough for the topic", 9, &one("conf-small", good()));
    let long = "x".repeat(1_048_600);
    t.ask(
        "too large for the broker",
        9,
        &one("conf-produce", batch(&[&long], THEN)),
    );
    let zstd = good().change(|h| h.attributes = Attributes(4)).seal();
    t.ask(
        "zstd before its time",
        6,
        &to("conf-produce", vec![data(0, zstd)]),
    );
}

fn with_magic(magic: u8) -> Bytes {
    let mut bytes = good().seal().to_vec();
    bytes[16] = magic;
    Bytes::from(bytes)
}

fn idempotent(t: &mut Talk) {
    let id = t.producer_id();
    t.make_topics(&[("conf-produce", 2)], &[]);
    let send = |epoch, sequence| one("conf-produce", good().producer(id, epoch, sequence));
    t.ask("sequence 0", 9, &send(0, 0));
    t.ask("sequence 3", 9, &send(0, 3));
    t.ask("sequence 0 again", 9, &send(0, 0));
    t.ask("sequence 3 again", 9, &send(0, 3));
    t.ask("sequence 9, a gap", 9, &send(0, 9));
    t.ask("sequence 1, an overlap", 9, &send(0, 1));
    for i in 2..8 {
        t.quietly(9, &send(0, i * 3));
    }
    t.ask("sequence 0, too old to be known", 9, &send(0, 0));
    t.ask("sequence 9 again, the fifth last", 9, &send(0, 9));
    t.ask("epoch 1 in the middle", 9, &send(1, 24));
    t.ask("epoch 1 from the start", 9, &send(1, 0));
    t.ask("epoch 0 after epoch 1", 9, &send(0, 24));
    t.ask(
        "an unknown producer in the middle",
        9,
        &one("conf-produce", good().producer(id + 100_000, 0, 50)),
    );
    let stamped = one("conf-stamped", good().producer(id, 0, 0));
    t.ask("where the broker stamps", 9, &stamped);
    t.ask("where the broker stamps, again", 9, &stamped);
}
