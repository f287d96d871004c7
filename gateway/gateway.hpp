// The way of a request: route, body, key, arguments, database, reply.
#pragma once

#include "catalog.hpp"
#include "database.hpp"
#include "fields.hpp"
#include "http.hpp"
#include "routes.hpp"

#include <string_view>

namespace pg_org {

class Gateway {
public:
    explicit Gateway(Database& database) : database_{database}, catalog_{database} {}

    Reply handle(const Request& request);

private:
    Database& database_;
    Catalog catalog_;

    Reply ready();
    Reply call(const Match& match, std::string_view query, const Request& request);
    void check_key(const Functions& functions, const std::string& api_key);
};

}  // namespace pg_org
