// Organizations: making, changing, deleting and showing them.

#include "organization.hpp"

#include "base/fail.hpp"
#include "base/paging.hpp"
#include "budget.hpp"
#include "etag.hpp"
#include "kept.hpp"
#include "lock.hpp"
#include "models.hpp"
#include "ownership.hpp"
#include "quota.hpp"
#include "show.hpp"

using namespace pg_org;

namespace {

constinit Statement lock_to_delete{R"(
    SELECT organization_id
      FROM org.organization
     WHERE organization_id = ANY ($1)
     ORDER BY organization_id
       FOR UPDATE)"};

constinit Statement insert_organization{R"(
    INSERT INTO org.organization (organization_id, organization_alias, budget_id, metadata, models, blocked, tags,
                                  model_aliases, default_reserve, created_by, updated_by, created_at, updated_at,
                                  quotas, kept)
    VALUES ($1, $2, $3, coalesce($4, '{}'), $5, coalesce($6, false), coalesce($7, '{}'), coalesce($8, '{}'), $9, $10,
            $10, $11, $11, coalesce($12, '{}'), $13)
        ON CONFLICT DO NOTHING
    RETURNING organization_id)"};

constinit Statement update_organization{R"(
    UPDATE org.organization
       SET organization_alias = coalesce($2, organization_alias),
           models = coalesce($3, models),
           )" SET_METADATA_AND_KEPT("$4", "$13", "$14") R"(,
           blocked = coalesce($5, blocked),
           tags = coalesce($6, tags),
           model_aliases = coalesce($7, model_aliases),
           budget_id = coalesce($8, budget_id),
           default_reserve = CASE WHEN $9 THEN $10 ELSE default_reserve END,
           quotas = coalesce($12, quotas),
           updated_at = now(),
           updated_by = $11
     WHERE organization_id = $1)"};

constinit Statement set_budget{"UPDATE org.organization SET budget_id = $2 WHERE organization_id = $1"};

constinit Statement set_organization_blocked{
    "UPDATE org.organization SET blocked = $2, updated_at = now(), updated_by = $3 WHERE organization_id = $1"};

constinit Statement find_owned_budgets{R"(
    SELECT budget_id FROM org.organization WHERE organization_id = ANY ($1)
     UNION
    SELECT budget_id FROM org.membership WHERE organization_id = ANY ($1) AND budget_id IS NOT NULL
     UNION
    SELECT budget_id FROM org.team_member WHERE organization_id = ANY ($1) AND budget_id IS NOT NULL
     UNION
    SELECT budget_id FROM org.api_key WHERE organization_id = ANY ($1) AND budget_id IS NOT NULL
     UNION
    SELECT budget_id
      FROM org.end_user
      JOIN org.budget USING (budget_id)
     WHERE organization_id = ANY ($1)
       AND auto_created)"};

constinit Statement delete_organizations{"DELETE FROM org.organization WHERE organization_id = ANY ($1)"};

// OFFSET 0 makes the planner use the index on the alias, not the one that has the ids in order.
constinit Statement find_by_alias{R"(
    SELECT min(organization_id)
      FROM (SELECT organization_id
              FROM org.organization
             WHERE org.folded(organization_alias) = org.folded($1) OFFSET 0) AS named)"};

constinit Statement find_organization_page_start{R"(
    SELECT created_at
      FROM org.organization
     WHERE organization_id = $1
       AND ($2 IS NULL OR organization_id = ANY ($2)))"};

constinit Statement list_organizations{R"(
    SELECT organization_id
      FROM org.organization
     WHERE ($1 IS NULL OR organization_id = $1)
       AND ($2 IS NULL OR )" HAS_PART("organization_alias", "$2") R"()
       AND ($3 IS NULL OR organization_id = ANY ($3))
       AND ($4 IS NULL OR (created_at, organization_id) > ($4, $5))
     ORDER BY created_at, organization_id
     LIMIT $6)",
                                       Planned::each_time};

// The fields that a patch can change; the first two have no empty value to be cleared to.
constexpr std::array<Text, 28> changeable{"organization_alias",
                                          "models",
                                          "tags",
                                          "metadata",
                                          "model_aliases",
                                          "quotas",
                                          "blocked",
                                          "default_reserve",
                                          "max_budget",
                                          "soft_budget",
                                          "tpm_limit",
                                          "rpm_limit",
                                          "max_parallel_requests",
                                          "model_max_budget",
                                          "budget_duration",
                                          "limits",
                                          "budget_limits",
                                          "model_rpm_limit",
                                          "model_tpm_limit",
                                          "rpd_limit",
                                          "tpd_limit",
                                          "access_group_ids",
                                          "guardrails",
                                          "logging",
                                          "object_permission",
                                          "policies",
                                          "prompts",
                                          "router_settings"};
