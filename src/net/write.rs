//! The outgoing half of a connection: frames in order, written vectored, each body where it lies.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use ottla_base::write::write_vectored;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::protocol::produce::OutFrame;

/// Most pieces of one write; the kernel's own limit is 1024.
pub(crate) const MAX_SLICES: usize = 128;

/// Writes what the socket takes at once of these pieces.
///
/// # Errors
/// `WouldBlock` when it takes nothing now, `BrokenPipe` or another when the connection is lost.
pub(crate) fn try_write_vectored(stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    stream.try_io(Interest::WRITABLE, || write_vectored(stream, slices))
}

/// Frames waiting to be written, the first perhaps written in part.
#[derive(Default)]
pub(crate) struct WriteQueue {
    frames: VecDeque<OutFrame>,
    /// Bytes of the first frame that are written already.
    written: usize,
}

impl WriteQueue {
    pub(crate) fn push(&mut self, frame: OutFrame) {
        self.frames.push_back(frame);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Fills `slices` with what comes next.
    pub(crate) fn gather<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>) {
        let mut skip = self.written;
        for frame in &self.frames {
            let mut at = 0;
            let cuts = frame
                .bodies
                .iter()
                .map(|(cut, body)| (*cut, Some(&body[..])));
            for (cut, body) in cuts.chain([(frame.meta.len(), None)]) {
                for piece in [&frame.meta[at..cut], body.unwrap_or(&[])] {
                    if skip >= piece.len() {
                        skip -= piece.len();
                        continue;
                    }
                    slices.push(IoSlice::new(&piece[skip..]));
                    skip = 0;
                    if slices.len() == MAX_SLICES {
                        return;
                    }
                }
                at = cut;
            }
        }
    }

    /// Counts `n` bytes as written and drops the frames that are done.
    pub(crate) fn consume(&mut self, n: usize) {
        if planted!("partial-write") && self.written > 0 {
            self.written = 0;
        }
        self.written += n;
        while let Some(frame) = self.frames.front() {
            let len = frame.len();
            if self.written < len {
                break;
            }
            self.written -= len;
            self.frames.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::PoolBuf;

    #[test]
    fn partial_writes_of_any_size_give_the_same_bytes() {
        let body = |n: u8| {
            let mut b = PoolBuf::with_capacity(10);
            b.extend_from_slice(&vec![n; n as usize]);
            b.share()
        };
        let frames = || {
            vec![
                OutFrame {
                    meta: b"abcdefgh".to_vec(),
                    bodies: vec![(3, body(5)), (6, body(2))],
                },
                OutFrame {
                    meta: b"plain".to_vec(),
                    bodies: vec![],
                },
                OutFrame {
                    meta: b"end".to_vec(),
                    bodies: vec![(3, body(7))],
                },
            ]
        };
        let want: Vec<u8> =
            b"abc\x05\x05\x05\x05\x05def\x02\x02ghplainend\x07\x07\x07\x07\x07\x07\x07".to_vec();
        for step in 1..=want.len() {
            let mut queue = WriteQueue::default();
            frames().into_iter().for_each(|f| queue.push(f));
            let mut got: Vec<u8> = Vec::new();
            while !queue.is_empty() {
                let mut slices = Vec::new();
                queue.gather(&mut slices);
                let flat: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).collect();
                let n = step.min(flat.len());
                got.extend(&flat[..n]);
                drop(slices);
                queue.consume(n);
            }
            assert_eq!(got, want);
        }
    }
}
