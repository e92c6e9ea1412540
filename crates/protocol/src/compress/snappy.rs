//! Snappy: written in xerial framing, as Java's `SnappyOutputStream` does; read so framed or raw, as librdkafka
//! writes it.

use std::cell::RefCell;

use ottla_base::error::Result;
use ottla_base::memory::PoolBuf;

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::output::Output;
use super::{Codec, internal};

/// Start of the framing; a version and the oldest version that can read it follow, each 4 bytes.
const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const HEADER_LEN: usize = 16;
const VERSION: u32 = 1;
/// Snappy never refers back across 64 KiB, so larger chunks gain nothing.
const CHUNK: usize = 64 << 10;
/// Three bytes copy at most 64.
const MAX_EXPANSION: usize = 22;

thread_local! {
    static ENCODER: RefCell<Encoder> = RefCell::new(Encoder::new());
}

pub(super) fn compress(input: &[u8], out: &mut PoolBuf) -> Result<()> {
    ENCODER.with_borrow_mut(|encoder| {
        let chunks = input.len().div_ceil(CHUNK);
        out.try_reserve(HEADER_LEN + chunks * 4 + input.len() + input.len() / 6 + chunks * 32)?;
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&VERSION.to_be_bytes());
        for chunk in input.chunks(CHUNK) {
            out.try_reserve(4 + max_compress_len(chunk.len()))?;
            let (size, body) = out.spare_mut().split_at_mut(4);
            let n = encoder
                .compress(chunk, body)
                .map_err(|e| internal(Codec::Snappy, "compress", e))?;
            size.copy_from_slice(&(n as u32).to_be_bytes());
            out.advance(4 + n);
        }
        Ok(())
    })
}

pub(super) fn decompress(input: &[u8], out: &mut Output<'_>) -> Result<()> {
    if !input.starts_with(&MAGIC) {
        let size = declared_len(input, out)?;
        out.reserve(size)?;
        return block(input, out);
    }
    let total = total_len(input, out)?;
    out.reserve(total)?;
    for_each_chunk(input, out, block)
}

/// Calls `f` with each chunk of a framed stream. Streams joined end to end repeat the header.
fn for_each_chunk(
    input: &[u8],
    out: &mut Output<'_>,
    mut f: impl FnMut(&[u8], &mut Output<'_>) -> Result<()>,
) -> Result<()> {
    let mut rest = input;
    while !rest.is_empty() {
        if rest.starts_with(&MAGIC) {
            rest = rest
                .get(HEADER_LEN..)
                .ok_or_else(|| out.corrupt("the stream header is cut off"))?;
            continue;
        }
        let Some((size, after)) = rest.split_first_chunk::<4>() else {
            return Err(out.corrupt("a chunk's length is cut off"));
        };
        let size = u32::from_be_bytes(*size) as usize;
        let Some((chunk, after)) = after.split_at_checked(size) else {
            return Err(out.corrupt(format!(
                "a chunk of {size} bytes, but {} are left",
                after.len()
            )));
        };
        f(chunk, out)?;
        rest = after;
    }
    Ok(())
}

/// What all chunks together declare, checked before anything is decompressed.
fn total_len(input: &[u8], out: &mut Output<'_>) -> Result<usize> {
    let mut total = 0usize;
    for_each_chunk(input, out, |chunk, out| {
        total = total.saturating_add(declared_len(chunk, out)?);
        if total > out.left() {
            Err(out.over_limit())
        } else {
            Ok(())
        }
    })?;
    Ok(total)
}

/// The size a block declares, if it is one that its length can expand to and within the limit.
fn declared_len(block: &[u8], out: &Output<'_>) -> Result<usize> {
    let size = decompress_len(block).map_err(|e| out.corrupt(e))?;
    if size > block.len().saturating_mul(MAX_EXPANSION) {
        return Err(out.corrupt(format!(
            "a block of {} bytes claims to hold {size}",
            block.len()
        )));
    }
    if size > out.left() {
        Err(out.over_limit())
    } else {
        Ok(size)
    }
}

fn block(block: &[u8], out: &mut Output<'_>) -> Result<()> {
    let size = declared_len(block, out)?;
    out.reserve(size)?;
    let step = Decoder::new().decompress(block, &mut out.room()[..size]);
    let written = step.map_err(|e| out.corrupt(e))?;
    out.advance(written);
    Ok(())
}
