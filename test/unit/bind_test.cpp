// Fields to arguments.
#include "bind.hpp"

#include <gtest/gtest.h>

#include <optional>

using namespace pg_org;

namespace {

const Function every_type{"public.f",
                          {{"name", "name", Type::text, true},
                           {"list", "list", Type::text_array, false},
                           {"money", "money", Type::numeric, false},
                           {"limit", "\"limit\"", Type::bigint, false},
                           {"flag", "flag", Type::boolean, false},
                           {"object", "object", Type::jsonb, false},
                           {"any", "any", Type::json, false},
                           {"api_key", "api_key", Type::text, false}}};

struct Bound {
    Statement statement;
    std::vector<FieldError> errors;
};

Bound bound(std::string_view json)
{
    Bound result;
    result.statement = bind_arguments(every_type, read_body(json).fields, "sk-1", "body", result.errors);
    return result;
}

// The value that a single field gets, or the type of its error.
std::string value_of(const std::string &field, const std::string &json)
{
    const auto result = bound("{\"" + field + "\":" + json + "}");
    if (!result.errors.empty())
        return "!" + result.errors.at(0).type;
    return result.statement.values.at(field == "name" ? 0 : 1).value_or("NULL");
}

std::string value_of_text(const std::string &field, const std::string &text)
{
    return value_of(field, json_text(Value{Value::Kind::string, text, {}}));
}

} // namespace

TEST(Binding, BindsByNameWithCasts)
{
    const auto result =
        bound(R"({"limit":5,"name":"n","list":["a"],"money":1.50,"flag":true,"object":{"k":1},"any":[1],)"
              R"("unknown":7,"api_key":"x"})");
    EXPECT_EQ(result.statement.sql,
              "SELECT public.f(name => $1::text, list => $2::text[], money => $3::numeric, \"limit\" => $4::bigint, "
              "flag => $5::boolean, object => $6::jsonb, any => $7::json, api_key => $8::text)");
    const std::vector<std::optional<std::string>> expected{"n",    "{\"a\"}",   "1.50", "5",
                                                           "true", "{\"k\":1}", "[1]",  "sk-1"};
    EXPECT_EQ(result.statement.values, expected);
    EXPECT_TRUE(result.errors.empty());
}

TEST(Binding, LeavesOutAbsentFieldsButRequiredOnes)
{
    const auto result = bound("{}");
    EXPECT_EQ(result.statement.sql, "SELECT public.f(name => $1::text, api_key => $2::text)");
    EXPECT_EQ(result.statement.values.at(0), std::nullopt);
    EXPECT_EQ(result.statement.values.at(1), "sk-1");
}

TEST(Binding, PassesNullOn)
{
    const auto result = bound(R"({"list":null,"money":null,"object":null,"any":null})");
    EXPECT_EQ(result.statement.values.size(), 6u);
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(result.statement.values[i], std::nullopt);
    EXPECT_TRUE(result.errors.empty());
}

