//! What happens to brokers: only Apache Kafka's can be killed, stopped, restarted and told quotas.

use std::process::Command;
use std::time::{Duration, Instant};

use super::ground::{Brokers, Ground, LIMIT};
use super::load::{Load, Plan};
use super::proxy::Proxy;
use super::talk;

const PARTITIONS: i32 = 6;

pub(crate) fn is_long() -> bool {
    std::env::var_os("OTTLA_TEST_LONG").is_some()
}

/// Row 1: leaders are killed amid batches, one after the other, and come back.
pub(crate) fn leaders_killed(ground: &mut Ground) {
    let topic = ground.topic("killed", PARTITIONS, &[]);
    let plan = Plan::new(&topic, PARTITIONS).set("compression.type", "lz4");
    let load = Load::start(ground, &plan);
    load.progress(100);
    let rounds = if is_long() { 4 } else { 1 };
    for _ in 0..rounds {
        let (broker, _) = ground.some_leader(&topic);
        ground.order(&format!("kill {broker}"));
        load.progress(200);
        ground.order(&format!("restart {broker}"));
        in_sync(ground, &topic, 3);
        load.progress(50);
    }
    let finished = load.finish(LIMIT);
    finished.all_written(ground);
    assert!(finished.counts.retries > 0);
}

/// Waits until every partition has so many replicas in sync.
pub(crate) fn in_sync(ground: &Ground, topic: &str, replicas: usize) {
    ground.until("replicas are in sync", |g| {
        g.in_sync(topic).is_some_and(|least| least >= replicas)
    });
}

/// Every broker in turn is told to end, which hands its leaderships over, and is started again.
pub(crate) fn rolling_restart(ground: &mut Ground) {
    let topic = ground.topic("rolling", PARTITIONS, &[]);
    let load = Load::start(ground, &Plan::new(&topic, PARTITIONS));
    load.progress(100);
    for broker in 1..=3 {
        ground.order(&format!("terminate {broker}"));
        load.progress(50);
        ground.order(&format!("restart {broker}"));
        in_sync(ground, &topic, 3);
        load.progress(50);
    }
    load.finish(LIMIT).all_written(ground);
}

/// Row 28: a broker stands still (SIGSTOP) until others lead its partitions, and wakes believing that it still does.
pub(crate) fn broker_stopped(ground: &mut Ground) {
    let topic = ground.topic("stopped", PARTITIONS, &[]);
    let load = Load::start(ground, &Plan::new(&topic, PARTITIONS));
    load.progress(100);
    let (broker, _) = ground.some_leader(&topic);
    let time = Duration::from_secs(if is_long() { 30 } else { 7 });
    ground.order(&format!("pause {broker}"));
    let begun = Instant::now();
    load.progress(100);
    std::thread::sleep(time.saturating_sub(begun.elapsed()));
    ground.order(&format!("resume {broker}"));
    in_sync(ground, &topic, 3);
    load.progress(100);
    load.finish(LIMIT).all_written(ground);
}

/// Row 28: this process, client and proxies, stands still (SIGSTOP), past every timeout of its requests.
pub(crate) fn client_stopped(ground: &mut Ground) {
    let topic = ground.topic("client-stopped", PARTITIONS, &[]);
    let load = Load::start(ground, &Plan::new(&topic, PARTITIONS));
    load.progress(100);
    let seconds = if is_long() { 30 } else { 7 };
    let begun = Instant::now();
    let script = format!(
        "kill -STOP {pid}; sleep {seconds}; kill -CONT {pid}",
        pid = std::process::id()
    );
    let mut child = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    child.wait().unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(seconds));
    load.progress(100);
    load.finish(LIMIT).all_written(ground);
}

/// Row 15: fewer replicas than `min.insync.replicas`, from amid the appends on. Refusals are retried until the replica is
/// back; where the delivery time ends before, what was appended is possibly written.
pub(crate) fn not_enough_replicas(ground: &mut Ground) {
    let all = [("min.insync.replicas", "3")];
    let patient = ground.topic("replicas", PARTITIONS, &all);
    let hasty = ground.topic("replicas-hasty", PARTITIONS, &all);
    let first = Load::start(ground, &Plan::new(&patient, PARTITIONS).rate(500));
    let plan = Plan::new(&hasty, PARTITIONS)
        .rate(500)
        .set("request.timeout.ms", 1000)
        .set("delivery.timeout.ms", 2500);
    let second = Load::start(ground, &plan);
    first.progress(50);
    second.progress(50);
    ground.order("kill 3");
    // Out of the in-sync set, so that brokers refuse rather than wait.
    ground.until("the in-sync set has shrunk", |g| {
        g.in_sync(&hasty) == Some(2)
    });
    std::thread::sleep(Duration::from_secs(4));
    ground.order("restart 3");
    in_sync(ground, &patient, 3);
    in_sync(ground, &hasty, 3);
    first.progress(100);
    second.progress(100);
    first.finish(LIMIT).all_written(ground);
    let finished = second.finish(LIMIT);
    let verdict = finished.judge(ground);
    let failed = verdict.not_written + verdict.possibly_written;
    assert!(failed > 0 && verdict.written > 0, "{verdict:?}");
    let named = finished
        .errors()
        .iter()
        .any(|e| e.message().contains("NOT_ENOUGH_REPLICAS"));
    assert!(named, "{:?}", finished.errors().first());
}

