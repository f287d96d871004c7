// Lists and reports as CSV.

#include "matchers.hpp"

#include <chrono>

namespace pg_org::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

httplib::Result ask_for(const std::string &accept, const std::string &path, const std::string &key = admin_key())
{
    httplib::Client client{"127.0.0.1", gateway_port()};
    client.set_read_timeout(std::chrono::seconds{30});
    httplib::Headers headers = bearer(key);
    headers.emplace("Accept", accept);
    return client.Get(path, headers);
}

// The CSV at a path; anything else fails.
std::string csv(const std::string &path, const std::string &key = admin_key())
{
    const auto result = ask_for("text/csv", path, key);
    if (!result)
        return "no reply";
    EXPECT_EQ(result->status, 200) << result->body;
    EXPECT_EQ(result->get_header_value("Content-Type"), "text/csv; charset=utf-8; header=present") << path;
    EXPECT_EQ(result->get_header_value("Vary"), "Accept");
    EXPECT_EQ(result->get_header_value("ETag"), "");
    EXPECT_NE(result->get_header_value("x-request-id"), "");
    return result->body;
}

std::vector<std::string> lines_of(const std::string &text)
{
    std::vector<std::string> lines;
    for (std::size_t begin = 0, end; (end = text.find("\r\n", begin)) != text.npos; begin = end + 2)
        lines.push_back(text.substr(begin, end - begin));
    return lines;
}

// An organization with that many teams.
std::string organization_with_teams(int count)
{
    const std::string id = organization();
    query("INSERT INTO org.team (organization_id, team_id, created_at)"
          " SELECT $1, $1 || '-' || i, now() + i * interval '1 us' FROM generate_series(1, $2::int) AS i",
          id, count);
    return id;
}

TEST(Csv, HasARowForEachElement)
{
    const std::string id = organization();
    ask("POST /team/new", {{"organization_id", id},
                           {"team_id", id + "-t"},
                           {"team_alias", "=1+1, \"quoted\"\nline"},
                           {"max_budget", 0.25},
                           {"models", {"a", "b"}}});
    const auto lines = lines_of(csv("/team/list?organization_id=" + id));
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_THAT(lines[0], StartsWith("team_id,team_alias,organization_id,"));
    EXPECT_THAT(lines[1], StartsWith(id + "-t,\"'=1+1, \"\"quoted\"\"\nline\"," + id + ","));
    EXPECT_THAT(lines[1], HasSubstr(",0.25,"));
    EXPECT_THAT(lines[1], HasSubstr(",\"[\"\"a\"\",\"\"b\"\"]\","));
    EXPECT_EQ(lines_of(csv("/team/list?organization_id=" + fresh("none"))).size(), 1u) << "no element, but a header";
}

TEST(Csv, IsThereForEveryList)
{
    const std::string id = organization_with_teams(3);
    const std::string key = key_for({{"organization_id", id}, {"max_budget", 12.5}});
    ask("POST /customer/new", {{"user_id", fresh("c")}, {"organization_id", id}}, admin_key());
    const Json dear = {{"key", key}, {"model", "m"}, {"max_cost", 13}};
    EXPECT_EQ(send("POST /usage/reserve", dear.dump(), bearer(admin_key())).status, 429);
    const std::vector<std::string> paths{"/organization/list?org_id=" + id,
                                         "/organization/audit?organization_id=" + id,
                                         "/user/list",
                                         "/team/list?organization_id=" + id,
                                         "/v2/team/list?organization_id=" + id,
                                         "/key/list?organization_id=" + id,
                                         "/budget/list",
                                         "/customer/list?organization_id=" + id,
                                         "/usage/refusals?organization_id=" + id,
                                         "/events?organization_id=" + id};
    for (const auto &path : paths)
        EXPECT_GE(lines_of(csv(path)).size(), 2u) << path;
    EXPECT_THAT(csv("/key/list?organization_id=" + id), HasSubstr(",12.5,")) << "keys are shown in full";
    EXPECT_EQ(lines_of(csv("/v2/team/list?organization_id=" + id + "&page_size=2&page=2")).size(), 1u + 1);
    EXPECT_EQ(lines_of(csv("/v2/team/list?organization_id=" + id + "&sort_by=team_id")).size(), 1u + 3);
}

