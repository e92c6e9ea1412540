//! Fetch requests, and responses parsed as their bytes arrive (versions 4 to 17), so that each partition's
//! records are read from the socket straight into a buffer of their own.

use ottla_base::error::{Error, Result};
use ottla_base::memory::PoolBuf;

use super::produce::{NodeEndpoint, read_endpoints, read_leader};
use super::wire::{Read, Reader, Stop, TopicId, Writer};

/// Fetch's API key.
pub const KEY: i16 = 1;
/// The versions this module writes and reads.
pub const VERSIONS: (i16, i16) = (4, 17);
/// From here on topics are named by their id.
pub const TOPIC_ID_VERSION: i16 = 13;

/// One partition asked for.
#[derive(Debug, Clone)]
pub struct FetchPartition {
    /// The partition's index.
    pub partition: i32,
    /// The leader epoch known to us, or -1.
    pub current_leader_epoch: i32,
    /// First offset wanted.
    pub offset: i64,
    /// Epoch of the last record read, or -1 (KIP-320).
    pub last_fetched_epoch: i32,
    /// Most bytes wanted of this partition.
    pub max_bytes: i32,
}

/// One topic asked for, or forgotten.
#[derive(Debug, Clone)]
pub struct FetchTopic<P> {
    /// The topic's name.
    pub topic: std::sync::Arc<str>,
    /// Its id, needed from version 13.
    pub id: TopicId,
    /// Its partitions.
    pub partitions: Vec<P>,
}

/// A Fetch request.
#[derive(Debug, Clone)]
pub struct FetchRequest<'a> {
    /// How long the broker may wait for `min_bytes`.
    pub max_wait_ms: i32,
    /// Least bytes worth an answer.
    pub min_bytes: i32,
    /// Most bytes of the whole answer.
    pub max_bytes: i32,
    /// True to read only committed transactions.
    pub read_committed: bool,
    /// Fetch session (KIP-227); 0 for none.
    pub session_id: i32,
    /// Epoch in the session; 0 opens one, -1 closes or does without.
    pub session_epoch: i32,
    /// What to fetch: everything, or in a session what changed.
    pub topics: Vec<FetchTopic<FetchPartition>>,
    /// What the session shall no longer fetch.
    pub forgotten: Vec<FetchTopic<i32>>,
    /// The client's rack (KIP-392).
    pub rack: &'a str,
}

/// Appends a Fetch body to `out`, which already holds the request header.
pub fn write_request(out: &mut Vec<u8>, version: i16, request: &FetchRequest<'_>) {
    let mut w = Writer {
        out,
        flexible: version >= 12,
    };
    if version <= 14 {
        w.i32(-1); // replica id: a consumer
    }
    w.i32(request.max_wait_ms);
    w.i32(request.min_bytes);
    w.i32(request.max_bytes);
    w.out.push(u8::from(request.read_committed));
    if version >= 7 {
        w.i32(request.session_id);
        w.i32(request.session_epoch);
    }
    w.count(request.topics.len());
    for topic in &request.topics {
        topic_name(&mut w, version, topic);
        w.count(topic.partitions.len());
        for p in &topic.partitions {
            w.i32(p.partition);
            if version >= 9 {
                w.i32(p.current_leader_epoch);
            }
            w.i64(p.offset);
            if version >= 12 {
                w.i32(p.last_fetched_epoch);
            }
            if version >= 5 {
                w.i64(-1); // log start offset: followers only
            }
            w.i32(p.max_bytes);
            w.no_tags();
        }
        w.no_tags();
    }
    if version >= 7 {
        w.count(request.forgotten.len());
        for topic in &request.forgotten {
            topic_name(&mut w, version, topic);
            w.count(topic.partitions.len());
            for p in &topic.partitions {
                w.i32(*p);
            }
            w.no_tags();
        }
    }
    if version >= 11 {
        w.string(request.rack);
    }
    w.no_tags();
}

fn topic_name<P>(w: &mut Writer<'_>, version: i16, topic: &FetchTopic<P>) {
    if version >= TOPIC_ID_VERSION {
        w.out.extend_from_slice(&topic.id);
    } else {
        w.string(&topic.topic);
    }
}

/// The answer's head, known before the first partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchHead {
    /// How long the broker asks this connection to pause (KIP-219).
    pub throttle_ms: i32,
    /// An error of the whole request, such as of its session.
    pub error_code: i16,
    /// The session the broker keeps, or 0.
    pub session_id: i32,
}

/// Which topic a partition's part belongs to: by name up to version 12, by id from 13.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicRef {
    /// The topic's name.
    Name(String),
    /// The topic's id.
    Id(TopicId),
}

