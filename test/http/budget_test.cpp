// POST /budget/info

#include "matchers.hpp"

namespace pg_org::test {
namespace {

const std::string route = "POST /budget/info";

TEST(BudgetInfo, ShowsThemInTheOrderAskedLeavingOutTheUnknown)
{
    const Json first = info(organization({{"max_budget", 1}})).at("litellm_budget_table");
    const Json second = info(organization({{"max_budget", 2}})).at("litellm_budget_table");
    const Json shown = ask(route, {{"budgets", {second.at("budget_id"), "no-such-budget", first.at("budget_id")}}});
    EXPECT_EQ(shown, Json::array({second, first}));
    for (const Json &budget : shown)
        EXPECT_TRUE(is_budget(budget));
}

TEST(BudgetInfo, IsForProxyAdminsAndViewers)
{
    const std::string budget_id = info(organization()).at("budget_id");
    const Json body = {{"budgets", Json::array({budget_id})}};
    EXPECT_EQ(call(route, body, person("proxy_admin_viewer").key).status, 200);
    for (const char *role : {"internal_user", "internal_user_viewer"}) {
        EXPECT_THAT(call(route, body, person(role).key), e2(401, testing::_)) << role;
    }
}

TEST(BudgetInfo, NeedsAListOfIds)
{
    EXPECT_THAT(call(route, Json::object()), e3({"body", "budgets"}, "missing"));
    EXPECT_THAT(call(route, {{"budgets", "x"}}), e3({"body", "budgets"}, "list_type"));
}

} // namespace
} // namespace pg_org::test
