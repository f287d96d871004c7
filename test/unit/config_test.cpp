// Options and the environment.
#include "config.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>
#include <vector>

using namespace pg_org;

namespace {

std::optional<Config> read(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "pg_org_gateway");
    return read_config(static_cast<int>(arguments.size()), arguments.data());
}

std::string refusal(const std::vector<const char*>& arguments) {
    try {
        read(arguments);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return {};
}

}  // namespace

TEST(Config, HasDefaults) {
    const auto config = read({});
    EXPECT_EQ(config->host, "127.0.0.1");
    EXPECT_EQ(config->port, 4000);
    EXPECT_EQ(config->max_body_bytes, 1u << 20);
    EXPECT_LT(config->lock_timeout, config->statement_timeout);
}

TEST(Config, PrefersOptionsToTheEnvironment) {
    setenv("PG_ORG_PORT", "4100", 1);
    setenv("PG_ORG_LOCK_TIMEOUT", "150", 1);
    EXPECT_EQ(read({})->port, 4100);
    EXPECT_EQ(read({"--port", "4200"})->port, 4200);
    EXPECT_EQ(read({})->lock_timeout, std::chrono::milliseconds{150});
    unsetenv("PG_ORG_PORT");
    unsetenv("PG_ORG_LOCK_TIMEOUT");
}

TEST(Config, HasFlags) {
    EXPECT_FALSE(read({})->no_batching);
    EXPECT_TRUE(read({"--no-batching"})->no_batching);
    for (const auto& [value, expected] : {std::pair{"true", true}, {"1", true}, {"false", false}, {"0", false}}) {
        setenv("PG_ORG_NO_BATCHING", value, 1);
        EXPECT_EQ(read({})->no_batching, expected) << value;
    }
    setenv("PG_ORG_NO_BATCHING", "perhaps", 1);
    EXPECT_NE(refusal({}), "");
    unsetenv("PG_ORG_NO_BATCHING");
}

TEST(Config, RefusesWithOneLine) {
    for (const auto& arguments : std::vector<std::vector<const char*>>{
             {"--port", "70000"}, {"--port", "x"}, {"--port"}, {"--pool-size", "0"}, {"--log-level", "loud"},
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

TEST(Config, WantsAllOfAWebhook) {
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

TEST(Config, NeverRepeatsSecrets) {
    for (const auto& arguments : std::vector<std::vector<const char*>>{
             {"postgres://me:secret@host"}, {"--database-ulr=postgres://me:secret@host"}, {"--nope", "secret"}}) {
        const auto line = refusal(arguments);
        EXPECT_FALSE(line.empty());
        EXPECT_EQ(line.find("secret"), std::string::npos) << line;
    }
}
