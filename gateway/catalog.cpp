#include "catalog.hpp"

#include "log.hpp"
#include "pause.hpp"
#include "routes.hpp"

#include <algorithm>
#include <set>

extern "C" const char query_catalog_version[], query_catalog_signatures[];

namespace pg_org {
namespace {

constexpr std::chrono::seconds refresh_interval{1};

// All that are called, besides those that deliver events.
std::set<std::string, std::less<>> needed_functions()
{
    std::set<std::string, std::less<>> names{std::string{tag_function}};
    for (const Route &route : routes) {
        if (route.kind != Kind::own)
            names.emplace(route.function);
        if (route.kind == Kind::calls)
            names.insert(many(route));
    }
    return names;
}

} // namespace

Functions read_functions(const std::vector<Row> &rows)
{
    Functions functions;
    const auto needed = needed_functions();
    for (const Row &row : rows) {
        const auto &name = row[0];
        if (!needed.contains(name) && name != claim_function && name != acknowledge_function)
            continue;
        if (row[2] != "t")
            throw std::runtime_error{"this role may not execute " + name + "; org_grant_access() would let it"};
        const auto type = type_named(row[5]);
        if (!type)
            throw std::runtime_error{"function " + name + " takes a " + row[5] + ", a type not known here"};
        Function &function = functions[name];
        function.identifier = row[1];
        function.arguments.push_back({row[3], row[4], *type, row[6] == "t", row[7], row[8]});
        function.comment = row[9];
    }
    for (const auto &name : needed)
        if (!functions.contains(name))
            throw std::runtime_error{"no function " + name + " of an extension pg_org"};
    return functions;
}

Catalog::Catalog(Database &database)
    : database_{database}, watch_{[this](std::stop_token stop) {
          do
              refresh();
          while (pause(stop, refresh_interval));
      }}
{
}

Catalog::Snapshot Catalog::renewed(const Snapshot &outdated)
{
    if (functions() == outdated)
        refresh();
    return functions();
}

// Those loaded before stay when that fails.
void Catalog::refresh()
{
    const std::lock_guard lock{loading_};
    try {
        load();
        reported_.clear();
    } catch (const std::exception &error) {
        if (error.what() != reported_)
            log_event(Level::warning, "catalog not loaded, trying again", {{"error", error.what()}});
        reported_ = error.what();
    }
}

// The version first: what changes in between is loaded the next time.
void Catalog::load()
{
    auto current = database_.run({query_catalog_version, {}}).at(0).at(0);
    if (functions() && current == version_)
        return;
    functions_ = std::make_shared<const Functions>(read_functions(database_.run({query_catalog_signatures, {}})));
    version_ = std::move(current);
    log_event(Level::info, "catalog loaded");
}

} // namespace pg_org
