-- The functions of the extension, a row for each argument: what Function and Argument of gateway/bind.hpp hold.  The
-- comment of an argument is the comment on its column.
SELECT p.proname,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname),
       pg_catalog.has_function_privilege(p.oid, 'EXECUTE'),
       a.name,
       pg_catalog.quote_ident(a.name),
       pg_catalog.format_type(a.type, NULL),
       a.position <= p.pronargs - p.pronargdefaults,
       coalesce(pg_catalog.pg_get_function_arg_default(p.oid, a.position::integer), ''),
       coalesce(field.comment, ''),
       coalesce(pg_catalog.obj_description(p.oid, 'pg_proc'), '')
  FROM pg_catalog.pg_extension AS e
  JOIN pg_catalog.pg_depend AS d
    ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid
   AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e'
  JOIN pg_catalog.pg_proc AS p ON p.oid = d.objid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
 CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(p.proargnames), pg_catalog.unnest(p.proargtypes::pg_catalog.oid[]))
       WITH ORDINALITY AS a (name, type, position)
  LEFT JOIN LATERAL (
       SELECT pg_catalog.col_description(c.attrelid, c.attnum)
         FROM (VALUES (1, 'org_member_', 'membership'),
                      (2, 'org_events', 'event'),
                      (3, 'org_', 'organization'),
                      (4, 'org_', 'budget'),
                      (5, 'team_member_', 'team_member'),
                      (6, 'team_', 'team'),
                      (7, 'user_', 'user'),
                      (8, 'key_', 'api_key'),
                      (9, 'budget_', 'budget'),
                      (10, 'usage_', 'reservation'),
                      (11, 'usage_', 'usage'),
                      (12, 'customer_', 'end_user'),
                      (13, 'customer_', 'budget')) AS subject (rank, functions, relation)
         JOIN pg_catalog.pg_class AS r ON r.relname = subject.relation
         JOIN pg_catalog.pg_namespace AS s ON s.oid = r.relnamespace AND s.nspname = 'org'
         JOIN pg_catalog.pg_attribute AS c ON c.attrelid = r.oid AND c.attname = a.name
        WHERE pg_catalog.starts_with(p.proname, subject.functions)
        ORDER BY subject.rank
        LIMIT 1) AS field (comment) ON true
 WHERE e.extname = 'pg_org'
 ORDER BY p.proname, a.position;
