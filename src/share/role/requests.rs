//! What is sent to each broker: one request at a time.

use std::time::Instant;

use crate::clock::earliest;
use crate::cluster::core::{Core, Purpose};
use crate::cluster::nodes::Node;
use crate::config::AcquireMode;
use crate::error::{Error, ErrorCode, Result};
use crate::net::conn::ConnId;
use crate::net::rpc::Call;
use crate::protocol::share::{self, ShareAcknowledgeRequest, ShareFetchRequest, ShareSession};
use crate::share::node::{FINAL_EPOCH, Parcel, ShareNode};
use crate::share::role::acknowledging::refusal;
use crate::share::role::{ShareRole, Tag};

impl ShareRole {
    /// Sends what is due to each broker.
    pub(super) fn drive(&mut self, core: &mut Core<Tag>, now: Instant) -> Option<Instant> {
        let stale: Vec<Parcel> = self
            .nodes
            .values_mut()
            .filter(|n| n.inflight.is_none())
            .flat_map(ShareNode::take_stale)
            .collect();
        for parcel in stale {
            self.lost(parcel);
        }
        let hungry = self.leaving.is_none() && self.shared.is_hungry();
        let one = self.shared.config.acquire == AcquireMode::RecordLimit;
        let mut may_fetch = hungry && !(one && self.nodes.values().any(|n| n.inflight.is_some()));
        let mut deadline = None;
        let ids: Vec<i32> = self.nodes.keys().copied().collect();
        // Where only one broker is asked at a time, not always the same.
        let first = ids.iter().position(|id| *id > self.last).unwrap_or(0);
        for id in ids.iter().skip(first).chain(ids.iter().take(first)) {
            let fetched = self.drive_one(core, now, *id, may_fetch, &mut deadline);
            if fetched && one {
                self.last = *id;
                may_fetch = false;
            }
        }
        deadline
    }

    /// True if a fetch was sent.
    fn drive_one(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        id: i32,
        may_fetch: bool,
        deadline: &mut Option<Instant>,
    ) -> bool {
        let leaving = self.leaving.is_some();
        let Some(node) = self.nodes.get_mut(&id).filter(|n| n.inflight.is_none()) else {
            return false;
        };
        let ends = leaving && node.is_open();
        let fetch = may_fetch && !node.members.is_empty();
        if !ends && !fetch && node.waiting.is_empty() {
            return false;
        }
        if let Some(at) = node.retry_at.filter(|at| now < *at && !ends) {
            *deadline = earliest(*deadline, Some(at));
            return false;
        }
        node.retry_at = None;
        let Some(conn) = core.conn(now, Node::Id(id), Purpose::Fetch) else {
            let failing = core.failing(Node::Id(id));
            let (event, again) = node.reach.unconnected(now, id, failing);
            self.events.extend(event);
            *deadline = earliest(*deadline, earliest(again, core.retry_at(now, Node::Id(id))));
            return false;
        };
        node.on_connection(conn);
        if !node.is_open() && (!node.waiting.is_empty() || !fetch) {
            // The connection was another; what waits is told at the next turn, which is at once.
            *deadline = Some(now);
            return false;
        }
        let fetch = fetch && node.may_piggyback();
        let sent = if fetch {
            self.send_fetch(core, now, id, conn)
        } else {
            self.send_acknowledgement(core, now, id, conn, ends)
        };
        if let Err(error) = sent {
            let again = now + core.config.retry_backoff_max;
            if let Some(node) = self.nodes.get_mut(&id) {
                node.retry_at = Some(again);
            }
            *deadline = earliest(*deadline, Some(again));
            self.failing(error);
            return false;
        }
        fetch
    }

    fn send_fetch(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        id: i32,
        conn: ConnId,
    ) -> Result<()> {
        let config = &self.shared.config;
        let version = core.version(conn, share::FETCH_KEY, share::VERSIONS)?;
        let strict = config.acquire == AcquireMode::RecordLimit;
        if strict && version < share::RENEW_VERSION {
            return Err(Error::new(
                ErrorCode::UNSUPPORTED,
                format!(
                    "fetching for share group '{}': share.acquire.mode=record_limit needs Kafka 4.2 or newer, and {} is \
                     older; leave it at batch_optimized",
                    self.group,
                    core.address(Node::Id(id))
                ),
            ));
        }
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(());
        };
        self.lives = self.lives.wrapping_add(1);
        let (topics, forgotten) = node.fetch(self.lives);
        let int = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let request = ShareFetchRequest {
            session: ShareSession {
                group: &self.group,
                member: &self.id,
                epoch: node.epoch,
            },
            max_wait_ms: int(config.fetch_max_wait.as_millis() as usize),
            min_bytes: int(config.fetch_min_bytes),
            max_bytes: int(config.fetch_max_bytes),
            max_records: int(config.max_poll_records),
            batch_size: int(config.max_poll_records),
            strict,
            topics,
            forgotten,
        };
        let mut call = Call::begin(&core.config.client_id, share::FETCH_KEY, version, 2)?;
        share::write_fetch(&mut call.frame.meta, version, &request);
        call.frame.finish();
        let timeout = core.config.request_timeout;
        core.send(now, conn, call, timeout, Tag::Fetch, true);
        Ok(())
    }

    fn send_acknowledgement(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        id: i32,
        conn: ConnId,
        ends: bool,
    ) -> Result<()> {
        let version = core.version(conn, share::ACKNOWLEDGE_KEY, share::VERSIONS)?;
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(());
        };
        if version < share::RENEW_VERSION {
            let (renewals, rest) = std::mem::take(&mut node.waiting)
                .into_iter()
                .partition::<Vec<_>, _>(|p| p.said.renews());
            node.waiting = rest;
            let nothing_left = node.waiting.is_empty() && !ends;
            for parcel in renewals {
                let error = refusal(
                    &parcel,
                    ErrorCode::UNSUPPORTED,
                    "renewing locks needs Kafka 4.2 or newer (KIP-1222)",
                );
                self.finish(parcel, Err(error));
            }
            if nothing_left {
                return Ok(());
            }
        }
        let Some(node) = self.nodes.get_mut(&id) else {
            return Ok(());
        };
        let (topics, renews) = node.acknowledge(ends);
        let request = ShareAcknowledgeRequest {
            session: ShareSession {
                group: &self.group,
                member: &self.id,
                epoch: if ends { FINAL_EPOCH } else { node.epoch },
            },
            renews,
            topics,
        };
        let mut call = Call::begin(&core.config.client_id, share::ACKNOWLEDGE_KEY, version, 2)?;
        share::write_acknowledge(&mut call.frame.meta, version, &request);
        call.frame.finish();
        let timeout = core.config.request_timeout;
        core.send(now, conn, call, timeout, Tag::Acknowledge, true);
        Ok(())
    }
}
