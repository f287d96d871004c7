#include "maintenance.hpp"

#include "log.hpp"
#include "pause.hpp"
#include "routes.hpp"

namespace pg_org {
namespace {

// How soon to look again whether the catalog, which says why it is not, is loaded.
constexpr std::chrono::milliseconds loading_interval{1000};

// Between parts, for as many times as long as the last one took: so requests have most of the database's time.
constexpr int rest = 4;

std::chrono::milliseconds since(std::chrono::steady_clock::time_point began)
{
    return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
}

} // namespace

Maintenance::Maintenance(const Config &config, Database &database, const Catalog &catalog)
    : interval_{config.maintain_interval}, caller_{database, catalog, config.maintain_key},
      thread_{[this](std::stop_token stop) {
          while (pause(stop, do_part())) {
          }
      }}
{
}

// Returns how long to wait before the next part.
std::chrono::milliseconds Maintenance::do_part()
{
    const auto began = std::chrono::steady_clock::now();
    try {
        const auto reply = caller_.call(maintain_function);
        if (!reply)
            return loading_interval;
        const auto done = nlohmann::ordered_json::parse(*reply);
        const bool is_complete = done.at("is_complete");
        for (const auto &step : done.at("steps"))
            log_event(Level::info, "tables maintained", step);
        failure_.clear();
        return is_complete ? interval_ : rest * since(began);
    } catch (const std::exception &error) {
        if (failure_.is_new(error.what()))
            log_event(Level::warning, "tables not maintained, trying again", {{"error", error.what()}});
        return interval_;
    }
}

} // namespace pg_org
