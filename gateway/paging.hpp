// Lists in pages: where the next one is.
#pragma once

#include "fields.hpp"
#include "routes.hpp"

#include <string>
#include <string_view>

namespace pg_org {

// The Link header's value for a full page, empty for any other reply.
std::string next_page(const Route& route, const Fields& query, std::string_view reply);

}  // namespace pg_org
