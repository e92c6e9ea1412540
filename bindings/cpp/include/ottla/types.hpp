// Part of <ottla.hpp>: the small values that go in and out of calls. None of them owns anything unless it says so.
#ifndef OTTLA_TYPES_HPP
#define OTTLA_TYPES_HPP

#include "error.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <forward_list>
#include <initializer_list>
#include <limits>
#include <optional>
#include <type_traits>
#include <vector>

namespace ottla {

namespace detail {

/// A plain value that is reset when moved from, so that a moved-from object is empty as a whole.
template <class T> class Emptied {
public:
    Emptied(T value = T{}) noexcept : value_(value) {}
    Emptied(const Emptied &) noexcept = default;
    Emptied(Emptied &&other) noexcept : value_(std::exchange(other.value_, T{})) {}
    Emptied &operator=(const Emptied &) noexcept = default;
    Emptied &operator=(Emptied &&other) noexcept {
        value_ = std::exchange(other.value_, T{});
        return *this;
    }
    operator T() const noexcept { return value_; }

private:
    T value_;
};

} // namespace detail

/// A view of contiguous elements, like C++20's `std::span`: made from arrays, vectors, `std::span`, or `{a, b, c}` in
/// an argument list.
template <class T> class Span {
public:
    constexpr Span() noexcept = default;
    constexpr Span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <class C, class = std::enable_if_t<
                           std::is_convertible_v<decltype(std::declval<const C &>().data()), T *> &&
                           std::is_convertible_v<decltype(std::declval<const C &>().size()), std::size_t>>>
    constexpr Span(const C &container) noexcept : data_(container.data()), size_(container.size()) {}
    template <std::size_t N> constexpr Span(T (&array)[N]) noexcept : data_(array), size_(N) {}
    /// For an argument list only: the elements live until the end of the call.
    template <class U = T, class = std::enable_if_t<std::is_const_v<U>>>
    constexpr Span(std::initializer_list<std::remove_const_t<U>> list) noexcept : size_(list.size()) {
        data_ = list.begin();
    }

    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T &operator[](std::size_t i) const noexcept { return data_[i]; }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

/// A view of bytes that distinguishes Kafka's null from empty bytes: keys, values and header values, both read and
/// written.
///
/// Made from anything like `std::string_view`, from contiguous bytes, or from `nullptr` for null. Read like an
/// `std::optional<std::string_view>`. Valid as long as the bytes it views.
class Bytes {
public:
    /// Null.
    constexpr Bytes() noexcept = default;
    constexpr Bytes(std::nullptr_t) noexcept {}
    constexpr Bytes(std::nullopt_t) noexcept {}
    Bytes(const void *data, std::size_t size) noexcept : raw_{static_cast<const std::uint8_t *>(data), size} {}
    explicit Bytes(ottla_bytes raw) noexcept : raw_(raw) {}
    Bytes(const char *text) noexcept : Bytes(text ? Bytes(text, std::strlen(text)) : Bytes()) {}
    /// Never null, even if `text.data()` is.
    Bytes(std::string_view text) noexcept : Bytes(text.data() ? text.data() : "", text.size()) {}
    Bytes(const std::string &text) noexcept : Bytes(text.data(), text.size()) {}
    /// A vector, array or span of bytes. Never null.
    template <class C, class E = std::remove_pointer_t<decltype(std::declval<const C &>().data())>,
              class = std::enable_if_t<sizeof(E) == 1 && std::is_trivially_copyable_v<E> &&
                                       !std::is_convertible_v<const C &, std::string_view> &&
                                       !std::is_same_v<C, Bytes>>>
    Bytes(const C &bytes) noexcept
        : Bytes(bytes.data() ? static_cast<const void *>(bytes.data()) : "", bytes.size()) {}
    /// An optional of any of these; null if it holds none.
    template <class T> Bytes(const std::optional<T> &bytes) noexcept : Bytes(bytes ? Bytes(*bytes) : Bytes()) {}

    constexpr bool is_null() const noexcept { return raw_.data == nullptr; }
    constexpr bool has_value() const noexcept { return raw_.data != nullptr; }
    constexpr explicit operator bool() const noexcept { return has_value(); }
    /// 0 for null.
    constexpr std::size_t size() const noexcept { return raw_.len; }
    constexpr bool empty() const noexcept { return raw_.len == 0; }
    const char *data() const noexcept { return reinterpret_cast<const char *>(raw_.data); }
    /// The bytes; empty for null.
    std::string_view operator*() const noexcept { return {data(), size()}; }
    std::string_view view() const noexcept { return **this; }
    std::string_view value_or(std::string_view other) const noexcept { return has_value() ? **this : other; }
    /// A copy.
    std::string str() const { return std::string(**this); }
    constexpr const ottla_bytes &raw() const noexcept { return raw_; }

    friend bool operator==(const Bytes &a, const Bytes &b) noexcept {
        return a.is_null() == b.is_null() && *a == *b;
    }
    friend bool operator!=(const Bytes &a, const Bytes &b) noexcept { return !(a == b); }

private:
    ottla_bytes raw_{nullptr, 0};
};

/// A header of a record; a view like `Bytes`. Names may repeat.
class Header {
public:
    Header() noexcept = default;
    Header(std::string_view name, Bytes value) noexcept : raw_{Bytes(name).raw(), value.raw()} {}
    std::string_view name() const noexcept { return *Bytes(raw_.name); }
    Bytes value() const noexcept { return Bytes(raw_.value); }

private:
    ottla_header raw_{};
};
static_assert(sizeof(Header) == sizeof(ottla_header) && std::is_standard_layout_v<Header>,
              "an array of Header is handed to C as an array of ottla_header");

/// How long a call may wait: made from any `std::chrono` duration, rounded up to milliseconds. 0 or less does not
/// wait.
class Timeout {
public:
    template <class Rep, class Period>
    constexpr Timeout(std::chrono::duration<Rep, Period> duration) noexcept : ms_(milliseconds(duration)) {}
    constexpr std::int64_t ms() const noexcept { return ms_; }
    /// What remains of it, counted from `start`.
    Timeout left_since(std::chrono::steady_clock::time_point start) const noexcept {
        return ms_ < 0 ? *this : Timeout(std::chrono::milliseconds(ms_) - (std::chrono::steady_clock::now() - start));
    }

private:
    struct Unlimited {};
    constexpr explicit Timeout(Unlimited) noexcept : ms_(-1) {}

    template <class Rep, class Period>
    static constexpr std::int64_t milliseconds(std::chrono::duration<Rep, Period> duration) noexcept {
        using Milliseconds = std::chrono::duration<std::int64_t, std::milli>;
        constexpr double longest = 1e15;
        const double wanted = std::chrono::duration<double, std::milli>(duration).count();
        if (!(wanted > 0)) {
            return 0;
        }
        return wanted >= longest ? static_cast<std::int64_t>(longest) : std::chrono::ceil<Milliseconds>(duration).count();
    }

    std::int64_t ms_;

public:
    /// No limit; for `Producer::send` and `send_batch`: up to `max.block.ms`.
    static constexpr Timeout unlimited() noexcept { return Timeout(Unlimited{}); }
};

/// No limit.
inline constexpr Timeout no_limit = Timeout::unlimited();
/// Up to the producer's `max.block.ms`.
inline constexpr Timeout max_block = Timeout::unlimited();

namespace detail {
class TextArgument;
}

/// A string argument: anything like `std::string_view`. C needs it NUL-terminated; `const char *` and `std::string`
/// already are, so they are not copied.
class Text {
public:
    Text(const char *text) noexcept : data_(text), size_(unknown) {}
    Text(const std::string &text) noexcept : data_(text.c_str()), size_(text.size()) {}
    Text(std::string_view text) noexcept : data_(text.data()), size_(text.size()), terminated_(false) {}

    std::string str() const {
        return size_ == unknown ? std::string(data_ ? data_ : "") : std::string(data_, size_);
    }

private:
    friend class detail::TextArgument;
    static constexpr std::size_t unknown = std::numeric_limits<std::size_t>::max();
    const char *data_;
    std::size_t size_;
    bool terminated_ = true;
};

namespace detail {

/// A NUL inside a string would silently end it on the other side of the C API.
inline bool has_nul(std::string_view text) noexcept {
    return !text.empty() && std::memchr(text.data(), 0, text.size()) != nullptr;
}
inline Error nul_error(std::string_view text) {
    return {OTTLA_ERR_INVALID_ARGUMENT, "\"" + std::string(text.substr(0, text.find('\0'))) +
                                            "…\" holds a NUL character; no name in Kafka does"};
}

/// Many strings in the form for C, and the first of them that has none. They point into the arguments, or into
/// copies.
class Texts {
public:
    Texts() = default;
    Texts(const Texts &) = delete;
    Texts &operator=(const Texts &) = delete;

    /// A string that outlives the call.
    const char *add(const std::string &text) {
        if (!wrong_ && has_nul(text)) {
            wrong_ = nul_error(text);
        }
        return text.c_str();
    }
    /// A copy of any other.
    const char *copy(const Text &text) { return add(copies_.emplace_front(text.str())); }

    /// Why the call can't be made, if it can't.
    const std::optional<Error> &wrong() const noexcept { return wrong_; }

private:
    std::forward_list<std::string> copies_;
    std::optional<Error> wrong_;
};

/// An array of strings as C takes it.
template <class = void> std::vector<const char *> c_strings(Span<const std::string> strings, Texts &texts) {
    std::vector<const char *> raw;
    raw.reserve(strings.size());
    for (const std::string &string : strings) {
        raw.push_back(texts.add(string));
    }
    return raw;
}

/// The NUL-terminated form of a `Text`, for one call.
class TextArgument {
public:
    explicit TextArgument(const Text &text) : pointer_(text.data_) {
        if (text.size_ == Text::unknown) {
            return;
        }
        cut_ = has_nul({text.data_, text.size_});
        if (text.terminated_) {
            return;
        }
        if (text.size_ < sizeof buffer_) {
            if (text.size_ > 0) {
                std::memcpy(buffer_, text.data_, text.size_);
            }
            buffer_[text.size_] = '\0';
            pointer_ = buffer_;
        } else {
            long_.assign(text.data_, text.size_);
            pointer_ = long_.c_str();
        }
    }
    TextArgument(const TextArgument &) = delete;
    TextArgument &operator=(const TextArgument &) = delete;

    operator const char *() const noexcept { return pointer_; }
    bool cut() const noexcept { return cut_; }
    Error error() const { return nul_error({pointer_, std::strlen(pointer_) + 1}); }

private:
    const char *pointer_;
    bool cut_ = false;
    char buffer_[256]; // a topic's name has at most 249 characters
    std::string long_;
};

} // namespace detail

/// A partition of a topic; owns its name.
struct TopicPartition {
    std::string topic;
    std::int32_t partition = 0;

    friend bool operator==(const TopicPartition &a, const TopicPartition &b) noexcept {
        return a.topic == b.topic && a.partition == b.partition;
    }
    friend bool operator!=(const TopicPartition &a, const TopicPartition &b) noexcept { return !(a == b); }
};

/// A moment as Kafka keeps it, in milliseconds since 1970.
inline std::int64_t milliseconds(std::chrono::system_clock::time_point moment) noexcept {
    return std::chrono::floor<std::chrono::milliseconds>(moment).time_since_epoch().count();
}

/// An offset for a group to commit: that of the next record to read.
struct OffsetToCommit {
    Text topic;
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    /// Leader epoch of the last record that was read; -1 if unknown.
    std::int32_t leader_epoch = -1;
    /// Any text to store with it.
    Text metadata = "";
};

/// A consumer's identity in its group, which lets the coordinator refuse a member that has lost its partitions. For
/// partitions that are assigned rather than subscribed, the group's name alone.
struct GroupMetadata {
    Text group_id;
    /// The generation, or the member epoch; -1 for a consumer that is not a member.
    std::int32_t generation = -1;
    Text member_id = "";
    /// `group.instance.id` of a static member.
    std::optional<Text> instance_id = std::nullopt;
};

} // namespace ottla

#endif
