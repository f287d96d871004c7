#include "batch.hpp"

#include <algorithm>
#include <array>
#include <future>
#include <iterator>

namespace pg_org {
namespace {

// What failures begin with that are the same for each request: the caller's key is refused, or the database is away or
// overloaded.
constexpr std::array<std::string_view, 6> common_failures{"08", "28", "42501", "53", "57014", "57P"};

bool is_common(const DatabaseError& error) {
    return std::any_of(common_failures.begin(), common_failures.end(),
                       [&](std::string_view common) { return error.sqlstate.starts_with(common); });
}

}  // namespace

struct Batches::Waiting {
    explicit Waiting(std::string request) : request{std::move(request)} {}

    const std::string request;
    std::promise<Outcome> outcome;
    bool is_called = false;  // its outcome is coming
};

std::string Batches::ask(const std::string& kind, std::string request, const Answer& answer) {
    const auto mine = std::make_shared<Waiting>(std::move(request));
    Outcome outcome = enter(kind, mine) ? Lead{} : wait(kind, *mine);
    if (std::holds_alternative<Lead>(outcome))
        outcome = lead(kind, answer);
    if (std::holds_alternative<Alone>(outcome))
        return std::move(answer({mine->request}).front());
    if (const auto* error = std::get_if<std::exception_ptr>(&outcome))
        std::rethrow_exception(*error);
    return std::get<std::string>(std::move(outcome));
}

std::size_t Batches::waiting() const {
    const std::lock_guard lock{mutex_};
    std::size_t count = 0;
    for (const auto& [kind, queue] : queues_)
        count += queue.size();
    return count;
}

// Whether nothing is under way, so that this thread leads.
bool Batches::enter(const std::string& kind, const std::shared_ptr<Waiting>& waiting) {
    const std::lock_guard lock{mutex_};
    const auto [queue, is_first] = queues_.try_emplace(kind);
    queue->second.push_back(waiting);
    return is_first;
}

// A request that is on its way is waited for as long as the database may take, whatever the time: what is not known to
// have been left undone must not be said to be.
Batches::Outcome Batches::wait(const std::string& kind, Waiting& waiting) {
    auto outcome = waiting.outcome.get_future();
    if (outcome.wait_for(patience_) == std::future_status::timeout && withdraw(kind, waiting))
        throw DatabaseError{std::string{sqlstate::too_many_connections}, "batch queue", true,
                            "the batches before took too long"};
    return outcome.get();
}

bool Batches::withdraw(const std::string& kind, const Waiting& waiting) {
    const std::lock_guard lock{mutex_};
    if (waiting.is_called)
        return false;
    std::erase_if(queues_.at(kind), [&](const auto& queued) { return queued.get() == &waiting; });
    return true;
}

// Asks for those that wait, of which this thread's is the first, and gives all others their outcomes.
Batches::Outcome Batches::lead(const std::string& kind, const Answer& answer) {
    // Whatever happens here, the next batch begins: before this one's threads are woken, so that the database is not
    // kept waiting.
    struct Successor {
        Batches& batches;
        const std::string& kind;
        ~Successor() { batches.call_next(kind); }
    };
    Queue batch;
    std::vector<Outcome> outcomes;
    {
        const Successor successor{*this, kind};
        batch = take(kind);
        outcomes = decide(batch, answer);
    }
    for (std::size_t i = 1; i < batch.size(); ++i)
        batch[i]->outcome.set_value(std::move(outcomes[i]));
    return std::move(outcomes.front());
}

std::vector<Batches::Outcome> Batches::decide(const Queue& batch, const Answer& answer) {
    Requests requests;
    requests.reserve(batch.size());
    for (const auto& waiting : batch)
        requests.push_back(waiting->request);
    try {
        auto answers = answer(requests);
        return {std::move_iterator{answers.begin()}, std::move_iterator{answers.end()}};
    } catch (const DatabaseError& error) {
        if (batch.size() > 1 && !is_common(error))
            return {batch.size(), Alone{}};
        return {batch.size(), std::current_exception()};
    } catch (...) {
        return {batch.size(), std::current_exception()};
    }
}

Batches::Queue Batches::take(const std::string& kind) {
    const std::lock_guard lock{mutex_};
    Queue& queue = queues_.at(kind);
    std::size_t count = 0;
    for (std::size_t bytes = 0; count < std::min(queue.size(), most_in_batch); ++count) {
        bytes += queue[count]->request.size();
        if (count > 0 && bytes > most_bytes_in_batch)
            break;
    }
    const auto end = queue.begin() + static_cast<std::ptrdiff_t>(count);
    Queue batch{std::move_iterator{queue.begin()}, std::move_iterator{end}};
    queue.erase(queue.begin(), end);
    for (const auto& waiting : batch)
        waiting->is_called = true;
    return batch;
}

void Batches::call_next(const std::string& kind) {
    std::shared_ptr<Waiting> next;
    {
        const std::lock_guard lock{mutex_};
        const auto queue = queues_.find(kind);
        if (queue->second.empty()) {
            queues_.erase(queue);
            return;
        }
        next = queue->second.front();
        next->is_called = true;
    }
    next->outcome.set_value(Lead{});
}

}  // namespace pg_org
