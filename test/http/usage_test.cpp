// Calls of models: what is granted and refused, word for word, by a gateway that takes requests to the database
// together and by one that does not.

#include "matchers.hpp"

#include <regex>

namespace pg_org::test {
namespace {

using testing::_;
using testing::HasSubstr;

enum class Mode { batching, no_batching };

void PrintTo(Mode mode, std::ostream *out) { *out << (mode == Mode::batching ? "batching" : "no_batching"); }

// A reply without what depends on the time: its status, whether it says when to come again, its body.
std::string shown(const Reply &reply)
{
    static const std::regex time{R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"};
    const auto wait = reply.header("Retry-After");
    return std::to_string(reply.status) + (wait.empty() ? " " : " after " + wait + " ") +
           std::regex_replace(reply.text, time, "<time>");
}

std::string error(const std::string &message, const std::string &type, const std::string &param, int status,
                  const std::string &hint = "", const std::string &limit = "")
{
    return R"({"error":{"message":)" + Json(message).dump() + R"(,"type":")" + type + R"(","param":")" + param +
           R"(","code":")" + std::to_string(status) + "\"" + (hint.empty() ? "" : ",\"hint\":\"" + hint + "\"") +
           (limit.empty() ? "" : ",\"limit\":" + limit) + "}}";
}

constexpr const char *when_a_call_ends = "Try again when a call under way is over.";

class Usage : public testing::TestWithParam<Mode> {
protected:
    static void SetUpTestSuite() { single_ = std::make_unique<Gateway>(std::vector<std::string>{"--no-batching"}); }
    static void TearDownTestSuite()
    {
        EXPECT_EQ(single_->stop(), 0);
        single_.reset();
    }
    void TearDown() override { EXPECT_EQ(value("SELECT usage_verify()"), "[]"); }

    Reply post(const std::string &path, const Json &body, const std::string &key = admin_key()) const
    {
        return send("POST /usage/" + path, body.dump(), bearer(key), port());
    }
    Reply reserve(const Json &body, const std::string &key = admin_key()) const { return post("reserve", body, key); }
    Reply settle(const Json &body, const std::string &key = admin_key()) const { return post("settle", body, key); }
    Reply cancel(const Json &body, const std::string &key = admin_key()) const { return post("cancel", body, key); }
    Reply record(const Json &body, const std::string &key = admin_key()) const { return post("record", body, key); }
    Reply limits(const std::string &key, const std::string &caller = admin_key()) const
    {
        return send("GET /usage/limits?key=" + encoded(key), "", bearer(caller), port());
    }

    int port() const { return GetParam() == Mode::batching ? gateway_port() : single_->port(); }

private:
    static std::unique_ptr<Gateway> single_;
};

std::unique_ptr<Gateway> Usage::single_;

INSTANTIATE_TEST_SUITE_P(By, Usage, testing::Values(Mode::batching, Mode::no_batching),
                         testing::PrintToStringParamName());

// A key and everybody who owns it, with the limits given to each.
struct Owned {
    std::string organization, team, user, key, token;

    std::string id(const std::string &owner) const
    {
        return owner == "organization"  ? organization
               : owner == "team"        ? team
               : owner == "team_member" ? team + "/" + user
               : owner == "key"         ? token
                                        : user;
    }
};

Owned owned(const std::string &owner = "", const Json &limits = Json::object())
{
    const auto with = [&](const std::string &name, Json fields) {
        if (name == owner)
            fields.update(limits);
        return fields;
    };
    Owned all;
    all.organization = organization(with("organization", {{"organization_id", fresh("organization")}}));
    all.team = team(all.organization, with("team", {{"team_id", fresh("team")}}));
    all.user = fresh("user");
    ask("POST /user/new", with("user", {{"user_id", all.user}, {"auto_create_key", false}}));
    ask("POST /organization/member_add",
        with("member",
             {{"organization_id", all.organization}, {"member", {{"user_id", all.user}, {"role", "internal_user"}}}}));
    ask("POST /team/member_add", with("team_member", {{"organization_id", all.organization},
                                                      {"team_id", all.team},
                                                      {"member", {{"user_id", all.user}, {"role", "user"}}}}));
    all.key = key_for(with(
        "key",
        {{"organization_id", all.organization}, {"team_id", all.team}, {"user_id", all.user}, {"key_alias", "alias"}}));
    all.token = value("SELECT key_id FROM org.api_key WHERE team_id = $1", all.team);
    return all;
}

// A limit with what is not null of it, and its amounts.
std::string limit_of(const Owned &all, const std::string &owner, const Json &members, const std::string &amounts)
{
    Json limit = {{"owner", owner},   {"id", all.id(owner)}, {"limit", nullptr}, {"field", nullptr}, {"per", nullptr},
                  {"model", nullptr}, {"tag", nullptr},      {"each", nullptr},  {"part", nullptr},  {"soft", false}};
    limit.update(members);
    std::string text = limit.dump();
    text.back() = ',';
    return text + amounts + "}";
}

// The stored calls, without their times.
std::string calls_of(const Owned &all)
{
    return value("SELECT (SELECT count(*) FROM org.reservation WHERE organization_id = $1) || ' held, ' ||"
                 " (SELECT count(*) FROM org.usage WHERE organization_id = $1) || ' over'",
                 all.organization);
}

std::string a_call_of(const Owned &all, const std::string &request_id)
{
    return R"({"reservation_id":")" + value("SELECT length($1) || '.' || $1 || '.'", all.organization) + request_id +
           R"(","request_id":")" + request_id + "\"";
}

// Waits for the next minute if this one is soon over.
void begin_a_minute()
{
    query("SELECT pg_sleep(CASE WHEN second > 50 THEN 60 - second ELSE 0 END)"
          "  FROM (SELECT extract(second FROM clock_timestamp()) AS second) AS clock");
}

// Reserving -------------------------------------------------------------------

TEST_P(Usage, AReservationShowsWhatIsLeft)
{
    const Owned all = owned("organization", {{"max_budget", 1}, {"tpm_limit", 1000}});
    const std::string id = fresh("call");
    const Reply reply = reserve({{"key", all.key},
                                 {"model", "gpt-4o"},
                                 {"max_cost", 0.25},
                                 {"max_tokens", 100},
                                 {"request_id", id},
                                 {"ttl_seconds", 60},
                                 {"tags", {"a", "b\"c"}}});
    EXPECT_EQ(shown(reply),
              "200 " + a_call_of(all, id) + R"(,"model":"gpt-4o","expires_at":"<time>","limits":[)" +
                  limit_of(all, "organization", {{"limit", "cost"}, {"field", "max_budget"}},
                           R"("value":1.0,"remaining":0.75,"resets_at":null)") +
                  "," +
                  limit_of(all, "organization", {{"limit", "tokens"}, {"field", "tpm_limit"}, {"per", "1m"}},
                           R"("value":1000,"remaining":900,"resets_at":"<time>")") +
                  "]}");
    EXPECT_EQ(reply.header("Content-Type"), "application/json");
    EXPECT_EQ(value("SELECT max_cost || ' ' || max_tokens || ' ' || tags::text || ' ' || (expires_at - reserved_at)"
                    "  FROM org.reservation WHERE request_id = $1",
                    id),
              R"(0.25 100 {a,"b\"c"} 00:01:00)");
}

