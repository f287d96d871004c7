// Changing users: one, or many at once.

#include "base/clock.hpp"
#include "base/duration.hpp"
#include "base/number.hpp"
#include "budget.hpp"
#include "lock.hpp"
#include "models.hpp"
#include "people.hpp"
#include "quota.hpp"
#include "show.hpp"
#include "user.hpp"
#include "user_join.hpp"

using namespace pg_org;

namespace {

// The users whom $1 names by identifier or address; and, for one must remain, all proxy admins if $2.
constinit Statement lock_to_change{R"(
    SELECT user_id, user_role = 'proxy_admin'
      FROM org."user"
     WHERE user_id IN
           (SELECT user_id
              FROM org."user"
             WHERE user_id = ANY ($1)
             UNION
            SELECT u.user_id
              FROM org."user" u
              JOIN unnest($1) AS name ON org.folded(btrim(u.user_email)) = org.folded(btrim(name))
             UNION
            SELECT user_id
              FROM org."user"
             WHERE user_role = 'proxy_admin'
               AND $2)
     ORDER BY user_id
       FOR NO KEY UPDATE)"};

constinit Statement find_changed_user{R"(SELECT user_role = 'proxy_admin' FROM org."user" WHERE user_id = $1)"};

constinit Statement update_user{R"(
    UPDATE org."user"
       SET user_email = CASE WHEN 'user_email' = ANY ($13) THEN NULL ELSE coalesce($2, user_email) END,
           user_alias = CASE WHEN 'user_alias' = ANY ($13) THEN NULL ELSE coalesce($3, user_alias) END,
           user_role = coalesce($4, user_role),
           models = coalesce($5, models),
           max_budget = CASE WHEN 'max_budget' = ANY ($13) THEN NULL ELSE coalesce($6, max_budget) END,
           model_max_budget = CASE WHEN 'model_max_budget' = ANY ($13) THEN '{}'
                                   ELSE coalesce($7, model_max_budget) END,
           tpm_limit = CASE WHEN 'tpm_limit' = ANY ($13) THEN NULL ELSE coalesce($8, tpm_limit) END,
           rpm_limit = CASE WHEN 'rpm_limit' = ANY ($13) THEN NULL ELSE coalesce($9, rpm_limit) END,
           budget_duration = CASE WHEN 'budget_duration' = ANY ($13) THEN NULL ELSE coalesce($10, budget_duration) END,
           budget_reset_at = CASE WHEN 'budget_duration' = ANY ($13) THEN NULL
                                  WHEN $10 <> coalesce(budget_duration, '') THEN $11
                                  ELSE budget_reset_at END,
           metadata = coalesce($12, metadata),
           quotas = CASE WHEN 'quotas' = ANY ($13) THEN '{}' ELSE coalesce($15, quotas) END,
           spend_reset_at = coalesce($16, spend_reset_at),
           )" SET_LIMITS("$17", "$18", "$19") R"(,
           updated_at = greatest(now(), created_at),
           updated_by = $14
     WHERE user_id = $1)"};

constexpr int64 max_of_all_users = 10'000;
constinit Statement find_all_users{R"(SELECT user_id FROM org."user" ORDER BY user_id LIMIT $1)"};

constexpr std::array<Text, 8> clearable{"user_email", "user_alias",      "max_budget", "tpm_limit",
                                        "rpm_limit",  "budget_duration", "quotas",     "model_max_budget"};

// A change of one user. Without user_id, user_email says who is meant; with it, it is the new address.
struct UserChange {
    Maybe<Text> user_id, user_email, user_alias, user_role;
    Maybe<Texts> models;
    OwnLimits limits{short_limits_of_users};
    Maybe<Json> metadata, quotas;
    bool resets_spend = false;
    std::span<const TeamToJoin> teams; // that they join, beside those they are in; none keeps those
    Texts clear;

