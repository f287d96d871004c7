// The settings of retention.

#include "retention.hpp"

#include "base/clock.hpp"
#include "base/fail.hpp"
#include "base/rollbacks.hpp"

using namespace pg_org;

namespace {

constexpr int64 min_memory_days = 2, max_days = 36525;

// How long closed calls are remembered.
struct Memory {
    int64 days;
    Time forgotten_before;
};
// Kept for a while, since every call needs it.
struct KnownMemory {
    Memory memory;
    TimestampTz read_at;
    uint64 after_rollbacks;
};
KnownMemory known_memory{};

// Calls are remembered for longer than was set, by this much. It is the time that all sessions have to notice a longer
// memory, before they would forget what others remember: see forgotten_when_raised.
constexpr int64 memory_margin = USECS_PER_HOUR;

#define COLUMNS "partition, request_memory_days, ledger_days, archive_days, audit_log_days, event_days"
constinit Statement find{"SELECT " COLUMNS " FROM org.retention"};
constinit Statement find_memory{"SELECT request_memory_days, forgotten_before FROM org.retention"};
constinit Statement lock{"SELECT " COLUMNS " FROM org.retention FOR NO KEY UPDATE"};
constinit Statement update{R"(
    UPDATE org.retention
       SET partition = $1, request_memory_days = $2, ledger_days = $3, archive_days = $4, audit_log_days = $5,
           event_days = $6, forgotten_before = greatest(forgotten_before, $7)
    RETURNING )" COLUMNS};

Retention read_row(const Row &row)
{
    return {*row.get<Text>(0), *row.get<int64>(1), row.get<int64>(2),
            row.get<int64>(3), row.get<int64>(4),  row.get<int64>(5)};
}

// The new value of a setting: 0 switches it off, null keeps it.
Maybe<int64> changed_days(Session &session, const char *name, Maybe<int64> before)
{
    const auto days = session.argument<int64>(name);
    if (!days)
        return before;
    if (*days < 0 || *days > max_days)
        invalid(name, "must be from 1 to %lld, or 0 for no end", static_cast<long long>(max_days));
    return *days == 0 ? Maybe<int64>{} : days;
}

int64 changed_memory(Session &session, int64 before)
{
    const int64 days = session.argument<int64>("request_memory_days").value_or(before);
    if (days < min_memory_days || days > max_days)
        invalid("request_memory_days", "must be from %lld to %lld", static_cast<long long>(min_memory_days),
                static_cast<long long>(max_days));
    return days;
}

Text changed_partition(Session &session, Text before)
{
    const Text partition = session.argument<Text>("partition").value_or(before);
    if (partition != "day" && partition != "week" && partition != "month")
        invalid("partition", "must be day, week or month");
    return partition;
}

Memory read_memory(Session &session)
{
    const Row row = session.run(find_memory)[0];
    return {*row.get<int64>(0), *row.get<Time>(1)};
}

// What has been forgotten stays so if the memory is made longer: another call may have got the request_id meanwhile.
Maybe<Time> forgotten_when_raised(int64 days_before, int64 days)
{
    if (days <= days_before)
        return {};
    return Time{present().value - days_before * USECS_PER_DAY};
}

} // namespace

Retention pg_org::read_retention(Session &session) { return read_row(session.run(find)[0]); }

Time pg_org::remembered_from(Session &session, Time now)
{
    constexpr int64 max_age = 5 * USECS_PER_SEC;
    const TimestampTz clock = GetCurrentTimestamp();
    const bool is_known = known_memory.read_at <= clock && clock < known_memory.read_at + max_age &&
                          known_memory.after_rollbacks == rollbacks();
    if (!is_known)
        known_memory = {read_memory(session), clock, rollbacks()};
    const auto &[days, forgotten_before] = known_memory.memory;
    return {std::max(now.value - days * USECS_PER_DAY - memory_margin, forgotten_before.value)};
}

PG_ORG_READ(org_retention)
{
    if (!session.caller.reads_everything())
        forbidden("Only proxy admins and viewers can read the retention settings. Your role is = %s",
                  role_name(session.caller.role));
    session.reply.object(session.run(find)[0]);
}

PG_ORG_WRITE(org_retention_update)
{
    if (!session.caller.is_proxy_admin())
        forbidden("Only proxy admins can change the retention settings. Your role is = %s",
                  role_name(session.caller.role));
    const Retention before = read_row(session.run(lock)[0]);
    const Retention after{changed_partition(session, before.partition),
                          changed_memory(session, before.request_memory_days),
                          changed_days(session, "ledger_days", before.ledger_days),
                          changed_days(session, "archive_days", before.archive_days),
                          changed_days(session, "audit_log_days", before.audit_log_days),
                          changed_days(session, "event_days", before.event_days)};
    if (after.ledger_days && *after.ledger_days < after.request_memory_days)
        invalid("ledger_days", "must be at least request_memory_days (%lld)",
                static_cast<long long>(after.request_memory_days));
    known_memory.read_at = 0;
    const auto forgotten = forgotten_when_raised(before.request_memory_days, after.request_memory_days);
    session.reply.object(session.run(update, after.partition, after.request_memory_days, after.ledger_days,
                                     after.archive_days, after.audit_log_days, after.event_days, forgotten)[0]);
}
