//! What a member has to find: its coordinator, the topics of a pattern, the offsets of a topic.

use super::*;
use crate::client::calls::question;
use crate::error::Error;

const NEW: &[(&str, &str)] = &[("group.protocol", "consumer")];

fn commit(world: &mut World) -> Error {
    let (reply, call) = question("committing", Duration::ZERO);
    let by = world.rig.now + Duration::from_secs(1);
    let offsets = vec![((Arc::from("t"), 0), 5.into())];
    let owner = CommitOwner::Call(reply);
    let command = Command::Commit(Commit::new(owner, offsets, world.rig.now, by));
    world.shared.command(command);
    world.run(Duration::from_secs(2));
    call.wait_for(Duration::ZERO)
        .expect("an answer")
        .unwrap_err()
}

#[test]
fn a_coordinator_out_of_reach_is_told_with_both_addresses_and_the_setting() {
    for protocol in ["classic", "consumer", "auto"] {
        let mut world = World::new(&[("group.protocol", protocol)]);
        world.rig.down.insert(1);
        world.subscribe();
        world.run(Duration::from_secs(9));
        assert_eq!(world.kinds(), [], "{protocol}");
        let early = commit(&mut world);
        assert_eq!(early.code(), ErrorCode::REBALANCE_IN_PROGRESS, "{early}");
        world.run(Duration::from_secs(30));
        assert_eq!(world.kinds(), [EventKind::BrokerUnreachable], "{protocol}");
        let told = world.events[0].error.clone().unwrap();
        for error in [told, commit(&mut world)] {
            assert_eq!(error.code(), ErrorCode::CONNECT, "{error}");
            for part in [
                "group 'g'",
                "broker1:1000",
                "bootstrap.servers=seed:1000",
                "advertised.listeners",
            ] {
                assert!(error.message().contains(part), "{error}");
            }
        }
        // Once it is there, all goes on; lost again, that is told again.
        world.rig.down.clear();
        world.run(Duration::from_secs(20));
        assert!(world.kinds().contains(&EventKind::PartitionsAssigned));
    }
}

#[test]
fn a_pattern_that_can_name_internal_topics_is_resolved_here() {
    let mut world = World::new(NEW);
    world.rig.topics.insert("__consumer_offsets", vec![1]);
    world.subscribe_pattern(".*");
    world.run(Duration::from_secs(10));
    assert_eq!(world.subscribed, [(vec!["t".to_owned()], String::new())]);
    // What can't name them is for the brokers to match, as they learn of topics first.
    let mut world = World::new(NEW);
    world.subscribe_pattern("[tu]");
    world.run(Duration::from_secs(10));
    assert_eq!(world.subscribed, [(vec![], "[tu]".to_owned())]);
}

#[test]
fn a_pattern_goes_to_the_brokers_where_internal_topics_are_wanted() {
    let mut world = World::new(&[
        ("group.protocol", "consumer"),
        ("exclude.internal.topics", "false"),
    ]);
    world.subscribe_pattern(".*");
    world.run(Duration::from_secs(10));
    assert_eq!(world.subscribed, [(vec![], ".*".to_owned())]);
}

#[test]
fn offsets_are_committed_by_the_topics_id_where_the_broker_can() {
    for (most, id) in [(10, [1; 16]), (9, [0; 16])] {
        let mut world = World::new(NEW);
        world.commits = true;
        world.rig.most.insert(OFFSET_COMMIT, most);
        world.rig.most.insert(OFFSET_FETCH, most);
        world.subscribe();
        world.run(Duration::from_secs(3));
        assert_eq!(world.committed, [uuid::Uuid::from_bytes(id)]);
        let committed = world
            .events
            .iter()
            .any(|e| e.kind == EventKind::OffsetsCommitted);
        assert!(committed, "{:?}", world.events);
        // What is committed was found.
        let partition = world.shared.assignment().get("t", 0).unwrap().clone();
        assert_eq!(partition.position(), Some(5));
    }
}
