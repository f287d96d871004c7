#include "gateway.hpp"

#include "binding.hpp"
#include "credentials.hpp"
#include "errors.hpp"
#include "log.hpp"
#include "observation.hpp"
#include "paging.hpp"
#include "url.hpp"
#include "viewer.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace pg_org {
namespace {

using nlohmann::ordered_json;

Reply about() {
    ordered_json listed = ordered_json::array();
    for (const Route& route : routes)
        listed.push_back(std::string{route.method} + " " + std::string{route.path});
    const ordered_json body{{"name", "pg_org"},
                            {"version", PG_ORG_VERSION},
                            {"description", "The organizations of an LLM platform: members, teams, keys, budgets"},
                            {"routes", listed}};
    return {200, body.dump()};
}

constexpr auto unstorable = "Value error, text must be UTF-8 without U+0000";

void check_text(const Fields& fields, std::string_view source, std::vector<FieldError>& errors) {
    for (const auto& [name, value] : fields)
        if (!value.storable)
            errors.push_back({"value_error", {source, name}, unstorable});
}

// What is wrong with what was sent, whatever function it is for.
std::vector<FieldError> check_sent(const Match& match, const Body& body, const Fields& fields, const Request& request) {
    const bool in_query = match.route->input == Input::query;
    std::vector<FieldError> errors;
    if (!in_query && request.body.empty())
        errors.push_back({"missing", ordered_json::array({"body"}), "Field required"});
    else if (!in_query && body.kind != Value::Kind::object)
        errors.push_back({"dict_type", ordered_json::array({"body"}), "Input should be a valid dictionary"});
    if (!is_storable(match.parameter_value))
        errors.push_back({"value_error", {"path", match.parameter}, unstorable});
    check_text(fields, in_query ? "query" : "body", errors);
    return errors;
}

// What headers say goes to arguments as well.
struct HeaderField {
    const char* header;
    const char* argument;
};
constexpr std::array header_fields{HeaderField{"idempotency-key", "idempotency_key"},
                                   HeaderField{"if-match", "if_match"}};

void add_headers(Fields& fields, const Route& route, const Request& request, std::vector<FieldError>& errors) {
    for (const auto& [header, argument] : header_fields)
        if (auto value = request.header(header); is_storable(value)) {
            if (!value.empty())
                fields[argument] = Value{Value::Kind::string, std::move(value), {}};
        } else {
            errors.push_back({"value_error", {"header", header}, unstorable});
        }
    if (!route.names_call)
        fields.try_emplace("request_id", Value{Value::Kind::string, std::string{request.id}, {}});
}

constexpr int longest_wait = 60;

// How long the client wants to wait for what is not there yet.
std::chrono::seconds read_wait(const Fields& fields, std::vector<FieldError>& errors) {
    const auto wait = fields.find("wait");
    if (wait == fields.end())
        return {};
    const auto number = integer_text(wait->second.text);
    const std::chrono::seconds seconds{number ? std::stoll(*number) : -1};
    if (seconds.count() < 0 || seconds.count() > longest_wait)
        errors.push_back({"value_error", {"query", "wait"}, "\"wait\" must be from 0 to 60 seconds"});
    return seconds;
}

bool wants_stream(const Request& request) {
    return request.method == "GET" && request.header("accept").find("text/event-stream") != std::string::npos;
}

void add_link(Reply& reply, const Route& route, std::string_view query) {
    if (route.page_key.empty())
        return;
    if (const auto link = next_page(route, read_query(query), reply.body); !link.empty())
        reply.headers.emplace_back("Link", link);
}

// The reply and its entity tag, from one call.
Statement with_tag(const Statement& call, const Function& tag) {
    return {"SELECT reply, " + tag.identifier + "(reply) FROM (" + call.sql + " AS reply OFFSET 0) AS called",
            call.values};
}

// Each element of the reply as it stands.
Statement call_of_many(const Function& many, const Batches::Requests& objects, bool wait, const std::string& api_key) {
    std::string array = "[";
    for (const auto object : objects)
        (array += array.size() > 1 ? "," : "") += object;
    return {"SELECT element.value FROM pg_catalog.json_array_elements(" + many.identifier +
                "(requests => $1::json, wait => $2::boolean, api_key => $3::text))"
                " WITH ORDINALITY AS element (value, position) ORDER BY element.position",
            {array + ']', wait ? "true" : "false", api_key}};
}

// No function is there under its name, with these arguments, in that schema.
bool is_of_other_functions(const DatabaseError& error) {
    constexpr std::array<std::string_view, 3> sqlstates{"3F000", "42883", "42P01"};
    return error.internal && std::find(sqlstates.begin(), sqlstates.end(), error.sqlstate) != sqlstates.end();
}

Reply refused(const Refusal& refusal, const Route& route, const Request& request) {
    trace().sqlstate = refusal.error.sqlstate;
    Reply reply = translate(refusal, route, request);
    if (reply.status >= 500)
        log_event(reply.status == 500 ? Level::error : Level::warning, "database error",
                  {{"request_id", request.id},
                   {"sqlstate", refusal.error.sqlstate},
                   {"error", refusal.error.what()}});
    return reply;
}

}  // namespace

