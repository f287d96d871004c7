// Reading owners.

#include "limited_owner.hpp"

#include "base/bounds.hpp"
#include "lock.hpp"
#include "ranges.hpp"

namespace pg_org {

namespace {

// clang-format off

// Owners by their identifiers, $1 to $5. All have the columns that read_owner() reads, in its order.
#define SELECT_OWNERS(limits, resets, properties, tables) \
    "SELECT n.place, x.created_at, x.spend, " limits ", " resets ", " properties \
    "  FROM unnest($1, $2, $3, $4, $5) WITH ORDINALITY" \
    "    AS n (organization_id, team_id, user_id, key_id, end_user, place)" \
    "  JOIN " tables

#define RESETS "x.spend_reset_at, x.limit_resets"
// Whether it is blocked, models, aliases of models, default_reserve, key_alias, expires, tags, allowed_routes.
#define NO_PROPERTIES \
    "false, '{}'::text[], NULL::jsonb, NULL::numeric, NULL::text, NULL::timestamptz, '{}'::text[], '{}'::text[]"

constinit Statement read_organizations{SELECT_OWNERS(
    LIMITS_OF_BUDGET("b"), RESETS,
    "x.blocked, x.models, x.model_aliases, x.default_reserve, NULL::text, NULL::timestamptz, x.tags, '{}'::text[]",
    "(org.organization x LEFT JOIN org.budget b USING (budget_id)) ON x.organization_id = n.organization_id")};

constinit Statement read_teams{SELECT_OWNERS(
    LIMITS_OF_TEAM("x"),
    RESETS,
    "x.blocked, x.models, x.model_aliases, NULL::numeric, NULL::text, NULL::timestamptz, x.tags, '{}'::text[]",
    "org.team x ON x.organization_id = n.organization_id AND x.team_id = n.team_id")};

constinit Statement read_members{SELECT_OWNERS(
    LIMITS_OF_BUDGET("b"), RESETS, NO_PROPERTIES,
    "(org.membership x LEFT JOIN org.budget b USING (budget_id))"
    "   ON x.organization_id = n.organization_id AND x.user_id = n.user_id")};

constinit Statement read_team_members{SELECT_OWNERS(
    LIMITS_OF_BUDGET("b"), RESETS, NO_PROPERTIES,
    "(org.team_member x LEFT JOIN org.budget b USING (budget_id))"
    "   ON x.organization_id = n.organization_id AND x.team_id = n.team_id AND x.user_id = n.user_id")};

constinit Statement read_users{SELECT_OWNERS(
    LIMITS_OF_USER("x"),
    RESETS,
    "false, x.models, NULL::jsonb, NULL::numeric, NULL::text, NULL::timestamptz, '{}'::text[], '{}'::text[]",
    "org.\"user\" x ON x.user_id = n.user_id")};

constinit Statement read_end_users{SELECT_OWNERS(
    LIMITS_OF_BUDGET("b"), RESETS,
    "x.blocked, '{}'::text[], NULL::jsonb, NULL::numeric, NULL::text, NULL::timestamptz, '{}'::text[], '{}'::text[]",
    "(org.end_user x LEFT JOIN org.budget b USING (budget_id))"
    "   ON x.organization_id = n.organization_id AND x.end_user_id = n.end_user")};

// A key may have limits of its own and those of a budget; both hold. The calls that it made before it moved to another
// organization are not charged to it any more.
constinit Statement read_keys{SELECT_OWNERS(
    "coalesce(x.max_budget, b.max_budget), b.soft_budget,"
    "CASE WHEN b.budget_id IS NULL THEN x.model_max_budget ELSE b.model_max_budget END,"
    "least(x.tpm_limit, b.tpm_limit), least(x.rpm_limit, b.rpm_limit),"
    "least(x.max_parallel_requests, b.max_parallel_requests),"
    "coalesce(x.budget_duration, b.budget_duration), coalesce(x.budget_reset_at, b.budget_reset_at),"
    "x.limits || coalesce(b.limits, '[]'), x.short_limits, b.short_limits",
    RESETS,
    "x.blocked, x.models, x.aliases, NULL::numeric, x.key_alias, x.expires, x.tags, x.allowed_routes",
    "(org.api_key x LEFT JOIN org.budget b USING (budget_id))"
    "   ON x.key_id = n.key_id AND coalesce(x.organization_id, '') = n.organization_id")};

// clang-format on

Statement &statement_to_read(OwnerKind kind)
{
    switch (kind) {
    case OwnerKind::organization: return read_organizations;
    case OwnerKind::team: return read_teams;
    case OwnerKind::member: return read_members;
    case OwnerKind::team_member: return read_team_members;
    case OwnerKind::user: return read_users;
    case OwnerKind::platform_end_user:
    case OwnerKind::end_user: return read_end_users;
    case OwnerKind::key: return read_keys;
    }
    pg_unreachable();
}

constexpr std::array<Text, owner_kinds.size()> kind_names{"organization", "team",     "member",   "team_member",
                                                          "user",         "end_user", "end_user", "key"};

std::span<const LimitReset> read_resets(Json resets)
{
    if (size(resets) == 0)
        return {};
    const auto elements = to_value(resets, "").elements();
    const auto read = allocate<LimitReset>(elements.size());
    std::ranges::transform(elements, read.begin(), read_reset);
    return read;
}

Owner read_owner(const Row &row, OwnerKind kind, const OwnerIds &ids, Time now)
{
    constexpr int first_limit = 3; // after place, created_at and spend
    int column = first_limit + limit_columns;
    const auto next = [&]<typename T>(std::type_identity<T>) { return row.get<T>(column++); };
    const auto number = [&] { return next(std::type_identity<Number>{}); };
    const auto text = [&] { return next(std::type_identity<Text>{}); };
    const auto texts = [&] { return next(std::type_identity<Texts>{}); };
    const auto time = [&] { return next(std::type_identity<Time>{}); };
    const auto json = [&] { return next(std::type_identity<Json>{}); };

    Owner owner{.kind = kind, .ids = ids, .created_at = *row.get<Time>(1), .spend = *row.get<Number>(2)};
    owner.limits = read_limits(read_limit_columns(row, first_limit), owner.created_at, now);
    for (const UsageLimit &limit : owner.limits)
        if (limit.scope.each != Each::none)
            owner.each.add(limit.scope.each);
    owner.spend_reset_at = time();
    owner.resets = read_resets(*json());
    owner.blocked = *next(std::type_identity<bool>{});
    owner.models = *texts();
    owner.model_aliases = json();
    owner.default_reserve = number();
    owner.key_alias = text();
    owner.expires = time();
    owner.tags = *texts();
    owner.allowed_routes = *texts();
    owner.everything = {.each = Each::none, .part = {}, .since = owner.created_at, .counters = {}, .next = nullptr};
    return owner;
}

// The owners of one kind by their distinct identifiers, null for those that do not exist.
std::span<Owner *> read_kind(Session &session, OwnerKind kind, std::span<const OwnerIds> ids, Time now,
                             std::span<Owner> into, size_t &count)
{
    const auto column = [&](Text OwnerIds::*member) {
        return map<Text>(ids, [&](const OwnerIds &owner) { return owner.*member; });
    };
    const auto found = allocate<Owner *>(ids.size());
    for (const Row row :
         session.run(statement_to_read(kind), column(&OwnerIds::organization_id), column(&OwnerIds::team_id),
                     column(&OwnerIds::user_id), column(&OwnerIds::key_id), column(&OwnerIds::end_user))) {
        const auto place = static_cast<size_t>(*row.get<int64>(0)) - 1;
        if (found[place] != nullptr)
            not_as_made("Two rows have the key of one");
        found[place] = &(into[count++] = read_owner(row, kind, ids[place], now));
    }
    return found;
}

} // namespace

Text name_of(OwnerKind kind) { return kind_names[static_cast<size_t>(kind)]; }

bool OwnerIds::has(OwnerKind kind) const
{
    switch (kind) {
    case OwnerKind::organization: return !organization_id.empty();
    case OwnerKind::team: return !team_id.empty();
    case OwnerKind::member: return !organization_id.empty() && !user_id.empty();
    case OwnerKind::team_member: return !team_id.empty() && !user_id.empty();
    case OwnerKind::user: return !user_id.empty() && !delegated;
    case OwnerKind::platform_end_user: return !end_user.empty();
    case OwnerKind::end_user: return !end_user.empty() && !organization_id.empty();
    case OwnerKind::key: return true;
    }
    pg_unreachable();
}

OwnerIds OwnerIds::of(OwnerKind kind) const
{
    switch (kind) {
    case OwnerKind::organization: return {.organization_id = organization_id};
    case OwnerKind::team: return {.organization_id = organization_id, .team_id = team_id};
    case OwnerKind::member: return {.organization_id = organization_id, .user_id = user_id};
    case OwnerKind::team_member: return {.organization_id = organization_id, .team_id = team_id, .user_id = user_id};
    case OwnerKind::user: return {.user_id = user_id};
    case OwnerKind::platform_end_user: return {.end_user = end_user};
    case OwnerKind::end_user: return {.organization_id = organization_id, .end_user = end_user};
    case OwnerKind::key: return {.organization_id = organization_id, .key_id = key_id};
    }
    pg_unreachable();
}

LimitReset read_reset(const Value &reset)
{
    const auto text = [&](const char *name) { return reset.member(name).text().value_or(Text{}); };
    return {.what = limited_named(text("limit")).value_or(Limited::cost),
            .per = reset.member("per").text(),
            .scope = {.model = text("model"),
                      .tag = text("tag"),
                      .each = each_named(text("each")).value_or(Each::none),
                      .part = text("part")},
            .soft = reset.member("soft").boolean().value_or(false),
            .at = parse_time(text("at")).value_or(Time{DT_NOBEGIN})};
}

Text Owner::id() const
{
    switch (kind) {
    case OwnerKind::organization: return ids.organization_id;
    case OwnerKind::team: return ids.team_id;
    case OwnerKind::team_member: return to_text(psprintf("%.*s/%.*s", FMT_ARG(ids.team_id), FMT_ARG(ids.user_id)));
    case OwnerKind::member:
    case OwnerKind::user: return ids.user_id;
    case OwnerKind::platform_end_user:
    case OwnerKind::end_user: return ids.end_user;
    case OwnerKind::key: return ids.key_id;
    }
    pg_unreachable();
}

Window Owner::window_of(const UsageLimit &limit, Text part, Time now) const
{
    Window window = limit.window_at(now);
    const auto start_at = [&](Time reset) { window.start.value = std::max(window.start.value, reset.value); };
    if (spend_reset_at && limit.what == Limited::cost)
        start_at(*spend_reset_at);
    for (const LimitReset &reset : resets)
        if (reset.is_of(limit, part))
            start_at(reset.at);
    return window;
}

bool Owner::needs_counter_of_everything() const
{
    return !each.empty() ||
           std::ranges::any_of(limits, [](const UsageLimit &limit) { return limit.scope.is_everything(); });
}

Text CallOwners::resolve_model(Text name, Maybe<OwnerKind> within) const
{
    for (const OwnerKind kind : {OwnerKind::key, OwnerKind::team, OwnerKind::organization}) {
        if (kind == within)
            break;
        const Owner *owner = find(kind);
        if (owner == nullptr || !owner->model_aliases)
            continue;
        const auto model = to_value(*owner->model_aliases, "").member(c_string(name)).text();
        if (model && !model->empty() && model->size() <= max_name_bytes)
            name = *model;
    }
    return name;
}

Texts CallOwners::tags(Texts of_call) const
{
    Texts all = of_call;
    for (const OwnerKind kind : {OwnerKind::key, OwnerKind::team, OwnerKind::organization})
        if (const Owner *owner = find(kind); owner != nullptr && !owner->tags.empty())
            all = concatenate<Text>(all, owner->tags);
    return all.size() == of_call.size() ? of_call : each_once(all);
}

const Owner *CallOwners::part_itself(const Owner &owner, Each each) const
{
    const bool is_of_team = owner.kind == OwnerKind::team || owner.kind == OwnerKind::team_member;
    switch (each) {
    case Each::team: return find(OwnerKind::team);
    case Each::key: return find(OwnerKind::key);
    case Each::end_user: return find(ids.organization_id.empty() ? OwnerKind::platform_end_user : OwnerKind::end_user);
    case Each::member:
        return find(is_of_team                    ? OwnerKind::team_member
                    : ids.organization_id.empty() ? OwnerKind::user
                                                  : OwnerKind::member);
    case Each::none:
    case Each::model:
    case Each::tag: return nullptr;
    }
    pg_unreachable();
}

// End users need not be made; and of those who are owners anywhere a part may be somebody in each of several
// organizations.
Time CallOwners::start_of_part(const Owner &owner, Each each) const
{
    const Owner *itself = owner.is_anywhere() || each == Each::end_user ? nullptr : part_itself(owner, each);
    return {std::max(owner.created_at.value, itself == nullptr ? DT_NOBEGIN : itself->created_at.value)};
}

bool CallOwners::has_own(const Owner &owner, const UsageLimit &limit) const
{
    const Owner *itself = part_itself(owner, limit.scope.each);
    return itself != nullptr && !itself->is(owner) && std::ranges::any_of(itself->limits, [&](const UsageLimit &own) {
               return own.what == limit.what && own.scope.model == limit.scope.model &&
                      own.scope.tag == limit.scope.tag && own.scope.each == Each::none && !own.soft && !own.only_counts;
           });
}

Texts parts_of(Each each, const OwnerIds &ids, const Maybe<Text> &model, const Maybe<Texts> &tags)
{
    const auto one = [](Text part) {
        const auto parts = allocate<Text>(1);
        parts[0] = part;
        return part.empty() ? Texts{} : Texts{parts};
    };
    switch (each) {
    case Each::none: return {};
    case Each::model: return one(model.value_or(Text{}));
    case Each::tag: return tags ? each_once(*tags) : Texts{};
    case Each::end_user: return one(ids.end_user);
    case Each::member: return one(ids.user_id);
    case Each::key: return one(ids.key_id);
    case Each::team: return one(ids.team_id);
    }
    pg_unreachable();
}

Owners read_owners(Session &session, std::span<const OwnerIds> calls, Time now, const Maybe<LockedOwners> &locked)
{
    const auto distinct = sort_unique(concatenate<OwnerIds>(calls, {}));
    const auto of_calls = allocate<CallOwners>(distinct.size());
    std::ranges::transform(distinct, of_calls.begin(), [](const OwnerIds &ids) { return CallOwners{ids, {}}; });
    const auto has_owner = [&](const OwnerIds &ids, OwnerKind kind) {
        return ids.has(kind) && (!locked || locked->has(ids, kind));
    };
    std::array<std::span<OwnerIds>, owner_kinds.size()> ids_of_kinds;
    size_t count = 0;
    for (const OwnerKind kind : owner_kinds) {
        const auto named = filter(distinct, [&](const OwnerIds &ids) { return has_owner(ids, kind); });
        std::ranges::transform(named, named.begin(), [&](const OwnerIds &ids) { return ids.of(kind); });
        count += (ids_of_kinds[static_cast<size_t>(kind)] = sort_unique(named)).size();
    }
    const auto owners = allocate<Owner>(count);
    count = 0;
    for (const OwnerKind kind : owner_kinds) {
        const auto ids = ids_of_kinds[static_cast<size_t>(kind)];
        if (ids.empty())
            continue;
        const auto found = read_kind(session, kind, ids, now, owners, count);
        for (CallOwners &call : of_calls)
            if (has_owner(call.ids, kind)) {
                const auto place = std::ranges::lower_bound(ids, call.ids.of(kind)) - ids.begin();
                call.owners[static_cast<size_t>(kind)] = found[static_cast<size_t>(place)];
            }
    }
    return {owners.first(count), of_calls};
}

} // namespace pg_org
