// Replies to errors, and details that they never show.
#include "reply.hpp"

#include <gtest/gtest.h>

using namespace pg_org;
using nlohmann::json;

namespace {

constexpr Route body_route{"POST", "/x", "f", Kind::change};
constexpr Route query_route{"GET", "/x", "f", Kind::look};
constexpr Route patch_route{"PATCH", "/x/{id}", "f", Kind::patch};
constexpr Route error_route{"POST", "/x", "f", Kind::change, Envelope::error};

Request request_with(std::string_view body, std::string_view target = "/x")
{
    return {"id", "POST", target, body, [](const std::string &) { return std::string{}; }};
}

DatabaseError rule_error(std::string_view sqlstate, std::string_view message)
{
    return {std::string{sqlstate}, std::string{message}, false, "full text"};
}

DatabaseError internal_error(std::string_view sqlstate)
{
    return {std::string{sqlstate}, "secret internals", true, "full text"};
}

Reply said(const DatabaseError &error, const Route &route = body_route, std::string_view body = "{}")
{
    return translate({error}, route, request_with(body));
}

std::string header(const Reply &reply, std::string_view name)
{
    for (const auto &[key, value] : reply.headers)
        if (key == name)
            return value;
    return {};
}

} // namespace

TEST(DatabaseErrors, AreParsed)
{
    const auto error = DatabaseError::parse(
        "ERROR:  22023: \"a\" must be b: c\nDETAIL:  secret\nHINT:  h\nCONTEXT:  c\nSCHEMA NAME:  pg_org\n"
        "COLUMN NAME:  a\nLOCATION:  raise, fail.cpp:17\n");
    EXPECT_EQ(error.sqlstate, "22023");
    EXPECT_EQ(error.message, "\"a\" must be b: c");
    EXPECT_EQ(error.argument, "a");
    EXPECT_EQ(error.hint, "h");
    EXPECT_FALSE(error.internal);
    EXPECT_NE(std::string{error.what()}.find("secret"), std::string::npos);
}

TEST(DatabaseErrors, OfPostgresItselfAreInternal)
{
    for (const std::string fields :
         {"LOCATION:  aclcheck_error, aclchk.c:2925\n", "LOCATION:  raise, fail.cpp:17\n",
          "SCHEMA NAME:  org\nTABLE NAME:  t\nCOLUMN NAME:  c\nCONSTRAINT NAME:  k\nLOCATION:  f, f.c:1\n",
          "SCHEMA NAME:  pg_org2\nLOCATION:  f, f.c:1\n", "CONSTRAINT NAME:  pg_org\nLOCATION:  f, f.c:1\n"}) {
        const auto error = DatabaseError::parse("ERROR:  42501: permission denied\n" + fields);
        EXPECT_EQ(error.sqlstate, "42501");
        EXPECT_TRUE(error.internal) << fields;
        EXPECT_EQ(error.argument, "") << fields;
    }
    EXPECT_EQ(DatabaseError::parse("ERROR:  42501: m\nHINT:  h\nLOCATION:  f, f.c:1\n").hint, "");
}

TEST(DatabaseErrors, AreMarkedByThemselvesAlone)
{
    // Text that a client sent is in the message, the details or the context.
    for (const std::string words :
         {"\"\nSCHEMA NAME:  pg_org\n\"\n", "\"\nSCHEMA NAME:  pg_org\nLOCATION:  raise, fail.cpp:1\n\"\n",
          "m\nDETAIL:  \"\nSCHEMA NAME:  pg_org\nCOLUMN NAME:  a\n\"\n",
          "m\nCONTEXT:  \"\nSCHEMA NAME:  pg_org\" is not\n", "m\nSCHEMA NAME:  pg_org\nSCHEMA NAME:  org\n",
          "m\nSCHEMA NAME:  pg_org\n\n",
          "m\nCOLUMN NAME:  a\nSCHEMA NAME:  pg_org\nSCHEMA NAME:  org\nTABLE NAME:  t\n"})
        EXPECT_TRUE(DatabaseError::parse("ERROR:  22P02: " + words + "LOCATION:  g, b.c:2\n").internal) << words;
    const auto rule = DatabaseError::parse(
        "ERROR:  P0002: no x\nCOLUMN NAME:  key\nSCHEMA NAME:  pg_org\nLOCATION:  raise, fail.cpp:17\n");
    EXPECT_FALSE(rule.internal);
    EXPECT_EQ(rule.argument, "") << "the column is none of the error's fields";
}

