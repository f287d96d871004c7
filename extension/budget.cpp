// Budgets: checking, making, changing, copying, cleaning up; and showing them.

#include "budget.hpp"

#include "duration.hpp"
#include "fail.hpp"

using namespace pg_org;

namespace {

constinit Statement lock_statement{
    "SELECT budget_id FROM org.budget WHERE budget_id = ANY ($1) ORDER BY budget_id FOR UPDATE"};

constinit Statement read_statement{
    "SELECT max_budget, soft_budget, max_parallel_requests, tpm_limit, rpm_limit, model_max_budget, budget_duration,"
    "       budget_reset_at,"
    "       (SELECT count(*) FROM org.organization WHERE budget_id = $1)"
    "       + (SELECT count(*) FROM org.membership WHERE budget_id = $1)"
    "       + (SELECT count(*) FROM org.team_member WHERE budget_id = $1)"
    "  FROM org.budget WHERE budget_id = $1"};

constinit Statement insert_statement{
    "INSERT INTO org.budget (budget_id, max_budget, soft_budget, max_parallel_requests, tpm_limit, rpm_limit,"
    "                        model_max_budget, budget_duration, budget_reset_at, auto_created, created_by, updated_by)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, true, $10, $10)"};

constinit Statement update_statement{
    "UPDATE org.budget SET max_budget = $2, soft_budget = $3, max_parallel_requests = $4, tpm_limit = $5,"
    "       rpm_limit = $6, model_max_budget = $7, budget_duration = $8, budget_reset_at = $9,"
    "       updated_at = now(), updated_by = $10"
    " WHERE budget_id = $1"};

constinit Statement delete_statement{
    "DELETE FROM org.budget b"
    " WHERE b.budget_id = ANY ($1) AND (b.auto_created OR $2)"
    "   AND NOT EXISTS (SELECT FROM org.organization WHERE budget_id = b.budget_id)"
    "   AND NOT EXISTS (SELECT FROM org.membership WHERE budget_id = b.budget_id)"
    "   AND NOT EXISTS (SELECT FROM org.team_member WHERE budget_id = b.budget_id)"};

constinit Statement show_statement{
    "SELECT " BUDGET_COLUMNS
    "  FROM unnest($1) WITH ORDINALITY AS asked (budget_id, place) JOIN org.budget b USING (budget_id)"
    " ORDER BY asked.place"};

// The fields of a budget.
struct Budget {
    Maybe<Number> max_budget, soft_budget;
    Maybe<int64> max_parallel_requests, tpm_limit, rpm_limit;
    Maybe<Json> model_max_budget;
    Maybe<Text> budget_duration;
    Maybe<Time> budget_reset_at;

    void apply(const BudgetChange &change)
    {
        max_budget = change.max_budget.value_or(max_budget);
        soft_budget = change.soft_budget.value_or(soft_budget);
        max_parallel_requests = change.max_parallel_requests.value_or(max_parallel_requests);
        tpm_limit = change.tpm_limit.value_or(tpm_limit);
        rpm_limit = change.rpm_limit.value_or(rpm_limit);
        if (change.model_max_budget)
            model_max_budget = *change.model_max_budget
                                   ? Maybe<Json>{(*change.model_max_budget)->applied_to(model_max_budget)}
                                   : Maybe<Json>{};
        // The same duration again leaves the period as it is: saving a form must not put off the reset.
        if (change.budget_duration && (*change.budget_duration != budget_duration || !budget_reset_at)) {
            budget_duration = *change.budget_duration;
            budget_reset_at = from_now("budget_duration", budget_duration);
        }
    }

    void write(Session &session, Statement &statement, Text budget_id) const
    {
        session.run(statement, budget_id, max_budget, soft_budget, max_parallel_requests, tpm_limit, rpm_limit,
                    model_max_budget, budget_duration, budget_reset_at, session.caller.user_id);
    }
};

bool less(Number a, Number b) { return DatumGetBool(DirectFunctionCall2(numeric_lt, a.datum, b.datum)); }

Number number(int64 value) { return {NumericGetDatum(int64_to_numeric(value))}; }

template <typename T> Change<T> as_change(Maybe<T> value) { return value ? Change<T>{value} : Change<T>{}; }

Maybe<Text> checked_duration(Maybe<Text> value, const char *name)
{
    from_now(name, value);
    return value;
}

} // namespace

