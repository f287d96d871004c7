// Reading and checking the requests of the usage functions, alone or in a batch. A refused request of a batch does not
// affect the others, so refusals are values here, not errors.
#pragma once

#include "base/bounds.hpp"
#include "ledger.hpp"
#include "lock.hpp"
#include "ranges.hpp"

namespace pg_org {

inline constexpr const char *usage_permission = "usage";
// Refuses callers without that permission, and plans the following statements for look-ups.
void require_gateway(Session &session, const char *route);
// The organization to which the caller is confined; none: the caller may act for every key.
Maybe<Text> confinement(const Caller &caller);

// The owners of calls with a key, by its secret, or a replaced one in its grace period.
Maybe<OwnerIds> owners_of_secret(Session &session, Text key);
// The same by token_id, for callers who have checked the secret.
Maybe<OwnerIds> owners_of_token_id(Session &session, Text token_id);

// The owners of the calls of a key, from when it was deleted.
struct FormerKey {
    OwnerIds owners;
    Time deleted_at;
};
// The deleted key with this secret, the last of several.
Maybe<FormerKey> former_key_of_secret(Session &session, Text key);
// The same by token_id.
Maybe<FormerKey> former_key_of_token_id(Session &session, Text token_id);

// The refusal of a call whose key was found, but is not there any more under the locks of its owners: it was deleted,
// or has moved to another organization, so that the caller may try again.
Refusal lost_key(Session &session, const OwnerIds &owners);
// The refusal of a call that could be recorded now that its key has been moved or deleted.
Refusal key_changed();

// The argument `wait`: false refuses requests that need locks of other transactions.
inline bool read_wait(Session &session) { return session.argument<bool>("wait").value_or(true); }

// A request of a batch: its fields are read like the arguments of a call, but the first error is kept, not raised.
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

// Reads a field of a request that is alone (its source is a Session) or in a batch (an Element).
template <typename Source, typename T> void read(Source &source, const char *name, Maybe<T> &field)
{
    field = source.template argument<T>(name);
}

// How long a hold lasts, in seconds.
inline constexpr int64 default_ttl = 600, max_ttl = SECS_PER_DAY;

// Checks one argument after the other, and keeps the first refusal.
class Check {
public:
    explicit Check(const Maybe<Refusal> &wrong) : wrong_(wrong) {}
    const Maybe<Refusal> &wrong() const { return wrong_; }

    Check &given(const char *name, bool is_given) { return is_given ? *this : refuse(missing_value(name)); }
    Check &given_either(const char *name, const char *other, bool is_given)
    {
        return is_given
                   ? *this
                   : refuse(refusal(ERRCODE_NULL_VALUE_NOT_ALLOWED, name, "\"%s\" or \"%s\" is required", name, other));
    }
    Check &identifier(const char *name, const Maybe<Text> &value);
    Check &amount(const char *name, const Maybe<Number> &value); // of money
    Check &count(const char *name, const Maybe<int64> &value);   // of tokens
    Check &ttl(const char *name, const Maybe<int64> &value);
    Check &rule(const char *name, bool holds, const char *text)
    {
        return holds ? *this : refuse(invalid_value(name, text));
    }

private:
    Maybe<Refusal> wrong_;

    Check &refuse(const Refusal &refusal)
    {
        if (!wrong_)
            wrong_ = refusal;
        return *this;
    }
};

void raise_if_any(const Maybe<Refusal> &refusal);

// Reads the arguments of a call as a request; raises an error if it is wrong.
template <typename Request> Request read_one(Session &session)
{
    Request request;
    request.read(session);
    request.check();
    raise_if_any(request.wrong);
    return request;
}

// The elements of the argument `requests`.
std::span<const Value> read_elements(Session &session);

// Reads the argument `requests` as a batch.
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

// A request about a new call with a key.
struct NewCall {
    Maybe<Text> key, token_id; // one of the two
    Maybe<Text> model, request_id, end_user;
    Maybe<Texts> tags;

    Maybe<Refusal> wrong;
    // Set by find_owners().
    OwnerIds owners;
    Maybe<Time> key_deleted_at; // none: the key is not deleted

    template <typename Source> void read(Source &source)
    {
        pg_org::read(source, "key", key);
        pg_org::read(source, "token_id", token_id);
        pg_org::read(source, "model", model);
        pg_org::read(source, "request_id", request_id);
        pg_org::read(source, "tags", tags);
        pg_org::read(source, "end_user", end_user);
    }
    // Checks the fields as far as possible without the database.
    void check();
    // Sets the owners; refuses the request if there are none that the caller may act for.
    bool take(const Maybe<OwnerIds> &found, const Maybe<Text> &confined);
    CallName name() const { return {owners.organization_id, *request_id}; }
    // The call that the request asks for.
    Call *call(const CallOwners &call_owners, Text resolved_model, Time now) const;
};

// Finds the owners of the requests, and returns them; a request with an unknown key is refused. Locks the names of
// calls outside organizations; without waiting, requests with busy names are refused.
std::span<const OwnerIds> find_owners(Session &session, std::span<NewCall *const> requests, bool wait = true);
// The same for one request that was not reserved, whose key may be deleted. An organization that is deleted, too, has
// no row to lock, so the name of a deleted key's call is locked as well.
std::span<const OwnerIds> find_present_or_former_owners(Session &session, NewCall &request);

// Refuses the requests with busy owners, and returns the owners of the requests that are not refused.
template <typename Request>
std::span<const OwnerIds> refuse_busy(std::span<Request> requests, const LockedOwners &locked)
{
    const auto owners = allocate<OwnerIds>(requests.size());
    size_t count = 0;
    for (Request &request : requests) {
        if (!request.wrong)
            request.wrong = locked.refusal_of(request.owners);
        if (!request.wrong)
            owners[count++] = request.owners;
    }
    return owners.first(count);
}

// Pointers to the requests as to their base.
template <typename Common, typename Request> std::span<Common *const> pointers_to(std::span<Request> requests)
{
    const auto pointers = allocate<Common *>(requests.size());
    std::ranges::transform(requests, pointers.begin(), [](Request &request) { return &request; });
    return pointers;
}
// The names of the requests that are not refused.
template <typename Request> std::span<const CallName> names_of(std::span<Request> requests)
{
    const auto names = allocate<CallName>(requests.size());
    size_t count = 0;
    for (const Request &request : requests)
        if (!request.wrong)
            names[count++] = request.name();
    return names.first(count);
}

// A name and its call; requests of a batch with the same name share it.
struct NamedCall {
    CallName name;
    Call *call; // null: not found
};

// Calls by their distinct names, which all have organizations.
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
        return map<CallName>(calls_, [](const NamedCall &named) { return named.name; });
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

// Locks the names of calls that lock no common row otherwise.
void lock_request_ids(Session &session, Texts request_ids);

// Writes reservation_id and request_id as members of the open object.
void write_call_name(Writer &reply, const Call &call);

} // namespace pg_org
