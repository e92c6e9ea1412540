//! LZ4 frames. The frame is written and read here over the library's block functions, which leaves tables and
//! buffers to be reused. Blocks are independent and of 64 KiB, as Kafka's Java client requires them.

use std::cell::RefCell;

use lz4::block::{CompressionMode, compress_to_buffer};
use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, decompress_into_with_dict,
    get_maximum_output_size,
};
use ottla_base::error::Result;
use ottla_base::memory::PoolBuf;
use twox_hash::XxHash32;

use super::output::Output;
use super::{Codec, internal};

/// Kafka's default level, at which its Java client, too, takes the fast compressor.
pub(super) const DEFAULT_LEVEL: i32 = 9;

const MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();
/// Version 1, independent blocks, no checksums, no content size; blocks of at most 64 KiB.
const DESCRIPTOR: [u8; 2] = [0x60, 0x40];
const BLOCK: usize = 64 << 10;
/// Set in a block's length if the block is not compressed.
const UNCOMPRESSED: u32 = 1 << 31;
/// One length byte stands for at most 255 bytes.
const MAX_EXPANSION: usize = 255;
/// How far back a block may refer into the blocks before it, where they are linked.
const WINDOW: usize = 64 << 10;

thread_local! {
    static TABLE: RefCell<CompressTable> = RefCell::new(CompressTable::large());
    /// Output before the current block, copied out because the output buffer is being written.
    static HISTORY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Compresses one block at a level: as Java's client does, 9 by the fast compressor, any other by the slow one.
fn compress_block(
    level: i32,
    block: &[u8],
    out: &mut [u8],
    table: &mut CompressTable,
) -> Result<usize> {
    if level == DEFAULT_LEVEL {
        return compress_into_with_table(block, out, table)
            .map_err(|e| internal(Codec::Lz4, "compress", e));
    }
    let mode = CompressionMode::HIGHCOMPRESSION(level);
    compress_to_buffer(block, Some(mode), false, out)
        .map_err(|e| internal(Codec::Lz4, "compress", e))
}

pub(super) fn compress(level: Option<i32>, input: &[u8], out: &mut PoolBuf) -> Result<()> {
    let level = level.unwrap_or(DEFAULT_LEVEL);
    TABLE.with_borrow_mut(|table| {
        out.try_reserve(32 + input.len() + input.len().div_ceil(BLOCK) * 4)?;
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&DESCRIPTOR);
        out.extend_from_slice(&[header_checksum(&DESCRIPTOR)]);
        for block in input.chunks(BLOCK) {
            out.try_reserve(4 + get_maximum_output_size(block.len()))?;
            let (size, body) = out.spare_mut().split_at_mut(4);
            let n = compress_block(level, block, body, table)?;
            if n < block.len() {
                size.copy_from_slice(&(n as u32).to_le_bytes());
                out.advance(4 + n);
            } else {
                size.copy_from_slice(&(block.len() as u32 | UNCOMPRESSED).to_le_bytes());
                body[..block.len()].copy_from_slice(block);
                out.advance(4 + block.len());
            }
        }
        out.extend_from_slice(&[0; 4]);
        Ok(())
    })
}

pub(super) fn decompress(input: &[u8], out: &mut Output<'_>) -> Result<()> {
    let mut rest = input;
    loop {
        rest = frame(rest, out)?;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

fn header_checksum(descriptor: &[u8]) -> u8 {
    (XxHash32::oneshot(0, descriptor) >> 8) as u8
}

/// What producers before Kafka 0.10 wrote instead, and in messages of format 0 later ones too: a sum over the magic as well.
#[cold]
fn old_header_checksum(frame: &[u8], descriptor_len: usize) -> u8 {
    header_checksum(
        frame
            .get(..MAGIC.len() + descriptor_len)
            .unwrap_or_default(),
    )
}

/// What a frame's header says about its blocks.
struct Header {
    linked: bool,
    block_checksums: bool,
    content_checksum: bool,
    content_size: Option<u64>,
    block_max: usize,
}

/// Decompresses one frame and returns what follows it.
fn frame<'i>(input: &'i [u8], out: &mut Output<'_>) -> Result<&'i [u8]> {
    let (header, mut rest) = match header(input) {
        Ok(parsed) => parsed,
        Err(why) => return Err(out.corrupt(why)),
    };
    if header
        .content_size
        .is_some_and(|size| size > out.left() as u64)
    {
        return Err(out.over_limit());
    }
    out.reserve(expansion_bound(&header, rest))?;
    let start = out.len();
    loop {
        match next_block(&header, rest) {
            Ok((Some(block), after)) => {
                decompress_block(&header, block, start, out)?;
                rest = after;
            }
            Ok((None, after)) => {
                rest = after;
                break;
            }
            Err(why) => return Err(out.corrupt(why)),
        }
    }
    let content = out.tail(start, usize::MAX);
    if header
        .content_size
        .is_some_and(|size| size != content.len() as u64)
    {
        return Err(out.corrupt("the content size does not match"));
    }
    if header.content_checksum {
        let Some((sum, after)) = rest.split_first_chunk::<4>() else {
            return Err(out.corrupt("the content checksum is missing"));
        };
        if u32::from_le_bytes(*sum) != XxHash32::oneshot(0, content) {
            return Err(out.corrupt("the content checksum does not match"));
        }
        rest = after;
    }
    Ok(rest)
}

fn header(input: &[u8]) -> std::result::Result<(Header, &[u8]), &'static str> {
    const CUT: &str = "the frame header is cut off";
    let body = input.strip_prefix(&MAGIC).ok_or("no LZ4 frame magic")?;
    let (&[flags, sizes], _) = body.split_first_chunk::<2>().ok_or(CUT)?;
    if flags & 0b1100_0010 != 0b0100_0000 || sizes & 0b1000_1111 != 0 {
        return Err("unknown frame version or reserved bits set");
    }
    if flags & 1 != 0 {
        return Err("it needs a dictionary, which Kafka does not use");
    }
    let descriptor_len = if flags & 8 != 0 { 10 } else { 2 };
    let (descriptor, rest) = body.split_at_checked(descriptor_len).ok_or(CUT)?;
    let (&checksum, rest) = rest.split_first().ok_or(CUT)?;
    if checksum != header_checksum(descriptor)
        && checksum != old_header_checksum(input, descriptor_len)
    {
        return Err("the frame header's checksum does not match");
    }
    let block_max = match sizes >> 4 {
        4 => 64 << 10,
        5 => 256 << 10,
        6 => 1 << 20,
        7 => 4 << 20,
        _ => return Err("unknown block size"),
    };
    let header = Header {
        linked: flags & 0x20 == 0,
        block_checksums: flags & 0x10 != 0,
        content_checksum: flags & 4 != 0,
        content_size: descriptor[2..]
            .first_chunk()
            .map(|size| u64::from_le_bytes(*size)),
        block_max,
    };
    Ok((header, rest))
}

struct Block<'i> {
    data: &'i [u8],
    compressed: bool,
}

