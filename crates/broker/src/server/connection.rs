//! One connection: frames in, replies out, both without copying records.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};
use ottla_base::write::write_vectored;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::Server;

/// Kafka's `socket.request.max.bytes`.
const MAX_FRAME: usize = 100 * 1024 * 1024;
/// What is read at once when no frame is under way.
const READ_AHEAD: usize = 64 * 1024;
/// Requests that may wait behind an unanswered one before reading stops.
const MAX_BACKLOG: usize = 64;
/// Slices in one write; the system takes no more than 1024.
const MAX_SLICES: usize = 256;

/// What is to be sent on a connection.
#[derive(Default)]
pub(super) struct Outbox {
    parts: RefCell<VecDeque<Bytes>>,
    closing: Cell<bool>,
    changed: Notify,
}

impl Outbox {
    pub(super) fn send(&self, parts: Vec<Bytes>) {
        self.parts
            .borrow_mut()
            .extend(parts.into_iter().filter(|p| !p.is_empty()));
        self.changed.notify_one();
    }

    /// Has the connection closed once everything is sent.
    pub(super) fn close(&self) {
        self.closing.set(true);
        self.changed.notify_one();
    }

    fn is_empty(&self) -> bool {
        self.parts.borrow().is_empty()
    }

    /// Writes as much as the socket takes.
    fn write(&self, stream: &TcpStream) -> io::Result<()> {
        let mut parts = self.parts.borrow_mut();
        while !parts.is_empty() {
            let slices: Vec<IoSlice<'_>> = parts
                .iter()
                .take(MAX_SLICES)
                .map(|p| IoSlice::new(p))
                .collect();
            let mut written =
                match stream.try_io(Interest::WRITABLE, || write_vectored(stream, &slices)) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => written,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(error),
                };
            while let Some(first) = parts.front_mut().filter(|_| written > 0) {
                let step = first.len().min(written);
                first.advance(step);
                written -= step;
                if first.is_empty() {
                    parts.pop_front();
                }
            }
        }
        Ok(())
    }
}

/// Bytes received, cut into frames. A large frame gets a buffer of its own size, read into directly.
#[derive(Default)]
struct Inbox {
    bytes: BytesMut,
}

impl Inbox {
    /// The next whole frame, without its length.
    ///
    /// # Errors
    /// `InvalidData` for a length that no client of Kafka sends.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let Some(&length) = self.bytes.first_chunk() else {
            return Ok(None);
        };
        let length =
            usize::try_from(i32::from_be_bytes(length)).map_err(|_| io::ErrorKind::InvalidData)?;
        if length > MAX_FRAME {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.bytes.len() < 4 + length {
            // Exactly this frame, so that a batch kept from it keeps no more than it.
            let missing = 4 + length - self.bytes.len();
            if self.bytes.capacity() - self.bytes.len() < missing {
                let mut whole = BytesMut::with_capacity(4 + length);
                whole.extend_from_slice(&self.bytes);
                self.bytes = whole;
            }
            return Ok(None);
        }
        self.bytes.advance(4);
        Ok(Some(self.bytes.split_to(length).freeze()))
    }

    /// Reads what there is; false at the end.
    fn read(&mut self, stream: &TcpStream) -> io::Result<bool> {
        if self.bytes.capacity() == self.bytes.len() {
            self.bytes.reserve(READ_AHEAD);
        }
        match stream.try_read_buf(&mut self.bytes) {
            Ok(read) => Ok(read > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// Serves a client until it leaves or is sent away.
pub(super) async fn serve(server: Server, node: i32, stream: TcpStream) {
    // Without it small replies wait for the client's acknowledgements; where it can't be set they do.
    let _ = stream.set_nodelay(true);
    let outbox = Rc::new(Outbox::default());
    // As Kafka writes an address in descriptions of groups.
    let host = stream.peer_addr().map(|a| format!("/{}", a.ip()));
    let conn = server.core().connected_from(node, host.unwrap_or_default());
    server
        .0
        .connections
        .borrow_mut()
        .insert(conn, Rc::clone(&outbox));
    // An error means the client is gone; there is nobody to tell.
    let _ = exchange(&server, conn, &stream, &outbox).await;
    server.0.connections.borrow_mut().remove(&conn);
    server.core().disconnected(conn);
}

async fn exchange(
    server: &Server,
    conn: u64,
    stream: &TcpStream,
    outbox: &Outbox,
) -> io::Result<()> {
    let mut inbox = Inbox::default();
    loop {
        outbox.write(stream)?;
        if outbox.is_empty() && outbox.closing.get() {
            return Ok(());
        }
        // What is not sent, or waits to be handled, holds back what is read.
        let reading =
            outbox.is_empty() && !outbox.closing.get() && server.core().backlog(conn) < MAX_BACKLOG;
        if reading && let Some(frame) = inbox.next()? {
            server.act(|core, now, out| core.frame(now, conn, frame, out));
            continue;
        }
        tokio::select! {
            ready = stream.readable(), if reading => {
                ready?;
                if !inbox.read(stream)? {
                    return Ok(());
                }
            }
            ready = stream.writable(), if !outbox.is_empty() => ready?,
            () = outbox.changed.notified() => {}
        }
    }
}
