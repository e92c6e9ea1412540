//! Faults on demand: what goes wrong, for which requests, how often.

use std::time::Duration;

use bytes::Bytes;
use ottla_base::error::ErrorCode;
use ottla_protocol::schema;

/// The kinds of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
// The simulation knows them all: one that it has not heard of must not compile.
#[cfg_attr(not(feature = "simulation"), non_exhaustive)]
pub enum Fault {
    /// The request is not carried out; the topics and partitions in it that match (or, if it has none, the whole
    /// response) carry this error.
    Error {
        /// One of Kafka's codes.
        code: ErrorCode,
    },
    /// The request is carried out, and its response carries this error at a level that has errors.
    Answer {
        /// One of Kafka's codes.
        code: ErrorCode,
        /// 0 for the answer as a whole, 1 for each topic, group or coordinator it tells of, 2 for each partition of a topic.
        level: u8,
    },
    /// Produce only: the batches are written, and the matching partitions are nevertheless answered with this error,
    /// like `NOT_ENOUGH_REPLICAS_AFTER_APPEND` and a timeout.
    ErrorAfterAppend {
        /// One of Kafka's codes.
        code: ErrorCode,
    },
    /// The request is carried out, and its response is delayed by this; later requests on the connection wait.
    Delay(Duration),
    /// The connection is closed; the request is not carried out.
    Drop,
    /// The request is carried out, but not answered; then the connection is closed, or kept.
    SwallowReply {
        /// Whether the connection is closed.
        close: bool,
    },
    /// The request is carried out, only this many bytes of the response are sent, and the connection is closed.
    PartialReply {
        /// Bytes sent, the four of the length included.
        bytes: usize,
    },
    /// One byte of the fetched records is flipped, so that the first batch's checksum is wrong. Only counts fetches
    /// that return records.
    CorruptBatch,
    /// The response carries this throttle time, and the connection is not read for that long.
    Throttle(Duration),
}

/// A fault and the requests it applies to: once, for any request on any node, until narrowed or widened.
#[derive(Clone, Debug)]
pub struct FaultRule {
    pub(crate) fault: Fault,
    pub(crate) node: Option<i32>,
    pub(crate) api: Option<i16>,
    pub(crate) topic: Option<String>,
    pub(crate) partition: Option<i32>,
    pub(crate) left: Option<u32>,
}

impl FaultRule {
    /// Applies `fault` once, to any request on any node.
    pub fn new(fault: Fault) -> Self {
        FaultRule {
            fault,
            node: None,
            api: None,
            topic: None,
            partition: None,
            left: Some(1),
        }
    }

    /// Only on this node.
    pub fn node(mut self, id: i32) -> Self {
        self.node = Some(id);
        self
    }

    /// Only for this kind of request, see [`api_key`](crate::api_key).
    pub fn api(mut self, key: i16) -> Self {
        self.api = Some(key);
        self
    }

    /// Only for requests that name this topic.
    pub fn topic(mut self, name: impl Into<String>) -> Self {
        self.topic = Some(name.into());
        self
    }

    /// Only for requests that name this partition.
    pub fn partition(mut self, index: i32) -> Self {
        self.partition = Some(index);
        self
    }

    /// For this many requests.
    pub fn times(mut self, times: u32) -> Self {
        self.left = Some(times);
        self
    }

    /// For every request until it is removed.
    pub fn forever(mut self) -> Self {
        self.left = None;
        self
    }

    fn concerns(&self, node: i32, api: i16) -> bool {
        self.left != Some(0)
            && self.node.is_none_or(|n| n == node)
            && self.api.is_none_or(|a| a == api)
    }

    fn is_narrow(&self) -> bool {
        self.topic.is_some() || self.partition.is_some()
    }

    fn covers(&self, topic: &str, partition: Option<i32>) -> bool {
        self.topic.as_deref().is_none_or(|t| t == topic)
            && self
                .partition
                .is_none_or(|wanted| partition.is_none_or(|p| p == wanted))
    }

