// Locking the owners of calls, in one order: organizations, teams of no organization, users, end users of the platform,
// then keys of no organization. Concurrent changes of their limits, blocks and deletes wait for a call, or it for them.
#pragma once

#include "limited_owner.hpp"

namespace pg_org {

// Sorted identifiers of owners of one kind.
struct LockedIds {
    Texts ours, busy; // busy: locked by other transactions, if this one does not wait
    bool has(Text id) const { return std::ranges::binary_search(ours, id); }
    bool is_busy(Text id) const { return std::ranges::binary_search(busy, id); }
};

// The owners that a call has locked; teams, end users and keys of organizations are not locked themselves. An owner
// that is in no list did not exist at that time; a later owner of the same id is another.
struct LockedOwners {
    LockedIds organizations, teams, users, end_users, keys;

    bool has(const OwnerIds &ids, OwnerKind kind) const;
    // The refusal of a call that has a busy owner.
    Maybe<Refusal> refusal_of(const OwnerIds &ids) const;
};

// If the call does not wait, owners that other transactions have locked are busy.
LockedOwners lock_owners(Session &session, std::span<const OwnerIds> calls, bool wait = true);
// Locks, in addition, those of the owners of other calls that no other transaction has locked; they become busy
// otherwise. Organizations must be locked already: to wait for a lock out of order could deadlock.
LockedOwners lock_more_owners(Session &session, std::span<const OwnerIds> calls, const LockedOwners &locked);

} // namespace pg_org
