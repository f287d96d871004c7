-- Make the database pg_org and the gateway's role, or bring them up to date; run by start_postgres at each start.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SELECT 'CREATE DATABASE pg_org' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'pg_org') \gexec
\connect pg_org
\ir :setup

-- Keeps the secrets out of the log, whatever the server logs otherwise.
SET log_statement = none;
SET log_min_duration_statement = -1;
SET log_min_error_statement = panic;

SELECT 'CREATE ROLE org_gateway LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'org_gateway') \gexec
SELECT org_grant_access('org_gateway') \g /dev/null
REVOKE ALL ON DATABASE pg_org FROM PUBLIC;
GRANT CONNECT ON DATABASE pg_org TO org_gateway;

\getenv password_file PG_ORG_GATEWAY_PASSWORD_FILE
\if :{?password_file}
    \set password `cat "$PG_ORG_GATEWAY_PASSWORD_FILE"`
    ALTER ROLE org_gateway PASSWORD :'password';
\endif

\getenv admin_key_file PG_ORG_ADMIN_KEY_FILE
\if :{?admin_key_file}
    \set admin_key `cat "$PG_ORG_ADMIN_KEY_FILE"`
    SELECT key_generate(user_id => 'default_user_id', key => :'admin_key', key_alias => 'admin')
    WHERE NOT EXISTS (SELECT FROM org.api_key WHERE key_hash = encode(sha256(convert_to(:'admin_key', 'UTF8')), 'hex'))
    \g /dev/null
\endif
