DROP INDEX account_balance;
ALTER TABLE account DROP COLUMN balance;