TEST(DatabaseErrors, MayHaveNoSqlstate)
{
    for (const auto *text :
         {"", "\n", "oops", "ERROR:", "ERROR:  ", "ERROR:  123", "ERROR:  no such: thing", "a:  12345:"}) {
        const auto error = DatabaseError::parse(text);
        EXPECT_EQ(error.sqlstate, "") << text;
        EXPECT_TRUE(error.internal);
    }
    EXPECT_EQ(DatabaseError::parse("FEHLER:  P0002: fehlt").sqlstate, "P0002");
}

TEST(Translation, OfWhatRulesSay)
{
    const std::vector<std::pair<std::string, int>> expected{{"42501", 401}, {"P0002", 404}, {"23505", 409},
                                                            {"23503", 400}, {"55000", 400}, {"0L000", 400},
                                                            {"P0001", 400}, {"53400", 429}, {"53RAT", 429}};
    for (const auto &[sqlstate, status] : expected) {
        const auto reply = said(rule_error(sqlstate, "the words"));
        EXPECT_EQ(reply.status, status) << sqlstate;
        EXPECT_EQ(reply.body, R"({"detail":{"error":"the words"}})") << sqlstate;
    }
}

TEST(Translation, ShowsTheHintsOfRulesInEachEnvelope)
{
    const auto hinted = [](std::string_view sqlstate, std::string_view message, const Route &route) {
        auto error = rule_error(sqlstate, message);
        error.hint = "Do \"this\".";
        return said(error, route).body;
    };
    EXPECT_EQ(hinted("55000", "m", body_route), R"({"detail":{"error":"m","hint":"Do \"this\"."}})");
    EXPECT_EQ(hinted("55000", "m", error_route),
              R"({"error":{"message":"m","type":"bad_request_error","param":"None","code":"400",)"
              R"("hint":"Do \"this\"."}})");
    EXPECT_EQ(hinted("22023", "\"a\" is bad", body_route),
              R"({"detail":[{"type":"value_error","loc":["body","a"],"msg":"\"a\" is bad","input":null,)"
              R"("hint":"Do \"this\"."}]})");
    EXPECT_EQ(hinted("40001", "m", error_route).find("hint"), std::string::npos) << "its words are not the rule's";
    EXPECT_EQ(hinted("28000", "m", body_route).find("hint"), std::string::npos) << "it is about SQL's api_key";
    auto internal = internal_error("23505");
    internal.hint = "secret";
    EXPECT_EQ(said(internal).body.find("secret"), std::string::npos);
}

TEST(Translation, NamesTheHeaderThatAnArgumentCameFrom)
{
    const auto with = [](const DatabaseError &error, std::string_view sent) {
        auto request = request_with("{}");
        request.header = [=](const std::string &name) { return name == sent ? std::string{"v"} : std::string{}; };
        return json::parse(translate({error}, body_route, request).body)["detail"];
    };
    auto reused = rule_error("22023", "\"idempotency_key\" was used for another request");
    reused.argument = "idempotency_key";
    EXPECT_EQ(with(reused, "Idempotency-Key")[0]["loc"], json({"header", "Idempotency-Key"}));
    EXPECT_EQ(with(reused, "Idempotency-Key")[0]["msg"], "\"Idempotency-Key\" was used for another request");
    EXPECT_EQ(with(reused, "If-Match")[0]["loc"], json({"body", "idempotency_key"}));
    auto stale = rule_error("55ETG", "Changed since: if_match is");
    stale.argument = "if_match";
    EXPECT_EQ(with(stale, "If-Match")["error"], "Changed since: If-Match is");
    EXPECT_EQ(with(stale, "")["error"], "Changed since: if_match is");
    EXPECT_EQ(with(rule_error("P0002", "no if_match"), "If-Match")["error"], "no if_match");
}

