//! Sockets: resolves, connects, reads and writes as the state machines ask. The only place that waits.

use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::io::Interest;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;

use super::frame::{Arrival, Expect, FrameReader};
use super::write::{MAX_SLICES, WriteQueue, try_write_vectored};
use crate::config::{AddressFamily, CommonConfig, DnsLookup, HostPort};
use crate::error::{Error, ErrorCode, Result};
use crate::net::conn::Peer;
use crate::protocol::produce::OutFrame;

/// Reads of one turn before other connections get theirs.
const READS_PER_TURN: usize = 16;

/// What a socket needs to know of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct SocketOptions {
    pub(crate) family: AddressFamily,
    /// Bootstrap addresses are replaced by their canonical names.
    pub(crate) canonical: bool,
    pub(crate) max_frame: usize,
    pub(crate) send_buffer: Option<usize>,
    pub(crate) receive_buffer: Option<usize>,
}

impl SocketOptions {
    pub(crate) fn of(config: &CommonConfig) -> Self {
        SocketOptions {
            family: config.broker_address_family,
            canonical: config.client_dns_lookup == DnsLookup::ResolveCanonicalBootstrapServersOnly,
            max_frame: config.receive_message_max_bytes,
            send_buffer: config.send_buffer_bytes,
            receive_buffer: config.receive_buffer_bytes,
        }
    }
}