// Proxies give one x-request-id to many calls.
TEST_P(Usage, CallsWithoutAnIdGetOneEach)
{
    const Owned all = owned();
    httplib::Headers headers = bearer(admin_key());
    headers.emplace("x-request-id", fresh("traced"));
    const auto id_of_call = [&](const char *route, const Json &call) {
        return send(route, call.dump(), headers, port()).body.at("request_id").get<std::string>();
    };
    const Json call = {{"token_id", all.token}, {"model", "gpt-4o"}};
    EXPECT_NE(id_of_call("POST /usage/reserve", call), id_of_call("POST /usage/reserve", call));
    Json over = call;
    over["cost"] = 1;
    EXPECT_NE(id_of_call("POST /usage/record", over), id_of_call("POST /usage/record", over));
}

TEST_P(Usage, TheSameReservationAgainIsTheSame)
{
    const Owned all = owned("key", {{"max_budget", 1}});
    Json call = {{"key", all.key}, {"model", "gpt-4o"}, {"max_cost", "0.6"}, {"request_id", fresh("call")}};
    const Reply first = reserve(call);
    EXPECT_EQ(shown(reserve(call)), shown(first));
    EXPECT_EQ(calls_of(all), "1 held, 0 over");
    call["max_cost"] = 0.7;
    const std::string id = call["request_id"];
    EXPECT_EQ(shown(reserve(call)), "409 " + error("Another request was reserved with request_id=" + id,
                                                   "bad_request_error", "request_id", 409));
}

// A limit of one owner, and how it refuses: names of owners in angle brackets.
struct Limited {
    std::string owner;
    Json limits;
    std::string message;
};

std::string named(std::string message, const Owned &all)
{
    for (const auto &[name, id] : {std::pair{"<organization>", all.organization},
                                   {"<team>", all.team},
                                   {"<user>", all.user},
                                   {"<key>", all.token}})
        message = std::regex_replace(message, std::regex{name}, id);
    return message;
}

TEST_P(Usage, ABudgetHoldsToTheLastCent)
{
    const std::vector<Limited> budgets{
        {"organization",
         {{"max_budget", 1}},
         "Budget has been exceeded! Organization=<organization> Current cost: 0.75, Max budget: 1.0"},
        {"user", {{"max_budget", 1}}, "ExceededBudget: User=<user> over budget. Spend=0.75, Budget=1.0"},
        {"key", {{"max_budget", 1}}, "Budget has been exceeded! Current cost: 0.75, Max budget: 1.0"}};
    for (const auto &[owner, given, message] : budgets) {
        SCOPED_TRACE(owner);
        const Owned all = owned(owner, given);
        const auto call = [&](const char *max_cost) {
            return Json{{"key", all.key}, {"model", "m"}, {"max_cost", max_cost}, {"request_id", fresh("call")}};
        };
        const Json settled = call("0.5");
        ASSERT_EQ(reserve(settled).status, 200);
        ASSERT_EQ(settle({{"request_id", settled["request_id"]}, {"cost", 0.25}}).status, 200);
        ASSERT_EQ(reserve(call("0.5")).status, 200);
        const std::string refusal =
            error(named(message, all), "budget_exceeded", "max_budget", 429, when_a_call_ends,
                  limit_of(all, owner, {{"limit", "cost"}, {"field", "max_budget"}},
                           R"("value":1.0,"spent":0.25,"held":0.5,"asked":0.26,"resets_at":null,"frees_at":null)"));
        EXPECT_EQ(shown(reserve(call("0.26"))), "429 after 1 " + refusal);
        const auto digest = [] {
            auto all_but_refusals = database_digest();
            all_but_refusals.erase("usage_refusal");
            return all_but_refusals;
        };
        const auto before = digest();
        EXPECT_EQ(shown(reserve(call("0.26"))), "429 after 1 " + refusal);
        EXPECT_EQ(digest(), before);
        EXPECT_EQ(reserve(call("0.25")).status, 200);
    }
}

TEST_P(Usage, SaysWhenABudgetFreesItself)
{
    const Owned all = owned("organization", {{"max_budget", 1}, {"budget_duration", "1d"}});
    ASSERT_EQ(record({{"key", all.key}, {"model", "m"}, {"cost", 1}}).status, 200);
    const Reply reply = reserve({{"key", all.key}, {"model", "m"}, {"max_cost", "0.1"}});
    EXPECT_THAT(shown(reply),
                testing::EndsWith(R"("spent":1.0,"held":0.0,"asked":0.1,"resets_at":"<time>","frees_at":"<time>"}}})"));
    EXPECT_EQ(reply.status, 429);
    const int wait = std::stoi(reply.header("Retry-After"));
    EXPECT_GT(wait, 24 * 3600 - 60);
    EXPECT_LE(wait, 24 * 3600);
    const Reply hopeless = reserve({{"key", all.key}, {"model", "m"}, {"max_cost", 2}});
    EXPECT_EQ(hopeless.status, 429);
    EXPECT_EQ(hopeless.header("Retry-After"), "") << "that will never fit";
}