TEST(Csv, HasARowForEachKeyInDailyActivity)
{
    const std::string id = organization();
    query("UPDATE org.organization SET created_at = '2026-01-01Z' WHERE organization_id = $1", id);
    query("INSERT INTO org.usage_daily VALUES ($1, '2026-03-05', '', 'k', 'm', 0.12345678901234567890, 10, 2, 3, 4, 1, "
          "0)",
          id);
    const auto lines =
        lines_of(csv("/organization/daily/activity?start_date=2026-03-01&end_date=2026-03-31&organization_ids=" + id));
    query("SELECT usage_repair()");
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(lines[0], "date,breakdown,name,api_key,key_alias,team_id,spend,prompt_tokens,completion_tokens,"
                        "cache_read_input_tokens,cache_creation_input_tokens,total_tokens,successful_requests,"
                        "failed_requests,api_requests");
    EXPECT_THAT(lines[1], StartsWith("2026-03-05,entities," + id + ",k,,,0.1234567890123456789,10,2,3,4,12,1,0,1"));
    EXPECT_THAT(lines[2], StartsWith("2026-03-05,models,m,k,"));
}

// The elements of that list have several shapes.
TEST(Csv, HasTheColumnsOfEveryShape)
{
    const std::string id = organization(), team_id = team(id);
    const Json key = ask("POST /key/generate", {{"team_id", team_id}});
    ask("POST /usage/record", {{"key", key.at("key")}, {"model", "m"}, {"cost", 0.25}});
    const std::string path = "/global/spend/report?start_date=2000-01-01&end_date=2999-12-31&team_id=" + team_id;
    const std::string by_key = csv(path + "&group_by=api_key"), by_team = csv(path + "&group_by=team");
    EXPECT_EQ(lines_of(by_key).at(0), lines_of(by_team).at(0));
    EXPECT_THAT(by_key, HasSubstr(key.at("token_id").get<std::string>() + ",0.25,0,0,"));
    EXPECT_THAT(by_team, HasSubstr("\"\"total_spend\"\":0.25"));
}

TEST(Csv, HasAllPagesUnlessOneIsAskedFor)
{
    const std::string id = organization_with_teams(1001);
    const auto result = ask_for("text/csv", "/team/list?organization_id=" + id);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->get_header_value("Transfer-Encoding"), "chunked");
    const auto lines = lines_of(result->body);
    ASSERT_EQ(lines.size(), 1u + 1001);
    EXPECT_THAT(lines[1], StartsWith(id + "-1,"));
    EXPECT_THAT(lines[1001], StartsWith(id + "-1001,"));
    EXPECT_EQ(lines_of(csv("/v2/team/list?organization_id=" + id + "&sort_by=created_at")).size(), 1u + 1001);

    const auto page = ask_for("text/csv", "/team/list?limit=2&organization_id=" + id);
    ASSERT_TRUE(page);
    EXPECT_EQ(lines_of(page->body).size(), 1u + 2);
    EXPECT_THAT(page->get_header_value("Link"), HasSubstr("rel=\"next\""));
}

TEST(Csv, IsCutOffWhenALaterPageFails)
{
    const std::string id = organization();
    query("INSERT INTO org.event (organization_id, kind, data)"
          " SELECT $1, 'long', jsonb_build_object('x', repeat('y', 20000)) FROM generate_series(1, 1001)",
          id);
    const std::string reader = person("proxy_admin_viewer").key;
    httplib::Client client{"127.0.0.1", gateway_port()};
    client.set_read_timeout(std::chrono::seconds{30});
    httplib::Headers headers = bearer(reader);
    headers.emplace("Accept", "text/csv");
    std::string text;
    const auto result = client.Get("/events?organization_id=" + id, headers, [&](const char *data, size_t size) {
        if (text.empty()) // more than the sockets hold is unread then
            ask("POST /key/delete", {{"keys", {reader}}});
        text.append(data, size);
        return true;
    });
    query("DELETE FROM org.event WHERE organization_id = $1", id);
    EXPECT_FALSE(result) << "the reply seems to be whole";
    EXPECT_EQ(lines_of(text).size(), 1u + 1000);
}

TEST(Csv, IsNotForErrorsAndOtherRoutes)
{
    const auto is_json = [](const httplib::Result &result, int status) {
        return result && result->status == status && result->get_header_value("Content-Type") == "application/json";
    };
    EXPECT_TRUE(is_json(ask_for("text/csv", "/team/list", "sk-unknown"), 401));
    EXPECT_TRUE(is_json(ask_for("text/csv", "/team/list?limit=0"), 422));
    const std::string id = organization();
    EXPECT_TRUE(is_json(ask_for("text/csv", "/organization/info?organization_id=" + id), 200));
    for (const auto *accept : {"*/*", "application/json, text/csv", "text/html"}) {
        const auto result = ask_for(accept, "/team/list?organization_id=" + id);
        EXPECT_TRUE(is_json(result, 200)) << accept;
        EXPECT_EQ(result->get_header_value("Vary"), "Accept");
    }
}

} // namespace
} // namespace pg_org::test
