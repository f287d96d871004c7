// Idempotency-Key, ETag and If-Match

#include "matchers.hpp"

namespace pg_org::test {
namespace {

using testing::HasSubstr;

Reply with(const std::string &route, const Json &body, const std::string &header, const std::string &value,
           const std::string &key = admin_key())
{
    httplib::Headers headers = bearer(key);
    headers.emplace(header, value);
    return send(route, body.is_null() ? "" : body.dump(), headers);
}

std::string organizations() { return value("SELECT count(*) FROM org.organization"); }

TEST(IdempotencyKey, GivesTheFirstReplyAgainAndDoesNothingTwice)
{
    const std::string once = fresh("once");
    const Json body = {{"organization_alias", "acme"}};
    const Reply first = with("POST /organization/new", body, "Idempotency-Key", once);
    ASSERT_EQ(first.status, 200);
    const auto count = organizations();
    const Reply again = with("POST /organization/new", body, "Idempotency-Key", once);
    EXPECT_EQ(again.status, 200);
    EXPECT_EQ(again.text, first.text);
    EXPECT_EQ(again.header("ETag"), first.header("ETag"));
    EXPECT_EQ(organizations(), count);
}

TEST(IdempotencyKey, WorksOnPatchAndDeleteToo)
{
    const std::string id = organization(), once = fresh("once");
    const Json change = {{"organization_id", id}, {"tags", {"a"}}};
    const Reply changed = with("PATCH /organization/update", change, "Idempotency-Key", once + "u");
    ask("PATCH /organization/update", {{"organization_id", id}, {"tags", {"b"}}});
    EXPECT_EQ(with("PATCH /organization/update", change, "Idempotency-Key", once + "u").text, changed.text);
    EXPECT_EQ(info(id).at("tags"), Json::array({"b"})) << "nothing happened again";

    const Json doomed = {{"organization_ids", {id}}};
    const Reply deleted = with("DELETE /organization/delete", doomed, "Idempotency-Key", once + "d");
    EXPECT_EQ(deleted.status, 200);
    EXPECT_EQ(with("DELETE /organization/delete", doomed, "Idempotency-Key", once + "d").text, deleted.text);
    EXPECT_EQ(call("DELETE /organization/delete", doomed).status, 404) << "without it, it is gone";
}

TEST(IdempotencyKey, RefusesAnotherRequest)
{
    const std::string once = fresh("once");
    with("POST /organization/new", {{"organization_alias", "acme"}}, "Idempotency-Key", once);
    const auto before = database_digest();
    EXPECT_THAT(with("POST /organization/new", {{"organization_alias", "other"}}, "Idempotency-Key", once),
                e3({"header", "Idempotency-Key"}, "value_error", HasSubstr("\"Idempotency-Key\" was used")));
    EXPECT_EQ(with("POST /user/new", {{"user_id", "x"}}, "Idempotency-Key", once).status, 422);
    EXPECT_EQ(database_digest(), before);
}

TEST(IdempotencyKey, BelongsToItsCaller)
{
    const std::string once = fresh("once");
    const Json body = {{"organization_alias", "acme"}};
    const Reply first = with("POST /organization/new", body, "Idempotency-Key", once);
    const Reply other = with("POST /organization/new", body, "Idempotency-Key", once, person("proxy_admin").key);
    EXPECT_EQ(other.status, 200);
    EXPECT_NE(other.text, first.text);
}

TEST(IdempotencyKey, LetsAFailedRequestBeTriedAgain)
{
    const std::string once = fresh("once"), id = fresh("organization");
    const Json body = {{"organization_id", id}, {"tags", {"a"}}};
    EXPECT_EQ(with("PATCH /organization/update", body, "Idempotency-Key", once).status, 404);
    organization({{"organization_id", id}});
    EXPECT_EQ(with("PATCH /organization/update", body, "Idempotency-Key", once).status, 200);
}

TEST(IdempotencyKey, GivesANewKeyAgainThoughItIsNotStored)
{
    const std::string once = fresh("once");
    const Json body = {{"user_id", person().id}};
    const Reply first = with("POST /key/generate", body, "Idempotency-Key", once);
    const Reply again = with("POST /key/generate", body, "Idempotency-Key", once);
    EXPECT_EQ(again.text, first.text);
    const std::string secret = first.body.at("key");
    EXPECT_EQ(call("GET /user/info", nullptr, secret).status, 200);
    EXPECT_EQ(value("SELECT count(*) FROM org.idempotency WHERE strpos(idempotency::text, $1) > 0", secret), "0");
}

TEST(IdempotencyKey, LetsTwentyAtOnceDoItOnce)
{
    const std::string once = fresh("once");
    const auto count = std::stol(organizations());
    const auto replies = in_parallel(20, [&](int) {
        return with("POST /organization/new", {{"organization_alias", "acme"}}, "Idempotency-Key", once);
    });
    EXPECT_EQ(count_status(replies, 200), 20);
    for (const Reply &reply : replies)
        EXPECT_EQ(reply.text, replies.front().text);
    EXPECT_EQ(std::stol(organizations()), count + 1);
}

TEST(IdempotencyKey, MustBeStorableAndBounded)
{
    const Json body = {{"organization_alias", "acme"}};
    const auto before = database_digest();
    EXPECT_EQ(with("POST /organization/new", body, "Idempotency-Key", std::string(300, 'x')).status, 422);
    EXPECT_EQ(with("POST /organization/new", body, "Idempotency-Key", "\xff\xfe").status, 422);
    EXPECT_EQ(with("POST /organization/new", body, "Idempotency-Key", "x", "sk-unknown").status, 401);
    EXPECT_EQ(database_digest(), before);
    EXPECT_EQ(with("GET /organization/list", nullptr, "Idempotency-Key", "x").status, 200) << "means nothing there";
}

// A thing that has entity tags: how to read it, and how to change it.
struct Tagged {
    std::string name;
    std::string read;
    Json read_body;
    std::string change;
    Json change_body;
};

std::vector<Tagged> tagged_things()
{
    const std::string id = organization(), team_id = team(id);
    const std::string budget_id = ask("POST /budget/new", Json::object()).at("budget_id");
    return {{"organization",
             "GET /organization/info?organization_id=" + id,
             nullptr,
             "PATCH /organization/update",
             {{"organization_id", id}, {"tags", {"a"}}}},
            {"patched organization",
             "GET /organization/info?organization_id=" + id,
             nullptr,
             "PATCH /v2/organization/" + id,
             {{"tags", {"b"}}}},
            {"team",
             "GET /team/info?team_id=" + team_id,
             nullptr,
             "POST /team/update",
             {{"team_id", team_id}, {"team_alias", "a"}}},
            {"budget",
             "POST /budget/info",
             {{"budgets", {budget_id}}},
             "POST /budget/update",
             {{"budget_id", budget_id}, {"max_budget", 5}}}};
}

TEST(ETag, AdmitsAChangeOfWhatWasSeenAndRefusesAStaleOne)
{
    for (const Tagged &thing : tagged_things()) {
        SCOPED_TRACE(thing.name);
        const std::string seen = call(thing.read, thing.read_body).header("ETag");
        EXPECT_THAT(seen, testing::MatchesRegex("\"[0-9a-f]+\""));
        EXPECT_EQ(call(thing.read, thing.read_body).header("ETag"), seen) << "reading changes nothing";

        const Reply changed = with(thing.change, thing.change_body, "If-Match", seen);
        EXPECT_EQ(changed.status, 200) << changed.text;
        EXPECT_NE(changed.header("ETag"), seen);
        EXPECT_EQ(call(thing.read, thing.read_body).header("ETag"), changed.header("ETag"));

        const auto before = database_digest();
        EXPECT_THAT(with(thing.change, thing.change_body, "If-Match", seen), e2(412, HasSubstr("If-Match")));
        EXPECT_EQ(database_digest(), before);
        EXPECT_EQ(with(thing.change, thing.change_body, "If-Match", "*").status, 200);
        EXPECT_EQ(call(thing.change, thing.change_body).status, 200) << "without it, whatever there is";
    }
}

TEST(ETag, LetsOneOfTwentyAtOnceThrough)
{
    const std::string id = organization();
    const std::string seen = call("GET /organization/info?organization_id=" + id).header("ETag");
    const auto replies = in_parallel(20, [&](int number) {
        return with("PATCH /organization/update",
                    {{"organization_id", id}, {"organization_alias", std::to_string(number)}}, "If-Match", seen);
    });
    EXPECT_EQ(count_status(replies, 200), 1);
    EXPECT_EQ(count_status(replies, 412), 19);
}

} // namespace
} // namespace pg_org::test
