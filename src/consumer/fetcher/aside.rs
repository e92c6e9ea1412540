//! Fetching beside the fetch under way. A broker keeps a fetch that finds nothing for `fetch.max.wait.ms`; what a program
//! assigns, seeks or resumes meanwhile must not wait for that. So it is fetched on a connection of its own, outside the
//! session, by requests that don't wait at the broker, until they find nothing more or the fetch under way is answered: the
//! next one is about all partitions again.

use std::time::{Duration, Instant};

use crate::clock::earliest;
use crate::cluster::core::{Core, Purpose};
use crate::cluster::nodes::Node;
use crate::consumer::fetcher::Fetcher;
use crate::consumer::fetcher::node::InFlight;
use crate::consumer::fetcher::plan::Want;
use crate::consumer::fetcher::session::Session;
use crate::consumer::fetcher::tag::Tag;
use crate::net::rpc::Call;
use crate::protocol::fetch::{self, FetchRequest};
use crate::protocol::wire::TopicId;

/// A fetch that is under way for less than this is likely to be answered at once.
const SOON: Duration = Duration::from_millis(10);

/// The session epoch of requests outside any session.
const SESSIONLESS: i32 = -1;

impl Fetcher {
    pub(super) fn fetch_asides(&mut self, core: &mut Core<Tag>, now: Instant) -> Option<Instant> {
        if std::mem::take(&mut self.unserved) {
            for node in self.nodes.values_mut() {
                node.aside.wanted = node.inflight.is_some();
            }
        }
        let wanted = self.nodes.iter().filter(|(_, node)| node.aside.wanted);
        let wanted: Vec<i32> = wanted.map(|(id, _)| *id).collect();
        wanted.into_iter().fold(None, |deadline, id| {
            earliest(deadline, self.fetch_aside(core, now, id))
        })
    }

    /// Fetches what the fetch under way is not about; says when to try again if that depends on time.
    fn fetch_aside(&mut self, core: &mut Core<Tag>, now: Instant, id: i32) -> Option<Instant> {
        let max_partition = self.max_partition();
        let node = self.nodes.get_mut(&id)?;
        let Some(main) = node.inflight.as_ref().filter(|main| !main.begun) else {
            node.aside.wanted = false;
            return None;
        };
        if node.aside.is_under_way() {
            return None;
        }
        if now < main.sent + SOON {
            return Some(main.sent + SOON);
        }
        let parts = node.members.iter().filter_map(|key| {
            let Want::This(sent) = self.parts.get(key)?.want(now, max_partition) else {
                return None;
            };
            (!node.session.covers(key, &sent)).then(|| (key.clone(), sent))
        });
        let parts: Vec<_> = parts.collect();
        if parts.is_empty() {
            node.aside.wanted = false;
            return None;
        }
        let Some(conn) = core.conn(now, Node::Id(id), Purpose::Aside) else {
            return core.retry_at(now, Node::Id(id));
        };
        node.aside.wanted = false;
        // Whatever is in the way is found and told by the next ordinary fetch.
        let mut version = core.version(conn, fetch::KEY, fetch::VERSIONS).ok()?;
        if parts
            .iter()
            .any(|(_, sent)| sent.topic_id == TopicId::default())
        {
            version = version.min(fetch::TOPIC_ID_VERSION - 1);
        }
        let mut call = Call::fetch(&core.config.client_id, version).ok()?;
        let reserved = self.shared.memory.reserve(self.max_fetch(parts.len()))?;
        let node = self.nodes.get_mut(&id)?;
        node.aside.session = Session::default();
        let plan = node.aside.session.plan(version, parts);
        let config = &self.shared.config;
        let request = FetchRequest {
            max_wait_ms: 0,
            min_bytes: i32::try_from(config.fetch_min_bytes).unwrap_or(i32::MAX),
            max_bytes: i32::try_from(reserved).unwrap_or(i32::MAX),
            read_committed: self.shared.read_committed(),
            session_id: plan.session_id,
            session_epoch: SESSIONLESS,
            topics: plan.topics,
            forgotten: plan.forgotten,
            rack: config.common.client_rack.as_deref().unwrap_or(""),
        };
        fetch::write_request(&mut call.frame.meta, version, &request);
        call.frame.finish();
        let timeout = core.config.request_timeout;
        core.send(now, conn, call, timeout, Tag::Aside, true);
        node.aside.inflight = Some(InFlight::new(now, reserved));
        None
    }

    /// A request has no answer, or not all of it: the ordinary fetch goes on from there.
    pub(super) fn on_aside_failed(&mut self, id: i32) {
        if let Some(node) = self.nodes.get_mut(&id)
            && let Some(inflight) = node.aside.inflight.take()
        {
            self.shared.memory.unreserve(inflight.reserved);
        }
    }
}
