// Which key a request carries.
#pragma once

#include <functional>
#include <string>

namespace pg_org {

// The value of a header by its lower-case name, empty if it was not sent.
using Header = std::function<std::string(const std::string& name)>;

struct Credentials {
    std::string api_key;  // empty when none was sent: refusing that is the database's to do
    std::string refusal;  // not empty when what was sent can't be a key
};

Credentials read_credentials(const Header& header);

}  // namespace pg_org
