package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/hrana"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// sampleRows and sampleText make an answer as programs get it, a list of rows that
// are not too much alike, without a look at any table.
const (
	sampleRows = 300
	sampleText = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
SELECT i AS id, printf('%x', i * 2654435761 % 4294967291) AS name, printf('%x', i * 40503 % 65521) || '@example.org' AS email,
i * 7919 % 10007 / 8.0 AS score, printf('{"city":"%x","tags":["a","b"],"visits":%d}', i * 69621 % 65537, i * 37 % 101) AS profile FROM n`
)

// transfers is how often the sample is asked for in each way.
const transfers = 5

// A way is how an answer can be written and compressed.
type way struct {
	encoding hrana.Encoding
	coding   string // "" for none
	bytes    int
	took     []time.Duration
}

func (w *way) String() string {
	name := "JSON"
	if w.encoding == hrana.Protobuf {
		name = "protobuf"
	}
	if w.coding != "" {
		name += ", " + w.coding
	}
	return name
}

// encodings asks for the same answer in all ways, and says what each saves on this
// path. Times are those of the transfer; to decompress comes on top.
func encodings(ctx context.Context, p *patient) finding {
	ways := []*way{{}, {coding: "gzip"}, {coding: "zstd"}}
	if p.protobuf {
		ways = append(ways, &way{encoding: hrana.Protobuf}, &way{encoding: hrana.Protobuf, coding: "gzip"}, &way{encoding: hrana.Protobuf, coding: "zstd"})
	}
	missing := map[string]bool{}
	// One of each in turn, so that what disturbs the path disturbs them all.
	for i := range transfers {
		for _, w := range ways {
			if missing[w.coding] {
				continue
			}
			switch offered, err := p.transfer(ctx, w); {
			case err != nil:
				text, advice := explain(err)
				return finding{status: warning, summary: "the answer to a query of " + fmt.Sprint(sampleRows) + " rows failed: " + text, advice: advice}
			case !offered && w.coding == "":
				return finding{status: warning, summary: "a query of " + fmt.Sprint(sampleRows) + " rows is refused", advice: "look at the server's log; programs that read lists may fail, too"}
			case !offered && i == 0:
				missing[w.coding] = true
			}
		}
	}
	return p.compare(ways, missing)
}

func (p *patient) compare(ways []*way, missing map[string]bool) finding {
	plain := ways[0]
	f := finding{status: ok, summary: fmt.Sprintf("a list of %d rows is, by the median of %d:", sampleRows, transfers)}
	offered := []string{}
	for _, w := range ways {
		if missing[w.coding] {
			continue
		}
		if w.coding != "" && !slices.Contains(offered, w.coding) {
			offered = append(offered, w.coding)
		}
		line := fmt.Sprintf("%-16s%9s bytes in %s", w.String()+":", ui.Thousands(int64(w.bytes)), ui.Duration(median(w.took)))
		if w != plain {
			line += ", " + saved(plain, w)
		}
		f.details = append(f.details, line)
	}
	for _, coding := range []string{"gzip", "zstd"} {
		if missing[coding] {
			f.details = append(f.details, coding+" is not offered")
		}
	}
	encoding := "JSON"
	if p.protobuf && p.cfg.Encoding != tursoopt.EncodingJSON {
		encoding = "protobuf"
	}
	switch {
	case p.cfg.Compress == tursoopt.CompressOff:
		f.details = append(f.details, "the driver takes "+encoding+", and nothing compressed (compress=off)")
	case len(offered) == 0:
		f.details = append(f.details, "the driver takes "+encoding)
	default:
		f.details = append(f.details, "the driver takes "+encoding+", compressed where it finds that to be faster (compress=auto)")
	}
	return f
}

// saved says what a way saves in comparison with another.
func saved(plain, w *way) string {
	less := fmt.Sprintf("%.0f %% less", 100*(1-float64(w.bytes)/float64(plain.bytes)))
	if w.bytes > plain.bytes {
		less = fmt.Sprintf("%.0f %% more", 100*(float64(w.bytes)/float64(plain.bytes)-1))
	}
	d := median(plain.took) - median(w.took)
	if d < 0 {
		return less + ", and " + ui.Duration(-d) + " longer"
	}
	return less + ", and " + ui.Duration(d) + " shorter"
}

// transfer asks for the sample in one way; ok is false if the server answers in
// another.
func (p *patient) transfer(ctx context.Context, w *way) (offered bool, err error) {
	path, kind := "v2/pipeline", "application/json"
	requests := []streamRequest{{"execute", &statement{sampleText}}}
	if p.version3 { // others may not know how to close a stream, and fail
		requests = append(requests, streamRequest{Type: "close"})
	}
	body, err := json.Marshal(map[string]any{"requests": requests})
	if w.encoding == hrana.Protobuf {
		path, kind = "v3-protobuf/pipeline", "application/x-protobuf"
		body, err = hrana.AppendPipelineReq(nil, hrana.Protobuf, &hrana.PipelineReq{Requests: []hrana.StreamReq{
			{Type: hrana.Execute, Stmt: hrana.Stmt{SQL: sampleText, WantRows: true}}, {Type: hrana.Close},
		}})
	}
	if err != nil {
		return false, err
	}
	header := http.Header{"Content-Type": {kind}}
	if w.coding != "" {
		header.Set("Accept-Encoding", w.coding)
	}
	a, err := p.askWith(ctx, http.MethodPost, path, body, header)
	if err != nil {
		return false, err
	}
	if a.status != http.StatusOK || !strings.EqualFold(a.header.Get("Content-Encoding"), w.coding) {
		return false, nil
	}
	w.bytes = len(a.body)
	w.took = append(w.took, a.took)
	return true, nil
}
