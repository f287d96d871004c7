// A request as the log and the metrics record it.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace pg_org {

// Facts about a request that the stages find out.
struct Trace {
    using Duration = std::chrono::steady_clock::duration;

    std::string_view route;   // its path as the table has it; empty if there is none
    Duration waited{};        // for a thread, its batch and a database connection
    Duration database{};      // in the database
    std::string sqlstate;     // of the last database error, if any
    std::string limit;        // what the limit counts that refused it, if one did
    double cost = 0;          // of the call that it settled or recorded, in US dollars
    std::size_t owner = 0;    // whose share of the database connections it uses; 0: the gateway's own
    bool key_is_good = false; // the database has accepted it
};

// Trace of the current request; thread-local, since one thread serves it.
inline Trace &trace()
{
    thread_local Trace current;
    return current;
}

struct Observation {
    std::string_view request_id;
    std::string_view method;
    int status;
    std::chrono::steady_clock::duration duration;
    std::size_t bytes; // of the reply's body
    std::string_view remote;
    std::string_view user_agent;
    Trace trace;
};

} // namespace pg_org
