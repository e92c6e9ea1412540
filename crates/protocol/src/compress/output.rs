//! Where decompressed bytes go: a pooled buffer that grows step by step and never past the limit.

use ottla_base::error::{Error, ErrorCode, Result};
use ottla_base::memory::PoolBuf;

use super::Codec;

/// The output of one decompression, and what its errors need to know.
pub(super) struct Output<'a> {
    codec: Codec,
    compressed: usize,
    out: &'a mut PoolBuf,
    /// Length of `out` that must not be passed.
    end: usize,
    limit: usize,
}

impl<'a> Output<'a> {
    pub(super) fn new(codec: Codec, compressed: usize, out: &'a mut PoolBuf, limit: usize) -> Self {
        let end = out.len().saturating_add(limit);
        Output {
            codec,
            compressed,
            out,
            end,
            limit,
        }
    }

    /// Bytes that may still be appended.
    pub(super) fn left(&self) -> usize {
        self.end - self.out.len()
    }

    /// Grows the buffer, if it must, to hold `want` more bytes or all that the limit leaves.
    pub(super) fn reserve(&mut self, want: usize) -> Result<()> {
        let need = self.out.len() + want.min(self.left());
        if need > self.out.capacity() {
            // Not PoolBuf::reserve, which doubles whatever the limit.
            let mut bigger = PoolBuf::try_with_capacity(
                need.max(self.out.capacity().saturating_mul(2).min(self.end)),
            )?;
            bigger.extend_from_slice(self.out);
            *self.out = bigger;
        }
        Ok(())
    }

    /// The room that is there without growing, within the limit; count what is written with [`Output::advance`].
    pub(super) fn room(&mut self) -> &mut [u8] {
        let left = self.left();
        let spare = self.out.spare_mut();
        let n = spare.len().min(left);
        &mut spare[..n]
    }

    /// Counts `n` bytes of the room as written and returns them.
    pub(super) fn advance(&mut self, n: usize) -> &[u8] {
        let start = self.out.len();
        self.out.advance(n);
        &self.out[start..]
    }

    /// Appends bytes; more than the limit leaves is an error.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.left() {
            return Err(self.over_limit());
        }
        self.reserve(bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// The last up to `n` bytes written since `start` (a length that [`Output::len`] gave).
    pub(super) fn tail(&self, start: usize, n: usize) -> &[u8] {
        let from = start.max(self.out.len().saturating_sub(n));
        &self.out[from..]
    }

    /// The whole buffer's length, including what it held before.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    pub(super) fn over_limit(&self) -> Error {
        Error::new(
            ErrorCode::DECOMPRESSION_LIMIT,
            format!(
                "{} bytes of {}-compressed records expand beyond the limit of {} bytes; raise the limit if the data \
                 can be trusted",
                self.compressed, self.codec, self.limit
            ),
        )
    }

    pub(super) fn corrupt(&self, why: impl std::fmt::Display) -> Error {
        Error::new(
            ErrorCode::CORRUPT_BATCH,
            format!(
                "{} bytes of {}-compressed records are corrupt: {why}",
                self.compressed, self.codec
            ),
        )
    }
}
