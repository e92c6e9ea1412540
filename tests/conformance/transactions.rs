//! Transactions as clients of version 1 and 2 ask for them: the normal course, wrong ids and states, fencing, offsets.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::*;
use ottla::protocol::record::{Attributes, BatchHeader};

use super::batches::{Batch, batch};
use super::talk::{Talk, text, topic};

pub(crate) const NAME: &str = "conf-transactions";
const TRANSACTIONAL: i16 = 0x10;
/// Errors of a moment: the transaction before is still being ended.
const CONCURRENT: i16 = 51;
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn cases(t: &mut Talk) {
    t.make_topics(&[(NAME, 3)], &[]);
    initialize(t);
    version_1(t);
    version_2(t);
    without_a_transaction(t);
    mixed_up(t);
    fenced(t);
    batched(t);
    described(t);
    offsets(t);
    timed_out(t);
    t.remove_topics(&[NAME]);
}

/// Topic, partition and offset.
type Position<'a> = (&'a str, i32, i64);

/// A producer of a transactional id that nobody had before.
#[derive(Clone)]
pub(crate) struct Producer {
    pub(crate) name: String,
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

impl Producer {
    pub(crate) fn new(t: &mut Talk, name: &str) -> Producer {
        let mut producer = Producer {
            name: t.fresh(name),
            id: -1,
            epoch: -1,
        };
        producer.renew(t);
        producer
    }

    /// Initialises, without a word about what it had, as often as it takes.
    pub(crate) fn renew(&mut self, t: &mut Talk) {
        let started = Instant::now();
        // Asking for the coordinator has a new Kafka make the topic of its transactions.
        let find = FindCoordinatorRequest::default()
            .with_key(text(&self.name))
            .with_key_type(1);
        while t.quietly(3, &find).error_code != 0 {
            assert!(started.elapsed() < LIMIT, "no coordinator");
            std::thread::sleep(Duration::from_millis(50));
        }
        loop {
            let answer = t.quietly(4, &init(&self.name));
            if answer.error_code == 0 {
                (self.id, self.epoch) = (answer.producer_id.0, answer.producer_epoch);
                return;
            }
            assert!(
                matches!(answer.error_code, 14..=16 | CONCURRENT) && started.elapsed() < LIMIT,
                "{answer:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn at(&self, epoch: i16) -> Producer {
        Producer {
            epoch,
            ..self.clone()
        }
    }

    fn init(&self) -> InitProducerIdRequest {
        init(&self.name)
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(self.epoch)
    }

    fn batch(&self, sequence: i32) -> Batch {
        batch(&["one", "two"], then())
            .producer(self.id, self.epoch, sequence)
            .change(|h| h.attributes = Attributes(TRANSACTIONAL))
    }

    pub(crate) fn produce(&self, partition: i32, sequence: i32) -> ProduceRequest {
        self.request(vec![data(partition, self.batch(sequence).seal())])
    }

    fn request(&self, partitions: Vec<PartitionProduceData>) -> ProduceRequest {
        let topic = TopicProduceData::default()
            .with_name(topic(NAME))
            .with_partition_data(partitions);
        ProduceRequest::default()
            .with_transactional_id(Some(TransactionalId(text(&self.name))))
            .with_acks(-1)
            .with_timeout_ms(5000)
            .with_topic_data(vec![topic])
    }

    pub(crate) fn add(&self, partitions: &[i32]) -> AddPartitionsToTxnRequest {
        AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text(&self.name)))
            .with_v3_and_below_producer_id(ProducerId(self.id))
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(places(NAME, partitions))
    }

    fn batched(&self, partitions: &[i32], verify: bool) -> AddPartitionsToTxnTransaction {
        AddPartitionsToTxnTransaction::default()
            .with_transactional_id(TransactionalId(text(&self.name)))
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(self.epoch)
            .with_verify_only(verify)
            .with_topics(places(NAME, partitions))
    }

