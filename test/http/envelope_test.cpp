// Properties of every reply: the error bodies, the order of checks, paths and methods, sizes, request ids.

#include <set>

#include "matchers.hpp"

namespace pg_org::test {
namespace {

const Json not_found = {{"detail", "Not Found"}};
const Json method_not_allowed = {{"detail", "Method Not Allowed"}};

TEST(Envelope, TellsWhatIsWrongWithAField)
{
    const std::vector<std::tuple<std::string, Json, std::string>> wrong{
        {"organization_alias", 5, "string_type"},
        {"max_budget", "x", "float_parsing"},
        {"tpm_limit", "x", "int_parsing"},
        {"tpm_limit", 1.5, "int_from_float"},
        {"models", "x", "list_type"},
        {"metadata", "x", "dict_type"},
        {"metadata", Json::array(), "dict_type"},
        {"blocked", "x", "bool_parsing"},
    };
    for (const auto &[field, sent, type] : wrong) {
        Json body = {{"organization_alias", "x"}};
        body[field] = sent;
        const Reply reply = call("POST /organization/new", body);
        EXPECT_THAT(reply, e3({"body", field}, type)) << field;
        EXPECT_EQ(reply.body.value("/detail/0/input"_json_pointer, Json()), sent) << field;
    }
    EXPECT_THAT(call("POST /organization/new", {{"organization_alias", "x"}, {"models", {"a", 5}}}),
                e3({"body", "models", 1}, "string_type"));
    EXPECT_THAT(call("POST /organization/new", {{"organization_alias", "x"}, {"budget_duration", "bogus"}}),
                e3({"body", "budget_duration"}, "value_error"));
}

TEST(Envelope, TellsAllFieldsOfAWrongTypeAtOnce)
{
    const Reply reply = call("POST /organization/new", {{"organization_alias", 5}, {"models", 5}, {"tpm_limit", "x"}});
    EXPECT_THAT(reply, e3({"body", "organization_alias"}));
    EXPECT_THAT(reply, e3({"body", "models"}));
    EXPECT_THAT(reply, e3({"body", "tpm_limit"}));
}

TEST(Envelope, ChecksTheJsonBeforeTheKey)
{
    EXPECT_THAT(send("POST /organization/new", "{", {}).body.at("detail").at(0).at("type"), "json_invalid");
    EXPECT_EQ(send("POST /organization/member_add", "{", {}).status, 422) << "E3 also where errors are E1";
}

TEST(Envelope, ChecksTheKeyBeforeTheFields)
{
    for (const httplib::Headers &headers : {httplib::Headers{}, bearer("sk-unknown")}) {
        EXPECT_THAT(send("POST /organization/new", R"({"max_budget": []})", headers), e1(401, testing::_));
        EXPECT_THAT(send("PATCH /v2/organization/x", R"({"colour": "blue"})", headers), e1(401, testing::_));
        EXPECT_THAT(send("GET /organization/info", "", headers), e1(401, testing::_));
    }
}

TEST(Envelope, ChecksTheFieldsBeforeTheRules)
{
    const Person stranger = person();
    const auto before = database_digest();
    EXPECT_THAT(call("POST /organization/new", {{"organization_alias", "x"}, {"models", 5}}, stranger.key),
                e3({"body", "models"}));
    EXPECT_THAT(call("POST /organization/new", {{"max_budget", 5}}, stranger.key),
                e3({"body", "organization_alias"}, "missing"));
    EXPECT_THAT(call("POST /organization/new", {{"organization_alias", "x"}, {"max_budget", -1}}, stranger.key),
                e3({"body", "max_budget"}));
    EXPECT_THAT(call("PATCH /organization/update", {{"organization_id", "no-such-org"}, {"budget_duration", "bogus"}}),
                e3({"body", "budget_duration"}));
    EXPECT_THAT(call("PATCH /v2/organization/no-such-org", {{"colour", "blue"}}, stranger.key),
                hinted(testing::_, e3({"body", "colour"})));
    EXPECT_THAT(call("POST /organization/member_add",
                     {{"organization_id", "no-such-org"}, {"member", {{"role", "king"}, {"user_id", "x"}}}},
                     stranger.key),
                e3({"body", "member", "role"}));
    EXPECT_EQ(database_digest(), before);
}

TEST(Envelope, AnswersAnUnknownPathAsNotFound)
{
    for (const char *route : {"GET /nowhere", "POST /organization", "GET /organization/list/", "GET /v2/organization",
                              "DELETE /organization/", "GET //organization/list", "PATCH /v2/organization/"}) {
        const Reply reply = send(route, "", {});
        EXPECT_EQ(reply.status, 404) << route;
        EXPECT_EQ(reply.body, not_found) << route;
    }
}

TEST(Envelope, AnswersAWrongMethodNamingTheRightOnes)
{
    const std::vector<std::pair<std::string, std::vector<std::string>>> wrong{
        {"GET /organization/new", {"POST"}},
        {"PUT /organization/update", {"PATCH"}},
        {"POST /organization/list", {"GET"}},
        {"DELETE /organization/info", {"GET", "POST"}},
        {"POST /organization/member_update", {"PATCH"}},
        {"POST /organization/delete", {"DELETE"}},
        {"GET /v2/organization/x", {"PATCH"}},
        {"POST /health/readiness", {"GET"}}};
    for (const auto &[route, methods] : wrong) {
        const Reply reply = send(route, "", {});
        EXPECT_EQ(reply.status, 405) << route;
        EXPECT_EQ(reply.body, method_not_allowed) << route;
        for (const std::string &method : methods)
            EXPECT_THAT(reply.header("Allow"), testing::HasSubstr(method)) << route;
    }
}

TEST(Envelope, AnswersTheOpenPathsWithoutAKey)
{
    for (const char *route : {"GET /health/liveliness", "GET /health/liveness", "GET /health/readiness", "GET /"}) {
        const Reply reply = send(route, "", {});
        EXPECT_EQ(reply.status, 200) << route;
        EXPECT_FALSE(reply.text.empty()) << route;
    }
    EXPECT_THAT(send("GET /", "", {}).text, testing::HasSubstr("pg_org"));
}

TEST(Envelope, FindsThePageWithASlashToo)
{
    EXPECT_THAT(exchange("GET /docs/ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                testing::AllOf(testing::StartsWith("HTTP/1.1 308"), testing::HasSubstr("\r\nLocation: ../docs\r\n")));
}

TEST(Envelope, TakesJsonWhateverItsContentType)
{
    for (const char *type : {"application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain",
                             "multipart/form-data; boundary=x"}) {
        const std::string body = Json{{"organization_alias", std::string(20'000, 'x')}}.dump();
        EXPECT_THAT(exchange("POST /organization/new HTTP/1.1\r\nHost: localhost\r\nx-api-key: " + admin_key() +
                             "\r\nContent-Type: " + type + "\r\nContent-Length: " + std::to_string(body.size()) +
                             "\r\n\r\n" + body),
                    testing::StartsWith("HTTP/1.1 200"))
            << type;
    }
}

TEST(Envelope, TakesABodyUpToTheLimitAndNoLargerOne)
{
    constexpr size_t limit = 1 << 20;
    const std::string start = R"({"organization_alias": "big", "not a field": ")", end = R"("})";
    const std::string filler(limit - start.size() - end.size(), 'x');
    EXPECT_EQ(send("POST /organization/new", start + filler + end, bearer(admin_key())).status, 200);
    const auto before = database_digest();
    EXPECT_THAT(send("POST /organization/new", start + filler + "x" + end, bearer(admin_key())), e2(413, testing::_));
    EXPECT_EQ(database_digest(), before);
}

// The body of 64 MiB in pieces, all of it or until the gateway has had enough.
std::string send_64_mib(const std::string &header, const std::function<std::string(std::string)> &framed)
{
    constexpr int pieces = 1024;
    int sent = -1;
    const std::string head = "POST /organization/new HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " +
                             admin_key() + "\r\nContent-Type: application/json\r\n" + header + "\r\n\r\n";
    return exchange([&]() -> std::string {
        ++sent;
        if (sent == 0)
            return head;
        if (sent > pieces)
            return sent == pieces + 1 ? framed("") : "";
        return framed(std::string(65536, 'x'));
    });
}

TEST(Envelope, SurvivesABodyOf64MiB)
{
    const auto before = database_digest();
    EXPECT_THAT(send_64_mib("Content-Length: 67108864", [](std::string piece) { return piece; }),
                testing::StartsWith("HTTP/1.1 413"));
    EXPECT_THAT(
        send_64_mib("Transfer-Encoding: chunked",
                    [](std::string piece) { return (piece.empty() ? "0" : "10000") + ("\r\n" + piece) + "\r\n"; }),
        testing::StartsWith("HTTP/1.1 413"));
    EXPECT_EQ(database_digest(), before);
    EXPECT_EQ(call("GET /organization/list?limit=1").status, 200);
}

TEST(Envelope, EchoesAWellFormedRequestIdAndMakesOneOtherwise)
{
    const std::string longest(64, 'a');
    for (const std::string &id : {std::string("abc-123"), std::string("A.b_c-9"), longest}) {
        EXPECT_EQ(send("GET /health/liveness", "", {{"x-request-id", id}}).header("x-request-id"), id);
    }
    for (const std::string &id : {longest + "a", std::string("with space"), std::string("quote\"s"), std::string("é"),
                                  std::string("a;b"), std::string("<x>")}) {
        const std::string made = send("GET /health/liveness", "", {{"x-request-id", id}}).header("x-request-id");
        EXPECT_NE(made, id);
        EXPECT_THAT(made, testing::MatchesRegex("[A-Za-z0-9._-]{1,64}"));
    }
    std::set<std::string> made;
    for (const char *route : {"GET /health/liveness", "GET /nowhere", "POST /", "GET /organization/list"}) {
        made.insert(send(route, "", {}).header("x-request-id"));
    }
    EXPECT_EQ(made.size(), 4u) << "each its own, on errors as well";
    EXPECT_EQ(send("POST /organization/new", "{", {{"x-request-id", "mine"}}).header("x-request-id"), "mine");
}

TEST(Envelope, MakesRequestIdsThatBeginWithTheTime)
{
    const auto now = [] { return std::stoll(value("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)")); };
    const auto before = now();
    const std::string id = send("GET /health/liveness", "", {}).header("x-request-id");
    const auto after = now();
    EXPECT_THAT(id, testing::MatchesRegex("[0-9a-f]{32}"));
    EXPECT_THAT(std::stoll(id.substr(0, 12), nullptr, 16), testing::AllOf(testing::Ge(before), testing::Le(after)));
}

} // namespace
} // namespace pg_org::test
