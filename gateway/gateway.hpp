// The path of a request: read → bind → call → reply.
#pragma once

#include "call.hpp"
#include "catalog.hpp"
#include "config.hpp"
#include "csv.hpp"
#include "database.hpp"
#include "http.hpp"
#include "openapi.hpp"
#include "routes.hpp"
#include "sign_in.hpp"

#include <atomic>

namespace pg_org {

class Gateway {
public:
    Gateway(const Config &config, Database &database);

    // Decides what a request needs, or replies if that takes no database.
    Plan plan(const Request &request) const;

    Reply handle(const Request &request);

    // Reports ready from now on, while the database is.
    void open() { phase_ = Phase::open; }

    // Reports not ready and ends event streams.
    void drain();

    // The reply of the readiness check.
    Reply ready();

    const Catalog &catalog() const { return catalog_; }
    const Replicas &replicas() const { return caller_.replicas(); }

private:
    const Database &database_;
    Database health_; // a connection of its own, so that a busy pool never takes the gateway out of a balancer
    Catalog catalog_;
    Caller caller_;
    CsvWriter csv_;
    ApiDocument document_;
    SignIn sign_in_;
    enum class Phase { starting, open, draining };
    std::atomic<Phase> phase_ = Phase::starting;

    Reply answer(const Match &match, std::string_view query, const Request &request);
    Answer call(const Asked &asked);
    Reply describe(const Request &request);
    Reply refuse_all() const;
};

} // namespace pg_org
