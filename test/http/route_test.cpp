// Every route once: how it answers a request that is all right, and how it refuses.  Whether the rules behind it are
// right is tested in sql/.

#include "matchers.hpp"
#include "routes.hpp"

#include <set>

namespace pg_org::test {
namespace {

using testing::HasSubstr;
using testing::Matcher;
using Shape = std::function<testing::AssertionResult(const Json &)>;

Shape has(const std::vector<std::string> &fields)
{
    return [fields](const Json &object) -> testing::AssertionResult {
        if (names(object) == fields)
            return testing::AssertionSuccess();
        return testing::AssertionFailure() << "fields are not " << Json(fields) << "\nin " << object.dump();
    };
}

testing::AssertionResult is_one(const Json &number)
{
    return number == 1 ? testing::AssertionSuccess() : testing::AssertionFailure() << "not 1: " << number.dump();
}

// A list of at least one.
Shape list_of(const Shape &is)
{
    return [is](const Json &list) -> testing::AssertionResult {
        if (!list.is_array() || list.empty())
            return testing::AssertionFailure() << "no list, or an empty one: " << list.dump();
        for (const Json &one : list) {
            if (const auto result = is(one); !result)
                return result;
        }
        return testing::AssertionSuccess();
    };
}

testing::AssertionResult is_empty_list(const Json &list)
{
    return list == Json::array() ? testing::AssertionSuccess() : testing::AssertionFailure() << list.dump();
}

Shape with_more(const Shape &is, const std::vector<std::string> &fields)
{
    return [is, fields](Json object) -> testing::AssertionResult {
        for (const std::string &field : fields) {
            if (object.erase(field) != 1)
                return testing::AssertionFailure() << field << " is missing in " << object.dump();
        }
        return is(object);
    };
}

// A key that is shown this once, and whatever it is of.
Shape with_secret(const Shape &is, std::vector<std::string> more = {})
{
    more.push_back("key");
    return with_more(is, more);
}

// The things that the table's requests name: one of each kind, and people around it.
class Scene {
public:
    Scene()
    {
        const Person member = person(), other = person();
        const std::string id = organization(), team_id = team(id);
        join(id, member.id);
        join(id, other.id);
        ask("POST /team/member_add", {{"team_id", team_id}, {"member", {{"user_id", member.id}, {"role", "user"}}}});
        const std::string key = key_for({{"team_id", team_id}, {"user_id", member.id}});
        const Json call = ask("POST /usage/reserve", {{"key", key}, {"model", "m"}});
        const Json logged = ask("POST /usage/record", {{"key", key}, {"model", "m"}, {"cost", 1}});
        const Json entry = ask("GET /audit?page_size=1&organization_id=" + id).at("audit_logs").at(0);
        values_ = {{"organization", id},
                   {"team", team_id},
                   {"member", member.id},
                   {"other", other.id},
                   {"key", key},
                   {"budget", ask("POST /budget/new", Json::object()).at("budget_id")},
                   {"customer", ask("POST /customer/new", {{"user_id", fresh("customer")}}).at("user_id")},
                   {"call", call.at("request_id")},
                   {"logged", logged.at("request_id")},
                   {"entry", entry.at("id")},
                   {"new", fresh("new")}};
    }

    // The key of somebody who has to do with none of it.
    static const std::string &stranger()
    {
        static const std::string key = person().key;
        return key;
    }