    pub(crate) fn end(&self, commit: bool) -> EndTxnRequest {
        EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text(&self.name)))
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(self.epoch)
            .with_committed(commit)
    }

    /// Ends a transaction as a client of version 2 and takes over its new epoch.
    pub(crate) fn end_v2(&mut self, t: &mut Talk, commit: bool) {
        let answer = t.quietly(5, &self.end(commit));
        assert_eq!(answer.error_code, 0, "{answer:?}");
        (self.id, self.epoch) = (answer.producer_id.0, answer.producer_epoch);
        self.settle(t);
    }

    /// Waits until the markers are written.
    pub(crate) fn settle(&self, t: &mut Talk) {
        let request = self.describe();
        let started = Instant::now();
        loop {
            let answer = t.quietly(0, &request);
            let state = answer.transaction_states[0].transaction_state.to_string();
            if !state.starts_with("Prepare") {
                return;
            }
            assert!(started.elapsed() < LIMIT, "it stays {state}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn describe(&self) -> DescribeTransactionsRequest {
        DescribeTransactionsRequest::default()
            .with_transactional_ids(vec![TransactionalId(text(&self.name))])
    }
}

/// About now: Kafka begins a new file for a marker that is days younger than the records before it, and a fetch reads
/// one file only.
fn then() -> i64 {
    static THEN: OnceLock<i64> = OnceLock::new();
    *THEN.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.expect("a clock").as_millis() as i64
    })
}

fn init(name: &str) -> InitProducerIdRequest {
    InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(text(name))))
        .with_transaction_timeout_ms(60_000)
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1)
}

fn data(partition: i32, records: Bytes) -> PartitionProduceData {
    PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(records))
}

fn places(name: &str, partitions: &[i32]) -> Vec<AddPartitionsToTxnTopic> {
    vec![
        AddPartitionsToTxnTopic::default()
            .with_name(topic(name))
            .with_partitions(partitions.to_vec()),
    ]
}

/// Produces once the transaction before has ended, which takes a moment.
fn ask_settled(
    t: &mut Talk,
    label: &str,
    version: i16,
    producer: &Producer,
    partition: i32,
    sequence: i32,
) {
    producer.settle(t);
    t.ask(label, version, &producer.produce(partition, sequence));
}

/// By topic, and by partition in each.
fn by_place(answer: &mut AddPartitionsToTxnResponse) {
    for topic in &mut answer.results_by_topic_v3_and_below {
        topic
            .results_by_partition
            .sort_by_key(|p| p.partition_index);
    }
    answer
        .results_by_transaction
        .sort_by_key(|r| r.transactional_id.to_string());
    for result in &mut answer.results_by_transaction {
        for topic in &mut result.topic_results {
            topic
                .results_by_partition
                .sort_by_key(|p| p.partition_index);
        }
    }
}

/// Fetches from an offset and writes down the batches, without what differs, in place of the bytes.
fn fetch(t: &mut Talk, label: &str, version: i16, partition: i32, offset: i64, committed: bool) {
    let partition = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(100_000);
    let mut topic_wanted = FetchTopic::default().with_partitions(vec![partition]);
    if version >= 13 {
        topic_wanted.topic_id = t.id_of(NAME);
    } else {
        topic_wanted.topic = topic(NAME);
    }
    let mut request = FetchRequest::default()
        .with_topics(vec![topic_wanted])
        .with_max_bytes(1_000_000)
        .with_min_bytes(1)
        .with_isolation_level(committed.into());
    if version >= 7 {
        request.session_epoch = -1;
    }
    let mut batches = Vec::new();
    let answer = t.quietly(version, &request);
    let records = answer.responses[0].partitions[0]
        .records
        .clone()
        .unwrap_or_default();
    let mut rest = &records[..];
    while let Ok(Some(h)) = BatchHeader::parse(rest) {
        let (whole, more) = rest.split_at(h.total_len().min(rest.len()));
        rest = more;
        let marker = if h.attributes.is_control() {
            format!(" {:?}", &whole[61..])
        } else {
            String::new()
        };
        batches.push(format!(
            "{}..{} attributes {} epoch {} sequence {}{marker}",
            h.base_offset,
            h.last_offset(),
            h.attributes.0,
            h.producer_epoch,
            h.base_sequence,
        ));
    }
    t.ask_sorted(label, version, &request, |answer| {
        let partition = &mut answer.responses[0].partitions[0];
        partition.records = None;
        if let Some(aborted) = &mut partition.aborted_transactions {
            aborted.sort_by_key(|a| a.first_offset);
        }
    });
    t.write_down(&format!("{label}: records"), &batches.join("\n"));
}

