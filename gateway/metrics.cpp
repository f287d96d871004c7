#include "metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace pg_org {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

const Histogram::BucketBoundaries seconds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                          0.25,   0.5,   1,      2.5,   5,    10,    30};
const Histogram::BucketBoundaries delays{1, 2.5, 5, 15, 60, 300, 1800, 7200, 43200};

double in_seconds(std::chrono::steady_clock::duration duration)
{
    return std::chrono::duration<double>{duration}.count();
}

// Clients may send any method: only known ones get a series.
std::string method_label(std::string_view method)
{
    constexpr std::array<std::string_view, 7> known{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    return std::find(known.begin(), known.end(), method) == known.end() ? "other" : std::string{method};
}

} // namespace

struct Metrics::Families {
    prometheus::Registry registry;
    Family<Counter> &requests = family<Counter>("requests_total", "Requests answered");
    Family<Histogram> &durations =
        family<Histogram>("request_duration_seconds", "Time from a request's last byte to its reply's last");
    Histogram &waits =
        family<Histogram>("wait_seconds", "Time a request waited for a thread, its batch and a database connection")
            .Add({}, seconds);
    Histogram &database =
        family<Histogram>("database_seconds", "Time a request spent in the database").Add({}, seconds);
    Family<Counter> &errors =
        family<Counter>("database_errors_total", "Requests that the database refused, by SQLSTATE class");
    Family<Counter> &limit_refusals =
        family<Counter>("limit_refusals_total", "Calls that a limit refused, by what it counts");
    Counter &spend =
        family<Counter>("spend_total", "Cost of the calls that were settled and recorded, in US dollars").Add({});
    Histogram &delays_of_events =
        family<Histogram>("webhook_delay_seconds", "Time from an event until the webhook's receiver took it")
            .Add({}, delays);
    Counter &failed_events =
        family<Counter>("webhook_failures_total", "Events that the webhook's receiver did not take, or that could not "
                                                  "be read")
            .Add({});
    Counter &lost_lines =
        family<Counter>("log_lines_lost_total", "Log lines lost because they were read too slowly").Add({});

    // Made by the first call, found by the next.
    template <typename Kind> Family<Kind> &family(const char *name, const char *help)
    {
        return prometheus::detail::Builder<Kind>{}.Name(std::string{"pg_org_"} + name).Help(help).Register(registry);
    }

    template <typename Number>
    void set(const char *name, const char *help, Number value, const prometheus::Labels &labels = {})
    {
        family<Gauge>(name, help).Add(labels).Set(static_cast<double>(value));
    }

    void show(const std::string &database, const Database::State &pool)
    {
        const prometheus::Labels labels{{"database", database}};
        set("pool_open", "Database connections", pool.open, labels);
        set("pool_in_use", "Database connections that serve a request", pool.in_use, labels);
        set("pool_waiting", "Requests that wait for a database connection", pool.waiting, labels);
    }
};

Metrics::Metrics() : families_{std::make_unique<Families>()} {}
Metrics::~Metrics() = default;

void Metrics::observe(const Observation &observation)
{
    const auto &trace = observation.trace;
    const std::string route{trace.route.empty() ? "unmatched" : trace.route}, method = method_label(observation.method);
    families_->requests.Add({{"route", route}, {"method", method}, {"status", std::to_string(observation.status)}})
        .Increment();
    families_->durations.Add({{"route", route}, {"method", method}}, seconds).Observe(in_seconds(observation.duration));
    if (!trace.limit.empty())
        families_->limit_refusals.Add({{"limit", trace.limit}}).Increment();
    families_->spend.Increment(std::max(trace.cost, 0.0));
    if (trace.database.count() == 0 && trace.sqlstate.empty())
        return;
    families_->waits.Observe(in_seconds(trace.waited));
    families_->database.Observe(in_seconds(trace.database));
    if (!trace.sqlstate.empty())
        families_->errors.Add({{"class", trace.sqlstate.substr(0, 2)}}).Increment();
}

void Metrics::event_taken(std::chrono::duration<double> delay)
{
    families_->delays_of_events.Observe(std::max(delay.count(), 0.0));
}

void Metrics::event_failed() { families_->failed_events.Increment(); }

std::string Metrics::text(const Now &now)
{
    auto &families = *families_;
    families.set("build_info", "Always 1; the version is in its label", 1, {{"version", PG_ORG_VERSION}});
    families.set("up", "Whether the gateway is ready: 1 or 0", now.up);
    families.set("connections", "Client connections", now.connections);
    families.set("pool_size", "Maximum number of connections to each database", now.pool_size);
    families.show("primary", now.primary);
    for (std::size_t number = 0; number < now.replicas.size(); ++number) {
        const auto &[connections, lag] = now.replicas[number];
        const auto name = "replica " + std::to_string(number + 1);
        families.show(name, connections);
        families.set("replica_lag_seconds", "Upper bound of a standby's lag; +Inf when it is out of use",
                     lag == lag.max() ? HUGE_VAL : in_seconds(lag), {{"database", name}});
    }
    if (now.certificate_expiry)
        families.set("certificate_expiry_timestamp_seconds", "When the certificate ends", *now.certificate_expiry);
    families.lost_lines.Increment(static_cast<double>(now.lost_log_lines) - families.lost_lines.Value());
    return prometheus::TextSerializer{}.Serialize(families.registry.Collect());
}

} // namespace pg_org
