// The owners that calls are charged to: an organization, a team, a user and so on, each with limits of its own.
#pragma once

#include "base/fail.hpp"
#include "base/session.hpp"
#include "counter.hpp"

namespace pg_org {

// From the outermost in: the order in which limits are checked. Whom a call is for may be an end user of the platform,
// one of the organization of its key, or both.
enum class OwnerKind { organization, team, member, team_member, user, platform_end_user, end_user, key };
inline constexpr std::array owner_kinds{OwnerKind::organization, OwnerKind::team, OwnerKind::member,
                                        OwnerKind::team_member,  OwnerKind::user, OwnerKind::platform_end_user,
                                        OwnerKind::end_user,     OwnerKind::key};
Text name_of(OwnerKind kind);

// The identifiers of the owners of a call, or of one owner as org.usage_counter has them; an empty one means none. A
// key that an organization's admin made for a user is delegated: its calls are charged to the user inside the
// organization, not to the user as a whole.
struct OwnerIds {
    Text organization_id, team_id, user_id, key_id, end_user;
    bool delegated = false;
    auto operator<=>(const OwnerIds &) const = default;

    // Whether a call with these has an owner of that kind.
    bool has(OwnerKind kind) const;
    // The identifiers of that owner.
    OwnerIds of(OwnerKind kind) const;
    // Whether the key's team belongs to the platform rather than to an organization.
    bool has_platform_team() const { return organization_id.empty() && !team_id.empty(); }
};

// A reset of a limit, of all its parts or of one.
struct LimitReset {
    Limited what;
    Maybe<Text> per;
    Scope scope;
    bool soft;
    Time at;

    bool is_of(const UsageLimit &limit, Text part) const
    {
        return what == limit.what && per == limit.per && soft == limit.soft && scope.is_like(limit.scope) &&
               (scope.part.empty() || scope.part == part);
    }
};
LimitReset read_reset(const Value &reset);

struct Owner {
    OwnerKind kind;
    OwnerIds ids;
    Time created_at;
    Number spend; // of all time
    UsageLimits limits;
    EachSet each; // for which it has limits
    Maybe<Time> spend_reset_at;
    std::span<const LimitReset> resets;
    // Only of some kinds.
    bool blocked;
    Texts models;
    Maybe<Json> model_aliases;
    Maybe<Number> default_reserve;
    Maybe<Text> key_alias;
    Maybe<Time> expires;
    Texts tags, allowed_routes;

    PartCounters everything;       // the counters of all its calls
    std::span<PartCounters> parts; // sorted by each and part: of the members, keys and so on of the calls
    PartCounters *more_parts;      // of models and tags
    EachSet forgotten;             // whose counters are out of date, because calls were not counted in them
    Maybe<Number> newly_spent;     // by the calls that are settled now

    Text id() const; // as in replies
    // Whether the other is the same owner, perhaps read another time.
    bool is(const Owner &other) const { return kind == other.kind && ids == other.ids; }
    // Whether calls with keys of any organization are charged to it.
    bool is_anywhere() const { return kind == OwnerKind::user || kind == OwnerKind::platform_end_user; }
    // The period of a limit, or of the limit of one part, without what was before the last reset.
    Window window_of(const UsageLimit &limit, Text part, Time now) const;
    // Whether the owner is charged for a call. Calls made before the owner were charged to another of the same id.
    bool is_charged(const OwnerIds &call, Time reserved_at) const
    {
        return call.has(kind) && call.of(kind) == ids && reserved_at.value >= created_at.value;
    }
    bool needs_counter_of_everything() const;
    // Visits the counters of everything, and those of each part that were read or made.
    template <typename Visit> void for_each_part(Visit visit)
    {
        visit(everything);
        for (PartCounters &part : parts)
            visit(part);
        for (PartCounters *part = more_parts; part != nullptr; part = part->next)
            visit(*part);
    }
};

// The owners that one call is charged to.
struct CallOwners {
    OwnerIds ids;
    std::array<Owner *, owner_kinds.size()> owners; // by kind; null: the call has none, or it was deleted

    Owner *find(OwnerKind kind) const { return owners[static_cast<size_t>(kind)]; }
    // Leaves out the owners that were made after a call.
    void leave_out_made_after(Time reserved_at)
    {
        for (Owner *&owner : owners)
            if (owner != nullptr && owner->created_at.value > reserved_at.value)
                owner = nullptr;
    }
    // The model that a name stands for: a key, then its team, then its organization may define aliases. Within one of
    // these: the name that a call of the owners inside it comes with.
    Text resolve_model(Text name, Maybe<OwnerKind> within = {}) const;
    // The tags of a call and of these owners, each once.
    Texts tags(Texts of_call) const;
    // The owner that the part of a call is by itself, with limits of its own: of a team's limit for each member that is
    // the member of the team. Null if there is none.
    const Owner *part_itself(const Owner &owner, Each each) const;
    // Since when calls of the part count: who was made anew starts from nothing.
    Time start_of_part(const Owner &owner, Each each) const;
    // Whether that owner has a limit of its own in place of the one for each part.
    bool has_own(const Owner &owner, const UsageLimit &limit) const;
};

// The owners that several calls are charged to, each once.
struct Owners {
    std::span<Owner> all;
    std::span<CallOwners> of_calls; // sorted by ids

    CallOwners &of(const OwnerIds &ids) const { return *std::ranges::lower_bound(of_calls, ids, {}, &CallOwners::ids); }
};

// The parts that a call has: its model, its tags and so on. What is not known is none.
Texts parts_of(Each each, const OwnerIds &ids, const Maybe<Text> &model, const Maybe<Texts> &tags);

struct LockedOwners;

// Reads the owners of calls, with their limits at a point in time. If the call locks owners, because it is going to
// charge them, others are left out.
Owners read_owners(Session &session, std::span<const OwnerIds> calls, Time now, const Maybe<LockedOwners> &locked);

} // namespace pg_org
