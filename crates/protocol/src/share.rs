//! ShareFetch and ShareAcknowledge (KIP-932, KIP-1222), versions 1 and 2: the `kafka-protocol` crate has version 1 only,
//! and the second is what renewals and strict record limits need.

use bytes::Bytes;
use ottla_base::error::Result;

use super::produce::{NodeEndpoint, read_endpoints, read_leader};
use super::wire::{Read, Reader, TopicId, Writer, whole};

/// ShareFetch's API key.
pub const FETCH_KEY: i16 = 78;
/// ShareAcknowledge's API key.
pub const ACKNOWLEDGE_KEY: i16 = 79;
/// The versions of both that this module writes and reads.
pub const VERSIONS: (i16, i16) = (1, 2);
/// From here on locks can be renewed, and a limit of records be strict.
pub const RENEW_VERSION: i16 = 2;

/// What is said about consecutive records: one word for all, by Kafka's numbers (0 gap, 1 accept, 2 release, 3 reject,
/// 4 renew).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Offset of the first.
    pub first: i64,
    /// Offset of the last.
    pub last: i64,
    /// The word.
    pub word: i8,
}

/// One partition of a request, and what is said about records of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharePartition {
    /// The partition's index.
    pub partition: i32,
    /// In the order of the offsets.
    pub acknowledged: Vec<Acknowledged>,
}

/// One topic of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareTopic<P> {
    /// Its id.
    pub id: TopicId,
    /// Its partitions.
    pub partitions: Vec<P>,
}

/// What every request of a share session begins with.
#[derive(Clone, Copy, Debug)]
pub struct ShareSession<'a> {
    /// The share group.
    pub group: &'a str,
    /// The member.
    pub member: &'a str,
    /// 0 opens the session, -1 ends it.
    pub epoch: i32,
}

/// A ShareFetch request.
#[derive(Debug, Clone)]
pub struct ShareFetchRequest<'a> {
    /// Whose, in which session.
    pub session: ShareSession<'a>,
    /// How long the broker may wait for `min_bytes`.
    pub max_wait_ms: i32,
    /// Least bytes worth an answer.
    pub min_bytes: i32,
    /// Most bytes of the whole answer.
    pub max_bytes: i32,
    /// Most records acquired; batches may come whole.
    pub max_records: i32,
    /// How many records one range of acquired ones should have.
    pub batch_size: i32,
    /// `max_records` holds to the record (version 2).
    pub strict: bool,
    /// Partitions added to the session, and what is acknowledged.
    pub topics: Vec<ShareTopic<SharePartition>>,
    /// Partitions that leave the session.
    pub forgotten: Vec<ShareTopic<i32>>,
}

/// A ShareAcknowledge request.
#[derive(Debug, Clone)]
pub struct ShareAcknowledgeRequest<'a> {
    /// Whose, in which session.
    pub session: ShareSession<'a>,
    /// Renewals are among what is said (version 2).
    pub renews: bool,
    /// What is said.
    pub topics: Vec<ShareTopic<SharePartition>>,
}

fn begin(w: &mut Writer<'_>, session: &ShareSession<'_>) {
    w.string(session.group);
    w.string(session.member);
    w.i32(session.epoch);
}

fn said(w: &mut Writer<'_>, topics: &[ShareTopic<SharePartition>]) {
    w.count(topics.len());
    for topic in topics {
        w.out.extend_from_slice(&topic.id);
        w.count(topic.partitions.len());
        for p in &topic.partitions {
            w.i32(p.partition);
            w.count(p.acknowledged.len());
            for range in &p.acknowledged {
                w.i64(range.first);
                w.i64(range.last);
                w.count(1);
                w.out.push(range.word as u8);
                w.no_tags();
            }
            w.no_tags();
        }
        w.no_tags();
    }
}

/// Appends a ShareFetch body to `out`, which already holds the request header.
pub fn write_fetch(out: &mut Vec<u8>, version: i16, request: &ShareFetchRequest<'_>) {
    let mut w = Writer {
        out,
        flexible: true,
    };
    begin(&mut w, &request.session);
    w.i32(request.max_wait_ms);
    w.i32(request.min_bytes);
    w.i32(request.max_bytes);
    w.i32(request.max_records);
    w.i32(request.batch_size);
    if version >= RENEW_VERSION {
        w.out.push(u8::from(request.strict));
        // Renewals go by ShareAcknowledge: a fetch that has some brings no records.
        w.out.push(0);
    }
    said(&mut w, &request.topics);
    w.count(request.forgotten.len());
    for topic in &request.forgotten {
        w.out.extend_from_slice(&topic.id);
        w.count(topic.partitions.len());
        for p in &topic.partitions {
            w.i32(*p);
        }
        w.no_tags();
    }
    w.no_tags();
}

