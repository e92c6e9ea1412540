// Part of <ottla.hpp>: Error, and Result for programs without exceptions.
#ifndef OTTLA_ERROR_HPP
#define OTTLA_ERROR_HPP

#include <ottla.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#define OTTLA_EXCEPTIONS 1
#else
#define OTTLA_EXCEPTIONS 0
#endif

namespace ottla {

/// An error: a code, and a message that says what was tried, where, what came back and what to do next.
///
/// Throwing functions throw it, and `try_…` functions return it. Copies are cheap, share their text and may be used
/// from any thread. It outlives the client it came from.
class Error : public std::exception {
public:
    /// Creates an error in the caller's code, with one of the codes `OTTLA_ERR_…` (or Kafka's).
    Error(ottla_status code, std::string message)
        : state_(std::make_shared<State>(State{code, ottla_status_name(code), std::move(message), {}, false, false, false})) {
        finish();
    }
    // Moving is copying: what is left behind still tells what it told.
    Error(const Error &) noexcept = default;
    Error &operator=(const Error &) noexcept = default;

    /// Takes ownership of what a function of the C API reported; frees `error`, which may be NULL.
    static Error take(ottla_status code, ottla_error *error) {
        Error taken = error ? copy(error) : Error(code, "no more is known");
        ottla_error_free(error);
        return taken;
    }

    /// Copies an error that belongs to another object of the C API.
    static Error copy(const ottla_error *error) {
        Error copied(ottla_error_code(error), ottla_error_message(error));
        copied.state_->name = ottla_error_name(error);
        copied.state_->retriable = ottla_error_is_retriable(error);
        copied.state_->fatal = ottla_error_is_fatal(error);
        copied.state_->needs_abort = ottla_error_needs_abort(error);
        copied.finish();
        return copied;
    }

    /// The status: Kafka's codes as on the wire, Ottla's own (`OTTLA_ERR_…`) at or below -100.
    ottla_status code() const noexcept { return state_->code; }
    /// The code's name, for example `UNKNOWN_TOPIC_OR_PARTITION` or `CONFIG`.
    std::string_view name() const noexcept { return state_->name; }
    /// The message alone.
    std::string_view message() const noexcept { return state_->message; }
    /// The message, followed by the name of the code.
    const char *what() const noexcept override { return state_->what.c_str(); }
    /// Whether the same call may succeed when retried later.
    bool retriable() const noexcept { return state_->retriable; }
    /// Whether the client it came from cannot continue.
    bool fatal() const noexcept { return state_->fatal; }
    /// Whether the open transaction has to be aborted.
    bool needs_abort() const noexcept { return state_->needs_abort; }

private:
    struct State {
        ottla_status code;
        std::string name;
        std::string message;
        std::string what;
        bool retriable;
        bool fatal;
        bool needs_abort;
    };

    template <class T> friend class Result;
    /// None; only used together with a value.
    Error() noexcept = default;

    void finish() { state_->what = state_->message + " [" + state_->name + "]"; }

    std::shared_ptr<State> state_;
};

namespace detail {

/// Throws `error`; in a program without exceptions prints it and aborts, as the standard library does.
[[noreturn]] inline void raise(const Error &error) {
#if OTTLA_EXCEPTIONS
    throw error;
#else
    std::fprintf(stderr, "ottla: %s\n", error.what());
    std::abort();
#endif
}

} // namespace detail

/// A value or an `Error`: returned by the `try_…` functions, and all that a program built with `-fno-exceptions`
/// needs.
///
///     if (auto count = consumer.try_partition_count("orders", 5s)) use(*count); else log(count.error().what());
template <class T> class [[nodiscard]] Result {
public:
    Result(T value) : value_(std::move(value)) {}
    Result(Error error) noexcept : error_(error) {}

    bool has_value() const noexcept { return value_.has_value(); }
    explicit operator bool() const noexcept { return has_value(); }

    /// The value; throws the error if there is none (without exceptions: prints it and aborts).
    T &value() & {
        check();
        return **this;
    }
    const T &value() const & {
        check();
        return **this;
    }
    T value() && {
        check();
        return std::move(**this);
    }

    /// The value; there must be one.
    T &operator*() & noexcept { return *value_; }
    const T &operator*() const & noexcept { return *value_; }
    T &&operator*() && noexcept { return *std::move(value_); }
    T *operator->() noexcept { return &*value_; }
    const T *operator->() const noexcept { return &*value_; }

    /// The error; there must be one.
    const Error &error() const noexcept { return error_; }

private:
    void check() const {
        if (!has_value()) {
            detail::raise(error());
        }
    }

    std::optional<T> value_;
    Error error_;
};

/// Success or an `Error`.
template <> class [[nodiscard]] Result<void> {
public:
    Result() noexcept = default;
    Result(Error error) : error_(std::move(error)) {}

    bool has_value() const noexcept { return !error_; }
    explicit operator bool() const noexcept { return has_value(); }
    /// Throws the error if there is one (without exceptions: prints it and aborts).
    void value() const {
        if (error_) {
            detail::raise(*error_);
        }
    }
    /// The error; there must be one.
    const Error &error() const noexcept { return *error_; }

private:
    std::optional<Error> error_;
};

namespace detail {

/// Frees a handle of the C API.
template <auto Free> struct Deleter {
    template <class T> void operator()(T *handle) const noexcept { Free(handle); }
};
template <class T, auto Free> using Handle = std::unique_ptr<T, Deleter<Free>>;

/// Receives the error of one call of the C API:
///
///     detail::Caught error;
///     return error.after(ottla_admin_connect(admin, 1000, error));
class Caught {
public:
    Caught() noexcept = default;
    Caught(const Caught &) = delete;
    Caught &operator=(const Caught &) = delete;

    /// The pointer that the call writes the error to.
    operator ottla_error **() noexcept { return &error_; }

    Result<void> after(ottla_status status) {
        if (status != 0) {
            return take(status);
        }
        return {};
    }
    /// For a call that writes a plain value.
    template <class T> Result<T> after(ottla_status status, const T &value) {
        if (status != 0) {
            return take(status);
        }
        return value;
    }
    /// The error of a call that failed.
    Error take(ottla_status status) { return Error::take(status, std::exchange(error_, nullptr)); }

private:
    ottla_error *error_ = nullptr;
};

/// The same for a call that creates a handle.
template <class H> class CaughtHandle : public Caught {
public:
    /// The pointer that the call writes the handle to.
    typename H::pointer *out() noexcept { return &handle_; }
    Result<H> made(ottla_status status) {
        if (status != 0) {
            return take(status);
        }
        return H(handle_);
    }

private:
    typename H::pointer handle_ = nullptr;
};

} // namespace detail
} // namespace ottla

#endif
