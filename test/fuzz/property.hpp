// Shared by the fuzz targets: assertions, and functions as the database describes them.
#pragma once

#include "bind.hpp"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace pg_org {

// libFuzzer keeps the input that it stops at.
inline void require(bool holds, const char *property)
{
    if (!holds) {
        std::fprintf(stderr, "does not hold: %s\n", property);
        std::abort();
    }
}

inline bool is_json(std::string_view text) { return nlohmann::json::accept(text); }

inline const Function every_type{"public.f",
                                 {{"name", "name", Type::text, true},
                                  {"list", "list", Type::text_array, false},
                                  {"money", "money", Type::numeric, false},
                                  {"limit", "\"limit\"", Type::bigint, false},
                                  {"flag", "flag", Type::boolean, false},
                                  {"object", "object", Type::jsonb, false},
                                  {"any", "any", Type::json, true},
                                  {"api_key", "api_key", Type::text, false}}};

// Binds the fields in each way; what is bound is such that PostgreSQL reads it as what was sent, and what is not is
// refused in JSON.
void check_binding(const Fields &fields, std::string_view source, const Request &request);

} // namespace pg_org
