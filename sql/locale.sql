-- Case-insensitive comparison does not depend on the database's locale: in Turkish the
-- lower-case form of I has no dot.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\set ECHO none
SET client_min_messages = warning;
SELECT current_database() AS before \gset
DROP DATABASE IF EXISTS regress_pg_org_turkish;
CREATE DATABASE regress_pg_org_turkish TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C.UTF-8';
\c regress_pg_org_turkish
\i :helpers

SELECT lower('INFO') AS in_turkish;
SELECT user_new('one', 'INFO@IKEA.com', auto_create_key => false) ->> 'user_email' AS user_email;
SELECT attempt($$user_new('two', 'info@ikea.com', auto_create_key => false)$$);
SELECT org_new('ICI', 'ici') ->> 'organization_id' AS made;
SELECT org_member_add('ici', '{"role": "org_admin", "user_email": "Info@Ikea.com"}') -> 'updated_users' -> 0 ->> 'user_id' AS added,
       org_member_update('ici', user_email => 'iNFO@iKEA.com', role => 'internal_user') ->> 'user_id' AS found,
       user_list(user_email => 'info@') -> 'users' -> 0 ->> 'user_id' AS listed, org_list(org_alias => 'ici') -> 0 ->> 'organization_id' AS organization;

\set ECHO none
\c :before
DROP DATABASE regress_pg_org_turkish;
