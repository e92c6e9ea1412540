//! Balanced, and as much as possible as it was.

use std::collections::{BTreeMap, BTreeSet};

use crate::group::assignors::{Member, Shares, Topics, give, nothing};
use crate::topic::TopicPartition;

/// Who has which partition by the members' own word. A claim of an older generation gives way to a newer one; where two
/// members claim the same in one generation, neither has it.
fn owners<'a>(members: &[&'a Member], topics: &Topics) -> BTreeMap<TopicPartition, &'a Member> {
    let mut claims: BTreeMap<&TopicPartition, (i32, Option<&Member>)> = BTreeMap::new();
    for &member in members {
        for key in &member.owned {
            let (topic, index) = key;
            let exists = usize::try_from(*index)
                .is_ok_and(|i| topics.get(topic).is_some_and(|t| i < t.len()));
            if !exists || !member.topics.contains(topic) {
                continue;
            }
            let generation = member.generation;
            claims
                .entry(key)
                .and_modify(|(newest, owner)| {
                    if generation > *newest {
                        (*newest, *owner) = (generation, Some(member));
                    } else if generation == *newest {
                        *owner = None;
                    }
                })
                .or_insert((generation, Some(member)));
        }
    }
    let each = claims.into_iter();
    each.filter_map(|(key, (_, owner))| Some((key.clone(), owner?)))
        .collect()
}

/// Everyone keeps what they have; what nobody has goes to whoever has least; then partitions move from who has more to
/// who has less, until no move makes the shares more even.
pub(crate) fn assign(members: &[&Member], topics: &Topics) -> Shares {
    let mut shares = nothing(members);
    let owners = owners(members, topics);
    let mut free = Vec::new();
    // Those whom a topic's partitions may go to, by place.
    let mut takers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (topic, partitions) in topics {
        let of_topic: Vec<usize> = (0..members.len())
            .filter(|m| members.get(*m).is_some_and(|m| m.topics.contains(topic)))
            .collect();
        if of_topic.is_empty() {
            continue;
        }
        takers.insert(topic, of_topic);
        for index in 0..partitions.len() {
            let key = (topic.clone(), index as i32);
            match owners.get(&key) {
                Some(owner) => give(&mut shares, &owner.id, key),
                None => free.push(key),
            }
        }
    }
    let mut load: Vec<usize> = members
        .iter()
        .map(|m| shares.get(&m.id).map_or(0, BTreeSet::len))
        .collect();
    // Partitions with the fewest takers first: the others can go anywhere later.
    free.sort_by_key(|(topic, _)| takers.get(&**topic).map_or(0, Vec::len));
    for key in free {
        let least = takers
            .get(&*key.0)
            .and_then(|t| t.iter().min_by_key(|m| (load[**m], **m)));
        if let Some(&least) = least {
            load[least] += 1;
            give(&mut shares, &members[least].id, key);
        }
    }
    balance(members, &takers, &mut load, &mut shares);
    shares
}

fn balance(
    members: &[&Member],
    takers: &BTreeMap<&str, Vec<usize>>,
    load: &mut [usize],
    shares: &mut Shares,
) {
    // Each move makes the sum of the squares of the loads smaller, so this ends.
    loop {
        let mut by_load: Vec<usize> = (0..members.len()).collect();
        by_load.sort_by_key(|m| (std::cmp::Reverse(load[*m]), *m));
        let found = by_load.into_iter().find_map(|from| {
            let share = shares.get(&members[from].id)?;
            share.iter().rev().find_map(|key| {
                let to = takers
                    .get(&*key.0)?
                    .iter()
                    .copied()
                    .filter(|to| load[*to] + 2 <= load[from])
                    .min_by_key(|to| (load[*to], *to))?;
                Some((from, to, key.clone()))
            })
        });
        let Some((from, to, key)) = found else {
            return;
        };
        load[from] -= 1;
        load[to] += 1;
        if let Some(share) = shares.get_mut(&members[from].id) {
            share.remove(&key);
        }
        give(shares, &members[to].id, key);
    }
}

/// The same, but what is to move from one member to another is left out for now: its owner gives it up, which begins the
/// next round, and gets it in that (KIP-429).
pub(crate) fn assign_cooperatively(members: &[&Member], topics: &Topics) -> Shares {
    let mut shares = assign(members, topics);
    let mut claimed: BTreeMap<&TopicPartition, BTreeSet<&str>> = BTreeMap::new();
    for member in members {
        for key in &member.owned {
            claimed.entry(key).or_default().insert(&member.id);
        }
    }
    for (id, share) in &mut shares {
        share.retain(|key| {
            claimed
                .get(key)
                .is_none_or(|by| by.iter().all(|owner| owner == id))
        });
    }
    shares
}
