// End users: making, changing, blocking, deleting and showing them.

#include "end_user.hpp"

#include "base/fail.hpp"
#include "budget.hpp"
#include "kept.hpp"
#include "lock.hpp"
#include "quota.hpp"

using namespace pg_org;

namespace {

constinit Statement insert_end_user{R"(
    INSERT INTO org.end_user (organization_id, end_user_id, alias, blocked, budget_id, metadata, kept, created_by,
                              updated_by, created_at, updated_at)
    VALUES ($1, $2, $3, coalesce($4, false), $5, coalesce($6, '{}'), $7, $8, $8, $9, $9)
        ON CONFLICT DO NOTHING
    RETURNING end_user_id)"};

// In the order of their names, so that two calls wait for each other in this order.
constinit Statement insert_end_users{R"(
    INSERT INTO org.end_user (organization_id, end_user_id, blocked, created_by, updated_by, created_at, updated_at)
    SELECT $1, named.id, true, $3, $3, $4, $4
      FROM unnest($2) AS named (id)
     ORDER BY named.id COLLATE "C"
        ON CONFLICT DO NOTHING)"};

constinit Statement update_end_user{R"(
    UPDATE org.end_user
       SET alias = CASE WHEN 'alias' = ANY ($9) THEN NULL ELSE coalesce($3, alias) END,
           blocked = coalesce($4, blocked),
           budget_id = $5,
           )" SET_METADATA_AND_KEPT("$6", "$7", "$8") R"(,
           updated_at = greatest(now(), created_at),
           updated_by = $10
     WHERE organization_id = $1
       AND end_user_id = $2)"};

constinit Statement set_end_users_blocked{R"(
    UPDATE org.end_user
       SET blocked = $3, updated_at = greatest(now(), created_at), updated_by = $4
     WHERE organization_id = $1
       AND end_user_id = ANY ($2)
       AND blocked <> $3)"};

constinit Statement delete_end_users{"DELETE FROM org.end_user WHERE organization_id = $1 AND end_user_id = ANY ($2)"};

// The fields of an end user that a call sets or clears.
struct EndUserChange {
    Maybe<Text> alias, budget_id;
    Maybe<bool> blocked;
    Maybe<Json> metadata;
    BudgetChange budget;
    JsonFieldsChange kept{kept_of_end_users};
};

EndUserChange read_fields(Session &session)
{
    EndUserChange change;
    change.alias = session.argument<Text>("alias");
    change.blocked = session.argument<bool>("blocked");
    change.budget_id = session.argument("budget_id", not_empty);
    change.metadata = session.argument("metadata", object);
    change.budget = read_budget_fields(session);
    change.kept.read(session);
    return change;
}

void require_one_budget(Text budget_id, const BudgetChange &budget)
{
    if (!budget.empty())
        refused("Either budget_id or budget fields (max_budget, tpm_limit, ...), not both: "
                "budget_id=%.*s has its own",
                FMT_ARG(budget_id));
}

// Locks the budget that the end user loses and the one that they get.
void lock_budgets_of(Session &session, const Maybe<Text> &before, const Maybe<Text> &given)
{
    const auto budgets = allocate<Text>(2);
    size_t count = 0;
    for (const auto &budget : {before, given})
        if (budget)
            budgets[count++] = *budget;
    const Texts locked = lock_budgets(session, budgets.first(count));
    if (given && std::ranges::find(locked, *given) == locked.end())
        no_such_budget(*given);
}

// Gives the locked end user a budget, or changes the one they have. Returns the budget that they have then.
Maybe<Text> change_budget_of(Session &session, const Maybe<Text> &before, const EndUserChange &change, bool detaches)
{
    const auto given = change.budget_id == before ? Maybe<Text>{} : change.budget_id;
    if (given) {
        require_giver_of_budget(session.caller, "end users");
        require_one_budget(*given, change.budget);
    }
    if (!given && !detaches && change.budget.empty())
        return before;
    lock_budgets_of(session, before, given);
    const auto attached = detaches ? Maybe<Text>{} : given ? given : before;
    return change_budget(session, attached, change.budget);
}

Texts asked_end_users(Session &session)
{
    const Texts asked = each_once(bounded_list(session.required("user_ids", text_list), "user_ids"));
    for (const Text id : asked)
        identifier(id, "user_ids");
    return asked;
}

void write_blocked(Session &session, Text organization_id, Texts end_user_ids)
{
    session.reply.begin_object().key("blocked_users").begin_array();
    write_end_users(session, organization_id, end_user_ids);
    session.reply.end_array().end_object();
}

// Those who are not there yet are made: an end user may be blocked before anybody made them.
void make_missing(Session &session, Text organization_id, Texts end_user_ids)
{
    const Rows present = lock_end_users(session, organization_id, end_user_ids);
    if (present.size() == end_user_ids.size())
        return;
    if (!organization_id.empty())
        require_room_for_end_users(session, organization_id, static_cast<int64>(end_user_ids.size() - present.size()));
    session.run(insert_end_users, organization_id, end_user_ids, session.caller.user_id, session.made_at());
}

} // namespace

