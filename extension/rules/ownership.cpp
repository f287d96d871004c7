// Comparing teams and keys with their owners.

#include "ownership.hpp"

#include "base/fail.hpp"
#include "base/number.hpp"
#include "models.hpp"

namespace pg_org {

namespace {

constinit Statement find_teams{R"(
    SELECT t.team_id, t.max_budget, b.max_budget, t.tpm_limit::numeric, b.tpm_limit::numeric,
           t.rpm_limit::numeric, b.rpm_limit::numeric, t.models, o.models
      FROM org.team t
      JOIN org.organization o USING (organization_id)
      JOIN org.budget b USING (budget_id)
     WHERE t.organization_id = $1
       AND ($2 IS NULL OR t.team_id = $2)
       AND (t.max_budget > b.max_budget OR t.tpm_limit > b.tpm_limit OR t.rpm_limit > b.rpm_limit
            OR (t.models <> '{}' AND o.models <> '{}'))
     ORDER BY t.team_id)"};

// least() ignores nulls, so that a team without a limit would get one.
constinit Statement lower_team{R"(
    UPDATE org.team t
       SET max_budget = CASE WHEN t.max_budget > b.max_budget THEN b.max_budget ELSE t.max_budget END,
           tpm_limit = CASE WHEN t.tpm_limit > b.tpm_limit THEN b.tpm_limit ELSE t.tpm_limit END,
           rpm_limit = CASE WHEN t.rpm_limit > b.rpm_limit THEN b.rpm_limit ELSE t.rpm_limit END,
           models = $3, updated_at = now(), updated_by = $4
      FROM org.organization o
      JOIN org.budget b USING (budget_id)
     WHERE o.organization_id = t.organization_id
       AND t.organization_id = $1
       AND t.team_id = $2)"};

#define KEYS_AND_OWNERS                                                                                                \
    "SELECT k.key_id, k.key_name, k.models, coalesce(o.models, '{}'), coalesce(t.models, '{}')"                        \
    "  FROM org.api_key k"                                                                                             \
    "  LEFT JOIN org.organization o USING (organization_id)"                                                           \
    "  LEFT JOIN org.team t ON t.team_id = k.team_id"

constinit Statement find_keys_of_organization{KEYS_AND_OWNERS R"(
     WHERE k.organization_id = $1
       AND k.models <> '{}'
     ORDER BY k.key_id)"};

constinit Statement find_keys_of_team{KEYS_AND_OWNERS R"(
     WHERE k.team_id = $1
       AND k.models <> '{}'
     ORDER BY k.key_id)"};

constinit Statement find_owners_of_key{R"(
    SELECT k.models, k.organization_id, coalesce(o.models, '{}'), k.team_id, coalesce(t.models, '{}')
      FROM org.api_key k
      LEFT JOIN org.organization o USING (organization_id)
      LEFT JOIN org.team t ON t.team_id = k.team_id
     WHERE k.key_id = $1)"};

constinit Statement find_user_of_key{R"(
    SELECT u.user_id, k.max_budget, u.max_budget, k.tpm_limit::numeric, u.tpm_limit::numeric,
           k.rpm_limit::numeric, u.rpm_limit::numeric, k.models, u.models
      FROM org.api_key k
      JOIN org."user" u USING (user_id)
     WHERE k.key_id = $1
       AND k.organization_id IS NULL)"};

constinit Statement lower_key{
    "UPDATE org.api_key SET models = $2, updated_at = now(), updated_by = $3 WHERE key_id = $1"};

// A limit that is higher than the owner's, or a model that the owner does not have.
struct Excess {
    const char *name; // of the limit; null for a model
    const char *owned, *owner;
};

constexpr const char *model = nullptr;

// Team max_budget=200 is above max_budget=100 of Organization=A
[[noreturn]] void refuse(const char *owned_kind, const Excess &excess, const char *owner_kind, Text owner_id)
{
    if (excess.name == model)
        refused("%s model=%s is not among the models of %s=%.*s: %s", owned_kind, excess.owned, owner_kind,
                FMT_ARG(owner_id), excess.owner);
    refused("%s %s=%s is above %s=%s of %s=%.*s", owned_kind, excess.name, excess.owned, excess.name, excess.owner,
            owner_kind, FMT_ARG(owner_id));
}

Maybe<Excess> excess_in_number(const Row &row, int column, const char *name)
{
    const auto owned = row.get<Number>(column), owner = row.get<Number>(column + 1);
    if (!owned || !owner || *owned <= *owner)
        return {};
    return Excess{name, show(*owned), show(*owner)};
}

Maybe<Excess> excess_in_models(Texts owned, Texts owner)
{
    const auto extra = first_not_allowed(owner, owned);
    return extra ? Maybe<Excess>{{model, c_string(*extra), show_list(owner)}} : Maybe<Excess>{};
}

// In a row of find_teams, or of find_user_of_key.
Maybe<Excess> excess_of(const Row &owned)
{
    if (const auto excess = excess_in_number(owned, 1, "max_budget"))
        return excess;
    if (const auto excess = excess_in_number(owned, 3, "tpm_limit"))
        return excess;
    if (const auto excess = excess_in_number(owned, 5, "rpm_limit"))
        return excess;
    return excess_in_models(*owned.get<Texts>(7), *owned.get<Texts>(8));
}

Maybe<Excess> excess_of_key(const Row &key)
{
    const Texts models = *key.get<Texts>(2);
    const auto excess = excess_in_models(models, *key.get<Texts>(3));
    return excess ? excess : excess_in_models(models, *key.get<Texts>(4));
}

// The models that the owner allows; never an empty list, which would mean all of the owner's.
Texts lowered(Texts models, Texts owner)
{
    const auto kept = allocate<Text>(models.size());
    size_t count = 0;
    for (const Text one : models) {
        CHECK_FOR_INTERRUPTS();
        if (owner.empty() || allows(owner, one))
            kept[count++] = one;
    }
    static constexpr Text no_models = "no-default-models";
    return models.empty() ? models : count == 0 ? Texts{&no_models, 1} : Texts{kept.first(count)};
}

// Collects excesses, to name all of them in one refusal.
class Excesses {
public:
    void add(const char *kind, Text id, const Excess &excess)
    {
        if (count_++ >= max_named)
            return;
        if (count_ > 1)
            appendStringInfoString(list_, ", ");
        const char *name = excess.name == model ? "model" : excess.name;
        appendStringInfo(list_, "%s=%.*s has %s=%s", kind, FMT_ARG(id), name, excess.owned);
    }
    void refuse_any(const char *owner, Text owner_id) const
    {
        if (count_ > max_named)
            appendStringInfo(list_, ", and %zu more", count_ - max_named);
        if (count_ > 0)
            refused("%s=%.*s cannot have less than it owns: %s. Lower that first, or pass cascade=true", owner,
                    FMT_ARG(owner_id), list_->data);
    }

private:
    static constexpr size_t max_named = 10;
    StringInfo list_ = makeStringInfo();
    size_t count_ = 0;
};

void keep_teams_within(Session &session, Text organization_id, bool cascade, Excesses &excesses)
{
    for (const Row team : session.run(find_teams, organization_id, Maybe<Text>{})) {
        const auto excess = excess_of(team);
        if (!excess)
            continue;
        const Text team_id = *team.get<Text>(0);
        if (cascade)
            session.run(lower_team, organization_id, team_id, lowered(*team.get<Texts>(7), *team.get<Texts>(8)),
                        session.caller.user_id);
        else
            excesses.add("Team", team_id, *excess);
    }
}

void keep_keys_within(Session &session, const Rows &keys, bool cascade, Excesses &excesses)
{
    for (const Row key : keys) {
        const auto excess = excess_of_key(key);
        if (!excess)
            continue;
        if (cascade)
            session.run(lower_key, *key.get<Text>(0),
                        lowered(lowered(*key.get<Texts>(2), *key.get<Texts>(3)), *key.get<Texts>(4)),
                        session.caller.user_id);
        else
            excesses.add("Key", *key.get<Text>(1), *excess);
    }
}

} // namespace

void require_models_of_caller(const Caller &caller, Texts models)
{
    if (caller.models.empty() || allows_all(caller.models))
        return;
    if (models.empty())
        refused("User not allowed to give access to all models. Select models you want org to have access to.");
    if (const auto extra = first_not_allowed(caller.models, models))
        refused("User not allowed to give access to model=%.*s. Models you have access to = %s", FMT_ARG(*extra),
                show_list(caller.models));
}

void require_team_within_organization(Session &session, Text organization_id, Text team_id)
{
    for (const Row team : session.run(find_teams, organization_id, Maybe<Text>{team_id}))
        if (const auto excess = excess_of(team))
            refuse("Team", *excess, "Organization", organization_id);
}

void require_key_within_owners(Session &session, Text key_id)
{
    const auto require = [](const Maybe<Excess> &excess, const char *owner, Maybe<Text> owner_id) {
        if (excess)
            refuse("Key", *excess, owner, *owner_id);
    };
    for (const Row key : session.run(find_owners_of_key, key_id)) {
        const Texts models = *key.get<Texts>(0);
        require(excess_in_models(models, *key.get<Texts>(2)), "Organization", key.get<Text>(1));
        require(excess_in_models(models, *key.get<Texts>(4)), "Team", key.get<Text>(3));
    }
}

void require_key_within_user(Session &session, Text key_id)
{
    for (const Row key : session.run(find_user_of_key, key_id))
        if (const auto excess = excess_of(key))
            refuse("Key", *excess, "User", *key.get<Text>(0));
}

void keep_within_organization(Session &session, Text organization_id, bool cascade)
{
    Excesses excesses;
    keep_teams_within(session, organization_id, cascade, excesses);
    keep_keys_within(session, session.run(find_keys_of_organization, organization_id), cascade, excesses);
    excesses.refuse_any("Organization", organization_id);
}

void keep_within_team(Session &session, Text team_id, bool cascade)
{
    Excesses excesses;
    keep_keys_within(session, session.run(find_keys_of_team, team_id), cascade, excesses);
    excesses.refuse_any("Team", team_id);
}

} // namespace pg_org
