DROP TRIGGER account_made;
DROP TABLE log;
DROP TABLE account;
