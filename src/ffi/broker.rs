//! Embedded broker
//!
//! A Kafka server in this process, on its own thread, for first steps and for tests. It speaks Kafka's protocol to
//! any client, keeps its topics in memory (up to a limit) or in a directory, can be a cluster of several nodes, and
//! can simulate failures. Not for production. (A library built without the feature `broker` has none of these
//! functions.)
//!
//! ```c
//! ottla_broker *broker = NULL;
//! status = ottla_broker_new(NULL, &broker, &error);
//! status = ottla_broker_create_topic(broker, "greetings", 4, &error);
//! status = ottla_config_set(config, "bootstrap.servers", ottla_broker_bootstrap_servers(broker), &error);
//! ```
//!
//! Its options, all with defaults, are set in a separate `ottla_config`:
//!
//!   `nodes`                the number of brokers in the cluster, with the ids 1, 2, 3 and so on. Default 1
//!   `host`                 the address to listen on. Default 127.0.0.1; any other exposes it to the network without a password
//!   `port`                 the port of the first node, followed by those of the others. Default 0: free ports
//!   `advertised.host`      the host that clients are given. Default: the host listened on
//!   `advertised.port`      the port that clients are given. Default: the port listened on
//!   `directory`            where to keep topics, records, settings and committed offsets, but not group members; for one
//!                          broker at a time. Default: in memory
//!   `memory.bytes`         the most bytes of records to keep in memory; beyond that the oldest are dropped. Default 1GiB
//!   `auto.create.topics`   whether topics are created when a client asks for them. Default false
//!   `default.partitions`   partitions of a topic created without a number, up to 10000. Default 1
//!   `transaction.version`  Kafka's feature of that name, as reported to clients, 1 or 2 (KIP-890). Default 2
//!   `share.record.lock.duration.ms`  how long a record of a share group is locked for a member. Default 30000
//!   `share.delivery.count.limit`     the most deliveries of a record to a share group. Default 5
//!   `share.auto.offset.reset`        where a share group starts, `earliest` or `latest`. Default latest
//!   `group.version`        Kafka's feature of that name: 1, or 0 to disable the new group protocol (KIP-848). Default 1
//!   `group.initial.rebalance.delay.ms`     how long an empty classic group waits for more members. Default 0
//!   `group.consumer.session.timeout.ms`    session timeout of members that use the new protocol. Default 45000
//!   `group.consumer.heartbeat.interval.ms` heartbeat interval of such members. Default 1000

use std::ffi::{CString, c_char};
use std::str::FromStr;
use std::time::Duration;

use super::basics::ottla_status;
use super::config::ottla_config;
use super::error::ottla_error;
use super::guard::{self, Call, Guarded, Live, c_string, opaque};
use crate::broker::{Broker, BrokerOptions, CoordinatorKind, Fault, FaultRule};
use crate::config;
use crate::error::{Error, ErrorCode, Result};

/// A running broker, or a cluster of several. All its functions except `_free` may be called from many threads at
/// once.
pub struct ottla_broker(Guarded<Running>);
opaque!(ottla_broker, Running, "broker");

pub(super) struct Running {
    broker: Live<Broker>,
    bootstrap_servers: CString,
}

/// A fault: the request is not carried out, and is answered with the Kafka error code `value`.
pub const OTTLA_FAULT_ERROR: i32 = 0;
/// A fault: the response is delayed by `value` milliseconds; later requests on the same connection wait.
pub const OTTLA_FAULT_DELAY: i32 = 1;
/// A fault: the connection is closed, and the request is not carried out.
pub const OTTLA_FAULT_DROP: i32 = 2;
/// A fault: the request is carried out, but not answered. With `value` 1 the connection is closed.
pub const OTTLA_FAULT_SWALLOW_REPLY: i32 = 3;
/// A fault: a byte of fetched records is flipped, so that a checksum is wrong.
pub const OTTLA_FAULT_CORRUPT_BATCH: i32 = 4;
/// A fault: the request is carried out, `value` bytes of the response are sent, then the connection is closed.
pub const OTTLA_FAULT_CUT_REPLY: i32 = 5;
/// A fault: the response has a throttle time of `value` milliseconds, and the connection is not read for that long.
pub const OTTLA_FAULT_THROTTLE: i32 = 6;

