#include "matchers.hpp"

#include <array>
#include <regex>
#include <span>
#include <sstream>

namespace pg_org::test {
namespace {

class ErrorMatcher : public testing::MatcherInterface<const Reply &> {
public:
    ErrorMatcher(std::string description, std::function<bool(const Reply &)> matches)
        : description_(std::move(description)), matches_(std::move(matches))
    {
    }

    bool MatchAndExplain(const Reply &reply, testing::MatchResultListener *) const override
    {
        return reply.body.is_object() && matches_(reply);
    }
    void DescribeTo(std::ostream *out) const override { *out << "is " << description_; }
    void DescribeNegationTo(std::ostream *out) const override { *out << "is not " << description_; }

private:
    std::string description_;
    std::function<bool(const Reply &)> matches_;
};

testing::Matcher<const Reply &> error(std::string description, std::function<bool(const Reply &)> matches)
{
    return testing::MakeMatcher(new ErrorMatcher(std::move(description), std::move(matches)));
}

template <typename Value> std::string described(const testing::Matcher<Value> &matcher)
{
    std::ostringstream out;
    matcher.DescribeTo(&out);
    return out.str();
}

bool text_matches(const Json &object, const std::string &field, const Text &text)
{
    return object.contains(field) && object.at(field).is_string() && text.Matches(object.at(field).get<std::string>());
}

bool has_exactly(const Json &object, const std::vector<std::string> &fields)
{
    return object.is_object() && names(object) == fields;
}

bool is_known_complaint(const std::string &type)
{
    static constexpr std::array<std::string_view, 12> known{
        "missing",   "float_parsing", "int_parsing", "int_from_float", "list_type", "string_type",
        "dict_type", "bool_parsing",  "value_error", "literal_error",  "enum",      "json_invalid"};
    return std::find(known.begin(), known.end(), type) != known.end();
}

bool is_known_error(const std::string &type)
{
    static constexpr std::array<std::string_view, 8> known{"auth_error",
                                                           "expired_key",
                                                           "budget_exceeded",
                                                           "rate_limit_exceeded",
                                                           "key_model_access_denied",
                                                           "not_found_error",
                                                           "bad_request_error",
                                                           "internal_server_error"};
    return std::find(known.begin(), known.end(), type) != known.end();
}

enum class Type { text, money, integer, boolean, object, texts, list, time, nothing, budget };

struct Field {
    std::string_view name;
    Type type;
    bool may_be_null = false;
};

constexpr bool or_null = true;

constexpr std::array budget_fields{
    Field{"budget_id", Type::text},
    Field{"max_budget", Type::money, or_null},
    Field{"soft_budget", Type::money, or_null},
    Field{"max_parallel_requests", Type::integer, or_null},
    Field{"tpm_limit", Type::integer, or_null},
    Field{"rpm_limit", Type::integer, or_null},
    Field{"model_max_budget", Type::object, or_null},
    Field{"budget_duration", Type::text, or_null},
    Field{"budget_reset_at", Type::time, or_null},
    Field{"limits", Type::list},
    Field{"budget_limits", Type::list, or_null},
    Field{"model_rpm_limit", Type::object, or_null},
    Field{"model_tpm_limit", Type::object, or_null},
    Field{"rpd_limit", Type::integer, or_null},
    Field{"tpd_limit", Type::integer, or_null},
    Field{"created_at", Type::time},
    Field{"created_by", Type::text, or_null},
    Field{"updated_at", Type::time},
    Field{"updated_by", Type::text, or_null},
};

constexpr std::array organization_fields{
    Field{"organization_id", Type::text},
    Field{"organization_alias", Type::text},
    Field{"budget_id", Type::text},
    Field{"spend", Type::money},
    Field{"period_spend", Type::money},
    Field{"model_spend", Type::object},
    Field{"metadata", Type::object},
    Field{"models", Type::texts},
    Field{"blocked", Type::boolean},
    Field{"tags", Type::texts},
    Field{"model_aliases", Type::object},
    Field{"default_reserve", Type::money, or_null},
    Field{"created_by", Type::text, or_null},
    Field{"updated_by", Type::text, or_null},
    Field{"created_at", Type::time},
    Field{"updated_at", Type::time},
    Field{"members", Type::list},
    Field{"teams", Type::list},
    Field{"litellm_budget_table", Type::budget},
    Field{"users", Type::nothing},
    Field{"object_permission", Type::object, or_null},
    Field{"object_permission_id", Type::nothing},
    Field{"quotas", Type::object},
};

constexpr std::array membership_fields{
    Field{"user_id", Type::text},
    Field{"organization_id", Type::text},
    Field{"user_role", Type::text},
    Field{"spend", Type::money},
    Field{"period_spend", Type::money},
    Field{"budget_id", Type::text, or_null},
    Field{"created_at", Type::time},
    Field{"updated_at", Type::time},
    Field{"user_email", Type::text, or_null},
    Field{"user", Type::nothing},
    Field{"litellm_budget_table", Type::budget, or_null},
};

constexpr std::array team_fields{
    Field{"team_id", Type::text},
    Field{"team_alias", Type::text, or_null},
    Field{"organization_id", Type::text, or_null},
    Field{"admins", Type::texts},
    Field{"members", Type::texts},
    Field{"members_with_roles", Type::list},
    Field{"metadata", Type::object},
    Field{"tpm_limit", Type::integer, or_null},
    Field{"rpm_limit", Type::integer, or_null},
    Field{"max_budget", Type::money, or_null},
    Field{"budget_duration", Type::text, or_null},
    Field{"models", Type::texts},
    Field{"blocked", Type::boolean},
    Field{"spend", Type::money},
    Field{"period_spend", Type::money},
    Field{"max_parallel_requests", Type::integer, or_null},
    Field{"budget_reset_at", Type::time, or_null},
    Field{"created_at", Type::time},
    Field{"updated_at", Type::time},
    Field{"soft_budget", Type::money, or_null},
    Field{"model_max_budget", Type::object, or_null},
    Field{"limits", Type::list},
    Field{"budget_limits", Type::list, or_null},
    Field{"model_rpm_limit", Type::object, or_null},
    Field{"model_tpm_limit", Type::object, or_null},
    Field{"rpd_limit", Type::integer, or_null},
    Field{"tpd_limit", Type::integer, or_null},
    Field{"team_member_budget", Type::money, or_null},
    Field{"team_member_budget_duration", Type::text, or_null},
    Field{"team_member_rpm_limit", Type::integer, or_null},
    Field{"team_member_tpm_limit", Type::integer, or_null},
    Field{"model_id", Type::nothing},
    Field{"litellm_model_table", Type::nothing},
    Field{"tags", Type::texts},
    Field{"model_aliases", Type::object},
    Field{"team_member_permissions", Type::texts},
    Field{"open", Type::boolean},
    Field{"object_permission", Type::object, or_null},
    Field{"object_permission_id", Type::nothing},
};

constexpr std::array team_member_fields{
    Field{"user_id", Type::text},
    Field{"user_email", Type::text, or_null},
    Field{"role", Type::text},
};

constexpr std::array user_fields{
    Field{"user_id", Type::text},
    Field{"user_email", Type::text, or_null},
    Field{"user_alias", Type::text, or_null},
    Field{"user_role", Type::text},
    Field{"teams", Type::texts},
    Field{"models", Type::texts},
    Field{"max_budget", Type::money, or_null},
    Field{"spend", Type::money},
    Field{"period_spend", Type::money},
    Field{"model_max_budget", Type::object},
    Field{"model_spend", Type::object},
    Field{"tpm_limit", Type::integer, or_null},
    Field{"rpm_limit", Type::integer, or_null},
    Field{"budget_duration", Type::text, or_null},
    Field{"budget_reset_at", Type::time, or_null},
    Field{"limits", Type::list},
    Field{"soft_budget", Type::money, or_null},
    Field{"max_parallel_requests", Type::integer, or_null},
    Field{"budget_limits", Type::list, or_null},
    Field{"model_rpm_limit", Type::object, or_null},
    Field{"model_tpm_limit", Type::object, or_null},
    Field{"rpd_limit", Type::integer, or_null},
    Field{"tpd_limit", Type::integer, or_null},
    Field{"sso_user_id", Type::text, or_null},
    Field{"organization_memberships", Type::nothing},
    Field{"metadata", Type::object},
    Field{"created_at", Type::time},
    Field{"updated_at", Type::time},
    Field{"quotas", Type::object},
};

constexpr std::array team_membership_fields{
    Field{"user_id", Type::text},
    Field{"team_id", Type::text},
    Field{"user_email", Type::text, or_null},
    Field{"role", Type::text},
    Field{"spend", Type::money},
    Field{"period_spend", Type::money},
    Field{"budget_id", Type::text, or_null},
    Field{"max_budget_in_team", Type::money, or_null},
    Field{"tpm_limit", Type::integer, or_null},
    Field{"rpm_limit", Type::integer, or_null},
    Field{"litellm_budget_table", Type::budget, or_null},
};

constexpr std::array key_fields{
    Field{"key_name", Type::text},
    Field{"token_id", Type::text},
    Field{"expires", Type::time, or_null},
    Field{"token", Type::text},
    Field{"key_alias", Type::text, or_null},
    Field{"user_id", Type::text, or_null},
    Field{"team_id", Type::text, or_null},
    Field{"organization_id", Type::text, or_null},
    Field{"models", Type::texts},
    Field{"spend", Type::money},
    Field{"period_spend", Type::money},
    Field{"max_budget", Type::money, or_null},
    Field{"model_max_budget", Type::object},
    Field{"tpm_limit", Type::integer, or_null},
    Field{"rpm_limit", Type::integer, or_null},
    Field{"max_parallel_requests", Type::integer, or_null},
    Field{"budget_duration", Type::text, or_null},
    Field{"budget_reset_at", Type::time, or_null},
    Field{"soft_budget", Type::money, or_null},
    Field{"limits", Type::list},
    Field{"budget_limits", Type::list, or_null},
    Field{"model_rpm_limit", Type::object, or_null},
    Field{"model_tpm_limit", Type::object, or_null},
    Field{"rpd_limit", Type::integer, or_null},
    Field{"tpd_limit", Type::integer, or_null},
    Field{"temp_budget_increase", Type::money, or_null},
    Field{"temp_budget_expiry", Type::text, or_null},
    Field{"blocked", Type::boolean},
    Field{"allowed_routes", Type::texts},
    Field{"aliases", Type::object},
    Field{"tags", Type::texts},
    Field{"metadata", Type::object},
    Field{"permissions", Type::object},
    Field{"created_at", Type::time},
    Field{"created_by", Type::text, or_null},
    Field{"updated_at", Type::time},
    Field{"updated_by", Type::text, or_null},
    Field{"budget_id", Type::text, or_null},
    Field{"litellm_budget_table", Type::budget, or_null},
    Field{"config", Type::object},
    Field{"allowed_cache_controls", Type::list},
    Field{"object_permission", Type::object, or_null},
    Field{"object_permission_id", Type::nothing},
};

constexpr std::array end_user_fields{
    Field{"user_id", Type::text},
    Field{"blocked", Type::boolean},
    Field{"alias", Type::text, or_null},
    Field{"spend", Type::money},
    Field{"period_spend", Type::money},
    Field{"allowed_model_region", Type::text, or_null},
    Field{"default_model", Type::text, or_null},
    Field{"budget_id", Type::text, or_null},
    Field{"litellm_budget_table", Type::budget, or_null},
    Field{"object_permission", Type::object, or_null},
    Field{"object_permission_id", Type::nothing},
    Field{"organization_id", Type::text, or_null},
    Field{"metadata", Type::object},
    Field{"created_at", Type::time},
    Field{"created_by", Type::text, or_null},
    Field{"updated_at", Type::time},
    Field{"updated_by", Type::text, or_null},
};

constexpr std::array audit_entry_fields{
    Field{"audit_id", Type::text},
    Field{"organization_id", Type::text},
    Field{"occurred_at", Type::time},
    Field{"actor", Type::text, or_null},
    Field{"key_id", Type::text, or_null},
    Field{"key_made_by", Type::text, or_null},
    Field{"database_role", Type::text},
    Field{"action", Type::text},
    Field{"kind", Type::text},
    Field{"id", Type::text},
    Field{"before", Type::object, or_null},
    Field{"after", Type::object, or_null},
    Field{"request_id", Type::text, or_null},
};

constexpr std::array change_fields{
    Field{"id", Type::text},
    Field{"updated_at", Type::time},
    Field{"changed_by", Type::text, or_null},
    Field{"changed_by_api_key", Type::text, or_null},
    Field{"action", Type::text},
    Field{"table_name", Type::text},
    Field{"object_id", Type::text, or_null},
    Field{"before_value", Type::object, or_null},
    Field{"updated_values", Type::object, or_null},
    Field{"organization_id", Type::text, or_null},
};

constexpr std::array logged_call_fields{
    Field{"request_id", Type::text},
    Field{"call_type", Type::nothing},
    Field{"api_key", Type::text},
    Field{"spend", Type::money},
    Field{"total_tokens", Type::integer},
    Field{"prompt_tokens", Type::integer},
    Field{"completion_tokens", Type::integer},
    Field{"cache_read_input_tokens", Type::integer},
    Field{"cache_creation_input_tokens", Type::integer},
    Field{"startTime", Type::time},
    Field{"endTime", Type::time},
    Field{"model", Type::text},
    Field{"model_group", Type::text},
    Field{"user", Type::text, or_null},
    Field{"team_id", Type::text, or_null},
    Field{"end_user", Type::text, or_null},
    Field{"organization_id", Type::text, or_null},
    Field{"request_tags", Type::texts},
    Field{"metadata", Type::object},
    Field{"status", Type::text, or_null},
    Field{"state", Type::text},
};

constexpr std::array event_fields{
    Field{"event_id", Type::integer}, Field{"occurred_at", Type::time}, Field{"organization_id", Type::text},
    Field{"kind", Type::text},        Field{"data", Type::object},
};

constexpr std::array reservation_fields{
    Field{"reservation_id", Type::text}, Field{"request_id", Type::text}, Field{"model", Type::text},
    Field{"expires_at", Type::time},     Field{"limits", Type::list},
};

constexpr std::array settled_call_fields{
    Field{"reservation_id", Type::text},
    Field{"request_id", Type::text},
    Field{"organization_id", Type::text},
    Field{"token_id", Type::text},
    Field{"model", Type::text},
    Field{"cost", Type::money},
    Field{"prompt_tokens", Type::integer},
    Field{"completion_tokens", Type::integer},
    Field{"state", Type::text},
    Field{"settled_at", Type::time},
};

constexpr std::array extended_call_fields{
    Field{"reservation_id", Type::text},
    Field{"request_id", Type::text},
    Field{"expires_at", Type::time},
};

bool is_of_type(const Json &value, Type type)
{
    switch (type) {
    case Type::text: return value.is_string();
    case Type::money: return value.is_number_float(); // so it was written with a decimal point
    case Type::integer: return value.is_number_integer();
    case Type::boolean: return value.is_boolean();
    case Type::object: return value.is_object();
    case Type::texts:
        return value.is_array() &&
               std::all_of(value.begin(), value.end(), [](const Json &one) { return one.is_string(); });
    case Type::list: return value.is_array();
    case Type::time: return is_time(value);
    case Type::nothing: return value.is_null();
    case Type::budget: return is_budget(value);
    }
    return false;
}

testing::AssertionResult has_fields(const Json &object, std::span<const Field> fields)
{
    std::vector<std::string> expected;
    for (const Field &field : fields)
        expected.emplace_back(field.name);
    if (!has_exactly(object, expected)) {
        return testing::AssertionFailure() << "fields are not " << Json(expected) << "\nin " << object.dump();
    }
    for (const Field &field : fields) {
        const Json &value = object.at(std::string(field.name));
        if (!(field.may_be_null && value.is_null()) && !is_of_type(value, field.type)) {
            return testing::AssertionFailure() << field.name << " is " << value.dump() << "\nin " << object.dump();
        }
    }
    return testing::AssertionSuccess();
}

testing::AssertionResult each(const Json &list, testing::AssertionResult (*is)(const Json &))
{
    for (const Json &one : list) {
        if (const auto result = is(one); !result)
            return result;
    }
    return testing::AssertionSuccess();
}

} // namespace

testing::Matcher<const Reply &> e1(int status, const Text &message, const Text &type)
{
    return error("E1 " + std::to_string(status) + " whose message " + described(message), [=](const Reply &reply) {
        if (reply.status != status || !has_exactly(reply.body, {"error"}))
            return false;
        const Json &body = reply.body.at("error");
        return has_exactly(body, {"message", "type", "param", "code"}) && text_matches(body, "message", message) &&
               text_matches(body, "type", type) && is_known_error(body.at("type")) && body.at("param").is_string() &&
               body.at("code") == std::to_string(status);
    });
}

testing::Matcher<const Reply &> e2(int status, const Text &message)
{
    return error("E2 " + std::to_string(status) + " whose message " + described(message), [=](const Reply &reply) {
        return reply.status == status && has_exactly(reply.body, {"detail"}) &&
               has_exactly(reply.body.at("detail"), {"error"}) &&
               text_matches(reply.body.at("detail"), "error", message);
    });
}

testing::Matcher<const Reply &> e3(const Json &location, const Text &type, const Text &message)
{
    return error("E3 at " + location.dump() + " whose type " + described(type) + " and message " + described(message),
                 [=](const Reply &reply) {
                     if (reply.status != 422 || !has_exactly(reply.body, {"detail"}))
                         return false;
                     const Json &details = reply.body.at("detail");
                     return details.is_array() && std::any_of(details.begin(), details.end(), [&](const Json &detail) {
                                return has_exactly(detail, {"type", "loc", "msg", "input"}) &&
                                       detail.at("loc") == location && text_matches(detail, "type", type) &&
                                       is_known_complaint(detail.at("type")) && text_matches(detail, "msg", message);
                            });
                 });
}

testing::Matcher<const Reply &> hinted(const Text &hint, const testing::Matcher<const Reply &> &is)
{
    return error(described(is) + " with a hint that " + described(hint), [=](const Reply &reply) {
        Reply without = reply;
        Json &errors = without.body.contains("error") ? without.body["error"] : without.body["detail"];
        Json &first = errors.is_array() ? errors.at(0) : errors;
        if (!first.is_object() || !text_matches(first, "hint", hint))
            return false;
        first.erase("hint");
        return is.Matches(without);
    });
}

testing::AssertionResult is_budget(const Json &object) { return has_fields(object, budget_fields); }
testing::AssertionResult is_membership(const Json &object) { return has_fields(object, membership_fields); }
testing::AssertionResult is_user(const Json &object) { return has_fields(object, user_fields); }
testing::AssertionResult is_team_membership(const Json &object) { return has_fields(object, team_membership_fields); }
testing::AssertionResult is_key(const Json &object) { return has_fields(object, key_fields); }
testing::AssertionResult is_end_user(const Json &object) { return has_fields(object, end_user_fields); }
testing::AssertionResult is_audit_entry(const Json &object) { return has_fields(object, audit_entry_fields); }
testing::AssertionResult is_change(const Json &object) { return has_fields(object, change_fields); }
testing::AssertionResult is_logged_call(const Json &object) { return has_fields(object, logged_call_fields); }
testing::AssertionResult is_event(const Json &object) { return has_fields(object, event_fields); }
testing::AssertionResult is_reservation(const Json &object) { return has_fields(object, reservation_fields); }
testing::AssertionResult is_settled_call(const Json &object) { return has_fields(object, settled_call_fields); }
testing::AssertionResult is_extended_call(const Json &object) { return has_fields(object, extended_call_fields); }

testing::AssertionResult is_team(const Json &object)
{
    if (const auto result = has_fields(object, team_fields); !result)
        return result;
    return each(object.at("members_with_roles"), [](const Json &one) { return has_fields(one, team_member_fields); });
}

testing::AssertionResult is_organization(const Json &object)
{
    if (const auto result = has_fields(object, organization_fields); !result)
        return result;
    if (const auto result = each(object.at("members"), is_membership); !result)
        return result;
    return each(object.at("teams"), is_team);
}

bool is_time(const Json &value)
{
    static const std::regex form{R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"};
    return value.is_string() && std::regex_match(value.get<std::string>(), form);
}

bool is_uuid(const Json &value)
{
    static const std::regex form{"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"};
    return value.is_string() && std::regex_match(value.get<std::string>(), form);
}

std::vector<std::string> names(const Json &object)
{
    std::vector<std::string> result;
    for (const auto &[name, value] : object.items())
        result.push_back(name);
    return result;
}

std::vector<Json> values_of(const Json &list, const std::string &field)
{
    std::vector<Json> result;
    for (const Json &one : list)
        result.push_back(one.at(field));
    return result;
}

} // namespace pg_org::test