TEST_P(Usage, ABudgetMayBeOfAModel)
{
    const Json limits = {{"model_max_budget", {{"gpt-4o", 1}}}};
    for (const auto &[owner, message] : std::vector<std::pair<std::string, std::string>>{
             {"organization", "organization: <organization>, exceeded budget for model=gpt-4o"},
             {"key", "LiteLLM Virtual Key: <key>, key_alias: alias, exceeded budget for model=gpt-4o"}}) {
        const Owned all = owned(owner, limits);
        const auto call = [&](const char *model) {
            return Json{{"key", all.key}, {"model", model}, {"max_cost", 0.6}};
        };
        ASSERT_EQ(reserve(call("gpt-4o")).status, 200);
        EXPECT_EQ(
            shown(reserve(call("openai/gpt-4o"))),
            "429 after 1 " +
                error(named(message, all), "budget_exceeded", "model_max_budget", 429, when_a_call_ends,
                      limit_of(all, owner, {{"limit", "cost"}, {"field", "model_max_budget"}, {"model", "gpt-4o"}},
                               R"("value":1.0,"spent":0.0,"held":0.6,"asked":0.6,)"
                               R"("resets_at":null,"frees_at":null)")));
        EXPECT_EQ(reserve(call("gpt-4")).status, 200);
    }
}

TEST_P(Usage, RatesHold)
{
    for (const std::string owner : {"organization", "key"}) {
        SCOPED_TRACE(owner);
        const std::string subject = owner == "key" ? "api_key: <key>" : owner + ": <" + owner + ">";
        const auto refusal = [&](const Owned &all, const std::string &limit, const std::string &type, int value,
                                 int spent, int held, int asked, const std::string &until) {
            const auto number = [](int n) { return std::to_string(n); };
            const bool is_rate = until == "<time>";
            const std::string time = is_rate ? "\"<time>\"" : "null";
            const Json what = {{"limit", is_rate ? type : "parallel_requests"},
                               {"field", limit},
                               {"per", is_rate ? Json("1m") : Json(nullptr)}};
            return error(named("Rate limit exceeded for " + subject + ". Limit type: " + type +
                                   ". Current limit: " + number(value) +
                                   ", Remaining: " + number(value - spent - held) + ". Limit resets at: " + until,
                               all),
                         "rate_limit_exceeded", limit, 429, is_rate ? "Try again at <time>." : when_a_call_ends,
                         limit_of(all, owner, what,
                                  R"("value":)" + number(value) + R"(,"spent":)" + number(spent) + R"(,"held":)" +
                                      number(held) + R"(,"asked":)" + number(asked) + R"(,"resets_at":)" + time +
                                      R"(,"frees_at":)" + time));
        };
        const auto until_next_minute = [](const Reply &reply) {
            const int wait = std::stoi(reply.header("Retry-After"));
            return wait >= 1 && wait <= 60;
        };
        const auto without_wait = [](const Reply &reply) {
            return std::regex_replace(shown(reply), std::regex{" after [0-9]+"}, "");
        };
        {
            const Owned parallel = owned(owner, {{"max_parallel_requests", 2}});
            const Json call = {{"key", parallel.key}, {"model", "m"}};
            ASSERT_EQ(reserve(call).status, 200);
            ASSERT_EQ(reserve(call).status, 200);
            EXPECT_EQ(shown(reserve(call)),
                      "429 after 1 " + refusal(parallel, "max_parallel_requests", "max_parallel_requests", 2, 0, 2, 1,
                                               "the end of a call"));
        }
        begin_a_minute();
        const Owned requests = owned(owner, {{"rpm_limit", 1}});
        const Json call = {{"key", requests.key}, {"model", "m"}};
        ASSERT_EQ(reserve(call).status, 200);
        const Reply too_often = reserve(call);
        EXPECT_EQ(without_wait(too_often), "429 " + refusal(requests, "rpm_limit", "requests", 1, 1, 0, 1, "<time>"));
        EXPECT_TRUE(until_next_minute(too_often));

        const Owned tokens = owned(owner, {{"tpm_limit", 100}});
        const Json long_call = {{"key", tokens.key}, {"model", "m"}, {"max_tokens", 60}};
        ASSERT_EQ(reserve(long_call).status, 200);
        const Reply too_much = reserve(long_call);
        EXPECT_EQ(without_wait(too_much), "429 " + refusal(tokens, "tpm_limit", "tokens", 100, 60, 0, 60, "<time>"));
        EXPECT_TRUE(until_next_minute(too_much));
    }
}

// A limit for each of something is of the part that the call has, and the refusal names it.
TEST_P(Usage, ALimitMayBeForEachOfSomething)
{
    struct OfEach {
        std::string each;
        Json part_of_call;
        std::string part;
    };
    const Json sentence = {{"limit", "cost"}, {"value", 1}, {"per", "30d"}};
    for (const auto &[each, named_by_call, part] :
         std::vector<OfEach>{{"end_user", {{"end_user", "cust-7"}}, "cust-7"},
                             {"tag", {{"tags", {"playground"}}}, "playground"},
                             {"model", {{"model", "gpt-4o"}}, "gpt-4o"}}) {
        SCOPED_TRACE(each);
        Json limit = sentence;
        limit["each"] = each;
        const Owned all = owned("organization", {{"limits", Json::array({limit})}});
        const auto call = [&](const Json &of_part) {
            Json body = {{"key", all.key}, {"model", "m"}, {"max_cost", 0.6}};
            body.update(of_part);
            return body;
        };
        const Json members = {{"limit", "cost"}, {"field", "limits"}, {"per", "30d"}, {"each", each}, {"part", part}};
        const Reply granted = reserve(call(named_by_call));
        ASSERT_EQ(granted.status, 200) << granted.text;
        EXPECT_EQ(granted.body.at("limits").dump(),
                  Json::parse("[" +
                              limit_of(all, "organization", members,
                                       R"("value":1.0,"remaining":0.4,"resets_at":)" +
                                           granted.body["limits"][0]["resets_at"].dump()) +
                              "]")
                      .dump());
        EXPECT_EQ(shown(reserve(call(named_by_call))),
                  "429 after 1 " + error("Budget has been exceeded! Organization=" + all.organization + " for " + each +
                                             "=" + part + " Current cost: 0.6, Max budget: 1.0",
                                         "budget_exceeded", "limits", 429, when_a_call_ends,
                                         limit_of(all, "organization", members,
                                                  R"("value":1.0,"spent":0.0,"held":0.6,"asked":0.6,)"
                                                  R"("resets_at":"<time>","frees_at":null)")));
        EXPECT_EQ(reserve(call({{"end_user", "another"}, {"tags", {"another"}}, {"model", "another"}})).status, 200);
    }
}

