//! Every kind of request in every version, through the core, decoded again.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, Request};
use ottla_protocol::{offsets, schema};

use super::{SUPPORTED, api_key, encoded_as, text};
use crate::core::cluster::{Cluster, Node, Placement};
use crate::core::random::Random;
use crate::core::storage::Storage;
use crate::core::{Action, BrokerCore, ConnId, CoreOptions, Now};
use crate::log::test_batches::batch;

/// A cluster of `nodes` nodes in memory, with a client connected to each.
pub(crate) struct Bench {
    pub(crate) core: BrokerCore,
    pub(crate) conns: Vec<ConnId>,
    pub(crate) now: Now,
}

impl Bench {
    pub(crate) fn new(nodes: i32) -> Bench {
        let node = |id| Node {
            id,
            host: format!("host{id}"),
            port: 9000 + id as u16,
            alive: true,
        };
        let cluster = Cluster::new(
            "cluster".to_owned(),
            (1..=nodes).map(node).collect(),
            1,
            Random::new(7),
        );
        let options = CoreOptions {
            auto_create_topics: false,
            memory_bytes: 1 << 20,
            transaction_version: 2,
            new_group_protocol: true,
        };
        let mut core = BrokerCore::new(cluster, options, Storage::default());
        let conns = (1..=nodes).map(|n| core.connected(n)).collect();
        Bench {
            core,
            conns,
            now: Now {
                mono: Default::default(),
                wall_ms: 1_000_000,
            },
        }
    }

    pub(crate) fn topic(&mut self, name: &str, partitions: i32) -> uuid::Uuid {
        let placement = Placement::Counts {
            partitions,
            replication_factor: -1,
        };
        self.core
            .create_topic(name, &placement, BTreeMap::new(), false)
            .unwrap();
        self.core.cluster.topic(name).unwrap().id
    }

    /// Sends a request to a node (from 1) and answers what the core did.
    pub(crate) fn actions<R: Request>(
        &mut self,
        node: usize,
        version: i16,
        request: &R,
    ) -> Vec<Action> {
        let mut out = Vec::new();
        let frame = frame(version, request);
        self.core
            .frame(self.now, self.conns[node - 1], frame, &mut out);
        out
    }

    /// Sends a request and decodes its answer, which must come at once.
    pub(crate) fn ask<R: Request>(
        &mut self,
        node: usize,
        version: i16,
        request: &R,
    ) -> R::Response {
        let actions = self.actions(node, version, request);
        let [Action::Reply { parts, .. }] = actions.as_slice() else {
            panic!("api {} version {version}: {actions:?}", R::KEY);
        };
        decode::<R>(version, parts)
    }
}

/// A request as a frame without its length.
pub(crate) fn frame<R: Request>(version: i16, request: &R) -> Bytes {
    let mut frame = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(77)
        .with_client_id(Some(text("test")));
    header
        .encode(&mut frame, R::header_version(version))
        .unwrap();
    request
        .encode(&mut frame, encoded_as(R::KEY, version))
        .unwrap();
    frame.freeze()
}

/// The answer in a frame, whose length must be right.
pub(crate) fn decode<R: Request>(version: i16, parts: &[Bytes]) -> R::Response {
    let frame = Bytes::from(parts.concat());
    assert_eq!(
        u32::from_be_bytes(*frame.first_chunk().unwrap()) as usize,
        frame.len() - 4
    );
    let frame = frame.slice(4..);
    let header = schema::check_response_header(R::KEY, version, &frame).unwrap();
    assert_eq!(header.correlation_id, 77);
    let body = frame.slice(header.body..);
    schema::decode_response(R::KEY, encoded_as(R::KEY, version), body).unwrap()
}

fn versions(key: i16) -> std::ops::RangeInclusive<i16> {
    let &(_, min, max) = SUPPORTED.iter().find(|(k, ..)| *k == key).unwrap();
    min..=max
}

