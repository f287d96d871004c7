// Calls that the gateway makes by itself, with a key of its own.
#pragma once

#include "catalog.hpp"
#include "database.hpp"
#include "fields.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace pg_org {

class OwnCaller {
public:
    OwnCaller(Database &database, const Catalog &catalog, std::string api_key);

    // The reply; nothing while the catalog is not loaded.  Throws std::runtime_error, also if the extension lacks the
    // function.
    std::optional<std::string> call(std::string_view function, const Fields &fields = {}) const;

private:
    Database &database_;
    const Catalog &catalog_;
    const std::string api_key_;
};

} // namespace pg_org
