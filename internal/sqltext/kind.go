package sqltext

// Kind is what a statement does, as its verb says. `WITH ... <verb>` has the
// verb's kind.
type Kind uint8

const (
	// Unknown is a statement whose verb is none of those below, or whose WITH
	// clause is not understood. Nothing may be assumed about it.
	Unknown Kind = iota
	// Empty is a text without any statement.
	Empty
	Select
	Values
	Insert
	Replace
	Update
	Delete
	Explain
	Pragma
	Begin
	// Commit is COMMIT and its synonym END.
	Commit
	Rollback
	Savepoint
	Release
	// RollbackTo is ROLLBACK TO a savepoint, which ends no transaction.
	RollbackTo
	Attach
	Detach
	Create
	Drop
	Alter
	Reindex
	Analyze
	Vacuum
)

var kindNames = [...]string{
	Unknown: "UNKNOWN", Empty: "EMPTY", Select: "SELECT", Values: "VALUES",
	Insert: "INSERT", Replace: "REPLACE", Update: "UPDATE", Delete: "DELETE",
	Explain: "EXPLAIN", Pragma: "PRAGMA", Begin: "BEGIN", Commit: "COMMIT",
	Rollback: "ROLLBACK", Savepoint: "SAVEPOINT", Release: "RELEASE",
	RollbackTo: "ROLLBACK TO", Attach: "ATTACH", Detach: "DETACH",
	Create: "CREATE", Drop: "DROP", Alter: "ALTER", Reindex: "REINDEX",
	Analyze: "ANALYZE", Vacuum: "VACUUM",
}

// String is the verb in capitals.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "INVALID"
}

func (k Kind) txControl() bool { return k >= Begin && k <= RollbackTo }

// verb is the kind that a statement beginning with word has, unless more of it
// has to be read (WITH, ROLLBACK TO).
func verb(word string) Kind {
	// The lengths are looked at first: most words are tried once each.
	switch len(word) {
	case 3:
		if fold(word, "END") {
			return Commit
		}
	case 4:
		if fold(word, "DROP") {
			return Drop
		}
	case 5:
		switch {
		case fold(word, "BEGIN"):
			return Begin
		case fold(word, "ALTER"):
			return Alter
		}
	case 6:
		switch {
		case fold(word, "SELECT"):
			return Select
		case fold(word, "INSERT"):
			return Insert
		case fold(word, "UPDATE"):
			return Update
		case fold(word, "DELETE"):
			return Delete
		case fold(word, "VALUES"):
			return Values
		case fold(word, "PRAGMA"):
			return Pragma
		case fold(word, "COMMIT"):
			return Commit
		case fold(word, "CREATE"):
			return Create
		case fold(word, "ATTACH"):
			return Attach
		case fold(word, "DETACH"):
			return Detach
		case fold(word, "VACUUM"):
			return Vacuum
		}
	case 7:
		switch {
		case fold(word, "REPLACE"):
			return Replace
		case fold(word, "EXPLAIN"):
			return Explain
		case fold(word, "RELEASE"):
			return Release
		case fold(word, "REINDEX"):
			return Reindex
		case fold(word, "ANALYZE"):
			return Analyze
		}
	case 8:
		if fold(word, "ROLLBACK") {
			return Rollback
		}
	case 9:
		if fold(word, "SAVEPOINT") {
			return Savepoint
		}
	}
	return Unknown
}

// fold reports whether s equals upper, which is in ASCII capitals, as SQLite
// compares keywords: only A to Z have two cases.
func fold(s, upper string) bool {
	if len(s) != len(upper) {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}

// sameName reports whether SQLite takes two names to be equal.
func sameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		c, d := a[i], b[i]
		if c != d && (c|0x20 != d|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}
