// Events over HTTP: lists, long-polling and streams.

#include "matchers.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace pg_org::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

std::string last_event_id()
{
    ask("GET /events?limit=1");
    return value("SELECT last_event_id FROM org.event_counter");
}

std::string of(const std::string &organization_id) { return "GET /events?organization_id=" + organization_id; }

// The key of a service that may read all events.
std::string service_key() { return key_for({{"permissions", {{"events", true}}}}); }

void block(const std::string &organization_id)
{
    ask("POST /organization/block", {{"organization_id", organization_id}});
}

// A client that listens to server-sent events until it is closed.
class Stream {
public:
    Stream(const std::string &query, const httplib::Headers &headers, int port = gateway_port())
        : client_("127.0.0.1", port)
    {
        client_.set_read_timeout(30s);
        httplib::Headers all = headers;
        all.emplace("Accept", "text/event-stream");
        listener_ = std::thread([this, query, all] {
            const auto result = client_.Get(
                "/events" + query, all,
                [this](const httplib::Response &response) {
                    const std::lock_guard lock{mutex_};
                    response_ = response;
                    return true;
                },
                [this](const char *data, size_t size) {
                    const std::lock_guard lock{mutex_};
                    text_.append(data, size);
                    changed_.notify_all();
                    return !closed_;
                });
            const std::lock_guard lock{mutex_};
            whole_ = result.error() == httplib::Error::Success;
            ended_ = true;
            changed_.notify_all();
        });
    }

    ~Stream()
    {
        close();
        listener_.join();
    }

    void close()
    {
        {
            const std::lock_guard lock{mutex_};
            closed_ = true;
        }
        client_.stop();
    }

    // Returns the stream up to that text, or what came in 10 s.
    std::string until(const std::string &part)
    {
        std::unique_lock lock{mutex_};
        changed_.wait_for(lock, 10s, [&] { return text_.find(part) != std::string::npos || ended_; });
        return text_;
    }

    // Whether it ended by itself, and as it should.
    bool ends()
    {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, 10s, [&] { return ended_; }) && whole_;
    }

    httplib::Response response()
    {
        const std::lock_guard lock{mutex_};
        return response_;
    }

private:
    httplib::Client client_;
    std::mutex mutex_;
    std::condition_variable changed_;
    httplib::Response response_;
    std::string text_;
    bool closed_ = false, ended_ = false, whole_ = false;
    std::thread listener_;
};

TEST(Events, TellWhatHappened)
{
    const std::string id = organization({{"organization_alias", "Acme"}});
    const Person member = person();
    join(id, member.id, "org_admin");
    block(id);
    const Json events = ask(of(id));
    ASSERT_EQ(events.size(), 3u);
    EXPECT_EQ(names(events[0]),
              (std::vector<std::string>{"event_id", "occurred_at", "organization_id", "kind", "data"}));
    EXPECT_EQ(values_of(events, "kind"),
              (std::vector<Json>{"organization.created", "member.created", "organization.blocked"}));
    EXPECT_EQ(events[0].at("organization_id"), id);
    EXPECT_EQ(events[0].at("data").at("organization_alias"), "Acme");
    EXPECT_TRUE(is_time(events[0].at("occurred_at")));
    EXPECT_EQ(events[1].at("data").at("user_id"), member.id);
    EXPECT_EQ(events[1].at("data").at("user_role"), "org_admin");
}

TEST(Events, ComeInPagesByTheLastOne)
{
    const std::string id = organization();
    for (int times = 0; times < 3; ++times) {
        block(id);
        ask("POST /organization/unblock", {{"organization_id", id}});
    }
    std::vector<Json> kinds;
    std::string route = of(id) + "&limit=3";
    for (int pages = 0; !route.empty() && pages < 10; ++pages) {
        const Reply page = call(route);
        ASSERT_EQ(page.status, 200);
        for (const Json &kind : values_of(page.body, "kind"))
            kinds.push_back(kind);
        const std::string link = page.header("Link");
        route = link.empty() ? "" : "GET " + link.substr(1, link.find('>') - 1);
    }
    EXPECT_EQ(kinds.size(), 7u);
    EXPECT_EQ(kinds, values_of(ask(of(id)), "kind"));
}

