#include "property.hpp"

#include "reply.hpp"

#include <algorithm>
#include <charconv>
#include <regex>

namespace pg_org {
namespace {

bool all_storable(const Fields &fields)
{
    return std::all_of(fields.begin(), fields.end(), [](auto &field) { return field.second.storable; });
}

// An array literal of one dimension, read as PostgreSQL does when every element is in quotes.
std::vector<std::string> read_array(std::string_view literal)
{
    std::vector<std::string> elements;
    require(literal.size() >= 2 && literal.front() == '{' && literal.back() == '}', "an array is in braces");
    literal = literal.substr(1, literal.size() - 2);
    while (!literal.empty()) {
        require(literal.front() == '"', "an array's element is in quotes");
        std::string element;
        std::size_t i = 1;
        for (; i < literal.size() && literal[i] != '"'; ++i) {
            i += literal[i] == '\\';
            require(i < literal.size(), "an array's backslash has a character after it");
            element += literal[i];
        }
        require(i < literal.size(), "an array's element ends");
        elements.push_back(std::move(element));
        literal.remove_prefix(i + 1);
        if (!literal.empty()) {
            require(literal.front() == ',' && literal.size() > 1, "an array's elements have commas between them");
            literal.remove_prefix(1);
        }
    }
    return elements;
}

bool is_numeric(const std::string &text)
{
    static const std::regex number{R"([-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|nan|[-+]?inf(inity)?)", std::regex::icase};
    return std::regex_match(text, number);
}

bool is_bigint(const std::string &text)
{
    std::int64_t value = 0;
    const auto *const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    return error == std::errc{} && rest == end;
}

void check_value(Type type, const Value &sent, const std::string &bound)
{
    switch (type) {
    case Type::text: require(sent.kind == Value::Kind::string && bound == sent.text, "text is what was sent"); break;
    case Type::text_array: {
        const auto elements = read_array(bound);
        if (sent.kind == Value::Kind::array)
            require(std::equal(elements.begin(), elements.end(), sent.elements.begin(), sent.elements.end(),
                               [](auto &bound, auto &sent) { return bound == sent.text; }),
                    "an array's elements are what was sent");
        break;
    }
    case Type::numeric: require(bound.size() > 500 || is_numeric(bound), "a numeric is one"); break;
    case Type::bigint: require(is_bigint(bound), "a bigint is one"); break;
    case Type::boolean: require(bound == "true" || bound == "false", "a boolean is one"); break;
    case Type::jsonb:
    case Type::json: require(is_json(bound), "JSON is JSON"); break;
    }
}

void check_arguments(const Fields &fields, std::string_view source, std::vector<FieldError> &errors)
{
    const Statement call = bind_arguments(every_type, fields, "sk-1", source, errors);
    require(std::count(call.sql.begin(), call.sql.end(), '$') == static_cast<long>(call.values.size()),
            "every value has its place");
    if (!errors.empty() || !all_storable(fields))
        return;
    auto value = call.values.begin();
    for (const Argument &argument : every_type.arguments) {
        const auto field = fields.find(argument.name);
        if (argument.name != "api_key" && field == fields.end() && !argument.required)
            continue;
        require(value != call.values.end(), "every argument has its value");
        require(!*value || is_storable(**value), "a value is UTF-8 without U+0000");
        if (argument.name == "api_key")
            require(*value == "sk-1", "the key is the caller's");
        else if (*value)
            check_value(argument.type, field->second, **value);
        else
            require(field == fields.end() || field->second.kind == Value::Kind::null, "null is what was sent");
        ++value;
    }
    require(value == call.values.end(), "no value is without an argument");
}

void check_object(const Fields &fields)
{
    std::vector<FieldError> errors;
    const std::string text = bind_object(every_type, fields, "body", errors);
    if (!errors.empty() || !all_storable(fields))
        return;
    require(is_json(text), "an object is JSON");
    const Fields read = read_body(text).fields;
    for (const auto &[name, value] : read)
        require(name != "api_key" && fields.contains(name), "an object has what was sent alone");
    if (const auto name = fields.find("name"); name != fields.end() && name->second.kind == Value::Kind::string)
        require(read.at("name").text == name->second.text, "an object's text is what was sent");
}

} // namespace

void check_binding(const Fields &fields, std::string_view source, const Request &request)
{
    std::vector<FieldError> errors;
    check_arguments(fields, source, errors);
    if (source == "body")
        check_object(fields);
    for (const auto &[name, value] : fields)
        if (!value.storable)
            errors.push_back({"value_error", {source, name}, "Value error"});
    if (errors.empty())
        return;
    const Reply reply = refuse_fields(errors, request);
    require(reply.status == 422 && is_json(reply.body), "a refusal is JSON");
}

} // namespace pg_org
