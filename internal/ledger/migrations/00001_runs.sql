-- Times are microseconds since 1970, UTC. JSON is text. SQLite and PostgreSQL both run this file.
-- +goose Up
CREATE TABLE runs (
  id                  TEXT   PRIMARY KEY,
  status              TEXT   NOT NULL CHECK (status IN ('Pending','Running','Succeeded','Failed','Error')),
  stage               TEXT   NOT NULL CHECK (stage IN ('queued','fetching','waiting','scheduling','starting','executing','saving','ended')),
  reason              TEXT   NOT NULL DEFAULT '',
  message             TEXT   NOT NULL DEFAULT '',
  input_url           TEXT   NOT NULL,
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
  task_key            TEXT   NOT NULL DEFAULT '',
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
  CHECK ((stage = 'ended') = (status IN ('Succeeded','Failed','Error'))),
  CHECK ((stage = 'ended') = (ended_at IS NOT NULL))
);
CREATE INDEX runs_unsettled ON runs (id) WHERE stage <> 'ended' OR published = 0;
CREATE INDEX runs_team      ON runs (team, id);
CREATE INDEX runs_notebook  ON runs (repository, notebook, id);
CREATE INDEX runs_task      ON runs (team, task_key, id) WHERE task_key <> '';
CREATE INDEX runs_group     ON runs (group_name, id) WHERE group_name <> '';

-- An idempotency key belongs for ever to the run that its first submission was given,
-- whether that submission made the run or attached to it.
CREATE TABLE idempotency_keys (
  team        TEXT   NOT NULL,
  name        TEXT   NOT NULL,
  fingerprint TEXT   NOT NULL,
  run_id      TEXT   NOT NULL REFERENCES runs (id),
  PRIMARY KEY (team, name)
);

CREATE TABLE attempts (
  run_id      TEXT   NOT NULL REFERENCES runs (id),
  number      BIGINT NOT NULL,
  token_hash  TEXT   NOT NULL,
  status      TEXT   NOT NULL CHECK (status IN ('Pending','Running','Succeeded','Failed','Error')),
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

-- A row of counters hands out the numbers of events. It stays locked until its transaction
-- commits, so numbers become visible in their order: a reader that has seen 7 has missed
-- none below it, which a database sequence would not promise.
CREATE TABLE counters (
  name  TEXT   PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('events', 0);

CREATE TABLE events (
  seq     BIGINT NOT NULL PRIMARY KEY,
  run_id  TEXT   NOT NULL REFERENCES runs (id),
  at      BIGINT NOT NULL,
  kind    TEXT   NOT NULL,
  status  TEXT   NOT NULL,
  stage   TEXT   NOT NULL,
  attempt BIGINT NOT NULL DEFAULT 0,
  reason  TEXT   NOT NULL DEFAULT '',
  message TEXT   NOT NULL DEFAULT '',
  actor   TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX events_run ON events (run_id, seq);

-- +goose Down
DROP TABLE events;
DROP TABLE counters;
DROP TABLE checkpoints;
DROP TABLE run_parameters;
DROP TABLE labels;
DROP TABLE attempts;
DROP TABLE idempotency_keys;
DROP TABLE runs;
