// GET /organization/audit

#include "matchers.hpp"

namespace pg_org::test {
namespace {

Json audit(const std::string &organization_id, const std::string &key = admin_key())
{
    return ask("GET /organization/audit?organization_id=" + encoded(organization_id), nullptr, key);
}

TEST(Audit, NamesWhoDidWhatWithWhichRequest)
{
    const std::string id = organization();
    const Person admin = person();
    join(id, admin.id, "org_admin");
    httplib::Headers headers = bearer(admin.key);
    headers.emplace("x-request-id", "traced-1");
    const Reply made = send("POST /team/new", Json{{"organization_id", id}, {"team_alias", "blue"}}.dump(), headers);
    ASSERT_EQ(made.status, 200);

    const Json newest = audit(id, admin.key).at(0);
    EXPECT_EQ(names(newest),
              (std::vector<std::string>{"audit_id", "organization_id", "occurred_at", "actor", "key_id", "key_made_by",
                                        "database_role", "action", "kind", "id", "before", "after", "request_id"}));
    EXPECT_EQ(newest.at("actor"), admin.id);
    EXPECT_EQ(newest.at("key_id"), ask("GET /key/info", nullptr, admin.key).at("key"));
    EXPECT_EQ(newest.at("action"), "team_new");
    EXPECT_EQ(newest.at("kind"), "team");
    EXPECT_EQ(newest.at("id"), made.body.at("team_id"));
    EXPECT_EQ(newest.at("before"), nullptr);
    EXPECT_EQ(newest.at("after").at("team_alias"), "blue");
    EXPECT_EQ(newest.at("request_id"), "traced-1");
    EXPECT_TRUE(is_time(newest.at("occurred_at")));
}

TEST(Audit, HasNothingOfARefusedRequest)
{
    const std::string id = organization();
    const Json before = audit(id);
    EXPECT_EQ(call("PATCH /organization/update", {{"organization_id", id}, {"max_budget", -1}}).status, 422);
    EXPECT_EQ(call("POST /organization/block", {{"organization_id", id}}, person().key).status, 401);
    EXPECT_EQ(audit(id), before);
}

TEST(Audit, NamesTheDatabaseRoleForPlainSql)
{
    const std::string id = organization();
    query("UPDATE org.organization SET blocked = true WHERE organization_id = $1", id);
    const Json newest = audit(id).at(0);
    EXPECT_EQ(newest.at("action"), "UPDATE");
    EXPECT_EQ(newest.at("actor"), value("SELECT session_user"));
    EXPECT_EQ(newest.at("key_id"), nullptr);
}

TEST(Audit, OutlivesTheOrganization)
{
    const std::string id = organization();
    ask("DELETE /organization/delete", {{"organization_ids", {id}}});
    EXPECT_EQ(audit(id).at(0).at("action"), "org_delete");
}

TEST(Audit, IsForAdminsOfTheOrganizationAndThePlatform)
{
    const std::string id = organization();
    const Person admin = person(), member = person(), stranger = person();
    join(id, admin.id, "org_admin");
    join(id, member.id);
    const std::string route = "GET /organization/audit?organization_id=" + id;
    for (const std::string &key : {admin_key(), admin.key, person("proxy_admin_viewer").key})
        EXPECT_EQ(call(route, nullptr, key).status, 200);
    for (const std::string &key : {member.key, stranger.key})
        EXPECT_EQ(call(route, nullptr, key).status, 401);
    EXPECT_EQ(call("GET /organization/audit?organization_id=", nullptr, admin.key).status, 401);
    EXPECT_THAT(call("GET /organization/audit"), e3({"query", "organization_id"}, "missing"));
}

} // namespace
} // namespace pg_org::test
