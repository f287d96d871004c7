// The first stage of a request: reads what it asks for, without the database.
#pragma once

#include "fields.hpp"
#include "http.hpp"
#include "routes.hpp"

#include <array>
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
    std::vector<FieldError> errors; // found without knowing the function
    Fields sent = {};               // fields that only the function can give a meaning
    Fields beside = {};             // of the query, which a route with a body does not read
    bool is_strict = false;         // what is not understood is to be refused
    bool prefers_csv = false;       // to JSON
    // For events:
    std::chrono::seconds wait{}; // for the next one
    bool is_stream = false;
};

// Headers whose values are arguments as well.
struct HeaderArgument {
    const char *header, *argument;
};
inline constexpr std::array header_arguments{HeaderArgument{"Idempotency-Key", "idempotency_key"},
                                             HeaderArgument{"If-Match", "if_match"}};

// Why the key that was sent is malformed.
struct MalformedKey {
    std::string message;
};

// Throws InvalidJson and MalformedKey: checks the JSON before the key, and the key before the fields.
Asked read(const Match &match, std::string_view query, const Request &request);

} // namespace pg_org
