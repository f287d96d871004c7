// The metrics as Prometheus reads them.
#include "metrics.hpp"

#include <gmock/gmock.h>

using namespace pg_org;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

namespace {

Observation observed(std::string_view method, std::string_view route, int status, std::string sqlstate = {})
{
    Trace trace;
    trace.route = route;
    trace.database = 3ms;
    trace.sqlstate = std::move(sqlstate);
    return {"id", method, status, 20ms, 0, "127.0.0.1", "agent", trace};
}

} // namespace

TEST(Metrics, CountsRequestsByRouteMethodAndStatus)
{
    Metrics metrics;
    metrics.observe(observed("GET", "/organization/info", 200));
    metrics.observe(observed("GET", "/organization/info", 200));
    metrics.observe(observed("BREW", "", 405, "28000"));
    const auto text = metrics.text({});
    EXPECT_THAT(text, HasSubstr(R"(pg_org_requests_total{method="GET",route="/organization/info",status="200"} 2)"));
    EXPECT_THAT(text, HasSubstr(R"(pg_org_requests_total{method="other",route="unmatched",status="405"} 1)"));
    EXPECT_THAT(
        text,
        HasSubstr(R"(pg_org_request_duration_seconds_bucket{method="GET",route="/organization/info",le="0.01"} 0)"));
    EXPECT_THAT(
        text,
        HasSubstr(R"(pg_org_request_duration_seconds_bucket{method="GET",route="/organization/info",le="0.025"} 2)"));
    EXPECT_THAT(text, HasSubstr(R"(pg_org_database_errors_total{class="28"} 1)"));
    EXPECT_THAT(text, Not(HasSubstr("BREW")));
}

TEST(Metrics, CountsWhatLimitsRefuseAndWhatCallsCost)
{
    Metrics metrics;
    auto refused = observed("POST", "/usage/reserve", 429, "53RAT");
    refused.trace.limit = "requests";
    metrics.observe(refused);
    auto settled = observed("POST", "/usage/settle", 200);
    settled.trace.cost = 0.25;
    metrics.observe(settled);
    metrics.observe(settled);
    const auto text = metrics.text({});
    EXPECT_THAT(text, HasSubstr("pg_org_limit_refusals_total{limit=\"requests\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("pg_org_spend_total 0.5\n"));
}

TEST(Metrics, CountsWhatBecomesOfEvents)
{
    Metrics metrics;
    metrics.event_taken(20s);
    metrics.event_failed();
    const auto text = metrics.text({});
    EXPECT_THAT(text, HasSubstr("pg_org_webhook_delay_seconds_bucket{le=\"15\"} 0\n"));
    EXPECT_THAT(text, HasSubstr("pg_org_webhook_delay_seconds_bucket{le=\"60\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("pg_org_webhook_failures_total 1\n"));
}

TEST(Metrics, TellsWhenTheCertificateEnds)
{
    Metrics metrics;
    EXPECT_THAT(metrics.text({}), Not(HasSubstr("certificate")));
    Metrics::Now now{};
    now.certificate_expiry = 1796000523;
    EXPECT_THAT(metrics.text(now), HasSubstr("pg_org_certificate_expiry_timestamp_seconds 1796000523\n"));
}

TEST(Metrics, TellsHowThingsAre)
{
    Metrics metrics;
    const auto text = metrics.text({.up = true,
                                    .connections = 7,
                                    .lost_log_lines = 0,
                                    .pool_size = 10,
                                    .primary = {4, 3, 2},
                                    .replicas = {{{1, 0, 0}, 250ms}, {{0, 0, 0}, Trace::Duration::max()}}});
    for (const auto *line :
         {"pg_org_up 1\n", "pg_org_connections 7\n", "pg_org_pool_size 10\n",
          "pg_org_pool_open{database=\"primary\"} 4\n", "pg_org_pool_in_use{database=\"primary\"} 3\n",
          "pg_org_pool_waiting{database=\"primary\"} 2\n", "pg_org_replica_lag_seconds{database=\"replica 1\"} 0.25\n",
          "pg_org_replica_lag_seconds{database=\"replica 2\"} +Inf\n"})
        EXPECT_THAT(text, HasSubstr(line));
}
