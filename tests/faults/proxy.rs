//! A fault proxy: stands before one broker and does to its connections what networks do.
//!
//! Plain threads and sockets, two of each a direction. What is to happen is set at run time and read by every connection
//! for each piece of data; what did happen is counted, so that a test can show that its fault struck.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::random::Random;

/// How often blocked threads look whether their connection is to end.
const TICK: Duration = Duration::from_millis(20);

/// What happens to the bytes of one direction.
#[derive(Clone, Default)]
pub(crate) struct Way {
    /// Each piece arrives this much later.
    pub(crate) delay: Duration,
    /// Bytes a second and connection.
    pub(crate) rate: Option<u64>,
    /// Bytes vanish, and so does everything after them on that connection, its end too: half-open.
    pub(crate) swallow: bool,
    /// One byte at a time.
    pub(crate) dribble: bool,
    /// So many times a piece is cut at a random place, never between two frames, and the connection reset.
    pub(crate) cuts: u32,
}

/// What happens on a proxy's connections.
#[derive(Clone, Default)]
pub(crate) struct Network {
    pub(crate) to_broker: Way,
    pub(crate) to_client: Way,
    /// Only connections on which a request of this kind was sent.
    pub(crate) api: Option<i16>,
}

/// What did happen.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) accepted: AtomicU64,
    pub(crate) swallowed: AtomicU64,
    pub(crate) dribbled: AtomicU64,
    pub(crate) delayed: AtomicU64,
    pub(crate) throttled: AtomicU64,
    pub(crate) cuts: AtomicU64,
    pub(crate) resets: AtomicU64,
    /// The most requests of one connection without an answer at once.
    pub(crate) outstanding: AtomicU64,
}

impl Counts {
    pub(crate) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// One client's connection through the proxy.
struct Link {
    client: TcpStream,
    broker: TcpStream,
    ended: AtomicBool,
    /// Bytes have vanished: the rest of them vanishes too.
    is_black_hole: AtomicBool,
    /// The kinds of requests seen, a bit each.
    apis: AtomicU64,
    unanswered: AtomicI64,
}

impl Link {
    /// Ends the connection; `reset` has the client see ECONNRESET instead of an orderly end.
    fn end(&self, reset: bool) {
        if reset {
            reset_on_close(&self.client);
        } else if !self.is_black_hole.load(Ordering::Acquire) {
            let _ = self.client.shutdown(Shutdown::Both);
        }
        let _ = self.broker.shutdown(Shutdown::Both);
        self.ended.store(true, Ordering::Release);
    }

    fn has_sent(&self, api: i16) -> bool {
        self.apis.load(Ordering::Acquire) & (1 << (api & 63)) != 0
    }
}

/// With a linger time of zero, closing a socket sends RST. The standard library has no stable call for it.
fn reset_on_close(stream: &TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the descriptor is open as long as `stream` is borrowed, and the option's value is a `linger` of its size.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        );
    }
}

struct Inner {
    target: Mutex<SocketAddr>,
    network: Mutex<Network>,
    links: Mutex<Vec<Arc<Link>>>,
    random: Mutex<Random>,
    counts: Counts,
    refuse: AtomicBool,
    stop: AtomicBool,
}

impl Inner {
    fn forget_ended(&self) {
        lock(&self.links).retain(|l| !l.ended.load(Ordering::Acquire));
    }
}

