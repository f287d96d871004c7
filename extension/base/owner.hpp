// The role that SQL runs as: every function acts as the owner of schema org, whoever calls it.
#pragma once

#include "types.hpp"

namespace pg_org {

// The role that owns schema org, which must be set up.
Oid tables_owner();

// Acts as the owner, as foreign keys do, until act_as_before(); an error restores the caller too. The owner's triggers
// run in between only: none of them runs later as the caller, and settings they change are restored.
struct Acting {
    Oid user_before;
    int security_before, settings;
};
Acting act_as(Oid owner);
void act_as_before(const Acting &acting);

// Refuses an owner that is a superuser: every caller could make its triggers do anything.
void refuse_superuser(Oid owner);

} // namespace pg_org
