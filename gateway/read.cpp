#include "read.hpp"

#include "bind.hpp"
#include "credentials.hpp"
#include "csv.hpp"
#include "url.hpp"

#include <utility>

namespace pg_org {
namespace {

using nlohmann::ordered_json;

constexpr auto unstorable = "Value error, text must be UTF-8 without U+0000";
constexpr int max_wait = 60;

Value text(std::string_view characters) { return {Value::Kind::string, std::string{characters}, {}}; }

// Whether a Prefer header (RFC 7240) has handling=strict.
bool prefers_strict(std::string_view header)
{
    while (!header.empty()) {
        auto preference = take_until(header, ',');
        preference = take_until(preference, ';');
        const auto name = trimmed(take_until(preference, '='));
        const auto value = trimmed(preference);
        if (is_like(name, "handling") && (is_like(value, "strict") || is_like(value, "\"strict\"")))
            return true;
    }
    return false;
}

class Reader {
public:
    Reader(const Match &match, std::string_view query, const Request &request)
        : match_{match}, request_{request}, asked_{*match.route, query, {}, {}, {}, {}}
    {
    }

    Asked read()
    {
        const Route &route = asked_.route;
        const bool in_query = reads_query(route);
        asked_.source = in_query || route.kind == Kind::patch ? "query" : "body";
        Body body = in_query || request_.body.empty() ? Body{} : read_body(request_.body);
        read_key();
        asked_.prefers_csv = in_query && prefers_csv(request_.header("accept"));
        asked_.is_strict = prefers_strict(request_.header("prefer"));
        if (in_query)
            asked_.fields = read_query(asked_.query);
        else
            check_body(body);
        check_text(in_query ? asked_.fields : body.fields, in_query ? "query" : "body");
        if (route.kind == Kind::patch)
            add_patch(body.fields);
        else if (!in_query)
            asked_.fields = std::move(body.fields);
        note_sent();
        if (route.kind != Kind::patch && !match_.parameter.empty())
            asked_.fields[match_.parameter] = text(match_.parameter_value);
        if (filters_by_key(route) && asked_.fields.contains("api_key"))
            asked_.fields["key"] = asked_.fields["api_key"];
        add_headers();
        if (route.kind == Kind::events)
            read_events_wanted();
        return std::move(asked_);
    }

private:
    const Match &match_;
    const Request &request_;
    Asked asked_;

    void read_key()
    {
        auto credentials = read_credentials(request_.header);
        if (!credentials.refusal.empty())
            throw MalformedKey{std::move(credentials.refusal)};
        asked_.api_key = std::move(credentials.api_key);
    }

    void add_error(std::string type, ordered_json location, std::string message)
    {
        asked_.errors.push_back({std::move(type), std::move(location), std::move(message)});
    }

    void check_body(const Body &body)
    {
        if (request_.body.empty() && asked_.route.needs_body)
            add_error("missing", ordered_json::array({"body"}), "Field required");
        else if (!request_.body.empty() && body.kind != Value::Kind::object)
            add_error("dict_type", ordered_json::array({"body"}), "Input should be a valid dictionary");
        if (!is_storable(match_.parameter_value))
            add_error("value_error", {"path", match_.parameter}, unstorable);
    }

    void check_text(const Fields &fields, std::string_view source)
    {
        for (const auto &[name, value] : fields)
            if (!value.storable)
                add_error("value_error", {source, name}, unstorable);
    }

    void note_sent()
    {
        const Kind kind = asked_.route.kind;
        asked_.sent = asked_.fields;
        if (kind == Kind::patch)
            asked_.sent.erase("patch");
        else if (asked_.source == "body")
            asked_.beside = read_query(asked_.query);
        if (filters_by_key(asked_.route))
            asked_.sent.erase("api_key");
        if (kind == Kind::events)
            asked_.sent.erase("wait");
    }

    void add_patch(const Fields &body)
    {
        asked_.fields = read_query(asked_.query);
        check_text(asked_.fields, "query");
        asked_.fields[match_.parameter] = text(match_.parameter_value);
        asked_.fields["patch"] = {Value::Kind::object, json_text(body), {}};
    }

    void add_headers()
    {
        for (const auto &[header, argument] : header_arguments)
            if (auto value = request_.header(header); !is_storable(value))
                add_error("value_error", {"header", header}, unstorable);
            else if (!value.empty())
                asked_.fields[argument] = text(value);
        if (!names_call(asked_.route))
            asked_.fields.try_emplace("request_id", text(request_.id));
    }

    void read_events_wanted()
    {
        asked_.is_stream =
            request_.method == "GET" && request_.header("accept").find("text/event-stream") != std::string::npos;
        if (const auto last_event = request_.header("last-event-id"); !last_event.empty())
            asked_.fields["after"] = text(last_event);
        asked_.fields.try_emplace("after", Value{}); // the call puts in the last event
        const auto wait = asked_.fields.find("wait");
        if (wait == asked_.fields.end())
            return;
        const auto number = integer_text(wait->second.text);
        asked_.wait = std::chrono::seconds{number ? std::stoll(*number) : -1};
        if (asked_.wait.count() < 0 || asked_.wait.count() > max_wait)
            add_error("value_error", {"query", "wait"}, "\"wait\" must be from 0 to 60 seconds");
    }
};

} // namespace

Asked read(const Match &match, std::string_view query, const Request &request)
{
    return Reader{match, query, request}.read();
}

} // namespace pg_org