    Maybe<Text> new_email() const { return user_id ? user_email : Maybe<Text>{}; }
    bool demotes() const { return user_role && user_role != "proxy_admin"; }
    // Whether it changes more than the name, which users may choose themselves.
    bool changes_rights() const
    {
        return new_email() || user_role || models || limits.any() || metadata || quotas || resets_spend ||
               !teams.empty() || std::ranges::any_of(clear, [](Text field) { return field != "user_alias"; });
    }
};

UserChange read_change(Session &session)
{
    UserChange change;
    change.user_id = session.argument("user_id", not_empty);
    change.user_email = session.argument("user_email", email_address);
    change.user_alias = session.argument<Text>("user_alias");
    change.user_role = session.argument<Text>("user_role");
    if (change.user_role)
        checked_role(change.user_role, "user_role");
    change.models = session.argument("models", model_list);
    change.limits = read_own_limits(session, LimitsOf::user);
    change.metadata = session.argument("metadata", object);
    change.quotas = session.argument("quotas", quotas_of_user);
    change.resets_spend = session.argument("spend", resets_spend);
    change.teams = read_teams_to_join(session, {});
    change.clear = fields_to_clear(session, change.limits.others.clearable(clearable));
    for (const Text field : change.clear)
        change.limits.others.set(field, Value{});
    return change;
}

Texts with(Texts fields, Text field)
{
    const auto all = allocate<Text>(fields.size() + 1);
    std::ranges::copy(fields, all.begin());
    all[fields.size()] = field;
    return all;
}

// Reads a member of an object that is a change; null clears.
void read_field(UserChange &change, Text field, const Value &value)
{
    const char *name = value.path();
    OwnLimits &limits = change.limits;
    if (value.is_null()) {
        if (limits.others.set(field, value) ||
            (std::ranges::find(clearable, field) != clearable.end() && (field != "user_email" || change.user_id)))
            change.clear = with(change.clear, field);
    } else if (field == "user_id" || field == "user_email") {
        // read before
    } else if (field == "user_alias") {
        change.user_alias = value.as_text();
    } else if (field == "user_role") {
        change.user_role = value.as_text();
        checked_role(change.user_role, name);
    } else if (field == "models") {
        change.models = model_list(value.as_texts(), name);
    } else if (field == "max_budget") {
        limits.max_budget = money(value.as_number(), name);
    } else if (field == "model_max_budget") {
        limits.model_max_budget = model_budgets(value.as_object(), name);
    } else if (field == "tpm_limit") {
        limits.tpm_limit = limit(value.as_integer(), name);
    } else if (field == "rpm_limit") {
        limits.rpm_limit = limit(value.as_integer(), name);
    } else if (field == "budget_duration") {
        limits.budget_duration = value.as_text();
        limits.budget_reset_at = first_reset(limits.budget_duration, name);
    } else if (field == "metadata") {
        change.metadata = object(value.as_object(), name);
    } else if (field == "quotas") {
        change.quotas = quotas_of_user(value.as_object(), name);
    } else if (field == "spend") {
        change.resets_spend = resets_spend(value.as_number(), name);
    } else if (!limits.others.set(field, value)) {
        invalid(name, "is not supported");
    }
}

UserChange read_change_of_any(const Value &value)
{
    UserChange change;
    if (!value.is_object())
        invalid(value.path(), "must be an object of fields of a user");
    change.user_id = optional_text(value.member("user_id"));
    if (const auto email = optional_text(value.member("user_email")))
        change.user_email = email_address(email, value.member("user_email").path());
    const Json fields = value.as_object();
    for (const auto &[field, entry] : members(fields, value.path()))
        read_field(change, field, entry);
    return change;
}

UserChange read_change_of_one(const Value &value)
{
    const UserChange change = read_change_of_any(value);
    if (!change.user_id && !change.user_email)
        missing(psprintf("%s.user_id", value.path()));
    return change;
}

// Locks the users, and the addresses that they get, so that no two users get the same one. Returns how many proxy
// admins there are, if a change takes that role from anybody.
int64 lock_users(Session &session, std::span<const UserChange> changes)
{
    const auto names = allocate<Text>(2 * changes.size());
    const auto to_lock = allocate<Text>(2 * changes.size());
    size_t count = 0, lock_count = 0;
    for (const UserChange &change : changes) {
        if (change.user_id)
            names[count++] = *change.user_id;
        if (change.user_id && !change.teams.empty()) // as whoever puts people into teams does first
            to_lock[lock_count++] = *change.user_id;
        if (change.user_email)
            names[count++] = to_lock[lock_count++] = *change.user_email;
    }
    if (lock_count > 0)
        lock_names(session, to_lock.first(lock_count));
    const Rows locked =
        session.run(lock_to_change, Texts{names.first(count)}, std::ranges::any_of(changes, &UserChange::demotes));
    session.look_up_caller_again();
    int64 proxy_admins = 0;
    for (const Row user : locked)
        proxy_admins += *user.get<bool>(1);
    return proxy_admins;
}

// The result of a change: whose it is, as far as that is known, and why it is refused, unless it was carried out.
struct Outcome {
    Maybe<Text> user_id;
    Maybe<Refusal> refusal;
};

Outcome unknown_user(const char *field, Text value)
{
    return {{}, refusal(ERRCODE_NO_DATA_FOUND, nullptr, "User not found for %s=%.*s", field, FMT_ARG(value))};
}

// Changes a locked user. One with an unknown user_id is made.
Outcome carry_out(Session &session, const UserChange &change, int64 &proxy_admins)
{
    const auto named = change.user_id ? change.user_id : user_of_email(session, *change.user_email);
    if (!named)
        return unknown_user("user_email", *change.user_email);
    const Text user_id = *named;
    if (const auto email = change.new_email()) {
        const auto holder = user_of_email(session, *email);
        if (holder && *holder != user_id)
            return {named, taken_email(*email)};
    }
    const Rows found = session.run(find_changed_user, user_id);
    const bool is_proxy_admin = !found.empty() && *found[0].get<bool>(0);
    if (is_proxy_admin && change.demotes() && proxy_admins == 1)
        return {named, last_proxy_admin()};
    if (change.user_role)
        proxy_admins += static_cast<int64>(!change.demotes()) - static_cast<int64>(is_proxy_admin);
    const auto &caller = session.caller;
    if (found.empty()) {
        if (user_id.empty() || user_id.size() > max_name_bytes)
            return unknown_user("user_id", user_id);
        // Another request may be making the same user.
        if (!make_user(session, user_id) && session.run(find_changed_user, user_id).empty())
            busy();
    }
    const OwnLimits &limits = change.limits;
    session.run(update_user, user_id, change.new_email(), change.user_alias, change.user_role, change.models,
                limits.max_budget, limits.model_max_budget, limits.tpm_limit, limits.rpm_limit, limits.budget_duration,
                limits.budget_reset_at, change.metadata, change.clear, caller.user_id, change.quotas,
                change.resets_spend ? Maybe<Time>{present()} : Maybe<Time>{}, limits.others.sentences,
                limits.others.short_forms.values(), limits.others.short_forms.names());
    require_valid_limits_of_user(session, user_id, limits);
    return {named, {}};
}

// Users may give themselves another name. A key that is confined to an organization may be in other hands than its
// user's.
void require_right_to(Session &session, const UserChange &change)
{
    const Caller &caller = session.caller;
    if (caller.is_proxy_admin())
        return;
    const auto user_id = change.user_id ? change.user_id : user_of_email(session, *change.user_email);
    const bool own =
        user_id && caller.user_id == user_id && !caller.organization_id && caller.role != Role::proxy_admin_viewer;
    if (!own || change.changes_rights())
        forbidden("Only proxy admins can change users, beyond one's own user_alias. Your role is = %s",
                  role_name(caller.role));
}

std::span<const UserChange> read_changes_of_all(Session &session)
{
    const UserChange change = read_change_of_any(required(session.json("user_updates"), "user_updates"));
    if (change.user_id || change.user_email)
        invalid("user_updates", "must not have user_id or user_email, since it is for all users");
    const Texts user_ids = session.run(find_all_users, max_of_all_users + 1).texts();
    if (static_cast<int64>(user_ids.size()) > max_of_all_users)
        refused("There are more than " INT64_FORMAT " users. Please name those to change in 'users' instead.",
                max_of_all_users);
    const auto changes = allocate<UserChange>(user_ids.size());
    for (size_t i = 0; i < user_ids.size(); i++) {
        changes[i] = change;
        changes[i].user_id = user_ids[i];
    }
    return changes;
}

void write_outcome(Session &session, const UserChange &change, const Outcome &outcome)
{
    Writer &reply = session.reply;
    reply.begin_object().key("user_id").value(outcome.user_id ? outcome.user_id : change.user_id);
    reply.key("user_email").value(change.user_email).key("success").value(!outcome.refusal);
    reply.key("error");
    if (outcome.refusal)
        reply.value(to_text(outcome.refusal->message)).key("updated_user").null();
    else {
        reply.null().key("updated_user");
        write_user(session, *outcome.user_id, {});
    }
    reply.end_object();
}

} // namespace

