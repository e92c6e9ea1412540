// Part of <ottla.hpp>: configuration, and which library this is.
#ifndef OTTLA_CONFIG_HPP
#define OTTLA_CONFIG_HPP

#include "types.hpp"

namespace ottla {

/// The version of the library that is loaded, for example `0.1.0`.
inline std::string_view version() noexcept { return ottla_version(); }

/// Settings by Kafka's own keys:
///
///     ottla::Config config{{"bootstrap.servers", "localhost:9092"}, {"linger.ms", 5}, {"compression.type", "lz4"}};
///
/// Values are text with or without a unit (`"5ms"`, `"64MiB"`), numbers in Kafka's unit, booleans or `std::chrono`
/// durations. Nothing is checked until a client is made of it: then an unknown key, a wrong value or a key of another
/// kind of client is an error that names the key, what is allowed, and the nearest right key.
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

/// The C form of a configuration; also the place where header and library are compared.
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
        auto set = call([&](ottla_error **error) {
            return ottla_config_set(handle.get(), key.c_str(), value.c_str(), error);
        });
        if (!set) {
            return set.error();
        }
    }
    return handle;
}

/// Makes a client of a configuration.
template <class H, class F> Result<H> open(const Config &config, F &&function) {
    auto handle = make(config);
    if (!handle) {
        return handle.error();
    }
    return call_for_handle<H>(
        [&](auto **out, ottla_error **error) { return function(handle->get(), out, error); });
}

} // namespace detail

/// A key that can be set: for programs that show or check settings.
struct ConfigKey {
    std::string name;
    std::string type;
    std::string default_value;
    std::string meaning;
    bool producer;
    bool consumer;
    bool admin;
};

/// All keys, with their types, defaults and meanings.
inline Result<std::vector<ConfigKey>> try_config_keys() {
    using Keys = detail::Handle<ottla_keys, ottla_keys_free>;
    auto keys = detail::call_for_handle<Keys>(ottla_config_keys);
    if (!keys) {
        return keys.error();
    }
    std::vector<ConfigKey> all;
    for (std::size_t i = 0; i < ottla_keys_count(keys->get()); i++) {
        auto key = detail::call_for<ottla_key>(
            [&](ottla_key *out, ottla_error **error) { return ottla_keys_get(keys->get(), i, out, error); });
        if (!key) {
            return key.error();
        }
        all.push_back({key->name, key->type_name, key->default_value ? key->default_value : "", key->meaning,
                       (key->clients & 1U) != 0, (key->clients & 2U) != 0, (key->clients & 4U) != 0});
    }
    return all;
}
inline std::vector<ConfigKey> config_keys() { return try_config_keys().value(); }

/// A line of a client's log.
struct LogLine {
    /// 1 error, 2 warning, 3 information, 4 debug, 5 trace.
    std::int32_t level;
    /// The part of the library that speaks.
    std::string facility;
    std::string client_id;
    std::string message;
    std::chrono::system_clock::time_point time;
    /// How many like it were left out since the last one.
    std::uint64_t repeated;
};

namespace detail {

template <class F> Result<std::vector<LogLine>> log_lines(F &&function) {
    using Lines = Handle<ottla_log_lines, ottla_log_lines_free>;
    auto lines = call_for_handle<Lines>(function);
    if (!lines) {
        return lines.error();
    }
    std::vector<LogLine> all;
    const std::size_t count = *lines ? ottla_log_lines_count(lines->get()) : 0;
    for (std::size_t i = 0; i < count; i++) {
        auto line = call_for<ottla_log_line>([&](ottla_log_line *out, ottla_error **error) {
            return ottla_log_lines_get(lines->get(), i, out, error);
        });
        if (!line) {
            return line.error();
        }
        all.push_back({line->level, line->facility, line->client_id, line->message,
                       std::chrono::system_clock::time_point(std::chrono::milliseconds(line->time)), line->repeated});
    }
    return all;
}

} // namespace detail
} // namespace ottla

#endif
