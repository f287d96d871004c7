// POST /organization/new

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::HasSubstr;

const std::string route = "POST /organization/new";

Json alias_and(Json fields)
{
    fields["organization_alias"] = fresh("alias");
    return fields;
}

TEST(OrganizationNew, AnswersTheWholeOrganizationWithEveryDefault)
{
    Json made = ask(route, {{"organization_alias", "acme"}});
    EXPECT_TRUE(is_organization(made));
    EXPECT_TRUE(is_uuid(made["organization_id"]));
    EXPECT_EQ(made["organization_alias"], "acme");
    EXPECT_EQ(made["spend"], 0.0);
    EXPECT_EQ(made["model_spend"], Json::object());
    EXPECT_EQ(made["metadata"], Json::object());
    EXPECT_EQ(made["models"], Json::array());
    EXPECT_EQ(made["blocked"], false);
    EXPECT_EQ(made["tags"], Json::array());
    EXPECT_EQ(made["model_aliases"], Json::object());
    EXPECT_EQ(made["default_reserve"], nullptr);
    EXPECT_EQ(made["members"], Json::array());
    EXPECT_EQ(made["teams"], Json::array());
    EXPECT_EQ(made["created_by"], "default_user_id");
    EXPECT_EQ(made["updated_by"], "default_user_id");
    EXPECT_EQ(made["created_at"], made["updated_at"]);
}

TEST(OrganizationNew, AlwaysMakesABudgetEvenWithNoField)
{
    Json budget = ask(route, alias_and({}))["litellm_budget_table"];
    EXPECT_TRUE(is_uuid(budget["budget_id"]));
    for (const char *field : {"max_budget", "soft_budget", "max_parallel_requests", "tpm_limit", "rpm_limit",
                              "model_max_budget", "budget_duration", "budget_reset_at"}) {
        EXPECT_EQ(budget[field], nullptr) << field;
    }
    EXPECT_EQ(value("SELECT count(*) FROM org.budget WHERE budget_id = $1", budget["budget_id"].get<std::string>()),
              "1");
}

TEST(OrganizationNew, KeepsEveryFieldThatWasSent)
{
    const Json sent = {
        {"organization_id", fresh("sent")},
        {"organization_alias", "Ümlaut & Søns"},
        {"models", {"gpt-4o", "claude-3-opus"}},
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
    };
    const Json made = ask(route, sent);
    EXPECT_TRUE(is_organization(made));
    for (const char *field :
         {"organization_id", "organization_alias", "models", "blocked", "tags", "model_aliases", "default_reserve"}) {
        EXPECT_EQ(made.at(field), sent.at(field)) << field;
    }
    EXPECT_EQ(nlohmann::json(made.at("metadata")), nlohmann::json(sent.at("metadata")));
    const Json &budget = made.at("litellm_budget_table");
    for (const char *field :
         {"tpm_limit", "rpm_limit", "max_parallel_requests", "budget_duration", "max_budget", "soft_budget"}) {
        EXPECT_EQ(budget.at(field), sent.at(field)) << field;
    }
    EXPECT_EQ(nlohmann::json(budget.at("model_max_budget")), nlohmann::json(sent.at("model_max_budget")));
    EXPECT_EQ(budget.at("budget_id"), made.at("budget_id"));
    EXPECT_EQ(info(sent.at("organization_id")), made);
}

TEST(OrganizationNew, WritesMoneyWithADecimalPointAndAllItsDigits)
{
    const Reply reply =
        send(route, R"({"organization_alias": "rich", "max_budget": 12345678901234.56, "soft_budget": 100})",
             bearer(admin_key()));
    EXPECT_THAT(reply.text, testing::ContainsRegex(R"("max_budget": ?12345678901234\.56[,}])"));
    EXPECT_THAT(reply.text, testing::ContainsRegex(R"("soft_budget": ?100\.0[,}])"));
    EXPECT_THAT(reply.text, testing::ContainsRegex(R"("spend": ?0\.0[,}])"));
}

TEST(OrganizationNew, NeedsAnAliasThatMayBeEmptyAndNeedNotBeUnique)
{
    for (const Json &body : {Json::object(), Json{{"organization_alias", nullptr}}}) {
        EXPECT_THAT(call(route, body), e3({"body", "organization_alias"}, "missing"));
    }
    EXPECT_EQ(ask(route, {{"organization_alias", ""}}).at("organization_alias"), "");
    ask(route, {{"organization_alias", "twin"}});
    ask(route, {{"organization_alias", "twin"}});
}

