#include "vocabulary.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace pg_org {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::array<std::string_view, 4> organization_fields{
    "access_group_ids",
    "object_permission",
    "policies",
    "router_settings",
};

constexpr std::array<std::string_view, 32> team_fields{
    "access_group_ids",
    "admins",
    "allow_team_guardrail_config",
    "allowed_passthrough_routes",
    "allowed_vector_store_indexes",
    "default_team_member_models",
    "disable_global_guardrails",
    "enforced_batch_output_expires_after",
    "enforced_file_expires_after",
    "enforced_params",
    "guardrails",
    "logging",
    "max_parallel_requests",
    "members",
    "model_aliases",
    "object_permission",
    "organization_id",
    "policies",
    "project_id",
    "prompts",
    "router_settings",
    "rpm_limit_type",
    "secret_manager_settings",
    "soft_budget_alerting_emails",
    "spend",
    "tags",
    "team_alias",
    "team_member_key_duration",
    "team_member_permissions",
    "temp_budget_expiry",
    "temp_budget_increase",
    "tpm_limit_type",
};

constexpr std::array<std::string_view, 6> team_member_fields{
    "allowed_models", "budget_duration", "budget_id", "max_budget_in_team", "rpm_limit", "tpm_limit",
};

constexpr std::array<std::string_view, 40> key_fields{
    "access_group_ids",
    "agent_id",
    "aliases",
    "allowed_cache_controls",
    "allowed_passthrough_routes",
    "allowed_routes",
    "allowed_vector_store_indexes",
    "auto_rotate",
    "blocked",
    "budget_duration",
    "budget_id",
    "config",
    "disable_global_guardrails",
    "duration",
    "enforced_params",
    "guardrails",
    "key_alias",
    "key_type",
    "logging",
    "max_budget",
    "max_parallel_requests",
    "model_max_budget",
    "new_key",
    "object_permission",
    "organization_id",
    "policies",
    "project_id",
    "prompts",
    "rotation_interval",
    "router_settings",
    "rpm_limit",
    "rpm_limit_type",
    "send_invite_email",
    "spend",
    "tags",
    "team_id",
    "throttle_on_budget_exceeded",
    "tpm_limit",
    "tpm_limit_type",
    "user_id",
};

constexpr std::array<std::string_view, 28> user_fields{
    "aliases",
    "allowed_cache_controls",
    "allowed_routes",
    "blocked",
    "budget_id",
    "config",
    "disable_global_guardrails",
    "duration",
    "enforced_params",
    "guardrails",
    "invitation_code",
    "key_alias",
    "object_permission",
    "organizations",
    "password",
    "permissions",
    "policies",
    "prompts",
    "rpm_limit_type",
    "send_invite_email",
    "spend",
    "sso_user_id",
    "tags",
    "team_id",
    "teams",
    "temp_budget_expiry",
    "temp_budget_increase",
    "tpm_limit_type",
};

constexpr std::array<std::string_view, 3> budget_fields{
    "allowed_models",
    "budget_reset_at",
    "spend",
};

constexpr std::array<std::string_view, 13> key_filters{
    "access_group_id", "include_team_keys",  "key_alias", "key_hash", "organization_id", "page",
    "project_id",      "return_full_object", "size",      "sort_by",  "sort_order",      "status",
    "team_id",
};

constexpr std::array<std::string_view, 13> user_filters{
    "organization_id", "organization_ids", "page",         "page_size", "role",
    "sort_by",         "sort_order",       "sso_user_ids", "team",      "user_email",
    "user_ids",        "user_role",        "user_roles",
};

constexpr std::array<std::string_view, 12> team_filters{
    "access_group_id", "models",     "organization_id", "page",       "page_size", "search",
    "sort_by",         "sort_order", "status",          "team_alias", "team_id",   "user_id",
};

constexpr std::array<std::string_view, 6> call_filters{
    "error_code", "error_message", "key_alias", "model_id", "sort_by", "sort_order",
};

constexpr std::array<std::string_view, 3> audit_filters{
    "object_key_hash",
    "object_team",
    "object_team_id",
};

struct Entry {
    std::string_view method;
    std::string_view path;
    Names names;
};

constexpr std::array vocabulary{
    Entry{"POST", "/organization/new", organization_fields},
    Entry{"PATCH", "/organization/update", organization_fields},
    Entry{"POST", "/organization/update", organization_fields},
    Entry{"GET", "/spend/logs", call_filters},
    Entry{"GET", "/spend/logs/ui", call_filters},
    Entry{"GET", "/spend/logs/v2", call_filters},
    Entry{"GET", "/audit", audit_filters},
    Entry{"POST", "/team/new", team_fields},
    Entry{"POST", "/team/update", team_fields},
    Entry{"POST", "/team/member_add", team_member_fields},
    Entry{"POST", "/team/bulk_member_add", team_member_fields},
    Entry{"POST", "/team/member_update", team_member_fields},
    Entry{"GET", "/team/list", team_filters},
    Entry{"GET", "/v2/team/list", team_filters},
    Entry{"POST", "/key/generate", key_fields},
    Entry{"POST", "/key/service-account/generate", key_fields},
    Entry{"POST", "/key/update", key_fields},
    Entry{"POST", "/key/regenerate", key_fields},
    Entry{"POST", "/key/{key}/regenerate", key_fields},
    Entry{"GET", "/key/list", key_filters},
    Entry{"GET", "/key/aliases", key_filters},
    Entry{"POST", "/user/new", user_fields},
    Entry{"POST", "/user/update", user_fields},
    Entry{"GET", "/user/list", user_filters},
    Entry{"POST", "/budget/new", budget_fields},
    Entry{"POST", "/budget/update", budget_fields},
    Entry{"POST", "/customer/new", budget_fields},
    Entry{"POST", "/customer/update", budget_fields},
    Entry{"POST", "/end_user/new", budget_fields},
    Entry{"POST", "/end_user/update", budget_fields},
};

} // namespace

bool is_documented(const Route &route, std::string_view field)
{
    const auto found = std::find_if(vocabulary.begin(), vocabulary.end(), [&](const Entry &entry) {
        return entry.method == route.method && entry.path == route.path;
    });
    return found != vocabulary.end() &&
           std::find(found->names.begin(), found->names.end(), field) != found->names.end();
}

// In a query string, everything is text.
bool is_set(const Value &value)
{
    switch (value.kind) {
    case Value::Kind::null: return false;
    case Value::Kind::boolean: return value.text == "true";
    case Value::Kind::string: return !value.text.empty() && value.text != "false" && value.text != "null";
    case Value::Kind::array: return !value.elements.empty();
    case Value::Kind::object: return value.text != "{}";
    case Value::Kind::number: return true;
    }
    return true;
}

} // namespace pg_org
