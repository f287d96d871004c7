#include "framing.hpp"

#include "url.hpp"

#include <strings.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace pg_org {
namespace {

constexpr auto malformed = "The request is malformed";
constexpr auto unclear = "The length of the body is unclear";
constexpr std::string_view line_end = "\r\n";

bool is_token_character(unsigned char c)
{
    return std::isalnum(c) || std::string_view{"!#$%&'*+-.^_`|~"}.find(static_cast<char>(c)) != std::string_view::npos;
}

bool is_token(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character);
}

bool is_text(std::string_view text)
{
    return std::none_of(text.begin(), text.end(), [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

bool equal(std::string_view one, std::string_view other)
{
    return one.size() == other.size() && strncasecmp(one.data(), other.data(), one.size()) == 0;
}

// Reads all of the text as a number, with so few digits that it can't overflow.
bool read_number(std::string_view text, int base, std::size_t &number)
{
    const std::size_t max_digits = base == 16 ? 16 : 19;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return text.size() <= max_digits && error == std::errc{} && rest == text.data() + text.size();
}

} // namespace

void Arrival::take(std::string_view &bytes)
{
    while (!bytes.empty() && !is_whole() && fault_.status == 0) {
        switch (stage_) {
        case Stage::head: take_head(bytes); break;
        case Stage::content:
        case Stage::chunk: take_content(bytes); break;
        default: take_line(bytes);
        }
    }
}

bool Arrival::keeps_alive() const
{
    for (auto [name, options] : fields_)
        while (equal(name, "connection") && !options.empty())
            if (equal(trimmed(take_until(options, ',')), "close"))
                return false;
    return !is_http_1_0_;
}

bool Arrival::expects_continue() const
{
    const bool has_body = !body_.empty() || framing_ > 0;
    return has_head() && !is_whole() && !has_body && !is_http_1_0_ && equal(field("expect"), "100-continue");
}

std::string_view Arrival::field(std::string_view name) const
{
    const auto is_named = [&](const auto &field) { return equal(field.first, name); };
    const auto found = std::find_if(fields_.begin(), fields_.end(), is_named);
    return found == fields_.end() ? std::string_view{} : found->second;
}

std::size_t Arrival::count(std::string_view name) const
{
    return static_cast<std::size_t>(
        std::count_if(fields_.begin(), fields_.end(), [&](auto &field) { return equal(field.first, name); }));
}

void Arrival::take_head(std::string_view &bytes)
{
    // Some clients send an empty line after a body.
    if (head_.empty() && line_end.find(bytes.front()) != line_end.npos && blanks_++ < 2)
        return bytes.remove_prefix(1);
    const auto known = head_.size();
    head_.append(bytes.substr(0, max_head_ - known));
    const auto end = head_.find("\r\n\r\n", known < 3 ? 0 : known - 3);
    head_.resize(end == head_.npos ? head_.size() : end + 4);
    bytes.remove_prefix(head_.size() - known);
    for (auto at = head_.find('\n', known); at != head_.npos; at = head_.find('\n', at + 1))
        if (at == 0 || head_[at - 1] != '\r')
            return fail(400, malformed);
    if (!is_token_character(static_cast<unsigned char>(head_.front())))
        fail(400, malformed);
    else if (end != head_.npos)
        read_head();
    else if (head_.size() == max_head_ && head_.find('\n') == head_.npos)
        fail(414, "The URI is too long");
    else if (head_.size() == max_head_)
        fail(431, "The headers are larger than " + std::to_string(max_head_) + " bytes");
}

void Arrival::read_head()
{
    auto rest = std::string_view{head_}.substr(0, head_.size() - line_end.size());
    const auto next_line = [&] {
        const auto line = take_until(rest, '\n');
        return line.substr(0, line.size() - 1);
    };
    bool is_good = read_request_line(next_line());
    while (is_good && !rest.empty())
        is_good = read_field(next_line());
    if (!is_good)
        return fail(400, malformed);
    if (const auto hosts = count("host"); hosts > 1 || (hosts == 0 && !is_http_1_0_))
        return fail(400, "A request needs exactly one Host header");
    read_framing();
}

bool Arrival::read_request_line(std::string_view line)
{
    if (!is_text(line))
        return false;
    method_ = take_until(line, ' ');
    target_ = take_until(line, ' ');
    is_http_1_0_ = line == "HTTP/1.0";
    return is_token(method_) && !target_.empty() && target_.find('\t') == target_.npos &&
           (is_http_1_0_ || line == "HTTP/1.1");
}

// Refuses folded headers as well: a line that begins with white space has no valid name.
bool Arrival::read_field(std::string_view line)
{
    if (!is_text(line) || line.find(':') == line.npos)
        return false;
    const auto name = take_until(line, ':');
    fields_.emplace_back(name, trimmed(line));
    return is_token(name);
}

// Refuses whatever a proxy could read differently, which would allow request smuggling.
void Arrival::read_framing()
{
    const auto lengths = count("content-length"), encodings = count("transfer-encoding");
    const bool is_chunked = encodings > 0;
    if (lengths + encodings > 1 || (is_chunked && (is_http_1_0_ || !equal(field("transfer-encoding"), "chunked"))))
        return fail(400, unclear);
    if (lengths > 0) {
        if (!read_number(field("content-length"), 10, expected_))
            return fail(400, unclear);
        if (expected_ > max_body_)
            return fail(413, "The body is larger than " + std::to_string(max_body_) + " bytes");
    }
    stage_ = is_chunked ? Stage::chunk_size : expected_ > 0 ? Stage::content : Stage::whole;
}

void Arrival::take_content(std::string_view &bytes)
{
    const auto taken = bytes.substr(0, expected_);
    body_.append(taken);
    bytes.remove_prefix(taken.size());
    expected_ -= taken.size();
    if (expected_ == 0)
        stage_ = stage_ == Stage::content ? Stage::whole : Stage::chunk_end;
}

void Arrival::take_line(std::string_view &bytes)
{
    const auto taken = bytes.substr(0, std::min({bytes.find('\n'), bytes.size() - 1, max_head_ - framing_}) + 1);
    bytes.remove_prefix(taken.size());
    line_.append(taken);
    framing_ += taken.size();
    if (stage_ == Stage::chunk_end && !line_end.starts_with(line_))
        return fail(400, unclear);
    if (framing_ > max_head_)
        return fail(413, "Chunk framing and trailers are larger than " + std::to_string(max_head_) + " bytes");
    if (!line_.ends_with('\n'))
        return;
    if (!line_.ends_with(line_end) || !is_text(std::string_view{line_}.substr(0, line_.size() - line_end.size())))
        return fail(400, malformed);
    read_line();
    line_.clear();
}

void Arrival::read_line()
{
    if (stage_ == Stage::chunk_size)
        read_chunk_size();
    else if (stage_ == Stage::chunk_end)
        stage_ = Stage::chunk_size;
    else if (line_ == line_end)
        stage_ = Stage::whole; // trailers are dropped
}

void Arrival::read_chunk_size()
{
    const std::string_view line{line_};
    const auto size = trimmed(line.substr(0, line.find_first_of(";\r")));
    if (!line.starts_with(size) || !read_number(size, 16, expected_))
        return fail(400, unclear);
    if (expected_ > max_body_ - body_.size())
        return fail(413, "The body is larger than " + std::to_string(max_body_) + " bytes");
    stage_ = expected_ == 0 ? Stage::trailer : Stage::chunk;
}

} // namespace pg_org
