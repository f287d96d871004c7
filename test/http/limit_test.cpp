// Limits over HTTP: every route that sets them, as sentences and as short forms, gives back what was sent.

#include "matchers.hpp"

namespace pg_org::test {
namespace {

Json value_and(Json value, const Json &more)
{
    value.update(more);
    return value;
}

// One of each kind.
const Json &every_sentence()
{
    static const Json sentences = Json::parse(R"([
        {"limit": "cost", "value": 1000, "per": "1mo@Europe/Berlin"},
        {"limit": "cost", "value": 50.25, "per": "1d"},
        {"limit": "cost", "value": 5000},
        {"limit": "requests", "value": 600, "per": "1m", "model": "openai/*"},
        {"limit": "tokens", "value": 2000000, "per": "2d"},
        {"limit": "parallel_requests", "value": 20},
        {"limit": "cost", "value": 5, "per": "30d", "each": "end_user"},
        {"limit": "requests", "value": 100, "per": "1h", "tag": "playground", "each": "member"},
        {"limit": "tokens", "value": 0, "per": "15s", "each": "model"},
        {"limit": "cost", "value": 0.5, "per": "1w", "each": "tag"},
        {"limit": "parallel_requests", "value": 2, "each": "key"},
        {"limit": "cost", "value": 90, "per": "1q", "each": "team"},
        {"limit": "cost", "value": 800, "per": "1y@+01:00", "soft": true,
         "raise": {"amount": 50, "until": "2999-01-01T00:00:00.000000Z"}}])");
    return sentences;
}

// The list without the times at which its sentences were set; objects have no order.
nlohmann::json without_since(const Json &limits)
{
    nlohmann::json sent = nlohmann::json::array();
    for (Json sentence : limits) {
        EXPECT_TRUE(is_time(sentence.value("since", Json{}))) << sentence;
        sentence.erase("since");
        sent.push_back(nlohmann::json(sentence));
    }
    return sent;
}

// A route that sets limits, and where its reply has them.
struct Setter {
    std::string route;
    Json body;
    nlohmann::json::json_pointer place;
    bool clears = false;
};

std::vector<Setter> setters()
{
    const nlohmann::json::json_pointer here{}, budget{"/litellm_budget_table"}, data{"/data"};
    const std::string id = organization(), team_id = team(id), user_id = person().id, other = person().id;
    join(id, user_id);
    ask("POST /team/member_add", {{"team_id", team_id}, {"member", {{"user_id", user_id}, {"role", "user"}}}});
    const std::string key = key_for({{"organization_id", id}});
    const std::string budget_id = ask("POST /budget/new", Json::object()).at("budget_id");
    const std::string customer = ask("POST /customer/new", {{"user_id", fresh("customer")}}).at("user_id");
    const Json of_organization = {{"organization_id", id}}, of_team = {{"team_id", team_id}}, of_key = {{"key", key}};
    const Json member = {{"organization_id", id}, {"user_id", user_id}};
    const Json team_member = {{"team_id", team_id}, {"user_id", user_id}};
    const Json new_member = {{"organization_id", id}, {"member", {{"user_id", other}, {"role", "internal_user"}}}};
    const Json new_team_member = {{"team_id", team_id}, {"member", {{"user_id", other}, {"role", "user"}}}};
    const Json new_team_members = {{"team_id", team_id},
                                   {"members", Json::array({{{"user_id", other}, {"role", "user"}}})}};
    return {
        {"POST /organization/new", {{"organization_alias", "x"}}, budget},
        {"PATCH /organization/update", of_organization, budget, true},
        {"POST /organization/update", of_organization, budget, true},
        {"PATCH /v2/organization/" + encoded(id), Json::object(), budget, true},
        {"POST /organization/member_add", new_member,
         nlohmann::json::json_pointer{"/updated_organization_memberships/0/litellm_budget_table"}},
        {"PATCH /organization/member_update", member, budget, true},
        {"POST /team/new", of_organization, here},
        {"POST /team/update", of_team, data, true},
        {"POST /team/member_add", new_team_member,
         nlohmann::json::json_pointer{"/updated_team_memberships/0/litellm_budget_table"}},
        {"POST /team/bulk_member_add", new_team_members,
         nlohmann::json::json_pointer{"/results/0/litellm_budget_table"}},
        {"POST /team/member_update", team_member, budget, true},
        {"POST /user/new", Json::object(), here},
        {"POST /user/update", {{"user_id", user_id}}, data, true},
        {"POST /key/generate", of_organization, here},
        {"POST /key/service-account/generate", of_team, here},
        {"POST /key/update", of_key, here, true},
        {"POST /key/regenerate", {{"key", key_for(of_organization)}, {"new_key", "sk-" + fresh("new")}}, here},
        {"POST /budget/new", Json::object(), here},
        {"POST /budget/update", {{"budget_id", budget_id}}, here, true},
        {"POST /customer/new", {{"user_id", fresh("customer")}}, budget},
        {"POST /customer/update", {{"user_id", customer}}, budget, true},
    };
}

TEST(Limits, AreReadBackAsTheyWereSent)
{
    for (const auto &[route, body, place, clears] : setters()) {
        SCOPED_TRACE(route);
        const auto set = [&](const Json &limits) {
            return nlohmann::json(ask(route, value_and(body, {{"limits", limits}}))).at(place).at("limits");
        };
        EXPECT_EQ(without_since(set(every_sentence())), nlohmann::json(every_sentence()));
        if (!clears)
            continue;
        const auto unchanged = nlohmann::json(ask(route, body)).at(place).at("limits");
        EXPECT_EQ(without_since(unchanged), nlohmann::json(every_sentence())) << "not named, not changed";
        EXPECT_EQ(set(unchanged), unchanged) << "since when is not the client's to say, and stays";
        EXPECT_EQ(set(nullptr), nlohmann::json::array());
    }
}

TEST(Limits, AreRefusedWhereTheyStand)
{
    const Json one = {{"limit", "cost"}, {"value", 1}};
    struct Wrong {
        Json limits;
        Json place; // below "limits"
    };
    Json too_many = Json::array();
    for (int number = 0; number <= 200; ++number)
        too_many.push_back(value_and(one, {{"model", "m" + std::to_string(number)}}));
    const std::vector<Wrong> wrong{
        {Json::array({value_and(one, {{"colour", "blue"}})}), {0, "colour"}},
        {Json::array({one, value_and(one, {{"limit", "money"}})}), {1, "limit"}},
        {Json::array({value_and(one, {{"value", -1}})}), {0, "value"}},
        {Json::array({value_and(one, {{"value", nullptr}})}), {0, "value"}},
        {Json::array({value_and(one, {{"per", "30days"}})}), {0, "per"}},
        {Json::array({value_and(one, {{"each", "king"}})}), {0, "each"}},
        {Json::array({value_and(one, {{"model", ""}})}), {0, "model"}},
        {Json::array({value_and(one, {{"soft", "perhaps"}})}), {0, "soft"}},
        {Json::array({value_and(one, {{"raise", {{"amount", 1}, {"until", "soon"}}}})}), {0, "raise", "until"}},
        {Json::array({{{"limit", "parallel_requests"}, {"value", 1}, {"per", "1m"}}}), {0, "per"}},
        {Json::array({5}), Json::array({0})},
        {Json::array({one, one}), Json::array()},
        {too_many, Json::array()},
    };
    const auto all = setters();
    const auto before = database_digest();
    for (const auto &[route, body, place, clears] : all)
        for (const auto &[limits, steps] : wrong) {
            Json location = {"body", "limits"};
            location.insert(location.end(), steps.begin(), steps.end());
            EXPECT_THAT(call(route, value_and(body, {{"limits", limits}})), e3(location)) << route << limits;
        }
    EXPECT_EQ(database_digest(), before);
}

// LiteLLM's fields that are short forms of sentences.
TEST(Limits, HaveShortForms)
{
    const Json everywhere = {{"budget_limits", {{{"max_budget", 10.5}, {"budget_duration", "1d"}}}},
                             {"model_rpm_limit", {{"gpt-4o", 5}}},
                             {"model_tpm_limit", {{"gpt-4o", 500}}},
                             {"rpd_limit", 100},
                             {"tpd_limit", 1000}};
    const Json of_teams = value_and(everywhere, {{"soft_budget", 8.5},
                                                 {"model_max_budget", {{"gpt-4o", 10}}},
                                                 {"team_member_budget", 5.5},
                                                 {"team_member_budget_duration", "1w"},
                                                 {"team_member_rpm_limit", 10},
                                                 {"team_member_tpm_limit", 100}});
    const Json of_users = value_and(everywhere, {{"soft_budget", 8.5}, {"max_parallel_requests", 5}});
    const Json of_keys = value_and(everywhere, {{"soft_budget", 8.5},
                                                {"max_budget", 9.5},
                                                {"temp_budget_increase", 50.5},
                                                {"temp_budget_expiry", "2999-01-01T00:00:00Z"}});
    for (const auto &[route, body, place, clears] : setters()) {
        if (route.find("/member_") != route.npos || route.find("/bulk_member_") != route.npos)
            continue;
        SCOPED_TRACE(route);
        const Json &sent = route.find("/team/") != route.npos   ? of_teams
                           : route.find("/user/") != route.npos ? of_users
                           : route.find("/key/") != route.npos  ? of_keys
                                                                : everywhere;
        const Reply reply = call(route, value_and(body, sent));
        ASSERT_EQ(reply.status, 200) << reply.text;
        EXPECT_EQ(reply.header("x-ignored-fields"), "");
        const auto set = nlohmann::json(reply.body).at(place);
        Json nulls = sent;
        for (auto &[field, value] : nulls.items()) {
            EXPECT_EQ(set.at(field), nlohmann::json(sent[field])) << field;
            value = nullptr;
        }
        if (!clears)
            continue;
        const auto cleared = nlohmann::json(ask(route, value_and(body, nulls))).at(place);
        for (const auto &[field, value] : nulls.items())
            EXPECT_TRUE(cleared.at(field).empty()) << field << cleared.at(field);
    }
}

} // namespace
} // namespace pg_org::test
