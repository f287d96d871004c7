#include "webhook.hpp"

#include "events.hpp"
#include "fields.hpp"
#include "log.hpp"
#include "routes.hpp"
#include "url.hpp"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <ctime>
#include <memory>
#include <stdexcept>

namespace pg_org {
namespace {

constexpr std::chrono::seconds idle_interval{1};
// For a whole post: name lookup, connecting, sending and the reply.
constexpr std::chrono::milliseconds post_timeout{10'000};
// Longer than a post, or another deliverer would post the event as well.
constexpr std::chrono::seconds lease{30};
// The reply's body does not matter; up to this size it is read, to keep the connection.
constexpr std::size_t max_reply_bytes = 64 << 10;

Value number(std::string text) { return {Value::Kind::number, std::move(text), {}}; }

// To the second, by this machine's clock.
std::chrono::seconds age_of(const Event &event)
{
    std::tm occurred_at{};
    strptime(read_body(event.json).fields.at("occurred_at").text.c_str(), "%Y-%m-%dT%H:%M:%S", &occurred_at);
    return std::chrono::seconds{std::time(nullptr) - timegm(&occurred_at)};
}

} // namespace

std::string signature(std::string_view secret, std::string_view timestamp, std::string_view body)
{
    const std::string text = std::string{timestamp} + '.' + std::string{body};
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
              reinterpret_cast<const unsigned char *>(text.data()), text.size(), bytes, &size))
        throw std::runtime_error{"can't compute an HMAC"};
    return "v1=" + hexadecimal({bytes, size});
}

// Posts to one URL, over a persistent connection.
class Webhook::Client {
public:
    explicit Client(const HttpUrl &url)
    {
        set(CURLOPT_URL, (url.origin + url.path).c_str());
        set(CURLOPT_PROTOCOLS_STR, "http,https");
        set(CURLOPT_PROXY, ""); // not the environment's
        set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
        set(CURLOPT_USERAGENT, "pg_org_gateway/" PG_ORG_VERSION);
        set(CURLOPT_TIMEOUT_MS, long{post_timeout.count()});
        set(CURLOPT_QUICK_EXIT, 1L); // also during a name lookup
        set(CURLOPT_NOSIGNAL, 1L);
        set(CURLOPT_HEADERFUNCTION, take);
        set(CURLOPT_HEADERDATA, this);
        set(CURLOPT_WRITEFUNCTION, take);
        set(CURLOPT_WRITEDATA, this);
    }

    // Returns the status once all headers have arrived, whatever becomes of the body; or 0 and the reason.
    std::pair<long, std::string> post(const std::string &json, std::initializer_list<std::string> headers)
    {
        status_ = 0;
        bytes_ = 0;
        const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> list{
            curl_slist_append(nullptr, "Content-Type: application/json"), curl_slist_free_all};
        for (const auto &header : headers)
            curl_slist_append(list.get(), header.c_str());
        set(CURLOPT_HTTPHEADER, list.get());
        set(CURLOPT_POSTFIELDS, json.c_str());
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(json.size()));
        const auto result = curl_easy_perform(curl_.get());
        if (status_ != 0)
            return {status_, ""};
        return {0, bytes_ > max_reply_bytes ? "The reply's headers are too long" : curl_easy_strerror(result)};
    }

private:
    const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl_{curl_easy_init(), curl_easy_cleanup};
    long status_ = 0;
    std::size_t bytes_ = 0;

    template <typename Value> void set(CURLoption option, Value value)
    {
        if (curl_easy_setopt(curl_.get(), option, value) != CURLE_OK)
            throw std::runtime_error{"libcurl lacks an option"};
    }

    // Takes a line of the headers, of which the last is empty, or a piece of the body.  Any result but its size ends
    // the post.
    static std::size_t take(const char *, std::size_t, std::size_t size, void *context)
    {
        auto &self = *static_cast<Client *>(context);
        long status = 0;
        if (size <= 2 && !curl_easy_getinfo(self.curl_.get(), CURLINFO_RESPONSE_CODE, &status) && status >= 200)
            self.status_ = status;
        return (self.bytes_ += size) <= max_reply_bytes ? size : 0;
    }
};

Webhook::Webhook(const Config &config, Database &database, const Catalog &catalog, Metrics &metrics)
    : config_{config}, metrics_{metrics}, caller_{database, catalog, config.webhook_key}
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (auto number = max_posts; number > 0; --number)
        deliverers_.emplace_back([this](std::stop_token stop) { deliver(stop); });
}

void Webhook::stop(std::chrono::milliseconds patience)
{
    const auto deadline = Clock::now() + patience;
    for (auto &deliverer : deliverers_)
        deliverer.request_stop();
    for (auto number = max_posts; number > 0 && ended_.try_acquire_until(deadline); --number) {
    }
}

void Webhook::deliver(std::stop_token stop)
{
    Client client{parse_http_url(config_.webhook_url).value()};
    while (wait_for_turn(stop)) {
        try {
            deliver_next(client);
            failure_.clear();
        } catch (const std::exception &error) {
            metrics_.event_failed();
            if (failure_.is_new(error.what()))
                log_event(Level::warning, "webhooks not delivered, trying again", {{"error", error.what()}});
        }
    }
    ended_.release();
}

// While there is nothing to deliver, one thread looks in each interval.
bool Webhook::wait_for_turn(std::stop_token stop)
{
    std::unique_lock lock{mutex_};
    const auto is_time = [&] { return Clock::now() >= next_look_; };
    while (!is_time() && !stop.stop_requested())
        changed_.wait_until(lock, stop, Clock::time_point{next_look_}, is_time);
    next_look_ = Clock::now() + idle_interval;
    return !stop.stop_requested();
}

void Webhook::look_again()
{
    const std::lock_guard lock{mutex_};
    next_look_ = {};
    changed_.notify_one();
}

// An event that is not acknowledged comes again when the lease is over.
void Webhook::deliver_next(Client &client)
{
    const auto claimed_at = Clock::now();
    const auto claimed = caller_.call(
        claim_function, {{"limit", number("1")}, {"lease_seconds", number(std::to_string(lease.count()))}});
    if (!claimed)
        return;
    for (const Event &event : read_events(*claimed)) {
        look_again(); // there may be more, of other organizations
        if (Clock::now() + post_timeout > claimed_at + lease)
            return;
        const std::string body{event.json};
        const auto timestamp = std::to_string(std::time(nullptr));
        const auto [status, reason] =
            client.post(body, {"X-Pg-Org-Event-Id: " + event.id, "X-Pg-Org-Timestamp: " + timestamp,
                               "X-Pg-Org-Signature: " + signature(config_.webhook_secret, timestamp, body)});
        if (status >= 200 && status < 300) {
            metrics_.event_taken(age_of(event));
            caller_.call(acknowledge_function, {{"event_id", number(event.id)}});
        } else {
            metrics_.event_failed();
            log_event(Level::warning, "event not taken, trying again later",
                      {{"event_id", event.id}, {"status", status}, {"reason", reason}});
        }
        look_again(); // for the organization's next event
    }
}

} // namespace pg_org
