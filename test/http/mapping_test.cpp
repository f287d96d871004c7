// How requests become arguments and results become replies: numbers, nulls, text in paths and queries, and where in a
// body a refused field stands.

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::HasSubstr;

Json alias_and(Json fields)
{
    fields["organization_alias"] = fresh("alias");
    return fields;
}

const Json every_field = {{"models", {"gpt-4o", "claude-3-opus"}},
                          {"max_budget", 100},
                          {"soft_budget", 80.25},
                          {"tpm_limit", 9223372036854775807},
                          {"rpm_limit", 0},
                          {"max_parallel_requests", 5},
                          {"model_max_budget", {{"gpt-4o", {{"max_budget", 10}, {"budget_duration", "1d"}}}}},
                          {"budget_duration", "30d"},
                          {"metadata", {{"z", 1}, {"a", {1, "two", nullptr, true}}}},
                          {"blocked", true},
                          {"tags", {"b", "a"}},
                          {"model_aliases", {{"best", "gpt-4o"}}},
                          {"default_reserve", 0.25},
                          {"quotas", {{"max_teams", 5}}},
                          {"budget_limits", {{{"max_budget", 20}, {"budget_duration", "1w"}}}},
                          {"model_rpm_limit", {{"gpt-4o", 5}}},
                          {"model_tpm_limit", {{"gpt-4o", 500}}},
                          {"rpd_limit", 100},
                          {"tpd_limit", 1000}};

// Flat in requests, in replies partly in the budget; objects have no order.
void expect_fields(const Json &organization, const Json &sent)
{
    for (const auto &[field, value] : sent.items()) {
        const Json &holder = organization.contains(field) ? organization : organization.at("litellm_budget_table");
        EXPECT_EQ(nlohmann::json(holder.at(field)), nlohmann::json(value)) << field;
    }
}

TEST(Mapping, PassesEveryFieldOfABody)
{
    const Json made = ask("POST /organization/new", alias_and(every_field));
    EXPECT_TRUE(is_organization(made));
    expect_fields(made, every_field);
    EXPECT_EQ(info(made.at("organization_id")), made);
    for (const char *route : {"PATCH /organization/update", "POST /organization/update"}) {
        Json body = every_field;
        body["organization_id"] = organization();
        expect_fields(ask(route, body), every_field);
    }
}

TEST(Mapping, PassesAPatchWithItsNulls)
{
    const std::string id = organization();
    const std::string route = "PATCH /v2/organization/" + id;
    for (const auto &[field, sent] : every_field.items())
        expect_fields(ask(route, {{field, sent}}), {{field, sent}});
    const Json cleared = ask(route, {{"max_budget", nullptr}, {"tags", nullptr}, {"metadata", {{"z", nullptr}}}});
    expect_fields(cleared,
                  {{"max_budget", nullptr}, {"tags", Json::array()}, {"metadata", {{"a", {1, "two", nullptr, true}}}}});
}

TEST(Mapping, WritesMoneyWithADecimalPointAndAllItsDigits)
{
    const Reply reply = send("POST /organization/new",
                             R"({"organization_alias": "rich", "max_budget": 12345678901234.56, "soft_budget": 100})",
                             bearer(admin_key()));
    EXPECT_THAT(reply.text, testing::ContainsRegex(R"("max_budget": ?12345678901234\.56[,}])"));
    EXPECT_THAT(reply.text, testing::ContainsRegex(R"("soft_budget": ?100\.0[,}])"));
    EXPECT_THAT(reply.text, testing::ContainsRegex(R"("spend": ?0\.0[,}])"));
}

TEST(Mapping, TakesNumbersAsText)
{
    const Json sent = {
        {"max_budget", "10"}, {"soft_budget", "1.5"}, {"tpm_limit", "7"}, {"max_parallel_requests", "0"}};
    expect_fields(ask("POST /organization/new", alias_and(sent)),
                  {{"max_budget", 10.0}, {"soft_budget", 1.5}, {"tpm_limit", 7}, {"max_parallel_requests", 0}});
}