TEST(Events, AreForAdminsAndKeysWithThePermission)
{
    const std::string id = organization(), other = organization();
    const Person admin = person(), member = person();
    join(id, admin.id, "org_admin");
    join(id, member.id);
    for (const std::string &key : {admin_key(), person("proxy_admin_viewer").key, service_key()}) {
        EXPECT_EQ(ask(of(id), nullptr, key).size(), 3u);
        EXPECT_EQ(ask(of(other), nullptr, key).size(), 1u);
    }
    EXPECT_EQ(ask("GET /events", nullptr, admin.key).size(), 3u);
    EXPECT_EQ(ask(of(id), nullptr, admin.key).size(), 3u);
    EXPECT_EQ(call(of(other), nullptr, admin.key).status, 401);
    EXPECT_EQ(call(of(id), nullptr, member.key).status, 401);
    EXPECT_EQ(call("GET /events", nullptr, member.key).status, 401);
    EXPECT_THAT(send("GET /events", "", {}), e1(401, "Authentication Error, No api key passed in."));
}

TEST(Events, AreReadFromATimeOn)
{
    const std::string id = organization();
    block(id);
    const Json events = ask(of(id));
    const auto since = [&](const Json &event) { return "&since=" + event.at("occurred_at").get<std::string>(); };
    EXPECT_EQ(ask(of(id) + since(events[0])), events);
    EXPECT_EQ(ask(of(id) + since(events[1])), Json::array({events[1]}));
    EXPECT_EQ(ask(of(id) + since(events[0]) + "&after=" + events[0].at("event_id").dump()), Json::array({events[1]}));
    EXPECT_EQ(ask(of(id) + "&since=2999-01-01"), Json::array());
}

TEST(Events, AreRefusedToBeReadFromNowhere)
{
    EXPECT_THAT(call("GET /events?after=x"), e3({"query", "after"}, "int_parsing"));
    EXPECT_THAT(call("GET /events?limit=0"), e3({"query", "limit"}, "value_error"));
    EXPECT_THAT(call("GET /events?since=yesterday"), e3({"query", "since"}, "value_error"));
    for (const char *wait : {"-1", "61", "1.5", "soon", "99999999999999999999", ""})
        EXPECT_THAT(call(std::string{"GET /events?wait="} + wait), e3({"query", "wait"}, "value_error")) << wait;
    EXPECT_EQ(call("GET /events?wait=x", nullptr, "sk-nobody").status, 401);
    httplib::Headers headers = bearer(admin_key());
    headers.insert({{"Accept", "text/event-stream"}, {"Last-Event-ID", "x"}});
    EXPECT_THAT(send("GET /events", "", headers), e3({"query", "after"}, "int_parsing"));
}

TEST(LongPoll, AnswersAtOnceWhatIsThere)
{
    const std::string id = organization();
    const auto start = Clock::now();
    EXPECT_EQ(ask(of(id) + "&wait=60").size(), 1u);
    EXPECT_LT(Clock::now() - start, 5s);
}

TEST(LongPoll, AnswersWhenSomethingHappens)
{
    const std::string id = organization(), after = last_event_id();
    const auto start = Clock::now();
    auto waiting = std::async(std::launch::async, [&] { return ask(of(id) + "&wait=60&after=" + after); });
    EXPECT_EQ(waiting.wait_for(1500ms), std::future_status::timeout);
    block(id);
    EXPECT_EQ(values_of(waiting.get(), "kind"), (std::vector<Json>{"organization.blocked"}));
    EXPECT_LT(Clock::now() - start, 10s);
}

TEST(LongPoll, AnswersNothingWhenTheTimeIsOver)
{
    const std::string id = organization(), after = last_event_id();
    const auto start = Clock::now();
    EXPECT_EQ(ask(of(id) + "&wait=2&after=" + after), Json::array());
    EXPECT_GE(Clock::now() - start, 2s);
    EXPECT_LT(Clock::now() - start, 10s);
}

TEST(LongPoll, EndsWhenTheKeyIsRefused)
{
    const std::string key = service_key(), after = last_event_id();
    auto waiting = std::async(std::launch::async,
                              [&] { return call("GET /events?organization_id=nowhere&wait=60", nullptr, key); });
    EXPECT_EQ(waiting.wait_for(500ms), std::future_status::timeout);
    ask("POST /key/block", {{"key", key}});
    EXPECT_EQ(waiting.get().status, 401);
}

TEST(EventStream, SendsWhatIsThereAndWhatComes)
{
    const std::string id = organization();
    Stream stream{"?organization_id=" + id, bearer(admin_key())};
    EXPECT_THAT(stream.until("\n\n"), testing::MatchesRegex("id: [0-9]+\nevent: organization.created\ndata: .*\n\n"));
    block(id);
    const std::string text = stream.until("organization.blocked\",\"data");
    const Json events = ask(of(id));
    std::string expected;
    for (const Json &event : events)
        expected +=
            "id: " + event.at("event_id").dump() + "\nevent: " + event.at("kind").get<std::string>() + "\ndata: ";
    std::string heads;
    for (size_t at = 0; (at = text.find("id: ", at)) != std::string::npos; ++at)
        heads += text.substr(at, text.find("data: ", at) + 6 - at);
    EXPECT_EQ(heads, expected);
    const size_t data = text.find("data: ") + 6;
    EXPECT_EQ(Json::parse(text.substr(data, text.find('\n', data) - data)), events[0]);
    const auto response = stream.response();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.get_header_value("Content-Type"), "text/event-stream");
    EXPECT_EQ(response.get_header_value("Cache-Control"), "no-cache");
    EXPECT_NE(response.get_header_value("x-request-id"), "");
}

