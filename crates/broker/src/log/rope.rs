//! The bytes of a log in memory: a sequence of shared chunks addressed by position.

use std::collections::VecDeque;

use bytes::Bytes;

/// Small pieces are gathered into chunks of about this size, so that a log of tiny batches is not a list of tiny
/// allocations and a fetch of it is not thousands of slices.
const CHUNK: usize = 64 * 1024;

struct Chunk {
    pos: u64,
    bytes: Bytes,
}

/// Bytes addressed by a position that only grows. Chunks follow one another without gaps; `open` is the last one,
/// still growing, and is copied when read.
#[derive(Default)]
pub(super) struct Rope {
    chunks: VecDeque<Chunk>,
    open: Vec<u8>,
    open_pos: u64,
}

impl Rope {
    /// The position behind the last byte.
    pub(super) fn end(&self) -> u64 {
        self.open_pos + self.open.len() as u64
    }

    /// Appends a copy of `bytes`.
    pub(super) fn push_copy(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.open.capacity() == 0 {
                self.open.reserve_exact(CHUNK);
            }
            let room = CHUNK.saturating_sub(self.open.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.open.extend_from_slice(now);
            bytes = later;
            if self.open.len() >= CHUNK {
                self.seal();
            }
        }
    }

    /// Appends `bytes` by reference.
    pub(super) fn push_shared(&mut self, bytes: Bytes) {
        self.seal();
        self.open_pos += bytes.len() as u64;
        self.chunks.push_back(Chunk {
            pos: self.open_pos - bytes.len() as u64,
            bytes,
        });
    }

    fn seal(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let mut bytes = std::mem::take(&mut self.open);
        bytes.shrink_to_fit();
        let pos = self.open_pos;
        self.open_pos += bytes.len() as u64;
        self.chunks.push_back(Chunk {
            pos,
            bytes: Bytes::from(bytes),
        });
    }

    /// Adds the bytes from `from` to `to` (positions) to `out`; what was dropped already is left out.
    pub(super) fn slice(&self, from: u64, to: u64, out: &mut Vec<Bytes>) {
        let first = self
            .chunks
            .partition_point(|c| c.pos + c.bytes.len() as u64 <= from);
        for chunk in self.chunks.range(first..) {
            if chunk.pos >= to {
                return;
            }
            let start = from.saturating_sub(chunk.pos) as usize;
            let end = ((to - chunk.pos) as usize).min(chunk.bytes.len());
            out.push(chunk.bytes.slice(start..end));
        }
        let start = (from.saturating_sub(self.open_pos) as usize).min(self.open.len());
        let end = (to.saturating_sub(self.open_pos) as usize).min(self.open.len());
        if let Some(open) = self.open.get(start..end).filter(|open| !open.is_empty()) {
            out.push(Bytes::copy_from_slice(open));
        }
    }

    /// Takes away what lies at `pos` and behind, which is written anew from there.
    #[cfg(feature = "simulation")]
    pub(super) fn truncate(&mut self, pos: u64) {
        self.seal();
        while self.chunks.back().is_some_and(|c| c.pos >= pos) {
            self.chunks.pop_back();
        }
        if let Some(last) = self.chunks.back_mut() {
            last.bytes.truncate((pos - last.pos) as usize);
        }
        self.open_pos = self.open_pos.min(pos);
    }

    /// Frees the chunks that lie wholly before `pos`.
    pub(super) fn drop_before(&mut self, pos: u64) {
        while self
            .chunks
            .front()
            .is_some_and(|c| c.pos + c.bytes.len() as u64 <= pos)
        {
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rope: &Rope, from: u64, to: u64) -> Vec<u8> {
        let mut parts = Vec::new();
        rope.slice(from, to, &mut parts);
        parts.concat()
    }

    #[test]
    fn copied_and_shared_pieces_read_back_at_every_cut() {
        let all: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
        let mut rope = Rope::default();
        rope.push_copy(&all[..10]);
        rope.push_shared(Bytes::copy_from_slice(&all[10..100_000]));
        rope.push_copy(&all[100_000..199_000]);
        rope.push_copy(&all[199_000..]);
        assert_eq!(rope.end(), 200_000);
        for (from, to) in [
            (0, 200_000),
            (5, 15),
            (9, 10),
            (99_999, 100_001),
            (165_530, 165_540),
            (199_999, 200_000),
        ] {
            assert_eq!(
                read(&rope, from, to),
                &all[from as usize..to as usize],
                "{from}..{to}"
            );
        }
        rope.drop_before(100_000);
        assert_eq!(read(&rope, 100_000, 100_010), &all[100_000..100_010]);
        assert_eq!(rope.end(), 200_000);
    }

    #[test]
    fn large_pieces_are_not_copied() {
        let bytes = Bytes::from(vec![7u8; 1000]);
        let mut rope = Rope::default();
        rope.push_shared(bytes.clone());
        let mut parts = Vec::new();
        rope.slice(100, 200, &mut parts);
        assert_eq!(parts[0].as_ptr(), bytes[100..].as_ptr());
    }
}
