//! Shares, as a group's leader gives them.

use super::*;

fn topics(counts: &[(&str, usize)]) -> Topics {
    counts
        .iter()
        .map(|(name, n)| (Arc::from(*name), vec![BTreeSet::new(); *n]))
        .collect()
}

fn member(id: &str, wants: &[&str]) -> Member {
    Member {
        id: id.to_owned(),
        topics: wants.iter().map(|t| Arc::from(*t)).collect(),
        generation: -1,
        ..Member::default()
    }
}

fn owning(mut member: Member, generation: i32, owned: &[(&str, i32)]) -> Member {
    member.owned = owned.iter().map(|(t, p)| (Arc::from(*t), *p)).collect();
    member.generation = generation;
    member
}

/// A member's share as `topic-partition`.
fn share(shares: &Shares, id: &str) -> Vec<String> {
    shares[id].iter().map(|(t, p)| format!("{t}-{p}")).collect()
}

#[test]
fn ranges_lie_side_by_side() {
    let members = [member("b", &["t", "u"]), member("a", &["t", "u"])];
    let shares = Assignor::Range.assign(&members, &topics(&[("t", 3), ("u", 3)]));
    assert_eq!(share(&shares, "a"), ["t-0", "t-1", "u-0", "u-1"]);
    assert_eq!(share(&shares, "b"), ["t-2", "u-2"]);
    // Static members come first, by their instance ids.
    let mut first = member("z", &["t"]);
    first.instance_id = Some("i".to_owned());
    let shares = Assignor::Range.assign(&[member("a", &["t"]), first], &topics(&[("t", 3)]));
    assert_eq!(share(&shares, "z"), ["t-0", "t-1"]);
}

#[test]
fn ranges_go_by_rack_where_that_leaves_them_even() {
    let rack = |id: &str, rack: &str, wants: &[&str]| Member {
        rack: Some(rack.to_owned()),
        ..member(id, wants)
    };
    let on =
        |racks: &[&str]| -> BTreeSet<String> { racks.iter().map(ToString::to_string).collect() };
    let one: Topics = [(
        Arc::from("t"),
        vec![on(&["y"]), on(&["y"]), on(&["x"]), on(&["x"])],
    )]
    .into();
    let members = [rack("a", "x", &["t"]), rack("b", "y", &["t"])];
    let shares = Assignor::Range.assign(&members, &one);
    assert_eq!(share(&shares, "a"), ["t-2", "t-3"]);
    assert_eq!(share(&shares, "b"), ["t-0", "t-1"]);
    // Two topics alike stay side by side: a partition goes by rack only if it does so in both.
    let two: Topics = [
        (Arc::from("t"), vec![on(&["y"]), on(&["x"])]),
        (Arc::from("u"), vec![on(&["y"]), on(&["x"])]),
    ]
    .into();
    let members = [rack("a", "x", &["t", "u"]), rack("b", "y", &["t", "u"])];
    let shares = Assignor::Range.assign(&members, &two);
    assert_eq!(share(&shares, "a"), ["t-1", "u-1"]);
    assert_eq!(share(&shares, "b"), ["t-0", "u-0"]);
    // Everywhere the same racks: as without.
    let same: Topics = [(Arc::from("t"), vec![on(&["x", "y"]); 2])].into();
    let shares = Assignor::Range.assign(&[rack("a", "y", &["t"]), rack("b", "x", &["t"])], &same);
    assert_eq!(share(&shares, "a"), ["t-0"]);
}

#[test]
fn round_robin_goes_round_once_for_all_topics() {
    let members = [member("a", &["t", "u"]), member("b", &["u"])];
    let shares = Assignor::RoundRobin.assign(&members, &topics(&[("t", 2), ("u", 3)]));
    assert_eq!(share(&shares, "a"), ["t-0", "t-1", "u-1"]);
    assert_eq!(share(&shares, "b"), ["u-0", "u-2"]);
    let nobody = Assignor::RoundRobin.assign(&members, &topics(&[("v", 2)]));
    assert!(nobody.values().all(BTreeSet::is_empty));
}

