#include "conninfo.hpp"

#include "url.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace pg_org {
namespace {

using Parameters = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

void add(std::string &conninfo, std::string_view keyword, std::string_view value)
{
    conninfo.append(keyword).append("='");
    for (const char c : value) {
        if (c == '\'' || c == '\\')
            conninfo += '\\';
        conninfo += c;
    }
    conninfo += "' ";
}

const char *value_of(const PQconninfoOption &parameter)
{
    return parameter.val ? parameter.val : parameter.envvar ? std::getenv(parameter.envvar) : nullptr;
}

// The elements of a list with commas, as libpq reads it.
std::vector<std::string> elements_of(const Parameters &parameters, std::string_view keyword)
{
    const auto *parameter = parameters.get();
    while (parameter->keyword != keyword)
        ++parameter;
    std::vector<std::string> elements;
    const char *value = value_of(*parameter);
    std::string_view rest{value ? value : ""};
    for (bool is_last = rest.empty(); !is_last;) {
        is_last = rest.find(',') == rest.npos;
        elements.emplace_back(take_until(rest, ','));
    }
    return elements;
}

bool names_server(std::string_view keyword) { return keyword == "host" || keyword == "hostaddr" || keyword == "port"; }

} // namespace

Conninfo::Conninfo(const std::string &option, const std::string &url, std::chrono::milliseconds patience)
{
    const std::array<std::pair<std::string_view, std::string>, 6> defaults{{
        {"fallback_application_name", "pg_org_gateway"},
        {"connect_timeout", "2"},
        {"keepalives_idle", "10"},
        {"keepalives_interval", "3"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", std::to_string(patience.count())},
    }};
    // Checked here because libpq's own message quotes the URL's password.
    const Parameters parameters{PQconninfoParse(url.c_str(), nullptr), PQconninfoFree};
    if (!parameters)
        throw std::invalid_argument{option + ": not a connection URL or key=value pairs"};

    const auto hosts = elements_of(parameters, "host"), addresses = elements_of(parameters, "hostaddr"),
               ports = elements_of(parameters, "port");
    const auto count = std::max(hosts.size(), addresses.size());
    // Lists of different lengths are for libpq to refuse.
    const auto fits = [&](const auto &list) { return list.empty() || list.size() == count; };
    if (count > 1 && fits(hosts) && fits(addresses) && (ports.size() == 1 || fits(ports))) {
        const auto element = [](const auto &list, std::size_t i) {
            return list.empty() ? std::string{} : list[std::min(i, list.size() - 1)];
        };
        for (std::size_t i = 0; i < count; ++i)
            places_.push_back({element(hosts, i), element(addresses, i), element(ports, i)});
    }

    for (const auto *parameter = parameters.get(); parameter->keyword; ++parameter) {
        const std::string_view keyword{parameter->keyword};
        const auto *const found =
            std::find_if(defaults.begin(), defaults.end(), [&](const auto &known) { return known.first == keyword; });
        if (!places_.empty() && names_server(keyword))
            continue;
        if (keyword == "client_encoding")
            add(parameters_, keyword, "UTF8");
        else if (parameter->val)
            add(parameters_, keyword, parameter->val);
        else if (found != defaults.end() && !value_of(*parameter))
            add(parameters_, keyword, found->second);
    }
}

std::string Conninfo::text() const
{
    auto text = parameters_;
    const auto add_list = [&](std::string_view keyword, std::string Place::*part) {
        if (std::all_of(places_.begin(), places_.end(), [&](const Place &place) { return (place.*part).empty(); }))
            return;
        std::string list;
        for (const Place &place : places_)
            list.append(&place == &places_[0] ? "" : ",").append(place.*part);
        add(text, keyword, list);
    };
    add_list("host", &Place::host);
    add_list("hostaddr", &Place::address);
    add_list("port", &Place::port);
    return text;
}

std::optional<Conninfo> Conninfo::without(const Endpoint &server) const
{
    auto others = *this;
    std::erase_if(others.places_, [&](const Place &place) { return place.is(server); });
    if (others.places_.empty())
        return std::nullopt;
    return others;
}

void Conninfo::try_first(const Endpoint &server)
{
    std::stable_partition(places_.begin(), places_.end(), [&](const Place &place) { return place.is(server); });
}

void Conninfo::try_last(const Endpoint &server)
{
    std::stable_partition(places_.begin(), places_.end(), [&](const Place &place) { return !place.is(server); });
}

} // namespace pg_org
