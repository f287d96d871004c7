-- org_info() looks up the organization that has an alias, to hint at its id. A hash, since aliases may be too long for a
-- B-tree.
CREATE INDEX organization_alias_idx ON org.organization USING hash (org.folded(organization_alias));
