// The page that shows the OpenAPI document in a browser, and the files it consists of.
#pragma once

#include "http.hpp"

#include <string>
#include <string_view>

namespace pg_org {

// What changes seldom: to who has it already, only that.
Reply show_text(std::string_view text, std::string content_type, const Request &request);

// The page itself has no name.
Reply show_viewer(std::string_view name, const Request &request);

} // namespace pg_org
