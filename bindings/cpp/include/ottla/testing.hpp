// Part of <ottla.hpp>: an embedded Kafka broker for first steps and for tests.
#ifndef OTTLA_TESTING_HPP
#define OTTLA_TESTING_HPP

#include "config.hpp"

namespace ottla::testing {

/// Something that goes wrong on an embedded broker, for the requests it is aimed at: all of them unless narrowed.
///
///     broker.add_fault(Fault::error(OTTLA_ERR_NOT_LEADER_OR_FOLLOWER).on_topic("orders").times(3));
class Fault {
public:
    /// Answers with a Kafka error code.
    static Fault error(std::int32_t code) { return {OTTLA_FAULT_ERROR, code}; }
    /// Answers late.
    static Fault delay(Timeout time) { return {OTTLA_FAULT_DELAY, time.ms()}; }
    /// Closes the connection; the request has no effect.
    static Fault drop() { return {OTTLA_FAULT_DROP, 0}; }
    /// Does what is asked, but never answers; closes the connection if told to.
    static Fault swallow_reply(bool close_connection) { return {OTTLA_FAULT_SWALLOW_REPLY, close_connection ? 1 : 0}; }
    /// Damages fetched record batches.
    static Fault corrupt_batch() { return {OTTLA_FAULT_CORRUPT_BATCH, 0}; }
    /// Cuts the connection after so many bytes of the answer.
    static Fault cut_reply(std::int64_t bytes) { return {OTTLA_FAULT_CUT_REPLY, bytes}; }
    /// Tells the client that it is throttled for so long.
    static Fault throttle(Timeout time) { return {OTTLA_FAULT_THROTTLE, time.ms()}; }

    Fault on_node(std::int32_t node) && {
        node_ = node;
        return std::move(*this);
    }
    /// Only for this request: 0 Produce, 1 Fetch, 3 Metadata, as in Kafka's protocol.
    Fault on_request(std::int32_t api_key) && {
        api_key_ = api_key;
        return std::move(*this);
    }
    Fault on_topic(std::string topic) && {
        topic_ = std::move(topic);
        return std::move(*this);
    }
    Fault on_partition(std::int32_t partition) && {
        partition_ = partition;
        return std::move(*this);
    }
    /// Only so often; else for ever.
    Fault times(std::int64_t count) && {
        count_ = count;
        return std::move(*this);
    }

private:
    friend class Broker;
    Fault(std::int32_t kind, std::int64_t value) noexcept : kind_(kind), value_(value) {}

    std::int32_t kind_;
    std::int64_t value_;
    std::int32_t node_ = -1;
    std::int32_t api_key_ = -1;
    std::optional<std::string> topic_;
    std::int32_t partition_ = -1;
    std::int64_t count_ = -1;
};

/// What is coordinated.
enum class Coordinator : std::int32_t {
    /// A group, by its id.
    group = OTTLA_COORDINATOR_GROUP,
    /// The transactions of a transactional id.
    transaction = OTTLA_COORDINATOR_TRANSACTION,
};

/// A Kafka cluster inside this process, on free loopback ports; ends when destroyed. All of its functions may be
/// called from many threads at once.
///
///     ottla::testing::Broker broker;
///     broker.create_topic("orders", 8);
///     ottla::Producer producer{{{"bootstrap.servers", broker.bootstrap_servers()}}};
class Broker {
public:
    using Handle = detail::Handle<ottla_broker, ottla_broker_free>;

    /// Starts it. Options: `nodes`, `host`, `port`, `advertised.host`, `advertised.port`, `directory`,
    /// `memory.bytes`, `auto.create.topics`, `default.partitions`, `transaction.version`,
    /// `share.record.lock.duration.ms`, `share.delivery.count.limit`, `share.auto.offset.reset`.
    explicit Broker(const Config &options = {}) : Broker(start(options).value()) {}
    /// The same without exceptions.
    static Result<Broker> start(const Config &options = {}) {
        auto handle = detail::open<Handle>(options, ottla_broker_new);
        if (!handle) {
            return handle.error();
        }
        return Broker(*std::move(handle));
    }

    /// What clients need as `bootstrap.servers`.
    std::string bootstrap_servers() const { return ottla_broker_bootstrap_servers(get()); }

    Result<void> try_create_topic(const Text &topic, std::int32_t partitions = 1) const {
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_broker_create_topic(get(), name, partitions, error));
    }
    void create_topic(const Text &topic, std::int32_t partitions = 1) const { try_create_topic(topic, partitions).value(); }

