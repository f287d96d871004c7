// Routes that keys may be limited to. Each function stands for the routes by which it is called over HTTP.
#pragma once

#include "types.hpp"

namespace pg_org {

struct Caller;

// A list of routes: paths, in which * stands for anything, or groups of them; or an error naming the field.
Maybe<Texts> route_list(Maybe<Texts> routes, const char *name);

// Whether the list lets a key call the function; an empty list allows all. A function that shows a key to itself is
// allowed by itself: key_info() asks when it knows of which key.
bool allows_function(Texts routes, Text function);
// Whether the list lets calls of models be made with a key. It may have paths of the LLM gateway, which checks them.
bool allows_model_calls(Texts routes);

// Refuses a caller whose key may not call the function.
void require_route(const Caller &caller, Text function);
void require_route_to_others(const Caller &caller, Text function);

// Refuses to give a key routes that the caller's own key does not have.
void require_routes_of_caller(const Caller &caller, Texts routes);

} // namespace pg_org