fn list(t: &mut Talk, label: &str, version: i16, timestamp: i64, committed: bool) {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let wanted = ListOffsetsTopic::default()
        .with_name(topic(NAME))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(committed.into())
        .with_topics(vec![wanted]);
    t.ask_sorted(label, version, &request, |answer| {
        let partition = &mut answer.topics[0].partitions[0];
        partition.timestamp = partition.timestamp.min(0);
    });
}

fn initialize(t: &mut Talk) {
    let p = Producer::new(t, "init");
    for version in 0..=5 {
        t.ask("init", version, &init(&p.name));
    }
    for timeout in [0, -1, 900_001, 900_000] {
        let request = init(&p.name).with_transaction_timeout_ms(timeout);
        t.ask(&format!("init with timeout {timeout}"), 4, &request);
    }
    t.ask("init without a name", 4, &init(""));
    let mut p = p;
    p.renew(t);
    for version in [3, 4, 5] {
        let half = p.init().with_producer_epoch(-1);
        t.ask("init with half of what it had", version, &half);
        let half = p.init().with_producer_id(ProducerId(-1));
        t.ask("init with the other half", version, &half);
        t.ask("init with what it had", version, &p.init());
        t.ask("init with what it had, again", version, &p.init());
        let older = p.at(p.epoch - 1).init();
        t.ask("init with what it had long ago", version, &older);
        let newer = p.at(p.epoch + 5).init();
        t.ask("init with what it never had", version, &newer);
        let other = p.init().with_producer_id(ProducerId(p.id + 1_000_000));
        t.ask("init with another's", version, &other);
        p.renew(t);
    }
    let stranger = Producer {
        name: t.fresh("init-stranger"),
        ..p
    };
    t.ask("init of a new name with another's", 4, &stranger.init());
}

fn version_1(t: &mut Talk) {
    let p = Producer::new(t, "one");
    for version in [9, 10, 11] {
        t.ask("v1: produce, not added", version, &p.produce(0, 0));
    }
    t.ask("v1: commit nothing", 4, &p.end(true));
    t.ask("v1: abort nothing", 4, &p.end(false));
    for version in 0..=3 {
        t.ask_sorted("v1: add", version, &p.add(&[0, 1]), by_place);
    }
    t.ask("v1: produce", 11, &p.produce(0, 0));
    t.ask("v1: produce again", 11, &p.produce(0, 0));
    t.ask("v1: produce more", 9, &p.produce(0, 2));
    t.ask("v1: produce with a gap", 11, &p.produce(0, 9));
    t.ask("v1: produce elsewhere", 11, &p.produce(2, 0));
    t.ask("v1: produce elsewhere, older", 10, &p.produce(2, 0));
    fetch(t, "v1: fetch", 11, 0, 0, false);
    fetch(t, "v1: fetch committed", 11, 0, 0, true);
    fetch(t, "v1: fetch committed in the middle", 11, 0, 3, true);
    for committed in [false, true] {
        for (timestamp, what) in [(-1, "end"), (-2, "start"), (-3, "newest"), (then(), "time")] {
            list(
                t,
                &format!("v1: {what}, committed {committed}"),
                7,
                timestamp,
                committed,
            );
        }
    }
    for version in 0..=4 {
        t.ask("v1: commit", version, &p.end(true));
        p.settle(t);
    }
    t.ask("v1: abort what was committed", 4, &p.end(false));
    fetch(t, "v1: fetch committed after the end", 11, 0, 0, true);
    list(t, "v1: end after the end", 4, -1, true);
    t.ask("v1: produce after the end", 11, &p.produce(0, 4));
    t.quietly(3, &p.add(&[0]));
    t.ask("v1: produce in the next transaction", 11, &p.produce(0, 4));
    t.ask("v1: abort", 4, &p.end(false));
    p.settle(t);
    t.ask("v1: abort again", 4, &p.end(false));
    t.ask("v1: commit what was aborted", 4, &p.end(true));
    for version in [4, 7, 11, 12, 13, 18] {
        fetch(t, "v1: fetch with what was aborted", version, 0, 0, true);
    }
    fetch(t, "v1: fetch behind what was aborted", 11, 0, 8, true);
    fetch(t, "v1: fetch at the end", 11, 0, 9, true);
    fetch(t, "v1: fetch a partition without records", 11, 1, 0, true);
}

