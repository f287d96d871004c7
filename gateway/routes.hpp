// The routes: which request calls which SQL function.  A new route is a line in the table.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace pg_org {

// Properties that the routes of one family share.
enum class Kind {
    own,      // answered by the gateway itself
    change,   // changes something: the fields of a body
    thing,    // a change that returns the thing, which has an entity tag
    patch,    // a merge patch of a thing: the path's parameter, and the whole body as `patch`
    info,     // a read that a standby may answer as well
    look,     // reads one thing, with its entity tag
    list,     // reads a list in pages
    activity, // reads spending: its parameter api_key is the argument `key`, a filter
    logs,     // reads model calls: likewise, and request_id is a call's
    events,   // reads events, and waits for them
    call,     // about a model call: request_id is the call's, not the request's
    calls,    // the same, and a function `…_many` takes a batch of them
    limits,   // reads what limits leave for a call
    sign_in,  // makes a key for whom an id token identifies, with the gateway's own key
};

enum class Envelope { detail, error }; // {"detail": {"error": …}} or {"error": {"message": …, "type": …, …}}

struct Route {
    std::string_view method;
    std::string_view path; // a segment in braces is a parameter
    std::string_view function;
    Kind kind = Kind::own;
    Envelope envelope = Envelope::detail;
    std::string_view cursor = {}; // of a list: the field of its elements, or of itself, that `after` takes
    bool needs_body = true;
};

constexpr Route list(std::string_view path, std::string_view function, std::string_view cursor)
{
    return {"GET", path, function, Kind::list, Envelope::detail, cursor};
}

constexpr Route usage(std::string_view path, std::string_view function, Kind kind)
{
    return {"POST", path, function, kind, Envelope::error};
}

// A route about keys.
constexpr Route key_route(std::string_view path, std::string_view function, Kind kind, bool needs_body = true)
{
    return {"POST", path, function, kind, Envelope::error, {}, needs_body};
}

// A change of end users.
constexpr Route customer_route(std::string_view path, std::string_view function)
{
    return {"POST", path, function, Kind::change, Envelope::error};
}

constexpr bool reads_query(const Route &route) { return route.method == "GET"; }
// Whether a refused right is 403: on other routes it is 401, as LiteLLM answers there.
constexpr bool forbids_with_403(const Route &route)
{
    const auto path = route.path.starts_with("/v2/") ? route.path.substr(3) : route.path;
    return path.starts_with("/key/") || path.starts_with("/team/");
}
constexpr bool is_tagged(const Route &route)
{
    return route.kind == Kind::thing || route.kind == Kind::patch || route.kind == Kind::look;
}
constexpr bool changes_call(const Route &route) { return route.kind == Kind::call || route.kind == Kind::calls; }
constexpr bool names_call(const Route &route) { return changes_call(route) || route.kind == Kind::logs; }
constexpr bool filters_by_key(const Route &route) { return route.kind == Kind::activity || route.kind == Kind::logs; }
// Whether a standby may answer.
constexpr bool may_be_stale(const Route &route)
{
    return route.kind == Kind::info || route.kind == Kind::look || route.kind == Kind::list || filters_by_key(route);
}
constexpr bool changes_data(const Route &route)
{
    return route.kind == Kind::change || route.kind == Kind::thing || route.kind == Kind::patch ||
           route.kind == Kind::sign_in || changes_call(route);
}
// The function that takes a batch of such requests.
inline std::string many(const Route &route) { return std::string{route.function} + "_many"; }

// Deliver events.
inline constexpr std::string_view claim_function = "event_claim";
inline constexpr std::string_view acknowledge_function = "event_acknowledge";
// Does a part of the maintenance of the tables.
inline constexpr std::string_view maintain_function = "org_maintain";
// Those that the gateway calls by itself, if it is asked to.
inline constexpr std::array own_functions{claim_function, acknowledge_function, maintain_function};

// Computes the entity tag of a reply.
inline constexpr std::string_view tag_function = "org_etag";
// The function that changes the same fields as a patch.
inline constexpr std::string_view patched_function = "org_update";
// Called only to check a key, since it costs little.
inline constexpr std::string_view key_check_function = "key_health";

