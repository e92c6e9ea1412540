//! Results about topics and the cluster
//!
//! The results of admin calls are immutable: their functions may be called from many threads at once. Strings and
//! arrays in what they write are valid until the result is freed.

use std::ffi::{CString, c_char};

use libc::size_t;

use super::basics::ottla_status;
use super::error::{ottla_error, part_ptr};
use super::guard::{self, Guarded, c_string, opaque};
use crate::admin::{ClusterDescription, TopicDescription, TopicListing, TopicResult};

/// The outcome for each topic of a call that changes topics, in the order of the call.
pub struct ottla_topic_results(Guarded<Vec<TopicRow>>);
opaque!(ottla_topic_results, Vec<TopicRow>, "results");

pub(super) struct TopicRow {
    name: CString,
    error: Option<Box<ottla_error>>,
    partitions: i32,
    replication_factor: i32,
}

impl From<TopicResult> for TopicRow {
    fn from(result: TopicResult) -> Self {
        TopicRow {
            name: c_string(&result.name),
            error: result.error.as_ref().map(ottla_error::part),
            partitions: result.partitions,
            replication_factor: result.replication_factor.into(),
        }
    }
}

/// The outcome for one topic.
#[repr(C)]
pub struct ottla_topic_result {
    /// The topic.
    pub name: *const c_char,
    /// Why the operation failed; NULL if it succeeded.
    pub error: *const ottla_error,
    /// The number of partitions it has now; -1 if it is unknown.
    pub partitions: i32,
    /// The number of replicas of each partition; -1 if it is unknown.
    pub replication_factor: i32,
}

/// Returns the number of results, or 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_topic_results_count(results: *const ottla_topic_results) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(results, 0, |rows: &Vec<TopicRow>| rows.len()) }
}

/// Writes result `i`, counting from 0.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_topic_results_get(
    results: *const ottla_topic_results,
    i: size_t,
    result: *mut ottla_topic_result,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_topic_results_get", results, error, |call, rows| {
            call.out("result", result)?;
            let row = call.element(rows, i)?;
            guard::write(
                result,
                ottla_topic_result {
                    name: row.name.as_ptr(),
                    error: part_ptr(&row.error),
                    partitions: row.partitions,
                    replication_factor: row.replication_factor,
                },
            );
            Ok(())
        })
    }
}

/// Frees results.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_topic_results_free(results: *mut ottla_topic_results) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(results) }
}

/// A list of topics, sorted by name.
pub struct ottla_topic_list(Guarded<Vec<ListRow>>);
opaque!(ottla_topic_list, Vec<ListRow>, "list");

pub(super) struct ListRow {
    name: CString,
    topic: TopicListing,
}

impl From<TopicListing> for ListRow {
    fn from(topic: TopicListing) -> Self {
        ListRow {
            name: c_string(&topic.name),
            topic,
        }
    }
}

/// A topic in a list.
#[repr(C)]
pub struct ottla_topic_listing {
    /// The name of the topic.
    pub name: *const c_char,
    /// The topic id; all zero from brokers before 2.8.
    pub id: [u8; 16],
    /// The number of partitions.
    pub partitions: i32,
    /// True for an internal topic, for example "__consumer_offsets".
    pub internal: bool,
}

/// Returns the number of topics, or 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_topic_list_count(list: *const ottla_topic_list) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(list, 0, |rows: &Vec<ListRow>| rows.len()) }
}

/// Writes topic `i`, counting from 0.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_topic_list_get(
    list: *const ottla_topic_list,
    i: size_t,
    listing: *mut ottla_topic_listing,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_topic_list_get", list, error, |call, rows| {
            call.out("listing", listing)?;
            let row = call.element(rows, i)?;
            guard::write(
                listing,
                ottla_topic_listing {
                    name: row.name.as_ptr(),
                    id: row.topic.id,
                    partitions: row.topic.partitions,
                    internal: row.topic.internal,
                },
            );
            Ok(())
        })
    }
}

/// Frees a list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_topic_list_free(list: *mut ottla_topic_list) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(list) }
}

/// Descriptions of topics, in the order of the call.
pub struct ottla_topic_descriptions(Guarded<TopicDescriptions>);
opaque!(ottla_topic_descriptions, TopicDescriptions, "descriptions");

pub(super) struct TopicDescriptions(Vec<DescriptionRow>);

struct DescriptionRow {
    name: CString,
    error: Option<Box<ottla_error>>,
    topic: TopicDescription,
}

impl TopicDescriptions {
    pub(super) fn new(topics: Vec<TopicDescription>) -> Self {
        let row = |topic: TopicDescription| DescriptionRow {
            name: c_string(&topic.name),
            error: topic.error.as_ref().map(ottla_error::part),
            topic,
        };
        TopicDescriptions(topics.into_iter().map(row).collect())
    }
}

/// A topic, except its partitions.
#[repr(C)]
pub struct ottla_topic_description {
    /// The name of the topic.
    pub name: *const c_char,
    /// Why the topic could not be described, for example OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION; NULL on success.
    pub error: *const ottla_error,
    /// The number of partitions.
    pub partitions: size_t,
    /// The topic id; all zero from brokers before 2.8.
    pub id: [u8; 16],
    /// True for an internal topic.
    pub internal: bool,
}

