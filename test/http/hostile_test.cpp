// Input that means harm: a clear error in the right envelope and no change, or the text kept letter for letter.
// The end of the whole suite checks that the gateway and the backends survived.

#include <random>

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::AnyOf;

enum class Kind { text, texts, money, integer, object, boolean, any };

struct BodyField {
    std::string name;
    Kind kind;
};

struct BodyRoute {
    std::string route;
    std::vector<BodyField> fields;
};

const std::vector<BodyField> budget{{"max_budget", Kind::money},
                                    {"soft_budget", Kind::money},
                                    {"tpm_limit", Kind::integer},
                                    {"rpm_limit", Kind::integer},
                                    {"max_parallel_requests", Kind::integer},
                                    {"model_max_budget", Kind::object},
                                    {"budget_duration", Kind::text},
                                    {"limits", Kind::any},
                                    {"budget_limits", Kind::any},
                                    {"model_rpm_limit", Kind::any},
                                    {"model_tpm_limit", Kind::any},
                                    {"rpd_limit", Kind::integer},
                                    {"tpd_limit", Kind::integer}};

const std::vector<BodyField> attributes{
    {"organization_alias", Kind::text}, {"models", Kind::texts},         {"budget_id", Kind::text},
    {"metadata", Kind::object},         {"blocked", Kind::boolean},      {"tags", Kind::texts},
    {"model_aliases", Kind::object},    {"organization_id", Kind::text}, {"default_reserve", Kind::money}};

