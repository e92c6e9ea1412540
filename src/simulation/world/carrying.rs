//! Bytes and connections between the clients and the broker.

use std::time::Duration;

use bytes::Bytes;

use super::super::chance::Chance;
use super::super::faults::FaultKind;
use super::super::network::{Link, LinkId, Way, lost};
use super::{Client, Event, World};
use crate::cluster::core::Action;
use crate::protocol::record::crc::crc32c;

impl World {
    pub(super) fn obey(&mut self, id: usize, action: Action) {
        let now = self.now();
        match action {
            Action::Connect { conn, peer } => {
                let address = peer.address;
                let node = self.net.resolve(&address);
                let link = self.net.links.len();
                let max_frame = self.clients[id].max_frame;
                self.net
                    .links
                    .push(Link::new(id, conn, node.unwrap_or(-1), max_frame));
                self.clients[id].conns.insert(conn, link);
                self.trace.note(
                    now,
                    "connect",
                    [link as u64, conn, u64::from(address.port)],
                    format_args!(
                        "client {id}: link {link} to {}:{}",
                        address.host, address.port
                    ),
                );
                let there_and_back = self.net.delay(node.unwrap_or(-1)) * 2;
                let weather = self.net.weather(node.unwrap_or(-1));
                let refused = (
                    now + there_and_back,
                    Event::ConnectFailed(link, "TCP connect failed: refused"),
                );
                let (at, event) = match node {
                    Some(_) if weather.hangs => {
                        self.tally(FaultKind::Unreachable);
                        self.net.links[link].hangs = true;
                        (
                            now + peer.limit,
                            Event::ConnectFailed(link, "TCP connect took too long"),
                        )
                    }
                    Some(_) if weather.refuses => {
                        self.tally(FaultKind::Refused);
                        refused
                    }
                    Some(node) if self.broker.cluster.is_alive(node) => {
                        (now + there_and_back, Event::Connected(link))
                    }
                    _ => refused,
                };
                self.push(at, event);
            }
            Action::Write {
                conn,
                frame,
                expect,
            } => {
                if let Some(&link) = self.clients[id].conns.get(&conn) {
                    self.net.links[link].write(frame, expect);
                    self.write_out(link);
                }
            }
            Action::Close { conn } => {
                if let Some(link) = self.clients[id].conns.remove(&conn) {
                    self.trace.note(
                        now,
                        "close",
                        [link as u64, 0, 0],
                        format_args!("client {id}: link {link}"),
                    );
                    self.close_by_client(link);
                }
            }
        }
    }

    pub(super) fn close_by_client(&mut self, id: LinkId) {
        self.net.links[id].client_open = false;
        if self.net.links[id].established
            && let Some(at) = self.net.end(self.now(), id, Way::Up)
        {
            self.push(at, Event::Ends(id, Way::Up, ""));
        }
    }

    /// Hands what is queued to the network, as much as the socket takes now.
    pub(super) fn write_out(&mut self, id: LinkId) {
        let (bytes, more) = self.net.links[id].take_written(&mut self.net.rng);
        self.send(id, Way::Up, bytes);
        if more {
            let soon = Duration::from_micros(self.net.rng.range(5, 500));
            let at = self.now() + soon;
            self.push(at, Event::Write(id));
        }
    }

    pub(super) fn send(&mut self, id: LinkId, way: Way, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let now = self.now();
        self.trace.note(
            now,
            "send",
            [id as u64, bytes.len() as u64, u64::from(crc32c(&bytes))],
            format_args!("link {id} {way:?}: {} bytes", bytes.len()),
        );
        let (parcels, cut) = self.net.send(now, id, way, bytes);
        for parcel in parcels {
            self.push(parcel.at, Event::Arrives(id, way, parcel.bytes));
        }
        if let Some(at) = cut {
            self.tally(match way {
                Way::Up => FaultKind::CutRequest,
                Way::Down => FaultKind::CutReply,
            });
            self.push(at, Event::Ends(id, Way::Up, "reset"));
            self.push(
                at,
                Event::Ends(id, Way::Down, "the connection was lost: reset by peer"),
            );
        }
    }

