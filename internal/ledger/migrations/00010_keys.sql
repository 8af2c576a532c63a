-- The dossier of a run names the idempotency keys that belong to it.
-- +goose Up
CREATE INDEX idempotency_keys_run ON idempotency_keys (run_id);

-- +goose Down
DROP INDEX idempotency_keys_run;
