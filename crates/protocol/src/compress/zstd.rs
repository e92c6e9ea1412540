//! Zstandard frames, through the C library.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use ottla_base::error::Result;
use ottla_base::memory::PoolBuf;
use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{
    CCtx, CParameter, DCtx, compress_bound, decompress_bound, get_error_name, is_error_kind,
    max_c_level, min_c_level,
};

use super::output::Output;
use super::{Codec, internal};

/// Kafka's default level.
const DEFAULT_LEVEL: i32 = 3;
/// A block holds at most this much and takes at least [`MIN_BLOCK`] bytes.
const MAX_BLOCK: usize = 128 << 10;
const MIN_BLOCK: usize = 3;

thread_local! {
    static COMPRESSOR: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

pub(super) fn level_range() -> RangeInclusive<i32> {
    min_c_level()..=max_c_level()
}

pub(super) fn compress(level: Option<i32>, input: &[u8], out: &mut PoolBuf) -> Result<()> {
    let failed = |code| internal(Codec::Zstd, "compress", get_error_name(code));
    COMPRESSOR.with_borrow_mut(|slot| {
        let context = slot.get_or_insert_with(CCtx::create);
        context
            .set_parameter(CParameter::CompressionLevel(level.unwrap_or(DEFAULT_LEVEL)))
            .map_err(failed)?;
        out.try_reserve(compress_bound(input.len()))?;
        let n = context.compress2(out.spare_mut(), input).map_err(failed)?;
        out.advance(n);
        Ok(())
    })
}

pub(super) fn decompress(input: &[u8], out: &mut Output<'_>) -> Result<()> {
    let bound = decompress_bound(input).map_err(|code| out.corrupt(get_error_name(code)))?;
    let possible = (input.len() / MIN_BLOCK + 1).saturating_mul(MAX_BLOCK);
    if bound > possible as u64 {
        return Err(out.corrupt(format!(
            "it claims to hold {bound} bytes, more than its length allows"
        )));
    }
    // All at once, with the output itself as the window: streaming would allocate whatever window the frame asks for.
    // Where the frame does not tell its size the bound may lie beyond the limit and the data still within it.
    out.reserve(bound as usize)?;
    let step = DECOMPRESSOR.with_borrow_mut(|slot| {
        let room = out.room();
        let n = room.len().min(bound as usize);
        slot.get_or_insert_with(DCtx::create)
            .decompress(&mut room[..n], input)
    });
    match step {
        Ok(n) => {
            out.advance(n);
            Ok(())
        }
        Err(code)
            if bound > out.left() as u64
                && is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) =>
        {
            Err(out.over_limit())
        }
        Err(code) => Err(out.corrupt(get_error_name(code))),
    }
}
