// Values as the rules handle them.  All are trivially destructible views of
// memory that PostgreSQL's memory contexts own.
#pragma once

#include "postgres.hpp"

namespace pg_org {

template <typename T> using Maybe = std::optional<T>;
// What a caller wants of a field: nothing (keep it), to clear it, or a value.
template <typename T> using Change = std::optional<std::optional<T>>;

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

// Where a row is stored: good while it is locked.
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

// Parts of a text, which must be that long: substr() would throw.
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

} // namespace pg_org