TEST(Translation, OfTrouble)
{
    const std::vector<std::pair<std::string, int>> expected{
        {"57014", 504}, {"08006", 503}, {"08001", 503}, {"57P01", 503}, {"57P03", 503}, {"53300", 503}, {"55P03", 503},
        {"40001", 503}, {"40P01", 503}, {"08007", 503}, {"53100", 503}, {"58030", 503}, {"25006", 503}, {"3F000", 503},
        {"42883", 503}, {"XX000", 500}, {"", 500},      {"23514", 500}, {"26000", 500}};
    for (const auto &[sqlstate, status] : expected)
        for (const auto &error : {internal_error(sqlstate), rule_error(sqlstate, "secret internals")}) {
            const auto reply = said(error);
            EXPECT_EQ(reply.status, status) << sqlstate;
            EXPECT_EQ(header(reply, "Retry-After").empty(), status != 503) << sqlstate;
            EXPECT_EQ(is_transient(error), status != 500) << sqlstate;
            EXPECT_EQ(reply.body.find("secret"), std::string::npos) << sqlstate;
        }
    EXPECT_EQ(said(internal_error("XX000")).body, R"({"detail":{"error":"Internal Server Error"}})");
}

TEST(Translation, OfWhatMayHaveBeenDone)
{
    constexpr Route usage_route{"POST", "/x", "f", Kind::call, Envelope::error};
    const auto error = internal_error("08007");
    for (const auto &route : {body_route, patch_route, error_route, usage_route}) {
        const auto reply = said(error, route);
        EXPECT_NE(reply.body.find("may or may not have been done"), std::string::npos);
        EXPECT_EQ(reply.body.find("same Idempotency-Key") == std::string::npos, names_call(route));
    }
    EXPECT_EQ(said(error, query_route).body, R"({"detail":{"error":"The database is unavailable"}})");
}

TEST(Translation, NeverShowsPostgresOwnWords)
{
    const std::vector<std::pair<std::string, int>> expected{
        {"42501", 503}, {"28000", 500}, {"P0002", 500}, {"55000", 500}, {"23505", 409}, {"23503", 400},
        {"22023", 422}, {"22004", 422}, {"22003", 422}, {"22P02", 422}, {"22P05", 422}};
    for (const auto &[sqlstate, status] : expected) {
        const auto reply = said(internal_error(sqlstate));
        EXPECT_EQ(reply.status, status) << sqlstate;
        EXPECT_EQ(reply.body.find("secret"), std::string::npos) << sqlstate;
        if (status == 422) {
            EXPECT_EQ(json::parse(reply.body)["detail"][0]["loc"], json({"body"}));
        }
    }
}

TEST(Translation, OfKeysIsAlwaysInTheErrorEnvelope)
{
    const auto refused = said(rule_error("28000", "Authentication Error, no"));
    EXPECT_EQ(refused.status, 401);
    EXPECT_EQ(refused.body,
              R"({"error":{"message":"Authentication Error, no","type":"auth_error","param":"None","code":"401"}})");
    const auto expired = said(rule_error("28EXP", "Authentication Error - Expired Key."), error_route);
    EXPECT_EQ(expired.status, 400);
    EXPECT_EQ(json::parse(expired.body)["error"]["type"], "expired_key");
    EXPECT_EQ(json::parse(expired.body)["error"]["code"], "400");
}

TEST(Translation, OfRoutesWithTheErrorEnvelope)
{
    const std::vector<std::pair<std::string, std::string>> expected{
        {"42501", "auth_error"},        {"P0002", "not_found_error"},         {"23505", "bad_request_error"},
        {"23503", "bad_request_error"}, {"53400", "budget_exceeded"},         {"53RAT", "rate_limit_exceeded"},
        {"28000", "auth_error"},        {"28MOD", "key_model_access_denied"}, {"XX000", "internal_server_error"}};
    for (const auto &[sqlstate, type] : expected)
        EXPECT_EQ(json::parse(said(rule_error(sqlstate, "m"), error_route).body)["error"]["type"], type);
    EXPECT_EQ(header(said(internal_error("57P01"), error_route), "Retry-After"), "1");
    EXPECT_TRUE(json::parse(said(rule_error("22023", "\"a\" is bad"), error_route).body)["detail"].is_array());
}

