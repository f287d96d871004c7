#include "admin.hpp"

#include "reply.hpp"
#include "url.hpp"

namespace pg_org {

namespace {

constexpr std::string_view metrics_path = "/metrics";
constexpr std::string_view health_paths = "/health/";
constexpr auto metrics_type = "text/plain; version=0.0.4; charset=utf-8";

} // namespace

Reply Admin::handle(const Request &request)
{
    std::string_view rest = request.target;
    const auto path = take_until(rest, '?');
    if (path.starts_with(health_paths)) {
        auto plan = gateway_.plan(request);
        return plan.reply ? std::move(*plan.reply) : gateway_.handle(request);
    }
    if (path != metrics_path)
        return refuse_path({});
    if (request.method != "GET" && request.method != "HEAD")
        return refuse_path("GET, HEAD");
    return {200, metrics_.text(now_()), {}, {}, metrics_type};
}

} // namespace pg_org
