//! Records as they come in: columns over the caller's memory, checked once, then read without further checks.

use ottla_base::error::{Error, Result};

use super::varint::{MAX_VARINT_LEN, size_len, varint_len, write_size, write_varlong};

/// Byte strings, some of them null, one for each row of a call.
#[derive(Clone, Copy, Debug)]
pub enum Bytes<'a> {
    /// Null in every row.
    Null,
    /// One after another in one blob.
    Blob(Blob<'a>),
    /// Each somewhere else.
    Pointers(Pointers<'a>),
}

/// Byte strings that lie one after another in a blob.
#[derive(Clone, Copy, Debug)]
pub struct Blob<'a> {
    blob: &'a [u8],
    /// Invariant: as many as `lengths`, and each non-negative length fits into `blob` from its start on.
    starts: &'a [usize],
    lengths: &'a [i32],
}

impl<'a> Blob<'a> {
    /// Checks the lengths (-1 is null) against the blob. `starts` is the caller's scratch; where each string starts is
    /// left in it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if a length is below -1 or the lengths do not add up to the blob's size.
    pub fn new(
        what: &str,
        blob: &'a [u8],
        lengths: &'a [i32],
        starts: &'a mut Vec<usize>,
    ) -> Result<Self> {
        starts.clear();
        starts.reserve(lengths.len());
        let mut at = 0usize;
        let mut least = 0;
        starts.extend(lengths.iter().map(|&len| {
            let start = at;
            least = least.min(len);
            // At most 2^31 a row: no sum of a real slice's lengths overflows.
            at += len.max(0) as usize;
            start
        }));
        if least < -1 {
            return Err(Error::argument(format!(
                "{what}: a length is {least}; a length is 0 or more, or -1 for null"
            )));
        }
        if at != blob.len() {
            return Err(Error::argument(format!(
                "{what}: the {} lengths add up to {at} bytes, but the blob has {}",
                lengths.len(),
                blob.len()
            )));
        }
        Ok(Blob {
            blob,
            starts,
            lengths,
        })
    }
}

/// Byte strings that lie anywhere.
#[derive(Clone, Copy, Debug)]
pub struct Pointers<'a> {
    /// Invariant: as many as `lengths`; each that is not NULL and whose length is not -1 is readable for its length.
    pointers: &'a [*const u8],
    lengths: &'a [i32],
}

impl<'a> Pointers<'a> {
    /// Checks the lengths. A NULL pointer or the length -1 is null.
    ///
    /// # Safety
    /// For `'a`, each pointer that is not NULL must be readable for as many bytes as its length says.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the columns differ in size, a length is below -1, or NULL has a length above 0.
    pub unsafe fn new(what: &str, pointers: &'a [*const u8], lengths: &'a [i32]) -> Result<Self> {
        if pointers.len() != lengths.len() {
            return Err(Error::argument(format!(
                "{what}: {} pointers but {} lengths",
                pointers.len(),
                lengths.len()
            )));
        }
        for (row, (pointer, &len)) in pointers.iter().zip(lengths).enumerate() {
            if len < -1 || (pointer.is_null() && len > 0) {
                return Err(Error::argument(format!(
                    "{what}: row {row} has the length {len}{}; a length is 0 or more, or -1 for null",
                    if pointer.is_null() {
                        " and a NULL pointer"
                    } else {
                        ""
                    }
                )));
            }
        }
        Ok(Pointers { pointers, lengths })
    }
}

/// A column whose rows can be read without a check, the inner loop's view of [`Bytes`].
pub(super) trait Column: Copy {
    /// # Safety
    /// `row` must be less than the column's number of rows.
    unsafe fn get(&self, row: usize) -> Option<&[u8]>;
}

/// A column of nulls only.
#[derive(Clone, Copy)]
pub(super) struct Nulls;

impl Column for Nulls {
    #[inline(always)]
    unsafe fn get(&self, _: usize) -> Option<&[u8]> {
        None
    }
}

impl Column for Blob<'_> {
    #[inline(always)]
    unsafe fn get(&self, row: usize) -> Option<&[u8]> {
        // SAFETY: the row is in bounds by the caller's promise, the range by this type's invariant.
        unsafe {
            let len = *self.lengths.get_unchecked(row);
            let start = *self.starts.get_unchecked(row);
            (len >= 0).then(|| self.blob.get_unchecked(start..start + len as usize))
        }
    }
}

