// Where spend lands: with the owners that calls are charged to, and in the sums of their days.
#pragma once

#include "books.hpp"

namespace pg_org {

void write_spend(Session &session, Books &books, Calls settled);

} // namespace pg_org
