// Lists and reports as CSV (RFC 4180): a header row, then a row for each element, page after page.
#pragma once

#include "bind.hpp"
#include "http.hpp"
#include "read.hpp"
#include "routes.hpp"
#include "shares.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pg_org {

// Whether an Accept header (RFC 9110) prefers CSV to JSON.
bool prefers_csv(std::string_view accept);

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

// Asks for the first page of a list, as long as it may be. False if the request names a page itself, or if there are
// none.
bool ask_for_all(Asked &asked, const Function &function);
// Asks for the page after this one; false if this is the last one.
bool ask_for_next(Asked &asked, const Table &table, std::string_view page);

// Makes a reply a table: of the page that it holds or, if it is the first one of all, of all pages. The other ones are
// fetched when the client has taken those before, so that it may be slow.
class CsvWriter {
public:
    using Fetch = std::function<std::string(const Asked &)>; // may throw DatabaseError

    // Each client that is sent several pages occupies a thread, so their number is limited.
    explicit CsvWriter(std::size_t places) : places_{places} {}

    void show_page(Reply &reply, const Table &table);
    void show_all(Reply &reply, const Table &table, Asked asked, Fetch fetch, std::string request_id);

private:
    Places places_;
};

} // namespace pg_org
