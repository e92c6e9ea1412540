//! What networks do, by the proxies: on the embedded broker and on Apache Kafka.

use std::time::Duration;

use super::ground::{Ground, LIMIT};
use super::load::{Load, Plan};
use super::proxy::{Counts, Network, Way};

const PRODUCE: i16 = 0;
const PARTITIONS: i32 = 6;
/// An open batch is let grow to its size (`batch.size` in every load) though the buffer is full by then.
const GROWTH: u64 = PARTITIONS as u64 * 16_384;

fn total(ground: &Ground, counter: impl Fn(&Counts) -> u64) -> u64 {
    ground.proxies.iter().map(|p| counter(p.counts())).sum()
}

/// Row 2: brokers append, their replies vanish, then the connections are reset. What is resent has the same sequence, so
/// that nothing is written twice.
pub(crate) fn replies_lost(ground: &mut Ground) {
    let topic = ground.topic("replies-lost", PARTITIONS, &[]);
    let load = Load::start(ground, &Plan::new(&topic, PARTITIONS));
    load.progress(20);
    for round in 0..3 {
        ground.everywhere(&Network {
            to_client: Way {
                swallow: true,
                ..Way::default()
            },
            api: Some(PRODUCE),
            ..Network::default()
        });
        let before = total(ground, |c| Counts::get(&c.swallowed));
        ground.until("replies vanish", |g| {
            total(g, |c| Counts::get(&c.swallowed)) > before + 200 * (round + 1)
        });
        ground.heal();
        ground.proxies.iter().for_each(|p| p.reset());
        load.progress(100);
    }
    let finished = load.finish(LIMIT);
    finished.all_written(ground);
    assert!(finished.counts.retries > 0);
}

/// Row 3: leaders move while five requests to each are under way.
pub(crate) fn leaders_move(ground: &mut Ground) {
    let topic = ground.topic("leaders-move", PARTITIONS, &[]);
    // With 30 ms each way and a batch every few milliseconds, requests queue up to the limit.
    ground.everywhere(&Network {
        to_broker: Way {
            delay: Duration::from_millis(30),
            ..Way::default()
        },
        ..Network::default()
    });
    let plan = Plan::new(&topic, PARTITIONS)
        .rate(6000)
        .set("batch.size", 2000)
        .set("linger.ms", 0)
        .set("compression.type", "zstd");
    let load = Load::start(ground, &plan);
    load.progress(100);
    for round in [0, 1, 0] {
        ground.move_leaders(&topic, round);
        load.progress(100);
    }
    ground.heal();
    let finished = load.finish(LIMIT);
    finished.all_written(ground);
    let outstanding = total_max(ground, |c| Counts::get(&c.outstanding));
    assert!(
        outstanding >= 5,
        "at most {outstanding} requests were under way"
    );
    assert!(finished.counts.retries > 0, "no leader was asked in vain");
}

fn total_max(ground: &Ground, counter: impl Fn(&Counts) -> u64) -> u64 {
    let each = ground.proxies.iter().map(|p| counter(p.counts()));
    each.max().unwrap_or(0)
}

/// Row 4: connections are reset amid requests and amid responses, and bytes arrive one at a time.
pub(crate) fn cut_and_dribbled(ground: &mut Ground) {
    let topic = ground.topic("cut", PARTITIONS, &[]);
    // Every byte costs two system calls on its way.
    let plan = Plan::new(&topic, PARTITIONS)
        .rate(400)
        .set("compression.type", "lz4");
    let load = Load::start(ground, &plan);
    load.progress(20);
    let cuts = Way {
        cuts: 2,
        ..Way::default()
    };
    ground.everywhere(&Network {
        to_client: cuts.clone(),
        ..Network::default()
    });
    ground.until("responses are cut", |g| {
        g.proxies.iter().all(|p| p.cuts_left() == 0)
    });
    ground.everywhere(&Network {
        to_broker: cuts,
        ..Network::default()
    });
    ground.until("requests are cut", |g| {
        g.proxies.iter().all(|p| p.cuts_left() == 0)
    });
    assert_eq!(total(ground, |c| Counts::get(&c.cuts)), 3 * 4);
    load.progress(50);
    let dribble = Way {
        dribble: true,
        ..Way::default()
    };
    ground.everywhere(&Network {
        to_client: dribble.clone(),
        to_broker: dribble,
        api: None,
    });
    let before = total(ground, |c| Counts::get(&c.dribbled));
    // New connections too: their greeting comes byte by byte.
    ground.proxies[0].reset();
    load.progress(50);
    assert!(total(ground, |c| Counts::get(&c.dribbled)) > before + 10_000);
    ground.heal();
    load.finish(LIMIT).all_written(ground);
}

