// JSON out of rows, in wire form, and into values, for arguments that are JSON.
#pragma once

#include "types.hpp"

namespace pg_org {

class Row;

// 2026-11-23T10:18:07.402113Z
const char *iso_8601(Time time);

// Appends JSON to a buffer.  Commas are put where they belong by looking at what stands before.
class Writer {
public:
    explicit Writer(StringInfo buffer) : buffer_(buffer) {}
    StringInfo buffer() const { return buffer_; }
    // Takes back all that was written since the buffer had this length.
    void take_back(int length)
    {
        buffer_->len = length;
        buffer_->data[length] = '\0';
    }

    Writer &begin_object() { return open('{'); }
    Writer &end_object() { return close('}'); }
    Writer &begin_array() { return open('['); }
    Writer &end_array() { return close(']'); }
    // A member's name; its value follows.  Must need no escaping.
    Writer &key(const char *name);
    // The same, whatever is in it.
    Writer &name(Text name);
    Writer &null();
    Writer &value(Text text);
    Writer &value(int64 integer);
    Writer &value(Number number);
    Writer &value(Time time);
    Writer &value(std::same_as<bool> auto boolean) { return boolean_value(boolean); }
    template <typename T> Writer &value(const Maybe<T> &value_or_null)
    {
        return value_or_null ? value(*value_or_null) : null();
    }
    // Columns first to last (exclusive) of a row as members of the open object, named as the columns are.
    // Money has a decimal point, times are UTC, arrays are arrays of strings.
    Writer &columns(const Row &row, int first, int last);
    // A whole row as an object.
    Writer &object(const Row &row);

private:
    Writer &open(char bracket);
    Writer &close(char bracket);
    void comma();
    Writer &boolean_value(bool boolean);
    void column(Oid type, Datum datum);

    StringInfo buffer_;
};

// A value inside a JSON argument, and the path by which errors call it.
class Value {
public:
    Value() : value_{.type = jbvNull}, path_("") {}
    Value(const JsonbValue &value, const char *path) : value_(value), path_(path) {}

    const char *path() const { return path_; }
    const JsonbValue &raw() const { return value_; }
    bool is_null() const { return value_.type == jbvNull; }
    bool is_object() const;
    // Each of these is none for another type.
    Maybe<Text> text() const;
    Maybe<bool> boolean() const;
    Maybe<Number> number() const; // a number, or a string of one
    Maybe<int64> integer() const; // likewise, whole and in range
    Maybe<Texts> texts() const;
    // Each of these refuses another type with an error naming the path.
    Text as_text() const;
    bool as_bool() const;
    Number as_number() const;
    int64 as_integer() const;
    Texts as_texts() const;
    Json as_object() const;
    std::span<const Value> elements() const; // of an array
    // The member of an object, null when absent or not an object.
    Value member(const char *name) const;

private:
    JsonbValue value_;
    const char *path_;
};

// The value of a whole JSON argument.
Value to_value(Json json, const char *name);

// The members of an object.
struct Member {
    Text key;
    Value value; // its path is the key, below the path given
};
std::span<const Member> members(Json object, const char *path = nullptr);

// How many they are.
inline size_t size(Json object) { return JsonContainerSize(&object.get()->root); }

bool is_object(Json json);
Json empty_object();
// The target with the patch merged into it (RFC 7396); both are objects.
Json merge_patch(Json target, Json patch);

} // namespace pg_org
