// One call of one function: who is calling, with what arguments, SQL as the owner of the tables, and the reply.
//
// A function that SQL can call is PG_ORG_READ(name) { rule }, PG_ORG_WRITE(name) { rule } or PG_ORG_CALL(name) { rule
// }, where the rule has `session`. Every function has the argument api_key; a write also has idempotency_key and
// request_id. A call writes too, but has neither: it tells repetitions apart by arguments of its own.
#pragma once

#include "arguments.hpp"
#include "caller.hpp"
#include "owner.hpp"
#include "statement.hpp"
#include "writer.hpp"

namespace pg_org {

// Whether a call may change anything, which must agree with the function's volatility. A warm-up has no api_key: every
// role with EXECUTE may call it.
enum class Access { read, write, call, warm_up };

class Session {
public:
    // Establishes who is calling, and acts as the tables' owner from here on.
    Session(FunctionCallInfo fcinfo, Access access, const char *function);
    // Whether the request was carried out before, so that the reply is there already.
    bool is_repeated() const { return repeated_; }
    // Ends the call and returns what was written to reply.
    Datum finish();

    // An argument by its name.
    template <typename T> Maybe<T> argument(const char *name) const { return arguments_.get<T>(name); }
    // The same, checked: the check takes the value, and the name for its error.
    template <typename T, typename Checked>
    Checked argument(const char *name, Checked (*check)(Maybe<T>, const char *)) const
    {
        return check(argument<T>(name), name);
    }
    template <typename T, typename Checked> Checked argument(const char *name, Checked (*check)(Maybe<T>)) const
    {
        return check(argument<T>(name));
    }
    bool has_argument(Text name) const { return arguments_.contains(name); }
    // A json (not jsonb) argument.
    Maybe<Value> json(const char *name) const { return arguments_.json(name); }
    // An argument that must not be null.
    template <typename T> T required(const char *name) const { return pg_org::required(argument<T>(name), name); }
    template <typename T> T required(const char *name, Maybe<T> (*check)(Maybe<T>, const char *)) const
    {
        return pg_org::required(argument(name, check), name);
    }

    template <typename... Values> Rows run(Statement &statement, const Values &...values)
    {
        return statement.run(read_only_, values...);
    }
    // Runs SQL about a table that is known only now: a format with %s for the table.
    template <typename... Values> Rows run_about(const char *table, const char *format, const Values &...values)
    {
        const std::array<Oid, sizeof...(Values)> types{Parameter<Values>::type...};
        std::array<Datum, sizeof...(Values) + 1> datums{Parameter<Values>::to_datum(values)...};
        std::array<char, sizeof...(Values) + 1> nulls{Parameter<Values>::null_mark(values)...};
        return run_once(format, table, types, datums.data(), nulls.data(), read_only_);
    }

    // Plans the statements of this call for look-ups by index: plans are kept, and one made while a table was small
    // would still read all of it when the table has grown.
    void plan_for_look_ups();
    // The same for the first rows in the order of an index, of which there may be many more than is estimated.
    void plan_for_first_rows();
    // Checks the caller's rights again. To be called after waiting for locks and before the first change. Raises an
    // error that asks the caller to try again if the rights have changed, and refuses a caller that has none any more.
    void look_up_caller_again();
    // Audits the following changes of rows without an organization as changes of this one.
    void audit_as(Text organization_id);
    // The creation time of everything that this call creates, taken after its locks. The transaction's start would be
    // too early: until the locks were granted, calls may have been charged to a deleted owner of the same id.
    Time made_at();
    // Whether the reply is kept, to be given again: then it must not hold a secret that the caller has sent.
    bool keeps_reply() const { return idempotency_key_.has_value(); }
    // A new secret for a key. It is random, or, with an idempotency key, computed from that and the caller's own key:
    // so the repeated reply can show it again without storing it.
    Text new_secret();
    // Writes the secret as a value of the reply.
    void write_secret(Text secret);

    Caller caller;
    Writer reply;

private:
    void describe_call(Maybe<Text> organization_id);
    void look_for_repetition();
    void remember_reply();
    Text request_hash() const;
    Text derived_secret() const;

    const char *function_;
    bool read_only_;
    Arguments arguments_;
    Maybe<Text> api_key_, idempotency_key_, request_id_;
    Text idempotency_caller_, salt_;
    Maybe<int64> secret_at_;
    Maybe<Time> made_at_;
    bool repeated_ = false;
    Acting acting_{};
};

static_assert(std::is_trivially_destructible_v<Session>);

template <typename Rule> Datum call(FunctionCallInfo fcinfo, Access access, const char *function, Rule rule)
{
    Session session{fcinfo, access, function};
    if (!session.is_repeated())
        rule(session);
    return session.finish();
}

#define PG_ORG_RULE(name, access)                                                                                      \
    static void name##_rule(pg_org::Session &session);                                                                 \
    PG_ORG_FUNCTION(name) { return pg_org::call(fcinfo, access, #name, name##_rule); }                                 \
    static void name##_rule(pg_org::Session &session)
#define PG_ORG_READ(name) PG_ORG_RULE(name, pg_org::Access::read)
#define PG_ORG_WRITE(name) PG_ORG_RULE(name, pg_org::Access::write)
#define PG_ORG_CALL(name) PG_ORG_RULE(name, pg_org::Access::call)

} // namespace pg_org