/// Appends a ShareAcknowledge body to `out`, which already holds the request header.
pub fn write_acknowledge(out: &mut Vec<u8>, version: i16, request: &ShareAcknowledgeRequest<'_>) {
    let mut w = Writer {
        out,
        flexible: true,
    };
    begin(&mut w, &request.session);
    if version >= RENEW_VERSION {
        w.out.push(u8::from(request.renews));
    }
    said(&mut w, &request.topics);
    w.no_tags();
}

/// Consecutive records that the member has to itself for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquired {
    /// Offset of the first.
    pub first: i64,
    /// Offset of the last.
    pub last: i64,
    /// How often they have been delivered, this time included.
    pub deliveries: i16,
}

/// A broker's error code (0 for none), and what it said besides.
pub type Refusal = (i16, Option<String>);

/// What an answer says of one partition.
#[derive(Debug)]
pub struct ShareAnswer {
    /// The topic's id.
    pub topic: TopicId,
    /// The partition's index.
    pub partition: i32,
    /// What became of fetching from it.
    pub fetched: Refusal,
    /// What became of what was acknowledged of it.
    pub acknowledged: Refusal,
    /// (broker id, leader epoch) of the present leader, where it is another one.
    pub leader: Option<(i32, i32)>,
    /// Whole record batches; among their records may be some that were not acquired.
    pub records: Bytes,
    /// The records that were.
    pub acquired: Vec<Acquired>,
}

/// An answer to ShareFetch or ShareAcknowledge.
#[derive(Debug)]
pub struct ShareResponse {
    /// How long the broker asks this connection to pause (KIP-219).
    pub throttle_ms: i32,
    /// An error of the whole request, such as of its session.
    pub refusal: Refusal,
    /// How long records are locked for a member; `None` where that is not told.
    pub lock_ms: Option<i32>,
    /// Partitions with something to tell.
    pub partitions: Vec<ShareAnswer>,
    /// Where the leaders are that are named.
    pub endpoints: Vec<NodeEndpoint>,
}

/// Reads a ShareFetch response's body (after the response header); both versions are the same.
pub fn read_fetch(body: &Bytes) -> Result<ShareResponse> {
    whole("ShareFetch response", parse(body, true, true))
}

/// Reads a ShareAcknowledge response's body (after the response header).
pub fn read_acknowledge(version: i16, body: &Bytes) -> Result<ShareResponse> {
    let tells_lock = version >= RENEW_VERSION;
    whole("ShareAcknowledge response", parse(body, false, tells_lock))
}

fn refusal(r: &mut Reader<'_>) -> Read<Refusal> {
    let code = r.i16()?;
    let words = r.nullable_string("error message")?;
    Ok((code, words.filter(|w| !w.is_empty()).map(str::to_owned)))
}

fn parse(body: &Bytes, fetch: bool, tells_lock: bool) -> Read<ShareResponse> {
    let mut r = Reader::new(body, true);
    let mut response = ShareResponse {
        throttle_ms: r.i32()?,
        refusal: refusal(&mut r)?,
        lock_ms: if tells_lock { Some(r.i32()?) } else { None },
        partitions: Vec::new(),
        endpoints: Vec::new(),
    };
    for _ in 0..r.count("topics", body.len() / 18)? {
        let topic = r.topic_id()?;
        for _ in 0..r.count("partitions", body.len() / 10)? {
            let answer = partition(body, &mut r, topic, fetch)?;
            response.partitions.push(answer);
        }
        r.tags(|_, _| Ok(()))?;
    }
    let rest = body.len() - r.pos();
    response.endpoints = read_endpoints(&mut r, rest)?;
    r.tags(|_, _| Ok(()))?;
    Ok(response)
}

