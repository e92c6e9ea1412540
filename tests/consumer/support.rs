//! Clusters to read from, and a producer of exactly the batches a test wants.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use kafka_protocol::messages::{RequestHeader, ResponseHeader, TopicName, TransactionalId};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use ottla::broker::{Broker, BrokerOptions};
use ottla::config::ConsumerConfig;
use ottla::consumer::{Batch, Consumer, Event, Polled};
use ottla::protocol::compress::Codec;
use ottla::protocol::record::{Attempt, BatchBuilder};

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// An embedded broker with so many nodes.
pub(crate) fn broker(nodes: usize) -> Broker {
    Broker::start(BrokerOptions::new().nodes(nodes)).unwrap()
}

/// A consumer of `bootstrap` with these keys besides.
pub(crate) fn consumer(bootstrap: &str, more: &[(&str, &str)]) -> Consumer {
    let short = [("fetch.max.wait.ms", "50")]
        .into_iter()
        .filter(|(key, _)| more.iter().all(|(given, _)| given != key));
    let pairs = [("bootstrap.servers", bootstrap)].into_iter().chain(short);
    Consumer::new(ConsumerConfig::from_pairs(pairs.chain(more.iter().copied())).unwrap()).unwrap()
}

/// One record to produce.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(crate) timestamp: i64,
}

/// Numbered values without anything else, with their number as the timestamp.
pub(crate) fn numbered(range: std::ops::Range<u64>) -> Vec<Row> {
    range
        .map(|n| Row {
            value: Some(format!("value-{n:08}").into_bytes()),
            timestamp: n as i64,
            ..Row::default()
        })
        .collect()
}

/// One batch's bytes.
pub(crate) fn batch(rows: &[Row], codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::new(usize::MAX, 1024);
    for row in rows {
        let headers: Vec<_> = row
            .headers
            .iter()
            .map(|(k, v)| (&k[..], v.as_deref()))
            .collect();
        assert!(
            builder
                .append(
                    row.key.as_deref(),
                    row.value.as_deref(),
                    &headers,
                    row.timestamp
                )
                .unwrap()
        );
    }
    let sealed = builder.seal(codec, None).unwrap();
    [&sealed.header(&Attempt::PLAIN)[..], &sealed.body()[..]].concat()
}

/// A connection to one broker for producing raw batches.
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) fn connect(address: &str) -> Self {
        Raw(TcpStream::connect(address).unwrap())
    }

    /// Produces batches, one request each, and gives the base offset of the first.
    pub(crate) fn produce(&mut self, topic: &str, partition: i32, batches: &[Vec<u8>]) -> i64 {
        let offsets: Vec<i64> = batches
            .iter()
            .map(|b| self.produce_one(topic, partition, b))
            .collect();
        offsets[0]
    }

    fn produce_one(&mut self, topic: &str, partition: i32, records: &[u8]) -> i64 {
        let end = Instant::now() + LIMIT;
        loop {
            match self.produce_as(None, topic, partition, records) {
                (0, offset) => return offset,
                // A new leader takes a moment until it knows that it is one.
                (3 | 5 | 6, _) if Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(10))
                }
                (code, _) => panic!("producing to {topic}-{partition}: error {code}"),
            }
        }
    }

    /// Produces one batch, in a transaction if there is a transactional id: error code and base offset.
    pub(crate) fn produce_as(
        &mut self,
        transactional_id: Option<&'static str>,
        topic: &str,
        partition: i32,
        records: &[u8],
    ) -> (i16, i64) {
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(bytes::Bytes::copy_from_slice(records)));
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(
                transactional_id.map(|id| TransactionalId(StrBytes::from_static_str(id))),
            )
            .with_acks(-1)
            .with_timeout_ms(10_000)
            .with_topic_data(vec![topic]);
        let answer = self.call(8, &request);
        let partition = &answer.responses[0].partition_responses[0];
        (partition.error_code, partition.base_offset)
    }

    /// Any request and its answer.
    pub(crate) fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_client_id(Some(StrBytes::from_static_str("test")));
        let mut body = BytesMut::new();
        header
            .encode(&mut body, R::header_version(version))
            .unwrap();
        request.encode(&mut body, version).unwrap();
        self.0
            .write_all(&(body.len() as u32).to_be_bytes())
            .unwrap();
        self.0.write_all(&body).unwrap();
        let mut size = [0; 4];
        self.0.read_exact(&mut size).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(size) as usize];
        self.0.read_exact(&mut answer).unwrap();
        let mut answer = bytes::Bytes::from(answer);
        ResponseHeader::decode(&mut answer, R::Response::header_version(version)).unwrap();
        R::Response::decode(&mut answer, version).unwrap()
    }
}

/// Produces batches to the partition's leader.
pub(crate) fn produce(broker: &Broker, topic: &str, partition: i32, batches: &[Vec<u8>]) -> i64 {
    let leader = broker.leader(topic, partition).unwrap().unwrap();
    Raw::connect(&broker.node_address(leader).unwrap()).produce(topic, partition, batches)
}

/// What a record looked like when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) row: Row,
}

/// Copies a batch's records.
pub(crate) fn rows(batch: &Batch) -> Vec<Got> {
    batch
        .iter()
        .map(|r| Got {
            topic: r.topic().to_string(),
            partition: r.partition(),
            offset: r.offset(),
            row: Row {
                key: r.key().map(<[u8]>::to_vec),
                value: r.value().map(<[u8]>::to_vec),
                headers: r
                    .headers()
                    .map(|(k, v)| (k.to_vec(), v.map(<[u8]>::to_vec)))
                    .collect(),
                timestamp: r.timestamp(),
            },
        })
        .collect()
}

/// Polls until `n` records have come; an event fails the test.
pub(crate) fn read(consumer: &Consumer, n: usize) -> Vec<Got> {
    let mut got = Vec::new();
    let end = Instant::now() + LIMIT;
    while got.len() < n {
        assert!(
            Instant::now() < end,
            "{} of {n} records came; {:?}",
            got.len(),
            consumer.log_lines(100)
        );
        match consumer
            .poll(n - got.len(), Duration::from_secs(1))
            .unwrap()
        {
            Polled::Batch(batch) => got.extend(rows(&batch)),
            Polled::Event(event) => panic!("{event:?} after {} records", got.len()),
            Polled::Nothing => {}
        }
    }
    got
}

/// Polls until an event comes; records before it are dropped.
pub(crate) fn event(consumer: &Consumer) -> Event {
    let end = Instant::now() + LIMIT;
    loop {
        assert!(
            Instant::now() < end,
            "no event; {:?}",
            consumer.log_lines(100)
        );
        if let Polled::Event(event) = consumer.poll(0, Duration::from_secs(1)).unwrap() {
            return event;
        }
    }
}

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < end, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Offsets of records.
pub(crate) fn offsets(got: &[Got]) -> Vec<i64> {
    got.iter().map(|g| g.offset).collect()
}
