// PATCH /v2/organization/{organization_id}

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::HasSubstr;

std::string route(const std::string &id) { return "PATCH /v2/organization/" + encoded(id); }

Json patch(const std::string &id, const Json &fields) { return ask(route(id), fields); }

const Json everything = {{"models", Json::array({"m"})},
                         {"metadata", {{"a", 1}, {"b", {{"c", 2}, {"d", 3}}}}},
                         {"blocked", true},
                         {"tags", Json::array({"t"})},
                         {"model_aliases", {{"x", "m"}, {"y", "m"}}},
                         {"default_reserve", 0.5},
                         {"max_budget", 9},
                         {"soft_budget", 8},
                         {"tpm_limit", 7},
                         {"rpm_limit", 6},
                         {"max_parallel_requests", 5},
                         {"model_max_budget", {{"m", 4}}},
                         {"budget_duration", "3d"}};

TEST(OrganizationPatch, SetsEveryFieldAndLeavesTheRest)
{
    const std::string id = organization();
    for (const auto &[field, sent] : everything.items()) {
        Json expected = info(id);
        Json changed = patch(id, {{field, sent}});
        EXPECT_TRUE(is_organization(changed)) << field;
        Json &holder = expected.contains(field) ? expected : expected["litellm_budget_table"];
        holder[field] = sent;
        for (Json *object : {&expected, &expected["litellm_budget_table"]}) {
            (*object)["updated_at"] = nullptr;
            if (object->contains("budget_reset_at"))
                (*object)["budget_reset_at"] = nullptr;
        }
        for (Json *object : {&changed, &changed["litellm_budget_table"]}) {
            (*object)["updated_at"] = nullptr;
            if (object->contains("budget_reset_at"))
                (*object)["budget_reset_at"] = nullptr;
        }
        EXPECT_EQ(nlohmann::json(changed), nlohmann::json(expected)) << field;
    }
    EXPECT_EQ(patch(id, {{"organization_alias", "renamed"}}).at("organization_alias"), "renamed");
}

TEST(OrganizationPatch, ClearsWithNull)
{
    Json cleared;
    const std::string id = organization(everything);
    for (const auto &[field, sent] : everything.items()) {
        if (field != "models")
            cleared = patch(id, {{field, nullptr}});
    }
    EXPECT_EQ(cleared["metadata"], Json::object());
    EXPECT_EQ(cleared["blocked"], false);
    EXPECT_EQ(cleared["tags"], Json::array());
    EXPECT_EQ(cleared["model_aliases"], Json::object());
    EXPECT_EQ(cleared["default_reserve"], nullptr);
    EXPECT_EQ(cleared["models"], Json::array({"m"}));
    for (const char *field : {"max_budget", "soft_budget", "tpm_limit", "rpm_limit", "max_parallel_requests",
                              "model_max_budget", "budget_duration", "budget_reset_at"}) {
        EXPECT_EQ(cleared["litellm_budget_table"][field], nullptr) << field;
    }
}

TEST(OrganizationPatch, MergesObjectsAsRfc7396Says)
{
    const std::string id = organization(everything);
    const Json merged =
        patch(id, {{"metadata", {{"a", nullptr}, {"b", {{"c", nullptr}, {"e", 5}}}, {"f", {{"g", nullptr}}}}},
                   {"model_aliases", {{"x", nullptr}, {"z", "m"}}}});
    EXPECT_EQ(nlohmann::json(merged.at("metadata")), nlohmann::json::parse(R"({"b": {"d": 3, "e": 5}, "f": {}})"));
    EXPECT_EQ(nlohmann::json(merged.at("model_aliases")), nlohmann::json::parse(R"({"y": "m", "z": "m"})"));
    EXPECT_EQ(patch(id, {{"tags", Json::array({"u"})}}).at("tags"), Json::array({"u"})) << "lists are replaced";
}

TEST(OrganizationPatch, CannotClearAliasOrModels)
{
    const std::string id = organization();
    const auto before = database_digest();
    for (const char *field : {"organization_alias", "models"}) {
        EXPECT_THAT(call(route(id), {{"max_budget", 1}, {field, nullptr}}), e3({"body", field}));
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(OrganizationPatch, RefusesAnUnknownField)
{
    const std::string id = organization();
    const auto before = database_digest();
    for (const char *field : {"colour", "spend", "organization_id", "litellm_budget_table", "clear"}) {
        EXPECT_THAT(call(route(id), {{"max_budget", 1}, {field, "x"}}), e3({"body", field})) << field;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(OrganizationPatch, RefusesWhatIsWrong)
{
    const std::string id = organization();
    const auto before = database_digest();
    const std::vector<std::pair<std::string, Json>> wrong{{"max_budget", -1},
                                                          {"max_budget", "NaN"},
                                                          {"max_budget", Json::array()},
                                                          {"soft_budget", "x"},
                                                          {"tpm_limit", 1.5},
                                                          {"tpm_limit", -1},
                                                          {"rpm_limit", 1e30},
                                                          {"max_parallel_requests", true},
                                                          {"budget_duration", "30days"},
                                                          {"budget_duration", 5},
                                                          {"metadata", Json::array()},
                                                          {"metadata", "x"},
                                                          {"models", "x"},
                                                          {"models", {1, 2}},
                                                          {"tags", 5},
                                                          {"model_aliases", 5},
                                                          {"default_reserve", -0.01},
                                                          {"default_reserve", "x"},
                                                          {"model_max_budget", "x"},
                                                          {"blocked", "x"},
                                                          {"blocked", Json::array()},
                                                          {"organization_alias", 5}};
    for (const auto &[field, sent] : wrong) {
        const Reply reply = call(route(id), {{field, sent}});
        EXPECT_THAT(reply, testing::AnyOf(e3({"body", field}), e3({"body", field, 0}))) << field << " " << sent;
    }
    for (const Json &body : {Json::array(), Json("x"), Json(5)}) {
        EXPECT_EQ(call(route(id), body).status, 422) << body;
    }
    EXPECT_EQ(database_digest(), before);
}

TEST(OrganizationPatch, ChangesNothingWhenEmpty)
{
    const std::string id = organization(everything);
    Json expected = info(id);
    Json changed = patch(id, Json::object());
    expected["updated_at"] = changed["updated_at"];
    EXPECT_EQ(changed, expected);
}

TEST(OrganizationPatch, CopiesASharedBudgetBeforeChangingIt)
{
    const std::string first = organization({{"max_budget", 10}});
    const std::string second = organization({{"budget_id", info(first).at("budget_id")}});
    EXPECT_NE(patch(first, {{"max_budget", nullptr}}).at("budget_id"), info(second).at("budget_id"));
    EXPECT_EQ(info(second).at("litellm_budget_table").at("max_budget"), 10.0);
}

TEST(OrganizationPatch, ReadsAnEscapedIdFromThePath)
{
    const std::string id = fresh("a b/c?d%é");
    organization({{"organization_id", id}});
    EXPECT_EQ(patch(id, {{"max_budget", 3}}).at("organization_id"), id);
}

TEST(OrganizationPatch, TellsWhatIsWrongInTheQuery)
{
    EXPECT_THAT(call(route(organization()) + "?cascade=perhaps", {{"max_budget", 1}}),
                e3({"query", "cascade"}, "bool_parsing"));
}

TEST(OrganizationPatch, RefusesAnUnknownOrganization)
{
    EXPECT_THAT(call(route("no-such-org"), {{"max_budget", 1}}), e2(404, HasSubstr("no-such-org")));
}

} // namespace
} // namespace pg_org::test
