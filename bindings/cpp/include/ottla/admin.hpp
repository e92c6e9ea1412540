// Part of <ottla.hpp>: Admin: topics and the cluster.
#ifndef OTTLA_ADMIN_HPP
#define OTTLA_ADMIN_HPP

#include "answer.hpp"
#include "config.hpp"

namespace ottla {

/// A topic to create.
struct NewTopic {
    std::string name;
    /// -1: the broker's `num.partitions`.
    std::int32_t partitions = -1;
    /// -1: the broker's `default.replication.factor`.
    std::int16_t replication_factor = -1;
    /// The topic's configuration, for example `{"cleanup.policy", "compact"}`.
    std::vector<std::pair<std::string, std::string>> configs{};
};

/// The outcome for one topic of a call.
struct TopicResult {
    std::string name;
    /// Why it failed; empty on success.
    std::optional<Error> error;
    /// The number created; -1 if the broker doesn't report it.
    std::int32_t partitions;
    std::int32_t replication_factor;
};

/// A topic in a list.
struct TopicListing {
    std::string name;
    std::array<std::uint8_t, 16> id;
    std::int32_t partitions;
    /// True for an internal topic of Kafka's.
    bool internal;
};

struct PartitionDescription {
    std::int32_t partition;
    /// The id of the leader; -1 if there is none.
    std::int32_t leader;
    std::int32_t leader_epoch;
    std::vector<std::int32_t> replicas;
    /// The replicas that are in sync.
    std::vector<std::int32_t> isr;
};

struct TopicDescription {
    std::string name;
    /// Why the topic could not be described; empty on success.
    std::optional<Error> error;
    std::array<std::uint8_t, 16> id;
    bool internal;
    std::vector<PartitionDescription> partitions;
};

struct BrokerDescription {
    std::int32_t id;
    std::string host;
    std::int32_t port;
    std::optional<std::string> rack;
};

struct ClusterDescription {
    std::string id;
    std::int32_t controller;
    std::vector<BrokerDescription> brokers;
};

/// Creates, deletes, lists and describes topics. All its functions may be called from many threads at once; move and
/// destroy it once those calls have returned.
///
///     ottla::Admin admin{{{"bootstrap.servers", "localhost:9092"}}};
///     admin.create_topic({"orders", 8}, 10s);
///
/// Functions throw `Error`; their `try_…` variants return it instead. Functions for several topics report a topic's
/// failure in its result.
class Admin {
public:
    using Handle = detail::Handle<ottla_admin, ottla_admin_free>;

    /// Checks the configuration; does not connect yet.
    explicit Admin(const Config &config) : Admin(open(config).value()) {}
    /// The same without exceptions.
    static Result<Admin> open(const Config &config) {
        auto handle = detail::open<Handle>(config, ottla_admin_new);
        if (!handle) {
            return handle.error();
        }
        return Admin(*std::move(handle));
    }

    /// Connects to a bootstrap broker; the error names for each of them the stage that failed, and why.
    Result<void> try_connect(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_admin_connect(get(), timeout.ms(), error));
    }
    void connect(Timeout timeout) const { try_connect(timeout).value(); }

    /// Creates topics. With `validate_only` the request is checked and nothing is created.
    template <class = void> Result<std::vector<TopicResult>> try_create_topics(Span<const NewTopic> topics, Timeout timeout,
                                                       bool validate_only = false) const {
        detail::Texts texts;
        std::vector<std::vector<const char *>> configs;
        std::vector<ottla_new_topic> raw;
        configs.reserve(topics.size());
        raw.reserve(topics.size());
        for (const NewTopic &topic : topics) {
            std::vector<const char *> &flat = configs.emplace_back();
            for (const auto &[key, value] : topic.configs) {
                flat.push_back(texts.add(key));
                flat.push_back(texts.add(value));
            }
            ottla_new_topic one{};
            one.name = texts.add(topic.name);
            one.partitions = topic.partitions;
            one.replication_factor = topic.replication_factor;
            one.configs = flat.data();
            one.config_count = topic.configs.size();
            raw.push_back(one);
        }
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::CaughtHandle<Results> making;
        return results(making.made(ottla_admin_create_topics(get(), raw.data(), raw.size(), validate_only, timeout.ms(), making.out(), making)));
    }
    template <class = void> std::vector<TopicResult> create_topics(Span<const NewTopic> topics, Timeout timeout, bool validate_only = false) const {
        return try_create_topics(topics, timeout, validate_only).value();
    }
    /// Creates one topic; its error is the error of the call.
    template <class = void> Result<void> try_create_topic(const NewTopic &topic, Timeout timeout) const {
        return only(try_create_topics(Span<const NewTopic>(&topic, 1), timeout));
    }
    template <class = void> void create_topic(const NewTopic &topic, Timeout timeout) const { try_create_topic(topic, timeout).value(); }

