// PATCH /organization/member_update

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::HasSubstr;

const std::string route = "PATCH /organization/member_update";

struct MemberUpdate : testing::Test {
    std::string id = organization();
    Person member = person();

    void SetUp() override { join(id, member.id); }

    Json changing(Json fields) const
    {
        fields["organization_id"] = id;
        fields["user_id"] = member.id;
        return fields;
    }
    Json change(const Json &fields) const { return ask(route, changing(fields)); }
};

TEST_F(MemberUpdate, SetsTheRoleAndAnswersTheMembership)
{
    const Json changed = change({{"role", "org_admin"}});
    EXPECT_TRUE(is_membership(changed));
    EXPECT_EQ(changed.at("user_id"), member.id);
    EXPECT_EQ(changed.at("organization_id"), id);
    EXPECT_EQ(changed.at("user_role"), "org_admin");
    EXPECT_EQ(member_of(id, member.id), changed);
}

TEST_F(MemberUpdate, FindsTheMemberByEmailIgnoringCase)
{
    const std::string email = fresh("member") + "@example.com";
    ask("POST /organization/member_add",
        {{"organization_id", id}, {"member", {{"role", "internal_user"}, {"user_email", email}}}});
    const Json changed =
        ask(route, {{"organization_id", id}, {"user_email", "M" + email.substr(1)}, {"role", "org_admin"}});
    EXPECT_EQ(changed.at("user_email"), email);
    EXPECT_EQ(changed.at("user_role"), "org_admin");
}

TEST_F(MemberUpdate, MakesTheMembersBudgetAndChangesItInPlace)
{
    const Json made = change({{"max_budget_in_organization", 25}});
    EXPECT_TRUE(is_membership(made));
    EXPECT_EQ(made.at("litellm_budget_table").at("max_budget"), 25.0);
    EXPECT_EQ(made.at("litellm_budget_table").at("budget_id"), made.at("budget_id"));
    EXPECT_EQ(made.at("user_role"), "internal_user") << "the role was not sent";

    const Json changed = change({{"max_budget_in_organization", "0"}});
    EXPECT_EQ(changed.at("litellm_budget_table").at("max_budget"), 0.0) << "nothing allowed, not no limit";
    EXPECT_EQ(changed.at("budget_id"), made.at("budget_id"));
}

TEST_F(MemberUpdate, CopiesABudgetThatOthersShareBeforeChangingIt)
{
    const Person other = person();
    join(id, other.id);
    const std::string shared = change({{"max_budget_in_organization", 25}}).at("budget_id");
    query("UPDATE org.budget SET rpm_limit = 9 WHERE budget_id = $1", shared);
    query("UPDATE org.membership SET budget_id = $1 WHERE user_id = $2", shared, other.id);

    const Json changed = change({{"max_budget_in_organization", 30}});
    EXPECT_NE(changed.at("budget_id"), shared);
    EXPECT_EQ(changed.at("litellm_budget_table").at("max_budget"), 30.0);
    EXPECT_EQ(changed.at("litellm_budget_table").at("rpm_limit"), 9) << "a copy";
    EXPECT_EQ(member_of(id, other.id).at("litellm_budget_table").at("max_budget"), 25.0);
}

TEST_F(MemberUpdate, NeverChangesTheOrganizationsOwnBudget)
{
    const Json organizations = info(id).at("litellm_budget_table");
    query("UPDATE org.membership SET budget_id = $1 WHERE user_id = $2",
          organizations.at("budget_id").get<std::string>(), member.id);
    change({{"max_budget_in_organization", 30}});
    EXPECT_EQ(info(id).at("litellm_budget_table"), organizations);
}

TEST_F(MemberUpdate, ClearsTheBudget)
{
    change({{"max_budget_in_organization", 25}});
    const Json cleared = change({{"clear", Json::array({"max_budget_in_organization"})}});
    EXPECT_TRUE(is_membership(cleared));
    const Json &budget = cleared.at("litellm_budget_table");
    EXPECT_TRUE(budget.is_null() || budget.at("max_budget").is_null()) << budget;

    const auto before = database_digest();
    for (const char *field : {"role", "no_such_field"}) {
        EXPECT_THAT(call(route, changing({{"clear", Json::array({field})}})),
                    testing::AnyOf(e3({"body", "clear"}), e3({"body", "clear", 0})))
            << field;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST_F(MemberUpdate, ChangesNothingWhenNeitherRoleNorBudgetIsSent)
{
    const Json membership = member_of(id, member.id);
    const auto before = database_digest();
    EXPECT_EQ(change(Json::object()), membership);
    EXPECT_EQ(change({{"role", nullptr}, {"max_budget_in_organization", nullptr}}), membership);
    EXPECT_EQ(database_digest(), before);
}

TEST_F(MemberUpdate, DoesNotFindWhoIsNotAMember)
{
    const Person stranger = person();
    const auto before = database_digest();
    for (const std::string &user_id : {stranger.id, std::string("no-such-user")}) {
        EXPECT_THAT(call(route, {{"organization_id", id}, {"user_id", user_id}, {"role", "org_admin"}}),
                    e2(404, "Member not found in organization for user_id=" + user_id));
    }
    EXPECT_THAT(call(route, {{"organization_id", id}, {"user_email", "nobody@example.com"}, {"role", "org_admin"}}),
                e2(404, HasSubstr("not found")));
    EXPECT_THAT(call(route, {{"organization_id", "no-such-org"}, {"user_id", member.id}, {"role", "org_admin"}}),
                e2(404, HasSubstr("not found")));
    EXPECT_EQ(database_digest(), before);
}

TEST_F(MemberUpdate, RefusesABadRoleOrBudget)
{
    const auto before = database_digest();
    for (const Json &role : {Json("proxy_admin"), Json(""), Json(5)}) {
        EXPECT_THAT(call(route, changing({{"role", role}})), e3({"body", "role"})) << role;
    }
    for (const Json &sent : {Json(-1), Json("NaN"), Json("Infinity"), Json("x"), Json::object()}) {
        EXPECT_THAT(call(route, changing({{"max_budget_in_organization", sent}})),
                    e3({"body", "max_budget_in_organization"}))
            << sent;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST_F(MemberUpdate, NeedsAnOrganizationAndAUser)
{
    EXPECT_THAT(call(route, {{"user_id", member.id}, {"role", "org_admin"}}),
                e3({"body", "organization_id"}, "missing"));
    EXPECT_EQ(call(route, {{"organization_id", id}, {"role", "org_admin"}}).status, 422);
}

} // namespace
} // namespace pg_org::test
