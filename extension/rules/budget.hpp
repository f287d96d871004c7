// Budgets: what their owners may spend and how fast.  An owner is an organization, a membership, a team member,
// a key or an end user; several may share one budget, and a change made for one owner never moves another's limits.
#pragma once

#include "base/bounds.hpp"
#include "base/session.hpp"
#include "limit_change.hpp"

namespace pg_org {

// A caller's change of a budget's fields.
struct BudgetChange {
    Change<Number> max_budget, soft_budget;
    Change<int64> tpm_limit, rpm_limit, max_parallel_requests;
    Change<ObjectChange> model_max_budget;
    Change<Text> budget_duration;
    LimitChange others{short_limits_of_budgets};

    bool empty() const
    {
        return !max_budget && !soft_budget && !tpm_limit && !rpm_limit && !max_parallel_requests && !model_max_budget &&
               !budget_duration && !others.any();
    }
    // Whether it gives any field a value.
    bool sets_any() const
    {
        const auto sets = [](const auto &field) { return field && *field; };
        return sets(max_budget) || sets(soft_budget) || sets(tpm_limit) || sets(rpm_limit) ||
               sets(max_parallel_requests) || sets(model_max_budget) || sets(budget_duration) || others.sets_any();
    }
    // Sets a field by its wire name from a JSON value, null clears; false if there is no such field.
    bool set(Text field, const Value &value, bool merge);
    // Clears a field by its wire name; false if there is no such field.
    bool clear(Text field);
    // Takes over every field that the other change sets or clears.
    void override_with(const BudgetChange &other);
};

// An amount of money, or a limit of a count, or an error naming the field.
Maybe<Number> money(Maybe<Number> value, const char *name);
Maybe<int64> limit(Maybe<int64> value, const char *name);
// The length of a period, or an error naming the field.
Maybe<Text> checked_duration(Maybe<Text> value, const char *name);
// Budgets of models, or an error naming the field.
Maybe<Json> model_budgets(Maybe<Json> value, const char *name);

// The entry of a model in model_max_budget: an amount, or an object of amount and duration, each under either of two
// names.
struct ModelBudgetEntry {
    Value amount, duration;
};
ModelBudgetEntry read_model_budget(const Value &entry);

// The arguments of a call that are a budget's fields.
BudgetChange read_budget_fields(Session &session);

// The budget of one member: the argument of that name, the only amount it has, and `limits`.
BudgetChange read_member_budget(const Session &session, const char *name);
// The same in a change, whose argument `clear` may name it.
BudgetChange read_member_budget_change(const Session &session, const char *name);

// The limits that teams, users and keys have in their own rows; in a change, none keeps a limit.
struct OwnLimits {
    Maybe<Number> max_budget;
    Maybe<Json> model_max_budget;
    Maybe<int64> tpm_limit, rpm_limit, max_parallel_requests;
    Maybe<Text> budget_duration;
    Maybe<Time> budget_reset_at;
    LimitChange others;

    explicit OwnLimits(std::span<const JsonField> short_limits) : others(short_limits) {}
    bool any() const
    {
        return max_budget || model_max_budget || tpm_limit || rpm_limit || max_parallel_requests || budget_duration ||
               others.any();
    }
};
// The arguments of a call that are such limits. What teams and users have no column for is among the others.
enum class LimitsOf { team, user, key };
OwnLimits read_own_limits(Session &session, LimitsOf owner);

// A budget that others may share, or may be given later, is a proxy admin's to give: to keys, for example.
void require_giver_of_budget(const Caller &caller, const char *owners);
// Locks a budget against deletion. Refuses one that there is not.
void share_budget(Session &session, Text budget_id);
[[noreturn]] void no_such_budget(Text budget_id);

// Makes a budget and returns its id.
Text create_budget(Session &session, const BudgetChange &fields);
// Changes a locked budget for one of its owners; without one, a new budget is made if the change sets any field.
// Returns the id of the owner's budget afterwards: a copy of its own if others share the budget, or if a proxy admin
// made it and somebody else changes it.
Maybe<Text> change_budget(Session &session, Maybe<Text> budget_id, const BudgetChange &change);
// Deletes those of the locked budgets that have no owner any more.
void delete_unowned_budgets(Session &session, Texts budget_ids);
// The same for one budget, only if it was made along with an owner.
void delete_unowned_auto_created_budget(Session &session, Text budget_id);

} // namespace pg_org
