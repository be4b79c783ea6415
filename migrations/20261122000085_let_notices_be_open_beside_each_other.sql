-- Two notices to one receiver are two, also about one portal: only the decision tells them apart. What
-- old code writes fits as before, since it names no index where rows conflict.
DROP INDEX actions_open_once;

-- Two rules that want the same deed share one open action.
CREATE UNIQUE INDEX actions_open_once
ON actions (deed_key, portal_id, target_id)
WHERE state IN ('planned', 'running', 'parked') AND deed <> 'notify';
