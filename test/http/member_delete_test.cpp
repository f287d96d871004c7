// DELETE /organization/member_delete

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::HasSubstr;

const std::string route = "DELETE /organization/member_delete";

struct MemberDelete : testing::Test {
    std::string id = organization();
    Person member = person();

    void SetUp() override { join(id, member.id, "internal_user_viewer"); }

    Json remove() const { return ask(route, {{"organization_id", id}, {"user_id", member.id}}); }
};

TEST_F(MemberDelete, AnswersTheMembershipAndLeavesTheUser)
{
    Json membership = member_of(id, member.id);
    membership["token_ids_to_rotate"] = Json::array();
    EXPECT_EQ(remove(), membership);
    EXPECT_EQ(member_of(id, member.id), nullptr);
    EXPECT_EQ(ask("GET /user/info", nullptr, member.key).at("user_id"), member.id);
    EXPECT_EQ(ask("GET /organization/list", nullptr, member.key), Json::array());
}

TEST_F(MemberDelete, FindsTheMemberByEmailIgnoringCase)
{
    const std::string email = fresh("member") + "@example.com";
    ask("POST /organization/member_add",
        {{"organization_id", id}, {"member", {{"role", "internal_user"}, {"user_email", email}}}});
    EXPECT_EQ(ask(route, {{"organization_id", id}, {"user_email", "M" + email.substr(1)}}).at("user_email"), email);
}

TEST_F(MemberDelete, TakesTheMembersBudgetUnlessSomebodyElseUsesIt)
{
    const Person other = person();
    join(id, other.id);
    const std::string budget_id =
        ask("PATCH /organization/member_update",
            {{"organization_id", id}, {"user_id", member.id}, {"max_budget_in_organization", 5}})
            .at("budget_id");
    query("UPDATE org.membership SET budget_id = $1 WHERE user_id = $2", budget_id, other.id);
    remove();
    EXPECT_EQ(member_of(id, other.id).at("litellm_budget_table").at("max_budget"), 5.0);
    ask(route, {{"organization_id", id}, {"user_id", other.id}});
    EXPECT_EQ(value("SELECT count(*) FROM org.budget WHERE budget_id = $1", budget_id), "0");
}

TEST_F(MemberDelete, LeavesTheTeamsOfTheOrganizationAndLosesTheKeysHeldThere)
{
    const Json members = {{{"user_id", member.id}, {"role", "user"}}};
    const std::string team_id = team(id, {{"members_with_roles", members}});
    const std::string team_key = key_for({{"user_id", member.id}, {"organization_id", id}, {"team_id", team_id}});
    const std::string other_id = organization();
    join(other_id, member.id);
    const std::string other_team = team(other_id, {{"members_with_roles", members}});
    const std::string other_key =
        key_for({{"user_id", member.id}, {"organization_id", other_id}, {"team_id", other_team}});
    ASSERT_EQ(call("GET /organization/list", nullptr, team_key).status, 200);

    remove();
    EXPECT_EQ(info(id).at("teams").at(0).at("members"), Json::array());
    EXPECT_EQ(call("GET /organization/list", nullptr, team_key).status, 401);
    EXPECT_EQ(call("GET /organization/list", nullptr, other_key).status, 200) << "another organization's key";
    EXPECT_EQ(call("GET /organization/list", nullptr, member.key).status, 200) << "their own key";
    EXPECT_EQ(info(other_id).at("teams").at(0).at("members"), Json::array({member.id}));
}

TEST_F(MemberDelete, DoesNotFindWhoIsNotAMember)
{
    remove();
    const auto before = database_digest();
    EXPECT_THAT(call(route, {{"organization_id", id}, {"user_id", member.id}}), e2(404, HasSubstr("not found")));
    EXPECT_THAT(call(route, {{"organization_id", id}, {"user_email", "nobody@example.com"}}),
                e2(404, HasSubstr("not found")));
    EXPECT_THAT(call(route, {{"organization_id", "no-such-org"}, {"user_id", member.id}}),
                e2(404, HasSubstr("not found")));
    EXPECT_EQ(database_digest(), before);
}

TEST_F(MemberDelete, NeedsAnOrganizationAndAUser)
{
    EXPECT_THAT(call(route, {{"user_id", member.id}}), e3({"body", "organization_id"}, "missing"));
    EXPECT_EQ(call(route, {{"organization_id", id}}).status, 422);
}

} // namespace
} // namespace pg_org::test