TEST(Mapping, TakesANullForAnAbsentFieldUnlessThatMeansSomething)
{
    Json body = alias_and({});
    for (const auto &[field, sent] : every_field.items()) {
        if (field != "models")
            body[field] = nullptr;
    }
    expect_fields(ask("POST /organization/new", body),
                  {{"max_budget", nullptr}, {"metadata", Json::object()}, {"blocked", false}});
    EXPECT_THAT(call("POST /organization/new", alias_and({{"models", nullptr}})), e3({"body", "models"}));
}

TEST(Mapping, IgnoresUnknownFieldsAndThoseThatAreNotTheClientsToSay)
{
    const Json made = ask("POST /organization/new",
                          alias_and({{"colour", "blue"}, {"spend", 5}, {"created_by", "me"}, {"members", {1}}}));
    expect_fields(made, {{"spend", 0.0}, {"created_by", "default_user_id"}, {"members", Json::array()}});
    const std::string id = made.at("organization_id");
    for (const char *field : {"colour", "spend", "organization_id", "litellm_budget_table", "clear"})
        EXPECT_THAT(call("PATCH /v2/organization/" + id, {{"max_budget", 1}, {field, "x"}}),
                    hinted(testing::StartsWith("Fields that can be changed: "), e3({"body", field})))
            << "a patch has no fields to ignore";
}

TEST(Mapping, TellsWhichFieldsAreIgnored)
{
    const auto ignored = [](const std::string &route, const std::string &body) {
        return send(route, body, bearer(admin_key())).header("x-ignored-fields");
    };
    EXPECT_EQ(ignored("POST /organization/new", R"({"organization_alias":"a","max_bugdet":5,"colour":1})"),
              "colour, max_bugdet");
    EXPECT_EQ(ignored("POST /organization/new", R"({"organization_alias":"a","max_budget":5})"), "");
    EXPECT_EQ(ignored("POST /organization/new?x=1", R"({"organization_alias":"a"})"), "x");
    EXPECT_EQ(ignored("GET /organization/list?limit=1&colour=blue", ""), "colour");
    EXPECT_EQ(ignored("GET /events?limit=1&wait=0", ""), "");
}

TEST(Mapping, RefusesUnknownFieldsIfTheClientPrefersThat)
{
    auto strict = bearer(admin_key());
    strict.emplace("Prefer", "handling=strict");
    const auto before = database_digest();
    const Reply refused = send("POST /organization/new", R"({"organization_alias":"a","max_bugdet":5})", strict);
    EXPECT_THAT(refused, e3({"body", "max_bugdet"}));
    EXPECT_EQ(refused.header("Preference-Applied"), "handling=strict");
    EXPECT_THAT(send("GET /organization/list?colour=blue", "", strict), e3({"query", "colour"}));
    EXPECT_THAT(send("POST /organization/info?x=1", R"({"organizations":["x"]})", strict), e3({"query", "x"}));
    EXPECT_EQ(database_digest(), before);
    const Reply done = send("POST /organization/new", R"({"organization_alias":"a"})", strict);
    EXPECT_EQ(done.status, 200);
    EXPECT_EQ(done.header("Preference-Applied"), "handling=strict");
}

TEST(Mapping, RefusesWhatLiteLLMDocumentsButIsNotSupported)
{
    const auto before = database_digest();
    for (const auto &[route, field] : {std::pair{"POST /team/new", "temp_budget_increase"},
                                       {"POST /team/update", "soft_budget_alerting_emails"},
                                       {"POST /key/generate", "auto_rotate"},
                                       {"POST /key/update", "rotation_interval"},
                                       {"POST /user/update", "temp_budget_expiry"},
                                       {"POST /user/new", "send_invite_email"},
                                       {"POST /budget/new", "budget_reset_at"}}) {
        const Reply refused = call(route, {{field, true}});
        EXPECT_THAT(refused, e3({"body", field})) << route;
        EXPECT_EQ(refused.body.at("detail").at(0).at("msg"), '"' + std::string{field} + "\" is not supported");
        EXPECT_THAT(call(route, {{field, true}}, "sk-unknown"), e1(401, testing::_)) << "the key comes first";
    }
    EXPECT_EQ(database_digest(), before);
    EXPECT_EQ(call("POST /budget/new", {{"budget_reset_at", nullptr}}).status, 200);
}

