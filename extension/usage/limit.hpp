// Limits: sentences such as "each end user may spend at most 5 dollars per 30 days on gpt-4o". Fields such as rpm_limit
// are short forms of them.
#pragma once

#include "base/duration.hpp"
#include "base/json.hpp"
#include "base/number.hpp"

namespace pg_org {

// What is limited, in the order in which limits are checked.
enum class Limited { cost, parallel_requests, requests, tokens };
Text name_of(Limited what);
Maybe<Limited> limited_named(Text name);

// A limit may hold for each of these by itself: the part of a call that it counts is the call's own one.
enum class Each { none, model, tag, end_user, member, key, team };
inline constexpr std::array all_each{Each::model,  Each::tag, Each::end_user,
                                     Each::member, Each::key, Each::team};
Text name_of(Each each); // empty for none
Maybe<Each> each_named(Text name);

// Some of these.
class EachSet {
public:
    constexpr void add(Each each) { bits_ |= bit(each); }
    constexpr bool has(Each each) const { return (bits_ & bit(each)) != 0; }
    constexpr bool empty() const { return bits_ == 0; }
    constexpr bool operator==(const EachSet &) const = default;

private:
    uint32 bits_ = 0;
    static constexpr uint32 bit(Each each) { return 1U << static_cast<unsigned>(each); }
};

// openai/gpt-4o becomes gpt-4o.
inline Text without_provider(Text model) { return tail(model, model.find('/') + 1); }

// The calls that a limit counts. A counter counts the calls of one owner and one scope.
struct Scope {
    Text model; // a pattern, with or without provider; empty: all
    Text tag;   // empty: all
    Each each = Each::none;
    Text part; // of a counter: which model, tag and so on; empty if each is none

    bool operator==(const Scope &) const = default;
    bool is_everything() const { return model.empty() && tag.empty() && each == Each::none; }
    // Whether calls of the model with these tags are counted, if they have the part.
    bool counts(Text called_model, Texts tags) const;
};

struct UsageLimit {
    Limited what;
    Number value;    // with a raise that has not run out; not known if it only counts
    Maybe<Text> per; // as written; none: for ever
    Scope scope;     // without part
    bool soft = false;
    bool only_counts = false; // for period_spend, of an owner whose spend is not limited
    const char *field;        // by which it was set: "limits", or that of a short form
    Maybe<Time> since;        // no call before this counts
    Maybe<Time> anchor;       // the start or end of a period; none: periods of the clock or the calendar
    Text name;                // of what it counts, among the counts of its scope: "cost per 30d"

    // The period that a time is in.
    Window window_at(Time time) const;
};
using UsageLimits = std::span<const UsageLimit>;

// The period that a sentence's `per` stands for; none if it is no such text.
struct Per {
    Duration duration;
    bool is_counted_from_setting; // 2d and longer: otherwise of the clock or the calendar
};
Maybe<Per> parse_per(Text text);

// A sentence as org_setup()'s tables have it in a column `limits`: it was checked when it was set.
UsageLimit read_sentence(const Value &sentence, Time now);
// The name that a sentence has in replies and among resets is its own JSON without these.
inline constexpr std::array<Text, 3> members_beside_name{"value", "raise", "since"};

// The limits of an owner's row, in the order in which they are checked.
struct LimitColumns {
    Maybe<Number> max_budget, soft_budget;
    Maybe<Json> model_max_budget;
    Maybe<int64> tpm_limit, rpm_limit, max_parallel_requests;
    Maybe<Text> budget_duration;
    Maybe<Time> budget_reset_at;
    Json limits;
    Maybe<Json> short_limits, short_limits_of_budget;
};
UsageLimits read_limits(const LimitColumns &columns, Time owner_created_at, Time now);

// The time that an ISO 8601 text gives, as in 2026-12-01T00:00:00Z; without zone it is UTC. None if it is no such text.
Maybe<Time> parse_time(Text text);

} // namespace pg_org
