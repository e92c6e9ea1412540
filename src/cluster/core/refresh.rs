//! Metadata: when to ask for it, whom, and what its answer changes.

use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::protocol::{Message, Request, StrBytes};

use crate::cluster::core::{Backoff, Core, Event, Node, Purpose, Tag};
use crate::config::MetadataRecovery;
use crate::error::{Error, ErrorCode};
use crate::log::Level;
use crate::net::conn::{ConnId, Stage};
use crate::net::rpc::{self, Call};

/// The state of metadata requests.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    /// A request is wanted since there is news to learn.
    pub(super) wanted: bool,
    pub(super) inflight: bool,
    /// Requests sent so far, and the number of the one that was answered last.
    asked: u64,
    answered: u64,
    /// Requests in a row that did not bring all that was wanted.
    fruitless: u32,
    not_before: Option<Instant>,
    last: Option<Instant>,
    /// Since when metadata is wanted that has not come.
    lacking_since: Option<Instant>,
    /// Brokers in a row that were not the ones meant (KIP-1242).
    misrouted: u32,
    /// Every topic is asked for, not only those wanted by name.
    topics_all: bool,
    /// The request on its way asks for every topic.
    asked_all: bool,
}

impl<T: Clone> Core<T> {
    /// Wants a topic's metadata from now on.
    pub(crate) fn want_topic(&mut self, name: &str) {
        if self.topics.want(name) {
            self.refresh.fruitless = 0;
            self.refresh.not_before = None;
            self.refresh.wanted = true;
        }
    }

    /// Wants the name of every topic, or no longer does.
    pub(crate) fn want_every_topic(&mut self, wanted: bool) {
        if wanted != self.refresh.topics_all {
            self.refresh.topics_all = wanted;
            self.refresh.wanted |= wanted;
            self.topics.set_every(None);
        }
    }

    /// Asks for fresh metadata, soon but not more often than the backoff allows.
    pub(crate) fn refresh_metadata(&mut self) {
        self.refresh.wanted = true;
    }

    /// Asks for metadata that is not older than this call; its number for [`Core::metadata_number`].
    pub(crate) fn renew_metadata(&mut self) -> u64 {
        self.refresh.wanted = true;
        self.refresh.asked + 1
    }

    /// The number of the newest metadata.
    pub(crate) fn metadata_number(&self) -> u64 {
        self.refresh.answered
    }

    pub(super) fn on_metadata(&mut self, now: Instant, id: ConnId, version: i16, body: Bytes) {
        self.refresh.inflight = false;
        let response = match rpc::decode::<MetadataRequest>(version, body) {
            Ok(response) => response,
            Err(e) => return self.fail_conn(now, id, e),
        };
        let code = ErrorCode(i32::from(response.error_code));
        if code != ErrorCode::NONE {
            let asked = self.conns.get(&id).map(|s| self.address(s.node));
            let asked = asked.unwrap_or_default();
            if code == ErrorCode::REBOOTSTRAP_REQUIRED {
                let why = format!("{asked} asks for it");
                return self.rebootstrap(now, &why);
            }
            self.debug(now, "metadata", code, || {
                format!("{asked} answered Metadata with {}", code.name())
            });
            self.refresh.wanted = true;
            self.refresh.fruitless = self.refresh.fruitless.saturating_add(1);
            return self.pace_metadata(now);
        }
        for broker in &response.brokers {
            self.add_node(
                broker.node_id.0,
                &broker.host,
                broker.port,
                broker.rack.as_ref().map(|r| r.to_string()),
            );
        }
        let present: Vec<Node> = response
            .brokers
            .iter()
            .map(|b| Node::Id(b.node_id.0))
            .collect();
        if !present.is_empty() {
            let gone: Vec<Node> = self
                .nodes
                .keys()
                .filter(|n| matches!(n, Node::Id(_)) && !present.contains(n))
                .copied()
                .collect();
            for node in gone {
                self.drop_node_conns(
                    node,
                    &Error::new(ErrorCode::CONNECT, "the broker left the cluster"),
                );
                self.nodes.remove(&node);
            }
        }
        self.controller = response.controller_id.0;
        self.cluster_id = response.cluster_id.as_ref().map(|c| c.to_string());
        self.topics.update(now, &response);
        if self.refresh.asked_all && self.refresh.topics_all {
            self.topics.set_every(Some(&response));
        }
        self.contacted = true;
        self.contacted_at.get_or_insert(now);
        self.refresh.answered = self.refresh.asked;
        self.refresh.last = Some(now);
        self.refresh.lacking_since = None;
        self.debug(now, "metadata", ("came", id), || {
            let topics = response.topics.iter().map(|t| {
                let name = t.name.as_deref().map_or("?", |n| n.as_str());
                match t.error_code {
                    0 => format!("{name} ({} partitions)", t.partitions.len()),
                    code => format!("{name} ({})", ErrorCode(i32::from(code)).name()),
                }
            });
            const SHOWN: usize = 10;
            let shown: Vec<String> = topics.take(SHOWN).collect();
            let more = response.topics.len().saturating_sub(SHOWN);
            format!(
                "metadata v{version}: cluster {}, {} brokers, controller {}, topics: {}{}",
                self.cluster_id.as_deref().unwrap_or("without id"),
                response.brokers.len(),
                self.controller,
                if shown.is_empty() {
                    "none".to_owned()
                } else {
                    shown.join(", ")
                },
                if more > 0 {
                    format!(" and {more} more")
                } else {
                    String::new()
                }
            )
        });
        if self.topics.incomplete() {
            self.refresh.fruitless = self.refresh.fruitless.saturating_add(1);
            self.refresh.wanted = true;
        } else {
            self.refresh.fruitless = 0;
        }
        self.pace_metadata(now);
        self.events.push_back(Event::Metadata);
    }

