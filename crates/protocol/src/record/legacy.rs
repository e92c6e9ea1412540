//! Messages of formats 0 and 1, which brokers before 0.11 wrote, and which later ones keep as they are: in topics with a
//! `message.format.version` of those days, and in segments that are as old. They are read only, and rarely: a run of them
//! is rewritten as the records of one batch of format 2, so that the readers of batches know one format.
//!
//! A message: offset (8 bytes), length of what follows (4), CRC-32 of what follows it (4), magic (1), attributes (1),
//! timestamp (8, format 1 only), key and value, each with its length (4, -1 is null). A compressed message is a wrapper:
//! its value is, compressed, a sequence of messages, and its offset is the last one's. The inner messages' offsets are
//! absolute in format 0; in format 1 they count from the first one that was there when the wrapper was written.

use ottla_base::error::{Error, ErrorCode, Result};
use ottla_base::memory::PoolBuf;

use super::header::{
    Attributes, BatchHeader, LOG_OVERHEAD, MAGIC_AT, MIN_BATCH_LENGTH, TimestampType,
};
use super::varint::{
    MAX_VARINT_LEN, MAX_VARLONG_LEN, put_varint, put_varlong, varint_len, varlong_len,
};
use crate::compress::{Codec, decompress};

/// Where the bytes begin that the CRC covers: the magic byte.
const CRC_START: usize = 16;
const ATTRIBUTES_AT: usize = 17;
/// Where the timestamp lies in format 1, and the key's length in format 0.
const BODY_AT: usize = 18;
/// The timestamp of messages of format 0, which have none.
const NO_TIMESTAMP: i64 = -1;

/// True if a message of format 0 or 1 starts here.
pub fn is_message(bytes: &[u8]) -> bool {
    matches!(bytes.get(MAGIC_AT), Some(0 | 1))
}

/// Where a message ends, and its offset: a wrapper's is that of the last message in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The message's offset.
    pub offset: i64,
    /// Its bytes, offset and length included.
    pub len: usize,
}

impl Entry {
    /// Reads where the message ends that starts here; `None` if it is cut off, or if this is no message of format 0
    /// or 1. The rest of it is not looked at.
    ///
    /// # Errors
    /// `CORRUPT_BATCH` for a length that cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Option<Entry>> {
        if !is_message(bytes) {
            return Ok(None);
        }
        let (Some(offset), Some(size)) = (int64(bytes, 0), int32(bytes, 8)) else {
            return Ok(None);
        };
        // Up to the attributes; the lengths of key and value are checked when they are read.
        let len = usize::try_from(size).unwrap_or(0) + LOG_OVERHEAD;
        if len < BODY_AT {
            return Err(corrupt(offset, format_args!("impossible length {size}")));
        }
        Ok((len <= bytes.len()).then_some(Entry { offset, len }))
    }
}

/// What [`convert`] is to keep to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Whether messages are checked against their CRCs.
    pub check_crcs: bool,
    /// A run of messages ends once it has this many bytes.
    pub run_bytes: usize,
    /// The most that a wrapper may decompress to.
    pub decompressed_bytes: usize,
}

/// Messages as a batch of format 2.
#[derive(Clone, Copy, Debug)]
pub struct Converted {
    /// The header that a batch with these records has, the CRC and the timestamp type left out.
    pub header: BatchHeader,
    /// Who set the timestamps. (A batch of format 2 whose broker did has one timestamp for all.)
    pub timestamp_type: TimestampType,
    /// Bytes of the messages that the records are of.
    pub len: usize,
    /// Messages within those bytes, wrappers counted as one.
    pub messages: usize,
}

/// Appends to `out`, as records of format 2, the messages at the start of `bytes`: what a wrapper holds, or a run of
/// messages that are not compressed, of one format and with rising offsets. A message after the first that cannot be read
/// ends the run: the next call tells of it. `None` if no whole message of format 0 or 1 starts here.
///
/// # Errors
/// `CORRUPT_BATCH` for what no broker can have written, `UNSUPPORTED` for an unknown codec, `DECOMPRESSION_LIMIT` for a
/// wrapper that expands beyond the limit. After an error `out` is as long as it was.
pub fn convert(bytes: &[u8], limits: Limits, out: &mut PoolBuf) -> Result<Option<Converted>> {
    let Some(first) = Message::parse(bytes, limits.check_crcs)? else {
        return Ok(None);
    };
    let before = out.len();
    let converted = if first.codec == Codec::None {
        run(bytes, first, limits, out)
    } else {
        wrapper(first, limits, out)
    };
    converted.inspect_err(|_| out.truncate(before)).map(Some)
}

