-- Tokens that are created and revoked while servers run.
-- +goose Up

-- digest is "sha256:" and 64 hexadecimal digits; the token itself is kept nowhere. Rows stay: they are the record
-- of who was let in, and a server that once asked people to sign in always does.
CREATE TABLE tokens (
  digest     TEXT   PRIMARY KEY,
  name       TEXT   NOT NULL,
  team       TEXT   NOT NULL,
  roles      TEXT   NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT   NOT NULL DEFAULT '',
  expires_at BIGINT,
  revoked_at BIGINT,
  revoked_by TEXT   NOT NULL DEFAULT ''
);

-- +goose Down
DROP TABLE tokens;