TEST(OrganizationNew, GivesQuotas)
{
    const std::string id = organization({{"quotas", {{"max_teams", 0}}}});
    EXPECT_EQ(info(id).at("quotas"), (Json{{"max_teams", 0}}));
    EXPECT_THAT(call("POST /team/new", {{"organization_id", id}}),
                e2(400, "Organization=" + id + " has reached its quota max_teams=0"));
}

TEST(OrganizationNew, TakesANullForAnAbsentFieldButNotForModels)
{
    Json body = alias_and({});
    for (const char *field : {"organization_id", "budget_id", "max_budget", "soft_budget", "tpm_limit", "rpm_limit",
                              "max_parallel_requests", "model_max_budget", "budget_duration", "metadata", "blocked",
                              "tags", "model_aliases", "default_reserve", "quotas"}) {
        body[field] = nullptr;
    }
    const Json made = ask(route, body);
    EXPECT_TRUE(is_organization(made));
    EXPECT_EQ(made.at("metadata"), Json::object());
    EXPECT_EQ(made.at("tags"), Json::array());

    EXPECT_THAT(call(route, alias_and({{"models", nullptr}})), e3({"body", "models"}));
}

TEST(OrganizationNew, IgnoresUnknownFieldsAndWhatIsNotTheClientsToSay)
{
    const Json made = ask(route, alias_and({{"colour", "blue"}, {"spend", 5}, {"created_by", "me"}, {"members", {1}}}));
    EXPECT_EQ(made.at("spend"), 0.0);
    EXPECT_EQ(made.at("created_by"), "default_user_id");
    EXPECT_EQ(made.at("members"), Json::array());
}

TEST(OrganizationNew, AttachesTheBudgetNamedByBudgetId)
{
    const Json first = ask(route, alias_and({{"max_budget", 7}}));
    const Json second = ask(route, alias_and({{"budget_id", first.at("budget_id")}, {"max_budget", nullptr}}));
    EXPECT_EQ(second.at("litellm_budget_table"), first.at("litellm_budget_table"));
}

TEST(OrganizationNew, RefusesAnUnknownBudgetIdNamingIt)
{
    const auto before = database_digest();
    EXPECT_THAT(call(route, alias_and({{"budget_id", "no-such-budget"}})), e2(400, HasSubstr("no-such-budget")));
    EXPECT_EQ(database_digest(), before);
}