constexpr size_t never_cleared = 2;

// A caller's change of an organization's fields.
struct OrganizationChange {
    Maybe<Text> organization_alias, budget_id;
    Maybe<Texts> models, tags;
    Maybe<ObjectChange> metadata, model_aliases, quotas;
    Maybe<bool> blocked;
    Change<Number> default_reserve;
    BudgetChange budget;
    JsonFieldsChange kept{kept_of_organizations};
    bool cascade = false; // lowers teams and keys that would exceed the organization; otherwise they forbid the change

    // Sets a field by its wire name from a JSON value, null clears; false if there is no such field.
    bool set(Text field, const Value &value)
    {
        if (value.is_null())
            return clear(field);
        if (field == "organization_alias")
            organization_alias = bounded_text(value.as_text(), value.path());
        else if (field == "models")
            models = model_list(value.as_texts(), value.path());
        else if (field == "tags")
            tags = tag_list(value.as_texts(), value.path());
        else if (field == "metadata")
            metadata = ObjectChange{value.as_object(), true};
        else if (field == "model_aliases")
            model_aliases = ObjectChange{value.as_object(), true};
        else if (field == "quotas")
            quotas = ObjectChange{value.as_object(), true};
        else if (field == "blocked")
            blocked = value.as_bool();
        else if (field == "default_reserve")
            default_reserve = money(value.as_number(), value.path());
        else
            return kept.set(field, value) || budget.set(field, value, true);
        return true;
    }

    bool clear(Text field)
    {
        if (field == "organization_alias" || field == "models")
            invalid(c_string(field), "must not be null");
        if (field == "tags")
            tags = Texts{};
        else if (field == "metadata")
            metadata = ObjectChange{empty_object(), false};
        else if (field == "model_aliases")
            model_aliases = ObjectChange{empty_object(), false};
        else if (field == "quotas")
            quotas = ObjectChange{empty_object(), false};
        else if (field == "blocked")
            blocked = false;
        else if (field == "default_reserve")
            default_reserve.emplace();
        else
            return kept.set(field, Value{}) || budget.clear(field);
        return true;
    }
};

// Locks the budgets that a change of an organization concerns.
void lock_budgets_of(Session &session, const Organization &organization, const OrganizationChange &change)
{
    const std::array both{organization.budget_id, change.budget_id.value_or(organization.budget_id)};
    const bool moves = both[0] != both[1];
    if (!moves && change.budget.empty())
        return;
    const size_t wanted = moves ? 2 : 1;
    if (lock_budgets(session, {both.data(), wanted}).size() < wanted)
        no_such_budget(both[1]);
}

// A merged object is checked here, since only the result is complete.
Maybe<Json> new_value(const Maybe<ObjectChange> &change, Json before, Maybe<Json> (*checked)(Maybe<Json>, const char *),
                      const char *name)
{
    return change ? checked(change->applied_to(before), name) : Maybe<Json>{};
}

// Changes the organization and writes the result.
void change_organization(Session &session, Text organization_id, const OrganizationChange &change, Maybe<Text> if_match)
{
    const Organization organization = lock_organization(session, organization_id);
    if (change.models)
        require_models_of_caller(session.caller, *change.models);
    lock_budgets_of(session, organization, change);
    const auto write = [&] { write_organizations(session, {&organization_id, 1}); };
    require_match(session, if_match, write);

    session.run(update_organization, organization_id, change.organization_alias, change.models,
                new_value(change.metadata, organization.metadata, object, "metadata"), change.blocked, change.tags,
                new_value(change.model_aliases, organization.model_aliases, model_aliases, "model_aliases"),
                change.budget_id, change.default_reserve.has_value(), change.default_reserve.value_or(Maybe<Number>{}),
                session.caller.user_id, new_value(change.quotas, organization.quotas, quotas, "quotas"),
                change.kept.values(), change.kept.names());
    const Text attached = change.budget_id.value_or(organization.budget_id);
    const Text budget_id = *change_budget(session, attached, change.budget);
    if (budget_id != attached)
        session.run(set_budget, organization_id, budget_id);
    if (budget_id != organization.budget_id)
        delete_unowned_auto_created_budget(session, organization.budget_id);
    if (change.models || !change.budget.empty() || budget_id != organization.budget_id)
        keep_within_organization(session, organization_id, change.cascade);
    write();
}