    fn spend(&mut self) {
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
    }
}

/// A topic a request names, and the partition if it names one.
pub(crate) type Target = (String, Option<i32>);

/// The faults that one request met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    errors: Vec<FaultRule>,
    after: Vec<FaultRule>,
    /// Written over the finished answer: codes and their levels.
    pub(crate) answers: Vec<(ErrorCode, u8)>,
    pub(crate) delay: Option<Duration>,
    pub(crate) drop: bool,
    /// Whether to close the connection after swallowing the reply.
    pub(crate) swallow: Option<bool>,
    pub(crate) cut: Option<usize>,
    pub(crate) throttle: Duration,
}

impl Effects {
    /// The error to answer for a partition (or a topic).
    pub(crate) fn error(&self, topic: &str, partition: Option<i32>) -> Option<ErrorCode> {
        self.errors
            .iter()
            .find(|rule| rule.covers(topic, partition))
            .and_then(error_of)
    }

    /// The error to answer for a partition to which a batch was written.
    pub(crate) fn error_after(&self, topic: &str, partition: i32) -> Option<ErrorCode> {
        let rule = self
            .after
            .iter()
            .find(|rule| rule.covers(topic, Some(partition)))?;
        error_of(rule)
    }

    /// The error to answer where a request names no topic.
    pub(crate) fn any_error(&self) -> Option<ErrorCode> {
        self.errors.first().and_then(error_of)
    }

    /// The error for a request as a whole, from a rule that names no topic and no partition.
    pub(crate) fn whole_error(&self) -> Option<ErrorCode> {
        let whole = self.errors.iter().find(|rule| !rule.is_narrow());
        whole.and_then(error_of)
    }

    /// The throttle time as the wire has it.
    pub(crate) fn throttle_ms(&self) -> i32 {
        i32::try_from(self.throttle.as_millis()).unwrap_or(i32::MAX)
    }
}

fn error_of(rule: &FaultRule) -> Option<ErrorCode> {
    match rule.fault {
        Fault::Error { code } | Fault::ErrorAfterAppend { code } => Some(code),
        _ => None,
    }
}

