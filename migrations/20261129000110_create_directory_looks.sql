-- Numbers of looks. Counted in the row of the portal, each look waited for whoever stored one. They begin far above
-- what an older usher counts on beside this one.
CREATE SEQUENCE directory_looks;
COMMENT ON SEQUENCE directory_looks IS 'Numbers of looks at portals: what a later one shows is newer';
SELECT setval('directory_looks', COALESCE((SELECT max(looks) FROM observed_portals), 0) + 1000000000);
COMMENT ON COLUMN observed_portals.looks IS 'Looks that an older usher began; since then directory_looks counts them';
