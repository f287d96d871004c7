// A client's connection: what has arrived, what is to be sent, and its deadlines.
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
    const bool is_over_limit; // one connection too many: its request is refused
    Phase phase = Phase::reading;
    Owner owner = address; // whose shares it uses
    Owner key = 0;         // hash of the request's API key, valid or not
    bool closes = false;   // after the reply

    // The request.
    std::optional<Arrival> arrival;
    std::string unread; // what arrived after it
    bool sent_continue = false;
    std::size_t buffered = 0; // bytes of it charged to its owner
    Lane *lane = nullptr;     // where it has or waits for a place
    std::string id;
    Clock::time_point begun = {};   // arrival of its first byte, and later of its last
    Clock::time_point give_up = {}; // deadline for arriving, queueing, sending or closing
    std::optional<Reply> reply;     // that needs no worker

    // The reply.
    std::string out;
    std::size_t sent = 0;
    std::size_t unsent = 0; // bytes of it charged to its owner: the client did not read them at once
    int status = 0;
    std::size_t bytes = 0; // of its body
    Trace trace;

    // For the thread that keeps deadlines, while the connection is parked:
    std::atomic<Clock::time_point> deadline = never;
    std::atomic<int> direction = SHUT_RD; // to shut down at the deadline, which wakes the connection
    std::atomic<bool> is_late = false;
    std::atomic<bool> is_idle = false;
    bool is_watched = false; // by epoll

    Connection(int descriptor, std::string remote, Owner address, bool is_over_limit)
        : socket{descriptor}, remote{std::move(remote)}, address{address}, is_over_limit{is_over_limit}
    {
    }
};

} // namespace pg_org
