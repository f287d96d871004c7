// Options and the environment.
#include "config.hpp"

#include <gmock/gmock.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

using namespace pg_org;

namespace {

std::optional<Config> read(std::vector<const char *> arguments)
{
    arguments.insert(arguments.begin(), "pg_org_gateway");
    return read_config(static_cast<int>(arguments.size()), arguments.data());
}

std::string refusal(const std::vector<const char *> &arguments)
{
    try {
        read(arguments);
    } catch (const std::invalid_argument &error) {
        return error.what();
    }
    return {};
}

// A file of that text while the test lasts.
class File {
public:
    explicit File(const std::string &text) { std::ofstream{path} << text; }
    ~File() { std::remove(path.c_str()); }
    const std::string path = testing::TempDir() + "pg_org_config_test." + std::to_string(getpid());
};

} // namespace

TEST(Config, HasDefaults)
{
    const auto config = read({});
    EXPECT_EQ(config->listener.host, "127.0.0.1");
    EXPECT_EQ(config->listener.port, 4000);
    EXPECT_EQ(config->listener.max_body_bytes, 1u << 20);
    EXPECT_LT(config->lock_timeout, config->statement_timeout);
}

TEST(Config, PrefersOptionsToTheEnvironment)
{
    setenv("PG_ORG_PORT", "4100", 1);
    setenv("PG_ORG_LOCK_TIMEOUT", "150", 1);
    EXPECT_EQ(read({})->listener.port, 4100);
    EXPECT_EQ(read({"--port", "4200"})->listener.port, 4200);
    EXPECT_EQ(read({})->lock_timeout, std::chrono::milliseconds{150});
    unsetenv("PG_ORG_PORT");
    unsetenv("PG_ORG_LOCK_TIMEOUT");
}

TEST(Config, HasFlags)
{
    EXPECT_FALSE(read({})->no_batching);
    EXPECT_TRUE(read({"--no-batching"})->no_batching);
    EXPECT_FALSE(read({})->transaction_pooling);
    EXPECT_TRUE(read({"--transaction-pooling"})->transaction_pooling);
    for (const auto &[value, expected] : {std::pair{"true", true}, {"1", true}, {"false", false}, {"0", false}}) {
        setenv("PG_ORG_NO_BATCHING", value, 1);
        EXPECT_EQ(read({})->no_batching, expected) << value;
    }
    setenv("PG_ORG_NO_BATCHING", "perhaps", 1);
    EXPECT_NE(refusal({}), "");
    unsetenv("PG_ORG_NO_BATCHING");
}

TEST(Config, RefusesWithOneLine)
{
    for (const auto &arguments :
         std::vector<std::vector<const char *>>{{"--port", "70000"},
                                                {"--port", "x"},
                                                {"--port"},
                                                {"--pool-size", "0"},
                                                {"--log-level", "loud"},
                                                {"--nope"},
                                                {"--lock-timeout", "5000", "--statement-timeout", "5000"},
                                                {"--max-body-bytes", "-1"}}) {
        const auto line = refusal(arguments);
        EXPECT_FALSE(line.empty()) << arguments[0];
        EXPECT_EQ(line.find('\n'), std::string::npos);
    }
    setenv("PG_ORG_POOL_SIZE", "many", 1);
    EXPECT_NE(refusal({}), "");
    unsetenv("PG_ORG_POOL_SIZE");
}

TEST(Config, WantsAllOfAWebhook)
{
    EXPECT_TRUE(read({})->webhook_url.empty());
    EXPECT_NE(refusal({"--webhook-url", "http://host/"}), "");
    EXPECT_NE(refusal({"--webhook-url", "http://host/", "--webhook-secret", "s"}), "");
    EXPECT_NE(refusal({"--webhook-url", "http://host/", "--webhook-key", "sk-k"}), "");
    setenv("PG_ORG_WEBHOOK_SECRET", "s", 1);
    setenv("PG_ORG_WEBHOOK_KEY", "sk-k", 1);
    EXPECT_EQ(read({"--webhook-url", "http://host/"})->webhook_secret, "s");
    EXPECT_NE(refusal({"--webhook-url", "host"}), "");
    EXPECT_EQ(refusal({"--webhook-url", "http://me:secret@host/"}).find("secret@"), std::string::npos);
    unsetenv("PG_ORG_WEBHOOK_SECRET");
    unsetenv("PG_ORG_WEBHOOK_KEY");
}

