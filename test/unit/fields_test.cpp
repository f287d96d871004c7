// Reading bodies and query strings.
#include "fields.hpp"

#include <gtest/gtest.h>

using namespace pg_org;
using Kind = Value::Kind;

namespace {

Fields fields_of(std::string_view json) { return read_body(json).fields; }

std::size_t invalid_at(std::string_view json)
{
    try {
        read_body(json);
    } catch (const InvalidJson &error) {
        return error.position;
    }
    ADD_FAILURE() << "accepted: " << json.substr(0, 80);
    return std::string_view::npos;
}

} // namespace

TEST(Body, KnowsKinds)
{
    auto fields = fields_of(R"({"n":null,"t":true,"i":-5,"f":1.5,"s":"x","a":[1],"o":{"k":1}})");
    EXPECT_EQ(fields["n"].kind, Kind::null);
    EXPECT_EQ(fields["t"].kind, Kind::boolean);
    EXPECT_EQ(fields["t"].text, "true");
    EXPECT_EQ(fields["i"].kind, Kind::number);
    EXPECT_EQ(fields["i"].text, "-5");
    EXPECT_EQ(fields["f"].kind, Kind::number);
    EXPECT_EQ(fields["s"].kind, Kind::string);
    EXPECT_EQ(fields["s"].text, "x");
    EXPECT_EQ(fields["a"].kind, Kind::array);
    EXPECT_EQ(fields["o"].kind, Kind::object);
    EXPECT_EQ(fields.size(), 7u);
}

TEST(Body, KeepsEveryDigit)
{
    auto fields =
        fields_of(R"({"f":0.1000000000000000055511151231257827,"z":1.10,"e":1E+2,"big":123456789012345678901234567890,)"
                  R"("u":18446744073709551615,"nested":{"f":[0.1000000000000000055511151231257827]}})");
    EXPECT_EQ(fields["f"].text, "0.1000000000000000055511151231257827");
    EXPECT_EQ(fields["z"].text, "1.10");
    EXPECT_EQ(fields["e"].text, "1E+2");
    EXPECT_EQ(fields["big"].text, "123456789012345678901234567890");
    EXPECT_EQ(fields["u"].text, "18446744073709551615");
    EXPECT_EQ(fields["nested"].text, R"({"f":[0.1000000000000000055511151231257827]})");
}

TEST(Body, WritesNestedJsonAgain)
{
    auto fields = fields_of(R"( { "o" : { "a" : [ ] , "b" : { } , "c" : [ 1 , "x" , null , [ true ] , { "d" : -1 } ] } ,
                                  "quotes" : { "\"\\\n\u0001" : "\ud83d\ude00\"" } } )");
    EXPECT_EQ(fields["o"].text, R"({"a":[],"b":{},"c":[1,"x",null,[true],{"d":-1}]})");
    EXPECT_EQ(fields["quotes"].text, "{\"\\\"\\\\\\n\\u0001\":\"😀\\\"\"}");
}

TEST(Body, ListsElementsOfTopLevelArraysOnly)
{
    auto fields = fields_of(R"({"a":["x",1,["y"],{"z":"w"},null]})");
    const auto &elements = fields["a"].elements;
    ASSERT_EQ(elements.size(), 5u);
    EXPECT_EQ(elements[0].kind, Kind::string);
    EXPECT_EQ(elements[0].text, "x");
    EXPECT_EQ(elements[1].kind, Kind::number);
    EXPECT_EQ(elements[2].kind, Kind::array);
    EXPECT_EQ(elements[3].kind, Kind::object);
    EXPECT_EQ(elements[4].kind, Kind::null);
    EXPECT_TRUE(fields_of(R"({"o":{"a":["x"]}})")["o"].elements.empty());
}

TEST(Body, LastOfRepeatedKeysWins)
{
    auto fields = fields_of(R"({"a":["x"],"b":1,"a":{"y":2},"b":"z"})");
    EXPECT_EQ(fields["a"].text, R"({"y":2})");
    EXPECT_TRUE(fields["a"].elements.empty());
    EXPECT_EQ(fields["b"].text, "z");
}

