// DELETE /organization/delete

#include "matchers.hpp"

namespace pg_org::test {
namespace {

const std::string route = "DELETE /organization/delete";

Json remove(const std::vector<std::string> &ids) { return ask(route, {{"organization_ids", ids}}); }

std::string count_of(const std::string &table, const std::string &id)
{
    return value("SELECT count(*) FROM " + table + " WHERE organization_id = $1", id);
}

TEST(OrganizationDelete, AnswersTheOrganizationsAsTheyStoodJustBefore)
{
    const std::string id = organization();
    const Person member = person();
    join(id, member.id);
    team(id, {{"members_with_roles", {{{"user_id", member.id}, {"role", "admin"}}}}});
    const std::string other = organization();
    const Json before = info(id);
    ASSERT_EQ(before.at("members").size(), 1u);
    ASSERT_EQ(before.at("teams").size(), 1u);

    const Json receipt = remove({id, other});
    EXPECT_EQ(receipt.at(0), before);
    EXPECT_EQ(values_of(receipt, "organization_id"), (std::vector<Json>{id, other}));
    for (const Json &one : receipt)
        EXPECT_TRUE(is_organization(one));
    EXPECT_EQ(call("GET /organization/info?organization_id=" + id).status, 404);
}

TEST(OrganizationDelete, TakesAlongAllThatBelongsToTheOrganization)
{
    const std::string id = organization({{"max_budget", 1}});
    const Person member = person();
    ask("POST /organization/member_add", {{"organization_id", id},
                                          {"member", {{"user_id", member.id}, {"role", "internal_user"}}},
                                          {"max_budget_in_organization", 2}});
    const std::string team_id = team(id, {{"members_with_roles", {{{"user_id", member.id}, {"role", "user"}}}}});
    key_for({{"organization_id", id}});
    key_for({{"organization_id", id}, {"team_id", team_id}});
    key_for({{"organization_id", id}, {"user_id", member.id}});
    const std::string own_budget = info(id).at("budget_id");
    const std::string member_budget = member_of(id, member.id).at("budget_id");

    remove({id});
    for (const char *table : {"org.organization", "org.membership", "org.team", "org.team_member", "org.api_key"}) {
        EXPECT_EQ(count_of(table, id), "0") << table;
    }
    EXPECT_EQ(value("SELECT count(*) FROM org.budget WHERE budget_id IN ($1, $2)", own_budget, member_budget), "0");
}

TEST(OrganizationDelete, LeavesTheUsersWhoLoseItsTeamsFromTheirLists)
{
    const std::string id = organization(), other = organization();
    const Person member = person();
    join(id, member.id);
    join(other, member.id);
    const Json members = {{{"user_id", member.id}, {"role", "user"}}};
    team(id, {{"members_with_roles", members}});
    const std::string kept = team(other, {{"members_with_roles", members}});

    remove({id});
    const Json user = ask("GET /user/info?user_id=" + member.id);
    EXPECT_EQ(user.at("user_info").at("teams"), Json::array({kept}));
    EXPECT_EQ(values_of(user.at("teams"), "team_id"), std::vector<Json>{kept});
    EXPECT_EQ(call("GET /organization/list", nullptr, member.key).status, 200) << "their own key still works";
}

TEST(OrganizationDelete, LeavesABudgetThatSomebodyElseStillUses)
{
    const std::string id = organization({{"max_budget", 4}});
    const std::string other = organization({{"budget_id", info(id).at("budget_id")}});
    const Json shared = info(other).at("litellm_budget_table");
    remove({id});
    EXPECT_EQ(info(other).at("litellm_budget_table"), shared);
}

TEST(OrganizationDelete, TakesABudgetSharedOnlyByTheDeleted)
{
    const std::string id = organization({{"max_budget", 4}});
    const std::string budget_id = info(id).at("budget_id");
    const std::string other = organization({{"budget_id", budget_id}});
    remove({id, other});
    EXPECT_EQ(value("SELECT count(*) FROM org.budget WHERE budget_id = $1", budget_id), "0");
}

TEST(OrganizationDelete, EndsTheOrganizationsKeysWithTheNextRequest)
{
    const std::string id = organization();
    const std::string key = key_for({{"organization_id", id}});
    ASSERT_EQ(call("GET /organization/list", nullptr, key).status, 200);
    remove({id});
    EXPECT_THAT(call("GET /organization/list", nullptr, key),
                e1(401, "Authentication Error, Invalid proxy server token passed."));
}

TEST(OrganizationDelete, DeletesAllOrNothing)
{
    const std::string id = organization();
    const auto before = database_digest();
    EXPECT_THAT(call(route, {{"organization_ids", {id, "no-such-org"}}}),
                e2(404, "Organization=no-such-org not found"));
    EXPECT_THAT(call(route, {{"organization_ids", {"no-such-org", id}}}),
                e2(404, "Organization=no-such-org not found"));
    EXPECT_EQ(database_digest(), before);
}

TEST(OrganizationDelete, CountsARepeatedIdOnce)
{
    const std::string id = organization();
    EXPECT_EQ(remove({id, id, id}).size(), 1u);
}

TEST(OrganizationDelete, AnswersAnEmptyListForAnEmptyList)
{
    const auto before = database_digest();
    EXPECT_EQ(remove({}), Json::array());
    EXPECT_EQ(database_digest(), before);
}

TEST(OrganizationDelete, NeedsAListOfIds)
{
    const std::string id = organization();
    const auto before = database_digest();
    EXPECT_THAT(call(route, Json::object()), e3({"body", "organization_ids"}, "missing"));
    EXPECT_THAT(call(route, {{"organization_ids", nullptr}}), e3({"body", "organization_ids"}, "missing"));
    EXPECT_THAT(call(route, {{"organization_ids", id}}), e3({"body", "organization_ids"}, "list_type"));
    EXPECT_THAT(call(route, {{"organization_ids", {id, 5}}}), e3({"body", "organization_ids", 1}, "string_type"));
    EXPECT_EQ(database_digest(), before);
}

} // namespace
} // namespace pg_org::test
