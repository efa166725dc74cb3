package hrana

import (
	"runtime"
	"strings"
	"testing"
)

// What a decoder allocates is bounded by its input, however that tries to
// mislead it.
func TestJSONMemoryIsBounded(t *testing.T) {
	results := func(r string) string {
		one := `{"type":"ok","response":{"type":"execute","result":` + r + `}}`
		return `{"results":[` + strings.Repeat(one+",", 1<<20/len(one)) + one + `]}`
	}
	list := func(head, elem, tail string) string {
		return `{"results":[{"type":"ok","response":{"type":` + head + strings.Repeat(elem+",", 1<<20/len(elem)) + elem + tail + `}}]}`
	}
	for name, body := range map[string]string{
		"results":        results(`{"cols":[],"rows":[]}`),
		"rows that hide": results(`{"cols":[{"name":""}],"rows":[[{"type":"null"}],[{"type":"null"} ] ]}`) + `}]]`,
		"one row":        results(`{"cols":[{"name":""}],"rows":[[{"type":"text","value":""}]]}`),
		"false end":      results(`{"cols":[{"name":""}],"rows":[[{"type":"text","value":"}]]"}],[{"type":"text","value":"}]]"}]]}`),
		"nulls":          list(`"execute","result":{"cols":[{"name":""}],"rows":[`, `[{"type":"null"}]`, `]}`),
		"empty rows":     list(`"execute","result":{"cols":[],"rows":[`, `[]`, `]}`),
		"short, long":    list(`"execute","result":{"cols":[{"name":""}],"rows":[[{"type":"text","value":"`+strings.Repeat("x", 1000)+`"}],`, `[{"type":"null"}]`, `]}`),
		"columns":        list(`"execute","result":{"rows":[],"cols":[`, `{"name":""}`, `]}`),
		"steps":          list(`"batch","result":{"step_results":[`, `null`, `],"step_errors":[null]}`),
		"step errors":    list(`"batch","result":{"step_results":[],"step_errors":[`, `null`, `,{"message":""}]}`),
		"errors":         list(`"batch","result":{"step_results":[],"step_errors":[`, `{"message":""}`, `]}`),
		"params":         list(`"describe","result":{"cols":[],"params":[`, `{"name":""}`, `]}`),
		"escapes":        list(`"execute","result":{"cols":[{"name":""}],"rows":[`, `[{"type":"text","value":"\u0001\u0001"}]`, `]}`),
		"long number":    list(`"execute","result":{"cols":[{"name":""}],"rows":[[{"type":"float","value":0.`+strings.Repeat("1", 1<<20)+`}],`, `[{"type":"null"}]`, `]}`),
		"names":          list(`"execute","result":{"cols":[],"rows":[],`, `"\u0061":"\u0061"`, `}`),
	} {
		perByte(t, name, 24, body, func(data []byte) error { return DecodePipelineResp(JSON, data, new(PipelineResp)) })
	}
	requests := func(elem string) string {
		return `{"requests":[` + strings.Repeat(elem+",", 1<<20/len(elem)) + elem + `]}`
	}
	batch := func(head, elem, tail string) string {
		return `{"requests":[{"type":"batch","batch":{"steps":[` + head + strings.Repeat(elem+",", 1<<20/len(elem)) + elem + tail + `]}}]}`
	}
	for name, body := range map[string]string{
		"requests":   requests(`{"type":"close"}`),
		"steps":      batch("", `{"stmt":{"sql":""}}`, ""),
		"args":       batch(`{"stmt":{"sql":"","args":[`, `{"type":"null"}`, `]}}`),
		"conditions": batch(`{"stmt":{"sql":""},"condition":{"type":"and","conds":[`, `{"type":"or","conds":[]}`, `]}}`),
	} {
		perByte(t, name, 48, body, func(data []byte) error { return DecodePipelineReq(JSON, data, new(PipelineReq)) })
	}
}

func perByte(t *testing.T, name string, limit float64, body string, decode func([]byte) error) {
	t.Helper()
	data := []byte(body)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := decode(data)
	runtime.ReadMemStats(&after)
	// Slices that grow by append leave as much garbage again behind.
	if got := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(data)); got > limit {
		t.Errorf("%s: %.1f bytes are allocated for each of the input (%v)", name, got, err)
	}
}

// The counts that the benchmarks' comments state.
func TestJSONAllocations(t *testing.T) {
	for rows, want := range map[int]float64{0: 5, 1: 7, 2: 9, 1000: 9} {
		answer := jsonAnswer(rows)
		got := testing.AllocsPerRun(20, func() {
			var resp PipelineResp
			if err := DecodePipelineResp(JSON, answer, &resp); err != nil {
				t.Fatal(err)
			}
		})
		if got > want {
			t.Errorf("%d rows cost %v allocations, want %v", rows, got, want)
		}
	}
}