fn partition(body: &Bytes, r: &mut Reader<'_>, topic: TopicId, fetch: bool) -> Read<ShareAnswer> {
    let mut answer = ShareAnswer {
        topic,
        partition: r.i32()?,
        fetched: (0, None),
        acknowledged: (0, None),
        leader: None,
        records: Bytes::new(),
        acquired: Vec::new(),
    };
    if fetch {
        answer.fetched = refusal(r)?;
    }
    answer.acknowledged = refusal(r)?;
    answer.leader = read_leader(r)?;
    if fetch {
        let len = r.length("records", body.len() - r.pos())?.unwrap_or(0);
        let at = r.pos();
        r.take(len)?;
        answer.records = body.slice(at..at + len);
        for _ in 0..r.count("acquired records", (body.len() - r.pos()) / 19)? {
            answer.acquired.push(Acquired {
                first: r.i64()?,
                last: r.i64()?,
                deliveries: r.i16()?,
            });
            r.tags(|_, _| Ok(()))?;
        }
    }
    r.tags(|_, _| Ok(()))?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{self, Kind};

    const SESSION: ShareSession<'_> = ShareSession {
        group: "workers",
        member: "AAAAAAAAAAAAAAAAAAAAAA",
        epoch: 3,
    };

    fn topics() -> Vec<ShareTopic<SharePartition>> {
        let range = |first, last, word| Acknowledged { first, last, word };
        vec![ShareTopic {
            id: [7; 16],
            partitions: vec![
                SharePartition {
                    partition: 0,
                    acknowledged: vec![range(0, 9, 1), range(10, 10, 4)],
                },
                SharePartition {
                    partition: 4,
                    acknowledged: vec![],
                },
            ],
        }]
    }

    #[test]
    fn requests_are_what_kafkas_schemas_say() {
        let fetch = ShareFetchRequest {
            session: SESSION,
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: 1 << 20,
            max_records: 500,
            batch_size: 500,
            strict: true,
            topics: topics(),
            forgotten: vec![ShareTopic {
                id: [8; 16],
                partitions: vec![1, 2],
            }],
        };
        let acknowledge = ShareAcknowledgeRequest {
            session: SESSION,
            renews: true,
            topics: topics(),
        };
        for version in VERSIONS.0..=VERSIONS.1 {
            let mut body = Vec::new();
            write_fetch(&mut body, version, &fetch);
            schema::check(FETCH_KEY, version, Kind::Request, &body).unwrap();
            body.clear();
            write_acknowledge(&mut body, version, &acknowledge);
            schema::check(ACKNOWLEDGE_KEY, version, Kind::Request, &body).unwrap();
        }
    }

    #[test]
    fn version_1_is_what_the_crate_writes() {
        use kafka_protocol::messages::{ShareAcknowledgeRequest as Theirs, ShareFetchRequest};
        use kafka_protocol::protocol::Decodable;
        let fetch = super::ShareFetchRequest {
            session: SESSION,
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: 77,
            max_records: 9,
            batch_size: 8,
            strict: false,
            topics: topics(),
            forgotten: vec![],
        };
        let mut body = Vec::new();
        write_fetch(&mut body, 1, &fetch);
        let theirs = ShareFetchRequest::decode(&mut Bytes::from(body), 1).unwrap();
        assert_eq!(theirs.member_id.as_deref(), Some(SESSION.member));
        assert_eq!((theirs.max_bytes, theirs.max_records), (77, 9));
        let ranges = &theirs.topics[0].partitions[0].acknowledgement_batches;
        assert_eq!((ranges[1].first_offset, ranges[1].last_offset), (10, 10));
        assert_eq!(ranges[0].acknowledge_types, [1]);

        let mut body = Vec::new();
        let acknowledge = ShareAcknowledgeRequest {
            session: SESSION,
            renews: false,
            topics: topics(),
        };
        write_acknowledge(&mut body, 1, &acknowledge);
        let theirs = Theirs::decode(&mut Bytes::from(body), 1).unwrap();
        assert_eq!(theirs.share_session_epoch, 3);
        assert_eq!(theirs.topics[0].partitions.len(), 2);
    }

    #[test]
    fn answers_cut_anywhere_are_refused() {
        use kafka_protocol::messages::ShareFetchResponse;
        use kafka_protocol::messages::share_fetch_response::{
            AcquiredRecords, PartitionData, ShareFetchableTopicResponse,
        };
        use kafka_protocol::protocol::Encodable;
        let acquired = AcquiredRecords::default()
            .with_first_offset(5)
            .with_last_offset(7)
            .with_delivery_count(2);
        let data = PartitionData::default()
            .with_partition_index(3)
            .with_acknowledge_error_code(121)
            .with_records(Some(Bytes::from_static(b"records")))
            .with_acquired_records(vec![acquired]);
        let topic = ShareFetchableTopicResponse::default().with_partitions(vec![data]);
        let response = ShareFetchResponse::default()
            .with_acquisition_lock_timeout_ms(30_000)
            .with_responses(vec![topic]);
        let mut body = bytes::BytesMut::new();
        response.encode(&mut body, 1).unwrap();
        let body = body.freeze();
        let read = read_fetch(&body).unwrap();
        assert_eq!(read.lock_ms, Some(30_000));
        let answer = &read.partitions[0];
        assert_eq!((answer.partition, answer.acknowledged.0), (3, 121));
        assert_eq!(&answer.records[..], b"records");
        let want = Acquired {
            first: 5,
            last: 7,
            deliveries: 2,
        };
        assert_eq!(answer.acquired, [want]);
        for cut in 0..body.len() {
            assert!(read_fetch(&body.slice(..cut)).is_err(), "cut at {cut}");
        }
    }
}
