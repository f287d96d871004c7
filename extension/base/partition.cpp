// Making sure that there is a partition, and locking those that leave.

#include "partition.hpp"

#include "rollbacks.hpp"

namespace pg_org {

namespace {

// Returns until when another look is not needed.
constinit Statement make_partitions{"SELECT org.make_partitions($1::regclass, $2)"};

constinit Statement lock_statement{R"(
    SELECT org.lock_briefly($1::regclass, ARRAY(SELECT format('org.%I', name)::regclass FROM unnest($2) AS name)))"};

constexpr std::array<const char *, 2> names{"usage", "event"};

// What this session of the server has found out about a table.
struct Known {
    Oid table;
    TimestampTz until;
    uint64 after_rollbacks;
};

} // namespace

void require_partition(Session &session, Partitioned table, Time time)
{
    static std::array<Known, names.size()> known_tables;
    const auto place = static_cast<size_t>(table);
    Known &known = known_tables[place];
    const Oid relation = get_relname_relid(names[place], get_namespace_oid("org", false));
    if (known.table == relation && known.after_rollbacks == rollbacks() && time.value < known.until)
        return;
    const Rows found = session.run(make_partitions, to_text(psprintf("org.%s", names[place])), time);
    known = {relation, found[0].get<Time>(0)->value, rollbacks()};
}

void lock_briefly(Session &session, Text table, Texts partitions) { session.run(lock_statement, table, partitions); }

} // namespace pg_org
