// Set up as a deployment would: the database and its roles, the gateway as a process
// of its own, and both taken away at the end.  A gateway or backend that died on the way is a failure.

#include "fixture.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <random>
#include <regex>
#include <stdexcept>
#include <thread>
#include <utility>

namespace pg_org::test {
namespace {

using namespace std::chrono_literals;

std::string random_hex()
{
    std::random_device source;
    char text[17];
    std::snprintf(text, sizeof text, "%08x%08x", source(), source());
    return text;
}

// Below those that the system gives to outgoing connections, one of which could take it before the gateway does.
int free_port()
{
    std::random_device source;
    for (int attempts = 0; attempts < 100; ++attempts) {
        const int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
        const auto port = static_cast<uint16_t>(10'000 + source() % 22'768);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        const bool bound = bind(socket_fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0;
        close(socket_fd);
        if (bound)
            return port;
    }
    throw std::runtime_error("no free port on 127.0.0.1");
}

// The gateway as a process of its own, its log kept to be shown when something failed.
class GatewayProcess {
public:
    explicit GatewayProcess(std::vector<std::string> arguments) : log_(std::tmpfile(), &std::fclose)
    {
        std::vector<char *> argv;
        for (auto &argument : arguments)
            argv.push_back(argument.data());
        argv.push_back(nullptr);
        pid_ = fork();
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            dup2(fileno(log_.get()), STDOUT_FILENO);
            dup2(fileno(log_.get()), STDERR_FILENO);
            execv(argv[0], argv.data());
            _exit(127);
        }
    }

    bool running()
    {
        if (pid_ > 0 && waitpid(pid_, &status_, WNOHANG) == pid_)
            pid_ = 0;
        return pid_ > 0;
    }

    // The exit status, or -1 for a gateway that was killed by a signal or did not stop when asked.
    int stop()
    {
        if (running())
            kill(pid_, SIGTERM);
        for (int tenths = 0; running() && tenths < 100; ++tenths)
            std::this_thread::sleep_for(100ms);
        kill_now();
        return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
    }

    void kill_now()
    {
        if (running())
            kill(pid_, SIGKILL);
        if (pid_ > 0)
            waitpid(pid_, &status_, 0);
        pid_ = 0;
    }

    std::string log() const
    {
        std::rewind(log_.get());
        std::string text;
        for (int byte; (byte = std::fgetc(log_.get())) != EOF;)
            text.push_back(static_cast<char>(byte));
        return text.size() > 8000 ? "…" + text.substr(text.size() - 8000) : text;
    }

private:
    std::unique_ptr<std::FILE, int (*)(std::FILE *)> log_;
    pid_t pid_ = 0;
    int status_ = 0;
};

class World : public testing::Environment {
public:
    void SetUp() override
    {
        make_database();
        gateway_ = make_gateway(port);
    }

    void TearDown() override
    {
        if (gateway_) {
            send("GET /openapi.json", "", {}); // recorded with the replies that it describes
            EXPECT_TRUE(gateway_->running()) << "the gateway died during the tests";
            EXPECT_EQ(gateway_->stop(), 0) << "the gateway did not stop cleanly on SIGTERM";
            if (testing::UnitTest::GetInstance()->Failed())
                std::cerr << gateway_->log();
        }
        if (connection_) {
            EXPECT_EQ(value("SELECT pg_backend_pid()"), backend_pid_) << "the database restarted during the tests";
            connection_.reset();
        }
        drop_database();
    }

    std::string admin_key = "sk-admin-" + random_hex();
    int port = free_port();

    pqxx::connection &connection() { return *connection_; }

