// Bytes in hexadecimal, percent-encoding, query strings, URLs.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pg_org {

std::string hexadecimal(std::span<const unsigned char> bytes, std::string_view digits = "0123456789abcdef");

std::string percent_encode(std::string_view text);

// Leaves alone what is not a percent-encoded byte.
std::string percent_decode(std::string_view text, bool plus_is_space = false);

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);

// Returns the text before the separator and leaves in `text` what follows it.
std::string_view take_until(std::string_view &text, char separator);

std::string_view trimmed(std::string_view text, std::string_view blanks = " \t");

// Whether the text is this lower-case one in any case.
bool is_like(std::string_view text, std::string_view lower);

struct HttpUrl {
    std::string origin; // scheme, host and port
    std::string path;   // and query
};

// Takes an absolute http or https URL without a user; nothing for any other.
std::optional<HttpUrl> parse_http_url(std::string_view url);

} // namespace pg_org
