-- +goose Up
CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT NOT NULL);

-- +goose StatementBegin
CREATE TRIGGER account_renamed AFTER UPDATE OF name ON account
BEGIN
    INSERT INTO log (text) VALUES (old.name || ' is ' || new.name);
    INSERT INTO log (text) VALUES ('renamed');
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER account_renamed;
DROP TABLE log;
