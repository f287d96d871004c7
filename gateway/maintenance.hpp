// Maintenance of the tables: the database does what is due, a small part with each call, and this calls it.
#pragma once

#include "catalog.hpp"
#include "config.hpp"
#include "database.hpp"
#include "failure.hpp"
#include "own_caller.hpp"

#include <chrono>
#include <thread>

namespace pg_org {

// Calls from its own thread until destroyed, which waits for the call under way.  Several gateways may do so: the
// database lets one of them work at a time.
class Maintenance {
public:
    Maintenance(const Config &config, Database &database, const Catalog &catalog);

private:
    const std::chrono::milliseconds interval_;
    const OwnCaller caller_;
    LastFailure failure_;
    std::jthread thread_;

    std::chrono::milliseconds do_part();
};

} // namespace pg_org
