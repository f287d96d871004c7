#include "http.hpp"

#include <functional>

namespace pg_org {

Reply show_text(std::string_view text, std::string content_type, const Request& request) {
    const auto tag = '"' + std::to_string(std::hash<std::string_view>{}(text)) + '"';
    const bool known = request.header("if-none-match") == tag;
    Reply reply{known ? 304 : 200, known ? std::string{} : std::string{text}};
    reply.headers = {{"ETag", tag}, {"Cache-Control", "no-cache"}};
    reply.content_type = std::move(content_type);
    return reply;
}

}  // namespace pg_org