impl Column for Pointers<'_> {
    #[inline(always)]
    unsafe fn get(&self, row: usize) -> Option<&[u8]> {
        // SAFETY: the row is in bounds by the caller's promise, the pointer's range by this type's invariant.
        unsafe {
            let len = *self.lengths.get_unchecked(row);
            let pointer = *self.pointers.get_unchecked(row);
            (len >= 0 && !pointer.is_null())
                .then(|| std::slice::from_raw_parts(pointer, len as usize))
        }
    }
}

impl Column for Bytes<'_> {
    #[inline(always)]
    unsafe fn get(&self, row: usize) -> Option<&[u8]> {
        // SAFETY: the same promise.
        unsafe {
            match self {
                Bytes::Null => None,
                Bytes::Blob(column) => column.get(row),
                Bytes::Pointers(column) => column.get(row),
            }
        }
    }
}

impl<'a> Bytes<'a> {
    /// Number of rows, or `None` if any number will do.
    pub fn rows(&self) -> Option<usize> {
        match self {
            Bytes::Null => None,
            Bytes::Blob(column) => Some(column.lengths.len()),
            Bytes::Pointers(column) => Some(column.lengths.len()),
        }
    }

    /// The string of a row; null also where there is no such row.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        if self.rows().is_some_and(|rows| row >= rows) {
            return None;
        }
        // SAFETY: just checked.
        unsafe { Column::get(self, row) }
    }
}

/// Timestamps, milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub enum Timestamps<'a> {
    /// One for all rows.
    One(i64),
    /// One a row.
    Each(&'a [i64]),
}

/// The headers of many records: a blob of key, value, key, value and so on, and the lengths of all of these.
#[derive(Clone, Copy, Debug)]
pub struct HeaderBlob<'a> {
    blob: &'a [u8],
    /// Invariant: two a header; key lengths are at least 0, value lengths at least -1; they add up to `blob`.
    lengths: &'a [i32],
    /// Invariant: one a row and one more; never falling, within (`blob`, `lengths`), and at string boundaries.
    starts: &'a [(usize, usize)],
}

impl<'a> HeaderBlob<'a> {
    /// Checks `counts` (headers of each row), `lengths` (for each header its key's and its value's, -1 for a null
    /// value) and the blob against each other. `starts` is the caller's scratch.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if a count or length is negative or they do not add up.
    pub fn new(
        counts: &[i32],
        lengths: &'a [i32],
        blob: &'a [u8],
        starts: &'a mut Vec<(usize, usize)>,
    ) -> Result<Self> {
        starts.clear();
        starts.reserve(counts.len() + 1);
        let (mut byte, mut next) = (0, 0);
        starts.push((0, 0));
        for (row, &count) in counts.iter().enumerate() {
            let count = usize::try_from(count)
                .map_err(|_| Error::argument(format!("headers: row {row} has {count} headers")))?;
            let end = next + 2 * count;
            let Some(pairs) = lengths.get(next..end) else {
                return Err(Error::argument(format!(
                    "headers: the counts up to row {row} need {end} lengths (a key's and a value's for each), {} are given",
                    lengths.len()
                )));
            };
            for pair in pairs.chunks_exact(2) {
                if pair[0] < 0 || pair[1] < -1 {
                    return Err(Error::argument(format!(
                        "headers: row {row} has a key of length {} and a value of length {}; only a value may be null (-1)",
                        pair[0], pair[1]
                    )));
                }
                byte += pair[0] as usize + pair[1].max(0) as usize;
            }
            next = end;
            starts.push((byte, next));
        }
        if next != lengths.len() || byte != blob.len() {
            return Err(Error::argument(format!(
                "headers: the counts need {next} lengths and {} are given; these need {byte} bytes and the blob has {}",
                lengths.len(),
                blob.len()
            )));
        }
        Ok(HeaderBlob {
            blob,
            lengths,
            starts,
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// # Safety
    /// `row` must be less than [`HeaderBlob::rows`].
    #[inline]
    pub(super) unsafe fn get(&self, row: usize) -> HeaderRun<'a> {
        // SAFETY: the row is in bounds by the caller's promise, the ranges by this type's invariant.
        unsafe {
            let (byte, next) = *self.starts.get_unchecked(row);
            let (byte_end, end) = *self.starts.get_unchecked(row + 1);
            HeaderRun {
                blob: self.blob.get_unchecked(byte..byte_end),
                lengths: self.lengths.get_unchecked(next..end),
            }
        }
    }
}

/// The headers of one record, ready to be written.
///
/// # Safety
/// [`Headers::write`] must write exactly [`Headers::encoded_len`] bytes, the same however often both are called.
pub(super) unsafe trait Headers: Copy {
    /// How many.
    fn count(&self) -> usize;
    /// Bytes they take, without their count.
    fn encoded_len(&self) -> usize;
    /// Writes them, without their count, and gives the place after them.
    ///
    /// # Safety
    /// [`Headers::encoded_len`] bytes from `at` on must be writable.
    unsafe fn write(&self, at: *mut u8) -> *mut u8;
}

/// # Safety
/// `bytes.len()` bytes from `at` on must be writable and not overlap `bytes`.
#[inline(always)]
pub(super) unsafe fn write_bytes(at: *mut u8, bytes: &[u8]) -> *mut u8 {
    // SAFETY: the same condition.
    unsafe {
        let (from, len) = (bytes.as_ptr(), bytes.len());
        // Keys and headers are mostly short, and a call of memcpy costs more than copying that.
        if len <= 2 * size_of::<u64>() {
            copy_short(from, at, len);
        } else {
            std::ptr::copy_nonoverlapping(from, at, len);
        }
        at.add(len)
    }
}

/// Copies up to 16 bytes: two words, which overlap where the length asks for it.
///
/// # Safety
/// `len` bytes must be readable from `from` and writable from `to` on, apart from each other; `len` is at most 16.
#[inline(always)]
unsafe fn copy_short(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: every access lies within the first `len` bytes on both sides.
    unsafe {
        if len >= 8 {
            let ends = (
                from.cast::<u64>().read_unaligned(),
                from.add(len - 8).cast::<u64>().read_unaligned(),
            );
            to.cast::<u64>().write_unaligned(ends.0);
            to.add(len - 8).cast::<u64>().write_unaligned(ends.1);
        } else if len >= 4 {
            let ends = (
                from.cast::<u32>().read_unaligned(),
                from.add(len - 4).cast::<u32>().read_unaligned(),
            );
            to.cast::<u32>().write_unaligned(ends.0);
            to.add(len - 4).cast::<u32>().write_unaligned(ends.1);
        } else if len > 0 {
            *to = *from;
            *to.add(len / 2) = *from.add(len / 2);
            *to.add(len - 1) = *from.add(len - 1);
        }
    }
}

/// Length prefix and bytes of a nullable string.
#[inline(always)]
pub(super) fn nullable_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| size_len(bytes.len()) + bytes.len())
}

