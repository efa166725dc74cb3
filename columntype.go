package tursoopt

import (
	"database/sql"
	"reflect"
	"strconv"
	"strings"
)

// Column types are those of the column's declaration: the protocol tells no
// more. A column that is an expression has none.

// splitDecltype is a declared type's name in capitals and what stands in its
// parentheses: "varchar(40)" is VARCHAR and 40.
func splitDecltype(decl string) (name, args string) {
	name, rest, ok := strings.Cut(decl, "(")
	if ok {
		args, rest, _ = strings.Cut(rest, ")")
		if rest = strings.TrimSpace(rest); rest != "" {
			name = strings.TrimSpace(name) + " " + rest // DOUBLE (8) PRECISION
		}
	}
	return strings.ToUpper(strings.TrimSpace(name)), strings.TrimSpace(args)
}

// isTimeType tells whether text in a column is parsed as a time.
func isTimeType(decl string) bool {
	if len(decl) < len("DATE") {
		return false
	}
	switch [2]byte{decl[0] | 0x20, decl[1] | 0x20} { // most are none
	case [2]byte{'d', 'a'}, [2]byte{'t', 'i'}:
	default:
		return false
	}
	name, _ := splitDecltype(decl)
	switch name {
	case "DATE", "DATETIME", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITHOUT TIME ZONE":
		return true
	}
	return false
}

// ColumnTypeDatabaseTypeName is the declared type in capitals without a length,
// empty for expressions.
func (r *rows) ColumnTypeDatabaseTypeName(i int) string {
	name, _ := splitDecltype(r.cols[i].Decltype)
	return name
}

// ColumnTypeLength is the declared length of a text or blob. Without one there
// is none to tell: GORM rebuilds a table whose column seems to have another
// length than its model.
func (r *rows) ColumnTypeLength(i int) (length int64, ok bool) {
	name, args := splitDecltype(r.cols[i].Decltype)
	switch affinity(name) {
	case affText, affBlob:
	default:
		return 0, false
	}
	if name == "" {
		return 0, false
	}
	if n, err := strconv.ParseInt(args, 10, 64); err == nil && n >= 0 {
		return n, true
	}
	return 0, false
}

// ColumnTypePrecisionScale is what a DECIMAL or NUMERIC column declares.
func (r *rows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	name, args := splitDecltype(r.cols[i].Decltype)
	if name != "DECIMAL" && name != "NUMERIC" || args == "" {
		return 0, 0, false
	}
	p, s, _ := strings.Cut(args, ",")
	precision, err := strconv.ParseInt(strings.TrimSpace(p), 10, 64)
	if err != nil {
		return 0, 0, false
	}
	if s = strings.TrimSpace(s); s != "" {
		if scale, err = strconv.ParseInt(s, 10, 64); err != nil {
			return 0, 0, false
		}
	}
	return precision, scale, true
}

// ColumnTypeNullable is never known: the protocol does not tell.
func (r *rows) ColumnTypeNullable(int) (nullable, ok bool) { return false, false }

var (
	typeInt    = reflect.TypeFor[sql.NullInt64]()
	typeFloat  = reflect.TypeFor[sql.NullFloat64]()
	typeString = reflect.TypeFor[sql.NullString]()
	typeBool   = reflect.TypeFor[sql.NullBool]()
	typeTime   = reflect.TypeFor[sql.NullTime]()
	typeBytes  = reflect.TypeFor[[]byte]()
	typeAny    = reflect.TypeFor[any]()
)

// ColumnTypeScanType is a type that holds every value a column is declared for,
// NULL included; SQLite does not hold a column to its declaration.
func (r *rows) ColumnTypeScanType(i int) reflect.Type {
	decl := r.cols[i].Decltype
	name, _ := splitDecltype(decl)
	switch {
	case name == "":
		return typeAny
	case r.times != nil && r.times[i]:
		return typeTime
	case name == "BOOLEAN", name == "BOOL":
		return typeBool
	}
	switch affinity(name) {
	case affInteger:
		return typeInt
	case affReal:
		return typeFloat
	case affText:
		return typeString
	case affBlob:
		return typeBytes
	}
	if isTimeType(decl) {
		return typeString
	}
	return typeAny
}

type columnAffinity uint8

const (
	affNumeric columnAffinity = iota
	affInteger
	affText
	affBlob
	affReal
)

// affinity follows section 3.1 of SQLite's "Datatypes In SQLite".
func affinity(name string) columnAffinity {
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(name, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("INT"):
		return affInteger
	case has("CHAR", "CLOB", "TEXT"):
		return affText
	case name == "", has("BLOB"):
		return affBlob
	case has("REAL", "FLOA", "DOUB"):
		return affReal
	}
	return affNumeric
}
