//! The four compression codecs of Kafka, both ways.
//!
//! Contexts and tables are kept per thread, so that in steady state a batch costs no allocation. What comes from
//! a broker is never trusted: sizes that a frame declares are used as hints within what its own length can
//! expand to, the output grows step by step up to the caller's limit, and broken input is an error.

mod gzip;
mod lz4;
mod output;
mod snappy;
#[cfg(test)]
mod tests;
mod zstd;

use std::fmt;
use std::ops::RangeInclusive;

use ottla_base::error::{Error, ErrorCode, Result};
use ottla_base::memory::PoolBuf;

use output::Output;

/// How the records of a batch are compressed; the numbers are those of a batch's attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Codec {
    /// Not compressed.
    #[default]
    None = 0,
    /// Deflate in a gzip member.
    Gzip = 1,
    /// Snappy blocks in the framing of Java's `SnappyOutputStream` (xerial).
    Snappy = 2,
    /// An LZ4 frame of independent 64 KiB blocks.
    Lz4 = 3,
    /// A Zstandard frame.
    Zstd = 4,
}

impl Codec {
    /// Every codec, in the order of their ids.
    pub const ALL: [Codec; 5] = [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ];

    /// The number in the lowest three bits of a batch's attributes.
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The codec of that number; `None` for the three numbers Kafka does not use.
    pub const fn from_id(id: u8) -> Option<Codec> {
        match id {
            0 => Some(Codec::None),
            1 => Some(Codec::Gzip),
            2 => Some(Codec::Snappy),
            3 => Some(Codec::Lz4),
            4 => Some(Codec::Zstd),
            _ => None,
        }
    }

    /// The name as in `compression.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }

    /// The codec of a `compression.type`; `None` if there is no such codec.
    pub fn parse(name: &str) -> Option<Codec> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The levels this build can compress at, or `None` for a codec without levels.
///
/// LZ4's 9, Kafka's default, means the fast compressor, every other level the slow one. For gzip, -1 (Kafka's default, the
/// same as 6) is accepted besides the range.
pub fn level_range(codec: Codec) -> Option<RangeInclusive<i32>> {
    match codec {
        Codec::None | Codec::Snappy => None,
        Codec::Gzip => Some(1..=9),
        Codec::Lz4 => Some(1..=17),
        Codec::Zstd => Some(zstd::level_range()),
    }
}

/// Checks a configured `compression.<codec>.level`.
///
/// # Errors
/// `CONFIG`, naming the levels that there are.
pub fn check_level(codec: Codec, level: i32) -> Result<()> {
    let Some(range) = level_range(codec) else {
        return Err(Error::config(format!(
            "{codec} has no compression levels, but level {level} was given; leave it out"
        )));
    };
    if range.contains(&level) || (codec == Codec::Gzip && level == gzip::DEFAULT_LEVEL) {
        return Ok(());
    }
    Err(Error::config(format!(
        "compression.{codec}.level={level} is out of range; it must be {} to {}",
        range.start(),
        range.end()
    )))
}

/// Appends `input`, compressed, to `out`. `None` as the level is Kafka's default of that codec.
///
/// # Errors
/// `CONFIG` for a level outside [`level_range`]; `INVALID_ARGUMENT` for input beyond what the codec can take (4 GiB).
/// After an error `out` is as long as it was.
pub fn compress(codec: Codec, level: Option<i32>, input: &[u8], out: &mut PoolBuf) -> Result<()> {
    if let Some(level) = level {
        check_level(codec, level)?;
    }
    let before = out.len();
    let result = match codec {
        Codec::None => {
            out.extend_from_slice(input);
            Ok(())
        }
        Codec::Gzip => gzip::compress(level, input, out),
        Codec::Snappy => snappy::compress(input, out),
        Codec::Lz4 => lz4::compress(level, input, out),
        Codec::Zstd => zstd::compress(level, input, out),
    };
    result.inspect_err(|_| out.truncate(before))
}

/// Appends `input`, decompressed, to `out`: at most `limit` bytes.
///
/// # Errors
/// `DECOMPRESSION_LIMIT` if there is more than `limit`, `CORRUPT_BATCH` if the input is broken or incomplete.
/// After an error `out` is as long as it was.
pub fn decompress(codec: Codec, input: &[u8], out: &mut PoolBuf, limit: usize) -> Result<()> {
    let before = out.len();
    let mut output = Output::new(codec, input.len(), out, limit);
    let result = match codec {
        Codec::None => output.append(input),
        Codec::Gzip => gzip::decompress(input, &mut output),
        Codec::Snappy => snappy::decompress(input, &mut output),
        Codec::Lz4 => lz4::decompress(input, &mut output),
        Codec::Zstd => zstd::decompress(input, &mut output),
    };
    result.inspect_err(|_| out.truncate(before))
}

/// A codec's library failed where valid arguments leave it no reason to.
fn internal(codec: Codec, doing: &str, why: impl fmt::Display) -> Error {
    Error::new(
        ErrorCode::PANIC,
        format!("{codec} failed to {doing}: {why}; this is a bug in Ottla"),
    )
}
