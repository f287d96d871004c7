// Reading what is shown, and writing it.

#include "show.hpp"

namespace pg_org {

namespace {

constexpr int budget_columns = 19;

// clang-format off

#define ORGANIZATION_COLUMNS \
    "o.organization_id, o.organization_alias, o.budget_id, o.spend, " \
    PERIOD_SPEND("o", "b", "o.organization_id, '', '', '', ''") ", " \
    "o.model_spend, " METADATA_OF("o", "'{object_permission}'") ", o.models, o.blocked, o.tags, o.model_aliases, o.default_reserve, " \
    "o.created_by, o.updated_by, o.created_at, o.updated_at"
constexpr int organization_columns = 16;

#define MEMBERSHIP_COLUMNS \
    "m.user_id, m.organization_id, m.user_role, m.spend, " \
    PERIOD_SPEND("m", "b", "m.organization_id, '', m.user_id, '', ''") ", " \
    R"(m.budget_id, m.created_at, m.updated_at, u.user_email, NULL::text AS "user")"
#define MEMBERSHIP_TABLES \
    R"(org.membership m JOIN org."user" u USING (user_id) LEFT JOIN org.budget b ON b.budget_id = m.budget_id)"
constexpr int membership_columns = 10, membership_organization_column = 1, membership_budget_column = 5;

// clang-format on

constexpr int team_id_column = 0, team_organization_column = 2;
constexpr int team_columns_before_members = 5;

constexpr int key_summary_columns = 3;

// A query of what organizations have. One organization is asked for most often, and the plan for a list costs more to
// start than the look-up of one.
struct ByOrganization {
    Statement of_one, of_many;

    Rows run(Session &session, Texts ids)
    {
        return ids.size() == 1 ? session.run(of_one, ids[0]) : session.run(of_many, ids);
    }
};

#define SELECT_ORGANIZATIONS                                                                                           \
    "SELECT " ORGANIZATION_COLUMNS ", " BUDGET_COLUMNS_OF(                                                             \
        "o") ", o.kept -> 'object_permission' AS object_permission, NULL::text AS object_permission_id, o.quotas"      \
             "  FROM org.organization o JOIN org.budget b USING (budget_id)"
constinit ByOrganization show_organizations{
    Statement{SELECT_ORGANIZATIONS " WHERE o.organization_id = $1"},
    Statement{SELECT_ORGANIZATIONS " WHERE o.organization_id = ANY ($1)"},
};

#define SELECT_MEMBERSHIPS "SELECT " MEMBERSHIP_COLUMNS ", " BUDGET_COLUMNS_OF("m") " FROM " MEMBERSHIP_TABLES
constinit ByOrganization show_members_of_organizations{
    Statement{SELECT_MEMBERSHIPS " WHERE m.organization_id = $1"},
    Statement{SELECT_MEMBERSHIPS " WHERE m.organization_id = ANY ($1)"},
};

// The teams of the platform have an empty identifier there, which no organization has.
constinit ByOrganization show_teams_of_organizations{
    Statement{"SELECT " TEAM_COLUMNS " FROM org.team t WHERE t.organization_id = $1 AND $1 <> ''"},
    Statement{"SELECT " TEAM_COLUMNS " FROM org.team t WHERE t.organization_id = ANY ($1) AND t.organization_id <> ''"},
};

constinit Statement show_budgets{"SELECT " BUDGET_COLUMNS R"(
      FROM unnest($1) WITH ORDINALITY AS asked (budget_id, place)
      JOIN org.budget b USING (budget_id)
     ORDER BY asked.place)"};

constinit Statement show_memberships{SELECT_MEMBERSHIPS R"(
      JOIN unnest($2) WITH ORDINALITY AS asked (id, place) ON asked.id = m.user_id
     WHERE m.organization_id = $1
     ORDER BY asked.place)"};

constinit Statement show_team{"SELECT " TEAM_COLUMNS R"(
      FROM org.team t
     WHERE t.organization_id = $1
       AND t.team_id = $2)"};

constinit Statement show_listed_teams{"SELECT " TEAM_COLUMNS R"(
      FROM unnest($1) WITH ORDINALITY AS asked (id, place)
      JOIN org.team t ON t.team_id = asked.id
     ORDER BY asked.place)",
                                      Planned::each_time};

constinit Statement show_teams_of_user{"SELECT " TEAM_COLUMNS R"(
      FROM org.team_member of_user
      JOIN org.team t USING (organization_id, team_id)
     WHERE of_user.user_id = $1
       AND ($2 IS NULL OR t.organization_id = ANY ($2))
     ORDER BY t.created_at, t.organization_id, t.team_id)"};

constinit Statement show_members_of_teams{R"(
    SELECT tm.organization_id, tm.team_id, tm.user_id, u.user_email, tm.role, tm.created_at
      FROM unnest($1, $2) AS asked (organization_id, team_id)
      JOIN org.team_member tm USING (organization_id, team_id)
      JOIN org."user" u USING (user_id))"};

// clang-format off
#define SELECT_TEAM_MEMBERSHIPS \
    "SELECT tm.user_id, tm.team_id, u.user_email, tm.role, tm.spend, " \
    PERIOD_SPEND("tm", "b", "tm.organization_id, tm.team_id, tm.user_id, '', ''") "," \
    "       tm.budget_id, b.max_budget AS max_budget_in_team, b.tpm_limit, b.rpm_limit, " BUDGET_COLUMNS_OF("tm") \
    "  FROM org.team_member tm" \
    "  JOIN org.\"user\" u USING (user_id)" \
    "  LEFT JOIN org.budget b ON b.budget_id = tm.budget_id"
// clang-format on
constexpr int team_membership_team_column = 1;

constinit Statement show_team_memberships{SELECT_TEAM_MEMBERSHIPS R"(
     WHERE tm.organization_id = $1
       AND tm.team_id = $2
       AND ($3 IS NULL OR tm.user_id = ANY ($3))
     ORDER BY tm.created_at, tm.user_id)"};

constinit Statement show_memberships_of_teams{SELECT_TEAM_MEMBERSHIPS R"(
     WHERE tm.team_id = ANY ($1)
     ORDER BY tm.team_id, tm.created_at, tm.user_id)",
                                              Planned::each_time};

