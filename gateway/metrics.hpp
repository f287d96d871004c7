// Metrics in Prometheus' text format: counts and durations of requests, and gauges.
#pragma once

#include "database.hpp"
#include "observation.hpp"
#include "replica.hpp"

#include <chrono>
#include <cstddef>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pg_org {

class Metrics {
public:
    // The gauges.
    struct Now {
        bool up; // ready to serve
        std::size_t connections;
        std::size_t lost_log_lines;
        std::size_t pool_size;
        Database::State primary;
        std::vector<Replicas::State> replicas;
        std::optional<std::time_t> certificate_expiry = {};
    };

    Metrics();
    ~Metrics();

    void observe(const Observation &observation);

    // A webhook's event was taken, that long after it had happened.
    void event_taken(std::chrono::duration<double> delay);

    // A webhook's event was not taken, or none could be read.
    void event_failed();

    std::string text(const Now &now);

private:
    struct Families;
    std::unique_ptr<Families> families_;
};

} // namespace pg_org