    /// Adds a fault. Faults are met in the order they were added; one request can meet several.
    Result<void> try_add_fault(const Fault &fault) const {
        detail::Texts texts;
        const char *topic = fault.topic_ ? texts.add(*fault.topic_) : nullptr;
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_broker_add_fault(get(), fault.kind_, fault.value_, fault.node_, fault.api_key_,
                                                  topic, fault.partition_, fault.count_, error));
    }
    void add_fault(const Fault &fault) const { try_add_fault(fault).value(); }

    Result<void> try_clear_faults() const {
        detail::Caught error;
        return error.after(ottla_broker_clear_faults(get(), error));
    }
    void clear_faults() const { try_clear_faults().value(); }

    /// Makes a node the leader of a partition.
    Result<void> try_move_leader(const Text &topic, std::int32_t partition, std::int32_t node) const {
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_broker_move_leader(get(), name, partition, node, error));
    }
    void move_leader(const Text &topic, std::int32_t partition, std::int32_t node) const {
        try_move_leader(topic, partition, node).value();
    }

    /// Makes a node the coordinator of a group or transactional id; it knows nothing for the time of `loading`.
    Result<void> try_move_coordinator(Coordinator kind, const Text &key, std::int32_t node,
                                      Timeout loading = std::chrono::milliseconds{0}) const {
        const detail::TextArgument name(key);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_broker_move_coordinator(get(), static_cast<std::int32_t>(kind), name, node, loading.ms(), error));
    }
    void move_coordinator(Coordinator kind, const Text &key, std::int32_t node,
                          Timeout loading = std::chrono::milliseconds{0}) const {
        try_move_coordinator(kind, key, node, loading).value();
    }

    /// Has a group rebalance now, as if a member had come or gone.
    Result<void> try_force_rebalance(const Text &group) const {
        const detail::TextArgument name(group);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_broker_force_rebalance(get(), name, error));
    }
    void force_rebalance(const Text &group) const { try_force_rebalance(group).value(); }

    /// Ends the session of a group's member now, as if it had sent no heartbeat for too long.
    Result<void> try_expire_member(const Text &group, const Text &member) const {
        const detail::TextArgument name(group);
        if (name.cut()) {
            return name.error();
        }
        const detail::TextArgument id(member);
        if (id.cut()) {
            return id.error();
        }
        detail::Caught error;
        return error.after(ottla_broker_expire_member(get(), name, id, error));
    }
    void expire_member(const Text &group, const Text &member) const { try_expire_member(group, member).value(); }

    /// The same for all members of a group.
    Result<void> try_expire_members(const Text &group) const {
        const detail::TextArgument name(group);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_broker_expire_member(get(), name, nullptr, error));
    }
    void expire_members(const Text &group) const { try_expire_members(group).value(); }

    /// The first offset of a partition and the one behind its last record.
    Result<std::pair<std::int64_t, std::int64_t>> try_offsets(const Text &topic, std::int32_t partition) const {
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        std::pair<std::int64_t, std::int64_t> offsets;
        detail::Caught caught;
        auto got = caught.after(ottla_broker_offsets(get(), name, partition, &offsets.first, &offsets.second, caught));
        if (!got) {
            return got.error();
        }
        return offsets;
    }
    std::pair<std::int64_t, std::int64_t> offsets(const Text &topic, std::int32_t partition) const {
        return try_offsets(topic, partition).value();
    }

    /// Nodes are numbered from 1. Stopping one closes its connections; its partitions move to others.
    Result<void> try_stop_node(std::int32_t node) const {
        detail::Caught error;
        return error.after(ottla_broker_stop_node(get(), node, error));
    }
    void stop_node(std::int32_t node) const { try_stop_node(node).value(); }
    Result<void> try_start_node(std::int32_t node) const {
        detail::Caught error;
        return error.after(ottla_broker_start_node(get(), node, error));
    }
    void start_node(std::int32_t node) const { try_start_node(node).value(); }
    /// A paused node keeps its connections and answers nothing.
    Result<void> try_pause_node(std::int32_t node) const {
        detail::Caught error;
        return error.after(ottla_broker_pause_node(get(), node, error));
    }
    void pause_node(std::int32_t node) const { try_pause_node(node).value(); }
    Result<void> try_resume_node(std::int32_t node) const {
        detail::Caught error;
        return error.after(ottla_broker_resume_node(get(), node, error));
    }
    void resume_node(std::int32_t node) const { try_resume_node(node).value(); }

    /// How many requests of a kind have come, to one node or (-1) to all.
    Result<std::uint64_t> try_requests_seen(std::int32_t api_key, std::int32_t node = -1) const {
        std::uint64_t out{};
        detail::Caught error;
        return error.after(ottla_broker_requests_seen(get(), node, api_key, &out, error), out);
    }
    std::uint64_t requests_seen(std::int32_t api_key, std::int32_t node = -1) const {
        return try_requests_seen(api_key, node).value();
    }

    /// The handle for the C API; it stays this object's.
    ottla_broker *get() const noexcept { return handle_.get(); }

private:
    explicit Broker(Handle handle) noexcept : handle_(std::move(handle)) {}

    Handle handle_;
};

} // namespace ottla::testing

#endif