TEST(Body, MayBeNoObject)
{
    EXPECT_EQ(read_body("[{\"a\":1}]").kind, Kind::array);
    EXPECT_EQ(read_body("\"x\"").kind, Kind::string);
    EXPECT_EQ(read_body("1").kind, Kind::number);
    EXPECT_EQ(read_body("null").kind, Kind::null);
    EXPECT_TRUE(read_body("[{\"a\":1}]").fields.empty());
    EXPECT_EQ(read_body("{}").kind, Kind::object);
}

TEST(Body, RefusesWhatIsNotJson)
{
    EXPECT_EQ(invalid_at("{"), 1u);
    EXPECT_EQ(invalid_at("{x}"), 1u);
    EXPECT_EQ(invalid_at(R"({"a":1)"), 6u);
    for (const auto *json :
         {"", " ", "{'a':1}", "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":01}", "{\"a\":1,}", "{\"a\":.5}", "{\"a\":+1}",
          "{} x", "{}{}", "[1", "]", "tru", "{\"a\" 1}", "{\"a\":\"\t\"}", "// x\n{}", "{\"a\":\"\\x\"}", "{\"a\":1e}"})
        invalid_at(json);
}

TEST(Body, RefusesWhatIsNotUnicode)
{
    EXPECT_EQ(invalid_at("{\"a\":\"\xff\"}"), 6u);
    for (const auto *json :
         {"{\"a\":\"\xc0\x80\"}", "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"\xf5\x80\x80\x80\"}", "{\"a\":\"\xc3\"}",
          "{\"\xfe\":1}", R"({"a":"\ud800"})", R"({"a":"\udc00"})", R"({"a":"\ud800\u0041"})", R"({"\ud800":1})"})
        invalid_at(json);
}

TEST(Body, RefusesRawNulBytes)
{
    using namespace std::string_view_literals;
    EXPECT_EQ(invalid_at("{}\0x"sv), 2u);
    EXPECT_EQ(invalid_at("{\"a\":\"\0\"}"sv), 6u);
}

TEST(Body, RefusesNumbersBeyondDouble)
{
    EXPECT_NO_THROW(read_body(R"({"a":1e308,"b":-1e308,"c":1e-400})"));
    for (const auto *json : {R"({"a":1e400})", R"({"a":-1e400})", R"({"a":{"b":[1e999999999]}})"})
        invalid_at(json);
    invalid_at("{\"a\":" + std::string(400, '9') + "}");
}

TEST(Body, RefusesDeepNesting)
{
    const auto nested = [](int depth) {
        return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
    };
    EXPECT_NO_THROW(read_body(nested(100)));
    EXPECT_EQ(invalid_at(nested(101)), 5u + 99);
    EXPECT_EQ(invalid_at(std::string(64 << 20, '[')), 100u);
    std::string objects;
    for (int i = 0; i < 20'000; ++i)
        objects += "{\"a\":";
    EXPECT_EQ(invalid_at(objects), 500u);
    EXPECT_NO_THROW(read_body("{\"a\":\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '{') + "\"}"));
}

TEST(Body, MarksFieldsThatHoldNul)
{
    auto fields =
        fields_of(R"({"a":"x\u0000","b":{"c":["\u0000"]},"d":{"\u0000":1},"e\u0000":1,"fine":"x","also":["\\u0000"]})");
    EXPECT_FALSE(fields["a"].storable);
    EXPECT_FALSE(fields["b"].storable);
    EXPECT_FALSE(fields["d"].storable);
    EXPECT_FALSE(fields[std::string("e\0", 2)].storable);
    EXPECT_TRUE(fields["fine"].storable);
    EXPECT_TRUE(fields["also"].storable);
}

TEST(Body, IsWrittenAsOneObject)
{
    EXPECT_EQ(json_text(fields_of("{}")), "{}");
    EXPECT_EQ(json_text(fields_of(R"({"b":"x\"","a":null,"c":[1.10],"b":"y\"","d":true})")),
              R"({"a":null,"b":"y\"","c":[1.10],"d":true})");
}

TEST(Query, IsReadAsStrings)
{
    auto fields = read_query("a=1&b=x+y&a=2&c=%ff&d=%00&e=%C3%BC");
    EXPECT_EQ(fields["a"].text, "2");
    EXPECT_EQ(fields["a"].kind, Kind::string);
    EXPECT_EQ(fields["b"].text, "x y");
    EXPECT_FALSE(fields["c"].storable);
    EXPECT_FALSE(fields["d"].storable);
    EXPECT_TRUE(fields["e"].storable);
}
