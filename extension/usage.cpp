// Usage: calls to models are reserved before they are made and settled when they are over.
//
// The functions that take one request and those that take many share all but the way in and out: requests are read,
// checked one by one and refused one by one; what is good is locked, decided in order and written at once.

#include "books.hpp"
#include "fail.hpp"
#include "models.hpp"
#include "number.hpp"
#include "spend.hpp"

using namespace pg_org;

namespace {

// Keys as requests name them: by digest, by the digest of a secret that was replaced, or by token_id.
#define KEY_PARTY                                                                                                      \
    "SELECT k.key_id, coalesce(k.organization_id, ''), coalesce(k.team_id, ''), coalesce(k.user_id, '')"               \
    "  FROM org.api_key k WHERE "

constinit Statement find_by_secret{KEY_PARTY "k.key_hash = $1"};
constinit Statement find_by_replaced_secret{KEY_PARTY "k.previous_key_hash = $1 AND k.previous_expires > $2"};
constinit Statement find_by_id{KEY_PARTY "k.key_id = $1"};

// Users who turn out to be concerned only now: without waiting, which could be for ever.
constinit Statement lock_more_users{
    "SELECT user_id FROM org.\"user\" WHERE user_id = ANY ($1) ORDER BY user_id FOR NO KEY UPDATE SKIP LOCKED"};

constinit Statement find_users{"SELECT user_id FROM org.\"user\" WHERE user_id = ANY ($1) ORDER BY user_id"};

constexpr int64 most_money = 1'000'000'000'000;
constexpr int64 most_tokens = 1'000'000'000'000;
constexpr int64 default_ttl = 600, longest_ttl = SECS_PER_DAY;
constexpr size_t most_requests = 10'000;
constexpr size_t longest_identifier = 255;

// Who may -------------------------------------------------------------------

constexpr const char *permission = "usage";

void require_gateway(Session &session, const char *route)
{
    session.plan_for_look_ups();
    if (!has_permission(session, permission))
        forbidden("Only proxy admins and keys with the permission %s can perform %s. Your role is = %s", permission,
                  route, role_name(session.caller.role));
}

// The organization that the caller is confined to, none if they may act for every key.
Maybe<Text> confinement(const Caller &caller)
{
    return caller.is_proxy_admin() ? Maybe<Text>{} : caller.organization_id;
}

Party read_party(const Row &row) { return {*row.get<Text>(1), *row.get<Text>(2), *row.get<Text>(3), *row.get<Text>(0)}; }

Maybe<Party> find_party(Session &session, Text key)
{
    const auto found = [](const Rows &rows) {
        return rows.empty() ? Maybe<Party>{} : read_party(rows[0]);
    };
    if (!key.starts_with("sk-"))
        return found(session.run(find_by_id, key));
    const Text hash = digest(key);
    const auto party = found(session.run(find_by_secret, hash));
    return party ? party : found(session.run(find_by_replaced_secret, hash, present()));
}

// What is asked --------------------------------------------------------------

// One of many requests.
class Element {
public:
    explicit Element(const Value &value) : value_(value)
    {
        if (!value.is_object())
            refuse(invalid_value("requests", "must be objects"));
    }

    const Maybe<Refusal> &wrong() const { return wrong_; }
    Maybe<Text> text(const char *name) { return field(name, &Value::text, "must be a string"); }
    Maybe<bool> boolean(const char *name) { return field(name, &Value::boolean, "must be true or false"); }
    Maybe<Number> number(const char *name) { return field(name, &Value::number, "must be a number"); }
    Maybe<int64> integer(const char *name)
    {
        return field(name, &Value::integer, "must be a whole number of at most 64 bits");
    }
    Maybe<Texts> texts(const char *name) { return field(name, &Value::texts, "must be a list of strings"); }

private:
    Value value_;
    Maybe<Refusal> wrong_;

    void refuse(const Refusal &refusal)
    {
        if (!wrong_)
            wrong_ = refusal;
    }
    template <typename T> Maybe<T> field(const char *name, Maybe<T> (Value::*get)() const, const char *rule)
    {
        const Value member = value_.member(name);
        if (member.is_null())
            return {};
        const auto read = (member.*get)();
        if (!read)
            refuse(invalid_value(name, rule));
        return read;
    }
};

std::span<const Value> next_requests(Session &session)
{
    const auto requests = to_value(required(session.next_json(), "requests"), "requests").elements();
    if (requests.size() > most_requests)
        invalid("requests", "must be at most %zu", most_requests);
    return requests;
}

// Checks of one argument after the other; the first that is wrong counts.
class Check {
public:
    explicit Check(const Maybe<Refusal> &wrong) : wrong_(wrong) {}
    const Maybe<Refusal> &wrong() const { return wrong_; }