/// One partition's part of the answer.
#[derive(Debug)]
pub struct FetchedPartition {
    /// The topic.
    pub topic: TopicRef,
    /// The partition's index.
    pub partition: i32,
    /// Kafka's error code, 0 for success.
    pub error_code: i16,
    /// End of the committed log.
    pub high_watermark: i64,
    /// First offset of an open transaction, or the high watermark; -1 if unknown.
    pub last_stable_offset: i64,
    /// First offset the partition still holds; -1 if unknown.
    pub log_start_offset: i64,
    /// (producer id, first offset) of transactions aborted within the records.
    pub aborted: Vec<(i64, i64)>,
    /// A replica nearer to us, or -1 (KIP-392).
    pub preferred_read_replica: i32,
    /// (epoch, end offset) where our log and the broker's part (KIP-320).
    pub diverging_epoch: Option<(i32, i64)>,
    /// (broker id, leader epoch) of the present leader (KIP-951).
    pub current_leader: Option<(i32, i32)>,
    /// The batches, as they came; the last may be cut short.
    pub records: Option<PoolBuf>,
}

/// What the parser hands out, in the order of the bytes.
#[derive(Debug)]
pub enum FetchPart {
    /// The head; exactly once, first.
    Head(FetchHead),
    /// A partition whose bytes have all arrived.
    Partition(FetchedPartition),
    /// The end of the frame; exactly once, last.
    End(Vec<NodeEndpoint>),
}

enum State {
    Head,
    Topic,
    Partition,
    /// Records of the current partition are arriving.
    Records {
        left: usize,
    },
    PartitionTags,
    TopicTags,
    Tail,
    Done,
}

/// Parses one Fetch response as its bytes come in. The caller alternates: while [`FetchParser::records`] gives a
/// buffer, socket bytes go there; all else goes through [`FetchParser::parse`] from a staging buffer.
pub struct FetchParser {
    version: i16,
    state: State,
    /// Bytes of the frame not yet consumed.
    left: usize,
    topics_left: usize,
    partitions_left: usize,
    topic: TopicRef,
    current: Option<FetchedPartition>,
    /// There was no memory for the records that come next.
    starved: Option<Error>,
}

impl FetchParser {
    /// A parser for a frame of which `left` bytes follow (after the correlation id).
    pub fn new(version: i16, left: usize) -> Self {
        FetchParser {
            version,
            state: State::Head,
            left,
            topics_left: 0,
            partitions_left: 0,
            topic: TopicRef::Name(String::new()),
            current: None,
            starved: None,
        }
    }

    /// Bytes of the frame that have not been consumed.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Where the next bytes of the socket belong, if they are records: the spare room of the partition's buffer.
    /// At least one byte long when given.
    pub fn records(&mut self) -> Option<&mut [u8]> {
        let State::Records { left } = self.state else {
            return None;
        };
        let buf = self.current.as_mut()?.records.as_mut()?;
        // The buffer grows as bytes come, so that a lying length costs nothing.
        if buf.spare_mut().is_empty()
            && let Err(error) = buf.try_reserve(left.min(buf.len().max(64 * 1024)))
        {
            self.starved = Some(error);
            return None;
        }
        let spare = buf.spare_mut();
        let n = spare.len().min(left);
        Some(&mut spare[..n])
    }

    /// Counts `n` bytes as written into what [`FetchParser::records`] gave.
    pub fn records_advance(&mut self, n: usize) {
        if let State::Records { left } = &mut self.state {
            let n = n.min(*left);
            if let Some(buf) = self.current.as_mut().and_then(|p| p.records.as_mut()) {
                buf.advance(n);
            }
            *left -= n;
            self.left -= n;
            if *left == 0 {
                self.state = State::PartitionTags;
            }
        }
    }

    /// Takes what it can from `staged`, giving each finished part to `emit`. Answers how many bytes it took; true
    /// beside it means that the frame is done. It stops where records begin that are not staged whole.
    pub fn parse(
        &mut self,
        staged: &[u8],
        mut emit: impl FnMut(FetchPart),
    ) -> Result<(usize, bool)> {
        let mut taken = 0;
        loop {
            let rest = &staged[taken..];
            let rest = &rest[..rest.len().min(self.left)];
            if let State::Records { .. } = self.state {
                let n = match self.records() {
                    Some(spare) => {
                        let n = spare.len().min(rest.len());
                        spare[..n].copy_from_slice(&rest[..n]);
                        n
                    }
                    None => 0,
                };
                if let Some(error) = self.starved.take() {
                    return Err(error);
                }
                self.records_advance(n);
                taken += n;
                if matches!(self.state, State::Records { .. }) && taken == staged.len() {
                    return Ok((taken, false));
                }
                continue;
            }
            if let State::Done = self.state {
                // Bytes behind the message do no harm.
                self.left -= rest.len();
                return Ok((taken + rest.len(), self.left == 0));
            }
            match self.step(rest, &mut emit) {
                Ok(n) => {
                    taken += n;
                    self.left -= n;
                }
                Err(Stop::More) if rest.len() == self.left => {
                    return Err(Error::protocol("Fetch response ends early"));
                }
                Err(Stop::More) => return Ok((taken, false)),
                Err(Stop::Bad(why)) => {
                    return Err(Error::protocol(format!(
                        "Fetch response cannot be read: {why}"
                    )));
                }
            }
        }
    }

