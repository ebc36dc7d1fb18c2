-- Schema `alerting`: everything the alerter must know after a crash (X16, R-205, R-402; PostgreSQL 15-18, no extension).
--
-- Written only by the alerter, in the transaction that moves its Kafka offset, so that consuming is exactly-once in
-- effect. Instants are milliseconds UTC in bigint columns ending in `_ms`: suppression runs on alert time, which must
-- not be rounded; leases and retries on the alerter's wall clock. Alert ids are the 32 hexadecimal digits as UUID.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'alerting_writer') THEN
    BEGIN
      CREATE ROLE alerting_writer NOLOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL; -- Another database was faster.
    END;
  END IF;
  -- A login that is no superuser must be a member to work as this role; XX000 is two grants at one moment.
  IF NOT pg_has_role(current_user, 'alerting_writer', 'MEMBER') THEN
    BEGIN
      EXECUTE format('GRANT alerting_writer TO %I', current_user);
    EXCEPTION WHEN internal_error THEN
      NULL;
    END;
  END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS alerting;
REVOKE ALL ON SCHEMA alerting FROM PUBLIC;

-- Where the alerter is, per partition: moved by compare-and-swap on (next_offset, fence). A new owner takes a new fence.
CREATE TABLE alerting.consumed_offset (
  topic_id uuid NOT NULL,
  kafka_partition integer NOT NULL,
  topic text NOT NULL,
  next_offset bigint,                       -- null = nothing consumed yet
  fence bigint NOT NULL DEFAULT 1,
  owner text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (topic_id, kafka_partition)
) WITH (fillfactor = 50);

-- The alert an analyst sees: all correlator alerts of one (rule, entity) that followed each other closely (R-205).
CREATE TABLE alerting.alert (
  alert_id uuid PRIMARY KEY,
  organization_id text NOT NULL,
  suppression_key text NOT NULL,            -- hash of (organization, rule, group key)
  holds_slot boolean NOT NULL,              -- later hits of the key join this one
  status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'acknowledged', 'closed')),
  severity text NOT NULL CHECK (severity IN ('informational', 'low', 'medium', 'high', 'critical')),
  first_at_ms bigint NOT NULL,
  last_at_ms bigint NOT NULL,
  told_severity text NOT NULL,              -- what the last notice said
  told_count bigint NOT NULL,
  rule_id text NOT NULL,
  title text NOT NULL,
  record jsonb NOT NULL,                    -- the record that changed it last
  record_revision bigint NOT NULL,
  fired_at_ms bigint NOT NULL,              -- append time of the record that opened it
  opened_at_ms bigint NOT NULL,
  updated_at_ms bigint NOT NULL
);
-- R-205 as a constraint: whatever the code does, a key has one alert that takes in hits.
CREATE UNIQUE INDEX alert_slot ON alerting.alert (organization_id, suppression_key) WHERE holds_slot;
CREATE INDEX alert_newest ON alerting.alert (organization_id, opened_at_ms DESC);

-- The lock of a suppression key, taken by upsert. Two alerts of one key, opened at the same moment by two connections,
-- queue here and the second one sees the first; a look-up before an insert would race.
CREATE TABLE alerting.suppression_slot (
  organization_id text NOT NULL,
  suppression_key text NOT NULL,
  touched_at_ms bigint NOT NULL,
  PRIMARY KEY (organization_id, suppression_key)
) WITH (fillfactor = 50);

-- Correlator ids of an alert with their highest revision. Kept after their end, so that nothing opens them again.
CREATE TABLE alerting.alert_member (
  member_id uuid PRIMARY KEY,
  alert_id uuid NOT NULL REFERENCES alerting.alert,
  revision bigint NOT NULL,                 -- -1 = known only because another id supersedes it
  count bigint NOT NULL,
  count_exact boolean NOT NULL,
  first_at_ms bigint NOT NULL,
  last_at_ms bigint NOT NULL,
  has_ended boolean NOT NULL,
  superseded_by uuid
);
CREATE INDEX alert_member_alert ON alerting.alert_member (alert_id);

-- Alert records whose audit row is not there yet: parked one by one, never a partition (X16).
CREATE TABLE alerting.parked (
  topic_id uuid NOT NULL,
  kafka_partition integer NOT NULL,
  kafka_offset bigint NOT NULL,
  topic text NOT NULL,
  record_key bytea,
  value bytea NOT NULL,                     -- as consumed: compared with the audit row when that comes
  append_time_ms bigint NOT NULL,
  -- waiting: nothing happened yet; told: a thin notice went out; applied: counted, nobody had to be told.
  state text NOT NULL CHECK (state IN ('waiting', 'told', 'applied')),
  deadline_ms bigint NOT NULL,              -- until then `waiting`, after it a thin notice
  next_check_ms bigint NOT NULL,
  PRIMARY KEY (topic_id, kafka_partition, kafka_offset)
);
CREATE INDEX parked_due ON alerting.parked (next_check_ms);

-- What a person is told, once; rendered per receiver. Content comes from an allowlist, never from payloads.
CREATE TABLE alerting.notice (
  notice_id text PRIMARY KEY,
  alert_id uuid NOT NULL,
  organization_id text NOT NULL,
  reason text NOT NULL,
  severity text NOT NULL,
  thin boolean NOT NULL,
  content jsonb NOT NULL,
  created_at_ms bigint NOT NULL
);
CREATE INDEX notice_alert ON alerting.notice (alert_id);

