#include "catalog.hpp"

#include "log.hpp"
#include "pause.hpp"
#include "routes.hpp"

#include <algorithm>
#include <set>

extern "C" const char query_catalog_state[], query_catalog_signatures[];

namespace pg_org {
namespace {

constexpr std::chrono::seconds refresh_interval{1};

// The functions that the gateway is not ready without.
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
        const bool is_needed = needed.contains(name);
        if (!is_needed && std::find(own_functions.begin(), own_functions.end(), name) == own_functions.end())
            continue;
        if (is_needed && row[2] != "t")
            throw std::runtime_error{"this role may not execute " + name + "; org_grant_access() would let it"};
        const auto type = type_named(row[5]);
        if (!type)
            throw std::runtime_error{"function " + name + " takes the unknown type " + row[5]};
        Function &function = functions[name];
        function.identifier = row[1];
        function.arguments.push_back({row[3], row[4], *type, row[6] == "t", row[7], row[8]});
        function.comment = row[9];
    }
    for (const auto &name : needed)
        if (!functions.contains(name))
            throw std::runtime_error{"extension pg_org has no function " + name};
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

// Functions loaded before stay when this fails, unless the extension or its tables are gone.
void Catalog::refresh()
{
    const std::lock_guard lock{loading_};
    try {
        load();
        failure_.clear();
    } catch (const std::exception &error) {
        if (failure_.is_new(error.what()))
            log_event(Level::warning, "catalog not loaded, trying again", {{"error", error.what()}});
    }
}

// Reads the version first: what changes in between is loaded the next time.
void Catalog::load()
{
    const Row state = database_.run({query_catalog_state, {}}).at(0);
    const auto &version = state.at(0);
    if (version.empty() || state.at(1) != "t") {
        functions_ = Snapshot{};
        throw std::runtime_error{version.empty() ? "pg_org is not installed in this database: call CREATE EXTENSION "
                                                   "pg_org first, then org_setup()"
                                                 : "pg_org is not set up in this database: call org_setup() first, as "
                                                   "the role that shall own the tables"};
    }
    if (functions() && version == version_)
        return;
    functions_ = std::make_shared<const Functions>(read_functions(database_.run({query_catalog_signatures, {}})));
    version_ = version;
    log_event(Level::info, "catalog loaded");
}

} // namespace pg_org
