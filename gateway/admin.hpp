// The admin listener: metrics and health.
#pragma once

#include "gateway.hpp"
#include "http.hpp"
#include "metrics.hpp"

#include <functional>

namespace pg_org {

class Admin {
public:
    Admin(Gateway &gateway, Metrics &metrics, std::function<Metrics::Now()> now)
        : gateway_{gateway}, metrics_{metrics}, now_{std::move(now)}
    {
    }

    Reply handle(const Request &request);

private:
    Gateway &gateway_;
    Metrics &metrics_;
    const std::function<Metrics::Now()> now_;
};

} // namespace pg_org