-- Notices to one receiver about one suppression key. Owned by a lease with an epoch: a late owner cannot record.
CREATE TABLE alerting.notice_group (
  group_id text PRIMARY KEY,
  organization_id text NOT NULL,
  receiver text NOT NULL,
  owner text,
  epoch bigint NOT NULL DEFAULT 0,
  leased_until_ms bigint NOT NULL DEFAULT 0,
  next_flush_at_ms bigint                   -- null = nothing to deliver
) WITH (fillfactor = 50);
CREATE INDEX notice_group_due ON alerting.notice_group (next_flush_at_ms) WHERE next_flush_at_ms IS NOT NULL;

-- One notice to one receiver. `delivery_id` is the idempotency key and the `webhook-id`, equal for all attempts.
CREATE TABLE alerting.outbox (
  delivery_id text PRIMARY KEY,
  sequence bigint GENERATED ALWAYS AS IDENTITY,
  group_id text NOT NULL REFERENCES alerting.notice_group,
  notice_id text NOT NULL REFERENCES alerting.notice,
  alert_id uuid NOT NULL,
  organization_id text NOT NULL,
  receiver text NOT NULL,
  channel text NOT NULL,
  -- failed: an attempt failed and another one is due; dead: no further attempt unless redriven; in_doubt: held (E3).
  state text NOT NULL CHECK (state IN ('pending', 'sending', 'sent', 'in_doubt', 'failed', 'dead')),
  attempts integer NOT NULL DEFAULT 0,
  attempts_base integer NOT NULL DEFAULT 0, -- attempts before the last redrive: the retry schedule starts again
  next_attempt_at_ms bigint NOT NULL,
  lease_owner text,
  lease_epoch bigint,
  http_status integer,
  error_code text,
  created_at_ms bigint NOT NULL,
  settled_at_ms bigint
);
CREATE INDEX outbox_open ON alerting.outbox (group_id, sequence) WHERE state IN ('pending', 'sending', 'failed');
CREATE INDEX outbox_alert ON alerting.outbox (alert_id);
CREATE INDEX outbox_newest ON alerting.outbox (organization_id, sequence DESC);

-- One row per attempt, success and failure; `ended_at_ms` null = under way, or its owner died.
CREATE TABLE alerting.delivery_attempt (
  delivery_id text NOT NULL REFERENCES alerting.outbox,
  attempt integer NOT NULL,
  status text NOT NULL CHECK (status IN ('SENDING', 'SENT', 'FAILED', 'DEAD', 'IN_DOUBT')),
  started_at_ms bigint NOT NULL,
  ended_at_ms bigint,
  http_status integer,
  error_code text,
  retry_after_ms bigint,
  response_sha256 text,
  PRIMARY KEY (delivery_id, attempt)
);

-- Deliveries given up (R-402). `payload_reference` names the notice; nothing of its content is here.
CREATE TABLE alerting.alert_delivery_failures (
  failure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  delivery_id text NOT NULL REFERENCES alerting.outbox,
  alert_id uuid NOT NULL,
  organization_id text NOT NULL,
  receiver text NOT NULL,
  channel text NOT NULL,
  attempts integer NOT NULL,
  http_status integer,
  error_code text NOT NULL,
  payload_reference text NOT NULL CHECK (payload_reference ~ '^notice:[0-9a-f]{32}$'),
  failed_at_ms bigint NOT NULL,
  redriven_at_ms bigint
);

-- Receivers that answered 410 (Standard Webhooks): they get nothing until a person enables them again.
CREATE TABLE alerting.disabled_receiver (
  receiver text PRIMARY KEY,
  reason text NOT NULL,
  disabled_at_ms bigint NOT NULL
);

-- Records for `security.deliveries` and `security.alert-lifecycle`, written with what they tell of, sent at least once.
CREATE TABLE alerting.record_outbox (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic text NOT NULL,                      -- without the namespace
  record_key text NOT NULL,
  value jsonb NOT NULL
);

-- Gives a dead or held delivery another run of the schedule, under its old idempotency key. False = nothing to redrive.
CREATE FUNCTION alerting.redrive(wanted_delivery text, now_ms bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  wanted_group text;
BEGIN
  UPDATE alerting.outbox SET state = 'pending', attempts_base = attempts, next_attempt_at_ms = now_ms, settled_at_ms = NULL
    WHERE delivery_id = wanted_delivery AND state IN ('dead', 'in_doubt') RETURNING group_id INTO wanted_group;
  IF wanted_group IS NULL THEN
    RETURN false;
  END IF;
  UPDATE alerting.alert_delivery_failures SET redriven_at_ms = now_ms
    WHERE delivery_id = wanted_delivery AND redriven_at_ms IS NULL;
  UPDATE alerting.notice_group SET next_flush_at_ms = least(coalesce(next_flush_at_ms, now_ms), now_ms)
    WHERE group_id = wanted_group;
  RETURN true;
END
$$;

-- Lets a receiver that answered 410 be used again; deliveries that died meanwhile need `redrive`.
CREATE FUNCTION alerting.enable_receiver(wanted_receiver text) RETURNS boolean
LANGUAGE sql AS $$
  WITH gone AS (DELETE FROM alerting.disabled_receiver WHERE receiver = wanted_receiver RETURNING 1)
  SELECT EXISTS (SELECT FROM gone)
$$;

GRANT USAGE ON SCHEMA alerting TO alerting_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA alerting TO alerting_writer;
GRANT EXECUTE ON FUNCTION alerting.redrive(text, bigint), alerting.enable_receiver(text) TO alerting_writer;

-- Of the audit store only the three functions of the contract, never its tables: a reader would see every tenant's rows.
REVOKE audit_reader FROM alerting_writer;
GRANT USAGE ON SCHEMA audit TO alerting_writer;
GRANT EXECUTE ON FUNCTION audit.sink_position(text, integer), audit.alert_record(text, integer, bigint),
  audit.get_event(text, text) TO alerting_writer;