    Check &given(const char *name, bool is_given) { return require(is_given, missing_value(name)); }
    Check &identifier(const char *name, const Maybe<Text> &value)
    {
        return rule(name, !value || !value->empty(), "must not be empty")
            .rule(name, !value || value->size() <= longest_identifier, "must be at most 255 bytes long");
    }
    Check &amount(const char *name, const Maybe<Number> &value)
    {
        if (!value)
            return *this;
        const Numeric amount = DatumGetNumeric(value->datum);
        return rule(name, !numeric_is_nan(amount) && !numeric_is_inf(amount), "must be a finite number")
            .rule(name, *value >= zero(), "must be zero or more")
            .rule(name, *value <= number(most_money), "must be at most 1000000000000");
    }
    Check &count(const char *name, const Maybe<int64> &value)
    {
        return rule(name, !value || *value >= 0, "must be zero or more")
            .rule(name, !value || *value <= most_tokens, "must be at most 1000000000000");
    }
    Check &rule(const char *name, bool holds, const char *text)
    {
        return holds ? *this : require(false, invalid_value(name, text));
    }

private:
    Maybe<Refusal> wrong_;

    Check &require(bool holds, const Refusal &otherwise)
    {
        if (!holds && !wrong_)
            wrong_ = otherwise;
        return *this;
    }
};

bool has_null(const Maybe<Texts> &texts)
{
    return texts && std::ranges::any_of(*texts, [](Text text) { return text.data() == nullptr; });
}

Text array_literal(const Maybe<Texts> &texts)
{
    if (!texts || texts->empty())
        return "{}";
    return to_text(OidOutputFunctionCall(F_ARRAY_OUT, to_array(*texts)));
}

// In the order of time, so that indexes of them grow at one end.
Text new_request_id()
{
    uint8 random[10];
    if (!pg_strong_random(random, sizeof random))
        ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values"));
    const auto milliseconds = static_cast<uint64>(GetCurrentTimestamp() / 1000);
    return to_text(psprintf("%012" INT64_MODIFIER "x%.*s", milliseconds & 0xffffffffffff, SHOW(hexadecimal(random))));
}

// Calls of one name, the later ones of which get what the first got.
struct NamedCall {
    CallName name;
    Call *call; // null: none of that name
};

// The distinct ones among names that all have organizations, to be looked up.
class NamedCalls {
public:
    explicit NamedCalls(std::span<const CallName> names) : calls_(allocate<NamedCall>(names.size()))
    {
        std::ranges::transform(names, calls_.begin(), [](const CallName &name) { return NamedCall{name, nullptr}; });
        std::ranges::sort(calls_, {}, key);
        const auto repeated = std::ranges::unique(calls_, {}, key);
        calls_ = calls_.first(calls_.size() - repeated.size());
    }

    std::span<const CallName> names() const
    {
        return column<CallName>(calls_, [](const NamedCall &named) { return named.name; });
    }
    void put(std::span<const FoundCall> found)
    {
        for (const auto &[place, call] : found)
            calls_[place].call = call;
    }
    Call *&operator[](const CallName &name)
    {
        return std::ranges::lower_bound(calls_, key(NamedCall{name, nullptr}), {}, key)->call;
    }

private:
    std::span<NamedCall> calls_;

    static std::pair<Text, Text> key(const NamedCall &named) { return {*named.name.organization_id, named.name.request_id}; }
};

// Reserving -------------------------------------------------------------------

struct Reserve {
    Maybe<Text> key, model;
    Maybe<Number> max_cost;
    Maybe<int64> max_tokens;
    Maybe<Text> request_id;
    Maybe<int64> ttl_seconds;
    Maybe<Texts> tags;

    Maybe<Refusal> wrong;
    Party party;