fn version_2(t: &mut Talk) {
    t.make_topics(&[(NAME, 3)], &[]);
    let mut p = Producer::new(t, "two");
    t.ask("v2: commit nothing", 5, &p.end(true));
    t.ask("v2: abort nothing", 5, &p.end(false));
    p.settle(t);
    t.ask("v2: abort nothing, again", 5, &p.end(false));
    p.renew(t);
    t.ask("v2: produce", 12, &p.produce(0, 0));
    t.ask("v2: produce again", 12, &p.produce(0, 0));
    t.ask("v2: produce more", 12, &p.produce(0, 2));
    t.ask("v2: produce in the middle elsewhere", 12, &p.produce(1, 2));
    t.ask("v2: produce elsewhere", 12, &p.produce(1, 0));
    fetch(t, "v2: fetch committed", 11, 0, 0, true);
    let old = p.clone();
    t.ask("v2: commit", 5, &p.end(true));
    p.settle(t);
    t.ask("v2: commit again", 5, &old.end(true));
    t.ask("v2: abort what was committed", 5, &old.end(false));
    p.epoch += 1;
    t.ask("v2: commit nothing after a commit", 5, &p.end(true));
    t.ask(
        "v2: commit as of the future",
        5,
        &p.at(p.epoch + 1).end(true),
    );
    t.ask(
        "v2: produce after the end, as before",
        12,
        &old.produce(0, 4),
    );
    t.ask(
        "v2: produce in the middle after the end",
        12,
        &p.produce(0, 4),
    );
    t.ask(
        "v2: produce as of the future",
        12,
        &p.at(p.epoch + 1).produce(0, 0),
    );
    t.ask("v2: produce in the next transaction", 12, &p.produce(0, 0));
    let old = p.clone();
    t.ask("v2: abort", 5, &p.end(false));
    p.settle(t);
    t.ask("v2: abort again", 5, &old.end(false));
    t.ask("v2: commit what was aborted", 5, &old.end(true));
    p.epoch += 1;
    fetch(t, "v2: fetch committed after an abort", 11, 0, 0, true);
    fetch(t, "v2: fetch committed elsewhere", 11, 1, 0, true);
    t.ask("v2: abort nothing after an abort", 5, &p.end(false));
    p.settle(t);
    p.epoch += 1;
    t.ask("v2: commit nothing after an abort", 5, &p.end(true));
    // A client of version 1 takes over, and one of version 2 again.
    t.ask_sorted("v2: add as version 1", 3, &p.add(&[0]), by_place);
    t.ask("v2: commit as version 1", 4, &p.end(true));
    p.settle(t);
    ask_settled(t, "v2: produce again as version 2", 12, &p, 2, 0);
    p.end_v2(t, true);
}

fn without_a_transaction(t: &mut Talk) {
    let p = Producer::new(t, "wrong");
    let unknown = Producer {
        name: t.fresh("wrong-unknown"),
        ..p.clone()
    };
    let unnamed = Producer {
        name: String::new(),
        ..p.clone()
    };
    let other = Producer {
        id: p.id + 1_000_000,
        ..p.clone()
    };
    let older = p.at(p.epoch - 1);
    let newer = p.at(p.epoch + 1);
    for (label, q) in [
        ("of an unknown name", &unknown),
        ("without a name", &unnamed),
        ("of another id", &other),
        ("of an older epoch", &older),
        ("of a newer epoch", &newer),
    ] {
        for version in [0, 3] {
            t.ask_sorted(&format!("add {label}"), version, &q.add(&[0]), by_place);
        }
        for version in [1, 4, 5] {
            t.ask(&format!("end {label}"), version, &q.end(true));
            t.ask(&format!("abort {label}"), version, &q.end(false));
        }
        // A batch of a negative epoch is no batch of a producer.
        if q.epoch >= 0 {
            for version in [9, 11, 12] {
                t.ask(&format!("produce {label}"), version, &q.produce(0, 0));
            }
        }
    }
    {
        let version = 3;
        t.ask_sorted(
            "add unknown partitions",
            version,
            &p.add(&[0, 9, -1]),
            by_place,
        );
        let mut request = p.add(&[0]);
        request
            .v3_and_below_topics
            .extend(places("conf-unknown", &[0]));
        t.ask_sorted("add an unknown topic", version, &request, |answer| {
            answer
                .results_by_topic_v3_and_below
                .sort_by_key(|r| r.name.to_string());
        });
        t.ask("add nothing", version, &p.add(&[]));
    }
    for version in [11, 12] {
        t.ask("produce to an unknown partition", version, &p.produce(9, 0));
    }
}

