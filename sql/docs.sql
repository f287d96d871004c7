-- The SQL reference is what the catalog says, and its examples work; `make docs` writes it again.
\! "$PG_ABS_SRCDIR/tools/reference" check