/// The faults that wait for their requests, in the order they were added.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<FaultRule>,
    /// What was met, for a simulation that counts.
    #[cfg(feature = "simulation")]
    met: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, rule: FaultRule) {
        self.rules.push(rule);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Removes those that nothing uses up.
    #[cfg(feature = "simulation")]
    pub(crate) fn remove_lasting(&mut self) {
        self.rules.retain(|rule| rule.left.is_some());
    }

    /// The faults that were met since the last call.
    #[cfg(feature = "simulation")]
    pub(crate) fn take_met(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.met)
    }

    /// What a request meets; each rule that matches is used up by one. `targets` is asked only if a rule needs it.
    pub(crate) fn meet(
        &mut self,
        node: i32,
        api: i16,
        targets: impl FnOnce() -> Vec<Target>,
    ) -> Effects {
        let mut effects = Effects::default();
        if self.rules.is_empty() {
            return effects;
        }
        let mut targets = Some(targets);
        let mut known: Vec<Target> = Vec::new();
        for rule in &mut self.rules {
            if !rule.concerns(node, api) || rule.fault == Fault::CorruptBatch {
                continue;
            }
            if rule.is_narrow() {
                if let Some(ask) = targets.take() {
                    known = ask();
                }
                if !known
                    .iter()
                    .any(|(topic, partition)| rule.covers(topic, *partition))
                {
                    continue;
                }
            }
            rule.spend();
            // Of an answer it is seen later whether it has room for an error.
            #[cfg(feature = "simulation")]
            if !matches!(rule.fault, Fault::Answer { .. }) {
                self.met.push(rule.fault.clone());
            }
            match rule.fault {
                Fault::Answer { code, level } => effects.answers.push((code, level)),
                Fault::Error { .. } => effects.errors.push(rule.clone()),
                Fault::ErrorAfterAppend { .. } => effects.after.push(rule.clone()),
                Fault::Delay(delay) => {
                    effects.delay = Some(effects.delay.unwrap_or_default() + delay)
                }
                Fault::Drop => effects.drop = true,
                Fault::SwallowReply { close } => effects.swallow = Some(close),
                Fault::PartialReply { bytes } => effects.cut = Some(bytes),
                Fault::Throttle(time) => effects.throttle = time,
                Fault::CorruptBatch => {}
            }
        }
        self.rules.retain(|rule| rule.left != Some(0));
        effects
    }

    /// Writes the errors asked for over a finished answer.
    pub(crate) fn overwrite(
        &mut self,
        effects: &Effects,
        (api, version): (i16, i16),
        parts: Vec<Bytes>,
    ) -> Vec<Bytes> {
        let Ok(header) = schema::response_header_version(api, version) else {
            return parts;
        };
        // Length, correlation id, and the header's tags where it has some.
        let body = if header >= 1 { 9 } else { 8 };
        let mut frame = parts.concat();
        for &(code, level) in &effects.answers {
            let places = schema::error_codes(api, version, frame.get(body..).unwrap_or(&[]), level);
            #[cfg(feature = "simulation")]
            if !places.is_empty() {
                self.met.push(Fault::Answer { code, level });
            }
            for at in places {
                if let Some(place) = frame.get_mut(body + at..body + at + 2) {
                    place.copy_from_slice(&(code.0 as i16).to_be_bytes());
                }
            }
        }
        vec![frame.into()]
    }

    /// Whether the records about to be sent of this partition are to be damaged.
    pub(crate) fn corrupts(&mut self, node: i32, api: i16, topic: &str, partition: i32) -> bool {
        let Some(rule) = self.rules.iter_mut().find(|rule| {
            rule.fault == Fault::CorruptBatch
                && rule.concerns(node, api)
                && rule.covers(topic, Some(partition))
        }) else {
            return false;
        };
        rule.spend();
        #[cfg(feature = "simulation")]
        self.met.push(Fault::CorruptBatch);
        self.rules.retain(|rule| rule.left != Some(0));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_meets_only_its_requests_and_only_so_often() {
        let mut faults = Faults::default();
        faults.add(FaultRule::new(Fault::Drop).node(2).api(0).times(2));
        assert!(!faults.meet(1, 0, Vec::new).drop);
        assert!(!faults.meet(2, 1, Vec::new).drop);
        assert!(faults.meet(2, 0, Vec::new).drop);
        assert!(faults.meet(2, 0, Vec::new).drop);
        assert!(!faults.meet(2, 0, Vec::new).drop);
    }

    #[test]
    fn errors_reach_the_partitions_they_name() {
        let mut faults = Faults::default();
        let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
        faults.add(
            FaultRule::new(Fault::Error { code })
                .topic("t")
                .partition(1)
                .forever(),
        );
        assert!(
            faults
                .meet(1, 0, || vec![("t".to_owned(), Some(0))])
                .any_error()
                .is_none()
        );
        let met = faults.meet(1, 0, || {
            vec![("t".to_owned(), Some(0)), ("t".to_owned(), Some(1))]
        });
        assert_eq!(met.error("t", Some(0)), None);
        assert_eq!(met.error("t", Some(1)), Some(code));
        faults.clear();
        assert!(
            faults
                .meet(1, 0, || vec![("t".to_owned(), Some(1))])
                .any_error()
                .is_none()
        );
    }

    #[test]
    fn corruption_waits_for_records() {
        let mut faults = Faults::default();
        faults.add(FaultRule::new(Fault::CorruptBatch).topic("t"));
        faults.meet(1, 1, || vec![("t".to_owned(), Some(0))]);
        assert!(!faults.corrupts(1, 1, "u", 0));
        assert!(faults.corrupts(1, 1, "t", 0));
        assert!(!faults.corrupts(1, 1, "t", 0));
    }
}
