#include "paging.hpp"

#include "binding.hpp"
#include "url.hpp"

#include <nlohmann/json.hpp>

namespace pg_org {

using nlohmann::json;

std::string next_page(const Route& route, const Fields& query, std::string_view reply) {
    const auto limit = query.find("limit");
    if (route.page_key.empty() || limit == query.end())
        return {};

    const auto page = json::parse(reply, [](int depth, json::parse_event_t event, json&) {
        const bool opens = event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
        return depth < 2 || !opens;  // what the elements hold besides plain fields is of no interest here
    });
    if (page.empty() || std::to_string(page.size()) != integer_text(limit->second.text))
        return {};

    std::string link = "<" + std::string{route.path} + "?";
    for (const auto& [name, value] : query)
        if (name != "after")
            link += percent_encode(name) + "=" + percent_encode(value.text) + "&";
    const auto& last = page.back().at(std::string{route.page_key});
    return link + "after=" + percent_encode(last.is_string() ? last.get<std::string>() : last.dump()) +
           ">; rel=\"next\"";
}

}  // namespace pg_org
