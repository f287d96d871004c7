// Locking owners.

#include "lock.hpp"

#include "ranges.hpp"

namespace pg_org {

namespace {

// Statements that take identifiers and return those that exist, sorted.
struct LockStatements {
    Statement lock, lock_free, find; // lock_free leaves out rows that other transactions have locked
};

// clang-format off
#define LOCK_STATEMENTS(id, of_table, condition) \
    Statement{"SELECT " id " FROM " of_table " WHERE " condition id " = ANY ($1) ORDER BY " id " FOR NO KEY UPDATE"}, \
    Statement{"SELECT " id " FROM " of_table " WHERE " condition id " = ANY ($1) ORDER BY " id \
              " FOR NO KEY UPDATE SKIP LOCKED"}, \
    Statement{"SELECT " id " FROM " of_table " WHERE " condition id " = ANY ($1) ORDER BY " id}

constinit LockStatements organization_statements{LOCK_STATEMENTS("organization_id", "org.organization", "")};
constinit LockStatements team_statements{LOCK_STATEMENTS("team_id", "org.team", "organization_id = '' AND ")};
constinit LockStatements user_statements{LOCK_STATEMENTS("user_id", "org.\"user\"", "")};
constinit LockStatements end_user_statements{
    LOCK_STATEMENTS("end_user_id", "org.end_user", "organization_id = '' AND ")};
constinit LockStatements key_statements{LOCK_STATEMENTS("key_id", "org.api_key", "")};
// clang-format on

bool has_organization(const OwnerIds &call) { return !call.organization_id.empty(); }
bool has_end_user(const OwnerIds &call) { return !call.end_user.empty(); }
bool has_user(const OwnerIds &call) { return call.has(OwnerKind::user); }
bool has_platform_team(const OwnerIds &call) { return call.has_platform_team(); }
bool has_no_organization(const OwnerIds &call) { return call.organization_id.empty(); }

// The distinct identifiers of the calls that have one, sorted.
template <typename HasOne> Texts ids_of(std::span<const OwnerIds> calls, Text OwnerIds::*member, HasOne has_one)
{
    const auto some = filter(calls, has_one);
    const auto ids = allocate<Text>(some.size());
    std::ranges::transform(some, ids.begin(), [&](const OwnerIds &call) { return call.*member; });
    return sort_unique(ids);
}

LockedIds lock(Session &session, LockStatements &statements, Texts ids, bool wait)
{
    if (ids.empty())
        return {};
    LockedIds locked{session.run(wait ? statements.lock : statements.lock_free, ids).texts(), {}};
    if (!wait && locked.ours.size() < ids.size())
        locked.busy = difference_sorted(session.run(statements.find, ids).texts(), locked.ours);
    return locked;
}

// Both those that are locked already and more, as far as they are free.
LockedIds lock_more(Session &session, LockStatements &statements, const LockedIds &locked, Texts ids)
{
    const auto [ours, busy] = lock(session, statements, difference_sorted(ids, locked.ours), false);
    return {ours.empty() ? locked.ours : merge_sorted(locked.ours, ours), busy};
}

} // namespace

bool LockedOwners::has(const OwnerIds &ids, OwnerKind kind) const
{
    if (kind == OwnerKind::user)
        return users.has(ids.user_id);
    if (kind == OwnerKind::platform_end_user)
        return end_users.has(ids.end_user);
    if (!ids.organization_id.empty())
        return organizations.has(ids.organization_id);
    if (kind == OwnerKind::team || kind == OwnerKind::team_member)
        return teams.has(ids.team_id);
    // A key of no organization is safe with its user's or its team's lock: every call that is charged to the key locks
    // those first.
    return users.has(ids.user_id) || (kind == OwnerKind::key && teams.has(ids.team_id)) || keys.has(ids.key_id);
}

Maybe<Refusal> LockedOwners::refusal_of(const OwnerIds &ids) const
{
    if (organizations.is_busy(ids.organization_id))
        return held_by_others("organization", ids.organization_id);
    if (ids.has_platform_team() && teams.is_busy(ids.team_id))
        return held_by_others("team", ids.team_id);
    if (!ids.delegated && users.is_busy(ids.user_id))
        return held_by_others("user", ids.user_id);
    if (end_users.is_busy(ids.end_user))
        return held_by_others("end_user", ids.end_user);
    if (keys.is_busy(ids.key_id))
        return held_by_others("key", ids.key_id);
    return {};
}

LockedOwners lock_owners(Session &session, std::span<const OwnerIds> calls, bool wait)
{
    LockedOwners locked;
    locked.organizations =
        lock(session, organization_statements, ids_of(calls, &OwnerIds::organization_id, has_organization), wait);
    locked.teams = lock(session, team_statements, ids_of(calls, &OwnerIds::team_id, has_platform_team), wait);
    locked.users = lock(session, user_statements, ids_of(calls, &OwnerIds::user_id, has_user), wait);
    locked.end_users = lock(session, end_user_statements, ids_of(calls, &OwnerIds::end_user, has_end_user), wait);
    locked.keys = lock(session, key_statements, ids_of(calls, &OwnerIds::key_id, has_no_organization), wait);
    session.look_up_caller_again();
    return locked;
}

LockedOwners lock_more_owners(Session &session, std::span<const OwnerIds> calls, const LockedOwners &locked)
{
    LockedOwners more = locked;
    const Texts organizations = ids_of(calls, &OwnerIds::organization_id, has_organization);
    more.organizations.busy =
        difference_sorted(session.run(organization_statements.find, organizations).texts(), locked.organizations.ours);
    more.teams =
        lock_more(session, team_statements, locked.teams, ids_of(calls, &OwnerIds::team_id, has_platform_team));
    more.users = lock_more(session, user_statements, locked.users, ids_of(calls, &OwnerIds::user_id, has_user));
    more.end_users =
        lock_more(session, end_user_statements, locked.end_users, ids_of(calls, &OwnerIds::end_user, has_end_user));
    return more;
}

} // namespace pg_org
