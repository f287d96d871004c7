// The bounds of what a request may bring. Stored values are written into later replies and compared with later
// requests, so each has a bound, and the error for a larger one names it.
#pragma once

#include "arguments.hpp"
#include "json.hpp"

namespace pg_org {

// Of a text, a JSON object as written out, or all tags of a list.
inline constexpr size_t max_text_bytes = 64 * 1024;
inline constexpr size_t max_object_of_objects_bytes = 1024 * 1024;
inline constexpr size_t max_name_bytes = 255; // an index entry must have room for two names
inline constexpr size_t max_listed = 1000;
inline constexpr int64 max_money = 1'000'000'000'000'000; // US dollars
inline constexpr int max_decimals = 30;                   // of an amount of money

// Refuses a call if a text or list among its arguments is too long, or a number in its JSON has too many digits.
void require_bounded_arguments(const Arguments &arguments);

// The rule that an amount of money breaks, as in `must be zero or more`; null: none.
const char *broken_money_rule(Number amount);
// Whether a field asks that spend begins again at 0: what was spent stays on record, so it can't be set to anything
// else.
bool resets_spend(Maybe<Number> spend, const char *name);
// The value as a JSON object, or an error naming the field.
Maybe<Json> object(Maybe<Json> value, const char *name);
// The same for an object with an object for each of many things.
Maybe<Json> object_of_objects(Maybe<Json> value, const char *name);
// The text, or an error naming the field.
Text bounded_text(Text text, const char *name);
// The list, or an error naming the field.
Texts bounded_list(Texts list, const char *name);
std::span<const Value> bounded_elements(const Value &list);
// The same for tags, whose length counts together.
Maybe<Texts> tag_list(Maybe<Texts> tags, const char *name);
bool are_bounded_tags(Texts tags);
inline constexpr const char *tags_rule = "must be at most 1000, of 64 KiB all together";
// In SQL: whether a column has a folded text in it. In ASCII, which is most of it, folding is but lower case.
#define HAS_PART(column, part)                                                                                         \
    "position(org.folded(" part ") IN CASE WHEN octet_length(" column ") = length(" column ")"                         \
    "                                      THEN lower(" column " COLLATE \"C\") ELSE org.folded(" column ") END) > 0"
// A text to search names for, or an error naming the field.
Maybe<Text> part_of_name(Maybe<Text> part, const char *name);

// The values without repetitions, each at its first place.
Texts each_once(Texts values);

} // namespace pg_org
