//! Metrics in OpenTelemetry's protocol (OTLP, protobuf), as brokers take them (KIP-714): the few messages that takes.
//!
//! `MetricsData` holds one resource with one scope, and that the metrics, each with one point.

use std::time::Duration;

/// A metric with its one value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) value: Value,
}

/// What a metric's value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// What is, or was on average or at most.
    Gauge(f64),
    /// A count that only grows: now, and as it was told last.
    Sum(i64, i64),
}

/// When values were taken, as time since 1970, and from when on they count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    /// Sums are told as what was added since the last time.
    pub(crate) delta: bool,
}

/// A protobuf message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    fn tag(&mut self, field: u32, wire: u32) {
        self.varint(u64::from(field << 3 | wire));
    }

    fn uint(&mut self, field: u32, n: u64) {
        self.tag(field, 0);
        self.varint(n);
    }

    fn fixed64(&mut self, field: u32, bytes: [u8; 8]) {
        self.tag(field, 1);
        self.0.extend_from_slice(&bytes);
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u32, write: impl FnOnce(&mut Message)) {
        let mut inner = Message::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    /// A `KeyValue` with a string.
    fn label(&mut self, field: u32, key: &str, value: &str) {
        self.message(field, |pair| {
            pair.bytes(1, key.as_bytes());
            pair.message(2, |any| any.bytes(1, value.as_bytes()));
        });
    }

    fn metric(&mut self, field: u32, metric: &Metric, span: Span) {
        const DELTA: u64 = 1;
        const CUMULATIVE: u64 = 2;
        let nanos = |at: Duration| (at.as_nanos() as u64).to_le_bytes();
        let point = |m: &mut Message, value: &dyn Fn(&mut Message)| {
            m.message(1, |point| {
                point.fixed64(2, nanos(span.from));
                point.fixed64(3, nanos(span.to));
                value(point);
                for (key, value) in &metric.labels {
                    point.label(7, key, value);
                }
            });
        };
        self.message(field, |m| {
            m.bytes(1, metric.name.as_bytes());
            match metric.value {
                Value::Gauge(value) => m.message(5, |gauge| {
                    point(gauge, &|point| point.fixed64(4, value.to_le_bytes()));
                }),
                Value::Sum(now, last) => m.message(7, |sum| {
                    let told = if span.delta { now - last } else { now };
                    point(sum, &|point| point.fixed64(6, told.to_le_bytes()));
                    sum.uint(2, if span.delta { DELTA } else { CUMULATIVE });
                    sum.uint(3, 1);
                }),
            }
        });
    }
}

/// All metrics as one `MetricsData`.
pub(crate) fn encode(resource: &[(&str, String)], metrics: &[Metric], span: Span) -> Vec<u8> {
    let mut data = Message::default();
    data.message(1, |of_resource| {
        of_resource.message(1, |r| {
            for (key, value) in resource {
                r.label(1, key, value);
            }
        });
        of_resource.message(2, |of_scope| {
            for metric in metrics {
                of_scope.metric(2, metric, span);
            }
        });
    });
    data.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_protobuf_s() {
        let metric = Metric {
            name: "m".to_owned(),
            labels: vec![("k", "v".to_owned())],
            value: Value::Sum(300, 100),
        };
        let span = Span {
            from: Duration::from_nanos(1),
            to: Duration::from_nanos(2),
            delta: true,
        };
        let point = [
            &[0x11, 1, 0, 0, 0, 0, 0, 0, 0][..],
            &[0x19, 2, 0, 0, 0, 0, 0, 0, 0],
            &[0x31, 200, 0, 0, 0, 0, 0, 0, 0],
            &[0x3a, 8, 0x0a, 1, b'k', 0x12, 3, 0x0a, 1, b'v'],
        ]
        .concat();
        let sum = [&[0x0a, point.len() as u8][..], &point, &[0x10, 1, 0x18, 1]].concat();
        let m = [&[0x0a, 1, b'm', 0x3a, sum.len() as u8][..], &sum].concat();
        let scope = [&[0x12, m.len() as u8][..], &m].concat();
        let resource = [0x0a, 8, 0x0a, 1, b'r', 0x12, 3, 0x0a, 1, b's'];
        let inner = [
            &[0x0a, resource.len() as u8][..],
            &resource,
            &[0x12, scope.len() as u8],
            &scope,
        ]
        .concat();
        let want = [&[0x0a, inner.len() as u8][..], &inner].concat();
        assert_eq!(encode(&[("r", "s".to_owned())], &[metric], span), want);
    }
}
