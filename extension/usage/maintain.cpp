// Maintenance: makes partitions, archives and deletes what the retention settings say is due. Each call does a small
// part of it, and says what.

#include "archive.hpp"
#include "base/clock.hpp"
#include "base/fail.hpp"
#include "base/partition.hpp"
#include "refusal_counts.hpp"
#include "rules/retention.hpp"

using namespace pg_org;

namespace {

// After which a call begins nothing more.
constexpr int64 max_duration = USECS_PER_SEC / 4;

constinit Statement find_last_end{"SELECT max(ends_at) FROM org.partition WHERE of_table = $1"};
constinit Statement make_partitions{"SELECT org.make_partitions($1::regclass, $2)"};
constinit Statement find_newer{"SELECT name FROM org.partition WHERE of_table = $1 AND ends_at > $2 ORDER BY ends_at"};
constinit Statement find_older{R"(
    SELECT name
      FROM org.partition
     WHERE of_table = $1
       AND ends_at <= $2
     ORDER BY ends_at
     LIMIT 1)"};
constinit Statement find_archive{R"(
    SELECT name
      FROM org.usage_archive
     WHERE archived_at IS NOT NULL
       AND ends_at <= $1
       AND to_regclass(format('org_archive.%I', name)) IS NOT NULL
     ORDER BY ends_at
     LIMIT 1)"};

Time days_before(Time time, int64 days) { return {time.value - days * USECS_PER_DAY}; }

class Maintenance {
public:
    explicit Maintenance(Session &session)
        : session_(session), retention_(read_retention(session)), end_(GetCurrentTimestamp() + max_duration)
    {
    }

    // Whether nothing more is due.
    bool is_complete()
    {
        const Time now = present(), clock{GetCurrentTimestamp()};
        make("org.usage", now);
        make("org.audit_log", clock);
        make("org.event", clock);
        return drop_old("org.event", retention_.event_days, clock) &&
               drop_old("org.audit_log", retention_.audit_log_days, clock) && archive_oldest(now) &&
               drop_archive(now) && forget_refusals(now);
    }

private:
    Session &session_;
    const Retention retention_;
    const TimestampTz end_;
    bool has_done_something_ = false;

    // What waits for a lock is the only step of a call, which fails if the lock is not to be had: so nothing else is
    // undone.
    bool may_wait() const { return !has_done_something_; }

    Writer &begin_step(Text step)
    {
        has_done_something_ = true;
        return session_.reply.begin_object().key("step").value(step);
    }
    void write_step(Text step, Text table, Text name)
    {
        begin_step(step).key("table").value(table).key("name").value(name).end_object();
    }

    void make(Text table, Time now)
    {
        const Time last_end = *session_.run(find_last_end, table)[0].get<Time>(0);
        session_.run(make_partitions, table, now);
        for (const Text name : session_.run(find_newer, table, last_end).texts())
            write_step("partition_made", table, name);
    }

    bool drop_old(Text table, Maybe<int64> days, Time now)
    {
        if (!days)
            return true;
        const Rows old = session_.run(find_older, table, days_before(now, *days));
        if (old.empty())
            return true;
        if (may_wait()) {
            const Text name = *old[0].get<Text>(0);
            lock_briefly(session_, table, {&name, 1});
            session_.run_about(quote_qualified_identifier("org", c_string(name)), "DROP TABLE %s");
            write_step("partition_dropped", table, name);
        }
        return false;
    }

    bool archive_oldest(Time now)
    {
        if (!retention_.ledger_days)
            return true;
        const Time ended_by = days_before(now, std::max(*retention_.ledger_days, retention_.request_memory_days));
        const auto old = old_partitions(session_, ended_by);
        if (old.empty())
            return true;
        OldPartition &partition = old[0];
        if (const auto running = first_running_period(session_, now);
            running && running->start.value < partition.ends_at.value)
            return true;
        begin_or_resume(session_, partition);
        if (!partition.is_summed()) {
            while (!partition.is_summed() && GetCurrentTimestamp() < end_)
                carry_sums(session_, partition);
            begin_step("sums_carried").key("table").value(Text{"org.usage"}).key("name").value(partition.name);
            session_.reply.key("blocks").value(partition.summed_blocks).key("of").value(partition.blocks).end_object();
        } else if (may_wait()) {
            archive(session_, old.first(1), false);
            write_step("partition_archived", "org.usage", partition.name);
        }
        return false;
    }

    bool drop_archive(Time now)
    {
        if (!retention_.archive_days)
            return true;
        const Rows old = session_.run(find_archive, days_before(now, *retention_.archive_days));
        if (old.empty())
            return true;
        const Text name = *old[0].get<Text>(0);
        session_.run_about(quote_qualified_identifier("org_archive", c_string(name)), "DROP TABLE %s");
        write_step("archive_dropped", "org.usage", name);
        return false;
    }

    bool forget_refusals(Time now)
    {
        size_t deleted = 0, some;
        do
            deleted += some = delete_old_refusals(session_, now);
        while (some > 0 && GetCurrentTimestamp() < end_);
        if (deleted > 0) {
            begin_step("refusals_deleted").key("table").value(Text{"org.usage_refusal"});
            session_.reply.key("rows").value(static_cast<int64>(deleted)).end_object();
        }
        return some == 0;
    }
};

} // namespace

PG_ORG_CALL(org_maintain)
{
    if (!session.caller.is_proxy_admin())
        forbidden("Only proxy admins can maintain the tables. Your role is = %s", role_name(session.caller.role));
    Writer &reply = session.reply;
    reply.begin_object().key("steps").begin_array();
    const bool is_complete = !begin_archiving(session, false) || Maintenance{session}.is_complete();
    reply.end_array().key("is_complete").value(is_complete).end_object();
}