/// # Safety
/// [`nullable_len`] bytes from `at` on must be writable and not overlap `bytes`, whose length must fit an i32.
#[inline(always)]
pub(super) unsafe fn write_nullable(at: *mut u8, bytes: Option<&[u8]>) -> *mut u8 {
    // SAFETY: the same condition; the null length -1 takes one byte.
    unsafe {
        match bytes {
            Some(bytes) => write_bytes(write_size(at, bytes.len()), bytes),
            None => {
                *at = 1;
                at.add(1)
            }
        }
    }
}

/// No headers.
#[derive(Clone, Copy)]
pub(super) struct NoHeaders;

// SAFETY: nothing is promised and nothing is written.
unsafe impl Headers for NoHeaders {
    #[inline(always)]
    fn count(&self) -> usize {
        0
    }
    #[inline(always)]
    fn encoded_len(&self) -> usize {
        0
    }
    #[inline(always)]
    unsafe fn write(&self, at: *mut u8) -> *mut u8 {
        at
    }
}

// SAFETY: both methods walk the same slice and use the same lengths.
unsafe impl Headers for &[(&[u8], Option<&[u8]>)] {
    #[inline]
    fn count(&self) -> usize {
        self.len()
    }
    #[inline]
    fn encoded_len(&self) -> usize {
        self.iter()
            .map(|&(key, value)| nullable_len(Some(key)) + nullable_len(value))
            .sum()
    }
    #[inline]
    unsafe fn write(&self, mut at: *mut u8) -> *mut u8 {
        for &(key, value) in *self {
            // SAFETY: each string takes what `encoded_len` counted for it.
            at = unsafe { write_nullable(write_nullable(at, Some(key)), value) };
        }
        at
    }
}

/// One row of a [`HeaderBlob`]; its invariants hold for the part.
#[derive(Clone, Copy)]
pub(super) struct HeaderRun<'a> {
    blob: &'a [u8],
    lengths: &'a [i32],
}

