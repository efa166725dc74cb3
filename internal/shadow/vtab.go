package shadow

import (
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// A standInTable stands for one of the server's virtual tables of the kinds that
// triggers like to write to. It has the columns of the real one and no content,
// for nothing is run here. Statements that name a virtual table of any other
// kind do not compile.
type standInTable struct{}

func (standInTable) BestIndex(*sqlite3.IndexInfo) error     { return nil }
func (standInTable) Open() (sqlite3.VTabCursor, error)      { return nil, errNeverRun }
func (standInTable) Update(...sqlite3.Value) (int64, error) { return 0, errNeverRun }
func (standInTable) Rename(string) error                    { return errNeverRun }

var _ sqlite3.VTabUpdater = standInTable{}

func standInModules(db *sqlite3.Conn) error {
	for module, columns := range map[string]func(table string, args []string) string{
		"fts3":      ftsColumns("docid"),
		"fts4":      ftsColumns("docid"),
		"fts5":      ftsColumns("rank"),
		"rtree":     rtreeColumns,
		"rtree_i32": rtreeColumns,
	} {
		connect := func(db *sqlite3.Conn, _, _, table string, args ...string) (standInTable, error) {
			return standInTable{}, db.DeclareVTab("CREATE TABLE x(" + columns(table, args) + ")")
		}
		//lint:ignore SA1019 The method that replaces it needs a newer Go.
		if err := sqlite3.CreateModule(db, module, connect, connect); err != nil {
			return err
		}
	}
	return nil
}

// ftsColumns are those of full-text tables: the arguments that are no options,
// then the hidden ones, the table's own name and another.
func ftsColumns(hidden string) func(table string, args []string) string {
	return func(table string, args []string) string {
		var b strings.Builder
		any := false
		for _, arg := range args {
			name, rest := firstName(arg)
			if strings.HasPrefix(strings.TrimSpace(rest), "=") {
				continue
			}
			b.WriteString(sqlite3.QuoteIdentifier(name) + ", ")
			any = true
		}
		if !any && hidden == "docid" {
			b.WriteString("content, ") // what a table without columns gets
		}
		b.WriteString(sqlite3.QuoteIdentifier(table) + " HIDDEN, " + hidden + " HIDDEN")
		return b.String()
	}
}

func rtreeColumns(_ string, args []string) string {
	columns := make([]string, len(args))
	for i, arg := range args {
		name, _ := firstName(strings.TrimPrefix(strings.TrimSpace(arg), "+"))
		columns[i] = sqlite3.QuoteIdentifier(name)
	}
	return strings.Join(columns, ", ")
}

// firstName is the name that an argument begins with, unquoted, and what follows.
func firstName(arg string) (name, rest string) {
	arg = strings.TrimSpace(arg)
	if arg == "" {
		return "", ""
	}
	closing := arg[0]
	switch closing {
	case '"', '\'', '`':
	case '[':
		closing = ']'
	default:
		if i := strings.IndexAny(arg, " \t\r\n="); i >= 0 {
			return arg[:i], arg[i:]
		}
		return arg, ""
	}
	for i := 1; i < len(arg); i++ {
		if arg[i] != closing {
			continue
		}
		if i+1 < len(arg) && arg[i+1] == closing && closing != ']' {
			i++
			continue
		}
		name = arg[1:i]
		if closing != ']' {
			name = strings.ReplaceAll(name, string([]byte{closing, closing}), string(closing))
		}
		return name, arg[i+1:]
	}
	return arg, ""
}