#[test]
fn api_versions_in_every_version_and_one_too_new() {
    let mut bench = Bench::new(1);
    for version in versions(api_key::API_VERSIONS) {
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request = request
                .with_client_software_name(text("ottla"))
                .with_client_software_version(text("0.1"));
        }
        let answer = bench.ask(1, version, &request);
        assert_eq!(
            (answer.error_code, answer.api_keys.len()),
            (0, SUPPORTED.len() - 2),
            "all but client metrics, which nobody has subscribed to"
        );
    }
    let mut future = frame(4, &ApiVersionsRequest::default()).to_vec();
    future[3] = 99;
    let mut out = Vec::new();
    bench
        .core
        .frame(bench.now, bench.conns[0], Bytes::from(future), &mut out);
    let [Action::Reply { parts, .. }] = out.as_slice() else {
        panic!("{out:?}")
    };
    let answer = decode::<ApiVersionsRequest>(0, parts);
    assert_eq!(answer.error_code, 35);
    assert_eq!(
        (answer.api_keys[0].api_key, answer.api_keys[0].max_version),
        (18, 4)
    );
}

#[test]
fn metadata_in_every_version() {
    let mut bench = Bench::new(3);
    let id = bench.topic("t", 3);
    for version in versions(api_key::METADATA) {
        let name = |n: &str| {
            metadata_request::MetadataRequestTopic::default()
                .with_name(Some(TopicName(text(n.to_owned()))))
        };
        let mut request = MetadataRequest::default().with_topics(Some(vec![
            name("t"),
            name("none"),
            name("bad!"),
        ]));
        if version >= 8 {
            request = request.with_include_topic_authorized_operations(true);
        }
        let answer = bench.ask(2, version, &request);
        assert_eq!(answer.brokers.len(), 3);
        let codes: Vec<i16> = answer.topics.iter().map(|t| t.error_code).collect();
        assert_eq!(codes, [0, 3, 17]);
        let leaders: Vec<i32> = answer.topics[0]
            .partitions
            .iter()
            .map(|p| p.leader_id.0)
            .collect();
        assert_eq!(leaders, [1, 2, 3]);
        if version >= 12 {
            let by_id = |id| {
                metadata_request::MetadataRequestTopic::default()
                    .with_name(None)
                    .with_topic_id(id)
            };
            let request = MetadataRequest::default()
                .with_topics(Some(vec![by_id(id), by_id(uuid::Uuid::max())]));
            let answer = bench.ask(2, version, &request);
            assert_eq!(answer.topics[0].name.as_ref().unwrap().as_str(), "t");
            assert_eq!(answer.topics[1].error_code, 100);
        }
        let all = if version == 0 { Some(Vec::new()) } else { None };
        assert_eq!(
            bench
                .ask(1, version, &MetadataRequest::default().with_topics(all))
                .topics
                .len(),
            1
        );
    }
}

fn produce(version: i16, id: uuid::Uuid, records: Bytes) -> ProduceRequest {
    let data = produce_request::PartitionProduceData::default().with_records(Some(records));
    let mut topic = produce_request::TopicProduceData::default().with_partition_data(vec![data]);
    if version >= 13 {
        topic.topic_id = id;
    } else {
        topic.name = TopicName(text("t"));
    }
    ProduceRequest::default()
        .with_acks(-1)
        .with_topic_data(vec![topic])
}

fn fetch(version: i16, id: uuid::Uuid, offset: i64) -> FetchRequest {
    let partition = fetch_request::FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1000);
    let mut topic = fetch_request::FetchTopic::default().with_partitions(vec![partition]);
    if version >= 13 {
        topic.topic_id = id;
    } else {
        topic.topic = TopicName(text("t"));
    }
    let request = FetchRequest::default()
        .with_topics(vec![topic])
        .with_max_bytes(1000)
        .with_min_bytes(1);
    if version >= 7 {
        request.with_session_epoch(-1)
    } else {
        request
    }
}

