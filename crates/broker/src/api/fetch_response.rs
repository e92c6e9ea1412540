//! The fetch response on the wire. Records are not copied into it: they stay slices of the log between the fields.

use bytes::{BufMut, Bytes, BytesMut};
use ottla_base::error::ErrorCode;

use super::{Cx, end_frame, wire};
use crate::core::cluster::Node;
use crate::core::fetch_session::TopicKey;

/// From here on lengths are varints and fields can be tagged.
const FLEXIBLE: i16 = 12;

/// What is answered for one partition.
#[derive(Debug)]
pub(super) struct PartitionAnswer {
    pub(super) partition: i32,
    pub(super) code: ErrorCode,
    pub(super) high_watermark: i64,
    pub(super) last_stable: i64,
    pub(super) log_start: i64,
    /// Whether there is a list of aborted transactions, or none.
    pub(super) with_aborted: bool,
    /// Producer id and first offset of each.
    pub(super) aborted: Vec<(i64, i64)>,
    pub(super) diverged: Option<(i32, i64)>,
    pub(super) leader: Option<(i32, i32)>,
    pub(super) records: Vec<Bytes>,
}

impl PartitionAnswer {
    pub(super) fn failed(partition: i32, code: ErrorCode) -> Self {
        Self {
            partition,
            code,
            high_watermark: -1,
            last_stable: -1,
            log_start: -1,
            with_aborted: false,
            aborted: Vec::new(),
            diverged: None,
            leader: None,
            records: Vec::new(),
        }
    }

    pub(super) fn records_len(&self) -> usize {
        self.records.iter().map(Bytes::len).sum()
    }
}

/// A whole fetch response.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) code: ErrorCode,
    pub(super) session_id: i32,
    pub(super) topics: Vec<(TopicKey, Vec<PartitionAnswer>)>,
    pub(super) endpoints: Vec<Node>,
}

impl Response {
    pub(super) fn new(session_id: i32) -> Self {
        Self {
            code: ErrorCode::NONE,
            session_id,
            topics: Vec::new(),
            endpoints: Vec::new(),
        }
    }

    pub(super) fn failed(code: ErrorCode) -> Self {
        Self {
            code,
            ..Self::new(0)
        }
    }

    /// Adds a partition, to the last topic if it is that one.
    pub(super) fn push(&mut self, topic: TopicKey, answer: PartitionAnswer) {
        match self.topics.last_mut() {
            Some((last, partitions)) if *last == topic => partitions.push(answer),
            _ => self.topics.push((topic, vec![answer])),
        }
    }
}

/// The fields so far and the record slices between them.
struct Writer {
    version: i16,
    fields: BytesMut,
    /// Whole parts, in order; `fields` follows them.
    parts: Vec<Bytes>,
}

impl Writer {
    fn flexible(&self) -> bool {
        self.version >= FLEXIBLE
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.fields.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.fields.put_u8(value as u8);
    }

    /// The number of items of an array.
    fn count(&mut self, count: usize) {
        if self.flexible() {
            self.varint(count as u32 + 1)
        } else {
            self.fields.put_i32(count as i32)
        }
    }

    fn string(&mut self, s: &str) {
        if self.flexible() {
            self.varint(s.len() as u32 + 1)
        } else {
            self.fields.put_i16(s.len() as i16)
        }
        self.fields.put_slice(s.as_bytes());
    }

    fn no_tags(&mut self) {
        if self.flexible() {
            self.fields.put_u8(0);
        }
    }

    fn records(&mut self, records: &[Bytes]) {
        let len: usize = records.iter().map(Bytes::len).sum();
        if self.flexible() {
            self.varint(len as u32 + 1)
        } else {
            self.fields.put_i32(len as i32)
        }
        if len > 0 {
            self.parts.push(self.fields.split().freeze());
            self.parts.extend_from_slice(records);
        }
    }

    fn partition(&mut self, answer: &PartitionAnswer) {
        self.fields.put_i32(answer.partition);
        self.fields.put_i16(wire(answer.code));
        self.fields.put_i64(answer.high_watermark);
        self.fields.put_i64(answer.last_stable);
        if self.version >= 5 {
            self.fields.put_i64(answer.log_start);
        }
        match (answer.with_aborted, self.flexible()) {
            (true, _) => {
                self.count(answer.aborted.len());
                for &(producer_id, first_offset) in &answer.aborted {
                    self.fields.put_i64(producer_id);
                    self.fields.put_i64(first_offset);
                    self.no_tags();
                }
            }
            (false, true) => self.fields.put_u8(0),
            (false, false) => self.fields.put_i32(-1),
        }
        if self.version >= 11 {
            // No preferred read replica.
            self.fields.put_i32(-1);
        }
        self.records(&answer.records);
        if !self.flexible() {
            return;
        }
        self.varint(u32::from(answer.diverged.is_some()) + u32::from(answer.leader.is_some()));
        if let Some((epoch, end)) = answer.diverged {
            self.fields.put_slice(&[0, 13]);
            self.fields.put_i32(epoch);
            self.fields.put_i64(end);
            self.fields.put_u8(0);
        }
        if let Some((leader, epoch)) = answer.leader {
            self.fields.put_slice(&[1, 9]);
            self.fields.put_i32(leader);
            self.fields.put_i32(epoch);
            self.fields.put_u8(0);
        }
    }

    /// The tagged list of the nodes that lead what this one does not.
    fn endpoints(&mut self, nodes: &[Node]) {
        if self.version < 16 || nodes.is_empty() {
            return self.no_tags();
        }
        let mut list = Writer {
            version: self.version,
            fields: BytesMut::new(),
            parts: Vec::new(),
        };
        list.count(nodes.len());
        for node in nodes {
            list.fields.put_i32(node.id);
            list.string(&node.host);
            list.fields.put_i32(i32::from(node.port));
            // No rack, no tags.
            list.fields.put_slice(&[0, 0]);
        }
        self.fields.put_slice(&[1, 0]);
        self.varint(list.fields.len() as u32);
        self.fields.put_slice(&list.fields);
    }
}

/// The frame, its length first, as parts to be sent one after the other.
pub(super) fn write(cx: &Cx, response: &Response) -> Vec<Bytes> {
    let mut w = Writer {
        version: cx.version,
        fields: BytesMut::with_capacity(256),
        parts: Vec::new(),
    };
    // The frame's length, known at the end.
    w.fields.put_i32(0);
    w.fields.put_i32(cx.correlation_id);
    w.no_tags();
    w.fields.put_i32(cx.effects.throttle_ms());
    if cx.version >= 7 {
        w.fields.put_i16(wire(response.code));
        w.fields.put_i32(response.session_id);
    }
    w.count(response.topics.len());
    for (topic, partitions) in &response.topics {
        match topic {
            TopicKey::Name(name) => w.string(name),
            TopicKey::Id(id) => w.fields.put_slice(id.as_bytes()),
        }
        w.count(partitions.len());
        for partition in partitions {
            w.partition(partition);
        }
        w.no_tags();
    }
    w.endpoints(&response.endpoints);
    let mut parts = std::mem::take(&mut w.parts);
    parts.push(w.fields.freeze());
    let len: usize = parts.iter().map(Bytes::len).sum();
    if let Some(first) = parts.first_mut() {
        let head = BytesMut::from(first.as_ref());
        *first = end_frame(head, len - first.len());
    }
    parts
}
