// Part of <ottla.hpp>: configuration, and which library this is.
#ifndef OTTLA_CONFIG_HPP
#define OTTLA_CONFIG_HPP

#include "types.hpp"

namespace ottla {

/// Returns the version of the loaded library, for example `0.1.0`.
inline std::string_view version() noexcept { return ottla_version(); }

/// Settings under Kafka's own keys:
///
///     ottla::Config config{{"bootstrap.servers", "localhost:9092"}, {"linger.ms", 5}, {"compression.type", "lz4"}};
///
/// Values are text with or without a unit (`"5ms"`, `"64MiB"`), numbers in Kafka's unit, booleans or `std::chrono`
/// durations. Nothing is checked until a client is created from it: then an unknown key, a wrong value or a key of
/// another kind of client is an error that names the key, what is allowed, and the closest valid key.
/// docs/configuration.md lists all keys.
class Config {
public:
    /// A value of a setting, as text.
    class Value {
    public:
        Value(const char *text) : text_(text ? text : "") {}
        Value(std::string_view text) : text_(text) {}
        Value(std::string text) : text_(std::move(text)) {}
        Value(bool flag) : text_(flag ? "true" : "false") {}
        template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>> Value(T number) : text_(std::to_string(number)) {}
        template <class Rep, class Period>
        Value(std::chrono::duration<Rep, Period> duration) : text_(std::to_string(Timeout(duration).ms()) + "ms") {}
        const std::string &text() const noexcept { return text_; }

    private:
        std::string text_;
    };
    struct Setting {
        std::string key;
        Value value;
    };

    Config() = default;
    Config(std::initializer_list<Setting> settings) : settings_(settings) {}

    /// Adds a setting, or replaces the one with this key.
    Config &set(std::string_view key, Value value) {
        for (Setting &setting : settings_) {
            if (setting.key == key) {
                setting.value = std::move(value);
                return *this;
            }
        }
        settings_.push_back({std::string(key), std::move(value)});
        return *this;
    }
    const std::vector<Setting> &settings() const noexcept { return settings_; }

private:
    std::vector<Setting> settings_;
};

namespace detail {

using ConfigHandle = Handle<ottla_config, ottla_config_free>;

/// The C form of a configuration. Header and library versions are compared here.
inline Result<ConfigHandle> make(const Config &config) {
    if (ottla_abi_version() != OTTLA_ABI_VERSION) {
        return Error(OTTLA_ERR_UNSUPPORTED, "this program was compiled with the header of ABI version " +
                                                std::to_string(OTTLA_ABI_VERSION) + ", the libottla it loaded has " +
                                                std::to_string(ottla_abi_version()) +
                                                "; compile it again, or install the libottla of its version");
    }
    ConfigHandle handle(ottla_config_new());
    for (const Config::Setting &setting : config.settings()) {
        const TextArgument key(setting.key), value(setting.value.text());
        for (const TextArgument *text : {&key, &value}) {
            if (text->cut()) {
                return text->error();
            }
        }
        Caught caught;
        auto set = caught.after(ottla_config_set(handle.get(), key, value, caught));
        if (!set) {
            return set.error();
        }
    }
    return handle;
}

/// Creates a client from a configuration.
template <class H, class F> Result<H> open(const Config &config, F &&function) {
    auto handle = make(config);
    if (!handle) {
        return handle.error();
    }
    detail::CaughtHandle<H> making;
    return making.made(function(handle->get(), making.out(), making));
}

} // namespace detail

/// A configuration key: for programs that show or check settings.
struct ConfigKey {
    std::string name;
    std::string type;
    std::string default_value;
    std::string meaning;
    /// The kinds of client that the key applies to.
    bool producer;
    bool consumer;
    bool share_consumer;
    bool admin;
};

/// Returns all keys, with their types, defaults and meanings.
template <class = void> Result<std::vector<ConfigKey>> try_config_keys() {
    using Keys = detail::Handle<ottla_keys, ottla_keys_free>;
    detail::CaughtHandle<Keys> making;
    auto keys = making.made(ottla_config_keys(making.out(), making));
    if (!keys) {
        return keys.error();
    }
    std::vector<ConfigKey> all;
    for (std::size_t i = 0; i < ottla_keys_count(keys->get()); i++) {
        ottla_key raw_key{};
        detail::Caught caught;
        auto key = caught.after(ottla_keys_get(keys->get(), i, &raw_key, caught), raw_key);
        if (!key) {
            return key.error();
        }
        all.push_back({key->name, key->type_name, key->default_value ? key->default_value : "", key->meaning,
                       (key->clients & OTTLA_KEY_PRODUCER) != 0, (key->clients & OTTLA_KEY_CONSUMER) != 0,
                       (key->clients & OTTLA_KEY_SHARE_CONSUMER) != 0, (key->clients & OTTLA_KEY_ADMIN) != 0});
    }
    return all;
}
template <class = void> std::vector<ConfigKey> config_keys() { return try_config_keys().value(); }

/// The severity of a log line.
enum class LogLevel : std::int32_t {
    /// A requested operation failed.
    error = OTTLA_LOG_ERROR,
    /// Something is wrong, but may recover without intervention.
    warn = OTTLA_LOG_WARN,
    /// A noteworthy change.
    info = OTTLA_LOG_INFO,
    /// The client's decisions and their reasons.
    debug = OTTLA_LOG_DEBUG,
    /// Every request and response.
    trace = OTTLA_LOG_TRACE,
};

/// A log line of a client.
struct LogLine {
    LogLevel level;
    /// The part of the library that logged it.
    std::string facility;
    std::string client_id;
    std::string message;
    std::chrono::system_clock::time_point time;
    /// The number of lines with the same cause that were left out since the previous one.
    std::uint64_t repeated;
};

namespace detail {

using LogLines = Handle<ottla_log_lines, ottla_log_lines_free>;

template <class = void> Result<std::vector<LogLine>> log_lines(const Result<LogLines> &lines) {
    if (!lines) {
        return lines.error();
    }
    std::vector<LogLine> all;
    const std::size_t count = *lines ? ottla_log_lines_count(lines->get()) : 0;
    for (std::size_t i = 0; i < count; i++) {
        ottla_log_line raw_line{};
        Caught caught;
        auto line = caught.after(ottla_log_lines_get(lines->get(), i, &raw_line, caught), raw_line);
        if (!line) {
            return line.error();
        }
        all.push_back({static_cast<LogLevel>(line->level), line->facility, line->client_id, line->message,
                       std::chrono::system_clock::time_point(std::chrono::milliseconds(line->time)), line->repeated});
    }
    return all;
}

} // namespace detail
} // namespace ottla

#endif