/// A partition of a topic. Brokers are given by their ids.
#[repr(C)]
pub struct ottla_partition_description {
    /// The brokers that hold a replica, the preferred leader first.
    pub replicas: *const i32,
    /// The number of replicas.
    pub replica_count: size_t,
    /// The replicas that are in sync.
    pub isr: *const i32,
    /// The number of replicas in sync.
    pub isr_count: size_t,
    /// The number of the partition.
    pub partition: i32,
    /// The current leader; -1 if there is none.
    pub leader: i32,
    /// The leader epoch, which grows with each change of leader; -1 if it is unknown.
    pub leader_epoch: i32,
}

/// Returns the number of descriptions, or 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_topic_descriptions_count(
    descriptions: *const ottla_topic_descriptions,
) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(descriptions, 0, |d: &TopicDescriptions| d.0.len()) }
}

/// Writes description `i`, counting from 0.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_topic_descriptions_get(
    descriptions: *const ottla_topic_descriptions,
    i: size_t,
    description: *mut ottla_topic_description,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_topic_descriptions_get",
            descriptions,
            error,
            |call, rows| {
                call.out("description", description)?;
                let row = call.element(&rows.0, i)?;
                guard::write(
                    description,
                    ottla_topic_description {
                        name: row.name.as_ptr(),
                        error: part_ptr(&row.error),
                        partitions: row.topic.partitions.len(),
                        id: row.topic.id,
                        internal: row.topic.internal,
                    },
                );
                Ok(())
            },
        )
    }
}

/// Writes a partition of description `i`; both are counted from 0.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_topic_descriptions_partition(
    descriptions: *const ottla_topic_descriptions,
    i: size_t,
    partition: size_t,
    description: *mut ottla_partition_description,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_topic_descriptions_partition",
            descriptions,
            error,
            |call, rows| {
                call.out("description", description)?;
                let partitions = &call.element(&rows.0, i)?.topic.partitions;
                let own = partitions.get(partition).ok_or_else(|| {
                    call.wrong(
                        "partition",
                        format_args!("is {partition}, but there are {}", partitions.len()),
                    )
                })?;
                guard::write(
                    description,
                    ottla_partition_description {
                        replicas: own.replicas.as_ptr(),
                        replica_count: own.replicas.len(),
                        isr: own.isr.as_ptr(),
                        isr_count: own.isr.len(),
                        partition: own.partition,
                        leader: own.leader,
                        leader_epoch: own.leader_epoch,
                    },
                );
                Ok(())
            },
        )
    }
}

/// Frees descriptions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_topic_descriptions_free(
    descriptions: *mut ottla_topic_descriptions,
) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(descriptions) }
}

/// A description of the cluster, as reported by a broker.
pub struct ottla_cluster(Guarded<Cluster>);
opaque!(ottla_cluster, Cluster, "cluster");

pub(super) struct Cluster {
    id: CString,
    controller: i32,
    brokers: Vec<BrokerRow>,
}

struct BrokerRow {
    host: CString,
    rack: Option<CString>,
    id: i32,
    port: u16,
}

impl From<ClusterDescription> for Cluster {
    fn from(cluster: ClusterDescription) -> Self {
        let brokers = cluster.brokers.into_iter().map(|b| BrokerRow {
            host: c_string(&b.host),
            rack: b.rack.as_deref().map(c_string),
            id: b.id,
            port: b.port,
        });
        Cluster {
            id: c_string(cluster.id.as_deref().unwrap_or_default()),
            controller: cluster.controller,
            brokers: brokers.collect(),
        }
    }
}

/// A broker of the cluster.
#[repr(C)]
pub struct ottla_cluster_broker {
    /// The host it advertises.
    pub host: *const c_char,
    /// The broker's `broker.rack`; NULL if it has none.
    pub rack: *const c_char,
    /// The id of the broker.
    pub id: i32,
    /// The port it advertises.
    pub port: i32,
}

/// Returns the cluster id, or "" if there is none, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_cluster_id(cluster: *const ottla_cluster) -> *const c_char {
    // SAFETY: the header's conventions.
    unsafe { guard::read(cluster, c"".as_ptr(), |c: &Cluster| c.id.as_ptr()) }
}

/// Returns the id of the controller, the broker that changes are sent to; -1 if there is none, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_cluster_controller(cluster: *const ottla_cluster) -> i32 {
    // SAFETY: the header's conventions.
    unsafe { guard::read(cluster, -1, |c: &Cluster| c.controller) }
}

/// Returns the number of brokers, or 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_cluster_broker_count(cluster: *const ottla_cluster) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(cluster, 0, |c: &Cluster| c.brokers.len()) }
}

/// Writes broker `i`, counting from 0, in the order of their ids.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_cluster_get_broker(
    cluster: *const ottla_cluster,
    i: size_t,
    broker: *mut ottla_cluster_broker,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_cluster_get_broker",
            cluster,
            error,
            |call, cluster| {
                call.out("broker", broker)?;
                let row = call.element(&cluster.brokers, i)?;
                guard::write(
                    broker,
                    ottla_cluster_broker {
                        host: row.host.as_ptr(),
                        rack: row.rack.as_ref().map_or(std::ptr::null(), |r| r.as_ptr()),
                        id: row.id,
                        port: row.port.into(),
                    },
                );
                Ok(())
            },
        )
    }
}

/// Frees a description of the cluster.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_cluster_free(cluster: *mut ottla_cluster) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(cluster) }
}
