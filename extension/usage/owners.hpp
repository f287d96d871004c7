// The owners that calls are charged to: an organization, a team, a user and so on, each with limits of its own.
#pragma once

#include "base/fail.hpp"
#include "base/json.hpp"
#include "base/session.hpp"
#include "counter.hpp"

namespace pg_org {

// From the outermost in: the order in which limits are checked.
enum class OwnerKind { organization, team, member, team_member, user, key };
inline constexpr std::array owner_kinds{OwnerKind::organization, OwnerKind::team, OwnerKind::member,
                                        OwnerKind::team_member,  OwnerKind::user, OwnerKind::key};
Text name_of(OwnerKind kind);

// The identifiers of the owners of a call, or of one owner as org.usage_account has them; an empty one means none. A
// key that an organization's admin made for a user is delegated: its calls are charged to the user inside the
// organization, not to the user as a whole.
struct OwnerIds {
    Text organization_id, team_id, user_id, key_id;
    bool delegated = false;
    auto operator<=>(const OwnerIds &) const = default;

    // Whether a call with these has an owner of that kind.
    bool has(OwnerKind kind) const;
    // The identifiers of that owner.
    OwnerIds of(OwnerKind kind) const;
    // Whether the key's team belongs to the platform rather than to an organization.
    bool has_platform_team() const { return organization_id.empty() && !team_id.empty(); }
};

struct OwnerLimits {
    Maybe<Number> max_budget, soft_budget;
    Maybe<Json> model_max_budget;
    Maybe<int64> tpm_limit, rpm_limit, max_parallel_requests;
    Maybe<Text> budget_duration;
    Maybe<Time> budget_reset_at;
};

struct Owner {
    OwnerKind kind;
    OwnerIds ids;
    Time created_at;
    Number spend; // of all time
    OwnerLimits limits;
    // Only of some kinds.
    bool blocked;
    Texts models;
    Maybe<Json> model_aliases;
    Maybe<Number> default_reserve;
    Maybe<Text> key_alias;
    Maybe<Time> expires;
    Texts tags, allowed_routes;
    Maybe<Time> spend_reset_at;

    Window window; // the current budget period
    CounterList counters;
    Maybe<Number> newly_spent; // by the calls that are settled now

    Text id() const; // as in replies
    // Whether the owner is charged for a call. Calls made before the owner were charged to another of the same id.
    bool is_charged(const OwnerIds &call, Time reserved_at) const
    {
        return call.has(kind) && call.of(kind) == ids && reserved_at.value >= created_at.value;
    }
};

// A limit of an owner's calls of one model, and its current period.
struct ModelBudget {
    Text model;
    Number value;
    Window window;
};
// The budget that an entry of the owner's model_max_budget stands for.
ModelBudget model_budget(const Owner &owner, Text model, const Value &entry, Time now);

// The owners that one call is charged to.
struct CallOwners {
    OwnerIds ids;
    std::array<Owner *, owner_kinds.size()> owners; // by kind; null: the call has none, or it was deleted

    Owner *find(OwnerKind kind) const { return owners[static_cast<size_t>(kind)]; }
    // The model that a name stands for: a key, then its team, then its organization may define aliases. Within one of
    // these: the name that a call of the owners inside it comes with.
    Text resolve_model(Text name, Maybe<OwnerKind> within = {}) const;
    // The tags of a call and of these owners, each once.
    Texts tags(Texts of_call) const;
};

// The owners that several calls are charged to, each once.
struct Owners {
    std::span<Owner> all;
    std::span<CallOwners> of_calls; // sorted by ids

    CallOwners &of(const OwnerIds &ids) const { return *std::ranges::lower_bound(of_calls, ids, {}, &CallOwners::ids); }
};

// The owners that a call has locked, each list sorted; teams and keys of organizations are not locked themselves. An
// owner that is in no list did not exist at that time; a later owner of the same id is another.
struct LockedOwners {
    Texts organizations, teams, users, keys;
    // Locked by other transactions, if this one does not wait.
    Texts busy_organizations, busy_teams, busy_users, busy_keys;

    bool has(const OwnerIds &ids, OwnerKind kind) const;
    // The refusal of a call that has a busy owner.
    Maybe<Refusal> refusal_of(const OwnerIds &ids) const;
};

// Locks the owners of calls in the fixed order: organizations, teams of no organization, users, then keys of no
// organization. Concurrent changes of their limits, blocks and deletes wait for this call, or this call for them; if it
// does not wait, they make the owners busy.
LockedOwners lock_owners(Session &session, std::span<const OwnerIds> calls, bool wait = true);
// Locks, in addition, those of the teams of no organization and of the users that no other transaction has locked.
void lock_free_teams(Session &session, Texts team_ids, LockedOwners &locked);
void lock_free_users(Session &session, Texts user_ids, LockedOwners &locked);

// The identifiers of those that exist, sorted; teams are those of no organization.
Texts find_organizations(Session &session, Texts organization_ids);
Texts find_teams(Session &session, Texts team_ids);
Texts find_users(Session &session, Texts user_ids);

// Reads the owners of calls, with the limits that apply at a point in time. If the call locks owners, because it is
// going to charge them, others are left out.
Owners read_owners(Session &session, std::span<const OwnerIds> calls, Time now, const Maybe<LockedOwners> &locked);

} // namespace pg_org