fn mixed_up(t: &mut Talk) {
    t.make_topics(&[(NAME, 3)], &[]);
    let mut p = Producer::new(t, "mixed");
    let q = Producer::new(t, "mixed-other");
    let plain =
        |p: &Producer, sequence: i32| p.batch(sequence).change(|h| h.attributes = Attributes(0));
    for version in [11, 12] {
        let nameless = p.produce(0, 0).with_transactional_id(None);
        t.ask(
            "transactional records without a transaction",
            version,
            &nameless,
        );
        let nobody = p
            .batch(0)
            .change(|h| (h.producer_id, h.producer_epoch, h.base_sequence) = (-1, -1, -1));
        let request = p.request(vec![data(0, nobody.seal())]);
        t.ask("transactional records of nobody", version, &request);
        let both = vec![data(0, p.batch(0).seal()), data(1, q.batch(0).seal())];
        t.ask_sorted(
            "records of two producers",
            version,
            &p.request(both),
            by_index,
        );
    }
    let request = p.request(vec![data(0, plain(&p, 0).seal())]);
    t.ask("plain records of a transactional producer", 12, &request);
    t.ask("transactional records behind them", 12, &p.produce(0, 2));
    let request = p.request(vec![data(0, plain(&p, 4).seal())]);
    t.ask("plain records in a transaction", 12, &request);
    let both = vec![
        data(0, p.batch(4).seal()),
        data(1, p.batch(0).seal()),
        data(7, p.batch(0).seal()),
    ];
    t.ask_sorted(
        "records of one producer for three places",
        12,
        &p.request(both),
        by_index,
    );
    p.end_v2(t, true);
    let damaged = {
        let mut bytes = p.batch(0).seal().to_vec();
        bytes[70] ^= 0x40;
        Bytes::from(bytes)
    };
    t.ask("damaged records", 12, &p.request(vec![data(2, damaged)]));
    t.ask("good records after them", 12, &p.produce(2, 0));
    p.end_v2(t, true);
}

fn by_index(answer: &mut ProduceResponse) {
    for topic in &mut answer.responses {
        topic.partition_responses.sort_by_key(|p| p.index);
    }
}

fn fenced(t: &mut Talk) {
    t.make_topics(&[(NAME, 3)], &[]);
    let mut old = Producer::new(t, "fenced");
    t.ask("fenced: produce", 12, &old.produce(0, 0));
    t.ask("fenced: another initialises", 4, &init(&old.name));
    let mut new = old.clone();
    new.renew(t);
    t.write_down(
        "fenced: epochs",
        &format!("{} after {}", new.epoch, old.epoch),
    );
    for version in [9, 11, 12] {
        t.ask("fenced: produce too late", version, &old.produce(0, 2));
        t.ask(
            "fenced: produce elsewhere too late",
            version,
            &old.produce(1, 0),
        );
    }
    for version in 0..=5 {
        t.ask("fenced: commit too late", version, &old.end(true));
        t.ask("fenced: abort too late", version, &old.end(false));
    }
    for version in 0..=3 {
        t.ask_sorted("fenced: add too late", version, &old.add(&[0]), by_place);
    }
    for version in [3, 4] {
        t.ask("fenced: init too late", version, &old.init());
    }
    fetch(t, "fenced: fetch", 11, 0, 0, true);
    t.ask("fenced: produce anew", 12, &new.produce(0, 0));
    // It asks itself, with its transaction open (KIP-360).
    t.ask("fenced: init with what it has", 4, &new.init());
    new.settle(t);
    t.ask(
        "fenced: init with what it has, after the abort",
        4,
        &new.init(),
    );
    old = new.at(new.epoch + 1);
    t.ask("fenced: init with what it got", 4, &old.init());
}

