//! Incoming frames: bytes in, responses out. No socket here: the driver asks where the next bytes go, puts them
//! there, and gets whole responses, or a fetch response's parts as they complete.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::error::{Error, ErrorCode, Result};
use crate::memory::PoolBuf;
use crate::protocol::fetch::{FetchParser, FetchPart};

/// Room for what is not a partition's records. A read fills the records' buffer first and this behind it.
const STAGING: usize = 16 * 1024;

/// What kind of answer a request will get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// An ordinary response, handed out whole.
    Whole,
    /// A Fetch response of this version, handed out in parts.
    Fetch(i16),
}

/// Something that has arrived.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A whole response: what follows the correlation id.
    Whole(i32, Bytes),
    /// A part of a fetch response; `FetchPart::End` is its last.
    Fetch(i32, FetchPart),
}

enum State {
    /// Waiting for length and correlation id.
    Prefix,
    Whole {
        correlation: i32,
        left: usize,
        body: PoolBuf,
    },
    Fetch {
        correlation: i32,
        parser: FetchParser,
    },
}

/// The incoming half of a connection.
pub(crate) struct FrameReader {
    staging: Vec<u8>,
    /// Unparsed bytes are `staging[start..end]`.
    start: usize,
    end: usize,
    state: State,
    /// Requests sent and not answered, in order: Kafka answers a connection's requests in their order.
    expected: VecDeque<(i32, Expect)>,
    max_frame: usize,
    /// There was no memory for the bytes that come next.
    starved: Option<Error>,
    /// No byte has come yet: the first ones tell what kind of server this is.
    fresh: bool,
}

impl FrameReader {
    pub(crate) fn new(max_frame: usize) -> Self {
        FrameReader {
            staging: Vec::new(),
            start: 0,
            end: 0,
            state: State::Prefix,
            expected: VecDeque::new(),
            max_frame,
            starved: None,
            fresh: true,
        }
    }

    /// Notes that a request was sent.
    pub(crate) fn expect(&mut self, correlation: i32, kind: Expect) {
        self.expected.push_back((correlation, kind));
    }

