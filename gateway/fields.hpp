// The fields that a client sent, by name, from a JSON body or a query string.
#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pg_org {

struct Value {
    enum class Kind { null, boolean, number, string, array, object };

    Kind kind = Kind::null;
    std::string text;            // a string's characters, or JSON that keeps every digit of a number
    std::vector<Value> elements; // of an array: kind and text of each, without elements of their own
    bool storable = true;        // whether PostgreSQL's type text can hold it: no U+0000
};

using Fields = std::map<std::string, Value, std::less<>>;

struct Body {
    Value::Kind kind = Value::Kind::null;
    Fields fields; // of an object; the last of repeated keys
};

struct InvalidJson {
    std::size_t position; // of the byte, from 0
    std::string reason;
};

// An error of a field, as a reply lists it.
struct FieldError {
    std::string type;
    nlohmann::ordered_json location; // ["body", "member", 0, "role"]
    std::string message;
    std::string hint = {};
};
// At most this many are listed: a body of wrong values must not come back many times its size.
inline constexpr std::size_t max_field_errors = 100;

// Throws InvalidJson, also for JSON nested deeper than 100 levels and for numbers out of a double's range.
Body read_body(std::string_view json);

// The last of repeated parameters counts.
Fields read_query(std::string_view query);

std::string json_text(const Value &value);
std::string json_text(const Fields &fields);

// Visits the objects that are the elements of a JSON array.
template <typename Visit> void for_each_object(std::string_view array, Visit visit)
{
    int depth = 0;
    bool in_string = false;
    std::size_t start = 0;
    for (std::size_t i = 0; i < array.size(); ++i) {
        const char c = array[i];
        if (c == '"')
            in_string = !in_string;
        else if (in_string)
            i += c == '\\';
        else if (c == '{' && ++depth == 1)
            start = i;
        else if (c == '}' && --depth == 0)
            visit(array.substr(start, i + 1 - start));
    }
}

// Whether it is UTF-8 without U+0000.
bool is_storable(std::string_view text);

} // namespace pg_org
