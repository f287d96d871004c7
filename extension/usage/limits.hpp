// Writing limits that apply to calls.
#pragma once

#include "counters.hpp"

namespace pg_org {

// Writes what a limit says as members of the open object: whose it is, what it limits, and the value.
void write_limit(Writer &reply, const AppliedLimit &applied);
// Writes money with a decimal point, and counts without.
void write_amount(Writer &reply, const UsageLimit &limit, Number amount);

} // namespace pg_org
