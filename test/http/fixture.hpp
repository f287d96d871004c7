// Shared by the HTTP tests: a database of their own with pg_org in it, a gateway in front of it,
// and short ways to ask the one over HTTP and to look into the other.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>

namespace pg_org::test {

using Json = nlohmann::ordered_json;

struct Reply {
    int status = 0;
    httplib::Headers headers;
    std::string text;
    Json body; // null when the text is not JSON

    std::string header(const std::string &name) const;
};
void PrintTo(const Reply &reply, std::ostream *out);

// A further gateway in front of the same database, with options of its own. Gone, however it ends.
class Gateway {
public:
    explicit Gateway(const std::vector<std::string> &options);
    ~Gateway();

    int port() const;
    int stop(); // the exit status, -1 if it did not stop when asked
    void kill();
    std::string log() const;

private:
    struct Implementation;
    std::unique_ptr<Implementation> implementation_;
};

int gateway_port();
const std::string &admin_key();

// A route is written "POST /organization/new".  Whatever is asked, the reply must have a request
// id, be JSON, hold no secret and be no server error: that is checked here, for every request of every test.
Reply send(const std::string &route, const std::string &body, const httplib::Headers &headers,
           int port = gateway_port());
Reply call(const std::string &route, const Json &body = nullptr, const std::string &key = admin_key());

// The body of a 200; anything else ends the test.
Json ask(const std::string &route, const Json &body = nullptr, const std::string &key = admin_key());

httplib::Headers bearer(const std::string &key);
std::string encoded(const std::string &text); // for a path or a query

// Bytes as they are, piece by piece until an empty one, over a connection of its own; stops early when the
// gateway answers or hangs up.  Returns what came back.
std::string exchange(const std::function<std::string()> &next_piece);
std::string exchange(const std::string &bytes);

// A look into the database, as a superuser.
pqxx::connection &database();

template <typename... Values> pqxx::result query(const std::string &sql, const Values &...values)
{
    pqxx::nontransaction transaction{database()};
#if PQXX_VERSION_MAJOR > 7 || (PQXX_VERSION_MAJOR == 7 && PQXX_VERSION_MINOR >= 10)
    return transaction.exec(sql, pqxx::params{values...});
#else
    return transaction.exec_params(sql, values...);
#endif
}

// The one value of a query as text: "null" for NULL.
template <typename... Values> std::string value(const std::string &sql, const Values &...values)
{
    const pqxx::result rows = query(sql, values...);
    if (rows.size() != 1)
        return std::to_string(rows.size()) + " rows";
    return rows[0][0].is_null() ? "null" : rows[0][0].template as<std::string>();
}

// A digest of the contents of all tables: equal before and after means that nothing changed.
std::map<std::string, std::string> database_digest();

// People and things, each with a name of its own.
struct Person {
    std::string id;
    std::string key;
};

std::string fresh(const std::string &prefix);
Person person(const std::string &user_role = "internal_user");
std::string key_for(const Json &fields);
std::string organization(Json fields = Json::object());
std::string team(const std::string &organization_id, Json fields = Json::object());
void join(const std::string &organization_id, const std::string &user_id, const std::string &role = "internal_user");
Json info(const std::string &organization_id);
Json member_of(const std::string &organization_id, const std::string &user_id); // null if there is none

// All at once, each on a thread of its own.
template <typename Call> std::vector<Reply> in_parallel(int times, Call call_number)
{
    std::vector<std::future<Reply>> calls;
    for (int number = 0; number < times; ++number) {
        calls.push_back(std::async(std::launch::async, call_number, number));
    }
    std::vector<Reply> replies;
    for (auto &one : calls)
        replies.push_back(one.get());
    return replies;
}

int count_status(const std::vector<Reply> &replies, int status);

} // namespace pg_org::test
