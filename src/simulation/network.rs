//! The network in memory: each connection is two streams of bytes that arrive in order, late, and in pieces of any size.
//! Connections don't wait for each other, so what was sent later on one may arrive sooner than on another.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::chance::Chance;
use crate::broker::core::ConnId as ServerConn;
use crate::config::HostPort;
use crate::error::{Error, ErrorCode, Result};
use crate::net::conn::ConnId;
use crate::net::frame::{Arrival, Expect, FrameReader};
use crate::net::write::WriteQueue;
use crate::protocol::produce::OutFrame;
use crate::rng::Rng;

/// Names a connection of the whole simulation; never used twice.
pub(super) type LinkId = usize;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From a client to a broker.
    Up,
    /// From a broker to a client.
    Down,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// When the last byte sent so far arrives; what follows is never earlier.
    last: Duration,
    /// Packets vanish without a word.
    pub(super) vanishes: bool,
    /// The connection is reset after so many more bytes.
    pub(super) cut_after: Option<usize>,
    /// Added to the time of the next bytes: they come late, and with them all that follow.
    pub(super) stall: Duration,
}

/// One connection.
pub(super) struct Link {
    pub(super) client: usize,
    pub(super) conn: ConnId,
    pub(super) node: i32,
    /// The broker's name for it, once it stands and until the broker has closed it.
    pub(super) server: Option<ServerConn>,
    /// The client has not closed it, nor seen its end.
    pub(super) client_open: bool,
    /// Whoever connects gets no answer.
    pub(super) hangs: bool,
    /// It has stood.
    pub(super) established: bool,
    pub(super) up: Stream,
    pub(super) down: Stream,
    queue: WriteQueue,
    reader: FrameReader,
    inbox: BytesMut,
}

impl Link {
    pub(super) fn new(client: usize, conn: ConnId, node: i32, max_frame: usize) -> Self {
        Link {
            client,
            conn,
            node,
            server: None,
            client_open: true,
            hangs: false,
            established: false,
            up: Stream::default(),
            down: Stream::default(),
            queue: WriteQueue::default(),
            reader: FrameReader::new(max_frame),
            inbox: BytesMut::new(),
        }
    }

    pub(super) fn stream(&mut self, way: Way) -> &mut Stream {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    /// Something is wrong with it that its ends can't know.
    pub(super) fn is_sick(&self, now: Duration) -> bool {
        let soon = now + Duration::from_millis(50);
        let sick =
            |s: &Stream| s.vanishes || s.cut_after.is_some() || !s.stall.is_zero() || s.last > soon;
        self.hangs && !self.established || sick(&self.up) || sick(&self.down)
    }

    /// The client's side: queues a frame.
    pub(super) fn write(&mut self, frame: OutFrame, expect: Option<(i32, Expect)>) {
        if let Some((correlation, kind)) = expect {
            self.reader.expect(correlation, kind);
        }
        self.queue.push(frame);
    }

    /// Takes what the socket takes now of what is queued: all of it, or a part and `true`.
    pub(super) fn take_written(&mut self, rng: &mut Rng) -> (Bytes, bool) {
        let mut out = Vec::new();
        loop {
            let mut slices: Vec<IoSlice<'_>> = Vec::new();
            self.queue.gather(&mut slices);
            if slices.is_empty() {
                return (out.into(), false);
            }
            let there: usize = slices.iter().map(|s| s.len()).sum();
            let partly = rng.chance(1, 8);
            let n = if partly {
                rng.range(1, there as u64) as usize
            } else {
                there
            };
            let mut left = n;
            for slice in &slices {
                let k = slice.len().min(left);
                out.extend_from_slice(&slice[..k]);
                left -= k;
            }
            drop(slices);
            self.queue.consume(n);
            if partly && !self.queue.is_empty() {
                return (out.into(), true);
            }
        }
    }

    /// The client's side: bytes came. They are read in pieces, as reads of a socket would.
    ///
    /// # Errors
    /// Those of the protocol.
    pub(super) fn read(
        &mut self,
        mut bytes: &[u8],
        rng: &mut Rng,
        arrivals: &mut Vec<Arrival>,
    ) -> Result<()> {
        while !bytes.is_empty() {
            let most = rng.range(1, bytes.len() as u64) as usize;
            let mut n = 0;
            let (direct, staging) = self.reader.targets();
            for target in direct.into_iter().chain([staging]) {
                let k = target.len().min(bytes.len()).min(most - n);
                target[..k].copy_from_slice(&bytes[..k]);
                bytes.advance(k);
                n += k;
                if k < target.len() {
                    break;
                }
            }
            self.reader.advance(n, |a| arrivals.push(a))?;
        }
        Ok(())
    }

    /// The broker's side: bytes came; the next whole frame, without its length.
    pub(super) fn next_frame(&mut self, bytes: Option<&[u8]>) -> Option<Bytes> {
        self.inbox.extend_from_slice(bytes.unwrap_or_default());
        let length = i32::from_be_bytes(*self.inbox.first_chunk()?).max(0) as usize;
        if self.inbox.len() < 4 + length {
            return None;
        }
        self.inbox.advance(4);
        Some(self.inbox.split_to(length).freeze())
    }
}

/// What reaches the other side, and when.
pub(super) struct Parcel {
    pub(super) at: Duration,
    pub(super) bytes: Bytes,
}

/// How a node's connections behave for a while.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    /// Added to each way.
    pub(super) slow: Duration,
    /// Bytes come one at a time.
    pub(super) drip: bool,
    /// Nobody answers who connects.
    pub(super) hangs: bool,
    /// Whoever connects is refused.
    pub(super) refuses: bool,
}

