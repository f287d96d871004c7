// What the usage functions have in common: who may call them, requests one by one or many at once, and what is wrong
// with each.  A request among many that is refused touches none of the others, so nothing here raises an error for one.
#pragma once

#include "base/bounds.hpp"
#include "base/fail.hpp"
#include "ledger.hpp"

namespace pg_org {

// Refuses callers who are no trusted gateway; has the statements of the call planned as these functions need them.
void require_gateway(Session &session, const char *route);
inline constexpr const char *usage_permission = "usage";
// The organization that the caller is confined to, none if they may act for every key.
Maybe<Text> confinement(const Caller &caller);

// Whom calls with a key are charged to, by its secret or one that was replaced and still works.
Maybe<Party> party_of_secret(Session &session, Text key);
// The same by the identifier that may be shown, for who needs no secret or has seen it.
Maybe<Party> party_of_token_id(Session &session, Text token_id);

// The argument `wait`: whether to wait for what others have locked; else requests that need it are refused.
inline bool read_wait(Session &session) { return session.argument<bool>("wait").value_or(true); }

// How a type is read from JSON, and what else is wrong.
template <typename T> struct Field;
template <> struct Field<Text> {
    static constexpr auto get = &Value::text;
    static constexpr const char *rule = "must be a string";
};
template <> struct Field<bool> {
    static constexpr auto get = &Value::boolean;
    static constexpr const char *rule = "must be true or false";
};
template <> struct Field<Number> {
    static constexpr auto get = &Value::number;
    static constexpr const char *rule = "must be a number";
};
template <> struct Field<int64> {
    static constexpr auto get = &Value::integer;
    static constexpr const char *rule = "must be a whole number of at most 64 bits";
};
template <> struct Field<Texts> {
    static constexpr auto get = &Value::texts;
    static constexpr const char *rule = "must be a list of strings";
};

// One of many requests: its fields are read as the arguments of a call are, but what is wrong is noted, not raised.
class Element {
public:
    explicit Element(const Value &value);

    const Maybe<Refusal> &wrong() const { return wrong_; }
    template <typename T> Maybe<T> argument(const char *name)
    {
        const Value member = value_.member(name);
        if (member.is_null())
            return {};
        const auto read = (member.*Field<T>::get)();
        if (!read)
            refuse(invalid_value(name, Field<T>::rule));
        return read;
    }

private:
    Value value_;
    Maybe<Refusal> wrong_;

    void refuse(const Refusal &refusal);
};

// Reads a field of a request that comes alone (the source is a Session) or among many (an Element).
template <typename Source, typename T> void read(Source &source, const char *name, Maybe<T> &field)
{
    field = source.template argument<T>(name);
}

// Checks of one argument after the other; the first that is wrong counts.
class Check {
public:
    explicit Check(const Maybe<Refusal> &wrong) : wrong_(wrong) {}
    const Maybe<Refusal> &wrong() const { return wrong_; }

    Check &given(const char *name, bool is_given) { return require(is_given, missing_value(name)); }
    Check &identifier(const char *name, const Maybe<Text> &value);
    Check &amount(const char *name, const Maybe<Number> &value); // of money
    Check &count(const char *name, const Maybe<int64> &value);   // of tokens
    Check &rule(const char *name, bool holds, const char *text)
    {
        return holds ? *this : require(false, invalid_value(name, text));
    }

private:
    Maybe<Refusal> wrong_;

    Check &require(bool holds, const Refusal &otherwise)
    {
        if (!holds && !wrong_)
            wrong_ = otherwise;
        return *this;
    }
};

void raise_if_any(const Maybe<Refusal> &refusal);

// The request that the arguments of a call are; raises an error if it is wrong.
template <typename Request> Request read_one(Session &session)
{
    Request request;
    request.read(session);
    request.check();
    raise_if_any(request.wrong);
    return request;
}

// The elements of the argument `requests`, an array.
std::span<const Value> read_elements(Session &session);

// The requests that they are; each says what is wrong with it.
template <typename Request> std::span<Request> read_many(Session &session)
{
    const auto elements = read_elements(session);
    const auto requests = allocate<Request>(elements.size());
    for (size_t i = 0; i < elements.size(); i++) {
        CHECK_FOR_INTERRUPTS();
        Element element{elements[i]};
        requests[i].read(element);
        requests[i].wrong = element.wrong();
        requests[i].check();
    }
    return requests;
}

// A request about a call that is new, with a key of somebody's.
struct NewCall {
    Maybe<Text> key, token_id; // one of them
    Maybe<Text> model, request_id;
    Maybe<Texts> tags;

    Maybe<Refusal> wrong;
    Party party; // once it is found

    template <typename Source> void read(Source &source)
    {
        pg_org::read(source, "key", key);
        pg_org::read(source, "token_id", token_id);
        pg_org::read(source, "model", model);
        pg_org::read(source, "request_id", request_id);
        pg_org::read(source, "tags", tags);
    }
    // Checks what needs no database.
    void check();
    CallName name() const { return {party.organization_id, *request_id}; }
    // The call as it is granted or recorded.
    Call *call(Text model_called, Time now) const;
};

// Finds the keys of the requests; those without are refused. Returns whom the calls are charged to, and keeps others
// from making calls of these names outside organizations; without waiting, names that others have are refused.
std::span<const Party> find_parties(Session &session, std::span<NewCall *const> requests, bool wait = true);

// Pointers to the requests, as what they have in common.
template <typename Common, typename Request> std::span<Common *const> pointers_to(std::span<Request> requests)
{
    const auto pointers = allocate<Common *>(requests.size());
    std::ranges::transform(requests, pointers.begin(), [](Request &request) { return &request; });
    return pointers;
}
// The names of those requests that are not refused.
template <typename Request> std::span<const CallName> names_of(std::span<Request> requests)
{
    const auto names = allocate<CallName>(requests.size());
    size_t count = 0;
    for (const Request &request : requests)
        if (!request.wrong)
            names[count++] = request.name();
    return names.first(count);
}

// Calls of one name, the later ones of which get what the first got.
struct NamedCall {
    CallName name;
    Call *call; // null: none of that name
};

// The distinct ones among names that all have organizations, to be looked up.
class NamedCalls {
public:
    explicit NamedCalls(std::span<const CallName> names) : calls_(allocate<NamedCall>(names.size()))
    {
        std::ranges::transform(names, calls_.begin(), [](const CallName &name) { return NamedCall{name, nullptr}; });
        std::ranges::sort(calls_, {}, key);
        const auto repeated = std::ranges::unique(calls_, {}, key);
        calls_ = calls_.first(calls_.size() - repeated.size());
    }

    std::span<const CallName> names() const
    {
        return column<CallName>(calls_, [](const NamedCall &named) { return named.name; });
    }
    void put(std::span<const FoundCall> found)
    {
        for (const auto &[place, call] : found)
            calls_[place].call = call;
    }
    Call *&operator[](const CallName &name)
    {
        return std::ranges::lower_bound(calls_, key(NamedCall{name, nullptr}), {}, key)->call;
    }

private:
    std::span<NamedCall> calls_;

    static std::pair<Text, Text> key(const NamedCall &named)
    {
        return {*named.name.organization_id, named.name.request_id};
    }
};

// reservation_id and request_id, as members of the open object.
void write_call_name(Writer &reply, const Call &call);

} // namespace pg_org
