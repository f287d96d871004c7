// The SQL functions behind the routes, as the database describes them.
#pragma once

#include "bind.hpp"
#include "database.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace pg_org {

// From rows of queries/catalog_signatures.sql.  Throws std::runtime_error when a function of the routes is missing or
// can't be called.
Functions read_functions(const std::vector<Row> &rows);

// Loads in the background, and again whenever the functions have become others.
class Catalog {
public:
    using Snapshot = std::shared_ptr<const Functions>;

    explicit Catalog(Database &database);

    // Null until loaded.
    Snapshot functions() const { return functions_.load(); }

    // What has become of those that a call found to be others: the same if nothing is known of it.
    Snapshot renewed(const Snapshot &outdated);

private:
    Database &database_;
    std::mutex loading_;
    std::string version_;  // of those loaded
    std::string reported_; // the failure told of last
    std::atomic<Snapshot> functions_;
    std::jthread watch_;

    void refresh();
    void load();
};

} // namespace pg_org
