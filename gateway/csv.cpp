#include "csv.hpp"

#include "log.hpp"
#include "observation.hpp"
#include "reply.hpp"
#include "url.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace pg_org {
namespace {

constexpr auto csv_content_type = "text/csv; charset=utf-8; header=present";
constexpr auto longest_page = "1000";
// Pieces of a page are sent one by one, so that a slow client has time for each.
constexpr std::size_t piece_size = 64 << 10;

Value text_value(std::string text) { return {Value::Kind::string, std::move(text), {}}; }

// How much a media type is wanted, from 0 to 1: the most specific range of the header that has it says so.
double quality_of(std::string_view type, std::string_view accept)
{
    const std::string any_like_it = std::string{type.substr(0, type.find('/'))} + "/*";
    int best = 0;
    double quality = 0;
    while (!accept.empty()) {
        auto range = take_until(accept, ',');
        const auto name = trimmed(take_until(range, ';'));
        const int specific = is_like(name, type) ? 3 : is_like(name, any_like_it) ? 2 : name == "*/*" ? 1 : 0;
        if (specific <= best)
            continue;
        best = specific;
        quality = 1;
        while (!range.empty()) {
            auto parameter = take_until(range, ';');
            if (is_like(trimmed(take_until(parameter, '=')), "q"))
                quality = std::strtod(std::string{trimmed(parameter)}.c_str(), nullptr);
        }
    }
    return quality;
}

bool send_in_pieces(const Sink &sink, std::string_view text)
{
    for (; !text.empty(); text.remove_prefix(std::min(piece_size, text.size())))
        if (!sink.write(text.substr(0, piece_size)))
            return false;
    return true;
}

bool send_all_pages(const Sink &sink, const Table &table, Asked &asked, std::string page, const CsvWriter::Fetch &fetch)
{
    std::string text = table.header();
    for (;;) {
        text += table.rows(page);
        if (!send_in_pieces(sink, text))
            return false;
        text.clear();
        if (!ask_for_next(asked, table, page))
            return true;
        page = fetch(asked);
    }
}

} // namespace

bool prefers_csv(std::string_view accept)
{
    return quality_of("text/csv", accept) > quality_of("application/json", accept);
}

bool ask_for_all(Asked &asked, const Function &function)
{
    for (const auto *name : {"limit", "page", "page_size", "size"})
        if (asked.fields.contains(name))
            return false;
    if (find_argument(function, "return_full_object"))
        asked.fields["return_full_object"] = text_value("true");
    const bool is_sorted = asked.fields.contains("sort_by") || asked.fields.contains("sort_order");
    if (!asked.route.cursor.empty() && !is_sorted) {
        asked.fields["limit"] = text_value(longest_page);
        return true;
    }
    for (const auto *size : {"page_size", "size"})
        if (find_argument(function, "page") && find_argument(function, size)) {
            asked.fields["page"] = text_value("1");
            asked.fields[size] = text_value(longest_page);
            return true;
        }
    return false;
}

bool ask_for_next(Asked &asked, const Table &table, std::string_view page)
{
    asked.wait = {};
    if (asked.fields.contains("limit")) {
        const auto after = next_cursor(asked.route, page, longest_page);
        asked.fields["after"] = text_value(after);
        return !after.empty();
    }
    Value &number = asked.fields["page"];
    number = text_value(std::to_string(std::stoll(number.text) + 1));
    return std::to_string(table.size(page)) == longest_page;
}

void CsvWriter::show_page(Reply &reply, const Table &table)
{
    reply.body = table.header() + table.rows(reply.body);
    reply.content_type = csv_content_type;
}

void CsvWriter::show_all(Reply &reply, const Table &table, Asked asked, Fetch fetch, std::string request_id)
{
    if (Asked next = asked; !ask_for_next(next, table, reply.body))
        return show_page(reply, table);
    const auto place = places_.take(trace().owner);
    if (!place) {
        reply = refuse(503, "Too many lists are being read as CSV, try again");
        return;
    }
    reply.content_type = csv_content_type;
    reply.stream = [place, &table, asked = std::move(asked), fetch = std::move(fetch), id = std::move(request_id),
                    page = std::exchange(reply.body, {})](const Sink &sink) {
        Asked next = asked;
        try {
            return send_all_pages(sink, table, next, page, fetch);
        } catch (const std::exception &error) {
            log_event(Level::warning, "CSV ended before its last row", {{"request_id", id}, {"error", error.what()}});
            return false;
        }
    };
}

} // namespace pg_org