/// The next block and what follows it; no block at the end mark.
fn next_block<'i>(
    header: &Header,
    input: &'i [u8],
) -> std::result::Result<(Option<Block<'i>>, &'i [u8]), &'static str> {
    const CUT: &str = "a block is cut off";
    let (word, rest) = input
        .split_first_chunk::<4>()
        .ok_or("the end mark is missing")?;
    let word = u32::from_le_bytes(*word);
    if word == 0 {
        return Ok((None, rest));
    }
    let (data, mut rest) = rest
        .split_at_checked((word & !UNCOMPRESSED) as usize)
        .ok_or(CUT)?;
    if data.len() > header.block_max {
        return Err("a block is larger than the frame's block size");
    }
    if header.block_checksums {
        let (sum, after) = rest.split_first_chunk::<4>().ok_or(CUT)?;
        if u32::from_le_bytes(*sum) != XxHash32::oneshot(0, data) {
            return Err("a block's checksum does not match");
        }
        rest = after;
    }
    Ok((
        Some(Block {
            data,
            compressed: word & UNCOMPRESSED == 0,
        }),
        rest,
    ))
}

/// The most that the frame's blocks can expand to; close to the truth for what producers write, whose blocks
/// are all full but the last.
fn expansion_bound(header: &Header, blocks: &[u8]) -> usize {
    let trailer = if header.block_checksums { 4 } else { 0 };
    let (mut total, mut rest) = (0usize, blocks);
    while let Some((word, after)) = rest.split_first_chunk::<4>() {
        let word = u32::from_le_bytes(*word);
        let len = (word & !UNCOMPRESSED) as usize;
        let Some(after) = after.get(len.saturating_add(trailer)..) else {
            break;
        };
        if word == 0 {
            break;
        }
        let expanded = if word & UNCOMPRESSED != 0 {
            len
        } else {
            len.saturating_mul(MAX_EXPANSION)
        };
        total = total.saturating_add(expanded.min(header.block_max));
        rest = after;
    }
    header.content_size.map_or(total, |size| {
        total.min(usize::try_from(size).unwrap_or(total))
    })
}

fn decompress_block(
    header: &Header,
    block: Block<'_>,
    start: usize,
    out: &mut Output<'_>,
) -> Result<()> {
    if !block.compressed {
        return out.append(block.data);
    }
    out.reserve(
        header
            .block_max
            .min(block.data.len().saturating_mul(MAX_EXPANSION)),
    )?;
    let step = if header.linked && out.len() > start {
        HISTORY.with_borrow_mut(|history| {
            history.clear();
            history.extend_from_slice(out.tail(start, WINDOW));
            decompress_into_with_dict(block.data, block_room(header, out), history)
        })
    } else {
        decompress_into(block.data, block_room(header, out))
    };
    match step {
        Ok(n) => {
            out.advance(n);
            Ok(())
        }
        Err(lz4_flex::block::DecompressError::OutputTooSmall { .. })
            if out.left() < header.block_max =>
        {
            Err(out.over_limit())
        }
        Err(e) => Err(out.corrupt(e)),
    }
}

/// The room for one block: never more than the frame's block size.
fn block_room<'o>(header: &Header, out: &'o mut Output<'_>) -> &'o mut [u8] {
    let room = out.room();
    let n = room.len().min(header.block_max);
    &mut room[..n]
}