    // Ready when this returns.
    std::unique_ptr<GatewayProcess> make_gateway(int port, const std::vector<std::string> &options = {}) const
    {
        const char *binary = std::getenv("PG_ORG_GATEWAY");
        if (!binary)
            throw std::runtime_error("PG_ORG_GATEWAY does not name the gateway's binary");
        const std::string url = "postgresql://" + login_ + "@/" + name_ + "?host=" + encoded(server_setting("PGHOST")) +
                                "&port=" + server_setting("PGPORT");
        std::vector<std::string> arguments{binary,         "--host", "127.0.0.1",      "--port", std::to_string(port),
                                           "--admin-port", "0",      "--database-url", url,      "--log-level",
                                           "warning"};
        arguments.insert(arguments.end(), options.begin(), options.end());
        auto gateway = std::make_unique<GatewayProcess>(arguments);
        for (int tenths = 0; tenths < 100; ++tenths) {
            if (!gateway->running())
                throw std::runtime_error("the gateway does not start:\n" + gateway->log());
            if (auto ready = httplib::Client("127.0.0.1", port).Get("/health/readiness"); ready && ready->status == 200)
                return gateway;
            std::this_thread::sleep_for(100ms);
        }
        throw std::runtime_error("the gateway is not ready after 10 s:\n" + gateway->log());
    }

private:
    static void run(pqxx::connection &connection, const std::string &sql)
    {
        pqxx::nontransaction{connection}.exec(sql);
    }

    void make_database()
    {
        pqxx::connection server{"dbname=postgres"};
        run(server, "CREATE ROLE " + owner_);
        run(server, "CREATE ROLE " + login_ + " LOGIN");
        run(server,
            "CREATE DATABASE " + name_ + " OWNER " + owner_ + " TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'");
        connection_ = std::make_unique<pqxx::connection>("dbname=" + name_);
        run(*connection_, "CREATE EXTENSION pg_org");
        run(*connection_, "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO " + owner_);
        run(*connection_, "SELECT org_grant_access('" + login_ + "')");
        run(*connection_, "SET ROLE " + owner_);
        run(*connection_, "SELECT org_setup()");
        run(*connection_, "RESET ROLE");
        query("SELECT key_generate(user_id => 'default_user_id', key => $1)", admin_key);
        backend_pid_ = value("SELECT pg_backend_pid()");
    }

    static std::string server_setting(const char *variable)
    {
        const char *setting = std::getenv(variable);
        if (!setting)
            throw std::runtime_error(std::string(variable) + " does not name a PostgreSQL server");
        return setting;
    }

    void drop_database()
    {
        pqxx::connection server{"dbname=postgres"};
        run(server, "DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)");
        run(server, "DROP ROLE IF EXISTS " + login_ + ", " + owner_);
    }

    std::string name_ = "org_http_" + random_hex();
    std::string owner_ = name_ + "_owner";
    std::string login_ = name_ + "_gateway";
    std::unique_ptr<pqxx::connection> connection_;
    std::string backend_pid_;
    std::unique_ptr<GatewayProcess> gateway_;
};

World *world = nullptr;

// Keys and their digests: from when a key was handed out on, no reply may hold either.
class Secrets {
public:
    void add(const std::string &key)
    {
        const std::string digest = value("SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex')", key);
        const std::lock_guard lock{mutex_};
        texts_.insert(texts_.end(), {key, digest});
    }

