// Webhooks: what a receiver gets, whatever happens to it and to the gateway.

#include "matchers.hpp"

#include <openssl/hmac.h>

#include <condition_variable>
#include <ctime>
#include <mutex>
#include <thread>

namespace pg_org::test {
namespace {

using namespace std::chrono_literals;

constexpr auto secret = "the webhook's secret";

// A server that keeps what is posted to it, and answers as it is told to.
class Receiver {
public:
    using Decision = std::function<int(const Json &event)>;

    Receiver()
    {
        server_.Post("/hook", [this](const httplib::Request &request, httplib::Response &response) {
            const Json event = Json::parse(request.body);
            const std::lock_guard lock{mutex_};
            requests_.push_back(request);
            response.status = decide_(event);
            changed_.notify_all();
        });
        port_ = server_.bind_to_any_port("127.0.0.1");
        thread_ = std::thread([this] { server_.listen_after_bind(); });
        while (!server_.is_running())
            std::this_thread::sleep_for(1ms);
    }

    ~Receiver()
    {
        server_.stop();
        thread_.join();
    }

    std::vector<std::string> options() const
    {
        return {"--webhook-url",    "http://127.0.0.1:" + std::to_string(port_) + "/hook?to=us",
                "--webhook-secret", secret,
                "--webhook-key",    admin_key()};
    }

    void decide(Decision decision)
    {
        const std::lock_guard lock{mutex_};
        decide_ = std::move(decision);
    }

    // The first so many requests, or those that came in 20 s.
    std::vector<httplib::Request> requests(size_t count)
    {
        std::unique_lock lock{mutex_};
        changed_.wait_for(lock, 20s, [&] { return requests_.size() >= count; });
        return requests_;
    }

    // The kinds of an organization's events, in the order in which they came.
    std::vector<std::string> kinds(const std::string &organization_id)
    {
        const std::lock_guard lock{mutex_};
        std::vector<std::string> kinds;
        for (const auto &request : requests_) {
            const Json event = Json::parse(request.body);
            if (event.at("organization_id") == organization_id)
                kinds.push_back(event.at("kind"));
        }
        return kinds;
    }

private:
    httplib::Server server_;
    std::thread thread_;
    int port_ = 0;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<httplib::Request> requests_;
    Decision decide_ = [](const Json &) { return 204; };
};

std::string hmac(const std::string &text)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    HMAC(EVP_sha256(), secret, static_cast<int>(std::string{secret}.size()),
         reinterpret_cast<const unsigned char *>(text.data()), text.size(), bytes, &size);
    std::string hex;
    for (unsigned i = 0; i < size; ++i) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", bytes[i]);
        hex += digits;
    }
    return hex;
}

// Events of other tests would arrive as well.
class Webhook : public testing::Test {
protected:
    void SetUp() override { query("DELETE FROM org.event"); }
    void TearDown() override { query("DELETE FROM org.event"); }

    // As if the times until the next attempts were over.
    static void retry_now()
    {
        query("UPDATE org.event SET next_attempt_at = now() WHERE delivered_at IS NULL AND attempts > 0");
    }

    static std::string undelivered() { return value("SELECT count(*) FROM org.event WHERE delivered_at IS NULL"); }

    static void wait_until_delivered()
    {
        for (int tenths = 0; undelivered() != "0" && tenths < 200; ++tenths)
            std::this_thread::sleep_for(100ms);
        EXPECT_EQ(undelivered(), "0");
    }

    Receiver receiver;
};

const std::vector<std::string> whole_story{"organization.created", "organization.blocked", "organization.unblocked",
                                           "organization.deleted"};

std::string story()
{
    const std::string id = organization();
    ask("POST /organization/block", {{"organization_id", id}});
    ask("POST /organization/unblock", {{"organization_id", id}});
    ask("DELETE /organization/delete", {{"organization_ids", {id}}});
    return id;
}

