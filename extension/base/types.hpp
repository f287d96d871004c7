// Values as the rules handle them: trivially destructible views of memory that PostgreSQL's memory contexts own.
#pragma once

#include "postgres.hpp"

namespace pg_org {

// Raises an error: a column is null that org_setup() declares NOT NULL.
[[noreturn]] void null_found();

// A value or none. Reading a missing value raises an error, since the tables' owner may have dropped a NOT NULL.
template <typename T> class Maybe {
public:
    constexpr Maybe() = default;
    constexpr Maybe(std::nullopt_t) {}
    template <typename U = T>
        requires(std::is_convertible_v<U, T> && !std::same_as<std::remove_cvref_t<U>, Maybe>)
    constexpr Maybe(U &&value) : value_(std::forward<U>(value)), has_value_(true)
    {
    }

    constexpr bool has_value() const { return has_value_; }
    constexpr explicit operator bool() const { return has_value_; }
    constexpr const T &operator*() const
    {
        if (!has_value_)
            null_found();
        return value_;
    }
    constexpr const T *operator->() const { return &**this; }
    template <typename U> constexpr T value_or(U &&otherwise) const
    {
        return has_value_ ? value_ : static_cast<T>(std::forward<U>(otherwise));
    }
    void emplace() { *this = T{}; }
    friend constexpr bool operator==(const Maybe &a, const Maybe &b)
    {
        return a.has_value_ == b.has_value_ && (!a.has_value_ || a.value_ == b.value_);
    }

private:
    T value_{};
    bool has_value_ = false;
};

// A requested change of a field: none (keep it), clear it, or a new value.
template <typename T> using Change = Maybe<Maybe<T>>;

using Text = std::string_view;
using Texts = std::span<const Text>;

// A numeric of any precision: money.
struct Number {
    Datum datum;
};

// A point in time, microseconds since 2000-01-01 UTC.
struct Time {
    TimestampTz value;
};

// The place where a row is stored; valid while the row is locked.
struct Tid {
    Datum datum;
};

// A jsonb value.
struct Json {
    Datum datum;
    Jsonb *get() const { return DatumGetJsonbP(datum); }
};

// A copy of the text in the current memory context, ended by a zero.
inline const char *c_string(Text text) { return pnstrdup(text.data(), text.size()); }

// Parts of a text, which must be long enough. substr() would throw.
inline Text head(Text text, size_t size) { return {text.data(), size}; }
inline Text tail(Text text, size_t from) { return {text.data() + from, text.size() - from}; }

inline Text to_text(const char *string) { return {string, strlen(string)}; }

inline Text to_text(Datum datum)
{
    const text *value = DatumGetTextPP(datum);
    return {VARDATA_ANY(value), static_cast<size_t>(VARSIZE_ANY_EXHDR(value))};
}

// The elements of a text[]; nulls must have been refused before.
Texts to_texts(Datum array);

// A text[] of the elements.
Datum to_array(Texts texts);

// An array of n values in the current memory context.
template <typename T> std::span<T> allocate(size_t count)
{
    static_assert(std::is_trivially_destructible_v<T>);
    T *values = static_cast<T *>(palloc(mul_size(count + 1, sizeof(T))));
    for (size_t i = 0; i < count; i++)
        new (values + i) T{};
    return {values, count};
}

// A list with one element.
inline Texts only(Text text)
{
    const auto list = allocate<Text>(1);
    list[0] = text;
    return list;
}

} // namespace pg_org
