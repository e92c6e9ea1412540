//! Calls that only read: list, describe topics, describe the cluster. All are Metadata requests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::metadata_response::{MetadataResponse, MetadataResponseTopic};
use kafka_protocol::protocol::StrBytes;

use super::refusal::{Scene, is_transient, refusal};
use super::role::{Next, Operation, Response, Tag, Target};
use super::types::{
    BrokerDescription, ClusterDescription, PartitionDescription, TopicDescription, TopicListing,
};
use crate::client::calls::Reply;
use crate::cluster::core::Core;
use crate::error::{Error, ErrorCode, Result};
use crate::net::conn::ConnId;
use crate::net::rpc;

/// Sends a Metadata request for these topics, or for all; it creates none.
pub(super) fn ask_metadata(
    core: &mut Core<Tag>,
    now: Instant,
    conn: ConnId,
    topics: Option<&[String]>,
    tag: Tag,
) -> Result<()> {
    let topic = |name: &String| {
        MetadataRequestTopic::default()
            .with_name(Some(TopicName(StrBytes::from_string(name.clone()))))
    };
    let request = MetadataRequest::default()
        .with_topics(topics.map(|names| names.iter().map(topic).collect()))
        .with_allow_auto_topic_creation(false);
    let limit = core.config.request_timeout;
    core.call(now, conn, &request, i16::MAX, limit, tag)
}

/// Reads a Metadata answer. The inner error says why the broker gave none now.
pub(super) fn read_metadata(
    reply: Response<'_>,
) -> Result<std::result::Result<MetadataResponse, Error>> {
    let response = rpc::decode::<MetadataRequest>(reply.version, reply.body)?;
    let code = ErrorCode(i32::from(response.error_code));
    if code == ErrorCode::NONE {
        return Ok(Ok(response));
    }
    Ok(Err(Error::new(
        code,
        format!("{} answered {code:?} to Metadata", reply.scene.broker),
    )))
}

/// What an answer is made into.
pub(super) trait View: Send {
    type Output: Send;

    fn name(&self) -> &'static str;

    /// The topics to ask for; `None` is all.
    fn topics(&self) -> Option<&[String]>;

    /// The output, and why it is not final if it isn't.
    fn read(&self, scene: Scene<'_>, response: &MetadataResponse) -> (Self::Output, Option<Error>);
}

/// A call that reads.
pub(super) struct Describe<V: View> {
    view: V,
    output: Option<V::Output>,
    answer: Reply<V::Output>,
}

impl<V: View> Describe<V> {
    pub(super) fn new(view: V, answer: Reply<V::Output>) -> Self {
        Describe {
            view,
            output: None,
            answer,
        }
    }
}

impl<V: View> Operation for Describe<V> {
    fn name(&self) -> &'static str {
        self.view.name()
    }

    fn target(&self) -> Target {
        Target::Same
    }

    fn send(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        conn: ConnId,
        _limit: Duration,
        tag: Tag,
    ) -> Result<()> {
        ask_metadata(core, now, conn, self.view.topics(), tag)
    }

    fn on_reply(&mut self, reply: Response<'_>) -> Result<(Next, i32)> {
        let scene = reply.scene;
        let response = match read_metadata(reply)? {
            Ok(response) => response,
            Err(error) => return Ok((Next::Retry(error), 0)),
        };
        let (output, unfinished) = self.view.read(scene, &response);
        self.output = Some(output);
        Ok((
            unfinished.map_or(Next::Done, Next::Retry),
            response.throttle_time_ms,
        ))
    }

    fn on_lost(&mut self, _error: &Error) {}

    fn end(self: Box<Self>, outcome: Result<()>) {
        // An answer that is not final, with an error for each topic that had none, says more than a timeout.
        let result = match (outcome, self.output) {
            (Ok(()) | Err(_), Some(output)) => Ok(output),
            (Err(error), None) => Err(error),
            (Ok(()), None) => Err(Error::new(
                ErrorCode::PROTOCOL,
                "the call ended without an answer",
            )),
        };
        self.answer.give(result);
    }
}

/// All topics, by name.
pub(super) struct List {
    pub(super) internal: bool,
}

impl View for List {
    type Output = Vec<TopicListing>;

