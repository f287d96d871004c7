// Reading limits.

#include "limit.hpp"

#include "base/bounds.hpp"
#include "base/clock.hpp"
#include "base/fail.hpp"
#include "base/pattern.hpp"
#include "base/writer.hpp"
#include "budget.hpp"

namespace pg_org {

namespace {

constexpr std::array<Text, 4> names_of_limited{"cost", "parallel_requests", "requests", "tokens"};
constexpr std::array<Text, 7> names_of_each{"", "model", "tag", "end_user", "member", "key", "team"};

template <typename Enum, size_t size> Maybe<Enum> named(const std::array<Text, size> &names, Text name)
{
    const auto found = std::ranges::find(names, name);
    return found == names.end() ? Maybe<Enum>{} : static_cast<Enum>(found - names.begin());
}

Text joined(const char *format, Text first, Text second)
{
    return to_text(psprintf(format, FMT_ARG(first), FMT_ARG(second)));
}

// Without a zone, one of a unit of the calendar is of UTC's.
Text with_zone(Text per)
{
    static constexpr std::array<Text, 5> calendar{"1d", "1w", "1mo", "1q", "1y"};
    return std::ranges::find(calendar, per) == calendar.end() ? per : joined("%.*s@%.*s", per, "UTC");
}

constexpr Time unix_epoch{-(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY};

// Counts of one scope with the same name count the same.
Text count_name(const UsageLimit &limit, const char *of_period)
{
    Text name = name_of(limit.what);
    if (limit.per)
        name = joined("%.*s per %.*s", name, *limit.per);
    if (*of_period != '\0')
        name = joined("%.*s of the %.*s", name, to_text(of_period));
    if (limit.since)
        name = joined("%.*s from %.*s", name, to_text(iso_8601(*limit.since)));
    return limit.soft ? joined("%.*s%.*s", name, " soft") : name;
}

// It was checked when it was set.
UsageLimit read_sentence(const Value &sentence, Time now)
{
    const auto text = [&](const char *name) { return sentence.member(name).text().value_or(Text{}); };
    const auto value = sentence.member("value").number();
    const Value raise = sentence.member("raise");
    const auto amount = raise.member("amount").number();
    const auto until = raise.member("until").text();
    const auto raised_until = until ? parse_time(*until) : Maybe<Time>{};
    const bool is_raised = amount && raised_until && now.value < raised_until->value;
    UsageLimit limit{
        .what = limited_named(text("limit")).value_or(Limited::cost),
        .value = !value      ? zero()
                 : is_raised ? *value + *amount
                             : *value,
        .per = sentence.member("per").text(),
        .scope = {.model = text("model"), .tag = text("tag"), .each = each_named(text("each")).value_or(Each::none)},
        .soft = sentence.member("soft").boolean().value_or(false),
        .field = "limits"};
    const auto parsed = limit.per ? parse_per(*limit.per) : Maybe<Per>{};
    if (limit.what != Limited::parallel_requests && (!parsed || parsed->is_counted_from_setting))
        limit.since = parse_time(text("since"));
    limit.name = count_name(limit, "");
    return limit;
}

// Makes the list of an owner's limits.
class LimitList {
public:
    LimitList(const LimitColumns &columns, Time owner_created_at, Time now, size_t max_size)
        : columns_(columns), created_at_(owner_created_at), now_(now), limits_(allocate<UsageLimit>(max_size))
    {
    }

    // In the order in which they are checked.
    UsageLimits limits()
    {
        const auto sorted = allocate<UsageLimit>(count_);
        auto end = sorted.begin();
        for (const Limited what : {Limited::cost, Limited::parallel_requests, Limited::requests, Limited::tokens})
            end = std::ranges::copy_if(limits_.first(count_), end, [&](const UsageLimit &limit) {
                      return limit.what == what;
                  }).out;
        return sorted;
    }

    void add_columns()
    {
        if (columns_.max_budget || columns_.budget_duration)
            add_budget("max_budget", columns_.max_budget, {});
        if (columns_.soft_budget)
            add_budget("soft_budget", columns_.soft_budget, {.is_soft = true});
        if (columns_.model_max_budget)
            add_model_budgets(*columns_.model_max_budget);
        add_count("max_parallel_requests", Limited::parallel_requests, columns_.max_parallel_requests, nullptr);
        add_count("rpm_limit", Limited::requests, columns_.rpm_limit, "1m");
        add_count("tpm_limit", Limited::tokens, columns_.tpm_limit, "1m");
    }

    void add_short(Json short_limits)
    {
        const Value fields = to_value(short_limits, "");
        const auto count = [&](const char *field, Limited what, const char *per, Each each = Each::none) {
            add_count(field, what, fields.member(field).integer(), per, {.each = each});
        };
        const auto counts_by_model = [&](const char *field, Limited what) {
            if (const Value by_model = fields.member(field); by_model.is_object())
                for (const auto &[model, value] : members(by_model.as_object()))
                    add_count(field, what, value.integer(), "1m", {.model = model});
        };
        if (const auto soft = fields.member("soft_budget").number())
            add_budget("soft_budget", soft, {.is_soft = true});
        if (const Value by_model = fields.member("model_max_budget"); by_model.is_object())
            add_model_budgets(by_model.as_object());
        if (const Value list = fields.member("budget_limits"); !list.is_null())
            for (const Value &entry : list.elements())
                add_every("budget_limits", entry.member("max_budget").number(), entry.member("budget_duration").text(),
                          {});
        if (const auto budget = fields.member("team_member_budget").number())
            add_every("team_member_budget", budget, fields.member("team_member_budget_duration").text(),
                      {.each = Each::member});
        count("max_parallel_requests", Limited::parallel_requests, nullptr);
        count("rpd_limit", Limited::requests, "1d");
        count("tpd_limit", Limited::tokens, "1d");
        counts_by_model("model_rpm_limit", Limited::requests);
        counts_by_model("model_tpm_limit", Limited::tokens);
        count("team_member_rpm_limit", Limited::requests, "1m", Each::member);
        count("team_member_tpm_limit", Limited::tokens, "1m", Each::member);
    }

    void add_sentences(Json sentences)
    {
        for (const Value &sentence : to_value(sentences, "").elements())
            add(read_sentence(sentence, now_));
    }

private:
    const LimitColumns &columns_;
    Time created_at_, now_;
    std::span<UsageLimit> limits_;
    size_t count_ = 0;

    UsageLimit &add(const UsageLimit &limit) { return limits_[count_++] = limit; }

    void add_count(const char *field, Limited what, Maybe<int64> value, const char *per, Scope scope = {})
    {
        if (!value)
            return;
        UsageLimit &limit = add({.what = what, .value = number(*value), .per = {}, .scope = scope, .field = field});
        if (per != nullptr)
            limit.per = to_text(per);
        limit.name = count_name(limit, "");
    }

    struct OfBudget {
        bool is_soft = false;
        Text model;
    };
    // In the period of the owner's budget.
    void add_budget(const char *field, Maybe<Number> value, const OfBudget &kind)
    {
        const bool is_raised = value && !kind.is_soft && kind.model.empty();
        UsageLimit &limit = add({.what = Limited::cost,
                                 .value = value ? (is_raised ? raised(*value) : *value) : zero(),
                                 .per = columns_.budget_duration,
                                 .scope = {.model = kind.model},
                                 .soft = kind.is_soft,
                                 .only_counts = !value,
                                 .field = field,
                                 .anchor = columns_.budget_reset_at.value_or(created_at_)});
        limit.name = count_name(limit, "budget");
    }

    // In periods since the owner was made.
    void add_every(const char *field, Maybe<Number> value, Maybe<Text> per, Scope scope)
    {
        // An entry that the owner of the tables has made without an amount allows nothing: that is noticed sooner than
        // an entry that allows everything.
        UsageLimit &limit = add({.what = Limited::cost,
                                 .value = value && *value >= zero() ? *value : zero(),
                                 .per = per,
                                 .scope = scope,
                                 .field = field,
                                 .anchor = created_at_});
        limit.name = count_name(limit, "owner");
    }

    void add_model_budgets(Json by_model)
    {
        for (const auto &[model, entry] : members(by_model)) {
            const auto [amount, duration] = read_model_budget(entry);
            const auto value = amount.number();
            const auto per = duration.text();
            if (per && parse_duration(*per))
                add_every("model_max_budget", value, per, {.model = model});
            else
                add_budget("model_max_budget", value && *value >= zero() ? *value : zero(), {.model = model});
        }
    }

    Number raised(Number budget) const
    {
        if (!columns_.short_limits)
            return budget;
        const Value fields = to_value(*columns_.short_limits, "");
        const auto amount = fields.member("temp_budget_increase").number();
        const auto expiry = fields.member("temp_budget_expiry").text();
        const auto until = expiry ? parse_time(*expiry) : Maybe<Time>{};
        return amount && until && now_.value < until->value ? budget + *amount : budget;
    }
};

constexpr size_t max_limits_of_owner = 200;

[[noreturn]] void refuse_same(const char *field, const char *other)
{
    if (to_text(field) == to_text(other))
        invalid(field, "must not have two of the same limit, per, model, tag, each and soft");
    invalid(field, "must not set the same limit as %s", other);
}

// Whether they differ at most in value and raise.
bool is_same(const UsageLimit &one, const UsageLimit &other)
{
    return !one.only_counts && !other.only_counts && one.what == other.what && one.per == other.per &&
           one.scope == other.scope && one.soft == other.soft;
}

constexpr const char *per_rule =
    "must be a positive whole number and one of s, m, h, d, w, mo, as in 1m or 30d, or 1d, 1w, 1mo, 1q or 1y of a "
    "calendar, as in 1mo@Europe/Berlin";

bool is_per(Text text) { return is_duration(with_zone(text)); }

// A member of a sentence that is the name of something, empty if there is none.
Text checked_name(const Value &value)
{
    if (value.is_null())
        return {};
    const Text text = value.as_text();
    if (text.empty() || text.size() > max_name_bytes)
        invalid(value.path(), "must be 1 to %zu bytes long", max_name_bytes);
    return text;
}

// Of money, or of a count.
void write_amount(Writer &writer, const Value &amount, Limited what)
{
    if (amount.is_null())
        invalid(amount.path(), "is required");
    if (what == Limited::cost)
        writer.value(*money(amount.as_number(), amount.path()));
    else
        writer.value(*limit(amount.as_integer(), amount.path()));
}

void write_raise(Writer &writer, const Value &raise, Limited what)
{
    if (raise.is_null())
        return;
    if (!raise.is_object())
        invalid(raise.path(), "must be an object of amount and until");
    for (const auto &[key, value] : members(raise.as_object(), raise.path()))
        if (key != "amount" && key != "until")
            invalid(value.path(), "is not supported");
    const Value until = raise.member("until");
    write_amount(writer.key("raise").begin_object().key("amount"), raise.member("amount"), what);
    writer.key("until").value(*checked_time(until.as_text(), until.path())).end_object();
}

// Without what is null or false, so that the same sentence is always the same text.
void write_sentence(Writer &writer, const Value &sentence, Text since)
{
    static constexpr std::array<Text, 9> known{"limit", "value", "per",   "model", "tag",
                                               "each",  "soft",  "raise", "since"};
    if (!sentence.is_object())
        invalid(sentence.path(), "must be an object of limit, value, per, model, tag, each, soft and raise");
    for (const auto &[key, value] : members(sentence.as_object(), sentence.path()))
        if (std::ranges::find(known, key) == known.end())
            invalid(value.path(), "is not supported");
    const Value limit = sentence.member("limit"), per = sentence.member("per"), each = sentence.member("each"),
                soft = sentence.member("soft");
    const auto what = limited_named(limit.as_text());
    if (!what)
        invalid(limit.path(), "must be cost, tokens, requests or parallel_requests");
    writer.begin_object().key("limit").value(name_of(*what));
    write_amount(writer.key("value"), sentence.member("value"), *what);
    if (!per.is_null()) {
        if (*what == Limited::parallel_requests)
            invalid(per.path(), "must not come with parallel_requests, which are counted while they last");
        if (!is_per(per.as_text()))
            invalid(per.path(), "%s", per_rule);
        writer.key("per").value(per.as_text());
    }
    if (const Text model = checked_name(sentence.member("model")); !model.empty())
        writer.key("model").value(model);
    if (const Text tag = checked_name(sentence.member("tag")); !tag.empty())
        writer.key("tag").value(tag);
    if (!each.is_null()) {
        if (!each_named(each.as_text()))
            invalid(each.path(), "must be model, tag, end_user, member, key or team");
        writer.key("each").value(each.as_text());
    }
    if (!soft.is_null() && soft.as_bool())
        writer.key("soft").value(true);
    write_raise(writer, sentence.member("raise"), *what);
    writer.key("since").value(since).end_object();
}

// How many limits the columns can give.
size_t max_limits(const LimitColumns &columns)
{
    constexpr size_t of_single_fields = 16;
    size_t count =
        of_single_fields + (columns.model_max_budget ? size(*columns.model_max_budget) : 0) + size(columns.limits);
    for (const auto &short_limits : {columns.short_limits, columns.short_limits_of_budget}) {
        if (!short_limits || size(*short_limits) == 0)
            continue;
        count += of_single_fields;
        const Value fields = to_value(*short_limits, "");
        for (const char *field : {"model_max_budget", "model_rpm_limit", "model_tpm_limit"})
            if (const Value by_model = fields.member(field); by_model.is_object())
                count += size(by_model.as_object());
        if (const Value list = fields.member("budget_limits"); !list.is_null())
            count += list.elements().size();
    }
    return count;
}

} // namespace

Text name_of(Limited what) { return names_of_limited[static_cast<size_t>(what)]; }
Maybe<Limited> limited_named(Text name) { return named<Limited>(names_of_limited, name); }
Text name_of(Each each) { return names_of_each[static_cast<size_t>(each)]; }
Maybe<Each> each_named(Text name) { return name.empty() ? Maybe<Each>{} : named<Each>(names_of_each, name); }

bool Scope::counts(Text called_model, Texts tags) const
{
    return (model.empty() || matches_pattern(model, called_model) ||
            matches_pattern(model, without_provider(called_model))) &&
           (tag.empty() || std::ranges::find(tags, tag) != tags.end());
}

Maybe<Per> parse_per(Text text)
{
    const auto duration = parse_duration(with_zone(text));
    if (!duration)
        return {};
    const bool is_of_clock = text.ends_with('s') || text.ends_with('m') || text.ends_with('h');
    return Per{*duration, duration->zone.empty() && !is_of_clock};
}

Window UsageLimit::window_at(Time time) const
{
    if (!per)
        return {since.value_or(Time{DT_NOBEGIN}), {}};
    if (anchor) {
        const auto duration = parse_duration(*per);
        return duration ? pg_org::window_at(time, *duration, *anchor) : forever;
    }
    const auto parsed = parse_per(*per);
    return parsed ? pg_org::window_at(time, parsed->duration, since.value_or(unix_epoch)) : forever;
}

LimitColumns read_limit_columns(const Row &row, int first)
{
    return {
        .max_budget = row.get<Number>(first),
        .soft_budget = row.get<Number>(first + 1),
        .model_max_budget = row.get<Json>(first + 2),
        .tpm_limit = row.get<int64>(first + 3),
        .rpm_limit = row.get<int64>(first + 4),
        .max_parallel_requests = row.get<int64>(first + 5),
        .budget_duration = row.get<Text>(first + 6),
        .budget_reset_at = row.get<Time>(first + 7),
        .limits = *row.get<Json>(first + 8),
        .short_limits = row.get<Json>(first + 9),
        .short_limits_of_budget = row.get<Json>(first + 10),
    };
}

UsageLimits read_limits(const LimitColumns &columns, Time owner_created_at, Time now)
{
    LimitList list{columns, owner_created_at, now, max_limits(columns)};
    list.add_columns();
    for (const auto &short_limits : {columns.short_limits, columns.short_limits_of_budget})
        if (short_limits && size(*short_limits) > 0)
            list.add_short(*short_limits);
    if (size(columns.limits) > 0)
        list.add_sentences(columns.limits);
    return list.limits();
}

void require_valid_limits(const LimitColumns &columns)
{
    const Time now = present();
    const UsageLimits limits = read_limits(columns, now, now);
    if (columns.short_limits) {
        const Value fields = to_value(*columns.short_limits, "");
        if (!fields.member("temp_budget_increase").is_null() && fields.member("temp_budget_expiry").is_null())
            invalid("temp_budget_increase", "must come along with temp_budget_expiry");
    }
    if (limits.size() > max_limits_of_owner)
        invalid("limits", "must be at most %zu, together with those that fields such as rpm_limit set",
                max_limits_of_owner);
    for (size_t i = 0; i < limits.size(); i++) {
        CHECK_FOR_INTERRUPTS();
        for (size_t j = 0; j < i; j++)
            if (is_same(limits[i], limits[j]))
                refuse_same(limits[i].field, limits[j].field);
    }
}

UsageLimit limit_if_saved(const Value &sentence, UsageLimits present, Time now)
{
    Writer writer{makeStringInfo()};
    write_sentence(writer, sentence, to_text(iso_8601(now)));
    const Json stored{DirectFunctionCall1(jsonb_in, CStringGetDatum(writer.buffer()->data))};
    UsageLimit limit = read_sentence(to_value(stored, ""), now);
    const auto same = std::ranges::find_if(present, [&](const UsageLimit &other) { return is_same(limit, other); });
    if (same == present.end())
        return limit;
    if (to_text(same->field) != to_text(limit.field))
        refuse_same(sentence.path(), same->field);
    limit.since = same->since;
    return limit;
}

Maybe<Json> sentences(const Maybe<Value> &list, const char *name)
{
    if (!list || list->is_null())
        return {};
    const auto elements = bounded_elements(*list);
    if (elements.size() > max_limits_of_owner)
        invalid(name, "must be at most %zu", max_limits_of_owner);
    const Text since = to_text(iso_8601(present()));
    Writer writer{makeStringInfo()};
    writer.begin_array();
    for (const Value &element : elements) {
        CHECK_FOR_INTERRUPTS();
        write_sentence(writer, element, since);
    }
    writer.end_array();
    return Json{DirectFunctionCall1(jsonb_in, CStringGetDatum(writer.buffer()->data))};
}

} // namespace pg_org
