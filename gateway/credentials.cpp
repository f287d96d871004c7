#include "credentials.hpp"

#include "fields.hpp"

#include <strings.h>

namespace pg_org {
namespace {

constexpr std::string_view prefix = "Bearer ";

bool has_prefix(const std::string &value) { return strncasecmp(value.c_str(), prefix.data(), prefix.size()) == 0; }

std::string without_prefix(const std::string &value)
{
    const auto start = has_prefix(value) ? value.find_first_not_of(' ', prefix.size()) : 0;
    return start == std::string::npos ? "" : value.substr(start);
}

Credentials checked(std::string api_key)
{
    if (!is_storable(api_key))
        return {{}, "Authentication Error, Invalid proxy server token passed."};
    return {std::move(api_key), {}};
}

} // namespace

Credentials read_credentials(const Header &header)
{
    if (const auto value = header("authorization"); !value.empty()) {
        if (!has_prefix(value))
            return {{}, "Authentication Error, Malformed API Key passed in. Ensure Key has `Bearer ` prefix."};
        return checked(without_prefix(value));
    }
    if (const auto value = header("x-litellm-api-key"); !value.empty())
        return checked(without_prefix(value));
    for (const auto *name : {"api-key", "x-api-key", "x-goog-api-key"})
        if (auto value = header(name); !value.empty())
            return checked(std::move(value));
    return {};
}

} // namespace pg_org
