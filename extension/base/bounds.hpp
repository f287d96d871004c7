// How much a request may bring. What is stored is written into replies and compared with what others send, for ever:
// so everything has a bound, and whoever exceeds one is told which.
#pragma once

#include "arguments.hpp"
#include "json.hpp"

namespace pg_org {

inline constexpr size_t max_text_bytes =
    64 * 1024; // of a text, of a JSON object as it is written out, of a list of tags
inline constexpr size_t max_object_of_objects_bytes = 1024 * 1024;
inline constexpr size_t max_name_bytes = 255; // so that every index can hold two of them
inline constexpr size_t max_listed = 1000;
inline constexpr int max_decimals = 30; // of an amount of money

// Refuses arguments of a call, whatever they mean, if one is too much: a text or a list too long, or JSON
// with a number too long.
void require_bounded_arguments(const Arguments &arguments);

// What an amount of money must be and is not; null: it is all right.
const char *wrong_amount(Number value, int64 most);
// The value as a JSON object, or an error naming the field.
Maybe<Json> object(Maybe<Json> value, const char *name);
// Likewise as one of many such.
Maybe<Json> object_of_objects(Maybe<Json> value, const char *name);
// The text, or an error naming the field.
Text bounded_text(Text text, const char *name);
// The list, or an error naming the field.
Texts bounded_list(Texts list, const char *name);
std::span<const Value> bounded_elements(const Value &list);
// Likewise of tags, which may be that long all together.
Maybe<Texts> tag_list(Maybe<Texts> tags, const char *name);
bool are_bounded_tags(Texts tags);
inline constexpr const char *tags_rule = "must be at most 1000, of 64 KiB all together";
// What is looked for in names, or an error naming the field.
Maybe<Text> part_of_name(Maybe<Text> part, const char *name);

// Each of the values once, where it stands first.
Texts each_once(Texts values);

} // namespace pg_org