/// Row 5: one broker's connections are half-open, their packets vanish. The others' partitions go on at their rate.
pub(crate) fn half_open(ground: &mut Ground) {
    let topic = ground.topic("half-open", PARTITIONS, &[]);
    let (broker, _) = ground.some_leader(&topic);
    let leaders = ground.leaders(&topic);
    let others: Vec<i32> = (0..PARTITIONS).filter(|p| leaders[p] != broker).collect();
    let load = Load::start(ground, &Plan::new(&topic, PARTITIONS).rate(1500));
    load.progress(100);
    let nowhere = Way {
        swallow: true,
        ..Way::default()
    };
    let proxy = ground.proxy(broker);
    proxy.set(Network {
        to_broker: nowhere.clone(),
        to_client: nowhere,
        api: None,
    });
    let share = load.share(&others, Duration::from_secs(5));
    assert!(Counts::get(&proxy.counts().swallowed) > 0);
    assert!(
        share >= 0.9,
        "{share:.2} of what was for the other brokers was written beside a half-open one"
    );
    ground.heal();
    // The dead connections stay dead: the client must notice by itself.
    load.progress(100);
    let finished = load.finish(LIMIT);
    finished.all_written(ground);
    assert!(finished.counts.retries > 0);
}

/// Row 5 for longer than the delivery time: records for the half-open broker end without an answer, time and again, and
/// the others' partitions still go on at their rate.
pub(crate) fn half_open_for_long(ground: &mut Ground) {
    let topic = ground.topic("half-open-long", PARTITIONS, &[]);
    let (broker, dead) = ground.some_leader(&topic);
    let others: Vec<i32> = (0..PARTITIONS).filter(|p| !dead.contains(p)).collect();
    let plan = Plan::new(&topic, PARTITIONS)
        .rate(1500)
        .set("request.timeout.ms", 2500)
        .set("delivery.timeout.ms", 2600);
    let load = Load::start(ground, &plan);
    load.progress(100);
    let nowhere = Way {
        swallow: true,
        ..Way::default()
    };
    ground.proxy(broker).set(Network {
        to_broker: nowhere.clone(),
        to_client: nowhere,
        api: Some(PRODUCE),
    });
    let share = load.share(&others, Duration::from_secs(6));
    assert!(
        share >= 0.9,
        "{share:.2} of what was for the other brokers was written beside a half-open one"
    );
    // Requests to the others are lost, too, and sent again: that some of the half-open one's end in doubt is nothing to
    // them.
    let slow = Network {
        to_client: Way {
            delay: Duration::from_millis(100),
            ..Way::default()
        },
        ..Network::default()
    };
    for _ in 0..9 {
        for other in (1..=3).filter(|n| *n != broker) {
            ground.proxy(other).set(slow.clone());
            ground.proxy(other).reset();
        }
        std::thread::sleep(Duration::from_millis(700));
    }
    ground.heal();
    load.progress(100);
    let finished = load.finish(LIMIT);
    let verdict = finished.judge(ground);
    assert!(verdict.possibly_written > 0, "{verdict:?}");
    finished.ended_written(&others);
}

/// Row 6: one broker is reached over a line far too slow for its share. Memory stays within buffer.memory, and the
/// others go on at their rate.
pub(crate) fn one_slow_broker(ground: &mut Ground) {
    const BUFFER: u64 = 2_000_000;
    let topic = ground.topic("slow", PARTITIONS, &[]);
    let (broker, slow) = ground.some_leader(&topic);
    let others: Vec<i32> = (0..PARTITIONS).filter(|p| !slow.contains(p)).collect();
    let plan = Plan::new(&topic, PARTITIONS)
        .rate(1500)
        .value_len(500)
        .set("buffer.memory", BUFFER)
        .set("request.timeout.ms", 20_000)
        .refuse();
    let load = Load::start(ground, &plan);
    load.progress(100);
    // Brokers that have just started take their time, and then have what piled up.
    ground.until("the buffer is nearly empty", |_| {
        load.counts().buffered_bytes < BUFFER / 5
    });
    let before = load.refused();
    let proxy = ground.proxy(broker);
    proxy.set(Network {
        to_broker: Way {
            rate: Some(50_000),
            ..Way::default()
        },
        api: Some(PRODUCE),
        ..Network::default()
    });
    // Its share is 250 kB a second: its part of the buffer is full soon, and refuses.
    ground.until("the buffer is full", |_| load.refused() > before + 100);
    let share = load.share(&others, Duration::from_secs(5));
    assert!(Counts::get(&proxy.counts().throttled) > 0);
    assert!(
        share >= 0.9,
        "{share:.2} of what was for the other brokers was written beside a slow one"
    );
    let peak = load.peak();
    assert!(
        peak <= BUFFER + GROWTH,
        "{peak} of buffer.memory={BUFFER} in use"
    );
    ground.heal();
    load.finish(LIMIT).all_written(ground);
}

/// Row 7: replies come after their request's timeout, to a client that has moved on.
pub(crate) fn late_replies(ground: &mut Ground) {
    let topic = ground.topic("late", PARTITIONS, &[]);
    let plan = Plan::new(&topic, PARTITIONS)
        .rate(500)
        .set("request.timeout.ms", 1000);
    let load = Load::start(ground, &plan);
    load.progress(20);
    ground.everywhere(&Network {
        to_client: Way {
            delay: Duration::from_millis(1500),
            ..Way::default()
        },
        api: Some(PRODUCE),
        ..Network::default()
    });
    let before = load.counts().retries;
    ground.until("requests time out", |_| {
        load.counts().retries >= before + 12
    });
    ground.heal();
    load.progress(100);
    load.finish(LIMIT).all_written(ground);
}