TEST_P(Usage, ALimitMayBeUnderATagAndForEachMember)
{
    begin_a_minute();
    const Json sentence = {{"limit", "requests"}, {"value", 1}, {"per", "1m"}, {"each", "member"}, {"tag", "play"}};
    const Owned all = owned("organization", {{"limits", Json::array({sentence})}});
    const Json call = {{"key", all.key}, {"model", "m"}, {"tags", {"play"}}};
    ASSERT_EQ(reserve(call).status, 200);
    const Reply refused = reserve(call);
    EXPECT_EQ(std::regex_replace(shown(refused), std::regex{" after [0-9]+"}, ""),
              "429 " + error("Rate limit exceeded for organization: " + all.organization + " for member=" + all.user +
                                 " under tag=play. Limit type: requests. Current limit: 1, Remaining: 0. "
                                 "Limit resets at: <time>",
                             "rate_limit_exceeded", "limits", 429, "Try again at <time>.",
                             limit_of(all, "organization",
                                      {{"limit", "requests"},
                                       {"field", "limits"},
                                       {"per", "1m"},
                                       {"tag", "play"},
                                       {"each", "member"},
                                       {"part", all.user}},
                                      R"("value":1,"spent":1,"held":0,"asked":1,)"
                                      R"("resets_at":"<time>","frees_at":"<time>")")));
    EXPECT_EQ(reserve({{"key", all.key}, {"model", "m"}}).status, 200);
}

TEST_P(Usage, AModelMustBeAllowedByAll)
{
    for (const std::string owner : {"organization", "key"}) {
        const Owned all = owned(owner, {{"models", Json::array({"a", "b"})}});
        EXPECT_EQ(shown(reserve({{"key", all.key}, {"model", "c"}})),
                  "401 " + error(owner + " not allowed to access model. This " + owner +
                                     " can only access models=['a', 'b']. Tried to access c",
                                 "key_model_access_denied", "model", 401));
        EXPECT_EQ(reserve({{"key", all.key}, {"model", "a"}}).status, 200);
    }
    const Owned all = owned("organization", {{"model_aliases", {{"fast", "openai/gpt-4o-mini"}}}});
    EXPECT_EQ(reserve({{"key", all.key}, {"model", "fast"}}).body.at("model"), "openai/gpt-4o-mini");
}

TEST_P(Usage, TheKeyOfACallMustBeGood)
{
    const Owned all = owned();
    const auto refusal = [&](const std::string &key = "") {
        return shown(reserve({{"key", key.empty() ? all.key : key}, {"model", "m"}}));
    };
    const auto refused = [](const std::string &message) {
        return "401 " + error("Authentication Error, " + message, "auth_error", "key", 401);
    };
    EXPECT_EQ(refusal("sk-unknown"), refused("Invalid proxy server token passed."));
    ask("POST /organization/block", {{"organization_id", all.organization}});
    EXPECT_EQ(refusal(), refused("Organization=" + all.organization + " is blocked."));
    query("UPDATE org.api_key SET expires = now() WHERE key_id = $1", all.token);
    EXPECT_EQ(refusal(),
              "400 " + error("Authentication Error - Expired Key. Key Expiry time <time>", "expired_key", "key", 400));
    EXPECT_EQ(calls_of(all), "0 held, 0 over");
}

// Arguments ---------------------------------------------------------------------

struct Wrong {
    std::string field;
    Json value;
    std::string type;
};

TEST_P(Usage, FieldsAreCheckedAsEverywhere)
{
    const Owned all = owned("organization", {{"max_budget", 100}, {"tpm_limit", 1000}});
    const Json call = {{"key", all.key}, {"model", "m"}, {"max_cost", 1}, {"max_tokens", 1}, {"cost", 1}};
    const std::vector<Wrong> of_calls{
        {"key", 5, "string_type"},         {"key", nullptr, "missing"},
        {"model", {"m"}, "string_type"},   {"model", nullptr, "missing"},
        {"model", "", "value_error"},      {"request_id", 7, "string_type"},
        {"request_id", "", "value_error"}, {"request_id", std::string(256, 'x'), "value_error"},
        {"tags", "a", "list_type"},        {"tags", {nullptr}, "string_type"}};
    const std::vector<Wrong> of_reservations{
        {"max_cost", "x", "float_parsing"},      {"max_cost", true, "float_parsing"},
        {"max_cost", -0.1, "value_error"},       {"max_cost", "NaN", "value_error"},
        {"max_cost", "Infinity", "value_error"}, {"max_cost", "1e999999999", "value_error"},
        {"max_cost", 1e15 + 1, "value_error"},   {"max_cost", nullptr, "missing"},
        {"max_tokens", 1.5, "int_from_float"},   {"max_tokens", 1e30, "int_parsing"},
        {"max_tokens", -1, "value_error"},       {"max_tokens", nullptr, "missing"},
        {"ttl_seconds", 0, "value_error"},       {"ttl_seconds", 86401, "value_error"},
        {"ttl_seconds", "soon", "int_parsing"}};
    const std::vector<Wrong> of_outcomes{{"cost", "x", "float_parsing"},
                                         {"cost", -1, "value_error"},
                                         {"cost", "1e16", "value_error"},
                                         {"cost", nullptr, "missing"},
                                         {"prompt_tokens", 0.5, "int_from_float"},
                                         {"prompt_tokens", -1, "value_error"},
                                         {"completion_tokens", {1}, "int_parsing"},
                                         {"cache_read_input_tokens", -1, "value_error"},
                                         {"cache_creation_input_tokens", "?", "int_parsing"},
                                         {"failed", "maybe", "bool_parsing"}};
    const std::string held = fresh("call");
    ASSERT_EQ(
        reserve({{"key", all.key}, {"model", "m"}, {"max_cost", 1}, {"max_tokens", 1}, {"request_id", held}}).status,
        200);
    const auto before = database_digest();
    const auto check = [&](const std::string &path, Json body, const std::vector<Wrong> &all_wrong) {
        for (const auto &[field, value, type] : all_wrong) {
            Json sent = body;
            sent[field] = value;
            const Json location = type == "string_type" && value.is_array() && field == "tags" ? Json{"body", field, 0}
                                                                                               : Json{"body", field};
            EXPECT_THAT(post(path, sent), e3(location, type)) << path << " " << sent;
        }
    };
    check("reserve", call, of_calls);
    check("reserve", call, of_reservations);
    check("record", call, of_calls);
    check("record", call, of_outcomes);
    check("settle", {{"request_id", held}, {"cost", 1}}, of_outcomes);
    for (const std::string path : {"settle", "cancel"}) {
        check(path, {{"cost", 1}},
              {{"request_id", nullptr, "missing"},
               {"request_id", 1, "string_type"},
               {"request_id", "", "value_error"},
               {"reservation_id", 1, "string_type"}});
        EXPECT_THAT(post(path, {{"cost", 1}}), e3({"body", "request_id"}, "missing")) << "whatever x-request-id is";
    }
    for (const std::string path : {"reserve", "settle", "cancel", "record"}) {
        EXPECT_THAT(post(path, Json::array()), e3(Json::array({"body"}), "dict_type"));
        EXPECT_EQ(send("POST /usage/" + path, R"({"key":)", bearer("sk-unknown"), port()).status, 422)
            << "before the key";
        EXPECT_THAT(post(path, {{"cost", "x"}, {"key", 5}, {"request_id", 5}}, "sk-unknown"), e1(401, _))
            << "the key before the fields";
        EXPECT_EQ(send("GET /usage/" + path, "", bearer(admin_key()), port()).status, 405);
    }
    EXPECT_EQ(database_digest(), before);
}

