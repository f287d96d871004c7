// Events taken out of a reply, and those who wait for them.
#include "events.hpp"

#include "database.hpp"

#include <gtest/gtest.h>

using namespace pg_org;

TEST(ReadEvents, TakesEachAsItStands)
{
    const std::string array = R"([{"event_id":7,"kind":"budget.exceeded","data":{"spend": 0.10000000000000000001,)"
                              R"( "id": "a\"}],{", "nested": [{"kind": "other"}]}},{"event_id":8,"kind":"b"}])";
    const auto events = read_events(array);
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].id, "7");
    EXPECT_EQ(events[0].kind, "budget.exceeded");
    EXPECT_EQ(events[1].id, "8");
    EXPECT_EQ(events[1].kind, "b");
    EXPECT_EQ("[" + std::string{events[0].json} + "," + std::string{events[1].json} + "]", array);
}

TEST(ReadEvents, FindsNoneWhereThereAreNone) { EXPECT_TRUE(read_events("[]").empty()); }

TEST(Listeners, WaitNoMoreOnceStopped)
{
    Listeners listeners{1};
    int reads = 0;
    const auto nothing = [&](const std::string &) {
        ++reads;
        return std::string{"[]"};
    };
    listeners.stop();
    EXPECT_EQ(listeners.poll(nothing, std::chrono::seconds{60}).body, "[]");
    EXPECT_EQ(reads, 1);
    std::string sent;
    listeners.stream(nothing).stream({[&](std::string_view text) {
                                          sent += text;
                                          return true;
                                      },
                                      [] { return true; }});
    EXPECT_EQ(sent, ":\n\n");
}

TEST(Listeners, GiveTheirPlaceBack)
{
    Listeners listeners{1};
    const auto nothing = [](const std::string &) { return std::string{"[]"}; };
    {
        const Reply stream = listeners.stream(nothing);
        EXPECT_EQ(stream.status, 200);
        EXPECT_EQ(listeners.stream(nothing).status, 503);
        EXPECT_EQ(listeners.poll(nothing, std::chrono::seconds{1}).status, 503);
        EXPECT_EQ(listeners.poll(nothing, std::chrono::seconds{0}).status, 200);
    }
    EXPECT_EQ(listeners.stream(nothing).status, 200);
}

TEST(Listeners, GoOnFromTheLastEventWhenTheDatabaseIsBack)
{
    Listeners listeners{1};
    std::vector<std::string> asked;
    const auto read = [&](const std::string &after) -> std::string {
        asked.push_back(after);
        switch (asked.size()) {
        case 1: return R"([{"event_id":3,"kind":"a"},{"event_id":5,"kind":"b"}])";
        case 2: throw DatabaseError{"57P01", "terminating connection", true, ""};
        case 3: return R"([{"event_id":6,"kind":"c"}])";
        default: throw DatabaseError{"28000", "Key is blocked", false, ""};
        }
    };
    std::string sent;
    listeners.stream(read).stream({[&](std::string_view text) {
                                       sent += text;
                                       return true;
                                   },
                                   [] { return true; }});
    EXPECT_EQ(asked, (std::vector<std::string>{"", "5", "5", "6"}));
    EXPECT_EQ(sent, "id: 3\nevent: a\ndata: {\"event_id\":3,\"kind\":\"a\"}\n\n"
                    "id: 5\nevent: b\ndata: {\"event_id\":5,\"kind\":\"b\"}\n\n"
                    "id: 6\nevent: c\ndata: {\"event_id\":6,\"kind\":\"c\"}\n\n");
}
