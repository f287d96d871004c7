// Teams: groups of people who share keys and limits, in an organization or on the platform.

#include "team.hpp"

#include "base/clock.hpp"
#include "base/fail.hpp"
#include "base/number.hpp"
#include "budget.hpp"
#include "etag.hpp"
#include "kept.hpp"
#include "limit.hpp"
#include "lock.hpp"
#include "models.hpp"
#include "ownership.hpp"
#include "quota.hpp"
#include "show.hpp"
#include "team_member.hpp"
#include "team_move.hpp"
#include "team_rights.hpp"

using namespace pg_org;

namespace {

constinit Statement find_organization_of_team{
    "SELECT organization_id FROM org.team WHERE team_id = $1 AND ($2 IS NULL OR organization_id = $2)"};

constinit Statement insert_team{R"(
    INSERT INTO org.team (organization_id, team_id, team_alias, metadata, models, blocked, max_budget, tpm_limit,
                          rpm_limit, max_parallel_requests, budget_duration, budget_reset_at, created_by, updated_by,
                          created_at, updated_at, team_member_permissions, open, kept, tags, model_aliases, limits,
                          short_limits)
    VALUES ($1, $2, $3, coalesce($4, '{}'), coalesce($5, '{}'), coalesce($6, false), $7, $8, $9, $10, $11, $12, $13,
            $13, $14, $14, coalesce($15, '{/key/info, /key/health}'), coalesce($16, false), $17,
            coalesce($18, '{}'), coalesce($19, '{}'), coalesce($20, '[]'), $21)
        ON CONFLICT DO NOTHING
    RETURNING team_id)"};

constinit Statement update_team{R"(
    UPDATE org.team
       SET team_alias = CASE WHEN 'team_alias' = ANY ($12) THEN NULL ELSE coalesce($3, team_alias) END,
           models = coalesce($4, models),
           )" SET_METADATA_AND_KEPT("$5", "$17", "$18") R"(,
           max_budget = CASE WHEN 'max_budget' = ANY ($12) THEN NULL ELSE coalesce($6, max_budget) END,
           tpm_limit = CASE WHEN 'tpm_limit' = ANY ($12) THEN NULL ELSE coalesce($7, tpm_limit) END,
           rpm_limit = CASE WHEN 'rpm_limit' = ANY ($12) THEN NULL ELSE coalesce($8, rpm_limit) END,
           max_parallel_requests = CASE WHEN 'max_parallel_requests' = ANY ($12) THEN NULL
                                        ELSE coalesce($9, max_parallel_requests) END,
           budget_duration = CASE WHEN 'budget_duration' = ANY ($12) THEN NULL ELSE coalesce($10, budget_duration) END,
           budget_reset_at = CASE WHEN 'budget_duration' = ANY ($12) THEN NULL
                                  WHEN $10 <> coalesce(budget_duration, '') THEN $11
                                  ELSE budget_reset_at END,
           blocked = coalesce($13, blocked),
           team_member_permissions = coalesce($15, team_member_permissions),
           open = coalesce($16, open),
           tags = coalesce($19, tags),
           model_aliases = coalesce($20, model_aliases),
           spend_reset_at = coalesce($21, spend_reset_at),
           )" SET_LIMITS("$22", "$23", "$24") R"(,
           updated_at = greatest(now(), created_at),
           updated_by = $14
     WHERE organization_id = $1
       AND team_id = $2)"};

constinit Statement read_limits_of_team{"SELECT " LIMITS_OF_TEAM("t") R"(
      FROM org.team t
     WHERE organization_id = $1
       AND team_id = $2)"};

constinit Statement set_team_blocked{R"(
    UPDATE org.team
       SET blocked = $3, updated_at = greatest(now(), created_at), updated_by = $4
     WHERE organization_id = $1
       AND team_id = $2)"};

constinit Statement reset_spend{R"(
    UPDATE org.team
       SET spend_reset_at = $3, updated_at = greatest(now(), created_at), updated_by = $4
     WHERE organization_id = $1
       AND team_id = $2)"};

constinit Statement set_permissions{R"(
    UPDATE org.team
       SET team_member_permissions = $3, updated_at = greatest(now(), created_at), updated_by = $4
     WHERE organization_id = $1
       AND team_id = $2)"};

// Teams that the user $1 may join: $2 is the organization that their key is confined to, $3 those they are members of.
constinit Statement list_open_teams{"SELECT " TEAM_COLUMNS R"(
      FROM org.team t
     WHERE t.open
       AND (t.organization_id = ANY ($3) OR (t.organization_id = '' AND $2 IS NULL))
       AND NOT EXISTS (SELECT
                         FROM org.team_member tm
                        WHERE tm.team_id = t.team_id
                          AND tm.user_id = $1)
     ORDER BY t.created_at, t.team_id)",
                                    Planned::each_time};