    // Whether the reply has one of them that the request did not: a key's routes reply with what they were asked with.
    bool given_away(const std::string &reply, const std::string &request) const
    {
        const std::lock_guard lock{mutex_};
        return std::any_of(texts_.begin(), texts_.end(), [&](const std::string &secret) {
            return reply.find(secret) != std::string::npos && request.find(secret) == std::string::npos;
        });
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> texts_;
};

Secrets secrets;

// Writes each reply as a line of JSON into the file that PG_ORG_REPLIES names, for check-replies.
class Record {
public:
    void add(const std::string &route, int status, const Json &body)
    {
        const std::lock_guard lock{mutex_};
        if (file_.is_open())
            file_ << Json{{"route", route}, {"status", status}, {"body", body}}.dump(-1, ' ', false,
                                                                                     Json::error_handler_t::replace)
                  << '\n';
    }

private:
    const char *const name_ = std::getenv("PG_ORG_REPLIES");
    std::ofstream file_ = name_ ? std::ofstream{name_} : std::ofstream{};
    std::mutex mutex_;
};

Record record;

void check_every_reply(const Reply &reply, const std::string &route, const std::string &body)
{
    EXPECT_LT(reply.status, 500) << route << "\n" << reply.text.substr(0, 1000);
    EXPECT_EQ(reply.headers.count("x-request-id"), 1u) << route;
    EXPECT_FALSE(secrets.given_away(reply.text, route + body)) << route << " gave a secret away\n"
                                                               << reply.text.substr(0, 1000);
    if (route != "GET /") {
        EXPECT_EQ(reply.header("Content-Type").rfind("application/json", 0), 0u) << route;
        EXPECT_FALSE(reply.body.is_discarded()) << route << " did not answer JSON\n" << reply.text.substr(0, 1000);
    }
}

} // namespace

std::string Reply::header(const std::string &name) const
{
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
}

void PrintTo(const Reply &reply, std::ostream *out) { *out << reply.status << " " << reply.text.substr(0, 2000); }

struct Gateway::Implementation {
    int port = free_port();
    std::unique_ptr<GatewayProcess> process;
};

Gateway::Gateway(const std::vector<std::string> &options) : implementation_(std::make_unique<Implementation>())
{
    implementation_->process = world->make_gateway(implementation_->port, options);
}
Gateway::~Gateway() { kill(); }
int Gateway::port() const { return implementation_->port; }
int Gateway::stop() { return implementation_->process->stop(); }
void Gateway::kill() { implementation_->process->kill_now(); }
std::string Gateway::log() const { return implementation_->process->log(); }

int gateway_port() { return world->port; }
const std::string &admin_key() { return world->admin_key; }
pqxx::connection &database() { return world->connection(); }

Reply send(const std::string &route, const std::string &body, const httplib::Headers &headers, int port)
{
    httplib::Request request;
    request.method = route.substr(0, route.find(' '));
    request.path = route.substr(route.find(' ') + 1);
    request.headers = headers;
    if (!body.empty()) {
        request.body = body;
        request.set_header("Content-Type", "application/json");
    }
    httplib::Client client{"127.0.0.1", port};
    client.set_read_timeout(30s);
    const auto result = client.send(request);
    if (!result)
        throw std::runtime_error(route + ": no reply, " + httplib::to_string(result.error()));
    const Reply reply{result->status, result->headers, result->body, Json::parse(result->body, nullptr, false)};
    check_every_reply(reply, route, body);
    if (request.method != "HEAD" && !reply.body.is_discarded())
        record.add(route, reply.status, reply.body);
    return reply;
}

Reply call(const std::string &route, const Json &body, const std::string &key)
{
    return send(route, body.is_null() ? "" : body.dump(), bearer(key));
}

Json ask(const std::string &route, const Json &body, const std::string &key)
{
    const Reply reply = call(route, body, key);
    if (reply.status != 200) {
        throw std::runtime_error(route + ": " + std::to_string(reply.status) + " " + reply.text.substr(0, 1000));
    }
    return reply.body;
}

httplib::Headers bearer(const std::string &key) { return {{"Authorization", "Bearer " + key}}; }

std::string encoded(const std::string &text)
{
    std::string result;
    for (const unsigned char byte : text) {
        char escape[4];
        std::snprintf(escape, sizeof escape, "%%%02X", byte);
        result += std::isalnum(byte) || byte == '-' || byte == '_' || byte == '.' ? std::string(1, byte) : escape;
    }
    return result;
}

namespace {

bool is_whole(const std::string &answer)
{
    static const std::regex length_field{"\r\nContent-Length: *([0-9]+)", std::regex::icase};
    const auto head_size = answer.find("\r\n\r\n");
    std::smatch field;
    return head_size != std::string::npos && std::regex_search(answer, field, length_field) &&
           answer.size() >= head_size + 4 + std::stoul(field.str(1));
}

} // namespace

std::string exchange(const std::function<std::string()> &next_piece)
{
    const int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(gateway_port()));
    if (connect(socket_fd, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) {
        close(socket_fd);
        throw std::runtime_error("the gateway accepts no connection");
    }
    std::string answer, piece = next_piece();
    for (bool open = true; open;) {
        pollfd ready{socket_fd, static_cast<short>(piece.empty() ? POLLIN : POLLIN | POLLOUT), 0};
        if (poll(&ready, 1, 10'000) != 1)
            break;
        if (ready.revents & POLLIN) {
            char buffer[65536];
            const ssize_t size = recv(socket_fd, buffer, sizeof buffer, 0);
            if (size > 0)
                answer.append(buffer, static_cast<size_t>(size));
            open = size > 0 && !is_whole(answer);
        } else if (ready.revents & POLLOUT) {
            const ssize_t size = ::send(socket_fd, piece.data(), piece.size(), MSG_NOSIGNAL);
            piece = size < 0 ? "" : piece.substr(static_cast<size_t>(size));
            if (size >= 0 && piece.empty())
                piece = next_piece();
        } else {
            open = false;
        }
    }
    close(socket_fd);
    return answer;
}

std::string exchange(const std::string &bytes)
{
    return exchange([rest = bytes]() mutable { return std::exchange(rest, ""); });
}

std::map<std::string, std::string> database_digest()
{
    static const std::string sql = value(
        "SELECT string_agg(format('SELECT %L, md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), ''''))"
        " FROM org.%I AS t', relname, relname), ' UNION ALL ')"
        " FROM pg_class WHERE relnamespace = 'org'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition");
    std::map<std::string, std::string> digest;
    for (const auto &row : query(sql))
        digest[row[0].as<std::string>()] = row[1].as<std::string>();
    return digest;
}

std::string fresh(const std::string &prefix)
{
    static std::atomic<int> last{0};
    return prefix + "-" + std::to_string(++last);
}

Person person(const std::string &user_role)
{
    const std::string id = fresh("user");
    const Json made = ask("POST /user/new", {{"user_id", id}, {"user_role", user_role}});
    secrets.add(made.at("key"));
    return {id, made.at("key")};
}

std::string key_for(const Json &fields)
{
    const std::string key = ask("POST /key/generate", fields).at("key");
    secrets.add(key);
    return key;
}

std::string organization(Json fields)
{
    if (!fields.contains("organization_alias"))
        fields["organization_alias"] = fresh("alias");
    return ask("POST /organization/new", fields).at("organization_id");
}

std::string team(const std::string &organization_id, Json fields)
{
    fields["organization_id"] = organization_id;
    return ask("POST /team/new", fields).at("team_id");
}

void join(const std::string &organization_id, const std::string &user_id, const std::string &role)
{
    ask("POST /organization/member_add",
        {{"organization_id", organization_id}, {"member", {{"user_id", user_id}, {"role", role}}}});
}

Json info(const std::string &organization_id)
{
    return ask("GET /organization/info?organization_id=" + encoded(organization_id));
}

Json member_of(const std::string &organization_id, const std::string &user_id)
{
    const Json shown = info(organization_id);
    for (const Json &member : shown.at("members")) {
        if (member.at("user_id") == user_id)
            return member;
    }
    return nullptr;
}

int count_status(const std::vector<Reply> &replies, int status)
{
    return static_cast<int>(
        std::count_if(replies.begin(), replies.end(), [&](const Reply &reply) { return reply.status == status; }));
}

} // namespace pg_org::test

int main(int argc, char **argv)
{
    testing::InitGoogleMock(&argc, argv);
    pg_org::test::world = new pg_org::test::World;
    testing::AddGlobalTestEnvironment(pg_org::test::world);
    return RUN_ALL_TESTS();
}
