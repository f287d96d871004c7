#include "webhook.hpp"

#include "bind.hpp"
#include "log.hpp"
#include "routes.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stdexcept>

namespace pg_org {
namespace {

constexpr std::chrono::seconds idle_interval{1};
// Longer than a post takes, or somebody else would send the event as well.
constexpr auto lease_seconds = "30";

std::string now_in_seconds() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

Value number(std::string text) { return {Value::Kind::number, std::move(text), {}}; }

}  // namespace

std::string signature(std::string_view secret, std::string_view timestamp, std::string_view body) {
    const std::string text = std::string{timestamp} + '.' + std::string{body};
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
    unsigned size = 0;
    if (!HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
              reinterpret_cast<const unsigned char*>(text.data()), text.size(), bytes.data(), &size))
        throw std::runtime_error{"can't compute an HMAC"};
    constexpr std::string_view digits = "0123456789abcdef";
    std::string signature = "v1=";
    for (unsigned i = 0; i < size; ++i)
        signature.append({digits[bytes[i] >> 4], digits[bytes[i] & 15]});
    return signature;
}

Webhook::Webhook(const Config& config, Database& database, const Catalog& catalog)
    : config_{config}, database_{database}, catalog_{catalog}, client_{parse_http_url(config.webhook_url).value()},
      deliverer_{[this](std::stop_token stop) { deliver(stop); }} {}

void Webhook::stop(std::chrono::milliseconds patience) {
    deliverer_.request_stop();
    if (ended_.try_acquire_for(patience))
        ended_.release();
}

void Webhook::deliver(std::stop_token stop) {
    std::string reported;
    std::mutex mutex;
    std::condition_variable_any stopped;
    while (!stop.stop_requested()) {
        bool busy = false;
        std::string failure;
        try {
            busy = deliver_next();
        } catch (const std::exception& error) {
            failure = error.what();
        }
        if (!failure.empty() && failure != reported)
            log_event(Level::warning, "webhooks not delivered, trying again", {{"error", failure}});
        reported = failure;
        if (!busy) {
            std::unique_lock lock{mutex};
            stopped.wait_for(lock, stop, idle_interval, [] { return false; });
        }
    }
    ended_.release();
}

// Whether there was one. What is not acknowledged comes again when the lease is over.
bool Webhook::deliver_next() {
    if (!catalog_.functions())
        return false;
    const auto claimed = call(claim_function, {{"limit", number("1")}, {"lease_seconds", number(lease_seconds)}});
    const auto events = read_events(claimed);
    for (const Event& event : events)
        if (post(event))
            call(acknowledge_function, {{"event_id", number(event.id)}});
    return !events.empty();
}

bool Webhook::post(const Event& event) {
    const std::string body{event.json};
    const auto timestamp = now_in_seconds();
    const auto answer = client_.post(body, {{"X-Pg-Org-Event-Id", event.id},
                                            {"X-Pg-Org-Timestamp", timestamp},
                                            {"X-Pg-Org-Signature", signature(config_.webhook_secret, timestamp, body)}});
    if (answer.status >= 200 && answer.status < 300)
        return true;
    log_event(Level::warning, "event not taken, trying again later",
              {{"event_id", event.id}, {"status", answer.status}, {"reason", answer.reason}});
    return false;
}

std::string Webhook::call(std::string_view function, const Fields& fields) {
    std::vector<FieldError> none;
    const auto functions = catalog_.functions();
    const auto statement =
        bind_arguments(functions->find(function)->second, fields, config_.webhook_key, "body", none);
    return database_.run(statement).at(0).at(0);
}

}  // namespace pg_org
