// The gateway's process: options, signals, wiring.
#include "config.hpp"
#include "database.hpp"
#include "gateway.hpp"
#include "log.hpp"
#include "server.hpp"
#include "webhook.hpp"

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <thread>

namespace {

using namespace pg_org;

std::string url_of(const Config& config, int port) {
    const bool ipv6 = config.host.find(':') != std::string::npos;
    return "http://" + (ipv6 ? "[" + config.host + "]" : config.host) + ":" + std::to_string(port);
}

int serve(const Config& config) {
    sigset_t stop_signals;
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGINT);
    sigaddset(&stop_signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);  // inherited by every thread: sigwait() below gets them

    setenv("PGAPPNAME", "pg_org_gateway", 0);
    setenv("PGCONNECT_TIMEOUT", "5", 0);
    Server server{config};
    const int port = server.bind();
    Database database{config};
    Gateway gateway{config, database};
    std::optional<Webhook> webhook;
    if (!config.webhook_url.empty())
        webhook.emplace(config, database, gateway.catalog());
    std::thread{[&] {
        if (!server.run([&](const Request& request) { return gateway.handle(request); })) {
            log_event(Level::error, "can't accept connections any more");
            std::_Exit(EXIT_FAILURE);
        }
    }}.detach();
    log_event(Level::info, "listening on " + url_of(config, port));

    int signal = 0;
    sigwait(&stop_signals, &signal);
    pthread_sigmask(SIG_UNBLOCK, &stop_signals, nullptr);  // a second one ends it at once
    log_event(Level::info, "stopping");
    const auto patience = config.pool_timeout + config.statement_timeout + std::chrono::seconds{1};
    gateway.stop();
    server.stop(patience);
    if (webhook)
        webhook->stop(patience);
    std::cout.flush();
    std::_Exit(EXIT_SUCCESS);  // idle connections still have their threads, which would take seconds to notice
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const auto config = read_config(argc, argv);
        if (!config)
            return EXIT_SUCCESS;
        start_log(config->log_level);
        return serve(*config);
    } catch (const std::exception& error) {
        std::cerr << "pg_org_gateway: " << error.what() << std::endl;
        return EXIT_FAILURE;
    }
}
