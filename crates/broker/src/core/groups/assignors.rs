//! The assignors on the broker's side, as Kafka has them: `uniform` (balanced and sticky) and `range`.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::modern_member::Partitions;

/// Their names, the default first.
pub(crate) const ASSIGNORS: [&str; 2] = ["uniform", "range"];

/// A member as an assignor sees it.
#[derive(Clone, Debug)]
pub(crate) struct Subscriber {
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) topics: BTreeSet<Uuid>,
    /// What it was to have until now.
    pub(crate) target: Partitions,
}

/// What each member is to have, in the order of `members`; `counts` are the topics' numbers of partitions.
pub(crate) fn assign(
    name: &str,
    members: &[Subscriber],
    counts: &BTreeMap<Uuid, i32>,
) -> Vec<Partitions> {
    if name == "range" {
        range(members, counts)
    } else {
        uniform(members, counts)
    }
}

/// Per topic, consecutive partitions to each subscriber, the first ones one more where it does not come out even.
/// Static members come first, by instance id; so the same partition numbers of several topics go to one member.
fn range(members: &[Subscriber], counts: &BTreeMap<Uuid, i32>) -> Vec<Partitions> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    let key = |i: &usize| {
        let m = &members[*i];
        (m.instance.is_none(), m.instance.clone(), m.id.clone())
    };
    order.sort_by_key(key);
    let mut assigned = vec![Partitions::new(); members.len()];
    for (&topic, &count) in counts {
        let subscribers: Vec<usize> = order
            .iter()
            .copied()
            .filter(|&i| members[i].topics.contains(&topic))
            .collect();
        if subscribers.is_empty() {
            continue;
        }
        let number = subscribers.len() as i32;
        let (each, more) = (count / number, count % number);
        let mut next = 0;
        for (i, &member) in subscribers.iter().enumerate() {
            let end = next + each + i32::from((i as i32) < more);
            if next < end {
                assigned[member].insert(topic, (next..end).collect());
            }
            next = end;
        }
    }
    assigned
}

/// As even as can be, over all topics, with as few moves as that takes.
fn uniform(members: &[Subscriber], counts: &BTreeMap<Uuid, i32>) -> Vec<Partitions> {
    let same = members.windows(2).all(|w| w[0].topics == w[1].topics);
    let mut state = Uniform::keep(members, counts, same);
    state.give(members);
    if !same {
        state.balance(members);
    }
    state.assigned
}

struct Uniform {
    assigned: Vec<Partitions>,
    sizes: Vec<usize>,
    free: Vec<(Uuid, i32)>,
    /// How many each may have, where all want the same topics.
    quotas: Option<Vec<usize>>,
}

impl Uniform {
    /// Each keeps what it had, as far as it still wants it and may have so many.
    fn keep(members: &[Subscriber], counts: &BTreeMap<Uuid, i32>, same: bool) -> Uniform {
        let wanted = |topic: &Uuid| members.iter().any(|m| m.topics.contains(topic));
        let topics = counts.iter().filter(|(topic, _)| wanted(topic));
        let mut free: BTreeSet<(Uuid, i32)> = topics
            .flat_map(|(&topic, &count)| (0..count).map(move |p| (topic, p)))
            .collect();
        let total = free.len();
        let number = members.len().max(1);
        let quotas: Option<Vec<usize>> = same.then(|| {
            (0..members.len())
                .map(|i| total / number + usize::from(i < total % number))
                .collect()
        });
        let mut assigned = vec![Partitions::new(); members.len()];
        let mut sizes = vec![0; members.len()];
        for (i, member) in members.iter().enumerate() {
            let quota = quotas.as_ref().map_or(usize::MAX, |q| q[i]);
            for (&topic, partitions) in &member.target {
                for &partition in partitions {
                    let may = member.topics.contains(&topic) && sizes[i] < quota;
                    if may && free.remove(&(topic, partition)) {
                        assigned[i].entry(topic).or_default().insert(partition);
                        sizes[i] += 1;
                    }
                }
            }
        }
        Uniform {
            assigned,
            sizes,
            free: free.into_iter().collect(),
            quotas,
        }
    }

    /// What nobody has goes to those with room, or to those with the least.
    fn give(&mut self, members: &[Subscriber]) {
        for (topic, partition) in std::mem::take(&mut self.free) {
            let chosen = match &self.quotas {
                Some(quotas) => (0..members.len()).find(|&i| self.sizes[i] < quotas[i]),
                None => self.least(members, topic),
            };
            if let Some(i) = chosen {
                self.assigned[i].entry(topic).or_default().insert(partition);
                self.sizes[i] += 1;
            }
        }
    }