constinit Statement show_key{"SELECT " KEY_COLUMNS " FROM org.api_key k WHERE k.key_id = $1"};

constinit Statement show_keys_of_user{"SELECT " KEY_COLUMNS R"(
      FROM org.api_key k
     WHERE k.user_id = $1
       AND ($2 IS NULL OR k.organization_id = ANY ($2))
     ORDER BY k.created_at, k.key_id)"};

constinit Statement show_keys_of_team{"SELECT " KEY_COLUMNS R"(
      FROM org.api_key k
     WHERE coalesce(k.organization_id, '') = $1
       AND k.team_id = $2
     ORDER BY k.created_at, k.key_id)"};

constinit Statement show_user{"SELECT " USER_COLUMNS R"(
      FROM org."user" u, (SELECT $1 IS NULL AS whole, NULL::text AS inside) AS seen
     WHERE u.user_id = $2)"};

constinit Statement show_users{"SELECT " USER_COLUMNS R"(
      FROM unnest($2) WITH ORDINALITY AS asked (id, place)
      JOIN org."user" u ON u.user_id = asked.id,
           (SELECT $1 IS NULL AS whole, NULL::text AS inside) AS seen
     ORDER BY asked.place)"};

constinit Statement show_keys_of_teams{"SELECT " KEY_COLUMNS R"(
      FROM org.api_key k
     WHERE k.team_id = ANY ($1)
       AND ($2 IS NULL OR k.organization_id = ANY ($2) OR k.user_id = $3
            OR EXISTS (SELECT
                         FROM org.team_member tm
                        WHERE tm.organization_id = k.organization_id
                          AND tm.team_id = k.team_id
                          AND tm.user_id = $3
                          AND tm.role = 'admin'))
     ORDER BY k.team_id, k.created_at, k.key_id)",
                                       Planned::each_time};

// The rows with this identifier among rows in the order of the identifier that they have in a column.
std::span<const Row> rows_of(Text identifier, std::span<const Row> rows, int column)
{
    const auto id = [column](const Row &row) { return *row.get<Text>(column); };
    const auto found = std::ranges::equal_range(rows, identifier, {}, id);
    return {found.begin(), found.end()};
}

auto membership_order(const Row &row)
{
    constexpr int user_id = 0, created_at = 6;
    return std::tuple{*row.get<Text>(membership_organization_column), row.get<Time>(created_at)->value,
                      *row.get<Text>(user_id)};
}

auto team_order(const Row &row)
{
    constexpr int created_at = 16;
    return std::tuple{*row.get<Text>(team_organization_column), row.get<Time>(created_at)->value,
                      *row.get<Text>(team_id_column)};
}

void write_rows(Session &session, const Rows &rows)
{
    for (const Row row : rows)
        session.reply.object(row);
}

// The columns from the first on are those of a budget, null if there is none.
void write_budget_of(Writer &reply, const Row &row, bool has_budget, int first)
{
    reply.key("litellm_budget_table");
    if (has_budget)
        reply.begin_object().columns(row, first, first + budget_columns).end_object();
    else
        reply.null();
}