TEST(Mapping, TakesSpendOnlyAsAReset)
{
    const std::string team_id = team(organization()), user_id = person().id;
    ask("POST /usage/record",
        {{"key", key_for({{"team_id", team_id}, {"user_id", user_id}})}, {"model", "m"}, {"cost", 1}});
    const auto resets = [](const std::string &route, const Json &named) {
        const auto period_spend_with = [&](const Json &spend) {
            Json change = named;
            change["spend"] = spend;
            const Reply reply = call(route, change);
            EXPECT_EQ(reply.header("x-ignored-fields"), "");
            EXPECT_EQ(reply.body.at("data").at("spend"), 1.0);
            return reply.body.at("data").at("period_spend");
        };
        EXPECT_EQ(period_spend_with(nullptr), 1.0) << route;
        EXPECT_EQ(period_spend_with(0), 0.0) << route;
        Json other = named;
        other["spend"] = 0.5;
        EXPECT_THAT(call(route, other), e3({"body", "spend"}));
    };
    resets("POST /user/update", {{"user_id", user_id}});
    resets("POST /team/update", {{"team_id", team_id}});
}

TEST(Mapping, ClearsWhatIsNullInAnUpdate)
{
    const Json limits = {{"max_budget", 5}, {"tpm_limit", 5}, {"rpm_limit", 5}, {"budget_duration", "1d"}};
    const auto update = [](Json limits, const char *name, const Json &id) {
        for (auto &[field, value] : limits.items())
            value = nullptr;
        limits[name] = id;
        return limits;
    };
    const auto expect_cleared = [&](const Json &thing) {
        for (const auto &[field, value] : limits.items())
            EXPECT_EQ(thing.at(field), nullptr) << field;
    };
    const std::string id = organization(limits);
    Json kept = update(limits, "organization_id", id);
    kept.update(Json{{"models", nullptr}, {"metadata", nullptr}, {"organization_alias", nullptr}});
    expect_cleared(ask("PATCH /organization/update", kept).at("litellm_budget_table"));
    const std::string other = organization(limits);
    const Json nested = {{"organization_id", other}, {"litellm_budget_table", update(limits, "soft_budget", nullptr)}};
    expect_cleared(ask("PATCH /organization/update", nested).at("litellm_budget_table"));
    const std::string budget_id = ask("POST /budget/new", limits).at("budget_id");
    expect_cleared(ask("POST /budget/update", update(limits, "budget_id", budget_id)));
    const std::string team_id = team(id, limits);
    call("POST /team/update", update(limits, "team_id", team_id));
    expect_cleared(ask("GET /team/info?team_id=" + team_id).at("team_info"));
    const Person user = person("internal_user");
    Json of_user = limits;
    of_user["user_id"] = user.id;
    call("POST /user/update", of_user);
    call("POST /user/update", update(limits, "user_id", user.id));
    expect_cleared(ask("GET /user/info?user_id=" + user.id).at("user_info"));
    Json of_key = limits;
    of_key.update(Json{{"duration", "1d"}, {"organization_id", id}});
    const std::string key = key_for(of_key);
    Json changes = update(limits, "key", key);
    changes["duration"] = nullptr;
    call("POST /key/update", changes);
    const Json info = ask("GET /key/info?key=" + key).at("info");
    expect_cleared(info);
    EXPECT_EQ(info.at("expires"), nullptr);
    join(id, user.id, "internal_user");
    const Json member = {{"organization_id", id}, {"user_id", user.id}, {"max_budget_in_organization", 5}};
    ask("PATCH /organization/member_update", member);
    Json without = member;
    without["max_budget_in_organization"] = nullptr;
    EXPECT_EQ(ask("PATCH /organization/member_update", without).at("litellm_budget_table").at("max_budget"), nullptr);
}

