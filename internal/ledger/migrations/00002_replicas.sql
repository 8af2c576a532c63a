-- What several processes that share a ledger need to know of each other.
-- +goose Up

-- heard_at is when the attempt's agent last called any of them. It is kept coarsely.
ALTER TABLE attempts ADD COLUMN heard_at BIGINT;

-- change_id is made by the writer: by it a writer that lost its connection
-- while it committed finds out whether the change was made.
ALTER TABLE events ADD COLUMN change_id TEXT NOT NULL DEFAULT '';

-- A lease is the right to do what one process at a time may do. It runs out by the
-- database's clock, in microseconds since 1970.
CREATE TABLE leases (
  name       TEXT   PRIMARY KEY,
  holder     TEXT   NOT NULL,
  expires_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE leases;
ALTER TABLE events DROP COLUMN change_id;
ALTER TABLE attempts DROP COLUMN heard_at;
