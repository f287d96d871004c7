// PATCH /organization/update

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::HasSubstr;

const std::string route = "PATCH /organization/update";

Json update(const std::string &id, Json fields)
{
    fields["organization_id"] = id;
    return ask(route, fields);
}

Json budget_of(const std::string &id) { return info(id).at("litellm_budget_table"); }

TEST(OrganizationUpdate, ChangesWhatIsSentAndNothingElse)
{
    const std::string id =
        organization({{"models", Json::array({"a"})}, {"tags", Json::array({"t"})}, {"max_budget", 5}});
    Json expected = info(id);
    const Person other = person("proxy_admin");
    Json changed = ask(route, {{"organization_id", id}, {"organization_alias", "renamed"}}, other.key);
    EXPECT_TRUE(is_organization(changed));
    EXPECT_GT(changed.at("updated_at"), expected.at("updated_at"));
    expected["organization_alias"] = "renamed";
    expected["updated_by"] = other.id;
    expected["updated_at"] = changed["updated_at"];
    EXPECT_EQ(changed, expected);
    EXPECT_EQ(info(id), expected);
}

TEST(OrganizationUpdate, SetsEveryField)
{
    const std::string id = organization();
    const Json changed = update(id, {{"organization_alias", "n"},
                                     {"models", Json::array({"m"})},
                                     {"metadata", {{"k", "v"}}},
                                     {"blocked", true},
                                     {"tags", Json::array({"t"})},
                                     {"model_aliases", {{"x", "m"}}},
                                     {"default_reserve", "0.5"},
                                     {"max_budget", 9},
                                     {"soft_budget", 8},
                                     {"tpm_limit", 7},
                                     {"rpm_limit", 6},
                                     {"max_parallel_requests", 5},
                                     {"model_max_budget", {{"m", 4}}},
                                     {"budget_duration", "3d"}});
    EXPECT_TRUE(is_organization(changed));
    EXPECT_EQ(changed.at("organization_alias"), "n");
    EXPECT_EQ(changed.at("models"), Json::array({"m"}));
    EXPECT_EQ(changed.at("blocked"), true);
    EXPECT_EQ(changed.at("tags"), Json::array({"t"}));
    EXPECT_EQ(changed.at("model_aliases"), (Json{{"x", "m"}}));
    EXPECT_EQ(changed.at("default_reserve"), 0.5);
    const Json &budget = changed.at("litellm_budget_table");
    EXPECT_EQ(budget.at("max_budget"), 9.0);
    EXPECT_EQ(budget.at("soft_budget"), 8.0);
    EXPECT_EQ(budget.at("tpm_limit"), 7);
    EXPECT_EQ(budget.at("rpm_limit"), 6);
    EXPECT_EQ(budget.at("max_parallel_requests"), 5);
    EXPECT_EQ(budget.at("model_max_budget"), (Json{{"m", 4}}));
    EXPECT_EQ(budget.at("budget_duration"), "3d");
}

TEST(OrganizationUpdate, ReplacesTheWholeMetadata)
{
    const std::string id = organization({{"metadata", {{"a", 1}, {"b", 2}}}});
    EXPECT_EQ(update(id, {{"metadata", {{"c", 3}}}}).at("metadata"), (Json{{"c", 3}}));
    EXPECT_EQ(update(id, {{"metadata", Json::object()}}).at("metadata"), Json::object());
}

TEST(OrganizationUpdate, LeavesAsTheyAreTheFieldsThatAreNull)
{
    const std::string id = organization({{"metadata", {{"a", 1}}}, {"max_budget", 5}, {"models", Json::array({"m"})}});
    Json expected = info(id);
    Json changed = update(id, {{"organization_alias", nullptr},
                               {"models", nullptr},
                               {"metadata", nullptr},
                               {"max_budget", nullptr},
                               {"budget_id", nullptr},
                               {"litellm_budget_table", {{"max_budget", nullptr}}},
                               {"clear", nullptr}});
    expected["updated_at"] = changed["updated_at"];
    EXPECT_EQ(changed, expected);
}

