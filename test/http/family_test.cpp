// Budgets, users, teams and keys: making, changing, blocking and deleting them over HTTP.

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::HasSubstr;

TEST(Budgets, AreMadeChangedAndDeletedUnlessInUse)
{
    const Json made = ask("POST /budget/new", {{"max_budget", "10"}, {"budget_duration", "1d"}});
    EXPECT_TRUE(is_budget(made));
    const std::string id = made.at("budget_id");
    EXPECT_THAT(call("POST /budget/new", {{"budget_id", id}}), e2(409, HasSubstr(id)));

    const Json changed = ask("POST /budget/update", {{"budget_id", id}, {"tpm_limit", 5}, {"clear", {"max_budget"}}});
    EXPECT_EQ(changed.at("tpm_limit"), 5);
    EXPECT_EQ(changed.at("max_budget"), nullptr);
    EXPECT_EQ(changed.at("budget_duration"), "1d");
    EXPECT_EQ(call("POST /budget/update", {{"budget_id", "no-such-budget"}}).status, 404);

    const std::string owner = organization({{"budget_id", id}});
    const auto before = database_digest();
    EXPECT_THAT(call("POST /budget/delete", {{"id", id}}), e2(409, HasSubstr(owner)));
    EXPECT_EQ(database_digest(), before);
    const std::string free = ask("POST /budget/new", Json::object()).at("budget_id");
    EXPECT_EQ(ask("POST /budget/delete", {{"id", free}}).at("budget_id"), free);
    EXPECT_EQ(call("POST /budget/delete", {{"id", free}}).status, 404);
}

TEST(Users, AreChangedByProxyAdminsAndInSmallThingsByThemselves)
{
    const Person someone = person();
    EXPECT_EQ(ask("POST /user/update", {{"user_id", someone.id}, {"user_alias", "Ann"}}, someone.key).at("user_alias"),
              "Ann");
    const auto before = database_digest();
    for (const Json &field :
         {Json{{"user_role", "proxy_admin"}}, Json{{"max_budget", 1}}, Json{{"models", {"m"}}}, Json{{"tpm_limit", 1}},
          Json{{"metadata", {{"a", 1}}}}, Json{{"clear", {"max_budget"}}}}) {
        Json body = field;
        body["user_id"] = someone.id;
        EXPECT_EQ(call("POST /user/update", body, someone.key).status, 401) << field;
    }
    EXPECT_EQ(call("POST /user/update", {{"user_id", person().id}, {"user_alias", "x"}}, someone.key).status, 401);
    query("DELETE FROM org.\"user\" WHERE user_alias = 'x'");

    const Json changed =
        ask("POST /user/update", {{"user_id", someone.id}, {"user_role", "proxy_admin"}, {"max_budget", 7}});
    EXPECT_TRUE(is_user(changed));
    EXPECT_EQ(changed.at("user_role"), "proxy_admin");
    EXPECT_EQ(call("GET /budget/list", nullptr, someone.key).status, 200) << "at once";
    ask("POST /user/update", {{"user_id", someone.id}, {"user_role", "internal_user"}});
    EXPECT_EQ(call("GET /budget/list", nullptr, someone.key).status, 401) << "at once";
}

TEST(Users, AreDeletedWithAllThatIsTheirs)
{
    const std::string id = organization();
    const Person someone = person();
    ask("POST /organization/member_add", {{"organization_id", id},
                                          {"member", {{"role", "internal_user"}, {"user_id", someone.id}}},
                                          {"max_budget_in_organization", 5}});
    const std::string budget_id = member_of(id, someone.id).at("budget_id");
    EXPECT_EQ(call("POST /user/delete", {{"user_ids", {someone.id, "no-such-user"}}}).status, 404);
    EXPECT_EQ(call("GET /user/info", nullptr, someone.key).status, 200) << "all or none";

    const Json receipt = ask("POST /user/delete", {{"user_ids", {someone.id}}});
    ASSERT_EQ(receipt.size(), 1u);
    EXPECT_TRUE(is_user(receipt.at(0)));
    EXPECT_EQ(call("GET /user/info", nullptr, someone.key).status, 401);
    EXPECT_EQ(member_of(id, someone.id), nullptr);
    EXPECT_EQ(ask("POST /budget/info", {{"budgets", {budget_id}}}).size(), 0u);
}

