#include "batch.hpp"

#include "reply.hpp"

#include <algorithm>
#include <future>
#include <optional>

namespace pg_org {
namespace {

// Thrown to try a request again alone: another one of its batch may be at fault.
struct Alone {};

// Whether every request would fail like this: the caller's key is refused, the database is away or overloaded, or a
// lock was not released in time.
bool is_common(const DatabaseError &error, bool waited)
{
    const auto is = [&](std::string_view start) { return error.sqlstate.starts_with(start); };
    return is("08") || is("28") || is("42501") || is("53") || is("57014") || is("57P") || (waited && is("55P03"));
}

} // namespace

struct Batches::Waiting {
    const std::string_view request;                        // owned by its thread
    std::promise<std::optional<std::string>> outcome = {}; // null: this thread leads the next batch
    bool is_called = false;                                // it will get its outcome
};

std::string Batches::ask(const std::string &kind, std::string_view request, const Answer &answer)
{
    auto element = ask(kind, request, answer, false);
    const auto held = held_by(element);
    return held ? ask(kind + '\n' + *held, request, answer, true) : element;
}

// Waits without limit for a request that is in the database: what may have been done must not be reported as undone.
std::string Batches::ask(const std::string &kind, std::string_view request, const Answer &answer, bool wait)
try {
    const auto mine = std::make_shared<Waiting>(Waiting{request});
    auto outcome = mine->outcome.get_future();
    std::unique_lock lock{mutex_};
    const auto [queue, is_first] = queues_.try_emplace(kind);
    queue->second.push_back(mine);
    lock.unlock();
    if (!is_first) {
        if (outcome.wait_for(patience_) == std::future_status::timeout && withdraw(kind, *mine))
            throw DatabaseError{std::string{sqlstate::too_many_connections}, "batch queue", true,
                                "earlier batches took too long"};
        if (auto element = outcome.get())
            return *std::move(element);
    }
    return lead(kind, answer, wait);
} catch (const Alone &) {
    return std::move(answer({request}, wait).front());
}

std::size_t Batches::waiting() const
{
    const std::lock_guard lock{mutex_};
    std::size_t count = 0;
    for (const auto &[kind, queue] : queues_)
        count += queue.size();
    return count;
}

bool Batches::withdraw(const std::string &kind, const Waiting &waiting)
{
    const std::lock_guard lock{mutex_};
    if (waiting.is_called)
        return false;
    std::erase_if(queues_.at(kind), [&](const auto &queued) { return queued.get() == &waiting; });
    return true;
}

// Sends the waiting requests, of which this thread's is the first, and hands the others their outcomes.
std::string Batches::lead(const std::string &kind, const Answer &answer, bool wait)
{
    const Queue batch = take(kind);
    std::vector<std::string> elements;
    std::exception_ptr failure;
    try {
        Requests requests;
        for (const auto &waiting : batch)
            requests.push_back(waiting->request);
        elements = answer(requests, wait);
    } catch (const DatabaseError &error) {
        const bool is_ours = batch.size() == 1 || is_common(error, wait);
        failure = is_ours ? std::current_exception() : std::make_exception_ptr(Alone{});
    } catch (...) {
        failure = std::current_exception();
    }
    call_next(kind); // before this batch's threads are woken, so that the database is not kept waiting
    for (std::size_t i = 1; i < batch.size(); ++i)
        failure ? batch[i]->outcome.set_exception(failure) : batch[i]->outcome.set_value(std::move(elements[i]));
    if (failure)
        std::rethrow_exception(failure);
    return std::move(elements.front());
}

Batches::Queue Batches::take(const std::string &kind)
{
    const std::lock_guard lock{mutex_};
    Queue &queue = queues_.at(kind);
    Queue batch;
    std::size_t bytes = 0;
    while (batch.size() < std::min(queue.size(), max_in_batch)) {
        const auto &next = queue[batch.size()];
        bytes += next->request.size();
        if (!batch.empty() && bytes > max_bytes_in_batch)
            break;
        next->is_called = true;
        batch.push_back(next);
    }
    queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(batch.size()));
    return batch;
}

void Batches::call_next(const std::string &kind)
{
    std::unique_lock lock{mutex_};
    const auto queue = queues_.find(kind);
    if (queue->second.empty()) {
        queues_.erase(queue);
        return;
    }
    const auto next = queue->second.front();
    next->is_called = true;
    lock.unlock();
    next->outcome.set_value(std::nullopt);
}

} // namespace pg_org