#[test]
fn produce_and_fetch_in_every_version() {
    let mut bench = Bench::new(1);
    let id = bench.topic("t", 1);
    let sent = batch(&[b"one", b"two"], (-1, -1, -1), 5);
    for (i, version) in versions(api_key::PRODUCE).enumerate() {
        let answer = bench.ask(1, version, &produce(version, id, sent.clone()));
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!(
            (partition.error_code, partition.base_offset),
            (0, i as i64 * 2)
        );
    }
    for version in versions(api_key::FETCH) {
        let answer = bench.ask(1, version, &fetch(version, id, 3));
        let partition = &answer.responses[0].partitions[0];
        assert_eq!((partition.error_code, partition.high_watermark), (0, 22));
        let records = partition.records.as_ref().unwrap();
        assert_eq!(
            records.len(),
            10 * sent.len(),
            "from the batch that holds offset 3"
        );
        assert_eq!(records[..8], 2i64.to_be_bytes());
        assert_eq!(records[16..sent.len()], sent[16..]);
        let answer = bench.ask(1, version, &fetch(version, id, 23));
        assert_eq!(answer.responses[0].partitions[0].error_code, 1);
    }
}

/// A default request answered in every version.
fn every_version<R: Request>(make: impl Fn(i16) -> R, check: impl Fn(R::Response)) {
    let mut bench = Bench::new(1);
    // What the crate can't encode has a test of its own.
    let known = versions(R::KEY).take_while(|version| *version <= R::VERSIONS.max);
    for version in known {
        bench.core.delete_topic("t");
        bench.topic("t", 1);
        let answer = bench.ask(1, version, &make(version));
        check(answer);
    }
}

fn t() -> TopicName {
    TopicName(text("t"))
}

#[test]
fn topics_are_made_and_unmade_in_every_version() {
    every_version(
        |_| {
            let topic = create_topics_request::CreatableTopic::default()
                .with_num_partitions(2)
                .with_replication_factor(1);
            CreateTopicsRequest::default().with_topics(vec![
                topic.clone().with_name(t()),
                topic.with_name(TopicName(text("u"))),
            ])
        },
        |answer| assert_eq!(answer.topics[0].error_code, 36),
    );
    every_version(
        |version| match version {
            6 => DeleteTopicsRequest::default().with_topics(vec![
                delete_topics_request::DeleteTopicState::default().with_name(Some(t())),
            ]),
            _ => DeleteTopicsRequest::default().with_topic_names(vec![t()]),
        },
        |answer| assert_eq!(answer.responses[0].error_code, 0),
    );
    every_version(
        |_| {
            let topic = create_partitions_request::CreatePartitionsTopic::default()
                .with_name(t())
                .with_count(3)
                .with_assignments(None);
            CreatePartitionsRequest::default().with_topics(vec![topic])
        },
        |answer| assert_eq!(answer.results[0].error_code, 0),
    );
}

#[test]
fn descriptions_in_every_version() {
    every_version(
        |_| {
            let resource = describe_configs_request::DescribeConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(text("t"))
                .with_configuration_keys(None);
            DescribeConfigsRequest::default()
                .with_resources(vec![resource])
                .with_include_synonyms(true)
        },
        |answer| {
            assert_eq!(
                (
                    answer.results[0].error_code,
                    answer.results[0].configs.len()
                ),
                (0, 37)
            )
        },
    );
    every_version(
        |_| DescribeClusterRequest::default(),
        |answer| assert_eq!((answer.error_code, answer.brokers.len()), (0, 1)),
    );
    every_version(
        |_| {
            let topic = describe_topic_partitions_request::TopicRequest::default().with_name(t());
            DescribeTopicPartitionsRequest::default()
                .with_topics(vec![topic])
                .with_response_partition_limit(10)
        },
        |answer| assert_eq!(answer.topics[0].partitions.len(), 1),
    );
}

