//! A coordinator that refuses one kind of request for good is asked ever more slowly.

use super::*;

/// The codes that the groups' requests know, and some that they don't.
fn codes() -> impl Iterator<Item = ErrorCode> {
    const CODES: [i32; 31] = [
        -1, 1, 3, 5, 7, 12, 14, 15, 16, 22, 23, 24, 25, 26, 27, 28, 29, 30, 35, 41, 69, 79, 81, 82,
        88, 100, 110, 111, 112, 113, 120,
    ];
    CODES.into_iter().map(ErrorCode)
}

const MINUTE: Duration = Duration::from_secs(60);

/// `key` is refused with each code for a minute, from the start or once the member has joined; no kind of request may be
/// sent more than twice a second on average.
fn refused_for_good(more: &[(&str, &str)], key: i16, later: bool) {
    for code in codes() {
        let mut world = World::new(more);
        world.commits = true;
        if later {
            world.subscribe();
            world.run(Duration::from_secs(10));
            assert!(world.kinds().contains(&EventKind::PartitionsAssigned));
            world.seen.clear();
            world.refused = Some((key, code));
        } else {
            world.refused = Some((key, code));
            world.subscribe();
        }
        world.run(MINUTE);
        let counts: BTreeMap<i16, usize> = world
            .seen
            .iter()
            .map(|(k, seen)| (*k, seen.len()))
            .collect();
        let busy = counts.values().any(|n| *n > 180);
        assert!(!busy, "{key} refused with {}: {counts:?}", code.name());
        // What goes on in a loop does so at a pace of its own: no second half of a minute is busier than that.
        for (k, seen) in &world.seen {
            let late = seen
                .iter()
                .filter(|at| **at + MINUTE / 2 > world.rig.now)
                .count();
            let busy = late > 90;
            assert!(!busy, "{key} refused with {}: {late} of {k}", code.name());
        }
        let told = world.events.len();
        assert!(
            told < 250,
            "{key} refused with {}: {told} events",
            code.name()
        );
    }
}

const CLASSIC: &[(&str, &str)] = &[("group.protocol", "classic")];
const NEW: &[(&str, &str)] = &[("group.protocol", "consumer")];

#[test]
fn the_new_protocols_heartbeat() {
    refused_for_good(NEW, GROUP_HEARTBEAT, false);
    refused_for_good(NEW, GROUP_HEARTBEAT, true);
    refused_for_good(&[], GROUP_HEARTBEAT, false);
}

#[test]
fn the_classic_protocols_requests() {
    for key in [JOIN_GROUP, SYNC_GROUP, HEARTBEAT] {
        refused_for_good(CLASSIC, key, false);
        refused_for_good(CLASSIC, key, true);
    }
}

#[test]
fn commits_and_look_ups() {
    for protocol in [CLASSIC, NEW] {
        refused_for_good(protocol, OFFSET_COMMIT, false);
        refused_for_good(protocol, OFFSET_FETCH, false);
    }
}

#[test]
fn the_coordinator_is_not_told() {
    refused_for_good(NEW, FIND_COORDINATOR, false);
}

#[test]
fn a_member_that_is_told_of_an_old_generation_keeps_its_id() {
    for key in [HEARTBEAT, OFFSET_COMMIT] {
        let mut world = World::new(CLASSIC);
        world.commits = key == OFFSET_COMMIT;
        world.refused = Some((key, ErrorCode::ILLEGAL_GENERATION));
        world.subscribe();
        world.run(Duration::from_secs(9));
        assert_eq!(world.joined_as[..2], ["", "m1"], "{key}");
        assert!(world.kinds().contains(&EventKind::PartitionsLost), "{key}");
    }
    let mut world = World::new(CLASSIC);
    world.refused = Some((HEARTBEAT, ErrorCode::UNKNOWN_MEMBER_ID));
    world.subscribe();
    world.run(Duration::from_secs(9));
    assert_eq!(world.joined_as[..2], ["", ""]);
}

#[test]
fn being_disowned_at_every_join_is_told_once() {
    for code in [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::FENCED_MEMBER_EPOCH] {
        let mut world = World::new(NEW);
        world.refused = Some((GROUP_HEARTBEAT, code));
        world.subscribe();
        world.run(MINUTE);
        assert_eq!(world.kinds(), [EventKind::GroupFailing]);
        let gaps: Vec<Duration> = world
            .seen(GROUP_HEARTBEAT)
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect();
        assert!(gaps[0] < Duration::from_millis(250), "{gaps:?}");
        assert!(gaps[6] > Duration::from_millis(700), "{gaps:?}");
        // Once it is taken in again, all is as before.
        world.refused = None;
        world.run(Duration::from_secs(20));
        let last = world.kinds().pop();
        assert_eq!(last, Some(EventKind::PartitionsAssigned));
    }
}

#[test]
fn a_member_says_what_it_owns_before_metadata_tells_of_the_topic() {
    let mut world = World::new(&[("group.protocol", "consumer")]);
    // Matched by the client, which knows every topic's name before it knows more of those that it reads.
    world.subscribe_pattern(".*");
    world.run(Duration::from_secs(2));
    assert_eq!(world.kinds(), [EventKind::PartitionsAssigned]);
    assert_eq!(
        world.owned,
        [1],
        "the brokers would give it to another member"
    );
}

#[test]
fn a_subscription_changed_while_a_heartbeat_is_under_way_is_said_behind_it() {
    let mut world = World::new(&[("group.protocol", "consumer")]);
    world.rig.topics.insert("u", vec![1]);
    world.subscribe();
    world.run(Duration::from_secs(2));
    assert_eq!(world.subscribed.len(), 1);
    // The next heartbeat is on its way when the program subscribes to another topic as well.
    let asked = loop {
        let due = world.rig.engine.deadline().unwrap();
        world.rig.now = world.rig.now.max(due);
        world.rig.turn();
        let asked = world.rig.asked.pop_front();
        match asked {
            Some(asked) if asked.key == GROUP_HEARTBEAT => break asked,
            Some(asked) => world.answer(&asked),
            None => {}
        }
    };
    let topics = ["t", "u"].into_iter().map(Arc::from).collect();
    world
        .shared
        .command(Command::Subscribe(Subscription::Topics(topics)));
    world.rig.turn();
    world.answer(&asked);
    world.rig.turn();
    world.run(Duration::from_millis(500));
    let (names, _) = world.subscribed.last().unwrap();
    assert_eq!(*names, ["t", "u"], "it waited for the next heartbeat");
}
