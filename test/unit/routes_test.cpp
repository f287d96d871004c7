// Finding the route of a request.
#include "routes.hpp"

#include <gtest/gtest.h>

#include <set>

using namespace pg_org;

TEST(Routes, AreFoundByMethodAndPath)
{
    EXPECT_EQ(find_route("POST", "/organization/new").route->function, "org_new");
    EXPECT_EQ(find_route("GET", "/organization/info").route->function, "org_info");
    EXPECT_EQ(find_route("POST", "/organization/info").route->function, "org_info_many");
    EXPECT_EQ(find_route("DELETE", "/organization/delete").route->function, "org_delete");
    EXPECT_EQ(find_route("GET", "/").route->path, "/");
    EXPECT_EQ(find_route("HEAD", "/organization/list").route->function, "org_list");
    EXPECT_EQ(find_route("GET", "/events").route->kind, Kind::events);
}

TEST(Routes, ThatChangeNothingSaySo)
{
    EXPECT_TRUE(may_be_stale(*find_route("POST", "/organization/info").route));
    EXPECT_TRUE(may_be_stale(*find_route("GET", "/team/info").route));
    EXPECT_FALSE(may_be_stale(*find_route("GET", "/usage/limits").route));
    EXPECT_FALSE(may_be_stale(*find_route("GET", "/events").route));
    for (const Route &route : routes) {
        const bool reads = route.method == "GET" || route.path.ends_with("/info") || route.path == "/key/health" ||
                           route.path == "/limit/try";
        EXPECT_TRUE(route.kind == Kind::own || changes_data(route) != reads) << route.path;
        EXPECT_FALSE(changes_data(route) && may_be_stale(route)) << route.path;
    }
}

TEST(Routes, TakeAParameterFromThePath)
{
    const auto match = find_route("PATCH", "/v2/organization/a%2Fb");
    ASSERT_NE(match.route, nullptr);
    EXPECT_EQ(match.route->function, "org_patch");
    EXPECT_EQ(match.parameter, "organization_id");
    EXPECT_EQ(match.parameter_value, "a/b");
    EXPECT_EQ(find_route("POST", "/key/sk-1/regenerate").route->function, "key_regenerate");
    EXPECT_EQ(find_route("POST", "/key/service-account/generate").route->function, "key_service_account_generate");
}

TEST(Routes, UnknownPathsHaveNoMethods)
{
    for (const auto *path :
         {"", "//", "/nope", "/organization", "/organization/", "/organization/new/", "/organization/new/x",
          "/organization//new", "organization/new", "/ORGANIZATION/NEW", "/v2/organization/", "/v2/organization/a/b",
          "/v2/organization", "*", "/organization/new\n"}) {
        const auto match = find_route("POST", path);
        EXPECT_EQ(match.route, nullptr) << path;
        EXPECT_EQ(match.allowed, "") << path;
    }
}

TEST(Routes, KnownPathsSayTheirMethods)
{
    EXPECT_EQ(find_route("PUT", "/organization/new").allowed, "POST");
    EXPECT_EQ(find_route("HEAD", "/organization/new").allowed, "POST");
    EXPECT_EQ(find_route("DELETE", "/organization/info").allowed, "GET, HEAD, POST");
    EXPECT_EQ(find_route("get", "/organization/list").allowed, "GET, HEAD");
    EXPECT_EQ(find_route("GET", "/v2/organization/x").allowed, "PATCH");
}

TEST(Routes, AreDistinct)
{
    std::set<std::pair<std::string_view, std::string_view>> seen;
    for (const Route &route : routes)
        EXPECT_TRUE(seen.emplace(route.method, route.path).second) << route.path;
}