#[test]
fn offsets_and_coordinators_in_every_version() {
    every_version(
        |_| {
            let partition =
                list_offsets_request::ListOffsetsPartition::default().with_timestamp(-1);
            let topic = list_offsets_request::ListOffsetsTopic::default()
                .with_name(t())
                .with_partitions(vec![partition]);
            ListOffsetsRequest::default().with_topics(vec![topic])
        },
        |answer| {
            assert_eq!(
                (
                    answer.topics[0].partitions[0].error_code,
                    answer.topics[0].partitions[0].offset
                ),
                (0, 0)
            )
        },
    );
    every_version(
        |_| {
            let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
                .with_leader_epoch(0);
            let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
                .with_topic(t())
                .with_partitions(vec![partition]);
            OffsetForLeaderEpochRequest::default().with_topics(vec![topic])
        },
        |answer| {
            assert_eq!(
                (
                    answer.topics[0].partitions[0].error_code,
                    answer.topics[0].partitions[0].end_offset
                ),
                (0, 0)
            )
        },
    );
    every_version(
        |_| InitProducerIdRequest::default().with_transactional_id(None),
        |answer| assert_eq!(answer.error_code, 0),
    );
    every_version(
        |version| match version {
            0..=3 => FindCoordinatorRequest::default().with_key(text("g")),
            _ => FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")]),
        },
        |answer| assert!(answer.node_id.0 == 1 || answer.coordinators[0].node_id.0 == 1),
    );
}

#[test]
fn a_group_of_one_lives_in_every_version() {
    for version in versions(api_key::JOIN_GROUP) {
        let mut bench = Bench::new(1);
        bench.topic("t", 1);
        let protocol = join_group_request::JoinGroupRequestProtocol::default()
            .with_name(text("range"))
            .with_metadata(Bytes::from_static(b"meta"));
        let mut join = JoinGroupRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_session_timeout_ms(10_000)
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol]);
        if version >= 1 {
            join.rebalance_timeout_ms = 10_000;
        }
        if version >= 4 {
            let told = bench.ask(1, version, &join);
            assert_eq!(told.error_code, 79);
            join.member_id = told.member_id;
        }
        let mut actions = bench.actions(1, version, &join);
        assert!(actions.is_empty(), "an empty group has a delay, if of 0");
        bench.core.tick(bench.now, &mut actions);
        let [Action::Reply { parts, .. }] = actions.as_slice() else {
            panic!("{actions:?}")
        };
        let joined = decode::<JoinGroupRequest>(version, parts);
        assert_eq!((joined.error_code, joined.generation_id), (0, 1));
        assert_eq!(joined.members[0].metadata, "meta");
        let assignment = sync_group_request::SyncGroupRequestAssignment::default()
            .with_member_id(joined.member_id.clone())
            .with_assignment(Bytes::from_static(b"all"));
        for sync_version in versions(api_key::SYNC_GROUP) {
            let mut sync = SyncGroupRequest::default()
                .with_group_id(GroupId(text("g")))
                .with_generation_id(1)
                .with_member_id(joined.member_id.clone())
                .with_assignments(vec![assignment.clone()]);
            if sync_version >= 5 {
                assert_eq!(bench.ask(1, sync_version, &sync).error_code, 23);
                sync.protocol_type = Some(text("consumer"));
                sync.protocol_name = Some(text("range"));
            }
            let synced = bench.ask(1, sync_version, &sync);
            assert_eq!((synced.error_code, synced.assignment), (0, "all".into()));
        }
        for version in versions(api_key::HEARTBEAT) {
            let heartbeat = HeartbeatRequest::default()
                .with_group_id(GroupId(text("g")))
                .with_generation_id(1)
                .with_member_id(joined.member_id.clone());
            assert_eq!(bench.ask(1, version, &heartbeat).error_code, 0);
        }
        for version in versions(api_key::DESCRIBE_GROUPS) {
            let describe = DescribeGroupsRequest::default().with_groups(vec![GroupId(text("g"))]);
            let described = bench.ask(1, version, &describe);
            assert_eq!(described.groups[0].group_state.as_str(), "Stable");
            assert_eq!(described.groups[0].members[0].member_assignment, "all");
        }
        for version in versions(api_key::LIST_GROUPS) {
            let listed = bench.ask(1, version, &ListGroupsRequest::default());
            assert_eq!(listed.groups[0].group_id.as_str(), "g");
        }
        let delete = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text("g"))]);
        assert_eq!(bench.ask(1, 2, &delete).results[0].error_code, 68);
        let version = version.min(5);
        let leave = LeaveGroupRequest::default().with_group_id(GroupId(text("g")));
        let leave = if version >= 3 {
            let member = leave_group_request::MemberIdentity::default()
                .with_member_id(joined.member_id.clone());
            leave.with_members(vec![member])
        } else {
            leave.with_member_id(joined.member_id.clone())
        };
        let left = bench.ask(1, version, &leave);
        assert_eq!(left.error_code, 0);
        assert!(left.members.iter().all(|m| m.error_code == 0));
        for version in versions(api_key::DELETE_GROUPS) {
            let expected = if version == 0 { 0 } else { 69 };
            assert_eq!(
                bench.ask(1, version, &delete).results[0].error_code,
                expected
            );
        }
        let topic = offset_delete_request::OffsetDeleteRequestTopic::default()
            .with_name(t())
            .with_partitions(vec![Default::default()]);
        let offsets = OffsetDeleteRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_topics(vec![topic]);
        assert_eq!(bench.ask(1, 0, &offsets).error_code, 69);
    }
}

