// How often a transaction or a part of one was rolled back in this session of the server. What was learned before from
// the tables may be gone since.
#pragma once

#include "types.hpp"

namespace pg_org {

uint64 rollbacks();

// To be called once, when the server loads the module.
void count_rollbacks();

} // namespace pg_org
