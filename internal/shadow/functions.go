package shadow

import (
	"errors"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// pure are the functions whose result depends on their arguments alone, in every
// version of SQLite and libSQL that has them. Whatever is not listed is not.
//
// Those of dates are missing on purpose: 'now' may come from an argument or from
// a row. So are those that tell of the library (sqlite_version), of the
// connection (changes, last_insert_rowid) and of chance, and those of full-text
// search.
var pure = names(`
	abs acos acosh asin asinh atan atan2 atanh ceil ceiling char coalesce concat
	concat_ws cos cosh degrees exp floor format glob hex if ifnull iif instr
	length like likelihood likely ln log log10 log2 lower ltrim max min mod nullif
	octet_length pi pow power printf quote radians replace round rtrim sign sin
	sinh soundex sqrt substr substring tan tanh trim trunc typeof unhex unicode
	unistr unistr_quote unlikely upper zeroblob

	avg count group_concat max median min percentile percentile_cont
	percentile_disc string_agg sum total
	cume_dist dense_rank first_value lag last_value lead nth_value ntile
	percent_rank rank row_number

	-> ->> json json_array json_array_insert json_array_length json_error_position
	json_extract json_insert json_object json_patch json_pretty json_quote
	json_remove json_replace json_set json_type json_valid jsonb jsonb_array
	jsonb_array_insert jsonb_extract jsonb_insert jsonb_object jsonb_patch
	jsonb_remove jsonb_replace jsonb_set
	json_group_array json_group_object jsonb_group_array jsonb_group_object

	vector vector1bit vector16 vector32 vector64 vector8 vectorb16 vector_concat
	vector_distance_cos vector_distance_dot vector_distance_jaccard
	vector_distance_l2 vector_extract vector_slice
`)

// tableFunctions are the virtual tables that are made of their arguments alone.
var tableFunctions = names("json_each json_tree jsonb_each jsonb_tree")

func names(list string) map[string]bool {
	m := make(map[string]bool)
	for _, name := range strings.Fields(list) {
		m[name] = true
	}
	return m
}

var errNeverRun = errors.New("shadow: nothing is run here")

// standInFunctions makes the functions known that the server has and this SQLite
// has not, so that what calls them compiles. They are never called.
func standInFunctions(db *sqlite3.Conn) error {
	for name := range names(`
		libsql_vector_idx
		vector vector1bit vector16 vector32 vector64 vector8 vectorb16 vector_concat
		vector_distance_cos vector_distance_dot vector_distance_jaccard
		vector_distance_l2 vector_extract vector_slice
		bm25 highlight matchinfo offsets snippet
	`) {
		err := db.CreateFunction(name, -1, sqlite3.DETERMINISTIC|sqlite3.INNOCUOUS,
			func(ctx sqlite3.Context, _ ...sqlite3.Value) { ctx.ResultError(errNeverRun) })
		if err != nil {
			return err
		}
	}
	return nil
}