TEST(Translation, FindsTheFieldAndItsValue)
{
    const auto entry = [](const DatabaseError &error, const Route &route, std::string_view body) {
        return json::parse(said(error, route, body).body)["detail"][0];
    };
    const auto nested =
        entry(rule_error("22023", "\"member.1.role\" must be good"), body_route, R"({"member":[{},{"role":"bad"}]})");
    EXPECT_EQ(nested, json::parse(R"({"type":"value_error","loc":["body","member",1,"role"],
                                      "msg":"\"member.1.role\" must be good","input":"bad"})"));
    EXPECT_EQ(entry(rule_error("22004", "\"a\" is required"), body_route, R"({"a":5})"),
              json::parse(R"({"type":"missing","loc":["body","a"],"msg":"\"a\" is required","input":null})"));
    EXPECT_EQ(entry(rule_error("22023", "no field here"), body_route, "{}")["loc"], json({"body"}));
    EXPECT_EQ(entry(rule_error("22023", "\"unclosed"), body_route, "{}")["loc"], json({"body"}));
    EXPECT_EQ(entry(rule_error("22023", "\"models\" is bad"), patch_route, R"({"models":1})")["input"], 1);
    const auto query = json::parse(
        translate({rule_error("22023", "\"limit\" is bad")}, query_route, request_with("", "/x?limit=1&limit=0")).body);
    EXPECT_EQ(query["detail"][0]["loc"], json({"query", "limit"}));
    EXPECT_EQ(query["detail"][0]["input"], "0");
}

TEST(Refusals, AreToldFromResults)
{
    EXPECT_TRUE(is_refusal(R"({"error":{"sqlstate":"53400"}})"));
    for (const auto *result : {R"({"reservation_id":"error"})", "{}", "null", ""})
        EXPECT_FALSE(is_refusal(result)) << result;
}

TEST(Refusals, SayWhatIsHeld)
{
    EXPECT_EQ(held_by(R"({"error":{"held":"organization:a \"b\"","sqlstate":"55P03","message":"m","limit":null}})"),
              "organization:a \"b\"");
    EXPECT_EQ(said(read_refusal(R"({"error":{"held":"user:u","sqlstate":"55P03","message":"m"}})").error).status, 503);
    for (const auto *result : {R"({"error":{"sqlstate":"53400","held":"x"}})", R"({"held":"x"})", "null", ""})
        EXPECT_EQ(held_by(result), std::nullopt) << result;
}

TEST(Refusals, SayWhichLimitToTheLastDigit)
{
    const auto refusal = read_refusal(
        R"({"error":{"sqlstate":"53400","message":"Budget has been \"exceeded\"!","param":"max_budget",)"
        R"("hint":"Wait.","retry_after":17,"limit":{"owner":"team","model":null,"value":0.1000000000000000000001,"frees_at":"t"}}})");
    const auto reply = translate(refusal, error_route, request_with("{}"));
    EXPECT_EQ(reply.status, 429);
    EXPECT_EQ(reply.body,
              R"({"error":{"message":"Budget has been \"exceeded\"!","type":"budget_exceeded","param":"max_budget",)"
              R"("code":"429","hint":"Wait.",)"
              R"("limit":{"owner":"team","model":null,"value":0.1000000000000000000001,"frees_at":"t"}}})");
    EXPECT_EQ(header(reply, "Retry-After"), "17");
}

TEST(Refusals, AreJsonWhateverTheLimitIs)
{
    const auto refusal = read_refusal(R"({"error":{"sqlstate":"53400","message":"m","limit":"max_budget"}})");
    EXPECT_EQ(translate(refusal, error_route, request_with("{}")).body,
              R"({"error":{"message":"m","type":"budget_exceeded","param":"None","code":"429","limit":"max_budget"}})");
}