    pub(super) fn connected(&mut self, id: LinkId) {
        let Link {
            client,
            conn,
            node,
            client_open,
            ..
        } = self.net.links[id];
        if !client_open {
            return;
        }
        if !self.broker.cluster.is_alive(node) {
            return self.end_at_client(id, "TCP connect failed: refused");
        }
        let server = self.broker.connected(node);
        self.servers.insert(server, id);
        let link = &mut self.net.links[id];
        link.server = Some(server);
        link.established = true;
        self.drive(client, "connected", |m, now| m.connected(now, conn));
    }

    pub(super) fn at_client(&mut self, id: LinkId, bytes: &[u8]) {
        let (client, conn) = (self.net.links[id].client, self.net.links[id].conn);
        if !self.net.links[id].client_open {
            return;
        }
        let mut arrivals = Vec::new();
        let read = self.net.links[id].read(bytes, &mut self.net.rng, &mut arrivals);
        if !arrivals.is_empty() {
            self.drive(client, "arrived", |m, now| {
                m.arrived(now, conn, &mut arrivals)
            });
        }
        if let Err(e) = read
            && self.net.links[id].client_open
        {
            self.net.links[id].client_open = false;
            self.clients[client].conns.remove(&conn);
            self.drive(client, "misread", |m, now| m.ended(now, conn, e));
            self.close_by_client(id);
        }
    }

    /// The connection is over for the client.
    pub(in super::super) fn end_at_client(&mut self, id: LinkId, why: &'static str) {
        let link = &mut self.net.links[id];
        if !std::mem::take(&mut link.client_open) {
            return;
        }
        let (client, conn) = (link.client, link.conn);
        self.clients[client].conns.remove(&conn);
        self.drive(client, "ended", |m, now| m.ended(now, conn, lost(why)));
    }

    pub(super) fn at_broker(&mut self, id: LinkId, bytes: &[u8]) {
        let mut fresh = Some(bytes);
        while let Some(server) = self.net.links[id].server
            && let Some(frame) = self.net.links[id].next_frame(fresh.take())
        {
            let late = &self.net.links[id];
            let overtaken = !late.client_open
                && self.net.links[id + 1..]
                    .iter()
                    .any(|l| (l.client, l.node) == (late.client, late.node) && l.established);
            if overtaken {
                self.tally(FaultKind::Overtaken);
                // It would end whatever transaction is open by now, which no client can help by version 1 (KIP-890).
                if is_end_of_transaction_1(&frame) {
                    self.end_at_broker(id);
                    return;
                }
            }
            let now = self.now();
            let client = self.net.links[id].client;
            if let Some(&[k0, k1]) = frame.first_chunk() {
                let Client {
                    program, backoff, ..
                } = &self.clients[client];
                let api = i16::from_be_bytes([k0, k1]);
                // What was accepted before may leave in this second too.
                let accepted = program.progress().0;
                let before = accepted.saturating_sub(program.unended());
                let lasting = &mut self.lasting;
                if let Some(what) = lasting.sends(now, client, api, *backoff, (before, accepted)) {
                    self.complaint
                        .get_or_insert(format!("client {client}: {what}"));
                }
            }
            self.trace.note(
                now,
                "request",
                [id as u64, frame.len() as u64, 0],
                format_args!("link {id}: {}", Described(&frame)),
            );
            self.act(|core, now, out| core.frame(now, server, frame, out));
        }
    }

    /// The connection is over for the broker.
    pub(in super::super) fn end_at_broker(&mut self, id: LinkId) {
        if let Some(server) = self.net.links[id].server.take() {
            self.servers.remove(&server);
            self.broker.disconnected(server);
        }
    }
}

/// An EndTxn of the first kind of transactions.
fn is_end_of_transaction_1(frame: &[u8]) -> bool {
    match frame {
        &[k0, k1, v0, v1, ..] => {
            let version = i16::from_be_bytes([v0, v1]);
            i16::from_be_bytes([k0, k1]) == crate::broker::api_key::END_TXN && version < 5
        }
        _ => false,
    }
}

/// A request's kind, for the printed trace.
struct Described<'a>(&'a [u8]);

impl std::fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(&[k0, k1, v0, v1, c0, c1, c2, c3]) = self.0.first_chunk() else {
            return f.write_str("too short");
        };
        let key = i16::from_be_bytes([k0, k1]);
        write!(
            f,
            "{} v{} correlation {}",
            crate::protocol::schema::api_name(key),
            i16::from_be_bytes([v0, v1]),
            i32::from_be_bytes([c0, c1, c2, c3])
        )
    }
}
