#include "openapi.hpp"

#include "pages.hpp"
#include "routes.hpp"
#include "table.hpp"
#include "url.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <utility>

namespace pg_org {

extern "C" const char openapi_json[]; // in files.S

namespace {

using nlohmann::ordered_json;

const ordered_json &known() { return openapi_parts(); }

// The first one that fits a function and its field applies.
const ordered_json *example_of(std::string_view function, const std::string &field, bool in_request = false)
{
    for (const auto &group : known()["examples"])
        if (function.starts_with(group["functions"].get<std::string>()) && group["fields"].contains(field))
            return in_request && !group["in_requests"] ? nullptr : &group["fields"][field];
    return nullptr;
}

ordered_json reference(std::string_view kind, std::string_view name)
{
    return {{"$ref", "#/components/" + std::string{kind} + '/' + std::string{name}}};
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

// Reads only expressions that are values: NULL, numbers, booleans and quoted empty lists.
ordered_json default_of(const Argument &argument)
{
    std::string_view expression = argument.default_expression;
    const auto value = take_until(expression, ':');
    if (value == "'{}'")
        return argument.type == Type::text_array ? ordered_json::array() : ordered_json::object();
    const auto json = ordered_json::parse(value, nullptr, false);
    return json.is_discarded() ? ordered_json{} : json;
}

// A function's comment: a summary, more about it, and a list of arguments ("- name: text").
struct Comment {
    std::string summary;
    std::string text; // without the list
    std::map<std::string, std::string> arguments;
};

Comment read_comment(std::string_view text)
{
    Comment comment;
    comment.summary = take_until(text, '\n');
    take_until(text, '\n');      // empty
    std::string *item = nullptr; // of the list, which may go on in the next line
    while (!text.empty()) {
        auto line = take_until(text, '\n');
        if (line.starts_with("- ")) {
            line.remove_prefix(2);
            const auto name = take_until(line, ':');
            item = &comment.arguments[std::string{name}];
            *item = line.substr(std::min<std::size_t>(line.size(), 1));
        } else if (line.starts_with("  ") && item) {
            *item += line.substr(1);
        } else {
            item = nullptr;
            if (!line.empty() || !(comment.text.empty() || comment.text.ends_with("\n\n")))
                (comment.text += line) += '\n';
        }
    }
    return comment;
}

constexpr std::string_view required_mark = " (required)";

// A function, with its comment taken apart.
struct Described {
    const std::string &name;
    const Function &function;
    const Comment comment;

    explicit Described(const Functions::value_type &named)
        : name{named.first}, function{named.second}, comment{read_comment(named.second.comment)}
    {
    }

    std::string listed(const Argument &argument) const
    {
        const auto found = comment.arguments.find(argument.name);
        return found == comment.arguments.end() ? std::string{} : found->second;
    }

    // Some arguments have a default, so that others may come first, and are refused when null.
    bool is_required(const Argument &argument) const
    {
        return argument.required || listed(argument).ends_with(required_mark);
    }

    std::string description_of(const Argument &argument) const
    {
        auto text = listed(argument);
        if (text.empty())
            return argument.comment;
        if (text.ends_with(required_mark))
            text.resize(text.size() - required_mark.size());
        text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
        return text + '.';
    }
};

void describe(ordered_json &field, const Described &function, const Argument &argument)
{
    if (auto text = function.description_of(argument); !text.empty())
        field["description"] = std::move(text);
}

void show_example(ordered_json &schema, std::string_view function, const std::string &field)
{
    if (const auto *example = example_of(function, field))
        schema["examples"] = ordered_json::array({*example});
}

ordered_json parameter(std::string_view name, std::string_view place, const Described &function,
                       const Argument &argument)
{
    const bool required = place == "path" || function.is_required(argument);
    ordered_json parameter{{"name", name}, {"in", place}, {"required", required}};
    auto schema = schema_of(argument.type); // a parameter that is left out is null
    if (const auto value = default_of(argument); !value.is_null())
        schema["default"] = value;
    describe(parameter, function, argument);
    if (argument.type == Type::text_array)
        parameter.update({{"style", "form"}, {"explode", false}});
    if (!required) // viewers fill in the example of a parameter, but none of its schema: it may be a filter
        show_example(schema, function.name, argument.name);
    else if (const auto *example = example_of((place == "path" ? "path/" : "") + function.name, argument.name))
        parameter["example"] = *example;
    parameter["schema"] = std::move(schema);
    return parameter;
}

ordered_json parameters(const Route &route, const Described &function)
{
    ordered_json parameters = ordered_json::array();
    for (const Argument &argument : function.function.arguments) {
        const bool in_path = route.path.find('{' + argument.name + '}') != route.path.npos;
        const bool in_body = route.kind == Kind::patch ? argument.name == "patch" : !reads_query(route);
        if ((in_body && !in_path) || !is_field(route, argument))
            continue;
        const bool is_filter = filters_by_key(route) && argument.name == "key";
        const auto name = is_filter ? "api_key" : argument.name;
        parameters.push_back(parameter(name, in_path ? "path" : "query", function, argument));
    }
    if (route.kind == Kind::events) {
        parameters.push_back(reference("parameters", "Wait"));
        parameters.push_back(reference("parameters", "LastEventId"));
    }
    for (const auto &[argument, header] : known()["arguments_from_headers"].items())
        if (find_argument(function.function, argument) && route.kind != Kind::sign_in)
            parameters.push_back(reference("parameters", header.get<std::string>()));
    parameters.push_back(reference("parameters", "RequestId"));
    return parameters;
}

ordered_json property(const Described &function, const Argument &argument, bool required)
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
    show_example(schema, function.name, argument.name);
    return schema;
}

// Whether a request has a body with fields.
bool has_fields(const Route &route, const Function &function)
{
    return !reads_query(route) && std::any_of(function.arguments.begin(), function.arguments.end(),
                                              [&](const Argument &argument) { return is_field(route, argument); });
}

// A merge patch may change those fields of the function it corresponds to that are columns, but not identifiers, and
// those that are kept together in one column.
bool can_be_patched(const Argument &argument)
{
    const auto &kept = known()["kept"];
    return (!argument.comment.empty() && !argument.name.ends_with("_id")) ||
           std::find(kept.begin(), kept.end(), argument.name) != kept.end();
}

ordered_json body(const Route &route, const Described &function)
{
    const bool is_patch = route.kind == Kind::patch;
    ordered_json schema{{"type", "object"}};
    ordered_json required = ordered_json::array(), request = ordered_json::object();
    for (const Argument &argument : function.function.arguments) {
        const bool in_path = route.path.find('{' + argument.name + '}') != route.path.npos;
        if (in_path || (is_patch ? !can_be_patched(argument) : !is_field(route, argument)))
            continue;
        const bool must_be_there = !is_patch && function.is_required(argument);
        schema["properties"][argument.name] = property(function, argument, must_be_there);
        if (must_be_there)
            required.push_back(argument.name);
        if (const auto *example = example_of(function.name, argument.name, !must_be_there))
            request[argument.name] = *example;
    }
    if (!required.empty())
        schema["required"] = std::move(required);
    if (is_patch)
        schema["additionalProperties"] = false;
    return {{"required", route.needs_body},
            {"content", {{"application/json", {{"schema", schema}, {"example", request}}}}}};
}

ordered_json reply(const ordered_json &description, const ordered_json &content)
{
    return {{"description", description},
            {"headers", {{"x-request-id", reference("headers", "RequestId")}}},
            {"content", {{"application/json", content}}}};
}

ordered_json refusal_body(const std::string &status, const ordered_json &refusal, Envelope envelope)
{
    const bool has_type = envelope == Envelope::error;
    ordered_json body{{"schema", refusal.value("schema", reference("schemas", has_type ? "Error" : "ErrorDetail"))}};
    if (refusal.contains("example"))
        body["example"] = refusal["example"];
    else if (const auto &message = refusal["message"]; has_type)
        body["example"] = {
            {"error", {{"message", message}, {"type", refusal["type"]}, {"param", "None"}, {"code", status}}}};
    else
        body["example"] = {{"detail", {{"error", message}}}};
    return body;
}

// Whether a route can have a status that comes with a change, or with an argument of that name.
bool comes_with(const std::string &cause, const Route &route, const Function &function)
{
    return cause == "change" ? route.method != "GET" : find_argument(function, cause) != nullptr;
}

ordered_json replies(const Route &route, const Function &function)
{
    ordered_json replies;
    auto &success = replies["200"] = reply("Done", {{"schema", known()["replies"][std::string{route.function}]}});
    if (is_tagged(route))
        success["headers"]["ETag"] = reference("headers", "ETag");
    if (!route.cursor.empty())
        success["headers"]["Link"] = reference("headers", "Link");
    if (route.kind == Kind::events)
        success["content"]["text/event-stream"] = {{"schema", {{"type", "string"}}}};
    if (Table::of(route))
        success["content"]["text/csv"] = {{"schema", {{"type", "string"}}}};
    for (const auto &[status, refusal] : known()["refusals"].items()) {
        if (refusal.contains("comes_with") && !comes_with(refusal["comes_with"], route, function))
            continue;
        replies[status] = reply(refusal["description"], refusal_body(status, refusal, route.envelope));
        if (refusal.contains("headers"))
            replies[status]["headers"].update(refusal["headers"]);
    }
    return replies;
}

ordered_json operation(const Route &route, const Functions &functions)
{
    const Described function{*functions.find(route.function)};
    auto summary = function.comment.summary;
    if (summary.ends_with('.'))
        summary.pop_back();
    auto path = route.path.substr(route.path.starts_with("/v2/") ? 4 : 1);
    ordered_json operation{{"tags", ordered_json::array({take_until(path, '/')})},
                           {"summary", summary},
                           {"description", function.comment.text},
                           {"operationId", route.function},
                           {"parameters", parameters(route, function)}};
    if (route.kind == Kind::sign_in)
        operation.update(known()["sign_in"]);
    else if (has_fields(route, function.function))
        operation["requestBody"] = route.kind == Kind::patch ? body(route, Described{*functions.find(patched_function)})
                                                             : body(route, function);
    operation["responses"] = replies(route, function.function);
    return operation;
}

// The argument that sets a field of a thing, if there is one.
const Argument *setter_of(const std::string &field, const ordered_json &thing, const Functions &functions)
{
    const auto like = functions.find(thing.value("like", std::string{}));
    return like == functions.end() ? nullptr : find_argument(like->second, field);
}

ordered_json properties_of(const ordered_json &thing, const Functions &functions)
{
    auto properties = thing["properties"];
    for (auto &[name, schema] : properties.items()) {
        const Argument *setter = setter_of(name, thing, functions);
        if (setter)
            show_example(schema, thing["like"].get<std::string>(), name);
        if (!schema.contains("description"))
            schema["description"] =
                setter && !setter->comment.empty() ? setter->comment : known()["descriptions"].value(name, "");
    }
    if (thing.contains("with"))
        properties.update(properties_of(known()["things"][thing["with"].get<std::string>()], functions));
    return properties;
}

ordered_json component(const ordered_json &thing, const Functions &functions)
{
    ordered_json schema{{"type", "object"}, {"description", thing["description"]}};
    schema["properties"] = properties_of(thing, functions);
    schema["required"] = ordered_json::array();
    for (auto &[name, property] : schema["properties"].items())
        if (property.erase("optional") == 0) // of our own, not of the schema
            schema["required"].push_back(name);
    return schema;
}

} // namespace

const ordered_json &openapi_parts()
{
    static const auto parts = ordered_json::parse(openapi_json);
    return parts;
}

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
    for (const auto &[name, thing] : known()["things"].items())
        document["components"]["schemas"][name] = component(thing, functions);
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
