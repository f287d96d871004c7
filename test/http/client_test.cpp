// LiteLLM's own clients, call by call: the dashboard and the two Terraform providers, with the headers and the shapes
// of body that they send, and the fields of the replies that they read.

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::HasSubstr;

Json answer(const Reply &reply)
{
    EXPECT_EQ(reply.status, 200) << reply.text;
    return reply.body;
}

// The dashboard: key in Authorization, permissions on objects that we do not have beside fields that we do.
Json dashboard(const std::string &route, const Json &body = nullptr) { return answer(call(route, body)); }

TEST(Dashboard, CreatesAnOrganization)
{
    Json made = dashboard("POST /organization/new",
                          {{"organization_alias", "Marketing"},
                           {"models", Json::array()},
                           {"max_budget", 50},
                           {"budget_duration", "30d"},
                           {"tpm_limit", 100000},
                           {"rpm_limit", 1000},
                           {"metadata", {{"cost_center", "4711"}}},
                           {"object_permission", {{"vector_stores", {"vs-1"}}, {"mcp_servers", {"mcp-1"}}}}});
    EXPECT_EQ(made["litellm_budget_table"]["max_budget"], 50.0);
    EXPECT_EQ(made["metadata"], (Json{{"cost_center", "4711"}}));
    EXPECT_EQ(made["object_permission"], (Json{{"mcp_servers", {"mcp-1"}}, {"vector_stores", {"vs-1"}}}));
}

TEST(Dashboard, CreatesAnOrganizationFromAnUntouchedForm)
{
    const Json made = dashboard("POST /organization/new", {{"organization_alias", "Sales"},
                                                           {"models", {"all-proxy-models"}},
                                                           {"max_budget", nullptr},
                                                           {"budget_duration", nullptr},
                                                           {"tpm_limit", nullptr},
                                                           {"rpm_limit", nullptr}});
    EXPECT_EQ(made.at("litellm_budget_table").at("max_budget"), nullptr);
}

TEST(Dashboard, SavesTheSettingsFormWithItsNestedBudget)
{
    const std::string id = organization({{"metadata", {{"kept", true}}}, {"max_budget", 1}, {"rpm_limit", 5}});
    Json changed =
        dashboard("PATCH /organization/update",
                  {{"organization_id", id},
                   {"organization_alias", "Renamed"},
                   {"models", {"gpt-4o"}},
                   {"litellm_budget_table",
                    {{"tpm_limit", 10}, {"rpm_limit", nullptr}, {"max_budget", 25.5}, {"budget_duration", "7d"}}},
                   {"metadata", nullptr},
                   {"object_permission", {{"vector_stores", Json::array()}}}});
    EXPECT_EQ(changed["organization_alias"], "Renamed");
    EXPECT_EQ(changed["litellm_budget_table"]["max_budget"], 25.5);
    EXPECT_EQ(changed["litellm_budget_table"]["tpm_limit"], 10);
    EXPECT_EQ(changed["litellm_budget_table"]["rpm_limit"], nullptr);
    EXPECT_EQ(changed["metadata"], (Json{{"kept", true}}));
}

TEST(Dashboard, SavesTheNewerSettingsFormFieldByField)
{
    const std::string id = organization({{"max_budget", 5}, {"tpm_limit", 5}, {"budget_duration", "24h"}});
    const Json changed = dashboard("PATCH /v2/organization/" + id, {{"organization_alias", "Renamed"},
                                                                    {"models", Json::array()},
                                                                    {"max_budget", 12.5},
                                                                    {"tpm_limit", nullptr},
                                                                    {"budget_duration", nullptr},
                                                                    {"metadata", {{"a", {{"b", 1}}}}}});
    EXPECT_EQ(changed.at("litellm_budget_table").at("max_budget"), 12.5);
    EXPECT_EQ(changed.at("litellm_budget_table").at("tpm_limit"), nullptr);
    EXPECT_EQ(changed.at("litellm_budget_table").at("budget_duration"), nullptr);
}

