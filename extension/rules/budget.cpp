// Budgets: checking, making, changing, copying, listing and deleting them.

#include "budget.hpp"

#include "base/duration.hpp"
#include "base/fail.hpp"
#include "base/number.hpp"
#include "base/paging.hpp"
#include "etag.hpp"
#include "limit.hpp"
#include "lock.hpp"
#include "models.hpp"
#include "ownership.hpp"
#include "show.hpp"

using namespace pg_org;

namespace {

constinit Statement read_statement{R"(
    SELECT max_budget, soft_budget, max_parallel_requests, tpm_limit, rpm_limit, model_max_budget, budget_duration,
           budget_reset_at, limits, short_limits,
           (SELECT count(*) FROM org.organization WHERE budget_id = $1)
           + (SELECT count(*) FROM org.membership WHERE budget_id = $1)
           + (SELECT count(*) FROM org.team_member WHERE budget_id = $1)
           + (SELECT count(*) FROM org.api_key WHERE budget_id = $1)
           + (SELECT count(*) FROM (SELECT FROM org.end_user WHERE budget_id = $1 LIMIT 2) AS few),
           auto_created
      FROM org.budget
     WHERE budget_id = $1)"};

constinit Statement insert_statement{R"(
    INSERT INTO org.budget (budget_id, max_budget, soft_budget, max_parallel_requests, tpm_limit, rpm_limit,
                            model_max_budget, budget_duration, budget_reset_at, limits, short_limits, auto_created,
                            created_by, updated_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $11, $12, $13, $10, $10)
        ON CONFLICT DO NOTHING
    RETURNING budget_id)"};

constinit Statement update_statement{R"(
    UPDATE org.budget
       SET max_budget = $2, soft_budget = $3, max_parallel_requests = $4, tpm_limit = $5, rpm_limit = $6,
           model_max_budget = $7, budget_duration = $8, budget_reset_at = $9, limits = $11, short_limits = $12,
           updated_at = now(), updated_by = $10
     WHERE budget_id = $1)"};

// The columns limits $1 and short_limits $2 after a change.
constinit Statement change_limits{"SELECT org.limits_after($1, $3), ($2 - $5) || $4"};

constinit Statement delete_statement{R"(
    DELETE FROM org.budget b
     WHERE b.budget_id = ANY ($1)
       AND (b.auto_created OR $2)
       AND NOT EXISTS (SELECT FROM org.organization WHERE budget_id = b.budget_id)
       AND NOT EXISTS (SELECT FROM org.membership WHERE budget_id = b.budget_id)
       AND NOT EXISTS (SELECT FROM org.team_member WHERE budget_id = b.budget_id)
       AND NOT EXISTS (SELECT FROM org.api_key WHERE budget_id = b.budget_id)
       AND NOT EXISTS (SELECT FROM org.end_user WHERE budget_id = b.budget_id))"};

constinit Statement find_organizations{
    "SELECT organization_id FROM org.organization WHERE budget_id = $1 ORDER BY organization_id"};

// The organizations inside which it limits somebody, whose calls wait for their locks.
constinit Statement find_concerned_organizations{R"(
    SELECT organization_id FROM org.organization WHERE budget_id = $1
     UNION
    SELECT organization_id FROM org.membership WHERE budget_id = $1
     UNION
    SELECT organization_id FROM org.team_member WHERE budget_id = $1
     UNION
    SELECT organization_id FROM org.api_key WHERE budget_id = $1 AND organization_id IS NOT NULL
     UNION
    SELECT organization_id FROM org.end_user WHERE budget_id = $1 AND organization_id <> ''
     ORDER BY organization_id)"};

// The entity tag of an organization must change with its budget.
constinit Statement touch_organizations{
    "UPDATE org.organization SET updated_at = now(), updated_by = $2 WHERE organization_id = ANY ($1)"};

constinit Statement lock_shared{"SELECT FROM org.budget WHERE budget_id = $1 FOR KEY SHARE"};

constinit Statement find_budget_page_start{"SELECT created_at FROM org.budget WHERE budget_id = $1"};

constinit Statement list_budgets{"SELECT " BUDGET_COLUMNS R"(
      FROM org.budget b
     WHERE $1 IS NULL OR (b.created_at, b.budget_id) > ($1, $2)
     ORDER BY b.created_at, b.budget_id
     LIMIT $3)",
                                 Planned::each_time};

