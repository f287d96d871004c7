// From catalog rows to functions.
#include "catalog.hpp"

#include "routes.hpp"

#include <gtest/gtest.h>

#include <set>

using namespace pg_org;

namespace {

std::vector<Row> rows_of_every_function()
{
    std::vector<Row> rows;
    std::set<std::string> functions{std::string{tag_function}};
    rows.push_back({std::string{tag_function}, "public.f", "t", "reply", "reply", "json", "t", "", "", ""});
    for (const Route &route : routes)
        for (const auto &function : {std::string{route.function}, route.kind == Kind::calls ? many(route) : ""})
            if (!function.empty() && functions.insert(function).second)
                rows.push_back({function, "public.f", "t", "api_key", "api_key", "text", "f", "NULL::text", "", ""});
    return rows;
}

} // namespace

TEST(Catalog, ReadsSignatures)
{
    auto rows = rows_of_every_function();
    rows.insert(rows.begin(), {"org_new", "public.f", "t", "limit", "\"limit\"", "bigint", "t", "", "", ""});
    rows.push_back(
        {"org_setup_of_no_route", "public.org_setup_of_no_route", "f", "role", "role", "name", "t", "", "", ""});
    const auto functions = read_functions(rows);
    const auto &function = functions.at("org_new");
    EXPECT_EQ(function.identifier, "public.f");
    ASSERT_EQ(function.arguments.size(), 2u);
    EXPECT_EQ(function.arguments[0].name, "limit");
    EXPECT_EQ(function.arguments[0].identifier, "\"limit\"");
    EXPECT_EQ(function.arguments[0].type, Type::bigint);
    EXPECT_TRUE(function.arguments[0].required);
    EXPECT_FALSE(function.arguments[1].required);
    EXPECT_FALSE(functions.contains("org_setup_of_no_route"));
}

TEST(Catalog, RefusesWhatCannotBeCalled)
{
    EXPECT_THROW(read_functions({}), std::runtime_error);
    for (const std::string name : {"org_new", "usage_reserve", "usage_reserve_many"}) {
        auto missing = rows_of_every_function();
        EXPECT_EQ(std::erase_if(missing, [&](const Row &row) { return row[0] == name; }), 1u);
        EXPECT_THROW(read_functions(missing), std::runtime_error);
    }
    auto forbidden = rows_of_every_function();
    forbidden[3][2] = "f";
    EXPECT_THROW(read_functions(forbidden), std::runtime_error);
    auto unknown_type = rows_of_every_function();
    unknown_type[3][5] = "money";
    EXPECT_THROW(read_functions(unknown_type), std::runtime_error);
}

TEST(Catalog, DoesWithoutWhatOnlyTheGatewayItselfCalls)
{
    auto rows = rows_of_every_function();
    EXPECT_FALSE(read_functions(rows).contains(claim_function));
    rows.push_back(
        {std::string{claim_function}, "public.f", "f", "api_key", "api_key", "text", "f", "NULL::text", "", ""});
    EXPECT_TRUE(read_functions(rows).contains(claim_function));
}
