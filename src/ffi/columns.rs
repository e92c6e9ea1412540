//! The columns of a batch call: C's layouts checked and brought into the form the producer reads, over scratch that
//! each thread keeps, so that a call allocates nothing.

use std::cell::Cell;

use super::guard::Call;
use super::producer::{ottla_column, ottla_header_column};
use crate::error::Result;
use crate::protocol::record::{Blob, Bytes, HeaderBlob, Pointers, Timestamps};

/// Calls of more rows than this give their scratch back.
const KEPT_ROWS: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Scratch {
    pub(super) keys: ColumnScratch,
    pub(super) values: ColumnScratch,
    pub(super) headers: Vec<(usize, usize)>,
    pub(super) timestamps: Vec<i64>,
}

#[derive(Default)]
pub(super) struct ColumnScratch {
    starts: Vec<usize>,
    /// Lengths made of offsets.
    lengths: Vec<i32>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// Lends the thread's scratch to a call of so many rows.
pub(super) fn with_scratch<R>(rows: usize, body: impl FnOnce(&mut Scratch) -> R) -> R {
    // Taken out for the call: a partitioner of the program's own may send in its turn, and come here again.
    let mut scratch = SCRATCH.take();
    let result = body(&mut scratch);
    if rows <= KEPT_ROWS {
        SCRATCH.set(scratch);
    }
    result
}

impl ottla_column {
    /// The column in the producer's form.
    ///
    /// # Safety
    /// What it points to is as the header says, for `rows` rows, and outlives `'a`.
    pub(super) unsafe fn bytes<'a>(
        &self,
        call: Call,
        name: &'static str,
        rows: usize,
        scratch: &'a mut ColumnScratch,
    ) -> Result<Bytes<'a>> {
        let wrong = |problem: String| call.wrong(name, problem);
        // SAFETY: the caller's promise, in this block and in those below.
        let blob = unsafe { call.slice::<u8>(name, self.blob, self.blob_len) }?;
        if !self.pointers.is_null() {
            if self.lengths.is_null() || !self.offsets.is_null() || !blob.is_empty() {
                return Err(wrong(
                    "has pointers: these come with lengths, without offsets and without a blob"
                        .to_owned(),
                ));
            }
            // SAFETY: as above; the strings' own memory is the promise that Pointers::new asks for.
            return unsafe {
                let pointers = call.slice(name, self.pointers, rows)?;
                let lengths = call.slice(name, self.lengths, rows)?;
                Ok(Bytes::Pointers(Pointers::new(name, pointers, lengths)?))
            };
        }
        match (self.lengths.is_null(), self.offsets.is_null()) {
            (false, false) => Err(wrong(
                "has both lengths and offsets; give one of them, the other NULL".to_owned(),
            )),
            (true, true) => Err(wrong(
                "has neither lengths nor offsets nor pointers; for a column of nulls give NULL"
                    .to_owned(),
            )),
            (false, true) => {
                // SAFETY: as above.
                let lengths = unsafe { call.slice::<i32>(name, self.lengths, rows) }?;
                Ok(Bytes::Blob(Blob::new(
                    name,
                    blob,
                    lengths,
                    &mut scratch.starts,
                )?))
            }
            (true, false) => {
                let ends = rows + 1;
                // SAFETY: as above.
                let offsets = unsafe { call.slice::<i32>(name, self.offsets, ends) }?;
                let part = lengths_of(offsets, blob, &mut scratch.lengths).map_err(wrong)?;
                Ok(Bytes::Blob(Blob::new(
                    name,
                    part,
                    &scratch.lengths,
                    &mut scratch.starts,
                )?))
            }
        }
    }
}

/// Turns offsets into lengths; gives the part of the blob they cover.
fn lengths_of<'a>(
    offsets: &[i32],
    blob: &'a [u8],
    lengths: &mut Vec<i32>,
) -> std::result::Result<&'a [u8], String> {
    lengths.clear();
    let (Some(&first), Some(&last)) = (offsets.first(), offsets.last()) else {
        return Ok(&[]);
    };
    let mut least = 0;
    lengths.extend(offsets.windows(2).map(|pair| {
        let len = pair[1].wrapping_sub(pair[0]);
        least = least.min(len);
        len
    }));
    if least < 0 || first < 0 || last < first {
        let at = offsets.windows(2).position(|pair| pair[1] < pair[0]);
        return Err(match at {
            Some(row) if first >= 0 => {
                format!(
                    "has falling offsets: row {row} goes from {} to {}",
                    offsets[row],
                    offsets[row + 1]
                )
            }
            _ => format!("has a negative first offset, {first}"),
        });
    }
    blob.get(first as usize..last as usize).ok_or_else(|| {
        format!(
            "has offsets up to {last}, but its blob has {} bytes",
            blob.len()
        )
    })
}

impl ottla_header_column {
    /// The headers in the producer's form.
    ///
    /// # Safety
    /// What it points to is as the header says, for `rows` rows, and outlives `'a`.
    pub(super) unsafe fn headers<'a>(
        &self,
        call: Call,
        rows: usize,
        scratch: &'a mut Vec<(usize, usize)>,
    ) -> Result<HeaderBlob<'a>> {
        // SAFETY: the caller's promise.
        let (counts, lengths, blob) = unsafe {
            (
                call.slice("headers->counts", self.counts, rows)?,
                call.slice("headers->lengths", self.lengths, self.lengths_count)?,
                call.slice("headers->blob", self.blob, self.blob_len)?,
            )
        };
        HeaderBlob::new(counts, lengths, blob, scratch)
    }
}

/// Timestamps with -1 (now) filled in.
pub(super) fn timestamps<'a>(
    call: Call,
    given: &'a [i64],
    now: i64,
    scratch: &'a mut Vec<i64>,
) -> Result<Timestamps<'a>> {
    let least = given.iter().copied().min().unwrap_or(0);
    if least >= 0 {
        return Ok(Timestamps::Each(given));
    }
    if least < -1 {
        return Err(call.wrong(
            "timestamps",
            format_args!("has {least}; give milliseconds since 1970, or -1 for now"),
        ));
    }
    scratch.clear();
    scratch.extend(given.iter().map(|&t| if t == -1 { now } else { t }));
    Ok(Timestamps::Each(scratch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lengths() {
        let mut lengths = Vec::new();
        let blob = b"abcdef";
        assert_eq!(
            lengths_of(&[1, 3, 3, 6], blob, &mut lengths),
            Ok(&blob[1..6])
        );
        assert_eq!(lengths, [2, 0, 3]);
        assert_eq!(lengths_of(&[6], blob, &mut lengths), Ok(&blob[6..6]));
        assert!(lengths.is_empty());
        for (offsets, message) in [
            (&[0, 3, 2][..], "row 1 goes from 3 to 2"),
            (&[-1, 3], "negative first offset, -1"),
            (&[0, 7], "up to 7, but its blob has 6"),
            (&[0, i32::MAX, -2], "row 1 goes from 2147483647 to -2"),
            (&[0, i32::MAX, i32::MIN, 3], "row 1 goes"),
        ] {
            let wrong = lengths_of(offsets, blob, &mut lengths).unwrap_err();
            assert!(wrong.contains(message), "{wrong}");
        }
    }
}
