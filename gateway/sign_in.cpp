#include "sign_in.hpp"

#include "log.hpp"

#include <utility>

namespace pg_org {
namespace {

Value text(std::string characters) { return {Value::Kind::string, std::move(characters), {}}; }

} // namespace

SignIn::SignIn(const Config &config) : key_{config.sso_key}, duration_{config.sso_key_duration}
{
    if (!config.oidc_issuer.empty())
        issuer_.emplace(config);
}

void SignIn::complete(Asked &asked)
{
    if (!issuer_)
        throw CannotSignIn{404, "Signing in is not set up: the gateway has no --oidc-issuer"};
    const Fields sent = std::exchange(asked.fields, {});
    if (const auto id = sent.find("request_id"); id != sent.end())
        asked.fields.insert(*id);
    asked.sent.clear();
    asked.beside.clear();
    asked.api_key = key_;
    const auto token = sent.find("id_token");
    if (token == sent.end() || token->second.kind != Value::Kind::string) {
        asked.errors.push_back({"missing", {"body", "id_token"}, "Field required: a text"});
        return;
    }
    const auto identity = identify(token->second.text);
    if (!is_storable(identity.subject) || !is_storable(identity.verified_email))
        throw CannotSignIn{401, "The id token is malformed"};
    asked.fields["sso_user_id"] = text(identity.subject);
    asked.fields["duration"] = text(duration_);
    if (!identity.verified_email.empty())
        asked.fields["verified_email"] = text(identity.verified_email);
}

Identity SignIn::identify(const std::string &id_token)
{
    try {
        return issuer_->identify(id_token);
    } catch (const InvalidToken &error) {
        throw CannotSignIn{401, error.message};
    } catch (const NoKeys &) {
        throw CannotSignIn{503, "The issuer's keys could not be read; the gateway's log says why"};
    }
}

bool SignIn::is_own_fault(const DatabaseError &error)
{
    const bool is_about_key = error.sqlstate.starts_with("28") || error.sqlstate == "42501";
    if (is_about_key)
        log_event(Level::error, "nobody can sign in: the database refuses --sso-key", {{"error", error.what()}});
    return is_about_key;
}

} // namespace pg_org