/// A connection: its task on the I/O thread reads and waits, whoever runs the client's engine writes.
///
/// The locks are held for one call of the kernel at most, never together, and nothing else is locked under them.
pub(crate) struct ConnIo {
    /// Once it stands.
    stream: OnceLock<TcpStream>,
    queue: Mutex<WriteQueue>,
    reader: Mutex<FrameReader>,
    changed: Notify,
    closed: AtomicBool,
    /// What a write failed with that the connection's task did not make.
    failed: Mutex<Option<Error>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ConnIo {
    pub(crate) fn new(max_frame: usize) -> Arc<Self> {
        Arc::new(ConnIo {
            stream: OnceLock::new(),
            queue: Mutex::new(WriteQueue::default()),
            reader: Mutex::new(FrameReader::new(max_frame)),
            changed: Notify::new(),
            closed: AtomicBool::new(false),
            failed: Mutex::default(),
        })
    }

    /// Queues a frame, which [`ConnIo::flush_now`] sends; `expect` tells what answer it will get.
    pub(crate) fn write(&self, frame: OutFrame, expect: Option<(i32, Expect)>) {
        if let Some((correlation, kind)) = expect {
            lock(&self.reader).expect(correlation, kind);
        }
        lock(&self.queue).push(frame);
    }

    /// Writes what the socket takes at once; the connection's task sees to what is left.
    pub(crate) fn flush_now(&self) {
        match self.flush() {
            Ok(true) => {}
            Ok(false) => self.changed.notify_one(),
            Err(error) => {
                *lock(&self.failed) = Some(error);
                self.changed.notify_one();
            }
        }
    }

    /// Writes what the socket takes; true if that was all.
    fn flush(&self) -> Result<bool> {
        let Some(stream) = self.stream.get() else {
            return Ok(false);
        };
        let mut queue = lock(&self.queue);
        while !queue.is_empty() {
            let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(MAX_SLICES);
            queue.gather(&mut slices);
            match try_write_vectored(stream, &slices) {
                Ok(n) => {
                    drop(slices);
                    queue.consume(n);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(lost(&e)),
            }
        }
        Ok(true)
    }

    /// Ends the connection; its task stops at its next turn.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// Which of a name's addresses a connection came to.
#[derive(Debug, Clone)]
pub(crate) struct Reached {
    pub(crate) address: SocketAddr,
    /// Those that were tried before it in vain.
    pub(crate) failed: Vec<SocketAddr>,
    /// All that the name has.
    pub(crate) all: Vec<SocketAddr>,
}

/// What a connection tells its client.
pub(crate) trait Listener {
    fn connected(&self, reached: Reached);
    fn arrived(&self, arrivals: &mut Vec<Arrival>);
    /// The connection could not be made, or ended.
    fn ended(&self, error: Error);
}

/// Runs one connection from look-up to its end.
pub(crate) async fn run(
    peer: Peer,
    options: SocketOptions,
    io: Arc<ConnIo>,
    listener: impl Listener,
) {
    let end = tokio::select! {
        biased;
        () = until_closed(&io) => return,
        stream = connect(&peer, &options) => match stream {
            Ok((stream, reached)) => {
                let stream = io.stream.get_or_init(|| stream);
                listener.connected(reached);
                transfer(stream, &io, &listener).await
            }
            Err(e) => Err(e),
        },
    };
    if let Err(error) = end
        && !io.is_closed()
    {
        listener.ended(error);
    }
}

/// Nothing is queued before a connection stands, so `changed` can only mean its end here.
async fn until_closed(io: &ConnIo) {
    while !io.is_closed() {
        io.changed.notified().await;
    }
}

/// The addresses of a host, of the families wanted.
async fn look_up(name: &str, port: u16, family: AddressFamily) -> Result<Vec<SocketAddr>> {
    #[cfg(test)]
    if let Some(found) = tests::names::find(name) {
        return Ok(found);
    }
    let dns = |what: String| Error::new(ErrorCode::DNS, format!("name look-up of '{name}' {what}"));
    let found = tokio::net::lookup_host((name, port)).await;
    let all: Vec<SocketAddr> = found.map_err(|e| dns(format!("failed: {e}")))?.collect();
    let wanted = |a: &SocketAddr| match family {
        AddressFamily::Any => true,
        AddressFamily::V4 => a.is_ipv4(),
        AddressFamily::V6 => a.is_ipv6(),
    };
    let some: Vec<SocketAddr> = all.iter().copied().filter(wanted).collect();
    if some.is_empty() {
        let others: Vec<String> = all.iter().map(|a| a.ip().to_string()).collect();
        return Err(dns(match others.is_empty() {
            true => "found no address".to_owned(),
            false => format!(
                "found {} alone, and broker.address.family={} leaves nothing of that",
                others.join(", "),
                family.name()
            ),
        }));
    }
    Ok(some)
}

/// The canonical names of a host, one for each of its addresses; an address that has none stands for itself.
async fn canonical(name: &str, port: u16, family: AddressFamily) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for address in look_up(name, port, family).await? {
        let ip = address.ip();
        // The system's resolver blocks.
        let asked = tokio::task::spawn_blocking(move || dns_lookup::lookup_addr(&ip)).await;
        let found = asked.ok().and_then(std::result::Result::ok);
        let own = found.unwrap_or_else(|| ip.to_string());
        if !names.contains(&own) {
            names.push(own);
        }
    }
    Ok(names)
}

/// The addresses to try, in turn.
async fn addresses(peer: &Peer, options: &SocketOptions) -> Result<Vec<SocketAddr>> {
    let HostPort { host, port } = &peer.address;
    if !(peer.bootstrap && options.canonical) {
        return look_up(host, *port, options.family).await;
    }
    let mut all = Vec::new();
    let mut failed = None;
    for name in canonical(host, *port, options.family).await? {
        match look_up(&name, *port, options.family).await {
            Ok(found) => all.extend(found),
            Err(e) => failed = Some(e.context(format_args!("the canonical name of '{host}'"))),
        }
    }
    match failed {
        Some(e) if all.is_empty() => Err(e),
        _ => Ok(all),
    }
}

async fn connect(peer: &Peer, options: &SocketOptions) -> Result<(TcpStream, Reached)> {
    let limit = peer.limit;
    let name = &peer.address.host;
    let dns = |what: String| Error::new(ErrorCode::DNS, format!("name look-up of '{name}' {what}"));
    let addresses = tokio::time::timeout(limit, addresses(peer, options))
        .await
        .map_err(|_| {
            dns(format!(
                "took longer than {limit:.1?} (socket.connection.setup.timeout.ms)"
            ))
        })??;
    let mut in_turn = addresses.clone();
    in_turn.sort_by_key(|a| {
        peer.avoid
            .iter()
            .position(|bad| bad == a)
            .map_or(0, |i| i + 1)
    });
    let mut failed = Vec::new();
    let mut last = dns("found no address".to_owned());
    for ip in in_turn {
        let attempt = async {
            let socket = if ip.is_ipv4() {
                TcpSocket::new_v4()?
            } else {
                TcpSocket::new_v6()?
            };
            if let Some(n) = options.send_buffer {
                socket.set_send_buffer_size(u32::try_from(n).unwrap_or(u32::MAX))?;
            }
            if let Some(n) = options.receive_buffer {
                socket.set_recv_buffer_size(u32::try_from(n).unwrap_or(u32::MAX))?;
            }
            socket.set_nodelay(true)?;
            socket.connect(ip).await
        };
        match tokio::time::timeout(limit, attempt).await {
            Ok(Ok(stream)) => {
                let reached = Reached {
                    address: ip,
                    failed,
                    all: addresses,
                };
                return Ok((stream, reached));
            }
            Ok(Err(e)) => {
                last = Error::new(
                    ErrorCode::CONNECT,
                    format!("TCP connect to {ip} failed: {e}"),
                )
            }
            Err(_) => {
                let text = format!(
                    "TCP connect to {ip} took longer than {limit:.1?} (socket.connection.setup.timeout.ms)"
                );
                last = Error::new(ErrorCode::CONNECT, text);
            }
        }
        failed.push(ip);
    }
    Err(last)
}

async fn transfer(stream: &TcpStream, io: &ConnIo, listener: &impl Listener) -> Result<()> {
    let mut arrivals = Vec::new();
    loop {
        if io.is_closed() {
            return Ok(());
        }
        if let Some(error) = lock(&io.failed).take() {
            return Err(error);
        }
        let written = io.flush()?;
        let more = read_some(stream, io, &mut arrivals);
        if !arrivals.is_empty() {
            listener.arrived(&mut arrivals);
            arrivals.clear();
        }
        if more? {
            tokio::task::yield_now().await;
            continue;
        }
        let interest = if written {
            Interest::READABLE
        } else {
            Interest::READABLE | Interest::WRITABLE
        };
        tokio::select! {
            biased;
            () = io.changed.notified() => {}
            ready = stream.ready(interest) => { ready.map_err(|e| lost(&e))?; }
        }
    }
}

fn lost(e: &std::io::Error) -> Error {
    Error::new(ErrorCode::CONNECT, format!("the connection was lost: {e}"))
}

/// Reads until there is no more or the turn is over (`true`).
fn read_some(stream: &TcpStream, io: &ConnIo, arrivals: &mut Vec<Arrival>) -> Result<bool> {
    for _ in 0..READS_PER_TURN {
        let mut reader = lock(&io.reader);
        let (direct, staging) = reader.targets();
        let room = direct.as_ref().map_or(0, |d| d.len()) + staging.len();
        let result = match direct {
            Some(direct) => {
                stream.try_read_vectored(&mut [IoSliceMut::new(direct), IoSliceMut::new(staging)])
            }
            None => stream.try_read(staging),
        };
        match result {
            Ok(0) => {
                return Err(Error::new(
                    ErrorCode::CONNECT,
                    "the broker closed the connection",
                ));
            }
            Ok(n) => {
                reader.advance(n, |a| arrivals.push(a))?;
                // That was all there was: with epoll (edge-triggered, as tokio has it) whatever comes now, the end of the
                // stream too, is told. Asking once more would cost as much as the read did.
                if n < room && cfg!(target_os = "linux") {
                    let _ = stream.try_io(Interest::READABLE, || -> std::io::Result<()> {
                        Err(ErrorKind::WouldBlock.into())
                    });
                    return Ok(false);
                }
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(lost(&e)),
        }
    }
    Ok(true)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Names of tests, with the addresses that they shall have.
    pub(crate) mod names {
        use std::collections::BTreeMap;
        use std::net::SocketAddr;
        use std::sync::{Mutex, PoisonError};

        static NAMES: Mutex<BTreeMap<String, Vec<SocketAddr>>> = Mutex::new(BTreeMap::new());

        pub(crate) fn set(name: &str, addresses: &[SocketAddr]) {
            let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
            names.insert(name.to_owned(), addresses.to_vec());
        }

        pub(in crate::net::socket) fn find(name: &str) -> Option<Vec<SocketAddr>> {
            let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
            names.get(name).cloned()
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn only_addresses_of_the_family_are_used() {
        let find = |host: &str, family| block_on(look_up(host, 9, family));
        for (host, own, other) in [
            ("127.0.0.1", AddressFamily::V4, AddressFamily::V6),
            ("::1", AddressFamily::V6, AddressFamily::V4),
        ] {
            for family in [AddressFamily::Any, own] {
                let found = find(host, family).unwrap();
                assert_eq!(found[0].ip().to_string(), host);
            }
            let e = find(host, other).unwrap_err();
            assert_eq!(e.code(), ErrorCode::DNS);
            let told = format!(
                "found {host} alone, and broker.address.family={}",
                other.name()
            );
            assert!(e.message().contains(&told), "{e}");
        }
    }

    #[test]
    fn bootstrap_addresses_give_way_to_canonical_names() {
        let names = block_on(canonical("127.0.0.1", 9, AddressFamily::Any)).unwrap();
        assert_eq!(names.len(), 1);
        // Whatever the system calls it, it leads back there.
        let config = [
            ("bootstrap.servers", "127.0.0.1:9"),
            (
                "client.dns.lookup",
                "resolve_canonical_bootstrap_servers_only",
            ),
            ("broker.address.family", "v4"),
        ];
        let config = crate::config::ProducerConfig::from_pairs(config).unwrap();
        let options = SocketOptions::of(&config.common);
        assert!(options.canonical);
        for bootstrap in [true, false] {
            let peer = Peer {
                address: config.common.bootstrap_servers[0].clone(),
                bootstrap,
                limit: std::time::Duration::from_secs(10),
                avoid: Vec::new(),
            };
            let found = block_on(addresses(&peer, &options)).unwrap();
            assert!(
                found.iter().all(|a| a.ip().is_loopback() && a.port() == 9),
                "{found:?}"
            );
            assert!(!found.is_empty());
        }
    }
}
