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

// The elements of a list: an array, or an object that has one.
const Json &elements_of(const Json &list)
{
    for (const auto *name : {"keys", "users", "teams"})
        if (list.is_object() && list.contains(name))
            return list.at(name);
    return list;
}

std::vector<Json> walk(std::string route, const std::string &field)
{
    std::vector<Json> seen;
    for (int pages = 0; !route.empty() && pages < 1000; ++pages) {
        const Reply page = call(route);
        EXPECT_EQ(page.status, 200) << page.text;
        for (const Json &id : values_of(elements_of(page.body), field))
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
        {"/user/list?limit=1000&organization_id=" + id, "user_id"},
        {"/v2/team/list?limit=1000&organization_id=" + id, "team_id"},
        {"/key/list?return_full_object=true&limit=1000&organization_id=" + id, "token_id"},
        {"/budget/list?", "budget_id"},
        {"/organization/audit?organization_id=" + id, "audit_id"}};
    for (const auto &[path, field] : lists) {
        SCOPED_TRACE(path);
        const std::vector<Json> all = values_of(elements_of(ask("GET " + path)), field);
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
    const Json &last = page.body.at(0); // the client decodes the header
    EXPECT_EQ(page.header("Link"), "</team/list?limit=1&organization_id=" + id +
                                       "&after=" + last.at("created_at").get<std::string>() + "/" +
                                       last.at("team_id").get<std::string>() + ">; rel=\"next\"");
}

TEST(Lists, GoOnAfterAnElementThatIsDeleted)
{
    const std::string id = organization();
    std::vector<Json> teams{team(id), team(id), team(id)};
    for (const std::string path : {"/team/list", "/v2/team/list"}) {
        SCOPED_TRACE(path);
        const Reply page = call("GET " + path + "?limit=1&organization_id=" + id);
        ASSERT_EQ(values_of(elements_of(page.body), "team_id"), std::vector<Json>{teams.front()});
        ask("POST /team/delete", {{"team_ids", {teams.front()}}});
        teams.erase(teams.begin());
        const Reply after = call(next(page));
        EXPECT_EQ(values_of(elements_of(after.body), "team_id"), std::vector<Json>{teams.front()});
    }
}

// As LiteLLM's clients read lists.
TEST(Lists, GiveNumberedPagesWithTotals)
{
    const std::string id = organization(), user_id = person().id;
    join(id, user_id);
    std::vector<Json> aliases;
    for (int i = 0; i < 3; ++i) {
        aliases.push_back(fresh("alias"));
        key_for({{"organization_id", id}, {"user_id", user_id}, {"key_alias", aliases.back()}});
    }
    const auto keys = [&](const std::string &query) { return ask("GET /key/list?organization_id=" + id + query); };
    Json page = keys("&page=2&size=2");
    EXPECT_EQ(page.at("total_count"), 3);
    EXPECT_EQ(page.at("current_page"), 2);
    EXPECT_EQ(page.at("total_pages"), 2);
    ASSERT_EQ(page.at("keys").size(), 1u);
    const std::string token = page.at("keys").at(0);
    EXPECT_EQ(ask("GET /key/info?key=" + token).at("info").at("key_alias"), aliases.front());
    page = keys("&page=3&size=2");
    EXPECT_EQ(page.at("keys"), Json::array()) << "beyond the end";
    EXPECT_EQ(page.at("total_count"), 3);
    page = keys("&return_full_object=true&expand=user&sort_by=created_at&sort_order=asc&include_team_keys=true");
    EXPECT_EQ(values_of(page.at("keys"), "key_alias"), aliases);
    EXPECT_EQ(page.at("keys").at(0).at("user").at("user_id"), user_id);
    EXPECT_EQ(keys("&key_hash=" + token).at("keys"), Json::array({token}));
    EXPECT_EQ(keys("&limit=2").at("total_count"), nullptr);
    EXPECT_EQ(ask("GET /key/aliases?search=" + aliases.front().get<std::string>()).at("aliases"),
              Json::array({aliases.front()}));

    page = ask("GET /user/list?page=1&page_size=1&user_ids=" + user_id + ",nobody");
    EXPECT_EQ(page.at("total"), 1);
    EXPECT_EQ(page.at("page_size"), 1);
    EXPECT_EQ(page.at("total_pages"), 1);
    EXPECT_EQ(values_of(page.at("users"), "user_id"), std::vector<Json>{user_id});

    const std::string team_id = team(id);
    page = ask("GET /v2/team/list?page=1&page_size=10&team_id=" + team_id);
    EXPECT_EQ(page.at("total"), 1);
    EXPECT_EQ(page.at("teams").at(0).at("keys"), Json::array());
}

TEST(Lists, RefuseWhatTheyCannotDo)
{
    for (const std::string path : {"/key/list?size", "/user/list?page_size", "/v2/team/list?page_size"}) {
        const std::string size = path.substr(path.find('?') + 1), list = "GET " + path.substr(0, path.find('?') + 1);
        EXPECT_THAT(call(list + size + "=x"), e3({"query", size}, "int_parsing"));
        EXPECT_THAT(call(list + size + "=1.5"), e3({"query", size}, "int_parsing"));
        EXPECT_THAT(call(list + size + "=1001"), e3({"query", size}, "value_error"));
        EXPECT_THAT(call(list + "page=two"), e3({"query", "page"}, "int_parsing"));
        EXPECT_THAT(call(list + "page=0"), e3({"query", "page"}, "value_error"));
        EXPECT_THAT(call(list + "sort_by=password"), e3({"query", "sort_by"}, "value_error"));
        EXPECT_THAT(call(list + "sort_order=up"), e3({"query", "sort_order"}, "value_error"));
        EXPECT_THAT(call(list + "page=1&limit=1"), e3({"query", "page"}, "value_error"));
    }
    EXPECT_THAT(call("GET /key/list?expand=team"), e3({"query", "expand"}, "value_error"));
    EXPECT_THAT(call("GET /key/list?return_full_object=maybe"), e3({"query", "return_full_object"}, "bool_parsing"));
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
        return values_of(elements_of(ask("GET " + path)), field);
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
        EXPECT_EQ(listed("/key/list?return_full_object=true&" + filter, "key_alias"), std::vector<Json>{alias})
            << filter;
}

} // namespace
} // namespace pg_org::test