TEST(Refusals, NeedNotBeOfALimit)
{
    const auto said = [](std::string_view error) {
        const auto element = R"({"error":)" + std::string{error} + "}";
        return translate(read_refusal(element), error_route, request_with(R"({"cost":-1})"));
    };
    const auto unknown = said(R"({"sqlstate":"P0002","message":"m","param":null,"retry_after":null,"limit":null})");
    EXPECT_EQ(unknown.status, 404);
    EXPECT_EQ(unknown.body, R"({"error":{"message":"m","type":"not_found_error","param":"None","code":"404"}})");
    EXPECT_EQ(header(unknown, "Retry-After"), "");
    EXPECT_EQ(said(R"({"sqlstate":"28MOD","message":"m","param":"model"})").body,
              R"({"error":{"message":"m","type":"key_model_access_denied","param":"model","code":"401"}})");
    const auto field = said(R"({"sqlstate":"22023","message":"\"cost\" must be zero or more","param":"cost"})");
    EXPECT_EQ(field.body, R"({"detail":[{"type":"value_error","loc":["body","cost"],)"
                          R"("msg":"\"cost\" must be zero or more","input":-1}]})");
    EXPECT_EQ(said(R"({"sqlstate":"XX000","message":"secret internals"})").body.find("secret"), std::string::npos);
    EXPECT_EQ(header(said(R"({"sqlstate":"40001","message":"m"})"), "Retry-After"), "1");
}

TEST(Refusals, ThatCannotBeReadAreNotTheClientsFault)
{
    EXPECT_THROW(read_refusal(R"({"error":{"limit":1e400}})"), std::runtime_error);
    EXPECT_THROW(read_refusal(R"({"error":)"), std::runtime_error);
}

TEST(FieldErrors, EchoNeitherSecretsNorWhatIsLong)
{
    const auto input = [](const nlohmann::ordered_json &location, std::string_view body) {
        const auto reply = refuse_fields({{"string_type", location, "m"}}, request_with(body));
        return json::parse(reply.body)["detail"][0]["input"];
    };
    EXPECT_EQ(input({"body", "a"}, R"({"a":{"b":[1]}})"), json::parse(R"({"b":[1]})"));
    EXPECT_EQ(input({"body", "a", 1}, R"({"a":["x",7]})"), 7);
    for (const auto *name : {"key", "api_key", "password"}) {
        const auto field = "\"" + std::string{name} + "\":";
        EXPECT_TRUE(input({"body", name}, "{" + field + "5}").is_null());
        EXPECT_TRUE(input({"body", name, 0}, "{" + field + "[5]}").is_null());
        EXPECT_TRUE(input({"body", "a"}, "{\"a\":[{\"b\":{" + field + "5}}]}").is_null());
    }
    EXPECT_TRUE(input({"body", "a", 3}, R"({"a":["x"]})").is_null());
    const auto quoted = [](std::size_t size) { return '"' + std::string(size - 2, 'x') + '"'; };
    EXPECT_FALSE(input({"body", "a"}, "{\"a\":" + quoted(1000) + "}").is_null());
    EXPECT_TRUE(input({"body", "a"}, "{\"a\":" + quoted(1001) + "}").is_null()) << "what is long is not sent back";
    EXPECT_TRUE(input({"body", "b"}, R"({"a":1})").is_null());
    EXPECT_TRUE(input(nlohmann::ordered_json::array({"body"}), R"(["sk-1"])").is_null());
}

TEST(FieldErrors, OfBrokenJsonNeverWalkTheBody)
{
    const std::string body(1 << 20, '[');
    const auto reply = refuse_fields({{"json_invalid", {"body", 7}, "JSON decode error"}}, request_with(body));
    EXPECT_EQ(reply.status, 422);
    EXPECT_EQ(reply.body,
              R"({"detail":[{"type":"json_invalid","loc":["body",7],"msg":"JSON decode error","input":{}}]})");
}

TEST(FieldErrors, AreNotListedWithoutEnd)
{
    const std::vector<FieldError> errors(200'000, {"string_type", {"body", "a"}, "m"});
    const auto reply = refuse_fields(errors, request_with(R"({"a":1})"));
    EXPECT_EQ(json::parse(reply.body)["detail"].size(), max_field_errors);
}

TEST(Paths, ThatAreWrong)
{
    EXPECT_EQ(refuse_path("").status, 404);
    EXPECT_EQ(refuse_path("").body, R"({"detail":"Not Found"})");
    EXPECT_EQ(refuse_path("GET, HEAD").status, 405);
    EXPECT_EQ(refuse_path("GET, HEAD").body, R"({"detail":"Method Not Allowed"})");
    EXPECT_EQ(header(refuse_path("GET, HEAD"), "Allow"), "GET, HEAD");
}