namespace pg_org {

Maybe<Number> money(Maybe<Number> value, const char *name)
{
    constexpr int64 most = 1'000'000'000'000'000;
    if (!value)
        return {};
    const Numeric amount = DatumGetNumeric(value->datum);
    if (numeric_is_nan(amount) || numeric_is_inf(amount))
        invalid(name, "must be a finite number");
    if (less(*value, number(0)))
        invalid(name, "must be zero or more");
    if (less(number(most), *value))
        invalid(name, "must be at most " INT64_FORMAT, most);
    return value;
}

Maybe<int64> limit(Maybe<int64> value, const char *name)
{
    if (value && *value < 0)
        invalid(name, "must be zero or more");
    return value;
}

Maybe<Json> object(Maybe<Json> value, const char *name)
{
    if (value && !is_object(*value))
        invalid(name, "must be an object");
    return value;
}

BudgetChange next_budget_fields(Session &session)
{
    const auto next_limit = [&](const char *name) { return as_change(limit(session.next<int64>(), name)); };
    // Braces evaluate in order, which is the order of the signature.
    BudgetChange fields{
        .max_budget = as_change(money(session.next<Number>(), "max_budget")),
        .soft_budget = as_change(money(session.next<Number>(), "soft_budget")),
        .tpm_limit = next_limit("tpm_limit"),
        .rpm_limit = next_limit("rpm_limit"),
        .max_parallel_requests = next_limit("max_parallel_requests"),
        .model_max_budget = {},
        .budget_duration = {},
    };
    if (const auto by_model = object(session.next<Json>(), "model_max_budget"))
        fields.model_max_budget = ObjectChange{*by_model, false};
    fields.budget_duration = as_change(checked_duration(session.next<Text>(), "budget_duration"));
    return fields;
}

bool BudgetChange::set(Text field, const Value &value, bool merge)
{
    if (value.is_null())
        return clear(field);
    const char *name = value.path();
    if (field == "max_budget")
        max_budget = money(value.as_number(), name);
    else if (field == "soft_budget")
        soft_budget = money(value.as_number(), name);
    else if (field == "tpm_limit")
        tpm_limit = limit(value.as_integer(), name);
    else if (field == "rpm_limit")
        rpm_limit = limit(value.as_integer(), name);
    else if (field == "max_parallel_requests")
        max_parallel_requests = limit(value.as_integer(), name);
    else if (field == "model_max_budget")
        model_max_budget = ObjectChange{value.as_object(), merge};
    else if (field == "budget_duration")
        budget_duration = checked_duration(value.as_text(), name);
    else
        return false;
    return true;
}

void BudgetChange::override_with(const BudgetChange &other)
{
    const auto override_field = [](auto &field, const auto &with) {
        if (with)
            field = with;
    };
    override_field(max_budget, other.max_budget);
    override_field(soft_budget, other.soft_budget);
    override_field(tpm_limit, other.tpm_limit);
    override_field(rpm_limit, other.rpm_limit);
    override_field(max_parallel_requests, other.max_parallel_requests);
    override_field(model_max_budget, other.model_max_budget);
    override_field(budget_duration, other.budget_duration);
}

bool BudgetChange::clear(Text field)
{
    if (field == "max_budget")
        max_budget.emplace();
    else if (field == "soft_budget")
        soft_budget.emplace();
    else if (field == "tpm_limit")
        tpm_limit.emplace();
    else if (field == "rpm_limit")
        rpm_limit.emplace();
    else if (field == "max_parallel_requests")
        max_parallel_requests.emplace();
    else if (field == "model_max_budget")
        model_max_budget.emplace();
    else if (field == "budget_duration")
        budget_duration.emplace();
    else
        return false;
    return true;
}

Texts lock_budgets(Session &session, Texts budget_ids) { return session.run(lock_statement, budget_ids).texts(); }

Text create_budget(Session &session, const BudgetChange &fields)
{
    const Text budget_id = identifier_or_new({}, "budget_id");
    Budget budget{};
    budget.apply(fields);
    budget.write(session, insert_statement, budget_id);
    return budget_id;
}

Maybe<Text> change_budget(Session &session, Maybe<Text> budget_id, const BudgetChange &change)
{
    if (change.empty())
        return budget_id;
    if (!budget_id)
        return create_budget(session, change);

    const Row row = session.run(read_statement, *budget_id)[0];
    Budget budget{row.get<Number>(0), row.get<Number>(1), row.get<int64>(2), row.get<int64>(3),
                  row.get<int64>(4),  row.get<Json>(5),   row.get<Text>(6),  row.get<Time>(7)};
    const bool shared = *row.get<int64>(8) > 1;
    budget.apply(change);
    if (shared)
        budget_id = identifier_or_new({}, "budget_id");
    budget.write(session, shared ? insert_statement : update_statement, *budget_id);
    return budget_id;
}

void delete_unowned_budgets(Session &session, Texts budget_ids) { session.run(delete_statement, budget_ids, true); }

void delete_unowned_auto_created_budget(Session &session, Text budget_id)
{
    session.run(delete_statement, Texts{&budget_id, 1}, false);
}

} // namespace pg_org

PG_ORG_FUNCTION(budget_info)
{
    Session session{fcinfo, Access::read};
    const Texts budgets = required(text_list(session.next<Texts>(), "budgets"), "budgets");
    if (!session.caller.reads_everything())
        forbidden("Only admins can see budgets. Your role is = %s", role_name(session.caller.role));
    session.reply.begin_array();
    for (const Row row : session.run(show_statement, budgets))
        session.reply.object(row);
    session.reply.end_array();
    return session.finish();
}