TEST(Users, IncludeAProxyAdminAtLast)
{
    Json admins = Json::array();
    for (const Json &admin : ask("GET /user/list?role=proxy_admin"))
        admins.push_back(admin.at("user_id"));
    EXPECT_THAT(call("POST /user/delete", {{"user_ids", admins}}), e2(400, HasSubstr("last proxy_admin")));
}

TEST(Teams, AreChangedWithinTheirOrganization)
{
    const std::string id = organization({{"max_budget", 100}, {"models", {"a", "b"}}}), team_id = team(id);
    const Json changed = ask("POST /team/update", {{"team_id", team_id}, {"max_budget", 50}, {"models", {"a"}}});
    EXPECT_TRUE(is_team(changed));
    EXPECT_EQ(changed.at("max_budget"), 50.0);
    EXPECT_THAT(call("POST /team/update", {{"team_id", team_id}, {"max_budget", 101}}),
                e2(400, testing::AllOf(HasSubstr("101"), HasSubstr("100"))));
    EXPECT_THAT(call("PATCH /organization/update", {{"organization_id", id}, {"max_budget", 49}}),
                e2(400, HasSubstr(team_id)));
    ask("PATCH /organization/update", {{"organization_id", id}, {"max_budget", 49}, {"cascade", true}});
    EXPECT_EQ(ask("GET /team/info?team_id=" + team_id).at("team_info").at("max_budget"), 49.0);
    EXPECT_EQ(call("PATCH /v2/organization/" + id, {{"max_budget", 10}}).status, 400);
    EXPECT_EQ(call("PATCH /v2/organization/" + id + "?cascade=true", {{"max_budget", 10}}).status, 200);
}

TEST(Teams, TakeMembersOfTheirOrganization)
{
    const std::string id = organization(), team_id = team(id);
    const Person someone = person(), stranger = person();
    join(id, someone.id);
    const Json member = {{"role", "user"}, {"user_id", someone.id}};
    const Json added =
        ask("POST /team/member_add", {{"team_id", team_id}, {"member", member}, {"max_budget_in_team", 5}});
    EXPECT_EQ(added.at("members"), Json::array({someone.id}));
    EXPECT_TRUE(is_user(added.at("updated_users").at(0)));
    EXPECT_EQ(added.at("updated_team_memberships").at(0).at("max_budget_in_team"), 5.0);
    const auto before = database_digest();
    EXPECT_EQ(
        call("POST /team/member_add",
             {{"team_id", team_id},
              {"member", {{{"role", "user"}, {"user_id", someone.id}}, {{"role", "user"}, {"user_id", stranger.id}}}}})
            .status,
        404);
    EXPECT_EQ(database_digest(), before) << "all or none";

    const std::string key = key_for({{"team_id", team_id}, {"user_id", someone.id}});
    EXPECT_EQ(
        ask("POST /team/member_update", {{"team_id", team_id}, {"user_id", someone.id}, {"role", "admin"}}).at("role"),
        "admin");
    const Json left = ask("POST /team/member_delete", {{"team_id", team_id}, {"user_id", someone.id}});
    EXPECT_EQ(left.at("members"), Json::array());
    EXPECT_EQ(call("GET /key/info", nullptr, key).status, 401) << "their key of the team is gone";
    EXPECT_EQ(call("POST /team/member_delete", {{"team_id", team_id}, {"user_id", someone.id}}).status, 404);
}

