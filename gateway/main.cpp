// The gateway's process: options, signals, wiring.
#include "admin.hpp"
#include "config.hpp"
#include "database.hpp"
#include "gateway.hpp"
#include "log.hpp"
#include "maintenance.hpp"
#include "metrics.hpp"
#include "server.hpp"
#include "webhook.hpp"

#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <thread>

namespace {

using namespace pg_org;

// Each client connection is one open file, each database connection two.
void allow_open_files(const Config &config)
{
    constexpr rlim_t others = 100;
    const auto databases = 1 + config.replica_urls.size();
    const rlim_t needed = config.listener.max_connections + 2 * config.pool_size * databases + others;
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < needed)
        log_event(Level::warning, "fewer files may be open than --max-connections needs",
                  {{"limit", limit.rlim_cur}, {"needed", needed}});
}

void log_configuration(const Config &config)
{
    nlohmann::ordered_json options;
    for (const auto &[name, value] : config.shown)
        options[name] = value;
    log_event(Level::info, "configuration", options);
}

double milliseconds(std::chrono::steady_clock::duration duration)
{
    return std::chrono::round<std::chrono::microseconds>(duration).count() / 1000.0;
}

void log_request(const Observation &observation)
{
    const auto &trace = observation.trace;
    log_event(Level::info, "request",
              {{"request_id", observation.request_id},
               {"method", observation.method},
               {"route", trace.route},
               {"status", observation.status},
               {"duration_ms", milliseconds(observation.duration)},
               {"db_ms", milliseconds(trace.database)},
               {"wait_ms", milliseconds(trace.waited)},
               {"sqlstate", trace.sqlstate},
               {"bytes", observation.bytes},
               {"remote", observation.remote},
               {"user_agent", observation.user_agent}});
}

// Blocks, in every thread, the signals that wait_for_end() takes.
sigset_t block_signals()
{
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
        sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return signals;
}

void reload_certificate(Server &server)
{
    try {
        server.reload_certificate();
        log_event(Level::info, "certificate reloaded");
    } catch (const std::exception &error) {
        log_event(Level::error, "certificate not reloaded, keeping the old one", {{"error", error.what()}});
    }
}

// With a shared port, listen only when ready, or this gateway would fail requests that others could serve.  False if
// asked to stop first.
bool wait_until_ready(const sigset_t &signals, Gateway &gateway)
{
    constexpr timespec interval{0, 50'000'000};
    while (gateway.ready().status != 200)
        if (const int signal = sigtimedwait(&signals, nullptr, &interval); signal > 0 && signal != SIGHUP)
            return false;
    return true;
}

void wait_for_end(const sigset_t &signals, Server &server, bool has_certificate)
{
    int signal = 0;
    while (sigwait(&signals, &signal) == 0 && signal == SIGHUP)
        if (has_certificate)
            reload_certificate(server);
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr); // a second signal ends the process at once
}

void serve(const Config &config)
{
    const auto signals = block_signals();
    log_configuration(config);
    allow_open_files(config);

    Metrics metrics;
    Database database{config};
    Gateway gateway{config, database};
    const Server::Places connections{config.pool_size * (1 + config.replica_urls.size()), config.pool_timeout};
    Server server{config.listener, connections, [&](const Request &request) { return gateway.plan(request); },
                  [&](const Request &request) { return gateway.handle(request); },
                  [&](const Observation &observation) {
                      log_request(observation);
                      metrics.observe(observation);
                  }};
    Admin admin{
        gateway, metrics, [&] {
            auto primary = database.state();
            primary.waiting += server.waiting_for_database();
            return Metrics::Now{
                gateway.ready().status == 200, server.connections(),       lost_log_lines(), config.pool_size, primary,
                gateway.replicas().states(),   server.certificate_expiry()};
        }};
    Server admin_server{config.admin, connections, [](const Request &) { return Plan{}; },
                        [&](const Request &request) { return admin.handle(request); }, [](const Observation &) {}};
    std::optional<Webhook> webhook;
    if (!config.webhook_url.empty())
        webhook.emplace(config, database, gateway.catalog(), metrics);
    admin_server.start();
    if (config.listener.reuse_port && !wait_until_ready(signals, gateway))
        return end_log();
    server.start();
    gateway.open();
    std::optional<Maintenance> maintenance;
    if (config.maintain)
        maintenance.emplace(config, database, gateway.catalog());
    log_event(Level::info, "listening on " + server.url(), {{"admin", admin_server.url()}});

    wait_for_end(signals, server, !config.listener.tls_cert.empty());
    log_event(Level::info, "stopping");
    const auto patience = config.pool_timeout + config.statement_timeout + std::chrono::seconds{1};
    gateway.drain();
    server.drain();
    maintenance.reset();
    std::this_thread::sleep_for(config.drain_time);
    server.stop(patience);
    if (webhook)
        webhook->stop(patience);
    end_log();
    std::_Exit(EXIT_SUCCESS); // without waiting for what has outlasted the patience
}

} // namespace

int main(int argc, char **argv)
{
    try {
        const auto config = read_config(argc, argv);
        if (!config)
            return EXIT_SUCCESS;
        start_log(config->log_level, config->log_format);
        serve(*config);
    } catch (const std::exception &error) {
        std::cerr << "pg_org_gateway: " << error.what() << std::endl;
        return EXIT_FAILURE;
    }
}
