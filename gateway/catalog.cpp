#include "catalog.hpp"

#include "log.hpp"
#include "routes.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>

namespace pg_org {
namespace {

constexpr std::chrono::seconds refresh_interval{1};

// Another one after each change of a function, of who may call it, or of where it is.
const Statement version{R"(
    SELECT pg_catalog.md5(pg_catalog.string_agg(
               pg_catalog.concat_ws(' ', e.oid, e.xmin, n.nspname, p.oid, p.xmin), ',' ORDER BY p.oid))
      FROM pg_catalog.pg_extension AS e
      JOIN pg_catalog.pg_depend AS d
        ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid
       AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e'
      JOIN pg_catalog.pg_proc AS p ON p.oid = d.objid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
     WHERE e.extname = 'pg_org')",
                        {}};

const Statement signatures{R"(
    SELECT p.proname,
           pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname),
           pg_catalog.has_function_privilege(p.oid, 'EXECUTE'),
           a.name,
           pg_catalog.quote_ident(a.name),
           pg_catalog.format_type(a.type, NULL),
           a.position <= p.pronargs - p.pronargdefaults,
           coalesce(pg_catalog.pg_get_function_arg_default(p.oid, a.position::integer), ''),
           coalesce(field.comment, ''),
           coalesce(pg_catalog.obj_description(p.oid, 'pg_proc'), '')
      FROM pg_catalog.pg_extension AS e
      JOIN pg_catalog.pg_depend AS d
        ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid
       AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e'
      JOIN pg_catalog.pg_proc AS p ON p.oid = d.objid
      JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
     CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(p.proargnames), pg_catalog.unnest(p.proargtypes::pg_catalog.oid[]))
           WITH ORDINALITY AS a (name, type, position)
      LEFT JOIN LATERAL (
           SELECT pg_catalog.col_description(c.attrelid, c.attnum)
             FROM (VALUES (1, 'org_member_', 'membership'),
                          (2, 'org_events', 'event'),
                          (3, 'org_', 'organization'),
                          (4, 'org_', 'budget'),
                          (5, 'team_member_', 'team_member'),
                          (6, 'team_', 'team'),
                          (7, 'user_', 'user'),
                          (8, 'key_', 'api_key'),
                          (9, 'budget_', 'budget'),
                          (10, 'usage_', 'reservation'),
                          (11, 'usage_', 'usage')) AS subject (rank, functions, relation)
             JOIN pg_catalog.pg_class AS r ON r.relname = subject.relation
             JOIN pg_catalog.pg_namespace AS s ON s.oid = r.relnamespace AND s.nspname = 'org'
             JOIN pg_catalog.pg_attribute AS c ON c.attrelid = r.oid AND c.attname = a.name
            WHERE pg_catalog.starts_with(p.proname, subject.functions)
            ORDER BY subject.rank
            LIMIT 1) AS field (comment) ON true
     WHERE e.extname = 'pg_org'
     ORDER BY p.proname, a.position)",
                           {}};

// All that are called, besides those that deliver events.
std::set<std::string, std::less<>> needed_functions() {
    std::set<std::string, std::less<>> names{std::string{tag_function}};
    for (const Route& route : routes) {
        if (route.kind != Kind::own)
            names.emplace(route.function);
        if (route.kind == Kind::calls)
            names.insert(many(route));
    }
    return names;
}

}  // namespace

Functions read_functions(const std::vector<Row>& rows) {
    Functions functions;
    const auto needed = needed_functions();
    for (const Row& row : rows) {
        const auto& name = row[0];
        if (!needed.contains(name) && name != claim_function && name != acknowledge_function)
            continue;
        if (row[2] != "t")
            throw std::runtime_error{"this role may not execute " + name + "; org_grant_access() would let it"};
        const auto type = type_named(row[5]);
        if (!type)
            throw std::runtime_error{"function " + name + " takes a " + row[5] + ", a type not known here"};
        Function& function = functions[name];
        function.identifier = row[1];
        function.arguments.push_back({row[3], row[4], *type, row[6] == "t", row[7], row[8]});
        function.comment = row[9];
    }
    for (const auto& name : needed)
        if (!functions.contains(name))
            throw std::runtime_error{"no function " + name + " of an extension pg_org"};
    return functions;
}

Catalog::Catalog(Database& database)
    : database_{database}, watch_{[this](std::stop_token stop) { watch(stop); }} {}

Catalog::Snapshot Catalog::renewed(const Snapshot& outdated) {
    if (functions() == outdated)
        refresh();
    return functions();
}

void Catalog::watch(std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    while (!stop.stop_requested()) {
        refresh();
        std::unique_lock lock{mutex};
        stopped.wait_for(lock, stop, refresh_interval, [] { return false; });
    }
}

// Those loaded before stay when that fails.
void Catalog::refresh() {
    const std::lock_guard lock{loading_};
    try {
        load();
        reported_.clear();
    } catch (const std::exception& error) {
        if (error.what() != reported_)
            log_event(Level::warning, "catalog not loaded, trying again", {{"error", error.what()}});
        reported_ = error.what();
    }
}

// The version first: what changes in between is loaded the next time.
void Catalog::load() {
    auto current = database_.run(version).at(0).at(0);
    if (functions() && current == version_)
        return;
    functions_ = std::make_shared<const Functions>(read_functions(database_.run(signatures)));
    version_ = std::move(current);
    log_event(Level::info, "catalog loaded");
}

}  // namespace pg_org
