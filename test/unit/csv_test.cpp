// Lists as CSV.
#include "csv.hpp"

#include "bind.hpp"
#include "database.hpp"

#include <gtest/gtest.h>

using namespace pg_org;

namespace {

const Route &route_of(std::string_view path) { return *find_route("GET", path).route; }
const Table &table_of(std::string_view path) { return *Table::of(route_of(path)); }

Asked asking(const Route &route, const std::string &query)
{
    Asked asked{route, {}, {}, read_query(query), "query", {}};
    return asked;
}

Function with_arguments(const std::vector<std::string> &names)
{
    Function function;
    for (const auto &name : names)
        function.arguments.push_back({name, name, Type::text, false});
    return function;
}

// An array of that many events, with identifiers from a number on.
std::string events(int first, int count)
{
    std::string array;
    for (int id = first; id < first + count; ++id)
        array += (array.empty() ? "" : ",") + (R"({"event_id":)" + std::to_string(id) + R"(,"kind":"k","data":{}})");
    return '[' + array + ']';
}

struct Sent {
    bool is_whole;
    std::string text;
};

Sent send(const Reply &reply, std::size_t most = -1)
{
    Sent sent{};
    sent.is_whole = reply.stream({[&](std::string_view text) {
                                      sent.text += text;
                                      return sent.text.size() < most;
                                  },
                                  [] { return true; }});
    return sent;
}

} // namespace

TEST(Csv, IsWantedWhenItIsPreferredToJson)
{
    for (const auto *accept :
         {"text/csv", "TEXT/CSV ; Q=0.1", "text/csv, */*;q=0.5", "text/*", "application/json;q=0.3,text/csv;q=0.4",
          "text/html, text/csv;header=present", "*/*, application/json;q=0"})
        EXPECT_TRUE(prefers_csv(accept)) << accept;
    for (const auto *accept :
         {"", "*/*", "application/json", "text/csv, */*", "text/csv, application/json", "text/csv;q=0", "text/html",
          "text/csv;q=0.4,application/*;q=0.5", "text/csvx", "text/event-stream"})
        EXPECT_FALSE(prefers_csv(accept)) << accept;
}

TEST(Csv, IsOfListsOnly)
{
    for (const auto *path : {"/organization/list", "/organization/audit", "/organization/daily/activity", "/user/list",
                             "/team/list", "/v2/team/list", "/key/list", "/budget/list", "/customer/list", "/events"})
        EXPECT_TRUE(Table::of(route_of(path))) << path;
    for (const auto *path :
         {"/organization/info", "/user/info", "/v2/user/info", "/team/info", "/key/info", "/key/aliases",
          "/customer/info", "/user/available_roles", "/team/permissions_list", "/openapi.json", "/"})
        EXPECT_FALSE(Table::of(route_of(path))) << path;
    EXPECT_FALSE(Table::of(*find_route("POST", "/organization/info").route));
}

TEST(Csv, HasTheColumnsOfTheSchema)
{
    EXPECT_EQ(table_of("/events").header(), "event_id,occurred_at,organization_id,kind,data\r\n");
    EXPECT_NE(table_of("/organization/list").header().find(",litellm_budget_table.max_budget,"), std::string::npos);
    EXPECT_NE(table_of("/key/list").header().find(",user.user_email"), std::string::npos);
    EXPECT_EQ(table_of("/organization/daily/activity")
                  .header()
                  .rfind("date,breakdown,name,api_key,key_alias,team_id,spend,", 0),
              0u);
}

TEST(Csv, KeepsEveryDigitAndQuotesAndDefuses)
{
    const auto row = [](const std::string &id, const std::string &kind, const std::string &data) {
        return table_of("/events").rows(R"([{"kind":)" + kind + R"(,"event_id":)" + id + R"(,"data":)" + data + "}]");
    };
    EXPECT_EQ(row("-12345678901234567890.12345678901234567890", "null", "{}"),
              "-12345678901234567890.12345678901234567890,,,,{}\r\n");
    EXPECT_EQ(row("0.10", R"("a,\"b\"\r\nc")", R"({"a":[1.50,"x"],"b":null})"),
              "0.10,,,\"a,\"\"b\"\"\r\nc\",\"{\"\"a\"\":[1.50,\"\"x\"\"],\"\"b\"\":null}\"\r\n");
    for (const auto *formula : {"=1+1", "+1", "-1", "@x", "\\t1"})
        EXPECT_EQ(row("1", '"' + std::string{formula} + '"', "true").find("1,,,'"), 0u) << formula;
    EXPECT_EQ(row("1", R"("\r=1")", "true"), "1,,,\"'\r=1\",true\r\n");
    EXPECT_EQ(table_of("/events").rows("[]"), "");
}

TEST(Csv, HasAColumnForEachFieldOfAnObject)
{
    const auto header = table_of("/organization/list").header();
    const auto row =
        table_of("/organization/list").rows(R"([{"organization_id":"o","litellm_budget_table":{"budget_id":"b"}}])");
    EXPECT_EQ(std::count(row.begin(), row.end(), ','), std::count(header.begin(), header.end(), ','));
    EXPECT_NE(row.find(",b,"), std::string::npos);
    EXPECT_EQ(table_of("/organization/list").rows(R"([{"litellm_budget_table":null}])").find_first_not_of(",\r\n"),
              std::string::npos);
}

