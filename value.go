package tursoopt

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// timeFormat is how libsql-client-go writes a time.Time.
const timeFormat = "2006-01-02 15:04:05.999999999-07:00"

// formatTime writes a time so that parseTime gives the same instant. Zones of
// former centuries differ from UTC by seconds too, which the format has not.
func formatTime(t time.Time) string {
	if _, offset := t.Zone(); offset%60 != 0 {
		t = t.UTC()
	}
	return t.Format(timeFormat)
}

// checkNamedValue converts an argument to what toValue takes; its errors name
// the argument and its type, never its value.
func checkNamedValue(nv *driver.NamedValue) error {
	switch x := nv.Value.(type) { // the most frequent, for which nothing is to be done
	case int64, nil:
		return nil
	case int:
		nv.Value = int64(x)
		return nil
	}
	name := strconv.Itoa(nv.Ordinal)
	if nv.Name != "" {
		name = nv.Name
	}
	switch nv.Value.(type) {
	case *batchCall, framedBlob:
		return nil
	case sql.Out, *sql.Out:
		return fmt.Errorf("turso-opt: argument %s: SQLite has no output parameters", name)
	}
	v, err := driver.DefaultParameterConverter.ConvertValue(nv.Value)
	if err != nil {
		return fmt.Errorf("turso-opt: argument %s of type %T: %w", name, nv.Value, err)
	}
	_, framed := nv.Value.(framer)
	switch x := v.(type) {
	case bool:
		v = int64(0)
		if x {
			v = int64(1)
		}
	case []byte:
		switch {
		case x == nil:
			v = nil
		case framed:
			v = framedBlob(x)
		}
	case string:
		if !utf8.ValidString(x) {
			return fmt.Errorf("turso-opt: argument %s: the string is not valid UTF-8; pass []byte", name)
		}
	case time.Time:
		v = formatTime(x)
	}
	nv.Value = v
	return nil
}

// toValue is v as SQLite stores it; NaN is NULL there. A blob is borrowed.
func toValue(v driver.Value) (exec.Value, error) {
	switch x := v.(type) {
	case nil:
		return exec.Value{}, nil
	case int64:
		return exec.Value{Kind: exec.Integer, Int: x}, nil
	case float64:
		if math.IsNaN(x) {
			return exec.Value{}, nil
		}
		return exec.Value{Kind: exec.Float, Float: x}, nil
	case string:
		return exec.Value{Kind: exec.Text, Text: x}, nil
	case []byte:
		if x == nil {
			return exec.Value{}, nil
		}
		return exec.Value{Kind: exec.Blob, Blob: x}, nil
	case framedBlob:
		return exec.Value{Kind: exec.Blob, Blob: x}, nil
	case bool:
		if x {
			return exec.Value{Kind: exec.Integer, Int: 1}, nil
		}
		return exec.Value{Kind: exec.Integer}, nil
	case time.Time:
		return exec.Value{Kind: exec.Text, Text: formatTime(x)}, nil
	}
	return exec.Value{}, fmt.Errorf("turso-opt: an argument of type %T cannot be stored", v)
}