    fn least(&self, members: &[Subscriber], topic: Uuid) -> Option<usize> {
        let subscribers = (0..members.len()).filter(|&i| members[i].topics.contains(&topic));
        subscribers.min_by_key(|&i| self.sizes[i])
    }

    /// Moves partitions from those with more to those with less until no move makes it more even. Each move brings
    /// two sizes closer, so that it ends.
    fn balance(&mut self, members: &[Subscriber]) {
        while let Some((from, to, topic, partition)) = self.useful_move(members) {
            if let Some(partitions) = self.assigned[from].get_mut(&topic) {
                partitions.remove(&partition);
                if partitions.is_empty() {
                    self.assigned[from].remove(&topic);
                }
            }
            self.assigned[to]
                .entry(topic)
                .or_default()
                .insert(partition);
            self.sizes[from] -= 1;
            self.sizes[to] += 1;
        }
    }

    fn useful_move(&self, members: &[Subscriber]) -> Option<(usize, usize, Uuid, i32)> {
        let mut by_size: Vec<usize> = (0..members.len()).collect();
        by_size.sort_by_key(|&i| std::cmp::Reverse(self.sizes[i]));
        for from in by_size {
            for (&topic, partitions) in &self.assigned[from] {
                if let Some(to) = self.least(members, topic)
                    && self.sizes[to] + 1 < self.sizes[from]
                    && let Some(&partition) = partitions.last()
                {
                    return Some((from, to, topic, partition));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn member(id: &str, topics: &[u128], target: &[(u128, &[i32])]) -> Subscriber {
        Subscriber {
            id: id.to_owned(),
            instance: None,
            topics: topics.iter().map(|&n| topic(n)).collect(),
            target: partitions(target),
        }
    }

    fn partitions(of: &[(u128, &[i32])]) -> Partitions {
        of.iter()
            .map(|&(n, p)| (topic(n), p.iter().copied().collect()))
            .collect()
    }

    fn counts(of: &[(u128, i32)]) -> BTreeMap<Uuid, i32> {
        of.iter().map(|&(n, count)| (topic(n), count)).collect()
    }

    #[test]
    fn ranges_are_consecutive_and_the_same_for_every_topic() {
        let members = [member("b", &[1, 2], &[]), member("a", &[1, 2], &[])];
        let assigned = assign("range", &members, &counts(&[(1, 3), (2, 3)]));
        assert_eq!(assigned[1], partitions(&[(1, &[0, 1]), (2, &[0, 1])]));
        assert_eq!(assigned[0], partitions(&[(1, &[2]), (2, &[2])]));
        let mut fixed = members.to_vec();
        fixed[0].instance = Some("i".to_owned());
        let assigned = assign("range", &fixed, &counts(&[(1, 3)]));
        assert_eq!(
            assigned[0],
            partitions(&[(1, &[0, 1])]),
            "static members first"
        );
        let differing = [member("a", &[1], &[]), member("b", &[1, 2], &[])];
        let assigned = assign("range", &differing, &counts(&[(1, 2), (2, 2)]));
        assert_eq!(assigned[1], partitions(&[(1, &[1]), (2, &[0, 1])]));
    }

    #[test]
    fn uniform_is_even_and_keeps_what_it_can() {
        let counts = counts(&[(1, 4), (2, 3)]);
        let members = [
            member("a", &[1, 2], &[(1, &[0, 1, 2, 3]), (2, &[0, 1, 2])]),
            member("b", &[1, 2], &[]),
        ];
        let assigned = assign("uniform", &members, &counts);
        let sizes = |assigned: &[Partitions]| -> Vec<usize> {
            assigned
                .iter()
                .map(|a| a.values().map(BTreeSet::len).sum())
                .collect()
        };
        assert_eq!(sizes(&assigned), [4, 3]);
        assert_eq!(assigned[0], partitions(&[(1, &[0, 1, 2, 3])]));
        let alone = [member("b", &[1, 2], &[(2, &[0, 1, 2])])];
        assert_eq!(sizes(&assign("uniform", &alone, &counts)), [7]);
    }

    #[test]
    fn uniform_balances_what_not_all_want() {
        let members = [
            member("a", &[1, 2], &[(1, &[0, 1, 2, 3])]),
            member("b", &[1], &[]),
            member("c", &[2], &[]),
        ];
        let assigned = assign("uniform", &members, &counts(&[(1, 4), (2, 2)]));
        let all: usize = assigned
            .iter()
            .flat_map(|a| a.values())
            .map(BTreeSet::len)
            .sum();
        assert_eq!(all, 6);
        for (a, m) in assigned.iter().zip(&members) {
            assert_eq!(a.values().map(BTreeSet::len).sum::<usize>(), 2);
            assert!(a.keys().all(|t| m.topics.contains(t)));
        }
        assert_eq!(assign("uniform", &[], &counts(&[(1, 4)])), []);
    }
}
