// The way of a request: route, body, key, arguments, database, reply.
#pragma once

#include "batch.hpp"
#include "catalog.hpp"
#include "config.hpp"
#include "database.hpp"
#include "events.hpp"
#include "fields.hpp"
#include "http.hpp"
#include "openapi.hpp"
#include "replica.hpp"
#include "routes.hpp"

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pg_org {

class Gateway {
public:
    Gateway(const Config& config, Database& database)
        : database_{database},
          catalog_{database},
          replicas_{config},
          listeners_{config.threads / 4},
          batches_{config.pool_timeout + config.statement_timeout},
          batching_{!config.no_batching} {}

    Reply handle(const Request& request);

    // The reply to what has no need of the database.
    std::optional<Reply> handle_at_once(const Request& request) const;

    // Clients get in: from now on it is ready if the database is.
    void open() { phase_ = Phase::open; }

    // Is not ready any more, and sends those away who wait for events.
    void drain();

    // Whether there is a database that this gateway can work with.
    Reply ready();

    const Catalog& catalog() const { return catalog_; }
    const Replicas& replicas() const { return replicas_; }

private:
    Database& database_;
    Catalog catalog_;
    Replicas replicas_;
    Listeners listeners_;
    Batches batches_;
    ApiDocument document_;
    const bool batching_;
    enum class Phase { starting, open, draining };
    std::atomic<Phase> phase_ = Phase::starting;

    Reply answer(const Match& match, std::string_view query, const Request& request);
    Reply call_known(const Match& match, std::string_view query, const Request& request);
    Reply call(const Match& match, std::string_view query, const Request& request, const Catalog::Snapshot& functions);
    Reply describe(const Request& request);
    Reply run(const Statement& call, const Route& route, const std::string& api_key, std::string_view query);
    Reply run_with_others(const Function& many, std::string object, const std::string& api_key, const Route& route,
                          const Request& request);
    std::vector<std::string> run_many(const Function& many, const Batches::Requests& objects, bool wait,
                                      const std::string& api_key);
    Reply listen(const Route& route, const Fields& fields, const std::string& api_key, std::chrono::seconds patience,
                 std::string_view query, const Request& request);
    void check_key(const Functions& functions, const std::string& api_key);
};

}  // namespace pg_org
