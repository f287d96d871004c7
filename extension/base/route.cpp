// Which routes functions stand for, and which of them lists allow.

#include "route.hpp"

#include "bounds.hpp"
#include "caller.hpp"
#include "fail.hpp"
#include "pattern.hpp"

namespace pg_org {

namespace {

constexpr Text model_calls = "llm_api_routes", management = "management_routes", information = "info_routes";

struct FunctionRoute {
    Text function, route;
};

// Routes that are not called like their functions.
constexpr std::array<FunctionRoute, 31> other_routes{{
    {"org_patch", "/v2/organization/{organization_id}"},
    {"org_info_many", "/organization/info"},
    {"org_daily_activity", "/organization/daily/activity"},
    {"team_daily_activity", "/team/daily/activity"},
    {"user_daily_activity", "/user/daily/activity"},
    {"user_daily_activity_aggregated", "/user/daily/activity/aggregated"},
    {"tag_daily_activity", "/tag/daily/activity"},
    {"customer_daily_activity", "/customer/daily/activity"},
    {"spend_report", "/global/spend/report"},
    {"org_events", "/events"},
    {"spend_logs_ui", "/spend/logs/ui"},
    {"spend_logs_ui", "/spend/logs/v2"},
    {"audit_list", "/audit"},
    {"audit_info", "/audit/{id}"},
    {"user_info_v2", "/v2/user/info"},
    {"user_filter", "/user/filter/ui"},
    {"user_reset_spend", "/user/{user_id}/reset_spend"},
    {"team_list_v2", "/v2/team/list"},
    {"team_reset_spend", "/team/{team_id}/reset_spend"},
    {"key_info", "/v2/key/info"},
    {"key_info_many", "/v2/key/info"},
    {"key_regenerate", "/key/{key}/regenerate"},
    {"key_reset_spend", "/key/{key}/reset_spend"},
    {"key_service_account_generate", "/key/service-account/generate"},
    {"customer_new", "/end_user/new"},
    {"customer_update", "/end_user/update"},
    {"customer_info", "/end_user/info"},
    {"customer_list", "/end_user/list"},
    {"customer_delete", "/end_user/delete"},
    {"customer_block", "/end_user/block"},
    {"customer_unblock", "/end_user/unblock"},
}};

// Functions that only show something.
constexpr std::array<Text, 18> showing{"_info",   "_info_many", "_info_v2", "_list",           "_list_v2", "_audit",
                                       "_events", "_limits",    "_filter",  "_daily_activity", "_aliases", "_roles",
                                       "_verify", "_available", "_health",  "_logs",           "_logs_ui", "_try"};

// Paths that are this API's, not the LLM gateway's.
constexpr std::array<Text, 16> own_paths{
    "/organization", "/v2/organization", "/team",     "/v2/team",  "/user",   "/v2/user", "/key",   "/sso",
    "/v2/key",       "/budget",          "/customer", "/end_user", "/events", "/spend",   "/audit", "/limit"};

// What LLM gateways call around calls of models.
bool is_usage(Text function) { return function.starts_with("usage_") && function != "usage_reset"; }

// /key/info for key_info, and /usage/reserve for usage_reserve_many.
Text derived_route(Text function)
{
    constexpr Text many = "_many";
    if (function.ends_with(many))
        function.remove_suffix(many.size());
    const size_t end = std::min(function.find('_'), function.size());
    const Text thing = head(function, end) == "org" ? Text{"organization"} : head(function, end);
    return to_text(psprintf("/%.*s/%.*s", FMT_ARG(thing), FMT_ARG(tail(function, std::min(end + 1, function.size())))));
}

bool is_in_group(Text group, Text function)
{
    if (group == model_calls)
        return is_usage(function);
    if (group == management)
        return !is_usage(function);
    return group == information &&
           std::ranges::any_of(showing, [&](Text ending) { return function.ends_with(ending); });
}

[[noreturn]] void refuse_route(const Caller &caller, Text function)
{
    const Text route = derived_route(function);
    Refusal refused = refusal(errcode_route_denied, nullptr,
                              "Virtual key is not allowed to call this route. Only allowed to call routes: %s. "
                              "Tried to call route: %.*s",
                              show_list(caller.allowed_routes), FMT_ARG(route));
    raise(refused);
}

} // namespace

Maybe<Texts> route_list(Maybe<Texts> routes, const char *name)
{
    if (!text_list(routes, name))
        return {};
    for (const Text route : bounded_list(*routes, name)) {
        const bool is_group = route == model_calls || route == management || route == information;
        if (!is_group && !route.starts_with('/') && route != "*")
            invalid(name, "must be paths that begin with /, or llm_api_routes, management_routes or info_routes");
        if (route.size() > max_name_bytes)
            invalid(name, "must be of at most %zu bytes each", max_name_bytes);
    }
    return routes;
}

bool allows_function(Texts routes, Text function)
{
    const Text derived = derived_route(function);
    return routes.empty() || std::ranges::any_of(routes, [&](Text route) {
               const auto is_meant = [&](const FunctionRoute &other) {
                   return other.function == function && matches_pattern(route, other.route);
               };
               return is_in_group(route, function) || matches_pattern(route, derived) ||
                      std::ranges::any_of(other_routes, is_meant);
           });
}

bool allows_model_calls(Texts routes)
{
    return routes.empty() || std::ranges::any_of(routes, [](Text route) {
               const auto begins = [&](Text path) { return route.starts_with(path); };
               return route == model_calls ||
                      (route != management && route != information && std::ranges::none_of(own_paths, begins));
           });
}

void require_route(const Caller &caller, Text function)
{
    if (function != "key_info" && function != "key_health")
        require_route_to_others(caller, function);
}

void require_route_to_others(const Caller &caller, Text function)
{
    if (!allows_function(caller.allowed_routes, function))
        refuse_route(caller, function);
}

void require_routes_of_caller(const Caller &caller, Texts routes)
{
    if (caller.allowed_routes.empty())
        return;
    const auto is_callers = [&](Text route) {
        return std::ranges::find(caller.allowed_routes, route) != caller.allowed_routes.end();
    };
    if (routes.empty() || !std::ranges::all_of(routes, is_callers))
        refused("User not allowed to give access to other routes than those of their own key: %s",
                show_list(caller.allowed_routes));
}

} // namespace pg_org
