// Whoever has limits, and what counts against them: what was spent in the current period, what is held, and what was
// asked for in the current minute.  Periods and minutes are computed when they are looked at, and a reservation counts
// until it expires whether or not anybody has put it away: nothing has to run in time.
#pragma once

#include "base/clock.hpp"
#include "base/duration.hpp"
#include "base/fail.hpp"
#include "ledger.hpp"

namespace pg_org {

// From the outermost in; the order in which limits are asked.
enum class Owner { organization, team, member, team_member, user, key };
inline constexpr size_t owners = 6;
Text owner_name(Owner owner);

struct OwnerLimits {
    Time since; // when the owner was made
    Number spend;
    Maybe<Number> max_budget, soft_budget;
    Maybe<Json> model_max_budget;
    Maybe<int64> tpm_limit, rpm_limit, max_parallel_requests;
    Maybe<Text> budget_duration;
    Maybe<Time> budget_reset_at;
};

// What counts for an owner, of all its calls or of those to one model.
struct Account {
    Text model; // as model_max_budget names it; empty: all
    Time owner_since, window_start;
    Number window_spend, held_cost;
    int64 held_requests;
    Time minute;
    int64 minute_requests, minute_tokens;
    Time charged_at;
    // What was told of last: in which period, and of how much.
    Time warned_window, exceeded_window;
    Number warned_budget, exceeded_budget;

    Window window; // the current one
    // Of what is held, what has expired and was not put away yet.
    Number lapsed_cost;
    int64 lapsed_requests, lapsed_minute_requests, lapsed_minute_tokens;
    Maybe<Tid> tid; // where it is stored, if it is
    bool changed;
    Account *next;

    Number held() const;
    int64 parallel_requests() const { return held_requests - lapsed_requests; }
    int64 requests() const { return minute_requests - lapsed_minute_requests; }
    int64 tokens() const { return minute_tokens - lapsed_minute_tokens; }
    bool counts(Text model_called) const;
};

// An owner, with its accounts.
struct Holder {
    Owner owner;
    Party name; // the columns by which its accounts are found
    OwnerLimits limits;
    // As far as it has such.
    bool blocked;
    Texts models;
    Maybe<Json> model_aliases;
    Maybe<Number> default_reserve;
    Maybe<Text> key_alias;
    Maybe<Time> expires;

    Window window;
    Account *accounts;
    Maybe<Number> charged; // by the calls settled now

    Text id() const; // as replies call it
};

// Whom calls of a party are charged to.
struct Standing {
    Party party;
    std::array<Holder *, owners> holders; // null: there is none

    const Holder *holder(Owner owner) const { return holders[static_cast<size_t>(owner)]; }
    // The model that a name stands for: the organization may have names of its own.
    Text model_named(Text name) const;
};

// What an owner's calls of one model may cost, and in which period.
struct ModelBudget {
    Text model;
    Number value;
    Window window;
};

// A limit, with what counts against it.
struct UsageLimit {
    enum Kind { max_budget, model_max_budget, max_parallel_requests, rpm_limit, tpm_limit } kind;
    const Holder *holder;
    Account *account;
    Number value, spent, held;
    Maybe<Time> resets_at;

    bool is_budget() const { return kind <= model_max_budget; }
    Text name() const; // as replies call it
};
using UsageLimits = std::span<const UsageLimit>;

// The rows of one kind of owner: each statement takes ids, and returns those that there are, in order.
struct OwnerRows {
    Statement lock, lock_free, find; // lock_free leaves out those that others have locked
};
extern OwnerRows organization_rows, user_rows;

// What of the parties a call has locked, each in order; the keys are those of no organization. An owner that is neither
// among it nor held was gone by then. Should they be back under the same name, others count for them.
struct Locked {
    Texts organizations, users, keys;
    Texts held_organizations, held_users, held_keys; // by others: only of a call that does not wait

    bool has(const Party &party, Owner owner) const;
    // Why a call of the party can't be decided now.
    Maybe<Refusal> refusal_of(const Party &party) const;
    // Refuses the requests that can't be decided now, and returns the parties of those that are not refused.
    template <typename Request> std::span<const Party> sort_out(std::span<Request> requests) const
    {
        const auto parties = allocate<Party>(requests.size());
        size_t count = 0;
        for (Request &request : requests) {
            if (!request.wrong)
                request.wrong = refusal_of(request.party);
            if (!request.wrong)
                parties[count++] = request.party;
        }
        return parties.first(count);
    }
};
// Locks what the parties' limits hang on, in the fixed order: organizations, users, and keys of no organization.
// Whoever changes a limit, blocks or deletes one of them waits, or has been waited for; or, if this call does not wait,
// has it held.
Locked lock_parties(Session &session, std::span<const Party> parties, bool wait = true);

class Counters {
public:
    // Reads what applies to the parties at a point in time; who is not locked does not, unless nothing will be written.
    Counters(Session &session, std::span<const Party> parties, Time now, Maybe<Locked> locked);

    Time now() const { return now_; }
    std::span<const Holder> holders() const { return holders_; }
    Standing &standing(const Party &party);
    // Whom the call is charged to, null if it was made before them or they are gone.
    Holder *holder_of(const Call &call, Owner owner);

    // Leaves out of what is held what has expired and is not put away, unless there is none. It may be much: what has
    // not expired is summed where it is, and the rest left out.
    void leave_out_expired(bool is_some = true);

    // The limits of calls to a model, or of all models: budgets first, of the outermost owner first.
    UsageLimits limits_of(Standing &standing, Maybe<Text> model);

    // Counts that a call has come from one state to another.
    void move(const Call &call, State from, State to);

    // Notes that a budget was the reason to refuse a call.
    void exceeded(const UsageLimit &limit);

    // Writes what has changed; tells, once in a period, of soft budgets that were crossed and budgets exceeded.
    void write();

private:
    Session &session_;
    Time now_, minute_;
    Maybe<Locked> locked_;
    std::span<Standing> standings_; // by party
    std::span<Holder> holders_;
    bool expired_known_ = false;
    Maybe<std::span<const Reserved>> reserved_; // none if nothing has expired

    bool has(const Party &party, Owner owner) const;
    void read_holders();
    void read_accounts();
    bool bring_up_to_date(const Holder &holder, Account &account) const;
    Account *account_of(Holder &holder, Text model, const Window &window);
    std::span<Account *> accounts_of(Holder &holder, std::span<const ModelBudget> budgets);
    Account *open_account(Holder &holder, Text model, const Window &window);
    void recount(const Holder &holder, Account &account);
    void recount_all(const Holder &holder, std::span<Account *> accounts);
    void recount_models(const Holder &holder, std::span<Account *> accounts);
    void leave_out_lapsed(const Holder &holder, Account &account) const;
    void emit_budget_events();
    void tell(Text kind, const Holder &holder, const Account &account, Number value);
};

// See warm_up.
void warm_up_reading_counters(Session &session, Text nobody);
void warm_up_writing_counters(Session &session);

} // namespace pg_org
