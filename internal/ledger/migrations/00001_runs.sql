-- Times are microseconds since 1970, UTC. JSON is text. Both databases run this file.
-- +goose Up
CREATE TABLE runs (
  id                  TEXT   PRIMARY KEY,
  status              TEXT   NOT NULL CHECK (status IN ('Pending','Running','Succeeded','Failed','Error')),
  stage               TEXT   NOT NULL CHECK (stage IN ('queued','fetching','waiting','scheduling','starting','executing','saving','ended')),
  reason              TEXT   NOT NULL DEFAULT '',
  message             TEXT   NOT NULL DEFAULT '',
  spec                TEXT   NOT NULL,
  source              TEXT,
  parameters          TEXT,
  conversions         TEXT,
  outcome             TEXT,
  owner               TEXT   NOT NULL,
  team                TEXT   NOT NULL,
  client              TEXT   NOT NULL DEFAULT '',
  parent              TEXT   NOT NULL DEFAULT '',
  repository          TEXT   NOT NULL DEFAULT '',
  notebook            TEXT   NOT NULL DEFAULT '',
  commit_id           TEXT   NOT NULL DEFAULT '',
  group_name          TEXT   NOT NULL DEFAULT '',
  idempotency_key     TEXT,
  fingerprint         TEXT   NOT NULL DEFAULT '',
  task_key            TEXT   NOT NULL DEFAULT '',
  priority            BIGINT NOT NULL DEFAULT 0,
  attempt             BIGINT NOT NULL DEFAULT 0,
  version             BIGINT NOT NULL DEFAULT 1,
  published           BIGINT NOT NULL DEFAULT 0,
  created_at          BIGINT NOT NULL,
  started_at          BIGINT,
  ended_at            BIGINT,
  not_before          BIGINT,
  asked_at            BIGINT,
  cancel_requested_at BIGINT,
  cancel_requested_by TEXT   NOT NULL DEFAULT '',
  CHECK ((stage = 'ended') = (status IN ('Succeeded','Failed','Error')))
);
CREATE UNIQUE INDEX runs_idempotency ON runs (team, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX runs_active   ON runs (created_at) WHERE stage <> 'ended' OR published = 0;
CREATE INDEX runs_notebook ON runs (repository, notebook, id);
CREATE INDEX runs_task     ON runs (team, task_key, id) WHERE task_key <> '';
CREATE INDEX runs_group    ON runs (group_name, id) WHERE group_name <> '';

CREATE TABLE attempts (
  run_id      TEXT   NOT NULL REFERENCES runs (id),
  number      BIGINT NOT NULL,
  token_hash  TEXT   NOT NULL,
  status      TEXT   NOT NULL,
  reason      TEXT   NOT NULL DEFAULT '',
  message     TEXT   NOT NULL DEFAULT '',
  exit_marker TEXT,
  outcome     TEXT,
  launched_at BIGINT NOT NULL,
  started_at  BIGINT,
  ended_at    BIGINT,
  PRIMARY KEY (run_id, number)
);

CREATE TABLE labels (
  run_id TEXT NOT NULL REFERENCES runs (id),
  name   TEXT NOT NULL,
  value  TEXT NOT NULL,
  PRIMARY KEY (run_id, name)
);
CREATE INDEX labels_value ON labels (name, value, run_id);

CREATE TABLE run_parameters (
  run_id TEXT NOT NULL REFERENCES runs (id),
  name   TEXT NOT NULL,
  value  TEXT NOT NULL,
  PRIMARY KEY (run_id, name)
);
CREATE INDEX run_parameters_value ON run_parameters (name, value, run_id);

CREATE TABLE checkpoints (
  team   TEXT   NOT NULL,
  name   TEXT   NOT NULL,
  value  TEXT   NOT NULL,
  run_id TEXT   NOT NULL DEFAULT '',
  at     BIGINT NOT NULL,
  PRIMARY KEY (team, name)
);
-- The table of events differs in how a number is made: see events_sqlite.sql and events_postgres.sql.
-- +goose Down
DROP TABLE checkpoints;
DROP TABLE run_parameters;
DROP TABLE labels;
DROP TABLE attempts;
DROP TABLE runs;
