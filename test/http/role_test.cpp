// Who may do what, route by route and caller by caller.  Who is refused changed nothing.

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::MatchesRegex;

// One organization and everybody who may stand before it.
struct Scene {
    std::string organization_id = organization();
    std::string member_id; // somebody to be added, changed or removed
    std::map<std::string, std::string> keys;

    Scene()
    {
        const Person viewer = person("proxy_admin_viewer"), org_admin = person(), member = person(), target = person();
        join(organization_id, org_admin.id, "org_admin");
        join(organization_id, member.id, "internal_user");
        join(organization_id, target.id, "internal_user");
        member_id = target.id;
        keys = {{"ProxyAdmin", admin_key()},
                {"ProxyAdminViewer", viewer.key},
                {"OrgAdmin", org_admin.key},
                {"Member", member.key},
                {"AnyoneElse", admin_of_another_organization()},
                {"KeyWithoutUser", key_for(Json::object())},
                {"KeyOfTheOrganization", key_for({{"organization_id", organization_id}})}};
    }

    static std::string admin_of_another_organization()
    {
        const Person someone = person();
        join(organization(), someone.id, "org_admin");
        return someone.key;
    }
};

struct Row {
    std::string name;
    std::string route; // with {id} for the organization's
    Json (*body)(const Scene &);
    std::vector<std::string> allowed;
};

void PrintTo(const Row &row, std::ostream *out) { *out << row.route; }

const std::vector<std::string> proxy_admins{"ProxyAdmin"};
const std::vector<std::string> admins{"ProxyAdmin", "OrgAdmin"};
const std::vector<std::string> who_belongs{"ProxyAdmin", "ProxyAdminViewer", "OrgAdmin", "Member",
                                           "KeyOfTheOrganization"};

const std::vector<Row> table{
    {"New", "POST /organization/new", [](const Scene &) { return Json{{"organization_alias", "x"}}; }, proxy_admins},
    {"Delete", "DELETE /organization/delete",
     [](const Scene &scene) { return Json{{"organization_ids", Json::array({scene.organization_id})}}; }, proxy_admins},
    {"Update", "PATCH /organization/update",
     [](const Scene &scene) { return Json{{"organization_id", scene.organization_id}, {"organization_alias", "x"}}; },
     proxy_admins},
    {"Patch", "PATCH /v2/organization/{id}", [](const Scene &) { return Json{{"max_budget", 1}}; }, proxy_admins},
    {"Info", "GET /organization/info?organization_id={id}", [](const Scene &) { return Json(); }, who_belongs},
    {"InfoMany", "POST /organization/info",
     [](const Scene &scene) { return Json{{"organizations", Json::array({scene.organization_id})}}; }, who_belongs},
    {"MemberAdd", "POST /organization/member_add",
     [](const Scene &scene) {
         return Json{{"organization_id", scene.organization_id},
                     {"member", {{"role", "internal_user"}, {"user_id", fresh("added")}}}};
     },
     admins},
    {"MemberUpdate", "PATCH /organization/member_update",
     [](const Scene &scene) {
         return Json{{"organization_id", scene.organization_id}, {"user_id", scene.member_id}, {"role", "org_admin"}};
     },
     admins},
    {"MemberDelete", "DELETE /organization/member_delete",
     [](const Scene &scene) { return Json{{"organization_id", scene.organization_id}, {"user_id", scene.member_id}}; },
     admins},
};

std::string without_role(const std::string &organization_id)
{
    return "You do not have a role within the selected organization. Passed organization_id: " + organization_id +
           ". Please contact the organization admin to request access.";
}

// The words of the refusal; where they are not fixed, anything.
Text refusal(const Row &row, const std::string &caller, const std::string &id)
{
    if (row.name == "New") {
        return "Only admins can create orgs. Your role is = " +
               std::string(caller == "ProxyAdminViewer" ? "proxy_admin_viewer" : "internal_user");
    }
    if (row.name == "Delete")
        return "Only proxy admins can delete organizations";
    if (caller == "OrgAdmin")
        return testing::_;
    if (caller == "Member" || caller == "KeyOfTheOrganization") {
        return MatchesRegex("You do not have the required role to perform .* in Organization " + id +
                            "\\. Your role is internal_user in Organization " + id);
    }
    return without_role(id);
}

class RoleTable : public testing::TestWithParam<std::tuple<Row, std::string>> {};

TEST_P(RoleTable, AnswersAsItSays)
{
    const auto &[row, caller] = GetParam();
    const Scene scene;
    std::string route = row.route;
    if (const auto place = route.find("{id}"); place != std::string::npos)
        route.replace(place, 4, scene.organization_id);

    const Json body = row.body(scene);
    const auto before = database_digest();
    const Reply reply = call(route, body, scene.keys.at(caller));
    if (std::find(row.allowed.begin(), row.allowed.end(), caller) != row.allowed.end()) {
        EXPECT_EQ(reply.status, 200) << reply.text;
        return;
    }
    const Text words = refusal(row, caller, scene.organization_id);
    EXPECT_THAT(reply, row.name == "MemberAdd" ? e1(401, words) : e2(401, words));
    EXPECT_EQ(database_digest(), before);
}

