// Reading JSON arguments: values with the path by which errors call them, and merge patches.
#pragma once

#include "types.hpp"

namespace pg_org {

// A value inside a JSON argument, and the path by which errors call it.
class Value {
public:
    Value() : value_{.type = jbvNull}, path_("") {}
    Value(const JsonbValue &value, const char *path, const char *member = nullptr)
        : value_(value), path_(path), member_(member)
    {
    }

    const char *path() const { return member_ == nullptr ? path_ : psprintf("%s.%s", path_, member_); }
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
    const char *member_ = nullptr; // written into the path when somebody asks for it: few errors do
};

// How a type is read from JSON, and the rule for values of other types.
template <typename T> struct Field;
template <> struct Field<Text> {
    static constexpr auto get = &Value::text;
    static constexpr const char *rule = "must be a string";
};
template <> struct Field<bool> {
    static constexpr auto get = &Value::boolean;
    static constexpr const char *rule = "must be true or false";
};
template <> struct Field<Number> {
    static constexpr auto get = &Value::number;
    static constexpr const char *rule = "must be a number";
};
template <> struct Field<int64> {
    static constexpr auto get = &Value::integer;
    static constexpr const char *rule = "must be a whole number of at most 64 bits";
};
template <> struct Field<Texts> {
    static constexpr auto get = &Value::texts;
    static constexpr const char *rule = "must be a list of strings";
};

// The value of a whole JSON argument.
Value to_value(Json json, const char *name);

// The members of an object.
struct Member {
    Text key;
    Value value; // its path is the key, below the path given
};
std::span<const Member> members(Json object, const char *path = nullptr);

// How many members an object has.
inline size_t size(Json object) { return JsonContainerSize(&object.get()->root); }

bool is_object(Json json);
Json empty_object();
Json empty_array();
// The target with the patch merged into it (RFC 7396); both are objects.
Json merge_patch(Json target, Json patch);

} // namespace pg_org
