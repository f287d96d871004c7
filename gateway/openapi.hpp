// The OpenAPI document: the routes, with what the catalog knows of the functions behind them.
#pragma once

#include "catalog.hpp"
#include "http.hpp"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <mutex>
#include <string>

namespace pg_org {

// openapi.json: what the catalog does not know of the routes.
const nlohmann::ordered_json &openapi_parts();

std::string write_document(const Functions &functions);

// The document of the functions there are now, written once for each of their snapshots.
class ApiDocument {
public:
    Reply show(const std::shared_ptr<const Functions> &functions, const Request &request);

private:
    std::mutex mutex_;
    std::shared_ptr<const Functions> functions_;
    std::string text_;
};

} // namespace pg_org
