-- Schema `audit`: what the sink has read from Kafka, append-only (R-301, R-303; PostgreSQL 15-18, no extension).
--
-- One row per record of the log, whatever its kind, with the stored bytes (`payload`) and a projection of them. What
-- this promises: the application roles cannot change or remove a row, nor can `session_replication_role = replica`.
-- What it does not: the owner of the schema and a superuser can; that is for signed checkpoints held elsewhere.
--
-- Everything a later Merkle leaf is made of (topic id, partition, offset, schema id, stored bytes) is in the row.

-- Roles belong to the cluster, so several databases may create them at the same moment.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['audit_owner', 'audit_writer', 'audit_reader'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL; -- Another database was faster.
      END;
    END IF;
    -- A migrator that is no superuser must be a member to hand objects over; XX000 is two grants at one moment.
    IF NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
      BEGIN
        EXECUTE format('GRANT %I TO %I', wanted, current_user);
      EXCEPTION WHEN internal_error THEN
        NULL;
      END;
    END IF;
  END LOOP;
END
$$;

CREATE SCHEMA IF NOT EXISTS audit;
ALTER SCHEMA audit OWNER TO audit_owner;
REVOKE ALL ON SCHEMA audit FROM PUBLIC;
GRANT USAGE ON SCHEMA audit TO audit_writer, audit_reader;

-- The trigger behind "append-only". Statement triggers have no OLD, so one function serves both levels.
CREATE FUNCTION audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit rows are append-only: % on %.% is refused', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END
$$;

-- How long a class of rows is kept (R-308). A partition belongs to one class, so retention is DROP, never DELETE.
CREATE TABLE audit.retention_class (
  retention_class text PRIMARY KEY CHECK (retention_class ~ '^[a-z][a-z_]{0,30}$'),
  retention_days integer CHECK (retention_days > 0), -- null = kept for good
  description text NOT NULL
);
INSERT INTO audit.retention_class VALUES
  ('long', 3650, 'Security and authentication: 10 years'),
  ('standard', 2555, 'Default: 7 years'),
  ('short', 90, 'Data access: 90 days'),
  ('permanent', NULL, 'Compliance exports: kept for good');

CREATE TABLE audit.event (
  recorded_at timestamptz NOT NULL,        -- append time of the broker: the same on every replay (X1)
  event_time timestamptz,                  -- event time (X2)
  occurred_at timestamptz,                 -- as stamped by the source
  received_at timestamptz,                 -- by the gateway
  topic_id uuid NOT NULL,                  -- changes when a topic is deleted and made again (X5)
  alert_id uuid,
  src_topic_id uuid,                       -- findings and late events: the record they speak of
  kafka_offset bigint NOT NULL,
  duplicate_of bigint,                     -- offset of the first copy in the same partition (X6)
  revision bigint,                         -- of an alert (X9); attempt number of a delivery
  src_offset bigint,
  kafka_partition integer NOT NULL,
  src_partition integer,
  schema_id integer NOT NULL,              -- of the writer, in the registry (X15)
  projection_rev smallint NOT NULL,        -- which projection of the sink made the columns (X15)
  projection_flags smallint NOT NULL,      -- 1 NUL replaced, 2 lone surrogate replaced, 4 text cut, 8 time clamped
  severity smallint NOT NULL CHECK (severity BETWEEN 0 AND 6), -- OCSF severity_id; 0 = unknown
  is_duplicate boolean NOT NULL,
  retention_class text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL CHECK (kind IN ('event', 'late', 'finding', 'alert', 'lifecycle', 'delivery')),
  topic text COLLATE "C" NOT NULL,         -- without the namespace
  record_key text COLLATE "C" NOT NULL,    -- identity within its kind: event id, alert id and revision, ...
  organization_id text COLLATE "C" NOT NULL, -- of the record key (`intake_org`); `platform` for none (X13)
  subject_organization_id text COLLATE "C",
  event_id text COLLATE "C",
  event_type text COLLATE "C",
  family text COLLATE "C",
  category text COLLATE "C",
  outcome text COLLATE "C",                -- success | failure | unknown
  action text COLLATE "C",                 -- alert kind, delivery status, lifecycle action, stage that found it late
  actor_type text COLLATE "C",
  actor_id text COLLATE "C",
  subject_type text COLLATE "C",
  subject_id text COLLATE "C",
  ip_hash text COLLATE "C",
  trace_id text COLLATE "C",
  span_id text COLLATE "C",
  session_id text COLLATE "C",
  request_id text COLLATE "C",
  platform text COLLATE "C",
  service text COLLATE "C",
  rule_id text COLLATE "C",
  error_code text COLLATE "C",
  attrs jsonb NOT NULL,                    -- the rest of the record, for people
  payload bytea NOT NULL,                  -- the record value exactly as stored in Kafka: what a proof hashes
  CHECK ((duplicate_of IS NOT NULL) = is_duplicate),
  CHECK (duplicate_of < kafka_offset)
) PARTITION BY LIST (retention_class);

-- Partition keys must be part of every unique index; both are functions of the record, so the four belong together.
CREATE UNIQUE INDEX event_position ON audit.event (topic_id, kafka_partition, kafka_offset, recorded_at, retention_class);
CREATE INDEX event_time_brin ON audit.event USING brin (recorded_at) WITH (pages_per_range = 32);
CREATE INDEX event_organization ON audit.event (organization_id, recorded_at);
CREATE INDEX event_organization_type ON audit.event (organization_id, event_type, recorded_at);
CREATE INDEX event_actor ON audit.event (actor_id, recorded_at) WHERE actor_id IS NOT NULL;
CREATE INDEX event_trace ON audit.event (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX event_record_key ON audit.event (record_key);
CREATE INDEX event_alert ON audit.event (alert_id, revision) WHERE alert_id IS NOT NULL;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON audit.event
  FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.event ENABLE ALWAYS TRIGGER refuse_change;
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON audit.event
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.event ENABLE ALWAYS TRIGGER refuse_truncate;

-- A record that could not become a row. No payload: that is in the dead-letter topic, found again by its hash.
CREATE TABLE audit.delivery_failure (
  topic_id uuid NOT NULL,
  kafka_partition integer NOT NULL,
  kafka_offset bigint NOT NULL,
  topic text COLLATE "C" NOT NULL,
  recorded_at timestamptz NOT NULL,
  stage text COLLATE "C" NOT NULL,
  reason text COLLATE "C" NOT NULL,
  detail text NOT NULL,
  raw_sha256 bytea NOT NULL CHECK (length(raw_sha256) = 32),
  raw_bytes integer NOT NULL,
  failed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (topic_id, kafka_partition, kafka_offset)
);

-- Offsets that the topic no longer held when the sink came to read them.
CREATE TABLE audit.gap (
  topic_id uuid NOT NULL,
  kafka_partition integer NOT NULL,
  from_offset bigint NOT NULL,
  to_offset bigint NOT NULL CHECK (to_offset > from_offset), -- exclusive
  topic text COLLATE "C" NOT NULL,
  reason text COLLATE "C" NOT NULL CHECK (reason IN ('retention', 'hole')),
  detected_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (topic_id, kafka_partition, from_offset)
);

-- A topic that was deleted and made again: what the old id had beyond `next_offset` was never read (X5).
CREATE TABLE audit.topic_change (
  topic_id uuid NOT NULL,
  kafka_partition integer NOT NULL,
  topic text COLLATE "C" NOT NULL,
  previous_topic_id uuid NOT NULL,
  previous_next_offset bigint NOT NULL,
  detected_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (topic_id, kafka_partition, previous_topic_id)
);

DO $$
DECLARE
  guarded text;
BEGIN
  FOREACH guarded IN ARRAY ARRAY['delivery_failure', 'gap', 'topic_change'] LOOP
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON audit.%I FOR EACH ROW EXECUTE FUNCTION audit.refuse_change()', guarded);
    EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON audit.%I FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', guarded);
    EXECUTE format('ALTER TABLE audit.%I ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_truncate', guarded);
  END LOOP;
END
$$;

-- Where the sink is, per partition (X15). Moved by compare-and-swap on (next_offset, fence) in the transaction of the
-- rows. The counters make E3 a constraint: every offset below `next_offset` is a row, a failure, a marker or missing.
CREATE TABLE audit.sink_offset (
  topic_id uuid NOT NULL,
  kafka_partition integer NOT NULL,
  topic text COLLATE "C" NOT NULL,
  next_offset bigint NOT NULL DEFAULT 0,
  published_offset bigint NOT NULL DEFAULT 0,  -- `security.event-detected` is out for everything below
  fence bigint NOT NULL DEFAULT 0,             -- grows with every owner
  owner text NOT NULL,
  rows_total bigint NOT NULL DEFAULT 0,
  failures_total bigint NOT NULL DEFAULT 0,
  markers_total bigint NOT NULL DEFAULT 0,
  missing_total bigint NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (topic_id, kafka_partition),
  CONSTRAINT sink_offset_adds_up CHECK (next_offset = rows_total + failures_total + markers_total + missing_total),
  CONSTRAINT sink_offset_published CHECK (published_offset BETWEEN 0 AND next_offset)
) WITH (fillfactor = 50);
CREATE INDEX sink_offset_topic ON audit.sink_offset (topic, kafka_partition);

-- Makes the partitions of the month of `from_time` and of the `months_ahead` after it, for every class; returns those
-- it made. There is no DEFAULT partition: rows in one would block the month they belong to. Building the table first
-- and attaching it takes SHARE UPDATE EXCLUSIVE on the parent, so neither readers nor writers wait.
CREATE FUNCTION audit.ensure_partitions(months_ahead integer DEFAULT 3, from_time timestamptz DEFAULT now())
RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  class text;
  class_table text;
  month_table text;
  month timestamptz;
BEGIN
  IF months_ahead NOT BETWEEN 0 AND 24 THEN
    RAISE EXCEPTION 'months_ahead must be 0 to 24' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- Two concurrent calls fail with "tuple concurrently updated"; the lock also orders several sinks.
  PERFORM pg_advisory_xact_lock(hashtext('audit.ensure_partitions'));
  FOR class IN SELECT retention_class FROM audit.retention_class ORDER BY 1 LOOP
    class_table := 'event_' || class;
    IF to_regclass('audit.' || class_table) IS NULL THEN
      EXECUTE format('CREATE TABLE audit.%I (LIKE audit.event INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (recorded_at)', class_table);
      EXECUTE format('ALTER TABLE audit.event ATTACH PARTITION audit.%I FOR VALUES IN (%L)', class_table, class);
      EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON audit.%I FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', class_table);
      EXECUTE format('ALTER TABLE audit.%I ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_truncate', class_table);
    END IF;
    FOR ahead IN 0..months_ahead LOOP
      month := date_trunc('month', from_time) + make_interval(months => ahead);
      month_table := class_table || to_char(month, '_YYYY_MM');
      CONTINUE WHEN to_regclass('audit.' || month_table) IS NOT NULL;
      EXECUTE format('CREATE TABLE audit.%I (LIKE audit.event INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)', month_table);
      EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON audit.%I FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', month_table);
      EXECUTE format('ALTER TABLE audit.%I ATTACH PARTITION audit.%I FOR VALUES FROM (%L) TO (%L)',
        class_table, month_table, month, month + interval '1 month');
      EXECUTE format('ALTER TABLE audit.%I ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_truncate', month_table);
      RETURN NEXT month_table;
    END LOOP;
  END LOOP;
END
$$;

-- The earliest copy, within the duplicate window, of each key in the same partition below `before_offsets` (X6). A
-- function of the owner because the writer may not read. Every key must cost one probe of the `record_key` index per
-- month, whatever the statistics say: the other conditions are written so that no other index can serve them (as
-- `min(kafka_offset)` the planner walks the position index from its start, once per key).
CREATE FUNCTION audit.first_copies(
  topic_ids uuid[], partitions integer[], classes text[], keys text[], since timestamptz[], before_offsets bigint[],
  since_min timestamptz)
RETURNS TABLE (ordinal bigint, first_offset bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
BEGIN
  RETURN QUERY
    SELECT asked.ordinal, found.first_offset
    FROM unnest(topic_ids, partitions, classes, keys, since, before_offsets)
      WITH ORDINALITY AS asked(topic_id, kafka_partition, class, key, since, before_offset, ordinal)
    CROSS JOIN LATERAL (
      SELECT min(e.kafka_offset + 0) AS first_offset FROM audit.event e
      WHERE e.record_key = asked.key AND e.retention_class = asked.class
        AND e.topic_id IS NOT DISTINCT FROM asked.topic_id AND e.kafka_partition + 0 = asked.kafka_partition
        AND e.kafka_offset + 0 < asked.before_offset AND e.recorded_at >= asked.since AND e.recorded_at >= since_min
    ) AS found
    WHERE found.first_offset IS NOT NULL;
END
$$;

-- Events committed but perhaps not yet published as `security.event-detected` (after a crash between the two).
CREATE FUNCTION audit.events_between(topic_id text, partition integer, from_offset bigint, until_offset bigint)
RETURNS TABLE (kafka_offset bigint, event_id text, organization_id text, subject_organization_id text,
  event_type text, family text, severity smallint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT e.kafka_offset, e.event_id, e.organization_id, e.subject_organization_id, e.event_type, e.family, e.severity
  FROM audit.event e
  WHERE e.topic_id = $1::uuid AND e.kafka_partition = $2 AND e.kafka_offset >= $3 AND e.kafka_offset < $4
    AND e.kind = 'event' AND NOT e.is_duplicate
  ORDER BY e.kafka_offset
$$;

-- Contract with the alerter (docs/design/contracts.md, section 5) ------------------------------------------------

-- Next offset whose predecessors are all committed; null = this partition was never read.
CREATE FUNCTION audit.sink_position(topic_id text, partition integer) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT o.next_offset FROM audit.sink_offset o WHERE o.topic_id = $1::uuid AND o.kafka_partition = $2
$$;

-- The audited alert revision at one position of the log, or no row. `attrs` is the whole `CorrelationAlert` or
-- `DetectionFinding` as JSON, `payload` its bytes as stored in Kafka.
CREATE FUNCTION audit.alert_record(topic_id text, partition integer, "offset" bigint)
RETURNS TABLE (kind text, alert_id uuid, revision bigint, action text, organization_id text, rule_id text,
  severity smallint, recorded_at timestamptz, event_time timestamptz, is_duplicate boolean, attrs jsonb, payload bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT e.kind, e.alert_id, e.revision, e.action, e.organization_id, e.rule_id,
    e.severity, e.recorded_at, e.event_time, e.is_duplicate, e.attrs, e.payload
  FROM audit.event e
  WHERE e.topic_id = $1::uuid AND e.kafka_partition = $2 AND e.kafka_offset = $3 AND e.kind IN ('alert', 'finding')
$$;

CREATE FUNCTION audit.severity_name(severity smallint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (ARRAY['UNKNOWN', 'INFORMATIONAL', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL', 'FATAL'])[$1 + 1]
$$;

-- One event of one organization (null = the reserved tenant `platform`); the first copy wins.
CREATE FUNCTION audit.get_event(organization text, event_id text)
RETURNS TABLE (event_id text, organization_id text, subject_organization_id text, event_type text, family text,
  category text, severity text, outcome text, actor_type text, actor_id text, subject_type text, subject_id text,
  ip_hash text, trace_id text, span_id text, session_id text, request_id text, platform text, service text,
  error_code text, occurred_at timestamptz, event_time timestamptz, received_at timestamptz, recorded_at timestamptz,
  topic text, topic_id uuid, kafka_partition integer, kafka_offset bigint, attrs jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT e.event_id, e.organization_id, e.subject_organization_id, e.event_type, e.family,
    e.category, audit.severity_name(e.severity), e.outcome, e.actor_type, e.actor_id, e.subject_type, e.subject_id,
    e.ip_hash, e.trace_id, e.span_id, e.session_id, e.request_id, e.platform, e.service,
    e.error_code, e.occurred_at, e.event_time, e.received_at, e.recorded_at,
    e.topic, e.topic_id, e.kafka_partition, e.kafka_offset, e.attrs
  FROM audit.event e
  WHERE e.record_key = $2 AND e.kind = 'event' AND e.organization_id = coalesce($1, 'platform')
  ORDER BY e.recorded_at, e.kafka_offset LIMIT 1
$$;

-- Monitoring (R-309, small) ----------------------------------------------------------------------------------------

-- security_invoker: a view must not lend the rights of its owner, or row-level security would end here.
CREATE VIEW audit.ingest_rate WITH (security_invoker = true) AS
  SELECT date_trunc('minute', recorded_at) AS minute, kind, count(*) AS rows, count(*) FILTER (WHERE is_duplicate) AS duplicates
  FROM audit.event WHERE recorded_at > now() - interval '1 hour' GROUP BY 1, 2;

CREATE VIEW audit.failure_summary WITH (security_invoker = true) AS
  SELECT topic, stage, reason, count(*) AS failures, max(failed_at) AS last_failed_at
  FROM audit.delivery_failure GROUP BY 1, 2, 3;

CREATE VIEW audit.critical_events WITH (security_invoker = true) AS
  SELECT recorded_at, organization_id, event_type, severity, outcome, actor_id, trace_id, event_id
  FROM audit.event WHERE kind = 'event' AND severity >= 5 AND NOT is_duplicate AND recorded_at > now() - interval '24 hours';

CREATE VIEW audit.partition_size AS
  SELECT c.relname AS partition, pg_total_relation_size(c.oid) AS bytes, greatest(c.reltuples, 0)::bigint AS rows_estimated
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'audit' AND c.relkind = 'r' AND c.relispartition;

-- Ownership and rights ------------------------------------------------------------------------------------------------

DO $$
DECLARE
  object record;
BEGIN
  FOR object IN
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS sort, c.oid::regclass::text AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'audit' AND c.relkind IN ('r', 'p', 'v')
    UNION ALL
    SELECT 'FUNCTION', p.oid::regprocedure::text
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'audit'
  LOOP
    EXECUTE format('ALTER %s %s OWNER TO audit_owner', object.sort, object.name);
    IF object.sort = 'FUNCTION' THEN
      EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', object.name);
    END IF;
  END LOOP;
END
$$;

-- On the parent only: a right on a partition would go round the policies of the parent.
GRANT INSERT ON audit.event, audit.delivery_failure, audit.gap, audit.topic_change TO audit_writer;
GRANT SELECT, INSERT, UPDATE ON audit.sink_offset TO audit_writer;
GRANT SELECT ON audit.retention_class TO audit_writer;
GRANT EXECUTE ON FUNCTION audit.ensure_partitions(integer, timestamptz),
  audit.first_copies(uuid[], integer[], text[], text[], timestamptz[], bigint[], timestamptz),
  audit.events_between(text, integer, bigint, bigint) TO audit_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA audit TO audit_reader;
GRANT EXECUTE ON FUNCTION audit.sink_position(text, integer), audit.alert_record(text, integer, bigint),
  audit.severity_name(smallint), audit.get_event(text, text) TO audit_reader;

SELECT count(*) AS partitions_made FROM audit.ensure_partitions();
