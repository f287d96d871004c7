// POST /organization/member_add

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::HasSubstr;

const std::string route = "POST /organization/member_add";

Json adding(const std::string &id, const Json &member, Json more = Json::object())
{
    Json body = {{"organization_id", id}, {"member", member}};
    body.update(more);
    return body;
}

Json add(const std::string &id, const Json &member, Json more = Json::object())
{
    return ask(route, adding(id, member, std::move(more)));
}

std::string new_user(const std::string &email)
{
    const std::string id = fresh("mail");
    return ask("POST /user/new", {{"user_id", id}, {"user_email", email}, {"auto_create_key", false}}).at("user_id");
}

TEST(MemberAdd, AddsOneGivenAsAnObject)
{
    const std::string id = organization();
    const Person someone = person();
    const Json reply = add(id, {{"role", "org_admin"}, {"user_id", someone.id}});
    EXPECT_EQ(names(reply),
              (std::vector<std::string>{"organization_id", "updated_users", "updated_organization_memberships"}));
    EXPECT_EQ(reply.at("organization_id"), id);
    ASSERT_EQ(reply.at("updated_users").size(), 1u);
    ASSERT_EQ(reply.at("updated_organization_memberships").size(), 1u);
    const Json &user = reply.at("updated_users").at(0);
    const Json &membership = reply.at("updated_organization_memberships").at(0);
    EXPECT_TRUE(is_user(user));
    EXPECT_EQ(user.at("user_id"), someone.id);
    EXPECT_TRUE(is_membership(membership));
    EXPECT_EQ(membership.at("user_id"), someone.id);
    EXPECT_EQ(membership.at("organization_id"), id);
    EXPECT_EQ(membership.at("user_role"), "org_admin");
    EXPECT_EQ(membership.at("spend"), 0.0);
    EXPECT_EQ(membership.at("budget_id"), nullptr);
    EXPECT_EQ(membership.at("litellm_budget_table"), nullptr);
    EXPECT_EQ(member_of(id, someone.id), membership);
}

TEST(MemberAdd, AddsSeveralKeepingTheirOrder)
{
    const std::string id = organization();
    const Person zoe = person(), abe = person();
    const std::string email = fresh("new") + "@example.com";
    const Json reply = add(id, {{{"role", "internal_user"}, {"user_id", zoe.id}},
                                {{"role", "org_admin"}, {"user_email", email}},
                                {{"role", "internal_user_viewer"}, {"user_id", abe.id}}});
    const Json &memberships = reply.at("updated_organization_memberships");
    EXPECT_EQ(values_of(memberships, "user_role"),
              (std::vector<Json>{"internal_user", "org_admin", "internal_user_viewer"}));
    EXPECT_EQ(memberships.at(0).at("user_id"), zoe.id);
    EXPECT_EQ(memberships.at(1).at("user_email"), email);
    EXPECT_EQ(memberships.at(2).at("user_id"), abe.id);
    EXPECT_EQ(values_of(reply.at("updated_users"), "user_id"), values_of(memberships, "user_id"));
}

TEST(MemberAdd, AnswersEmptyListsForAnEmptyList)
{
    const std::string id = organization();
    const auto before = database_digest();
    const Json reply = add(id, Json::array());
    EXPECT_EQ(reply.at("updated_users"), Json::array());
    EXPECT_EQ(reply.at("updated_organization_memberships"), Json::array());
    EXPECT_EQ(database_digest(), before);
}

TEST(MemberAdd, MakesAUserOfAnUnknownEmail)
{
    const std::string email = fresh("new") + "@example.com";
    const Json user = add(organization(), {{"role", "org_admin"}, {"user_email", email}}).at("updated_users").at(0);
    EXPECT_TRUE(is_user(user));
    EXPECT_TRUE(is_uuid(user.at("user_id")));
    EXPECT_EQ(user.at("user_email"), email);
    EXPECT_EQ(user.at("user_role"), "internal_user") << "the role inside the organization is not one outside";
}

TEST(MemberAdd, MakesAUserOfAnUnknownUserId)
{
    const std::string id = fresh("unknown");
    const Json user =
        add(organization(), {{"role", "internal_user"}, {"user_id", id}, {"user_email", id + "@example.com"}})
            .at("updated_users")
            .at(0);
    EXPECT_EQ(user.at("user_id"), id);
    EXPECT_EQ(user.at("user_email"), id + "@example.com");
    EXPECT_EQ(user.at("user_role"), "internal_user");
}

