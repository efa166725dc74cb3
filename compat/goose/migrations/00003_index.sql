-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX log_text ON log (text);
ALTER TABLE account ADD COLUMN balance REAL NOT NULL DEFAULT 2.5;

-- +goose Down
DROP INDEX log_text;
ALTER TABLE account DROP COLUMN balance;
