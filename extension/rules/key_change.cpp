// Changing keys, and moving them to other owners.

#include "key_change.hpp"

#include "base/clock.hpp"
#include "base/duration.hpp"
#include "base/fail.hpp"
#include "base/number.hpp"
#include "base/route.hpp"
#include "lock.hpp"
#include "models.hpp"
#include "ownership.hpp"
#include "quota.hpp"
#include "show.hpp"

using namespace pg_org;

namespace {

constinit Statement lock_key{"SELECT key_id FROM org.api_key WHERE key_id = $1 FOR UPDATE"};

constinit Statement update_key{R"(
    UPDATE org.api_key
       SET key_alias = CASE WHEN 'key_alias' = ANY ($14) THEN NULL ELSE coalesce($2, key_alias) END,
           models = coalesce($3, models),
           )" SET_METADATA_AND_KEPT("$4", "$22", "$23") R"(,
           permissions = coalesce($5, permissions),
           expires = CASE WHEN 'duration' = ANY ($14) THEN NULL ELSE coalesce($6, expires) END,
           max_budget = CASE WHEN 'max_budget' = ANY ($14) THEN NULL ELSE coalesce($7, max_budget) END,
           model_max_budget = CASE WHEN 'model_max_budget' = ANY ($14) THEN '{}'
                                   ELSE coalesce($8, model_max_budget) END,
           tpm_limit = CASE WHEN 'tpm_limit' = ANY ($14) THEN NULL ELSE coalesce($9, tpm_limit) END,
           rpm_limit = CASE WHEN 'rpm_limit' = ANY ($14) THEN NULL ELSE coalesce($10, rpm_limit) END,
           max_parallel_requests = CASE WHEN 'max_parallel_requests' = ANY ($14) THEN NULL
                                        ELSE coalesce($11, max_parallel_requests) END,
           budget_duration = CASE WHEN 'budget_duration' = ANY ($14) THEN NULL ELSE coalesce($12, budget_duration) END,
           budget_reset_at = CASE WHEN 'budget_duration' = ANY ($14) THEN NULL
                                  WHEN $12 <> coalesce(budget_duration, '') THEN $13
                                  ELSE budget_reset_at END,
           blocked = coalesce($16, blocked),
           budget_id = CASE WHEN 'budget_id' = ANY ($14) THEN NULL ELSE coalesce($17, budget_id) END,
           allowed_routes = coalesce($18, allowed_routes),
           tags = coalesce($19, tags),
           aliases = coalesce($20, aliases),
           spend_reset_at = coalesce($21, spend_reset_at),
           )" SET_LIMITS("$24", "$25", "$26") R"(,
           updated_at = greatest(now(), created_at),
           updated_by = $15
     WHERE key_id = $1)"};

// What was spent stays with the organization in which it was spent, and the key has what it spent in its own.
constinit Statement move_key{R"(
    UPDATE org.api_key k
       SET organization_id = $2,
           team_id = $3,
           user_id = $4,
           delegated = delegated OR $5,
           spend = CASE WHEN $2 IS NOT DISTINCT FROM k.organization_id THEN k.spend
                        ELSE (SELECT coalesce(sum(d.spend), 0)
                                FROM org.usage_daily d
                               WHERE d.organization_id = coalesce($2, '')
                                 AND d.key_id = k.key_id) END,
           updated_at = now(),
           updated_by = $6
     WHERE key_id = $1)"};

// The next call counts anew, in the key's new organization or in this one when it comes back.
constinit Statement forget_counters{R"(
    WITH refusals AS (
        DELETE FROM org.usage_refusal
         WHERE organization_id = coalesce($1, '')
           AND team_id = ''
           AND user_id = ''
           AND key_id = $2)
    DELETE FROM org.usage_counter
     WHERE organization_id = coalesce($1, '')
       AND team_id = ''
       AND user_id = ''
       AND key_id = $2)"};

constinit Statement set_key_blocked{
    "UPDATE org.api_key SET blocked = $2, updated_at = now(), updated_by = $3 WHERE key_id = $1"};

// Limits of spend of its own that the key keeps in a change: $2 names those that are cleared.
constinit Statement find_own_limits{R"(
    SELECT
      FROM org.api_key
     WHERE key_id = $1
       AND ((max_budget IS NOT NULL AND 'max_budget' <> ALL ($2))
            OR (budget_duration IS NOT NULL AND 'budget_duration' <> ALL ($2))
            OR (model_max_budget <> '{}' AND 'model_max_budget' <> ALL ($2))))"};

bool same_owners(const NamedKey &one, const NamedKey &other)
{
    return one.organization_id == other.organization_id && one.team_id == other.team_id && one.user_id == other.user_id;
}

// The owners and the alias that the key has after the change.
NewKey changed(Session &session, const NamedKey &key, const KeyChange &change)
{
    NewKey after;
    after.user_id = change.user_id ? change.user_id : key.user_id;
    after.key_alias = change.clears("key_alias") ? Maybe<Text>{} : change.key_alias ? change.key_alias : key.key_alias;
    after.organization_id = change.organization_id ? change.organization_id : key.organization_id;
    after.team_id = change.team_id;
    if (change.team_id) {
        after.organization_id = change.organization_id;
        resolve_team(session, after);
    } else if (after.organization_id == key.organization_id) {
        after.team_id = key.team_id;
    }
    return after;
}

// The change without the owners that the key already has: clients send them along with what they change.
KeyChange without_present_owners(KeyChange change, const Maybe<NamedKey> &key)
{
    if (!key)
        return change;
    if (change.user_id == key->user_id)
        change.user_id = {};
    if (change.team_id == key->team_id && (!change.organization_id || change.organization_id == key->organization_id))
        change.team_id = {};
    if (change.organization_id == key->organization_id && !change.team_id)
        change.organization_id = {};
    return change;
}

// Locks the organizations, team and user that the key has and those that it moves to, in this order.
void lock_owners_of(Session &session, const NamedKey &key, const NewKey &after, bool moves)
{
    const auto organizations = allocate<Text>(2);
    size_t count = 0;
    for (const auto &organization : {key.organization_id, after.organization_id})
        if (organization)
            organizations[count++] = *organization;
    if (count > 0) {
        session.audit_as(organizations[count - 1]);
        const Texts locked = lock_organizations(session, each_once(organizations.first(count)));
        const auto is_gone = [&](const Maybe<Text> &organization) {
            return organization && std::ranges::find(locked, *organization) == locked.end();
        };
        if (is_gone(key.organization_id))
            not_found("Key not found");
        if (is_gone(after.organization_id))
            no_such_reference("Organization not found for organization_id=%.*s", FMT_ARG(*after.organization_id));
    }
    if (!moves)
        return;
    if (after.team_id)
        lock_team_of(session, after);
    lock_key_user(session, after);
}

// Locks the budget that the key loses and the one that it gets.
void lock_budgets_of(Session &session, const NamedKey &key, const KeyChange &change)
{
    if (!change.budget_id && !change.clears("budget_id"))
        return;
    const auto budgets = allocate<Text>(2);
    size_t count = 0;
    for (const auto &budget : {key.budget_id, change.budget_id})
        if (budget)
            budgets[count++] = *budget;
    const Texts locked = lock_budgets(session, budgets.first(count));
    if (change.budget_id && std::ranges::find(locked, *change.budget_id) == locked.end())
        no_such_budget(*change.budget_id);
}

// A budget is never beside limits of spend of the key itself.
void require_one_budget(Session &session, const NamedKey &key, const KeyChange &change)
{
    const auto budget_id = change.clears("budget_id") ? Maybe<Text>{}
                           : change.budget_id         ? change.budget_id
                                                      : key.budget_id;
    if (!budget_id)
        return;
    require_no_own_budget(*budget_id, change.limits);
    if (change.budget_id && !session.run(find_own_limits, key.key_id, change.clear).empty())
        refused("Clear max_budget, model_max_budget and budget_duration of the key first: budget_id=%.*s has its own",
                FMT_ARG(*budget_id));
}

void move(Session &session, const NamedKey &key, const NewKey &after)
{
    const bool leaves = after.organization_id != key.organization_id;
    if (leaves && key.has_permissions && !session.caller.is_proxy_admin())
        forbidden("You are not allowed to move a key that has permissions to another organization, only proxy admins "
                  "are. Your role is = %s",
                  role_name(session.caller.role));
    if (leaves)
        require_room_for_key(session, after.organization_id, after.team_id, after.user_id);
    else if (after.team_id && after.team_id != key.team_id)
        require_room_for_key_in_team(session, after.organization_id.value_or(Text{}), *after.team_id);
    else if (!after.organization_id && after.user_id != key.user_id)
        require_room_for_key(session, {}, {}, after.user_id);
    session.run(move_key, key.key_id, after.organization_id, after.team_id, after.user_id,
                is_delegated(session.caller, after.user_id), session.caller.user_id);
    if (leaves)
        session.run(forget_counters, key.organization_id, key.key_id);
}

void set_key_blocked_and_reply(Session &session, bool blocked, const char *route)
{
    const Text key = session.required<Text>("key");
    const NamedKey named = change_key(session, key, KeyChange{.blocked = blocked}, route);
    write_key(session, named.key_id);
}

} // namespace

