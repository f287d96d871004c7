// The Link header.
#include "reply.hpp"

#include <gtest/gtest.h>

using namespace pg_org;

namespace {

constexpr Route pages{"GET", "/organization/list", "org_list", Kind::list, Envelope::detail, "organization_id"};
constexpr Route no_pages{"GET", "/organization/info", "org_info", Kind::look};
constexpr auto two = R"([{"organization_id":"a","members":[{"organization_id":"x"}]},)"
                     R"({"organization_id":"b&c","teams":[{"organization_id":"y","deep":[[{}]]}],"last":{}}])";

} // namespace

TEST(Paging, LinksAFullPageToTheNext)
{
    EXPECT_EQ(next_page(pages, read_query("limit=2"), two), "</organization/list?limit=2&after=b%26c>; rel=\"next\"");
}

TEST(Paging, NamesTheTimeOfTheLastElementToo)
{
    EXPECT_EQ(next_page(pages, read_query("limit=1"),
                        R"([{"organization_id":"a","created_at":"2026-11-23T10:18:07.402113Z"}])"),
              "</organization/list?limit=1&after=2026-11-23T10%3A18%3A07.402113Z%2Fa>; rel=\"next\"");
    constexpr Route audit{"GET", "/organization/audit", "org_audit", Kind::list, Envelope::detail, "audit_id"};
    EXPECT_EQ(next_page(audit, read_query("limit=1"),
                        R"([{"audit_id":"a","occurred_at":"2026-11-23T10:18:07.402113Z","after":{"created_at":"x"}}])"),
              "</organization/audit?limit=1&after=2026-11-23T10%3A18%3A07.402113Z%2Fa>; rel=\"next\"");
    constexpr Route logs{"GET", "/spend/logs", "spend_logs", Kind::logs, Envelope::error, "request_id"};
    EXPECT_EQ(next_page(logs, read_query("limit=1"),
                        R"([{"request_id":"a","startTime":"x","endTime":"2026-11-23T10:18:07.402113Z"}])"),
              "</spend/logs?limit=1&after=2026-11-23T10%3A18%3A07.402113Z%2Fa>; rel=\"next\"");
}

TEST(Paging, TakesWhatAnObjectNamesAsNext)
{
    constexpr Route keys{"GET", "/key/list", "key_list", Kind::list, Envelope::detail, "next"};
    EXPECT_EQ(next_page(keys, read_query("limit=1"), R"({"keys":["a"],"total_count":null,"next":"t/a"})"),
              "</key/list?limit=1&after=t%2Fa>; rel=\"next\"");
    EXPECT_EQ(next_page(keys, read_query("limit=1"), R"({"keys":[{"next":"x"}],"next":null})"), "");
    EXPECT_EQ(next_page(keys, read_query("page=1"), R"({"keys":["a"],"next":null})"), "");
}

TEST(Paging, TakesNumbersToo)
{
    constexpr Route events{"GET", "/events", "org_events", Kind::list, Envelope::detail, "event_id"};
    EXPECT_EQ(next_page(events, read_query("limit=1"), R"([{"event_id":9007199254740993,"kind":"x"}])"),
              "</events?limit=1&after=9007199254740993>; rel=\"next\"");
}

TEST(Paging, KeepsFiltersAndReplacesThePlace)
{
    EXPECT_EQ(next_page(pages, read_query("after=zzz&org_alias=x%3E%22+y&limit=2"), two),
              "</organization/list?limit=2&org_alias=x%3E%22%20y&after=b%26c>; rel=\"next\"");
}

TEST(Paging, HasNoLinkOtherwise)
{
    EXPECT_EQ(next_page(pages, read_query("limit=3"), two), "");
    EXPECT_EQ(next_page(pages, read_query("limit=1"), two), "");
    EXPECT_EQ(next_page(pages, read_query("limit=2"), "[]"), "");
    EXPECT_EQ(next_page(pages, read_query("after=a"), two), "");
    EXPECT_EQ(next_page(no_pages, read_query("limit=2"), two), "");
}