    /// Deletes topics and all their records.
    template <class = void> Result<std::vector<TopicResult>> try_delete_topics(Span<const std::string> names, Timeout timeout) const {
        detail::Texts texts;
        const auto raw = detail::c_strings(names, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::CaughtHandle<Results> making;
        return results(making.made(ottla_admin_delete_topics(get(), raw.data(), raw.size(), timeout.ms(), making.out(), making)));
    }
    template <class = void> std::vector<TopicResult> delete_topics(Span<const std::string> names, Timeout timeout) const {
        return try_delete_topics(names, timeout).value();
    }
    /// Deletes one topic; its error is the error of the call.
    template <class = void> Result<void> try_delete_topic(const Text &name, Timeout timeout) const {
        const std::string owned = name.str();
        return only(try_delete_topics(Span<const std::string>(&owned, 1), timeout));
    }
    template <class = void> void delete_topic(const Text &name, Timeout timeout) const { try_delete_topic(name, timeout).value(); }

    /// Increases a topic's number of partitions to `total`.
    Result<void> try_create_partitions(const Text &topic, std::int32_t total, Timeout timeout,
                                       bool validate_only = false) const {
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_admin_create_partitions(get(), name, total, validate_only, timeout.ms(), error));
    }
    void create_partitions(const Text &topic, std::int32_t total, Timeout timeout, bool validate_only = false) const {
        try_create_partitions(topic, total, timeout, validate_only).value();
    }

    /// Lists all topics by name, internal ones only if asked for.
    template <class = void> Result<std::vector<TopicListing>> try_list_topics(Timeout timeout, bool include_internal = false) const {
        detail::CaughtHandle<List> making;
        auto list = making.made(ottla_admin_list_topics(get(), include_internal, timeout.ms(), making.out(), making));
        return listed(list);
    }
    template <class = void> std::vector<TopicListing> list_topics(Timeout timeout, bool include_internal = false) const {
        return try_list_topics(timeout, include_internal).value();
    }

