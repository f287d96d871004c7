#include "url.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace pg_org {

std::string hexadecimal(std::span<const unsigned char> bytes, std::string_view digits)
{
    std::string text;
    for (const auto byte : bytes)
        text.append({digits[byte >> 4], digits[byte & 15]});
    return text;
}

std::string percent_encode(std::string_view text)
{
    constexpr std::string_view unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    std::string encoded;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (unreserved.find(c) != std::string_view::npos)
            encoded += c;
        else
            encoded.append("%").append(hexadecimal({&byte, 1}, "0123456789ABCDEF"));
    }
    return encoded;
}

std::string percent_decode(std::string_view text, bool plus_is_space)
{
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned char byte = 0;
        if (text[i] == '%' && i + 2 < text.size() &&
            std::from_chars(&text[i + 1], &text[i + 1] + 2, byte, 16).ptr == &text[i + 1] + 2) {
            decoded += static_cast<char>(byte);
            i += 2;
        } else {
            decoded += plus_is_space && text[i] == '+' ? ' ' : text[i];
        }
    }
    return decoded;
}

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query)
{
    std::vector<std::pair<std::string, std::string>> parameters;
    while (!query.empty()) {
        std::string_view value = take_until(query, '&');
        const std::string_view name = take_until(value, '=');
        if (!name.empty())
            parameters.emplace_back(percent_decode(name, true), percent_decode(value, true));
    }
    return parameters;
}

std::string_view take_until(std::string_view &text, char separator)
{
    const auto end = text.find(separator);
    const auto taken = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    return taken;
}

std::string_view trimmed(std::string_view text, std::string_view blanks)
{
    const auto start = std::min(text.find_first_not_of(blanks), text.size());
    return text.substr(start, text.find_last_not_of(blanks) - start + 1);
}

bool is_like(std::string_view text, std::string_view lower)
{
    return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                      [](unsigned char a, char b) { return std::tolower(a) == b; });
}

std::optional<HttpUrl> parse_http_url(std::string_view url)
{
    const bool has_scheme = url.starts_with("http://") || url.starts_with("https://");
    const bool is_clean = std::all_of(url.begin(), url.end(), [](unsigned char c) { return std::isgraph(c); });
    const auto host = url.find("://") + 3;
    const auto path = std::min(url.find_first_of("/?#", host), url.size());
    if (!has_scheme || !is_clean || path == host || url.find('@', host) < path)
        return std::nullopt;
    const auto rest = url.substr(path, url.find('#') - path);
    return HttpUrl{std::string{url.substr(0, path)}, (rest.starts_with('/') ? "" : "/") + std::string{rest}};
}

} // namespace pg_org
