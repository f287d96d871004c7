#include "reply.hpp"

#include "bind.hpp"
#include "log.hpp"
#include "observation.hpp"
#include "url.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace pg_org {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view retry_after_seconds = "1";

// The first line whose SQLSTATE the error's begins with applies.
struct Translation {
    std::string_view sqlstate;
    int status;
    std::string_view message;   // instead of PostgreSQL's own; empty: the line is for errors of rules
    std::string_view type = {}; // in the error envelope; empty: that of the status
};

constexpr std::array translations{
    Translation{"08", 503, unavailable},
    Translation{"0L", 400, {}},
    Translation{"22004", 422, {}},
    Translation{"22023", 422, {}},
    Translation{"22", 422, "Value error, a value is out of range or malformed"},
    Translation{"23503", 400, "Refers to something that does not exist"},
    Translation{"23505", 409, "Already exists"},
    Translation{"25006", 503, unavailable},
    Translation{"28EXP", 400, {}, "expired_key"},
    Translation{"28MOD", 401, {}, "key_model_access_denied"},
    Translation{"28TMP", 401, {}, "team_member_permission_error"},
    Translation{"28", 401, {}},
    Translation{"3F000", 503, not_set_up},
    Translation{"40001", 503, "Too busy, try again"},
    Translation{"40P01", 503, "Too busy, try again"},
    Translation{"42501", 401, {}}, // or 403
    Translation{"42RTE", 403, {}},
    Translation{"42501", 503, not_set_up},
    Translation{"42883", 503, not_set_up},
    Translation{"53300", 503, "Too busy, try again"},
    Translation{"53400", 429, {}, "budget_exceeded"},
    Translation{"53RAT", 429, {}, "rate_limit_exceeded"},
    Translation{"53", 503, unavailable},
    Translation{"55ETG", 412, {}},
    Translation{"55P03", 503, "Too busy, try again"},
    Translation{"55", 400, {}},
    Translation{"57014", 504, "The database took too long"},
    Translation{"57P", 503, unavailable},
    Translation{"58", 503, unavailable},
    Translation{"P0001", 400, {}},
    Translation{"P0002", 404, {}},
};

constexpr Translation defect{"", 500, "Internal Server Error"};

// For a change during which the connection was lost.
std::string in_doubt(const Route &route)
{
    return "The database was lost on the way: this may or may not have been done. Repeat the request with the same " +
           std::string{names_call(route) ? "request_id" : "Idempotency-Key"} + " and it is not done twice";
}

const Translation &translation_of(const DatabaseError &error)
{
    const auto found = std::find_if(translations.begin(), translations.end(), [&](const Translation &candidate) {
        return error.sqlstate.starts_with(candidate.sqlstate) && !(error.internal && candidate.message.empty());
    });
    return found == translations.end() ? defect : *found;
}

std::string_view error_type(int status)
{
    switch (status) {
    case 401:
    case 403: return "auth_error";
    case 404: return "not_found_error";
    default: return status < 500 ? "bad_request_error" : "internal_server_error";
    }
}

std::string dump(const ordered_json &json) { return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace); }

ordered_json with_hint(ordered_json error, std::string_view hint)
{
    if (!hint.empty())
        error["hint"] = hint;
    return error;
}

Reply error_reply(int status, std::string_view type, std::string_view message, std::string_view hint,
                  std::string_view param = "None", std::string_view limit = {})
{
    const ordered_json members{
        {"message", message}, {"type", type}, {"param", param}, {"code", std::to_string(status)}};
    std::string error = dump(with_hint(members, hint));
    if (!limit.empty()) { // as it stands: its amounts have more digits than a double
        error.back() = ',';
        error.append(R"("limit":)").append(limit) += '}';
    }
    return {status, R"({"error":)" + error + '}'};
}

bool is_secret(const std::string &name)
{
    return name == "key" || name == "api_key" || name == "id_token" || name == "password";
}

bool holds_secret(const json &value)
{
    for (const auto &[name, member] : value.items())
        if ((value.is_object() && is_secret(name)) || (member.is_structured() && holds_secret(member)))
            return true;
    return false;
}

// The values that were sent, in members named like the first step of a location: body, query or path.
json sent_with(const Request &request)
{
    std::string_view query = request.target;
    take_until(query, '?');
    json parameters = json::object();
    for (const auto &[name, value] : read_query(query))
        if (value.storable)
            parameters[name] = value.text;
    return {{"query", parameters}, {"body", json::parse(request.body, nullptr, false)}};
}

std::size_t length_of(const json &value) { return value.dump(-1, ' ', false, json::error_handler_t::replace).size(); }

