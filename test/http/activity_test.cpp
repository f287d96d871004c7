// GET /organization/daily/activity

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::ElementsAre;

const std::string march = "&start_date=2026-03-01&end_date=2026-03-31";

std::string route(const std::string &organization_ids, const std::string &more = march)
{
    return "GET /organization/daily/activity?organization_ids=" + encoded(organization_ids) + more;
}

// Inserts a day's spend, as if it had been settled then; each call has ten prompt tokens and two completion tokens.
void spend(const std::string &organization_id, const std::string &day, const std::string &token_id,
           const std::string &model, const std::string &cost, const std::string &team_id = "")
{
    query("INSERT INTO org.usage_daily VALUES ($1, $2, $3, $4, $5, $6, 10, 2, 3, 4, 1, 0)", organization_id, day,
          team_id, token_id, model, cost);
}

// An organization that was there in March.
std::string old_organization()
{
    const std::string id = organization();
    query("UPDATE org.organization SET created_at = '2026-01-01Z' WHERE organization_id = $1", id);
    return id;
}

// These rows are in no ledger, which other tests would notice.
class DailyActivity : public testing::Test {
protected:
    void TearDown() override { query("SELECT usage_repair()"); }
};

TEST_F(DailyActivity, HasTheShapeThatLiteLLMsDashboardReads)
{
    const std::string id = old_organization(), team_id = team(id);
    const Json key = ask("POST /key/generate", {{"team_id", team_id}, {"key_alias", "ci"}});
    const std::string token_id = key.at("token_id");
    spend(id, "2026-03-05", token_id, "openai/gpt-4o", "0.25", team_id);
    spend(id, "2026-03-05", "gone", "claude-3", "1");
    const Json reply = ask(route(id));

    EXPECT_THAT(names(reply), ElementsAre("results", "metadata"));
    ASSERT_EQ(reply.at("results").size(), 1u);
    const Json &day = reply.at("results").at(0);
    EXPECT_THAT(names(day), ElementsAre("date", "metrics", "breakdown"));
    EXPECT_EQ(day.at("date"), "2026-03-05");
    const Json metrics = {{"spend", 0.25},
                          {"prompt_tokens", 10},
                          {"completion_tokens", 2},
                          {"cache_read_input_tokens", 3},
                          {"cache_creation_input_tokens", 4},
                          {"total_tokens", 12},
                          {"successful_requests", 1},
                          {"failed_requests", 0},
                          {"api_requests", 1}};
    const Json &breakdown = day.at("breakdown");
    EXPECT_THAT(names(breakdown),
                ElementsAre("mcp_servers", "models", "model_groups", "providers", "endpoints", "api_keys", "entities"));
    const Json of_key = {{"metrics", metrics}, {"metadata", {{"key_alias", "ci"}, {"team_id", team_id}}}};
    const Json of_model = {
        {"metrics", metrics}, {"metadata", Json::object()}, {"api_key_breakdown", {{token_id, of_key}}}};
    EXPECT_EQ(breakdown.at("models").at("openai/gpt-4o"), of_model);
    EXPECT_EQ(breakdown.at("model_groups"), breakdown.at("models"));
    EXPECT_EQ(breakdown.at("providers").at("openai"), of_model);
    EXPECT_EQ(breakdown.at("api_keys").at(token_id), of_key);
    EXPECT_EQ(breakdown.at("mcp_servers"), Json::object());
    EXPECT_EQ(breakdown.at("endpoints"), Json::object());
    EXPECT_THAT(names(breakdown.at("providers")), ElementsAre("openai", "unknown"));
    EXPECT_EQ(breakdown.at("api_keys").at("gone").at("metadata").at("key_alias"), nullptr);

    const Json &entity = breakdown.at("entities").at(id);
    EXPECT_EQ(entity.at("metadata").at("organization_alias"), info(id).at("organization_alias"));
    EXPECT_EQ(entity.at("api_key_breakdown").at(token_id), of_key);
    for (const Json &whole : {day.at("metrics"), entity.at("metrics")}) {
        EXPECT_EQ(whole.at("spend"), 1.25);
        EXPECT_EQ(whole.at("total_tokens"), 24);
    }
    EXPECT_EQ(reply.at("metadata"), (Json{{"total_spend", 1.25},
                                          {"total_prompt_tokens", 20},
                                          {"total_completion_tokens", 4},
                                          {"total_tokens", 24},
                                          {"total_api_requests", 2},
                                          {"total_successful_requests", 2},
                                          {"total_failed_requests", 0},
                                          {"total_cache_read_input_tokens", 6},
                                          {"total_cache_creation_input_tokens", 8},
                                          {"page", 1},
                                          {"total_pages", 1},
                                          {"has_more", false}}));
}

