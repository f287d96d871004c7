-- Rows that the tables can have had since the first migration, in plain SQL.
INSERT INTO org.budget (budget_id, max_budget, auto_created) VALUES ('b', 10, true);
INSERT INTO org.organization (organization_id, organization_alias, budget_id) VALUES ('acme', 'Acme', 'b');
INSERT INTO org."user" (user_id, user_role) VALUES ('ann', 'internal_user'), ('old', 'proxy_admin');
INSERT INTO org.membership (organization_id, user_id, user_role) VALUES ('acme', 'ann', 'org_admin');
INSERT INTO org.team (organization_id, team_id, max_budget) VALUES ('acme', 'red', 5);
INSERT INTO org.team_member (organization_id, team_id, user_id, role) VALUES ('acme', 'red', 'ann', 'user');
INSERT INTO org.api_key (key_hash, key_name, user_id, organization_id, team_id) VALUES
    (encode(sha256('sk-old'), 'hex'), 'sk-...old', 'old', NULL, NULL),
    (encode(sha256('sk-old-ann'), 'hex'), 'sk-...ann', 'ann', 'acme', 'red');
-- And what they can have had until it was made unique.
DO $$
BEGIN
    IF to_regproc('org.folded') IS NULL THEN
        INSERT INTO org.budget (budget_id) VALUES ('of beta');
        INSERT INTO org.organization (organization_id, organization_alias, budget_id) VALUES ('beta', 'Beta', 'of beta');
        INSERT INTO org."user" (user_id, user_email, created_at) VALUES
            ('first', 'twin@example.com', '2026-01-01Z'), ('second', 'Twin@example.com', '2026-01-02Z');
        INSERT INTO org.membership (organization_id, user_id, user_role) VALUES ('beta', 'second', 'internal_user');
        INSERT INTO org.team (organization_id, team_id, team_alias) VALUES ('beta', 'red', 'Red too');
        INSERT INTO org.team_member (organization_id, team_id, user_id, role) VALUES ('beta', 'red', 'second', 'user');
        INSERT INTO org.api_key (key_hash, key_name, user_id, organization_id, team_id) VALUES
            (encode(sha256('sk-second'), 'hex'), 'sk-...2nd', 'second', 'beta', 'red');
    END IF;
END $$;
