-- Writes docs/sql.md from the catalog's comments: psql -qAtX -f docs/reference.sql
-- in a database where pg_org is installed and org_setup() has run.

\qecho '# SQL reference'
\qecho
\qecho 'Written by `make docs` from the comments in the catalog; `\\df+` and `\\d+` in psql show the same.'
\qecho 'Arguments have the names of the JSON fields on HTTP. Those without a default are required.'
\qecho 'Every function has `api_key` last: whose rights count. Without it the owner of the tables speaks, as a proxy admin.'
\qecho
\qecho '## Functions'

SELECT format(E'\n### %s\n\n%s\n\n%s\n\n```\n%s(%s)\n  returns %s\n```',
              p.proname, split_part(obj_description(p.oid, 'pg_proc'), E'\n', 1),
              split_part(obj_description(p.oid, 'pg_proc'), E'\n', 2), p.proname,
              CASE WHEN p.pronargs = 0 THEN ''
                   ELSE E'\n    ' || replace(pg_get_function_arguments(p.oid), ', ', E',\n    ') END,
              format_type(p.prorettype, NULL))
  FROM pg_extension e
  JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.classid = 'pg_proc'::regclass
  JOIN pg_proc p ON p.oid = d.objid
 WHERE e.extname = 'pg_org'
 ORDER BY p.proname COLLATE "C";

\qecho
\qecho '## Tables'

SELECT format(E'\n### org.%s\n\n%s\n\n| column | type | |\n| --- | --- | --- |\n%s',
              quote_ident(c.relname), obj_description(c.oid, 'pg_class'),
              (SELECT string_agg(format('| %s | %s | %s |', a.attname, format_type(a.atttypid, a.atttypmod),
                                        col_description(c.oid, a.attnum)), E'\n' ORDER BY a.attnum)
                 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
  FROM pg_class c
 WHERE c.relnamespace = 'org'::regnamespace AND c.relkind = 'r'
 ORDER BY c.relname COLLATE "C";
