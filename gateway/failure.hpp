// Failures of what is tried again and again.
#pragma once

#include <mutex>
#include <string>

namespace pg_org {

// The last attempt's, so that a failure that lasts is logged once.
class LastFailure {
public:
    // Whether the attempt before succeeded, or failed for another reason.
    bool is_new(const std::string &reason)
    {
        const std::lock_guard lock{mutex_};
        const bool is_other = reason != reason_;
        reason_ = reason;
        return is_other;
    }

    // The attempt succeeded.
    void clear()
    {
        const std::lock_guard lock{mutex_};
        reason_.clear();
    }

private:
    std::mutex mutex_;
    std::string reason_;
};

} // namespace pg_org
