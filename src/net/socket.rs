//! Sockets: resolves, connects, reads and writes as the state machines ask. The only place that waits.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;

use super::frame::{Arrival, Expect, FrameReader};
use super::write::{MAX_SLICES, WriteQueue};
use crate::config::{CommonConfig, HostPort};
use crate::error::{Error, ErrorCode, Result};
use crate::protocol::produce::OutFrame;

/// Reads of one turn before other connections get theirs.
const READS_PER_TURN: usize = 16;

/// What a socket needs to know of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct SocketOptions {
    pub(crate) connect_timeout: Duration,
    pub(crate) max_frame: usize,
    pub(crate) send_buffer: Option<usize>,
    pub(crate) receive_buffer: Option<usize>,
}

impl SocketOptions {
    pub(crate) fn of(config: &CommonConfig) -> Self {
        SocketOptions {
            connect_timeout: config.connection_setup_timeout,
            max_frame: config.receive_message_max_bytes,
            send_buffer: config.send_buffer_bytes,
            receive_buffer: config.receive_buffer_bytes,
        }
    }
}

/// A connection as the I/O thread sees it; the client's side holds it to write and to close.
pub(crate) struct ConnIo {
    queue: RefCell<WriteQueue>,
    reader: RefCell<FrameReader>,
    changed: Notify,
    closed: Cell<bool>,
}

impl ConnIo {
    pub(crate) fn new(max_frame: usize) -> Rc<Self> {
        Rc::new(ConnIo {
            queue: RefCell::new(WriteQueue::default()),
            reader: RefCell::new(FrameReader::new(max_frame)),
            changed: Notify::new(),
            closed: Cell::new(false),
        })
    }

    /// Queues a frame; `expect` tells what answer it will get.
    pub(crate) fn write(&self, frame: OutFrame, expect: Option<(i32, Expect)>) {
        if let Some((correlation, kind)) = expect {
            self.reader.borrow_mut().expect(correlation, kind);
        }
        self.queue.borrow_mut().push(frame);
        self.changed.notify_one();
    }

    /// Ends the connection; its task stops at its next turn.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.changed.notify_one();
    }
}

/// What a connection tells its client.
pub(crate) trait Listener {
    fn connected(&self);
    fn arrived(&self, arrivals: &mut Vec<Arrival>);
    /// The connection could not be made, or ended.
    fn ended(&self, error: Error);
}

/// Runs one connection from look-up to its end.
pub(crate) async fn run(
    address: HostPort,
    options: SocketOptions,
    io: Rc<ConnIo>,
    listener: impl Listener,
) {
    let end = tokio::select! {
        biased;
        () = until_closed(&io) => return,
        stream = connect(&address, &options) => match stream {
            Ok(stream) => {
                listener.connected();
                transfer(&stream, &io, &listener).await
            }
            Err(e) => Err(e),
        },
    };
    if let Err(error) = end
        && !io.closed.get()
    {
        listener.ended(error);
    }
}

/// Nothing is queued before a connection stands, so `changed` can only mean its end here.
async fn until_closed(io: &ConnIo) {
    while !io.closed.get() {
        io.changed.notified().await;
    }
}

async fn connect(address: &HostPort, options: &SocketOptions) -> Result<TcpStream> {
    let limit = options.connect_timeout;
    let name = &address.host;
    let dns = |what: String| Error::new(ErrorCode::DNS, format!("name look-up of '{name}' {what}"));
    let resolved = tokio::time::timeout(
        limit,
        tokio::net::lookup_host((name.as_str(), address.port)),
    )
    .await
    .map_err(|_| {
        dns(format!(
            "took longer than {limit:?} (socket.connection.setup.timeout.ms)"
        ))
    })?;
    let addresses: Vec<_> = resolved.map_err(|e| dns(format!("failed: {e}")))?.collect();
    let mut last = dns("found no address".to_owned());
    for ip in addresses {
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
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(e)) => {
                last = Error::new(
                    ErrorCode::CONNECT,
                    format!("TCP connect to {ip} failed: {e}"),
                )
            }
            Err(_) => {
                let text = format!(
                    "TCP connect to {ip} took longer than {limit:?} (socket.connection.setup.timeout.ms)"
                );
                last = Error::new(ErrorCode::CONNECT, text);
            }
        }
    }
    Err(last)
}

async fn transfer(stream: &TcpStream, io: &ConnIo, listener: &impl Listener) -> Result<()> {
    let mut arrivals = Vec::new();
    loop {
        if io.closed.get() {
            return Ok(());
        }
        flush(stream, io)?;
        let more = read_some(stream, io, &mut arrivals);
        if !arrivals.is_empty() {
            listener.arrived(&mut arrivals);
            arrivals.clear();
        }
        if more? {
            tokio::task::yield_now().await;
            continue;
        }
        let interest = if io.queue.borrow().is_empty() {
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

fn flush(stream: &TcpStream, io: &ConnIo) -> Result<()> {
    loop {
        let mut queue = io.queue.borrow_mut();
        if queue.is_empty() {
            return Ok(());
        }
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(MAX_SLICES);
        queue.gather(&mut slices);
        match stream.try_write_vectored(&slices) {
            Ok(n) => {
                drop(slices);
                queue.consume(n);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(lost(&e)),
        }
    }
}

/// Reads until there is no more or the turn is over (`true`).
fn read_some(stream: &TcpStream, io: &ConnIo, arrivals: &mut Vec<Arrival>) -> Result<bool> {
    for _ in 0..READS_PER_TURN {
        let mut reader = io.reader.borrow_mut();
        let (direct, staging) = reader.targets();
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
            Ok(n) => reader.advance(n, |a| arrivals.push(a))?,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(lost(&e)),
        }
    }
    Ok(true)
}