PG_ORG_WRITE(customer_new)
{
    const Text end_user_id = session.argument("user_id", identifier);
    const Text organization_id = organization_of_end_user(session);
    const EndUserChange fields = read_fields(session);

    lock_for_end_users(session, organization_id, "/customer/new");
    if (fields.budget_id) {
        require_giver_of_budget(session.caller, "end users");
        require_one_budget(*fields.budget_id, fields.budget);
    }
    const auto refuse_taken = [&] {
        refused("Customer already exists, passed user_id=%.*s. Please pass a new user_id.", FMT_ARG(end_user_id));
    };
    // This also waits for somebody who is deleting them, so that the new one is made after that.
    if (!lock_end_users(session, organization_id, {&end_user_id, 1}).empty())
        refuse_taken();
    if (!organization_id.empty())
        require_room_for_end_users(session, organization_id, 1);
    if (fields.budget_id)
        share_budget(session, *fields.budget_id);
    const Time made_at = session.made_at();
    const auto budget_id = fields.budget_id ? fields.budget_id : change_budget(session, {}, fields.budget);
    const Rows made = session.run(insert_end_user, organization_id, end_user_id, fields.alias, fields.blocked,
                                  budget_id, fields.metadata, fields.kept.values(), session.caller.user_id, made_at);
    if (made.empty())
        refuse_taken();
    write_end_users(session, organization_id, {&end_user_id, 1});
}

PG_ORG_WRITE(customer_update)
{
    const Text end_user_id = session.required<Text>("user_id");
    const Text organization_id = organization_of_end_user(session);
    EndUserChange change = read_fields(session);
    static constexpr std::array<Text, 9> clearable{
        "alias",           "budget_id", "max_budget",      "soft_budget",
        "tpm_limit",       "rpm_limit", "budget_duration", "max_parallel_requests",
        "model_max_budget"};
    const Texts clear = fields_to_clear(session, change.budget.others.clearable(change.kept.clearable(clearable)));
    for (const Text field : clear)
        change.kept.set(field, Value{}) || change.budget.clear(field);
    const bool detaches = !change.budget_id && std::ranges::find(clear, "budget_id") != clear.end();

    lock_for_end_users(session, organization_id, "/customer/update");
    const Rows locked = lock_end_users(session, organization_id, {&end_user_id, 1});
    if (locked.empty())
        no_such_end_user(end_user_id);
    const auto before = locked[0].get<Text>(1);
    const auto after = change_budget_of(session, before, change, detaches);
    session.run(update_end_user, organization_id, end_user_id, change.alias, change.blocked, after, change.metadata,
                change.kept.values(), change.kept.names(), clear, session.caller.user_id);
    if (before && after != before)
        delete_unowned_auto_created_budget(session, *before);
    write_end_users(session, organization_id, {&end_user_id, 1});
}

PG_ORG_WRITE(customer_block)
{
    const Texts end_user_ids = asked_end_users(session);
    const Text organization_id = organization_of_end_user(session);
    lock_for_end_users(session, organization_id, "/customer/block");
    make_missing(session, organization_id, end_user_ids);
    require_all_end_users(end_user_ids, lock_end_users(session, organization_id, end_user_ids));
    session.run(set_end_users_blocked, organization_id, end_user_ids, true, session.caller.user_id);
    write_blocked(session, organization_id, end_user_ids);
}

PG_ORG_WRITE(customer_unblock)
{
    const Texts end_user_ids = asked_end_users(session);
    const Text organization_id = organization_of_end_user(session);
    lock_for_end_users(session, organization_id, "/customer/unblock");
    require_all_end_users(end_user_ids, lock_end_users(session, organization_id, end_user_ids));
    session.run(set_end_users_blocked, organization_id, end_user_ids, false, session.caller.user_id);
    write_blocked(session, organization_id, end_user_ids);
}

PG_ORG_WRITE(customer_delete)
{
    const Texts end_user_ids = asked_end_users(session);
    const Text organization_id = organization_of_end_user(session);
    lock_for_end_users(session, organization_id, "/customer/delete");
    const Rows found = lock_end_users(session, organization_id, end_user_ids);
    require_all_end_users(end_user_ids, found);
    const auto budgets = allocate<Text>(found.size());
    size_t count = 0;
    for (const Row row : found)
        if (const auto budget_id = row.get<Text>(1))
            budgets[count++] = *budget_id;
    const Texts locked_budgets = lock_budgets(session, budgets.first(count));
    session.run(delete_end_users, organization_id, end_user_ids);
    for (const Text budget_id : locked_budgets)
        delete_unowned_auto_created_budget(session, budget_id);
    session.reply.begin_object().key("deleted_customers").value(static_cast<int64>(end_user_ids.size())).end_object();
}

PG_ORG_READ(customer_info)
{
    const Text end_user_id = session.required<Text>("end_user_id");
    const Text organization_id = organization_of_end_user(session);
    require_reader_of_end_users(session, organization_id, "/customer/info");
    if (write_end_users(session, organization_id, {&end_user_id, 1}) == 0)
        no_such_end_user(end_user_id);
}
