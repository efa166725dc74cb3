package exec

// Kind is one of SQLite's five storage classes.
type Kind uint8

const (
	Null Kind = iota
	Integer
	Float
	Text
	Blob
)

func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Integer:
		return "integer"
	case Float:
		return "float"
	case Text:
		return "text"
	case Blob:
		return "blob"
	}
	return "invalid"
}

// A Value is one SQLite value. Only the field that Kind names has a meaning.
// Blob is borrowed: whoever keeps a Value beyond the call copies it.
type Value struct {
	Kind  Kind
	Int   int64
	Float float64
	Text  string
	Blob  []byte
}
