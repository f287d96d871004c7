// Finds the API key of a request.
#pragma once

#include "http.hpp"

#include <string>

namespace pg_org {

struct Credentials {
    std::string api_key; // empty when none was sent: the database refuses that
    std::string refusal; // not empty when the key is malformed
};

Credentials read_credentials(const Header &header);

} // namespace pg_org