inline constexpr Route root{"GET", "/", {}};
inline constexpr Route liveness{"GET", "/health/liveliness", {}};
inline constexpr Route liveness_too{"GET", "/health/liveness", {}};
inline constexpr Route readiness{"GET", "/health/readiness", {}};
inline constexpr Route openapi{"GET", "/openapi.json", {}};
inline constexpr Route docs{"GET", "/docs", {}};
inline constexpr Route docs_file{"GET", "/docs/{file}", {}};
inline constexpr Route console{"GET", "/console", {}};
inline constexpr Route console_file{"GET", "/console/{file}", {}};

inline constexpr std::array routes{
    root,
    liveness,
    liveness_too,
    readiness,
    openapi,
    docs,
    docs_file,
    console,
    console_file,
    Route{"POST", "/organization/new", "org_new", Kind::thing},
    Route{"PATCH", "/organization/update", "org_update", Kind::thing},
    Route{"POST", "/organization/update", "org_update", Kind::thing}, // as LiteLLM's Terraform provider sends it
    Route{"PATCH", "/v2/organization/{organization_id}", "org_patch", Kind::patch},
    Route{"DELETE", "/organization/delete", "org_delete", Kind::change},
    list("/organization/list", "org_list", "organization_id"),
    Route{"GET", "/organization/info", "org_info", Kind::look},
    Route{"POST", "/organization/info", "org_info_many", Kind::info},
    Route{"POST", "/organization/block", "org_block", Kind::change},
    Route{"POST", "/organization/unblock", "org_unblock", Kind::change},
    list("/organization/audit", "org_audit", "audit_id"),
    Route{"GET", "/organization/daily/activity", "org_daily_activity", Kind::activity},
    Route{"GET", "/spend/logs", "spend_logs", Kind::logs, Envelope::error, "request_id"},
    Route{"GET", "/spend/logs/ui", "spend_logs_ui", Kind::logs, Envelope::error},
    Route{"GET", "/spend/logs/v2", "spend_logs_ui", Kind::logs, Envelope::error},
    Route{"GET", "/audit", "audit_list", Kind::info},
    Route{"GET", "/audit/{id}", "audit_info", Kind::info},
    Route{"POST", "/organization/member_add", "org_member_add", Kind::change, Envelope::error},
    Route{"PATCH", "/organization/member_update", "org_member_update", Kind::change},
    Route{"DELETE", "/organization/member_delete", "org_member_delete", Kind::change},
    Route{"POST", "/user/new", "user_new", Kind::change},
    Route{"POST", "/user/update", "user_update", Kind::change},
    Route{"POST", "/user/{user_id}/reset_spend", "user_reset_spend", Kind::change},
    Route{"POST", "/user/bulk_update", "user_bulk_update", Kind::change},
    Route{"GET", "/user/info", "user_info", Kind::info},
    Route{"GET", "/v2/user/info", "user_info_v2", Kind::info},
    Route{"GET", "/user/filter/ui", "user_filter", Kind::info},
    Route{"GET", "/user/available_roles", "user_available_roles", Kind::info},
    list("/user/list", "user_list", "next"),
    Route{"POST", "/user/delete", "user_delete", Kind::change},
    Route{"POST", "/team/new", "team_new", Kind::thing},
    Route{"POST", "/team/update", "team_update", Kind::thing},
    Route{"POST", "/team/{team_id}/reset_spend", "team_reset_spend", Kind::change},
    Route{"GET", "/team/info", "team_info", Kind::look},
    list("/team/list", "team_list", "team_id"),
    list("/v2/team/list", "team_list_v2", "next"),
    Route{"POST", "/team/delete", "team_delete", Kind::change},
    Route{"POST", "/team/block", "team_block", Kind::change},
    Route{"POST", "/team/unblock", "team_unblock", Kind::change},
    Route{"POST", "/team/member_add", "team_member_add", Kind::change},
    Route{"POST", "/team/bulk_member_add", "team_bulk_member_add", Kind::change},
    Route{"GET", "/team/available", "team_available", Kind::info},
    Route{"GET", "/team/permissions_list", "team_permissions_list", Kind::info},
    Route{"POST", "/team/permissions_update", "team_permissions_update", Kind::change},
    Route{"POST", "/team/member_update", "team_member_update", Kind::change},
    Route{"POST", "/team/member_delete", "team_member_delete", Kind::change},
    key_route("/key/generate", "key_generate", Kind::change),
    key_route("/key/service-account/generate", "key_service_account_generate", Kind::change),
    key_route("/key/update", "key_update", Kind::change),
    key_route("/key/bulk_update", "key_bulk_update", Kind::change),
    Route{"GET", "/key/info", "key_info", Kind::info, Envelope::error},
    key_route("/v2/key/info", "key_info_many", Kind::info),
    Route{"GET", "/key/list", "key_list", Kind::list, Envelope::error, "next"},
    Route{"GET", "/key/aliases", "key_aliases", Kind::info, Envelope::error},
    key_route("/key/delete", "key_delete", Kind::change),
    key_route("/key/regenerate", "key_regenerate", Kind::change),
    key_route("/key/{key}/regenerate", "key_regenerate", Kind::change, false),
    key_route("/key/{key}/reset_spend", "key_reset_spend", Kind::change),
    key_route("/key/block", "key_block", Kind::change),
    key_route("/key/unblock", "key_unblock", Kind::change),
    key_route("/key/health", "key_health", Kind::info, false),
    key_route("/sso/key", "sso_key", Kind::sign_in),
    Route{"POST", "/budget/new", "budget_new", Kind::thing},
    Route{"POST", "/budget/update", "budget_update", Kind::thing},
    Route{"POST", "/budget/info", "budget_info", Kind::look},
    list("/budget/list", "budget_list", "budget_id"),
    Route{"POST", "/budget/delete", "budget_delete", Kind::change},
    customer_route("/customer/new", "customer_new"),
    customer_route("/customer/update", "customer_update"),
    Route{"GET", "/customer/info", "customer_info", Kind::info, Envelope::error},
    Route{"GET", "/customer/list", "customer_list", Kind::list, Envelope::error, "user_id"},
    customer_route("/customer/delete", "customer_delete"),
    customer_route("/customer/block", "customer_block"),
    customer_route("/customer/unblock", "customer_unblock"),
    // As LiteLLM called them before.
    customer_route("/end_user/new", "customer_new"),
    customer_route("/end_user/update", "customer_update"),
    Route{"GET", "/end_user/info", "customer_info", Kind::info, Envelope::error},
    Route{"GET", "/end_user/list", "customer_list", Kind::list, Envelope::error, "user_id"},
    customer_route("/end_user/delete", "customer_delete"),
    customer_route("/end_user/block", "customer_block"),
    customer_route("/end_user/unblock", "customer_unblock"),
    Route{"GET", "/team/daily/activity", "team_daily_activity", Kind::activity},
    Route{"GET", "/user/daily/activity", "user_daily_activity", Kind::activity},
    Route{"GET", "/user/daily/activity/aggregated", "user_daily_activity_aggregated", Kind::activity},
    Route{"GET", "/tag/daily/activity", "tag_daily_activity", Kind::activity},
    Route{"GET", "/customer/daily/activity", "customer_daily_activity", Kind::activity},
    Route{"GET", "/end_user/daily/activity", "customer_daily_activity", Kind::activity},
    Route{"GET", "/global/spend/report", "spend_report", Kind::activity},
    Route{"GET", "/events", "org_events", Kind::events, Envelope::detail, "event_id"},
    usage("/usage/reserve", "usage_reserve", Kind::calls),
    usage("/usage/settle", "usage_settle", Kind::calls),
    usage("/usage/cancel", "usage_cancel", Kind::call),
    usage("/usage/extend", "usage_extend", Kind::call),
    usage("/usage/record", "usage_record", Kind::call),
    Route{"GET", "/usage/limits", "usage_limits", Kind::limits, Envelope::error},
    Route{"GET", "/usage/refusals", "usage_refusals", Kind::info, Envelope::error},
    usage("/limit/try", "limit_try", Kind::info),
    usage("/usage/reset", "usage_reset", Kind::change),
};

struct Match {
    const Route *route = nullptr;
    std::string parameter;       // the name of the path's parameter, if it has one
    std::string parameter_value; // decoded
    std::string allowed;         // without a route: the methods this path has, if any
};

// HEAD goes where GET goes.
Match find_route(std::string_view method, std::string_view path);

} // namespace pg_org
