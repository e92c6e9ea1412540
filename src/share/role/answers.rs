//! What brokers answer: records, what became of acknowledgements, and every way of refusing either.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::client::event::{Event, EventKind};
use crate::cluster::core::{Core, Purpose};
use crate::cluster::nodes::{Backoff, Node};
use crate::error::{Error, ErrorCode};
use crate::group::words::{advice, quoted};
use crate::net::rpc;
use crate::protocol::share::{self, ShareAnswer, ShareResponse};
use crate::protocol::wire::TopicId;
use crate::share::Key;
use crate::share::node::InFlight;
use crate::share::role::acknowledging::trying;
use crate::share::role::{ShareRole, Tag};
use crate::share::shared::Chunk;

/// Names a session among the troubles that are told once.
fn session_of(id: i32) -> String {
    format!("session with broker {id}")
}

impl ShareRole {
    pub(super) fn answered(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        (id, tag): (i32, Tag),
        version: i16,
        body: Bytes,
    ) {
        let Some(inflight) = self.nodes.get_mut(&id).and_then(|n| n.inflight.take()) else {
            return;
        };
        let fetched = tag == Tag::Fetch;
        let response = rpc::strip_header(1, body).and_then(|body| match fetched {
            true => share::read_fetch(&body),
            false => share::read_acknowledge(version, &body),
        });
        let response = match response {
            Ok(response) => response,
            Err(e) => {
                let e = e.context(core.address(Node::Id(id)));
                self.session_lost(core, now, id, inflight, &e);
                return self.failing_at(session_of(id), e);
            }
        };
        core.throttle(now, Node::Id(id), Purpose::Fetch, response.throttle_ms);
        if let Some(ms) = response.lock_ms {
            self.shared.set_lock(ms);
        }
        let code = ErrorCode(i32::from(response.refusal.0));
        if code != ErrorCode::NONE {
            return self.refused(core, now, id, inflight, code, response.refusal.1.as_deref());
        }
        self.carried_out(core, now, id, inflight, response);
    }

    /// The request as a whole was refused.
    fn refused(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        id: i32,
        inflight: InFlight,
        code: ErrorCode,
        words: Option<&str>,
    ) {
        let error = self.refusal(core, id, "share session of group", (code, words));
        self.session_lost(core, now, id, inflight, &error);
        // That a session is gone is no trouble but for what was acknowledged in it, of which that is told.
        if !matches!(
            code,
            ErrorCode::SHARE_SESSION_NOT_FOUND | ErrorCode::INVALID_SHARE_SESSION_EPOCH
        ) {
            core.refresh_metadata();
            self.failing_at(session_of(id), error);
        }
    }

    /// A broker's refusal in words; `doing` ends with what the group is.
    fn refusal(
        &self,
        core: &Core<Tag>,
        id: i32,
        doing: &str,
        (code, words): (ErrorCode, Option<&str>),
    ) -> Error {
        Error::new(
            code,
            format!(
                "{doing} '{}': {} answered {}{}{}",
                self.group,
                core.address(Node::Id(id)),
                code.name(),
                quoted(words),
                advice(code)
            ),
        )
    }