TEST(Config, WantsAKeyToMaintain)
{
    EXPECT_FALSE(read({})->maintain);
    EXPECT_EQ(read({})->maintain_interval, std::chrono::minutes{1});
    EXPECT_EQ(refusal({"--maintain"}), "--maintain: needs --maintain-key");
    EXPECT_EQ(refusal({"--maintain-key", "sk-k"}), "");
    EXPECT_NE(refusal({"--maintain", "--maintain-key", "sk-k", "--maintain-interval", "0"}), "");
    const File file{"sk-of-file\n"};
    const auto config = read({"--maintain", "--maintain-key-file", file.path.c_str(), "--maintain-interval", "86"});
    EXPECT_TRUE(config->maintain);
    EXPECT_EQ(config->maintain_key, "sk-of-file");
    EXPECT_EQ(config->maintain_interval, std::chrono::milliseconds{86});
    setenv("PG_ORG_MAINTAIN", "true", 1);
    EXPECT_NE(refusal({}), "");
    setenv("PG_ORG_MAINTAIN_KEY", "sk-of-environment", 1);
    EXPECT_EQ(read({})->maintain_key, "sk-of-environment");
    unsetenv("PG_ORG_MAINTAIN");
    unsetenv("PG_ORG_MAINTAIN_KEY");
}

TEST(Config, NeverRepeatsSecrets)
{
    for (const auto &arguments : std::vector<std::vector<const char *>>{
             {"postgres://me:secret@host"}, {"--database-ulr=postgres://me:secret@host"}, {"--nope", "secret"}}) {
        const auto line = refusal(arguments);
        EXPECT_FALSE(line.empty());
        EXPECT_EQ(line.find("secret"), std::string::npos) << line;
    }
}

TEST(Config, ReadsAFileBehindTheEnvironment)
{
    const File file{"port = 4100\nno-batching = true\nmax-waiting = 7\n"};
    setenv("PG_ORG_MAX_WAITING", "8", 1);
    const auto config = read({"--config", file.path.c_str(), "--port", "4200"});
    unsetenv("PG_ORG_MAX_WAITING");
    EXPECT_EQ(config->listener.port, 4200);
    EXPECT_EQ(config->listener.max_waiting, 8u);
    EXPECT_TRUE(config->no_batching);
    EXPECT_NE(refusal({"--config", "/nowhere/at/all"}), "");
}

TEST(Config, RefusesAFileWithWhatItDoesNotKnow)
{
    const File file{"prot = 4100\n"};
    EXPECT_NE(refusal({"--config", file.path.c_str()}).find("prot"), std::string::npos);
}

TEST(Config, SaysWhichLineOfAFileIsNone)
{
    const File file{"# comment\n\nport = 4100\n  webhook-key secret\n"};
    EXPECT_EQ(refusal({"--config", file.path.c_str()}), "--config: line 4: write name = value");
}

TEST(Config, NamesTheVariableThatIsWrong)
{
    setenv("PG_ORG_PORT", "abc", 1);
    EXPECT_THAT(refusal({}), testing::StartsWith("PG_ORG_PORT: Value abc not in range"));
    EXPECT_THAT(refusal({"--port=xyz"}), testing::StartsWith("--port: Value xyz not in range"));
    unsetenv("PG_ORG_PORT");
}

TEST(Config, WantsTwoPorts)
{
    EXPECT_EQ(refusal({"--port", "4875", "--admin-port", "4875"}), "--admin-port: is the same as --port");
    EXPECT_EQ(refusal({"--port", "4875", "--admin-port", "4875", "--admin-host", "127.0.0.2"}), "");
    EXPECT_EQ(refusal({"--port", "0", "--admin-port", "0"}), "");
}

TEST(Config, ReadsSecretsFromFiles)
{
    const File file{"postgres://me:secret@host/db\n"};
    EXPECT_EQ(read({"--database-url-file", file.path.c_str()})->database_url, "postgres://me:secret@host/db");
    EXPECT_NE(refusal({"--database-url-file", file.path.c_str(), "--database-url", "postgres://host"}), "");
    EXPECT_NE(refusal({"--database-url-file", "/nowhere/at/all"}), "");
    setenv("DATABASE_URL_FILE", file.path.c_str(), 1);
    EXPECT_EQ(read({})->database_url, "postgres://me:secret@host/db");
    unsetenv("DATABASE_URL_FILE");
}