TEST_F(Webhook, PostsEachEventSignedAndInOrder)
{
    Gateway gateway{receiver.options()};
    const std::string id = story();
    const auto requests = receiver.requests(4);
    ASSERT_EQ(requests.size(), 4u);
    EXPECT_EQ(receiver.kinds(id), whole_story);
    const Json events = ask("GET /events?organization_id=" + id);
    for (size_t i = 0; i < requests.size(); ++i) {
        const auto &request = requests[i];
        EXPECT_EQ(Json::parse(request.body), events[i]);
        EXPECT_EQ(request.target, "/hook?to=us");
        EXPECT_EQ(request.get_header_value("Content-Type"), "application/json");
        EXPECT_THAT(request.get_header_value("User-Agent"), testing::MatchesRegex("pg_org_gateway/[0-9.]+"));
        EXPECT_EQ(request.get_header_value("X-Pg-Org-Event-Id"), events[i].at("event_id").dump());
        const std::string timestamp = request.get_header_value("X-Pg-Org-Timestamp");
        EXPECT_NEAR(std::stod(timestamp), static_cast<double>(std::time(nullptr)), 60);
        EXPECT_EQ(request.get_header_value("X-Pg-Org-Signature"), "v1=" + hmac(timestamp + "." + request.body));
    }
    wait_until_delivered();
    EXPECT_EQ(gateway.stop(), 0);
    EXPECT_EQ(gateway.log(), "") << "nothing was wrong";
}

TEST_F(Webhook, PostsAgainWhatWasNotTaken)
{
    Gateway gateway{receiver.options()};
    int failures = 0;
    receiver.decide(
        [&](const Json &event) { return event.at("kind") == "organization.blocked" && ++failures < 3 ? 500 : 200; });
    const std::string id = story();
    for (size_t attempts : {2, 3}) {
        receiver.requests(attempts);
        std::this_thread::sleep_for(1500ms);
        EXPECT_EQ(receiver.kinds(id).size(), attempts) << "not before the time, and nothing that comes after it";
        retry_now();
    }
    wait_until_delivered();
    EXPECT_EQ(receiver.kinds(id),
              (std::vector<std::string>{"organization.created", "organization.blocked", "organization.blocked",
                                        "organization.blocked", "organization.unblocked", "organization.deleted"}));
    EXPECT_NE(gateway.log().find("event not taken"), std::string::npos);
    EXPECT_EQ(gateway.log().find(secret), std::string::npos);
    EXPECT_EQ(gateway.log().find(admin_key()), std::string::npos);
}

TEST_F(Webhook, HoldsUpNoOtherOrganization)
{
    Gateway gateway{receiver.options()};
    const std::string stuck = organization();
    receiver.decide([&](const Json &event) { return event.at("organization_id") == stuck ? 404 : 200; });
    const std::string other = story();
    receiver.requests(5);
    EXPECT_EQ(receiver.kinds(other), whole_story);
    EXPECT_EQ(receiver.kinds(stuck).size(), 1u);
}

TEST_F(Webhook, LosesNothingWhenTheGatewayIsKilled)
{
    std::string during;
    {
        Gateway gateway{receiver.options()};
        receiver.decide([](const Json &) { return 503; });
        during = story();
        receiver.requests(1);
        gateway.kill();
    }
    const std::string between = story();
    receiver.decide([](const Json &) { return 200; });
    retry_now();
    Gateway gateway{receiver.options()};
    wait_until_delivered();
    EXPECT_EQ(receiver.kinds(between), whole_story);
    std::vector<std::string> again = whole_story;
    again.insert(again.begin(), whole_story[0]);
    EXPECT_EQ(receiver.kinds(during), again);
}

TEST_F(Webhook, GoesOutOnceFromSeveralGateways)
{
    Gateway one{receiver.options()}, two{receiver.options()};
    std::vector<std::string> ids;
    for (int count = 0; count < 10; ++count)
        ids.push_back(story());
    wait_until_delivered();
    for (const std::string &id : ids)
        EXPECT_EQ(receiver.kinds(id), whole_story);
}

TEST_F(Webhook, LeavesRequestsAloneWhenNobodyListens)
{
    Gateway gateway{{"--webhook-url", "http://127.0.0.1:1/", "--webhook-secret", secret, "--webhook-key", admin_key()}};
    story();
    const auto reply =
        httplib::Client("127.0.0.1", gateway.port()).Get("/organization/list?limit=1", bearer(admin_key()));
    EXPECT_EQ(reply->status, 200);
    EXPECT_NE(undelivered(), "0");
    EXPECT_EQ(gateway.stop(), 0);
}

TEST_F(Webhook, NeedsAKeyThatMayDeliver)
{
    const Person stranger = person();
    std::vector<std::string> options = receiver.options();
    options.back() = stranger.key;
    Gateway gateway{options};
    story();
    std::this_thread::sleep_for(2500ms);
    EXPECT_TRUE(receiver.requests(0).empty());
    const std::string log = gateway.log();
    EXPECT_NE(log.find("can deliver events"), std::string::npos);
    EXPECT_EQ(log.find("can deliver events"), log.rfind("can deliver events")) << "said once";
    EXPECT_EQ(log.find(stranger.key), std::string::npos);
}

} // namespace
} // namespace pg_org::test
