// The pages for browsers, at /docs and /console, and the files they consist of.
#pragma once

#include "http.hpp"

#include <string>
#include <string_view>

namespace pg_org {

// A cacheable text: 304 if the client has it.
Reply show_text(std::string_view text, std::string content_type, const Request &request);

// A file of the page at /docs, which shows the OpenAPI document.  The page itself has an empty name.
Reply show_docs(std::string_view name, const Request &request);

// A file of the page at /console, likewise.
Reply show_console(std::string_view name, const Request &request);

} // namespace pg_org