constinit Statement find_budgets_of_teams{R"(
    SELECT budget_id
      FROM org.team_member
     WHERE organization_id = $1
       AND team_id = ANY ($2)
       AND budget_id IS NOT NULL
     UNION
    SELECT budget_id
      FROM org.api_key
     WHERE team_id = ANY ($2)
       AND budget_id IS NOT NULL)"};

constinit Statement delete_teams_statement{"DELETE FROM org.team WHERE organization_id = $1 AND team_id = ANY ($2)"};

// After a change of the team's limits.
void require_valid(Session &session, const TeamName &team, const OwnLimits &change)
{
    if (change.any())
        require_valid_limits(
            read_limit_columns(session.run(read_limits_of_team, team.organization_id, team.team_id)[0], 0));
}

void write_team(Session &session, const TeamName &team) { write_team(session, team.organization_id, team.team_id); }

// Whether the team is known to the caller as one of the organization, or with an empty one, of the platform.
bool is_of(Session &session, Text team_id, Text organization_id)
{
    const auto team = find_team(session, team_id, {});
    return team && team->organization_id == organization_id;
}

// Proxy admins make any team, an organization's admins make teams inside it.
void require_maker_of_teams(Session &session, Text organization_id)
{
    if (!organization_id.empty())
        require_organization_admin(session, organization_id, "/team/new");
    else if (!session.caller.is_proxy_admin())
        forbidden("User not allowed to perform /team/new outside of organizations. Your role is %s",
                  role_name(session.caller.role));
}

// Deletes the teams, those of an organization in one statement, so that statement triggers run once for them.
void delete_teams(Session &session, std::span<TeamName> teams)
{
    std::ranges::sort(teams, {}, &TeamName::organization_id);
    while (!teams.empty()) {
        const Text organization_id = teams[0].organization_id;
        const auto of_organization = std::ranges::equal_range(teams, organization_id, {}, &TeamName::organization_id);
        const auto team_ids = allocate<Text>(of_organization.size());
        std::ranges::transform(of_organization, team_ids.begin(), &TeamName::team_id);
        session.audit_as(organization_id);
        const Texts budgets =
            lock_budgets(session, session.run(find_budgets_of_teams, organization_id, Texts{team_ids}).texts());
        session.run(delete_teams_statement, organization_id, Texts{team_ids});
        delete_unowned_budgets(session, budgets);
        teams = teams.subspan(of_organization.size());
    }
}

void set_team_blocked_and_reply(Session &session, bool blocked, const char *route)
{
    const Text team_id = session.required<Text>("team_id");
    const TeamName team =
        lock_team_to_change(session, team_id, session.argument<Text>("organization_id"), TeamRight::owner, route);
    session.run(set_team_blocked, team.organization_id, team.team_id, blocked, session.caller.user_id);
    write_team(session, team);
}

} // namespace

namespace pg_org {

void warm_up_teams(Session &session, Text nobody)
{
    const Maybe<Text> none;
    find_team(session, nobody, none);
    warm_up_team_rights(session, nobody);
    warm_up_team_list(session, nobody);
}

Maybe<TeamName> find_team(Session &session, Text team_id, Maybe<Text> organization_id)
{
    const Rows owners = session.run(find_organization_of_team, team_id, organization_id);
    if (owners.empty())
        return {};
    const TeamName team{*owners[0].get<Text>(0), team_id};
    const Caller &caller = session.caller;
    const bool may_know = caller.reads_everything() || caller.team_id == team_id || role_in_team(session, team) ||
                          role_in(session, team.organization_id) == "org_admin";
    return may_know ? Maybe<TeamName>{team} : Maybe<TeamName>{};
}

} // namespace pg_org

