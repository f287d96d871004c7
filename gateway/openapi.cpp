#include "openapi.hpp"

#include "routes.hpp"
#include "url.hpp"
#include "viewer.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <regex>
#include <set>

namespace pg_org {

extern "C" const char openapi_json[]; // in files.S

namespace {

using nlohmann::ordered_json;

using NamedFunction = Functions::value_type;

// What the catalog does not know: openapi.json.
const ordered_json &known()
{
    static const auto known = ordered_json::parse(openapi_json);
    return known;
}

// The first one that fits a function and its field applies.
const ordered_json *example_of(const NamedFunction &function, const std::string &field, bool in_request = false)
{
    for (const auto &group : known()["examples"])
        if (function.first.starts_with(group["functions"].get<std::string>()) && group["fields"].contains(field))
            return in_request && !group["in_requests"] ? nullptr : &group["fields"][field];
    return nullptr;
}

ordered_json reference(std::string_view kind, std::string_view name)
{
    return {{"$ref", "#/components/" + std::string{kind} + '/' + std::string{name}}};
}

bool has_argument(const Function &function, std::string_view name)
{
    return std::any_of(function.arguments.begin(), function.arguments.end(),
                       [&](const Argument &argument) { return argument.name == name; });
}

bool is_field(const Route &route, const Argument &argument)
{
    if (argument.name == "request_id")
        return names_call(route);
    return argument.name != "api_key" && !known()["arguments_from_headers"].contains(argument.name);
}

// The type's name in JSON; what is json in SQL is one thing or a list of such.
ordered_json schema_of(Type type)
{
    switch (type) {
    case Type::text: return {{"type", "string"}};
    case Type::text_array: return {{"type", "array"}, {"items", {{"type", "string"}}}};
    case Type::numeric: return {{"type", "number"}};
    case Type::bigint: return {{"type", "integer"}, {"format", "int64"}};
    case Type::boolean: return {{"type", "boolean"}};
    case Type::jsonb: return {{"type", "object"}};
    case Type::json: return {{"type", {"object", "array"}}};
    }
    return {};
}

// Of the expressions that stand for a value by themselves: NULL, numbers, booleans and quoted lists without elements.
ordered_json default_of(const Argument &argument)
{
    std::string_view expression = argument.default_expression;
    const auto value = take_until(expression, ':');
    if (value == "'{}'")
        return argument.type == Type::text_array ? ordered_json::array() : ordered_json::object();
    const auto json = ordered_json::parse(value, nullptr, false);
    return json.is_discarded() ? ordered_json{} : json;
}

// The sentences about a function that name an argument.
std::string sentences_about(const Argument &argument, std::string_view text)
{
    const std::regex name{"\\b" + argument.name + "\\b"};
    std::string found;
    while (!text.empty()) {
        const auto end = std::min(text.find(". "), text.size() - 1) + 1;
        const auto sentence = text.substr(0, end);
        if (std::regex_search(sentence.begin(), sentence.end(), name) && !sentence.starts_with("Returns "))
            (found += found.empty() ? "" : " ") += sentence;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return found;
}

void describe(ordered_json &field, const NamedFunction &function, const Argument &argument)
{
    std::string_view description = function.second.comment;
    take_until(description, '\n');
    auto text = argument.comment.empty() ? sentences_about(argument, description) : argument.comment;
    if (!text.empty())
        field["description"] = std::move(text);
}

void show_example(ordered_json &schema, const NamedFunction &function, const Argument &argument)
{
    if (const auto *example = example_of(function, argument.name))
        schema["examples"] = ordered_json::array({*example});
}

ordered_json parameter(std::string_view name, std::string_view place, const NamedFunction &function,
                       const Argument &argument)
{
    const bool required = argument.required || place == "path";
    ordered_json parameter{{"name", name}, {"in", place}, {"required", required}};
    auto schema = schema_of(argument.type); // a parameter that is left out is null
    if (const auto value = default_of(argument); !value.is_null())
        schema["default"] = value;
    describe(parameter, function, argument);
    if (argument.type == Type::text_array)
        parameter.update({{"style", "form"}, {"explode", false}});
    if (const auto *example = example_of(function, argument.name, !required))
        parameter["example"] = *example;
    else
        show_example(schema, function, argument);
    parameter["schema"] = std::move(schema);
    return parameter;
}

ordered_json parameters(const Route &route, const NamedFunction &function)
{
    ordered_json parameters = ordered_json::array();
    for (const Argument &argument : function.second.arguments) {
        const bool in_path = route.path.find('{' + argument.name + '}') != route.path.npos;
        const bool in_body = route.kind == Kind::patch ? argument.name == "patch" : !reads_query(route);
        if (in_body || !is_field(route, argument))
            continue;
        const bool is_filter = route.kind == Kind::activity && argument.name == "key";
        const auto name = is_filter ? "api_key" : argument.name;
        parameters.push_back(parameter(name, in_path ? "path" : "query", function, argument));
    }
    if (route.kind == Kind::events) {
        parameters.push_back(reference("parameters", "Wait"));
        parameters.push_back(reference("parameters", "LastEventId"));
    }
    for (const auto &[argument, header] : known()["arguments_from_headers"].items())
        if (has_argument(function.second, argument))
            parameters.push_back(reference("parameters", header.get<std::string>()));
    parameters.push_back(reference("parameters", "RequestId"));
    return parameters;
}

// null is the same as leaving a field out.
ordered_json property(const NamedFunction &function, const Argument &argument, bool required)
{
    auto schema = schema_of(argument.type);
    if (!required) {
        if (auto &type = schema["type"]; type.is_array())
            type.push_back("null");
        else
            type = ordered_json::array({type, "null"});
        schema["default"] = default_of(argument);
    }
    describe(schema, function, argument);
    show_example(schema, function, argument);
    return schema;
}

// What a merge patch may change are the fields of the function it is like that are columns and no identifiers.
ordered_json body(const Route &route, const Functions &functions)
{
    const bool is_patch = route.kind == Kind::patch;
    const auto &function = *functions.find(is_patch ? patched_function : route.function);
    ordered_json schema{{"type", "object"}};
    ordered_json required = ordered_json::array(), request = ordered_json::object();
    for (const Argument &argument : function.second.arguments) {
        if (is_patch ? argument.comment.empty() || argument.name.ends_with("_id") : !is_field(route, argument))
            continue;
        const bool is_required = argument.required && !is_patch;
        schema["properties"][argument.name] = property(function, argument, is_required);
        if (is_required)
            required.push_back(argument.name);
        if (const auto *example = example_of(function, argument.name, !is_required))
            request[argument.name] = *example;
    }
    if (!required.empty())
        schema["required"] = std::move(required);
    if (is_patch)
        schema["additionalProperties"] = false;
    return {{"required", true}, {"content", {{"application/json", {{"schema", schema}, {"example", request}}}}}};
}

ordered_json reply(const ordered_json &description, const ordered_json &schema)
{
    return {{"description", description},
            {"headers", {{"x-request-id", reference("headers", "RequestId")}}},
            {"content", {{"application/json", {{"schema", schema}}}}}};
}

// Whether a route can have a status that comes with a body, with a change, or with an argument of that name.
bool comes_with(const std::string &cause, const Route &route, const Function &function)
{
    if (cause == "body")
        return !reads_query(route);
    return cause == "change" ? route.method != "GET" : has_argument(function, cause);
}

ordered_json replies(const Route &route, const Function &function)
{
    ordered_json replies;
    auto &success = replies["200"] = reply("Done", ordered_json::object());
    if (is_tagged(route))
        success["headers"]["ETag"] = reference("headers", "ETag");
    if (!route.cursor.empty())
        success["headers"]["Link"] = reference("headers", "Link");
    if (route.kind == Kind::events)
        success["content"]["text/event-stream"] = {{"schema", {{"type", "string"}}}};
    const auto envelope = reference("schemas", route.envelope == Envelope::error ? "Error" : "ErrorDetail");
    for (const auto &[status, refusal] : known()["refusals"].items()) {
        if (refusal.contains("comes_with") && !comes_with(refusal["comes_with"], route, function))
            continue;
        replies[status] = reply(refusal["description"], refusal.value("schema", envelope));
        if (refusal.contains("headers"))
            replies[status]["headers"].update(refusal["headers"]);
    }
    return replies;
}

ordered_json operation(const Route &route, const Functions &functions)
{
    const auto &function = *functions.find(route.function);
    std::string_view description = function.second.comment;
    auto summary = take_until(description, '\n');
    if (summary.ends_with('.'))
        summary.remove_suffix(1);
    auto path = route.path.substr(route.path.starts_with("/v2/") ? 4 : 1);
    ordered_json operation{{"tags", ordered_json::array({take_until(path, '/')})},
                           {"summary", summary},
                           {"description", description},
                           {"operationId", route.function},
                           {"parameters", parameters(route, function)}};
    if (!reads_query(route))
        operation["requestBody"] = body(route, functions);
    operation["responses"] = replies(route, function.second);
    return operation;
}

} // namespace

std::string write_document(const Functions &functions)
{
    auto document = known()["document"];
    document["info"]["version"] = PG_ORG_VERSION;
    std::set<std::string_view> ids;
    for (const Route &route : routes) {
        if (route.function.empty()) // the gateway's own are there already
            continue;
        std::string method{route.method};
        std::transform(method.begin(), method.end(), method.begin(), [](unsigned char c) { return std::tolower(c); });
        auto &added = document["paths"][std::string{route.path}][method] = operation(route, functions);
        if (!ids.insert(route.function).second)
            added["operationId"] = std::string{route.function} + '_' + method;
    }
    return document.dump();
}

Reply ApiDocument::show(const std::shared_ptr<const Functions> &functions, const Request &request)
{
    const std::lock_guard lock{mutex_};
    if (functions != functions_) {
        text_ = write_document(*functions);
        functions_ = functions;
    }
    return show_text(text_, "application/json", request);
}

} // namespace pg_org
