-- The statement that warms up a session, if the extension has it and this role may run it.
SELECT pg_catalog.format('SELECT %I.%I()', n.nspname, p.proname)
  FROM pg_catalog.pg_extension AS e
  JOIN pg_catalog.pg_depend AS d
    ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid
   AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e'
  JOIN pg_catalog.pg_proc AS p ON p.oid = d.objid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
 WHERE e.extname = 'pg_org' AND p.proname = 'org_warm_up' AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE');
