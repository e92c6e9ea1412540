// Part of <ottla.hpp>: statistics.
#ifndef OTTLA_STATS_HPP
#define OTTLA_STATS_HPP

#include "types.hpp"

namespace ottla {

/// Statistics of a client by scope: first the client as a whole, then each broker, then each partition. Owns its
/// memory; may be used from any thread and outlive its client. docs/statistics.md lists the figures by name.
///
///     const ottla::Stats stats = producer.stats(1s);
///     std::cout << stats.client().value("records_written").value_or(0) << '\n';
///     for (std::size_t i = 0; i < stats.size(); i++) {
///         if (auto latency = stats[i].histogram("produce_latency_us")) {
///             std::cout << stats[i].address() << ": 99 % within " << latency->p99 << " us\n";
///         }
///     }
class Stats {
public:
    using Handle = detail::Handle<ottla_stats, ottla_stats_free>;
    explicit Stats(Handle handle) noexcept : handle_(std::move(handle)) {}

    enum class Kind : std::int32_t {
        client = OTTLA_STATS_CLIENT,
        broker = OTTLA_STATS_BROKER,
        partition = OTTLA_STATS_PARTITION,
    };

    /// One set of figures. A view into its `Stats`.
    class Scope {
    public:
        Kind kind() const noexcept { return static_cast<Kind>(raw_.kind); }
        /// The id of the broker, or of the partition's leader; -1 for a bootstrap server, or if there is none.
        std::int32_t broker() const noexcept { return raw_.broker; }
        /// The host and port of a broker; otherwise empty.
        std::string_view address() const noexcept { return text(raw_.address); }
        /// The state of a broker: `up`, `connecting`, `failing` or `idle`.
        std::string_view state() const noexcept { return text(raw_.state); }
        /// The topic of a partition; otherwise empty.
        std::string_view topic() const noexcept { return text(raw_.topic); }
        std::int32_t partition() const noexcept { return raw_.partition; }
        /// Returns a figure by its name.
        std::optional<std::int64_t> value(const Text &name) const {
            const detail::TextArgument argument(name);
            std::int64_t found = 0;
            const bool known = !argument.cut() && ottla_stats_value(stats_, index_, argument, &found, nullptr) == OTTLA_OK;
            return known ? std::optional<std::int64_t>(found) : std::nullopt;
        }
        /// Returns a histogram by its name.
        std::optional<ottla_histogram> histogram(const Text &name) const {
            const detail::TextArgument argument(name);
            ottla_histogram found{};
            const bool known =
                !argument.cut() && ottla_stats_histogram(stats_, index_, argument, &found, nullptr) == OTTLA_OK;
            return known ? std::optional<ottla_histogram>(found) : std::nullopt;
        }
        /// The errors that occurred, by code.
        Span<const ottla_error_count> errors() const noexcept {
            return {ottla_stats_errors(stats_, index_), ottla_stats_error_count(stats_, index_)};
        }

    private:
        friend class Stats;
        Scope(const ottla_stats *stats, std::size_t index) noexcept : stats_(stats), index_(index) {
            (void)ottla_stats_get(stats, index, &raw_, nullptr);
        }
        static std::string_view text(const char *given) noexcept { return given ? given : ""; }

        const ottla_stats *stats_;
        std::size_t index_;
        ottla_stats_scope raw_{nullptr, nullptr, nullptr, -1, -1, -1};
    };

    std::size_t size() const noexcept { return ottla_stats_count(handle_.get()); }
    Scope operator[](std::size_t i) const noexcept { return Scope(handle_.get(), i); }
    /// The figures of the client as a whole.
    Scope client() const noexcept { return (*this)[0]; }
    /// The figures of a partition, if there are any.
    std::optional<Scope> partition(std::string_view topic, std::int32_t number) const noexcept {
        for (std::size_t i = 0; i < size(); i++) {
            const Scope scope = (*this)[i];
            if (scope.partition() == number && scope.topic() == topic) {
                return scope;
            }
        }
        return std::nullopt;
    }
    /// Returns all figures as one JSON object; it lives as long as this object.
    std::string_view json() const noexcept { return ottla_stats_json(handle_.get()); }

private:
    Handle handle_;
};

namespace detail {

template <class = void> Result<Stats> stats(Result<Stats::Handle> handle) {
    if (!handle) {
        return handle.error();
    }
    return Stats(*std::move(handle));
}

template <class = void> Result<std::optional<Stats>> next_stats(Result<Stats::Handle> handle) {
    if (!handle) {
        return handle.error();
    }
    return *handle ? std::optional<Stats>(*std::move(handle)) : std::nullopt;
}

} // namespace detail
} // namespace ottla

#endif