TEST(Teams, AreBlockedAndDeletedWithTheirKeys)
{
    const std::string id = organization(), team_id = team(id);
    const std::string key = key_for({{"team_id", team_id}});
    EXPECT_EQ(ask("POST /team/block", {{"team_id", team_id}}).at("blocked"), true);
    EXPECT_THAT(call("GET /key/info", nullptr, key), e1(401, HasSubstr(team_id)));
    EXPECT_EQ(ask("POST /team/unblock", {{"team_id", team_id}}).at("blocked"), false);
    EXPECT_EQ(call("GET /key/info", nullptr, key).status, 200);

    EXPECT_EQ(call("POST /team/delete", {{"team_ids", {team_id, "no-such-team"}}}).status, 404);
    const Json receipt = ask("POST /team/delete", {{"team_ids", {team_id, team_id}}});
    ASSERT_EQ(receipt.size(), 1u);
    EXPECT_TRUE(is_team(receipt.at(0)));
    EXPECT_EQ(call("GET /key/info", nullptr, key).status, 401);
}

TEST(Organizations, AreBlockedAndUnblocked)
{
    const std::string id = organization();
    const std::string key = key_for({{"organization_id", id}});
    EXPECT_TRUE(is_organization(ask("POST /organization/block", {{"organization_id", id}})));
    EXPECT_THAT(call("GET /organization/list", nullptr, key), e1(401, HasSubstr(id)));
    EXPECT_EQ(ask("POST /organization/unblock", {{"organization_id", id}}).at("blocked"), false);
    EXPECT_EQ(call("GET /organization/list", nullptr, key).status, 200);
    EXPECT_EQ(call("POST /organization/block", {{"organization_id", "no-such-org"}}).status, 404);
}

TEST(Keys, AreShownByNameNeverByThemselves)
{
    const std::string key = key_for({{"user_id", person().id}, {"key_alias", "ann's"}});
    const Json shown = ask("GET /key/info?key=" + key);
    const std::string token_id = shown.at("key");
    EXPECT_EQ(shown.at("info").at("key_name"), "sk-..." + key.substr(key.size() - 4));
    EXPECT_EQ(ask("GET /key/info?key=" + token_id), shown);
    EXPECT_EQ(ask("GET /key/info", nullptr, key), shown) << "its own, without asking for one";
    EXPECT_EQ(call("GET /key/info?key=" + token_id, nullptr, person().key).status, 404);
    EXPECT_EQ(call("GET /key/info?key=sk-unknown").status, 404);
}

TEST(Keys, AreChanged)
{
    const std::string id = organization({{"models", {"a", "b"}}});
    const std::string key = key_for({{"organization_id", id}, {"models", {"a"}}, {"duration", "1h"}});
    const Json changed = ask("POST /key/update", {{"key", key},
                                                  {"models", {"b"}},
                                                  {"max_budget", 5},
                                                  {"tpm_limit", 6},
                                                  {"key_alias", "new"},
                                                  {"clear", {"duration"}}});
    EXPECT_EQ(changed.at("models"), Json::array({"b"}));
    EXPECT_EQ(changed.at("max_budget"), 5.0);
    EXPECT_EQ(changed.at("expires"), nullptr);
    EXPECT_EQ(call("POST /key/update", {{"key", key}, {"models", {"c"}}}).status, 400);
    EXPECT_EQ(call("POST /key/update", {{"key", "sk-unknown"}}).status, 404);
    EXPECT_EQ(call("POST /key/update", {{"key", key}, {"duration", "-1h"}}).status, 422);
}

TEST(Keys, AreReplacedAtOnceOrWithGrace)
{
    const std::string first = key_for({{"user_id", person().id}});
    const std::string second = ask("POST /key/regenerate", {{"key", first}}, first).at("key");
    EXPECT_EQ(call("GET /key/info", nullptr, first).status, 401);
    EXPECT_EQ(call("GET /key/info", nullptr, second).status, 200);
    const std::string third = ask("POST /key/regenerate", {{"key", second}, {"grace_period", "1h"}}).at("key");
    EXPECT_EQ(call("GET /key/info", nullptr, second).body, call("GET /key/info", nullptr, third).body);
    query("UPDATE org.api_key SET previous_expires = now() - interval '1 s' WHERE previous_key_hash IS NOT NULL");
    EXPECT_EQ(call("GET /key/info", nullptr, second).status, 400) << "its time of grace is over";
}