    /// Forgets the brokers that the cluster has told of, and begins anew with `bootstrap.servers` (KIP-899, KIP-1102),
    /// where the configuration allows it.
    pub(super) fn rebootstrap(&mut self, now: Instant, why: &str) {
        self.refresh.wanted = true;
        self.refresh.fruitless = self.refresh.fruitless.saturating_add(1);
        self.pace_metadata(now);
        self.refresh.lacking_since = Some(now);
        if self.config.metadata_recovery == MetadataRecovery::None {
            return;
        }
        let wall = self.clock.wall();
        self.log
            .log(Level::Warn, "metadata", "rebootstrap", now, wall, || {
                format!(
                    "beginning anew with bootstrap.servers={}: {why}",
                    self.bootstrap_list()
                )
            });
        let error = Error::new(
            ErrorCode::CONNECT,
            format!("the brokers are looked for anew ({why})"),
        );
        let known: Vec<Node> = self.brokers().map(|(id, _)| Node::Id(id)).collect();
        for node in known {
            self.drop_node_conns(node, &error);
            self.nodes.remove(&node);
        }
    }

    /// A broker at the address of another one, or of another cluster, said so.
    pub(super) fn on_misrouted(&mut self, now: Instant, node: Node) {
        self.refresh.misrouted = self.refresh.misrouted.saturating_add(1);
        let why = format!(
            "{} answered ApiVersions with REBOOTSTRAP_REQUIRED: it is another broker than the one of cluster {} that was \
             looked for there (metadata.cluster.check.enable); is its address (advertised.listeners, DNS) right?",
            self.address(node),
            self.cluster_id.as_deref().unwrap_or("?")
        );
        self.rebootstrap(now, &why);
    }

    /// A broker that was connected to by its id is the one meant.
    pub(super) fn on_well_routed(&mut self) {
        self.refresh.misrouted = 0;
    }

    /// When to begin anew though nobody asks for it.
    pub(super) fn rebootstrap_at(&self) -> Option<Instant> {
        let by_id = self.brokers().next().is_some();
        let may = by_id && self.config.metadata_recovery == MetadataRecovery::Rebootstrap;
        let since = self.refresh.lacking_since.filter(|_| may)?;
        Some(since + self.config.rebootstrap_trigger)
    }

    /// Sets when metadata may be asked for next.
    fn pace_metadata(&mut self, now: Instant) {
        let backoff = Backoff::retries(&self.config);
        let failures = self.refresh.fruitless.max(self.refresh.misrouted).max(1);
        self.refresh.not_before = Some(now + backoff.after(failures, &mut self.rng));
    }