#[test]
fn a_group_of_the_new_protocol_in_every_version() {
    for version in versions(api_key::CONSUMER_GROUP_HEARTBEAT) {
        let mut bench = Bench::new(1);
        let id = bench.topic("t", 2);
        let join = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_member_id(text("m"))
            .with_rebalance_timeout_ms(10_000)
            .with_subscribed_topic_names(Some(vec![t()]))
            .with_topic_partitions(Some(vec![]));
        let joined = bench.ask(1, version, &join);
        assert_eq!((joined.error_code, joined.member_epoch), (0, 2));
        let assigned = joined.assignment.unwrap().topic_partitions;
        assert_eq!(
            (assigned[0].topic_id, assigned[0].partitions.len()),
            (id, 2)
        );
        for version in versions(api_key::CONSUMER_GROUP_DESCRIBE) {
            let describe = ConsumerGroupDescribeRequest::default()
                .with_group_ids(vec![GroupId(text("g")), GroupId(text("none"))]);
            let described = bench.ask(1, version, &describe);
            assert_eq!(described.groups[0].group_state.as_str(), "Stable");
            let member = &described.groups[0].members[0];
            assert_eq!(member.assignment.topic_partitions[0].partitions, [0, 1]);
            assert_eq!(described.groups[1].error_code, 69);
        }
        let fetch = |member: &str, epoch| {
            let group = offset_fetch_request::OffsetFetchRequestGroup::default()
                .with_group_id(GroupId(text("g")))
                .with_member_id(Some(text(member.to_owned())))
                .with_member_epoch(epoch)
                .with_topics(None);
            OffsetFetchRequest::default().with_groups(vec![group])
        };
        for (member, epoch, code) in [("m", 2, 0), ("m", 3, 113), ("x", 2, 25)] {
            let fetched = bench.ask(1, 9, &fetch(member, epoch));
            assert_eq!(fetched.groups[0].error_code, code);
        }
        let leave = join.clone().with_member_epoch(-1);
        assert_eq!(bench.ask(1, version, &leave).member_epoch, -1);
        bench.core.options.new_group_protocol = false;
        let mut out = Vec::new();
        let frame = frame(version, &join);
        bench.core.frame(bench.now, bench.conns[0], frame, &mut out);
        assert!(matches!(out[..], [Action::Close { .. }]));
    }
}