/// A message, its key and value where they lie.
#[derive(Clone, Copy)]
struct Message<'a> {
    entry: Entry,
    magic: u8,
    codec: Codec,
    timestamp: i64,
    timestamp_type: TimestampType,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    fn parse(bytes: &'a [u8], check_crc: bool) -> Result<Option<Message<'a>>> {
        let Some(entry) = Entry::parse(bytes)? else {
            return Ok(None);
        };
        let damaged = || corrupt(entry.offset, "its lengths do not come out");
        let whole = bytes.get(..entry.len).ok_or_else(damaged)?;
        if check_crc {
            check(whole, entry.offset)?;
        }
        let magic = whole[MAGIC_AT];
        let attributes = Attributes(i16::from(whole[ATTRIBUTES_AT]));
        let (timestamp, timestamp_type, key_at) = if magic == 0 {
            (NO_TIMESTAMP, TimestampType::CreateTime, BODY_AT)
        } else {
            let timestamp = int64(whole, BODY_AT).ok_or_else(damaged)?;
            (timestamp, attributes.timestamp_type(), BODY_AT + 8)
        };
        let (key, value_at) = nullable(whole, key_at).ok_or_else(damaged)?;
        let (value, end) = nullable(whole, value_at).ok_or_else(damaged)?;
        if end != entry.len {
            return Err(damaged());
        }
        Ok(Some(Message {
            entry,
            magic,
            codec: attributes.codec()?,
            timestamp,
            timestamp_type,
            key,
            value,
        }))
    }
}

/// Messages being rewritten as the records of a batch.
struct Rewriting<'o> {
    out: &'o mut PoolBuf,
    /// The first message's offset and timestamp, which the others' are told from.
    base: (i64, i64),
    last_delta: i32,
    max_timestamp: i64,
    count: i32,
}

impl<'o> Rewriting<'o> {
    fn new(out: &'o mut PoolBuf, offset: i64, timestamp: i64) -> Self {
        Rewriting {
            out,
            base: (offset, timestamp),
            last_delta: -1,
            max_timestamp: timestamp,
            count: 0,
        }
    }

    /// Where an offset lies in the batch; `None` if it cannot be the next there.
    fn delta(&self, offset: i64) -> Option<i32> {
        let delta = i32::try_from(offset.checked_sub(self.base.0)?).ok()?;
        (delta > self.last_delta).then_some(delta)
    }

    fn push(&mut self, delta: i32, timestamp: i64, message: &Message<'_>) {
        let timestamp_delta = timestamp.wrapping_sub(self.base.1);
        let len_of = |part: Option<&[u8]>| part.map_or(-1, |bytes| bytes.len() as i32);
        let (key_len, value_len) = (len_of(message.key), len_of(message.value));
        let (key, value) = (
            message.key.unwrap_or_default(),
            message.value.unwrap_or_default(),
        );
        // Attributes in front, no headers at the end; a message's length, which is greater, fits too.
        let len = 1
            + varlong_len(timestamp_delta)
            + varint_len(delta)
            + varint_len(key_len)
            + key.len()
            + varint_len(value_len)
            + value.len()
            + 1;
        let mut front = [0; 3 * MAX_VARINT_LEN + 1 + MAX_VARLONG_LEN];
        let mut at = 0;
        at += put_varint(&mut front, len as i32).unwrap_or(0);
        at += 1;
        at += put_varlong(&mut front[at..], timestamp_delta).unwrap_or(0);
        at += put_varint(&mut front[at..], delta).unwrap_or(0);
        at += put_varint(&mut front[at..], key_len).unwrap_or(0);
        let mut between = [0; MAX_VARINT_LEN];
        let between_len = put_varint(&mut between, value_len).unwrap_or(0);
        for part in [&front[..at], key, &between[..between_len], value, &[0]] {
            self.out.extend_from_slice(part);
        }
        self.last_delta = delta;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.count += 1;
    }

    /// The batch from `base_offset` to `last_offset`; `None` if it cannot end there.
    fn header(&self, base_offset: i64, last_offset: i64) -> Option<BatchHeader> {
        let delta = i32::try_from(last_offset.checked_sub(base_offset)?).ok()?;
        (delta >= self.last_delta).then_some(BatchHeader {
            base_offset,
            batch_length: MIN_BATCH_LENGTH,
            partition_leader_epoch: -1,
            magic: 2,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: delta,
            base_timestamp: self.base.1,
            max_timestamp: self.max_timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: self.count,
        })
    }
}