INSTANTIATE_TEST_SUITE_P(, RoleTable,
                         testing::Combine(testing::ValuesIn(table),
                                          testing::Values("ProxyAdmin", "ProxyAdminViewer", "OrgAdmin", "Member",
                                                          "AnyoneElse", "KeyWithoutUser", "KeyOfTheOrganization")),
                         [](const auto &parameters) {
                             return std::get<0>(parameters.param).name + "By" + std::get<1>(parameters.param);
                         });

TEST(Roles, ListsWhatTheCallerMaySee)
{
    const Scene scene;
    const std::string count = value("SELECT count(*) FROM org.organization");
    const std::vector<Json> own{scene.organization_id};
    for (const auto &[caller, key] : scene.keys) {
        const std::vector<Json> listed = values_of(ask("GET /organization/list", nullptr, key), "organization_id");
        if (caller == "ProxyAdmin" || caller == "ProxyAdminViewer") {
            EXPECT_EQ(std::to_string(listed.size()), count) << caller;
        } else if (caller == "KeyWithoutUser") {
            EXPECT_TRUE(listed.empty());
        } else if (caller == "AnyoneElse") {
            EXPECT_EQ(listed.size(), 1u) << "their own";
            EXPECT_NE(listed, own);
        } else {
            EXPECT_EQ(listed, own) << caller;
        }
    }
}

TEST(Roles, RefusesPostInfoIfAnyListedOrganizationIsNotTheirs)
{
    const Scene scene;
    const std::string other = organization();
    const std::string &member = scene.keys.at("Member");
    EXPECT_THAT(call("POST /organization/info", {{"organizations", {scene.organization_id, other}}}, member),
                e2(401, without_role(other)));
    EXPECT_THAT(call("POST /organization/info", {{"organizations", {scene.organization_id, "no-such-org"}}}, member),
                e2(401, without_role("no-such-org")))
        << "one that does not exist is no different";
    EXPECT_EQ(ask("POST /organization/info", {{"organizations", {scene.organization_id, "no-such-org"}}}).size(), 1u)
        << "but left out for who sees all";
}

TEST(Roles, DoesNotTellStrangersWhetherAnOrganizationExists)
{
    const Scene scene;
    const std::string missing = fresh("missing");
    for (const Row &row : table) {
        if (row.name == "New" || row.name == "InfoMany")
            continue;
        std::vector<std::string> answers;
        for (const std::string &id : {scene.organization_id, missing}) {
            Scene other = scene;
            other.organization_id = id;
            std::string route = row.route;
            if (const auto place = route.find("{id}"); place != std::string::npos)
                route.replace(place, 4, id);
            const Reply reply = call(route, row.body(other), scene.keys.at("AnyoneElse"));
            std::string text = std::to_string(reply.status) + " " + reply.text;
            for (size_t place; (place = text.find(id)) != std::string::npos;)
                text.replace(place, id.size(), "*");
            answers.push_back(text);
        }
        EXPECT_EQ(answers[0], answers[1]) << row.name;
    }
}

TEST(Roles, FollowsARoleChangeWithTheNextRequest)
{
    const Scene scene;
    const Person someone = person();
    join(scene.organization_id, someone.id, "internal_user");
    const Json add = {{"organization_id", scene.organization_id},
                      {"member", {{"role", "internal_user"}, {"user_id", fresh("added")}}}};
    const Json promote = {{"organization_id", scene.organization_id}, {"user_id", someone.id}, {"role", "org_admin"}};
    const Json demote = {
        {"organization_id", scene.organization_id}, {"user_id", someone.id}, {"role", "internal_user"}};

    EXPECT_EQ(call("POST /organization/member_add", add, someone.key).status, 401);
    ask("PATCH /organization/member_update", promote);
    EXPECT_EQ(call("POST /organization/member_add", add, someone.key).status, 200);
    ask("PATCH /organization/member_update", demote);
    EXPECT_EQ(call("POST /organization/member_add", add, someone.key).status, 401);

    query("UPDATE org.\"user\" SET user_role = 'proxy_admin' WHERE user_id = $1", someone.id);
    EXPECT_EQ(call("POST /organization/member_add", add, someone.key).status, 200);
    ask("DELETE /organization/member_delete", {{"organization_id", scene.organization_id}, {"user_id", someone.id}});
    query("UPDATE org.\"user\" SET user_role = 'internal_user' WHERE user_id = $1", someone.id);
    EXPECT_EQ(call("GET /organization/info?organization_id=" + scene.organization_id, nullptr, someone.key).status,
              401);
}

} // namespace
} // namespace pg_org::test
