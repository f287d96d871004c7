// POST /team/new and GET /team/info

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::HasSubstr;

const std::string route = "POST /team/new";

struct Team : testing::Test {
    std::string id = organization({{"models", {"a", "b"}}});
    Person admin = person(), member = person();

    void SetUp() override
    {
        join(id, admin.id, "org_admin");
        join(id, member.id);
    }

    Json in_organization(Json fields) const
    {
        fields["organization_id"] = id;
        return fields;
    }
};

TEST_F(Team, IsMadeInsideAnOrganizationWithItsMembers)
{
    const Json made =
        ask(route,
            in_organization({{"team_alias", "blue"},
                             {"models", Json::array({"a"})},
                             {"members_with_roles",
                              {{{"user_id", admin.id}, {"role", "admin"}}, {{"user_id", member.id}, {"role", "user"}}}},
                             {"metadata", {{"k", "v"}}},
                             {"max_budget", 10},
                             {"tpm_limit", 1},
                             {"rpm_limit", 2},
                             {"max_parallel_requests", 3},
                             {"budget_duration", "1d"},
                             {"blocked", true}}));
    EXPECT_TRUE(is_team(made));
    EXPECT_TRUE(is_uuid(made.at("team_id")));
    EXPECT_EQ(made.at("organization_id"), id);
    EXPECT_EQ(made.at("team_alias"), "blue");
    EXPECT_EQ(made.at("admins"), Json::array({admin.id}));
    EXPECT_THAT(made.at("members").get<std::vector<std::string>>(), testing::UnorderedElementsAre(admin.id, member.id));
    EXPECT_EQ(made.at("members_with_roles").size(), 2u);
    EXPECT_EQ(made.at("models"), Json::array({"a"}));
    EXPECT_EQ(made.at("max_budget"), 10.0);
    EXPECT_EQ(made.at("budget_duration"), "1d");
    EXPECT_TRUE(is_time(made.at("budget_reset_at")));
    EXPECT_EQ(made.at("blocked"), true);
    EXPECT_EQ(info(id).at("teams"), Json::array({made}));
}

TEST_F(Team, HasDefaults)
{
    const Json made = ask(route, in_organization(Json::object()));
    EXPECT_TRUE(is_team(made));
    EXPECT_EQ(made.at("models"), Json::array());
    EXPECT_EQ(made.at("members_with_roles"), Json::array());
    EXPECT_EQ(made.at("blocked"), false);
}

TEST_F(Team, KeepsToTheModelsAndMembersOfItsOrganization)
{
    const Person stranger = person();
    const auto before = database_digest();
    EXPECT_THAT(call(route, in_organization({{"models", {"a", "c"}}})), e2(400, HasSubstr("c")));
    EXPECT_THAT(call(route, in_organization({{"members_with_roles", {{{"user_id", stranger.id}, {"role", "user"}}}}})),
                testing::AnyOf(e2(400, HasSubstr(stranger.id)), e2(404, HasSubstr(stranger.id))));
    EXPECT_EQ(
        call(route, in_organization({{"members_with_roles", {{{"user_id", member.id}, {"role", "king"}}}}})).status,
        422);
    EXPECT_EQ(call(route, in_organization({{"members_with_roles", {{{"role", "user"}}}}})).status, 422);
    EXPECT_EQ(call(route, in_organization({{"members_with_roles", 5}})).status, 422);
    EXPECT_EQ(database_digest(), before);
}

TEST_F(Team, HasAnIdOfItsOwn)
{
    const std::string team_id = fresh("team");
    ask(route, in_organization({{"team_id", team_id}}));
    const auto taken = e2(400, "Team id = " + team_id + " already exists. Please use a different team id.");
    EXPECT_THAT(call(route, in_organization({{"team_id", team_id}})), taken);
    EXPECT_THAT(call(route, {{"organization_id", organization()}, {"team_id", team_id}}), taken) << "on the platform";
}

TEST_F(Team, NeedsAnOrganization)
{
    EXPECT_THAT(call(route, {{"team_alias", "x"}}), e3({"body", "organization_id"}, "missing"));
    EXPECT_EQ(call(route, {{"organization_id", "no-such-org"}}).status, 404);
}

TEST_F(Team, IsMadeByProxyAdminsAndTheAdminsOfItsOrganization)
{
    EXPECT_EQ(call(route, in_organization(Json::object()), admin.key).status, 200);
    const Person viewer = person("proxy_admin_viewer"), stranger = person();
    const auto before = database_digest();
    for (const std::string &key : {member.key, viewer.key, stranger.key}) {
        EXPECT_THAT(call(route, in_organization(Json::object()), key), e2(401, testing::_));
    }
    EXPECT_EQ(database_digest(), before);
}

TEST_F(Team, IsShownWithItsMembersAndKeys)
{
    const std::string team_id = team(id, {{"members_with_roles", {{{"user_id", member.id}, {"role", "user"}}}}});
    key_for({{"organization_id", id}, {"team_id", team_id}});
    const Json shown = ask("GET /team/info?team_id=" + team_id);
    EXPECT_EQ(names(shown), (std::vector<std::string>{"team_id", "team_info", "keys", "team_memberships"}));
    EXPECT_EQ(shown.at("team_id"), team_id);
    EXPECT_TRUE(is_team(shown.at("team_info")));
    EXPECT_EQ(shown.at("keys").size(), 1u);
    EXPECT_EQ(values_of(shown.at("team_memberships"), "user_id"), std::vector<Json>{member.id});
}

TEST_F(Team, IsShownToItsMembersAndAdmins)
{
    const Person outside_the_team = person(), stranger = person();
    join(id, outside_the_team.id);
    const std::string path =
        "GET /team/info?team_id=" + team(id, {{"members_with_roles", {{{"user_id", member.id}, {"role", "user"}}}}});
    for (const std::string &key : {member.key, admin.key, person("proxy_admin_viewer").key}) {
        EXPECT_EQ(call(path, nullptr, key).status, 200);
    }
    for (const std::string &key : {outside_the_team.key, stranger.key}) {
        EXPECT_EQ(call(path, nullptr, key).status, call("GET /team/info?team_id=no-such-team", nullptr, key).status)
            << "as one that does not exist";
        EXPECT_THAT(call(path, nullptr, key).status, testing::AnyOf(401, 404));
    }
    EXPECT_EQ(call("GET /team/info?team_id=no-such-team").status, 404);
    EXPECT_THAT(call("GET /team/info"), e3({"query", "team_id"}, "missing"));
}

} // namespace
} // namespace pg_org::test