    // Checks what needs no database.
    void check()
    {
        wrong = Check{wrong}
                    .given("key", key.has_value())
                    .given("model", model.has_value())
                    .identifier("model", model)
                    .amount("max_cost", max_cost)
                    .count("max_tokens", max_tokens)
                    .identifier("request_id", request_id)
                    .rule("ttl_seconds", ttl_seconds.value_or(1) > 0, "must be more than zero")
                    .rule("ttl_seconds", ttl_seconds.value_or(1) <= longest_ttl, "must be at most 86400")
                    .rule("tags", !has_null(tags), "must not contain null")
                    .wrong();
        if (!request_id)
            request_id = new_request_id();
    }
    CallName name() const { return {party.organization_id, *request_id}; }
};

// The limit that a call would exceed.
struct Exceeded {
    UsageLimit limit;
    Number asked;
    Maybe<Time> frees_at;
    Maybe<int64> retry_after; // in seconds; none: waiting alone does not help
};

struct Answer {
    Maybe<Refusal> refusal;
    Maybe<Exceeded> exceeded; // why it is refused, if for that
    const Call *call;         // what is granted
    UsageLimits limits;
    bool repeated; // granted before: the limits have it in what is held
};

Number asked_of(const UsageLimit &limit, const Call &call)
{
    switch (limit.kind) {
    case UsageLimit::max_budget:
    case UsageLimit::model_max_budget:
        return call.max_cost;
    case UsageLimit::tpm_limit:
        return number(call.max_tokens);
    case UsageLimit::max_parallel_requests:
    case UsageLimit::rpm_limit:
        return number(1);
    }
    pg_unreachable();
}

// As LiteLLM puts it, whose clients look for the words.
const char *message_of(const Exceeded &exceeded)
{
    const UsageLimit &limit = exceeded.limit;
    const Holder &holder = *limit.holder;
    const Text id = holder.id();
    if (!limit.is_budget()) {
        const char *type = limit.kind == UsageLimit::rpm_limit   ? "requests"
                           : limit.kind == UsageLimit::tpm_limit ? "tokens"
                                                            : "max_parallel_requests";
        const Text owner = holder.owner == Owner::key ? Text{"api_key"} : owner_name(holder.owner);
        const Number left = limit.value - limit.spent - limit.held;
        return psprintf("Rate limit exceeded for %.*s: %.*s. Limit type: %s. Current limit: %s, Remaining: %s. "
                        "Limit resets at: %s",
                        SHOW(owner), SHOW(id), type, show(limit.value), show(left < zero() ? zero() : left),
                        limit.resets_at ? iso_8601(*limit.resets_at) : "the end of a call");
    }
    const auto money = [](Number amount) {
        Writer writer{makeStringInfo()};
        return writer.value(amount).buffer()->data;
    };
    const char *cost = money(limit.spent + limit.held), *most = money(limit.value);
    if (limit.kind == UsageLimit::model_max_budget) {
        const Text model = limit.account->model;
        if (holder.owner == Owner::key)
            return psprintf("LiteLLM Virtual Key: %.*s, key_alias: %.*s, exceeded budget for model=%.*s", SHOW(id),
                            SHOW(holder.key_alias.value_or("None")), SHOW(model));
        return psprintf("%.*s: %.*s, exceeded budget for model=%.*s", SHOW(owner_name(holder.owner)), SHOW(id),
                        SHOW(model));
    }
    const Party &name = holder.name;
    const char *whose = "";
    switch (holder.owner) {
    case Owner::organization:
        whose = psprintf("Organization=%.*s ", SHOW(id));
        break;
    case Owner::team:
        whose = psprintf("Team=%.*s ", SHOW(id));
        break;
    case Owner::member:
        whose = psprintf("User=%.*s in Organization=%.*s ", SHOW(name.user_id), SHOW(name.organization_id));
        break;
    case Owner::team_member:
        whose = psprintf("User=%.*s in Team=%.*s ", SHOW(name.user_id), SHOW(name.team_id));
        break;
    case Owner::user:
        return psprintf("ExceededBudget: User=%.*s over budget. Spend=%s, Budget=%s", SHOW(id), cost, most);
    case Owner::key:
        break;
    }
    return psprintf("Budget has been exceeded! %sCurrent cost: %s, Max budget: %s", whose, cost, most);
}

Refusal refusal_of(const Exceeded &exceeded)
{
    const UsageLimit &limit = exceeded.limit;
    const char *name = c_string(limit.name());
    Refusal refused = refusal(limit.is_budget() ? ERRCODE_CONFIGURATION_LIMIT_EXCEEDED : errcode_rate_limit, name,
                              "%s", message_of(exceeded));
    refused.detail = psprintf("%s of %.*s %.*s is %s: %s is spent, %s held, %s asked.", name,
                              SHOW(owner_name(limit.holder->owner)), SHOW(limit.holder->id()), show(limit.value),
                              show(limit.spent), show(limit.held), show(exceeded.asked));
    refused.hint = exceeded.frees_at      ? psprintf("Try again at %s.", iso_8601(*exceeded.frees_at))
                   : exceeded.retry_after ? "Try again when a call under way is over."
                                          : "The limit must be raised first.";
    return refused;
}

// The limit as exceeded by what is asked: when will there be room?
Exceeded exceed(const UsageLimit &limit, Number asked, Time now)
{
    Exceeded exceeded{limit, asked, {}, {}};
    if (asked > limit.value)
        return exceeded;
    if (limit.spent + asked <= limit.value) {
        exceeded.retry_after = 1;
    } else if (limit.resets_at) {
        exceeded.frees_at = limit.resets_at;
        exceeded.retry_after = (limit.resets_at->value - now.value + USECS_PER_SEC - 1) / USECS_PER_SEC;
    }
    return exceeded;
}

// Why the key may make no calls at all.
Maybe<Refusal> key_refusal(const Standing &standing, Time now)
{
    const auto refuse = [](const char *message) {
        return refusal(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, "key", "%s", message);
    };
    const Holder *key = standing.holder(Owner::key), *team = standing.holder(Owner::team),
                 *organization = standing.holder(Owner::organization);
    if (key == nullptr)
        return refuse("Authentication Error, Invalid proxy server token passed.");
    if (key->blocked)
        return refuse("Authentication Error, Key is blocked. Ask an admin to unblock it.");
    if (key->expires && key->expires->value <= now.value)
        return expired_key(*key->expires);
    if (team != nullptr && team->blocked)
        return refuse(psprintf("Authentication Error, Team=%.*s is blocked.", SHOW(team->id())));
    if (organization != nullptr && organization->blocked)
        return refuse(psprintf("Authentication Error, Organization=%.*s is blocked.", SHOW(organization->id())));
    return {};
}

// The model that a name stands for.
Text resolve(const Standing &standing, Text model)
{
    const Holder *organization = standing.holder(Owner::organization);
    if (organization == nullptr || !organization->model_aliases)
        return model;
    const auto resolved = to_value(*organization->model_aliases, "").member(c_string(model)).text();
    return resolved && !resolved->empty() && resolved->size() <= longest_identifier ? *resolved : model;
}

// Why the model may not be called, by whom. One list after the other must allow what was asked for or what it stands
// for; a key of its team's models leaves it to the team.
Maybe<Refusal> model_refusal(const Standing &standing, Text asked, Text model)
{
    for (const Owner owner : {Owner::key, Owner::team, Owner::organization, Owner::user}) {
        const Holder *holder = standing.holder(owner);
        const Texts list = holder == nullptr ? Texts{} : holder->models;
        if (list.empty() || std::ranges::find(list, Text{"all-team-models"}) != list.end())
            continue;
        const Text name = owner_name(owner);
        if (!is_model(model) || !(allows(list, asked) || allows(list, model)))
            return refusal(errcode_model_denied, "model",
                           "%.*s not allowed to access model. This %.*s can only access models=%s. "
                           "Tried to access %.*s",
                           SHOW(name), SHOW(name), show_list(list), SHOW(asked));
    }
    return {};
}

// What is held for a call whose highest cost is not given.
Maybe<Number> default_reserve(const Standing &standing)
{
    const Holder *organization = standing.holder(Owner::organization);
    return organization == nullptr ? Maybe<Number>{} : organization->default_reserve;
}

// Completes what was asked by what a limit needs to know.
Maybe<Refusal> complete(Call &call, const Reserve &asked, const Standing &standing, UsageLimits limits)
{
    const auto has = [&](auto of_kind) { return std::ranges::any_of(limits, of_kind); };
    const auto amount = asked.max_cost ? asked.max_cost : default_reserve(standing);
    if (!amount && has([](const UsageLimit &limit) { return limit.is_budget(); }))
        return refusal(ERRCODE_NULL_VALUE_NOT_ALLOWED, "max_cost", "\"max_cost\" is required: a budget applies");
    if (!asked.max_tokens && has([](const UsageLimit &limit) { return limit.kind == UsageLimit::tpm_limit; }))
        return refusal(ERRCODE_NULL_VALUE_NOT_ALLOWED, "max_tokens", "\"max_tokens\" is required: a tpm_limit applies");
    call.max_cost = amount.value_or(zero());
    call.max_tokens = asked.max_tokens.value_or(0);
    return {};
}

// What is answered to a request whose request_id is known.
Answer repeat(Books &books, const Reserve &asked, const Standing &standing, const Call &known)
{
    Answer answer{};
    const auto amount = asked.max_cost ? asked.max_cost : default_reserve(standing);
    if (known.state != State::held || known.expires_at.value <= books.now().value)
        answer.refusal = refusal(ERRCODE_UNIQUE_VIOLATION, "request_id", "Reservation is over for request_id=%.*s",
                                 SHOW(known.request_id));
    else if (known.party != asked.party || known.model != resolve(standing, *asked.model) ||
             !(known.max_cost == amount.value_or(zero())) || known.max_tokens != asked.max_tokens.value_or(0))
        answer.refusal = refusal(ERRCODE_UNIQUE_VIOLATION, "request_id",
                                 "Another request was reserved with request_id=%.*s", SHOW(known.request_id));
    else
        answer.call = &known;
    return answer;
}

// The answer to one request; what is granted is held from now on.
Answer decide(Books &books, const Reserve &asked, Call *&known)
{
    Answer answer{};
    Standing &standing = books.standing(asked.party);
    const Time now = books.now();
    if ((answer.refusal = key_refusal(standing, now)))
        return answer;
    const Text model = resolve(standing, *asked.model);
    if (known != nullptr) {
        answer = repeat(books, asked, standing, *known);
        answer.limits = books.limits_of(standing, model);
        answer.repeated = true;
        return answer;
    }
    if ((answer.refusal = model_refusal(standing, *asked.model, model)))
        return answer;

    answer.limits = books.limits_of(standing, model);
    Call *call = allocate<Call>(1).data();
    *call = {.party = asked.party,
             .request_id = *asked.request_id,
             .model = model,
             .tags = array_literal(asked.tags),
             .reserved_at = now,
             .expires_at = {now.value + asked.ttl_seconds.value_or(default_ttl) * USECS_PER_SEC},
             .state = State::held,
             .stored = State::none};
    if ((answer.refusal = complete(*call, asked, standing, answer.limits)))
        return answer;
    for (const UsageLimit &limit : answer.limits) {
        const Number amount = asked_of(limit, *call);
        if (limit.spent + limit.held + amount <= limit.value)
            continue;
        answer.exceeded = exceed(limit, amount, now);
        answer.refusal = refusal_of(*answer.exceeded);
        if (limit.is_budget() && amount <= limit.value)
            books.exceeded(limit);
        return answer;
    }
    books.move(*call, State::none, State::held);
    answer.call = known = call;
    return answer;
}

std::span<const Party> parties_of(std::span<const Party> some, Calls calls)
{
    const auto all = allocate<Party>(some.size() + calls.size());
    const auto after = std::ranges::copy(some, all.begin()).out;
    std::ranges::transform(calls, after, [](const Call *call) { return call->party; });
    return all;
}

// Which of the expired reservations may be put away: those of organizations and users that are locked, or can be
// without waiting, for they would be out of order.  The others come first in what is returned.
struct Expired {
    Calls left, taken;
};
Expired take_expired(Session &session, std::span<const Party> parties, Texts organizations, Time now)
{
    const Calls found = find_expired(session, parties, now);
    if (found.empty())
        return {};
    constexpr size_t most_taken = 1000;
    const auto users = column<Text>(found, [](const Call *call) { return call->party.user_id; });
    const Texts locked_users = session.run(lock_more_users, users).texts();
    const Texts all_users = session.run(find_users, users).texts();
    const auto is_busy = [&](Text user_id) {
        return std::ranges::binary_search(all_users, user_id) && !std::ranges::binary_search(locked_users, user_id);
    };
    const auto calls = allocate<Call *>(found.size());
    std::ranges::copy(found, calls.begin());
    size_t taken = 0;
    const auto is_left = [&](const Call *call) {
        const Party &party = call->party;
        const bool inside = party.organization_id.empty()
                                ? std::ranges::find(parties, party.key_id, &Party::key_id) != parties.end()
                                : std::ranges::binary_search(organizations, party.organization_id);
        return !inside || is_busy(party.user_id) || taken++ >= most_taken;
    };
    const auto first_taken = std::ranges::partition(calls, is_left).begin();
    return {{calls.begin(), first_taken}, {first_taken, calls.end()}};
}

// Finds the keys of the requests; those without are refused.
template <typename Request> std::span<const Party> find_parties(Session &session, std::span<Request> requests)
{
    const auto confined = confinement(session.caller);
    const auto parties = allocate<Party>(requests.size());
    size_t count = 0;
    for (size_t i = 0; i < requests.size(); i++) {
        Request &request = requests[i];
        if (request.wrong)
            continue;
        // Most often many requests in a row are of few keys.
        const auto same = std::ranges::find_if(requests.first(i), [&](const Request &other) {
            return !other.wrong && *other.key == *request.key;
        });
        const auto party = same == requests.begin() + i ? find_party(session, *request.key) : Maybe<Party>{same->party};
        if (party && (!confined || party->organization_id == *confined))
            parties[count++] = request.party = *party;
        else
            request.wrong = key_refusal({}, {});
    }
    return parties.first(count);
}

std::span<const Answer> reserve(Session &session, std::span<Reserve> requests)
{
    const auto parties = find_parties(session, requests);
    const Texts organizations = lock_parties(session, parties);
    const Time now = present();
    const auto [left, taken] = take_expired(session, parties, organizations, now);
    Books books{session, parties_of(parties, taken), now};
    for (Call *call : taken) {
        call->state = State::expired;
        call->closed_at = now;
        books.move(*call, State::held, State::expired);
    }
    write_calls(session, taken);
    books.leave_out(left);

    const auto good = allocate<CallName>(requests.size());
    size_t count = 0;
    for (const Reserve &request : requests)
        if (!request.wrong)
            good[count++] = request.name();
    NamedCalls calls{good.first(count)};
    calls.put(find_calls(session, calls.names()));

    const auto answers = allocate<Answer>(requests.size());
    const auto granted = allocate<Call *>(requests.size());
    size_t grants = 0;
    for (size_t i = 0; i < requests.size(); i++) {
        if (requests[i].wrong) {
            answers[i].refusal = requests[i].wrong;
            continue;
        }
        Call *&known = calls[requests[i].name()];
        const bool is_new = known == nullptr;
        answers[i] = decide(books, requests[i], known);
        if (is_new && known != nullptr)
            granted[grants++] = known;
    }
    write_calls(session, granted.first(grants));
    books.write();
    return answers;
}

// An amount of a limit: money with a decimal point, counts without.
void write_amount(Writer &reply, const UsageLimit &limit, Number amount)
{
    if (limit.is_budget())
        reply.value(amount);
    else
        reply.value(DatumGetInt64(DirectFunctionCall1(numeric_int8, amount.datum)));
}

void write_limit_name(Writer &reply, const UsageLimit &limit)
{
    const Text model = limit.kind == UsageLimit::model_max_budget ? limit.account->model : Text{};
    reply.key("owner").value(owner_name(limit.holder->owner)).key("id").value(limit.holder->id());
    reply.key("limit").value(limit.name()).key("model").value(model.empty() ? Maybe<Text>{} : model).key("value");
    write_amount(reply, limit, limit.value);
}

// Writes the error of a request among many.
void write_refusal(Writer &reply, const Refusal &refusal, const Maybe<Exceeded> &exceeded)
{
    const auto optional = [](const char *text) { return text != nullptr ? to_text(text) : Maybe<Text>{}; };
    reply.begin_object().key("error").begin_object();
    reply.key("sqlstate").value(to_text(unpack_sql_state(refusal.sqlstate)));
    reply.key("message").value(to_text(refusal.message)).key("param").value(optional(refusal.argument));
    reply.key("retry_after").value(exceeded ? exceeded->retry_after : Maybe<int64>{}).key("limit");
    if (exceeded) {
        const UsageLimit &limit = exceeded->limit;
        write_limit_name(reply.begin_object(), limit);
        write_amount(reply.key("spent"), limit, limit.spent);
        write_amount(reply.key("held"), limit, limit.held);
        write_amount(reply.key("asked"), limit, exceeded->asked);
        reply.key("frees_at").value(exceeded->frees_at).end_object();
    } else {
        reply.null();
    }
    reply.end_object().end_object();
}

void write_call_name(Writer &reply, const Call &call)
{
    reply.key("reservation_id").value(reservation_id(call)).key("request_id").value(call.request_id);
}

void write_grant(Writer &reply, const Answer &answer)
{
    const Call &call = *answer.call;
    write_call_name(reply.begin_object(), call);
    reply.key("model").value(call.model).key("expires_at").value(call.expires_at).key("limits").begin_array();
    for (const UsageLimit &limit : answer.limits) {
        const Number left = limit.value - limit.spent - limit.held;
        write_limit_name(reply.begin_object(), limit);
        write_amount(reply.key("remaining"), limit, answer.repeated ? left : left - asked_of(limit, call));
        reply.key("resets_at").value(limit.resets_at).end_object();
    }
    reply.end_array().end_object();
}

// Settling --------------------------------------------------------------------

// What a call has come to.
struct Outcome {
    Maybe<Number> cost;
    Maybe<int64> prompt_tokens, completion_tokens, cache_read_input_tokens, cache_creation_input_tokens;
    Maybe<bool> failed;