    /// Asks for metadata if it is wanted or old, and somebody can be asked.
    pub(super) fn poll_metadata(&mut self, now: Instant) {
        let aged = self
            .refresh
            .last
            .is_none_or(|last| now >= last + self.config.metadata_max_age);
        if self.refresh.wanted || aged {
            self.refresh.lacking_since.get_or_insert(now);
        }
        if self.rebootstrap_at().is_some_and(|at| at < now) {
            let why = format!(
                "no metadata came for {:?} (metadata.recovery.rebootstrap.trigger.ms)",
                self.config.rebootstrap_trigger
            );
            self.rebootstrap(now, &why);
        }
        if (self.refresh.wanted || aged)
            && !self.refresh.inflight
            && self.refresh.not_before.is_none_or(|t| t <= now)
            && let Some((node, conn)) = self.any_conn(now)
        {
            self.debug(now, "metadata", ("ask", node), || {
                let why = if self.refresh.wanted {
                    "there is news to learn"
                } else {
                    "it is old"
                };
                let topics = match self.refresh.topics_all {
                    true => "every topic".to_owned(),
                    false => format!("{} topics", self.topics.names().count()),
                };
                format!(
                    "asking {} for metadata of {topics}: {why}",
                    self.address(node)
                )
            });
            self.ask_metadata(now, conn);
        }
    }

    fn ask_metadata(&mut self, now: Instant, conn: ConnId) {
        let topics: Vec<MetadataRequestTopic> = self
            .topics
            .names()
            .map(|name| {
                MetadataRequestTopic::default()
                    .with_name(Some(TopicName(StrBytes::from_string(name.to_string()))))
            })
            .collect();
        let request = MetadataRequest::default()
            .with_topics(if self.refresh.topics_all {
                None
            } else {
                Some(topics)
            })
            .with_allow_auto_topic_creation(self.config.allow_auto_create_topics);
        let sent = self
            .version(
                conn,
                MetadataRequest::KEY,
                (4, MetadataRequest::VERSIONS.max),
            )
            .and_then(|version| Call::encode(&self.config.client_id, version, &request));
        match sent {
            Ok(call) => {
                self.refresh.inflight = true;
                self.refresh.asked += 1;
                self.refresh.asked_all = self.refresh.topics_all;
                self.refresh.wanted = false;
                self.send_tagged(
                    now,
                    conn,
                    call,
                    self.config.request_timeout,
                    Tag::Metadata,
                    true,
                );
            }
            Err(e) => self.fail_conn(now, conn, e),
        }
    }

    /// When metadata can be asked for next; `None` while something else will wake us before.
    pub(super) fn refresh_deadline(&self, now: Instant) -> Option<Instant> {
        if self.refresh.inflight {
            return None;
        }
        let mut due = if self.refresh.wanted {
            now
        } else {
            self.refresh
                .last
                .map_or(now, |last| last + self.config.metadata_max_age)
        };
        due = self.refresh.not_before.map_or(due, |t| t.max(due));
        self.any_conn_at(now).map(|at| due.max(at))
    }

    /// From when on [`Core::any_conn`] may find a connection, as far as time decides; `None` while something else will
    /// wake us before.
    pub(super) fn any_conn_at(&self, now: Instant) -> Option<Instant> {
        let control = self
            .conns
            .values()
            .filter(|s| s.purpose == Purpose::Control)
            .map(|s| &s.conn);
        let usable = control
            .filter(|c| c.stage == Stage::Ready)
            .map(|c| c.muted_until.unwrap_or(now))
            .min();
        if usable.is_some() {
            return usable;
        }
        // Nodes being connected to report by themselves; the others may be tried once those have had their time.
        let untried = self.nodes.iter().filter(|(n, _)| {
            self.may_ask(**n) && !self.by_purpose.contains_key(&(**n, Purpose::Control))
        });
        let opens = untried.map(|(n, _)| self.opens_at(*n, Purpose::Control));
        let reachable = opens.map(|at| at.unwrap_or(now)).min()?;
        Some(reachable.max(self.opening_until(|_| true).unwrap_or(now)))
    }
}