/// A kind of coordinator: that of a group, by group id.
pub const OTTLA_COORDINATOR_GROUP: i32 = 0;
/// A kind of coordinator: that of transactions, by transactional id.
pub const OTTLA_COORDINATOR_TRANSACTION: i32 = 1;

const OPTIONS: [&str; 17] = [
    "nodes",
    "host",
    "port",
    "advertised.host",
    "advertised.port",
    "directory",
    "memory.bytes",
    "auto.create.topics",
    "default.partitions",
    "transaction.version",
    "share.record.lock.duration.ms",
    "share.delivery.count.limit",
    "share.auto.offset.reset",
    "group.version",
    "group.initial.rebalance.delay.ms",
    "group.consumer.session.timeout.ms",
    "group.consumer.heartbeat.interval.ms",
];

fn number<T: FromStr>(key: &str, value: &str, range: &str) -> Result<T> {
    value.trim().parse().map_err(|_| {
        Error::config(format!(
            "`{key}` is set to `{value}`, which is not a whole number {range}"
        ))
    })
}

fn millis(key: &str, value: &str) -> Result<Duration> {
    let ms: u32 = number(key, value, "of milliseconds")?;
    Ok(Duration::from_millis(ms.into()))
}

fn options(pairs: &[(String, String)]) -> Result<BrokerOptions> {
    let mut options = BrokerOptions::new();
    for (key, value) in pairs {
        options = match key.as_str() {
            "nodes" => options.nodes(number(key, value, "from 1 to 100")?),
            "host" => options.host(value.trim()),
            "port" => options.port(number(key, value, "from 0 to 65535")?),
            "advertised.host" => options.advertised_host(value.trim()),
            "advertised.port" => options.advertised_port(number(key, value, "from 0 to 65535")?),
            "directory" => options.directory(value),
            "memory.bytes" => options.memory_bytes(config::size(value).map_err(|why| {
                Error::config(format!("`{key}` is set to `{value}`, which {why}"))
            })?),
            "auto.create.topics" => options.auto_create_topics(match value.trim() {
                "true" => true,
                "false" => false,
                _ => {
                    return Err(Error::config(format!(
                        "`{key}` is set to `{value}`, which is not a boolean: give `true` or `false`"
                    )));
                }
            }),
            "default.partitions" => options.default_partitions(number(key, value, "from 1 on")?),
            "transaction.version" => options.transaction_version(number(key, value, "1 or 2")?),
            "share.record.lock.duration.ms" => options.share_lock(Duration::from_millis(number(
                key,
                value,
                "of milliseconds",
            )?)),
            "share.delivery.count.limit" => {
                options.share_deliveries(number(key, value, "from 1 to 32767")?)
            }
            "share.auto.offset.reset" => options.share_from_earliest(match value.trim() {
                "earliest" => true,
                "latest" => false,
                _ => {
                    return Err(Error::config(format!(
                        "`{key}` is set to `{value}`; give `earliest` or `latest`"
                    )));
                }
            }),
            "group.version" => options.new_group_protocol(match value.trim() {
                "0" => false,
                "1" => true,
                _ => {
                    return Err(Error::config(format!(
                        "`{key}` is set to `{value}`, which is no level of that feature: give 0 or 1"
                    )));
                }
            }),
            "group.initial.rebalance.delay.ms" => {
                options.initial_rebalance_delay(millis(key, value)?)
            }
            "group.consumer.session.timeout.ms" => {
                options.consumer_session_timeout(millis(key, value)?)
            }
            "group.consumer.heartbeat.interval.ms" => {
                options.consumer_heartbeat_interval(millis(key, value)?)
            }
            _ => {
                let meant = config::nearest(key, OPTIONS)
                    .map_or_else(|| format!("it has {}", OPTIONS.join(", ")), |near| format!("did you mean `{near}`?"));
                return Err(Error::config(format!("`{key}` is no option of the embedded broker; {meant}")));
            }
        };
    }
    Ok(options)
}

