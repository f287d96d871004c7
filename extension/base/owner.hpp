// Whose rights SQL runs with: the functions act as the owner of schema org, whoever calls.
#pragma once

#include "types.hpp"

namespace pg_org {

// The role that owns schema org, which must be set up.
Oid tables_owner();

// Acts as the owner from here on, as foreign keys do, until act_as_before(); an error restores the caller by itself.
// What triggers of the owner's do in between ends with it: nothing of theirs runs later as the caller, and no setting
// of theirs stays.
struct Acting {
    Oid user_before;
    int security_before, settings;
};
Acting act_as(Oid owner);
void act_as_before(const Acting &acting);

// A superuser's triggers would do anything for whoever calls.
void refuse_superuser(Oid owner);

} // namespace pg_org
