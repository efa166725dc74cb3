package hranatest

import (
	"regexp"

	"github.com/turso-opt/turso-opt/internal/sqltext"
)

var (
	temporary     = regexp.MustCompile(`(?is)^create\s+(temp|temporary)\s|^create\s+(virtual\s+)?table\s+(if\s+not\s+exists\s+)?["\x60\[]?temp["\x60\]]?\s*\.`)
	beginReadonly = regexp.MustCompile(`(?is)^(.*begin\s+)readonly\b`)
	attach        = regexp.MustCompile(`(?is)^attach\s+(?:database\s+)?["\x60\[]?([a-z_][\w-]*)["\x60\]]?\s+(?:as\s+)?\S+$`)
)

// sort makes a command of a statement whose syntax is right. It is an error if
// sqld does not let it pass; whole is the text that the statement is from.
func sort(stmt *sqltext.Stmt, text, whole string) (command, error) {
	c := command{sql: text, kind: stmt.Kind, writes: writes(stmt.Kind)}
	unsupported := false
	switch stmt.Kind {
	case sqltext.Vacuum, sqltext.Analyze:
		unsupported = true
	case sqltext.Create:
		unsupported = temporary.MatchString(stmt.SQL)
	case sqltext.Pragma:
		name, bare, whole := pragma(stmt.SQL)
		unsupported = !readPragma[name] && !anyPragma[name] && !(bare && barePragma[name])
		c.sets, c.writes = !stmt.ReadOnly, !readPragma[name]
		if fixed, ok := fixedPragma[name]; ok && bare && whole {
			c.sql = fixed
		}
	case sqltext.Attach:
		if m := attach.FindStringSubmatch(stmt.SQL); m != nil {
			return c, forbidden("Namespace `" + m[1] + "` doesn't allow attach")
		}
		unsupported = true
	}
	if unsupported {
		return c, parseRefusal("unsupported statement: " + whole)
	}
	return c, nil
}

// compilable is a statement's text as this SQLite understands it, with every
// token in its place. BEGIN READONLY is libSQL's own, and nothing is enforced by
// it.
func compilable(stmt *sqltext.Stmt, text string) string {
	if stmt.Kind == sqltext.Begin && stmt.BeginMode == "readonly" {
		return beginReadonly.ReplaceAllString(text, "${1}deferred")
	}
	return text
}

// writes reports whether sqld wants the right to write for a statement of the
// kind, whatever it does; PRAGMAs are another matter.
func writes(k sqltext.Kind) bool {
	switch k {
	case sqltext.Select, sqltext.Values, sqltext.Explain, sqltext.Begin, sqltext.Commit, sqltext.Rollback,
		sqltext.Savepoint, sqltext.Release, sqltext.RollbackTo, sqltext.Detach:
		return false
	}
	return true
}
