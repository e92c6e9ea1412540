//! A client's statistics as the metrics that KIP-714 asks of it, by Kafka's names.

use std::time::Duration;

use super::otlp::{Metric, Value};
use super::{Histogram, Place, Scope, Stats};

/// Sum, number and largest of histograms taken together.
fn merged<'a>(histograms: impl Iterator<Item = &'a Histogram>) -> Option<(f64, f64)> {
    let (mut sum, mut count, mut max) = (0, 0, 0);
    for s in histograms.map(Histogram::summary) {
        sum += s.sum;
        count += s.count;
        max = max.max(s.max);
    }
    (count > 0).then(|| (sum as f64 / count as f64, max as f64))
}

/// The metrics of what happened since `last`, or since the client was made. `now` must be what came since, as far as
/// histograms are concerned.
pub(crate) fn metrics(now: &Stats, last: Option<&Stats>, elapsed: Duration) -> Vec<Metric> {
    let prefix = format!("org.apache.kafka.{}.", now.client);
    let mut out = Vec::new();
    let mut add = |name: &str, node: Option<i32>, value: Value| {
        out.push(Metric {
            name: format!("{prefix}{name}"),
            labels: node
                .map(|id| ("node_id", id.to_string()))
                .into_iter()
                .collect(),
            value,
        });
    };
    let total = |stats: Option<&Stats>, name: &str| {
        let scope = stats.and_then(Stats::client_scope);
        scope.and_then(|s| s.value(name)).unwrap_or(0)
    };
    let sum = |name: &str| Value::Sum(total(Some(now), name), total(last, name));
    let grown = |name: &str| (total(Some(now), name) - total(last, name)) as f64;
    let seconds = elapsed.as_secs_f64().max(0.001);
    let brokers = || {
        now.scopes
            .iter()
            .filter(|s| matches!(s.place, Place::Broker { .. }))
    };
    let own = |name: &str| {
        let scope = now.client_scope();
        merged(scope.and_then(|s| s.histogram(name)).into_iter())
    };
    const MS: f64 = 1000.0;

    add("connection.creation.total", None, sum("connects"));
    let rate = grown("connects") / seconds;
    add("connection.creation.rate", None, Value::Gauge(rate));
    for scope in brokers() {
        let Place::Broker { id: id @ 0.., .. } = scope.place else {
            continue;
        };
        let latency = scope
            .histograms
            .iter()
            .filter(|(n, _)| n.ends_with("_latency_us"));
        if let Some((avg, max)) = merged(latency.map(|(_, h)| h)) {
            add("node.request.latency.avg", Some(id), Value::Gauge(avg / MS));
            add("node.request.latency.max", Some(id), Value::Gauge(max / MS));
        }
    }
    let all = |name: &'static str| merged(brokers().filter_map(move |s: &Scope| s.histogram(name)));
    let mut pair = |name: &str, found: Option<(f64, f64)>, unit: f64| {
        if let Some((avg, max)) = found {
            add(&format!("{name}.avg"), None, Value::Gauge(avg / unit));
            add(&format!("{name}.max"), None, Value::Gauge(max / unit));
        }
    };
    match now.client {
        "producer" => {
            // No throttling is told as such.
            pair(
                "produce.throttle.time",
                all("throttle_ms").or(Some((0.0, 0.0))),
                1.0,
            );
            pair("record.queue.time", own("queue_time_us"), MS);
            pair("batch.size", own("batch_size_bytes"), 1.0);
            add("record.send.total", None, sum("records_written"));
            add("record.error.total", None, sum("records_failed"));
            add("record.retry.total", None, sum("batches_retried"));
        }
        "consumer" => {
            pair("fetch.manager.fetch.latency", all("fetch_latency_us"), MS);
            pair("coordinator.commit.latency", all("commit_latency_us"), MS);
            add(
                "fetch.manager.records.consumed.total",
                None,
                sum("records_delivered"),
            );
            let assigned = total(Some(now), "partitions_assigned") as f64;
            add(
                "coordinator.assigned.partitions",
                None,
                Value::Gauge(assigned),
            );
            let idle = (grown("poll_us") / 1e6 / seconds).min(1.0);
            add("poll.idle.ratio.avg", None, Value::Gauge(idle));
        }
        _ => {}
    }
    out
}
