// Keys: where they are read from, which are refused and how, and POST /key/generate, /key/block, /key/unblock.

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string probe = "GET /organization/list";

Reply with(const httplib::Headers &headers) { return send(probe, "", headers); }
Reply with_key(const std::string &key) { return with(bearer(key)); }

void expire(const std::string &key)
{
    query("UPDATE org.api_key SET expires = now() - interval '1 second'"
          " WHERE key_hash = encode(sha256(convert_to($1, 'UTF8')), 'hex')",
          key);
}

TEST(Key, IsReadFromEachHeader)
{
    const std::string key = person().key;
    for (const httplib::Headers &headers : std::vector<httplib::Headers>{{{"Authorization", "Bearer " + key}},
                                                                         {{"authorization", "bearer " + key}},
                                                                         {{"x-litellm-api-key", key}},
                                                                         {{"x-litellm-api-key", "Bearer " + key}},
                                                                         {{"API-Key", key}},
                                                                         {{"x-api-key", key}},
                                                                         {{"X-API-KEY", key}},
                                                                         {{"x-goog-api-key", key}}}) {
        EXPECT_EQ(with(headers).status, 200) << headers.begin()->first << ": " << headers.begin()->second;
    }
}

TEST(Key, IsTakenFromTheFirstHeaderThatIsThere)
{
    const std::string key = person().key;
    const std::vector<std::string> order{"Authorization", "x-litellm-api-key", "API-Key", "x-api-key",
                                         "x-goog-api-key"};
    for (size_t first = 0; first < order.size(); ++first) {
        for (size_t second = first + 1; second < order.size(); ++second) {
            const std::string prefix = first == 0 ? "Bearer " : "";
            EXPECT_EQ(with({{order[first], prefix + key}, {order[second], "sk-wrong"}}).status, 200)
                << order[first] << " before " << order[second];
            EXPECT_EQ(with({{order[first], prefix + "sk-wrong"}, {order[second], key}}).status, 401)
                << order[first] << " before " << order[second];
        }
    }
}

TEST(Key, IsNeeded)
{
    EXPECT_THAT(with({}), e1(401, "Authentication Error, No api key passed in."));
    EXPECT_THAT(with({{"Authorization", "Bearer "}}), e1(401, testing::_));
    EXPECT_THAT(with({{"Cookie", "token=" + admin_key()}}), e1(401, testing::_));
    EXPECT_THAT(send(probe + "?api_key=" + admin_key(), "", {}), e1(401, testing::_)) << "not from the query";
    EXPECT_THAT(
        send("POST /organization/new", R"({"organization_alias": "x", "api_key": ")" + admin_key() + R"("})", {}),
        e1(401, testing::_))
        << "not from the body";
}

TEST(Key, NeedsTheBearerPrefixInAuthorizationAndIsNotEchoed)
{
    for (const char *value : {"sk-without-a-prefix", "Basic c2stc2VjcmV0", "Token sk-without-a-prefix"}) {
        EXPECT_THAT(with({{"Authorization", value}}), e1(401, AllOf(HasSubstr("Bearer "), Not(HasSubstr(value)))))
            << value;
    }
}

TEST(Key, MustStartWithSk)
{
    for (const char *key : {"pk-something", "something", "SK-something", "s k-something"}) {
        EXPECT_THAT(with_key(key), e1(401, Not(HasSubstr(key)))) << key;
        EXPECT_THAT(with({{"x-api-key", key}}), e1(401, Not(HasSubstr(key)))) << key;
    }
}

TEST(Key, MustBeKnown)
{
    for (const char *key : {"sk-unknown", "sk-", "sk-' OR '1'='1", "sk-%", "sk-é"}) {
        EXPECT_THAT(with_key(key), e1(401, "Authentication Error, Invalid proxy server token passed.")) << key;
    }
}