    /// Where the next bytes of the socket go: first into a partition's records if they are next, then into staging.
    pub(crate) fn targets(&mut self) -> (Option<&mut [u8]>, &mut [u8]) {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.start > 0 && self.end == self.staging.len() {
            self.staging.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.staging.len() {
            // Only a unit larger than the staging (a long list of aborted transactions) gets here after the first
            // time; it is at most a frame long.
            let more = self.staging.len().max(STAGING);
            self.staging.resize(self.staging.len() + more, 0);
        }
        let direct = match &mut self.state {
            _ if self.start < self.end => None,
            State::Fetch { parser, .. } => parser.records(),
            State::Whole { left, body, .. } if *left > STAGING / 2 => {
                if body.spare_mut().is_empty()
                    && let Err(error) = body.try_reserve((*left).min(body.len().max(64 * 1024)))
                {
                    self.starved = Some(error);
                }
                let spare = body.spare_mut();
                let n = spare.len().min(*left);
                Some(&mut spare[..n])
            }
            _ => None,
        };
        (direct, &mut self.staging[self.end..])
    }

    /// Takes note of `n` bytes read into the targets, filled in order, and hands out what they complete.
    pub(crate) fn advance(&mut self, mut n: usize, mut emit: impl FnMut(Arrival)) -> Result<()> {
        if let Some(error) = self.starved.take() {
            return Err(error);
        }
        if self.start == self.end && n > 0 {
            match &mut self.state {
                State::Fetch { parser, .. } => {
                    if let Some(room) = parser.records().map(|r| r.len()) {
                        let direct = n.min(room);
                        parser.records_advance(direct);
                        n -= direct;
                    }
                }
                State::Whole { left, body, .. } if *left > STAGING / 2 => {
                    let direct = n.min(*left).min(body.spare_mut().len());
                    body.advance(direct);
                    *left -= direct;
                    n -= direct;
                }
                _ => {}
            }
        }
        self.end += n;
        while self.turn(&mut emit)? {}
        Ok(())
    }

    /// True if another turn may get further.
    fn turn(&mut self, emit: &mut impl FnMut(Arrival)) -> Result<bool> {
        let staged = &self.staging[self.start..self.end];
        match &mut self.state {
            State::Prefix => {
                if self.fresh && !staged.is_empty() {
                    recognise_foreigners(staged)?;
                }
                let Some((prefix, _)) = staged.split_first_chunk::<8>() else {
                    return Ok(false);
                };
                self.fresh = false;
                let [s0, s1, s2, s3, c0, c1, c2, c3] = *prefix;
                let size = i32::from_be_bytes([s0, s1, s2, s3]);
                let correlation = i32::from_be_bytes([c0, c1, c2, c3]);
                if size < 4 || size as usize > self.max_frame {
                    // With the correlation id that is due it is an answer, and not some other server's bytes.
                    let due = self
                        .expected
                        .front()
                        .is_some_and(|(c, _)| *c == correlation);
                    return Err(refused_size(size, self.max_frame, due && size > 0));
                }
                let Some((wanted, kind)) = self.expected.pop_front() else {
                    return Err(Error::protocol(format!(
                        "a response (correlation id {correlation}) came though no request waits for one"
                    )));
                };
                if wanted != correlation {
                    return Err(Error::protocol(format!(
                        "a response with correlation id {correlation} came where {wanted} was due"
                    )));
                }
                self.start += 8;
                let left = size as usize - 4;
                self.state = match kind {
                    Expect::Whole => State::Whole {
                        correlation,
                        left,
                        body: PoolBuf::with_capacity(left.min(64 * 1024)),
                    },
                    Expect::Fetch(version) => State::Fetch {
                        correlation,
                        parser: FetchParser::new(version, left),
                    },
                };
                Ok(true)
            }
            State::Whole {
                correlation,
                left,
                body,
            } => {
                let n = staged.len().min(*left);
                body.extend_from_slice(&staged[..n]);
                self.start += n;
                *left -= n;
                if *left > 0 {
                    return Ok(false);
                }
                let correlation = *correlation;
                if let State::Whole { body, .. } = std::mem::replace(&mut self.state, State::Prefix)
                {
                    emit(Arrival::Whole(correlation, Bytes::from_owner(body)));
                }
                Ok(true)
            }
            State::Fetch {
                correlation,
                parser,
            } => {
                let id = *correlation;
                let (taken, done) = parser.parse(staged, |part| emit(Arrival::Fetch(id, part)))?;
                self.start += taken;
                if done {
                    self.state = State::Prefix;
                }
                Ok(done)
            }
        }
    }
}

fn refused_size(size: i32, limit: usize, is_answer: bool) -> Error {
    if is_answer {
        return Error::new(
            ErrorCode::CONFIG,
            format!(
                "the answer has {size} bytes, and receive.message.max.bytes={limit} accepts no more than {limit}; raise \
                 receive.message.max.bytes to at least {size}"
            ),
        );
    }
    Error::protocol(format!(
        "a response claims {size} bytes; between 4 and {limit} are possible (receive.message.max.bytes)"
    ))
}

/// A server that isn't Kafka gives itself away with its first bytes.
fn recognise_foreigners(first: &[u8]) -> Result<()> {
    if first.starts_with(b"HTTP") {
        return Err(Error::protocol(
            "the peer answered in HTTP: this port belongs to a web server, not to a Kafka broker; \
             check host and port in bootstrap.servers",
        ));
    }
    // A TLS alert or handshake record: content type 0x15 or 0x16, version 3.x.
    if matches!(first, [0x15 | 0x16, 0x03, 0..=4, ..]) {
        return Err(Error::new(
            ErrorCode::TLS,
            "the peer answered in TLS, but this client was told to speak plain text; \
             set security.protocol=SSL (or SASL_SSL), or use the broker's PLAINTEXT listener",
        ));
    }
    if first.starts_with(b"SSH-") {
        return Err(Error::protocol(
            "the peer is an SSH server, not a Kafka broker; check host and port",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::fetch::FetchHead;

    fn feed(reader: &mut FrameReader, mut bytes: &[u8], step: usize) -> Result<Vec<Arrival>> {
        let mut out = Vec::new();
        while !bytes.is_empty() {
            let mut n = 0;
            let (direct, staging) = reader.targets();
            for target in direct.into_iter().chain([staging]) {
                let k = target.len().min(bytes.len()).min(step - n);
                target[..k].copy_from_slice(&bytes[..k]);
                bytes = &bytes[k..];
                n += k;
                if k < target.len() {
                    break;
                }
            }
            reader.advance(n, |a| out.push(a))?;
        }
        Ok(out)
    }

    fn fetch_v12(records: &[&[u8]]) -> Vec<u8> {
        let mut b = vec![0]; // header tags
        b.extend(7i32.to_be_bytes());
        b.extend(0i16.to_be_bytes());
        b.extend(99i32.to_be_bytes());
        b.push(2);
        b.push(6);
        b.extend(b"topic");
        b.push(records.len() as u8 + 1);
        for (i, r) in records.iter().enumerate() {
            b.extend((i as i32).to_be_bytes());
            b.extend(0i16.to_be_bytes());
            b.extend(100i64.to_be_bytes());
            b.extend(90i64.to_be_bytes());
            b.extend(0i64.to_be_bytes());
            b.push(2);
            b.extend(5i64.to_be_bytes());
            b.extend(6i64.to_be_bytes());
            b.push(0);
            b.extend((-1i32).to_be_bytes());
            let mut n = r.len() as u32 + 1;
            while n >= 0x80 {
                b.push(n as u8 | 0x80);
                n >>= 7;
            }
            b.push(n as u8);
            b.extend(*r);
            // tags: current leader (1) = node 3, epoch 4
            b.extend([1, 1, 9, 0, 0, 0, 3, 0, 0, 0, 4, 0]);
        }
        b.push(0);
        b.push(0);
        b
    }

    fn frame(correlation: i32, body: &[u8]) -> Vec<u8> {
        let mut f = (body.len() as i32 + 4).to_be_bytes().to_vec();
        f.extend(correlation.to_be_bytes());
        f.extend(body);
        f
    }

    #[test]
    fn any_chunking_gives_the_same_parts() {
        let big: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
        let mut bytes = frame(1, b"whole");
        bytes.extend(frame(2, &fetch_v12(&[&big, b"", b"tiny", &big[..20_000]])));
        bytes.extend(frame(3, &big));
        for step in [1, 2, 3, 7, 8, 9, 61, 1000, 16 * 1024, 40_000, 1 << 20] {
            let mut reader = FrameReader::new(1 << 20);
            reader.expect(1, Expect::Whole);
            reader.expect(2, Expect::Fetch(12));
            reader.expect(3, Expect::Whole);
            let got = feed(&mut reader, &bytes, step).unwrap();
            let mut got = got.into_iter();
            assert!(matches!(got.next(), Some(Arrival::Whole(1, b)) if &b[..] == b"whole"));
            let head = FetchHead {
                throttle_ms: 7,
                error_code: 0,
                session_id: 99,
            };
            assert!(matches!(got.next(), Some(Arrival::Fetch(2, FetchPart::Head(h))) if h == head));
            for want in [&big[..], b"", b"tiny", &big[..20_000]] {
                let Some(Arrival::Fetch(2, FetchPart::Partition(p))) = got.next() else {
                    panic!("no partition")
                };
                assert_eq!(p.records.as_deref().unwrap_or(b""), want);
                assert_eq!(p.current_leader, Some((3, 4)));
                assert_eq!(p.aborted, [(5, 6)]);
            }
            assert!(matches!(
                got.next(),
                Some(Arrival::Fetch(2, FetchPart::End(_)))
            ));
            assert!(matches!(got.next(), Some(Arrival::Whole(3, b)) if b[..] == big[..]));
            assert!(got.next().is_none());
        }
    }

    #[test]
    fn truncated_and_lying_frames_are_errors() {
        let good = fetch_v12(&[b"0123456789"]);
        for cut in 0..good.len() {
            let mut reader = FrameReader::new(1 << 20);
            reader.expect(1, Expect::Fetch(12));
            let got = feed(&mut reader, &frame(1, &good[..cut]), 1 << 20);
            assert!(got.is_err(), "cut at {cut} of {}: {got:?}", good.len());
        }
        let mut reader = FrameReader::new(1000);
        reader.expect(1, Expect::Whole);
        let e = feed(&mut reader, &frame(1, &[0; 2000]), 1 << 20).unwrap_err();
        assert_eq!(e.code(), ErrorCode::CONFIG);
        for part in ["2004 bytes", "receive.message.max.bytes=1000"] {
            assert!(e.message().contains(part), "{e}");
        }
        let mut reader = FrameReader::new(1000);
        reader.expect(1, Expect::Whole);
        let e = feed(&mut reader, &frame(7, &[0; 2000]), 1 << 20).unwrap_err();
        assert_eq!(e.code(), ErrorCode::PROTOCOL, "nobody asked for that");
        let mut reader = FrameReader::new(1000);
        reader.expect(5, Expect::Whole);
        assert!(feed(&mut reader, &frame(6, b"x"), 100).is_err());
        assert!(feed(&mut FrameReader::new(1000), &frame(6, b"x"), 100).is_err());
    }

    #[test]
    fn other_servers_are_named() {
        let mut reader = FrameReader::new(1 << 30);
        let e = feed(&mut reader, b"HTTP/1.1 400 Bad Request\r\n", 100).unwrap_err();
        assert!(e.message().contains("HTTP"), "{e}");
        let mut reader = FrameReader::new(1 << 30);
        let e = feed(&mut reader, &[0x15, 3, 3, 0, 2, 2, 80], 100).unwrap_err();
        assert_eq!(e.code(), crate::ErrorCode::TLS);
        assert!(e.message().contains("security.protocol"), "{e}");
    }
}
