// GET /organization/list

#include <regex>

#include "matchers.hpp"

namespace pg_org::test {
namespace {

const std::string route = "GET /organization/list";

std::vector<Json> listed(const std::string &filter, const std::string &key = admin_key())
{
    return values_of(ask(route + filter, nullptr, key), "organization_id");
}

// Where the Link header leads, as a route; empty if there is none.
std::string next_page(const Reply &reply)
{
    static const std::regex form{R"re(<(?:https?://[^/>]*)?(/organization/list\?[^>]*)>; rel="next")re"};
    const std::string link = reply.header("Link");
    std::smatch parts;
    if (link.empty())
        return "";
    EXPECT_TRUE(std::regex_match(link, parts, form)) << link;
    return "GET " + parts.str(1);
}

TEST(OrganizationList, ShowsEachWithMembersTeamsAndBudget)
{
    const std::string id = organization();
    const Person member = person();
    join(id, member.id);
    team(id);
    const Json all = ask(route);
    for (const Json &one : all)
        ASSERT_TRUE(is_organization(one));
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Json &one) { return one["organization_id"] == id; });
    ASSERT_NE(found, all.end());
    EXPECT_EQ(*found, info(id)) << "as info shows it";
}

TEST(OrganizationList, ShowsAllOfThemOldestFirst)
{
    const std::vector<Json> ids = listed("");
    EXPECT_EQ(std::to_string(ids.size()), value("SELECT count(*) FROM org.organization"));
    std::vector<Json> expected;
    for (const auto &row : query("SELECT organization_id FROM org.organization ORDER BY created_at, organization_id")) {
        expected.push_back(row[0].as<std::string>());
    }
    EXPECT_EQ(ids, expected);
}

TEST(OrganizationList, FindsAnOrganizationByItsExactId)
{
    const std::string id = organization();
    EXPECT_EQ(listed("?org_id=" + id), std::vector<Json>{id});
    EXPECT_TRUE(listed("?org_id=" + id.substr(0, 20)).empty());
    EXPECT_TRUE(listed("?org_id=no-such-org").empty());
}

TEST(OrganizationList, FindsOrganizationsByPartOfTheAliasIgnoringCase)
{
    const std::string id = organization({{"organization_alias", "Großes GeheimProjekt ÄÖ"}});
    EXPECT_EQ(listed("?org_alias=gEHEIMp"), std::vector<Json>{id});
    EXPECT_EQ(listed("?org_alias=" + encoded("äö")), std::vector<Json>{id});
    EXPECT_EQ(listed("?org_alias=geheimprojekt&org_id=" + id), std::vector<Json>{id});
    EXPECT_TRUE(listed("?org_alias=geheimprojekt&org_id=other").empty());
}

TEST(OrganizationList, TakesTheAliasFilterLiterally)
{
    const std::string id = organization({{"organization_alias", R"(literal%_\*.'";)"}});
    organization({{"organization_alias", "literalXXXXX"}});
    EXPECT_EQ(listed("?org_alias=" + encoded("literal%_")), std::vector<Json>{id});
    EXPECT_EQ(listed("?org_alias=" + encoded(R"(_\*)")), std::vector<Json>{id});
    EXPECT_EQ(listed("?org_alias=" + encoded(R"(.'";)")), std::vector<Json>{id});
}

TEST(OrganizationList, ReadsAPlusInTheQueryAsABlank)
{
    const std::string id = organization({{"organization_alias", "plus or blank"}});
    EXPECT_THAT(exchange("GET /organization/list?org_alias=plus+or+blank HTTP/1.1\r\nHost: localhost\r\nx-api-key: " +
                         admin_key() + "\r\n\r\n"),
                testing::HasSubstr(id));
}

TEST(OrganizationList, LeadsThroughAllPagesWithItsLinkHeader)
{
    const std::string alias = fresh("paged");
    std::vector<Json> expected;
    for (int count = 0; count < 7; ++count)
        expected.push_back(organization({{"organization_alias", alias}}));

    for (const int limit : {1, 3, 7}) {
        std::vector<Json> seen;
        std::string page = route + "?limit=" + std::to_string(limit) + "&org_alias=" + alias;
        while (!page.empty()) {
            const Reply reply = call(page);
            ASSERT_EQ(reply.status, 200) << page;
            for (const Json &id : values_of(reply.body, "organization_id"))
                seen.push_back(id);
            page = next_page(reply);
            EXPECT_EQ(page.empty(), reply.body.size() < static_cast<size_t>(limit)) << "a full page has a Link";
            ASSERT_LE(seen.size(), expected.size()) << "every organization once";
        }
        EXPECT_EQ(seen, expected) << limit;
    }
    EXPECT_TRUE(next_page(call(route + "?org_alias=" + alias)).empty()) << "without a limit: all, and no Link";
}

TEST(OrganizationList, KeepsItsOrderWhileOrganizationsComeAndGo)
{
    const std::string alias = fresh("moving");
    std::vector<std::string> ids;
    for (int count = 0; count < 4; ++count)
        ids.push_back(organization({{"organization_alias", alias}}));
    const std::string page = "?org_alias=" + alias + "&limit=2";
    EXPECT_EQ(listed(page), (std::vector<Json>{ids[0], ids[1]}));
    ask("DELETE /organization/delete", {{"organization_ids", Json::array({ids[0]})}});
    const std::string added = organization({{"organization_alias", alias}});
    EXPECT_EQ(listed(page + "&after=" + ids[1]), (std::vector<Json>{ids[2], ids[3]}));
    EXPECT_EQ(listed(page + "&after=" + ids[3]), std::vector<Json>{added});
}

TEST(OrganizationList, RefusesALimitOutside1To1000)
{
    for (const char *limit : {"0", "-1", "1001", "abc", "1.5", "9223372036854775808"}) {
        EXPECT_THAT(call(route + "?limit=" + limit), e3({"query", "limit"})) << limit;
    }
    EXPECT_EQ(call(route + "?limit=1000").status, 200);
}

TEST(OrganizationList, ShowsAMemberTheirOwnOnly)
{
    const Person member = person();
    EXPECT_TRUE(listed("", member.key).empty()) << "none: an empty list";
    const std::string id = organization(), other = organization();
    join(id, member.id, "internal_user_viewer");
    EXPECT_EQ(listed("", member.key), std::vector<Json>{id});
    EXPECT_TRUE(listed("?org_id=" + other, member.key).empty());
}

} // namespace
} // namespace pg_org::test
