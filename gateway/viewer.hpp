// The page that shows the OpenAPI document in a browser, and the files it consists of.
#pragma once

#include "http.hpp"

#include <string>
#include <string_view>

namespace pg_org {

// A cacheable text: 304 if the client has it.
Reply show_text(std::string_view text, std::string content_type, const Request &request);

// The page itself has an empty name.
Reply show_viewer(std::string_view name, const Request &request);

} // namespace pg_org