TEST(Csv, HasARowForEachKeyInADaysActivity)
{
    const auto rows =
        table_of("/organization/daily/activity").rows(R"({"results":[{"date":"2026-11-01","metrics":{"spend":3.50},
        "breakdown":{"providers":{"p":{"api_key_breakdown":{"k":{}}}},
          "models":{"=m":{"metrics":{},"api_key_breakdown":{"k":{"metrics":{"spend":3.50,"api_requests":2},"metadata":{"key_alias":"a","team_id":null}}}}},
          "entities":{"acme":{"api_key_breakdown":{"k":{"metrics":{"spend":3.50},"metadata":{"key_alias":"a","team_id":"t"}}}}}}}],
        "metadata":{"page":1}})");
    EXPECT_EQ(rows, "2026-11-01,entities,acme,k,a,t,3.50,,,,,,,,\r\n2026-11-01,models,'=m,k,a,,3.50,,,,,,,,2\r\n");
}

TEST(Csv, AsksForAllUnlessAPageIsNamed)
{
    const Route &keys = route_of("/key/list");
    const auto function = with_arguments({"page", "size", "limit", "after", "return_full_object", "sort_by"});
    for (const auto *query : {"limit=2", "page=1", "size=3"}) {
        Asked asked = asking(keys, query);
        EXPECT_FALSE(ask_for_all(asked, function)) << query;
    }
    Asked asked = asking(keys, "after=x");
    EXPECT_TRUE(ask_for_all(asked, function));
    EXPECT_EQ(asked.fields["limit"].text, "1000");
    EXPECT_EQ(asked.fields["after"].text, "x");
    EXPECT_EQ(asked.fields["return_full_object"].text, "true");
    Asked sorted = asking(keys, "sort_by=spend");
    EXPECT_TRUE(ask_for_all(sorted, function));
    EXPECT_EQ(sorted.fields["page"].text, "1");
    EXPECT_EQ(sorted.fields["size"].text, "1000");
    Asked no_pages = asking(route_of("/team/available"), "");
    EXPECT_FALSE(ask_for_all(no_pages, with_arguments({"api_key"})));
}

TEST(Csv, StreamsPageAfterPage)
{
    CsvWriter writer{4};
    Asked asked = asking(route_of("/events"), "");
    ASSERT_TRUE(ask_for_all(asked, with_arguments({"limit", "after"})));
    std::vector<std::string> after;
    Reply reply{200, events(1, 1000)};
    writer.show_all(
        reply, table_of("/events"), asked,
        [&](const Asked &next) {
            after.push_back(next.fields.at("after").text);
            return events(std::stoi(after.back()) + 1, after.size() < 2 ? 1000 : 3);
        },
        "r");
    EXPECT_EQ(reply.content_type, "text/csv; charset=utf-8; header=present");
    EXPECT_EQ(reply.body, "");
    EXPECT_TRUE(after.empty()) << "nothing is fetched before the first page is taken";
    const Sent sent = send(reply);
    EXPECT_TRUE(sent.is_whole);
    EXPECT_EQ(std::count(sent.text.begin(), sent.text.end(), '\n'), 1 + 2003);
    EXPECT_EQ(after, (std::vector<std::string>{"1000", "2000"}));
    EXPECT_TRUE(sent.text.ends_with("\r\n2003,,,k,{}\r\n"));
    EXPECT_FALSE(send(reply, 10).is_whole) << "the client is gone";
}

TEST(Csv, EndsWithoutItsEndWhenAPageFails)
{
    CsvWriter writer{4};
    Asked asked = asking(route_of("/events"), "");
    ASSERT_TRUE(ask_for_all(asked, with_arguments({"limit", "after"})));
    Reply reply{200, events(1, 1000)};
    writer.show_all(
        reply, table_of("/events"), asked, [](const Asked &) -> std::string { throw std::runtime_error{"too slow"}; },
        "r");
    const Sent sent = send(reply);
    EXPECT_FALSE(sent.is_whole);
    EXPECT_EQ(std::count(sent.text.begin(), sent.text.end(), '\n'), 1 + 1000);
}

TEST(Csv, RefusesToStreamToTooMany)
{
    CsvWriter writer{0};
    Asked asked = asking(route_of("/events"), "");
    ASSERT_TRUE(ask_for_all(asked, with_arguments({"limit", "after"})));
    const auto no_page = [](const Asked &) { return std::string{"[]"}; };
    Reply reply{200, events(1, 1000)};
    writer.show_all(reply, table_of("/events"), asked, no_page, "r");
    EXPECT_EQ(reply.status, 503);
    Reply short_reply{200, events(1, 999)};
    writer.show_all(short_reply, table_of("/events"), asked, no_page, "r");
    EXPECT_EQ(short_reply.status, 200) << "one page needs no thread";
}
