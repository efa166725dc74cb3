ALTER TABLE account ADD COLUMN balance INTEGER NOT NULL DEFAULT 0;
UPDATE account SET balance = 10 * id;
CREATE INDEX account_balance ON account (balance);
