// Activity: what calls have cost and used, day by day. A report is about organizations, teams, keys, users, tags or
// customers: its entities.
#pragma once

#include "base/number.hpp"
#include "base/session.hpp"

namespace pg_org {

struct Metrics {
    Number spend = zero();
    enum Count { prompt_tokens, completion_tokens, cache_read, cache_creation, successful, failed, counts };
    std::array<int64, counts> count{};

    void add(const Metrics &other)
    {
        spend = spend + other.spend;
        for (size_t i = 0; i < counts; i++)
            count[i] = sum(count[i], other.count[i]);
    }
    int64 total_tokens() const { return sum(count[prompt_tokens], count[completion_tokens]); }
    int64 requests() const { return sum(count[successful], count[failed]); }

private:
    // Raises an error on overflow.
    static int64 sum(int64 a, int64 b) { return DatumGetInt64(DirectFunctionCall2(int8pl, a, b)); }
};

// The usage of a day by an entity, with a key, of a model.
struct Activity {
    Text date, entity;
    Maybe<Text> entity_alias; // none: it has no such name
    Text model, key_id;
    Maybe<Text> key_alias, team_id;
    Metrics metrics;

    Text provider() const;
};
using Activities = std::span<Activity>;

Metrics total(Activities activities);

// Sorts activities by a property, and handles those with the same value together.
template <typename By, typename Do> void for_each_group(Activities activities, By by, Do work)
{
    std::ranges::sort(activities, {}, by);
    while (!activities.empty()) {
        CHECK_FOR_INTERRUPTS();
        const auto group = std::ranges::equal_range(activities, std::invoke(by, activities[0]), {}, by);
        work(Activities{group.begin(), group.end()});
        activities = activities.subspan(group.size());
    }
}

// The days of a report, and what the caller may see of them.
struct ActivityQuery {
    Text entities;          // organization, team, key, user, tag or customer
    Text first, last, zone; // days in a time zone as AT TIME ZONE reads it
    Maybe<Texts> ids;       // of the entities; none: all
    Texts excluded;
    Maybe<Text> model, key_id, team_id, user_id, end_user; // only calls of these
    Maybe<Texts> organizations;                            // in which the calls were made; none: all
    bool of_all_times;                                     // also of earlier owners of the same identifiers
    int64 page, page_size;                                 // in days
};
inline constexpr int64 all_days = 10'000'000; // more than there are
// The arguments that all reports have; without `page` among them, all days are one page.
ActivityQuery read_activity_query(Session &session, Text entities);
// The organizations whose calls a caller may read who asks for those of several owners: none for all, or those that the
// caller administers. Others are refused.
Maybe<Texts> readable_organizations(Session &session, const char *what);

struct ActivityPage {
    Activities activities; // each call once, by date
    Activities by_entity;  // a call with several tags is in each of them; by date
    int64 page, total_pages;
};
ActivityPage read_activity(Session &session, const ActivityQuery &query);

// Writes a page in LiteLLM's shape. The names of entities are in the field `alias`; null: they have none.
void write_activity(Writer &reply, const ActivityPage &page, const char *alias);

} // namespace pg_org