/// Every broker refuses connections for a while, then takes them again.
pub(crate) fn all_refuse(ground: &mut Ground) {
    let topic = ground.topic("refuse", PARTITIONS, &[]);
    let load = Load::start(ground, &Plan::new(&topic, PARTITIONS));
    load.progress(20);
    for proxy in ground.proxies.iter().chain(&ground.front) {
        proxy.refuse(true);
    }
    let before = load.all_written();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(load.all_written() < before + 200, "nobody could be reached");
    ground.heal();
    load.progress(100);
    load.finish(LIMIT).all_written(ground);
}

/// Rows 2 and 15 where the time ends before the network is back: what was sent is possibly written, what was not is not
/// written, and neither is told as the other.
pub(crate) fn delivery_time_ends(ground: &mut Ground) {
    let topic = ground.topic("expires", PARTITIONS, &[]);
    let plan = Plan::new(&topic, PARTITIONS)
        .rate(1000)
        .set("request.timeout.ms", 800)
        .set("delivery.timeout.ms", 2000);
    let load = Load::start(ground, &plan);
    load.progress(20);
    let (broker, _) = ground.some_leader(&topic);
    ground.proxy(broker).set(Network {
        to_client: Way {
            swallow: true,
            ..Way::default()
        },
        api: Some(PRODUCE),
        ..Network::default()
    });
    std::thread::sleep(Duration::from_secs(6));
    ground.heal();
    // Later records are written again, in a new epoch.
    load.progress(100);
    let finished = load.finish(LIMIT);
    let verdict = finished.judge(ground);
    assert!(verdict.possibly_written > 0, "{verdict:?}");
    assert!(verdict.were_there > 0, "{verdict:?}");
    assert!(verdict.written > 0, "{verdict:?}");
    let error = &finished.errors()[0];
    assert!(
        error.message().contains("no answer") || error.message().contains("delivery.timeout.ms"),
        "{error}"
    );
}

/// Row 26: nobody takes anything, so the buffer fills. A call that doesn't wait is refused at once, one that waits is
/// refused after `max.block.ms`; room makes the next ones succeed, and all that was taken ends once.
pub(crate) fn buffer_full(ground: &mut Ground) {
    for waits in [false, true] {
        let topic = ground.topic("full", PARTITIONS, &[]);
        let mut plan = Plan::new(&topic, PARTITIONS)
            .rate(4000)
            .value_len(1000)
            .set("buffer.memory", 1_000_000)
            .set("max.block.ms", 300);
        if !waits {
            plan = plan.refuse();
        }
        let load = Load::start(ground, &plan);
        load.progress(20);
        for proxy in &ground.proxies {
            proxy.refuse(true);
        }
        let enough = if waits { 3 } else { 1000 };
        ground.until("the buffer is full", |_| load.refused() >= enough);
        let peak = load.peak();
        assert!(peak <= 1_000_000 + GROWTH, "{peak} bytes in use");
        ground.heal();
        load.progress(50);
        load.finish(LIMIT).all_written(ground);
    }
}

/// Row 27: closed from another thread amid a call that waits for room, a flush and a wait for completions, with nobody
/// to send anything to: all of them end, and so does every record taken.
pub(crate) fn closed_amid_waits(ground: &mut Ground) {
    let topic = ground.topic("closed", PARTITIONS, &[]);
    let plan = Plan::new(&topic, PARTITIONS)
        .rate(20_000)
        .value_len(1000)
        .set("buffer.memory", 1_000_000)
        .set("max.block.ms", 100_000);
    let load = Load::start(ground, &plan);
    load.progress(20);
    for proxy in &ground.proxies {
        proxy.set(Network {
            to_client: Way {
                swallow: true,
                ..Way::default()
            },
            api: Some(PRODUCE),
            ..Network::default()
        });
    }
    // The sending thread waits for room once what is acknowledged and what is accepted stand still.
    ground.until("a call waits for room", |_| {
        let before = (load.accepted(), load.all_written());
        std::thread::sleep(Duration::from_millis(300));
        before == (load.accepted(), load.all_written())
    });
    let flush = load.flush_aside();
    std::thread::sleep(Duration::from_millis(100));
    assert!(!flush.is_finished());
    // Waits for the sending thread and the one that drains completions, too.
    let finished = load.finish(Duration::from_secs(1));
    // Everything has ended then, which is what it waits for; how, the completions tell.
    flush.join().unwrap().unwrap();
    ground.heal();
    ground.proxies.iter().for_each(super::proxy::Proxy::reset);
    let verdict = finished.judge(ground);
    assert!(!finished.closed);
    assert!(
        verdict.possibly_written > 0 && verdict.not_written > 0 && verdict.written > 0,
        "{verdict:?}"
    );
}
