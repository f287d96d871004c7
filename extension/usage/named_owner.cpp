// Reading whose limits a request is about.

#include "named_owner.hpp"

#include "rules/key_rights.hpp"
#include "rules/team.hpp"

namespace pg_org {

NamedOwner read_named_owner(Session &session)
{
    const auto organization_id = session.argument("organization_id", not_empty);
    const auto team_id = session.argument("team_id", not_empty), user_id = session.argument("user_id", not_empty);
    const auto key = session.argument("key", not_empty), end_user = session.argument("end_user", not_empty);
    const auto require_alone = [](const char *name, bool others) {
        if (others)
            invalid(name, "must not come with others that name the owner");
    };
    if (key) {
        require_alone("key", team_id || user_id || end_user);
        const auto found = find_key(session, *key);
        if (!found || (organization_id && found->organization_id != organization_id))
            return {OwnerKind::key, {}};
        return {OwnerKind::key, {.organization_id = found->organization_id.value_or(Text{}), .key_id = found->key_id}};
    }
    const Text organization = organization_id.value_or(Text{});
    if (end_user) {
        require_alone("end_user", team_id || user_id);
        return {organization_id ? OwnerKind::end_user : OwnerKind::platform_end_user,
                {.organization_id = organization, .end_user = *end_user}};
    }
    if (team_id) {
        const auto team = find_team(session, *team_id, organization_id);
        const OwnerIds ids{.organization_id = team ? team->organization_id : organization,
                           .team_id = *team_id,
                           .user_id = user_id.value_or(Text{})};
        return {user_id ? OwnerKind::team_member : OwnerKind::team, ids};
    }
    if (user_id)
        return {organization_id ? OwnerKind::member : OwnerKind::user,
                {.organization_id = organization, .user_id = *user_id}};
    if (!organization_id)
        raise(missing_value("organization_id"));
    return {OwnerKind::organization, {.organization_id = organization}};
}

const Owner &existing_owner(const Owners &owners, const NamedOwner &named)
{
    const Owner *owner = owners.of(named.ids).find(named.kind);
    if (owner == nullptr)
        not_found("%.*s not found", FMT_ARG(name_of(named.kind)));
    return *owner;
}

} // namespace pg_org
