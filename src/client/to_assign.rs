//! What a group's leader shares out, as programs with a strategy of their own see it.

use std::sync::Arc;

/// A member of the group, as the leader sees it.
#[derive(Clone, Debug, Default)]
pub struct GroupMember {
    /// Its id, by which it is given partitions.
    pub id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// The topics it subscribes to.
    pub topics: Vec<Arc<str>>,
    /// The partitions it has.
    pub owned: Vec<(Arc<str>, i32)>,
    /// What its own assignor tells besides.
    pub user_data: Option<Vec<u8>>,
    /// Where it runs (`client.rack`).
    pub rack: Option<String>,
}

/// What the program is asked when its own strategy is the group's and it is the leader.
#[derive(Clone, Debug, Default)]
pub struct GroupToAssign {
    /// All members, this one among them.
    pub members: Vec<GroupMember>,
    /// The topics that somebody subscribes to and that exist, with their numbers of partitions.
    pub topics: Vec<(Arc<str>, i32)>,
}
