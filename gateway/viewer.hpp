// The page that shows the OpenAPI document in a browser, and the files it consists of.
#pragma once

#include "http.hpp"

#include <string_view>

namespace pg_org {

// The page itself has no name.
Reply show_viewer(std::string_view file, const Request& request);

}  // namespace pg_org