TEST(Binding, Text)
{
    EXPECT_EQ(value_of("name", R"("a'b\"c")"), "a'b\"c");
    EXPECT_EQ(value_of("name", R"("")"), "");
    for (const auto *json : {"1", "true", "[]", "{}"})
        EXPECT_EQ(value_of("name", json), "!string_type");
}

TEST(Binding, Lists)
{
    EXPECT_EQ(value_of("list", "[]"), "{}");
    EXPECT_EQ(value_of("list", R"(["a","b"])"), R"({"a","b"})");
    for (const auto *json : {"1", "true", "{}", "\"a\""})
        EXPECT_EQ(value_of("list", json), "!list_type");
    const auto result = bound(R"({"list":["a",1,null]})");
    ASSERT_EQ(result.errors.size(), 2u);
    EXPECT_EQ(result.errors[0].type, "string_type");
    EXPECT_EQ(result.errors[0].location.dump(), R"(["body","list",1])");
    EXPECT_EQ(result.errors[1].location.dump(), R"(["body","list",2])");
}

TEST(Binding, ArrayLiteralsKeepEveryString)
{
    const std::vector<Value> strings{{Value::Kind::string, "NULL", {}},
                                     {Value::Kind::string, "", {}},
                                     {Value::Kind::string, "a\"b\\c", {}},
                                     {Value::Kind::string, "{,} \n", {}}};
    EXPECT_EQ(array_literal(strings), "{\"NULL\",\"\",\"a\\\"b\\\\c\",\"{,} \n\"}");
    EXPECT_EQ(array_literal({}), "{}");
}

TEST(Binding, Numbers)
{
    EXPECT_EQ(value_of("money", "0.1000000000000000055511151231257827"), "0.1000000000000000055511151231257827");
    EXPECT_EQ(value_of("money", "123456789012345678901234567890"), "123456789012345678901234567890");
    EXPECT_EQ(value_of("money", "-1e3"), "-1e3");
    for (const auto *text : {"10", "1.5", "-0.5", ".5", "5.", "1e3", "NaN", "Infinity", "-inf", "1e400"})
        EXPECT_EQ(value_of_text("money", text), text);
    EXPECT_EQ(value_of_text("money", " +10 "), "10");
    for (const auto *text :
         {"", " ", "x", "1x", "1,5", "0x10", "+-1", "1 2", "--1", "1e", "$5", "1'; --", "-nan", "nan(1)"})
        EXPECT_EQ(value_of_text("money", text), "!float_parsing") << text;
    for (const auto *json : {"true", "[]", "{}"})
        EXPECT_EQ(value_of("money", json), "!float_parsing");
}

TEST(Binding, WritesWhatIsNoTextWithoutFailing)
{
    std::vector<FieldError> errors;
    const auto fields = read_query("any=%ff");
    EXPECT_FALSE(fields.at("any").storable);
    EXPECT_EQ(bind_arguments(every_type, fields, "sk-1", "query", errors).values.at(1), "\"\uFFFD\"");
}

TEST(Binding, Integers)
{
    EXPECT_EQ(value_of("limit", "9223372036854775807"), "9223372036854775807");
    EXPECT_EQ(value_of("limit", "-9223372036854775808"), "-9223372036854775808");
    EXPECT_EQ(value_of("limit", "10.0"), "10");
    EXPECT_EQ(value_of("limit", "9007199254740993.0"), "9007199254740993");
    EXPECT_EQ(value_of("limit", "1e3"), "1000");
    EXPECT_EQ(value_of("limit", "1.5e1"), "15");
    EXPECT_EQ(value_of_text("limit", " +7 "), "7");
    EXPECT_EQ(value_of_text("limit", "7.00"), "7");
    for (const auto *json : {"1.5", "9007199254740993.5", "1e-1", "-0.1"})
        EXPECT_EQ(value_of("limit", json), "!int_from_float") << json;
    for (const auto *json : {"9223372036854775808", "-9223372036854775809", "1e30", "18446744073709551615", "1e19"})
        EXPECT_EQ(value_of("limit", json), "!int_parsing") << json;
    for (const auto *text : {"", "x", "1.5", "NaN", "Infinity", "1e400", "0x10", "9223372036854775808"})
        EXPECT_EQ(value_of_text("limit", text), "!int_parsing") << text;
    for (const auto *json : {"true", "[]", "{}"})
        EXPECT_EQ(value_of("limit", json), "!int_parsing");
}

TEST(Binding, Booleans)
{
    EXPECT_EQ(value_of("flag", "true"), "true");
    EXPECT_EQ(value_of("flag", "0"), "false");
    for (const auto *text : {"True", "yes", "ON", "1", "t", "y"})
        EXPECT_EQ(value_of_text("flag", text), "true");
    for (const auto *text : {"False", "no", "off", "0", "f", "N"})
        EXPECT_EQ(value_of_text("flag", text), "false");
    for (const auto *json : {"2", "0.5", "\"maybe\"", "\"\""})
        EXPECT_EQ(value_of("flag", json), "!bool_parsing") << json;
    for (const auto *json : {"[]", "{}"})
        EXPECT_EQ(value_of("flag", json), "!bool_parsing");
}

TEST(Binding, Json)
{
    EXPECT_EQ(value_of("object", R"({"a":[1.10]})"), R"({"a":[1.10]})");
    for (const auto *json : {"1", "[]", "\"{}\"", "true"})
        EXPECT_EQ(value_of("object", json), "!dict_type");
    EXPECT_EQ(value_of("any", R"([{"a":1}])"), R"([{"a":1}])");
    EXPECT_EQ(value_of("any", R"("x\"")"), R"("x\"")");
    EXPECT_EQ(value_of("any", "1.10"), "1.10");
}

TEST(Binding, ObjectsHoldArgumentsButTheCallersKey)
{
    std::vector<FieldError> errors;
    const auto object = [&](std::string_view json) {
        return bind_object(every_type, read_body(json).fields, "body", errors);
    };
    EXPECT_EQ(object(R"({"any":[1.10],"api_key":"x","flag":"yes","limit":1e3,"list":["a\"","b"],"money":1.50,)"
                     R"("name":"n\"\u0001é","object":{"k":1},"unknown":7})"),
              R"({"name":"n\"\u0001é","list":["a\"","b"],"money":"1.50","limit":"1000","flag":true,)"
              R"("object":{"k":1},"any":[1.10]})");
    EXPECT_EQ(object(R"({"money":"1e999999","name":null})"), R"({"money":"1e999999"})");
    EXPECT_EQ(object("{}"), "{}");
    EXPECT_TRUE(errors.empty());
    object(R"({"name":1,"list":["a",2],"money":"x","limit":1.5,"flag":3,"object":[]})");
    EXPECT_EQ(errors.size(), 6u);
}

