-- Several statements in one file; it is sent as one.
CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE log (text TEXT NOT NULL);
/* A trigger's own; semicolons */
CREATE TRIGGER account_made AFTER INSERT ON account
BEGIN
    INSERT INTO log (text) SELECT CASE WHEN new.name = '' THEN 'nameless;' ELSE new.name END;
    INSERT INTO log (text) VALUES ('end;');
END;
INSERT INTO account (name) VALUES ('it''s; one'), ('');
