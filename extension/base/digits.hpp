// Reading digits.
#pragma once

#include "types.hpp"

namespace pg_org {

inline constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Whether the text has a digit wherever the pattern has a 0, and otherwise its characters.
inline bool fits(Text text, Text pattern)
{
    return std::ranges::equal(text, pattern,
                              [](char c, char wanted) { return wanted == '0' ? is_digit(c) : c == wanted; });
}

inline int number_at(Text text, size_t from, size_t digits)
{
    int number = 0;
    for (const char digit : head(tail(text, from), digits))
        number = number * 10 + (digit - '0');
    return number;
}

} // namespace pg_org