    Check &check(Check &&check) const
    {
        return check.given("cost", cost.has_value())
            .amount("cost", cost)
            .count("prompt_tokens", prompt_tokens)
            .count("completion_tokens", completion_tokens)
            .count("cache_read_input_tokens", cache_read_input_tokens)
            .count("cache_creation_input_tokens", cache_creation_input_tokens);
    }
    void settle(Call &call, Time now) const
    {
        call.cost = *cost;
        call.prompt_tokens = prompt_tokens.value_or(0);
        call.completion_tokens = completion_tokens.value_or(0);
        call.cache_read_input_tokens = cache_read_input_tokens.value_or(0);
        call.cache_creation_input_tokens = cache_creation_input_tokens.value_or(0);
        call.failed = failed.value_or(false);
        call.closed_at = now;
        call.state = State::settled;
    }
};

// A reservation that a request names.
struct Named {
    Maybe<Text> request_id, reservation_id;
    Maybe<Refusal> wrong;
    CallName name; // complete once it is found

    void check()
    {
        wrong = Check{wrong}
                    .given("request_id", request_id || reservation_id)
                    .identifier("request_id", request_id)
                    .wrong();
    }
};

struct Settle : Named {
    Outcome outcome;

    void check()
    {
        Named::check();
        wrong = outcome.check(Check{wrong}).wrong();
    }
};

Refusal no_reservation(const Named &named)
{
    const bool by_id = named.reservation_id.has_value();
    const Text id = by_id ? *named.reservation_id : *named.request_id;
    return refusal(ERRCODE_NO_DATA_FOUND, by_id ? "reservation_id" : "request_id",
                   "Reservation not found for %s=%.*s", by_id ? "reservation_id" : "request_id", SHOW(id));
}

// The name as far as the request has it; none if nothing can have it.
Maybe<CallName> asked_name(const Caller &caller, const Named &named)
{
    const auto confined = confinement(caller);
    if (!named.reservation_id)
        return CallName{confined, *named.request_id};
    const auto name = parse_reservation_id(*named.reservation_id);
    return name && (!confined || confined == name->organization_id) ? name : Maybe<CallName>{};
}

// Completes the names of the requests, refuses those without a call, and returns whom the calls are charged to.
template <typename Request> std::span<const Party> find_named(Session &session, std::span<Request> requests)
{
    const auto names = allocate<CallName>(requests.size());
    const auto at = allocate<Request *>(requests.size());
    size_t count = 0;
    for (Request &request : requests) {
        if (request.wrong)
            continue;
        const auto name = asked_name(session.caller, request);
        request.wrong = no_reservation(request);
        if (name) {
            at[count] = &request;
            names[count++] = *name;
        }
    }
    const auto found = find_calls(session, names.first(count));
    const auto parties = allocate<Party>(found.size());
    for (size_t i = 0; i < found.size(); i++) {
        const auto &[place, call] = found[i];
        Request &request = *at[place];
        parties[i] = call->party;
        const CallName name{call->party.organization_id, call->request_id};
        if (request.wrong)
            request.wrong.reset();
        else if (request.name.organization_id != name.organization_id)
            request.wrong = refusal(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "request_id",
                                    "Several organizations have request_id=%.*s. Please use 'reservation_id' instead.",
                                    SHOW(call->request_id));
        request.name = name;
    }
    return parties;
}

// Locks the calls that the requests name and all they count for.
template <typename Request>
NamedCalls lock_named(Session &session, std::span<Request> requests, std::span<const Party> parties)
{
    lock_parties(session, parties);
    const auto good = allocate<CallName>(requests.size());
    size_t count = 0;
    for (const Request &request : requests)
        if (!request.wrong)
            good[count++] = request.name;
    NamedCalls calls{good.first(count)};
    calls.put(lock_calls(session, calls.names()));
    return calls;
}

// Settles the calls that are not settled yet, and returns those of the requests.
Calls settle(Session &session, std::span<Settle> requests)
{
    const auto parties = find_named(session, requests);
    NamedCalls calls = lock_named(session, requests, parties);
    Books books{session, parties, present()};
    const auto results = allocate<Call *>(requests.size());
    const auto settled = allocate<Call *>(requests.size());
    size_t count = 0;
    for (size_t i = 0; i < requests.size(); i++) {
        if (requests[i].wrong)
            continue;
        Call *call = results[i] = calls[requests[i].name];
        if (call->state == State::settled)
            continue;
        requests[i].outcome.settle(*call, books.now());
        books.move(*call, call->stored, State::settled);
        settled[count++] = call;
    }
    const Calls now_settled = settled.first(count);
    write_calls(session, now_settled);
    books.write();
    write_spend(session, books, now_settled);
    return results;
}

void write_settled(Writer &reply, const Call &call)
{
    const auto optional = [](Text text) { return not_empty(text); };
    write_call_name(reply.begin_object(), call);
    reply.key("organization_id").value(optional(call.party.organization_id)).key("token_id").value(call.party.key_id);
    reply.key("model").value(call.model).key("cost").value(call.cost);
    reply.key("prompt_tokens").value(call.prompt_tokens).key("completion_tokens").value(call.completion_tokens);
    reply.key("state").value(Text{"settled"}).key("settled_at").value(call.closed_at).end_object();
}

template <typename Fields> Outcome next_outcome(Fields read)
{
    return {.cost = {},
            .prompt_tokens = read("prompt_tokens"),
            .completion_tokens = read("completion_tokens"),
            .cache_read_input_tokens = read("cache_read_input_tokens"),
            .cache_creation_input_tokens = read("cache_creation_input_tokens"),
            .failed = {}};
}

void raise_if_any(const Maybe<Refusal> &refusal)
{
    if (refusal)
        raise(*refusal);
}

} // namespace

