//! How an embedded broker is to be.

use std::path::PathBuf;
use std::time::Duration;

/// Options of [`Broker::start`](super::Broker::start). The default is one node on a free loopback port, in memory.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    pub(crate) nodes: usize,
    pub(crate) host: String,
    pub(crate) ports: Vec<u16>,
    pub(crate) advertised_host: Option<String>,
    pub(crate) advertised_port: Option<u16>,
    pub(crate) advertised_ports: Vec<u16>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) memory_bytes: u64,
    pub(crate) auto_create_topics: bool,
    pub(crate) default_partitions: i32,
    pub(crate) initial_rebalance_delay: Duration,
    pub(crate) transaction_version: i16,
    pub(crate) new_group_protocol: bool,
    pub(crate) consumer_session_timeout: Duration,
    pub(crate) consumer_heartbeat_interval: Duration,
    pub(crate) share_lock: Duration,
    pub(crate) share_deliveries: i16,
    pub(crate) share_from_earliest: bool,
    pub(crate) seed: Option<u64>,
    pub(crate) timeout: Duration,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            nodes: 1,
            host: "127.0.0.1".to_owned(),
            ports: Vec::new(),
            advertised_host: None,
            advertised_port: None,
            advertised_ports: Vec::new(),
            directory: None,
            memory_bytes: 1 << 30,
            auto_create_topics: false,
            default_partitions: 1,
            initial_rebalance_delay: Duration::ZERO,
            transaction_version: 2,
            new_group_protocol: true,
            consumer_session_timeout: Duration::from_secs(45),
            consumer_heartbeat_interval: Duration::from_secs(1),
            share_lock: Duration::from_secs(30),
            share_deliveries: 5,
            share_from_earliest: false,
            seed: None,
            timeout: Duration::from_secs(10),
        }
    }
}

impl BrokerOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of nodes (brokers) of the cluster, 1 to 100; their ids are 1, 2, 3 and so on. Default 1.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// The address to listen on and to advertise. Default 127.0.0.1; any other exposes the broker to the network
    /// without a password.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// The port of the first node, followed by those of the others. Default 0: free ports.
    pub fn port(mut self, port: u16) -> Self {
        self.ports = vec![port];
        self
    }

    /// The port of each node.
    pub fn ports(mut self, ports: impl Into<Vec<u16>>) -> Self {
        self.ports = ports.into();
        self
    }

    /// The host that clients are given instead of the one listened on.
    pub fn advertised_host(mut self, host: impl Into<String>) -> Self {
        self.advertised_host = Some(host.into());
        self
    }

    /// The port that clients are given, for all nodes, instead of the one listened on.
    pub fn advertised_port(mut self, port: u16) -> Self {
        self.advertised_port = Some(port);
        self
    }

    /// The ports that clients are given, node by node, instead of those listened on: for a separate proxy in front of
    /// each node.
    pub fn advertised_ports(mut self, ports: impl Into<Vec<u16>>) -> Self {
        self.advertised_ports = ports.into();
        self
    }

    /// Keeps topics, records, settings and committed offsets in this directory, and loads them at the next start. It
    /// is created if needed, and can be used by one broker at a time. A partial write at the end of a log, from a
    /// process that ended, is cut off; damage elsewhere in a log is an error at start, which says where, and the
    /// files are not changed. Default: in memory.
    ///
    /// Unlike in Kafka, the members of groups are not kept: this broker mostly ends together with its clients, and
    /// the next run would wait for members that are gone. Clients that are still running get an unknown-member error
    /// and rejoin.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// The most bytes of record batches kept in memory, for all topics together; beyond that the oldest records of
    /// the largest partitions are dropped, like by Kafka's retention. No effect with a directory. Default 1 GiB.
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Whether a topic that a client asks for is created. As with Kafka, the first response is that there is no such
    /// topic, and the next one has it. Default false.
    pub fn auto_create_topics(mut self, auto_create: bool) -> Self {
        self.auto_create_topics = auto_create;
        self
    }

    /// Number of partitions of a topic that is created without one, up to 10,000. Default 1.
    pub fn default_partitions(mut self, partitions: i32) -> Self {
        self.default_partitions = partitions;
        self
    }

    /// How long an empty classic group waits for more members before its first rebalance (Kafka's
    /// `group.initial.rebalance.delay.ms`). Default 0; Kafka's default is 3 s.
    pub fn initial_rebalance_delay(mut self, delay: Duration) -> Self {
        self.initial_rebalance_delay = delay;
        self
    }

    /// The level of Kafka's feature `transaction.version` that is reported to clients: 2, the default, with which the
    /// broker adds partitions to transactions and every transaction has a new epoch (KIP-890), or 1, with which
    /// clients add them and epochs change with the producer only.
    pub fn transaction_version(mut self, version: i16) -> Self {
        self.transaction_version = version;
        self
    }

    /// Whether the new group protocol (KIP-848) is available. Without it the broker looks to consumers like one
    /// before Kafka 3.7. Default true.
    pub fn new_group_protocol(mut self, there: bool) -> Self {
        self.new_group_protocol = there;
        self
    }

    /// The session timeout of members of the new protocol (`group.consumer.session.timeout.ms`). Default 45 s.
    /// Members of the classic protocol set theirs in the request.
    pub fn consumer_session_timeout(mut self, timeout: Duration) -> Self {
        self.consumer_session_timeout = timeout;
        self
    }

    /// The heartbeat interval of members of the new protocol (`group.consumer.heartbeat.interval.ms`); rebalances
    /// take a few of them. Default 1 s; Kafka's default is 5 s.
    pub fn consumer_heartbeat_interval(mut self, interval: Duration) -> Self {
        self.consumer_heartbeat_interval = interval;
        self
    }

    /// How long a record of a share group is locked for a member (Kafka's `share.record.lock.duration.ms`). Default
    /// 30 s.
    pub fn share_lock(mut self, duration: Duration) -> Self {
        self.share_lock = duration;
        self
    }

    /// The most deliveries of a record to a share group (Kafka's `share.delivery.count.limit`). Default 5.
    pub fn share_deliveries(mut self, limit: i16) -> Self {
        self.share_deliveries = limit;
        self
    }

    /// Whether a share group starts with the oldest records (Kafka's `share.auto.offset.reset`). Default false: with
    /// those after its first fetch.
    pub fn share_from_earliest(mut self, earliest: bool) -> Self {
        self.share_from_earliest = earliest;
        self
    }

    /// Makes topic ids and session ids the same in every run.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The longest wait for the broker's thread in each call of [`Broker`](super::Broker). Default 10 s.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