    /// Returns the partitions, leaders and replicas of topics.
    template <class = void> Result<std::vector<TopicDescription>> try_describe_topics(Span<const std::string> names, Timeout timeout) const {
        detail::Texts texts;
        const auto raw = detail::c_strings(names, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::CaughtHandle<Descriptions> making;
        auto got = making.made(ottla_admin_describe_topics(get(), raw.data(), raw.size(), timeout.ms(), making.out(), making));
        return described(got);
    }
    template <class = void> std::vector<TopicDescription> describe_topics(Span<const std::string> names, Timeout timeout) const {
        return try_describe_topics(names, timeout).value();
    }

    /// Returns the brokers and the controller.
    template <class = void> Result<ClusterDescription> try_describe_cluster(Timeout timeout) const {
        detail::CaughtHandle<Cluster> making;
        auto cluster = making.made(ottla_admin_describe_cluster(get(), timeout.ms(), making.out(), making));
        return clustered(cluster);
    }
    template <class = void> ClusterDescription describe_cluster(Timeout timeout) const { return try_describe_cluster(timeout).value(); }

    /// Takes up to `max` log lines.
    template <class = void> Result<std::vector<LogLine>> try_logs(std::size_t max = 1000) const {
        detail::CaughtHandle<detail::LogLines> making;
        return detail::log_lines(making.made(ottla_admin_logs(get(), max, making.out(), making)));
    }
    template <class = void> std::vector<LogLine> logs(std::size_t max = 1000) const { return try_logs(max).value(); }

    /// Ends calls that wait in other threads, and closes the connections.
    Result<void> try_close(Timeout timeout) const {
        detail::Caught error;
        return error.after(ottla_admin_close(get(), timeout.ms(), error));
    }
    void close(Timeout timeout) const { try_close(timeout).value(); }

    /// Begins `connect` without waiting; see `Answer`.
    Result<void> try_connect_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_admin_connect_async(get(), timeout.ms(), token, error));
    }
    void connect_async(Timeout timeout, std::uint64_t token) const { try_connect_async(timeout, token).value(); }
    /// Begins `describe_cluster` without waiting; see `Answer`.
    Result<void> try_describe_cluster_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_admin_describe_cluster_async(get(), timeout.ms(), token, error));
    }
    void describe_cluster_async(Timeout timeout, std::uint64_t token) const { try_describe_cluster_async(timeout, token).value(); }
    /// Begins `close` without waiting; see `Answer`.
    Result<void> try_close_async(Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_admin_close_async(get(), timeout.ms(), token, error));
    }
    void close_async(Timeout timeout, std::uint64_t token) const { try_close_async(timeout, token).value(); }
    /// Begins `create_topics` without waiting; see `Answer`.
    template <class = void> Result<void> try_create_topics_async(Span<const NewTopic> topics, bool validate_only, Timeout timeout, std::uint64_t token) const {
        detail::Texts texts;
        std::vector<std::vector<const char *>> configs;
        std::vector<ottla_new_topic> raw;
        configs.reserve(topics.size());
        raw.reserve(topics.size());
        for (const NewTopic &topic : topics) {
            std::vector<const char *> &flat = configs.emplace_back();
            for (const auto &[key, value] : topic.configs) {
                flat.push_back(texts.add(key));
                flat.push_back(texts.add(value));
            }
            ottla_new_topic one{};
            one.name = texts.add(topic.name);
            one.partitions = topic.partitions;
            one.replication_factor = topic.replication_factor;
            one.configs = flat.data();
            one.config_count = topic.configs.size();
            raw.push_back(one);
        }
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_admin_create_topics_async(get(), raw.data(), raw.size(), validate_only, timeout.ms(), token, error));
    }
    template <class = void> void create_topics_async(Span<const NewTopic> topics, bool validate_only, Timeout timeout, std::uint64_t token) const { try_create_topics_async(topics, validate_only, timeout, token).value(); }
    /// Begins `delete_topics` without waiting; see `Answer`.
    template <class = void> Result<void> try_delete_topics_async(Span<const std::string> names, Timeout timeout, std::uint64_t token) const {
        detail::Texts texts;
        const auto raw = detail::c_strings(names, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_admin_delete_topics_async(get(), raw.data(), raw.size(), timeout.ms(), token, error));
    }
    template <class = void> void delete_topics_async(Span<const std::string> names, Timeout timeout, std::uint64_t token) const { try_delete_topics_async(names, timeout, token).value(); }
    /// Begins `describe_topics` without waiting; see `Answer`.
    template <class = void> Result<void> try_describe_topics_async(Span<const std::string> names, Timeout timeout, std::uint64_t token) const {
        detail::Texts texts;
        const auto raw = detail::c_strings(names, texts);
        if (texts.wrong()) {
            return *texts.wrong();
        }
        detail::Caught error;
        return error.after(ottla_admin_describe_topics_async(get(), raw.data(), raw.size(), timeout.ms(), token, error));
    }
    template <class = void> void describe_topics_async(Span<const std::string> names, Timeout timeout, std::uint64_t token) const { try_describe_topics_async(names, timeout, token).value(); }
    /// Begins `create_partitions` without waiting; see `Answer`.
    Result<void> try_create_partitions_async(const Text &topic, std::int32_t total, bool validate_only, Timeout timeout, std::uint64_t token) const {
        const detail::TextArgument name(topic);
        if (name.cut()) {
            return name.error();
        }
        detail::Caught error;
        return error.after(ottla_admin_create_partitions_async(get(), name, total, validate_only, timeout.ms(), token, error));
    }
    void create_partitions_async(const Text &topic, std::int32_t total, bool validate_only, Timeout timeout, std::uint64_t token) const { try_create_partitions_async(topic, total, validate_only, timeout, token).value(); }
    /// Begins `list_topics` without waiting; see `Answer`.
    Result<void> try_list_topics_async(bool include_internal, Timeout timeout, std::uint64_t token) const {
        detail::Caught error;
        return error.after(ottla_admin_list_topics_async(get(), include_internal, timeout.ms(), token, error));
    }
    void list_topics_async(bool include_internal, Timeout timeout, std::uint64_t token) const { try_list_topics_async(include_internal, timeout, token).value(); }
    /// Returns the next answer to an `_async` call, waiting for it; empty if the timeout ends.
    Result<std::optional<Answer>> try_next_answer(Timeout timeout) const {
        return detail::next_answer(get(), timeout, ottla_admin_next_answer);
    }
    std::optional<Answer> next_answer(Timeout timeout) const { return try_next_answer(timeout).value(); }

    /// Returns the outcome for each topic, from an answer to `create_topics_async` or `delete_topics_async`.
    template <class = void> static Result<std::vector<TopicResult>> try_topic_results_of(const Answer &answer) {
        detail::CaughtHandle<Results> making;
        return results(making.made(ottla_answer_topic_results(answer.get(), making.out(), making)));
    }
    template <class = void> static std::vector<TopicResult> topic_results_of(const Answer &answer) { return try_topic_results_of(answer).value(); }
    /// Returns the topics of an answer to `list_topics_async`.
    template <class = void> static Result<std::vector<TopicListing>> try_topics_of(const Answer &answer) {
        detail::CaughtHandle<List> making;
        return listed(making.made(ottla_answer_topic_list(answer.get(), making.out(), making)));
    }
    template <class = void> static std::vector<TopicListing> topics_of(const Answer &answer) { return try_topics_of(answer).value(); }
    /// Returns the descriptions of an answer to `describe_topics_async`.
    template <class = void> static Result<std::vector<TopicDescription>> try_descriptions_of(const Answer &answer) {
        detail::CaughtHandle<Descriptions> making;
        return described(making.made(ottla_answer_topic_descriptions(answer.get(), making.out(), making)));
    }
    template <class = void> static std::vector<TopicDescription> descriptions_of(const Answer &answer) { return try_descriptions_of(answer).value(); }
    /// Returns the description of an answer to `describe_cluster_async`.
    template <class = void> static Result<ClusterDescription> try_cluster_of(const Answer &answer) {
        detail::CaughtHandle<Cluster> making;
        return clustered(making.made(ottla_answer_cluster(answer.get(), making.out(), making)));
    }
    template <class = void> static ClusterDescription cluster_of(const Answer &answer) { return try_cluster_of(answer).value(); }
    /// Returns a file descriptor (on Windows a SOCKET) that is readable while answers are available. It belongs to the client:
    /// only wait on it.
    Result<std::intptr_t> try_descriptor() const {
        std::intptr_t out{};
        detail::Caught error;
        return error.after(ottla_admin_descriptor(get(), &out, error), out);
    }
    std::intptr_t descriptor() const { return try_descriptor().value(); }

    /// Returns the handle for the C API, which this object keeps owning.
    ottla_admin *get() const noexcept { return handle_.get(); }

