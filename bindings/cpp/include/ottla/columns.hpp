// Part of <ottla.hpp>: columns, what a batch of records to send is made of.
#ifndef OTTLA_COLUMNS_HPP
#define OTTLA_COLUMNS_HPP

#include "types.hpp"

#if __cplusplus >= 202002L && __has_include(<span>)
#include <span>
#endif

namespace ottla {

namespace detail {

/// Whether elements of this type, copied out of a container, are views of bytes that are stored elsewhere.
template <class T>
struct IsView : std::bool_constant<std::is_same_v<T, Bytes> || std::is_same_v<T, std::string_view> || std::is_pointer_v<T> ||
                                   std::is_same_v<T, std::nullptr_t>> {};
template <class T> struct IsView<Span<T>> : std::true_type {};
template <class T> struct IsView<std::optional<T>> : IsView<std::remove_cv_t<T>> {};
#if defined(__cpp_lib_span)
template <class T, std::size_t N> struct IsView<std::span<T, N>> : std::true_type {};
#endif

/// Whether what an iterator returns stays valid when the iterator advances: a reference to an element, or a view.
template <class Reference>
inline constexpr bool stays = std::is_lvalue_reference_v<Reference> || IsView<std::remove_cv_t<std::remove_reference_t<Reference>>>::value;

} // namespace detail

/// The values (or keys) of many records: a view of the caller's bytes, which must stay valid until the call that
/// takes it has returned.
///
/// The cheapest forms are `Column::lengths` and `Column::offsets`, with all bytes in one blob. A container of views
/// costs one pointer and one length per record.
class Column {
public:
    /// One row for each element of a container of anything that `Bytes` can be made from. A range that creates its
    /// elements during iteration, such as a transformation that returns `std::string`s, is rejected at compile time,
    /// because nothing would keep them alive. Collect them in a container first.
    template <class C, class Reference = decltype(*std::begin(std::declval<const C &>())),
              class = std::enable_if_t<std::is_convertible_v<Reference, Bytes> && detail::stays<Reference> &&
                                       !std::is_convertible_v<const C &, std::string_view>>>
    Column(const C &rows) {
        add(rows);
    }
    Column(std::initializer_list<Bytes> rows) { add(rows); }

    /// Consecutive rows in one blob: `lengths[i]` bytes each, -1 for null.
    static Column lengths(Bytes blob, Span<const std::int32_t> lengths) noexcept {
        Column column;
        column.rows_ = lengths.size();
        column.raw_.blob = blob.raw().data;
        column.raw_.blob_len = blob.size();
        column.raw_.lengths = lengths.data();
        return column;
    }
    /// Row `i` is the bytes from `offsets[i]` to `offsets[i + 1]`, as in Arrow: one offset more than rows.
    static Column offsets(Bytes blob, Span<const std::int32_t> offsets) noexcept {
        Column column;
        column.rows_ = offsets.empty() ? 0 : offsets.size() - 1;
        column.raw_.blob = blob.raw().data;
        column.raw_.blob_len = blob.size();
        column.raw_.offsets = offsets.data();
        return column;
    }

    Column(Column &&) noexcept = default;
    Column &operator=(Column &&) noexcept = default;
    Column(const Column &) = delete;
    Column &operator=(const Column &) = delete;

    std::size_t rows() const noexcept { return rows_; }

    /// The rows from `first` on, as a view of the same bytes: for continuing after a batch was only partly accepted.
    Column from(std::size_t first) const noexcept {
        Column rest;
        rest.raw_ = raw_;
        first = first < rows() ? first : rows();
        rest.rows_ = rows_ - first;
        if (rest.raw_.pointers != nullptr) {
            rest.raw_.pointers += first;
        }
        if (rest.raw_.offsets != nullptr) {
            rest.raw_.offsets += first;
        }
        if (rest.raw_.lengths != nullptr) {
            if (rest.raw_.pointers == nullptr) {
                for (std::size_t i = 0; i < first; i++) {
                    const std::size_t length = rest.raw_.lengths[i] > 0 ? static_cast<std::size_t>(rest.raw_.lengths[i]) : 0;
                    rest.raw_.blob += length;
                    rest.raw_.blob_len -= length;
                }
            }
            rest.raw_.lengths += first;
        }
        return rest;
    }

    /// The form for C, valid until this column is moved or destroyed.
    ottla_column raw() const noexcept {
        // Without rows there may be no arrays to tell the layout by.
        static constexpr std::int32_t none = 0;
        ottla_column raw = raw_;
        if (rows_ == 0) {
            raw = {};
            raw.lengths = &none;
        }
        return raw;
    }

private:
    Column() = default;

    template <class C> void add(const C &rows) {
        const auto count = static_cast<std::size_t>(std::distance(std::begin(rows), std::end(rows)));
        pointers_.reserve(count);
        lengths_.reserve(count);
        for (const auto &row : rows) {
            const Bytes bytes(row);
            pointers_.push_back(bytes.raw().data);
            lengths_.push_back(length(bytes));
        }
        rows_ = count;
        raw_.pointers = pointers_.data();
        raw_.lengths = lengths_.data();
    }

    /// A length beyond that of any record is given as the largest possible one, which the producer refuses.
    static std::int32_t length(const Bytes &bytes) noexcept {
        constexpr auto longest = std::numeric_limits<std::int32_t>::max();
        if (bytes.is_null()) {
            return -1;
        }
        return bytes.size() > static_cast<std::size_t>(longest) ? longest : static_cast<std::int32_t>(bytes.size());
    }

    detail::Emptied<std::size_t> rows_;
    ottla_column raw_{};
    std::vector<const std::uint8_t *> pointers_;
    std::vector<std::int32_t> lengths_;
};

/// The headers of many records. It owns a copy of them, and can be cleared and filled again.
class HeaderColumn {
public:
    /// Adds the headers of the next record; may be empty.
    void add(Span<const Header> headers) {
        counts_.push_back(static_cast<std::int32_t>(headers.size()));
        for (const Header &header : headers) {
            append(header.name());
            if (header.value().is_null()) {
                lengths_.push_back(-1);
            } else {
                append(*header.value());
            }
        }
    }
    void clear() noexcept {
        counts_.clear();
        lengths_.clear();
        blob_.clear();
    }
    /// The number of records.
    std::size_t rows() const noexcept { return counts_.size(); }

    /// The form for C, valid until this column is changed.
    ottla_header_column raw() const noexcept {
        ottla_header_column raw{};
        raw.counts = counts_.data();
        raw.lengths = lengths_.data();
        raw.lengths_count = lengths_.size();
        raw.blob = reinterpret_cast<const std::uint8_t *>(blob_.data());
        raw.blob_len = blob_.size();
        return raw;
    }

private:
    void append(std::string_view bytes) {
        lengths_.push_back(static_cast<std::int32_t>(bytes.size()));
        blob_.append(bytes);
    }

    std::vector<std::int32_t> counts_;
    std::vector<std::int32_t> lengths_;
    std::string blob_;
};

} // namespace ottla

#endif
