// Reading, counting and writing accounts.

#include "counters.hpp"

#include "rules/budget.hpp"
#include "rules/event.hpp"
#include "base/fail.hpp"
#include "base/number.hpp"

namespace pg_org {

#define FIND_OWNERS(table, id) "SELECT " id " FROM org." table " WHERE " id " = ANY ($1) ORDER BY " id
#define OWNER_ROWS(table, id)                                                                                          \
    {                                                                                                                  \
        Statement{FIND_OWNERS(table, id) " FOR NO KEY UPDATE"},                                                        \
            Statement{FIND_OWNERS(table, id) " FOR NO KEY UPDATE SKIP LOCKED"}, Statement{FIND_OWNERS(table, id)}      \
    }
constinit OwnerRows organization_rows OWNER_ROWS("organization", "organization_id");
constinit OwnerRows user_rows OWNER_ROWS("\"user\"", "user_id");

namespace {

constinit OwnerRows key_rows OWNER_ROWS("api_key", "key_id");

// Owners by their names, $1 to $4, as usage_account has them: what applies to them, in the order of next_holder().
#define HOLDERS(tables, condition, limits, blocked, models, aliases, reserve, alias, expires)                          \
    "SELECT n.place, x.created_at, x.spend, " limits ", " blocked ", " models ", " aliases ", " reserve ", " alias     \
    ", " expires "  FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS n (o, t, u, k, place)"                              \
    "  JOIN " tables " ON " condition
#define WITH_BUDGET(table) table " x LEFT JOIN org.budget b USING (budget_id)"
#define LIMITS_OF_BUDGET                                                                                               \
    "b.max_budget, b.soft_budget, b.model_max_budget, b.tpm_limit, b.rpm_limit, b.max_parallel_requests,"              \
    " b.budget_duration, b.budget_reset_at"
#define OWN_LIMITS(by_model, parallel)                                                                                 \
    "x.max_budget, NULL::numeric, " by_model ", x.tpm_limit, x.rpm_limit, " parallel ", x.budget_duration,"            \
    " x.budget_reset_at"
#define NO_TEXTS "'{}'::text[]"
#define NO_JSON "NULL::jsonb"
#define NO_NUMBER "NULL::numeric"
#define NO_TEXT "NULL::text"
#define NO_TIME "NULL::timestamptz"
constinit std::array<Statement, owners> read_holders_statements{
    Statement{HOLDERS("(" WITH_BUDGET("org.organization") ")", "x.organization_id = n.o", LIMITS_OF_BUDGET, "x.blocked",
                      "x.models", "x.model_aliases", "x.default_reserve", NO_TEXT, NO_TIME)},
    Statement{HOLDERS("org.team x", "x.organization_id = n.o AND x.team_id = n.t",
                      OWN_LIMITS(NO_JSON, "x.max_parallel_requests"), "x.blocked", "x.models", NO_JSON, NO_NUMBER,
                      NO_TEXT, NO_TIME)},
    Statement{HOLDERS("(" WITH_BUDGET("org.membership") ")", "x.organization_id = n.o AND x.user_id = n.u",
                      LIMITS_OF_BUDGET, "false", NO_TEXTS, NO_JSON, NO_NUMBER, NO_TEXT, NO_TIME)},
    Statement{HOLDERS("(" WITH_BUDGET("org.team_member") ")",
                      "x.organization_id = n.o AND x.team_id = n.t AND x.user_id = n.u", LIMITS_OF_BUDGET, "false",
                      NO_TEXTS, NO_JSON, NO_NUMBER, NO_TEXT, NO_TIME)},
    Statement{HOLDERS("org.\"user\" x", "x.user_id = n.u", OWN_LIMITS("x.model_max_budget", "NULL::bigint"), "false",
                      "x.models", NO_JSON, NO_NUMBER, NO_TEXT, NO_TIME)},
    Statement{HOLDERS("org.api_key x", "x.key_id = n.k", OWN_LIMITS("x.model_max_budget", "x.max_parallel_requests"),
                      "x.blocked", "x.models", NO_JSON, NO_NUMBER, "x.key_alias", "x.expires")},
};

constinit Statement read_accounts_statement{
    "SELECT h.place, a.model, a.owner_since, a.window_start, a.window_spend, a.held_cost, a.held_requests, a.minute,"
    "       a.minute_requests, a.minute_tokens, a.charged_at, a.warned_window, a.exceeded_window,"
    "       a.warned_budget, a.exceeded_budget, a.tid"
    "  FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS h (organization_id, team_id, user_id, key_id, place)"
    " CROSS JOIN LATERAL (SELECT *, ctid AS tid FROM org.usage_account a"
    "                      WHERE (a.organization_id, a.team_id, a.user_id, a.key_id)"
    "                          = (h.organization_id, h.team_id, h.user_id, h.key_id) OFFSET 0) AS a"};

// $1 to $5 name the account, $6 is when its owner was made, $7 when the period and $8 when the minute began.
#define IS_COUNTED                                                                                                     \
    " AND reserved_at >= $6 AND ($5 = '' OR model = $5 OR substr(model, strpos(model, '/') + 1) = $5)"
#define RECOUNT(is_owners)                                                                                             \
    "SELECT spent.cost, held.cost, held.requests, held.minute_requests + spent.minute_requests,"                       \
    "       held.minute_tokens + spent.minute_tokens, spent.charged_at"                                                \
    "  FROM (SELECT coalesce(sum(max_cost), 0) AS cost, count(*) AS requests,"                                         \
    "               count(*) FILTER (WHERE reserved_at >= $8) AS minute_requests,"                                     \
    "               coalesce(sum(max_tokens) FILTER (WHERE reserved_at >= $8), 0)::bigint AS minute_tokens"            \
    "          FROM org.reservation WHERE " is_owners IS_COUNTED ") AS held,"                                          \
    "       (SELECT coalesce(sum(cost) FILTER (WHERE closed_at >= $7), 0) AS cost,"                                    \
    "               count(*) FILTER (WHERE reserved_at >= $8) AS minute_requests,"                                     \
    "               coalesce(sum(prompt_tokens + completion_tokens) FILTER (WHERE reserved_at >= $8), 0)::bigint"      \
    "                   AS minute_tokens,"                                                                             \
    "               coalesce(max(closed_at), '-infinity') AS charged_at"                                               \
    "          FROM org.usage"                                                                                         \
    "         WHERE " is_owners IS_COUNTED " AND state = 'settled' AND closed_at >= least($7, $8)) AS spent"
// Nothing is compared with an identifier that is not the account's, so that an index finds what is.
#define IS_USERS "$1 = '' AND $2 = '' AND $4 = '' AND user_id = $3 AND NOT delegated"
#define IS_IN_ORGANIZATION                                                                                             \
    "organization_id = $1 AND ($2 = '' OR team_id = $2) AND ($3 = '' OR user_id = $3) AND ($4 = '' OR key_id = $4)"
constinit Statement recount_user{RECOUNT(IS_USERS), Planned::each_time};
constinit Statement recount_in_organization{RECOUNT(IS_IN_ORGANIZATION), Planned::each_time};

// The same of many models' accounts in one go: sums by model and, of what is over, by in how many of the periods it was
// charged, which began at $6 in order; -1 is what is held.
#define RECOUNT_MODELS(is_owners)                                                                                      \
    "SELECT model, -1::bigint, sum(max_cost), count(*), count(*) FILTER (WHERE reserved_at >= $7),"                    \
    "       coalesce(sum(max_tokens) FILTER (WHERE reserved_at >= $7), 0)::bigint, '-infinity'::timestamptz"           \
    "  FROM org.reservation WHERE " is_owners " AND reserved_at >= $5 GROUP BY model UNION ALL "                       \
    "SELECT model, width_bucket(closed_at, $6)::bigint AS periods, sum(cost), count(*),"                               \
    "       count(*) FILTER (WHERE reserved_at >= $7),"                                                                \
    "       coalesce(sum(prompt_tokens + completion_tokens) FILTER (WHERE reserved_at >= $7), 0)::bigint,"             \
    "       max(closed_at)"                                                                                            \
    "  FROM org.usage WHERE " is_owners " AND reserved_at >= $5 AND state = 'settled'"                                 \
    "   AND closed_at >= least($6[1], $7) GROUP BY model, periods"
constinit Statement recount_models_of_user{RECOUNT_MODELS(IS_USERS), Planned::each_time};
constinit Statement recount_models_in_organization{RECOUNT_MODELS(IS_IN_ORGANIZATION), Planned::each_time};

constinit Statement update_accounts{
    "UPDATE org.usage_account"
    "   SET owner_since = c.owner_since, window_start = c.window_start, window_spend = c.window_spend,"
    "       held_cost = c.held_cost, held_requests = c.held_requests, minute = c.minute,"
    "       minute_requests = c.minute_requests, minute_tokens = c.minute_tokens, charged_at = c.charged_at,"
    "       warned_window = c.warned_window, exceeded_window = c.exceeded_window,"
    "       warned_budget = c.warned_budget, exceeded_budget = c.exceeded_budget"
    "  FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
    "    AS c (owner_since, window_start, window_spend, held_cost, held_requests, minute, minute_requests,"
    "          minute_tokens, charged_at, warned_window, exceeded_window, warned_budget, exceeded_budget, tid)"
    " WHERE ctid = c.tid"};

constinit Statement insert_accounts{
    "INSERT INTO org.usage_account (owner_since, window_start, window_spend, held_cost, held_requests, minute,"
    "       minute_requests, minute_tokens, charged_at, warned_window, exceeded_window, warned_budget,"
    "       exceeded_budget, organization_id, team_id,"
    "       user_id, key_id, model)"
    " SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"};

constexpr std::array<Text, owners> owner_names{"organization", "team", "member", "team_member", "user", "key"};
constexpr std::array<Text, 5> limit_names{"max_budget", "model_max_budget", "max_parallel_requests", "rpm_limit",
                                          "tpm_limit"};
constexpr Time never{DT_NOEND};

// The name of a model without its provider's before it.
Text without_provider(Text model) { return tail(model, model.find('/') + 1); }

Time minute_of(Time time)
{
    int64 into = time.value % USECS_PER_MINUTE;
    if (into < 0)
        into += USECS_PER_MINUTE;
    return {time.value - into};
}

// Reads the columns of a row one after the other.
class Columns {
public:
    explicit Columns(const Row &row) : row_(row) {}
    template <typename T> Maybe<T> next() { return row_.get<T>(at_++); }

private:
    const Row &row_;
    int at_ = 0;
};

OwnerLimits next_limits(Columns &columns)
{
    OwnerLimits limits{};
    limits.since = *columns.next<Time>();
    limits.spend = *columns.next<Number>();
    limits.max_budget = columns.next<Number>();
    limits.soft_budget = columns.next<Number>();
    limits.model_max_budget = columns.next<Json>();
    limits.tpm_limit = columns.next<int64>();
    limits.rpm_limit = columns.next<int64>();
    limits.max_parallel_requests = columns.next<int64>();
    limits.budget_duration = columns.next<Text>();
    limits.budget_reset_at = columns.next<Time>();
    return limits;
}

Holder next_holder(Columns &columns, Owner owner, const Party &name)
{
    Holder holder{};
    holder.owner = owner;
    holder.name = name;
    holder.limits = next_limits(columns);
    holder.blocked = *columns.next<bool>();
    holder.models = *columns.next<Texts>();
    holder.model_aliases = columns.next<Json>();
    holder.default_reserve = columns.next<Number>();
    holder.key_alias = columns.next<Text>();
    holder.expires = columns.next<Time>();
    return holder;
}

Party name_of(Owner owner, const Party &party)
{
    switch (owner) {
    case Owner::organization:
        return {party.organization_id, {}, {}, {}};
    case Owner::team:
        return {party.organization_id, party.team_id, {}, {}};
    case Owner::member:
        return {party.organization_id, {}, party.user_id, {}};
    case Owner::team_member:
        return {party.organization_id, party.team_id, party.user_id, {}};
    case Owner::user:
        return {{}, {}, party.user_id, {}};
    case Owner::key:
        return {party.organization_id, {}, {}, party.key_id};
    }
    pg_unreachable();
}

// Whether a party can have such an owner at all.
bool is_named(const Party &party, Owner owner)
{
    switch (owner) {
    case Owner::organization:
        return !party.organization_id.empty();
    case Owner::team:
        return !party.team_id.empty();
    case Owner::member:
        return !party.organization_id.empty() && !party.user_id.empty();
    case Owner::team_member:
        return !party.team_id.empty() && !party.user_id.empty();
    case Owner::user:
        return !party.user_id.empty() && !party.delegated;
    case Owner::key:
        return true;
    }
    pg_unreachable();
}

// Takes away what is repeated, and sorts the rest.
template <typename T> std::span<T> sort_unique(std::span<T> values)
{
    std::ranges::sort(values);
    const auto repeated = std::ranges::unique(values);
    return values.first(values.size() - repeated.size());
}

// Those that are not among others; both are in order.
Texts without(Texts some, Texts others)
{
    const auto rest = allocate<Text>(some.size());
    return rest.first(static_cast<size_t>(std::ranges::set_difference(some, others, rest.begin()).out - rest.begin()));
}

Window window_of(const OwnerLimits &limits, Time now)
{
    const auto duration = limits.budget_duration ? parse_duration(*limits.budget_duration) : Maybe<Duration>{};
    return duration ? window_at(now, *duration, limits.budget_reset_at.value_or(limits.since)) : forever;
}

// An entry of model_max_budget without an amount was not written by us and allows nothing, which is noticed sooner than
// if it allowed everything.
ModelBudget model_budget(const Holder &holder, Text model, const Value &entry, Time now)
{
    const auto read = read_model_budget(entry);
    const auto amount = read.amount.number();
    const auto text = read.duration.text();
    const auto duration = text ? parse_duration(*text) : Maybe<Duration>{};
    return {model, amount && *amount >= zero() ? *amount : zero(),
            duration ? window_at(now, *duration, holder.limits.since) : holder.window};
}

// Whether the calls are charged to an owner: those made before it were charged to somebody else of its name.
bool are_charged_to(const Reserved &calls, const Holder &holder)
{
    return is_named(calls.party, holder.owner) && name_of(holder.owner, calls.party) == holder.name &&
           calls.reserved_at.value >= holder.limits.since.value;
}

bool is_limited(const OwnerLimits &limits)
{
    return limits.max_budget || limits.soft_budget || limits.tpm_limit || limits.rpm_limit ||
           limits.max_parallel_requests;
}

// What a call counts for in the minute it was reserved in.
int64 requests_in(State state) { return state == State::held || state == State::settled; }
int64 tokens_in(State state, const Call &call)
{
    return state == State::held ? call.max_tokens : state == State::settled ? call.tokens() : 0;
}

// An account to be written, and whose it is.
struct Entry {
    const Party *name;
    const Account *account;
};

template <typename... More>
void write(Session &session, Statement &statement, std::span<const Entry> some, const More &...more)
{
    const auto of = [&]<typename T>(T Account::*member) {
        return column<T>(some, [&](const Entry &entry) { return entry.account->*member; });
    };
    session.run(statement, of(&Account::owner_since), of(&Account::window_start), of(&Account::window_spend),
                of(&Account::held_cost), of(&Account::held_requests), of(&Account::minute),
                of(&Account::minute_requests), of(&Account::minute_tokens), of(&Account::charged_at),
                of(&Account::warned_window), of(&Account::exceeded_window), of(&Account::warned_budget),
                of(&Account::exceeded_budget), more...);
}

void update(Session &session, std::span<const Entry> old)
{
    write(session, update_accounts, old, column<Tid>(old, [](const Entry &entry) { return *entry.account->tid; }));
}

void insert(Session &session, std::span<const Entry> fresh)
{
    const auto name = [&](auto member) {
        return column<Text>(fresh, [&](const Entry &entry) { return entry.name->*member; });
    };
    write(session, insert_accounts, fresh, name(&Party::organization_id), name(&Party::team_id),
          name(&Party::user_id), name(&Party::key_id),
          column<Text>(fresh, [](const Entry &entry) { return entry.account->model; }));
}

} // namespace

Text owner_name(Owner owner) { return owner_names[static_cast<size_t>(owner)]; }
Text UsageLimit::name() const { return limit_names[kind]; }
Number Account::held() const { return held_cost - lapsed_cost; }
bool Account::counts(Text model_called) const
{
    return model.empty() || model == model_called || model == without_provider(model_called);
}

Text Holder::id() const
{
    switch (owner) {
    case Owner::organization:
        return name.organization_id;
    case Owner::team:
        return name.team_id;
    case Owner::team_member:
        return to_text(psprintf("%.*s/%.*s", FMT_ARG(name.team_id), FMT_ARG(name.user_id)));
    case Owner::member:
    case Owner::user:
        return name.user_id;
    case Owner::key:
        return name.key_id;
    }
    pg_unreachable();
}

Text Standing::model_named(Text name) const
{
    const Holder *organization = holder(Owner::organization);
    if (organization == nullptr || !organization->model_aliases)
        return name;
    const auto model = to_value(*organization->model_aliases, "").member(c_string(name)).text();
    constexpr size_t longest = 255; // as of names that are asked for
    return model && !model->empty() && model->size() <= longest ? *model : name;
}

bool Locked::has(const Party &party, Owner owner) const
{
    const bool has_user = std::ranges::binary_search(users, party.user_id);
    if (owner == Owner::user)
        return has_user;
    if (!party.organization_id.empty())
        return std::ranges::binary_search(organizations, party.organization_id);
    // Whoever counts for a key of somebody's has locked them before.
    return has_user || std::ranges::binary_search(keys, party.key_id);
}

Maybe<Refusal> Locked::refusal_of(const Party &party) const
{
    if (std::ranges::binary_search(held_organizations, party.organization_id))
        return held_by_others("organization", party.organization_id);
    if (!party.delegated && std::ranges::binary_search(held_users, party.user_id))
        return held_by_others("user", party.user_id);
    if (std::ranges::binary_search(held_keys, party.key_id))
        return held_by_others("key", party.key_id);
    return {};
}

Locked lock_parties(Session &session, std::span<const Party> parties, bool wait)
{
    Locked locked;
    const auto lock = [&](OwnerRows &rows, auto member, auto concerned, Texts &ours, Texts &held) {
        const auto ids = allocate<Text>(parties.size());
        size_t count = 0;
        for (const Party &party : parties)
            if (concerned(party))
                ids[count++] = party.*member;
        const auto distinct = sort_unique(ids.first(count));
        if (distinct.empty())
            return;
        ours = session.run(wait ? rows.lock : rows.lock_free, Texts{distinct}).texts();
        if (!wait && ours.size() < distinct.size())
            held = without(session.run(rows.find, Texts{distinct}).texts(), ours);
    };
    lock(organization_rows, &Party::organization_id,
         [](const Party &party) { return !party.organization_id.empty(); }, locked.organizations,
         locked.held_organizations);
    lock(user_rows, &Party::user_id, [](const Party &party) { return is_named(party, Owner::user); }, locked.users,
         locked.held_users);
    lock(key_rows, &Party::key_id, [](const Party &party) { return party.organization_id.empty(); }, locked.keys,
         locked.held_keys);
    session.look_up_caller_again();
    return locked;
}

Counters::Counters(Session &session, std::span<const Party> parties, Time now, Maybe<Locked> locked)
    : session_(session), now_(now), minute_(minute_of(now)), locked_(locked)
{
    const auto sorted = allocate<Party>(parties.size());
    std::ranges::copy(parties, sorted.begin());
    const auto distinct = sort_unique(sorted);
    standings_ = allocate<Standing>(distinct.size());
    std::ranges::transform(distinct, standings_.begin(), [](const Party &party) { return Standing{party, {}}; });
    read_holders();
    read_accounts();
}

bool Counters::has(const Party &party, Owner owner) const
{
    return is_named(party, owner) && (!locked_ || locked_->has(party, owner));
}

void Counters::read_holders()
{
    const auto all = allocate<Holder>(standings_.size() * owners);
    const auto names = allocate<Party>(standings_.size());
    size_t count = 0;
    for (size_t i = 0; i < owners; i++) {
        const Owner owner = static_cast<Owner>(i);
        size_t named = 0;
        for (const Standing &standing : standings_)
            if (has(standing.party, owner))
                names[named++] = name_of(owner, standing.party);
        if (named == 0)
            continue;
        const auto distinct = sort_unique(names.first(named));
        const auto column_of = [&](auto member) {
            return column<Text>(distinct, [&](const Party &name) { return name.*member; });
        };
        const auto found = allocate<Holder *>(distinct.size());
        for (const Row row : session_.run(read_holders_statements[i], column_of(&Party::organization_id),
                                          column_of(&Party::team_id), column_of(&Party::user_id),
                                          column_of(&Party::key_id))) {
            Columns columns{row};
            const auto place = static_cast<size_t>(*columns.next<int64>()) - 1;
            if (found[place] != nullptr)
                not_as_made("Two rows have the key of one");
            Holder &holder = all[count++];
            holder = next_holder(columns, owner, distinct[place]);
            holder.window = window_of(holder.limits, now_);
            found[place] = &holder;
        }
        for (Standing &standing : standings_)
            if (has(standing.party, owner))
                standing.holders[i] =
                    found[static_cast<size_t>(std::ranges::lower_bound(distinct, name_of(owner, standing.party)) -
                                              distinct.begin())];
    }
    holders_ = all.first(count);
}

void Counters::read_accounts()
{
    const auto named = [&](auto member) {
        return column<Text>(holders_, [&](const Holder &holder) { return holder.name.*member; });
    };
    const Rows rows = session_.run(read_accounts_statement, named(&Party::organization_id), named(&Party::team_id),
                                   named(&Party::user_id), named(&Party::key_id));
    for (const Row row : rows) {
        Columns columns{row};
        Holder &holder = holders_[static_cast<size_t>(*columns.next<int64>()) - 1];
        Account *account = allocate<Account>(1).data();
        account->model = *columns.next<Text>();
        account->owner_since = *columns.next<Time>();
        account->window_start = *columns.next<Time>();
        account->window_spend = *columns.next<Number>();
        account->held_cost = *columns.next<Number>();
        account->held_requests = *columns.next<int64>();
        account->minute = *columns.next<Time>();
        account->minute_requests = *columns.next<int64>();
        account->minute_tokens = *columns.next<int64>();
        account->charged_at = *columns.next<Time>();
        account->warned_window = *columns.next<Time>();
        account->exceeded_window = *columns.next<Time>();
        account->warned_budget = *columns.next<Number>();
        account->exceeded_budget = *columns.next<Number>();
        account->tid = columns.next<Tid>();
        account->lapsed_cost = zero();
        account->next = holder.accounts;
        holder.accounts = account;
    }
    const auto old = allocate<Account *>(rows.size());
    for (Holder &holder : holders_) {
        size_t count = 0;
        for (Account *account = holder.accounts; account != nullptr; account = account->next) {
            account->window = holder.window;
            if (!account->model.empty() && holder.limits.model_max_budget) {
                const Value entry = to_value(*holder.limits.model_max_budget, "").member(c_string(account->model));
                if (!entry.is_null())
                    account->window = model_budget(holder, account->model, entry, now_).window;
            }
            if (!bring_up_to_date(holder, *account))
                old[count++] = account;
        }
        recount_all(holder, old.first(count));
        if (is_limited(holder.limits))
            account_of(holder, {}, holder.window);
    }
}

// Begins a new period or minute; false if more than that has changed, and it must be counted again.
bool Counters::bring_up_to_date(const Holder &holder, Account &account) const
{
    if (account.minute.value < minute_.value) {
        account.minute = minute_;
        account.minute_requests = account.minute_tokens = 0;
        account.changed = true;
    }
    if (account.owner_since.value != holder.limits.since.value)
        return false;
    if (account.window_start.value == account.window.start.value)
        return true;
    // What was charged before the period that was counted last is in no sum.
    if (account.charged_at.value >= account.window.start.value ||
        account.window.start.value < account.window_start.value)
        return false;
    account.window_start = account.window.start;
    account.window_spend = zero();
    account.changed = true;
    return true;
}

// The account of a model, or of all: an owner has one from the first call on that a limit of it applies to.
Account *Counters::account_of(Holder &holder, Text model, const Window &window)
{
    for (Account *account = holder.accounts; account != nullptr; account = account->next)
        if (account->model == model)
            return account;
    Account *account = open_account(holder, model, window);
    recount(holder, *account);
    leave_out_lapsed(holder, *account);
    return account;
}

// The accounts of many models, in their order.
std::span<Account *> Counters::accounts_of(Holder &holder, std::span<const ModelBudget> budgets)
{
    size_t most = 0;
    for (const Account *account = holder.accounts; account != nullptr; account = account->next)
        most++;
    const auto by_model = allocate<Account *>(most);
    for (Account *account = holder.accounts; account != nullptr; account = account->next)
        by_model[--most] = account;
    std::ranges::sort(by_model, {}, &Account::model);

    const auto accounts = allocate<Account *>(budgets.size()), fresh = allocate<Account *>(budgets.size());
    size_t count = 0;
    for (size_t i = 0; i < budgets.size(); i++) {
        const auto found = std::ranges::lower_bound(by_model, budgets[i].model, {}, &Account::model);
        if (found != by_model.end() && (*found)->model == budgets[i].model)
            accounts[i] = *found;
        else
            accounts[i] = fresh[count++] = open_account(holder, budgets[i].model, budgets[i].window);
    }
    recount_all(holder, fresh.first(count));
    for (Account *account : fresh.first(count))
        leave_out_lapsed(holder, *account);
    return accounts;
}

Account *Counters::open_account(Holder &holder, Text model, const Window &window)
{
    Account *account = allocate<Account>(1).data();
    account->model = model;
    account->window = window;
    account->warned_window = account->exceeded_window = never;
    account->warned_budget = account->exceeded_budget = zero();
    account->lapsed_cost = zero();
    account->next = holder.accounts;
    holder.accounts = account;
    return account;
}

void Counters::recount(const Holder &holder, Account &account)
{
    // All that was ever spent is known: its calls may be many.
    const bool ever = account.model.empty() && account.window.start.value == DT_NOBEGIN;
    const Party &name = holder.name;
    const Row row = session_.run(holder.owner == Owner::user ? recount_user : recount_in_organization,
                                 name.organization_id, name.team_id, name.user_id, name.key_id, account.model,
                                 holder.limits.since, ever ? now_ : account.window.start, minute_)[0];
    account.owner_since = holder.limits.since;
    account.window_start = account.window.start;
    account.window_spend = ever ? holder.limits.spend : *row.get<Number>(0);
    account.held_cost = *row.get<Number>(1);
    account.held_requests = *row.get<int64>(2);
    account.minute = minute_;
    account.minute_requests = *row.get<int64>(3);
    account.minute_tokens = *row.get<int64>(4);
    account.charged_at = ever ? now_ : *row.get<Time>(5);
    account.changed = true;
}

void Counters::recount_all(const Holder &holder, std::span<Account *> accounts)
{
    const auto is_of_model = [](const Account *account) { return !account->model.empty(); };
    const auto rest = std::ranges::partition(accounts, is_of_model);
    for (Account *account : rest)
        recount(holder, *account);
    recount_models(holder, accounts.first(accounts.size() - rest.size()));
}

void Counters::recount_models(const Holder &holder, std::span<Account *> accounts)
{
    if (accounts.empty())
        return;
    const auto all_starts = allocate<int64>(accounts.size());
    std::ranges::transform(accounts, all_starts.begin(), [](Account *account) { return account->window.start.value; });
    const auto starts = sort_unique(all_starts);
    for (Account *account : accounts) {
        account->owner_since = holder.limits.since;
        account->window_start = account->window.start;
        account->window_spend = account->held_cost = zero();
        account->held_requests = account->minute_requests = account->minute_tokens = 0;
        account->minute = minute_;
        account->charged_at = {DT_NOBEGIN};
        account->changed = true;
    }
    std::ranges::sort(accounts, {}, &Account::model);
    const auto add = [&](Text name, const Row &row) {
        const auto found = std::ranges::lower_bound(accounts, name, {}, &Account::model);
        if (found == accounts.end() || (*found)->model != name)
            return;
        Account &account = **found;
        const int64 periods = *row.get<int64>(1);
        const Number cost = *row.get<Number>(2);
        if (periods < 0) {
            account.held_cost = account.held_cost + cost;
            account.held_requests += *row.get<int64>(3);
        } else if (std::ranges::lower_bound(starts, account.window.start.value) - starts.begin() < periods) {
            account.window_spend = account.window_spend + cost;
        }
        account.minute_requests += *row.get<int64>(4);
        account.minute_tokens += *row.get<int64>(5);
        account.charged_at = {std::max(account.charged_at.value, row.get<Time>(6)->value)};
    };
    const Party &name = holder.name;
    const auto start_times = column<Time>(starts, [](int64 start) { return Time{start}; });
    for (const Row row :
         session_.run(holder.owner == Owner::user ? recount_models_of_user : recount_models_in_organization,
                      name.organization_id, name.team_id, name.user_id, name.key_id, holder.limits.since, start_times,
                      minute_)) {
        const Text model = *row.get<Text>(0), bare = without_provider(model);
        add(model, row);
        if (bare != model)
            add(bare, row);
    }
}

Standing &Counters::standing(const Party &party)
{
    return *std::ranges::lower_bound(standings_, party, {}, &Standing::party);
}

Holder *Counters::holder_of(const Call &call, Owner owner)
{
    Holder *holder = standing(call.party).holders[static_cast<size_t>(owner)];
    return holder != nullptr && call.reserved_at.value >= holder->limits.since.value ? holder : nullptr;
}

void Counters::leave_out_expired(bool is_some)
{
    expired_known_ = true;
    const auto parties = column<Party>(standings_, [](const Standing &standing) { return standing.party; });
    if (!is_some || find_expired(session_, parties, now_).empty())
        return;
    // What tells calls apart: owners that are newer than they are, minutes, and models that have limits of their own.
    size_t accounts = 0, models = 0;
    bool counts_minutes = false;
    for (const Holder &holder : holders_) {
        counts_minutes = counts_minutes || holder.limits.rpm_limit || holder.limits.tpm_limit;
        for (const Account *account = holder.accounts; account != nullptr; account = account->next)
            accounts++;
        models += holder.limits.model_max_budget ? members(*holder.limits.model_max_budget).size() : 0;
    }
    const auto points = allocate<Time>(2 + holders_.size() + 2 * accounts);
    const auto names = allocate<Text>(accounts + models);
    size_t point = 0, name = 0;
    const auto add_minute = [&](Time minute) {
        points[point++] = minute;
        points[point++] = {minute.value + USECS_PER_MINUTE};
    };
    add_minute(minute_);
    for (const Holder &holder : holders_) {
        points[point++] = holder.limits.since;
        for (const Account *account = holder.accounts; account != nullptr; account = account->next) {
            add_minute(account->minute);
            names[name++] = account->model;
        }
        if (holder.limits.model_max_budget)
            for (const auto &[model, entry] : members(*holder.limits.model_max_budget))
                names[name++] = model;
    }
    reserved_ = sum_reserved(session_, parties, now_, counts_minutes ? minute_ : now_, points, names);
    for (Holder &holder : holders_)
        for (Account *account = holder.accounts; account != nullptr; account = account->next)
            leave_out_lapsed(holder, *account);
}

void Counters::leave_out_lapsed(const Holder &holder, Account &account) const
{
    if (!reserved_)
        return;
    account.lapsed_cost = account.held_cost;
    account.lapsed_requests = account.held_requests;
    for (const Reserved &calls : *reserved_) {
        CHECK_FOR_INTERRUPTS();
        if (!are_charged_to(calls, holder) || !account.counts(calls.model))
            continue;
        if (!calls.has_expired) {
            account.lapsed_cost = account.lapsed_cost - calls.max_cost;
            account.lapsed_requests -= calls.requests;
        } else if (minute_of(calls.reserved_at).value == account.minute.value) {
            account.lapsed_minute_requests += calls.requests;
            account.lapsed_minute_tokens += calls.max_tokens;
        }
    }
}

UsageLimits Counters::limits_of(Standing &standing, Maybe<Text> model)
{
    size_t most = 0;
    for (const Holder *holder : standing.holders)
        if (holder != nullptr)
            most += 4 + (!holder->limits.model_max_budget ? 0 : model ? 2 : size(*holder->limits.model_max_budget));
    const auto limits = allocate<UsageLimit>(most);
    size_t count = 0;
    const auto add_model = [&](Holder &holder, const ModelBudget &budget, Account *account) {
        limits[count++] = {UsageLimit::model_max_budget, &holder,         account, budget.value, account->window_spend,
                           account->held(),         budget.window.end};
    };
    const auto add_budgets = [&](Holder &holder) {
        if (holder.limits.max_budget) {
            Account *account = account_of(holder, {}, holder.window);
            limits[count++] = {UsageLimit::max_budget,
                               &holder,
                               account,
                               *holder.limits.max_budget,
                               account->window_spend,
                               account->held(),
                               holder.window.end};
        }
        if (!holder.limits.model_max_budget)
            return;
        if (!model) {
            const auto entries = members(*holder.limits.model_max_budget);
            const auto budgets = column<ModelBudget>(entries, [&](const Member &entry) {
                return model_budget(holder, entry.key, entry.value, now_);
            });
            const auto accounts = accounts_of(holder, budgets);
            for (size_t i = 0; i < budgets.size(); i++)
                add_model(holder, budgets[i], accounts[i]);
            return;
        }
        const Value entries = to_value(*holder.limits.model_max_budget, "");
        const auto add_if_any = [&](Text name) {
            const Value entry = entries.member(c_string(name));
            if (entry.is_null())
                return;
            const ModelBudget budget = model_budget(holder, name, entry, now_);
            add_model(holder, budget, account_of(holder, name, budget.window));
        };
        const Text bare = without_provider(*model);
        add_if_any(*model);
        if (bare != *model)
            add_if_any(bare);
    };
    const auto add_rates = [&](Holder &holder) {
        const OwnerLimits &given = holder.limits;
        const auto add = [&](UsageLimit::Kind kind, Maybe<int64> value, auto spent, auto held, Maybe<Time> resets_at) {
            if (!value)
                return;
            Account *account = account_of(holder, {}, holder.window);
            limits[count++] = {kind, &holder, account, number(*value), number(spent(*account)), number(held(*account)),
                               resets_at};
        };
        const auto none = [](const Account &) -> int64 { return 0; };
        const Time next_minute{minute_.value + USECS_PER_MINUTE};
        add(UsageLimit::max_parallel_requests, given.max_parallel_requests, none,
            [](const Account &account) { return account.parallel_requests(); }, {});
        add(UsageLimit::rpm_limit, given.rpm_limit, [](const Account &account) { return account.requests(); }, none,
            next_minute);
        add(UsageLimit::tpm_limit, given.tpm_limit, [](const Account &account) { return account.tokens(); }, none,
            next_minute);
    };
    for (Holder *holder : standing.holders)
        if (holder != nullptr)
            add_budgets(*holder);
    for (Holder *holder : standing.holders)
        if (holder != nullptr)
            add_rates(*holder);
    return limits.first(count);
}

void Counters::move(const Call &call, State from, State to)
{
    const bool charges = to == State::settled;
    for (size_t i = 0; i < owners; i++) {
        Holder *holder = holder_of(call, static_cast<Owner>(i));
        if (holder == nullptr)
            continue;
        if (charges)
            holder->charged = holder->charged ? *holder->charged + call.cost : call.cost;
        for (Account *account = holder->accounts; account != nullptr; account = account->next) {
            if (!account->counts(call.model))
                continue;
            account->changed = true;
            if (from == State::held) {
                account->held_cost = account->held_cost - call.max_cost;
                account->held_requests--;
            } else if (to == State::held) {
                account->held_cost = account->held_cost + call.max_cost;
                account->held_requests++;
            }
            if (minute_of(call.reserved_at).value == account->minute.value) {
                account->minute_requests += requests_in(to) - requests_in(from);
                account->minute_tokens += tokens_in(to, call) - tokens_in(from, call);
            }
            if (charges) {
                account->window_spend = account->window_spend + call.cost;
                account->charged_at = now_;
            }
        }
    }
}

// Tells of the account's budget in an event.
void Counters::tell(Text kind, const Holder &holder, const Account &account, Number value)
{
    if (!expired_known_)
        leave_out_expired();
    Writer data{makeStringInfo()};
    data.begin_object().key("owner").value(owner_name(holder.owner)).key("id").value(holder.id());
    data.key("model").value(account.model.empty() ? Maybe<Text>{} : account.model);
    data.key("value").value(value).key("spent").value(account.window_spend).key("held").value(account.held());
    data.key("resets_at").value(account.window.end).end_object();
    emit_event(session_, holder.name.organization_id, kind, to_text(data.buffer()->data));
}

void Counters::exceeded(const UsageLimit &limit)
{
    Account &account = *limit.account;
    if (account.exceeded_window.value == account.window.start.value && limit.value <= account.exceeded_budget)
        return;
    account.exceeded_window = account.window.start;
    account.exceeded_budget = limit.value;
    account.changed = true;
    tell("budget.exceeded", *limit.holder, account, limit.value);
}

void Counters::emit_budget_events()
{
    for (const Holder &holder : holders_)
        for (Account *account = holder.accounts; account != nullptr; account = account->next) {
            if (!account->model.empty() || account->charged_at.value != now_.value)
                continue;
            const auto soft = holder.limits.soft_budget, hard = holder.limits.max_budget;
            const bool is_told = soft && account->warned_window.value == account->window.start.value &&
                                 *soft <= account->warned_budget;
            if (soft && account->window_spend >= *soft && !is_told) {
                account->warned_window = account->window.start;
                account->warned_budget = *soft;
                tell("budget.soft_limit_crossed", holder, *account, *soft);
            }
            if (hard && account->window_spend >= *hard)
                exceeded({UsageLimit::max_budget, &holder, account, *hard, account->window_spend, account->held(), {}});
        }
}

void Counters::write()
{
    emit_budget_events();
    size_t most = 0;
    for (const Holder &holder : holders_)
        for (const Account *account = holder.accounts; account != nullptr; account = account->next)
            most++;
    const auto entries = allocate<Entry>(most);
    const auto changed = [&](bool stored) {
        size_t count = 0;
        for (const Holder &holder : holders_)
            for (const Account *account = holder.accounts; account != nullptr; account = account->next)
                if (account->changed && account->tid.has_value() == stored)
                    entries[count++] = {&holder.name, account};
        return std::span<const Entry>{entries.first(count)};
    };
    const auto old = changed(true);
    if (!old.empty())
        update(session_, old);
    const auto fresh = changed(false);
    if (!fresh.empty())
        insert(session_, fresh);
}

void warm_up_reading_counters(Session &session, Text nobody)
{
    const Party party{nobody, nobody, nobody, nobody};
    const Time now = present();
    Counters{session, {&party, 1}, now, {}};
    session.run(recount_user, Text{}, Text{}, nobody, Text{}, Text{}, now, now, now);
    session.run(recount_in_organization, nobody, Text{}, Text{}, Text{}, Text{}, now, now, now);
}

void warm_up_writing_counters(Session &session)
{
    update(session, {});
    insert(session, {});
}

} // namespace pg_org