TEST_P(Usage, NumbersMayBeStringsAndNullsAreNothing)
{
    const Owned all = owned("organization", {{"max_budget", 1}, {"tpm_limit", 100}});
    const std::string id = fresh("call");
    EXPECT_EQ(reserve({{"key", all.key},
                       {"model", "m"},
                       {"max_cost", " +0.1000000000000000000001 "},
                       {"max_tokens", "1e1"},
                       {"request_id", id},
                       {"ttl_seconds", nullptr},
                       {"tags", nullptr},
                       {"unknown", {1, 2}}})
                  .status,
              200);
    EXPECT_EQ(value("SELECT max_cost || ' ' || max_tokens FROM org.reservation WHERE request_id = $1", id),
              "0.1000000000000000000001 10");
    EXPECT_EQ(settle({{"request_id", id}, {"cost", "0.1000000000000000000002"}, {"failed", "true"}}).status, 200);
    EXPECT_EQ(value("SELECT cost || ' ' || failed FROM org.usage WHERE request_id = $1", id),
              "0.1000000000000000000002 true");
}

TEST_P(Usage, TextIsKeptAsItIs)
{
    const Owned all = owned();
    const std::string model = "m\"\\/\b\f\n\r\t\x01\x7f é 漢 😀 '$1' {}[],:";
    const Reply reply = reserve({{"key", all.key}, {"model", model}, {"request_id", fresh("call") + " \"?"}});
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body.at("model"), model);
    EXPECT_EQ(settle({{"reservation_id", reply.body.at("reservation_id")}, {"cost", 0}}).body.at("model"), model);
    const auto send_raw = [&](const std::string &body) {
        return send("POST /usage/reserve", body, bearer(admin_key()), port());
    };
    EXPECT_THAT(send_raw(R"({"key":")" + all.key + R"(","model":"a\u0000"})"), e3({"body", "model"}, "value_error"));
    EXPECT_EQ(send_raw(R"({"key":")" + all.key + R"(","model":"\ud800"})").status, 422);
    EXPECT_EQ(send_raw(R"({"key":")" + all.key + "\",\"model\":\"\xff\"}").status, 422);
}

// Afterwards --------------------------------------------------------------------

TEST_P(Usage, ASettledCallIsSettledOnce)
{
    const Owned all = owned("organization", {{"max_budget", 10}});
    const std::string id = fresh("call");
    const Reply held = reserve({{"key", all.key}, {"model", "m"}, {"max_cost", 1}, {"request_id", id}});
    const Reply settled = settle({{"request_id", id}, {"cost", 1.5}, {"prompt_tokens", 10}, {"completion_tokens", 20}});
    EXPECT_EQ(shown(settled), "200 " + a_call_of(all, id) + R"(,"organization_id":")" + all.organization +
                                  R"(","token_id":")" + all.token +
                                  R"(","model":"m","cost":1.5,"prompt_tokens":10,"completion_tokens":20,)"
                                  R"("state":"settled","settled_at":"<time>"})");
    EXPECT_EQ(settle({{"request_id", id}, {"cost", 7}}).text, settled.text);
    EXPECT_EQ(settle({{"reservation_id", held.body.at("reservation_id")}, {"cost", 7}}).text, settled.text);
    EXPECT_EQ(info(all.organization).at("spend"), 1.5);
    EXPECT_EQ(shown(cancel({{"request_id", id}})),
              "400 " + error("Reservation is settled for request_id=" + id, "bad_request_error", "None", 400));
}

TEST_P(Usage, AnUnknownCallIsNotFound)
{
    for (const std::string path : {"settle", "cancel"}) {
        EXPECT_EQ(shown(post(path, {{"request_id", "unknown"}, {"cost", 1}})),
                  "404 " + error("Reservation not found for request_id=unknown", "not_found_error", "request_id", 404));
        EXPECT_THAT(post(path, {{"reservation_id", "unknown"}, {"cost", 1}}),
                    e1(404, "Reservation not found for reservation_id=unknown", "not_found_error"));
    }
}

TEST_P(Usage, ACancelledCallHoldsNothing)
{
    const Owned all = owned("key", {{"max_budget", 1}, {"rpm_limit", 1}});
    const std::string id = fresh("call");
    const Json call = {{"key", all.key}, {"model", "m"}, {"max_cost", 1}};
    Json first = call;
    first["request_id"] = id;
    ASSERT_EQ(reserve(first).status, 200);
    ASSERT_EQ(reserve(call).status, 429);
    const std::string cancelled = "200 " + a_call_of(all, id) + R"(,"state":"cancelled"})";
    EXPECT_EQ(shown(cancel({{"request_id", id}})), cancelled);
    EXPECT_EQ(shown(cancel({{"request_id", id}})), cancelled);
    EXPECT_EQ(reserve(call).status, 200);
    EXPECT_EQ(shown(reserve(first)),
              "409 " + error("Reservation is over for request_id=" + id, "bad_request_error", "request_id", 409));
    EXPECT_EQ(settle({{"request_id", id}, {"cost", 3}}).body.at("cost"), 3.0) << "it was made all the same";
    EXPECT_EQ(info(all.organization).at("spend"), 3.0);
}