fn run(bytes: &[u8], first: Message<'_>, limits: Limits, out: &mut PoolBuf) -> Result<Converted> {
    let offset = first.entry.offset;
    let mut rewriting = Rewriting::new(out, offset, first.timestamp);
    let (mut message, mut last) = (first, offset);
    let mut len = 0;
    while let Some(delta) = rewriting.delta(message.entry.offset) {
        rewriting.push(delta, message.timestamp, &message);
        last = message.entry.offset;
        len += message.entry.len;
        if len >= limits.run_bytes {
            break;
        }
        let rest = bytes.get(len..).unwrap_or_default();
        match Message::parse(rest, limits.check_crcs) {
            Ok(Some(next))
                if next.codec == Codec::None
                    && next.magic == first.magic
                    && next.timestamp_type == first.timestamp_type =>
            {
                message = next;
            }
            _ => break,
        }
    }
    let header = rewriting
        .header(offset, last)
        .ok_or_else(|| corrupt(offset, "its offset cannot be"))?;
    Ok(Converted {
        header,
        timestamp_type: first.timestamp_type,
        len,
        messages: rewriting.count as usize,
    })
}

fn wrapper(wrapper: Message<'_>, limits: Limits, out: &mut PoolBuf) -> Result<Converted> {
    let Entry { offset, len } = wrapper.entry;
    let codec = wrapper.codec;
    let Some(compressed) = wrapper.value else {
        return Err(corrupt(
            offset,
            format_args!("it is {codec}-compressed and has no value"),
        ));
    };
    let mut inner = PoolBuf::with_capacity(compressed.len().saturating_mul(2));
    decompress(codec, compressed, &mut inner, limits.decompressed_bytes)?;
    let within = |why: &str| corrupt(offset, format_args!("among the messages in it {why}"));
    let parse = |at: usize| -> Result<Message<'_>> {
        let rest = inner.get(at..).unwrap_or_default();
        match Message::parse(rest, limits.check_crcs) {
            Err(e) => Err(within(e.message())),
            Ok(None) => Err(within("one is cut off, or of another format")),
            Ok(Some(m)) if m.magic != wrapper.magic => Err(within("one is of another format")),
            Ok(Some(m)) if m.codec != Codec::None => Err(within("one is compressed again")),
            Ok(Some(m)) => Ok(m),
        }
    };
    // Where the broker set the time it wrote the wrapper's only.
    let appended = wrapper.timestamp_type == TimestampType::LogAppendTime;
    let time = |m: &Message<'_>| {
        if appended {
            wrapper.timestamp
        } else {
            m.timestamp
        }
    };
    let first = parse(0)?;
    let mut rewriting = Rewriting::new(out, first.entry.offset, time(&first));
    let (mut message, mut at) = (first, 0);
    let last = loop {
        let Some(delta) = rewriting.delta(message.entry.offset) else {
            return Err(within("offsets do not rise"));
        };
        rewriting.push(delta, time(&message), &message);
        at += message.entry.len;
        if at >= inner.len() {
            break message.entry.offset;
        }
        message = parse(at)?;
    };
    let base = if wrapper.magic == 0 {
        Some(first.entry.offset)
    } else {
        // `last - first` is within an i32, as it is a delta.
        offset.checked_sub(last.wrapping_sub(first.entry.offset))
    };
    let header = base
        .and_then(|base| rewriting.header(base, offset))
        .ok_or_else(|| within("offsets are not what they can be"))?;
    Ok(Converted {
        header,
        timestamp_type: wrapper.timestamp_type,
        len,
        messages: 1,
    })
}

fn check(message: &[u8], offset: i64) -> Result<()> {
    let stored = int32(message, LOG_OVERHEAD).unwrap_or(0) as u32;
    let computed = crc_fast::crc32_iso_hdlc(message.get(CRC_START..).unwrap_or_default());
    if stored == computed {
        return Ok(());
    }
    Err(corrupt(
        offset,
        format_args!(
            "its CRC says {stored:#010x}, its bytes give {computed:#010x}; damaged on the way or on the broker's disk"
        ),
    ))
}

#[cold]
fn corrupt(offset: i64, why: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorCode::CORRUPT_BATCH,
        format!("reading the message at offset {offset} (of a format before 2): {why}"),
    )
}

fn int32(bytes: &[u8], at: usize) -> Option<i32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|raw| i32::from_be_bytes(*raw))
}

fn int64(bytes: &[u8], at: usize) -> Option<i64> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|raw| i64::from_be_bytes(*raw))
}

/// Bytes that may be null, whose length lies at `at`, and the place after them.
fn nullable(bytes: &[u8], at: usize) -> Option<(Option<&[u8]>, usize)> {
    let len = int32(bytes, at)?;
    let start = at + 4;
    if len == -1 {
        return Some((None, start));
    }
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    Some((Some(bytes.get(start..end)?), end))
}