#[test]
fn sticky_moves_no_more_than_has_to_be() {
    let members = [
        owning(member("a", &["t"]), 3, &[("t", 0), ("t", 1), ("t", 2)]),
        owning(member("b", &["t"]), 3, &[("t", 3)]),
        member("c", &["t"]),
    ];
    let six = topics(&[("t", 6)]);
    let shares = Assignor::Sticky.assign(&members, &six);
    assert_eq!(
        shares.values().map(BTreeSet::len).collect::<Vec<_>>(),
        [2, 2, 2]
    );
    assert_eq!(share(&shares, "a"), ["t-0", "t-1"]);
    assert!(share(&shares, "b").contains(&"t-3".to_owned()));
    // Cooperatively, what moves is nobody's for now.
    let shares = Assignor::CooperativeSticky.assign(&members, &six);
    assert_eq!(share(&shares, "a"), ["t-0", "t-1"]);
    assert!(shares.values().all(|s| !s.contains(&(Arc::from("t"), 2))));
}

#[test]
fn older_claims_give_way_and_equal_ones_cancel() {
    let one = topics(&[("t", 2)]);
    let members = [
        owning(member("a", &["t"]), 2, &[("t", 0), ("t", 1)]),
        owning(member("b", &["t"]), 3, &[("t", 0)]),
    ];
    let shares = Assignor::Sticky.assign(&members, &one);
    assert_eq!(share(&shares, "b"), ["t-0"]);
    // A cooperative member does not get what another one still believes to have.
    let shares = Assignor::CooperativeSticky.assign(&members, &one);
    assert_eq!(share(&shares, "b"), [""; 0]);
    // Partitions that are gone, or no longer wanted, count for nothing.
    let members = [owning(member("a", &["t"]), 2, &[("t", 7), ("u", 0)])];
    let shares = Assignor::Sticky.assign(&members, &topics(&[("t", 1), ("u", 1)]));
    assert_eq!(share(&shares, "a"), ["t-0"]);
}

#[test]
fn every_strategy_gives_each_wanted_partition_to_one_who_wants_it() {
    let mut rng = crate::rng::Rng::new(7);
    let names = ["p", "q", "r", "s"];
    for round in 0..300 {
        let counts: Vec<(&str, usize)> = names.iter().map(|n| (*n, rng.below(9))).collect();
        let topics = topics(&counts);
        let members: Vec<Member> = (0..1 + rng.below(6))
            .map(|i| {
                let wants: Vec<&str> = names.iter().copied().filter(|_| rng.below(3) > 0).collect();
                let claims: Vec<(&str, i32)> = (0..rng.below(6))
                    .map(|_| (names[rng.below(4)], rng.below(10) as i32))
                    .collect();
                owning(
                    member(&format!("m{i}"), &wants),
                    rng.below(3) as i32,
                    &claims,
                )
            })
            .collect();
        for assignor in [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky] {
            let shares = assignor.assign(&members, &topics);
            assert_eq!(shares.len(), members.len());
            for (topic, partitions) in &topics {
                let takers: Vec<&Member> = members
                    .iter()
                    .filter(|m| m.topics.contains(topic))
                    .collect();
                for index in 0..partitions.len() {
                    let key = (topic.clone(), index as i32);
                    let owners: Vec<&String> = shares
                        .iter()
                        .filter(|(_, s)| s.contains(&key))
                        .map(|(id, _)| id)
                        .collect();
                    assert_eq!(
                        owners.len(),
                        usize::from(!takers.is_empty()),
                        "{round} {assignor:?}"
                    );
                    assert!(owners.iter().all(|id| takers.iter().any(|m| m.id == **id)));
                }
            }
            let given: usize = shares.values().map(BTreeSet::len).sum();
            let wanted = topics
                .iter()
                .filter(|(t, _)| members.iter().any(|m| m.topics.contains(*t)));
            assert_eq!(given, wanted.map(|(_, p)| p.len()).sum::<usize>());
            if assignor == Assignor::Sticky
                && members.windows(2).all(|w| w[0].topics == w[1].topics)
            {
                let loads: Vec<usize> = shares.values().map(BTreeSet::len).collect();
                assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1);
            }
        }
        // Giving the same again changes nothing.
        let shares = Assignor::Sticky.assign(&members, &topics);
        let again: Vec<Member> = members
            .iter()
            .map(|m| Member {
                owned: shares[&m.id].iter().cloned().collect(),
                generation: 9,
                ..m.clone()
            })
            .collect();
        assert_eq!(Assignor::Sticky.assign(&again, &topics), shares);
        assert_eq!(Assignor::CooperativeSticky.assign(&again, &topics), shares);
    }
}