PG_ORG_CALL(usage_reserve)
{
    require_gateway(session, "/usage/reserve");
    Reserve request;
    request.key = session.next<Text>();
    request.model = session.next<Text>();
    request.max_cost = session.next<Number>();
    request.max_tokens = session.next<int64>();
    request.request_id = session.next<Text>();
    request.ttl_seconds = session.next<int64>();
    request.tags = session.next<Texts>();
    request.check();
    raise_if_any(request.wrong);
    const Answer answer = reserve(session, {&request, 1})[0];
    raise_if_any(answer.refusal);
    write_grant(session.reply, answer);
}

PG_ORG_CALL(usage_reserve_many)
{
    require_gateway(session, "/usage/reserve");
    const auto values = next_requests(session);
    const auto requests = allocate<Reserve>(values.size());
    for (size_t i = 0; i < values.size(); i++) {
        Element element{values[i]};
        Reserve &request = requests[i];
        request.key = element.text("key");
        request.model = element.text("model");
        request.max_cost = element.number("max_cost");
        request.max_tokens = element.integer("max_tokens");
        request.request_id = element.text("request_id");
        request.ttl_seconds = element.integer("ttl_seconds");
        request.tags = element.texts("tags");
        request.wrong = element.wrong();
        request.check();
    }
    session.reply.begin_array();
    for (const Answer &answer : reserve(session, requests))
        if (answer.refusal)
            write_refusal(session.reply, *answer.refusal, answer.exceeded);
        else
            write_grant(session.reply, answer);
    session.reply.end_array();
}