TEST(OrganizationUpdate, TakesBudgetFieldsFlatOrNestedAndFlatWins)
{
    const std::string id = organization({{"max_budget", 1}, {"tpm_limit", 1}});
    const std::string budget_id = budget_of(id).at("budget_id");
    const Json budget = update(id, {{"litellm_budget_table", {{"max_budget", 2}, {"tpm_limit", 2}, {"rpm_limit", 2}}},
                                    {"tpm_limit", 3}})
                            .at("litellm_budget_table");
    EXPECT_EQ(budget.at("max_budget"), 2.0);
    EXPECT_EQ(budget.at("tpm_limit"), 3);
    EXPECT_EQ(budget.at("rpm_limit"), 2);
    EXPECT_EQ(budget.at("budget_id"), budget_id) << "a budget of its own is changed in place";
}

TEST(OrganizationUpdate, RefusesWhatIsWrongInsideTheNestedBudget)
{
    const std::string id = organization();
    const auto before = database_digest();
    const Json wrong = {{"max_budget", -1},
                        {"soft_budget", "NaN"},
                        {"tpm_limit", 1.5},
                        {"budget_duration", "30days"},
                        {"model_max_budget", Json::array()}};
    for (const auto &[field, sent] : wrong.items()) {
        EXPECT_THAT(call(route, {{"organization_id", id}, {"litellm_budget_table", {{field, sent}}}}),
                    testing::AnyOf(e3({"body", "litellm_budget_table", field}), e3({"body", field})));
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(OrganizationUpdate, ClearsTheFieldsNamedByClear)
{
    const std::string id = organization({{"metadata", {{"a", 1}}},
                                         {"tags", Json::array({"t"})},
                                         {"model_aliases", {{"x", "m"}}},
                                         {"default_reserve", 1},
                                         {"max_budget", 9},
                                         {"soft_budget", 8},
                                         {"tpm_limit", 7},
                                         {"rpm_limit", 6},
                                         {"max_parallel_requests", 5},
                                         {"model_max_budget", {{"m", 4}}},
                                         {"budget_duration", "3d"}});
    Json cleared = update(id, {{"clear", {"metadata", "max_budget", "tpm_limit", "budget_duration"}}});
    EXPECT_EQ(cleared["metadata"], Json::object());
    EXPECT_EQ(cleared["tags"], Json::array({"t"}));
    Json budget = cleared["litellm_budget_table"];
    EXPECT_EQ(budget["max_budget"], nullptr);
    EXPECT_EQ(budget["tpm_limit"], nullptr);
    EXPECT_EQ(budget["budget_duration"], nullptr);
    EXPECT_EQ(budget["budget_reset_at"], nullptr) << "no period, no reset";
    EXPECT_EQ(budget["rpm_limit"], 6);

    cleared = update(id, {{"clear",
                           {"tags", "model_aliases", "default_reserve", "soft_budget", "rpm_limit",
                            "max_parallel_requests", "model_max_budget"}}});
    EXPECT_EQ(cleared["tags"], Json::array());
    EXPECT_EQ(cleared["model_aliases"], Json::object());
    EXPECT_EQ(cleared["default_reserve"], nullptr);
    budget = cleared["litellm_budget_table"];
    for (const char *field : {"soft_budget", "rpm_limit", "max_parallel_requests", "model_max_budget"}) {
        EXPECT_EQ(budget[field], nullptr) << field;
    }
}

TEST(OrganizationUpdate, RefusesToClearWhatIsNoFieldOrCannotBeNull)
{
    const std::string id = organization();
    const auto before = database_digest();
    for (const char *field : {"no_such_field", "organization_id", "created_by", "spend", ""}) {
        const Reply reply = call(route, {{"organization_id", id}, {"clear", Json::array({field})}});
        EXPECT_THAT(reply, testing::AnyOf(e3({"body", "clear"}), e3({"body", "clear", 0}))) << field;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(OrganizationUpdate, CopiesASharedBudgetBeforeChangingIt)
{
    const std::string first = organization({{"max_budget", 10}, {"rpm_limit", 3}, {"budget_duration", "1d"}});
    const std::string second = organization({{"budget_id", budget_of(first).at("budget_id")}});
    const Json shared = budget_of(second);

    const Json own = update(first, {{"max_budget", 20}}).at("litellm_budget_table");
    EXPECT_NE(own.at("budget_id"), shared.at("budget_id"));
    EXPECT_EQ(own.at("max_budget"), 20.0);
    EXPECT_EQ(own.at("rpm_limit"), 3);
    EXPECT_EQ(own.at("budget_duration"), "1d");
    EXPECT_EQ(own.at("budget_reset_at"), shared.at("budget_reset_at"));
    EXPECT_EQ(budget_of(second), shared) << "nobody else's limits move";

    const Json again = update(second, {{"max_budget", 30}}).at("litellm_budget_table");
    EXPECT_EQ(again.at("budget_id"), shared.at("budget_id")) << "no longer shared: changed in place";
}

TEST(OrganizationUpdate, CopiesABudgetSharedWithAMembershipToo)
{
    const std::string id = organization({{"max_budget", 10}});
    const Person member = person();
    join(id, member.id);
    const std::string shared = budget_of(id).at("budget_id");
    query("UPDATE org.membership SET budget_id = $1 WHERE user_id = $2", shared, member.id);

    EXPECT_NE(update(id, {{"max_budget", 20}}).at("budget_id"), shared);
    EXPECT_EQ(member_of(id, member.id).at("litellm_budget_table").at("max_budget"), 10.0);
}

TEST(OrganizationUpdate, AttachesAnotherBudgetAndDropsTheOneNobodyHasAnyMore)
{
    const std::string first = organization({{"max_budget", 1}});
    const std::string second = organization({{"max_budget", 2}});
    const Json old_budget = budget_of(first);
    const Json new_budget = budget_of(second);
    EXPECT_EQ(update(first, {{"budget_id", new_budget.at("budget_id")}}).at("litellm_budget_table"), new_budget);
    EXPECT_EQ(ask("POST /budget/info", {{"budgets", Json::array({old_budget.at("budget_id")})}}), Json::array());
}

TEST(OrganizationUpdate, KeepsTheLeftBudgetWhileSomebodyElseHasIt)
{
    const std::string first = organization({{"max_budget", 1}});
    const std::string second = organization({{"budget_id", budget_of(first).at("budget_id")}});
    const std::string third = organization();
    const Json kept = budget_of(second);
    update(first, {{"budget_id", budget_of(third).at("budget_id")}});
    EXPECT_EQ(budget_of(second), kept);
}

TEST(OrganizationUpdate, KeepsALeftBudgetThatSomebodyMadeByHand)
{
    const std::string budget_id = fresh("by-hand");
    query("INSERT INTO org.budget (budget_id) VALUES ($1)", budget_id);
    const std::string id = organization({{"budget_id", budget_id}});
    update(id, {{"budget_id", info(organization()).at("budget_id")}});
    EXPECT_EQ(ask("POST /budget/info", {{"budgets", Json::array({budget_id})}}).size(), 1u);
}

TEST(OrganizationUpdate, RecomputesTheResetWithTheDuration)
{
    const std::string id = organization({{"budget_duration", "1d"}});
    const std::string before = budget_of(id).at("budget_reset_at");
    const Json budget = update(id, {{"budget_duration", "7d"}}).at("litellm_budget_table");
    EXPECT_EQ(value("SELECT budget_reset_at = updated_at + interval '7 days' FROM org.budget WHERE budget_id = $1",
                    budget.at("budget_id").get<std::string>()),
              "t");
    EXPECT_EQ(update(id, {{"max_budget", 1}}).at("litellm_budget_table").at("budget_reset_at"),
              budget.at("budget_reset_at"))
        << "other fields leave the reset alone";
}

TEST(OrganizationUpdate, IgnoresSpendAndUpdatedByFromTheClient)
{
    const std::string id = organization();
    const Json changed = update(id, {{"spend", 1000}, {"updated_by", "somebody"}, {"colour", "blue"}});
    EXPECT_EQ(changed.at("spend"), 0.0);
    EXPECT_EQ(changed.at("updated_by"), "default_user_id");
}

TEST(OrganizationUpdate, RefusesAnUnknownOrganizationOrBudget)
{
    const std::string id = organization();
    const auto before = database_digest();
    EXPECT_THAT(call(route, {{"organization_id", "no-such-org"}, {"organization_alias", "x"}}),
                e2(404, HasSubstr("no-such-org")));
    EXPECT_THAT(call(route, {{"organization_id", id}, {"organization_alias", "x"}, {"budget_id", "no-such-budget"}}),
                e2(400, HasSubstr("no-such-budget")));
    EXPECT_EQ(database_digest(), before);
}

TEST(OrganizationUpdate, NeedsAnOrganizationId)
{
    EXPECT_THAT(call(route, {{"organization_alias", "x"}}), e3({"body", "organization_id"}, "missing"));
    EXPECT_THAT(call(route, {{"organization_id", nullptr}}), e3({"body", "organization_id"}, "missing"));
}

} // namespace
} // namespace pg_org::test
