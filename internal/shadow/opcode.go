package shadow

// An opcode is what the search for a Key has to know of an instruction of
// SQLite's virtual machine (sqlite.org/opcode.html): which registers it may
// write and what it does with a cursor. An instruction that is not listed ends
// the search: there is no Key.
type opcode struct {
	// writes lists the operands that are registers it writes: '1', '2' and '3'.
	writes string
	// span: it writes a range, from the register in writes on.
	span span
	// cursor: the first operand is a cursor.
	cursor cursorUse
	// source: what it writes may be the value of a key.
	source source
}

type span uint8

const (
	one     span = iota
	toP3         // up to operand 3, if that is larger
	countP3      // as many as operand 3, and one more
	countP2      // as many as operand 2, from operand 1 on
)

type cursorUse uint8

const (
	noCursor cursorUse = iota
	opens              // makes the cursor
	stays              // reads, writes or leaves the row that the cursor is on
	seeks              // goes to the row whose rowid is in register operand 3
	moves              // goes to any other row
)

type source uint8

const (
	noSource     source = iota
	variable            // the parameter operand 1
	integer             // operand 1
	int64Literal        // operand 4
	rowidOf             // the rowid of the row that cursor operand 1 is on
	copied              // the register operand 1
	neutral             // NULL, which is no row's rowid, or a rowid in place of NULL
)

var opcodes = map[string]opcode{
	"Init": {}, "Goto": {}, "Halt": {}, "HaltIfNull": {}, "Transaction": {}, "TableLock": {},
	"Noop": {}, "Explain": {}, "ResultRow": {}, "If": {}, "IfNot": {}, "IsNull": {},
	"NotNull": {}, "Eq": {}, "Ne": {}, "Lt": {}, "Le": {}, "Gt": {}, "Ge": {}, "ElseEq": {},
	"Jump": {}, "Compare": {}, "Permutation": {}, "Once": {}, "Return": {},
	"EndCoroutine": {}, "FkCheck": {}, "FkCounter": {}, "FkIfZero": {}, "ResetCount": {},
	"Filter": {},

	"Null":        {writes: "2", span: toP3, source: neutral},
	"BeginSubrtn": {writes: "2", span: toP3, source: neutral},
	"SoftNull":    {writes: "1", source: neutral},
	"Variable":    {writes: "2", source: variable},
	"Integer":     {writes: "2", source: integer},
	"Int64":       {writes: "2", source: int64Literal},
	"Copy":        {writes: "2", span: countP3, source: copied},
	"SCopy":       {writes: "2", source: copied},
	"IntCopy":     {writes: "2", source: copied},
	"Rowid":       {writes: "2", cursor: stays, source: rowidOf},
	// The rowid of a new row is another than that of any other. It is taken only
	// where an argument is NULL, which is none that a Key holds for.
	"NewRowid": {writes: "2", cursor: stays, source: neutral},
	// An integer that has to be one stays as it is.
	"MustBeInt": {},
	// What is only given an affinity may stay as it is: see instruction.harmless.
	"Affinity": {writes: "1", span: countP2}, "TypeCheck": {writes: "1", span: countP2},
	"MakeRecord": {writes: "13", span: countP2},

	"Real": {writes: "2"}, "String": {writes: "2"}, "String8": {writes: "2"}, "Blob": {writes: "2"},
	"RealAffinity": {writes: "1"}, "Cast": {writes: "1"}, "AddImm": {writes: "1"},
	"Add": {writes: "3"}, "Subtract": {writes: "3"}, "Multiply": {writes: "3"},
	"Divide": {writes: "3"}, "Remainder": {writes: "3"}, "Concat": {writes: "3"},
	"BitAnd": {writes: "3"}, "BitOr": {writes: "3"}, "ShiftLeft": {writes: "3"},
	"ShiftRight": {writes: "3"}, "And": {writes: "3"}, "Or": {writes: "3"},
	"BitNot": {writes: "2"}, "Not": {writes: "2"}, "IsTrue": {writes: "2"},
	"ZeroOrNull": {writes: "2"}, "Function": {writes: "3"}, "PureFunc": {writes: "3"},
	"CollSeq": {writes: "1"}, "AggStep": {writes: "3"},
	"AggFinal": {writes: "1"}, "AggValue": {writes: "13"}, "AggInverse": {writes: "3"},
	"OffsetLimit": {writes: "2"}, "IfPos": {writes: "1"}, "IfNotZero": {writes: "1"},
	"DecrJumpZero": {writes: "1"}, "MemMax": {writes: "1"}, "Gosub": {writes: "1"},
	"InitCoroutine": {writes: "1"}, "Yield": {writes: "1"}, "Move": {writes: "12", span: countP3},
	"ClrSubtype": {writes: "1"}, "GetSubtype": {writes: "2"}, "SetSubtype": {writes: "2"},
	"FilterAdd": {writes: "1"}, "RowSetAdd": {writes: "1"}, "RowSetTest": {writes: "1"},
	"RowSetRead": {writes: "13"},

	"OpenRead": {cursor: opens}, "OpenWrite": {cursor: opens}, "OpenEphemeral": {cursor: opens},
	"OpenAutoindex": {cursor: opens}, "SorterOpen": {cursor: opens}, "OpenPseudo": {cursor: opens},

	"SeekRowid": {cursor: seeks}, "NotExists": {cursor: seeks},

	"Column": {writes: "3", cursor: stays}, "RowData": {writes: "2", cursor: stays},
	"ColumnsUsed": {cursor: stays},
	"NullRow":     {cursor: stays}, "Close": {cursor: stays}, "FinishSeek": {cursor: stays},
	"IfNullRow": {writes: "3", cursor: stays}, "IsType": {cursor: stays},
	"Insert": {cursor: stays}, "Delete": {cursor: stays},
	"IdxInsert": {cursor: stays}, "IdxDelete": {cursor: stays},

	"Rewind": {cursor: moves}, "Last": {cursor: moves}, "Next": {cursor: moves}, "Prev": {cursor: moves},
	"SeekGE": {cursor: moves}, "SeekGT": {cursor: moves}, "SeekLE": {cursor: moves}, "SeekLT": {cursor: moves},
	"SeekEnd": {cursor: moves}, "SeekScan": {cursor: moves}, "SeekHit": {cursor: moves},
	"IfNoHope": {cursor: moves}, "IfNotOpen": {cursor: moves}, "IfEmpty": {cursor: moves},
	"IfSizeBetween": {cursor: moves},
	"Found":         {cursor: moves}, "NotFound": {cursor: moves}, "NoConflict": {cursor: moves},
	"IdxGE": {cursor: moves}, "IdxGT": {cursor: moves}, "IdxLE": {cursor: moves}, "IdxLT": {cursor: moves},
	"IdxRowid": {writes: "2", cursor: moves}, "DeferredSeek": {cursor: moves},
	"Count": {writes: "2", cursor: moves}, "Sequence": {writes: "2", cursor: moves},
	"SequenceTest": {cursor: moves}, "ResetSorter": {cursor: moves},
	"Sort": {cursor: moves}, "SorterSort": {cursor: moves}, "SorterNext": {cursor: moves},
	"SorterInsert": {cursor: moves}, "SorterData": {writes: "2", cursor: moves},
	"SorterCompare": {cursor: moves},
	"VOpen":         {cursor: opens}, "VFilter": {cursor: moves}, "VNext": {cursor: moves},
	"VColumn": {writes: "3", cursor: moves},
}
