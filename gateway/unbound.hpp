// What was sent but is no argument of the route's function: refused, or ignored and told.
#pragma once

#include "bind.hpp"
#include "read.hpp"

#include <string>
#include <vector>

namespace pg_org {

// Fields that are ignored, and errors of those that are not to be.
struct Unbound {
    std::vector<std::string> ignored;
    std::vector<FieldError> errors;
};
Unbound sort_out(const Asked &asked, const Function &function);

// The value of a header that lists names from a client: percent-encoded and bounded.
std::string listed(const std::vector<std::string> &names);

} // namespace pg_org
