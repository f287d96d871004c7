// The routes: which request calls which SQL function.  A new route is a line in the table.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace pg_org {

enum class Input {
    none,         // answered by the gateway itself
    body,         // the fields of a JSON object
    query,        // the query string
    merge_patch,  // the path's parameter, and the whole body as `patch`
};

enum class Envelope { detail, error };  // {"detail": {"error": …}} or {"error": {"message": …, "type": …, …}}

enum class Access {
    write,
    read,
    stale_read,  // which a standby may answer that is not far behind
};

struct Route {
    std::string_view method;
    std::string_view path;  // a segment in braces is a parameter
    std::string_view function;
    Input input = Input::none;
    Envelope envelope = Envelope::detail;
    std::string_view page_key = {};    // of a list in pages: the field of its elements that `after` takes
    bool tagged = false;               // the reply is one thing that has an entity tag
    bool awaited = false;              // what is not there yet can be waited for
    std::string_view many = {};        // the function for many such requests at once
    bool names_call = false;           // request_id is no request's here, but that of a call of a model
    std::string_view api_key = {};     // the argument that a parameter of this name is for: no caller's key, a filter
    std::string_view patch_like = {};  // of a merge patch: the function that changes the same fields
    Access access = Access::write;
};

constexpr Route with(Access access, Route route) {
    route.access = access;
    return route;
}

constexpr Route info(Route route) { return with(Access::stale_read, route); }

// A call of a model.
constexpr Route usage(std::string_view path, std::string_view function, std::string_view many = {}) {
    Route route{"POST", path, function, Input::body, Envelope::error};
    route.many = many;
    route.names_call = true;
    return route;
}

constexpr Route filtered_by_key(Route route, std::string_view argument) {
    route.api_key = argument;
    return route;
}

constexpr Route merge_patch(std::string_view path, std::string_view function, std::string_view patch_like) {
    Route route{"PATCH", path, function, Input::merge_patch};
    route.patch_like = patch_like;
    return route;
}

constexpr Route list(std::string_view path, std::string_view function, std::string_view page_key) {
    return info({"GET", path, function, Input::query, Envelope::detail, page_key});
}

constexpr Route tagged(Route route) {
    route.tagged = true;
    return route;
}

constexpr Route awaited(Route route) {
    route.awaited = true;
    return route;
}

// Deliver events.
inline constexpr std::string_view claim_function = "event_claim";
inline constexpr std::string_view acknowledge_function = "event_acknowledge";

// Tells the entity tag of a tagged route's reply.
inline constexpr std::string_view tag_function = "org_etag";

inline constexpr Route root{"GET", "/", {}};
inline constexpr Route liveness{"GET", "/health/liveliness", {}};
inline constexpr Route liveness_too{"GET", "/health/liveness", {}};
inline constexpr Route readiness{"GET", "/health/readiness", {}};
inline constexpr Route openapi{"GET", "/openapi.json", {}};
inline constexpr Route viewer{"GET", "/docs", {}};
inline constexpr Route viewer_file{"GET", "/docs/{file}", {}};

inline constexpr std::array routes{
    root,
    liveness,
    liveness_too,
    readiness,
    openapi,
    viewer,
    viewer_file,
    tagged({"POST", "/organization/new", "org_new", Input::body}),
    tagged({"PATCH", "/organization/update", "org_update", Input::body}),
    tagged({"POST", "/organization/update", "org_update", Input::body}),  // as LiteLLM's Terraform provider sends it
    tagged(merge_patch("/v2/organization/{organization_id}", "org_patch", "org_update")),
    Route{"DELETE", "/organization/delete", "org_delete", Input::body},
    list("/organization/list", "org_list", "organization_id"),
    info(tagged({"GET", "/organization/info", "org_info", Input::query})),
    info({"POST", "/organization/info", "org_info_many", Input::body}),
    Route{"POST", "/organization/block", "org_block", Input::body},
    Route{"POST", "/organization/unblock", "org_unblock", Input::body},
    list("/organization/audit", "org_audit", "audit_id"),
    info(filtered_by_key({"GET", "/organization/daily/activity", "org_daily_activity", Input::query}, "key")),
    Route{"POST", "/organization/member_add", "org_member_add", Input::body, Envelope::error},
    Route{"PATCH", "/organization/member_update", "org_member_update", Input::body},
    Route{"DELETE", "/organization/member_delete", "org_member_delete", Input::body},
    Route{"POST", "/user/new", "user_new", Input::body},
    Route{"POST", "/user/update", "user_update", Input::body},
    info({"GET", "/user/info", "user_info", Input::query}),
    list("/user/list", "user_list", "user_id"),
    Route{"POST", "/user/delete", "user_delete", Input::body},
    tagged({"POST", "/team/new", "team_new", Input::body}),
    tagged({"POST", "/team/update", "team_update", Input::body}),
    info(tagged({"GET", "/team/info", "team_info", Input::query})),
    list("/team/list", "team_list", "team_id"),
    Route{"POST", "/team/delete", "team_delete", Input::body},
    Route{"POST", "/team/block", "team_block", Input::body},
    Route{"POST", "/team/unblock", "team_unblock", Input::body},
    Route{"POST", "/team/member_add", "team_member_add", Input::body},
    Route{"POST", "/team/member_update", "team_member_update", Input::body},
    Route{"POST", "/team/member_delete", "team_member_delete", Input::body},
    Route{"POST", "/key/generate", "key_generate", Input::body},
    Route{"POST", "/key/update", "key_update", Input::body},
    info({"GET", "/key/info", "key_info", Input::query}),
    list("/key/list", "key_list", "token_id"),
    Route{"POST", "/key/delete", "key_delete", Input::body},
    Route{"POST", "/key/regenerate", "key_regenerate", Input::body},
    Route{"POST", "/key/block", "key_block", Input::body},
    Route{"POST", "/key/unblock", "key_unblock", Input::body},
    tagged({"POST", "/budget/new", "budget_new", Input::body}),
    tagged({"POST", "/budget/update", "budget_update", Input::body}),
    info(tagged({"POST", "/budget/info", "budget_info", Input::body})),
    list("/budget/list", "budget_list", "budget_id"),
    Route{"POST", "/budget/delete", "budget_delete", Input::body},
    with(Access::read, awaited(list("/events", "org_events", "event_id"))),
    usage("/usage/reserve", "usage_reserve", "usage_reserve_many"),
    usage("/usage/settle", "usage_settle", "usage_settle_many"),
    usage("/usage/cancel", "usage_cancel"),
    usage("/usage/record", "usage_record"),
    with(Access::read, {"GET", "/usage/limits", "usage_limits", Input::query, Envelope::error}),
};

struct Match {
    const Route* route = nullptr;
    std::string parameter;        // the name of the path's parameter, if it has one
    std::string parameter_value;  // decoded
    std::string allowed;          // without a route: the methods this path has, if any
};

// HEAD goes where GET goes.
Match find_route(std::string_view method, std::string_view path);

}  // namespace pg_org
