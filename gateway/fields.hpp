// What a client sent, by field name: read from a JSON body or a query string.
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
    std::string text;            // a string's characters; of anything else the JSON, every digit of numbers kept
    std::vector<Value> elements; // of an array: kind and text of each; what is nested in them is only in the text
    bool storable = true;        // whether PostgreSQL's text can hold it: no U+0000 in it
};

using Fields = std::map<std::string, Value, std::less<>>;

struct Body {
    Value::Kind kind = Value::Kind::null;
    Fields fields; // of an object; of repeated keys the last
};

struct InvalidJson {
    std::size_t position; // of the byte, from 0
    std::string reason;
};

// What is wrong with a field, as a reply lists it.
struct FieldError {
    std::string type;
    nlohmann::ordered_json location; // ["body", "member", 0, "role"]
    std::string message;
};
// A reply lists no more than these: a body of wrong values must not come back many times its size.
inline constexpr std::size_t max_field_errors = 100;

// Throws InvalidJson, also for what is valid but nested deeper than 100 levels or out of a double's range.
Body read_body(std::string_view json);

// Of repeated parameters the last.
Fields read_query(std::string_view query);

std::string json_text(const Value &value);
std::string json_text(const Fields &fields);

// UTF-8 without U+0000.
bool is_storable(std::string_view text);

} // namespace pg_org