TEST(Dashboard, ManagesMembersByItsForms)
{
    const std::string id = organization();
    const std::string email = fresh("dash") + "@example.com";
    const Json added =
        dashboard("POST /organization/member_add",
                  {{"organization_id", id},
                   {"member", {{"user_email", email}, {"user_id", nullptr}, {"role", "internal_user"}}}});
    const std::string user_id = added.at("updated_users").at(0).at("user_id");

    Json member = info(id).at("members").at(0);
    EXPECT_EQ(member["user_id"], user_id);
    EXPECT_EQ(member["user_email"], email);
    EXPECT_EQ(member["user_role"], "internal_user");
    EXPECT_EQ(member["spend"], 0.0);
    EXPECT_TRUE(is_time(member["created_at"]));

    EXPECT_EQ(dashboard("PATCH /organization/member_update",
                        {{"organization_id", id}, {"user_email", email}, {"user_id", user_id}, {"role", "org_admin"}})
                  .at("user_role"),
              "org_admin");
    dashboard("DELETE /organization/member_delete", {{"organization_id", id}, {"user_id", user_id}});
    EXPECT_EQ(info(id).at("members"), Json::array());
}

TEST(Dashboard, ReadsItsListAndDeletesOne)
{
    const std::string id = organization({{"organization_alias", "Dashboard only"}});
    team(id);
    Json listed = dashboard("GET /organization/list?org_alias=" + encoded("dashboard only"));
    ASSERT_EQ(listed.size(), 1u);
    for (const char *field : {"organization_id", "organization_alias", "models", "spend", "created_at", "members",
                              "teams", "litellm_budget_table"}) {
        EXPECT_FALSE(listed[0][field].is_null()) << field;
    }
    EXPECT_TRUE(listed[0]["teams"][0].contains("team_id"));
    EXPECT_EQ(dashboard("DELETE /organization/delete", {{"organization_ids", {id}}}).size(), 1u);
}

// LiteLLM's own Terraform provider: key in x-api-key, ids of its own making, reads by POST, strings as metadata.
Reply own_provider(const std::string &route, const Json &body)
{
    return send(route, body.dump(), {{"x-api-key", admin_key()}});
}

TEST(TerraformOfLiteLLM, CreatesReadsAndDeletesAnOrganization)
{
    const std::string id = "6f9619ff-8b86-4d11-b42d-00c04fc964ff";
    answer(own_provider("POST /organization/new", {{"organization_id", id},
                                                   {"organization_alias", "terraformed"},
                                                   {"metadata", {{"owner", "platform"}, {"env", "prod"}}},
                                                   {"models", {"gpt-4o"}},
                                                   {"max_budget", 100},
                                                   {"budget_duration", "30d"},
                                                   {"tpm_limit", 1000},
                                                   {"rpm_limit", 10},
                                                   {"blocked", true}}));
    Json read = answer(own_provider("POST /organization/info", {{"organizations", {id}}}));
    ASSERT_EQ(read.size(), 1u);
    EXPECT_EQ(read[0]["organization_id"], id);
    EXPECT_EQ(read[0]["organization_alias"], "terraformed");
    EXPECT_EQ(read[0]["metadata"], (Json{{"env", "prod"}, {"owner", "platform"}}));
    EXPECT_EQ(read[0]["models"], Json::array({"gpt-4o"}));
    EXPECT_EQ(read[0]["blocked"], true);

    answer(own_provider("DELETE /organization/delete", {{"organization_ids", {id}}}));
    EXPECT_EQ(answer(own_provider("POST /organization/info", {{"organizations", {id}}})), Json::array())
        << "an empty list means that it is gone";
}