constinit Statement name_owners{R"(
    (SELECT 'Organization=' || organization_id
       FROM org.organization
      WHERE budget_id = $1
      ORDER BY 1
      LIMIT 10)
      UNION ALL
    (SELECT 'Member=' || organization_id || '/' || user_id
       FROM org.membership
      WHERE budget_id = $1
      ORDER BY 1
      LIMIT 10)
      UNION ALL
    (SELECT 'Team member=' || organization_id || '/' || team_id || '/' || user_id
       FROM org.team_member
      WHERE budget_id = $1
      ORDER BY 1
      LIMIT 10)
      UNION ALL
    (SELECT 'Key=' || key_id
       FROM org.api_key
      WHERE budget_id = $1
      ORDER BY 1
      LIMIT 10)
      UNION ALL
    (SELECT 'End user=' || concat_ws('/', owner_organization_id, end_user_id)
       FROM org.end_user
      WHERE budget_id = $1
      ORDER BY 1
      LIMIT 10))"};

// The budgets of models after a change. A merged object is checked here, since only the result is complete.
Maybe<Json> changed_model_budgets(const Maybe<ObjectChange> &change, Maybe<Json> before)
{
    if (!change)
        return {};
    const Json after = change->applied_to(before);
    return change->merge ? model_budgets(after, "model_max_budget") : after;
}

// The fields of a budget.
struct Budget {
    Maybe<Number> max_budget, soft_budget;
    Maybe<int64> max_parallel_requests, tpm_limit, rpm_limit;
    Maybe<Json> model_max_budget;
    Maybe<Text> budget_duration;
    Maybe<Time> budget_reset_at;
    Json limits = empty_array(), short_limits = empty_object();

    void apply(Session &session, const BudgetChange &change)
    {
        max_budget = change.max_budget.value_or(max_budget);
        soft_budget = change.soft_budget.value_or(soft_budget);
        max_parallel_requests = change.max_parallel_requests.value_or(max_parallel_requests);
        tpm_limit = change.tpm_limit.value_or(tpm_limit);
        rpm_limit = change.rpm_limit.value_or(rpm_limit);
        if (change.model_max_budget)
            model_max_budget = changed_model_budgets(*change.model_max_budget, model_max_budget);
        // The same duration again keeps the period: saving a form must not postpone the reset.
        if (change.budget_duration && (*change.budget_duration != budget_duration || !budget_reset_at)) {
            budget_duration = *change.budget_duration;
            budget_reset_at = first_reset(budget_duration, "budget_duration");
        }
        if (const LimitChange &others = change.others; others.any()) {
            const Row after = session.run(change_limits, limits, short_limits, others.sentences,
                                          others.short_forms.values(), others.short_forms.names())[0];
            limits = *after.get<Json>(0);
            short_limits = *after.get<Json>(1);
        }
        require_valid_limits({max_budget,
                              soft_budget,
                              model_max_budget,
                              tpm_limit,
                              rpm_limit,
                              max_parallel_requests,
                              budget_duration,
                              budget_reset_at,
                              limits,
                              short_limits,
                              {}});
    }

    template <typename... More>
    Rows write(Session &session, Statement &statement, Text budget_id, const More &...more) const
    {
        return session.run(statement, budget_id, max_budget, soft_budget, max_parallel_requests, tpm_limit, rpm_limit,
                           model_max_budget, budget_duration, budget_reset_at, session.caller.user_id, limits,
                           short_limits, more...);
    }
};

enum class Made { by_request, along_with_owner };

Text insert_budget(Session &session, Text budget_id, const Budget &budget, Made made)
{
    if (budget.write(session, insert_statement, budget_id, made == Made::along_with_owner).empty())
        exists_already("Budget already exists for budget_id=%.*s", FMT_ARG(budget_id));
    return budget_id;
}

struct Owned {
    Budget budget;
    int64 owners; // or as many as say whether there are several
    bool auto_created;
};

Owned read_budget(Session &session, Text budget_id)
{
    const Row row = session.run(read_statement, budget_id)[0];
    return {{row.get<Number>(0), row.get<Number>(1), row.get<int64>(2), row.get<int64>(3), row.get<int64>(4),
             row.get<Json>(5), row.get<Text>(6), row.get<Time>(7), *row.get<Json>(8), *row.get<Json>(9)},
            *row.get<int64>(10),
            *row.get<bool>(11)};
}

} // namespace

namespace pg_org {

void require_giver_of_budget(const Caller &caller, const char *owners)
{
    if (!caller.is_proxy_admin())
        forbidden("You are not allowed to give %s a budget_id, only proxy admins are. Your role is = %s", owners,
                  role_name(caller.role));
}

void share_budget(Session &session, Text budget_id)
{
    if (session.run(lock_shared, budget_id).empty())
        no_such_budget(budget_id);
}

void no_such_budget(Text budget_id) { no_such_reference("Budget not found for budget_id=%.*s", FMT_ARG(budget_id)); }

Text create_budget(Session &session, const BudgetChange &fields)
{
    Budget budget{};
    budget.apply(session, fields);
    return insert_budget(session, identifier_or_new({}, "budget_id"), budget, Made::along_with_owner);
}

Maybe<Text> change_budget(Session &session, Maybe<Text> budget_id, const BudgetChange &change)
{
    if (change.empty())
        return budget_id;
    if (!budget_id)
        return change.sets_any() ? Maybe<Text>{create_budget(session, change)} : budget_id;

    auto [budget, owners, auto_created] = read_budget(session, *budget_id);
    budget.apply(session, change);
    // A budget that a proxy admin made is to be used again, so nobody else changes it.
    if (owners > 1 || !(auto_created || session.caller.is_proxy_admin()))
        return insert_budget(session, identifier_or_new({}, "budget_id"), budget, Made::along_with_owner);
    budget.write(session, update_statement, *budget_id);
    return budget_id;
}

void delete_unowned_budgets(Session &session, Texts budget_ids) { session.run(delete_statement, budget_ids, true); }

void delete_unowned_auto_created_budget(Session &session, Text budget_id)
{
    session.run(delete_statement, Texts{&budget_id, 1}, false);
}

} // namespace pg_org