fn batched(t: &mut Talk) {
    let p = Producer::new(t, "batched-a");
    let q = Producer::new(t, "batched-b");
    let request = |all: Vec<AddPartitionsToTxnTransaction>| {
        AddPartitionsToTxnRequest::default().with_transactions(all)
    };
    for version in [4, 5] {
        let verify = request(vec![p.batched(&[0], true)]);
        t.ask_sorted("verify what is not there", version, &verify, by_place);
        let add = request(vec![p.batched(&[0, 1], false), q.batched(&[2], false)]);
        t.ask_sorted("add for two", version, &add, by_place);
        let verify = request(vec![p.batched(&[0, 2], true), q.batched(&[2], true)]);
        t.ask_sorted("verify for two", version, &verify, by_place);
        let wrong = request(vec![
            p.at(p.epoch + 1).batched(&[0], false),
            q.batched(&[0, 9], false),
        ]);
        t.ask_sorted("add wrongly", version, &wrong, by_place);
        let wrong = request(vec![p.at(p.epoch + 1).batched(&[0], true)]);
        t.ask_sorted("verify wrongly", version, &wrong, by_place);
        t.quietly(4, &p.end(true));
        t.quietly(4, &q.end(true));
        p.settle(t);
        q.settle(t);
    }
}

fn described(t: &mut Talk) {
    t.make_topics(&[(NAME, 3)], &[]);
    let mut p = Producer::new(t, "described");
    let strangers = |names: &[&str]| {
        DescribeTransactionsRequest::default()
            .with_transactional_ids(names.iter().map(|n| TransactionalId(text(n))).collect())
    };
    let producers = |name: &str, partitions: &[i32]| {
        let wanted = describe_producers_request::TopicRequest::default()
            .with_name(topic(name))
            .with_partition_indexes(partitions.to_vec());
        DescribeProducersRequest::default().with_topics(vec![wanted])
    };
    let listed = |p: &Producer, states: &[&str]| {
        ListTransactionsRequest::default()
            .with_producer_id_filters(vec![ProducerId(p.id)])
            .with_state_filters(states.iter().map(|s| text(s)).collect())
    };
    let sorted = |answer: &mut DescribeTransactionsResponse| {
        for state in &mut answer.transaction_states {
            for topic in &mut state.topics {
                topic.partitions.sort_unstable();
            }
        }
    };
    t.ask("describe a new one", 0, &p.describe());
    t.ask("describe strangers", 0, &strangers(&["", "conf-nobody"]));
    t.ask("describe none", 0, &strangers(&[]));
    t.quietly(12, &p.produce(0, 0));
    t.quietly(12, &p.produce(2, 0));
    t.ask_sorted("describe an open one", 0, &p.describe(), sorted);
    t.ask("producers of partitions", 0, &producers(NAME, &[0, 1]));
    t.ask(
        "producers of an unknown partition",
        0,
        &producers(NAME, &[9]),
    );
    t.ask(
        "producers of an unknown topic",
        0,
        &producers("conf-unknown", &[0]),
    );
    t.ask("producers of a bad name", 0, &producers("bad!", &[0]));
    for version in 0..=2 {
        t.ask("list it", version, &listed(&p, &[]));
        t.ask(
            "list it by state",
            version,
            &listed(&p, &["Ongoing", "Empty"]),
        );
        t.ask("list others", version, &listed(&p, &["Empty"]));
        t.ask(
            "list by no state at all",
            version,
            &listed(&p, &["Strange"]),
        );
    }
    for duration in [0, 3_600_000] {
        let request = listed(&p, &[]).with_duration_filter(duration);
        std::thread::sleep(Duration::from_millis(2));
        t.ask(&format!("list those older than {duration}"), 1, &request);
    }
    for pattern in ["", "conf-nobody", "("] {
        let request = listed(&p, &[]).with_transactional_id_pattern(Some(text(pattern)));
        t.ask(&format!("list those like `{pattern}`"), 2, &request);
    }
    p.end_v2(t, true);
    t.ask("describe a committed one", 0, &p.describe());
    t.ask("producers after the commit", 0, &producers(NAME, &[0]));
    t.ask("list it after the commit", 1, &listed(&p, &[]));
    t.quietly(12, &p.produce(0, 0));
    p.end_v2(t, false);
    t.ask("describe an aborted one", 0, &p.describe());
    t.ask("producers after the abort", 0, &producers(NAME, &[0]));
}

