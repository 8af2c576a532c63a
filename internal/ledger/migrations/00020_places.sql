-- What servers need to know of each other where attempts are processes of one machine.
-- +goose Up

-- place is where an attempt runs that only one server can reach; empty where every server can.
ALTER TABLE attempts ADD COLUMN place TEXT NOT NULL DEFAULT '';

-- A key is drawn by the first server that needs it, and shared by all.
CREATE TABLE keys (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

-- +goose Down
DROP TABLE keys;
ALTER TABLE attempts DROP COLUMN place;