// The value at a location; null if there is none, it is a secret, or it is too long.
json shown_value(const json &sent, const ordered_json &location)
{
    constexpr std::size_t max_length = 1000;
    const json *value = &sent;
    for (const auto &step : location) {
        const auto name = step.is_string() ? step.get<std::string>() : std::string{};
        if (value->is_object() && value->contains(name) && !is_secret(name))
            value = &value->at(name);
        else if (value->is_array() && step.is_number() && step < value->size())
            value = &value->at(step.get<std::size_t>());
        else
            return nullptr;
    }
    return location.size() < 2 || holds_secret(*value) || length_of(*value) > max_length ? nullptr : *value;
}

// The location that a rule's message begins with: "member.0.role" must be …
ordered_json location_of(std::string_view message, const Route &route)
{
    ordered_json location = ordered_json::array({reads_query(route) ? "query" : "body"});
    if (!message.starts_with('"') || message.find('"', 1) == message.npos)
        return location;
    std::string_view path = message.substr(1, message.find('"', 1) - 1);
    while (!path.empty()) {
        const auto step = take_until(path, '.');
        std::size_t index = 0;
        if (!step.empty() &&
            std::from_chars(step.data(), step.data() + step.size(), index).ptr == step.data() + step.size())
            location.push_back(index);
        else
            location.push_back(step);
    }
    return location;
}

// The header that a rule's error is about, if one was sent.
const HeaderArgument *header_of(const DatabaseError &error, const Request &request)
{
    for (const auto &known : header_arguments)
        if (known.argument == error.argument && !request.header(known.header).empty())
            return &known;
    return nullptr;
}

// The members of an element's error, each as JSON that keeps every digit.
Fields parts_of(std::string_view element)
{
    try {
        return read_body(read_body(element).fields["error"].text).fields;
    } catch (const InvalidJson &error) {
        throw std::runtime_error{"the database's refusal can't be read: " + error.reason};
    }
}

// What `after` takes for an element of a list: with its time, if it has one, it works when the element is gone.
std::string cursor_of(const json &element, const std::string &field)
{
    const json &id = element.at(field);
    if (!id.is_string())
        return id.dump();
    for (const auto *time : {"created_at", "occurred_at", "endTime"})
        if (const auto found = element.find(time); found != element.end() && found->is_string())
            return found->get<std::string>() + '/' + id.get<std::string>();
    return id.get<std::string>();
}

// What `after` takes for the page after this one; empty if this one is not full.
std::string next_after(const json &page, const std::string &field, std::string_view limit)
{
    if (page.is_object()) {
        const auto found = page.find(field);
        return found != page.end() && found->is_string() ? found->get<std::string>() : std::string{};
    }
    if (page.empty() || std::to_string(page.size()) != integer_text(limit))
        return {};
    return cursor_of(page.back(), field);
}

} // namespace

Reply refuse_fields(const std::vector<FieldError> &errors, const Request &request)
{
    const bool broken = errors.front().type == "json_invalid";
    const json sent = broken ? json{} : sent_with(request);
    ordered_json detail = ordered_json::array();
    for (const FieldError &error : errors) {
        if (detail.size() == max_field_errors)
            break;
        ordered_json input = nullptr;
        if (broken)
            input = ordered_json::object();
        else if (error.type != "missing")
            input = shown_value(sent, error.location);
        detail.push_back(with_hint(
            {{"type", error.type}, {"loc", error.location}, {"msg", error.message}, {"input", input}}, error.hint));
    }
    return {422, dump({{"detail", detail}})};
}

Reply refuse(int status, std::string_view message, Envelope envelope, std::string_view hint)
{
    Reply reply = envelope == Envelope::error
                      ? error_reply(status, error_type(status), message, hint)
                      : Reply{status, dump({{"detail", with_hint({{"error", message}}, hint)}})};
    if (status == 503)
        reply.headers.emplace_back("Retry-After", retry_after_seconds);
    return reply;
}

Reply refuse_key(std::string_view message) { return refuse(401, message, Envelope::error); }

Reply refuse_path(const std::string &allowed_methods)
{
    if (allowed_methods.empty())
        return {404, R"({"detail":"Not Found"})"};
    return {405, R"({"detail":"Method Not Allowed"})", {{"Allow", allowed_methods}}};
}

bool is_transient(const DatabaseError &error)
{
    const int status = translation_of(error).status;
    return status == 503 || status == 504;
}

bool is_refusal(std::string_view element) { return element.starts_with(R"({"error":)"); }