TEST_P(Usage, AnExtendedCallHoldsLonger)
{
    const Owned all = owned();
    const std::string id = fresh("call");
    const Json call = {{"key", all.key}, {"model", "m"}, {"request_id", id}, {"ttl_seconds", 60}};
    const Json granted = reserve(call).body;
    const Reply extended = post("extend", {{"request_id", id}, {"ttl_seconds", 120}});
    EXPECT_EQ(shown(extended), "200 " + a_call_of(all, id) + R"(,"expires_at":"<time>"})");
    EXPECT_GT(extended.body.at("expires_at"), granted.at("expires_at"));
    const Json by_id = {{"reservation_id", granted.at("reservation_id")}, {"ttl_seconds", 1}};
    EXPECT_EQ(post("extend", by_id).text, extended.text) << "no hold gets shorter";
    EXPECT_EQ(reserve(call).body.at("expires_at"), extended.body.at("expires_at"));
    EXPECT_THAT(post("extend", {{"request_id", id}, {"ttl_seconds", 0}}), e3({"body", "ttl_seconds"}));
    ASSERT_EQ(cancel({{"request_id", id}}).status, 200);
    EXPECT_THAT(post("extend", {{"request_id", id}}),
                e1(400, "Reservation is cancelled for request_id=" + id, "bad_request_error"));
    EXPECT_THAT(post("extend", {{"request_id", "unknown"}}),
                e1(404, "Reservation not found for request_id=unknown", "not_found_error"));
}

TEST_P(Usage, ARecordedCallAsksNoLimit)
{
    const Owned all = owned("organization", {{"max_budget", 1}, {"models", Json::array({"a"})}});
    const std::string id = fresh("call");
    const Json call = {{"key", all.key}, {"model", "b"}, {"cost", 5}, {"prompt_tokens", 3}, {"request_id", id}};
    const Reply recorded = record(call);
    EXPECT_EQ(shown(recorded), "200 " + a_call_of(all, id) + R"(,"organization_id":")" + all.organization +
                                   R"(","token_id":")" + all.token +
                                   R"(","model":"b","cost":5.0,"prompt_tokens":3,"completion_tokens":0,)"
                                   R"("state":"settled","settled_at":"<time>"})");
    EXPECT_EQ(record(call).text, recorded.text);
    EXPECT_EQ(info(all.organization).at("spend"), 5.0);
    Json other = call;
    other["model"] = "c";
    EXPECT_EQ(shown(record(other)),
              "409 " + error("Another request was recorded with request_id=" + id, "bad_request_error", "None", 409));
    other["key"] = "sk-unknown";
    EXPECT_EQ(shown(record(other)),
              "401 " + error("Authentication Error, Invalid proxy server token passed.", "auth_error", "key", 401));
}

TEST_P(Usage, LimitsShowWhatIsSpentHeldAndLeft)
{
    const Owned all = owned("organization", {{"max_budget", 10}, {"max_parallel_requests", 4}});
    ASSERT_EQ(record({{"key", all.key}, {"model", "m"}, {"cost", 2}}).status, 200);
    ASSERT_EQ(reserve({{"key", all.key}, {"model", "m"}, {"max_cost", 3}}).status, 200);
    const std::string expected =
        R"(200 {"token_id":")" + all.token + R"(","limits":[)" +
        limit_of(all, "organization", {{"limit", "cost"}, {"field", "max_budget"}},
                 R"("value":10.0,"spent":2.0,"held":3.0,"remaining":5.0,"resets_at":null)") +
        "," +
        limit_of(all, "organization", {{"limit", "parallel_requests"}, {"field", "max_parallel_requests"}},
                 R"("value":4,"spent":0,"held":1,"remaining":3,"resets_at":null)") +
        "]}";
    for (const std::string &caller : {admin_key(), all.key}) {
        EXPECT_EQ(shown(limits(all.key, caller)), expected);
        EXPECT_EQ(shown(limits(all.token, caller)), expected);
    }
    EXPECT_EQ(shown(send("GET /usage/limits", "", bearer(all.key), port())), expected) << "its own";
    EXPECT_EQ(shown(limits("sk-unknown")), "404 " + error("Key not found", "not_found_error", "None", 404));
    EXPECT_THAT(limits(all.key, "sk-unknown"), e1(401, HasSubstr("Invalid proxy server token")));
    EXPECT_EQ(send("POST /usage/limits", "{}", bearer(admin_key()), port()).status, 405);
}

TEST_P(Usage, RefusalsAreCountedByLimit)
{
    const Owned all = owned("team", {{"max_budget", 10}, {"rpm_limit", 0}});
    const auto refusals = [&](const std::string &query, const std::string &caller = admin_key()) {
        return send("GET /usage/refusals?organization_id=" + all.organization + query, "", bearer(caller), port());
    };
    const std::string none = R"(200 {"refusals":[],"total":0,"page":1,"page_size":50,"total_pages":0})";
    EXPECT_EQ(shown(refusals("")), none);
    for (const double cost : {11, 12, 1})
        ASSERT_EQ(reserve({{"key", all.key}, {"model", "m"}, {"max_cost", cost}}).status, 429);
    const auto refused = [&](const Json &members, const std::string &amounts) {
        return R"({"organization_id":")" + all.organization + "\"," +
               limit_of(all, "team", members, amounts + R"(,"last_refused_at":"<time>")").substr(1);
    };
    const std::string of_cost = refused({{"limit", "cost"}, {"field", "max_budget"}},
                                        R"("value":10.0,"hour":null,"refused":2)"),
                      of_rate = refused({{"limit", "requests"}, {"field", "rpm_limit"}, {"per", "1m"}},
                                        R"("value":0,"hour":null,"refused":1)");
    EXPECT_EQ(shown(refusals("")), "200 {\"refusals\":[" + of_cost + "," + of_rate +
                                       R"(],"total":2,"page":1,"page_size":50,"total_pages":1})");
    EXPECT_EQ(shown(refusals("&page=2&page_size=1&team_id=" + all.team)),
              "200 {\"refusals\":[" + of_rate + R"(],"total":2,"page":2,"page_size":1,"total_pages":2})");
    EXPECT_NE(refusals("&by_hour=true").body.at("refusals").at(0).at("hour"), nullptr);
    EXPECT_EQ(shown(refusals("&end_date=2026-01-01")), none);
    EXPECT_EQ(shown(refusals("", all.key)), none) << "the limits are the team's";
    EXPECT_THAT(refusals("&start_date=today"), e3({"query", "start_date"}, "value_error"));
    EXPECT_THAT(refusals("", "sk-unknown"), e1(401, HasSubstr("Invalid proxy server token")));
}