TEST(Key, IsNotItsOwnDigest)
{
    const std::string key = person().key;
    const std::string digest = value("SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex')", key);
    ASSERT_EQ(value("SELECT count(*) FROM org.api_key WHERE key_hash = $1", digest), "1")
        << "stored in LiteLLM's format";
    for (const std::string &forged : {digest, "sk-" + digest}) {
        EXPECT_THAT(with_key(forged), e1(401, testing::_));
        EXPECT_THAT(with({{"x-api-key", forged}}), e1(401, testing::_));
    }
}

TEST(Key, IsRefusedWhileBlockedFromTheNextRequestOn)
{
    const std::string key = person().key;
    ASSERT_EQ(with_key(key).status, 200);
    ask("POST /key/block", {{"key", key}});
    EXPECT_THAT(with_key(key), e1(401, HasSubstr("Key is blocked.")));
    ask("POST /key/unblock", {{"key", key}});
    EXPECT_EQ(with_key(key).status, 200);
}

TEST(Key, IsRefusedWhileItsOrganizationIsBlockedUnlessAProxyAdmins)
{
    const std::string id = organization();
    const std::string key = key_for({{"organization_id", id}});
    const std::string admins = key_for({{"organization_id", id}, {"user_id", "default_user_id"}});
    ask("PATCH /organization/update", {{"organization_id", id}, {"blocked", true}});
    EXPECT_THAT(with_key(key), e1(401, HasSubstr(id)));
    EXPECT_EQ(with_key(admins).status, 200);
    ask("PATCH /organization/update", {{"organization_id", id}, {"blocked", false}});
    EXPECT_EQ(with_key(key).status, 200);
}

TEST(Key, IsRefusedWhileItsTeamIsBlockedUnlessAProxyAdmins)
{
    const std::string id = organization();
    const std::string team_id = team(id);
    const std::string key = key_for({{"organization_id", id}, {"team_id", team_id}});
    const std::string admins = key_for({{"organization_id", id}, {"team_id", team_id}, {"user_id", "default_user_id"}});
    query("UPDATE org.team SET blocked = true WHERE team_id = $1", team_id);
    EXPECT_THAT(with_key(key), e1(401, HasSubstr(team_id)));
    EXPECT_EQ(with_key(admins).status, 200);
}

TEST(Key, ExpiresWithA400)
{
    const std::string key = person().key;
    expire(key);
    EXPECT_THAT(with_key(key), e1(400, StartsWith("Authentication Error - Expired Key."), "expired_key"));
}

TEST(KeyGenerate, MakesAKeyThatIsShownOnceAndCannotBeGuessed)
{
    const Person someone = person();
    const Json fields = {{"user_id", someone.id},
                         {"models", {"gpt-4o", "o1"}},
                         {"key_alias", "ci"},
                         {"duration", "1h"},
                         {"metadata", {{"team", "blue"}}}};
    Json made = ask("POST /key/generate", fields);
    EXPECT_THAT(made["key"].get<std::string>(), testing::MatchesRegex("sk-[A-Za-z0-9_-]{22,}")) << "128 random bits";
    for (const char *field : {"user_id", "models", "key_alias", "metadata"})
        EXPECT_EQ(made[field], fields[field]) << field;
    EXPECT_TRUE(is_time(made["expires"]));
    for (const char *field : {"organization_id", "team_id"})
        EXPECT_EQ(made.at(field), nullptr) << "sent, as null";
    EXPECT_EQ(
        made.dump().find(value("SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex')", made["key"].get<std::string>())),
        std::string::npos)
        << "the digest stays here";
    EXPECT_EQ(ask("GET /user/info", nullptr, made["key"]).at("user_id"), someone.id);
    EXPECT_NE(ask("POST /key/generate", fields).at("key"), made["key"]);
}

TEST(KeyGenerate, LetsAProxyAdminChooseTheSecret)
{
    const std::string secret = "sk-" + fresh("chosen");
    EXPECT_EQ(ask("POST /key/generate", {{"user_id", "default_user_id"}, {"key", secret}}).at("key"), secret);
    EXPECT_EQ(with_key(secret).status, 200);
    const auto before = database_digest();
    EXPECT_THAT(call("POST /key/generate", {{"key", secret}}), e2(409, Not(HasSubstr(secret))));
    for (const char *bad : {"no-prefix", "", "sk-"})
        EXPECT_THAT(call("POST /key/generate", {{"key", bad}}), e3({"body", "key"}));
    EXPECT_EQ(database_digest(), before);
}

