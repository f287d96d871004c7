// The lists: pages and filters.

#include "matchers.hpp"

namespace pg_org::test {
namespace {

// Where a reply's Link leads, as a route; empty if there is none.
std::string next(const Reply &reply)
{
    const std::string link = reply.header("Link");
    return link.empty() ? "" : "GET " + link.substr(1, link.find('>') - 1);
}

std::vector<Json> walk(std::string route, const std::string &field)
{
    std::vector<Json> seen;
    for (int pages = 0; !route.empty() && pages < 1000; ++pages) {
        const Reply page = call(route);
        EXPECT_EQ(page.status, 200) << page.text;
        for (const Json &id : values_of(page.body, field))
            seen.push_back(id);
        route = next(page);
    }
    return seen;
}

TEST(Lists, GiveAllInPagesInTheSameOrder)
{
    const std::string id = organization(), alias = fresh("paged");
    for (int i = 0; i < 5; ++i) {
        organization({{"organization_alias", alias}});
        team(id);
        join(id, person().id);
        key_for({{"organization_id", id}});
        ask("POST /budget/new", Json::object());
    }
    const std::vector<std::pair<std::string, std::string>> lists{
        {"/organization/list?org_alias=" + alias, "organization_id"},
        {"/team/list?organization_id=" + id, "team_id"},
        {"/user/list?organization_id=" + id, "user_id"},
        {"/key/list?organization_id=" + id, "token_id"},
        {"/budget/list?", "budget_id"},
        {"/organization/audit?organization_id=" + id, "audit_id"}};
    for (const auto &[path, field] : lists) {
        SCOPED_TRACE(path);
        const std::vector<Json> all = values_of(ask("GET " + path), field);
        EXPECT_GE(all.size(), 5u);
        EXPECT_EQ(walk("GET " + path + "&limit=2", field), all);
        EXPECT_EQ(call("GET " + path).header("Link"), "") << "all at once has no next page";
        EXPECT_EQ(call("GET " + path + "&limit=0").status, 422);
        EXPECT_EQ(call("GET " + path + "&limit=1001").status, 422);
        EXPECT_EQ(call("GET " + path + "&limit=x").status, 422);
        EXPECT_THAT(call("GET " + path + "&after=nothing"), e3({"query", "after"}, "value_error"));
    }
}

TEST(Lists, LinkToTheNextPageOfTheSameQuestion)
{
    const std::string id = organization();
    team(id), team(id);
    const Reply page = call("GET /team/list?limit=1&organization_id=" + id);
    EXPECT_EQ(page.header("Link"), "</team/list?limit=1&organization_id=" + id + "&after=" +
                                       page.body.at(0).at("team_id").get<std::string>() + ">; rel=\"next\"");
}

TEST(Lists, Filter)
{
    const std::string id = organization(), team_id = team(id, {{"team_alias", "Deep Blue"}});
    const std::string user_id = fresh("user"), email = fresh("Ann") + "@example.com", alias = fresh("alias");
    ask("POST /user/new", {{"user_id", user_id}, {"user_email", email}, {"auto_create_key", false}});
    join(id, user_id);
    ask("POST /team/member_add", {{"team_id", team_id}, {"member", {{"role", "user"}, {"user_id", user_id}}}});
    key_for({{"team_id", team_id}, {"user_id", user_id}, {"key_alias", alias}});
    const auto listed = [](const std::string &path, const std::string &field) {
        return values_of(ask("GET " + path), field);
    };
    const std::vector<Json> user{user_id}, one_team{team_id}, one{id}, none;

    EXPECT_EQ(listed("/organization/list?org_id=" + id, "organization_id"), one);
    EXPECT_EQ(listed("/organization/list?org_id=" + id + "&org_alias=%25", "organization_id"), none);

    EXPECT_EQ(listed("/user/list?user_email=" + encoded(email.substr(2, 8)), "user_id"), user);
    EXPECT_EQ(listed("/user/list?user_id=" + user_id, "user_id"), user);
    EXPECT_EQ(listed("/user/list?organization_id=" + id, "user_id"), user);
    EXPECT_EQ(listed("/user/list?team_id=" + team_id, "user_id"), user);
    EXPECT_EQ(listed("/user/list?role=proxy_admin&user_id=" + user_id, "user_id"), none);
    EXPECT_THAT(call("GET /user/list?role=king"), e3({"query", "role"}, "value_error"));
    EXPECT_EQ(listed("/team/list?user_id=" + user_id, "team_id"), one_team);
    EXPECT_EQ(listed("/team/list?organization_id=" + id, "team_id"), one_team);
    EXPECT_EQ(listed("/team/list?organization_id=" + id + "&team_alias=deep", "team_id"), one_team);
    EXPECT_EQ(listed("/team/list?organization_id=" + id + "&team_alias=red", "team_id"), none);
    for (const std::string &filter :
         {"user_id=" + user_id, "team_id=" + team_id, "organization_id=" + id, "key_alias=" + alias})
        EXPECT_EQ(listed("/key/list?" + filter, "key_alias"), std::vector<Json>{alias}) << filter;
}

} // namespace
} // namespace pg_org::test
