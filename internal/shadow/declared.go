package shadow

import (
	"slices"
	"strings"
)

// A Declared answers what texts touch by the names of tables that somebody has declared,
// for databases other than SQLite. It reads no grammar: a text is understood if it is
// made of words that it knows, and Unknown if it is not. It is safe for concurrent use.
type Declared struct {
	// changes are the tables that a write to one changes, itself among them.
	changes map[string][]string
	all     []string
	texts   texts
}

// NewDeclared makes a Declared of tables, and views, each with the further ones that
// change with it: whatever those bring along changes, too. The case of ASCII letters does
// not matter.
func NewDeclared(tables map[string][]string) *Declared {
	direct := map[string][]string{}
	for name, more := range tables {
		name = lower(name)
		direct[name] = append(direct[name], name)
		for _, m := range more {
			direct[name] = append(direct[name], lower(m))
		}
	}
	d := &Declared{changes: map[string][]string{}}
	for name := range direct {
		var all []string
		for next := []string{name}; len(next) > 0; next = next[1:] {
			if !slices.Contains(all, next[0]) {
				all = append(all, next[0])
				next = append(next, direct[next[0]]...)
			}
		}
		d.changes[name] = set(all)
		d.all = append(d.all, all...)
	}
	d.all = set(d.all)
	return d
}

// Analyze is what a text touches; the Access's Version is 0. Writes that are understood are
// those to one table, which may change all declared ones if it is none of them. It must
// not be changed.
func (d *Declared) Analyze(sql string) *Access { return d.texts.get(sql, d.analyse) }

func (d *Declared) analyse(sql string) *Access {
	toks, ok := plainTokens(sql)
	if !ok || len(toks) == 0 {
		return unknown(0, "the text is not made of plain tokens")
	}
	r := declaredText{declared: d, toks: toks}
	switch verb := r.word(0); verb {
	case "select":
		return r.read()
	case "insert", "replace", "update", "delete":
		return r.write(verb)
	case "with":
		r.impure("begins with WITH")
		return r.read()
	case "create", "drop", "alter", "truncate":
		for i := range toks {
			if temporary[r.word(i)] {
				return unknown(0, "makes something temporary")
			}
		}
		return &Access{DDL: true, Reason: "changes the schema"}
	case "begin", "commit", "end", "rollback", "savepoint", "release":
		for i := range toks {
			if w := r.word(i); w == "chain" || w == "prepared" {
				return unknown(0, "controls several transactions")
			}
		}
		return &Access{Reason: "controls a transaction"}
	}
	return unknown(0, "a statement of another kind")
}

// TellsTime tells whether a string may stand for the time at which it is read, as some
// databases have it.
func TellsTime(s string) bool {
	s = lower(strings.TrimSpace(s))
	for word := range strings.FieldsFuncSeq(s, notInName) {
		if timeWords[word] {
			return true
		}
	}
	return false
}

var (
	timeWords = names("now today tomorrow yesterday")
	temporary = names("temp temporary global local")
	// verbs are what may write, or lock, wherever it stands.
	verbs = names(`insert update delete merge replace truncate upsert call exec execute do copy load import into lock for share handler
		alter create drop grant revoke rename perform notify listen vacuum analyze nextval`)
	// timely are the words that are calls without parentheses.
	timely = names(`current_date current_time current_timestamp localtime localtimestamp current_user session_user system_user user current_role
		current_catalog current_schema sysdate systimestamp utc_date utc_time utc_timestamp rownum level uid`)
	// harmless are functions that depend on more than their arguments, and change nothing.
	harmless = names(`now rand random uuid gen_random_uuid curdate curtime current_date current_time current_timestamp localtime localtimestamp
		sysdate unix_timestamp utc_date utc_time utc_timestamp clock_timestamp statement_timestamp transaction_timestamp timeofday getdate
		sysdatetime version database schema user current_user session_user last_insert_id row_count found_rows connection_id pg_backend_pid date
		date_add date_sub date_format datediff extract date_trunc date_part age to_char year month day hour minute second`)
	// plain are functions of their arguments in every database that has them.
	plain = names(`count sum min max avg total coalesce ifnull nullif lower upper length char_length octet_length abs round floor ceil ceiling mod
		power sqrt sign ltrim rtrim trim concat concat_ws substr substring left right lpad rpad reverse repeat greatest least
		row_number rank dense_rank ntile lag lead first_value last_value bit_length instr position strpos cast replace`)
	// beforeParens are the words that are no names of functions before a parenthesis.
	beforeParens = names(`in values and or not exists any some all on where when then else from join select as by having union except intersect over
		filter distinct using between like case limit offset is partition within group set returning ilike escape conflict`)
	// beforeStrings are the words after which a string is a string: others make a date of it.
	beforeStrings = names(`like ilike and or not when then else between select distinct values where on having by returning set escape in is as case`)
	// endFrom are the words that end the list of tables.
	endFrom = names("where group order having limit union except intersect window fetch offset set returning")
)