    // With the values where their names stand in angle brackets.
    std::string fill(std::string text) const
    {
        for (const auto &[name, value] : values_) {
            const std::string place = "<" + name + ">";
            for (size_t at; (at = text.find(place)) != std::string::npos;)
                text.replace(at, place.size(), value);
        }
        return text;
    }

private:
    std::map<std::string, std::string> values_;
};

// A refusal of the same request by a stranger or, where a stranger gets something as well, of another one by the admin.
struct No {
    Matcher<const Reply &> answer;
    std::string target = {}, body = {};
};

struct Line {
    std::string route;
    std::string target; // the route's path, filled in, with its query
    std::string body;
    Shape shape;
    No no;
};

const No not_allowed{e2(401, testing::_)}, not_allowed_e1{e1(401, testing::_)}, forbidden{e2(403, testing::_)},
    forbidden_e1{e1(403, HasSubstr("not allowed"), "auth_error")}, not_found{e2(404, HasSubstr("not found"))};

No no_such_limit(const std::string &path) { return {e3({"query", "limit"}, "value_error"), path + "?limit=0"}; }

Line change(const std::string &route, const std::string &body, const Shape &shape, const No &no = not_allowed)
{
    return {route, route.substr(route.find(' ') + 1), body, shape, no};
}

Line look(const std::string &path, const std::string &query, const Shape &shape, const No &no = not_allowed)
{
    return {"GET " + path, path + query, "", shape, no};
}

Line list(const std::string &path, const Shape &shape)
{
    return {"GET " + path, path + "?limit=1", "", list_of(shape), no_such_limit(path)};
}

// A page of the list under this name.
Shape page_of(const std::string &elements, const Shape &is, std::vector<std::string> fields)
{
    fields.insert(fields.begin(), elements);
    return [=](const Json &page) -> testing::AssertionResult {
        const auto result = has(fields)(page);
        return result ? list_of(is)(page.at(elements)) : result;
    };
}

Shape is_page_of(const std::string &elements, const Shape &is)
{
    return page_of(elements, is, {"total", "page", "page_size", "total_pages", "next"});
}

testing::AssertionResult is_string(const Json &value)
{
    return value.is_string() ? testing::AssertionSuccess() : testing::AssertionFailure() << value.dump();
}

Line pages(const std::string &path, const Shape &shape)
{
    return {"GET " + path, path + "?limit=1", "", shape, {e3({"query", "page"}, "value_error"), path + "?page=0"}};
}

No no_such_page(const std::string &path) { return {e3({"query", "page"}, "value_error"), path + "?page=0"}; }

testing::AssertionResult is_page_of_calls(const Json &page)
{
    return page_of("data", is_logged_call, {"total", "page", "page_size", "total_pages"})(page);
}

const std::string in_organization = R"({"organization_id": "<organization>"})", of_team = R"({"team_id": "<team>"})";
const std::string one_member =
    R"({"organization_id": "<organization>", "member": {"role": "internal_user", "user_id": "<new>"}})";

const std::string in_march = "&start_date=2026-03-01&end_date=2026-03-31";
const std::string always = "&start_date=2000-01-01&end_date=2999-12-31";
const Shape is_activity = has({"results", "metadata"});

const std::vector<Line> table{
    change("POST /organization/new", R"({"organization_alias": "x"})", is_organization),
    change("PATCH /organization/update", in_organization, is_organization),
    change("POST /organization/update", in_organization, is_organization),
    {"PATCH /v2/organization/{organization_id}", "/v2/organization/<organization>", R"({"tags": ["t"]})",
     is_organization, not_allowed},
    change("DELETE /organization/delete", R"({"organization_ids": ["<organization>"]})", list_of(is_organization)),
    list("/organization/list", is_organization),
    look("/organization/info", "?organization_id=<organization>", is_organization),
    change("POST /organization/info", R"({"organizations": ["<organization>"]})", list_of(is_organization)),
    change("POST /organization/block", in_organization, is_organization),
    change("POST /organization/unblock", in_organization, is_organization),
    {"GET /organization/audit", "/organization/audit?limit=1&organization_id=<organization>", "",
     list_of(is_audit_entry), not_allowed},
    look("/organization/daily/activity", "?organization_ids=<organization>" + in_march, is_activity),
    {"GET /team/daily/activity", "/team/daily/activity?team_ids=<team>" + in_march, "", is_activity, forbidden},
    {"GET /user/daily/activity", "/user/daily/activity?user_id=<member>" + in_march, "", is_activity, not_allowed},
    {"GET /user/daily/activity/aggregated", "/user/daily/activity/aggregated?user_id=<member>" + in_march, "",
     is_activity, not_allowed},
    {"GET /tag/daily/activity", "/tag/daily/activity?tags=t" + in_march, "", is_activity, not_allowed},
    {"GET /customer/daily/activity", "/customer/daily/activity?end_user_ids=<customer>" + in_march, "", is_activity,
     not_allowed},
    {"GET /end_user/daily/activity", "/end_user/daily/activity?end_user_ids=<customer>" + in_march, "", is_activity,
     not_allowed},
    {"GET /global/spend/report", "/global/spend/report?group_by=api_key" + always, "",
     list_of(has({"api_key", "total_cost", "total_input_tokens", "total_output_tokens", "model_details"})),
     not_allowed},
    {"GET /spend/logs", "/spend/logs?request_id=<logged>&limit=1", "", list_of(is_logged_call),
     no_such_limit("/spend/logs")},
    look("/spend/logs/ui", "?api_key=<key>", is_page_of_calls, no_such_page("/spend/logs/ui")),
    look("/spend/logs/v2", "?api_key=<key>", is_page_of_calls, no_such_page("/spend/logs/v2")),
    look("/audit", "?organization_id=<organization>",
         page_of("audit_logs", is_change, {"total", "page", "page_size", "total_pages"})),
    {"GET /audit/{id}", "/audit/<entry>", "", is_change, not_allowed},
    change("POST /organization/member_add", one_member,
           has({"organization_id", "updated_users", "updated_organization_memberships"}), not_allowed_e1),
    change("PATCH /organization/member_update",
           R"({"organization_id": "<organization>", "user_id": "<member>", "role": "org_admin"})", is_membership),
    change("DELETE /organization/member_delete", R"({"organization_id": "<organization>", "user_id": "<member>"})",
           with_more(is_membership, {"token_ids_to_rotate"})),

    change("POST /user/new", R"({"user_id": "<new>"})", with_secret(is_user, {"key_name", "token_id", "expires"})),
    change("POST /user/update", R"({"user_id": "<member>", "user_alias": "x"})", has({"user_id", "data"})),
    {"POST /user/{user_id}/reset_spend", "/user/<member>/reset_spend", R"({"reset_to": 0})", is_user, not_allowed},
    change("POST /user/bulk_update", R"({"users": [{"user_id": "<member>", "user_alias": "x"}]})",
           has({"results", "total_requested", "successful_updates", "failed_updates"})),
    look("/v2/user/info", "?user_id=<member>", is_user, not_found),
    look("/user/filter/ui", "?user_id=<member>", list_of(has({"user_id", "user_email", "user_alias"})),
         {e3({"query", "page_size"}, "value_error"), "/user/filter/ui?page_size=0"}),
    look("/user/available_roles", "",
         has({"proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"}),
         {testing::Field(&Reply::status, 404), "/user/available_roles/none"}),
    look("/user/info", "?user_id=<member>", has({"user_id", "user_info", "keys", "teams"}), not_found),
    pages("/user/list", is_page_of("users", is_user)),
    change("POST /user/delete", R"({"user_ids": ["<member>"]})", is_one),

    change("POST /team/new", in_organization, is_team, forbidden),
    change("POST /team/update", R"({"team_id": "<team>", "team_alias": "x"})", has({"team_id", "data"}), forbidden),
    {"POST /team/{team_id}/reset_spend", "/team/<team>/reset_spend", R"({"reset_to": 0})", is_team, forbidden},
    look("/team/info", "?team_id=<team>", has({"team_id", "team_info", "keys", "team_memberships"}), not_found),
    list("/team/list", with_more(is_team, {"keys", "team_memberships"})),
    pages("/v2/team/list", is_page_of("teams", with_more(is_team, {"keys", "team_memberships"}))),
    change("POST /team/delete", R"({"team_ids": ["<team>"]})", list_of(is_team), forbidden),
    change("POST /team/block", of_team, is_team, forbidden),
    change("POST /team/unblock", of_team, is_team, forbidden),
    change("POST /team/member_add", R"({"team_id": "<team>", "member": {"role": "user", "user_id": "<other>"}})",
           with_more(is_team, {"updated_users", "updated_team_memberships"}), forbidden),
    change("POST /team/bulk_member_add",
           R"({"team_id": "<team>", "members": [{"role": "user", "user_id": "<other>"}]})",
           has({"team_id", "results", "total_requested", "successful_additions", "failed_additions", "updated_team"}),
           forbidden),
    look("/team/permissions_list", "?team_id=<team>",
         has({"team_id", "team_member_permissions", "all_available_permissions"}), not_found),
    change("POST /team/permissions_update", R"({"team_id": "<team>", "team_member_permissions": ["/key/generate"]})",
           is_team, forbidden),
    // Nobody is refused: there is nothing to see.
    {"GET /team/available", "/team/available", "", is_empty_list, {testing::_, "/team/available"}},
    change("POST /team/member_update", R"({"team_id": "<team>", "user_id": "<member>", "role": "admin"})",
           is_team_membership, forbidden),
    change("POST /team/member_delete", R"({"team_id": "<team>", "user_id": "<member>"})", is_team, forbidden),

    change("POST /key/generate", in_organization, with_secret(is_key), forbidden_e1),
    change("POST /key/service-account/generate", of_team, with_secret(is_key), forbidden_e1),
    change("POST /key/update", R"({"key": "<key>", "key_alias": "x"})", with_more(is_key, {"key"}), forbidden_e1),
    change("POST /key/bulk_update", R"({"keys": [{"key": "<key>", "tags": ["x"]}]})",
           has({"total_requested", "successful_updates", "failed_updates"}),
           {e3({"body", "keys"}, "value_error"), "", R"({"keys": {}})"}),
    look("/key/info", "?key=<key>", has({"key", "info"}), {e1(404, "Key not found", "not_found_error")}),
    change("POST /v2/key/info", R"({"keys": ["<key>"]})", has({"key", "info"}),
           {e3({"body", "keys"}, "missing"), "", R"({"keys": null})"}),
    pages("/key/list", page_of("keys", is_string, {"total_count", "current_page", "total_pages", "next"})),
    {"GET /key/aliases",
     "/key/aliases",
     "",
     page_of("aliases", is_string, {"total_count", "current_page", "total_pages"}),
     {e3({"query", "page"}, "int_parsing"), "/key/aliases?page=one"}},
    change("POST /key/delete", R"({"keys": ["<key>"]})", has({"deleted_keys"}), forbidden_e1),
    change("POST /key/regenerate", R"({"key": "<key>"})", with_secret(is_key), forbidden_e1),
    {"POST /key/{key}/regenerate", "/key/<key>/regenerate", "", with_secret(is_key), forbidden_e1},
    {"POST /key/{key}/reset_spend", "/key/<key>/reset_spend", R"({"reset_to": 0})", with_more(is_key, {"key"}),
     forbidden_e1},
    change("POST /key/block", R"({"key": "<key>"})", is_key, forbidden_e1),
    change("POST /key/unblock", R"({"key": "<key>"})", is_key, forbidden_e1),
    change("POST /key/health", "{}", has({"key", "logging_callbacks"}),
           {e3(Json::array({"body"}), "dict_type"), "", "[]"}),

    change("POST /budget/new", R"({"budget_id": "<new>"})", is_budget),
    change("POST /budget/update", R"({"budget_id": "<budget>", "max_budget": 1})", is_budget),
    change("POST /budget/info", R"({"budgets": ["<budget>"]})", list_of(is_budget)),
    list("/budget/list", is_budget),
    change("POST /budget/delete", R"({"id": "<budget>"})", is_budget),

    change("POST /customer/new", R"({"user_id": "<new>", "max_budget": 1})", is_end_user, not_allowed_e1),
    change("POST /customer/update", R"({"user_id": "<customer>", "alias": null})", is_end_user, not_allowed_e1),
    look("/customer/info", "?end_user_id=<customer>", is_end_user, not_allowed_e1),
    list("/customer/list", is_end_user),
    change("POST /customer/delete", R"({"user_ids": ["<customer>"]})", has({"deleted_customers"}), not_allowed_e1),
    change("POST /customer/block", R"({"user_ids": ["<customer>"]})", has({"blocked_users"}), not_allowed_e1),
    change("POST /customer/unblock", R"({"user_ids": ["<customer>"]})", has({"blocked_users"}), not_allowed_e1),
    change("POST /end_user/new", R"({"user_id": "<new>", "max_budget": 1})", is_end_user, not_allowed_e1),
    change("POST /end_user/update", R"({"user_id": "<customer>", "alias": null})", is_end_user, not_allowed_e1),
    look("/end_user/info", "?end_user_id=<customer>", is_end_user, not_allowed_e1),
    list("/end_user/list", is_end_user),
    change("POST /end_user/delete", R"({"user_ids": ["<customer>"]})", has({"deleted_customers"}), not_allowed_e1),
    change("POST /end_user/block", R"({"user_ids": ["<customer>"]})", has({"blocked_users"}), not_allowed_e1),
    change("POST /end_user/unblock", R"({"user_ids": ["<customer>"]})", has({"blocked_users"}), not_allowed_e1),

    look("/events", "?limit=1&organization_id=<organization>", list_of(is_event)),

    change("POST /usage/reserve", R"({"key": "<key>", "model": "m"})", is_reservation, not_allowed_e1),
    change("POST /usage/settle", R"({"request_id": "<call>", "cost": 1})", is_settled_call, not_allowed_e1),
    change("POST /usage/cancel", R"({"request_id": "<call>"})", has({"reservation_id", "request_id", "state"}),
           not_allowed_e1),
    change("POST /usage/extend", R"({"request_id": "<call>"})", is_extended_call, not_allowed_e1),
    change("POST /usage/record", R"({"key": "<key>", "model": "m", "cost": 1})", is_settled_call, not_allowed_e1),
    look("/usage/limits", "?key=<key>", has({"token_id", "limits"}), not_allowed_e1),
    look("/usage/refusals", "", has({"refusals", "total", "page", "page_size", "total_pages"}),
         no_such_page("/usage/refusals")),
    change("POST /limit/try",
           R"({"key": "<key>", "limit": {"limit": "cost", "value": 1, "per": "1d", "each": "model"}})",
           has({"owner", "id", "limit", "field", "per", "model", "tag", "each", "part", "soft", "value", "window_start",
                "resets_at", "counts_at_once", "total", "over", "highest_within"}),
           not_allowed_e1),
    change("POST /usage/reset", R"({"key": "<key>"})", has({"owner", "id", "organization_id", "limit", "reset_at"}),
           not_allowed_e1),
};

std::string method(const Line &line) { return line.route.substr(0, line.route.find(' ') + 1); }

const Route &route_of(const Line &line)
{
    return *std::find_if(routes.begin(), routes.end(), [&](const Route &route) {
        return std::string{route.method} + " " + std::string{route.path} == line.route;
    });
}

void PrintTo(const Line &line, std::ostream *out) { *out << line.route; }

class RouteTable : public testing::TestWithParam<Line> {};

TEST_P(RouteTable, AnswersAndRefuses)
{
    const Line &line = GetParam();
    const Scene scene;
    Scene::stranger();
    const std::string target = method(line) + scene.fill(line.target), body = scene.fill(line.body);
    const auto before = database_digest();

    EXPECT_THAT(send(target, body, {}), e1(401, "Authentication Error, No api key passed in."));
    EXPECT_THAT(send(target, body, bearer("sk-unknown")),
                e1(401, "Authentication Error, Invalid proxy server token passed."));
    if (!line.no.body.empty())
        EXPECT_THAT(send(target, line.no.body, bearer(Scene::stranger())), line.no.answer);
    else if (line.no.target.empty())
        EXPECT_THAT(send(target, body, bearer(Scene::stranger())), line.no.answer);
    else
        EXPECT_THAT(send(method(line) + line.no.target, body, bearer(admin_key())), line.no.answer);
    EXPECT_EQ(database_digest(), before);

    const Reply yes = send(target, body, bearer(admin_key()));
    ASSERT_EQ(yes.status, 200) << yes.text;
    EXPECT_TRUE(line.shape(yes.body));
    EXPECT_EQ(yes.headers.count("ETag"), is_tagged(route_of(line)));
    EXPECT_EQ(yes.headers.count("Link"), !route_of(line).cursor.empty()) << "a full page has a next one";
}

INSTANTIATE_TEST_SUITE_P(, RouteTable, testing::ValuesIn(table), [](const auto &parameter) {
    std::string name = parameter.param.route;
    std::replace_if(name.begin(), name.end(), [](unsigned char byte) { return !std::isalnum(byte); }, '_');
    return name;
});

TEST(Routes, AreAllInTheTable)
{
    std::set<std::string> expected, present;
    for (const Route &route : routes) {
        // test/integrations signs in, at a gateway with an issuer.
        if (route.kind != Kind::own && route.kind != Kind::sign_in)
            expected.insert(std::string{route.method} + " " + std::string{route.path});
    }
    for (const Line &line : table)
        EXPECT_TRUE(present.insert(line.route).second) << line.route << " is there twice";
    EXPECT_EQ(present, expected);
}

// The gateway's own routes need no key.
TEST(Routes, OfTheGatewayItselfAreOpen)
{
    httplib::Client client{"127.0.0.1", gateway_port()};
    for (const Route &route : routes) {
        if (route.kind != Kind::own)
            continue;
        const std::string path = route.path == docs_file.path      ? "/docs/page.css"
                                 : route.path == console_file.path ? "/console/console.css"
                                                                   : std::string{route.path};
        const auto yes = client.Get(path), no = client.Post(path);
        ASSERT_TRUE(yes && no) << path;
        EXPECT_EQ(yes->status, 200) << path;
        EXPECT_FALSE(yes->body.empty()) << path;
        EXPECT_EQ(no->status, 405) << path;
        EXPECT_EQ(no->get_header_value("Allow"), "GET, HEAD") << path;
    }
}

// A field that has to be there, of each route that has one.
TEST(Routes, TellWhichFieldIsMissing)
{
    const std::vector<std::pair<std::string, std::string>> required{
        {"POST /organization/new", "organization_alias"},
        {"PATCH /organization/update", "organization_id"},
        {"POST /organization/update", "organization_id"},
        {"DELETE /organization/delete", "organization_ids"},
        {"POST /organization/info", "organizations"},
        {"POST /organization/block", "organization_id"},
        {"POST /organization/unblock", "organization_id"},
        {"POST /organization/member_add", "organization_id"},
        {"POST /organization/member_add", "member"},
        {"PATCH /organization/member_update", "organization_id"},
        {"DELETE /organization/member_delete", "organization_id"},
        {"POST /user/update", "user_id"},
        {"POST /user/delete", "user_ids"},
        {"POST /team/update", "team_id"},
        {"POST /team/delete", "team_ids"},
        {"POST /team/block", "team_id"},
        {"POST /team/unblock", "team_id"},
        {"POST /team/member_add", "team_id"},
        {"POST /team/member_add", "member"},
        {"POST /team/member_update", "team_id"},
        {"POST /team/member_delete", "team_id"},
        {"POST /key/block", "key"},
        {"POST /key/unblock", "key"},
        {"POST /budget/update", "budget_id"},
        {"POST /budget/info", "budgets"},
        {"POST /budget/delete", "id"},
        {"POST /customer/new", "user_id"},
        {"POST /customer/update", "user_id"},
        {"POST /customer/delete", "user_ids"},
        {"POST /customer/block", "user_ids"}};
    const Scene scene;
    const auto before = database_digest();
    for (const auto &[route, field] : required) {
        const auto line = std::find_if(table.begin(), table.end(), [&](const Line &one) { return one.route == route; });
        ASSERT_NE(line, table.end()) << route;
        Json body = Json::parse(scene.fill(line->body));
        body.erase(field);
        EXPECT_THAT(call(route, body), e3({"body", field}, "missing")) << route;
        body[field] = nullptr;
        EXPECT_THAT(call(route, body), e3({"body", field}, "missing")) << route;
    }
    for (const auto &[path, field] :
         std::vector<std::pair<std::string, std::string>>{{"/organization/info", "organization_id"},
                                                          {"/organization/audit", "organization_id"},
                                                          {"/customer/info", "end_user_id"},
                                                          {"/team/info", "team_id"}})
        EXPECT_THAT(call("GET " + path), e3({"query", field}, "missing")) << path;
    EXPECT_EQ(database_digest(), before);
}

} // namespace
} // namespace pg_org::test