TEST(EventStream, IsQuietWhereNothingHappens)
{
    Stream stream{"?organization_id=nowhere", bearer(admin_key())};
    EXPECT_EQ(stream.until("\n\n"), ":\n\n");
}

TEST(EventStream, GoesOnWhereTheLastOneEnded)
{
    const std::string id = organization();
    block(id);
    const Json events = ask(of(id));
    httplib::Headers headers = bearer(admin_key());
    headers.emplace("Last-Event-ID", events[0].at("event_id").dump());
    Stream stream{"?organization_id=" + id + "&after=0", headers};
    EXPECT_EQ(stream.until("\n\n").find("id: " + events[1].at("event_id").dump() + "\n"), 0u);
}

TEST(EventStream, IsRefusedLikeAnyOtherRequest)
{
    Stream stream{"", bearer("sk-nobody")};
    EXPECT_TRUE(stream.ends());
    EXPECT_EQ(stream.response().status, 401);
    EXPECT_EQ(stream.response().get_header_value("Content-Type"), "application/json");
}

TEST(EventStream, EndsWhenTheKeyIsRefused)
{
    const std::string key = service_key();
    Stream stream{"?organization_id=nowhere", bearer(key)};
    stream.until("\n\n");
    ask("POST /key/block", {{"key", key}});
    EXPECT_TRUE(stream.ends());
}

TEST(EventStream, HasNoBodyForHead)
{
    httplib::Headers headers = bearer(admin_key());
    headers.emplace("Accept", "text/event-stream");
    const auto reply = httplib::Client("127.0.0.1", gateway_port()).Head("/events?limit=1", headers);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->get_header_value("Content-Type"), "application/json");
}

TEST(EventStream, TakesNoMoreThanAQuarterOfTheThreads)
{
    Gateway gateway{{"--threads", "8"}};
    httplib::Client client{"127.0.0.1", gateway.port()};
    const auto refused = [&] {
        const auto reply = client.Get("/events?organization_id=nowhere&wait=1", bearer(admin_key()));
        EXPECT_EQ(reply->get_header_value("Retry-After"), reply->status == 503 ? "1" : "");
        return reply->status == 503;
    };
    Stream one{"?organization_id=nowhere", bearer(admin_key()), gateway.port()};
    one.until("\n\n");
    {
        Stream two{"?organization_id=nowhere", bearer(admin_key()), gateway.port()};
        two.until("\n\n");
        EXPECT_TRUE(refused());
        EXPECT_EQ(client.Get("/events?limit=1", bearer(admin_key()))->status, 200)
            << "who does not wait is not refused";
        Stream three{"", bearer(admin_key()), gateway.port()};
        EXPECT_TRUE(three.ends());
        EXPECT_EQ(three.response().status, 503);
    }
    // The one that went is noticed at once or, by some versions of the HTTP library, when it is sent something.
    const auto deadline = Clock::now() + 40s;
    bool still_refused = true;
    while (still_refused && Clock::now() < deadline) {
        std::this_thread::sleep_for(100ms);
        still_refused = refused();
    }
    EXPECT_FALSE(still_refused);
}

TEST(EventStream, EndsWhenTheGatewayStops)
{
    Gateway gateway{{}};
    Stream stream{"?organization_id=nowhere", bearer(admin_key()), gateway.port()};
    stream.until("\n\n");
    auto waiting = std::async(std::launch::async, [&] {
        httplib::Client client{"127.0.0.1", gateway.port()};
        client.set_read_timeout(30s);
        const auto reply = client.Get("/events?organization_id=nowhere&wait=60", bearer(admin_key()));
        return reply ? reply->body : "no reply";
    });
    std::this_thread::sleep_for(500ms);
    const auto start = Clock::now();
    EXPECT_EQ(gateway.stop(), 0);
    EXPECT_LT(Clock::now() - start, 5s);
    EXPECT_TRUE(stream.ends());
    EXPECT_EQ(waiting.get(), "[]");
}

} // namespace
} // namespace pg_org::test