// A declaredText is one that is being read.
type declaredText struct {
	declared *Declared
	toks     []plainToken
	reads    []string
	doubt    string // why it is Unknown
	taint    string // why it is not Pure
}

// word is the word at i, in lower case; "" if there is none.
func (r *declaredText) word(i int) string {
	if i < 0 || i >= len(r.toks) || r.toks[i].class != plainWord {
		return ""
	}
	return lower(r.toks[i].text)
}

func (r *declaredText) punct(i int, c byte) bool {
	return i >= 0 && i < len(r.toks) && r.toks[i].class == plainPunct && r.toks[i].text[0] == c
}

func (r *declaredText) unknown(why string) {
	if r.doubt == "" {
		r.doubt = why
	}
}

func (r *declaredText) impure(why string) {
	if r.taint == "" {
		r.taint = why
	}
}

// name is the table that a token names.
func (r *declaredText) name(i int) string {
	if i >= len(r.toks) {
		return ""
	}
	switch t := r.toks[i]; t.class {
	case plainWord:
		return lower(t.text)
	case plainQuoted:
		return lower(t.text[1 : len(t.text)-1])
	}
	return ""
}

func (r *declaredText) read() *Access {
	inFrom := []bool{false}
	for i := range r.toks {
		r.call(i)
		top := len(inFrom) - 1
		switch w := r.word(i); {
		case r.punct(i, '('):
			inFrom = append(inFrom, false)
		case r.punct(i, ')'):
			if top == 0 {
				return unknown(0, "parentheses do not match")
			}
			inFrom = inFrom[:top]
		case r.punct(i, ',') && inFrom[top]:
			r.table(i + 1)
		case w == "from" && r.word(i-1) == "distinct" && (r.word(i-2) == "is" || r.word(i-2) == "not"):
		case w == "from", w == "join", w == "straight_join", w == "apply":
			inFrom[top] = true
			r.table(i + 1)
		case endFrom[w]:
			inFrom[top] = false
		case verbs[w] && !(w == "replace" && r.punct(i+1, '(')):
			r.unknown("holds the word " + w)
		}
	}
	switch {
	case r.doubt != "":
		return unknown(0, r.doubt)
	case r.taint != "":
		return &Access{ReadOnly: true, Reason: r.taint}
	}
	return &Access{ReadOnly: true, Pure: true, Reads: set(r.reads)}
}

// table reads what stands where a table is expected.
func (r *declaredText) table(i int) {
	if r.punct(i, '(') && r.word(i+1) == "select" {
		return
	}
	name := r.name(i)
	if r.declared.changes[name] == nil || r.punct(i+1, '.') {
		r.impure("reads what is not declared")
		return
	}
	r.reads = append(r.reads, name)
}

// call looks at what may be a call, or the time, at i.
func (r *declaredText) call(i int) {
	w := r.word(i)
	switch called := r.punct(i+1, '('); {
	case r.toks[i].class == plainQuoted && called:
		r.unknown("calls a function by a quoted name")
	case r.toks[i].class == plainString:
		if before := r.word(i - 1); i > 0 && r.toks[i-1].class == plainWord && !beforeStrings[before] || TellsTime(r.toks[i].text) {
			r.impure("a string may be a time")
		}
	case w == "":
	case r.punct(i-1, '.') && !called:
		// A column, or a sequence's next value.
		if w == "nextval" || w == "currval" {
			r.unknown("asks a sequence")
		}
	case called && !r.punct(i-1, '.') && (beforeParens[w] || plain[w]):
	case called && !r.punct(i-1, '.') && harmless[w]:
		r.impure("calls " + w)
	case called:
		r.unknown("calls a function that may do anything")
	case timely[w]:
		r.impure("asks for " + w)
	}
}

func (r *declaredText) write(verb string) *Access {
	at := 1
	switch verb {
	case "insert", "replace":
		if r.word(at) == "ignore" {
			at++
		}
		if r.word(at) != "into" {
			return unknown(0, "does not say INTO")
		}
		at++
	case "delete":
		if r.word(at) != "from" {
			return unknown(0, "does not say FROM")
		}
		at++
	}
	name, next := r.name(at), at+1
	changes := r.declared.changes[name]
	if changes == nil {
		changes = r.declared.all // by triggers
	}
	switch {
	case name == "", r.punct(next, '.'), r.punct(next, ','):
		return unknown(0, "may write several tables")
	case verb == "update":
		if r.word(next) == "as" {
			next++
		}
		if r.word(next) != "set" && r.word(next+1) != "set" {
			return unknown(0, "may write several tables")
		}
	}
	for i := at + 1; i < len(r.toks); i++ {
		r.call(i)
		switch w := r.word(i); {
		case !verbs[w], w == "replace" && r.punct(i+1, '('), w == "do" && verb == "insert":
		case w == "update" && (r.word(i-1) == "key" || r.word(i-1) == "do"):
		default:
			r.unknown("holds the word " + w)
		}
	}
	if r.doubt != "" {
		return unknown(0, r.doubt)
	}
	return &Access{Reason: "writes", Writes: changes}
}
