// Reading what was spent in a budget period.

#include "period.hpp"

#include "clock.hpp"
#include "duration.hpp"
#include "number.hpp"
#include "writer.hpp"

namespace pg_org {

namespace {

// Of the owner's calls: of a user those of the user's own keys, wherever they are, and of an end user of the platform
// all.
constinit Statement sum_ledger{R"(
    SELECT coalesce(sum(cost), 0)
      FROM org.usage_settled
     WHERE CASE WHEN $1 = '' AND $2 = '' AND $4 = '' AND $5 = '' THEN user_id = $3 AND NOT delegated
                WHEN $1 = '' AND $5 <> '' THEN end_user = $5
                ELSE organization_id = $1 AND ($2 = '' OR team_id = $2) AND ($3 = '' OR user_id = $3)
                     AND ($4 = '' OR key_id = $4) AND ($5 = '' OR end_user = $5) END
       AND reserved_at >= $6
       AND closed_at >= greatest($6, $7))",
                               Planned::each_time};

// The columns of PERIOD_END and PERIOD_SPEND; the latter has more.
enum { duration, reset_at, created_at, columns_of_end, spend = columns_of_end, reset, ids, account };
enum { since, start_of_period, amount, counted_at };

// The sum that the counter of the owner keeps, if it is of this period, or shows that there was no call in it.
Maybe<Number> counted_spend(const Row &counter, Time owner_created_at, Time start)
{
    if (counter.get<Time>(since)->value != owner_created_at.value)
        return {};
    const int64 counted_from = counter.get<Time>(start_of_period)->value;
    if (counted_from == start.value)
        return counter.get<Number>(amount);
    if (counted_from < start.value && counter.get<Time>(counted_at)->value < start.value)
        return zero();
    return {};
}

Number spend_since(const Row &owner, Time start)
{
    const Number of_all_time = *owner.get<Number>(spend);
    const Time owner_created_at = *owner.get<Time>(created_at);
    if (start.value <= owner_created_at.value || of_all_time == zero())
        return of_all_time;
    if (!owner.is_null(account))
        if (const auto counted = counted_spend(Row::of(owner.datum(account)), owner_created_at, start))
            return *counted;
    // There is no counter until the first call since the budget has this period: for that time only, read the ledger.
    const Texts names = *owner.get<Texts>(ids);
    return *sum_ledger.run(true, names[0], names[1], names[2], names[3], names[4], owner_created_at, start)[0]
                .get<Number>(0);
}

} // namespace

bool is_period(const Row &row)
{
    const Text first = to_text(NameStr(TupleDescAttr(row.description(), 0)->attname));
    return first == "f1"; // as PostgreSQL names the columns of an anonymous row
}

void write_period(Writer &reply, const Row &row)
{
    const auto length = row.get<Text>(duration);
    const Window period =
        length ? budget_window(present(), length, row.get<Time>(reset_at), *row.get<Time>(created_at)) : forever;
    if (row.columns() == columns_of_end) {
        reply.value(period.end);
        return;
    }
    const auto last_reset = row.get<Time>(reset);
    reply.value(spend_since(row, last_reset && last_reset->value > period.start.value ? *last_reset : period.start));
}

} // namespace pg_org
