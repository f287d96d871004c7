// Events: writing them, reading them in order, delivering them and deleting old ones.

#include "event.hpp"

#include "base/duration.hpp"
#include "base/fail.hpp"
#include "base/paging.hpp"
#include "base/partition.hpp"

using namespace pg_org;

namespace {

constexpr const char *permission = "events";
constexpr int64 default_page = 100;
constexpr int64 default_lease_seconds = 60;
constexpr int64 max_lease_seconds = 3600;
constexpr int64 max_numbered = 10'000; // at once

#define EVENT_COLUMNS "event_id, occurred_at, organization_id, kind, data"

constinit Statement insert_event{"INSERT INTO org.event (organization_id, kind, data) VALUES ($1, $2, $3::jsonb)"};

constinit Statement find_unpublished{"SELECT FROM org.event WHERE event_id IS NULL LIMIT 1"};

constinit Statement lock_counter{"SELECT last_event_id FROM org.event_counter FOR UPDATE"};

// A reader waits for this, hence the limit. Returns how many were numbered.
constinit Statement number_unpublished{R"(
    WITH unpublished AS (
        SELECT occurred_at, organization_id, outbox_id
          FROM org.event
         WHERE event_id IS NULL
         ORDER BY occurred_at, organization_id, outbox_id
         LIMIT $2),
    numbered AS (
        SELECT occurred_at, organization_id, outbox_id,
               $1 + row_number() OVER (ORDER BY occurred_at, organization_id, outbox_id) AS event_id
          FROM unpublished),
    published AS (
        UPDATE org.event e
           SET event_id = n.event_id
          FROM numbered n
         WHERE e.organization_id = n.organization_id
           AND e.occurred_at = n.occurred_at
           AND e.outbox_id = n.outbox_id
        RETURNING e.event_id)
    UPDATE org.event_counter
       SET last_event_id = greatest(last_event_id, (SELECT max(event_id) FROM published))
    RETURNING (SELECT count(*) FROM published))"};

// Unless $3, without events of an earlier organization of the same id.
constinit Statement list_events{"SELECT " EVENT_COLUMNS R"(
      FROM org.event e
     WHERE event_id > $1
       AND ($2 IS NULL OR organization_id = ANY ($2))
       AND ($3 OR occurred_at >= (SELECT o.created_at
                                    FROM org.organization o
                                   WHERE o.organization_id = e.organization_id))
     ORDER BY event_id
     LIMIT $4)",
                                Planned::each_time};

// The number before those that occurred from $1 on. OFFSET 0 keeps the planner from looking for the first one in the
// order of numbers, which would read all earlier events.
constinit Statement find_last_before{R"(
    SELECT min(event_id) - 1
      FROM (SELECT event_id
              FROM org.event
             WHERE occurred_at >= $1
               AND event_id IS NOT NULL
               AND ($2 IS NULL OR organization_id = ANY ($2))
            OFFSET 0) AS since)",
                                     Planned::each_time};

// The recursive query finds the oldest undelivered event of each organization by going from one organization to the
// next. Of those that are due, the organization whose turn is longest ago comes first, so that an organization with
// many events does not keep others waiting; its last turn is the delivery of the event before this one, or the last
// attempt at this one.
constinit Statement claim_events{R"(
    WITH RECURSIVE oldest AS (
        (SELECT organization_id, event_id
           FROM org.event
          WHERE event_id IS NOT NULL
            AND delivered_at IS NULL
          ORDER BY organization_id, event_id
          LIMIT 1)
          UNION ALL
         SELECT next.*
           FROM oldest o, LATERAL (
                    SELECT e.organization_id, e.event_id
                      FROM org.event e
                     WHERE e.organization_id > o.organization_id
                       AND e.event_id IS NOT NULL
                       AND e.delivered_at IS NULL
                     ORDER BY e.organization_id, e.event_id
                     LIMIT 1) AS next),
    due AS (
        SELECT e.organization_id, e.occurred_at, e.outbox_id,
               greatest(before.delivered_at, CASE WHEN e.attempts > 0 THEN e.next_attempt_at END) AS last_turn
          FROM oldest o
          JOIN org.event e USING (organization_id, event_id)
          LEFT JOIN LATERAL (
                   SELECT b.delivered_at
                     FROM org.event b
                    WHERE b.organization_id = o.organization_id
                      AND b.event_id < o.event_id
                    ORDER BY b.event_id DESC
                    LIMIT 1) AS before ON true
         WHERE e.delivered_at IS NULL
           AND e.next_attempt_at <= clock_timestamp()
         ORDER BY last_turn NULLS FIRST, e.event_id
         LIMIT $1
           FOR UPDATE OF e SKIP LOCKED),
    claimed AS (
        UPDATE org.event e
           SET attempts = attempts + 1,
               next_attempt_at = clock_timestamp() + make_interval(secs =>
                   greatest($2, least(power(2, least(attempts, 12)), 3600)))
          FROM due
         WHERE e.organization_id = due.organization_id
           AND e.occurred_at = due.occurred_at
           AND e.outbox_id = due.outbox_id
        RETURNING e.*, due.last_turn)
    SELECT )" EVENT_COLUMNS R"(
      FROM claimed
     ORDER BY last_turn NULLS FIRST, event_id)"};