/// Starts a broker and writes its handle, which the caller frees with `ottla_broker_free`, which also stops the
/// broker. When this returns, its nodes accept connections. `options` may be NULL.
///
/// Errors: OTTLA_ERR_CONFIG and OTTLA_ERR_INVALID_ARGUMENT for invalid options; OTTLA_ERR_IO if a port is not
/// available, the directory can't be read, or no thread can be started.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_broker_new(
    options: *const ottla_config,
    broker: *mut *mut ottla_broker,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::run("ottla_broker_new", error, |call| {
            call.out("broker", broker)?;
            let chosen = guard::read(
                options,
                Ok(BrokerOptions::new()),
                |pairs: &super::config::Pairs| pairs.read(self::options),
            )?;
            let running = Live::new(|| Broker::start(chosen))?;
            let bootstrap_servers = c_string(&running.get()?.bootstrap_servers());
            guard::write(
                broker,
                guard::handle(Running {
                    broker: running,
                    bootstrap_servers,
                }),
            );
            Ok(())
        })
    }
}

/// Returns the addresses of all nodes, in the format of a client's `bootstrap.servers`. The string lives as long as
/// the broker. Returns "" for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_broker_bootstrap_servers(
    broker: *const ottla_broker,
) -> *const c_char {
    // SAFETY: the header's conventions.
    unsafe {
        guard::read(broker, c"".as_ptr(), |b: &Running| {
            b.bootstrap_servers.as_ptr()
        })
    }
}

/// Creates a topic with a replica on every node. Node 1 leads partition 0, node 2 partition 1, and so on in turn.
///
/// Errors: Kafka's code for an invalid name or number, or for a topic that exists.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_broker_create_topic(
    broker: *const ottla_broker,
    topic: *const c_char,
    partitions: i32,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_broker_create_topic",
            broker,
            error,
            |call, running| {
                running
                    .broker
                    .get()?
                    .create_topic(call.text("topic", topic)?, partitions, &[])
            },
        )
    }
}

fn fault_of(call: Call, fault: i32, value: i64) -> Result<Fault> {
    let wrong = || {
        call.wrong(
            "value",
            format_args!("is {value}, which this fault can't have"),
        )
    };
    let millis = || {
        u64::try_from(value)
            .map(Duration::from_millis)
            .map_err(|_| wrong())
    };
    Ok(match fault {
        OTTLA_FAULT_ERROR => match i16::try_from(value) {
            Ok(code) if code != 0 => Fault::Error {
                code: ErrorCode(code.into()),
            },
            _ => return Err(wrong()),
        },
        OTTLA_FAULT_DELAY => Fault::Delay(millis()?),
        OTTLA_FAULT_DROP => Fault::Drop,
        OTTLA_FAULT_SWALLOW_REPLY => Fault::SwallowReply { close: value == 1 },
        OTTLA_FAULT_CORRUPT_BATCH => Fault::CorruptBatch,
        OTTLA_FAULT_CUT_REPLY => Fault::PartialReply {
            bytes: usize::try_from(value).map_err(|_| wrong())?,
        },
        OTTLA_FAULT_THROTTLE => Fault::Throttle(millis()?),
        _ => {
            return Err(call.wrong(
                "fault",
                format_args!("is {fault}, which is none of OTTLA_FAULT_*"),
            ));
        }
    })
}

