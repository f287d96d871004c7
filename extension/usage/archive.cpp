// Carrying sums forward, and taking partitions out of the ledger.

#include "archive.hpp"

#include "base/clock.hpp"
#include "base/fail.hpp"
#include "base/partition.hpp"
#include "rules/retention.hpp"

namespace pg_org {

namespace {

constinit Statement wait_for_others{"SELECT pg_advisory_xact_lock(1634886504)"};
constinit Statement try_before_others{"SELECT pg_try_advisory_xact_lock(1634886504)"};

constinit Statement find_old{R"(
    SELECT name, ends_at
      FROM org.partition
     WHERE of_table = 'org.usage'
       AND ends_at <= $1
     ORDER BY ends_at)",
                             Planned::each_time};

// By the names of counts. A period of the calendar is up to three days longer than it seems, counted in UTC.
constinit Statement find_running{R"(
    SELECT c.start, c.name
      FROM org.usage_counter
     CROSS JOIN LATERAL unnest(names, starts) AS c (name, start)
     CROSS JOIN LATERAL regexp_match(c.name, ' per ([0-9]+)(mo|[smhdwqy])') AS per
     CROSS JOIN LATERAL (
           SELECT per[1]::numeric * CASE per[2] WHEN 's' THEN interval '1 second' WHEN 'm' THEN interval '1 minute'
                                                WHEN 'h' THEN interval '1 hour' WHEN 'd' THEN interval '1 day'
                                                WHEN 'w' THEN interval '7 days' WHEN 'mo' THEN interval '1 month'
                                                WHEN 'q' THEN interval '3 months' ELSE interval '1 year' END) AS p (length)
     WHERE c.start > '-infinity'
       AND c.start + p.length + interval '4 days' > $1
     ORDER BY c.start, c.name
     LIMIT 1)",
                                 Planned::each_time};

constinit Statement begin_partition{R"(
    INSERT INTO org.usage_archive AS a (ends_at, starts_at, name, filenode)
    SELECT ends_at, starts_at, name, pg_relation_filenode(format('org.%I', name)::regclass)
      FROM org.partition
     WHERE of_table = 'org.usage'
       AND ends_at = $1
        ON CONFLICT (ends_at) DO UPDATE
       SET filenode = excluded.filenode, summed_blocks = 0
     WHERE a.filenode <> excluded.filenode
    RETURNING ends_at)"};
constinit Statement forget_sums{"DELETE FROM org.usage_carried WHERE ends_at = $1"};
constinit Statement forget_boundaries{"DELETE FROM org.usage_boundary WHERE ends_at = $1"};
constinit Statement note_boundaries{
#include "queries/note_boundaries.inc"
    , Planned::each_time};

constinit Statement find_progress{R"(
    SELECT summed_blocks, pg_relation_size(format('org.%I', name)::regclass) / current_setting('block_size')::bigint
      FROM org.usage_archive
     WHERE ends_at = $1)"};

constinit Statement set_summed{"UPDATE org.usage_archive SET summed_blocks = $2 WHERE ends_at = $1"};

constinit Statement make_schema{"SELECT org.make_archive_schema()"};

constinit Statement count_sums{"UPDATE org.usage_archive SET archived_at = $2 WHERE ends_at = $1"};

constexpr const char *carry_sums_of =
#include "queries/carry_sums.inc"
    ;

constexpr int64 blocks_at_once = 1000;

const char *table_of(const OldPartition &partition)
{
    return quote_qualified_identifier("org", c_string(partition.name));
}

Text first_place_of(int64 block) { return to_text(psprintf("(%lld,0)", static_cast<long long>(block))); }

void carry_sums_up_to(Session &session, OldPartition &partition, int64 block)
{
    session.run_about(table_of(partition), carry_sums_of, partition.ends_at, first_place_of(partition.summed_blocks),
                      first_place_of(block));
    session.run(set_summed, partition.ends_at, block);
    partition.summed_blocks = block;
}

void take_out(Session &session, const OldPartition &partition, bool drop)
{
    const char *const table = table_of(partition);
    session.run_about(table, "ALTER TABLE org.usage DETACH PARTITION %s");
    session.run_about(table, drop ? "DROP TABLE %s" : "ALTER TABLE %s SET SCHEMA org_archive");
    session.run(count_sums, partition.ends_at, present());
    session.run(forget_boundaries, partition.ends_at);
}

} // namespace