    /// Reads one unit, whole or not at all.
    fn step(&mut self, rest: &[u8], emit: &mut impl FnMut(FetchPart)) -> Read<usize> {
        let v = self.version;
        let mut r = Reader::new(rest, v >= 12);
        match self.state {
            State::Head => {
                // Response header v1's tags come first, before anything else of a flexible version.
                r.tags(|_, _| Ok(()))?;
                let mut head = FetchHead {
                    throttle_ms: r.i32()?,
                    ..Default::default()
                };
                if v >= 7 {
                    head.error_code = r.i16()?;
                    head.session_id = r.i32()?;
                }
                self.topics_left = r.count("topics", self.left / 3)?;
                emit(FetchPart::Head(head));
                self.state = if self.topics_left > 0 {
                    State::Topic
                } else {
                    State::Tail
                };
            }
            State::Topic => {
                self.topic = if v >= TOPIC_ID_VERSION {
                    TopicRef::Id(r.topic_id()?)
                } else {
                    TopicRef::Name(r.string("topic name")?.to_owned())
                };
                self.partitions_left = r.count("partitions", self.left / 20)?;
                self.topics_left -= 1;
                self.state = if self.partitions_left > 0 {
                    State::Partition
                } else {
                    State::TopicTags
                };
            }
            State::Partition => {
                let mut p = FetchedPartition {
                    topic: self.topic.clone(),
                    partition: r.i32()?,
                    error_code: r.i16()?,
                    high_watermark: r.i64()?,
                    last_stable_offset: r.i64()?,
                    log_start_offset: -1,
                    aborted: Vec::new(),
                    preferred_read_replica: -1,
                    diverging_epoch: None,
                    current_leader: None,
                    records: None,
                };
                if v >= 5 {
                    p.log_start_offset = r.i64()?;
                }
                for _ in 0..r.count("aborted transactions", self.left / 16)? {
                    p.aborted.push((r.i64()?, r.i64()?));
                    r.tags(|_, _| Ok(()))?;
                }
                if v >= 11 {
                    p.preferred_read_replica = r.i32()?;
                }
                let left = r.length("records", self.left)?.unwrap_or(0);
                if left > self.left - r.pos() {
                    return Err(Stop::Bad(format!(
                        "records of {left} bytes where {} are left of the frame",
                        self.left - r.pos()
                    )));
                }
                if left > 0 {
                    // What the length claims is only believed up to 1 MiB before bytes arrive.
                    let room = PoolBuf::try_with_capacity(left.min(1 << 20));
                    p.records = Some(room.map_err(|e| Stop::Bad(e.message().to_owned()))?);
                    self.state = State::Records { left };
                } else {
                    self.state = State::PartitionTags;
                }
                self.partitions_left -= 1;
                self.current = Some(p);
            }
            State::PartitionTags => {
                if let Some(p) = self.current.as_mut() {
                    r.tags(|tag, r| {
                        match tag {
                            0 => {
                                p.diverging_epoch = Some((r.i32()?, r.i64()?));
                                r.tags(|_, _| Ok(()))?;
                            }
                            1 => p.current_leader = read_leader(r)?,
                            _ => {}
                        }
                        Ok(())
                    })?;
                }
                if let Some(p) = self.current.take() {
                    emit(FetchPart::Partition(p));
                }
                self.state = if self.partitions_left > 0 {
                    State::Partition
                } else {
                    State::TopicTags
                };
            }
            State::TopicTags => {
                r.tags(|_, _| Ok(()))?;
                self.state = if self.topics_left > 0 {
                    State::Topic
                } else {
                    State::Tail
                };
            }
            State::Tail => {
                let mut endpoints = Vec::new();
                r.tags(|tag, r| {
                    if tag == 0 {
                        endpoints = read_endpoints(r, rest.len())?;
                    }
                    Ok(())
                })?;
                emit(FetchPart::End(endpoints));
                self.state = State::Done;
            }
            State::Records { .. } | State::Done => {}
        }
        Ok(r.pos())
    }
}