TEST(Binding, CollectsEveryError)
{
    const auto result = bound(R"({"name":1,"list":2,"money":"x","limit":1.5})");
    ASSERT_EQ(result.errors.size(), 4u);
    EXPECT_EQ(result.errors[0].location.dump(), R"(["body","name"])");
    EXPECT_EQ(result.errors[2].message, "Input should be a valid number, unable to parse string as a number");
    EXPECT_EQ(result.errors[3].location.dump(), R"(["body","limit"])");
}

TEST(Binding, KnowsTypesByName)
{
    EXPECT_EQ(type_named("text[]"), Type::text_array);
    EXPECT_EQ(type_named("bigint"), Type::bigint);
    EXPECT_EQ(type_named("name"), std::nullopt);
}

namespace {

const Functions functions{{"org_new",
                           {"public.org_new",
                            {{"organization_alias", "organization_alias", Type::text, true},
                             {"max_budget", "max_budget", Type::numeric, false},
                             {"api_key", "api_key", Type::text, false}}}},
                          {"org_list",
                           {"public.org_list",
                            {{"limit", "\"limit\"", Type::bigint, false},
                             {"after", "after", Type::text, false},
                             {"api_key", "api_key", Type::text, false}}}},
                          {"key_health", {"public.key_health", {{"api_key", "api_key", Type::text, false}}}},
                          {"org_events",
                           {"public.org_events",
                            {{"limit", "\"limit\"", Type::bigint, false},
                             {"organization_id", "organization_id", Type::text, false},
                             {"after", "after", Type::bigint, false},
                             {"api_key", "api_key", Type::text, false}}}},
                          {"org_etag", {"public.org_etag", {{"thing", "thing", Type::json, true}}}},
                          {"usage_reserve",
                           {"public.usage_reserve",
                            {{"model", "model", Type::text, true},
                             {"cost", "cost", Type::numeric, false},
                             {"api_key", "api_key", Type::text, false}}}},
                          {"usage_reserve_many", {"public.usage_reserve_many", {}}}};

Asked asked(std::string_view method, std::string_view path, std::string_view json)
{
    const Route &route = *find_route(method, path).route;
    return {route, {}, "sk-1", read_body(json).fields, reads_query(route) ? "query" : "body", {}};
}

auto call_of(const Asked &asked) { return pg_org::bind(asked, functions); }

using Values = std::vector<std::optional<std::string>>;

} // namespace

TEST(BindingRequests, CallsTheRoutesFunction)
{
    const auto call = call_of(asked("GET", "/organization/list", R"({"limit":"2","wait":"x"})"));
    EXPECT_EQ(call.statement.sql, "SELECT public.org_list(\"limit\" => $1::bigint, api_key => $2::text)");
    EXPECT_EQ(call.statement.values, (Values{"2", "sk-1"}));
    EXPECT_TRUE(call.errors.empty());
    EXPECT_EQ(call.many, nullptr);
}

TEST(BindingRequests, AsksForTheTagOfAThing)
{
    const auto call = call_of(asked("POST", "/organization/new", "{}"));
    EXPECT_EQ(call.statement.sql,
              "SELECT reply, public.org_etag(reply) FROM (SELECT public.org_new(organization_alias => $1::text, "
              "api_key => $2::text) AS reply OFFSET 0) AS called");
    EXPECT_EQ(call.statement.values, (Values{std::nullopt, "sk-1"}));
}

TEST(BindingRequests, ChecksTheKeyAloneIfThereAreErrors)
{
    const auto check = [](const Asked &asked, std::size_t errors) {
        const auto call = call_of(asked);
        EXPECT_EQ(call.statement.sql, "SELECT public.key_health(api_key => $1::text)");
        EXPECT_EQ(call.statement.values, (Values{"sk-1"}));
        EXPECT_EQ(call.errors.size(), errors);
        EXPECT_EQ(call.many, nullptr);
    };
    check(asked("POST", "/organization/new", R"({"organization_alias":1,"max_budget":"x"})"), 2);
    check(asked("POST", "/usage/reserve", R"({"cost":"x"})"), 1);
    auto read_badly = asked("POST", "/organization/new", R"({"max_budget":"x"})");
    read_badly.errors.push_back({"value_error", {"body", "organization_alias"}, "m"});
    check(read_badly, 2);
    EXPECT_EQ(call_of(read_badly).errors.at(0).message, "m");
}