Maybe<ObjectChange> replaced(Maybe<Json> value)
{
    return value ? Maybe<ObjectChange>{{*value, false}} : Maybe<ObjectChange>{};
}

// Only called for those who read everything: the hint would tell others of organizations that they do not see.
[[noreturn]] void refuse_unknown(Session &session, Text organization_id)
{
    Refusal refused = refusal(ERRCODE_NO_DATA_FOUND, nullptr, "Organization not found for organization_id=%.*s",
                              FMT_ARG(organization_id));
    if (const auto named = session.run(find_by_alias, organization_id)[0].get<Text>(0))
        refused.hint = psprintf("An organization with this alias has organization_id=%.*s.", FMT_ARG(*named));
    raise(refused);
}

// The organizations that the caller sees; none means all.
Maybe<Texts> visible_organizations(Session &session)
{
    return session.caller.reads_everything() ? Maybe<Texts>{} : organizations_of(session);
}

} // namespace

namespace pg_org {

void warm_up_organizations(Session &session, Text nobody)
{
    warm_up_showing(session, nobody);
    session.run(list_organizations, Maybe<Text>{nobody}, Maybe<Text>{}, Maybe<Texts>{}, Maybe<Time>{}, Maybe<Text>{},
                Maybe<int64>{1});
}

} // namespace pg_org

PG_ORG_WRITE(org_new)
{
    const Text organization_alias = session.required<Text>("organization_alias");
    const Text organization_id = session.argument("organization_id", identifier_or_new);
    const auto models = session.argument("models", model_list);
    if (!models)
        invalid("models", "must be a list");
    const auto budget_id = session.argument<Text>("budget_id");
    const BudgetChange budget = read_budget_fields(session);
    const auto metadata = session.argument("metadata", object);
    const auto blocked = session.argument<bool>("blocked");
    const auto tags = session.argument("tags", tag_list);
    const auto aliases = session.argument("model_aliases", model_aliases);
    const auto default_reserve = session.argument("default_reserve", money);
    const auto own_quotas = session.argument("quotas", quotas);
    JsonFieldsChange kept{kept_of_organizations};
    kept.read(session);

    const Caller &caller = session.caller;
    if (!caller.is_proxy_admin())
        forbidden("Only admins can create orgs. Your role is = %s", role_name(caller.role));
    session.audit_as(organization_id);
    require_models_of_caller(caller, *models);
    if (budget_id && !budget.empty())
        refused("Either budget_id or budget fields (max_budget, tpm_limit, ...), not both: "
                "budget_id=%.*s has its own",
                FMT_ARG(*budget_id));
    if (budget_id)
        share_budget(session, *budget_id);

    // The audit log of the organization starts at this time, before its budget is made.
    const Time made_at = session.made_at();
    const Rows made = session.run(insert_organization, organization_id, organization_alias,
                                  budget_id ? *budget_id : create_budget(session, budget), metadata, *models, blocked,
                                  tags, aliases, default_reserve, caller.user_id, made_at, own_quotas, kept.values());
    if (made.empty())
        exists_already("Organization already exists for organization_id=%.*s", FMT_ARG(organization_id));

    write_organizations(session, {&organization_id, 1});
}

PG_ORG_WRITE(org_update)
{
    const Text organization_id = session.required<Text>("organization_id");
    OrganizationChange change;
    change.organization_alias = session.argument<Text>("organization_alias");
    change.models = session.argument("models", model_list);
    change.metadata = replaced(session.argument("metadata", object));
    change.budget_id = session.argument<Text>("budget_id");
    change.blocked = session.argument<bool>("blocked");
    change.tags = session.argument("tags", tag_list);
    change.model_aliases = replaced(session.argument("model_aliases", model_aliases));
    if (const auto default_reserve = session.argument("default_reserve", money))
        change.default_reserve = default_reserve;
    const BudgetChange flat = read_budget_fields(session);
    if (const auto nested = session.argument("litellm_budget_table", object_of_objects))
        for (const auto &[field, value] : members(*nested, "litellm_budget_table"))
            if (!value.is_null())
                change.budget.set(field, value, false);
    change.budget.override_with(flat);
    change.quotas = replaced(session.argument("quotas", quotas));
    change.kept.read(session);
    for (const Text field : fields_to_clear(session, Texts{changeable}.subspan(never_cleared)))
        change.clear(field);
    change.cascade = session.argument<bool>("cascade").value_or(false);
    const auto if_match = session.argument<Text>("if_match");

    require_proxy_admin(session, organization_id, "/organization/update");
    change_organization(session, organization_id, change, if_match);
}

