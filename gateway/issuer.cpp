#include "issuer.hpp"

#include "log.hpp"
#include "url.hpp"

#include <curl/curl.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace pg_org {
namespace {

constexpr std::chrono::minutes keys_interval{5};
constexpr std::chrono::seconds first_interval{1}; // while there are no keys
// After the last attempt, for an unknown key: anybody can make up one.
constexpr std::chrono::seconds unknown_key_interval{10};
constexpr std::chrono::milliseconds jwks_timeout{5'000};
constexpr std::size_t max_jwks_bytes = 1 << 20;

std::size_t append(char *bytes, std::size_t, std::size_t size, void *text)
{
    auto &taken = *static_cast<std::string *>(text);
    taken.append(bytes, size);
    return taken.size() > max_jwks_bytes ? 0 : size;
}

std::string fetch(const std::string &url)
{
    const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl{curl_easy_init(), curl_easy_cleanup};
    std::string text;
    curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl.get(), CURLOPT_USERAGENT, "pg_org_gateway/" PG_ORG_VERSION);
    curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, long{jwks_timeout.count()});
    curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &text);
    if (const auto result = curl_easy_perform(curl.get()); result != CURLE_OK)
        throw std::runtime_error{curl_easy_strerror(result)};
    return text;
}

std::string read_file(const std::string &path)
{
    std::ifstream file{path};
    if (!file)
        throw std::runtime_error{"can't read the file"};
    return {std::istreambuf_iterator<char>{file}, {}};
}

} // namespace

Issuer::Issuer(const Config &config)
    : name_{config.oidc_issuer}, audience_{config.oidc_audience}, source_{config.oidc_jwks}
{
}

Identity Issuer::identify(const std::string &id_token)
{
    try {
        return check_id_token(id_token, *keys(keys_interval), name_, audience_);
    } catch (const UnknownKey &) {
        return check_id_token(id_token, *keys(unknown_key_interval), name_, audience_);
    }
}

std::shared_ptr<const PublicKeys> Issuer::keys(Clock::duration max_age)
{
    const auto current = [&] {
        const std::lock_guard lock{mutex_};
        const auto interval = keys_ ? max_age : first_interval;
        return std::pair{keys_, read_at_ != Clock::time_point{} && Clock::now() - read_at_ < interval};
    };
    auto [keys, is_fresh] = current();
    if (!is_fresh) {
        std::unique_lock reading{reading_, std::defer_lock};
        if (keys ? reading.try_lock() : (reading.lock(), true)) {
            if (!current().second) // another thread may have read them
                read();
            keys = current().first;
        }
    }
    if (!keys)
        throw NoKeys{};
    return keys;
}

// Keeps the keys that there are if it fails.
void Issuer::read()
{
    std::shared_ptr<const PublicKeys> keys;
    try {
        keys = std::make_shared<PublicKeys>(read_jwks(parse_http_url(source_) ? fetch(source_) : read_file(source_)));
        failure_.clear();
    } catch (const std::exception &error) {
        if (failure_.is_new(error.what()))
            log_event(Level::error, "the issuer's keys are not read, trying again", {{"error", error.what()}});
    }
    const std::lock_guard lock{mutex_};
    read_at_ = Clock::now();
    if (keys)
        keys_ = std::move(keys);
}

} // namespace pg_org