PG_ORG_CALL(usage_settle)
{
    require_gateway(session, "/usage/settle");
    Settle request;
    const auto cost = session.next<Number>();
    request.request_id = session.next<Text>();
    request.reservation_id = session.next<Text>();
    request.outcome = next_outcome([&](const char *) { return session.next<int64>(); });
    request.outcome.cost = cost;
    request.outcome.failed = session.next<bool>();
    request.check();
    raise_if_any(request.wrong);
    const Calls calls = settle(session, {&request, 1});
    raise_if_any(request.wrong);
    write_settled(session.reply, *calls[0]);
}

PG_ORG_CALL(usage_settle_many)
{
    require_gateway(session, "/usage/settle");
    const auto values = next_requests(session);
    const auto requests = allocate<Settle>(values.size());
    for (size_t i = 0; i < values.size(); i++) {
        Element element{values[i]};
        Settle &request = requests[i];
        request.request_id = element.text("request_id");
        request.reservation_id = element.text("reservation_id");
        request.outcome = next_outcome([&](const char *name) { return element.integer(name); });
        request.outcome.cost = element.number("cost");
        request.outcome.failed = element.boolean("failed");
        request.wrong = element.wrong();
        request.check();
    }
    const Calls calls = settle(session, requests);
    session.reply.begin_array();
    for (size_t i = 0; i < requests.size(); i++)
        if (requests[i].wrong)
            write_refusal(session.reply, *requests[i].wrong, {});
        else
            write_settled(session.reply, *calls[i]);
    session.reply.end_array();
}

