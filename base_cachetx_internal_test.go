package tursoopt

import (
	"testing"

	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// A savepoint whose name is written in a way that takes more to read, or that nobody has
// seen, leaves it open what is open.
func TestBaseTxStateOfUnknownNames(t *testing.T) {
	for _, texts := range [][]string{{`SAVEPOINT "a b"`, `RELEASE "a b"`}, {"SAVEPOINT a", "RELEASE b"}, {"SAVEPOINT a", "ROLLBACK TO b"}} {
		var s baseTxState
		for _, text := range texts {
			s.after(sqltext.Parse(text), nil)
		}
		if !s.unsure || !s.open() {
			t.Errorf("after %q it is %+v", texts, s)
		}
	}
}
