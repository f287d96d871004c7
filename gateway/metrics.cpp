#include "metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

namespace pg_org {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Registry;

const Histogram::BucketBoundaries seconds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                          0.25,   0.5,   1,      2.5,   5,    10,    30};

double in_seconds(std::chrono::steady_clock::duration duration) {
    return std::chrono::duration<double>{duration}.count();
}

// Clients may send any word: only those that mean something get a series.
std::string method_label(std::string_view method) {
    constexpr std::array<std::string_view, 7> known{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    return std::find(known.begin(), known.end(), method) == known.end() ? "other" : std::string{method};
}

std::string route_label(std::string_view route) { return route.empty() ? "unmatched" : std::string{route}; }

template <typename Kind>
Family<Kind>& family(Registry& registry, const std::string& name, const std::string& help) {
    return prometheus::detail::Builder<Kind>{}.Name("pg_org_" + name).Help(help).Register(registry);
}

}  // namespace

struct Metrics::Families {
    Registry registry;
    Family<Counter>& requests = family<Counter>(registry, "requests_total", "Requests answered");
    Family<Histogram>& durations = family<Histogram>(
        registry, "request_duration_seconds", "Time from a request's last byte to its reply's last");
    Histogram& waits =
        family<Histogram>(registry, "wait_seconds",
                          "Time a request waited for a thread, its turn in a batch and a database connection")
            .Add({}, seconds);
    Histogram& database =
        family<Histogram>(registry, "database_seconds", "Time a request spent in the database").Add({}, seconds);
    Family<Counter>& errors =
        family<Counter>(registry, "database_errors_total", "Requests that the database refused, by SQLSTATE class");
    Gauge& up = family<Gauge>(registry, "up", "Whether the gateway is ready: 1 or 0").Add({});
    Gauge& connections = family<Gauge>(registry, "connections", "Connections of clients").Add({});
    Counter& lost_lines =
        family<Counter>(registry, "log_lines_lost_total", "Lines of log that nobody took in time").Add({});
    Gauge& pool_size = family<Gauge>(registry, "pool_size", "Connections to each database at most").Add({});
    Family<Gauge>& pool_open = family<Gauge>(registry, "pool_open", "Database connections");
    Family<Gauge>& pool_in_use = family<Gauge>(registry, "pool_in_use", "Database connections that a request has");
    Family<Gauge>& pool_waiting =
        family<Gauge>(registry, "pool_waiting", "Requests that wait for a database connection");
    Family<Gauge>& replica_lag = family<Gauge>(
        registry, "replica_lag_seconds", "A standby is behind by no more than that; +Inf when it is not asked");

    void show(const std::string& name, const Database::State& pool) {
        const prometheus::Labels labels{{"database", name}};
        pool_open.Add(labels).Set(static_cast<double>(pool.open));
        pool_in_use.Add(labels).Set(static_cast<double>(pool.in_use));
        pool_waiting.Add(labels).Set(static_cast<double>(pool.waiting));
    }
};

Metrics::Metrics() : families_{std::make_unique<Families>()} {
    family<Gauge>(families_->registry, "build_info", "Always 1; the version is in its label")
        .Add({{"version", PG_ORG_VERSION}})
        .Set(1);
}
Metrics::~Metrics() = default;

void Metrics::observe(const Observation& observation) {
    const auto& trace = observation.trace;
    const auto route = route_label(trace.route), method = method_label(observation.method);
    families_->requests.Add({{"route", route}, {"method", method}, {"status", std::to_string(observation.status)}})
        .Increment();
    families_->durations.Add({{"route", route}, {"method", method}}, seconds).Observe(in_seconds(observation.duration));
    if (trace.database.count() == 0 && trace.sqlstate.empty())
        return;
    families_->waits.Observe(in_seconds(trace.waited));
    families_->database.Observe(in_seconds(trace.database));
    if (!trace.sqlstate.empty())
        families_->errors.Add({{"class", trace.sqlstate.substr(0, 2)}}).Increment();
}

std::string Metrics::text(const Now& now) {
    families_->up.Set(now.up);
    families_->connections.Set(static_cast<double>(now.connections));
    families_->lost_lines.Increment(static_cast<double>(now.lost_log_lines) - families_->lost_lines.Value());
    families_->pool_size.Set(static_cast<double>(now.pool_size));
    families_->show("primary", now.primary);
    for (std::size_t number = 0; number < now.replicas.size(); ++number) {
        const auto& [connections, lag] = now.replicas[number];
        const auto name = "replica " + std::to_string(number + 1);
        families_->show(name, connections);
        families_->replica_lag.Add({{"database", name}}).Set(lag == lag.max() ? HUGE_VAL : in_seconds(lag));
    }
    return prometheus::TextSerializer{}.Serialize(families_->registry.Collect());
}

}  // namespace pg_org