void write_membership_fields(Writer &reply, const Row &row)
{
    reply.columns(row, 0, membership_columns);
    write_budget_of(reply, row, row.get<Text>(membership_budget_column).has_value(), membership_columns);
}

void write_membership(Writer &reply, const Row &row)
{
    write_membership_fields(reply.begin_object(), row);
    reply.end_object();
}

void write_team_membership(Writer &reply, const Row &row)
{
    constexpr int own_columns = 10, budget_id = 6;
    reply.begin_object().columns(row, 0, own_columns);
    write_budget_of(reply, row, row.get<Text>(budget_id).has_value(), own_columns);
    reply.end_object();
}

// Writes rows of TEAM_COLUMNS, having read the members of all of them at once.
class TeamWriter {
public:
    TeamWriter(Session &session, std::span<const Row> teams) : reply_(session.reply)
    {
        if (teams.empty())
            return;
        const auto organization_ids = allocate<Text>(teams.size()), team_ids = allocate<Text>(teams.size());
        for (size_t i = 0; i < teams.size(); i++) {
            organization_ids[i] = organization_of(teams[i]);
            team_ids[i] = *teams[i].get<Text>(team_id_column);
        }
        members_ = session.run(show_members_of_teams, Texts{organization_ids}, Texts{team_ids}).sorted_by(order);
    }

    void write(const Row &team) const
    {
        CHECK_FOR_INTERRUPTS();
        reply_.begin_object();
        write_fields(team);
        reply_.end_object();
    }

    void write_fields(const Row &team) const
    {
        const auto name = std::tuple{organization_of(team), *team.get<Text>(team_id_column)};
        const auto members = std::ranges::equal_range(members_, name, {}, team_of);

        reply_.columns(team, 0, team_columns_before_members).key("members_with_roles").begin_array();
        for (const Row &member : members) {
            CHECK_FOR_INTERRUPTS();
            reply_.begin_object().columns(member, user_id, role + 1).end_object();
        }
        reply_.end_array().columns(team, team_columns_before_members, team.columns());
    }

private:
    // Empty for a team of the platform, as in the tables.
    static Text organization_of(const Row &team) { return team.get<Text>(team_organization_column).value_or(Text{}); }

    static constexpr int organization_id = 0, team_id = 1, user_id = 2, role = 4, created_at = 5;

    static std::tuple<Text, Text> team_of(const Row &member)
    {
        return {*member.get<Text>(organization_id), *member.get<Text>(team_id)};
    }
    static std::tuple<Text, Text, TimestampTz, Text> order(const Row &member)
    {
        return {*member.get<Text>(organization_id), *member.get<Text>(team_id), member.get<Time>(created_at)->value,
                *member.get<Text>(user_id)};
    }

    Writer &reply_;
    std::span<const Row> members_;
};

} // namespace

void write_budgets(Session &session, Texts budget_ids) { write_rows(session, session.run(show_budgets, budget_ids)); }

size_t write_organizations(Session &session, Texts organization_ids)
{
    const auto organizations =
        show_organizations.run(session, organization_ids).sorted_by([](const Row &row) { return *row.get<Text>(0); });
    const auto members = show_members_of_organizations.run(session, organization_ids).sorted_by(membership_order);
    const auto teams = show_teams_of_organizations.run(session, organization_ids).sorted_by(team_order);
    const TeamWriter team_writer{session, teams};
    Writer &reply = session.reply;
    size_t written = 0;
    for (const Text id : organization_ids) {
        CHECK_FOR_INTERRUPTS();
        for (const Row &row : rows_of(id, organizations, 0)) {
            reply.begin_object().columns(row, 0, organization_columns).key("members").begin_array();
            for (const Row &member : rows_of(id, members, membership_organization_column)) {
                CHECK_FOR_INTERRUPTS();
                write_membership(reply, member);
            }
            reply.end_array().key("teams").begin_array();
            for (const Row &team : rows_of(id, teams, team_organization_column))
                team_writer.write(team);
            reply.end_array();
            write_budget_of(reply, row, true, organization_columns);
            // Clients of LiteLLM may read this field, which has no counterpart here.
            reply.key("users").null();
            reply.columns(row, organization_columns + budget_columns, row.columns()).end_object();
            written++;
        }
    }
    return written;
}

void write_memberships(Session &session, Text organization_id, Texts user_ids)
{
    for (const Row row : session.run(show_memberships, organization_id, user_ids))
        write_membership(session.reply, row);
}

void write_membership_fields(Session &session, Text organization_id, Text user_id)
{
    write_membership_fields(session.reply, session.run(show_memberships, organization_id, Texts{&user_id, 1})[0]);
}

