// Many requests as one: those of a kind that come while others of it are in the database wait, and go there together
// when these are back.  Nobody waits for company: at rest each request goes alone, at once.
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

// What goes to the database at once.
inline constexpr std::size_t most_in_batch = 256;
inline constexpr std::size_t most_bytes_in_batch = 1 << 20; // unless a single request has more

class Batches {
public:
    using Requests = std::vector<std::string_view>;
    // Answers all of them, in their order, in one transaction; throws DatabaseError.  Unless it is to wait for what
    // others have locked, it refuses the requests that need that (see held_by).
    using Answer = std::function<std::vector<std::string>(const Requests &, bool wait)>;

    // How long a request waits for its turn at most.
    explicit Batches(std::chrono::milliseconds patience) : patience_{patience} {}

    // The answer to this request.  Those of a kind must mean the same by `answer`: one of their threads asks for all.
    // What fails as a whole, for a reason that may be one request's, is asked again one by one.  Requests that need
    // what others have locked are asked again beside the next batch: those that need the same are a kind of their own.
    std::string ask(const std::string &kind, std::string_view request, const Answer &answer);

    // How many wait for their turn.
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
