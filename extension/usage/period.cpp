// Reading what was spent in a budget period.

#include "period.hpp"

#include "base/clock.hpp"
#include "base/duration.hpp"
#include "base/number.hpp"

namespace pg_org {

namespace {

constinit Statement sum_ledger{R"(
    SELECT coalesce(sum(cost), 0)
      FROM org.usage
     WHERE CASE WHEN $1 = '' AND $4 = '' THEN user_id = $3 AND NOT delegated
                ELSE organization_id = $1 AND ($2 = '' OR team_id = $2) AND ($3 = '' OR user_id = $3)
                     AND ($4 = '' OR key_id = $4) END
       AND reserved_at >= $5
       AND state = 'settled'
       AND closed_at >= $6)",
                               Planned::each_time};

// The columns of PERIOD_END and PERIOD_SPEND; the latter has more.
enum {
    duration,
    reset_at,
    created_at,
    columns_of_end,
    spend = columns_of_end,
    organization_id,
    team_id,
    user_id,
    key_id,
    account
};
enum { owner_since, window_start, window_spend, charged_at };

// A row that is the value of a column.
class RowValue {
public:
    explicit RowValue(Datum datum)
    {
        HeapTupleHeader header = DatumGetHeapTupleHeader(datum);
        HeapTupleData tuple{};
        tuple.t_len = HeapTupleHeaderGetDatumLength(header);
        tuple.t_data = header;
        row_ = Row{&tuple,
                   lookup_rowtype_tupdesc_copy(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header))};
    }
    const Row *operator->() const { return &row_; }
    const Row &operator*() const { return row_; }

private:
    Row row_;
};

// The sum that the counter of the owner keeps, if it is of this period, or shows that there was no call in it.
Maybe<Number> counted_spend(const Row &counter, Time owner_created_at, Time start)
{
    if (counter.get<Time>(owner_since)->value != owner_created_at.value)
        return {};
    const int64 counted_from = counter.get<Time>(window_start)->value;
    if (counted_from == start.value)
        return counter.get<Number>(window_spend);
    if (counted_from < start.value && counter.get<Time>(charged_at)->value < start.value)
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
        if (const auto counted = counted_spend(*RowValue{owner.datum(account)}, owner_created_at, start))
            return *counted;
    // There is no counter until the first call since the budget has this period: for that time only, read the ledger.
    return *sum_ledger
                .run(true, *owner.get<Text>(organization_id), *owner.get<Text>(team_id), *owner.get<Text>(user_id),
                     *owner.get<Text>(key_id), owner_created_at, start)[0]
                .get<Number>(0);
}

} // namespace

void write_period(Writer &reply, Datum record)
{
    const RowValue owner{record};
    const auto length = owner->get<Text>(duration);
    const Window period =
        length ? budget_window(present(), length, owner->get<Time>(reset_at), *owner->get<Time>(created_at)) : forever;
    if (owner->columns() == columns_of_end)
        reply.value(period.end);
    else
        reply.value(spend_since(*owner, period.start));
}

} // namespace pg_org