Refusal read_refusal(std::string_view element)
{
    auto fields = parts_of(element);
    const auto given = [&](const char *name) {
        Value &value = fields[name];
        return value.kind == Value::Kind::null ? std::string{} : std::move(value.text);
    };
    Refusal refusal{{given("sqlstate"), given("message"), false, std::string{element}}};
    if (auto param = given("param"); !param.empty())
        refusal.param = std::move(param);
    if (const Value &limit = fields["limit"]; limit.kind != Value::Kind::null)
        refusal.limit = json_text(limit);
    refusal.retry_after = given("retry_after");
    refusal.error.hint = given("hint");
    return refusal;
}

std::optional<std::string> held_by(std::string_view element)
{
    if (!element.starts_with(R"({"error":{"held":)"))
        return std::nullopt;
    return parts_of(element)["held"].text;
}

Reply translate(const Refusal &refusal, const Route &route, const Request &request)
{
    const DatabaseError &error = refusal.error;
    const auto &[prefix, usual_status, own_message, type] = translation_of(error);
    const int status = prefix == "42501" && usual_status == 401 && forbids_with_403(route) ? 403 : usual_status;
    const bool in_its_words = !error.internal && status < 500;
    std::string message{in_its_words ? std::string_view{error.message} : own_message};
    const bool of_key = error.sqlstate.starts_with("28") || error.sqlstate == "42RTE";
    // Hints about the caller's key speak of the argument that SQL has for it.
    const std::string_view hint = in_its_words && !of_key ? std::string_view{error.hint} : std::string_view{};
    const HeaderArgument *header = in_its_words ? header_of(error, request) : nullptr;
    if (const auto at = header ? message.find(header->argument) : message.npos; at != message.npos)
        message.replace(at, std::strlen(header->argument), header->header);
    if (status == 422) {
        const auto location = header         ? ordered_json{"header", header->header}
                              : in_its_words ? location_of(message, route)
                                             : ordered_json::array({"body"});
        const auto *complaint = in_its_words && error.sqlstate == "22004" ? "missing" : "value_error";
        return refuse_fields({{complaint, location, message, std::string{hint}}}, request);
    }
    if (error.sqlstate == sqlstate::outcome_unknown && changes_data(route))
        return refuse(status, in_doubt(route), route.envelope);
    if (status >= 500 || (route.envelope == Envelope::detail && !of_key))
        return refuse(status, message, route.envelope, hint);
    Reply reply =
        error_reply(status, type.empty() ? error_type(status) : type, message, hint, refusal.param, refusal.limit);
    if (!refusal.retry_after.empty())
        reply.headers.emplace_back("Retry-After", refusal.retry_after);
    return reply;
}

Reply refuse(const Refusal &refusal, const Route &route, const Request &request)
{
    const DatabaseError &error = refusal.error;
    trace().sqlstate = error.sqlstate;
    if (!refusal.limit.empty())
        trace().limit = read_body(refusal.limit).fields["limit"].text;
    Reply reply = translate(refusal, route, request);
    if (reply.status >= 500)
        log_event(reply.status == 500 ? Level::error : Level::warning, "database error",
                  {{"request_id", request.id}, {"sqlstate", error.sqlstate}, {"error", error.what()}});
    return reply;
}

bool functions_have_changed(const DatabaseError &error)
{
    constexpr std::array<std::string_view, 3> sqlstates{"3F000", "42883", "42P01"};
    return error.internal && std::find(sqlstates.begin(), sqlstates.end(), error.sqlstate) != sqlstates.end();
}

void add_page_and_tag(Reply &reply, const Asked &asked, const std::string &tag)
{
    if (!tag.empty())
        reply.headers.emplace_back("ETag", tag);
    if (asked.route.cursor.empty() || reply.status != 200 || reply.stream)
        return;
    if (auto link = next_page(asked.route, read_query(asked.query), reply.body); !link.empty())
        reply.headers.emplace_back("Link", std::move(link));
}

std::string next_cursor(const Route &route, std::string_view reply, std::string_view limit)
{
    const auto page = json::parse(reply, [](int depth, json::parse_event_t event, json &) {
        const bool opens = event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
        return depth < 2 || !opens; // only plain fields matter here
    });
    return next_after(page, std::string{route.cursor}, limit);
}

std::string next_page(const Route &route, const Fields &query, std::string_view reply)
{
    const auto limit = query.find("limit");
    if (route.cursor.empty() || limit == query.end())
        return {};
    const std::string after = next_cursor(route, reply, limit->second.text);
    if (after.empty())
        return {};
    std::string link = "<" + std::string{route.path} + "?";
    for (const auto &[name, value] : query)
        if (name != "after")
            link += percent_encode(name) + "=" + percent_encode(value.text) + "&";
    return link + "after=" + percent_encode(after) + ">; rel=\"next\"";
}

} // namespace pg_org