PG_ORG_WRITE(team_new)
{
    const Text organization_id = session.argument<Text>("organization_id").value_or(Text{});
    require_maker_of_teams(session, organization_id);
    const auto team_alias = session.argument<Text>("team_alias");
    const TeamName team{organization_id, session.argument("team_id", identifier_or_new)};
    const auto models = session.argument("models", model_list);
    const auto given = session.json("members_with_roles");
    const auto members = given ? read_list(*given, read_team_member) : std::span<NewTeamMember>{};
    const auto metadata = session.argument("metadata", object);
    const OwnLimits limits = read_own_limits(session, LimitsOf::team);
    const auto blocked = session.argument<bool>("blocked");
    const auto permissions = session.argument("team_member_permissions", team_permissions);
    const auto open = session.argument<bool>("open");
    const auto tags = session.argument("tags", tag_list);
    const auto aliases = session.argument("model_aliases", model_aliases);
    JsonFieldsChange kept{kept_of_teams};
    kept.read(session);

    if (!team.is_of_platform()) {
        lock_organization_as_admin(session, organization_id, "/team/new");
        require_room_for_team(session, organization_id);
    }
    const Rows made = session.run(insert_team, organization_id, team.team_id, team_alias, metadata, models, blocked,
                                  limits.max_budget, limits.tpm_limit, limits.rpm_limit, limits.max_parallel_requests,
                                  limits.budget_duration, limits.budget_reset_at, session.caller.user_id,
                                  session.made_at(), permissions, open, kept.values(), tags, aliases,
                                  limits.others.sentences, limits.others.short_forms.values());
    if (made.empty())
        refused("Team id = %.*s already exists. Please use a different team id.", FMT_ARG(team.team_id));
    require_valid(session, team, limits);
    require_team_within_organization(session, organization_id, team.team_id);
    put_first_members(session, team, members);
    write_team(session, team);
}

PG_ORG_WRITE(team_update)
{
    const Text team_id = session.required<Text>("team_id");
    auto organization_id = session.argument<Text>("organization_id");
    const auto team_alias = session.argument<Text>("team_alias");
    const auto models = session.argument("models", model_list);
    const auto metadata = session.argument("metadata", object);
    OwnLimits limits = read_own_limits(session, LimitsOf::team);
    const auto blocked = session.argument<bool>("blocked");
    const auto permissions = session.argument("team_member_permissions", team_permissions);
    const auto open = session.argument<bool>("open");
    static constexpr std::array<Text, 7> clearable{"organization_id", "team_alias", "max_budget",
                                                   "tpm_limit",       "rpm_limit",  "max_parallel_requests",
                                                   "budget_duration"};
    JsonFieldsChange kept{kept_of_teams};
    kept.read(session);
    const Texts clear = fields_to_clear(session, limits.others.clearable(kept.clearable(clearable)));
    for (const Text field : clear)
        if (!kept.set(field, Value{}))
            limits.others.set(field, Value{});
    if (std::ranges::find(clear, "organization_id") != clear.end())
        organization_id = Text{}; // to the platform
    if (organization_id && is_of(session, team_id, *organization_id))
        organization_id = {}; // clients send it along with what they change
    const bool cascade = session.argument<bool>("cascade").value_or(false);
    const auto if_match = session.argument<Text>("if_match");
    const auto tags = session.argument("tags", tag_list);
    const auto aliases = session.argument("model_aliases", model_aliases);
    const bool resets = session.argument("spend", resets_spend);
    // Admins of the team do not change what limits it.
    const bool only_describes =
        !models && !limits.any() && !blocked && !open && !organization_id && !tags && !aliases && !kept.any() &&
        !resets &&
        std::ranges::all_of(clear, [](Text field) { return field == "team_alias" || field == "organization_id"; });

    TeamName team = organization_id ? lock_team_to_move(session, team_id, *organization_id)
                                    : lock_team_to_change(session, team_id, {},
                                                          only_describes ? TeamRight::team_admin : TeamRight::owner,
                                                          "/team/update");
    require_match(session, if_match, [&] { write_team_info(session, team.organization_id, team_id); });
    if (organization_id)
        team = move_team(session, team, *organization_id);
    session.run(update_team, team.organization_id, team_id, team_alias, models, metadata, limits.max_budget,
                limits.tpm_limit, limits.rpm_limit, limits.max_parallel_requests, limits.budget_duration,
                limits.budget_reset_at, clear, blocked, session.caller.user_id, permissions, open, kept.values(),
                kept.names(), tags, aliases, resets ? Maybe<Time>{present()} : Maybe<Time>{}, limits.others.sentences,
                limits.others.short_forms.values(), limits.others.short_forms.names());
    require_valid(session, team, limits);
    require_team_within_organization(session, team.organization_id, team_id);
    if (models || organization_id)
        keep_within_team(session, team_id, cascade);
    session.reply.begin_object().key("team_id").value(team_id).key("data");
    write_team(session, team);
    session.reply.end_object();
}