std::vector<BodyField> operator+(std::vector<BodyField> left, const std::vector<BodyField> &right)
{
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

// Every route with a body of fields, and every field it knows.
const std::vector<BodyRoute> body_routes{
    {"POST /organization/new", attributes + budget},
    {"PATCH /organization/update",
     attributes + budget + std::vector<BodyField>{{"litellm_budget_table", Kind::object}, {"clear", Kind::texts}}},
    {"DELETE /organization/delete", {{"organization_ids", Kind::texts}}},
    {"POST /organization/info", {{"organizations", Kind::texts}}},
    {"POST /organization/member_add",
     {{"organization_id", Kind::text}, {"member", Kind::any}, {"max_budget_in_organization", Kind::money}}},
    {"PATCH /organization/member_update",
     {{"organization_id", Kind::text},
      {"user_id", Kind::text},
      {"user_email", Kind::text},
      {"role", Kind::text},
      {"max_budget_in_organization", Kind::money},
      {"clear", Kind::texts}}},
    {"DELETE /organization/member_delete",
     {{"organization_id", Kind::text}, {"user_id", Kind::text}, {"user_email", Kind::text}}},
    {"POST /user/new",
     {{"user_id", Kind::text},
      {"user_email", Kind::text},
      {"user_alias", Kind::text},
      {"user_role", Kind::text},
      {"models", Kind::texts},
      {"max_budget", Kind::money},
      {"model_max_budget", Kind::object},
      {"tpm_limit", Kind::integer},
      {"rpm_limit", Kind::integer},
      {"budget_duration", Kind::text},
      {"sso_user_id", Kind::text},
      {"metadata", Kind::object},
      {"auto_create_key", Kind::boolean},
      {"key_alias", Kind::text},
      {"duration", Kind::text}}},
    {"POST /key/generate",
     {{"user_id", Kind::text},
      {"organization_id", Kind::text},
      {"team_id", Kind::text},
      {"models", Kind::texts},
      {"duration", Kind::text},
      {"key_alias", Kind::text},
      {"metadata", Kind::object},
      {"key", Kind::text}}},
    {"POST /key/block", {{"key", Kind::text}}},
    {"POST /key/unblock", {{"key", Kind::text}}},
    {"POST /team/new",
     {{"organization_id", Kind::text},
      {"team_alias", Kind::text},
      {"team_id", Kind::text},
      {"models", Kind::texts},
      {"members_with_roles", Kind::any},
      {"metadata", Kind::object},
      {"max_budget", Kind::money},
      {"tpm_limit", Kind::integer},
      {"rpm_limit", Kind::integer},
      {"max_parallel_requests", Kind::integer},
      {"budget_duration", Kind::text},
      {"blocked", Kind::boolean}}},
    {"POST /budget/info", {{"budgets", Kind::texts}}},
};

// JSON texts that a field of that kind cannot take.
std::vector<std::string> wrong_for(Kind kind)
{
    std::vector<std::string> wrong;
    if (kind != Kind::text)
        wrong.insert(wrong.end(), {R"("x")", R"("")", R"("'; DROP SCHEMA org CASCADE; --")"});
    if (kind == Kind::texts)
        wrong.insert(wrong.end(), {"5", "true", "{}", "[5]", "[null]", "[[]]", R"([{"a": 1}])"});
    if (kind == Kind::text)
        wrong.insert(wrong.end(), {"5", "true", "[]", "{}"});
    if (kind == Kind::object)
        wrong.insert(wrong.end(), {"5", "true", "[]", R"([["a", 1]])"});
    if (kind == Kind::boolean)
        wrong.insert(wrong.end(), {"5", "0.5", "[]", "{}"});
    if (kind == Kind::money) {
        wrong.insert(wrong.end(), {"[]", "{}", R"("NaN")", R"("nan")", R"("Infinity")", R"("-inf")", "-1", "-1e-9",
                                   R"("1,5")", R"("1 000")", R"("0x10")"});
    }
    if (kind == Kind::integer) {
        wrong.insert(wrong.end(), {"[]", "{}", R"("NaN")", R"("Infinity")", "-1", "1.5", R"("1.5")",
                                   "9223372036854775808", "1e19", "-9223372036854775809", R"("18446744073709551616")"});
    }
    return wrong;
}

// A body in which everything but that field is as it should be.
std::string body_with(const std::string &field, const std::string &json)
{
    std::string body = "{" + Json(field).dump() + ": " + json;
    for (const char *other : {"organization_alias", "organization_id", "user_id"}) {
        if (field != other)
            body += ", \"" + std::string(other) + "\": \"hostile\"";
    }
    if (field != "member")
        body += ", \"member\": []";
    return body + "}";
}

Reply as_admin(const std::string &route, const std::string &body) { return send(route, body, bearer(admin_key())); }

bool complains_of(const Reply &reply, const std::string &field)
{
    if (reply.status != 422)
        return false;
    const Json &details = reply.body.at("detail");
    return std::any_of(details.begin(), details.end(), [&](const Json &detail) {
        const Json &location = detail.at("loc");
        return location.size() >= 2 && location.at(0) == "body" && location.at(1) == field;
    });
}

TEST(Hostile, EveryFieldRefusesWhatIsNotOfItsType)
{
    const auto before = database_digest();
    for (const auto &[route, fields] : body_routes) {
        for (const auto &[field, kind] : fields) {
            for (const std::string &wrong : wrong_for(kind)) {
                const Reply reply = as_admin(route, body_with(field, wrong));
                EXPECT_TRUE(complains_of(reply, field)) << route << " " << field << ": " << wrong << "\n"
                                                        << reply.status << " " << reply.text;
            }
        }
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(Hostile, EveryFieldRefusesTextThatCannotBeStored)
{
    const auto before = database_digest();
    for (const auto &[route, fields] : body_routes) {
        for (const auto &[field, kind] : fields) {
            std::vector<std::string> unstorable;
            for (const std::string text :
                 {R"("\u0000")", R"("a\u0000b")", R"("\ud800")", R"("\udc00")", R"("\ud800x")", "\"\xff\"",
                  "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\x80\""}) {
                if (kind == Kind::texts)
                    unstorable.push_back("[" + text + "]");
                if (kind == Kind::object)
                    unstorable.insert(unstorable.end(), {"{\"a\": " + text + "}", "{" + text + ": 1}"});
                if (kind == Kind::any)
                    unstorable.push_back(R"([{"role": "internal_user", "user_id": )" + text + "}]");
                if (kind == Kind::text)
                    unstorable.push_back(text);
            }
            for (const std::string &json : unstorable) {
                EXPECT_EQ(as_admin(route, body_with(field, json)).status, 422) << route << " " << field << ": " << json;
            }
        }
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(Hostile, BrokenJsonIsRefusedWhateverTheRoute)
{
    const auto before = database_digest();
    for (const auto &[route, fields] : body_routes) {
        for (const std::string body : {"{",
                                       "}",
                                       "{\"a\"",
                                       "{\"a\":}",
                                       "{\"a\": 1,}",
                                       "{'a': 1}",
                                       "{a: 1}",
                                       "{\"a\": NaN}",
                                       "{\"a\": Infinity}",
                                       "{\"a\": 01}",
                                       "{\"a\": .5}",
                                       "{\"a\": +1}",
                                       "{\"a\": 1} x",
                                       "{\"a\": \"\n\"}",
                                       "// {}",
                                       "nul",
                                       "\xef\xbb\xbf{",
                                       "<xml/>",
                                       "organization_alias=x",
                                       "{\"a\": \"\\x\"}",
                                       "{\"a\": 1e400}",
                                       "{\"a\": -1e999999999}",
                                       "\x01",
                                       " "}) {
            const Reply reply = as_admin(route, body);
            ASSERT_EQ(reply.status, 422) << route << " " << body;
            EXPECT_EQ(reply.body.at("detail").at(0).at("type"), "json_invalid") << route << " " << body << "\n"
                                                                                << reply.text;
            EXPECT_EQ(reply.body.at("detail").at(0).at("loc").at(0), "body") << route << " " << body;
        }
        EXPECT_EQ(as_admin(route, std::string("{\"a\": \"\0\"}", 10)).status, 422) << route;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(Hostile, ABodyThatIsNoObjectIsRefused)
{
    const auto before = database_digest();
    for (const auto &[route, fields] : body_routes) {
        for (const char *body : {"[]", "[{}]", "\"x\"", "5", "true", "null", ""}) {
            EXPECT_EQ(as_admin(route, body).status, 422) << route << " " << body;
        }
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(Hostile, NestingOf20000IsRefused)
{
    const auto before = database_digest();
    constexpr int depth = 20'000;
    std::string arrays, objects, closing;
    for (int level = 0; level < depth; ++level) {
        arrays += '[';
        objects += "{\"a\":";
        closing += '}';
    }
    const std::string lists = arrays + std::string(depth, ']');
    const std::string maps = objects + "1" + closing;
    for (const auto &[route, fields] : body_routes) {
        for (const std::string &nested : {lists, maps, arrays, objects}) {
            EXPECT_EQ(as_admin(route, nested).status, 422) << route;
        }
        for (const auto &[field, kind] : fields) {
            for (const std::string &nested : {lists, maps}) {
                EXPECT_EQ(as_admin(route, body_with(field, nested)).status, 422) << route << " " << field;
            }
        }
        EXPECT_EQ(as_admin(route, body_with("unknown", maps)).status, 422) << route;
    }
    EXPECT_EQ(as_admin("PATCH /v2/organization/x", "{\"metadata\":" + maps + "}").status, 422);
    EXPECT_EQ(database_digest(), before);
}

const std::vector<std::string> nasty_texts{
    "'; DROP SCHEMA org CASCADE; --",
    "Robert'); DELETE FROM org.organization; --",
    "\" OR 1=1 --",
    "$1 $$ $body$ ${x} %s %n {0} {{7*7}}",
    R"(back\slash \' \" \u0000 \\)",
    R"({a,"b",NULL})",
    "NULL",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "line\nbreak\r\n\ttab",
    "\x01\x02\x1f\x7f bell\a escape\x1b[31m",
    "\U0001f600 \U0001f469\u200d\U0001f467 \U0001d4b3 \ufdfd",
    "\u0645\u0631\u062d\u0628\u0627 \u202e turned around",
    "e\u0301 \u00e9 \u200b\ufeff \u2028\u2029",
    " leading and trailing ",
    "\xf4\x8f\xbf\xbf",
    "a,b;c|d&e=f?g#h/i",
};

TEST(Hostile, NastyTextIsKeptLetterForLetterInAnOrganization)
{
    for (const std::string &text : nasty_texts) {
        const std::string id = text + fresh(" ");
        const Json sent = {{"organization_id", id},
                           {"organization_alias", text},
                           {"models", {text, "m"}},
                           {"tags", {"t", text}},
                           {"metadata", {{text, text}, {"list", {text}}}},
                           {"model_aliases", {{text, text}}},
                           {"model_max_budget", {{text, 1}}}};
        ask("POST /organization/new", sent);
        const Json shown = info(id);
        ASSERT_TRUE(is_organization(shown)) << text;
        for (const char *field : {"organization_id", "organization_alias", "models", "tags", "model_aliases"}) {
            EXPECT_EQ(shown.at(field), sent.at(field)) << field;
        }
        EXPECT_EQ(nlohmann::json(shown.at("metadata")), nlohmann::json(sent.at("metadata")));
        EXPECT_EQ(shown.at("litellm_budget_table").at("model_max_budget"), sent.at("model_max_budget"));
        EXPECT_EQ(
            ask("PATCH /v2/organization/" + encoded(id), {{"organization_alias", text + "!"}}).at("organization_alias"),
            text + "!");
        EXPECT_EQ(values_of(ask("GET /organization/list?org_id=" + encoded(id)), "organization_id"),
                  std::vector<Json>{id});
        EXPECT_EQ(ask("POST /organization/info", {{"organizations", Json::array({id})}}).size(), 1u);
        EXPECT_EQ(
            ask("DELETE /organization/delete", {{"organization_ids", Json::array({id})}}).at(0).at("organization_id"),
            id);
    }
}

TEST(Hostile, NastyTextIsKeptLetterForLetterInUsersTeamsAndKeys)
{
    for (const std::string &text : nasty_texts) {
        const std::string id = organization();
        const std::string user_id = text + fresh(" "), email = fresh("mail") + "@example.com",
                          team_id = text + fresh(" ");
        Json made = ask("POST /user/new", {{"user_id", user_id},
                                           {"user_email", email},
                                           {"user_alias", text},
                                           {"sso_user_id", user_id},
                                           {"metadata", {{text, text}}},
                                           {"key_alias", text}});
        EXPECT_EQ(made["user_id"], user_id);
        EXPECT_EQ(made["user_email"], email);
        EXPECT_EQ(made["user_alias"], text);
        const Json added =
            ask("POST /organization/member_add",
                {{"organization_id", id}, {"member", {{"role", "internal_user"}, {"user_email", email}}}});
        EXPECT_EQ(added.at("updated_users").at(0).at("user_id"), user_id);
        EXPECT_EQ(team(id, {{"team_id", team_id},
                            {"team_alias", text},
                            {"members_with_roles", {{{"user_id", user_id}, {"role", "user"}}}}}),
                  team_id);
        EXPECT_EQ(ask("GET /team/info?team_id=" + encoded(team_id)).at("team_info").at("team_alias"), text);
        EXPECT_EQ(
            ask("POST /key/generate", {{"user_id", user_id}, {"key_alias", user_id}, {"models", Json::array({text})}})
                .at("key_alias"),
            user_id);
        EXPECT_EQ(ask("GET /user/info?user_id=" + encoded(user_id)).at("user_info").at("user_alias"), text);
        EXPECT_EQ(
            ask("DELETE /organization/member_delete", {{"organization_id", id}, {"user_id", user_id}}).at("user_id"),
            user_id);
    }
}

TEST(Hostile, EmptyTextIsAnErrorOrAValueNeverAFault)
{
    for (const auto &[route, fields] : body_routes) {
        for (const auto &[field, kind] : fields) {
            const Reply reply = as_admin(route, body_with(field, kind == Kind::texts ? R"([""])" : R"("")"));
            EXPECT_THAT(reply.status, AnyOf(200, 400, 404, 409, 422)) << route << " " << field;
        }
    }
    EXPECT_EQ(value("SELECT count(*) FROM org.organization WHERE organization_id = ''"), "0");
}

TEST(Hostile, VeryLongIdsAreRefusedOrNotFound)
{
    std::mt19937 random{42};
    std::string id;
    while (id.size() < 10'000)
        id += "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[random() % 62];
    const std::string organization_id = organization();
    for (const auto &[route, fields] : body_routes) {
        for (const auto &[field, kind] : fields) {
            if (kind != Kind::text && kind != Kind::texts)
                continue;
            const Json sent = kind == Kind::texts ? Json::array({id}) : Json(id);
            const Reply reply = as_admin(route, body_with(field, sent.dump()));
            EXPECT_THAT(reply.status, AnyOf(200, 400, 401, 404, 409, 422))
                << route << " " << field << reply.text.substr(0, 300);
        }
    }
    for (const char *field : {"user_id", "user_email"}) {
        const Reply reply =
            call("POST /organization/member_add",
                 {{"organization_id", organization_id}, {"member", {{"role", "internal_user"}, {field, id}}}});
        EXPECT_THAT(reply.status, AnyOf(200, 422)) << field;
    }
    for (const char *route : {"GET /organization/info?organization_id=", "GET /organization/list?org_id=",
                              "GET /organization/list?org_alias=", "GET /organization/list?limit=1&after=",
                              "GET /user/info?user_id=", "GET /team/info?team_id=", "GET /"}) {
        EXPECT_THAT(call(route + id.substr(0, 6000)).status, AnyOf(200, 404, 414, 422)) << route;
        EXPECT_THAT(call(route + id).status, AnyOf(200, 404, 414, 422)) << route;
    }
    EXPECT_THAT(call("PATCH /v2/organization/" + id.substr(0, 6000), {{"max_budget", 1}}).status, AnyOf(404, 422));
}

TEST(Hostile, ManyValuesAreTaken)
{
    Json models = Json::array();
    for (int number = 0; number < 1000; ++number)
        models.push_back("provider/model-" + std::to_string(number));
    EXPECT_EQ(info(organization({{"models", models}})).at("models"), models);
    models.push_back("one too many");
    EXPECT_EQ(call("POST /organization/new", {{"organization_alias", "many"}, {"models", models}}).status, 422);

    Json members = Json::array();
    for (int number = 0; number < 500; ++number)
        members.push_back({{"role", "internal_user"}, {"user_id", fresh("many")}});
    const std::string id = organization();
    ask("POST /organization/member_add", {{"organization_id", id}, {"member", members}});
    EXPECT_EQ(info(id).at("members").size(), members.size());

    Json ids = Json::array();
    for (int number = 0; number < 1000; ++number)
        ids.push_back("no-such-org");
    EXPECT_EQ(ask("POST /organization/info", {{"organizations", ids}}), Json::array());
    ids.push_back("one too many");
    EXPECT_EQ(call("POST /organization/info", {{"organizations", ids}}).status, 422);
}

TEST(Hostile, HugeNumbersAreRefusedOrKept)
{
    for (const char *number :
         {"1e308", "1e-300", "123456789012345678901234567890", "0.1234567890123456789012345678901234567890",
          R"("1e5000")", R"("1e-20000")", R"("1e99999999999999999999")"}) {
        const Reply reply = as_admin("POST /organization/new", body_with("max_budget", number));
        EXPECT_THAT(reply.status, AnyOf(200, 409, 422)) << number;
        if (reply.status == 200) {
            EXPECT_TRUE(is_organization(reply.body)) << reply.text.substr(0, 500);
            ask("DELETE /organization/delete", {{"organization_ids", Json::array({"hostile"})}});
        }
    }
    const std::string digits(5000, '9');
    for (const std::string &number : {digits, '"' + digits + '"', "0." + digits}) {
        EXPECT_THAT(as_admin("POST /organization/new", body_with("max_budget", number)).status, AnyOf(200, 409, 422));
        EXPECT_EQ(as_admin("POST /organization/new", body_with("tpm_limit", number)).status, 422);
    }
}

TEST(Hostile, QueriesAndPathsOfGarbageAreAnswered)
{
    for (const char *route : {"GET /organization/info?organization_id=%00",
                              "GET /organization/info?organization_id=%ff",
                              "GET /organization/info?organization_id=%",
                              "GET /organization/info?organization_id=%zz",
                              "GET /organization/info?organization_id=%ed%a0%80",
                              "GET /organization/info?organization_id=a&organization_id=b",
                              "GET /organization/info?organization_id",
                              "GET /organization/info?organization_id=",
                              "GET /organization/info?&&&=&=x",
                              "GET /organization/info?organization_id[]=x",
                              "GET /organization/list?org_alias=%00",
                              "GET /organization/list?org_id=%ff",
                              "GET /organization/list?org_alias=%25%5f%5c",
                              "GET /organization/list?after=no-such-org",
                              "GET /organization/list?limit=5&after=%00",
                              "GET /user/info?user_id=%00",
                              "GET /team/info?team_id=%ff",
                              "GET /%00",
                              "GET /%ff",
                              "GET /%",
                              "GET /../../etc/passwd",
                              "GET /organization/../organization/list",
                              "GET /organization%2flist",
                              "GET /?x=%00",
                              "GET /organization/list;x=1"}) {
        EXPECT_THAT(call(route).status, AnyOf(200, 400, 404, 422)) << route;
    }
    for (const char *id : {"%00", "%ff", "%", "%2e%2e", "a%2fb", "%20", "%27%3b--"}) {
        EXPECT_THAT(call("PATCH /v2/organization/" + std::string(id), {{"max_budget", 1}}).status, AnyOf(400, 404, 422))
            << id;
    }
    for (const char *query : {"if_match=%00", "if_match=*%00x", "idempotency_key=a%00b", "cascade=true&if_match=%ff"})
        EXPECT_EQ(call("PATCH /v2/organization/no-such-org?" + std::string(query), {{"max_budget", 1}}).status, 422)
            << query;
}

TEST(Hostile, HeadersOfGarbageAreAnswered)
{
    for (const std::string &key :
         {"sk-" + std::string(7000, 'x'), std::string("sk-\xff\xfe"), std::string("sk-\x01"),
          std::string("sk-'; DROP SCHEMA org CASCADE; --"), std::string("sk-\t"), std::string("sk-\U0001f600")}) {
        for (const char *name : {"Authorization", "x-litellm-api-key", "API-Key", "x-api-key", "x-goog-api-key"}) {
            const std::string prefix = std::string(name) == "Authorization" ? "Bearer " : "";
            // Newer versions of httplib refuse some of them on their own.
            EXPECT_THAT(send("GET /organization/list", "", {{name, prefix + key}}),
                        testing::AnyOf(e1(401, testing::_), e2(400, testing::HasSubstr("malformed"))))
                << name;
        }
    }
}

TEST(Hostile, ACompressedBodyIsNotBlownUp)
{
    const std::string gzip_magic = "\x1f\x8b\x08";
    for (const char *encoding : {"gzip", "deflate", "br", "nonsense"}) {
        httplib::Headers headers = bearer(admin_key());
        headers.emplace("Content-Encoding", encoding);
        EXPECT_THAT(send("POST /organization/new", gzip_magic + std::string(1000, 'x'), headers).status,
                    AnyOf(415, 422))
            << encoding;
    }
}

TEST(Hostile, RequestsThatAreNotHttpEndTheirConnectionOnly)
{
    for (const std::string bytes : {"\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02",
                                    "POST /organization/new HTTP/1.1\r\nContent-Length: -1\r\n\r\n{}",
                                    "POST /organization/new HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
                                    "POST /organization/new HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                                    "GET / HTTP/1.1\r\nno colon\r\n\r\n"}) {
        exchange(bytes);
        EXPECT_EQ(call("GET /organization/list?limit=1").status, 200) << bytes;
    }
}

} // namespace
} // namespace pg_org::test
