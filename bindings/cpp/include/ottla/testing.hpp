// Part of <ottla.hpp>: an embedded Kafka broker for first steps and for tests.
#ifndef OTTLA_TESTING_HPP
#define OTTLA_TESTING_HPP

#include "config.hpp"

namespace ottla::testing {

/// A fault of an embedded broker, for all requests unless narrowed.
///
///     broker.add_fault(Fault::error(OTTLA_ERR_NOT_LEADER_OR_FOLLOWER).on_topic("orders").times(3));
class Fault {
public:
    /// Responds with a Kafka error code.
    static Fault error(std::int32_t code) { return {OTTLA_FAULT_ERROR, code}; }
    /// Responds late.
    static Fault delay(Timeout time) { return {OTTLA_FAULT_DELAY, time.ms()}; }
    /// Closes the connection; the request has no effect.
    static Fault drop() { return {OTTLA_FAULT_DROP, 0}; }
    /// Carries out the request, but never responds; closes the connection if told to.
    static Fault swallow_reply(bool close_connection) { return {OTTLA_FAULT_SWALLOW_REPLY, close_connection ? 1 : 0}; }
    /// Damages fetched record batches.
    static Fault corrupt_batch() { return {OTTLA_FAULT_CORRUPT_BATCH, 0}; }
    /// Closes the connection after this many bytes of the response.
    static Fault cut_reply(std::int64_t bytes) { return {OTTLA_FAULT_CUT_REPLY, bytes}; }
    /// Responds with this throttle time.
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
    /// Only this many times; otherwise until cleared.
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

/// The kinds of coordinator.
enum class Coordinator : std::int32_t {
    /// That of a group, by group id.
    group = OTTLA_COORDINATOR_GROUP,
    /// That of transactions, by transactional id.
    transaction = OTTLA_COORDINATOR_TRANSACTION,
};

/// A Kafka cluster inside this process, on free loopback ports; stops when destroyed. All its functions may be called
/// from many threads at once.
///
///     ottla::testing::Broker broker;
///     broker.create_topic("orders", 8);
///     ottla::Producer producer{{{"bootstrap.servers", broker.bootstrap_servers()}}};
class Broker {
public:
    using Handle = detail::Handle<ottla_broker, ottla_broker_free>;

    /// Starts the broker. Options: `nodes`, `host`, `port`, `advertised.host`, `advertised.port`, `directory`,
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

    /// The addresses for a client's `bootstrap.servers`.
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

    /// Adds a fault. Faults are applied in the order in which they were added; several can apply to one request.
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

    /// Makes a node the coordinator of a group or transactional id; it is loading its state for the time `loading`.
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

    /// Makes a group rebalance now, as if a member had joined or left.
    Result<void> try_force_rebalance(const Text &group) const {
        const detail::TextArgument name(group);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_broker_force_rebalance(get(), name, error));
    }
    void force_rebalance(const Text &group) const { try_force_rebalance(group).value(); }

    /// Expires the session of a group member now, as if it had sent no heartbeat for too long.
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

    /// Returns the first offset of a partition and the offset after its last record.
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

    /// Stops a node; nodes are numbered from 1. Its connections are closed and its partitions move to others.
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
    /// Pauses a node, which keeps its connections and answers nothing.
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

    /// Returns the number of requests of a kind received by one node, or by all (-1).
    Result<std::uint64_t> try_requests_seen(std::int32_t api_key, std::int32_t node = -1) const {
        std::uint64_t out{};
        detail::Caught error;
        return error.after(ottla_broker_requests_seen(get(), node, api_key, &out, error), out);
    }
    std::uint64_t requests_seen(std::int32_t api_key, std::int32_t node = -1) const {
        return try_requests_seen(api_key, node).value();
    }

    /// Returns the handle for the C API, which this object keeps owning.
    ottla_broker *get() const noexcept { return handle_.get(); }

private:
    explicit Broker(Handle handle) noexcept : handle_(std::move(handle)) {}

    Handle handle_;
};

} // namespace ottla::testing

#endif
