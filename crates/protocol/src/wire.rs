//! Kafka's primitive types, written and read by our own framing of produce and fetch.

use kafka_protocol::protocol::StrBytes;
use ottla_base::error::{Error, Result};

/// A topic's id (KIP-516); all zero where the broker gives none.
pub type TopicId = [u8; 16];

/// Appends primitives; `flexible` picks compact forms and tag sections (KIP-482).
#[doc(hidden)]
pub struct Writer<'a> {
    pub out: &'a mut Vec<u8>,
    pub flexible: bool,
}

#[doc(hidden)]
impl Writer<'_> {
    pub(crate) fn i16(&mut self, v: i16) {
        self.out.extend_from_slice(&v.to_be_bytes());
    }

    pub fn i32(&mut self, v: i32) {
        self.out.extend_from_slice(&v.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, v: i64) {
        self.out.extend_from_slice(&v.to_be_bytes());
    }

    pub(crate) fn uvarint(&mut self, mut v: u32) {
        while v >= 0x80 {
            self.out.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.out.push(v as u8);
    }

    /// An array's length, or that of a compact one.
    pub(crate) fn count(&mut self, n: usize) {
        if self.flexible {
            self.uvarint(n as u32 + 1)
        } else {
            self.i32(n as i32)
        }
    }

    pub(crate) fn string(&mut self, s: &str) {
        if self.flexible {
            self.uvarint(s.len() as u32 + 1)
        } else {
            self.i16(s.len() as i16)
        }
        self.out.extend_from_slice(s.as_bytes());
    }

    pub fn nullable_string(&mut self, s: Option<&str>) {
        match s {
            Some(s) => self.string(s),
            None if self.flexible => self.out.push(0),
            None => self.i16(-1),
        }
    }

    /// An empty tag section, where the version has one.
    pub fn no_tags(&mut self) {
        if self.flexible {
            self.out.push(0);
        }
    }
}

/// A string for kafka-protocol's messages.
pub fn string(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Why a read stopped: the bytes so far end here, or they can't be right.
#[derive(Debug)]
pub(crate) enum Stop {
    More,
    Bad(String),
}

pub(crate) type Read<T> = std::result::Result<T, Stop>;

/// Reads primitives from bytes of which the end may not have arrived yet.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    pos: usize,
    flexible: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], flexible: bool) -> Self {
        Reader {
            bytes,
            pos: 0,
            flexible,
        }
    }

    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    pub(crate) fn take(&mut self, n: usize) -> Read<&'a [u8]> {
        match self
            .pos
            .checked_add(n)
            .and_then(|end| self.bytes.get(self.pos..end))
        {
            Some(s) => {
                self.pos += n;
                Ok(s)
            }
            None => Err(Stop::More),
        }
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(crate) fn i16(&mut self) -> Read<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Read<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Read<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn topic_id(&mut self) -> Read<TopicId> {
        self.array()
    }

    pub(crate) fn uvarint(&mut self) -> Read<u32> {
        let mut v = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            v |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(v).map_err(|_| Stop::Bad("a varint above 32 bits".into()));
            }
        }
        Err(Stop::Bad("a varint longer than five bytes".into()))
    }

    /// An array's length; null counts as empty. `limit` is the most elements the rest of the frame can hold.
    pub(crate) fn count(&mut self, what: &str, limit: usize) -> Read<usize> {
        self.length(what, limit).map(|n| n.unwrap_or(0))
    }

    /// The length of nullable bytes or of an array, `None` for null.
    pub(crate) fn length(&mut self, what: &str, limit: usize) -> Read<Option<usize>> {
        let n = if self.flexible {
            i64::from(self.uvarint()?) - 1
        } else {
            i64::from(self.i32()?)
        };
        if n < 0 {
            return if n == -1 {
                Ok(None)
            } else {
                Err(Stop::Bad(format!("{what}: length {n}")))
            };
        }
        if n as u64 > limit as u64 {
            return Err(Stop::Bad(format!(
                "{what}: length {n}, but only {limit} fit the rest of the frame"
            )));
        }
        Ok(Some(n as usize))
    }

    pub(crate) fn nullable_string(&mut self, what: &str) -> Read<Option<&'a str>> {
        let n = if self.flexible {
            i64::from(self.uvarint()?) - 1
        } else {
            i64::from(self.i16()?)
        };
        if n < 0 {
            return if n == -1 {
                Ok(None)
            } else {
                Err(Stop::Bad(format!("{what}: length {n}")))
            };
        }
        let bytes = self.take(n as usize)?;
        std::str::from_utf8(bytes)
            .map(Some)
            .map_err(|_| Stop::Bad(format!("{what}: not UTF-8")))
    }

    pub(crate) fn string(&mut self, what: &str) -> Read<&'a str> {
        self.nullable_string(what)?
            .ok_or_else(|| Stop::Bad(format!("{what}: null")))
    }

    /// Walks a tag section; `on_tag` gets each tag and a reader of its bytes.
    pub(crate) fn tags(
        &mut self,
        mut on_tag: impl FnMut(u32, &mut Reader<'a>) -> Read<()>,
    ) -> Read<()> {
        if !self.flexible {
            return Ok(());
        }
        let n = self.uvarint()?;
        for _ in 0..n {
            let tag = self.uvarint()?;
            let len = self.uvarint()? as usize;
            let mut inner = Reader::new(self.take(len)?, true);
            on_tag(tag, &mut inner).map_err(|stop| match stop {
                Stop::More => Stop::Bad(format!("tag {tag} ends early")),
                bad => bad,
            })?;
        }
        Ok(())
    }
}

/// Returns the number of bytes that the tag section at the beginning of `bytes` takes. What the tags hold is not looked at.
///
/// # Errors
/// PROTOCOL: the section ends early or cannot be read; `message` names what it belongs to.
#[doc(hidden)]
pub fn skip_tags(message: &str, bytes: &[u8]) -> Result<usize> {
    let mut reader = Reader::new(bytes, true);
    whole(message, reader.tags(|_, _| Ok(())))?;
    Ok(reader.pos())
}

/// Turns a stop in a whole frame into an error that names the message.
pub(crate) fn whole<T>(message: &str, read: Read<T>) -> Result<T> {
    read.map_err(|stop| match stop {
        Stop::More => Error::protocol(format!("{message} ends early")),
        Stop::Bad(why) => Error::protocol(format!("{message} cannot be read: {why}")),
    })
}
