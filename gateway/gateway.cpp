#include "gateway.hpp"

#include "bind.hpp"
#include "observation.hpp"
#include "pages.hpp"
#include "read.hpp"
#include "reply.hpp"
#include "unbound.hpp"
#include "url.hpp"

#include <nlohmann/json.hpp>

#include <cstdlib>

namespace pg_org {
namespace {

Reply about()
{
    nlohmann::ordered_json listed = nlohmann::ordered_json::array();
    for (const Route &route : routes)
        listed.push_back(std::string{route.method} + " " + std::string{route.path});
    const nlohmann::ordered_json body{
        {"name", "pg_org"},
        {"version", PG_ORG_VERSION},
        {"description", "The organizations of an LLM platform: members, teams, keys, budgets"},
        {"routes", listed}};
    return {200, body.dump()};
}

bool spends(const Route &route) { return route.function == "usage_settle" || route.function == "usage_record"; }

Reply reply_with(Answer &answer, const Asked &asked, const Request &request)
{
    if (answer.refusal)
        return refuse(*answer.refusal, asked.route, request);
    if (!answer.errors.empty())
        return refuse_fields(answer.errors, request);
    if (const auto cost = asked.fields.find("cost"); spends(asked.route) && cost != asked.fields.end())
        trace().cost = std::strtod(cost->second.text.c_str(), nullptr);
    add_page_and_tag(answer.reply, asked, answer.tag);
    return std::move(answer.reply);
}

} // namespace

Gateway::Gateway(const Config &config, Database &database)
    : database_{database}, health_{config, "--database-url", config.database_url, Database::Use::watching},
      catalog_{health_}, caller_{config, database}, csv_{config.listener.threads / 4}, sign_in_{config}
{
}

Plan Gateway::plan(const Request &request) const
{
    std::string_view query = request.target;
    const auto path = take_until(query, '?');
    const Match match = find_route(request.method, path);
    if (path == "/docs/" || path == "/console/") // relative to whatever prefix a proxy takes off
        return {Reply{308, {}, {{"Location", ".." + std::string{path.substr(0, path.size() - 1)}}}}};
    if (!match.route)
        return {refuse_path(match.allowed)};
    const Route &route = *match.route;
    trace().route = route.path;
    if (route.path == root.path)
        return {about()};
    if (route.path == readiness.path && phase_ != Phase::open)
        return {refuse(503, phase_ == Phase::starting ? "The gateway is starting" : "The gateway is stopping")};
    if (route.path == liveness.path || route.path == liveness_too.path)
        return {Reply{200, R"("I'm alive!")"}};
    if (route.path == readiness.path)
        return {{}, Need::check};
    // These wait without a database connection: for their batch, for events, or for the reader of a list.
    const bool waits = route.kind == Kind::own || route.kind == Kind::events || route.kind == Kind::calls ||
                       (Table::of(route) && prefers_csv(request.header("accept")));
    return {{}, waits ? Need::worker : Need::connection};
}

Reply Gateway::handle(const Request &request)
{
    std::string_view query = request.target;
    const Match match = find_route(request.method, take_until(query, '?'));
    trace().route = match.route->path;
    if (match.route->path == readiness.path)
        return ready();
    if (match.route->path == openapi.path)
        return describe(request);
    if (match.route->path == docs.path || match.route->path == docs_file.path)
        return show_docs(match.parameter_value, request);
    if (match.route->path == console.path || match.route->path == console_file.path)
        return show_console(match.parameter_value, request);
    return answer(match, query, request);
}

Reply Gateway::answer(const Match &match, std::string_view query, const Request &request)
{
    try {
        Asked asked = read(match, query, request);
        const auto functions = catalog_.functions();
        if (!functions)
            return refuse_all();
        if (asked.route.kind == Kind::sign_in)
            sign_in_.complete(asked);
        const Table *table = Table::of(asked.route);
        const bool is_csv = asked.prefers_csv && table && !asked.is_stream;
        const bool is_whole = is_csv && ask_for_all(asked, functions->find(asked.route.function)->second);
        Answer answer = call(asked);
        if (asked.route.kind == Kind::sign_in)
            trace().key_is_good = false; // it was the gateway's own, not what the client sent
        Reply reply = reply_with(answer, asked, request);
        if (!answer.ignored.empty())
            reply.headers.emplace_back("x-ignored-fields", listed(answer.ignored));
        if (asked.is_strict)
            reply.headers.emplace_back("Preference-Applied", "handling=strict");
        if (table)
            reply.headers.emplace_back("Vary", "Accept");
        if (is_csv && reply.status == 200 && is_whole)
            csv_.show_all(
                reply, *table, asked, [this](const Asked &next) { return std::move(call(next).reply.body); },
                std::string{request.id});
        else if (is_csv && reply.status == 200)
            csv_.show_page(reply, *table);
        return reply;
    } catch (const InvalidJson &error) {
        return refuse_fields({{"json_invalid", {"body", error.position}, "JSON decode error: " + error.reason}},
                             request);
    } catch (const MalformedKey &error) {
        return refuse_key(error.message);
    } catch (const CannotSignIn &error) {
        return refuse(error.status, error.message, match.route->envelope);
    } catch (const DatabaseError &error) {
        if (match.route->kind == Kind::sign_in && SignIn::is_own_fault(error))
            return refuse(503, "Signing in is not set up; the gateway's log says why", match.route->envelope);
        trace().key_is_good = !error.internal && !error.sqlstate.starts_with("28"); // rules check the key first
        return refuse({error, error.argument.empty() ? "None" : error.argument}, *match.route, request);
    }
}

// Binds and calls once more if the functions have changed: nothing was done then.
Answer Gateway::call(const Asked &asked)
{
    const auto functions = catalog_.functions();
    try {
        return caller_.call(asked, bind(asked, *functions));
    } catch (const DatabaseError &error) {
        const auto renewed = functions_have_changed(error) ? catalog_.renewed(functions) : functions;
        if (!renewed || renewed == functions)
            throw;
        return caller_.call(asked, bind(asked, *renewed));
    }
}

void Gateway::drain()
{
    phase_ = Phase::draining;
    caller_.stop();
}

Reply Gateway::ready()
{
    try {
        health_.run({"SELECT 1", {}});
    } catch (const DatabaseError &) {
        return refuse(503, unavailable);
    }
    if (database_.state().is_away || !catalog_.functions())
        return refuse_all();
    return {200, R"({"status":"connected","db":"connected"})"};
}

Reply Gateway::describe(const Request &request)
{
    const auto functions = catalog_.functions();
    return functions ? document_.show(functions, request) : refuse_all();
}

Reply Gateway::refuse_all() const { return refuse(503, database_.state().is_away ? unavailable : not_set_up); }

} // namespace pg_org
