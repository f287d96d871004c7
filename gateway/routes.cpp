#include "routes.hpp"

#include "url.hpp"

#include <algorithm>

namespace pg_org {
namespace {

bool path_matches(std::string_view pattern, std::string_view path, Match &match)
{
    if (std::count(pattern.begin(), pattern.end(), '/') != std::count(path.begin(), path.end(), '/'))
        return false;
    while (!pattern.empty()) {
        const auto expected = take_until(pattern, '/');
        const auto segment = take_until(path, '/');
        if (expected.starts_with('{') && !segment.empty()) {
            match.parameter = expected.substr(1, expected.size() - 2);
            match.parameter_value = percent_decode(segment);
        } else if (expected != segment) {
            return false;
        }
    }
    return path.empty();
}

} // namespace

Match find_route(std::string_view method, std::string_view path)
{
    const auto wanted = method == "HEAD" ? "GET" : method;
    std::string allowed;
    for (const Route &route : routes) {
        Match match{&route, {}, {}, {}};
        if (!path_matches(route.path, path, match))
            continue;
        if (route.method == wanted)
            return match;
        allowed += (allowed.empty() ? "" : ", ") + std::string{route.method};
        if (route.method == "GET")
            allowed += ", HEAD";
    }
    return {nullptr, {}, {}, allowed};
}

} // namespace pg_org
