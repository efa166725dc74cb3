package hranatest

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/turso-opt/turso-opt/internal/sqld"
)

func TestConformanceTokens(t *testing.T) {
	t.Parallel()
	keyFile := t.TempDir() + "/key.pem"
	private := sqld.NewKey(t, keyFile)
	full, read := sqld.Token(private, `{"a":"rw"}`), sqld.Token(private, `{"a":"ro"}`)
	real, ours := sqld.ForTest(t, sqld.Options{JWTKeyFile: keyFile}), NewServer(t, Options{Token: full, ReadToken: read})

	const pipelines, cursors = "/v3/pipeline", "/v3/cursor"
	for _, c := range []struct {
		name, value, path, body string
	}{
		{"", "", pipelines, bare(execute(`select 1`))},
		{"", "", cursors, `{"batch":{"steps":[]}}`},
		{"", "", pipelines, `{`},
		{"", "", "/v3-protobuf/pipeline", ""},
		{"", "", "/health", ""}, {"", "", "/v3", ""}, {"", "", "/nope", ""},
		{"Authorization", "Bearer " + full, pipelines, bare(execute(`create table t(a)`))},
		{"Authorization", "bearer " + full, pipelines, bare(execute(`insert into t values(1)`))},
		{"X-Authorization", "Bearer " + full, pipelines, bare(execute(`select a from t`))},
		{"Authorization", full, pipelines, bare()}, {"Authorization", "Bearer", pipelines, bare()}, {"Authorization", "Bearer ", pipelines, bare()},
		{"Authorization", "Basic " + full, pipelines, bare()}, {"Authorization", "Bearer x", pipelines, bare()}, {"Authorization", "Bearer " + full[:len(full)-4] + "AAAA", pipelines, bare()},
		{"Authorization", "Bearer " + read, pipelines, bare(execute(`select a from t`), execute(`begin`), execute(`explain delete from t`), execute(`pragma table_info(t)`), execute(`savepoint x`), execute(`release x`), execute(`commit`))},
		{"Authorization", "Bearer " + read, pipelines, bare(execute(`insert into t values(1)`))},
		{"Authorization", "Bearer " + read, pipelines, bare(execute(`pragma foreign_keys`))},
		{"Authorization", "Bearer " + read, pipelines, bare(execute(`select 1`), batch(stepOf(`select 1`), stepOf(`delete from t`, `{"type":"error","step":0}`)))},
		{"Authorization", "Bearer " + read, pipelines, bare(`{"type":"sequence","sql":"select 1; delete from t"}`)},
		{"Authorization", "Bearer " + read, pipelines, bare(`{"type":"describe","sql":"delete from t"}`)},
		{"Authorization", "Bearer " + read, pipelines, bare(execute(`with x as (select 1) delete from t`))},
		{"Authorization", "Bearer " + read, pipelines, bare(execute(`reindex`))},
	} {
		header := http.Header{}
		if c.name != "" {
			header.Set(c.name, c.value)
		}
		method := http.MethodPost
		if c.body == "" && !strings.Contains(c.path, "line") {
			method = http.MethodGet
		}
		want, got := send(method, real.URL()+c.path, c.body, header), send(method, ours.URL()+c.path, c.body, header)
		if want.status != got.status || want.header.Get("Content-Type") != got.header.Get("Content-Type") || comparable(want.body) != comparable(got.body) {
			t.Errorf("%s with %s %.20s: sqld says\n%d %s %s\nwe say\n%d %s %s", c.path, c.name, c.value,
				want.status, want.header.Get("Content-Type"), want.body, got.status, got.header.Get("Content-Type"), got.body)
		}
	}
}

var changing = regexp.MustCompile(`"(baton|replication_index|rows_read|rows_written|query_duration_ms|last_insert_rowid)":("[^"]*"|[0-9.e-]+|null)`)

func comparable(body string) string { return changing.ReplaceAllString(body, "") }
