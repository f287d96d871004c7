// Replies as tables, in the form of CSV (RFC 4180): a header row, then a row for each element of a list.
#pragma once

#include "routes.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pg_org {

// How the replies of a route are shown as a table. Its columns follow from the route's schema in openapi.json alone, so
// that all pages have the same: a field that is an object with fixed fields has a column for each of them, as in
// user.user_id; any other has one.
class Table {
public:
    // Null if the route's reply is no list of objects.
    static const Table *of(const Route &route);

    std::string header() const;

    // The rows of a reply. Throws InvalidJson.
    std::string rows(std::string_view reply) const;
    // How many elements the list of a reply has.
    std::size_t size(std::string_view reply) const;

private:
    using Path = std::vector<std::string>;

    std::string list_;          // the field of the reply that is the list; empty: the reply itself is
    std::vector<Path> columns_; // of an element or, if it is a day's activity, of the sums of a key in it
    bool is_activity_ = false;

    static std::optional<Table> made_for(const Route &route);
    bool describe(const nlohmann::ordered_json &list);
    std::string list_in(std::string_view reply) const;
    void add_row(std::string &rows, std::string_view element) const;
    void add_day(std::string &rows, std::string_view day) const;
};

} // namespace pg_org