/// Row 16: a quota. The connection that went over it rests; nothing is lost or sent twice, and other requests of the same
/// client are answered meanwhile.
pub(crate) fn quota(ground: &mut Ground) {
    const RATE: f64 = 100_000.0;
    let topic = ground.topic("quota", PARTITIONS, &[]);
    let other = ground.topic("quota-later", 1, &[]);
    talk::quota(&ground.direct[0], "limited", Some(RATE)).unwrap();
    let plan = Plan::new(&topic, PARTITIONS)
        .value_len(1000)
        .set("client.id", "limited")
        .set("request.timeout.ms", 15_000)
        .set("buffer.memory", 1_000_000)
        .refuse();
    let load = Load::start(ground, &plan);
    load.progress(20);
    ground.until("the buffer is full", |_| load.refused() > 100);
    // 2 MB a second are offered, and three brokers take 100 kB each.
    let seconds = Duration::from_secs(6);
    let rate = load.rate(&(0..PARTITIONS).collect::<Vec<_>>(), seconds) * 1000.0;
    assert!(
        rate < 3.0 * RATE * 1.7,
        "{rate:.0} bytes a second in spite of the quota"
    );
    assert!(rate > 3.0 * RATE * 0.3, "{rate:.0} bytes a second only");
    let counts = load.counts();
    assert_eq!(counts.retries, 0, "a throttled request is no failed one");
    // Metadata of a topic not seen before comes while the connections for producing rest, and it has its turn.
    load.also(&other);
    talk::quota(&ground.direct[0], "limited", None).unwrap();
    load.finish(LIMIT).all_written(ground);
}

/// Row 18: batches larger than the topic takes are split in order; a single record that is too large fails alone.
pub(crate) fn too_large(ground: &mut Ground) {
    let topic = ground.topic("large", PARTITIONS, &[("max.message.bytes", "3000")]);
    let plan = Plan::new(&topic, PARTITIONS)
        .rate(4000)
        .set("batch.size", 40_000)
        .set("linger.ms", 50);
    let load = Load::start(ground, &plan);
    load.progress(300);
    load.too_large(&topic, 5000, "max.message.bytes");
    load.progress(100);
    load.finish(LIMIT).all_written(ground);
}

/// Rows 11 and 17's like for producers: records are deleted under the producer, and with them what brokers know of it.
pub(crate) fn records_deleted(ground: &mut Ground) {
    let topic = ground.topic("deleted", PARTITIONS, &[]);
    let load = Load::start(ground, &Plan::new(&topic, PARTITIONS));
    for _ in 0..3 {
        load.progress(100);
        let leaders = ground.leaders(&topic);
        for (partition, leader) in leaders {
            let address = &ground.direct[(leader - 1) as usize];
            talk::delete_records(address, &topic, partition, -1).unwrap();
        }
    }
    load.progress(100);
    let finished = load.finish(LIMIT);
    finished.deleted_but_written(ground);
}

/// Row 25: every broker is killed and comes back at another address; only those in `bootstrap.servers` still lead
/// there.
pub(crate) fn all_replaced(ground: &mut Ground) {
    let topic = ground.topic("replaced", PARTITIONS, &[]);
    let load = Load::start(ground, &Plan::new(&topic, PARTITIONS).rate(500));
    load.progress(100);
    ground.order("kill 1 2 3");
    let new: Vec<Proxy> = (0..3).map(|i| Proxy::start(i + 10)).collect();
    let Brokers::Kafka(cluster) = &mut ground.brokers else {
        panic!("this scenario is for a real cluster");
    };
    for (i, proxy) in new.iter().enumerate() {
        proxy.lead_to(cluster.proxied[i]);
        cluster.advertise(i + 1, proxy.port()).unwrap();
    }
    let old = std::mem::replace(&mut ground.proxies, new);
    old.iter().for_each(|proxy| proxy.refuse(true));
    ground.order("restart 1 2 3");
    load.progress(100);
    load.finish(LIMIT).all_written(ground);
    drop(old);
}