TEST(MemberAdd, FindsAUserByEmailIgnoringCase)
{
    const std::string email = fresh("Jürgen.Groß") + "@Example.com";
    const std::string user_id = new_user(email);
    std::string shouted = email;
    std::transform(shouted.begin(), shouted.end(), shouted.begin(),
                   [](unsigned char byte) { return std::toupper(byte); });
    const Json user =
        add(organization(), {{"role", "internal_user"}, {"user_email", shouted}}).at("updated_users").at(0);
    EXPECT_EQ(user.at("user_id"), user_id);
    EXPECT_EQ(user.at("user_email"), email) << "as it was";
}

TEST(MemberAdd, NeverTakesAnIdAndAnEmailForAThird)
{
    const std::string id = organization();
    const std::string email = fresh("known") + "@example.com";
    new_user(email);
    const Person nameless = person();
    const auto before = database_digest();
    for (const std::string &user_id : {fresh("unknown"), nameless.id}) {
        EXPECT_THAT(call(route, adding(id, {{"role", "internal_user"}, {"user_id", user_id}, {"user_email", email}})),
                    e1(400, testing::_, testing::_));
    }
    EXPECT_EQ(database_digest(), before);
    const Json member = {
        {"role", "internal_user"}, {"user_id", nameless.id}, {"user_email", fresh("new") + "@example.com"}};
    const Person admin = person();
    join(id, admin.id, "org_admin");
    EXPECT_THAT(call(route, adding(id, member), admin.key), e1(400, testing::_, testing::_));
    EXPECT_EQ(add(id, member).at("updated_users").at(0).at("user_email"), member.at("user_email"))
        << "a proxy admin may";
}

TEST(MemberAdd, RefusesAUserIdWithSomebodyElsesEmail)
{
    const std::string id = organization();
    const std::string email = fresh("mine") + "@example.com";
    const std::string user_id = new_user(email);
    const auto before = database_digest();
    EXPECT_THAT(
        call(route, adding(id, {{"role", "internal_user"}, {"user_id", user_id}, {"user_email", "other@example.com"}})),
        e1(400, testing::_, testing::_));
    EXPECT_EQ(database_digest(), before);

    add(id, {{"role", "internal_user"}, {"user_id", user_id}, {"user_email", "M" + email.substr(1)}});
}

TEST(MemberAdd, ChangesTheRoleOfWhoIsAMemberAlready)
{
    const std::string id = organization();
    const Person someone = person();
    const Json first =
        add(id, {{"role", "internal_user"}, {"user_id", someone.id}}, {{"max_budget_in_organization", 5}});
    const Json again = add(id, {{"role", "org_admin"}, {"user_id", someone.id}});
    const Json &membership = again.at("updated_organization_memberships").at(0);
    EXPECT_EQ(membership.at("user_role"), "org_admin");
    EXPECT_EQ(membership.at("litellm_budget_table").at("max_budget"), 5.0) << "no budget was given: it stays";
    EXPECT_EQ(membership.at("created_at"), first.at("updated_organization_memberships").at(0).at("created_at"));
    EXPECT_EQ(info(id).at("members").size(), 1u);

    const Json budget = add(id, {{"role", "org_admin"}, {"user_id", someone.id}}, {{"max_budget_in_organization", 6}})
                            .at("updated_organization_memberships")
                            .at(0)
                            .at("litellm_budget_table");
    EXPECT_EQ(budget.at("max_budget"), 6.0);
    EXPECT_EQ(budget.at("budget_id"), membership.at("budget_id")) << "a budget of their own is changed in place";
}

TEST(MemberAdd, GivesEachABudgetOfTheirOwn)
{
    const std::string id = organization();
    const Json reply = add(id,
                           {{{"role", "internal_user"}, {"user_id", fresh("unknown")}},
                            {{"role", "internal_user"}, {"user_id", fresh("unknown")}}},
                           {{"max_budget_in_organization", "12.5"}});
    const Json &memberships = reply.at("updated_organization_memberships");
    for (const Json &membership : memberships) {
        EXPECT_TRUE(is_membership(membership));
        EXPECT_EQ(membership.at("litellm_budget_table").at("max_budget"), 12.5);
        EXPECT_EQ(membership.at("litellm_budget_table").at("budget_id"), membership.at("budget_id"));
    }
    EXPECT_NE(memberships.at(0).at("budget_id"), memberships.at(1).at("budget_id"));
}