    fn name(&self) -> &'static str {
        "list_topics"
    }

    fn topics(&self) -> Option<&[String]> {
        None
    }

    fn read(
        &self,
        _scene: Scene<'_>,
        response: &MetadataResponse,
    ) -> (Self::Output, Option<Error>) {
        let wanted = response
            .topics
            .iter()
            .filter(|t| self.internal || !t.is_internal);
        let mut topics: Vec<TopicListing> = wanted
            .filter_map(|t| {
                Some(TopicListing {
                    name: t.name.as_ref()?.to_string(),
                    id: t.topic_id.into_bytes(),
                    internal: t.is_internal,
                    partitions: i32::try_from(t.partitions.len()).unwrap_or(i32::MAX),
                })
            })
            .collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        (topics, None)
    }
}

/// Some topics, in the caller's order.
pub(super) struct Named {
    pub(super) names: Vec<String>,
}

impl View for Named {
    type Output = Vec<TopicDescription>;

    fn name(&self) -> &'static str {
        "describe_topics"
    }

    fn topics(&self) -> Option<&[String]> {
        Some(&self.names)
    }

    fn read(&self, scene: Scene<'_>, response: &MetadataResponse) -> (Self::Output, Option<Error>) {
        let named = response
            .topics
            .iter()
            .filter_map(|t| Some((t.name.as_ref()?.as_str(), t)));
        let found: BTreeMap<&str, &MetadataResponseTopic> = named.collect();
        let mut unfinished = None;
        let mut describe = |name: &String| {
            let Some(topic) = found.get(name.as_str()) else {
                let text = format!(
                    "{}: topic '{name}': {} did not answer for it",
                    scene.call, scene.broker
                );
                return TopicDescription::failed(name, Error::protocol(text));
            };
            let code = ErrorCode(i32::from(topic.error_code));
            if code != ErrorCode::NONE {
                let error = refusal(scene, name, code, None);
                if is_transient(code) {
                    unfinished = Some(error.clone());
                }
                return TopicDescription::failed(name, error);
            }
            TopicDescription::of(name, topic)
        };
        let output = self.names.iter().map(&mut describe).collect();
        (output, unfinished)
    }
}

impl TopicDescription {
    fn failed(name: &str, error: Error) -> Self {
        let name = name.to_owned();
        TopicDescription {
            name,
            error: Some(error),
            id: [0; 16],
            internal: false,
            partitions: Vec::new(),
        }
    }

    fn of(name: &str, topic: &MetadataResponseTopic) -> Self {
        let ids =
            |brokers: &[kafka_protocol::messages::BrokerId]| brokers.iter().map(|b| b.0).collect();
        let each = topic.partitions.iter().map(|p| PartitionDescription {
            partition: p.partition_index,
            leader: p.leader_id.0,
            leader_epoch: p.leader_epoch,
            replicas: ids(&p.replica_nodes),
            isr: ids(&p.isr_nodes),
            offline: ids(&p.offline_replicas),
        });
        let mut partitions: Vec<PartitionDescription> = each.collect();
        partitions.sort_by_key(|p| p.partition);
        let (id, internal) = (topic.topic_id.into_bytes(), topic.is_internal);
        TopicDescription {
            name: name.to_owned(),
            error: None,
            id,
            internal,
            partitions,
        }
    }
}

/// The brokers.
pub(super) struct Cluster;

impl View for Cluster {
    type Output = ClusterDescription;

    fn name(&self) -> &'static str {
        "describe_cluster"
    }

    fn topics(&self) -> Option<&[String]> {
        Some(&[])
    }

    fn read(
        &self,
        _scene: Scene<'_>,
        response: &MetadataResponse,
    ) -> (Self::Output, Option<Error>) {
        let each = response.brokers.iter().map(|b| BrokerDescription {
            id: b.node_id.0,
            host: b.host.to_string(),
            port: u16::try_from(b.port).unwrap_or(0),
            rack: b.rack.as_ref().map(|r| r.to_string()),
        });
        let mut brokers: Vec<BrokerDescription> = each.collect();
        brokers.sort_by_key(|b| b.id);
        let id = response.cluster_id.as_ref().map(|c| c.to_string());
        (
            ClusterDescription {
                id,
                controller: response.controller_id.0,
                brokers,
            },
            None,
        )
    }
}
