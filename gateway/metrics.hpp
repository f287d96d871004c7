// What operators watch, in Prometheus' text format: counts and times of requests, and how things are just now.
#pragma once

#include "observation.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace pg_org {

class Metrics {
public:
    struct Pool {
        std::string database;
        std::size_t size;  // at most
        std::size_t open;
        std::size_t in_use;
        std::size_t waiting;  // requests without a connection
    };
    struct Now {
        bool up;
        std::size_t connections;
        std::size_t lost_log_lines;
        std::vector<Pool> pools;
    };

    Metrics();
    ~Metrics();

    void observe(const Observation& observation);

    std::string text(const Now& now);

private:
    struct Families;
    std::unique_ptr<Families> families_;
};

}  // namespace pg_org