PG_ORG_WRITE(org_patch)
{
    const Text organization_id = session.required<Text>("organization_id");
    const auto patch = session.argument("patch", object_of_objects);
    OrganizationChange change;
    for (const auto &[field, value] : members(required(patch, "patch")))
        if (!change.set(field, value))
            cannot_be_changed(value.path(), changeable);
    change.cascade = session.argument<bool>("cascade").value_or(false);
    const auto if_match = session.argument<Text>("if_match");

    require_proxy_admin(session, organization_id, "/v2/organization/{organization_id}");
    change_organization(session, organization_id, change, if_match);
}

namespace {

void set_organization_blocked_and_reply(Session &session, bool blocked, const char *route)
{
    const Text organization_id = session.required<Text>("organization_id");
    require_proxy_admin(session, organization_id, route);
    lock_organization(session, organization_id);
    session.run(set_organization_blocked, organization_id, blocked, session.caller.user_id);
    write_organizations(session, {&organization_id, 1});
}

} // namespace

PG_ORG_WRITE(org_block) { set_organization_blocked_and_reply(session, true, "/organization/block"); }

PG_ORG_WRITE(org_unblock) { set_organization_blocked_and_reply(session, false, "/organization/unblock"); }

PG_ORG_WRITE(org_delete)
{
    const Texts asked = session.required("organization_ids", text_list);
    if (!session.caller.is_proxy_admin())
        forbidden("Only proxy admins can delete organizations");

    const Texts locked = session.run(lock_to_delete, asked).texts();
    session.look_up_caller_again();
    if (locked.size() == 1)
        session.audit_as(locked[0]);
    const auto seen = allocate<bool>(locked.size());
    const auto receipt = allocate<Text>(locked.size());
    size_t count = 0;
    for (const Text id : asked) {
        const size_t at = std::ranges::lower_bound(locked, id) - locked.begin();
        if (at == locked.size() || locked[at] != id)
            not_found("Organization=%.*s not found", FMT_ARG(id));
        if (!std::exchange(seen[at], true))
            receipt[count++] = id;
    }
    session.reply.begin_array();
    write_organizations(session, receipt);
    session.reply.end_array();

    const Texts budgets = lock_budgets(session, session.run(find_owned_budgets, locked).texts());
    session.run(delete_organizations, locked);
    delete_unowned_budgets(session, budgets);
}

PG_ORG_READ(org_list)
{
    const auto org_id = session.argument<Text>("org_id");
    const auto org_alias = session.argument("org_alias", part_of_name);
    const auto limit = session.argument("limit", page_limit);
    const auto after = session.argument<Text>("after");

    const auto visible = visible_organizations(session);
    const PageStart start = page_start(after, "organization_id",
                                       [&](Text id) { return session.run(find_organization_page_start, id, visible); });
    session.reply.begin_array();
    write_organizations(
        session, session.run(list_organizations, org_id, org_alias, visible, start.time, start.id, limit).texts());
    session.reply.end_array();
}

PG_ORG_READ(org_info)
{
    const Text organization_id = session.required<Text>("organization_id");
    if (session.caller.organization_id != organization_id) // a key may ask about its own
        require_reader(session, organization_id);
    if (write_organizations(session, {&organization_id, 1}) == 0)
        refuse_unknown(session, organization_id);
}

PG_ORG_READ(org_info_many)
{
    const Texts organizations = each_once(session.required("organizations", text_list));
    if (organizations.empty())
        refused("Specify list of organization id's to query. Passed in=[]");
    // An unknown organization is refused like one of others.
    if (!session.caller.reads_everything()) {
        const Texts own = organizations_of(session);
        for (const Text id : organizations)
            if (!std::ranges::binary_search(own, id))
                require_reader(session, id);
    }
    session.reply.begin_array();
    write_organizations(session, organizations);
    session.reply.end_array();
}
