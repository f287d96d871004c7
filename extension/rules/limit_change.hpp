// Changes of limits: sentences, and the short forms that have no column of their own.
#pragma once

#include "change.hpp"
#include "json_fields.hpp"

namespace pg_org {

// The short forms that are stored in the column short_limits.
inline constexpr std::array short_limits_of_budgets{
    JsonField{"budget_limits", JsonField::Is::budgets},
    JsonField{"model_rpm_limit", JsonField::Is::counts_by_model},
    JsonField{"model_tpm_limit", JsonField::Is::counts_by_model},
    JsonField{"rpd_limit", JsonField::Is::count},
    JsonField{"tpd_limit", JsonField::Is::count},
};

inline constexpr std::array short_limits_of_teams{
    JsonField{"budget_limits", JsonField::Is::budgets},
    JsonField{"model_max_budget", JsonField::Is::budgets_by_model},
    JsonField{"model_rpm_limit", JsonField::Is::counts_by_model},
    JsonField{"model_tpm_limit", JsonField::Is::counts_by_model},
    JsonField{"rpd_limit", JsonField::Is::count},
    JsonField{"soft_budget", JsonField::Is::money},
    JsonField{"team_member_budget", JsonField::Is::money},
    JsonField{"team_member_budget_duration", JsonField::Is::duration},
    JsonField{"team_member_rpm_limit", JsonField::Is::count},
    JsonField{"team_member_tpm_limit", JsonField::Is::count},
    JsonField{"tpd_limit", JsonField::Is::count},
};

inline constexpr std::array short_limits_of_users{
    JsonField{"budget_limits", JsonField::Is::budgets},
    JsonField{"max_parallel_requests", JsonField::Is::count},
    JsonField{"model_rpm_limit", JsonField::Is::counts_by_model},
    JsonField{"model_tpm_limit", JsonField::Is::counts_by_model},
    JsonField{"rpd_limit", JsonField::Is::count},
    JsonField{"soft_budget", JsonField::Is::money},
    JsonField{"tpd_limit", JsonField::Is::count},
};

inline constexpr std::array short_limits_of_keys{
    JsonField{"budget_limits", JsonField::Is::budgets},
    JsonField{"model_rpm_limit", JsonField::Is::counts_by_model},
    JsonField{"model_tpm_limit", JsonField::Is::counts_by_model},
    JsonField{"rpd_limit", JsonField::Is::count},
    JsonField{"soft_budget", JsonField::Is::money},
    JsonField{"temp_budget_expiry", JsonField::Is::time},
    JsonField{"temp_budget_increase", JsonField::Is::money},
    JsonField{"tpd_limit", JsonField::Is::count},
};

struct LimitChange {
    Maybe<Json> sentences; // the new list; none keeps it
    JsonFieldsChange short_forms;

    explicit LimitChange(std::span<const JsonField> fields) : short_forms(fields) {}

    // Takes the arguments of a call.
    void read(const Session &session);
    // Sets limits or a short form from a JSON value, null clears; false if there is no such field.
    bool set(Text field, const Value &value);
    bool any() const { return sentences || short_forms.any(); }
    bool sets_any() const;
    void override_with(const LimitChange &other);
    Texts clearable(Texts others) const;
};

// Assignments of an UPDATE, with the parameters sentences, short_forms.values() and short_forms.names(). A sentence
// that stays the same keeps its since.
#define SET_LIMITS(sentences, values, names)                                                                           \
    "limits = org.limits_after(limits, " sentences "), short_limits = (short_limits - " names ") || " values

} // namespace pg_org
