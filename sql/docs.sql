-- docs/sql.md matches the catalog, and its examples work; `make docs` regenerates it.
\! "$PG_ABS_SRCDIR/tools/reference" check
