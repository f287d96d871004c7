// The first stage of a request: what it asks for, as far as that can be told without the database.
#pragma once

#include "fields.hpp"
#include "http.hpp"
#include "routes.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace pg_org {

struct Asked {
    const Route &route;
    std::string_view query; // as sent
    std::string api_key;
    Fields fields;                  // by the arguments' names
    std::string_view source;        // of the fields: body or query
    std::vector<FieldError> errors; // of what was sent, whatever function it is for
    // Of events:
    std::chrono::seconds wait{}; // for what is not there yet
    bool is_stream = false;
};

// Why what was sent as a key can't be one.
struct MalformedKey {
    std::string message;
};

// Throws InvalidJson and MalformedKey, in this order: malformed JSON comes before the key, the key before the fields.
Asked read(const Match &match, std::string_view query, const Request &request);

} // namespace pg_org
