//! ConsumerGroupDescribe: state and members of groups of the new protocol (KIP-848).

use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, GroupId,
};
use kafka_protocol::protocol::StrBytes;
use ottla_base::error::ErrorCode;

use super::{Cx, GROUP_OPERATIONS, check_group, text, topic_name, wire};
use crate::core::BrokerCore;
use crate::core::cluster::Cluster;
use crate::core::groups::Group;
use crate::core::groups::modern::ModernGroup;
use crate::core::groups::modern_member::{ModernMember, Partitions};

/// What Kafka calls members by the protocol they speak.
const CLASSIC_MEMBER: i8 = 0;
const CONSUMER_MEMBER: i8 = 1;

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let groups = request.group_ids.into_iter().map(|name| {
        let described = describe(core, cx, name);
        if request.include_authorized_operations && described.error_code == 0 {
            described.with_authorized_operations(GROUP_OPERATIONS)
        } else {
            described
        }
    });
    ConsumerGroupDescribeResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_groups(groups.collect())
}

fn describe(core: &BrokerCore, cx: &Cx, name: GroupId) -> DescribedGroup {
    let described = DescribedGroup::default().with_group_id(name.clone());
    if let Err(code) = check_group(core, cx, &name) {
        return described.with_error_code(wire(code));
    }
    let missing = |words: String| {
        DescribedGroup::default()
            .with_group_id(name.clone())
            .with_error_code(wire(ErrorCode::GROUP_ID_NOT_FOUND))
            .with_error_message(Some(text(words)))
    };
    match core.groups.get(&name) {
        Some(Group::Modern(group)) => of_modern(cx, &core.cluster, described, group),
        Some(Group::Classic(_)) => {
            missing(format!("Group {} is not a consumer group.", name.as_str()))
        }
        None => missing(format!("Group {} not found.", name.as_str())),
    }
}

fn of_modern(
    cx: &Cx,
    cluster: &Cluster,
    described: DescribedGroup,
    group: &ModernGroup,
) -> DescribedGroup {
    let members = group.members.iter().map(|(id, m)| {
        let target = group.target.get(id).cloned().unwrap_or_default();
        member(cx, cluster, id, m, target)
    });
    described
        .with_group_state(StrBytes::from_static_str(group.state_name()))
        .with_group_epoch(group.epoch)
        .with_assignment_epoch(group.assignment_epoch)
        .with_assignor_name(text(group.assignor()))
        .with_members(members.collect())
}

fn member(cx: &Cx, cluster: &Cluster, id: &str, m: &ModernMember, target: Partitions) -> Member {
    let optional = |value: &Option<String>| value.clone().map(StrBytes::from_string);
    let mut member = Member::default()
        .with_member_id(text(id))
        .with_instance_id(optional(&m.instance))
        .with_rack_id(optional(&m.rack))
        .with_member_epoch(m.epoch)
        .with_client_id(text(m.client_id.as_str()))
        .with_client_host(text(m.client_host.as_str()))
        .with_subscribed_topic_names(m.topics.iter().map(|t| topic_name(t)).collect())
        .with_subscribed_topic_regex(Some(text(m.regex.clone().unwrap_or_default())))
        .with_assignment(assignment(cluster, m.holdings()))
        .with_target_assignment(assignment(cluster, target));
    if cx.version >= 1 {
        let classic = m.classic.is_some();
        member.member_type = if classic {
            CLASSIC_MEMBER
        } else {
            CONSUMER_MEMBER
        };
    }
    member
}

/// Topics that are gone have no name to be shown with.
fn assignment(cluster: &Cluster, partitions: Partitions) -> Assignment {
    let topics = partitions.into_iter().filter_map(|(topic, of)| {
        let name = cluster.name_of(topic)?;
        Some(
            TopicPartitions::default()
                .with_topic_id(topic)
                .with_topic_name(topic_name(name))
                .with_partitions(of.into_iter().collect()),
        )
    });
    Assignment::default().with_topic_partitions(topics.collect())
}
