-- Changes of rules are audit rows too (R-211): each activation, with who, why and the set it puts into force.
-- The constraint is replaced by a wider one: no row that was allowed becomes forbidden, none is rewritten.
ALTER TABLE audit.event DROP CONSTRAINT event_kind_check;
ALTER TABLE audit.event ADD CONSTRAINT event_kind_check
  CHECK (kind IN ('event', 'late', 'finding', 'alert', 'lifecycle', 'delivery', 'rules')) NOT VALID;
ALTER TABLE audit.event VALIDATE CONSTRAINT event_kind_check;
