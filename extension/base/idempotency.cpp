// Idempotency keys: when a caller repeats a request within a day, it gets the first reply, and nothing is done twice.

#include "fail.hpp"
#include "session.hpp"

namespace pg_org {

namespace {

constinit Statement lock_key{"SELECT pg_advisory_xact_lock(hashtextextended($1, 1768186981))"};

// Locked, because only what has written something waits until standbys have what it read: after a crash they may not
// yet have the first request.
constinit Statement find_reply{
    "SELECT request_hash, reply, secret_at::bigint, salt, secret_hash FROM org.idempotency"
    " WHERE caller = $1 AND idempotency_key = $2 AND created_at > now() - interval '24 hours' FOR UPDATE"};

constinit Statement forget_old{
    "DELETE FROM org.idempotency WHERE caller = $1 AND created_at <= now() - interval '24 hours'"};

constinit Statement insert_reply{
    "INSERT INTO org.idempotency (caller, idempotency_key, request_hash, reply, secret_at, salt, secret_hash)"
    " VALUES ($1, $2, $3, $4, $5::bigint::integer, $6, $7)"};

constexpr Text secret_prefix = "sk-";
constexpr size_t secret_bytes = 24;

Text random_bytes(size_t count)
{
    const auto bytes = allocate<uint8>(count);
    if (!pg_strong_random(bytes.data(), count))
        ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values"));
    return hexadecimal(bytes);
}

Text concatenate(Text a, Text b) { return to_text(psprintf("%.*s%.*s", FMT_ARG(a), FMT_ARG(b))); }

} // namespace

Text Session::request_hash() const
{
    constexpr std::array<Text, 3> others{"idempotency_key", "request_id", "api_key"};
    Writer request{makeStringInfo()};
    request.begin_array().value(to_text(function_));
    for (size_t i = 0; i < arguments_.size(); i++) {
        if (std::ranges::find(others, arguments_.name(i)) != others.end())
            continue;
        const auto value = arguments_.datum(i);
        if (!value) {
            request.null();
            continue;
        }
        Oid output = InvalidOid;
        bool is_varlena = false;
        getTypeOutputInfo(arguments_.type(i), &output, &is_varlena);
        request.value(to_text(OidOutputFunctionCall(output, *value)));
    }
    request.end_array();
    return digest(to_text(request.buffer()->data));
}

Text Session::derived_secret() const
{
    uint8 bytes[PG_SHA256_DIGEST_LENGTH];
    pg_hmac_ctx *context = pg_hmac_create(PG_SHA256);
    if (context == nullptr ||
        pg_hmac_init(context, reinterpret_cast<const uint8 *>(api_key_->data()), api_key_->size()) < 0 ||
        pg_hmac_update(context, reinterpret_cast<const uint8 *>(salt_.data()), salt_.size()) < 0 ||
        pg_hmac_final(context, bytes, sizeof bytes) < 0)
        elog(ERROR, "could not compute an HMAC");
    pg_hmac_free(context);
    return concatenate(secret_prefix, hexadecimal({bytes, secret_bytes}));
}

Text Session::new_secret()
{
    if (!idempotency_key_)
        return concatenate(secret_prefix, random_bytes(secret_bytes));
    if (!api_key_)
        refused("An idempotency_key for making a key needs an api_key");
    return derived_secret();
}

void Session::write_secret(Text secret)
{
    if (idempotency_key_ && (!api_key_ || secret != derived_secret()))
        refused("An idempotency_key cannot go with a key of one's own choice");
    reply.value(secret);
    secret_at_ = reply.buffer()->len - 1 - static_cast<int64>(secret.size());
}

void Session::look_for_repetition()
{
    const Text key = identifier(idempotency_key_, "idempotency_key");
    idempotency_caller_ =
        caller.key_id ? *caller.key_id : to_text(psprintf("role:%s", GetUserNameFromId(acting_.user_before, false)));
    run(lock_key, concatenate(idempotency_caller_, concatenate("/", key)));
    const Rows rows = run(find_reply, idempotency_caller_, key);
    repeated_ = !rows.empty();
    if (!repeated_) {
        run(forget_old, idempotency_caller_);
        salt_ = random_bytes(secret_bytes);
        return;
    }
    const Row row = rows[0];
    if (*row.get<Text>(0) != request_hash())
        invalid("idempotency_key", "was used for another request within the last 24 hours");
    salt_ = *row.get<Text>(3);
    const Text text = *row.get<Text>(1);
    const auto secret_at = row.get<int64>(2);
    if (secret_at && row.get<Text>(4).value_or(Text{}) != digest(derived_secret()))
        exists_already("The reply to this idempotency_key has a secret that can't be computed again, since the secret "
                       "of the caller's own key was replaced. Send the request with another idempotency_key");
    const size_t before = secret_at ? static_cast<size_t>(*secret_at) : text.size();
    StringInfo buffer = reply.buffer();
    appendBinaryStringInfo(buffer, text.data(), static_cast<int>(before));
    if (secret_at)
        appendStringInfoString(buffer, c_string(derived_secret()));
    appendBinaryStringInfo(buffer, text.data() + before, static_cast<int>(text.size() - before));
}

void Session::remember_reply()
{
    const StringInfo buffer = reply.buffer();
    const Text text{buffer->data + VARHDRSZ, static_cast<size_t>(buffer->len - VARHDRSZ)};
    Text stored = text;
    Maybe<int64> secret_at;
    Maybe<Text> secret_hash;
    if (secret_at_) {
        secret_hash = digest(derived_secret());
        secret_at = *secret_at_ - VARHDRSZ;
        const size_t at = static_cast<size_t>(*secret_at), end = at + derived_secret().size();
        stored = concatenate({text.data(), at}, {text.data() + end, text.size() - end});
    }
    run(insert_reply, idempotency_caller_, *idempotency_key_, request_hash(), stored, secret_at, salt_, secret_hash);
}

} // namespace pg_org