    /// The session is to be begun anew; what went with the request is lost, or may be.
    fn session_lost(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        id: i32,
        inflight: InFlight,
        error: &Error,
    ) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.reset();
            node.failures = node.failures.saturating_add(1);
            let backoff = Backoff::retries(&core.config);
            // The first loss of a session is mended at once.
            if node.failures > 1 {
                let pause = backoff.after(node.failures - 1, &mut core.rng);
                node.retry_at = Some(now + pause);
            }
        }
        for parcel in inflight.parcels {
            let error = error
                .context(trying(&parcel))
                .and("; what was not acknowledged is delivered again, perhaps to another member");
            self.finish(parcel, Err(error));
        }
    }

    fn carried_out(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        id: i32,
        mut inflight: InFlight,
        response: ShareResponse,
    ) {
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        if node.is_open() {
            self.told.remove(&session_of(id));
        }
        node.succeeded(&mut inflight);
        let from = (id, node.life);
        let refused = response.partitions.iter().any(|a| a.fetched.0 != 0);
        if !refused || response.partitions.iter().any(|a| !a.acquired.is_empty()) {
            node.refusals = 0;
        }
        if refused {
            node.refusals = node.refusals.saturating_add(1);
            let backoff = Backoff::retries(&core.config);
            node.retry_at = Some(now + backoff.after(node.refusals, &mut core.rng));
        }
        for parcel in inflight.parcels {
            let said = response
                .partitions
                .iter()
                .find(|a| (a.topic, a.partition) == parcel.place)
                .map(|a| &a.acknowledged);
            let result = match said {
                Some((code, words)) if *code != 0 => {
                    let code = ErrorCode(i32::from(*code));
                    Err(self.explain(&parcel, code, words.as_deref()))
                }
                _ => Ok(()),
            };
            self.finish(parcel, result);
        }
        let lock = self.shared.lock_duration().unwrap_or(Duration::MAX);
        let far = now + Duration::from_secs(86_400 * 365);
        let locked_until = now.checked_add(lock).unwrap_or(far);
        for answer in response.partitions {
            let Some(name) = core.topics.name_of(&answer.topic).cloned() else {
                continue;
            };
            let key = (name, answer.partition);
            if let Some(leader) = answer.leader
                && core.leader_hint(&key.0, key.1, leader, &response.endpoints)
            {
                self.unplaced = true;
            }
            let about = format!("{}-{}", key.0, key.1);
            if answer.fetched.0 != 0 {
                self.not_fetched(core, (id, &key), about, &answer);
                continue;
            }
            self.told.remove(&about);
            if !answer.acquired.is_empty() && self.leaving.is_none() {
                self.chunks.push(Chunk {
                    key,
                    from,
                    records: answer.records,
                    acquired: answer.acquired,
                    locked_until,
                });
            }
        }
    }

    fn not_fetched(
        &mut self,
        core: &mut Core<Tag>,
        (id, key): (i32, &Key),
        about: String,
        answer: &ShareAnswer,
    ) {
        let code = ErrorCode(i32::from(answer.fetched.0));
        core.refresh_metadata();
        // Leaders move, and brokers learn of topics at different times.
        let passes = matches!(
            code,
            ErrorCode::NOT_LEADER_OR_FOLLOWER
                | ErrorCode::LEADER_NOT_AVAILABLE
                | ErrorCode::FENCED_LEADER_EPOCH
                | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                | ErrorCode::UNKNOWN_TOPIC_ID
                | ErrorCode::COORDINATOR_NOT_AVAILABLE
                | ErrorCode::NOT_COORDINATOR
        );
        if passes || self.told.insert(about, code) == Some(code) {
            return;
        }
        let doing = format!("fetching {}-{} for share group", key.0, key.1);
        let refusal = (code, answer.fetched.1.as_deref());
        let error = self
            .refusal(core, id, &doing, refusal)
            .and("; the attempts go on");
        self.events.push(Event::of_partition(
            EventKind::PartitionFailing,
            &key.0,
            key.1,
            (-1, -1),
            error,
        ));
    }

    pub(super) fn failed(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        (id, tag): (i32, Tag),
        error: &Error,
    ) {
        if let Some(inflight) = self.nodes.get_mut(&id).and_then(|n| n.inflight.take()) {
            core.refresh_metadata();
            self.session_lost(core, now, id, inflight, error);
            // Of acknowledgements that are lost is told one by one.
            if let Some(node) = self.nodes.get_mut(&id).filter(|_| tag == Tag::Fetch) {
                let places = node.members.iter();
                let named = |(topic, index): &(TopicId, i32)| {
                    Some((core.topics.name_of(topic)?.clone(), *index))
                };
                let asked = || places.filter_map(named).collect();
                self.events.extend(node.reach.lost(now, id, error, asked));
            }
        }
    }
}