TEST(Config, TakesSeveralReplicas)
{
    const File file{"host=one password=a,b\nhost=two\n"};
    const std::vector<std::string> both{"host=one password=a,b", "host=two"};
    EXPECT_EQ(read({"--replica-url", both[0].c_str(), "--replica-url", both[1].c_str()})->replica_urls, both);
    EXPECT_EQ(read({"--replica-url-file", file.path.c_str()})->replica_urls, both);
    setenv("PG_ORG_REPLICA_URL", (both[0] + '\n' + both[1]).c_str(), 1);
    EXPECT_EQ(read({})->replica_urls, both);
    unsetenv("PG_ORG_REPLICA_URL");
}

TEST(Config, ShowsNoSecrets)
{
    const auto config = read({"--database-url", "postgres://me:secret@host", "--webhook-secret", "secret",
                              "--webhook-key=secret", "--webhook-url", "http://host:8080/hook?of=secret",
                              "--maintain-key=secret", "--replica-url", "password=secret", "--port", "4100"});
    std::string shown;
    for (const auto &[name, value] : config->shown)
        shown += name + '=' + value + '\n';
    EXPECT_EQ(shown.find("secret\n"), std::string::npos) << shown;
    EXPECT_NE(shown.find("webhook-url=http://host:8080\n"), std::string::npos) << shown;
    EXPECT_NE(shown.find("port=4100\n"), std::string::npos) << shown;
    EXPECT_NE(shown.find("database-url=***\n"), std::string::npos) << shown;
}

TEST(Config, ShowsOfAWebhookOnlyWhoGetsIt)
{
    const auto config = read({"--webhook-url", "https://hooks.example.com:8443/services/secret?token=secret",
                              "--webhook-secret", "s", "--webhook-key", "k"});
    EXPECT_THAT(config->shown, testing::Contains(testing::Pair("webhook-url", "https://hooks.example.com:8443")));
    for (const auto &[name, value] : config->shown)
        EXPECT_EQ(value.find("secret"), std::string::npos) << name;
}

TEST(Config, HasAVariableForEachOption)
{
    for (const auto &[name, value] : {std::pair{"PG_ORG_MAX_BODY_BYTES", "1000"},
                                      {"PG_ORG_ADMIN_PORT", "4101"},
                                      {"PG_ORG_WEBHOOK_SECRET", "s"},
                                      {"DATABASE_URL", "host=here"}})
        setenv(name, value, 1);
    const auto config = read({});
    EXPECT_EQ(config->listener.max_body_bytes, 1000u);
    EXPECT_EQ(config->admin.port, 4101);
    EXPECT_EQ(config->webhook_secret, "s");
    EXPECT_EQ(config->database_url, "host=here");
    for (const auto *name : {"PG_ORG_MAX_BODY_BYTES", "PG_ORG_ADMIN_PORT", "PG_ORG_WEBHOOK_SECRET", "DATABASE_URL"})
        unsetenv(name);
}

// No more than operators need, whatever clients may have.
TEST(Config, KeepsTheOperatorsListenerSmall)
{
    const auto config = read({"--threads", "500", "--max-connections", "5000"});
    EXPECT_EQ(config->listener.threads, 500u);
    EXPECT_EQ(config->admin.threads, 2u);
    EXPECT_EQ(config->admin.max_connections, 100u);
    EXPECT_EQ(config->admin.max_body_bytes, config->listener.max_body_bytes);
}

TEST(Config, RefusesClearTextOnTheNetwork)
{
    for (const auto *host : {"0.0.0.0", "::", "192.0.2.1", "example.com"}) {
        EXPECT_NE(refusal({"--host", host}), "") << host;
        EXPECT_EQ(refusal({"--host", host, "--insecure-http"}), "") << host;
        EXPECT_EQ(refusal({"--host", host, "--tls-cert", "c", "--tls-key", "k"}), "") << host;
    }
    for (const auto *host : {"127.0.0.1", "127.0.0.2", "::1", "localhost"})
        EXPECT_EQ(refusal({"--host", host}), "") << host;
    EXPECT_NE(refusal({"--tls-cert", "c"}), "");
    EXPECT_NE(refusal({"--tls-key", "k"}), "");
}
