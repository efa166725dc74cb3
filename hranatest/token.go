package hranatest

import "strings"

// keywords are those that sqld's parser names in an error by their kind; other
// words it quotes.
var keywords = func() map[string]string {
	names := make(map[string]string)
	for _, word := range strings.Fields(`ABORT ACTION ADD AFTER ALL ALTER ALWAYS ANALYZE AND AS ASC ATTACH BEFORE
		BEGIN BETWEEN BY CASCADE CASE CAST CHECK COLLATE COMMIT CONFLICT CONSTRAINT CREATE CURRENT DATABASE
		DEFAULT DEFERRABLE DEFERRED DELETE DESC DETACH DISTINCT DO DROP EACH ELSE END ESCAPE EXCEPT EXCLUDE
		EXCLUSIVE EXISTS EXPLAIN FAIL FIRST FOLLOWING FOR FOREIGN FROM GENERATED GROUP GROUPS HAVING IF IGNORE
		IMMEDIATE IN INDEX INDEXED INITIALLY INSERT INSTEAD INTERSECT INTO IS ISNULL JOIN KEY LAST LIMIT MATCH
		MATERIALIZED NO NOT NOTHING NOTNULL NULL NULLS OF OFFSET ON OR ORDER OTHERS PARTITION PLAN PRAGMA
		PRECEDING PRIMARY QUERY RAISE RANGE READONLY RECURSIVE REFERENCES REINDEX RELEASE RENAME REPLACE
		RESTRICT RETURNING ROLLBACK ROW ROWS SAVEPOINT SELECT SET TABLE TEMP THEN TIES TO TRANSACTION TRIGGER
		UNBOUNDED UNION UNIQUE UPDATE USING VACUUM VALUES VIEW VIRTUAL WHEN WHERE WITH WITHOUT`) {
		names[word] = word
	}
	names["AUTOINCREMENT"], names["COLUMN"], names["TEMPORARY"] = "AUTOINCR", "COLUMNKW", "TEMP"
	return names
}()

var operators = map[string]string{
	"+": "PLUS", "-": "MINUS", "*": "STAR", "/": "SLASH", "%": "REM", "&": "BITAND", "|": "BITOR", "~": "BITNOT",
	"<<": "LSHIFT", ">>": "RSHIFT", "<": "LT", "<=": "LE", ">": "GT", ">=": "GE", "=": "EQ", "==": "EQ",
	"!=": "NE", "<>": "NE", "(": "LP", ")": "RP", ",": "COMMA", ".": "DOT", "||": "CONCAT", ";": "SEMI",
}

// tokenName is the name of a token's kind in sqld's errors, empty if it quotes
// the token instead.
func tokenName(token string) string {
	if name, ok := operators[token]; ok {
		return name
	}
	return keywords[strings.ToUpper(token)]
}
