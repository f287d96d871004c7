-- The version of the functions, which changes with each function, with who may call it and with where it is; null
-- without the extension.  And whether the tables are there, which org_setup() makes.
SELECT pg_catalog.md5(pg_catalog.string_agg(
           pg_catalog.concat_ws(' ', e.oid, e.xmin, n.nspname, p.oid, p.xmin), ',' ORDER BY p.oid)),
       EXISTS (SELECT
                 FROM pg_catalog.pg_class AS r
                 JOIN pg_catalog.pg_namespace AS s ON s.oid = r.relnamespace
                WHERE s.nspname = 'org' AND r.relname = 'migration')
  FROM pg_catalog.pg_extension AS e
  JOIN pg_catalog.pg_depend AS d
    ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid
   AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e'
  JOIN pg_catalog.pg_proc AS p ON p.oid = d.objid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
 WHERE e.extname = 'pg_org';