TEST(Mapping, TellsWhereInABodyARefusedValueStands)
{
    const std::string id = organization();
    const auto in_organization = [&](Json fields) {
        fields["organization_id"] = id;
        return fields;
    };
    const auto before = database_digest();
    EXPECT_THAT(call("DELETE /organization/delete", {{"organization_ids", {id, 5}}}),
                e3({"body", "organization_ids", 1}, "string_type"));
    EXPECT_THAT(call("POST /organization/info", {{"organizations", {"x", nullptr}}}),
                e3({"body", "organizations", 1}, "string_type"));
    const Json nested = {{"max_budget", -1},
                         {"soft_budget", "NaN"},
                         {"tpm_limit", 1.5},
                         {"budget_duration", "30days"},
                         {"model_max_budget", Json::array()}};
    for (const auto &[field, sent] : nested.items()) {
        EXPECT_THAT(call("PATCH /organization/update", in_organization({{"litellm_budget_table", {{field, sent}}}})),
                    testing::AnyOf(e3({"body", "litellm_budget_table", field}), e3({"body", field})));
    }
    EXPECT_THAT(call("PATCH /organization/update", in_organization({{"clear", Json::array({"spend"})}})),
                hinted(testing::StartsWith("Fields that can be cleared: "), e3({"body", "clear"})));

    const auto add = [&](const Json &member) {
        return call("POST /organization/member_add", in_organization({{"member", member}}));
    };
    const std::vector<std::pair<Json, Json>> members{{{{"role", "king"}, {"user_id", "x"}}, {"role"}},
                                                     {{{"role", 5}, {"user_id", "x"}}, {"role"}},
                                                     {{{"user_id", "x"}}, {"role"}},
                                                     {{{"role", "internal_user"}, {"user_id", 5}}, {"user_id"}},
                                                     {{{"role", "internal_user"}, {"user_email", 5}}, {"user_email"}},
                                                     {{{"role", "internal_user"}}, Json::array()},
                                                     {5, Json::array()},
                                                     {"x", Json::array()}};
    for (const auto &[member, place] : members) {
        Json alone = {"body", "member"}, in_list = {"body", "member", 0};
        alone.insert(alone.end(), place.begin(), place.end());
        in_list.insert(in_list.end(), place.begin(), place.end());
        EXPECT_THAT(add(member), e3(alone)) << member;
        EXPECT_THAT(add(Json::array({member})), e3(in_list)) << member;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(Mapping, TellsWhatIsWrongInAPatch)
{
    const std::string id = organization(), route = "PATCH /v2/organization/" + id;
    const auto before = database_digest();
    const std::vector<std::pair<std::string, Json>> wrong{{"max_budget", -1},
                                                          {"max_budget", "NaN"},
                                                          {"max_budget", Json::array()},
                                                          {"soft_budget", "x"},
                                                          {"tpm_limit", 1.5},
                                                          {"rpm_limit", 1e30},
                                                          {"max_parallel_requests", true},
                                                          {"budget_duration", 5},
                                                          {"metadata", "x"},
                                                          {"models", "x"},
                                                          {"models", nullptr},
                                                          {"models", {1, 2}},
                                                          {"tags", 5},
                                                          {"model_aliases", 5},
                                                          {"default_reserve", "x"},
                                                          {"model_max_budget", "x"},
                                                          {"blocked", "x"},
                                                          {"organization_alias", nullptr}};
    for (const auto &[field, sent] : wrong) {
        EXPECT_THAT(call(route, {{field, sent}}), testing::AnyOf(e3({"body", field}), e3({"body", field, 0})))
            << field << " " << sent;
    }
    for (const Json &body : {Json::array(), Json("x"), Json(5)})
        EXPECT_EQ(call(route, body).status, 422) << body;
    EXPECT_THAT(call(route + "?cascade=perhaps", {{"max_budget", 1}}), e3({"query", "cascade"}, "bool_parsing"));
    EXPECT_EQ(database_digest(), before);
}

TEST(Mapping, DecodesPathsAndQueries)
{
    const std::string id = fresh("a b/c?d%é");
    organization({{"organization_id", id}, {"organization_alias", "plus or blank"}});
    EXPECT_EQ(ask("PATCH /v2/organization/" + encoded(id), {{"max_budget", 3}}).at("organization_id"), id);
    EXPECT_EQ(info(id).at("organization_id"), id);
    EXPECT_THAT(exchange("GET /organization/list?org_alias=plus+or+blank HTTP/1.1\r\nHost: localhost\r\nx-api-key: " +
                         admin_key() + "\r\n\r\n"),
                HasSubstr("plus or blank"));
}

TEST(Mapping, TellsWhatIsWrongInAQuery)
{
    for (const char *limit : {"0", "-1", "1001", "abc", "1.5", "9223372036854775808"})
        EXPECT_THAT(call("GET /organization/list?limit=" + std::string{limit}), e3({"query", "limit"})) << limit;
    EXPECT_THAT(call("GET /user/list?role=king"), e3({"query", "role"}, "value_error"));
    const std::string activity = "GET /organization/daily/activity";
    EXPECT_THAT(call(activity), e2(400, "Please provide start_date and end_date"));
    const std::string dates = activity + "?start_date=2026-03-01&end_date=2026-03-31";
    EXPECT_THAT(call(activity + "?end_date=2026-03-31&start_date=2026-02-30"), e3({"query", "start_date"}));
    EXPECT_THAT(call(dates + "&page=0"), e3({"query", "page"}));
    EXPECT_THAT(call(dates + "&page_size=many"), e3({"query", "page_size"}, "int_parsing"));
}

// A standard code of the database, and the status that it becomes.
TEST(Mapping, GivesEachKindOfRefusalItsStatus)
{
    const std::string id = organization({{"models", {"a"}}}), budget_id = info(id).at("budget_id");
    const std::string key = key_for({{"organization_id", id}});
    const auto before = database_digest();
    EXPECT_THAT(call("POST /organization/new", {{"organization_alias", "x"}, {"organization_id", id}}),
                e2(409, HasSubstr(id)));
    EXPECT_THAT(call("POST /budget/delete", {{"id", budget_id}}), e2(409, HasSubstr(id)));
    EXPECT_THAT(call("POST /organization/new", {{"organization_alias", "x"}, {"budget_id", "no-such-budget"}}),
                e2(400, HasSubstr("no-such-budget")));
    EXPECT_THAT(call("POST /team/new", {{"organization_id", id}, {"models", {"b"}}}), e2(400, HasSubstr("b")));
    EXPECT_THAT(call("PATCH /organization/update", {{"organization_id", "no-such-org"}}),
                e2(404, HasSubstr("no-such-org")));
    EXPECT_THAT(call("POST /organization/member_add",
                     {{"organization_id", "no-such-org"}, {"member", {{"role", "internal_user"}, {"user_id", "x"}}}}),
                e1(404, HasSubstr("not found"), testing::_));
    EXPECT_THAT(call("POST /key/generate", {{"key", key}}), e1(409, testing::Not(HasSubstr(key)), testing::_));
    EXPECT_EQ(database_digest(), before);
}

TEST(Mapping, GivesTheRequestsIdToTheAuditLog)
{
    const std::string id = organization();
    httplib::Headers headers = bearer(admin_key());
    headers.emplace("x-request-id", "traced-1");
    ASSERT_EQ(send("POST /team/new", Json{{"organization_id", id}}.dump(), headers).status, 200);
    const Json newest = ask("GET /organization/audit?limit=1&organization_id=" + id).at(0);
    EXPECT_EQ(newest.at("action"), "team_new");
    EXPECT_EQ(newest.at("request_id"), "traced-1");
}

} // namespace
} // namespace pg_org::test
