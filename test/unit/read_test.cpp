// Reading requests.
#include "read.hpp"

#include "url.hpp"

#include <gtest/gtest.h>

#include <map>

using namespace pg_org;

namespace {

using Headers = std::map<std::string, std::string>;

Asked ask(std::string_view method, std::string_view target, std::string_view body = {}, const Headers &headers = {})
{
    const auto header = [&](const std::string &name) {
        const auto found = headers.find(name);
        return found == headers.end() ? std::string{} : found->second;
    };
    std::string_view query = target;
    const Match match = find_route(method, take_until(query, '?'));
    return read(match, query, {"id-1", method, target, body, header});
}

// {"name":value,…}, without the request's id, which is there unless a call has its own.
std::string fields_of(Asked asked)
{
    if (!names_call(asked.route)) {
        EXPECT_EQ(asked.fields.at("request_id").text, "id-1");
        asked.fields.erase("request_id");
    }
    return json_text(asked.fields);
}

std::string errors_of(const Asked &asked)
{
    std::string errors;
    for (const auto &error : asked.errors)
        errors += (errors.empty() ? "" : " ") + error.type + error.location.dump();
    return errors;
}

// The order in which errors are found.
std::string refusal_of(std::string_view body, const Headers &headers)
{
    try {
        return errors_of(ask("POST", "/organization/new", body, headers));
    } catch (const InvalidJson &) {
        return "JSON";
    } catch (const MalformedKey &key) {
        return key.message;
    }
}

} // namespace

TEST(Read, TakesTheFieldsOfABody)
{
    const auto asked = ask("POST", "/organization/new?max_budget=7", R"({"organization_alias":"a","max_budget":1.50})",
                           {{"authorization", "Bearer sk-1"}});
    EXPECT_EQ(asked.route.function, "org_new");
    EXPECT_EQ(asked.api_key, "sk-1");
    EXPECT_EQ(asked.source, "body");
    EXPECT_EQ(fields_of(asked), R"({"max_budget":1.50,"organization_alias":"a"})");
    EXPECT_EQ(errors_of(asked), "");
}

TEST(Read, WantsAnObject)
{
    EXPECT_EQ(errors_of(ask("POST", "/organization/new")), R"(missing["body"])");
    for (const auto *body : {"[]", "1", "\"x\"", "null"})
        EXPECT_EQ(errors_of(ask("DELETE", "/organization/delete", body)), R"(dict_type["body"])") << body;
}

TEST(Read, TakesTheParametersOfAQuery)
{
    const auto asked = ask("GET", "/organization/list?limit=2&after=a%26b&limit=3", "no JSON");
    EXPECT_EQ(asked.query, "limit=2&after=a%26b&limit=3");
    EXPECT_EQ(asked.api_key, "");
    EXPECT_EQ(asked.source, "query");
    EXPECT_EQ(fields_of(asked), R"({"after":"a&b","limit":"3"})");
    EXPECT_EQ(fields_of(ask("HEAD", "/organization/info?organization_id=o")), R"({"organization_id":"o"})");
}

TEST(Read, TakesAPatchAsAWhole)
{
    constexpr auto body = R"({"organization_id":"other","max_budget":null,"metadata":{"a":[1.10]}})";
    const auto asked = ask("PATCH", "/v2/organization/a%2Fb?patch=x&dry=1&organization_id=y", body);
    EXPECT_EQ(asked.source, "query");
    EXPECT_EQ(fields_of(asked), R"({"dry":"1","organization_id":"a/b","patch":)"
                                R"({"max_budget":null,"metadata":{"a":[1.10]},"organization_id":"other"}})");
    EXPECT_EQ(errors_of(asked), "");
    EXPECT_EQ(errors_of(ask("PATCH", "/v2/organization/%ff?x=%00", "[]")),
              R"(dict_type["body"] value_error["path","organization_id"] value_error["query","x"])");
}

TEST(Read, TakesHeadersAsArguments)
{
    const Headers headers{{"Idempotency-Key", "k"}, {"If-Match", "\"tag\""}, {"X-Other", "o"}};
    EXPECT_EQ(fields_of(ask("POST", "/organization/new", R"({"idempotency_key":"sent","request_id":"id-1"})", headers)),
              R"({"idempotency_key":"k","if_match":"\"tag\""})");
    EXPECT_EQ(errors_of(ask("POST", "/organization/new", "{}", {{"Idempotency-Key", "\xff"}, {"If-Match", "\xff"}})),
              R"(value_error["header","Idempotency-Key"] value_error["header","If-Match"])");
}

TEST(Read, GivesARequestsIdToWhatHasNoneOfItsOwn)
{
    EXPECT_EQ(fields_of(ask("POST", "/usage/reserve", R"({"request_id":"call"})")), R"({"request_id":"call"})");
    EXPECT_EQ(fields_of(ask("POST", "/usage/cancel", "{}")), "{}");
    EXPECT_EQ(ask("POST", "/organization/new", R"({"request_id":"sent"})").fields.at("request_id").text, "sent");
    EXPECT_EQ(fields_of(ask("GET", "/spend/logs?request_id=call")), R"({"request_id":"call"})");
    EXPECT_EQ(fields_of(ask("GET", "/spend/logs")), "{}");
}

TEST(Read, TakesTheKeyThatActivityIsOfAsAFilter)
{
    const auto activity = [](const std::string &query) {
        return fields_of(ask("GET", "/organization/daily/activity?" + query));
    };
    EXPECT_EQ(activity("api_key=sk-2&key=x"), R"({"api_key":"sk-2","key":"sk-2"})");
    EXPECT_EQ(activity("key=x"), R"({"key":"x"})");
    EXPECT_EQ(fields_of(ask("GET", "/spend/logs/ui?api_key=sk-2")), R"({"api_key":"sk-2","key":"sk-2"})");
    EXPECT_EQ(fields_of(ask("GET", "/key/info?api_key=sk-2")), R"({"api_key":"sk-2"})");
}

