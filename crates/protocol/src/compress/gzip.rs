//! gzip: deflate in the member format of RFC 1952. The header and trailer are handled here, because the
//! deflate contexts can be reset, and so reused, only in raw mode.

use std::cell::RefCell;

use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress, Status};
use ottla_base::error::Result;
use ottla_base::memory::PoolBuf;

use super::output::Output;
use super::{Codec, internal};

/// Kafka's default level: the library's own choice, 6.
pub(super) const DEFAULT_LEVEL: i32 = -1;
/// Deflate expands at most to this many times its input.
const MAX_EXPANSION: usize = 1032;

/// Magic, deflate, no flags, no time, no extra flags, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;

thread_local! {
    /// The compressor last used by this thread and its level.
    static DEFLATE: RefCell<Option<(u32, Compress)>> = const { RefCell::new(None) };
    static INFLATE: RefCell<Option<Decompress>> = const { RefCell::new(None) };
}

pub(super) fn compress(level: Option<i32>, input: &[u8], out: &mut PoolBuf) -> Result<()> {
    let level = match level {
        None | Some(DEFAULT_LEVEL) => Compression::default(),
        Some(n) => Compression::new(n.unsigned_abs()),
    };
    DEFLATE.with_borrow_mut(|slot| {
        if slot.as_ref().is_some_and(|(at, _)| *at != level.level()) {
            *slot = None;
        }
        let (_, deflate) = slot.get_or_insert_with(|| (level.level(), Compress::new(level, false)));
        deflate.reset();

        out.try_reserve(input.len() + input.len() / 16 + 64)?;
        out.extend_from_slice(&HEADER);
        let mut pos = 0;
        loop {
            let (in_before, out_before) = (deflate.total_in(), deflate.total_out());
            let status = deflate
                .compress(&input[pos..], out.spare_mut(), FlushCompress::Finish)
                .map_err(|e| internal(Codec::Gzip, "compress", e))?;
            pos += (deflate.total_in() - in_before) as usize;
            out.advance((deflate.total_out() - out_before) as usize);
            if status == Status::StreamEnd {
                break;
            }
            out.try_reserve(input.len() / 16 + 64)?;
        }

        let mut crc = Crc::new();
        crc.update(input);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        out.extend_from_slice(&(input.len() as u32).to_le_bytes());
        Ok(())
    })
}

pub(super) fn decompress(input: &[u8], out: &mut Output<'_>) -> Result<()> {
    INFLATE.with_borrow_mut(|slot| {
        let inflate = slot.get_or_insert_with(|| Decompress::new(false));
        // The trailer of the last member tells its size, which is all of it in what producers write.
        let declared = input
            .last_chunk::<4>()
            .map_or(0, |size| u32::from_le_bytes(*size) as usize);
        out.reserve(declared.min(input.len().saturating_mul(MAX_EXPANSION)))?;
        let mut rest = input;
        loop {
            rest = member(inflate, rest, out)?;
            if rest.is_empty() {
                return Ok(());
            }
        }
    })
}

/// Decompresses one member and returns what follows it.
fn member<'i>(inflate: &mut Decompress, input: &'i [u8], out: &mut Output<'_>) -> Result<&'i [u8]> {
    let mut rest = skip_header(input).ok_or_else(|| out.corrupt("no complete gzip header"))?;
    inflate.reset(false);
    let mut crc = Crc::new();
    loop {
        let (in_before, out_before) = (inflate.total_in(), inflate.total_out());
        // With the room used up, a few bytes of scratch tell whether more data or only the end is to come.
        let mut scratch = [0u8; 64];
        let room = out.room();
        let probing = room.is_empty();
        let target = if probing { &mut scratch[..] } else { room };
        let step = inflate.decompress(rest, target, FlushDecompress::None);
        let status = step.map_err(|e| out.corrupt(e))?;
        let consumed = (inflate.total_in() - in_before) as usize;
        let produced = (inflate.total_out() - out_before) as usize;
        rest = &rest[consumed..];
        if probing {
            crc.update(&scratch[..produced]);
            out.append(&scratch[..produced])?;
        } else {
            crc.update(out.advance(produced));
        }
        if status == Status::StreamEnd {
            break;
        }
        if consumed == 0 && produced == 0 {
            return Err(out.corrupt("the data ends early"));
        }
    }
    let Some((trailer, after)) = rest.split_first_chunk::<8>() else {
        return Err(out.corrupt("the trailer is missing"));
    };
    let trailer = u64::from_le_bytes(*trailer);
    if trailer as u32 != crc.sum() {
        return Err(out.corrupt("its CRC does not match"));
    }
    if (trailer >> 32) as u32 != inflate.total_out() as u32 {
        return Err(out.corrupt("its size does not match"));
    }
    Ok(after)
}

/// What follows the member's header, or `None` if it is not a complete gzip header.
fn skip_header(input: &[u8]) -> Option<&[u8]> {
    let (&[magic1, magic2, method, flags, ..], mut rest) = input.split_first_chunk::<10>()?;
    // The upper three flags are reserved.
    if (magic1, magic2, method) != (0x1f, 0x8b, 8) || flags & 0xe0 != 0 {
        return None;
    }
    if flags & FEXTRA != 0 {
        let (len, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_le_bytes(*len))..)?;
    }
    for flag in [FNAME, FCOMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|b| *b == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & FHCRC != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}
