//! What may differ from topic to topic: settings, and the program's own way to choose partitions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Acks, Partitioner, ProducerConfig};
use crate::protocol::compress::Codec;

/// A program's own way to choose partitions, given to [`Producer::set_partitioner`](super::Producer::set_partitioner).
///
/// It is called for every record that names no partition, on the thread that sends and before the record is taken; no
/// lock is held meanwhile. Closures of this form are partitioners:
///
/// ```
/// # use ottla::producer::UserPartitioner;
/// fn is_partitioner(_: impl UserPartitioner) {}
/// is_partitioner(|_topic: &str, key: Option<&[u8]>, partitions: i32| {
///     key.and_then(<[u8]>::first).map(|byte| i32::from(*byte) % partitions)
/// });
/// ```
pub trait UserPartitioner: Send + Sync {
    /// The partition, from 0 to below `partitions`, or `None` to leave the choice to the configured `partitioner`.
    /// Any other number is an error of the sending call.
    fn partition(&self, topic: &str, key: Option<&[u8]>, partitions: i32) -> Option<i32>;
}

impl<F> UserPartitioner for F
where
    F: Fn(&str, Option<&[u8]>, i32) -> Option<i32> + Send + Sync,
{
    fn partition(&self, topic: &str, key: Option<&[u8]>, partitions: i32) -> Option<i32> {
        self(topic, key, partitions)
    }
}

/// The settings of a topic; most topics share the producer's.
#[derive(Clone)]
pub(crate) struct TopicSettings {
    pub(crate) acks: Acks,
    /// Its records are numbered, so that none is written twice.
    pub(crate) idempotent: bool,
    pub(crate) codec: Codec,
    pub(crate) level: Option<i32>,
    pub(crate) linger: Duration,
    pub(crate) delivery_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) partitioner: Partitioner,
    pub(crate) ignore_keys: bool,
    pub(crate) adaptive: bool,
    pub(crate) user: Option<Arc<dyn UserPartitioner>>,
}

impl TopicSettings {
    pub(crate) fn of(config: &ProducerConfig) -> Self {
        TopicSettings {
            acks: config.acks,
            idempotent: config.enable_idempotence,
            codec: Codec::parse(config.compression.name()).unwrap_or(Codec::None),
            level: config.compression_level(),
            linger: config.linger,
            delivery_timeout: config.delivery_timeout,
            request_timeout: config.common.request_timeout,
            partitioner: config.partitioner,
            ignore_keys: config.partitioner_ignore_keys,
            adaptive: config.partitioner_adaptive,
            user: None,
        }
    }

    /// Batches of topics that are alike in this may share a request.
    pub(crate) fn request_group(&self) -> (i16, Duration) {
        (self.acks.wire(), self.request_timeout)
    }
}

/// What the program said of single topics before it used them.
pub(crate) struct TopicSetup {
    /// For topics of which nothing was said.
    pub(crate) common: Arc<TopicSettings>,
    own: HashMap<String, Own>,
}

#[derive(Default)]
struct Own {
    settings: Option<TopicSettings>,
    /// The settings name a partitioner, which comes before the common one of the program's own.
    names_partitioner: bool,
    user: Option<Arc<dyn UserPartitioner>>,
}

impl TopicSetup {
    pub(crate) fn new(config: &ProducerConfig) -> Self {
        TopicSetup {
            common: Arc::new(TopicSettings::of(config)),
            own: HashMap::new(),
        }
    }

    pub(crate) fn set_settings(
        &mut self,
        topic: &str,
        settings: TopicSettings,
        names_partitioner: bool,
    ) {
        let own = self.own.entry(topic.to_owned()).or_default();
        own.settings = Some(settings);
        own.names_partitioner = names_partitioner;
    }

    /// Sets the partitioner of one topic, or of all that have none of their own.
    pub(crate) fn set_partitioner(&mut self, topic: Option<&str>, user: Arc<dyn UserPartitioner>) {
        match topic {
            Some(topic) => self.own.entry(topic.to_owned()).or_default().user = Some(user),
            None => Arc::make_mut(&mut self.common).user = Some(user),
        }
    }

    /// The settings of a topic that is used for the first time.
    pub(crate) fn of(&self, topic: &str) -> Arc<TopicSettings> {
        let Some(own) = self.own.get(topic) else {
            return self.common.clone();
        };
        let mut settings = own
            .settings
            .clone()
            .unwrap_or_else(|| (*self.common).clone());
        settings.user = own.user.clone().or_else(|| {
            (!own.names_partitioner)
                .then(|| self.common.user.clone())
                .flatten()
        });
        Arc::new(settings)
    }
}
