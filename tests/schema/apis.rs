//! Every API of kafka-protocol, as functions that one loop can call.

use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Message, Request, VersionRange};
use ottla::Result;
use ottla::protocol::schema::{Kind, decode_request, decode_response};

/// One half of an API.
pub(crate) struct Half {
    pub(crate) key: i16,
    pub(crate) kind: Kind,
    pub(crate) versions: VersionRange,
    /// The default message, encoded.
    pub(crate) default: fn(i16) -> Bytes,
    /// Decodes through ottla and drops the message.
    pub(crate) decode: fn(i16, i16, Bytes) -> Result<()>,
    /// Decodes through kafka-protocol alone, encodes and decodes again; the same message must come out. Returns what
    /// was encoded.
    pub(crate) again: fn(i16, Bytes) -> Bytes,
}

fn encoded<T: Encodable>(message: &T, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(&mut out, version).expect("encodes");
    out.freeze()
}

fn decoded<T: Decodable>(mut body: Bytes, version: i16) -> T {
    let message = T::decode(&mut body, version).expect("decodes");
    assert!(body.is_empty(), "{} bytes not decoded", body.len());
    message
}

fn half<T>(key: i16, kind: Kind) -> Half
where
    T: Message + Encodable + Decodable + Default + PartialEq + Debug,
{
    Half {
        key,
        kind,
        versions: T::VERSIONS,
        default: |version| encoded(&T::default(), version),
        decode: match kind {
            Kind::Request => |key, version, body| decode_request::<T>(key, version, body).map(drop),
            Kind::Response => {
                |key, version, body| decode_response::<T>(key, version, body).map(drop)
            }
        },
        again: |version, body| {
            let message: T = decoded(body, version);
            let bytes = encoded(&message, version);
            assert_eq!(decoded::<T>(bytes.clone(), version), message);
            bytes
        },
    }
}

macro_rules! halves {
    ($($request:ident,)*) => {
        vec![$(
            half::<$request>($request::KEY, Kind::Request),
            half::<<$request as Request>::Response>($request::KEY, Kind::Response),
        )*]
    };
}

/// Requests and responses of every API.
pub(crate) fn halves() -> Vec<Half> {
    halves![
        ProduceRequest,
        FetchRequest,
        ListOffsetsRequest,
        MetadataRequest,
        OffsetCommitRequest,
        OffsetFetchRequest,
        FindCoordinatorRequest,
        JoinGroupRequest,
        HeartbeatRequest,
        LeaveGroupRequest,
        SyncGroupRequest,
        DescribeGroupsRequest,
        ListGroupsRequest,
        SaslHandshakeRequest,
        ApiVersionsRequest,
        CreateTopicsRequest,
        DeleteTopicsRequest,
        DeleteRecordsRequest,
        InitProducerIdRequest,
        OffsetForLeaderEpochRequest,
        AddPartitionsToTxnRequest,
        AddOffsetsToTxnRequest,
        EndTxnRequest,
        WriteTxnMarkersRequest,
        TxnOffsetCommitRequest,
        DescribeAclsRequest,
        CreateAclsRequest,
        DeleteAclsRequest,
        DescribeConfigsRequest,
        AlterConfigsRequest,
        AlterReplicaLogDirsRequest,
        DescribeLogDirsRequest,
        SaslAuthenticateRequest,
        CreatePartitionsRequest,
        CreateDelegationTokenRequest,
        RenewDelegationTokenRequest,
        ExpireDelegationTokenRequest,
        DescribeDelegationTokenRequest,
        DeleteGroupsRequest,
        ElectLeadersRequest,
        IncrementalAlterConfigsRequest,
        AlterPartitionReassignmentsRequest,
        ListPartitionReassignmentsRequest,
        OffsetDeleteRequest,
        DescribeClientQuotasRequest,
        AlterClientQuotasRequest,
        DescribeUserScramCredentialsRequest,
        AlterUserScramCredentialsRequest,
        VoteRequest,
        BeginQuorumEpochRequest,
        EndQuorumEpochRequest,
        DescribeQuorumRequest,
        AlterPartitionRequest,
        UpdateFeaturesRequest,
        EnvelopeRequest,
        FetchSnapshotRequest,
        DescribeClusterRequest,
        DescribeProducersRequest,
        BrokerRegistrationRequest,
        BrokerHeartbeatRequest,
        UnregisterBrokerRequest,
        DescribeTransactionsRequest,
        ListTransactionsRequest,
        AllocateProducerIdsRequest,
        ConsumerGroupHeartbeatRequest,
        ConsumerGroupDescribeRequest,
        ControllerRegistrationRequest,
        GetTelemetrySubscriptionsRequest,
        PushTelemetryRequest,
        AssignReplicasToDirsRequest,
        ListConfigResourcesRequest,
        DescribeTopicPartitionsRequest,
        ShareGroupHeartbeatRequest,
        ShareGroupDescribeRequest,
        ShareFetchRequest,
        ShareAcknowledgeRequest,
        AddRaftVoterRequest,
        RemoveRaftVoterRequest,
        UpdateRaftVoterRequest,
        InitializeShareGroupStateRequest,
        ReadShareGroupStateRequest,
        WriteShareGroupStateRequest,
        DeleteShareGroupStateRequest,
        ReadShareGroupStateSummaryRequest,
        DescribeShareGroupOffsetsRequest,
        AlterShareGroupOffsetsRequest,
        DeleteShareGroupOffsetsRequest,
    ]
}