TEST(Keys, AreDeletedAllOrNone)
{
    const std::string one = key_for({{"user_id", person().id}, {"key_alias", fresh("alias")}}),
                      two = key_for({{"user_id", person().id}});
    EXPECT_EQ(call("POST /key/delete", {{"keys", {one, "sk-unknown"}}}).status, 404);
    EXPECT_EQ(call("GET /key/info", nullptr, one).status, 200);
    const std::string alias = ask("GET /key/info?key=" + one).at("info").at("key_alias");
    EXPECT_EQ(call("POST /key/delete", {{"keys", {two}}, {"key_aliases", {fresh("alias")}}}).status, 404);
    const std::string of_the_same = key_for({{"user_id", person().id}, {"key_alias", alias}});
    EXPECT_EQ(call("POST /key/delete", {{"key_aliases", {alias}}}).status, 400);
    EXPECT_EQ(ask("POST /key/delete", {{"keys", {of_the_same}}}).size(), 1u);
    EXPECT_EQ(ask("POST /key/delete", {{"keys", {two}}, {"key_aliases", {alias}}}).size(), 2u);
    EXPECT_EQ(call("GET /key/info", nullptr, one).status, 401);
    EXPECT_EQ(call("GET /key/info", nullptr, two).status, 401);
}

// Ways in which somebody might try to get beyond what is theirs.
struct Boundaries : testing::Test {
    std::string mine = organization(), theirs = organization();
    Person admin = person(), victim = person();

    void SetUp() override
    {
        join(mine, admin.id, "org_admin");
        join(theirs, victim.id, "org_admin");
    }
};

TEST_F(Boundaries, AnOrganizationsAdminDoesNotBecomeAProxyAdmin)
{
    const auto before = database_digest();
    for (const Json &fields :
         {Json{{"user_role", "proxy_admin"}}, Json{{"role", "proxy_admin"}, {"user_role", "proxy_admin"}}}) {
        Json body = fields;
        body["user_id"] = admin.id;
        EXPECT_EQ(call("POST /user/update", body, admin.key).status, 401);
        EXPECT_EQ(call("POST /user/new", fields, admin.key).status, 401);
        body["organization_id"] = mine;
        body["role"] = "proxy_admin";
        EXPECT_EQ(call("PATCH /organization/member_update", body, admin.key).status, 422);
    }
    EXPECT_EQ(call("POST /key/generate", {{"user_id", "default_user_id"}, {"organization_id", mine}}, admin.key).status,
              404);
    EXPECT_EQ(call("POST /key/generate", {{"user_id", "default_user_id"}}, admin.key).status, 401);
    EXPECT_EQ(database_digest(), before);
}

TEST_F(Boundaries, AKeyMadeForAProxyAdminIsNone)
{
    const Person root = person("proxy_admin");
    ask("POST /organization/member_add",
        {{"organization_id", mine}, {"member", {{"role", "internal_user"}, {"user_id", root.id}}}}, admin.key);
    const std::string made =
        ask("POST /key/generate", {{"user_id", root.id}, {"organization_id", mine}}, admin.key).at("key");
    EXPECT_EQ(call("POST /organization/new", {{"organization_alias", "x"}}, made).status, 401);
    EXPECT_EQ(ask("GET /organization/list", nullptr, made).size(), 1u);

    const std::string own = key_for({{"user_id", root.id}, {"organization_id", mine}});
    EXPECT_EQ(call("POST /budget/new", Json::object(), own).status, 200) << "made by a proxy admin it is one";
    const std::string taken = ask("POST /key/regenerate", {{"key", own}}, admin.key).at("key");
    EXPECT_EQ(call("POST /budget/new", Json::object(), taken).status, 401) << "taken over it is none";
    EXPECT_EQ(call("POST /user/update", {{"user_id", root.id}, {"user_email", "mine@example.com"}}, taken).status, 401);
}