namespace {

void require_budget_writer(const Caller &caller)
{
    if (!caller.is_proxy_admin())
        forbidden("Only proxy admins can change budgets. Your role is = %s", role_name(caller.role));
}

void require_budget_reader(const Caller &caller)
{
    if (!caller.reads_everything())
        forbidden("Only admins can see budgets. Your role is = %s", role_name(caller.role));
}

// Locks the organizations inside which the budget limits somebody, then the budget; an error if there is none. Returns
// the organizations that own it themselves.
Texts lock_with_organizations(Session &session, Text budget_id)
{
    lock_organizations(session, session.run(find_concerned_organizations, budget_id).texts());
    if (lock_budgets(session, {&budget_id, 1}).empty())
        not_found("Budget not found for budget_id=%.*s", FMT_ARG(budget_id));
    require_organizations_locked(session, session.run(find_concerned_organizations, budget_id).texts());
    session.look_up_caller_again();
    return session.run(find_organizations, budget_id).texts();
}

} // namespace

PG_ORG_WRITE(budget_new)
{
    const Text budget_id = session.argument("budget_id", identifier_or_new);
    Budget budget{};
    const BudgetChange fields = read_budget_fields(session);
    require_budget_writer(session.caller);
    budget.apply(session, fields);
    insert_budget(session, budget_id, budget, Made::by_request);
    write_budgets(session, {&budget_id, 1});
}

PG_ORG_WRITE(budget_update)
{
    const Text budget_id = session.required<Text>("budget_id");
    BudgetChange change = read_budget_fields(session);
    static constexpr std::array<Text, 7> clearable{"max_budget",     "soft_budget",           "tpm_limit",
                                                   "rpm_limit",      "max_parallel_requests", "model_max_budget",
                                                   "budget_duration"};
    for (const Text field : fields_to_clear(session, change.others.clearable(clearable)))
        change.clear(field);
    const bool cascade = session.argument<bool>("cascade").value_or(false);
    const auto if_match = session.argument<Text>("if_match");
    require_budget_writer(session.caller);

    const Texts organizations = lock_with_organizations(session, budget_id);
    const auto write = [&] { write_budgets(session, {&budget_id, 1}); };
    require_match(session, if_match, write);
    Budget budget = read_budget(session, budget_id).budget;
    budget.apply(session, change);
    budget.write(session, update_statement, budget_id);
    session.run(touch_organizations, organizations, session.caller.user_id);
    for (const Text organization_id : organizations)
        keep_within_organization(session, organization_id, cascade);
    write();
}

PG_ORG_READ(budget_info)
{
    const Texts budgets = each_once(session.required("budgets", text_list));
    require_budget_reader(session.caller);
    session.reply.begin_array();
    write_budgets(session, budgets);
    session.reply.end_array();
}

PG_ORG_READ(budget_list)
{
    const auto limit = session.argument("limit", page_limit);
    const auto after = session.argument<Text>("after");
    require_budget_reader(session.caller);
    const PageStart start =
        page_start(after, "budget_id", [&](Text id) { return session.run(find_budget_page_start, id); });
    session.reply.begin_array();
    for (const Row row : session.run(list_budgets, start.time, start.id, limit))
        session.reply.object(row);
    session.reply.end_array();
}

PG_ORG_WRITE(budget_delete)
{
    const Text budget_id = session.required<Text>("id");
    require_budget_writer(session.caller);
    // Attaching it to an owner waits for this lock.
    if (lock_budgets(session, {&budget_id, 1}).empty())
        not_found("Budget not found for budget_id=%.*s", FMT_ARG(budget_id));
    session.look_up_caller_again();
    const Texts owners = session.run(name_owners, budget_id).texts();
    if (!owners.empty())
        exists_already("Budget=%.*s is in use by %s", FMT_ARG(budget_id), show_list(owners));
    write_budgets(session, {&budget_id, 1});
    delete_unowned_budgets(session, {&budget_id, 1});
}
