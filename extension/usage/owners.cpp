// Locking and reading owners.

#include "owners.hpp"

#include "base/bounds.hpp"
#include "ranges.hpp"
#include "rules/budget.hpp"

namespace pg_org {

namespace {

// Statements that take identifiers and return those that exist, sorted.
struct OwnerStatements {
    Statement lock, lock_free, find; // lock_free leaves out rows that other transactions have locked
};

constinit OwnerStatements organization_statements{Statement{R"(
    SELECT organization_id FROM org.organization WHERE organization_id = ANY ($1)
     ORDER BY organization_id FOR NO KEY UPDATE)"},
                                                  Statement{R"(
    SELECT organization_id FROM org.organization WHERE organization_id = ANY ($1)
     ORDER BY organization_id FOR NO KEY UPDATE SKIP LOCKED)"},
                                                  Statement{R"(
    SELECT organization_id FROM org.organization WHERE organization_id = ANY ($1) ORDER BY organization_id)"}};

constinit OwnerStatements team_statements{Statement{R"(
    SELECT team_id FROM org.team WHERE organization_id = '' AND team_id = ANY ($1)
     ORDER BY team_id FOR NO KEY UPDATE)"},
                                          Statement{R"(
    SELECT team_id FROM org.team WHERE organization_id = '' AND team_id = ANY ($1)
     ORDER BY team_id FOR NO KEY UPDATE SKIP LOCKED)"},
                                          Statement{R"(
    SELECT team_id FROM org.team WHERE organization_id = '' AND team_id = ANY ($1) ORDER BY team_id)"}};

constinit OwnerStatements user_statements{Statement{R"(
    SELECT user_id FROM org."user" WHERE user_id = ANY ($1) ORDER BY user_id FOR NO KEY UPDATE)"},
                                          Statement{R"(
    SELECT user_id FROM org."user" WHERE user_id = ANY ($1) ORDER BY user_id FOR NO KEY UPDATE SKIP LOCKED)"},
                                          Statement{R"(
    SELECT user_id FROM org."user" WHERE user_id = ANY ($1) ORDER BY user_id)"}};

constinit OwnerStatements key_statements{Statement{R"(
    SELECT key_id FROM org.api_key WHERE key_id = ANY ($1) ORDER BY key_id FOR NO KEY UPDATE)"},
                                         Statement{R"(
    SELECT key_id FROM org.api_key WHERE key_id = ANY ($1) ORDER BY key_id FOR NO KEY UPDATE SKIP LOCKED)"},
                                         Statement{R"(
    SELECT key_id FROM org.api_key WHERE key_id = ANY ($1) ORDER BY key_id)"}};

// Owners by their identifiers, $1 to $4. All have the columns that read_owner() reads.
constinit Statement read_organizations{R"(
    SELECT n.place, x.created_at, x.spend,
           b.max_budget, b.soft_budget, b.model_max_budget, b.tpm_limit, b.rpm_limit, b.max_parallel_requests,
           b.budget_duration, b.budget_reset_at,
           x.blocked, x.models, x.model_aliases, x.default_reserve, NULL::text, NULL::timestamptz,
           x.tags, '{}'::text[], NULL::timestamptz
      FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS n (organization_id, team_id, user_id, key_id, place)
      JOIN (org.organization x LEFT JOIN org.budget b USING (budget_id)) ON x.organization_id = n.organization_id)"};

constinit Statement read_teams{R"(
    SELECT n.place, x.created_at, x.spend,
           x.max_budget, NULL::numeric, NULL::jsonb, x.tpm_limit, x.rpm_limit, x.max_parallel_requests,
           x.budget_duration, x.budget_reset_at,
           x.blocked, x.models, x.model_aliases, NULL::numeric, NULL::text, NULL::timestamptz,
           x.tags, '{}'::text[], x.spend_reset_at
      FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS n (organization_id, team_id, user_id, key_id, place)
      JOIN org.team x ON x.organization_id = n.organization_id AND x.team_id = n.team_id)"};

constinit Statement read_members{R"(
    SELECT n.place, x.created_at, x.spend,
           b.max_budget, b.soft_budget, b.model_max_budget, b.tpm_limit, b.rpm_limit, b.max_parallel_requests,
           b.budget_duration, b.budget_reset_at,
           false, '{}'::text[], NULL::jsonb, NULL::numeric, NULL::text, NULL::timestamptz,
           '{}'::text[], '{}'::text[], NULL::timestamptz
      FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS n (organization_id, team_id, user_id, key_id, place)
      JOIN (org.membership x LEFT JOIN org.budget b USING (budget_id))
        ON x.organization_id = n.organization_id AND x.user_id = n.user_id)"};

constinit Statement read_team_members{R"(
    SELECT n.place, x.created_at, x.spend,
           b.max_budget, b.soft_budget, b.model_max_budget, b.tpm_limit, b.rpm_limit, b.max_parallel_requests,
           b.budget_duration, b.budget_reset_at,
           false, '{}'::text[], NULL::jsonb, NULL::numeric, NULL::text, NULL::timestamptz,
           '{}'::text[], '{}'::text[], NULL::timestamptz
      FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS n (organization_id, team_id, user_id, key_id, place)
      JOIN (org.team_member x LEFT JOIN org.budget b USING (budget_id))
        ON x.organization_id = n.organization_id AND x.team_id = n.team_id AND x.user_id = n.user_id)"};

constinit Statement read_users{R"(
    SELECT n.place, x.created_at, x.spend,
           x.max_budget, NULL::numeric, x.model_max_budget, x.tpm_limit, x.rpm_limit, NULL::bigint,
           x.budget_duration, x.budget_reset_at,
           false, x.models, NULL::jsonb, NULL::numeric, NULL::text, NULL::timestamptz,
           '{}'::text[], '{}'::text[], x.spend_reset_at
      FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS n (organization_id, team_id, user_id, key_id, place)
      JOIN org."user" x ON x.user_id = n.user_id)"};

// A key may have limits of its own and those of a budget; both hold. The calls that it made before it moved to another
// organization are not charged to it any more.
constinit Statement read_keys{R"(
    SELECT n.place, x.created_at, x.spend,
           coalesce(x.max_budget, b.max_budget), b.soft_budget,
           CASE WHEN b.budget_id IS NULL THEN x.model_max_budget ELSE b.model_max_budget END,
           least(x.tpm_limit, b.tpm_limit), least(x.rpm_limit, b.rpm_limit),
           least(x.max_parallel_requests, b.max_parallel_requests),
           coalesce(x.budget_duration, b.budget_duration), coalesce(x.budget_reset_at, b.budget_reset_at),
           x.blocked, x.models, x.aliases, NULL::numeric, x.key_alias, x.expires,
           x.tags, x.allowed_routes, x.spend_reset_at
      FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS n (organization_id, team_id, user_id, key_id, place)
      JOIN (org.api_key x LEFT JOIN org.budget b USING (budget_id))
        ON x.key_id = n.key_id AND coalesce(x.organization_id, '') = n.organization_id)"};

Statement &statement_to_read(OwnerKind kind)
{
    switch (kind) {
    case OwnerKind::organization: return read_organizations;
    case OwnerKind::team: return read_teams;
    case OwnerKind::member: return read_members;
    case OwnerKind::team_member: return read_team_members;
    case OwnerKind::user: return read_users;
    case OwnerKind::key: return read_keys;
    }
    pg_unreachable();
}

constexpr std::array<Text, owner_kinds.size()> kind_names{"organization", "team", "member",
                                                          "team_member",  "user", "key"};

// The period without what was before the last reset.
Window since_reset(const Owner &owner, Window window)
{
    if (owner.spend_reset_at && owner.spend_reset_at->value > window.start.value)
        window.start = *owner.spend_reset_at;
    return window;
}

Window window_of(const Owner &owner, Time now)
{
    return since_reset(
        owner, budget_window(now, owner.limits.budget_duration, owner.limits.budget_reset_at, owner.created_at));
}

// The columns after the place.
Owner read_owner(const Row &row, OwnerKind kind, const OwnerIds &ids, Time now)
{
    Owner owner{
        .kind = kind,
        .ids = ids,
        .created_at = *row.get<Time>(1),
        .spend = *row.get<Number>(2),
        .limits =
            {
                .max_budget = row.get<Number>(3),
                .soft_budget = row.get<Number>(4),
                .model_max_budget = row.get<Json>(5),
                .tpm_limit = row.get<int64>(6),
                .rpm_limit = row.get<int64>(7),
                .max_parallel_requests = row.get<int64>(8),
                .budget_duration = row.get<Text>(9),
                .budget_reset_at = row.get<Time>(10),
            },
        .blocked = *row.get<bool>(11),
        .models = *row.get<Texts>(12),
        .model_aliases = row.get<Json>(13),
        .default_reserve = row.get<Number>(14),
        .key_alias = row.get<Text>(15),
        .expires = row.get<Time>(16),
        .tags = *row.get<Texts>(17),
        .allowed_routes = *row.get<Texts>(18),
        .spend_reset_at = row.get<Time>(19),
    };
    owner.window = window_of(owner, now);
    return owner;
}

// The owners of one kind by their distinct identifiers, null for those that do not exist.
std::span<Owner *> read_kind(Session &session, OwnerKind kind, std::span<const OwnerIds> ids, Time now,
                             std::span<Owner> into, size_t &count)
{
    const auto column = [&](auto member) {
        return map<Text>(ids, [&](const OwnerIds &owner) { return owner.*member; });
    };
    const auto found = allocate<Owner *>(ids.size());
    for (const Row row :
         session.run(statement_to_read(kind), column(&OwnerIds::organization_id), column(&OwnerIds::team_id),
                     column(&OwnerIds::user_id), column(&OwnerIds::key_id))) {
        const auto place = static_cast<size_t>(*row.get<int64>(0)) - 1;
        if (found[place] != nullptr)
            not_as_made("Two rows have the key of one");
        found[place] = &(into[count++] = read_owner(row, kind, ids[place], now));
    }
    return found;
}

} // namespace

Text name_of(OwnerKind kind) { return kind_names[static_cast<size_t>(kind)]; }

bool OwnerIds::has(OwnerKind kind) const
{
    switch (kind) {
    case OwnerKind::organization: return !organization_id.empty();
    case OwnerKind::team: return !team_id.empty();
    case OwnerKind::member: return !organization_id.empty() && !user_id.empty();
    case OwnerKind::team_member: return !team_id.empty() && !user_id.empty();
    case OwnerKind::user: return !user_id.empty() && !delegated;
    case OwnerKind::key: return true;
    }
    pg_unreachable();
}

OwnerIds OwnerIds::of(OwnerKind kind) const
{
    switch (kind) {
    case OwnerKind::organization: return {organization_id, {}, {}, {}};
    case OwnerKind::team: return {organization_id, team_id, {}, {}};
    case OwnerKind::member: return {organization_id, {}, user_id, {}};
    case OwnerKind::team_member: return {organization_id, team_id, user_id, {}};
    case OwnerKind::user: return {{}, {}, user_id, {}};
    case OwnerKind::key: return {organization_id, {}, {}, key_id};
    }
    pg_unreachable();
}

Text Owner::id() const
{
    switch (kind) {
    case OwnerKind::organization: return ids.organization_id;
    case OwnerKind::team: return ids.team_id;
    case OwnerKind::team_member: return to_text(psprintf("%.*s/%.*s", FMT_ARG(ids.team_id), FMT_ARG(ids.user_id)));
    case OwnerKind::member:
    case OwnerKind::user: return ids.user_id;
    case OwnerKind::key: return ids.key_id;
    }
    pg_unreachable();
}

// An entry that the owner of the tables has made without an amount allows nothing: that is noticed sooner than an entry
// that allows everything.
ModelBudget model_budget(const Owner &owner, Text model, const Value &entry, Time now)
{
    const auto read = read_model_budget(entry);
    const auto amount = read.amount.number();
    const auto text = read.duration.text();
    const auto duration = text ? parse_duration(*text) : Maybe<Duration>{};
    return {model, amount && *amount >= zero() ? *amount : zero(),
            duration ? since_reset(owner, window_at(now, *duration, owner.created_at)) : owner.window};
}

Text CallOwners::resolve_model(Text name, Maybe<OwnerKind> within) const
{
    for (const OwnerKind kind : {OwnerKind::key, OwnerKind::team, OwnerKind::organization}) {
        if (kind == within)
            break;
        const Owner *owner = find(kind);
        if (owner == nullptr || !owner->model_aliases)
            continue;
        const auto model = to_value(*owner->model_aliases, "").member(c_string(name)).text();
        if (model && !model->empty() && model->size() <= max_name_bytes)
            name = *model;
    }
    return name;
}

Texts CallOwners::tags(Texts of_call) const
{
    Texts all = of_call;
    for (const OwnerKind kind : {OwnerKind::key, OwnerKind::team, OwnerKind::organization})
        if (const Owner *owner = find(kind); owner != nullptr && !owner->tags.empty())
            all = concatenate<Text>(all, owner->tags);
    return all.size() == of_call.size() ? of_call : each_once(all);
}

bool LockedOwners::has(const OwnerIds &ids, OwnerKind kind) const
{
    const bool has_user = std::ranges::binary_search(users, ids.user_id);
    if (kind == OwnerKind::user)
        return has_user;
    if (!ids.organization_id.empty())
        return std::ranges::binary_search(organizations, ids.organization_id);
    if (kind == OwnerKind::team || kind == OwnerKind::team_member)
        return std::ranges::binary_search(teams, ids.team_id);
    // A key of no organization is safe with its user's or its team's lock: every call that is charged to the key locks
    // those first.
    return has_user || (kind == OwnerKind::key && std::ranges::binary_search(teams, ids.team_id)) ||
           std::ranges::binary_search(keys, ids.key_id);
}

Maybe<Refusal> LockedOwners::refusal_of(const OwnerIds &ids) const
{
    if (std::ranges::binary_search(busy_organizations, ids.organization_id))
        return held_by_others("organization", ids.organization_id);
    if (ids.organization_id.empty() && std::ranges::binary_search(busy_teams, ids.team_id))
        return held_by_others("team", ids.team_id);
    if (!ids.delegated && std::ranges::binary_search(busy_users, ids.user_id))
        return held_by_others("user", ids.user_id);
    if (std::ranges::binary_search(busy_keys, ids.key_id))
        return held_by_others("key", ids.key_id);
    return {};
}

LockedOwners lock_owners(Session &session, std::span<const OwnerIds> calls, bool wait)
{
    LockedOwners locked;
    const auto lock = [&](OwnerStatements &statements, auto member, auto is_wanted, Texts &ours, Texts &busy) {
        const auto wanted = filter(calls, is_wanted);
        const auto ids = allocate<Text>(wanted.size());
        std::ranges::transform(wanted, ids.begin(), [&](const OwnerIds &call) { return call.*member; });
        const Texts distinct = sort_unique(ids);
        if (distinct.empty())
            return;
        ours = session.run(wait ? statements.lock : statements.lock_free, distinct).texts();
        if (!wait && ours.size() < distinct.size())
            busy = difference_sorted(session.run(statements.find, distinct).texts(), ours);
    };
    const auto has_user = [](const OwnerIds &call) { return call.has(OwnerKind::user); };
    const auto has_organization = [](const OwnerIds &call) { return !call.organization_id.empty(); };
    lock(organization_statements, &OwnerIds::organization_id, has_organization, locked.organizations,
         locked.busy_organizations);
    const auto has_platform_team = [](const OwnerIds &call) { return call.has_platform_team(); };
    lock(team_statements, &OwnerIds::team_id, has_platform_team, locked.teams, locked.busy_teams);
    lock(user_statements, &OwnerIds::user_id, has_user, locked.users, locked.busy_users);
    lock(key_statements, &OwnerIds::key_id, std::not_fn(has_organization), locked.keys, locked.busy_keys);
    session.look_up_caller_again();
    return locked;
}

void lock_free_teams(Session &session, Texts team_ids, LockedOwners &locked)
{
    locked.teams = merge_sorted(locked.teams, session.run(team_statements.lock_free, team_ids).texts());
}

void lock_free_users(Session &session, Texts user_ids, LockedOwners &locked)
{
    locked.users = merge_sorted(locked.users, session.run(user_statements.lock_free, user_ids).texts());
}

Texts find_organizations(Session &session, Texts organization_ids)
{
    return session.run(organization_statements.find, organization_ids).texts();
}

Texts find_teams(Session &session, Texts team_ids) { return session.run(team_statements.find, team_ids).texts(); }

Texts find_users(Session &session, Texts user_ids) { return session.run(user_statements.find, user_ids).texts(); }

Owners read_owners(Session &session, std::span<const OwnerIds> calls, Time now, const Maybe<LockedOwners> &locked)
{
    const auto distinct = sort_unique(concatenate<OwnerIds>(calls, {}));
    const auto of_calls = allocate<CallOwners>(distinct.size());
    std::ranges::transform(distinct, of_calls.begin(), [](const OwnerIds &ids) { return CallOwners{ids, {}}; });
    const auto owners = allocate<Owner>(distinct.size() * owner_kinds.size());
    size_t count = 0;
    for (const OwnerKind kind : owner_kinds) {
        const auto has_owner = [&](const OwnerIds &ids) {
            return ids.has(kind) && (!locked || locked->has(ids, kind));
        };
        const auto named = filter(distinct, has_owner);
        if (named.empty())
            continue;
        std::ranges::transform(named, named.begin(), [&](const OwnerIds &ids) { return ids.of(kind); });
        const auto ids = sort_unique(named);
        const auto found = read_kind(session, kind, ids, now, owners, count);
        for (CallOwners &call : of_calls)
            if (has_owner(call.ids)) {
                const auto place = std::ranges::lower_bound(ids, call.ids.of(kind)) - ids.begin();
                call.owners[static_cast<size_t>(kind)] = found[static_cast<size_t>(place)];
            }
    }
    return {owners.first(count), of_calls};
}

} // namespace pg_org
