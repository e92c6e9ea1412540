//! Bytes taken off the front of a frame, each time checked against what is left.

use std::fmt;

/// Why a body does not have the shape of its message, and where: filled in from the inside out.
#[derive(Debug)]
pub(super) struct Fault {
    what: String,
    /// Innermost step first.
    path: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Field(&'static str),
    Index(usize),
}

pub(super) type Checked<T> = Result<T, Box<Fault>>;

impl Fault {
    pub(super) fn new(what: impl Into<String>) -> Box<Fault> {
        Box::new(Fault {
            what: what.into(),
            path: Vec::new(),
        })
    }

    pub(super) fn in_field(mut self: Box<Self>, name: &'static str) -> Box<Fault> {
        self.path.push(Step::Field(name));
        self
    }

    pub(super) fn at_index(mut self: Box<Self>, index: usize) -> Box<Fault> {
        self.path.push(Step::Index(index));
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.path.iter().rev().enumerate() {
            match step {
                Step::Field(name) if i == 0 => write!(f, "{name}")?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        let colon = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{colon}{}", self.what)
    }
}

/// A length or count as it stands on the wire.
pub(super) enum Length {
    Null,
    Of(usize),
}

pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Reader { rest }
    }

    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn take(&mut self, n: usize, what: &str) -> Checked<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(n) else {
            return Err(Fault::new(format!(
                "{what} of {n} bytes, but only {} bytes are left",
                self.rest.len()
            )));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn chunk<const N: usize>(&mut self, what: &str) -> Checked<[u8; N]> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(Fault::new(format!(
                "{what} of {N} bytes, but only {} bytes are left",
                self.rest.len()
            )));
        };
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn i8(&mut self) -> Checked<i8> {
        self.chunk::<1>("a number").map(i8::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Checked<i16> {
        self.chunk::<2>("a number").map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Checked<i32> {
        self.chunk::<4>("a number").map(i32::from_be_bytes)
    }

    /// An unsigned varint of at most 32 bits. Stricter than the decoder, which drops the bits beyond.
    pub(super) fn varint(&mut self) -> Checked<u32> {
        let mut value = 0u32;
        for (i, byte) in self.rest.iter().take(5).enumerate() {
            if i == 4 && *byte > 0x0f {
                return Err(Fault::new("a varint of more than 32 bits"));
            }
            value |= u32::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(Fault::new(format!(
            "a varint that does not end within the {} bytes left",
            self.rest.len()
        )))
    }

    /// The length of a string: 16 bits, or a varint one above the length.
    pub(super) fn string_length(&mut self, flexible: bool) -> Checked<Length> {
        if flexible {
            self.compact_length()
        } else {
            self.i16().and_then(|n| plain_length(n.into()))
        }
    }

    /// The length of bytes or the count of an array: 32 bits, or a varint one above it.
    pub(super) fn length(&mut self, flexible: bool) -> Checked<Length> {
        if flexible {
            self.compact_length()
        } else {
            self.i32().and_then(plain_length)
        }
    }

    fn compact_length(&mut self) -> Checked<Length> {
        Ok(match self.varint()? {
            0 => Length::Null,
            n => Length::Of(n as usize - 1),
        })
    }
}

fn plain_length(n: i32) -> Checked<Length> {
    match n {
        -1 => Ok(Length::Null),
        n => usize::try_from(n)
            .map(Length::Of)
            .map_err(|_| Fault::new(format!("a negative length of {n}"))),
    }
}