std::optional<Reply> Gateway::handle_at_once(const Request& request) const {
    std::string_view query = request.target;
    const Match match = find_route(request.method, take_until(query, '?'));
    if (!match.route)
        return refuse_path(match.allowed);
    trace().route = match.route->path;
    if (match.route->path == root.path)
        return about();
    if (match.route->path == readiness.path && phase_ != Phase::open)
        return refuse(503, phase_ == Phase::starting ? "The gateway is starting" : "The gateway is stopping");
    if (match.route->path == liveness.path || match.route->path == liveness_too.path)
        return Reply{200, R"("I'm alive!")"};
    return std::nullopt;
}

Reply Gateway::handle(const Request& request) {
    std::string_view query = request.target;
    const auto path = take_until(query, '?');
    const Match match = find_route(request.method, path);
    trace().route = match.route->path;
    if (match.route->path == readiness.path)
        return ready();
    if (match.route->path == openapi.path)
        return describe(request);
    if (match.route->path == viewer.path || match.route->path == viewer_file.path)
        return show_viewer(match.parameter_value, request);
    Reply reply = answer(match, query, request);
    if (match.route->access == Access::write)
        replicas_.note_write(read_credentials(request.header).api_key);
    return reply;
}

Reply Gateway::answer(const Match& match, std::string_view query, const Request& request) {
    try {
        return call_known(match, query, request);
    } catch (const InvalidJson& error) {
        return refuse_fields({{"json_invalid", {"body", error.position}, "JSON decode error: " + error.reason}},
                             request);
    } catch (const DatabaseError& error) {
        return refused({error, error.argument.empty() ? "None" : error.argument}, *match.route, request);
    }
}

void Gateway::drain() {
    phase_ = Phase::draining;
    listeners_.stop();
}

Reply Gateway::ready() {
    try {
        database_.run({"SELECT 1", {}});
    } catch (const DatabaseError&) {
        return refuse(503, "The database is unavailable");
    }
    if (!catalog_.functions())
        return refuse(503, "The database is not set up for this gateway; its log says why");
    return {200, R"({"status":"connected","db":"connected"})"};
}

// Once more when the functions turn out to have become others: nothing was done then.
Reply Gateway::call_known(const Match& match, std::string_view query, const Request& request) {
    const auto functions = catalog_.functions();
    try {
        return call(match, query, request, functions);
    } catch (const DatabaseError& error) {
        if (!is_of_other_functions(error))
            throw;
        const auto renewed = catalog_.renewed(functions);
        if (renewed == functions)
            throw;
        return call(match, query, request, renewed);
    }
}

Reply Gateway::describe(const Request& request) {
    const auto functions = catalog_.functions();
    return functions ? document_.show(functions, request) : refuse(503, "The database is unavailable");
}

// Malformed JSON comes before the key, the key before the fields.
Reply Gateway::call(const Match& match, std::string_view query, const Request& request,
                    const Catalog::Snapshot& functions) {
    const Route& route = *match.route;
    const bool in_query = route.input == Input::query;
    Body body = in_query || request.body.empty() ? Body{} : read_body(request.body);
    if (!functions)
        return refuse(503, "The database is unavailable");
    const Credentials credentials = read_credentials(request.header);
    if (!credentials.refusal.empty())
        return refuse_key(credentials.refusal);

    Fields fields = in_query ? read_query(query) : std::move(body.fields);
    auto errors = check_sent(match, body, fields, request);
    if (auto filter = fields.find("api_key"); !route.api_key.empty() && filter != fields.end())
        fields[std::string{route.api_key}] = filter->second;
    if (route.input == Input::merge_patch) {
        Value patch{Value::Kind::object, json_text(fields), {}};
        fields = read_query(query);
        check_text(fields, "query", errors);
        fields[match.parameter] = Value{Value::Kind::string, match.parameter_value, {}};
        fields["patch"] = std::move(patch);
    }
    add_headers(fields, route, request, errors);
    if (const auto last_event = request.header("last-event-id"); route.awaited && !last_event.empty())
        fields["after"] = Value{Value::Kind::string, last_event, {}};
    const Function& function = functions->find(route.function)->second;
    const auto* source = route.input == Input::body ? "body" : "query";
    if (!route.many.empty()) {
        auto object = bind_object(function, fields, source, errors);
        if (errors.empty())
            return run_with_others(functions->find(route.many)->second, std::move(object), credentials.api_key, route,
                                   request);
    } else {
        const auto call = bind_arguments(function, fields, credentials.api_key, source, errors);
        const auto patience = route.awaited ? read_wait(fields, errors) : std::chrono::seconds{};
        if (errors.empty() && route.awaited)
            return listen(route, fields, credentials.api_key, patience, query, request);
        if (errors.empty())
            return run(route.tagged ? with_tag(call, functions->find(tag_function)->second) : call, route,
                       credentials.api_key, query);
    }
    check_key(*functions, credentials.api_key);
    return refuse_fields(errors, request);
}

Reply Gateway::run(const Statement& call, const Route& route, const std::string& api_key, std::string_view query) {
    auto rows = route.access == Access::stale_read ? replicas_.run(call, api_key) : std::nullopt;
    if (!rows)
        rows = database_.run(call);
    auto row = std::move(rows->at(0));
    Reply reply{200, std::move(row.at(0))};
    if (route.tagged && !row.at(1).empty())
        reply.headers.emplace_back("ETag", row.at(1));
    add_link(reply, route, query);
    return reply;
}

// The same call again and again, each time from the last event on.
Reply Gateway::listen(const Route& route, const Fields& fields, const std::string& api_key,
                      std::chrono::seconds patience, std::string_view query, const Request& request) {
    const auto read = [this, &route, fields, api_key](const std::string& after) {
        Fields onward = fields;
        if (!after.empty())
            onward["after"] = Value{Value::Kind::number, after, {}};
        std::vector<FieldError> none;
        const auto functions = catalog_.functions();
        const auto& function = functions->find(route.function)->second;
        return database_.run(bind_arguments(function, onward, api_key, "query", none)).at(0).at(0);
    };
    if (wants_stream(request))
        return listeners_.stream(read);
    Reply reply = listeners_.poll(read, patience);
    if (reply.status == 200)
        add_link(reply, route, query);
    return reply;
}

Reply Gateway::run_with_others(const Function& many, std::string object, const std::string& api_key, const Route& route,
                               const Request& request) {
    const auto run_all = [&](const Batches::Requests& objects, bool wait) {
        return run_many(many, objects, wait, api_key);
    };
    auto element = batching_ ? batches_.ask(many.identifier + ' ' + api_key, object, run_all)
                             : std::move(run_all({object}, true).front());
    return is_refusal(element) ? refused(read_refusal(element), route, request) : Reply{200, std::move(element)};
}

std::vector<std::string> Gateway::run_many(const Function& many, const Batches::Requests& objects, bool wait,
                                           const std::string& api_key) {
    auto rows = database_.run(call_of_many(many, objects, wait, api_key));
    if (rows.size() != objects.size())
        throw std::runtime_error{many.identifier + " did not answer each request"};
    std::vector<std::string> elements;
    elements.reserve(rows.size());
    for (Row& row : rows)
        elements.push_back(std::move(row.at(0)));
    return elements;
}

// Only a caller with a good key is told what is wrong with the fields.
void Gateway::check_key(const Functions& functions, const std::string& api_key) {
    std::vector<FieldError> none;
    const Fields fields{{"limit", Value{Value::Kind::number, "1", {}}}};
    database_.run(bind_arguments(functions.find("org_list")->second, fields, api_key, "query", none));
}

}  // namespace pg_org