private:
    explicit Admin(Handle handle) noexcept : handle_(std::move(handle)) {}

    static std::array<std::uint8_t, 16> id(const std::uint8_t (&raw)[16]) noexcept {
        std::array<std::uint8_t, 16> copy{};
        std::memcpy(copy.data(), raw, sizeof raw);
        return copy;
    }

    static std::optional<Error> maybe(const ottla_error *error) {
        return error ? std::optional<Error>(Error::copy(error)) : std::nullopt;
    }

    using Results = detail::Handle<ottla_topic_results, ottla_topic_results_free>;
    using List = detail::Handle<ottla_topic_list, ottla_topic_list_free>;
    using Descriptions = detail::Handle<ottla_topic_descriptions, ottla_topic_descriptions_free>;
    using Cluster = detail::Handle<ottla_cluster, ottla_cluster_free>;

    template <class = void> static Result<std::vector<TopicResult>> results(const Result<Results> &got) {
        if (!got) {
            return got.error();
        }
        std::vector<TopicResult> all;
        for (std::size_t i = 0; i < ottla_topic_results_count(got->get()); i++) {
            ottla_topic_result raw_one{};
            detail::Caught caught;
            auto one = caught.after(ottla_topic_results_get(got->get(), i, &raw_one, caught), raw_one);
            if (!one) {
                return one.error();
            }
            all.push_back({one->name, maybe(one->error), one->partitions, one->replication_factor});
        }
        return all;
    }

    template <class = void> static Result<std::vector<TopicListing>> listed(const Result<List> &list) {
        if (!list) {
            return list.error();
        }
        std::vector<TopicListing> all;
        for (std::size_t i = 0; i < ottla_topic_list_count(list->get()); i++) {
            ottla_topic_listing raw_one{};
            detail::Caught caught;
            auto one = caught.after(ottla_topic_list_get(list->get(), i, &raw_one, caught), raw_one);
            if (!one) {
                return one.error();
            }
            all.push_back({one->name, id(one->id), one->partitions, one->internal});
        }
        return all;
    }

    template <class = void> static Result<std::vector<TopicDescription>> described(const Result<Descriptions> &got) {
        if (!got) {
            return got.error();
        }
        std::vector<TopicDescription> all;
        for (std::size_t i = 0; i < ottla_topic_descriptions_count(got->get()); i++) {
            auto one = describe(got->get(), i);
            if (!one) {
                return one.error();
            }
            all.push_back(*std::move(one));
        }
        return all;
    }

    template <class = void> static Result<ClusterDescription> clustered(const Result<Cluster> &cluster) {
        if (!cluster) {
            return cluster.error();
        }
        ClusterDescription all{ottla_cluster_id(cluster->get()), ottla_cluster_controller(cluster->get()), {}};
        for (std::size_t i = 0; i < ottla_cluster_broker_count(cluster->get()); i++) {
            ottla_cluster_broker raw_one{};
            detail::Caught caught;
            auto one = caught.after(ottla_cluster_get_broker(cluster->get(), i, &raw_one, caught), raw_one);
            if (!one) {
                return one.error();
            }
            all.brokers.push_back({one->id, one->host, one->port,
                                   one->rack ? std::optional<std::string>(one->rack) : std::nullopt});
        }
        return all;
    }

    template <class = void> static Result<void> only(const Result<std::vector<TopicResult>> &results) {
        if (!results) {
            return results.error();
        }
        for (const TopicResult &result : *results) {
            if (result.error) {
                return *result.error;
            }
        }
        return {};
    }

    template <class = void> static Result<TopicDescription> describe(const ottla_topic_descriptions *all, std::size_t i) {
        ottla_topic_description raw{};
        detail::Caught caught;
        if (const ottla_status status = ottla_topic_descriptions_get(all, i, &raw, caught); status != 0) {
            return caught.take(status);
        }
        TopicDescription topic{raw.name, maybe(raw.error), id(raw.id), raw.internal, {}};
        for (std::size_t p = 0; p < raw.partitions; p++) {
            ottla_partition_description one{};
            if (const ottla_status status = ottla_topic_descriptions_partition(all, i, p, &one, caught); status != 0) {
                return caught.take(status);
            }
            const Span<const std::int32_t> replicas(one.replicas, one.replica_count), isr(one.isr, one.isr_count);
            topic.partitions.push_back({one.partition, one.leader, one.leader_epoch,
                                        {replicas.begin(), replicas.end()}, {isr.begin(), isr.end()}});
        }
        return topic;
    }

    Handle handle_;
};

} // namespace ottla

#endif