std::span<OldPartition> old_partitions(Session &session, Time ended_by)
{
    const Rows found = session.run(find_old, ended_by);
    const auto partitions = allocate<OldPartition>(found.size());
    for (size_t i = 0; i < partitions.size(); i++)
        partitions[i] = {*found[i].get<Text>(0), *found[i].get<Time>(1)};
    return partitions;
}

Maybe<RunningPeriod> first_running_period(Session &session, Time now)
{
    const Rows found = session.run(find_running, now);
    return found.empty() ? Maybe<RunningPeriod>{} : RunningPeriod{*found[0].get<Time>(0), *found[0].get<Text>(1)};
}

bool begin_archiving(Session &session, bool wait)
{
    if (!wait)
        return *session.run(try_before_others)[0].get<bool>(0);
    session.run(wait_for_others);
    return true;
}

void begin_or_resume(Session &session, OldPartition &partition)
{
    session.run_about(table_of(partition), "LOCK TABLE %s IN ACCESS SHARE MODE");
    if (!session.run(begin_partition, partition.ends_at).empty()) {
        session.run(forget_sums, partition.ends_at);
        session.run(forget_boundaries, partition.ends_at);
        session.run(note_boundaries, partition.ends_at);
    }
    const Row progress = session.run(find_progress, partition.ends_at)[0];
    partition.summed_blocks = *progress.get<int64>(0);
    partition.blocks = *progress.get<int64>(1);
}

void carry_sums(Session &session, OldPartition &partition)
{
    carry_sums_up_to(session, partition, std::min(partition.blocks, partition.summed_blocks + blocks_at_once));
}

void archive(Session &session, std::span<const OldPartition> partitions, bool drop)
{
    if (partitions.empty())
        return;
    if (!drop)
        session.run(make_schema);
    const auto names = allocate<Text>(partitions.size());
    std::ranges::transform(partitions, names.begin(), &OldPartition::name);
    lock_briefly(session, "org.usage", names);
    for (const OldPartition &partition : partitions)
        take_out(session, partition, drop);
}

} // namespace pg_org

using namespace pg_org;

namespace {

void require_forgotten(Session &session, Time before, Time now)
{
    const int64 days = read_retention(session).request_memory_days;
    if (before.value > now.value - days * USECS_PER_DAY)
        invalid("before", "must be at least %lld days ago: request_ids are remembered for so long",
                static_cast<long long>(days));
}

void require_over(Session &session, const OldPartition &partition, Time now)
{
    const auto running = first_running_period(session, now);
    if (running && running->start.value < partition.ends_at.value)
        invalid("before", "must be at most %s: then a period began that is not over, of a limit of %.*s",
                iso_8601(running->start), FMT_ARG(running->limit));
}

void write_archived(Writer &reply, const OldPartition &partition, bool drop)
{
    reply.begin_object().key("name").value(partition.name).key("ends_at").value(partition.ends_at).key("table");
    if (drop)
        reply.null();
    else
        reply.value(to_text(quote_qualified_identifier("org_archive", c_string(partition.name))));
    reply.end_object();
}

} // namespace

PG_ORG_WRITE(usage_archive)
{
    const Time before = session.required<Time>("before");
    const bool drop = session.argument<bool>("drop").value_or(false);
    if (!session.caller.is_proxy_admin())
        forbidden("Only proxy admins can archive usage. Your role is = %s", role_name(session.caller.role));
    begin_archiving(session, true);
    const Time now = present();
    require_forgotten(session, before, now);
    require_partition(session, Partitioned::usage, now); // so that one stays

    session.reply.begin_object().key("archived").begin_array();
    const auto partitions = old_partitions(session, before);
    if (!partitions.empty())
        require_over(session, partitions.back(), now);
    for (OldPartition &partition : partitions) {
        begin_or_resume(session, partition);
        while (!partition.is_summed())
            carry_sums(session, partition);
    }
    archive(session, partitions, drop); // at last, since it locks the ledger
    for (const OldPartition &partition : partitions)
        write_archived(session.reply, partition, drop);
    session.reply.end_array().end_object();
}