#[test]
fn committed_offsets_come_back_in_every_version() {
    every_version(
        |_| {
            let partition = offset_commit_request::OffsetCommitRequestPartition::default()
                .with_committed_offset(5)
                .with_committed_metadata(Some(text("m")));
            let topic = offset_commit_request::OffsetCommitRequestTopic::default()
                .with_name(t())
                .with_partitions(vec![partition]);
            OffsetCommitRequest::default()
                .with_group_id(GroupId(text("g")))
                .with_generation_id_or_member_epoch(-1)
                .with_topics(vec![topic])
        },
        |answer| assert_eq!(answer.topics[0].partitions[0].error_code, 0),
    );
    every_version(
        |version| match version {
            0..=7 => {
                let topic = offset_fetch_request::OffsetFetchRequestTopic::default()
                    .with_name(t())
                    .with_partition_indexes(vec![0]);
                OffsetFetchRequest::default()
                    .with_group_id(GroupId(text("g")))
                    .with_topics(Some(vec![topic]))
            }
            _ => {
                let topic = offset_fetch_request::OffsetFetchRequestTopics::default()
                    .with_name(t())
                    .with_partition_indexes(vec![0]);
                let group = offset_fetch_request::OffsetFetchRequestGroup::default()
                    .with_group_id(GroupId(text("g")))
                    .with_topics(Some(vec![topic]));
                OffsetFetchRequest::default().with_groups(vec![group])
            }
        },
        |answer| match answer.groups.first() {
            Some(group) => assert_eq!(group.topics[0].partitions[0].committed_offset, -1),
            None => assert_eq!(answer.topics[0].partitions[0].committed_offset, -1),
        },
    );
}

/// Sends a request in the version that names topics by their ids.
fn ask_by_id<R: Request>(bench: &mut Bench, write: impl Fn(&mut Vec<u8>)) -> R::Response {
    let mut frame = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(offsets::BY_ID)
        .with_correlation_id(77);
    header.encode(&mut frame, 2).unwrap();
    let mut body = frame.to_vec();
    write(&mut body);
    let mut out = Vec::new();
    bench
        .core
        .frame(bench.now, bench.conns[0], Bytes::from(body), &mut out);
    let [Action::Reply { parts, .. }] = out.as_slice() else {
        panic!("{out:?}");
    };
    decode::<R>(offsets::BY_ID, parts)
}

#[test]
fn offsets_are_committed_and_found_by_the_ids_of_topics() {
    let mut bench = Bench::new(1);
    let first = bench.topic("t", 1);
    let commit = |bench: &mut Bench, id, offset| {
        let partition = offset_commit_request::OffsetCommitRequestPartition::default()
            .with_committed_offset(offset);
        let topic = offset_commit_request::OffsetCommitRequestTopic::default()
            .with_topic_id(id)
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_topics(vec![topic]);
        let write = |out: &mut Vec<u8>| offsets::write_commit(out, &request);
        let answer = ask_by_id::<OffsetCommitRequest>(bench, write);
        assert_eq!(answer.topics[0].topic_id, id);
        answer.topics[0].partitions[0].error_code
    };
    let found = |bench: &mut Bench, id| {
        let topic = offset_fetch_request::OffsetFetchRequestTopics::default()
            .with_topic_id(id)
            .with_partition_indexes(vec![0]);
        let group = offset_fetch_request::OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text("g")))
            .with_topics(Some(vec![topic]));
        let request = OffsetFetchRequest::default().with_groups(vec![group]);
        let write = |out: &mut Vec<u8>| offsets::write_fetch(out, &request);
        let answer = ask_by_id::<OffsetFetchRequest>(bench, write);
        let topic = &answer.groups[0].topics[0];
        assert_eq!(topic.topic_id, id);
        let partition = &topic.partitions[0];
        (partition.error_code, partition.committed_offset)
    };
    assert_eq!(commit(&mut bench, first, 5), 0);
    assert_eq!(found(&mut bench, first), (0, 5));
    // The topic made anew is another one.
    bench.core.delete_topic("t");
    let second = bench.topic("t", 1);
    let unknown = ottla_base::error::ErrorCode::UNKNOWN_TOPIC_ID.0 as i16;
    assert_eq!(commit(&mut bench, first, 6), unknown);
    assert_eq!(found(&mut bench, first), (unknown, -1));
    assert_eq!(found(&mut bench, second), (0, -1));
    assert_eq!(commit(&mut bench, second, 1), 0);
    assert_eq!(found(&mut bench, second), (0, 1));
}
