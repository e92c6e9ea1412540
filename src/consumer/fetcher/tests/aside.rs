//! What must not wait for the fetch that is under way.

use super::*;
use crate::reading::buffer::FLOOR;
use crate::reading::testing::Wire;

/// A consumer of two partitions of one broker, whose fetch waits at the end of their logs.
fn parked(more: &[(&str, &str)]) -> (World, Asked) {
    let mut w = World::new(3, more);
    w.assign(0, Start::Offset(100));
    w.assign(2, Start::Offset(100));
    let (asked, _) = w.fetch();
    w.fetched(&asked, 7, vec![], vec![]);
    let (asked, request) = w.fetch();
    assert_eq!((request.session_epoch, w.fetches.len()), (1, 0));
    w.wait(100);
    assert!(w.fetches.is_empty());
    (w, asked)
}

#[test]
fn a_seek_does_not_wait() {
    let (mut w, main) = parked(&[]);
    w.seek(0, Start::Offset(5));
    let (aside, request) = w.fetch();
    assert_ne!(aside.conn, main.conn, "not behind the one that waits");
    assert_eq!(
        (
            request.session_id,
            request.session_epoch,
            request.max_wait_ms
        ),
        (0, -1, 0)
    );
    assert_eq!(listed(&request), [(0, 5, -1)], "and only what was sought");
    w.fetched(
        &aside,
        0,
        vec![holding(0, &[Wire::new(5, 3).bytes()])],
        vec![],
    );
    assert_eq!(w.records(), [5, 6, 7]);
    w.wait(20);
    let (aside, request) = w.fetch();
    assert_eq!(listed(&request), [(0, 8, 0)], "until nothing is left");
    w.fetched(&aside, 0, vec![part(0)], vec![]);
    w.wait(100);
    assert!(w.fetches.is_empty());
    // The session learns of the new place.
    w.fetched(&main, 7, vec![], vec![]);
    let (_, request) = w.fetch();
    assert_eq!(
        (request.session_epoch, listed(&request)),
        (2, vec![(0, 8, 0)])
    );
    assert_eq!(
        w.shared.memory.reserve(usize::MAX),
        Some(w.shared.memory.cap() - 2 * 1_048_576)
    );
}

#[test]
fn a_resumed_partition_does_not_wait() {
    let (mut w, main) = parked(&[]);
    w.shared.set_paused(&[w.partition(2)], true);
    w.fetched(&main, 7, vec![], vec![]);
    let (main, request) = w.fetch();
    assert_eq!(forgotten(&request), [2]);
    w.wait(100);
    w.shared.set_paused(&[w.partition(2)], false);
    w.turn();
    let (aside, request) = w.fetch();
    assert_eq!(listed(&request), [(2, 100, -1)]);
    w.fetched(&aside, 0, vec![part(2)], vec![]);
    w.fetched(&main, 7, vec![], vec![]);
    assert_eq!(listed(&w.fetch().1), [(2, 100, -1)]);
}

#[test]
fn an_assigned_or_looked_up_partition_does_not_wait() {
    let (mut w, _) = parked(&[]);
    w.leaders[1].0 = 1;
    w.engine.core.refresh_metadata();
    w.wait(200);
    w.assign(1, Start::Earliest);
    w.looked_up(|_, _| (0, 40));
    let (aside, request) = w.fetch();
    assert_eq!(listed(&request), [(1, 40, -1)]);
    w.fetched(
        &aside,
        0,
        vec![holding(1, &[Wire::new(40, 1).bytes()])],
        vec![],
    );
    assert_eq!(w.records(), [40]);
}

#[test]
fn a_fetch_just_sent_is_waited_for() {
    let (mut w, main) = parked(&[]);
    w.fetched(&main, 7, vec![], vec![]);
    let (main, _) = w.fetch();
    w.seek(0, Start::Offset(5));
    assert!(w.fetches.is_empty(), "it may be answered at once");
    w.fetched(&main, 7, vec![], vec![]);
    assert_eq!(listed(&w.fetch().1), [(0, 5, -1)]);
    w.wait(100);
    assert!(w.fetches.is_empty());
}

#[test]
fn what_fails_beside_is_left_to_the_ordinary_fetch() {
    let (mut w, main) = parked(&[]);
    w.seek(0, Start::Offset(5));
    let (aside, _) = w.fetch();
    w.cut(aside.conn, Error::new(ErrorCode::CONNECT, "reset"));
    w.wait(5000);
    let (aside, request) = w.fetch();
    assert_eq!(listed(&request), [(0, 5, -1)], "on a new connection");
    w.fetch_answered(&aside, 56, 0, vec![], vec![]);
    w.wait(100);
    assert!(w.fetches.is_empty() && matches!(w.poll(), Polled::Nothing));
    w.fetched(&main, 7, vec![], vec![]);
    assert_eq!(listed(&w.fetch().1), [(0, 5, -1)]);
    assert_eq!(w.shared.memory.unread(), 0);
}

#[test]
fn two_fetches_bring_nothing_twice() {
    let (mut w, main) = parked(&[]);
    // Back and forth: the broker's session still has the old life's offset.
    w.seek(0, Start::Offset(100));
    let (aside, request) = w.fetch();
    assert_eq!(listed(&request), [(0, 100, -1)]);
    let batch = || vec![holding(0, &[Wire::new(100, 2).bytes()])];
    w.fetched(&main, 7, batch(), vec![]);
    w.fetched(&aside, 0, batch(), vec![]);
    assert_eq!(w.records(), [100, 101]);
    assert!(matches!(w.poll(), Polled::Nothing));
    let (_, request) = w.fetch();
    assert_eq!(listed(&request), [], "sent before the records came");
}

#[test]
fn without_room_it_waits_like_everything_else() {
    let (mut w, _) = parked(&[("fetch.memory.bytes", "1MiB")]);
    w.seek(0, Start::Offset(5));
    let (_, request) = w.fetch();
    assert_eq!(
        request.max_bytes, FLOOR as i32,
        "all is set aside for the other"
    );
}