TEST(KeyGenerate, RefusesWhatPointsNowhere)
{
    const std::string id = organization();
    const auto before = database_digest();
    for (const Json &fields : {Json{{"user_id", "no-such-user"}}, Json{{"organization_id", "no-such-org"}},
                               Json{{"organization_id", id}, {"team_id", "no-such-team"}}}) {
        EXPECT_THAT(call("POST /key/generate", fields).status, testing::AnyOf(400, 404)) << fields;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(KeyGenerate, KeepsToTheModelsOfTheTeamAndOrganization)
{
    const std::string id = organization({{"models", {"a", "b"}}});
    const std::string team_id = team(id, {{"models", Json::array({"a"})}});
    const auto before = database_digest();
    EXPECT_THAT(call("POST /key/generate", {{"organization_id", id}, {"models", {"a", "c"}}}), e2(400, HasSubstr("c")));
    EXPECT_THAT(
        call("POST /key/generate", {{"organization_id", id}, {"team_id", team_id}, {"models", Json::array({"b"})}}),
        e2(400, HasSubstr("b")));
    EXPECT_EQ(database_digest(), before);
    key_for({{"organization_id", id}, {"models", {"a", "b"}}});
    key_for({{"organization_id", id}, {"team_id", team_id}, {"models", Json::array({"a"})}});
}

TEST(KeyGenerate, RefusesABadDuration)
{
    const auto before = database_digest();
    for (const char *duration : {"0s", "30", "1y", ""}) {
        EXPECT_THAT(call("POST /key/generate", {{"duration", duration}}), e3({"body", "duration"})) << duration;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(KeyGenerate, IsForAdminsAndForMembersWithinTheirTeams)
{
    const std::string id = organization();
    const Person admin = person(), member = person(), other = person(), stranger = person();
    join(id, admin.id, "org_admin");
    join(id, member.id);
    join(id, other.id);
    const std::string team_id = team(id, {{"members_with_roles", {{{"user_id", member.id}, {"role", "user"}}}}});
    const Json in_team = {{"organization_id", id}, {"team_id", team_id}};
    const Json members_own = {{"organization_id", id}, {"team_id", team_id}, {"user_id", member.id}};

    EXPECT_EQ(call("POST /key/generate", {{"organization_id", id}, {"user_id", member.id}}, admin.key).status, 200);
    EXPECT_EQ(call("POST /key/generate", in_team, admin.key).status, 200);
    EXPECT_EQ(call("POST /key/generate", members_own, member.key).status, 200);

    const std::string elsewhere = organization();
    const Person viewer = person("proxy_admin_viewer");
    const auto before = database_digest();
    EXPECT_THAT(call("POST /key/generate", {{"organization_id", elsewhere}}, admin.key), e2(401, testing::_));
    EXPECT_THAT(call("POST /key/generate", {{"user_id", "default_user_id"}}, admin.key), e2(401, testing::_));
    EXPECT_THAT(
        call("POST /key/generate", {{"organization_id", id}, {"user_id", other.id}, {"team_id", team_id}}, member.key),
        e2(401, testing::_));
    EXPECT_THAT(call("POST /key/generate", {{"organization_id", id}, {"user_id", "default_user_id"}}, member.key),
                e2(401, testing::_));
    EXPECT_THAT(
        call("POST /key/generate", {{"organization_id", id}, {"user_id", other.id}, {"team_id", team_id}}, other.key),
        e2(401, testing::_))
        << "not in that team";
    EXPECT_THAT(call("POST /key/generate", members_own, stranger.key), e2(401, testing::_));
    EXPECT_THAT(call("POST /key/generate", {{"user_id", stranger.id}}, viewer.key), e2(401, testing::_));
    EXPECT_EQ(database_digest(), before);
}

TEST(KeyGenerate, LendsNobodyTheRoleOfAProxyAdmin)
{
    const std::string id = organization();
    const Person admin = person(), proxy_admin = person("proxy_admin");
    join(id, admin.id, "org_admin");
    join(id, proxy_admin.id);
    const Reply made = call("POST /key/generate", {{"organization_id", id}, {"user_id", proxy_admin.id}}, admin.key);
    ASSERT_THAT(made.status, testing::AnyOf(200, 401));
    if (made.status == 401)
        return;
    EXPECT_THAT(call("POST /organization/new", {{"organization_alias", "x"}}, made.body.at("key")),
                e2(401, testing::_));
    EXPECT_EQ(ask("GET /organization/list", nullptr, made.body.at("key")).size(), 1u);
}

TEST(KeyPermissions, AreGivenByProxyAdminsAndKept)
{
    const std::string id = organization();
    const Json usage = {{"usage", true}};
    const std::string key = key_for({{"organization_id", id}, {"permissions", usage}});
    const auto shown = [](const std::string &named) {
        return ask("GET /key/info?key=" + named).at("info").at("permissions");
    };
    EXPECT_EQ(shown(key), usage);
    EXPECT_EQ(ask("POST /key/update", {{"key", key}, {"key_alias", "gateway"}}).at("permissions"), usage);
    const Json replaced = ask("POST /key/regenerate", {{"key", key}});
    EXPECT_EQ(replaced.at("permissions"), usage);
    EXPECT_EQ(ask("POST /key/update", {{"key", replaced.at("key")}, {"permissions", Json::object()}}).at("permissions"),
              Json::object());
    EXPECT_EQ(shown(key_for({{"organization_id", id}})), Json::object());
    EXPECT_THAT(call("POST /key/generate", {{"permissions", "usage"}}), e3({"body", "permissions"}, "dict_type"));
}

TEST(KeyPermissions, AreGivenByNobodyElse)
{
    const std::string id = organization();
    const Person admin = person(), viewer = person("proxy_admin_viewer");
    join(id, admin.id, "org_admin");
    const std::string plain = key_for({{"organization_id", id}});
    const std::string powerful = key_for({{"organization_id", id}, {"permissions", {{"usage", true}}}});
    const auto before = database_digest();
    for (const std::string &key : {admin.key, viewer.key, plain, powerful}) {
        EXPECT_THAT(call("POST /key/generate", {{"organization_id", id}, {"permissions", {{"usage", true}}}}, key),
                    e2(401, testing::_));
        EXPECT_THAT(call("POST /key/update", {{"key", plain}, {"permissions", {{"usage", true}}}}, key),
                    e2(401, testing::_));
        EXPECT_THAT(call("POST /key/regenerate", {{"key", powerful}}, key), e2(401, testing::_));
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(KeyBlock, IsForProxyAdminsAndTheAdminsOfItsOrganization)
{
    const std::string id = organization();
    const Person admin = person(), stranger = person();
    join(id, admin.id, "org_admin");
    const std::string key = key_for({{"organization_id", id}});
    const std::string free_key = person().key;

    Json blocked = ask("POST /key/block", {{"key", key}}, admin.key);
    EXPECT_EQ(blocked["blocked"], true);
    EXPECT_EQ(blocked["organization_id"], id);
    EXPECT_EQ(ask("POST /key/unblock", {{"key", key}}, admin.key).at("blocked"), false);

    const auto before = database_digest();
    for (const char *route : {"POST /key/block", "POST /key/unblock"}) {
        EXPECT_THAT(call(route, {{"key", key}}, stranger.key), e2(401, testing::_));
        EXPECT_THAT(call(route, {{"key", free_key}}, admin.key), e2(401, testing::_));
        EXPECT_THAT(call(route, {{"key", "sk-unknown"}}), e2(404, Not(HasSubstr("sk-unknown"))));
        EXPECT_THAT(call(route, Json::object()), e3({"body", "key"}, "missing"));
    }
    EXPECT_EQ(database_digest(), before);
}

} // namespace
} // namespace pg_org::test
