//! Requests of OffsetCommit and OffsetFetch in version 10, which name topics by their ids (KIP-848): the `kafka-protocol`
//! crate has the answers in that version, and the requests up to version 9 only.

use bytes::Bytes;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetFetchRequest};
use kafka_protocol::protocol::StrBytes;
use ottla_base::error::Result;
use uuid::Uuid;

use super::schema::{self, Kind};
use super::wire::{Read, Reader, Writer, whole};

/// OffsetCommit's API key.
pub const COMMIT_KEY: i16 = 8;
/// OffsetFetch's API key.
pub const FETCH_KEY: i16 = 9;
/// From this version on topics are named by their ids. It is the newest of both.
pub const BY_ID: i16 = 10;

/// Appends the body of an OffsetCommit request, whose topics have ids, to `out`, which already holds the request header.
pub fn write_commit(out: &mut Vec<u8>, request: &OffsetCommitRequest) {
    let mut w = Writer {
        out,
        flexible: true,
    };
    w.string(&request.group_id);
    w.i32(request.generation_id_or_member_epoch);
    w.string(&request.member_id);
    w.nullable_string(request.group_instance_id.as_deref());
    w.count(request.topics.len());
    for topic in &request.topics {
        w.out.extend_from_slice(topic.topic_id.as_bytes());
        w.count(topic.partitions.len());
        for p in &topic.partitions {
            w.i32(p.partition_index);
            w.i64(p.committed_offset);
            w.i32(p.committed_leader_epoch);
            w.nullable_string(p.committed_metadata.as_deref());
            w.no_tags();
        }
        w.no_tags();
    }
    w.no_tags();
}

/// Appends the body of an OffsetFetch request, whose topics have ids, to `out`, which already holds the request header.
pub fn write_fetch(out: &mut Vec<u8>, request: &OffsetFetchRequest) {
    let mut w = Writer {
        out,
        flexible: true,
    };
    w.count(request.groups.len());
    for group in &request.groups {
        w.string(&group.group_id);
        w.nullable_string(group.member_id.as_deref());
        w.i32(group.member_epoch);
        match &group.topics {
            None => w.out.push(0),
            Some(topics) => {
                w.count(topics.len());
                for topic in topics {
                    w.out.extend_from_slice(topic.topic_id.as_bytes());
                    w.count(topic.partition_indexes.len());
                    for p in &topic.partition_indexes {
                        w.i32(*p);
                    }
                    w.no_tags();
                }
            }
        }
        w.no_tags();
    }
    w.out.push(u8::from(request.require_stable));
    w.no_tags();
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Reads an OffsetCommit request's body (after the request header). Its topics have ids and no names.
///
/// # Errors
/// As [`schema::check`].
pub fn read_commit(body: &Bytes) -> Result<OffsetCommitRequest> {
    schema::check(COMMIT_KEY, BY_ID, Kind::Request, body)?;
    whole("OffsetCommit request", commit(body))
}

fn commit(body: &Bytes) -> Read<OffsetCommitRequest> {
    let mut r = Reader::new(body, true);
    let mut request = OffsetCommitRequest::default()
        .with_group_id(text(r.string("group id")?).into())
        .with_generation_id_or_member_epoch(r.i32()?)
        .with_member_id(text(r.string("member id")?))
        .with_group_instance_id(r.nullable_string("group instance id")?.map(text));
    for _ in 0..r.count("topics", body.len() / 18)? {
        let id = Uuid::from_bytes(r.topic_id()?);
        let mut topic = OffsetCommitRequestTopic::default().with_topic_id(id);
        for _ in 0..r.count("partitions", body.len() / 18)? {
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(r.i32()?)
                .with_committed_offset(r.i64()?)
                .with_committed_leader_epoch(r.i32()?)
                .with_committed_metadata(r.nullable_string("metadata")?.map(text));
            topic.partitions.push(partition);
            r.tags(|_, _| Ok(()))?;
        }
        request.topics.push(topic);
        r.tags(|_, _| Ok(()))?;
    }
    Ok(request)
}

/// Reads an OffsetFetch request's body (after the request header). Its topics have ids and no names.
///
/// # Errors
/// As [`schema::check`].
pub fn read_fetch(body: &Bytes) -> Result<OffsetFetchRequest> {
    schema::check(FETCH_KEY, BY_ID, Kind::Request, body)?;
    whole("OffsetFetch request", fetch(body))
}

fn fetch(body: &Bytes) -> Read<OffsetFetchRequest> {
    let mut r = Reader::new(body, true);
    let mut groups = Vec::new();
    for _ in 0..r.count("groups", body.len() / 8)? {
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(text(r.string("group id")?).into())
            .with_member_id(r.nullable_string("member id")?.map(text))
            .with_member_epoch(r.i32()?);
        let topics = match r.length("topics", body.len() / 18)? {
            None => None,
            Some(count) => {
                let mut topics = Vec::with_capacity(count);
                for _ in 0..count {
                    let id = Uuid::from_bytes(r.topic_id()?);
                    let mut partitions = Vec::new();
                    for _ in 0..r.count("partitions", body.len() / 4)? {
                        partitions.push(r.i32()?);
                    }
                    r.tags(|_, _| Ok(()))?;
                    let topic = OffsetFetchRequestTopics::default()
                        .with_topic_id(id)
                        .with_partition_indexes(partitions);
                    topics.push(topic);
                }
                Some(topics)
            }
        };
        r.tags(|_, _| Ok(()))?;
        groups.push(group.with_topics(topics));
    }
    let [stable] = r.take(1)? else {
        return Ok(OffsetFetchRequest::default());
    };
    Ok(OffsetFetchRequest::default()
        .with_groups(groups)
        .with_require_stable(*stable != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_what_kafkas_schema_says_and_read_again() {
        let partition = |p: i32, metadata: Option<&str>| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(p)
                .with_committed_offset(1 << 40)
                .with_committed_leader_epoch(3)
                .with_committed_metadata(metadata.map(text))
        };
        let topic = OffsetCommitRequestTopic::default()
            .with_topic_id(Uuid::from_bytes([7; 16]))
            .with_partitions(vec![partition(0, Some("half way")), partition(4, None)]);
        let request = OffsetCommitRequest::default()
            .with_group_id(text("g").into())
            .with_generation_id_or_member_epoch(5)
            .with_member_id(text("m"))
            .with_topics(vec![topic]);
        for instance in [None, Some(text("i"))] {
            let request = request.clone().with_group_instance_id(instance);
            let mut body = Vec::new();
            write_commit(&mut body, &request);
            assert_eq!(read_commit(&Bytes::from(body)).unwrap(), request);
        }
    }

    #[test]
    fn fetches_are_what_kafkas_schema_says_and_read_again() {
        let topic = OffsetFetchRequestTopics::default()
            .with_topic_id(Uuid::from_bytes([7; 16]))
            .with_partition_indexes(vec![0, 4]);
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(text("g").into())
            .with_member_id(Some(text("m")))
            .with_member_epoch(5)
            .with_topics(Some(vec![topic]));
        let all = OffsetFetchRequestGroup::default()
            .with_group_id(text("h").into())
            .with_topics(None);
        let request = OffsetFetchRequest::default()
            .with_groups(vec![group, all])
            .with_require_stable(true);
        let mut body = Vec::new();
        write_fetch(&mut body, &request);
        let body = Bytes::from(body);
        assert_eq!(read_fetch(&body).unwrap(), request);
        for end in 0..body.len() {
            assert!(read_fetch(&body.slice(..end)).is_err(), "{end}");
        }
    }
}
