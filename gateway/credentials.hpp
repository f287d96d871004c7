// Which key a request carries.
#pragma once

#include "http.hpp"

#include <string>

namespace pg_org {

struct Credentials {
    std::string api_key; // empty when none was sent: refusing that is the database's to do
    std::string refusal; // not empty when what was sent can't be a key
};

Credentials read_credentials(const Header &header);

} // namespace pg_org