/// Makes requests fail. Faults are applied in the order in which they were added; several can apply to one request.
///
/// - fault: `OTTLA_FAULT_*`, with its `value`.
/// - node, api_key, topic, partition: applies only to requests to this node, of this kind (Kafka's API key: 0
///   Produce, 1 Fetch, 2 ListOffsets, 3 Metadata, ...), for this topic and partition; -1 and NULL match any.
/// - count: the number of requests to apply it to; -1 for all.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_broker_add_fault(
    broker: *const ottla_broker,
    fault: i32,
    value: i64,
    node: i32,
    api_key: i32,
    topic: *const c_char,
    partition: i32,
    count: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_broker_add_fault", broker, error, |call, running| {
            let mut rule = FaultRule::new(fault_of(call, fault, value)?);
            if node != -1 {
                rule = rule.node(node);
            }
            if api_key != -1 {
                rule = rule.api(api(call, api_key)?);
            }
            if !topic.is_null() {
                rule = rule.topic(call.text("topic", topic)?);
            }
            if partition != -1 {
                rule = rule.partition(partition);
            }
            rule = match count {
                -1 => rule.forever(),
                _ => rule.times(u32::try_from(count).map_err(|_| {
                    call.wrong(
                        "count",
                        format_args!("is {count}; give 0 to {}, or -1 for all", u32::MAX),
                    )
                })?),
            };
            running.broker.get()?.add_fault(rule)
        })
    }
}

fn api(call: Call, api_key: i32) -> Result<i16> {
    i16::try_from(api_key)
        .ok()
        .filter(|key| *key >= 0)
        .ok_or_else(|| {
            call.wrong(
                "api_key",
                format_args!("is {api_key}, which is no kind of request of Kafka's"),
            )
        })
}

/// Removes all faults.
///
/// Errors: OTTLA_ERR_TIMED_OUT or OTTLA_ERR_CLOSED if the broker's thread does not respond.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_broker_clear_faults(
    broker: *const ottla_broker,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_broker_clear_faults", broker, error, |_, running| {
            running.broker.get()?.clear_faults()
        })
    }
}

/// Makes `node` the leader of a partition, with a new leader epoch.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is no such partition, or the node is not running.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_broker_move_leader(
    broker: *const ottla_broker,
    topic: *const c_char,
    partition: i32,
    node: i32,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_broker_move_leader",
            broker,
            error,
            |call, running| {
                running
                    .broker
                    .get()?
                    .move_leader(call.text("topic", topic)?, partition, node)
            },
        )
    }
}

/// Makes `node` the coordinator of a group or transactional id; the others then return NOT_COORDINATOR. For
/// `loading_ms` milliseconds the new one returns COORDINATOR_LOAD_IN_PROGRESS, like a broker that is loading the
/// state.
///
/// - kind: `OTTLA_COORDINATOR_*`; `key` is the group id or the transactional id.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, also if the node is not running.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_broker_move_coordinator(
    broker: *const ottla_broker,
    kind: i32,
    key: *const c_char,
    node: i32,
    loading_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_broker_move_coordinator",
            broker,
            error,
            |call, running| {
                let kind = match kind {
                    OTTLA_COORDINATOR_GROUP => CoordinatorKind::Group,
                    OTTLA_COORDINATOR_TRANSACTION => CoordinatorKind::Transaction,
                    _ => {
                        let what = format_args!("is {kind}, which is none of OTTLA_COORDINATOR_*");
                        return Err(call.wrong("kind", what));
                    }
                };
                let loading = u64::try_from(loading_ms).map_err(|_| {
                    call.wrong(
                        "loading_ms",
                        format_args!("is {loading_ms}; give 0 or more"),
                    )
                })?;
                running.broker.get()?.move_coordinator(
                    kind,
                    call.text("key", key)?,
                    node,
                    Duration::from_millis(loading),
                )
            },
        )
    }
}

