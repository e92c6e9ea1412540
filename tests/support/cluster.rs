//! Where tests run that any Kafka must pass: on the one that OTTLA_TEST_BOOTSTRAP names, else on an embedded broker.

use std::time::{SystemTime, UNIX_EPOCH};

use ottla::broker::{Broker, BrokerOptions};

/// The address of the cluster, and the broker that was started for it, which ends with the value.
pub(crate) fn cluster(options: BrokerOptions) -> (String, Option<Broker>) {
    if let Ok(bootstrap) = std::env::var("OTTLA_TEST_BOOTSTRAP") {
        return (bootstrap, None);
    }
    let broker = Broker::start(options).unwrap();
    (broker.bootstrap_servers(), Some(broker))
}

/// A name that no other test and no earlier run has used.
pub(crate) fn fresh(word: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("{word}-{}-{}", std::process::id(), now.as_nanos())
}