impl Producer {
    fn add_offsets(&self, group: &str) -> AddOffsetsToTxnRequest {
        AddOffsetsToTxnRequest::default()
            .with_transactional_id(TransactionalId(text(&self.name)))
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(self.epoch)
            .with_group_id(GroupId(text(group)))
    }

    fn commit_offsets(&self, group: &str, offsets: &[Position]) -> TxnOffsetCommitRequest {
        let topics = offsets.iter().map(|&(name, partition, offset)| {
            let partition = TxnOffsetCommitRequestPartition::default()
                .with_partition_index(partition)
                .with_committed_offset(offset)
                .with_committed_metadata(Some(text("meta")));
            TxnOffsetCommitRequestTopic::default()
                .with_name(topic(name))
                .with_partitions(vec![partition])
        });
        TxnOffsetCommitRequest::default()
            .with_transactional_id(TransactionalId(text(&self.name)))
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(self.epoch)
            .with_group_id(GroupId(text(group)))
            .with_topics(topics.collect())
    }
}

fn positions(group: &str, stable: bool) -> OffsetFetchRequest {
    let topic = OffsetFetchRequestTopic::default()
        .with_name(topic(NAME))
        .with_partition_indexes(vec![0, 1]);
    OffsetFetchRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(Some(vec![topic]))
        .with_require_stable(stable)
}

