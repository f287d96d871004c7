// GET /organization/info and POST /organization/info

#include "matchers.hpp"

namespace pg_org::test {
namespace {

const std::string route = "GET /organization/info";
const std::string many = "POST /organization/info";

TEST(OrganizationInfo, ShowsTheWholeOrganization)
{
    const std::string id = organization({{"max_budget", 1}});
    const Person admin = person(), member = person();
    join(id, admin.id, "org_admin");
    join(id, member.id, "internal_user_viewer");
    const std::string team_id = team(id, {{"members_with_roles", {{{"user_id", admin.id}, {"role", "admin"}}}}});

    const Json shown = ask(route + "?organization_id=" + id);
    EXPECT_TRUE(is_organization(shown));
    EXPECT_EQ(shown.at("organization_id"), id);
    EXPECT_EQ(values_of(shown.at("members"), "user_id"), (std::vector<Json>{admin.id, member.id}));
    EXPECT_EQ(values_of(shown.at("members"), "user_role"), (std::vector<Json>{"org_admin", "internal_user_viewer"}));
    EXPECT_EQ(values_of(shown.at("teams"), "team_id"), std::vector<Json>{team_id});
    EXPECT_EQ(shown.at("litellm_budget_table").at("budget_id"), shown.at("budget_id"));
}

TEST(OrganizationInfo, NeedsAnOrganizationId) { EXPECT_THAT(call(route), e3({"query", "organization_id"}, "missing")); }

TEST(OrganizationInfo, DoesNotFindAnUnknownOrganization)
{
    EXPECT_THAT(call(route + "?organization_id=no-such-org"),
                e2(404, "Organization not found for organization_id=no-such-org"));
}

TEST(OrganizationInfoMany, ShowsThemInTheOrderAskedLeavingOutTheUnknown)
{
    const std::string first = organization(), second = organization();
    const Json shown = ask(many, {{"organizations", {second, "no-such-org", first}}});
    EXPECT_EQ(shown, Json::array({info(second), info(first)}));
    EXPECT_EQ(ask(many, {{"organizations", Json::array({"no-such-org"})}}), Json::array());
}

TEST(OrganizationInfoMany, RefusesAnEmptyList)
{
    EXPECT_THAT(call(many, {{"organizations", Json::array()}}),
                e2(400, "Specify list of organization id's to query. Passed in=[]"));
}

TEST(OrganizationInfoMany, NeedsAListOfIds)
{
    EXPECT_THAT(call(many, Json::object()), e3({"body", "organizations"}, "missing"));
    EXPECT_THAT(call(many, {{"organizations", "x"}}), e3({"body", "organizations"}, "list_type"));
    EXPECT_THAT(call(many, {{"organizations", {"x", nullptr}}}), e3({"body", "organizations", 1}, "string_type"));
}

} // namespace
} // namespace pg_org::test
