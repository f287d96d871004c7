// Several at once: what must be one stays one, and nobody is turned away without a reason.

#include "matchers.hpp"

namespace pg_org::test {
namespace {

constexpr int many = 20;

TEST(Concurrency, TwentyOrganizationsOfOneAliasAreAllMade)
{
    const std::string alias = fresh("parallel");
    const auto replies =
        in_parallel(many, [&](int) { return call("POST /organization/new", {{"organization_alias", alias}}); });
    EXPECT_EQ(count_status(replies, 200), many);
    EXPECT_EQ(ask("GET /organization/list?org_alias=" + alias).size(), static_cast<size_t>(many));
}

TEST(Concurrency, TwentyOrganizationsOfOneIdAreOne)
{
    const std::string id = fresh("parallel");
    const std::string budgets = value("SELECT count(*) + 1 FROM org.budget");
    const auto replies = in_parallel(many, [&](int) {
        return call("POST /organization/new", {{"organization_id", id}, {"organization_alias", "x"}});
    });
    EXPECT_EQ(count_status(replies, 200), 1);
    EXPECT_EQ(count_status(replies, 409), many - 1);
    EXPECT_EQ(value("SELECT count(*) FROM org.budget"), budgets) << "the refused left no budget behind";
}

TEST(Concurrency, OneNewEmailAddedManyTimesIsOneUser)
{
    const std::string id = organization();
    const std::string email = fresh("parallel") + "@example.com";
    const auto replies = in_parallel(many, [&](int number) {
        const std::string spelled = number % 2 ? email : "P" + email.substr(1);
        return call("POST /organization/member_add",
                    {{"organization_id", id}, {"member", {{"role", "internal_user"}, {"user_email", spelled}}}});
    });
    EXPECT_EQ(count_status(replies, 200), many);
    EXPECT_EQ(value("SELECT count(*) FROM org.\"user\" WHERE lower(user_email) = lower($1)", email), "1");
    EXPECT_EQ(info(id).at("members").size(), 1u);
}

TEST(Concurrency, OneNewEmailAddedToManyOrganizationsIsOneUser)
{
    std::vector<std::string> ids;
    for (int number = 0; number < many; ++number)
        ids.push_back(organization());
    const std::string email = fresh("parallel") + "@example.com";
    const auto replies = in_parallel(many, [&](int number) {
        return call("POST /organization/member_add",
                    {{"organization_id", ids[number]}, {"member", {{"role", "internal_user"}, {"user_email", email}}}});
    });
    EXPECT_EQ(count_status(replies, 200), many);
    EXPECT_EQ(value("SELECT count(*) FROM org.\"user\" WHERE user_email = $1", email), "1");
}

TEST(Concurrency, AMembersFirstBudgetIsMadeOnce)
{
    const std::string id = organization();
    for (int round = 0; round < 10; ++round) {
        const Person member = person();
        join(id, member.id);
        const std::string budgets = value("SELECT count(*) + 1 FROM org.budget");
        const auto replies = in_parallel(many, [&](int number) {
            return call("PATCH /organization/member_update",
                        {{"organization_id", id}, {"user_id", member.id}, {"max_budget_in_organization", number}});
        });
        EXPECT_EQ(count_status(replies, 200), many);
        EXPECT_EQ(value("SELECT count(*) FROM org.budget"), budgets);
    }
}

TEST(Concurrency, ASharedBudgetIsCopiedForAllButTheLast)
{
    std::vector<std::string> ids{organization({{"max_budget", 1}})};
    const std::string shared = info(ids[0]).at("budget_id");
    while (ids.size() < 8)
        ids.push_back(organization({{"budget_id", shared}}));
    const auto replies = in_parallel(8, [&](int number) {
        return call("PATCH /organization/update", {{"organization_id", ids[number]}, {"max_budget", 100 + number}});
    });
    EXPECT_EQ(count_status(replies, 200), 8);
    for (int number = 0; number < 8; ++number) {
        EXPECT_EQ(info(ids[number]).at("litellm_budget_table").at("max_budget"), 100.0 + number);
    }
}

TEST(Concurrency, AnOrganizationIsDeletedOnceAndTakesLateArrivalsAlong)
{
    const std::string id = organization();
    const auto replies = in_parallel(many, [&](int number) {
        return number % 2 ? call("DELETE /organization/delete", {{"organization_ids", Json::array({id})}})
                          : call("POST /organization/member_add",
                                 {{"organization_id", id},
                                  {"member", {{"role", "internal_user"}, {"user_id", fresh("late")}}}});
    });
    int deleted = 0;
    for (int number = 1; number < many; number += 2)
        deleted += replies[number].status == 200;
    EXPECT_EQ(deleted, 1);
    for (const Reply &reply : replies)
        EXPECT_THAT(reply.status, testing::AnyOf(200, 404));
    EXPECT_EQ(value("SELECT count(*) FROM org.membership WHERE organization_id = $1", id), "0");
}

} // namespace
} // namespace pg_org::test
