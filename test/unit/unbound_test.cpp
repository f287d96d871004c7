// Fields that no argument takes.
#include "unbound.hpp"

#include "vocabulary.hpp"

#include <gtest/gtest.h>

using namespace pg_org;

namespace {

const Function function{"public.key_update",
                        {{"key", "key", Type::text, true},
                         {"team_id", "team_id", Type::text, false},
                         {"api_key", "api_key", Type::text, false}}};

Unbound of_update(std::string_view json, bool is_strict = false, std::string_view query = {})
{
    Asked asked{*find_route("POST", "/key/update").route, query, "sk-1", {}, "body", {}};
    asked.sent = read_body(json).fields;
    asked.beside = read_query(query);
    asked.is_strict = is_strict;
    return sort_out(asked, function);
}

std::string ignored(std::string_view json) { return listed(of_update(json).ignored); }

std::string refused(std::string_view json, bool is_strict = false, std::string_view query = {})
{
    std::string errors;
    for (const auto &error : of_update(json, is_strict, query).errors)
        errors += error.type + error.location.dump() + error.message + '\n';
    return errors;
}

} // namespace

TEST(Unbound, TellsWhatIsIgnored)
{
    EXPECT_EQ(ignored(R"({"key":"k","team_id":null})"), "");
    EXPECT_EQ(ignored(R"({"max_bugdet":5,"key":"k","colour":null})"), "colour, max_bugdet");
    EXPECT_EQ(ignored(R"({"api_key":"sk-2"})"), "api_key");
    EXPECT_EQ(refused(R"({"max_bugdet":5})"), "");
    EXPECT_EQ(listed(of_update("{}", false, "page=1&key=k").ignored), "key, page");
}

TEST(Unbound, RefusesItIfThatIsPreferred)
{
    EXPECT_EQ(refused(R"({"max_bugdet":5,"key":"k"})", true),
              "value_error[\"body\",\"max_bugdet\"]\"max_bugdet\" is not a field of this request\n");
    EXPECT_EQ(refused("{}", true, "page=1"),
              "value_error[\"query\",\"page\"]\"page\" is not a field of this request\n");
    EXPECT_TRUE(of_update(R"({"max_bugdet":5})", true).ignored.empty());
}

TEST(Unbound, RefusesWhatLiteLLMDocumentsButNobodyHonours)
{
    const std::string refusal = "value_error[\"body\",\"rotation_interval\"]\"rotation_interval\" is not supported\n";
    EXPECT_EQ(refused(R"({"rotation_interval":{"m":1}})"), refusal);
    EXPECT_EQ(refused(R"({"rotation_interval":{"m":1}})", true), refusal);
    for (const auto *value : {"true", "1", "0", "\"x\"", "[1]", "{\"a\":1}"})
        EXPECT_NE(refused(std::string{R"({"auto_rotate":)"} + value + '}'), "") << value;
    EXPECT_EQ(refused(R"({"team_id":"t"})"), "") << "an argument";
}

TEST(Unbound, TakesWhatAsksForNothing)
{
    for (const auto *value : {"null", "false", "\"\"", "[]", "{}", "\"false\""})
        for (const bool is_strict : {false, true}) {
            const auto unbound = of_update(std::string{R"({"auto_rotate":)"} + value + '}', is_strict);
            EXPECT_TRUE(unbound.errors.empty() && unbound.ignored.empty()) << value;
        }
    EXPECT_EQ(ignored(R"({"spend":0.0})"), "spend") << "what has been spent stays";
    EXPECT_NE(refused(R"({"spend":1})"), "");
}

TEST(Unbound, ListsNamesThatAHeaderCanHold)
{
    EXPECT_EQ(listed({"a\r\nSet-Cookie: x", "é,"}), "a%0D%0ASet-Cookie%3A%20x, %C3%A9%2C");
    EXPECT_EQ(listed({std::string(300, 'a')}).size(), 100u);
    const std::vector<std::string> many(1000, std::string(50, 'b'));
    EXPECT_LE(listed(many).size(), 1100u);
    EXPECT_TRUE(listed(many).ends_with(", ..."));
    std::string body = "{";
    for (int i = 0; i < 1000; ++i)
        body += (i > 0 ? ",\"f" : "\"f") + std::to_string(i) + "\":1";
    EXPECT_EQ(of_update(body + '}', true).errors.size(), max_field_errors);
}

TEST(Vocabulary, DiffersFromRouteToRoute)
{
    const auto is_known = [](std::string_view method, std::string_view path, std::string_view field) {
        return is_documented(*find_route(method, path).route, field);
    };
    EXPECT_TRUE(is_known("POST", "/team/new", "soft_budget_alerting_emails"));
    EXPECT_FALSE(is_known("POST", "/key/generate", "soft_budget_alerting_emails"));
    EXPECT_TRUE(is_known("GET", "/key/list", "return_full_object"));
    EXPECT_TRUE(is_known("GET", "/spend/logs/ui", "key_alias"));
    EXPECT_TRUE(is_known("GET", "/audit", "object_team"));
    EXPECT_FALSE(is_known("POST", "/key/generate", "max_bugdet"));
    EXPECT_FALSE(is_known("POST", "/usage/reserve", "tags"));
}
