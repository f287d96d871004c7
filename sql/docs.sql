-- docs/sql.md matches the catalog; `make docs` regenerates it.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers
\set ECHO none
\set ECHO all
\setenv PGDATABASE :DBNAME
\! psql -qAtX -f "$PG_ABS_SRCDIR/docs/reference.sql" | diff - "$PG_ABS_SRCDIR/docs/sql.md" && echo 'docs/sql.md is current'
