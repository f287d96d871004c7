// What operators ask, on a listener of their own: metrics and health.
#pragma once

#include "gateway.hpp"
#include "http.hpp"
#include "metrics.hpp"

#include <functional>

namespace pg_org {

class Admin {
public:
    Admin(Gateway& gateway, Metrics& metrics, std::function<std::size_t()> connections)
        : gateway_{gateway}, metrics_{metrics}, connections_{std::move(connections)} {}

    Reply handle(const Request& request);

private:
    Gateway& gateway_;
    Metrics& metrics_;
    const std::function<std::size_t()> connections_;  // of the public listener
};

}  // namespace pg_org
