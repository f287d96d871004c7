// The SQL functions behind the routes, as the database describes them.
#pragma once

#include "bind.hpp"
#include "database.hpp"
#include "failure.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace pg_org {

// From rows of queries/catalog_signatures.sql.  Throws std::runtime_error when a function of the routes is missing or
// can't be called; one that only the gateway itself calls is looked for when it does.
Functions read_functions(const std::vector<Row> &rows);

// Loads the functions in the background, and again whenever they change.
class Catalog {
public:
    using Snapshot = std::shared_ptr<const Functions>;

    explicit Catalog(Database &database);

    // Null until loaded, and while pg_org is not set up in the database.
    Snapshot functions() const { return functions_.load(); }

    // Loads the functions again if these are still the latest: a call has found that they have changed.
    Snapshot renewed(const Snapshot &outdated);

private:
    Database &database_;
    std::mutex loading_;
    std::string version_; // of the loaded functions
    LastFailure failure_;
    std::atomic<Snapshot> functions_;
    std::jthread watch_;

    void refresh();
    void load();
};

} // namespace pg_org
