// Batches: requests of a kind that arrive while others of it are in the database go there together when those are back.
// No request waits for a batch to fill: an idle kind sends each at once, alone.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pg_org {

// Limits of a batch.
inline constexpr std::size_t max_in_batch = 256;
inline constexpr std::size_t max_bytes_in_batch = 1 << 20; // unless a single request is larger

class Batches {
public:
    using Requests = std::vector<std::string_view>;
    // Answers all of them, in their order, in one transaction; throws DatabaseError.  Without `wait`, refuses requests
    // that need what others have locked (see held_by).
    using Answer = std::function<std::vector<std::string>(const Requests &, bool wait)>;

    // `patience`: how long a request may wait for its batch.
    explicit Batches(std::chrono::milliseconds patience) : patience_{patience} {}

    // Returns the answer to this request.  Requests of a kind must pass an equivalent `answer`: one of their threads
    // calls it for all.  If a batch fails for a reason that may be one request's, each is tried alone.  Requests that
    // need what others have locked are tried again beside the next batch: those that need the same form a kind.
    std::string ask(const std::string &kind, std::string_view request, const Answer &answer);

    // The number of requests that wait for their batch.
    std::size_t waiting() const;

private:
    struct Waiting;
    using Queue = std::vector<std::shared_ptr<Waiting>>;

    const std::chrono::milliseconds patience_;
    mutable std::mutex mutex_;
    std::unordered_map<std::string, Queue> queues_; // of each kind that has a batch under way

    std::string ask(const std::string &kind, std::string_view request, const Answer &answer, bool wait);
    bool withdraw(const std::string &kind, const Waiting &waiting);
    std::string lead(const std::string &kind, const Answer &answer, bool wait);
    Queue take(const std::string &kind);
    void call_next(const std::string &kind);
};

} // namespace pg_org
