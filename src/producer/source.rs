//! What a call appends: one record, or rows of columns.

use std::ops::Range;

use super::completion::Tokens;
use crate::error::Result;
use crate::protocol::record::{BatchBuilder, Records};

/// Rows of a call on their way to one partition.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    Range(usize, usize),
    List(&'a [u32]),
}

impl Rows<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Rows::Range(from, to) => to - from,
            Rows::List(list) => list.len(),
        }
    }

    fn skip(self, n: usize) -> Self {
        match self {
            Rows::Range(from, to) => Rows::Range(from + n, to),
            Rows::List(list) => Rows::List(&list[n..]),
        }
    }

    fn limit(self, n: usize) -> Self {
        match self {
            Rows::Range(from, to) => Rows::Range(from, to.min(from + n)),
            Rows::List(list) => Rows::List(&list[..n.min(list.len())]),
        }
    }

    fn note(&self, tokens: &mut Tokens, token: u64, n: usize) {
        match self {
            Rows::Range(from, _) => tokens.add(token, *from as u32, n as u32),
            Rows::List(list) => tokens.add_scattered(token, &list[..n]),
        }
    }
}

/// Something to append: one record, or rows of columns.
pub(super) trait Source: Copy {
    fn len(&self) -> usize;
    fn skip(self, n: usize) -> Self;
    /// At most the first `n`, which is at least 1.
    fn limit(self, n: usize) -> Self;
    /// Appends what fits; how many rows it took.
    fn append(&self, builder: &mut BatchBuilder) -> Result<usize>;
    fn note(&self, tokens: &mut Tokens, token: u64, n: usize);
    /// The most the next row takes.
    fn next_size(&self) -> usize;
}

#[derive(Clone, Copy)]
pub(super) struct One<'a> {
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: &'a [(&'a [u8], Option<&'a [u8]>)],
    pub(super) timestamp: i64,
    /// Its index in the call.
    pub(super) first: u32,
}

impl Source for One<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        1
    }
    fn skip(self, _: usize) -> Self {
        self
    }
    #[inline(always)]
    fn limit(self, _: usize) -> Self {
        self
    }
    #[inline(always)]
    fn append(&self, builder: &mut BatchBuilder) -> Result<usize> {
        builder
            .append(self.key, self.value, self.headers, self.timestamp)
            .map(usize::from)
    }
    #[inline(always)]
    fn note(&self, tokens: &mut Tokens, token: u64, _: usize) {
        tokens.add(token, self.first, 1);
    }
    fn next_size(&self) -> usize {
        record_bound(self.key, self.value, self.headers)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Many<'a> {
    pub(super) records: &'a Records<'a>,
    pub(super) rows: Rows<'a>,
}

impl Source for Many<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }
    fn skip(self, n: usize) -> Self {
        Many {
            rows: self.rows.skip(n),
            ..self
        }
    }
    fn limit(self, n: usize) -> Self {
        Many {
            rows: self.rows.limit(n),
            ..self
        }
    }
    fn append(&self, builder: &mut BatchBuilder) -> Result<usize> {
        match self.rows {
            Rows::Range(from, to) => builder.append_range(
                self.records,
                Range {
                    start: from,
                    end: to,
                },
            ),
            Rows::List(list) => builder.append_rows(self.records, list),
        }
    }
    fn note(&self, tokens: &mut Tokens, token: u64, n: usize) {
        self.rows.note(tokens, token, n);
    }
    fn next_size(&self) -> usize {
        let row = match self.rows {
            Rows::Range(from, _) => from,
            Rows::List(list) => list.first().map_or(0, |r| *r as usize),
        };
        self.records.size_bound(row)
    }
}

/// The most bytes a record takes in a batch.
pub(super) fn record_bound(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(&[u8], Option<&[u8]>)],
) -> usize {
    let headers: usize = headers
        .iter()
        .map(|(k, v)| 10 + k.len() + v.map_or(0, <[u8]>::len))
        .sum();
    36 + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers
}