TEST_F(Boundaries, AKeyOfOneOrganizationDoesNotActInAnother)
{
    join(theirs, admin.id, "org_admin");
    const std::string confined = key_for({{"user_id", admin.id}, {"organization_id", mine}});
    const std::string foreign_team = team(theirs), foreign_budget = info(theirs).at("budget_id");
    const auto before = database_digest();
    EXPECT_EQ(call("GET /organization/info?organization_id=" + theirs, nullptr, confined).status, 401);
    EXPECT_EQ(call("POST /team/new", {{"organization_id", theirs}}, confined).status, 401);
    EXPECT_EQ(
        call("POST /team/update", {{"team_id", foreign_team}, {"organization_id", mine}, {"team_alias", "x"}}, confined)
            .status,
        401);
    EXPECT_EQ(call("POST /team/delete", {{"team_ids", {foreign_team}}}, confined).status, 401);
    EXPECT_EQ(call("POST /key/generate", {{"team_id", foreign_team}}, confined).status, 401);
    EXPECT_EQ(call("POST /key/generate", {{"team_id", foreign_team}, {"organization_id", mine}}, confined).status, 401);
    EXPECT_EQ(call("POST /key/generate", {{"user_id", victim.id}, {"organization_id", mine}}, confined).status, 404);
    EXPECT_EQ(call("POST /budget/info", {{"budgets", {foreign_budget}}}, confined).status, 401);
    EXPECT_EQ(
        call("PATCH /organization/update", {{"organization_id", mine}, {"budget_id", foreign_budget}}, confined).status,
        401);
    EXPECT_EQ(call("GET /user/info?user_id=" + victim.id, nullptr, confined).status, 404);
    EXPECT_EQ(database_digest(), before);
    EXPECT_EQ(ask("GET /organization/list", nullptr, confined).size(), 1u);
}

TEST_F(Boundaries, ASharedBudgetIsNotEditedThroughTheSmallerOwner)
{
    const std::string budget_id = info(theirs).at("budget_id");
    ask("POST /organization/member_add",
        {{"organization_id", mine}, {"member", {{"role", "internal_user"}, {"user_id", victim.id}}}});
    query("UPDATE org.membership SET budget_id = $1 WHERE organization_id = $2 AND user_id = $3", budget_id, mine,
          victim.id);
    const Json before = ask("POST /budget/info", {{"budgets", {budget_id}}});
    ask("PATCH /organization/member_update",
        {{"organization_id", mine}, {"user_id", victim.id}, {"max_budget_in_organization", 1000000}}, admin.key);
    EXPECT_EQ(ask("POST /budget/info", {{"budgets", {budget_id}}}), before);
    EXPECT_NE(member_of(mine, victim.id).at("budget_id"), budget_id);
}

TEST_F(Boundaries, AnAddressIsOneUsersAndNobodyClaimsIt)
{
    const std::string email = fresh("cfo") + "@customer.example";
    EXPECT_EQ(call("POST /user/update", {{"user_id", admin.id}, {"user_email", email}}, admin.key).status, 401);
    EXPECT_EQ(call("POST /user/update", {{"user_id", admin.id}, {"user_alias", "Ada"}}, admin.key).status, 200);
    ask("POST /user/new", {{"user_email", email}, {"auto_create_key", false}});
    const std::string shouted = "C" + email.substr(1);
    EXPECT_THAT(call("POST /user/new", {{"user_email", shouted}, {"auto_create_key", false}}),
                e2(409, "User with email " + shouted + " already exists"));
    EXPECT_THAT(call("POST /user/update", {{"user_id", admin.id}, {"user_email", shouted}}),
                e2(409, "User with email " + shouted + " already exists"));
    EXPECT_THAT(call("POST /user/new", {{"user_email", "no address"}}), e3({"body", "user_email"}));
}