TEST(Read, TakesTheKeyFromThePath)
{
    EXPECT_EQ(fields_of(ask("POST", "/key/sk-2/regenerate", R"({"key":"x"})")), R"({"key":"sk-2"})");
    EXPECT_EQ(fields_of(ask("POST", "/key/sk-2/regenerate")), R"({"key":"sk-2"})");
    EXPECT_TRUE(ask("POST", "/key/sk-2/regenerate").errors.empty());
    EXPECT_EQ(ask("POST", "/key/sk-2/reset_spend").errors.size(), 1U);
}

TEST(Read, TakesWhereEventsGoOn)
{
    EXPECT_EQ(fields_of(ask("GET", "/events")), R"({"after":})");
    EXPECT_EQ(ask("GET", "/events").fields.at("after").kind, Value::Kind::null);
    EXPECT_EQ(fields_of(ask("GET", "/events?after=7")), R"({"after":"7"})");
    EXPECT_EQ(fields_of(ask("GET", "/events?after=7", {}, {{"last-event-id", "8"}})), R"({"after":"8"})");
}

TEST(Read, TakesHowLongToWaitForEvents)
{
    const auto wait = [](const std::string &text) { return ask("GET", "/events?wait=" + text).wait.count(); };
    EXPECT_EQ(ask("GET", "/events").wait.count(), 0);
    EXPECT_EQ(wait("0"), 0);
    EXPECT_EQ(wait("60"), 60);
    EXPECT_EQ(wait("1e1"), 10);
    for (const auto *text : {"61", "-1", "", "x", "1.5", "9223372036854775807", "9223372036854775808", "1e400"})
        EXPECT_EQ(errors_of(ask("GET", "/events?wait=" + std::string{text})), R"(value_error["query","wait"])") << text;
    EXPECT_EQ(errors_of(ask("GET", "/organization/list?wait=x")), "");
}

TEST(Read, StreamsEventsToWhoAcceptsAStream)
{
    const Headers accept{{"accept", "text/event-stream, */*"}};
    EXPECT_TRUE(ask("GET", "/events", {}, accept).is_stream);
    EXPECT_FALSE(ask("HEAD", "/events", {}, accept).is_stream);
    EXPECT_FALSE(ask("GET", "/events", {}, {{"accept", "*/*"}}).is_stream);
    EXPECT_FALSE(ask("GET", "/organization/list", {}, accept).is_stream);
}

TEST(Read, RefusesTextThatCantBeStored)
{
    EXPECT_EQ(errors_of(ask("POST", "/organization/new", R"({"a":"\u0000","b":{"c":"\u0000"},"d":""})")),
              R"(value_error["body","a"] value_error["body","b"])");
    EXPECT_EQ(errors_of(ask("GET", "/organization/list?a=%00&b=%ff&c=%C3%A9")),
              R"(value_error["query","a"] value_error["query","b"])");
}

TEST(Read, RefusesMalformedJsonThenTheKeyThenTheFields)
{
    const Headers bad_key{{"authorization", "Basic sk-1"}};
    const auto malformed_key = "Authentication Error, Malformed API Key passed in. Ensure Key has `Bearer ` prefix.";
    EXPECT_EQ(refusal_of("{", bad_key), "JSON");
    EXPECT_EQ(refusal_of(R"({"a":"\u0000"})", bad_key), malformed_key);
    EXPECT_EQ(refusal_of("[]", bad_key), malformed_key);
    EXPECT_EQ(refusal_of(R"({"a":"\u0000"})", {}), R"(value_error["body","a"])");
    EXPECT_EQ(refusal_of("{}", {{"authorization", "Bearer \xff"}}),
              "Authentication Error, Invalid proxy server token passed.");
}

TEST(Read, KnowsWhatOnlyTheFunctionGivesAMeaning)
{
    const auto sent = [](const Asked &asked) { return json_text(asked.sent) + json_text(asked.beside); };
    EXPECT_EQ(sent(ask("POST", "/organization/new?x=1", R"({"a":1})", {{"If-Match", "t"}})), R"({"a":1}{"x":"1"})");
    EXPECT_EQ(sent(ask("GET", "/organization/list?x=1")), R"({"x":"1"}{})");
    EXPECT_EQ(sent(ask("GET", "/events?wait=0&x=1")), R"({"x":"1"}{})");
    EXPECT_EQ(sent(ask("GET", "/organization/daily/activity?api_key=k&x=1")), R"({"x":"1"}{})");
    EXPECT_EQ(sent(ask("PATCH", "/v2/organization/a?cascade=true", R"({"a":1})")),
              R"({"cascade":"true","organization_id":"a"}{})");
}

TEST(Read, KnowsWhetherUnknownFieldsAreToBeRefused)
{
    const auto strict = [](const std::string &prefer) {
        return ask("GET", "/organization/list", {}, {{"prefer", prefer}}).is_strict;
    };
    for (const auto *prefer : {"handling=strict", "Handling = \"Strict\"", "respond-async, handling=strict;a=b"})
        EXPECT_TRUE(strict(prefer)) << prefer;
    for (const auto *prefer : {"", "handling=lenient", "strict", "handling", "xhandling=strict", "handling=strict2"})
        EXPECT_FALSE(strict(prefer)) << prefer;
}