constinit Statement acknowledge_event{R"(
    UPDATE org.event
       SET delivered_at = coalesce(delivered_at, clock_timestamp())
     WHERE event_id = $1
    RETURNING event_id, delivered_at)"};

constinit Statement purge_events{"DELETE FROM org.event WHERE occurred_at < $1"};

// Numbers events committed by now, the oldest first, and returns whether there may be more. Without new ones it writes
// nothing and takes no lock.
bool publish(Session &session)
{
    if (session.run(find_unpublished).empty())
        return false;
    const Rows counter = session.run(lock_counter);
    session.look_up_caller_again();
    return *session.run(number_unpublished, *counter[0].get<int64>(0), max_numbered)[0].get<int64>(0) == max_numbered;
}

// Reads numbered events; while there are none, others are numbered. So no answer is empty because of a backlog.
template <typename Read> Rows publish_and_read(Session &session, Read read)
{
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        const bool may_have_more = publish(session);
        const Rows events = read();
        if (!events.empty() || !may_have_more)
            return events;
    }
}

// Whether the caller's key may read and deliver the events of all organizations.
bool may_deliver(Session &session)
{
    const Caller &caller = session.caller;
    return has_permission(session, permission) && (caller.is_proxy_admin() || !caller.organization_id);
}

// The organizations whose events the caller may read, or the one asked for; none means all.
Maybe<Texts> readable_organizations(Session &session, const Maybe<Text> &wanted)
{
    const Caller &caller = session.caller;
    if (caller.reads_everything() || may_deliver(session))
        return wanted ? Texts{&*wanted, 1} : Maybe<Texts>{};
    if (has_permission(session, permission) && (!wanted || wanted == caller.organization_id))
        return Texts{&*caller.organization_id, 1};
    if (wanted) {
        require_organization_admin(session, *wanted, "/events");
        return Texts{&*wanted, 1};
    }
    const Texts administered = administered_organizations(session);
    if (administered.empty())
        forbidden("Only admins can read events. Your role is = %s", role_name(caller.role));
    return administered;
}

void require_deliverer(Session &session)
{
    if (!may_deliver(session))
        forbidden("Only proxy admins and keys with the permission events can deliver events");
}

void write_events(Session &session, const Rows &events)
{
    session.reply.begin_array();
    for (const Row event : events)
        session.reply.object(event);
    session.reply.end_array();
}

} // namespace

void pg_org::emit_event(Session &session, Text organization_id, Text kind, Text data_json)
{
    require_partition(session, Partitioned::event, {GetCurrentTimestamp()});
    session.run(insert_event, organization_id, kind, data_json);
}

PG_ORG_CALL(org_events)
{
    const auto after = session.argument<int64>("after");
    const int64 limit = session.argument("limit", page_limit).value_or(default_page);
    const auto organization_id = session.argument<Text>("organization_id");
    const auto since = session.argument("since", checked_time);
    const auto organizations = readable_organizations(session, organization_id);
    const bool of_all_times = session.caller.reads_everything() || may_deliver(session);
    if (since && organizations)
        session.plan_for_look_ups();
    write_events(session, publish_and_read(session, [&] {
                     const auto last = !after && since
                                           ? session.run(find_last_before, *since, organizations)[0].get<int64>(0)
                                           : Maybe<int64>{after.value_or(0)};
                     return session.run(list_events, last, organizations, of_all_times, limit);
                 }));
}

PG_ORG_CALL(event_claim)
{
    const int64 limit = session.argument("limit", page_limit).value_or(default_page);
    const int64 lease_seconds = session.argument<int64>("lease_seconds").value_or(default_lease_seconds);
    if (lease_seconds < 1 || lease_seconds > max_lease_seconds)
        invalid("lease_seconds", "must be from 1 to %d", static_cast<int>(max_lease_seconds));
    require_deliverer(session);
    write_events(session, publish_and_read(session, [&] { return session.run(claim_events, limit, lease_seconds); }));
}

PG_ORG_CALL(event_acknowledge)
{
    const int64 event_id = session.required<int64>("event_id");
    require_deliverer(session);
    const Rows acknowledged = session.run(acknowledge_event, event_id);
    if (acknowledged.empty())
        not_found("Event not found for event_id=%lld", static_cast<long long>(event_id));
    session.reply.object(acknowledged[0]);
}

PG_ORG_WRITE(org_event_purge)
{
    const Time before = session.required<Time>("before");
    if (session.caller.key_id)
        forbidden("Only the owner of the tables can purge events, without an api_key");
    const Rows purged = session.run(purge_events, before);
    session.reply.begin_object().key("deleted").value(static_cast<int64>(purged.size())).end_object();
}
