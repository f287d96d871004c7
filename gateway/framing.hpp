// Finds the end of a request.  Each byte that arrives is checked, counted and bounded here, before the request takes a
// worker.  The body is collected without chunk framing and trailers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pg_org {

class Arrival {
public:
    // Why the request is refused; status 0: it is not.
    struct Fault {
        int status = 0;
        std::string message;
    };

    Arrival(std::size_t max_head, std::size_t max_body) : max_head_{max_head}, max_body_{max_body} {}

    // Takes from the front of `bytes` what belongs to the request.
    void take(std::string_view &bytes);

    bool has_begun() const { return !head_.empty(); }
    bool has_head() const { return stage_ != Stage::head; }
    bool is_whole() const { return stage_ == Stage::whole; }
    const Fault &fault() const { return fault_; }
    std::size_t size() const { return head_.size() + body_.size(); }

    // Parts of the head, once it has arrived.
    std::string_view method() const { return method_; }
    std::string_view target() const { return target_; }
    bool is_http_1_0() const { return is_http_1_0_; }
    bool keeps_alive() const;
    bool expects_continue() const;
    // A field's first value, by its name in any case; empty if it was not sent.
    std::string_view field(std::string_view name) const;

    std::string_view body() const { return body_; }

private:
    enum class Stage { head, content, chunk_size, chunk, chunk_end, trailer, whole };

    const std::size_t max_head_, max_body_;
    Stage stage_ = Stage::head;
    Fault fault_;
    std::string head_;
    std::string_view method_, target_;
    bool is_http_1_0_ = false;
    std::vector<std::pair<std::string_view, std::string_view>> fields_;
    std::string body_;
    std::size_t expected_ = 0; // bytes of the content, or of the chunk, that are still to come
    std::string line_;         // of chunk framing, as far as it has arrived
    std::size_t framing_ = 0;  // bytes of chunk framing so far
    int blanks_ = 0;

    void take_head(std::string_view &bytes);
    void take_content(std::string_view &bytes);
    void take_line(std::string_view &bytes);
    void read_head();
    bool read_request_line(std::string_view line);
    bool read_field(std::string_view line);
    void read_framing();
    void read_line();
    void read_chunk_size();
    std::size_t count(std::string_view name) const;
    void fail(int status, std::string message) { fault_ = {status, std::move(message)}; }
};

} // namespace pg_org