PG_ORG_CALL(usage_cancel)
{
    require_gateway(session, "/usage/cancel");
    Named request{session.next<Text>(), session.next<Text>(), {}, {}};
    request.check();
    raise_if_any(request.wrong);
    const std::span<Named> requests{&request, 1};
    const auto parties = find_named(session, requests);
    raise_if_any(request.wrong);
    Call *call = lock_named(session, requests, parties)[request.name];
    if (call->state == State::settled)
        refused("Reservation is settled for request_id=%.*s", SHOW(call->request_id));
    if (call->state == State::held) {
        Books books{session, parties, present()};
        call->state = call->expires_at.value <= books.now().value ? State::expired : State::cancelled;
        call->closed_at = books.now();
        books.move(*call, State::held, call->state);
        write_calls(session, {&call, 1});
        books.write();
    }
    write_call_name(session.reply.begin_object(), *call);
    session.reply.key("state").value(name_of(call->state)).end_object();
}

PG_ORG_CALL(usage_record)
{
    require_gateway(session, "/usage/record");
    Reserve request;
    request.key = session.next<Text>();
    request.model = session.next<Text>();
    const auto cost = session.next<Number>();
    request.request_id = session.next<Text>();
    Outcome outcome = next_outcome([&](const char *) { return session.next<int64>(); });
    outcome.cost = cost;
    outcome.failed = session.next<bool>();
    request.tags = session.next<Texts>();
    request.check();
    raise_if_any(outcome.check(Check{request.wrong}).wrong());
    const auto parties = find_parties(session, std::span{&request, 1});
    raise_if_any(request.wrong);
    lock_parties(session, parties);

    const CallName name = request.name();
    const auto found = find_calls(session, {&name, 1});
    Books books{session, parties, present()};
    const Standing &standing = books.standing(request.party);
    const Text model = resolve(standing, *request.model);
    Call *call = found.empty() ? allocate<Call>(1).data() : found[0].call;
    if (found.empty()) {
        const Time now = books.now();
        *call = {.party = request.party,
                 .request_id = *request.request_id,
                 .model = model,
                 .tags = array_literal(request.tags),
                 .max_cost = zero(),
                 .reserved_at = now,
                 .expires_at = now};
        outcome.settle(*call, now);
        books.move(*call, State::none, State::settled);
        write_calls(session, {&call, 1});
        books.write();
        write_spend(session, books, {&call, 1});
    } else if (call->state != State::settled) {
        exists_already("Reserved already for request_id=%.*s. Settle that", SHOW(call->request_id));
    } else if (call->party != request.party || call->model != model) {
        exists_already("Another request was recorded with request_id=%.*s", SHOW(call->request_id));
    }
    write_settled(session.reply, *call);
}