TEST(MemberAdd, AddsAllOrNone)
{
    const std::string id = organization();
    const std::string email = fresh("shared") + "@example.com";
    new_user(email);
    const auto before = database_digest();
    const Json good = {{"role", "internal_user"}, {"user_id", fresh("unknown")}};
    for (const Json &bad :
         {Json{{"role", "internal_user"}, {"user_id", "x"}, {"user_email", email}},
          Json{{"role", "king"}, {"user_id", "x"}}, Json{{"role", "internal_user"}}, Json(5), Json(nullptr)}) {
        EXPECT_GE(call(route, adding(id, Json::array({good, bad}))).status, 400) << bad;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(MemberAdd, TakesTheSamePersonTwiceAsOneMember)
{
    const std::string id = organization();
    const Person someone = person();
    add(id, {{{"role", "internal_user"}, {"user_id", someone.id}}, {{"role", "org_admin"}, {"user_id", someone.id}}});
    EXPECT_EQ(values_of(info(id).at("members"), "user_role"), std::vector<Json>{"org_admin"}) << "the last word counts";
}

TEST(MemberAdd, RefusesARoleThatIsNotOneInsideAnOrganization)
{
    const std::string id = organization();
    const auto before = database_digest();
    for (const Json &role : {Json("proxy_admin"), Json("admin"), Json("ORG_ADMIN"), Json(""), Json(5)}) {
        const Json member = {{"role", role}, {"user_id", "x"}};
        EXPECT_THAT(call(route, adding(id, member)), e3({"body", "member", "role"})) << role;
        EXPECT_THAT(call(route, adding(id, Json::array({member}))), e3({"body", "member", 0, "role"})) << role;
    }
    for (const Json &member : {Json{{"user_id", "x"}}, Json{{"role", nullptr}, {"user_id", "x"}}}) {
        EXPECT_THAT(call(route, adding(id, member)), e3({"body", "member", "role"}, "missing")) << member;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(MemberAdd, NeedsAUserIdOrAnEmail)
{
    const std::string id = organization();
    const auto before = database_digest();
    const auto complaint = HasSubstr("Value error, Either user id or user email must be provided");
    for (const Json &member : {Json{{"role", "internal_user"}}, Json{{"role", "internal_user"}, {"user_id", ""}},
                               Json{{"role", "internal_user"}, {"user_email", ""}},
                               Json{{"role", "internal_user"}, {"user_id", nullptr}, {"user_email", nullptr}},
                               Json{{"role", "internal_user"}, {"user_id", ""}, {"user_email", ""}}}) {
        EXPECT_THAT(call(route, adding(id, member)), e3({"body", "member"}, testing::_, complaint)) << member;
        EXPECT_THAT(call(route, adding(id, Json::array({member}))), e3({"body", "member", 0}, testing::_, complaint))
            << member;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(MemberAdd, NeedsAnOrganizationAndAMember)
{
    const std::string id = organization();
    const auto before = database_digest();
    const Json member = {{"role", "internal_user"}, {"user_id", "x"}};
    EXPECT_THAT(call(route, {{"member", member}}), e3({"body", "organization_id"}, "missing"));
    EXPECT_THAT(call(route, {{"organization_id", id}}), e3({"body", "member"}, "missing"));
    EXPECT_THAT(call(route, {{"organization_id", id}, {"member", nullptr}}), e3({"body", "member"}, "missing"));
    for (const Json &wrong : {Json(5), Json("x"), Json(true)}) {
        EXPECT_THAT(call(route, adding(id, wrong)), e3({"body", "member"})) << wrong;
    }
    for (const Json &wrong : {Json(5), Json("x"), Json(nullptr), Json::array()}) {
        EXPECT_THAT(call(route, adding(id, Json::array({wrong}))), e3({"body", "member", 0})) << wrong;
    }
    for (const char *field : {"user_id", "user_email"}) {
        EXPECT_THAT(call(route, adding(id, {{"role", "internal_user"}, {field, 5}})), e3({"body", "member", field}))
            << field;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(MemberAdd, RefusesABudgetThatIsNotFiniteAndZeroOrMore)
{
    const std::string id = organization();
    const auto before = database_digest();
    for (const Json &sent : {Json(-1), Json("NaN"), Json("Infinity"), Json("x"), Json::array()}) {
        EXPECT_THAT(call(route, adding(id, {{"role", "internal_user"}, {"user_id", "x"}},
                                       {{"max_budget_in_organization", sent}})),
                    e3({"body", "max_budget_in_organization"}))
            << sent;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(MemberAdd, AnswersEveryErrorButABadFieldAsE1)
{
    const std::string id = organization();
    const Person stranger = person();
    const Json member = {{"role", "internal_user"}, {"user_id", fresh("unknown")}};
    const auto before = database_digest();
    EXPECT_THAT(call(route, adding("no-such-org", member)), e1(404, HasSubstr("not found"), testing::_));
    EXPECT_THAT(call(route, adding(id, member), stranger.key), e1(401, testing::_));
    EXPECT_THAT(call(route, adding(id, member), "sk-unknown"), e1(401, testing::_));
    EXPECT_EQ(database_digest(), before);
}

} // namespace
} // namespace pg_org::test