TEST_F(Boundaries, WhatPeopleDoElsewhereIsTheirs)
{
    ask("POST /user/update", {{"user_id", victim.id}, {"max_budget", 10}, {"metadata", {{"note", "private"}}}});
    ask("POST /usage/record", {{"key", victim.key}, {"model", "secret-model"}, {"cost", 7}});
    join(mine, victim.id);
    const Json seen = ask("GET /user/info?user_id=" + victim.id, nullptr, admin.key).at("user_info");
    EXPECT_EQ(seen.at("user_id"), victim.id);
    EXPECT_EQ(seen.at("spend"), 0.0);
    for (const char *field : {"metadata", "model_spend", "max_budget", "user_role", "models", "sso_user_id"}) {
        EXPECT_EQ(seen.at(field), nullptr) << field;
    }
    const Json added =
        ask("POST /organization/member_add",
            {{"organization_id", mine}, {"member", {{"role", "internal_user"}, {"user_id", victim.id}}}}, admin.key);
    EXPECT_EQ(added.at("updated_users").at(0), seen);
    EXPECT_EQ(ask("GET /user/list?user_id=" + victim.id, nullptr, admin.key).at(0), seen);
    EXPECT_EQ(ask("GET /user/info", nullptr, victim.key).at("user_info").at("metadata").at("note"), "private");
}

TEST_F(Boundaries, AKeyMadeForSomebodyDoesNotDrainThem)
{
    ask("POST /user/update", {{"user_id", victim.id}, {"max_budget", 10}});
    join(mine, victim.id);
    const std::string made =
        ask("POST /key/generate", {{"organization_id", mine}, {"user_id", victim.id}}, admin.key).at("key");
    EXPECT_EQ(call("POST /usage/reserve", {{"key", made}, {"model", "m"}, {"max_cost", 10}}).status, 200);
    EXPECT_EQ(call("POST /usage/reserve", {{"key", victim.key}, {"model", "m"}, {"max_cost", 10}}).status, 200);
    EXPECT_EQ(call("POST /usage/reserve", {{"key", victim.key}, {"model", "m"}, {"max_cost", 0.1}}).status, 429);
}

TEST_F(Boundaries, ATokenIdIsNoSecret)
{
    const std::string token = ask("GET /key/info", nullptr, victim.key).at("key");
    EXPECT_EQ(call("POST /usage/reserve", {{"key", token}, {"model", "m"}}).status, 401);
    EXPECT_EQ(call("POST /usage/record", {{"key", token}, {"model", "m"}, {"cost", 1}}).status, 401);
    EXPECT_EQ(call("POST /usage/reserve", {{"token_id", token}, {"model", "m"}}).status, 200);
    EXPECT_THAT(call("POST /usage/reserve", {{"token_id", token}, {"key", victim.key}, {"model", "m"}}),
                e3({"body", "key"}));
}

TEST_F(Boundaries, ASecretThatWasReplacedDoesNotTakeTheKey)
{
    const std::string old_key = admin.key;
    admin.key = ask("POST /key/regenerate", {{"key", old_key}, {"grace_period", "1h"}}, old_key).at("key");
    EXPECT_EQ(call("GET /organization/list", nullptr, old_key).status, 200);
    EXPECT_EQ(call("POST /key/regenerate", {{"key", admin.key}}, old_key).status, 401);
    EXPECT_EQ(call("POST /key/delete", {{"keys", {admin.key}}}, old_key).status, 401);
    EXPECT_EQ(call("POST /key/generate", {{"organization_id", mine}}, old_key).status, 401);
    EXPECT_EQ(call("POST /key/regenerate", {{"key", admin.key}, {"grace_period", "1h"}}, admin.key).status, 409);
    EXPECT_EQ(call("POST /key/regenerate", {{"key", admin.key}, {"duration", "36500d"}}, admin.key).status, 401);
    EXPECT_EQ(call("GET /organization/list", nullptr, admin.key).status, 200);
}

TEST_F(Boundaries, MembersLeaveAndTheLastAdminStays)
{
    join(mine, victim.id);
    const Json own = {{"organization_id", mine}, {"user_id", victim.id}};
    EXPECT_EQ(call("DELETE /organization/member_delete", own, victim.key).status, 200);
    EXPECT_EQ(call("DELETE /organization/member_delete", own, victim.key).status, 401) << "no member";
    const Json last = {{"organization_id", mine}, {"user_id", admin.id}};
    EXPECT_THAT(call("DELETE /organization/member_delete", last, admin.key),
                e2(400, testing::HasSubstr("last org_admin")));
    EXPECT_EQ(call("DELETE /organization/member_delete", last).status, 200) << "a proxy admin may";
}

} // namespace
} // namespace pg_org::test