/// A proxy before one broker. Ends its connections when dropped.
pub(crate) struct Proxy {
    inner: Arc<Inner>,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A free port below the ephemeral range: no outgoing connection takes it while the proxy refuses.
fn listen(random: &mut Random) -> TcpListener {
    (0..1000)
        .find_map(|_| TcpListener::bind(("127.0.0.1", 15_000 + random.below(17_000) as u16)).ok())
        .expect("a free port between 15000 and 32000")
}

impl Proxy {
    /// Listens on a free port; where it leads to is told later, by [`Proxy::lead_to`].
    pub(crate) fn start(seed: u64) -> Proxy {
        // Ports must differ between runs side by side, whatever the seed.
        let listener = listen(&mut Random::from_os());
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Inner {
            target: Mutex::new(([127, 0, 0, 1], 1).into()),
            network: Mutex::default(),
            links: Mutex::default(),
            random: Mutex::new(Random::new(seed)),
            counts: Counts::default(),
            refuse: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let shared = inner.clone();
        let thread = std::thread::spawn(move || accept(&shared, listener, port));
        Proxy {
            inner,
            port,
            thread: Some(thread),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where new connections go.
    pub(crate) fn lead_to(&self, port: u16) {
        *lock(&self.inner.target) = ([127, 0, 0, 1], port).into();
    }

    /// Sets what happens from now on.
    pub(crate) fn set(&self, network: Network) {
        *lock(&self.inner.network) = network;
    }

    /// All is well again; connections whose bytes vanished stay dead.
    pub(crate) fn heal(&self) {
        self.set(Network::default());
    }

    /// Cuts that have not happened yet, both ways.
    pub(crate) fn cuts_left(&self) -> u32 {
        let network = lock(&self.inner.network);
        network.to_broker.cuts + network.to_client.cuts
    }

    /// Resets every connection.
    pub(crate) fn reset(&self) {
        for link in lock(&self.inner.links).drain(..) {
            link.end(true);
            self.inner.counts.resets.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Refuses new connections and resets the present ones, or takes them again.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.inner.refuse.store(refuse, Ordering::Release);
        if refuse {
            // The listener is gone within a tick; what it took until then is reset with the others.
            std::thread::sleep(2 * TICK);
            self.reset();
        }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.inner.counts
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.inner.stop.store(true, Ordering::Release);
        self.reset();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(inner: &Arc<Inner>, listener: TcpListener, port: u16) {
    let mut listener = Some(listener);
    while !inner.stop.load(Ordering::Acquire) {
        if inner.refuse.load(Ordering::Acquire) {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(("127.0.0.1", port)).ok();
        }
        let Some(open) = &listener else {
            std::thread::sleep(TICK);
            continue;
        };
        open.set_nonblocking(true).unwrap();
        match open.accept() {
            Ok((client, _)) => connect(inner, client),
            Err(_) => std::thread::sleep(TICK / 4),
        }
    }
}

/// Connects a client to the broker; where that refuses, the client is reset.
fn connect(inner: &Arc<Inner>, client: TcpStream) {
    inner.counts.accepted.fetch_add(1, Ordering::Relaxed);
    let target = *lock(&inner.target);
    let Ok(broker) = TcpStream::connect_timeout(&target, Duration::from_secs(1)) else {
        return reset_on_close(&client);
    };
    for stream in [&client, &broker] {
        stream.set_nonblocking(false).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(TICK)).unwrap();
        stream.set_write_timeout(Some(TICK)).unwrap();
    }
    let link = Arc::new(Link {
        client,
        broker,
        ended: AtomicBool::new(false),
        is_black_hole: AtomicBool::new(false),
        apis: AtomicU64::new(0),
        unanswered: AtomicI64::new(0),
    });
    inner.forget_ended();
    lock(&inner.links).push(link.clone());
    for to_broker in [true, false] {
        let (give, take) = sync_channel(64);
        let (a, b, shared) = (link.clone(), link.clone(), inner.clone());
        std::thread::spawn(move || read(&a, to_broker, &give));
        std::thread::spawn(move || write(&shared, &b, to_broker, &take));
    }
}

/// A piece of data, and when it came.
type Piece = (Instant, Vec<u8>);

fn read(link: &Link, to_broker: bool, give: &SyncSender<Piece>) {
    let mut from = if to_broker {
        &link.client
    } else {
        &link.broker
    };
    let mut bytes = vec![0; 64 << 10];
    while !link.ended.load(Ordering::Acquire) {
        match from.read(&mut bytes) {
            Ok(0) => return,
            Ok(n) => {
                if give.send((Instant::now(), bytes[..n].to_vec())).is_err() {
                    return;
                }
            }
            Err(e) if is_tick(e.kind()) => {}
            Err(_) => return,
        }
    }
}

fn is_tick(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Follows the frames of one direction.
#[derive(Default)]
struct Frames {
    /// Bytes of the frame that are still to come, and its first ones.
    left: usize,
    head: Vec<u8>,
}

impl Frames {
    /// Takes bytes; `whole` is called with the first bytes of each frame (length, then at least the kind of a request) at
    /// its end.
    fn take(&mut self, mut bytes: &[u8], mut whole: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            if self.head.len() < 6 {
                let n = bytes.len().min(6 - self.head.len());
                self.head.extend_from_slice(&bytes[..n]);
                bytes = &bytes[n..];
                if let [a, b, c, d, _, _] = self.head[..] {
                    // No frame of Kafka's is shorter than its correlation id or its kind and version.
                    self.left = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(2);
                }
                continue;
            }
            let n = bytes.len().min(self.left);
            self.left -= n;
            bytes = &bytes[n..];
            if self.left == 0 {
                whole(&self.head);
                self.head.clear();
            }
        }
    }

    fn is_between(&self) -> bool {
        self.head.is_empty()
    }
}

fn write(inner: &Inner, link: &Link, to_broker: bool, take: &Receiver<Piece>) {
    let mut frames = Frames::default();
    let ended = || link.ended.load(Ordering::Acquire);
    while !ended() {
        let (came, bytes) = match take.recv_timeout(TICK) {
            Ok(piece) => piece,
            Err(RecvTimeoutError::Timeout) => continue,
            // Who sent has ended; a connection whose bytes vanish doesn't tell.
            Err(RecvTimeoutError::Disconnected) => {
                if !link.is_black_hole.load(Ordering::Acquire) {
                    link.end(false);
                }
                return;
            }
        };
        if to_broker {
            // Known before it is forwarded, so that the answer meets what is meant for its kind.
            let mut ahead = Frames {
                left: frames.left,
                head: frames.head.clone(),
            };
            ahead.take(&bytes, |head| note_api(link, head));
            if ahead.head.len() == 6 {
                note_api(link, &ahead.head);
            }
        }
        let Some(way) = way_of(inner, link, to_broker) else {
            if !forward(link, to_broker, &bytes, None) {
                return;
            }
            count_frames(inner, link, to_broker, &mut frames, &bytes);
            continue;
        };
        if !way.delay.is_zero() {
            inner.counts.delayed.fetch_add(1, Ordering::Relaxed);
            while !ended() && Instant::now() < came + way.delay {
                std::thread::sleep((came + way.delay - Instant::now()).min(TICK));
            }
        }
        if way.swallow || link.is_black_hole.load(Ordering::Acquire) {
            link.is_black_hole.store(true, Ordering::Release);
            inner
                .counts
                .swallowed
                .fetch_add(bytes.len() as u64, Ordering::Relaxed);
            continue;
        }
        if way.cuts > 0
            && let Some(at) = cut_place(inner, &frames, &bytes)
            && take_cut(inner, to_broker)
        {
            forward(link, to_broker, &bytes[..at], None);
            inner.counts.cuts.fetch_add(1, Ordering::Relaxed);
            link.end(true);
            // The socket closes, and RST goes out, with the last who holds it.
            return inner.forget_ended();
        }
        let sent = if way.dribble {
            inner
                .counts
                .dribbled
                .fetch_add(bytes.len() as u64, Ordering::Relaxed);
            bytes
                .chunks(1)
                .all(|byte| forward(link, to_broker, byte, None))
        } else {
            if way.rate.is_some() {
                inner.counts.throttled.fetch_add(1, Ordering::Relaxed);
            }
            forward(link, to_broker, &bytes, way.rate)
        };
        if !sent {
            return;
        }
        count_frames(inner, link, to_broker, &mut frames, &bytes);
    }
}

fn note_api(link: &Link, head: &[u8]) {
    let api = i16::from_be_bytes([head[4], head[5]]);
    link.apis.fetch_or(1 << (api & 63), Ordering::Release);
}

fn count_frames(inner: &Inner, link: &Link, to_broker: bool, frames: &mut Frames, bytes: &[u8]) {
    frames.take(bytes, |_| {
        if to_broker {
            let now = link.unanswered.fetch_add(1, Ordering::Relaxed) + 1;
            inner
                .counts
                .outstanding
                .fetch_max(now.max(0) as u64, Ordering::Relaxed);
        } else {
            link.unanswered.fetch_sub(1, Ordering::Relaxed);
        }
    });
}

/// What happens to this connection, if anything.
fn way_of(inner: &Inner, link: &Link, to_broker: bool) -> Option<Way> {
    let network = lock(&inner.network);
    let concerned = network.api.is_none_or(|api| link.has_sent(api));
    if !concerned && !link.is_black_hole.load(Ordering::Acquire) {
        return None;
    }
    Some(if to_broker {
        network.to_broker.clone()
    } else {
        network.to_client.clone()
    })
}

/// A place within a frame to cut these bytes at.
fn cut_place(inner: &Inner, frames: &Frames, bytes: &[u8]) -> Option<usize> {
    let at = lock(&inner.random).below(bytes.len());
    let mut before = Frames {
        left: frames.left,
        head: frames.head.clone(),
    };
    before.take(&bytes[..at], |_| {});
    (!before.is_between()).then_some(at)
}

fn take_cut(inner: &Inner, to_broker: bool) -> bool {
    let mut network = lock(&inner.network);
    let way = if to_broker {
        &mut network.to_broker
    } else {
        &mut network.to_client
    };
    let left = way.cuts > 0;
    way.cuts = way.cuts.saturating_sub(1);
    left
}

/// Writes bytes on, at most `rate` a second. False if the connection has ended.
fn forward(link: &Link, to_broker: bool, bytes: &[u8], rate: Option<u64>) -> bool {
    let mut to = if to_broker {
        &link.broker
    } else {
        &link.client
    };
    let step = rate.map_or(bytes.len(), |rate| (rate / 50).max(1) as usize);
    for mut piece in bytes.chunks(step.max(1)) {
        if rate.is_some() {
            std::thread::sleep(TICK);
        }
        while !piece.is_empty() {
            if link.ended.load(Ordering::Acquire) {
                return false;
            }
            match to.write(piece) {
                Ok(n) => piece = &piece[n..],
                Err(e) if is_tick(e.kind()) => {}
                Err(_) => {
                    link.end(false);
                    return false;
                }
            }
        }
    }
    true
}