PG_ORG_WRITE(team_reset_spend)
{
    const Text team_id = session.required<Text>("team_id");
    if (session.required("reset_to", money) > zero())
        invalid("reset_to", "must be 0");
    const TeamName team = lock_team_to_change(session, team_id, {}, TeamRight::owner, "/team/{team_id}/reset_spend");
    session.run(reset_spend, team.organization_id, team_id, present(), session.caller.user_id);
    write_team(session, team);
}

PG_ORG_READ(team_permissions_list)
{
    const Text team_id = session.required<Text>("team_id");
    const auto team = find_team(session, team_id, {});
    if (!team)
        not_found("Team not found for team_id=%.*s", FMT_ARG(team_id));
    Writer &reply = session.reply;
    reply.begin_object().key("team_id").value(team_id).key("team_member_permissions").begin_array();
    for (const Text permission : permissions_of(session, *team))
        reply.value(permission);
    reply.end_array().key("all_available_permissions").begin_array();
    for (const Text permission : known_team_permissions())
        reply.value(permission);
    reply.end_array().end_object();
}

PG_ORG_WRITE(team_permissions_update)
{
    const Text team_id = session.required<Text>("team_id");
    const Texts permissions = session.required("team_member_permissions", team_permissions);
    const TeamName team = lock_team_to_change(session, team_id, {}, TeamRight::team_admin, "/team/permissions_update");
    session.run(set_permissions, team.organization_id, team_id, permissions, session.caller.user_id);
    write_team(session, team);
}

PG_ORG_READ(team_available)
{
    const Caller &caller = session.caller;
    session.reply.begin_array();
    write_teams(session, session.run(list_open_teams, caller.user_id, caller.organization_id,
                                     Maybe<Texts>{organizations_of(session)}));
    session.reply.end_array();
}

PG_ORG_READ(team_info)
{
    const Text team_id = session.required<Text>("team_id");
    const auto team = find_team(session, team_id, session.argument<Text>("organization_id"));
    if (!team)
        not_found("Team not found for team_id=%.*s", FMT_ARG(team_id));
    write_team_info(session, team->organization_id, team_id);
}

PG_ORG_WRITE(team_delete)
{
    const Texts team_ids = each_once(session.required("team_ids", text_list));
    const auto organization_id = session.argument<Text>("organization_id");
    const auto teams = allocate<TeamName>(team_ids.size());
    const auto organizations = allocate<Text>(team_ids.size());
    for (size_t i = 0; i < team_ids.size(); i++) {
        teams[i] = team_to_change(session, team_ids[i], organization_id, TeamRight::remove, "/team/delete");
        organizations[i] = teams[i].organization_id;
    }
    lock_organizations(session, Texts{organizations});
    lock_platform_teams(session, team_ids);

    session.reply.begin_array();
    for (const TeamName &team : teams) {
        CHECK_FOR_INTERRUPTS();
        // The caller may have lost the right while waiting for the locks, and somebody else may have deleted the team.
        team_to_change(session, team.team_id, team.organization_id, TeamRight::remove, "/team/delete");
        if (!write_team(session, team.organization_id, team.team_id))
            not_found("Team not found for team_id=%.*s", FMT_ARG(team.team_id));
    }
    session.reply.end_array();
    delete_teams(session, teams);
}

PG_ORG_WRITE(team_block) { set_team_blocked_and_reply(session, true, "/team/block"); }

PG_ORG_WRITE(team_unblock) { set_team_blocked_and_reply(session, false, "/team/unblock"); }