PG_ORG_WRITE(user_update)
{
    const UserChange change = read_change(session);
    if (!change.user_id && !change.user_email)
        missing("user_id");
    require_right_to(session, change);
    const ToJoin to_join = lock_to_join(session, change.teams, {});
    int64 proxy_admins = lock_users(session, {&change, 1});
    const Outcome outcome = carry_out(session, change, proxy_admins);
    if (outcome.refusal)
        raise(*outcome.refusal);
    if (!change.teams.empty()) {
        require_all_teams(session, to_join, *outcome.user_id);
        join(session, to_join, *outcome.user_id);
    }
    session.reply.begin_object().key("user_id").value(*outcome.user_id).key("data");
    write_user(session, *outcome.user_id, {});
    session.reply.end_object();
}

PG_ORG_WRITE(user_reset_spend)
{
    UserChange change;
    change.user_id = session.required<Text>("user_id");
    if (session.required("reset_to", money) > zero())
        invalid("reset_to", "must be 0");
    change.resets_spend = true;
    require_right_to(session, change);
    int64 proxy_admins = lock_users(session, {&change, 1});
    const Text user_id = *change.user_id;
    if (session.run(find_changed_user, user_id).empty())
        raise(*unknown_user("user_id", user_id).refusal);
    carry_out(session, change, proxy_admins);
    write_user(session, user_id, {});
}

PG_ORG_WRITE(user_bulk_update)
{
    const auto users = session.json("users");
    const bool all_users = session.argument<bool>("all_users").value_or(false);
    if (users && all_users)
        invalid("all_users", "must not be true together with users");
    const auto listed = all_users ? std::span<UserChange>{} : read_list(required(users, "users"), read_change_of_one);
    if (!session.caller.is_proxy_admin())
        forbidden("Only proxy admins can change users in bulk. Your role is = %s", role_name(session.caller.role));
    const std::span<const UserChange> changes = all_users ? read_changes_of_all(session) : listed;

    int64 proxy_admins = lock_users(session, changes);
    int64 failed = 0;
    Writer &reply = session.reply;
    reply.begin_object().key("results").begin_array();
    for (const UserChange &change : changes) {
        CHECK_FOR_INTERRUPTS();
        const Outcome outcome = carry_out(session, change, proxy_admins);
        failed += outcome.refusal.has_value();
        write_outcome(session, change, outcome);
    }
    const auto total = static_cast<int64>(changes.size());
    reply.end_array().key("total_requested").value(total).key("successful_updates").value(total - failed);
    reply.key("failed_updates").value(failed).end_object();
}