TEST_F(DailyActivity, IsNarrowedDownToAModelOrAKey)
{
    const std::string id = old_organization();
    const Json key = ask("POST /key/generate", {{"organization_id", id}});
    const std::string token_id = key.at("token_id"), secret = key.at("key");
    spend(id, "2026-03-01", token_id, "a/m", "1");
    spend(id, "2026-03-02", token_id, "b/m", "2");
    spend(id, "2026-03-03", "other", "a/m", "4");
    const auto total = [&](const std::string &filter) {
        return ask(route(id, march + filter)).at("metadata").at("total_spend").get<double>();
    };
    EXPECT_EQ(total("&model=a%2Fm"), 5.0);
    EXPECT_EQ(total("&model=m"), 0.0);
    EXPECT_EQ(total("&api_key=" + token_id), 3.0);
    EXPECT_EQ(total("&api_key=" + secret), 3.0);
    EXPECT_EQ(total("&api_key=other&model=a%2Fm"), 4.0);
    EXPECT_EQ(total("&api_key=sk-unknown"), 0.0);
    EXPECT_EQ(total("&api_key=&model="), 7.0);
}

// Calls of two teams, of which one has a comma in its identifier.
TEST(Activity, OfAnythingIsAskedForInListsAndTimeZones)
{
    const std::string id = organization(), plain = fresh("team"), comma = fresh("a,b");
    const std::string day = value("SELECT to_char(now() AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM-DD')");
    const std::string today = "&timezone=Asia/Tokyo&start_date=" + day + "&end_date=" + day;
    double cost = 1;
    for (const std::string &team_id : {plain, comma}) {
        ask("POST /team/new", {{"organization_id", id}, {"team_id", team_id}});
        const std::string key = key_for({{"team_id", team_id}});
        ask("POST /usage/record",
            {{"key", key}, {"model", "m"}, {"cost", cost *= 2}, {"tags", {team_id}}, {"end_user", team_id}});
    }
    const auto spent = [&](const std::string &route, const std::string &list) {
        return ask("GET " + route + "=" + encoded(list) + today).at("metadata").at("total_spend");
    };
    for (const std::string route : {"/team/daily/activity?team_ids", "/tag/daily/activity?tags",
                                    "/customer/daily/activity?end_user_ids", "/end_user/daily/activity?end_user_ids"}) {
        EXPECT_EQ(spent(route, plain), 2) << route;
        EXPECT_EQ(spent(route, Json{comma}.dump()), 4) << route;
        EXPECT_EQ(spent(route, Json{comma, plain}.dump()), 6) << route;
        EXPECT_EQ(spent(route, comma), 0) << route;
    }
    for (const std::string malformed : {"[1,2]", "[\"a", "[\"a\"],b", R"(["\u0000"])"})
        EXPECT_THAT(call("GET /team/daily/activity?team_ids=" + encoded(malformed) + today),
                    e3({"query", "team_ids"}, "list_type"))
            << malformed;
    EXPECT_EQ(spent("/organization/daily/activity?organization_ids", id), 6);
    EXPECT_THAT(call("GET /organization/daily/activity?timezone=nowhere&start_date=" + day + "&end_date=" + day),
                e3({"query", "timezone"}));
    EXPECT_EQ(ask("GET /global/spend/report?group_by=customer&customer_id=" + encoded(comma) + today)
                  .at(0)
                  .at("customers")
                  .at(0)
                  .at("total_spend"),
              4);
}

} // namespace
} // namespace pg_org::test
