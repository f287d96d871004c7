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

struct Route {
    std::string_view method;
    std::string_view path;  // a segment in braces is a parameter
    std::string_view function;
    Input input = Input::none;
    Envelope envelope = Envelope::detail;
    std::string_view page_key = {};  // of a list in pages: the field of its elements that `after` takes
};

inline constexpr Route root{"GET", "/", {}};
inline constexpr Route liveness{"GET", "/health/liveliness", {}};
inline constexpr Route readiness{"GET", "/health/readiness", {}};

inline constexpr std::array routes{
    root,
    liveness,
    Route{"GET", "/health/liveness", {}},
    readiness,
    Route{"POST", "/organization/new", "org_new", Input::body},
    Route{"PATCH", "/organization/update", "org_update", Input::body},
    Route{"PATCH", "/v2/organization/{organization_id}", "org_patch", Input::merge_patch},
    Route{"DELETE", "/organization/delete", "org_delete", Input::body},
    Route{"GET", "/organization/list", "org_list", Input::query, Envelope::detail, "organization_id"},
    Route{"GET", "/organization/info", "org_info", Input::query},
    Route{"POST", "/organization/info", "org_info_many", Input::body},
    Route{"POST", "/organization/member_add", "org_member_add", Input::body, Envelope::error},
    Route{"PATCH", "/organization/member_update", "org_member_update", Input::body},
    Route{"DELETE", "/organization/member_delete", "org_member_delete", Input::body},
    Route{"POST", "/user/new", "user_new", Input::body},
    Route{"GET", "/user/info", "user_info", Input::query},
    Route{"POST", "/key/generate", "key_generate", Input::body},
    Route{"POST", "/key/block", "key_block", Input::body},
    Route{"POST", "/key/unblock", "key_unblock", Input::body},
    Route{"POST", "/team/new", "team_new", Input::body},
    Route{"GET", "/team/info", "team_info", Input::query},
    Route{"POST", "/budget/info", "budget_info", Input::body},
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