// SAFETY: both methods walk the same lengths, which add up to the blob.
unsafe impl Headers for HeaderRun<'_> {
    #[inline]
    fn count(&self) -> usize {
        self.lengths.len() / 2
    }
    #[inline]
    fn encoded_len(&self) -> usize {
        self.lengths
            .iter()
            .map(|&len| varint_len(len))
            .sum::<usize>()
            + self.blob.len()
    }
    #[inline]
    unsafe fn write(&self, mut at: *mut u8) -> *mut u8 {
        let mut from = self.blob.as_ptr();
        for &len in self.lengths {
            let bytes = len.max(0) as usize;
            // SAFETY: the lengths add up to the blob, and to what `encoded_len` counted.
            unsafe {
                at = write_bytes(
                    write_varlong(at, i64::from(len)),
                    std::slice::from_raw_parts(from, bytes),
                );
                from = from.add(bytes);
            }
        }
        at
    }
}

/// Headers as they already lie in a batch: they hold nothing relative, so they are copied as they are.
#[derive(Clone, Copy)]
pub(super) struct EncodedHeaders<'a> {
    pub(super) count: usize,
    pub(super) bytes: &'a [u8],
}

// SAFETY: the bytes are counted and written whole.
unsafe impl Headers for EncodedHeaders<'_> {
    fn count(&self) -> usize {
        self.count
    }
    fn encoded_len(&self) -> usize {
        self.bytes.len()
    }
    unsafe fn write(&self, at: *mut u8) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { write_bytes(at, self.bytes) }
    }
}

/// Everything a batch call brings, as columns.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    keys: Bytes<'a>,
    values: Bytes<'a>,
    headers: Option<HeaderBlob<'a>>,
    timestamps: Timestamps<'a>,
    rows: usize,
}

impl<'a> Records<'a> {
    /// Joins the columns of `rows` records.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if a column has another number of rows.
    pub fn new(
        rows: usize,
        keys: Bytes<'a>,
        values: Bytes<'a>,
        headers: Option<HeaderBlob<'a>>,
        timestamps: Timestamps<'a>,
    ) -> Result<Self> {
        let timestamp_rows = match timestamps {
            Timestamps::One(_) => None,
            Timestamps::Each(each) => Some(each.len()),
        };
        let columns = [
            ("keys", keys.rows()),
            ("values", values.rows()),
            ("headers", headers.map(|headers| headers.rows())),
            ("timestamps", timestamp_rows),
        ];
        for (name, has) in columns {
            if has.is_some_and(|has| has != rows) {
                return Err(Error::argument(format!(
                    "a batch of {rows} records: the column of {name} has {} rows",
                    has.unwrap_or_default()
                )));
            }
        }
        Ok(Records {
            keys,
            values,
            headers,
            timestamps,
            rows,
        })
    }

    /// Number of records.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The keys.
    pub fn keys(&self) -> &Bytes<'a> {
        &self.keys
    }

    /// The values.
    pub fn values(&self) -> &Bytes<'a> {
        &self.values
    }

    /// The headers, if any record has some.
    pub fn headers(&self) -> Option<&HeaderBlob<'a>> {
        self.headers.as_ref()
    }

    /// The timestamps.
    pub fn timestamps(&self) -> Timestamps<'a> {
        self.timestamps
    }

    /// Upper bound of a row's encoded size in bytes, whatever batch it comes into; to be held against
    /// `max.request.size`. 0 where there is no such row.
    pub fn size_bound(&self, row: usize) -> usize {
        if row >= self.rows {
            return 0;
        }
        // Length, attributes, timestamp, offset, two lengths, header count: at their longest.
        const OVERHEAD: usize = 5 + 1 + 10 + 5 + 5 + 5 + 5;
        let headers = self.headers.map_or(0, |headers| {
            // SAFETY: all columns have `rows` rows.
            let run = unsafe { headers.get(row) };
            // Asked for every row, so no prefix is looked at: each is taken for the longest.
            run.blob.len() + MAX_VARINT_LEN * run.lengths.len()
        });
        OVERHEAD
            + self.keys.get(row).map_or(0, <[u8]>::len)
            + self.values.get(row).map_or(0, <[u8]>::len)
            + headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_every_short_length_are_copied_whole_and_nothing_beside() {
        let from: Vec<u8> = (1..=40).collect();
        for len in 0..=from.len() {
            let mut to = [0u8; 64];
            // SAFETY: 64 bytes are there.
            let end = unsafe { write_bytes(to.as_mut_ptr(), &from[..len]) };
            assert_eq!(end as usize - to.as_ptr() as usize, len);
            assert_eq!(to[..len], from[..len]);
            assert!(to[len..].iter().all(|byte| *byte == 0));
        }
    }
}
