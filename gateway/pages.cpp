#include "pages.hpp"

#include "reply.hpp"

#include <functional>

namespace pg_org {

struct File {
    const char *name, *content_type, *begin, *end;
};

extern "C" const File docs_files[], console_files[]; // in files.S

Reply show_text(std::string_view text, std::string content_type, const Request &request)
{
    const auto tag = '"' + std::to_string(std::hash<std::string_view>{}(text)) + '"';
    const bool known = request.header("if-none-match") == tag;
    Reply reply{known ? 304 : 200, known ? std::string{} : std::string{text}};
    reply.headers = {{"ETag", tag}, {"Cache-Control", "no-cache"}};
    reply.content_type = std::move(content_type);
    return reply;
}

namespace {

Reply show_file(const File *file, std::string_view name, const Request &request)
{
    while (file->name && file->name != name)
        ++file;
    if (!file->name)
        return refuse_path({});
    Reply reply = show_text({file->begin, file->end}, file->content_type, request);
    // Nothing from other hosts, no inline code, and no framing by other pages.
    reply.headers.emplace_back("Content-Security-Policy",
                               "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                               "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    reply.headers.emplace_back("X-Content-Type-Options", "nosniff");
    reply.headers.emplace_back("Referrer-Policy", "no-referrer");
    return reply;
}

} // namespace

Reply show_docs(std::string_view name, const Request &request) { return show_file(docs_files, name, request); }

Reply show_console(std::string_view name, const Request &request) { return show_file(console_files, name, request); }

} // namespace pg_org