void write_teams(Session &session, const Rows &teams)
{
    const auto rows = teams.all();
    const TeamWriter writer{session, rows};
    for (const Row &team : rows)
        writer.write(team);
}

void write_teams_of_user(Session &session, Text user_id, Maybe<Texts> organization_ids)
{
    write_teams(session, session.run(show_teams_of_user, user_id, organization_ids));
}

bool write_team(Session &session, Text organization_id, Text team_id)
{
    const Rows rows = session.run(show_team, organization_id, team_id);
    write_teams(session, rows);
    return !rows.empty();
}

void write_team_fields(Session &session, Text organization_id, Text team_id)
{
    const Row team = session.run(show_team, organization_id, team_id)[0];
    TeamWriter{session, {&team, 1}}.write_fields(team);
}

void write_team_info(Session &session, Text organization_id, Text team_id)
{
    Writer &reply = session.reply;
    reply.begin_object().key("team_id").value(team_id);
    reply.key("team_info");
    write_team(session, organization_id, team_id);
    reply.key("keys").begin_array();
    write_keys_of_team(session, organization_id, team_id);
    reply.end_array().key("team_memberships").begin_array();
    write_team_memberships(session, organization_id, team_id, {});
    reply.end_array().end_object();
}

void write_team_memberships(Session &session, Text organization_id, Text team_id, Maybe<Texts> user_ids)
{
    for (const Row row : session.run(show_team_memberships, organization_id, team_id, user_ids))
        write_team_membership(session.reply, row);
}

void write_listed_teams(Session &session, Texts team_ids, const Maybe<Texts> &visible)
{
    const auto teams = session.run(show_listed_teams, team_ids).all();
    const auto keys = session.run(show_keys_of_teams, team_ids, visible, session.caller.user_id).all();
    const auto memberships = session.run(show_memberships_of_teams, team_ids).all();
    const TeamWriter writer{session, teams};
    Writer &reply = session.reply;
    for (const Row &team : teams) {
        const Text team_id = *team.get<Text>(team_id_column);
        reply.begin_object();
        writer.write_fields(team);
        reply.key("keys").begin_array();
        for (const Row &key : rows_of(team_id, keys, key_team_column))
            reply.object(key);
        reply.end_array().key("team_memberships").begin_array();
        for (const Row &membership : rows_of(team_id, memberships, team_membership_team_column))
            write_team_membership(reply, membership);
        reply.end_array().end_object();
    }
}

Rows read_key(Session &session, Text key_id) { return session.run(show_key, key_id); }

void write_key(Session &session, Text key_id) { session.reply.object(read_key(session, key_id)[0]); }

void write_keys_of_user(Session &session, Text user_id, Maybe<Texts> organization_ids)
{
    write_rows(session, session.run(show_keys_of_user, user_id, organization_ids));
}

void write_keys_of_team(Session &session, Text organization_id, Text team_id)
{
    write_rows(session, session.run(show_keys_of_team, organization_id, team_id));
}

void write_new_key(Session &session, Text key_id, Text secret)
{
    const Row key = read_key(session, key_id)[0];
    session.reply.begin_object().key("key");
    session.write_secret(secret);
    session.reply.columns(key, 0, key.columns()).end_object();
}

void write_new_key_summary(Session &session, Text key_id, Text secret)
{
    session.reply.key("key");
    session.write_secret(secret);
    session.reply.columns(read_key(session, key_id)[0], 0, key_summary_columns);
}

void write_users(Session &session, Texts user_ids, Maybe<Texts> organization_ids)
{
    write_rows(session, session.run(show_users, organization_ids, user_ids));
}

bool write_user(Session &session, Text user_id, Maybe<Texts> organization_ids)
{
    const Rows rows = session.run(show_user, organization_ids, user_id);
    write_rows(session, rows);
    return !rows.empty();
}

void write_user_fields(Session &session, Text user_id)
{
    const Row user = session.run(show_user, Maybe<Texts>{}, user_id)[0];
    session.reply.columns(user, 0, user.columns());
}

void warm_up_showing(Session &session, Text nobody)
{
    const std::array nobodies{nobody, tail(nobody, 1)};
    for (const size_t many : {1, 2})
        write_organizations(session, {nobodies.data(), many});
    write_team(session, nobody, nobody);
    session.run(show_members_of_teams, Texts{&nobody, 1}, Texts{&nobody, 1});
    write_team_memberships(session, nobody, nobody, {});
    write_teams_of_user(session, nobody, {});
    read_key(session, nobody);
    write_keys_of_user(session, nobody, {});
    write_keys_of_team(session, nobody, nobody);
    write_user(session, nobody, {});
}

} // namespace pg_org