TEST(BindingRequests, ClearWhatIsNull)
{
    const Functions updates{{"org_update",
                             {"public.org_update",
                              {{"organization_id", "organization_id", Type::text, true},
                               {"organization_alias", "organization_alias", Type::text, false},
                               {"models", "models", Type::text_array, false},
                               {"metadata", "metadata", Type::jsonb, false},
                               {"blocked", "blocked", Type::boolean, false},
                               {"max_budget", "max_budget", Type::numeric, false},
                               {"rpm_limit", "rpm_limit", Type::bigint, false},
                               {"model_max_budget", "model_max_budget", Type::jsonb, false},
                               {"litellm_budget_table", "litellm_budget_table", Type::jsonb, false},
                               {"clear", "clear", Type::text_array, false},
                               {"api_key", "api_key", Type::text, false}}}},
                            {"org_etag", {"public.org_etag", {{"thing", "thing", Type::json, true}}}},
                            {"key_health", functions.at("key_health")}};
    const auto cleared = [&](std::string_view json) {
        const auto call = pg_org::bind(asked("PATCH", "/organization/update", json), updates);
        if (!call.errors.empty())
            return "!" + call.errors.at(0).type;
        const bool is_passed = call.statement.sql.find("clear => ") != std::string::npos;
        return is_passed ? call.statement.values.at(call.statement.values.size() - 2).value_or("NULL") : "";
    };
    EXPECT_EQ(cleared(R"({"max_budget":1})"), "");
    EXPECT_EQ(cleared(R"({"max_budget":null,"rpm_limit":null})"), R"({"max_budget","rpm_limit"})");
    EXPECT_EQ(cleared(R"({"organization_id":null,"models":null,"metadata":null,"blocked":null,"unknown":null})"), "");
    EXPECT_EQ(cleared(R"({"model_max_budget":null})"), R"({"model_max_budget"})");
    EXPECT_EQ(cleared(R"({"clear":["metadata"],"max_budget":null})"), R"({"metadata","max_budget"})");
    EXPECT_EQ(cleared(R"({"clear":null,"max_budget":null})"), R"({"max_budget"})");
    EXPECT_EQ(cleared(R"({"clear":"max_budget","rpm_limit":null})"), "!list_type");
    EXPECT_EQ(cleared(R"({"litellm_budget_table":{"max_budget":null,"rpm_limit":5}})"), R"({"max_budget"})");
    EXPECT_EQ(cleared(R"({"litellm_budget_table":{"max_budget":null},"max_budget":5})"), "") << "flat wins";
    EXPECT_EQ(cleared(R"({"litellm_budget_table":null})"), "");
}

TEST(BindingRequests, KnowsWhereEventsGoOn)
{
    for (const auto &[json, position] : {std::pair{R"({"after":"7"})", 0u},
                                         {R"({"after":"7","limit":"1"})", 1u},
                                         {R"({"after":"7","limit":"1","organization_id":"o"})", 2u},
                                         {R"({"after":"7","limit":null,"unknown":"x"})", 1u}}) {
        const auto call = call_of(asked("GET", "/events", json));
        EXPECT_EQ(call.after, position);
        EXPECT_EQ(call.statement.values.at(position), "7");
    }
}

TEST(BindingRequests, MakesObjectsForAFunctionThatTakesMany)
{
    const auto call = call_of(asked("POST", "/usage/reserve", R"({"model":"m","cost":1.50,"api_key":"x"})"));
    EXPECT_EQ(call.many, &functions.at("usage_reserve_many"));
    EXPECT_EQ(call.object, R"({"model":"m","cost":"1.50"})");
    const auto many = bind_many(*call.many, {"{\"model\":\"m\"}", "{}"}, true, "sk-1");
    EXPECT_NE(many.sql.find("public.usage_reserve_many(requests => $1::json, wait => $2::boolean, "
                            "api_key => $3::text)"),
              std::string::npos);
    EXPECT_EQ(many.values, (Values{R"([{"model":"m"},{}])", "true", "sk-1"}));
    EXPECT_EQ(bind_many(*call.many, {}, false, "").values, (Values{"[]", "false", ""}));
}