namespace pg_org {

bool KeyChange::only_names() const
{
    return !models && !permissions && !expires && !limits.any() && !blocked && !budget_id && !allowed_routes && !tags &&
           !aliases && !kept.any() && !moves() && !resets_spend &&
           std::ranges::all_of(clear, [](Text field) { return field == "key_alias"; });
}

KeyChange read_key_change(Session &session)
{
    KeyChange change;
    change.key_alias = session.argument("key_alias", not_empty);
    if (change.key_alias)
        identifier(change.key_alias, "key_alias");
    change.models = session.argument("models", model_list);
    change.metadata = session.argument("metadata", object);
    change.permissions = session.argument("permissions", permissions_object);
    change.limits = read_own_limits(session, LimitsOf::key);
    change.blocked = session.argument<bool>("blocked");
    change.budget_id = session.argument("budget_id", not_empty);
    change.allowed_routes = session.argument("allowed_routes", route_list);
    change.tags = session.argument("tags", tag_list);
    change.aliases = session.argument("aliases", model_aliases);
    change.organization_id = session.argument("organization_id", not_empty);
    change.team_id = session.argument("team_id", not_empty);
    change.user_id = session.argument("user_id", not_empty);
    change.resets_spend = session.argument("spend", resets_spend);
    static constexpr std::array<Text, 9> clearable{"key_alias",       "duration",  "max_budget",
                                                   "tpm_limit",       "rpm_limit", "max_parallel_requests",
                                                   "budget_duration", "budget_id", "model_max_budget"};
    change.kept.read(session);
    change.clear = fields_to_clear(session, change.limits.others.clearable(change.kept.clearable(clearable)));
    for (const Text field : change.clear)
        if (!change.kept.set(field, Value{}))
            change.limits.others.set(field, Value{});
    const auto [never, expires] = session.argument("duration", read_expiry);
    change.expires = expires;
    if (never) {
        const auto clear = allocate<Text>(change.clear.size() + 1);
        std::ranges::copy(change.clear, clear.begin());
        clear.back() = "duration";
        change.clear = clear;
    }
    return change;
}

NamedKey change_key(Session &session, Text asked, const KeyChange &wanted, const char *route)
{
    const KeyChange change = without_present_owners(wanted, find_key(session, asked));
    const Allowed allowed = change.only_names() ? Allowed::key_user_too : Allowed::admins;
    const Caller &caller = session.caller;
    require_giver_of(caller, change.permissions);
    const NamedKey key = key_to_change(session, asked, allowed, route);
    if (change.budget_id)
        require_giver_of_budget(caller, "keys");
    const NewKey after = changed(session, key, change);
    if (change.moves())
        require_maker(session, after);
    lock_owners_of(session, key, after, change.moves());
    lock_budgets_of(session, key, change);
    if (session.run(lock_key, key.key_id).empty())
        not_found("Key not found");
    session.look_up_caller_again();
    // Rights, owners and the budget may have changed while this waited.
    const NamedKey now = key_to_change(session, key.key_id, allowed, route);
    if (!same_owners(now, key) || now.budget_id != key.budget_id)
        busy();
    require_one_budget(session, key, change);
    if (change.moves()) {
        require_maker(session, after);
        move(session, key, after);
    }
    if (change.key_alias || change.moves())
        require_free_alias(session, after, key.key_id);
    if (change.models)
        require_models_of_caller(caller, *change.models);
    if (change.allowed_routes)
        require_routes_of_caller(caller, *change.allowed_routes);
    session.run(update_key, key.key_id, change.key_alias, change.models, change.metadata, change.permissions,
                change.expires, change.limits.max_budget, change.limits.model_max_budget, change.limits.tpm_limit,
                change.limits.rpm_limit, change.limits.max_parallel_requests, change.limits.budget_duration,
                change.limits.budget_reset_at, change.clear, caller.user_id, change.blocked, change.budget_id,
                change.allowed_routes, change.tags, change.aliases,
                change.resets_spend ? Maybe<Time>{present()} : Maybe<Time>{}, change.kept.values(), change.kept.names(),
                change.limits.others.sentences, change.limits.others.short_forms.values(),
                change.limits.others.short_forms.names());
    require_valid_limits_of_key(session, key.key_id, change.limits);
    if (change.models || change.moves())
        require_key_within_owners(session, key.key_id);
    if (!caller.is_proxy_admin())
        require_key_within_user(session, key.key_id);
    if (key.budget_id && (change.budget_id || change.clears("budget_id")))
        delete_unowned_auto_created_budget(session, *key.budget_id);
    return key;
}

Text shown_as_asked(Session &session, Text asked, Text key_id) { return session.keeps_reply() ? key_id : asked; }

void write_key_as_asked(Session &session, Text asked, Text key_id)
{
    const Row row = read_key(session, key_id)[0];
    session.reply.begin_object().key("key").value(shown_as_asked(session, asked, key_id));
    session.reply.columns(row, 0, row.columns()).end_object();
}

} // namespace pg_org

PG_ORG_WRITE(key_update)
{
    const Text key = session.required<Text>("key");
    const NamedKey changed = change_key(session, key, read_key_change(session), "/key/update");
    write_key_as_asked(session, key, changed.key_id);
}

PG_ORG_WRITE(key_reset_spend)
{
    const Text key = session.required<Text>("key");
    const auto reset_to = session.required("reset_to", money);
    if (reset_to > zero())
        invalid("reset_to", "must be 0");
    const NamedKey changed = change_key(session, key, KeyChange{.resets_spend = true}, "/key/update");
    write_key_as_asked(session, key, changed.key_id);
}

PG_ORG_WRITE(key_block) { set_key_blocked_and_reply(session, true, "/key/block"); }

PG_ORG_WRITE(key_unblock) { set_key_blocked_and_reply(session, false, "/key/unblock"); }