/// The markers reach the group's coordinator a moment later than the producer is answered.
fn until_stable(t: &mut Talk, group: &str) {
    let started = Instant::now();
    while t.quietly(7, &positions(group, true)).topics[0].partitions[0].error_code != 0 {
        assert!(started.elapsed() < LIMIT, "the offsets stay unstable");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn offsets(t: &mut Talk) {
    let group = t.fresh("txn-group");
    let find = FindCoordinatorRequest::default().with_key(text(&group));
    let started = Instant::now();
    while t.quietly(3, &find).error_code != 0
        || matches!(t.quietly(7, &positions(&group, false)).error_code, 14..=16)
    {
        assert!(started.elapsed() < LIMIT, "no coordinator");
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut p = Producer::new(t, "offsets");
    let one: &[Position] = &[(NAME, 0, 3)];
    for version in 0..=4 {
        let request = p.commit_offsets(&group, one);
        t.ask("commit offsets, not added", version, &request);
    }
    let unknown = Producer {
        name: t.fresh("offsets-unknown"),
        ..p.clone()
    };
    let other = Producer {
        id: p.id + 1_000_000,
        ..p.clone()
    };
    for (label, q) in [
        ("of an unknown name", &unknown),
        ("of another id", &other),
        ("of a newer epoch", &p.at(p.epoch + 1)),
    ] {
        for version in [1, 4] {
            t.ask(
                &format!("add offsets {label}"),
                version,
                &q.add_offsets(&group),
            );
        }
        for version in [3, 4, 5] {
            let request = q.commit_offsets(&group, one);
            t.ask(&format!("commit offsets {label}"), version, &request);
        }
    }
    for version in 0..=4 {
        t.ask("add offsets", version, &p.add_offsets(&group));
    }
    for version in 0..=4 {
        let request = p.commit_offsets(&group, &[(NAME, 0, 10 + i64::from(version))]);
        t.ask("commit offsets", version, &request);
    }
    for stable in [false, true] {
        let label = format!("positions in a transaction, stable {stable}");
        t.ask(&label, 7, &positions(&group, stable));
    }
    t.quietly(4, &p.end(true));
    p.settle(t);
    until_stable(t, &group);
    t.ask("positions after the commit", 7, &positions(&group, true));
    let wrong: [(&str, &[Position]); 3] = [
        ("of an unknown topic", &[("conf-unknown", 0, 1)]),
        ("of an unknown partition", &[(NAME, 9, 1)]),
        (
            "of a wrong place and a right one",
            &[(NAME, 9, 1), (NAME, 1, 6)],
        ),
    ];
    for (label, offsets) in wrong {
        let request = p.commit_offsets(&group, offsets);
        t.ask_sorted(&format!("commit offsets {label}"), 5, &request, |answer| {
            for topic in &mut answer.topics {
                topic.partitions.sort_by_key(|p| p.partition_index);
            }
            answer
                .topics
                .sort_by_key(|t| t.partitions.first().map(|p| p.partition_index));
        });
    }
    let mut long = p.commit_offsets(&group, one);
    long.topics[0].partitions[0].committed_metadata = Some(text(&"m".repeat(5000)));
    t.ask("commit offsets with long metadata", 5, &long);
    let member = p
        .commit_offsets(&group, one)
        .with_generation_id(3)
        .with_member_id(text("somebody"));
    t.ask("commit offsets as a member", 5, &member);
    let nobody = t.fresh("txn-group-unknown");
    let stranger = p
        .commit_offsets(&nobody, one)
        .with_generation_id(3)
        .with_member_id(text("somebody"));
    t.ask("commit offsets as a member of no group", 5, &stranger);
    t.ask("commit offsets for no group", 5, &p.commit_offsets("", one));
    t.quietly(
        5,
        &p.commit_offsets(&group, &[(NAME, 0, 99), (NAME, 1, 99)]),
    );
    let plain = OffsetCommitRequestTopic::default()
        .with_name(topic(NAME))
        .with_partitions(vec![
            OffsetCommitRequestPartition::default()
                .with_partition_index(1)
                .with_committed_offset(77)
                .with_committed_metadata(Some(text("plain"))),
        ]);
    let plain = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(&group)))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![plain]);
    t.ask("commit outside of the transaction", 7, &plain);
    t.ask("positions of both", 7, &positions(&group, true));
    let old = p.clone();
    p.end_v2(t, true);
    until_stable(t, &group);
    t.ask("positions after both", 7, &positions(&group, true));
    for version in [4, 5] {
        let late = old.commit_offsets(&group, one);
        t.ask("commit offsets too late", version, &late);
    }
    t.quietly(5, &p.commit_offsets(&group, &[(NAME, 0, 111)]));
    p.end_v2(t, false);
    until_stable(t, &group);
    t.ask("positions after an abort", 7, &positions(&group, true));
}

fn timed_out(t: &mut Talk) {
    t.make_topics(&[(NAME, 3)], &[]);
    let mut names = Vec::new();
    for name in ["timed-a", "timed-b", "timed-c"] {
        let p = Producer::new(t, name);
        // Long enough for all three to have begun before the first ends.
        let short = p.init().with_transaction_timeout_ms(2000);
        let epoch = t.quietly(4, &short).producer_epoch;
        names.push(p.at(epoch));
    }
    for p in &names {
        t.ask("timed out: produce", 12, &p.produce(0, 0));
    }
    let [a, b, c] = &names[..] else { return };
    let started = Instant::now();
    for p in [a, b, c] {
        // Kafka looks for them every ten seconds.
        loop {
            let answer = t.quietly(0, &p.describe());
            if answer.transaction_states[0].transaction_state.as_str() == "CompleteAbort" {
                break;
            }
            assert!(started.elapsed() < LIMIT, "{answer:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
        t.ask("timed out: describe", 0, &p.describe());
    }
    t.ask("timed out: produce too late", 12, &a.produce(0, 2));
    t.ask(
        "timed out: produce too late as version 1",
        11,
        &a.produce(0, 2),
    );
    t.ask_sorted("timed out: add too late", 3, &a.add(&[0]), by_place);
    t.ask("timed out: commit too late", 5, &a.end(true));
    t.ask("timed out: abort too late", 5, &a.end(false));
    t.ask("timed out: commit too late as version 1", 4, &a.end(true));
    t.ask("timed out: init with what it had", 4, &b.init());
    t.ask("timed out: init with what it had, again", 4, &b.init());
    t.ask("timed out: init with nothing", 4, &init(&c.name));
    fetch(t, "timed out: fetch", 11, 0, 0, true);
}