TEST_P(Usage, LimitsOfPartsAreShownForWhatTheRequestNames)
{
    const Json each = {{"limit", "cost"}, {"value", 5}, {"each", "end_user"}},
               tagged = {{"limit", "cost"}, {"value", 3}, {"tag", "a"}},
               of_model = {{"limit", "cost"}, {"value", 2}, {"model", "gpt-*"}};
    const Owned all = owned("key", {{"limits", {each, tagged, of_model}}});
    ASSERT_EQ(record({{"key", all.key}, {"model", "gpt-4o"}, {"cost", 1}, {"end_user", "cust-7"}, {"tags", {"a", "b"}}})
                  .status,
              200);
    const auto shown_with = [&](const std::string &query) {
        const Reply reply = send("GET /usage/limits?key=" + encoded(all.key) + query, "", bearer(admin_key()), port());
        EXPECT_EQ(reply.status, 200) << reply.text;
        std::string list;
        for (const Json &limit : reply.body.at("limits"))
            list += limit.at("value").dump() + " " + limit.at("part").dump() + " " + limit.at("spent").dump() + " " +
                    limit.at("remaining").dump() + "; ";
        return list;
    };
    EXPECT_EQ(shown_with(""), "5.0 null null null; 3.0 null 1.0 2.0; 2.0 null 1.0 1.0; ");
    EXPECT_EQ(shown_with("&end_user=cust-7"), R"(5.0 "cust-7" 1.0 4.0; 3.0 null 1.0 2.0; 2.0 null 1.0 1.0; )");
    EXPECT_EQ(shown_with("&end_user=cust-8&tags=b,c&model=claude"), R"(5.0 "cust-8" 0.0 5.0; )");
    EXPECT_EQ(shown_with("&tags=b,a&model=gpt-4o"), "5.0 null null null; 3.0 null 1.0 2.0; 2.0 null 1.0 1.0; ");
}

TEST_P(Usage, ALimitStartsAgainNow)
{
    const Json each = {{"limit", "cost"}, {"per", "30d"}, {"each", "end_user"}};
    Json sentence = each;
    sentence["value"] = 1;
    const Owned all = owned("organization", {{"max_budget", 10}, {"limits", Json::array({sentence})}});
    const auto spend = [&](const char *end_user) {
        ASSERT_EQ(
            record(
                {{"key", all.key}, {"model", "m"}, {"cost", 1}, {"end_user", end_user}, {"request_id", fresh("call")}})
                .status,
            200);
    };
    const auto may_call = [&](const char *end_user) {
        const Reply reply = reserve({{"key", all.key}, {"model", "m"}, {"max_cost", "0.5"}, {"end_user", end_user}});
        return reply.status == 200 && cancel({{"reservation_id", reply.body.at("reservation_id")}}).status == 200;
    };
    spend("cust-7");
    spend("cust-8");
    ASSERT_FALSE(may_call("cust-7") || may_call("cust-8"));

    const Reply part = post("reset", {{"organization_id", all.organization}, {"limit", each}, {"part", "cust-7"}});
    EXPECT_EQ(shown(part), R"(200 {"owner":"organization","id":")" + all.organization + R"(","organization_id":")" +
                               all.organization +
                               R"(","limit":{"limit":"cost","per":"30d","each":"end_user","part":"cust-7",)"
                               R"("at":"<time>"},"reset_at":"<time>"})");
    EXPECT_TRUE(may_call("cust-7"));
    EXPECT_FALSE(may_call("cust-8"));

    const Reply whole = post("reset", {{"organization_id", all.organization}});
    EXPECT_EQ(shown(whole), R"(200 {"owner":"organization","id":")" + all.organization + R"(","organization_id":")" +
                                all.organization + R"(","limit":null,"reset_at":"<time>"})");
    EXPECT_TRUE(may_call("cust-8"));
    EXPECT_EQ(info(all.organization).at("spend"), 2.0) << "what was spent stays";
    EXPECT_EQ(info(all.organization).at("period_spend"), 0.0);
    EXPECT_EQ(ask("GET /events?limit=1000&organization_id=" + all.organization).back().at("kind"), "usage.reset");
}

TEST_P(Usage, AResetIsRefused)
{
    const Owned all = owned("organization", {{"max_budget", 10}});
    const Person admin_of_it = person();
    join(all.organization, admin_of_it.id, "org_admin");
    const Json of_organization = {{"organization_id", all.organization}};
    const auto with = [&](const Json &more) {
        Json body = of_organization;
        body.update(more);
        return post("reset", body);
    };
    const auto before = database_digest();
    EXPECT_THAT(post("reset", of_organization, admin_of_it.key), e1(401, HasSubstr("required role")))
        << "its own limit";
    EXPECT_THAT(post("reset", {{"key", all.key}}, all.key), e1(401, HasSubstr("required role")));
    EXPECT_THAT(post("reset", Json::object()), e3({"body", "organization_id"}, "missing"));
    EXPECT_THAT(post("reset", {{"organization_id", "no-such-org"}}),
                e1(404, HasSubstr("not found"), "not_found_error"));
    EXPECT_THAT(with({{"limit", {{"limit", "cost"}, {"per", "1d"}}}}),
                e1(404, "The organization has no such limit", "not_found_error"));
    EXPECT_THAT(with({{"limit", {{"limit", "money"}}}}), e3({"body", "limit", "limit"}, "value_error"));
    EXPECT_THAT(with({{"limit", 1}}), e3({"body", "limit"}, "value_error"));
    EXPECT_THAT(with({{"limit", {{"limit", "cost"}, {"modle", "x"}}}}), e3({"body", "limit", "modle"}, "value_error"));
    EXPECT_THAT(with({{"part", "cust-7"}}), e3({"body", "part"}, "value_error"));
    EXPECT_THAT(with({{"limit", {{"limit", "parallel_requests"}}}}), e1(400, _, "bad_request_error"));
    EXPECT_THAT(with({{"key", all.key}, {"user_id", all.user}}), e3({"body", "key"}, "value_error"));
    EXPECT_EQ(database_digest(), before);
    EXPECT_EQ(post("reset", {{"key", all.key}}, admin_of_it.key).status, 200);
}

