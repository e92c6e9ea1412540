// Part of <ottla.hpp>: partitioners of the program's own.
#ifndef OTTLA_PARTITIONER_HPP
#define OTTLA_PARTITIONER_HPP

#include "types.hpp"

#include <exception>
#include <functional>

namespace ottla {

/// Chooses a record's partition. Returns its number, from 0 to `count` - 1, or -1 to leave the choice to the
/// configured partitioner. Called inside the send calls, on their threads, so possibly on several at once. An
/// exception it throws leaves the send call.
using Partitioner = std::function<std::int32_t(std::string_view topic, Bytes key, std::int32_t count)>;

namespace detail {

#if OTTLA_EXCEPTIONS
/// The exception that a partitioner threw on this thread, on its way through C.
inline std::exception_ptr &thrown() noexcept {
    thread_local std::exception_ptr pointer;
    return pointer;
}
#endif

/// Rethrows the partitioner's exception if that is why a call failed; frees the call's error in that case.
inline void rethrow_after([[maybe_unused]] ottla_error *error) {
#if OTTLA_EXCEPTIONS
    if (thrown()) {
        ottla_error_free(error);
        std::rethrow_exception(std::exchange(thrown(), nullptr));
    }
#endif
}

extern "C" inline std::int32_t ottla_cpp_partitioner(const char *topic, ottla_bytes key, std::int32_t count,
                                                     void *opaque) noexcept {
    const Partitioner &partitioner = *static_cast<const Partitioner *>(opaque);
#if OTTLA_EXCEPTIONS
    try {
        return partitioner(topic, Bytes(key), count);
    } catch (...) {
        thrown() = std::current_exception();
        return std::numeric_limits<std::int32_t>::min();
    }
#else
    return partitioner(topic, Bytes(key), count);
#endif
}

} // namespace detail
} // namespace ottla

#endif
