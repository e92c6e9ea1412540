//! Partition after partition, member after member.

use crate::group::assignors::{Member, Shares, Topics, give, nothing};

/// Goes round the members (in their order) once for all topics; a member that does not want a topic is passed over.
pub(crate) fn assign(members: &[&Member], topics: &Topics) -> Shares {
    let mut shares = nothing(members);
    let mut turn = 0;
    for (topic, partitions) in topics {
        if !members.iter().any(|m| m.topics.contains(topic)) {
            continue;
        }
        for index in 0..partitions.len() {
            while let Some(member) = members.get(turn % members.len()) {
                turn += 1;
                if member.topics.contains(topic) {
                    give(&mut shares, &member.id, (topic.clone(), index as i32));
                    break;
                }
            }
        }
    }
    shares
}
