#include "openapi.hpp"

#include "routes.hpp"
#include "url.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <functional>
#include <optional>
#include <set>

namespace pg_org {
namespace {

using nlohmann::ordered_json;

// Values that work together: what one request makes, another one names.  The first line that fits a function and its
// field applies.
struct Example {
    std::string_view field;
    std::string_view json;
    std::string_view functions = {};  // what their names begin with
    bool in_request = true;           // where the field is optional: some fields exclude each other
};

constexpr std::array examples{
    Example{"after", "0", "org_events"},
    Example{"after", R"("7b4b1b2e-2f5c-4c43-9d0b-0c8b7f1f7a11")", {}, false},
    Example{"auto_create_key", "true"},
    Example{"blocked", "false"},
    Example{"budget_duration", R"("1mo")"},
    Example{"budget_id", R"("gold")", "budget_"},
    Example{"budget_id", R"("gold")", {}, false},
    Example{"budgets", R"(["gold"])"},
    Example{"cache_creation_input_tokens", "0"},
    Example{"cache_read_input_tokens", "1000"},
    Example{"cascade", "false"},
    Example{"clear", "[]"},
    Example{"completion_tokens", "310"},
    Example{"cost", "0.031"},
    Example{"default_reserve", "0.5"},
    Example{"duration", R"("30d")"},
    Example{"end_date", R"("2026-11-30")"},
    Example{"failed", "false"},
    Example{"grace_period", R"("1h")"},
    Example{"id", R"("gold")"},
    Example{"key", R"("sk-ada-on-her-laptop")"},
    Example{"key_alias", R"("Ada's first")", "user_new"},
    Example{"key_alias", R"("laptop")"},
    Example{"key_aliases", R"(["laptop"])"},
    Example{"keys", R"(["sk-ada-on-her-laptop"])", {}, false},
    Example{"limit", "100"},
    Example{"litellm_budget_table", R"({"max_budget": 100.0})"},
    Example{"max_budget", "100.0"},
    Example{"max_budget_in_organization", "50.0"},
    Example{"max_budget_in_team", "20.0"},
    Example{"max_cost", "0.25"},
    Example{"max_parallel_requests", "10"},
    Example{"max_tokens", "4000"},
    Example{"member", R"({"role": "admin", "user_id": "ada"})", "team_"},
    Example{"member", R"({"role": "org_admin", "user_id": "ada"})"},
    Example{"members_with_roles", R"([{"role": "admin", "user_id": "ada"}])"},
    Example{"metadata", R"({"cost_center": "4711"})"},
    Example{"model", R"("gpt-4o")"},
    Example{"model_aliases", R"({"fast": "gpt-4o-mini"})"},
    Example{"model_max_budget", R"({"gpt-4o": 80.0})"},
    Example{"models", R"(["gpt-4o", "gpt-4o-mini"])"},
    Example{"org_alias", R"("Acme")"},
    Example{"org_id", R"("acme")"},
    Example{"organization_alias", R"("Acme")"},
    Example{"organization_id", R"("acme")"},
    Example{"organization_ids", R"(["acme"])"},
    Example{"organizations", R"(["acme"])"},
    Example{"page", "1"},
    Example{"page_size", "50"},
    Example{"permissions", R"({"usage": true})"},
    Example{"prompt_tokens", "1200"},
    Example{"request_id", R"("call-2")", "usage_record"},
    Example{"request_id", R"("call-1")"},
    Example{"reservation_id", R"("4.acme.call-1")", {}, false},
    Example{"role", R"("user")", "team_"},
    Example{"role", R"("internal_user")"},
    Example{"rpm_limit", "1000"},
    Example{"soft_budget", "80.0"},
    Example{"sso_user_id", R"("00u1a2b3c4")"},
    Example{"start_date", R"("2026-11-01")"},
    Example{"tags", R"(["production"])"},
    Example{"team_alias", R"("Research")"},
    Example{"team_id", R"("research")"},
    Example{"team_ids", R"(["research"])"},
    Example{"tpm_limit", "100000"},
    Example{"ttl_seconds", "600"},
    Example{"user_alias", R"("Ada")"},
    Example{"user_email", R"("ada@example.com")"},
    Example{"user_id", R"("ada")"},
    Example{"user_ids", R"(["ada"])"},
    Example{"user_role", R"("internal_user")"},
};

const Example* example_of(std::string_view function, std::string_view field) {
    const auto found = std::find_if(examples.begin(), examples.end(), [&](const Example& example) {
        return example.field == field && function.starts_with(example.functions);
    });
    return found == examples.end() ? nullptr : &*found;
}

struct Tag {
    std::string_view name;  // what the paths begin with, but for a version
    std::string_view description;
};

constexpr std::array tags{
    Tag{"organization", "Customers of the platform: their models, their limits, their members, and what they spent"},
    Tag{"user", "People and services that the platform knows"},
    Tag{"team", "Groups of an organization's members that share keys and limits"},
    Tag{"key", "What requests are made with"},
    Tag{"budget", "What may be spent, and how fast"},
    Tag{"usage", "Calls of models: asked for before, told of after"},
    Tag{"events", "What happened"},
    Tag{"gateway", "The gateway itself"},
};

std::string_view tag_of(const Route& route) {
    auto path = route.path.substr(route.path.starts_with("/v2/") ? 4 : 1);
    const auto family = take_until(path, '/');
    const auto found = std::find_if(tags.begin(), tags.end(), [&](const Tag& tag) { return tag.name == family; });
    return found == tags.end() ? tags.back().name : found->name;
}

ordered_json reference(std::string_view kind, std::string_view name) {
    return {{"$ref", "#/components/" + std::string{kind} + '/' + std::string{name}}};
}

// What goes to arguments from headers, and has no place among the fields.
constexpr std::array header_arguments{std::pair{"idempotency_key", "IdempotencyKey"}, std::pair{"if_match", "IfMatch"}};

bool has_argument(const Function& function, std::string_view name) {
    return std::any_of(function.arguments.begin(), function.arguments.end(),
                       [&](const Argument& argument) { return argument.name == name; });
}

bool is_field(const Route& route, const Argument& argument) {
    if (argument.name == "api_key" || (argument.name == "request_id" && !names_call(route)))
        return false;
    return std::none_of(header_arguments.begin(), header_arguments.end(),
                        [&](const auto& header) { return argument.name == header.first; });
}

// The type's name in JSON; what is json in SQL is one thing or a list of such.
ordered_json schema_of(Type type) {
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

// null is the same as leaving a field out.
void allow_null(ordered_json& schema) {
    auto& type = schema["type"];
    if (!type.is_array())
        type = ordered_json::array({type});
    type.push_back("null");
}

// Of the expressions that stand for a value by themselves: NULL, numbers, booleans and quoted lists without elements.
ordered_json default_of(const Argument& argument) {
    std::string_view expression = argument.default_expression;
    const auto value = take_until(expression, ':');
    if (value == "'{}'")
        return argument.type == Type::text_array ? ordered_json::array() : ordered_json::object();
    const auto json = ordered_json::parse(value, nullptr, false);
    return json.is_discarded() ? ordered_json{} : json;
}

bool names(std::string_view sentence, std::string_view word) {
    const auto belongs = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
    for (auto at = sentence.find(word); at != sentence.npos; at = sentence.find(word, at + 1)) {
        const auto end = at + word.size();
        if ((at == 0 || !belongs(sentence[at - 1])) && (end == sentence.size() || !belongs(sentence[end])))
            return true;
    }
    return false;
}

struct Comment {
    std::string_view summary;
    std::string_view description;
};

Comment comment_of(const Function& function) {
    std::string_view description = function.comment;
    auto summary = take_until(description, '\n');
    if (summary.ends_with('.'))
        summary.remove_suffix(1);
    return {summary, description};
}

std::vector<std::string_view> sentences_of(std::string_view text) {
    std::vector<std::string_view> sentences;
    while (!text.empty()) {
        const auto end = std::min(text.find(". "), text.size() - 1) + 1;
        sentences.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return sentences;
}

// What the comment on its column says or, of a field that is none, the sentences about the function that name it.
std::string description_of(const Function& function, const Argument& argument) {
    if (!argument.comment.empty())
        return argument.comment;
    std::string description;
    for (const auto sentence : sentences_of(comment_of(function).description))
        if (names(sentence, argument.name) && !sentence.starts_with("Returns "))
            (description += description.empty() ? "" : " ") += sentence;
    return description;
}

// One function's fields, as a route has them.
class FunctionFields {
public:
    FunctionFields(std::string_view name, const Function& function) : name_{name}, function_{function} {}

    ordered_json schema(const Argument& argument, bool required) const {
        auto schema = schema_of(argument.type);
        if (!required) {
            allow_null(schema);
            schema["default"] = default_of(argument);
        }
        if (auto text = description_of(function_, argument); !text.empty())
            schema["description"] = std::move(text);
        if (const auto* example = example_of(name_, argument.name))
            schema["examples"] = ordered_json::array({ordered_json::parse(example->json)});
        return schema;
    }

    // What an example request has in this field, if it has it.
    std::optional<ordered_json> example(const Argument& argument, bool required) const {
        const auto* example = example_of(name_, argument.name);
        if (!example || !(required || example->in_request))
            return std::nullopt;
        return ordered_json::parse(example->json);
    }

    ordered_json parameter(std::string_view name, std::string_view place, const Argument& argument) const {
        const bool required = argument.required || place == "path";
        ordered_json parameter{{"name", name}, {"in", place}, {"required", required}};
        auto schema = schema_of(argument.type);  // a parameter that is left out is null
        if (const auto value = default_of(argument); !value.is_null())
            schema["default"] = value;
        if (auto text = description_of(function_, argument); !text.empty())
            parameter["description"] = std::move(text);
        if (argument.type == Type::text_array)
            parameter.update({{"style", "form"}, {"explode", false}});
        if (const auto value = example(argument, required))
            parameter["example"] = *value;
        else if (const auto* other = example_of(name_, argument.name))
            schema["examples"] = ordered_json::array({ordered_json::parse(other->json)});
        parameter["schema"] = std::move(schema);
        return parameter;
    }

    // Of the arguments that a predicate picks.
    ordered_json body(const std::function<bool(const Argument&)>& is_in, bool all_optional = false) const {
        ordered_json schema{{"type", "object"}};
        ordered_json required = ordered_json::array(), example = ordered_json::object();
        for (const Argument& argument : function_.arguments) {
            if (!is_in(argument))
                continue;
            const bool is_required = argument.required && !all_optional;
            schema["properties"][argument.name] = this->schema(argument, is_required);
            if (is_required)
                required.push_back(argument.name);
            if (auto value = this->example(argument, is_required))
                example[argument.name] = std::move(*value);
        }
        if (!required.empty())
            schema["required"] = std::move(required);
        return {{"required", true}, {"content", {{"application/json", {{"schema", schema}, {"example", example}}}}}};
    }

private:
    std::string_view name_;
    const Function& function_;
};

// What a patch may change are the fields of the function it is like that are columns and no identifiers.
bool is_patchable(const Argument& argument) {
    return !argument.comment.empty() && !argument.name.ends_with("_id");
}

// Statuses besides 200, when a route has them, and in which shape.
enum class Shape { envelope, either, detail, error, fields };  // `envelope` is the route's own

struct Status {
    std::string_view code;
    std::string_view description;
    Shape shape;
    bool (*applies)(const Route&, const Function&) = [](const Route&, const Function&) { return true; };
};

bool takes_body(const Route& route, const Function&) { return !reads_query(route); }

constexpr std::array statuses{
    Status{"400", "A rule says no, or the key has expired", Shape::either},
    Status{"401", "No key, a bad or blocked one, or this caller may not", Shape::either},
    Status{"404", "There is no such thing", Shape::envelope},
    Status{"408", "The request took too long to arrive", Shape::detail},
    Status{"409", "It exists already, or is in use", Shape::envelope,
           [](const Route& route, const Function&) { return route.method != "GET"; }},
    Status{"412", "`If-Match` is not the current `ETag`", Shape::envelope,
           [](const Route&, const Function& function) { return has_argument(function, "if_match"); }},
    Status{"413", "The body is too large", Shape::detail, takes_body},
    Status{"414", "The URI is too long", Shape::detail},
    Status{"422", "A field is missing, of the wrong type or not allowed; or the JSON is broken", Shape::fields},
    Status{"429", "Over a limit", Shape::error,
           [](const Route&, const Function& function) { return has_argument(function, "max_cost"); }},
    Status{"431", "The headers are too large", Shape::detail},
    Status{"500", "A defect; the log has more under the request's id", Shape::either},
    Status{"503", "The database is away, or there is too much to do", Shape::either},
    Status{"504", "The database took too long", Shape::either},
};

ordered_json error_schema(Shape shape, Envelope envelope) {
    if (shape == Shape::envelope)
        shape = envelope == Envelope::error ? Shape::error : Shape::detail;
    switch (shape) {
        case Shape::fields: return reference("schemas", "FieldErrors");
        case Shape::error: return reference("schemas", "Error");
        case Shape::detail: return reference("schemas", "ErrorDetail");
        default:
            return {{"oneOf", {reference("schemas", "Error"), reference("schemas", "ErrorDetail")}}};
    }
}

ordered_json object(const ordered_json& properties) {
    ordered_json required = ordered_json::array();
    for (const auto& [name, schema] : properties.items())
        required.push_back(name);
    return {{"type", "object"}, {"properties", properties}, {"required", required}};
}

ordered_json reply(std::string_view description, const ordered_json& content) {
    return {{"description", description},
            {"headers", {{"x-request-id", reference("headers", "RequestId")}}},
            {"content", content}};
}

ordered_json json_content(const ordered_json& schema) { return {{"application/json", {{"schema", schema}}}}; }

ordered_json replies(const Route& route, const Function& function) {
    ordered_json replies;
    auto& success = replies["200"] = reply("Done", json_content(ordered_json::object()));
    if (is_tagged(route))
        success["headers"]["ETag"] = reference("headers", "ETag");
    if (!route.cursor.empty())
        success["headers"]["Link"] = reference("headers", "Link");
    if (route.kind == Kind::events)
        success["content"]["text/event-stream"] = {{"schema", {{"type", "string"}}}};
    for (const Status& status : statuses) {
        if (!status.applies(route, function))
            continue;
        auto& refusal = replies[std::string{status.code}] =
            reply(status.description, json_content(error_schema(status.shape, route.envelope)));
        if (status.code == "429" || status.code == "503")
            refusal["headers"]["Retry-After"] = reference("headers", "RetryAfter");
    }
    return replies;
}

ordered_json parameters(const Route& route, const Function& function, const FunctionFields& fields) {
    ordered_json parameters = ordered_json::array();
    for (const Argument& argument : function.arguments) {
        const bool in_path = route.path.find('{' + argument.name + '}') != route.path.npos;
        const bool in_body = (!reads_query(route) && route.kind != Kind::patch) || argument.name == "patch";
        if (in_body || !is_field(route, argument))
            continue;
        const bool is_filter = route.kind == Kind::activity && argument.name == "key";
        const auto name = is_filter ? std::string{"api_key"} : argument.name;
        parameters.push_back(fields.parameter(name, in_path ? "path" : "query", argument));
    }
    if (route.kind == Kind::events) {
        parameters.push_back(reference("parameters", "Wait"));
        parameters.push_back(reference("parameters", "LastEventId"));
    }
    for (const auto& [argument, header] : header_arguments)
        if (has_argument(function, argument))
            parameters.push_back(reference("parameters", header));
    parameters.push_back(reference("parameters", "RequestId"));
    return parameters;
}

ordered_json operation_of_function(const Route& route, const Functions& functions) {
    const Function& function = functions.find(route.function)->second;
    const FunctionFields fields{route.function, function};
    const auto comment = comment_of(function);
    ordered_json operation{{"tags", ordered_json::array({tag_of(route)})},
                           {"summary", comment.summary},
                           {"description", comment.description},
                           {"operationId", route.function},
                           {"parameters", parameters(route, function, fields)}};
    if (!reads_query(route) && route.kind != Kind::patch)
        operation["requestBody"] = fields.body([&](const Argument& argument) { return is_field(route, argument); });
    if (route.kind == Kind::patch) {
        auto& body = operation["requestBody"] =
            FunctionFields{patched_function, functions.find(patched_function)->second}.body(is_patchable, true);
        body["content"]["application/json"]["schema"]["additionalProperties"] = false;
    }
    operation["responses"] = replies(route, function);
    return operation;
}

struct OwnOperation {
    std::string_view path;
    std::string_view id;
    std::string_view summary;
    std::string_view content_type = "application/json";
};

constexpr std::array own_operations{
    OwnOperation{"/", "about", "Tell what this is, and the routes"},
    OwnOperation{"/health/liveliness", "liveliness", "Tell whether the gateway runs"},
    OwnOperation{"/health/liveness", "liveness", "Tell whether the gateway runs"},
    OwnOperation{"/health/readiness", "readiness", "Tell whether requests can be served"},
    OwnOperation{"/openapi.json", "openapi", "Describe the routes: this document"},
    OwnOperation{"/docs", "docs", "Show the routes in a browser, to read and to try", "text/html"},
    OwnOperation{"/docs/{file}", "docs_file", "Show a file of that page", "*/*"},
};

// Of what the gateway answers without the database.
ordered_json own_operation(const Route& route) {
    const auto& own = *std::find_if(own_operations.begin(), own_operations.end(),
                                    [&](const OwnOperation& candidate) { return candidate.path == route.path; });
    ordered_json operation{{"tags", ordered_json::array({tag_of(route)})},
                           {"summary", own.summary},
                           {"operationId", own.id},
                           {"security", ordered_json::array()},
                           {"parameters", ordered_json::array({reference("parameters", "RequestId")})}};
    auto& replies = operation["responses"];
    replies["200"] = reply("Done", {{own.content_type, ordered_json::object()}});
    if (route.path == openapi.path || route.path == viewer.path || route.path == viewer_file.path) {
        replies["200"]["headers"]["ETag"] = reference("headers", "ETag");
        replies["304"] = {{"description", "It is still the one of `If-None-Match`"}};
    }
    if (route.path == viewer_file.path) {
        operation["parameters"].push_back({{"name", "file"},
                                           {"in", "path"},
                                           {"required", true},
                                           {"description", "Its name"},
                                           {"example", "swagger-ui.css"},
                                           {"schema", {{"type", "string"}}}});
        replies["404"] = reply("There is no such file", json_content(object({{"detail", {{"type", "string"}}}})));
    }
    if (route.path == readiness.path || route.path == openapi.path) {
        replies["503"] = reply("The database is away", json_content(reference("schemas", "ErrorDetail")));
        replies["503"]["headers"]["Retry-After"] = reference("headers", "RetryAfter");
    }
    return operation;
}

ordered_json header_parameter(std::string_view name, std::string_view description, ordered_json schema) {
    return {{"name", name}, {"in", "header"}, {"description", description}, {"schema", std::move(schema)}};
}

ordered_json header(std::string_view description, ordered_json schema) {
    return {{"description", description}, {"schema", std::move(schema)}};
}

ordered_json components() {
    const ordered_json text{{"type", "string"}}, seconds{{"type", "integer"}};
    auto error = object({{"message", text},
                         {"type", {{"type", "string"}, {"examples", ordered_json::array({"auth_error"})}}},
                         {"param", {{"type", "string"}, {"description", "The field's name, or `None`"}}},
                         {"code",
                          {{"type", "string"},
                           {"description", "The status"},
                           {"examples", ordered_json::array({"401"})}}}});
    error["properties"]["limit"] = {{"type", "object"}, {"description", "The limit that was met, with a 429"}};
    const auto field_error = object(
        {{"type", {{"type", "string"}, {"examples", {"missing", "float_parsing", "value_error"}}}},
         {"loc",
          {{"type", "array"},
           {"items", {{"type", {"string", "integer"}}}},
           {"description", "Where it was sent: `body`, `query`, `path` or `header`, then names and positions"},
           {"examples", ordered_json::array({{"body", "max_budget"}})}}},
         {"msg", text},
         {"input", {{"description", "What was sent, unless it is secret"}}}});
    const auto key_header = [](const char* name) {
        return ordered_json{{"type", "apiKey"}, {"in", "header"}, {"name", name}};
    };
    return {
        {"schemas",
         {{"Error", object({{"error", error}})},
          {"ErrorDetail", object({{"detail", object({{"error", text}})}})},
          {"FieldErrors", object({{"detail", {{"type", "array"}, {"items", field_error}, {"minItems", 1}}}})}}},
        {"parameters",
         {{"RequestId", header_parameter("x-request-id",
                                         "Up to 64 letters, digits, `.`, `_` and `-`, to be told again in the reply "
                                         "and kept in the audit log; otherwise one is made",
                                         text)},
          {"IdempotencyKey", header_parameter("Idempotency-Key",
                                              "Anything unique: for 24 hours the same request with the same key "
                                              "happens once, and gets the first reply again",
                                              text)},
          {"IfMatch",
           header_parameter("If-Match", "An `ETag`: the change happens only if that is still current", text)},
          {"LastEventId", header_parameter("Last-Event-ID", "Counts as `after`, as browsers send it on reconnecting",
                                           {{"type", "integer"}, {"format", "int64"}})},
          {"Wait",
           {{"name", "wait"},
            {"in", "query"},
            {"description", "How many seconds to wait for something to happen, if nothing has yet"},
            {"schema", {{"type", "integer"}, {"minimum", 0}, {"maximum", 60}, {"default", 0}}},
            {"example", 0}}}}},
        {"headers",
         {{"RequestId", header("The request's id", text)},
          {"ETag", header("Changes with the thing, for `If-Match`", text)},
          {"Link", header("With a full page: where the next one is, `rel=\"next\"`", text)},
          {"RetryAfter", header("When to try again, in seconds", seconds)}}},
        {"securitySchemes",
         {{"x-litellm-api-key", key_header("x-litellm-api-key")},
          {"API-Key", key_header("API-Key")},
          {"x-api-key", key_header("x-api-key")},
          {"x-goog-api-key", key_header("x-goog-api-key")},
          // Last, because the viewer lets people write into the last one at once.
          {"bearer", {{"type", "http"}, {"scheme", "bearer"}, {"description", "A key: `sk-…`"}}}}}};
}

ordered_json security(const ordered_json& components) {
    ordered_json alternatives = ordered_json::array();
    for (const auto& [name, scheme] : components.at("securitySchemes").items())
        alternatives.push_back({{name, ordered_json::array()}});
    return alternatives;
}

constexpr auto introduction =
    "The organizations of an LLM platform: who belongs to them, which models they may use, what they may spend.\n\n"
    "Success is 200 with JSON. Numbers may be sent as strings of digits, `null` is the same as leaving a field out, "
    "and unrecognized fields are ignored unless it says otherwise. A request did all of what it says or, whatever "
    "the status, nothing. Money is in US dollars, times are UTC. HEAD works where GET does.";

}  // namespace

std::string write_document(const Functions& functions) {
    ordered_json paths = ordered_json::object();
    std::set<std::string> ids;
    for (const Route& route : routes) {
        auto operation = route.kind == Kind::own ? own_operation(route) : operation_of_function(route, functions);
        std::string method{route.method};
        std::transform(method.begin(), method.end(), method.begin(), [](unsigned char c) { return std::tolower(c); });
        if (!ids.insert(operation["operationId"]).second)
            operation["operationId"] = operation["operationId"].get<std::string>() + '_' + method;
        paths[std::string{route.path}][method] = std::move(operation);
    }
    ordered_json listed_tags = ordered_json::array();
    for (const Tag& tag : tags)
        listed_tags.push_back({{"name", tag.name}, {"description", tag.description}});
    const auto components = pg_org::components();
    return ordered_json{{"openapi", "3.1.0"},
                        {"info",
                         {{"title", "pg_org"},
                          {"version", PG_ORG_VERSION},
                          {"description", introduction},
                          {"license", {{"name", "PostgreSQL License"}, {"identifier", "PostgreSQL"}}}}},
                        {"security", security(components)},
                        {"tags", listed_tags},
                        {"paths", paths},
                        {"components", components}}
        .dump();
}

Reply ApiDocument::show(const std::shared_ptr<const Functions>& functions, const Request& request) {
    const std::lock_guard lock{mutex_};
    if (functions != functions_) {
        text_ = write_document(*functions);
        functions_ = functions;
    }
    return show_text(text_, "application/json", request);
}

}  // namespace pg_org
