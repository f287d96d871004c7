// Writing replies: JSON out of values and rows, in wire form.
#pragma once

#include "statement.hpp"

namespace pg_org {

// In UTC, as in 2026-11-23T10:18:07.402113Z.
const char *iso_8601(Time time);

// Appends JSON to a buffer. It puts commas by looking at the character before.
class Writer {
public:
    explicit Writer(StringInfo buffer) : buffer_(buffer) {}
    StringInfo buffer() const { return buffer_; }
    // Removes everything written since the buffer had this length.
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
    // The same for any text.
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
    // Members of an object that were written before.
    Writer &members(Text written);
    // Columns first to last (exclusive) of a row as members of the open object, named as the columns are.
    // Money has a decimal point, times are UTC, arrays are arrays of strings; rows with names are objects, and those
    // without are the periods of period.hpp.
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

} // namespace pg_org