// Many at once ------------------------------------------------------------------

constexpr int many = 64;

TEST_P(Usage, AsManyAsFitAreGranted)
{
    const std::vector<std::pair<std::string, Json>> limits{{"organization", {{"max_budget", "1.5"}}},
                                                           {"team", {{"max_budget", "1.5"}}},
                                                           {"member", {{"max_budget_in_organization", "1.5"}}},
                                                           {"key", {{"max_parallel_requests", 15}}},
                                                           {"user", {{"rpm_limit", 15}}},
                                                           {"organization", {{"tpm_limit", 150}}}};
    for (const auto &[owner, given] : limits) {
        SCOPED_TRACE(owner + given.dump());
        const Owned all = owned(owner, given);
        begin_a_minute();
        const auto replies = in_parallel(many, [&](int) {
            return reserve({{"key", all.key}, {"model", "m"}, {"max_cost", "0.1"}, {"max_tokens", 10}});
        });
        EXPECT_EQ(count_status(replies, 200), 15);
        EXPECT_EQ(count_status(replies, 429), many - 15);
        EXPECT_EQ(calls_of(all), "15 held, 0 over");
    }
}

TEST_P(Usage, OneReservationAskedForManyTimesIsOne)
{
    const Owned all = owned("key", {{"max_budget", 1}});
    const Json call = {{"key", all.key}, {"model", "m"}, {"max_cost", 1}, {"request_id", fresh("call")}};
    const auto replies = in_parallel(many, [&](int) { return reserve(call); });
    for (const Reply &reply : replies)
        EXPECT_EQ(reply.text, replies.front().text);
    EXPECT_EQ(calls_of(all), "1 held, 0 over");
    const auto settled = in_parallel(
        many, [&](int number) { return settle({{"request_id", call["request_id"]}, {"cost", 1 + number}}); });
    for (const Reply &reply : settled)
        EXPECT_EQ(reply.text, settled.front().text);
    EXPECT_EQ(info(all.organization).at("spend"), settled.front().body.at("cost"));
}

TEST_P(Usage, EachGetsTheReplyToItsOwnRequest)
{
    const Owned all = owned(), other = owned();
    const auto replies = in_parallel(many, [&](int number) {
        return reserve({{"key", number % 2 ? all.key : other.key},
                        {"model", "model-" + std::to_string(number)},
                        {"request_id", all.organization + std::to_string(number)}});
    });
    for (int number = 0; number < many; ++number) {
        EXPECT_EQ(replies[number].body.at("model"), "model-" + std::to_string(number));
        EXPECT_EQ(replies[number].body.at("request_id"), all.organization + std::to_string(number));
    }
}

TEST_P(Usage, ManyShareATransactionUnlessTheyMayNot)
{
    const Owned all = owned();
    const auto replies = in_parallel(many, [&](int) { return reserve({{"key", all.key}, {"model", "m"}}); });
    EXPECT_EQ(count_status(replies, 200), many);
    const auto transactions = std::stoi(
        value("SELECT count(DISTINCT xmin::text) FROM org.reservation WHERE organization_id = $1", all.organization));
    if (GetParam() == Mode::batching)
        EXPECT_LT(transactions, many);
    else
        EXPECT_EQ(transactions, many);
}

TEST_P(Usage, ABadRequestHarmsNoOther)
{
    const Owned all = owned("organization", {{"max_budget", 1000}});
    const std::vector<std::pair<Json, int>> bad{{{{"max_cost", "1e9999"}}, 422},
                                                {{{"max_cost", -1}}, 422},
                                                {{{"max_cost", "1e999999999"}}, 422},
                                                {{{"max_cost", "x"}}, 422},
                                                {{{"key", "sk-unknown"}}, 401},
                                                {{{"key", nullptr}}, 422},
                                                {{{"tags", {1}}}, 422},
                                                {{{"request_id", std::string(300, 'x')}}, 422},
                                                {{{"max_cost", 5000}}, 429}};
    const auto replies = in_parallel(many, [&](int number) {
        Json call = {{"key", all.key}, {"model", "m"}, {"max_cost", 1}};
        if (number % 4 == 0)
            call.update(bad[number / 4 % bad.size()].first);
        return reserve(call, number % 16 == 5 ? "sk-stranger" : admin_key());
    });
    for (int number = 0; number < many; ++number) {
        const int expected = number % 16 == 5 ? 401 : number % 4 == 0 ? bad[number / 4 % bad.size()].second : 200;
        EXPECT_EQ(replies[number].status, expected) << number << " " << replies[number].text;
    }
}

TEST_P(Usage, WhatFailsInTheDatabaseHarmsNoOther)
{
    const Owned all = owned();
    query("CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
          " IF NEW.model = 'poison' THEN RAISE division_by_zero; END IF; RETURN NEW; END$$");
    query("CREATE TRIGGER poison BEFORE INSERT ON org.reservation FOR EACH ROW EXECUTE FUNCTION poison()");
    const auto replies = in_parallel(
        many, [&](int number) { return reserve({{"key", all.key}, {"model", number % 8 ? "m" : "poison"}}); });
    query("DROP FUNCTION poison CASCADE");
    EXPECT_EQ(count_status(replies, 200), many - many / 8);
    EXPECT_EQ(count_status(replies, 422), many / 8);
}

TEST_P(Usage, ALockedOrganizationKeepsNobodyElseFromGoingOn)
{
    const Owned locked = owned(), other = owned();
    pqxx::connection holder{"dbname=" + value("SELECT current_database()")};
    pqxx::work transaction{holder};
    transaction.exec("SELECT FROM org.organization WHERE organization_id = " + transaction.quote(locked.organization) +
                     " FOR UPDATE");
    const auto replies = in_parallel(8, [&](int number) {
        const Json call = {{"key", number % 4 ? other.key : locked.key}, {"model", "m"}};
        httplib::Client client{"127.0.0.1", port()};
        client.set_read_timeout(std::chrono::seconds{30});
        const auto result = client.Post("/usage/reserve", bearer(admin_key()), call.dump(), "application/json");
        return Reply{result->status, result->headers, result->body, nullptr};
    });
    transaction.abort();
    for (int number = 0; number < 8; ++number)
        EXPECT_EQ(replies[number].status, number % 4 ? 200 : 503);
}

} // namespace
} // namespace pg_org::test
