#include "viewer.hpp"

#include "reply.hpp"

#include <algorithm>
#include <array>

#define FILE_OF_VIEWER(name) extern const char viewer_##name[], viewer_##name##_end[];
extern "C" {
FILE_OF_VIEWER(index)
FILE_OF_VIEWER(page_css)
FILE_OF_VIEWER(page_js)
FILE_OF_VIEWER(swagger_css)
FILE_OF_VIEWER(swagger_js)
FILE_OF_VIEWER(swagger_license)
FILE_OF_VIEWER(swagger_js_license)
}

namespace pg_org {
namespace {

struct File {
    std::string_view name;
    const char* content_type;
    const char *begin, *end;
};

constexpr auto html = "text/html; charset=utf-8", css = "text/css; charset=utf-8",
               javascript = "text/javascript; charset=utf-8", text = "text/plain; charset=utf-8";

constexpr std::array files{
    File{"", html, viewer_index, viewer_index_end},
    File{"page.css", css, viewer_page_css, viewer_page_css_end},
    File{"page.js", javascript, viewer_page_js, viewer_page_js_end},
    File{"swagger-ui.css", css, viewer_swagger_css, viewer_swagger_css_end},
    File{"swagger-ui-bundle.js", javascript, viewer_swagger_js, viewer_swagger_js_end},
    File{"LICENSE", text, viewer_swagger_license, viewer_swagger_license_end},
    File{"swagger-ui-bundle.js.LICENSE.txt", text, viewer_swagger_js_license, viewer_swagger_js_license_end},
};

// Nothing from elsewhere, nothing written into the page, and the page in no other's frame.
constexpr auto policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace

Reply show_viewer(std::string_view file, const Request& request) {
    const auto found = std::find_if(files.begin(), files.end(), [&](const File& known) { return known.name == file; });
    if (found == files.end())
        return refuse_path({});
    Reply reply = show_text({found->begin, found->end}, found->content_type, request);
    reply.headers.emplace_back("Content-Security-Policy", policy);
    reply.headers.emplace_back("X-Content-Type-Options", "nosniff");
    reply.headers.emplace_back("Referrer-Policy", "no-referrer");
    return reply;
}

}  // namespace pg_org