/// Makes a group rebalance now, as if a member had joined or left.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if the group has no members.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_broker_force_rebalance(
    broker: *const ottla_broker,
    group: *const c_char,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_broker_force_rebalance",
            broker,
            error,
            |call, running| {
                let group = call.text("group", group)?;
                running.broker.get()?.force_rebalance(group)
            },
        )
    }
}

/// Expires the session of a group member now, as if it had sent no heartbeat for too long; of all members if `member`
/// is NULL.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is no such member, or the group has none.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_broker_expire_member(
    broker: *const ottla_broker,
    group: *const c_char,
    member: *const c_char,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_broker_expire_member",
            broker,
            error,
            |call, running| {
                let group = call.text("group", group)?;
                let broker = running.broker.get()?;
                if member.is_null() {
                    return broker.expire_members(group);
                }
                broker.expire_member(group, call.text("member", member)?)
            },
        )
    }
}

/// Writes the first offset of a partition, and the offset after its last record.
///
/// Errors: OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_broker_offsets(
    broker: *const ottla_broker,
    topic: *const c_char,
    partition: i32,
    start: *mut i64,
    end: *mut i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_broker_offsets", broker, error, |call, running| {
            call.out("start", start)?;
            call.out("end", end)?;
            let topic = call.text("topic", topic)?;
            let (first, after) = running
                .broker
                .get()?
                .offsets(topic, partition)?
                .ok_or_else(|| {
                    Error::new(
                        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                        format!(
                            "asking the embedded broker for offsets: it has no {topic}-{partition}"
                        ),
                    )
                })?;
            guard::write(start, first);
            guard::write(end, after);
            Ok(())
        })
    }
}

/// Stops a node: its connections are closed, its port no longer accepts any, and its partitions move to other nodes.
/// So do its groups; if it is the last node, they wait for its return: members that come back within their session
/// timeout, which then starts over, keep their id, their generation or epoch, and their assignment.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is no such node.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_broker_stop_node(
    broker: *const ottla_broker,
    node: i32,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_broker_stop_node", broker, error, |_, running| {
            running.broker.get()?.stop_node(node)
        })
    }
}

/// Starts a stopped node again, on the same port.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is no such node, OTTLA_ERR_IO if its port is in use.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_broker_start_node(
    broker: *const ottla_broker,
    node: i32,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_broker_start_node", broker, error, |_, running| {
            running.broker.get()?.start_node(node)
        })
    }
}

/// Pauses a node: it accepts requests without answering any, like a stopped process, until
/// `ottla_broker_resume_node`.
///
/// Errors: OTTLA_ERR_TIMED_OUT or OTTLA_ERR_CLOSED if the broker's thread does not respond.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_broker_pause_node(
    broker: *const ottla_broker,
    node: i32,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_broker_pause_node", broker, error, |_, running| {
            running.broker.get()?.pause_node(node)
        })
    }
}

/// Resumes a paused node.
///
/// Errors: as `ottla_broker_pause_node`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_broker_resume_node(
    broker: *const ottla_broker,
    node: i32,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_broker_resume_node", broker, error, |_, running| {
            running.broker.get()?.resume_node(node)
        })
    }
}

/// Writes the number of requests of a kind that a node has received, or all nodes if `node` is -1.
///
/// Errors: as `ottla_broker_pause_node`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_broker_requests_seen(
    broker: *const ottla_broker,
    node: i32,
    api_key: i32,
    count: *mut u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_broker_requests_seen",
            broker,
            error,
            |call, running| {
                call.out("count", count)?;
                let node = (node != -1).then_some(node);
                let seen = running
                    .broker
                    .get()?
                    .requests_seen(node, api(call, api_key)?)?;
                guard::write(count, seen);
                Ok(())
            },
        )
    }
}

/// Stops a broker and frees it; its clients' connections are closed. Records in memory are lost, those in a directory
/// are kept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_broker_free(broker: *mut ottla_broker) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(broker) }
}
