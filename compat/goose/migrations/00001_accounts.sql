-- +goose Up
CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE -- not the end; of the statement
);
INSERT INTO account (name) VALUES ('first; not the end'), ('second');

-- +goose Down
DROP TABLE account;
