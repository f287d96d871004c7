// Activity: what calls have cost and used, day by day. A report is about organizations, teams, users, tags or
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
    Maybe<Text> entity_alias; // none: it has no such name, or was deleted
    Text model, key_id;
    Maybe<Text> key_alias, team_id;
    Metrics metrics;

    Text provider() const;
};
using Activities = std::span<Activity>;

// The days of a report, and what the caller may see of them.
struct ActivityQuery {
    Text entities;          // organization, team, user, tag or customer
    Text first, last, zone; // days in a time zone as PostgreSQL reads it
    Maybe<Texts> ids;       // of the entities; none: all
    Texts excluded;
    Maybe<Text> model, key_id;
    Maybe<Texts> organizations; // in which the calls were made; none: all
    bool of_all_times;          // also of earlier owners of the same identifiers
    int64 page, page_size;      // in days
};

struct ActivityPage {
    Activities activities; // each call once, by date
    // By entity: a call with several tags is in each of them. By date.
    Activities by_entity;
    int64 page, total_pages;
};
ActivityPage read_activity(Session &session, const ActivityQuery &query);

// Writes a page in LiteLLM's shape. Entities have their alias as the field of that name; none: they have no alias.
void write_activity(Writer &reply, const ActivityPage &page, const char *alias);

} // namespace pg_org
