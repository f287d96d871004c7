// One client's connection: what has arrived, what is to be sent, and what is expected of it by when.
#pragma once

#include "framing.hpp"
#include "http.hpp"
#include "observation.hpp"
#include "shares.hpp"
#include "socket.hpp"

#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>

namespace pg_org {

class Lane;

struct Connection {
    using Clock = std::chrono::steady_clock;
    static constexpr auto never = Clock::time_point::max();

    enum class Phase {
        handshake,
        reading,   // until a request is whole
        serving,   // the request, or its refusal
        writing,   // the reply
        lingering, // reads what the client still sends, or its reply would be lost in a reset connection
    };

    Socket socket;
    const std::string remote; // the client's address
    const Owner address;      // its hash
    const bool is_too_many;
    Phase phase = Phase::reading;
    Owner owner = address; // whose shares it takes from
    Owner key = 0;         // the hash of the key it was sent with, good or not
    bool closes = false;   // after the reply

    // The request.
    std::optional<Arrival> arrival;
    std::string unread; // what arrived after it
    bool told_to_continue = false;
    std::size_t buffered = 0; // bytes of it that count for its owner
    Lane *lane = nullptr;     // in which it has a place, or waits for one
    std::string id;
    Clock::time_point begun = {};   // when its first byte came; when it was whole, from then on
    Clock::time_point give_up = {}; // when it has arrived, has its turn, is taken, or is closed at the latest
    std::optional<Reply> reply;     // that needs no worker

    // The reply.
    std::string out;
    std::size_t sent = 0;
    std::size_t unsent = 0; // bytes of it that count for its owner, since the client did not take them at once
    int status = 0;
    std::size_t bytes = 0; // of its body
    Trace trace;

    // For the thread that keeps deadlines, while the connection is parked.
    std::atomic<Clock::time_point> deadline = never;
    std::atomic<int> direction = SHUT_RD; // that is shut down at the deadline, which wakes the connection
    std::atomic<bool> is_late = false;
    std::atomic<bool> is_idle = false;
    bool is_watched = false; // by epoll

    Connection(int descriptor, std::string remote, Owner address, bool is_too_many)
        : socket{descriptor}, remote{std::move(remote)}, address{address}, is_too_many{is_too_many}
    {
    }
};

} // namespace pg_org
