// Lists and reports as CSV: whether it is wanted, and page after page.
#pragma once

#include "bind.hpp"
#include "http.hpp"
#include "read.hpp"
#include "routes.hpp"
#include "shares.hpp"
#include "table.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace pg_org {

// Whether an Accept header (RFC 9110) prefers CSV to JSON.
bool prefers_csv(std::string_view accept);

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
