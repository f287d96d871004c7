// Limits: sentences such as "each end user may spend at most 5 dollars per 30 days on gpt-4o". Fields such as rpm_limit
// are short forms of them.
#pragma once

#include "base/duration.hpp"
#include "base/json.hpp"
#include "base/number.hpp"
#include "base/statement.hpp"

namespace pg_org {

// What is limited, in the order in which limits are checked.
enum class Limited { cost, parallel_requests, requests, tokens };
Text name_of(Limited what);
Maybe<Limited> limited_named(Text name);

// A limit may hold for each of these by itself: the part of a call that it counts is the call's own one.
enum class Each { none, model, tag, end_user, member, key, team };
inline constexpr std::array all_each{Each::model, Each::tag, Each::end_user, Each::member, Each::key, Each::team};
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
    // Whether the other counts the same calls, perhaps of another part.
    bool is_like(const Scope &other) const { return model == other.model && tag == other.tag && each == other.each; }
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
    mutable Text shown;       // what replies say of it, once one has

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

// The columns that limit an owner, of its own row or of its budget.
struct LimitColumns {
    Maybe<Number> max_budget, soft_budget;
    Maybe<Json> model_max_budget;
    Maybe<int64> tpm_limit, rpm_limit, max_parallel_requests;
    Maybe<Text> budget_duration;
    Maybe<Time> budget_reset_at;
    Json limits;
    Maybe<Json> short_limits, short_limits_of_budget;
};

// clang-format off

// These columns of a row of org.budget, org.team, org."user" or org.api_key.
#define LIMITS_OF_BUDGET(b) \
    b ".max_budget, " b ".soft_budget, " b ".model_max_budget, " b ".tpm_limit, " b ".rpm_limit, " \
    b ".max_parallel_requests, " b ".budget_duration, " b ".budget_reset_at, coalesce(" b ".limits, '[]'), " \
    b ".short_limits, NULL::jsonb"
#define LIMITS_OF_TEAM(t) \
    t ".max_budget, NULL::numeric, NULL::jsonb, " t ".tpm_limit, " t ".rpm_limit, " t ".max_parallel_requests, " \
    t ".budget_duration, " t ".budget_reset_at, " t ".limits, " t ".short_limits, NULL::jsonb"
#define LIMITS_OF_USER(u) \
    u ".max_budget, NULL::numeric, " u ".model_max_budget, " u ".tpm_limit, " u ".rpm_limit, NULL::bigint, " \
    u ".budget_duration, " u ".budget_reset_at, " u ".limits, " u ".short_limits, NULL::jsonb"
#define LIMITS_OF_KEY(k) \
    k ".max_budget, NULL::numeric, " k ".model_max_budget, " k ".tpm_limit, " k ".rpm_limit, " \
    k ".max_parallel_requests, " k ".budget_duration, " k ".budget_reset_at, " k ".limits, " k ".short_limits, NULL::jsonb"

// clang-format on
inline constexpr int limit_columns = 11;
LimitColumns read_limit_columns(const Row &row, int first);

// The limits of an owner, in the order in which they are checked.
UsageLimits read_limits(const LimitColumns &columns, Time owner_created_at, Time now);

// Refuses limits of which two are the same but for their values, and too many limits.
void require_valid_limits(const LimitColumns &columns);

// The limit that a sentence would be if it was saved now, beside the present limits. The same but for its value and
// raise keeps its count.
UsageLimit limit_if_saved(const Value &sentence, UsageLimits present, Time now);

// The argument `limits` of a call as it is stored, with the present as `since`; or an error naming the field.
Maybe<Json> sentences(const Maybe<Value> &list, const char *name);

} // namespace pg_org
