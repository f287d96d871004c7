// POST /user/new and GET /user/info

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::HasSubstr;

const std::string route = "POST /user/new";

TEST(UserNew, MakesAUserWithAKeyOfTheirs)
{
    const Json fields = {{"user_id", fresh("user")},
                         {"user_email", fresh("mail") + "@example.com"},
                         {"user_alias", "Al"},
                         {"user_role", "internal_user_viewer"},
                         {"models", Json::array({"gpt-4o"})},
                         {"max_budget", 12.5},
                         {"tpm_limit", 5},
                         {"rpm_limit", 6},
                         {"sso_user_id", fresh("sso")},
                         {"metadata", {{"a", 1}}},
                         {"key_alias", "first"},
                         {"duration", "1d"}};
    Json made = ask(route, fields);
    for (const char *field : {"user_id", "user_email", "user_alias", "user_role", "models", "max_budget", "tpm_limit",
                              "rpm_limit", "metadata"}) {
        EXPECT_EQ(made[field], fields[field]) << field;
    }
    EXPECT_EQ(made["teams"], Json::array());
    EXPECT_TRUE(is_time(made["expires"]));
    EXPECT_FALSE(made.contains("password"));
    const Json shown = ask("GET /user/info", nullptr, made["key"]);
    EXPECT_EQ(shown.at("user_id"), fields["user_id"]);
    EXPECT_EQ(values_of(shown.at("keys"), "key_alias"), std::vector<Json>{"first"});
}

TEST(UserNew, HasDefaultsForEverything)
{
    Json made = ask(route, Json::object());
    EXPECT_TRUE(is_uuid(made["user_id"]));
    EXPECT_EQ(made["user_role"], "internal_user");
    EXPECT_EQ(made["user_email"], nullptr);
    EXPECT_THAT(made["key"].get<std::string>(), testing::StartsWith("sk-"));
}

TEST(UserNew, MakesNoKeyWhenNotWanted)
{
    Json made = ask(route, {{"auto_create_key", false}});
    EXPECT_EQ(made.at("key"), nullptr);
    EXPECT_EQ(value("SELECT count(*) FROM org.api_key WHERE user_id = $1", made["user_id"].get<std::string>()), "0");
}

TEST(UserNew, RefusesATakenIdAndABadRole)
{
    const Person someone = person();
    const auto before = database_digest();
    EXPECT_THAT(call(route, {{"user_id", someone.id}}), e2(409, testing::_));
    for (const char *role : {"org_admin", "king", ""}) {
        EXPECT_THAT(call(route, {{"user_role", role}}), e3({"body", "user_role"})) << role;
    }
    EXPECT_THAT(call(route, {{"max_budget", -1}}), e3({"body", "max_budget"}));
    EXPECT_THAT(call(route, {{"budget_duration", "bogus"}}), e3({"body", "budget_duration"}));
    EXPECT_EQ(database_digest(), before);
}

TEST(UserNew, IsForProxyAdmins)
{
    const Person viewer = person("proxy_admin_viewer"), someone = person();
    const auto before = database_digest();
    for (const std::string &key : {viewer.key, someone.key})
        EXPECT_THAT(call(route, Json::object(), key), e2(401, testing::_));
    EXPECT_EQ(database_digest(), before);
}

struct UserInfo : testing::Test {
    std::string id = organization();
    Person someone = person();
    std::string team_id;

    void SetUp() override
    {
        join(id, someone.id);
        team_id = team(id, {{"members_with_roles", {{{"user_id", someone.id}, {"role", "user"}}}}});
    }
};

TEST_F(UserInfo, ShowsTheUserWithTheirKeysAndTeams)
{
    const Json shown = ask("GET /user/info?user_id=" + someone.id);
    EXPECT_EQ(names(shown), (std::vector<std::string>{"user_id", "user_info", "keys", "teams"}));
    EXPECT_EQ(shown.at("user_id"), someone.id);
    EXPECT_TRUE(is_user(shown.at("user_info")));
    EXPECT_EQ(shown.at("user_info").at("teams"), Json::array({team_id}));
    ASSERT_EQ(shown.at("keys").size(), 1u);
    EXPECT_EQ(shown.at("keys").at(0).at("user_id"), someone.id);
    ASSERT_EQ(shown.at("teams").size(), 1u);
    EXPECT_TRUE(is_team(shown.at("teams").at(0)));
}

TEST_F(UserInfo, ShowsTheCallerWithoutAUserId)
{
    EXPECT_EQ(ask("GET /user/info", nullptr, someone.key).at("user_id"), someone.id);
    EXPECT_EQ(ask("GET /user/info?user_id=" + someone.id, nullptr, someone.key).at("user_id"), someone.id);
}

TEST_F(UserInfo, IsForTheUserViewersAndTheAdminsOfTheirOrganizations)
{
    const Person admin = person(), member = person();
    join(id, admin.id, "org_admin");
    join(id, member.id);
    const std::string path = "GET /user/info?user_id=" + someone.id;
    EXPECT_EQ(call(path, nullptr, person("proxy_admin_viewer").key).status, 200);
    EXPECT_EQ(call(path, nullptr, admin.key).status, 200);
    for (const std::string &key : {member.key, person().key}) {
        EXPECT_EQ(call(path, nullptr, key).status, call("GET /user/info?user_id=no-such-user", nullptr, key).status)
            << "as one that does not exist";
        EXPECT_THAT(call(path, nullptr, key).status, testing::AnyOf(401, 404));
    }
}

TEST_F(UserInfo, ShowsAnOrganizationsAdminTheKeysAndTeamsOfThatOrganizationOnly)
{
    const Person admin = person();
    join(id, admin.id, "org_admin");
    const std::string other_id = organization();
    join(other_id, someone.id);
    team(other_id, {{"members_with_roles", {{{"user_id", someone.id}, {"role", "user"}}}}});
    key_for({{"user_id", someone.id}, {"organization_id", id}});
    key_for({{"user_id", someone.id}, {"organization_id", other_id}});

    const Json shown = ask("GET /user/info?user_id=" + someone.id, nullptr, admin.key);
    EXPECT_EQ(values_of(shown.at("teams"), "team_id"), std::vector<Json>{team_id});
    EXPECT_EQ(values_of(shown.at("keys"), "organization_id"), std::vector<Json>{id});
}

TEST_F(UserInfo, DoesNotFindAnUnknownUser)
{
    EXPECT_THAT(call("GET /user/info?user_id=no-such-user"), e2(404, HasSubstr("no-such-user")));
}

} // namespace
} // namespace pg_org::test
