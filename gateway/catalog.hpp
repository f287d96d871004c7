// The SQL functions behind the routes, as the database describes them.
#pragma once

#include "binding.hpp"
#include "database.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace pg_org {

using Functions = std::map<std::string, Function, std::less<>>;

// From rows of function, its identifier, whether we may execute it, argument, its identifier, its type, whether it
// is required.  Throws std::runtime_error when a function of the routes is missing or can't be called.
Functions read_functions(const std::vector<Row>& rows);

// Loads in the background, trying again until it worked.
class Catalog {
public:
    explicit Catalog(Database& database);

    // Null until loaded.
    std::shared_ptr<const Functions> functions() const { return functions_.load(); }

private:
    Database& database_;
    std::atomic<std::shared_ptr<const Functions>> functions_;
    std::jthread loader_;

    void load(std::stop_token stop);
};

}  // namespace pg_org
