package demo

import (
	"bytes"
	"strings"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/bench"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/meter"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
)

// exampleRows are two steps in which the second driver needs half of everything.
func exampleRows() (rows []row) {
	for _, step := range []string{"first", "second"} {
		for i, s := range sides {
			part := 2 - i
			rows = append(rows, row{
				step: step, side: s.name,
				network: bench.Sample{Ops: 1, Elapsed: time.Duration(part) * time.Second, Latencies: []time.Duration{time.Duration(part) * time.Millisecond}},
				memory:  bench.Sample{Ops: 1, Latencies: []time.Duration{1}, Usage: meter.Usage{Allocs: uint64(1000 * part)}},
			})
		}
	}
	return rows
}

func TestShowWhereNothingCanBeCounted(t *testing.T) {
	cfg, err := tursoopt.ParseDSN("https://db.example.org?authToken=geheim")
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{target: &target.Target{Kind: "database", Config: cfg}}
	var b bytes.Buffer
	if err := d.show(&b, 0, exampleRows()); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	text = strings.Join(lines, "\n")
	for _, want := range []string{
		"server: https://db.example.org?authToken=xxxxx", "network: as it is",
		"first\nlibsql-client-go 2.00 ms 2.00 s - - - 2,000\nturso-opt 1.00 ms 1.00 s - - - 1,000\ntimes less 2.0x 2.0x 2.0x\n",
		"all of it\nlibsql-client-go - 4.00 s - - - 4,000\nturso-opt - 2.00 s - - - 2,000\ntimes less 2.0x 2.0x\n",
		"Requests, bytes and connections were not counted",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
}
