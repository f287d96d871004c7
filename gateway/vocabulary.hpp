// The fields that LiteLLM documents for a route, but that no SQL function takes: who sends one must not believe that it
// has an effect.  A field that becomes an argument of the route's function is bound, whatever this says.
#pragma once

#include "fields.hpp"
#include "routes.hpp"

#include <string_view>

namespace pg_org {

// Whether LiteLLM documents the field for requests of the route.
bool is_documented(const Route &route, std::string_view field);

// Whether a value asks for anything: null, false, and what is empty do not.
bool is_set(const Value &value);

} // namespace pg_org
