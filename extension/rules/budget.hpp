// Budgets: what their owners may spend and how fast.  An owner is an organization, a membership or a team member;
// several may share one budget, and a change made for one owner never moves another's limits.
#pragma once

#include "base/bounds.hpp"
#include "base/session.hpp"

namespace pg_org {

// The columns of a budget b in wire order, and how many they are.
#define BUDGET_COLUMNS                                                                                                 \
    "b.budget_id, b.max_budget, b.soft_budget, b.max_parallel_requests, b.tpm_limit, b.rpm_limit, "                    \
    "b.model_max_budget, b.budget_duration, b.budget_reset_at, b.created_at, b.created_by, b.updated_at, b.updated_by"
inline constexpr int budget_columns = 13;

// A change of a JSON object: what it becomes, or what is merged into it.
struct ObjectChange {
    Json value;
    bool merge;
    Json applied_to(Maybe<Json> before) const
    {
        return merge ? merge_patch(before ? *before : empty_object(), value) : value;
    }
};

// What a caller wants of a budget's fields.
struct BudgetChange {
    Change<Number> max_budget, soft_budget;
    Change<int64> tpm_limit, rpm_limit, max_parallel_requests;
    Change<ObjectChange> model_max_budget;
    Change<Text> budget_duration;

    bool empty() const
    {
        return !max_budget && !soft_budget && !tpm_limit && !rpm_limit && !max_parallel_requests &&
               !model_max_budget && !budget_duration;
    }
    // Whether it gives any field a value.
    bool sets_any() const
    {
        const auto sets = [](const auto &field) { return field && *field; };
        return sets(max_budget) || sets(soft_budget) || sets(tpm_limit) || sets(rpm_limit) ||
               sets(max_parallel_requests) || sets(model_max_budget) || sets(budget_duration);
    }
    // Sets a field by its wire name from a JSON value, null clears; false if there is no such field.
    bool set(Text field, const Value &value, bool merge);
    // What the other change says goes before what this one says.
    void override_with(const BudgetChange &other);
    // Clears a field by its wire name; false if there is no such field.
    bool clear(Text field);
    // Clears the fields that an argument `clear` names, refusing others.
    void clear_all(Maybe<Texts> fields);
};

// The value as an amount of money, or as a limit of a count, or an error naming the field.
Maybe<Number> money(Maybe<Number> value, const char *name);
Maybe<int64> limit(Maybe<int64> value, const char *name);
// The value as budgets of models, or an error naming the field.
Maybe<Json> model_budgets(Maybe<Json> value, const char *name);

// What model_max_budget says of a model: an amount, or an object of amount and duration, in either of two words each.
struct ModelBudgetEntry {
    Value amount, duration;
};
ModelBudgetEntry read_model_budget(const Value &entry);

// max_budget, soft_budget, tpm_limit, rpm_limit, max_parallel_requests, model_max_budget, budget_duration: the next
// seven arguments of a call.
BudgetChange read_budget_fields(Session &session);

// The limits that teams, users and keys have in rows of their own; none of them set means no change of any.
struct OwnLimits {
    Maybe<Number> max_budget;
    Maybe<Json> model_max_budget;
    Maybe<int64> tpm_limit, rpm_limit, max_parallel_requests;
    Maybe<Text> budget_duration;
    Maybe<Time> budget_reset_at;

    bool any() const
    {
        return max_budget || model_max_budget || tpm_limit || rpm_limit || max_parallel_requests || budget_duration;
    }
};
// max_budget, model_max_budget, tpm_limit, rpm_limit, max_parallel_requests, budget_duration: the next arguments of a
// call. Users have no limit of parallel requests, teams none by model.
enum class LimitsOf { team, user, key };
OwnLimits read_own_limits(Session &session, LimitsOf owner);

// Locks budgets, in the fixed order. Returns those that exist.
Texts lock_budgets(Session &session, Texts budget_ids);
// Makes a budget and returns its id.
Text create_budget(Session &session, const BudgetChange &fields);
// Carries out a change for one owner of a locked budget (none: a new one is made if there is anything to keep).
// Returns the id of the budget that the owner must have now: its own copy if others share it.
Maybe<Text> change_budget(Session &session, Maybe<Text> budget_id, const BudgetChange &change);
// Deletes those locked budgets that nobody owns any more.
void delete_unowned_budgets(Session &session, Texts budget_ids);
// Likewise, if it was made along with an owner.
void delete_unowned_auto_created_budget(Session &session, Text budget_id);

} // namespace pg_org
