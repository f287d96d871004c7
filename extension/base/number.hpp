// Counting with money: exact, whatever the digits.
#pragma once

#include "types.hpp"

namespace pg_org {

inline Number number(int64 value) { return {NumericGetDatum(int64_to_numeric(value))}; }
inline Number zero() { return number(0); }

inline Number operator+(Number a, Number b) { return {DirectFunctionCall2(numeric_add, a.datum, b.datum)}; }
inline Number operator-(Number a, Number b) { return {DirectFunctionCall2(numeric_sub, a.datum, b.datum)}; }
inline bool operator<(Number a, Number b) { return DatumGetBool(DirectFunctionCall2(numeric_lt, a.datum, b.datum)); }
inline bool operator>(Number a, Number b) { return b < a; }
inline bool operator<=(Number a, Number b) { return !(b < a); }
inline bool operator>=(Number a, Number b) { return !(a < b); }
inline bool operator==(Number a, Number b) { return DatumGetBool(DirectFunctionCall2(numeric_eq, a.datum, b.datum)); }

// Its digits, without zeros at the end.
inline const char *show(Number value)
{
    return DatumGetCString(DirectFunctionCall1(numeric_out, DirectFunctionCall1(numeric_trim_scale, value.datum)));
}

} // namespace pg_org