/// What all connections share.
pub(super) struct Network {
    pub(super) rng: Rng,
    pub(super) links: Vec<Link>,
    pub(super) weather: BTreeMap<i32, Weather>,
    /// Which node answers at an address.
    pub(super) addresses: BTreeMap<(String, u16), i32>,
    /// One way takes at least this long, and at most `jitter` more.
    latency: Duration,
    jitter: Duration,
    /// The most bytes of a piece, where connections are in the mood.
    piece: usize,
}

/// Bytes that come one at a time before the rest comes at once: enough to cut every field of a header.
const DRIPS: usize = 160;

impl Network {
    pub(super) fn new(mut rng: Rng) -> Self {
        let latency = Duration::from_micros(rng.range(30, 2000));
        let jitter = Duration::from_micros(rng.range(10, 3000));
        let piece = if rng.chance(1, 2) {
            usize::MAX
        } else {
            rng.range(7, 2000) as usize
        };
        Network {
            rng,
            links: Vec::new(),
            weather: BTreeMap::new(),
            addresses: BTreeMap::new(),
            latency,
            jitter,
            piece,
        }
    }

    pub(super) fn resolve(&self, address: &HostPort) -> Option<i32> {
        self.addresses
            .get(&(address.host.clone(), address.port))
            .copied()
    }

    pub(super) fn weather(&self, node: i32) -> Weather {
        self.weather.get(&node).copied().unwrap_or_default()
    }

    /// The nodes to and from which everything is slow now.
    pub(super) fn slow_nodes(&self) -> impl Iterator<Item = i32> {
        let slow = self.weather.iter().filter(|(_, w)| !w.slow.is_zero());
        slow.map(|(node, _)| *node)
    }

    /// How long one way to or from a node takes now.
    pub(super) fn delay(&mut self, node: i32) -> Duration {
        let jitter = self.rng.range(0, self.jitter.as_nanos() as u64);
        self.latency + Duration::from_nanos(jitter) + self.weather(node).slow
    }

    /// Sends bytes one way: the pieces in which they arrive, and when the connection is reset behind them.
    pub(super) fn send(
        &mut self,
        now: Duration,
        id: LinkId,
        way: Way,
        mut bytes: Bytes,
    ) -> (Vec<Parcel>, Option<Duration>) {
        let node = self.links[id].node;
        let drip = self.weather(node).drip;
        let mut pieces = Vec::new();
        let stream = self.links[id].stream(way);
        if stream.vanishes {
            return (Vec::new(), None);
        }
        let cut = match &mut stream.cut_after {
            Some(left) if *left <= bytes.len() => {
                bytes.truncate(*left);
                stream.vanishes = true;
                true
            }
            Some(left) => {
                *left -= bytes.len();
                false
            }
            None => false,
        };
        let mut at = (now + std::mem::take(&mut stream.stall)).max(stream.last);
        let mut dripped = 0;
        while !bytes.is_empty() {
            let n = if drip && dripped < DRIPS {
                1
            } else if self.piece < bytes.len() && dripped < 40 {
                self.rng.range(1, self.piece as u64) as usize
            } else {
                bytes.len()
            };
            dripped += 1;
            at = at.max(now + self.delay(node));
            pieces.push(Parcel {
                at,
                bytes: bytes.split_to(n.min(bytes.len())),
            });
        }
        self.links[id].stream(way).last = at;
        (pieces, cut.then_some(at))
    }

    /// When the end of a stream reaches the other side.
    pub(super) fn end(&mut self, now: Duration, id: LinkId, way: Way) -> Option<Duration> {
        let node = self.links[id].node;
        let at = now + self.delay(node);
        let stream = self.links[id].stream(way);
        (!stream.vanishes).then(|| at.max(stream.last))
    }
}

/// What a client is told of a connection that ended.
pub(super) fn lost(what: &str) -> Error {
    Error::new(ErrorCode::CONNECT, what.to_owned())
}