PG_ORG_READ(usage_limits)
{
    const auto asked = session.next<Text>();
    const Text key = required(asked ? asked : session.caller.key_id, "key");
    const Caller &caller = session.caller;
    const auto confined = confinement(caller);
    const auto party = find_party(session, key);
    const bool sees_all = (caller.reads_everything() || has_permission(session, permission)) &&
                          (!party || !confined || caller.reads_everything() || party->organization_id == *confined);
    if (!sees_all && !(party && (party->key_id == caller.key_id ||
                                 (!party->organization_id.empty() && administers(session, party->organization_id)))))
        forbidden("You do not have the required role to perform /usage/limits on this key. Your role is = %s",
                  role_name(caller.role));
    if (!party)
        not_found("Key not found");

    Books books{session, {&*party, 1}, present()};
    books.leave_out(find_expired(session, {&*party, 1}, books.now()));
    session.reply.begin_object().key("token_id").value(party->key_id).key("limits").begin_array();
    for (const UsageLimit &limit : books.limits_of(books.standing(*party), {})) {
        write_limit_name(session.reply.begin_object(), limit);
        write_amount(session.reply.key("spent"), limit, limit.spent);
        write_amount(session.reply.key("held"), limit, limit.held);
        write_amount(session.reply.key("remaining"), limit, limit.value - limit.spent - limit.held);
        session.reply.key("resets_at").value(limit.resets_at).end_object();
    }
    session.reply.end_array().end_object();
}