TEST(OrganizationNew, RefusesBudgetFieldsBesideABudgetId)
{
    const std::string budget_id = ask(route, alias_and({{"max_budget", 7}})).at("budget_id");
    const auto before = database_digest();
    const Json fields = {{"max_budget", 8},        {"soft_budget", 8},           {"tpm_limit", 8},
                         {"rpm_limit", 8},         {"max_parallel_requests", 8}, {"model_max_budget", Json::object()},
                         {"budget_duration", "8d"}};
    for (const auto &[field, sent] : fields.items()) {
        EXPECT_THAT(call(route, alias_and({{"budget_id", budget_id}, {field, sent}})), e2(400, testing::_)) << field;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(OrganizationNew, ResetsTheBudgetADurationFromNow)
{
    const std::vector<std::pair<std::string, std::string>> durations{
        {"30s", "30 seconds"}, {"5m", "5 minutes"}, {"2h", "2 hours"}, {"7d", "7 days"},
        {"1w", "7 days"},      {"1mo", "1 month"},  {"12mo", "1 year"}};
    for (const auto &[duration, interval] : durations) {
        const Json made = ask(route, alias_and({{"budget_duration", duration}}));
        EXPECT_EQ(made.at("litellm_budget_table").at("budget_duration"), duration);
        EXPECT_EQ(value("SELECT budget_reset_at AT TIME ZONE 'UTC' = (created_at AT TIME ZONE 'UTC') + $2::interval"
                        " FROM org.budget WHERE budget_id = $1",
                        made.at("budget_id").get<std::string>(), interval),
                  "t")
            << duration;
    }
}

TEST(OrganizationNew, RefusesADurationThatIsNotANumberAndAUnit)
{
    const auto before = database_digest();
    for (const char *duration : {"30days",
                                 "30",
                                 "0d",
                                 "bogus",
                                 "",
                                 "d",
                                 "-1d",
                                 "+1d",
                                 "1.5h",
                                 " 1d",
                                 "1d ",
                                 "1 d",
                                 "1D",
                                 "1M",
                                 "1y",
                                 "1mo2d",
                                 "1e3s",
                                 "٣d",
                                 "99999999999999999999d",
                                 "9223372036854775807mo"}) {
        EXPECT_THAT(call(route, alias_and({{"budget_duration", duration}})), e3({"body", "budget_duration"}))
            << duration;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(OrganizationNew, TakesNumericStringsAndZero)
{
    const Json budget = ask(route, alias_and({{"max_budget", "10"},
                                              {"soft_budget", "1.5"},
                                              {"tpm_limit", "7"},
                                              {"rpm_limit", 0},
                                              {"max_parallel_requests", "0"}}))
                            .at("litellm_budget_table");
    EXPECT_TRUE(is_budget(budget));
    EXPECT_EQ(budget.at("max_budget"), 10.0);
    EXPECT_EQ(budget.at("soft_budget"), 1.5);
    EXPECT_EQ(budget.at("tpm_limit"), 7);
    EXPECT_EQ(budget.at("rpm_limit"), 0);
    EXPECT_EQ(budget.at("max_parallel_requests"), 0);
}

TEST(OrganizationNew, RefusesMoneyThatIsNotFiniteAndZeroOrMore)
{
    const auto before = database_digest();
    for (const char *field : {"max_budget", "soft_budget"}) {
        for (const Json &sent : {Json(-1), Json(-0.01), Json("-1"), Json("NaN"), Json("Infinity"), Json("-Infinity")}) {
            EXPECT_THAT(call(route, alias_and({{field, sent}})), e3({"body", field})) << sent;
        }
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(OrganizationNew, RefusesLimitsBelowZeroOrBeyond64Bits)
{
    const auto before = database_digest();
    for (const char *field : {"tpm_limit", "rpm_limit", "max_parallel_requests"}) {
        for (const Json &sent :
             {Json(-1), Json("-1"), Json(9223372036854775808u), Json("9223372036854775808"), Json(1e30)}) {
            EXPECT_THAT(call(route, alias_and({{field, sent}})), e3({"body", field})) << sent;
        }
        EXPECT_THAT(call(route, alias_and({{field, 1.5}})), e3({"body", field}, "int_from_float"));
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(OrganizationNew, RefusesAnIdThatIsTakenLeavingNothingBehind)
{
    const std::string id = organization();
    const auto before = database_digest();
    EXPECT_THAT(call(route, alias_and({{"organization_id", id}, {"max_budget", 1}})), e2(409, testing::_));
    EXPECT_EQ(database_digest(), before);
}

TEST(OrganizationNew, IsSignedByItsCaller)
{
    const Person other = person("proxy_admin");
    const Json made = ask(route, alias_and({}), other.key);
    EXPECT_EQ(made.at("created_by"), other.id);
    EXPECT_EQ(made.at("updated_by"), other.id);
    EXPECT_EQ(made.at("litellm_budget_table").at("created_by"), other.id);
}

TEST(OrganizationNew, CannotGiveMoreModelsThanTheCallersKeyHas)
{
    const std::string key = key_for({{"user_id", "default_user_id"}, {"models", {"gpt-4o", "claude-3"}}});
    const auto before = database_digest();
    EXPECT_THAT(
        call(route, alias_and({{"models", Json::array()}}), key),
        e2(400, "User not allowed to give access to all models. Select models you want org to have access to."));
    EXPECT_THAT(call(route, alias_and({}), key), e2(400, HasSubstr("User not allowed to give access to all models.")));
    EXPECT_THAT(call(route, alias_and({{"models", {"gpt-4o", "o1"}}}), key),
                e2(400, HasSubstr("User not allowed to give access to model=o1. Models you have access to = [")));
    EXPECT_EQ(database_digest(), before);

    EXPECT_EQ(ask(route, alias_and({{"models", Json::array({"gpt-4o"})}}), key).at("models"), Json::array({"gpt-4o"}));
}

TEST(OrganizationNew, CountsWildcardsInTheCallersKey)
{
    const std::string key = key_for({{"user_id", "default_user_id"}, {"models", Json::array({"openai/*"})}});
    ask(route, alias_and({{"models", {"openai/gpt-4o", "openai/o1"}}}), key);
    EXPECT_THAT(call(route, alias_and({{"models", {"openai/gpt-4o", "anthropic/claude-3"}}}), key),
                e2(400, HasSubstr("User not allowed to give access to model=anthropic/claude-3.")));
}

TEST(OrganizationNew, CountsAllProxyModelsInTheCallersKeyAsEveryModel)
{
    const std::string key = key_for({{"user_id", "default_user_id"}, {"models", Json::array({"all-proxy-models"})}});
    ask(route, alias_and({{"models", Json::array({"anything"})}}), key);
}

} // namespace
} // namespace pg_org::test