// The other Terraform provider: reads everything back from info, changes by merge patch, clears with null.
TEST(TerraformOfNcecere, TakesAnOrganizationThroughItsLife)
{
    Json made =
        answer(call("POST /organization/new", {{"organization_alias", "ncecere"},
                                               {"budget_duration", "30d"},
                                               {"max_budget", 0.5},
                                               {"soft_budget", 0.25},
                                               {"tpm_limit", 0},
                                               {"models", {"gpt-4o", "o1"}},
                                               {"metadata", {{"team", "a"}, {"model_rpm_limit", {{"gpt-4o", 10}}}}}}));
    const std::string id = made["organization_id"];
    const std::string path = "PATCH /v2/organization/" + id, read = "GET /organization/info?organization_id=" + id;

    EXPECT_EQ(answer(call(path, {{"budget_duration", "30d"}})).at("organization_id"), id) << "sent right after create";
    Json budget = answer(call(read)).at("litellm_budget_table");
    EXPECT_EQ(budget["budget_id"], made["budget_id"]);
    EXPECT_EQ(budget["max_budget"], 0.5);
    EXPECT_EQ(budget["tpm_limit"], 0);
    EXPECT_EQ(budget["budget_duration"], "30d");

    answer(call(path, {{"organization_alias", "renamed"},
                       {"models", Json::array()},
                       {"max_budget", nullptr},
                       {"budget_duration", nullptr},
                       {"metadata", {{"team", "b"}, {"model_rpm_limit", {{"gpt-4o", 20}}}}}}));
    Json changed = answer(call(read));
    EXPECT_EQ(changed["organization_alias"], "renamed");
    EXPECT_EQ(changed["models"], Json::array());
    EXPECT_EQ(changed["metadata"]["team"], "b");
    EXPECT_EQ(changed["metadata"]["model_rpm_limit"]["gpt-4o"], 20);
    EXPECT_EQ(changed["litellm_budget_table"]["max_budget"], nullptr);
    EXPECT_EQ(changed["litellm_budget_table"]["budget_duration"], nullptr);
    EXPECT_EQ(changed["litellm_budget_table"]["soft_budget"], 0.25);

    answer(call("DELETE /organization/delete", {{"organization_ids", {id}}}));
    EXPECT_THAT(call(read), e2(404, HasSubstr("not found"))) << "its sign that the resource is gone";
}

TEST(TerraformOfNcecere, TakesAMemberThroughTheirLife)
{
    const std::string id = organization();
    const std::string email = fresh("tf") + "@example.com", user_id = fresh("tf");
    EXPECT_EQ(info(id).at("members"), Json::array()) << "looked at before, to adopt nobody";

    const Json added =
        answer(call("POST /organization/member_add",
                    {{"organization_id", id},
                     {"member", {{"role", "internal_user"}, {"user_id", user_id}, {"user_email", email}}}}));
    EXPECT_EQ(added.at("organization_id"), id);
    ASSERT_EQ(added.at("updated_users").size(), 1u);
    ASSERT_EQ(added.at("updated_organization_memberships").size(), 1u);
    EXPECT_EQ(added.at("updated_users").at(0).at("user_id"), user_id);
    EXPECT_EQ(added.at("updated_users").at(0).at("user_email"), email);
    EXPECT_EQ(added.at("updated_organization_memberships").at(0).at("user_role"), "internal_user");

    const Json budgeted = answer(call("PATCH /organization/member_update", {{"organization_id", id},
                                                                            {"role", "internal_user"},
                                                                            {"user_id", user_id},
                                                                            {"max_budget_in_organization", 7.5}}));
    EXPECT_EQ(budgeted.at("litellm_budget_table").at("budget_id"), budgeted.at("budget_id"));
    EXPECT_EQ(budgeted.at("litellm_budget_table").at("max_budget"), 7.5);
    EXPECT_EQ(member_of(id, user_id), budgeted) << "read back";

    answer(call("DELETE /organization/member_delete", {{"organization_id", id}, {"user_id", user_id}}));
    EXPECT_EQ(call("DELETE /organization/member_delete", {{"organization_id", id}, {"user_id", user_id}}).status, 404);
}

} // namespace
} // namespace pg_org::test
