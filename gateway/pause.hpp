// Waiting between repetitions, or until asked to stop.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace pg_org {

// False when asked to stop.
inline bool pause(std::stop_token stop, std::chrono::nanoseconds duration)
{
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock{mutex};
    stopped.wait_for(lock, stop, duration, [] { return false; });
    return !stop.stop_requested();
}

} // namespace pg_org
