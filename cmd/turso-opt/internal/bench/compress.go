package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	tursoopt "github.com/turso-opt/turso-opt"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// compressingSide stores the documents' bodies compressed.
func compressingSide(name, algorithm string) Side {
	return Side{Name: name, open: openOurs, tune: func(cfg *tursoopt.Config, w World) {
		cfg.CompressColumns, cfg.CompressAlgorithm = []string{w.table("docs") + "." + bodyColumn}, algorithm
	}}
}

var (
	compressing  = compressingSide("ours, compress_columns", "")
	byZstd       = compressingSide("ours, zstd", tursoopt.AlgorithmZstd)
	uncompressed = oursWith("ours, compress=off", func(c *tursoopt.Config) { c.Compress = tursoopt.CompressOff })
)

// caseP50 is the median of the times of one case of a mixed workload.
func caseP50(name string) Metric {
	return Metric{name + ", p50", ui.Seconds, false, func(s Sample) float64 {
		if len(s.Cases[name]) == 0 {
			return math.NaN()
		}
		return quantile(slices.Sorted(slices.Values(s.Cases[name])), 0.5)
	}}
}

// bytesUp and bytesDown are the two directions of WireBytes.
var (
	bytesUp   = Metric{"bytes sent per op", ui.Bytes, true, func(s Sample) float64 { return perOp(s, float64(s.Counts.BytesUp)) }}
	bytesDown = Metric{"bytes received per op", ui.Bytes, true, func(s Sample) float64 { return perOp(s, float64(s.Counts.BytesDown)) }}
)

// noise is how much slower a case may seem that is not: of what is compared in a
// run on one machine.
const noise = 1.05

// frameShrink is how much smaller documents of a size become as frames.
func frameShrink(size int) Figure {
	return Figure{Name: fmt.Sprintf("JSON documents of %d KB stored as LZ4, smaller by", size>>10), Unit: ui.Factor, read: func(*observed) Value {
		r := rand.New(rand.NewPCG(7, uint64(size)))
		before, after := 0, 0
		for range 50 {
			doc := document(r, size)
			v, err := tursoopt.Compressed(doc).Value()
			b, ok := v.([]byte)
			if err != nil || !ok {
				b = []byte(doc)
			}
			before, after = before+len(doc), after+len(b)
		}
		return spread(1-float64(after)/float64(before), nil)
	}}
}

const compressAbout = "Each operation writes a document of 1 to 16 KB (an order with its items, in JSON), reads it back, and lists 100 rows of four columns, by one goroutine. " +
	"\"ours\" has the defaults, \"ours, compress_columns\" stores the documents as LZ4 frames, \"ours, zstd\" with compress_algorithm=zstd as Zstandard ones, and \"ours, compress=off\" neither does that nor asks for compressed answers. " +
	"The base always asks for gzip, and sends two requests for a statement. No server takes a compressed request, so what is written is smaller only as frames. "

// compressScenario is the row of compression at one bandwidth.
func compressScenario(mbit int, about string, fewer float64) *Scenario {
	sides := []Side{Base, compressing, byZstd, Ours, uncompressed}
	s := &Scenario{
		ID: fmt.Sprintf("14-%d", mbit), Name: fmt.Sprintf("compression-%d", mbit), Title: fmt.Sprintf("documents and lists, %s, RTT 0", bandwidth(mbit)),
		About: compressAbout + about, Mbit: mbit, Setup: Documents, Work: mixedDocuments, Sides: sides,
	}
	bytes := ratio(byZstd, Base, WireBytes)
	if fewer > 0 {
		bytes = bytes.atMost(1 - fewer)
	}
	s.Figures = append(s.Figures, bytes, ratio(compressing, Base, WireBytes), ratio(byZstd, uncompressed, WireBytes), ratio(compressing, uncompressed, WireBytes),
		ratio(Ours, Base, WireBytes))
	for _, name := range []string{writeCase, readCase, listCase} {
		for _, side := range []Side{byZstd, compressing, Ours} {
			s.Figures = append(s.Figures, ratio(side, uncompressed, caseP50(name)).atMost(noise))
		}
	}
	for _, name := range []string{writeCase, readCase, listCase} {
		s.Figures = append(s.Figures, both(caseP50(name), sides...)...)
	}
	for _, m := range []Metric{WireBytes, bytesUp, bytesDown, Throughput, CPU} {
		s.Figures = append(s.Figures, both(m, sides...)...)
	}
	return s
}

// scanScenario reads documents in bulk.
func scanScenario(mbit int, figures ...Figure) *Scenario {
	s := &Scenario{
		ID: fmt.Sprintf("scan-documents-%d", mbit), Name: fmt.Sprintf("documents-%d", mbit), Title: fmt.Sprintf("scan of 1,000 compressed documents of 4 KB, %s", bandwidth(mbit)),
		About: "One SELECT of 1,000 documents of 4 KB, every value read and compared, from a table that was written with compress_columns, by LZ4 and by Zstandard, and from one that was not.",
		Mbit:  mbit, Setup: Documents, Work: scanDocuments, Sides: []Side{compressing, byZstd, uncompressed}, Figures: figures,
	}
	if mbit == 0 {
		s.Counted = 2
	}
	s.Figures = append(s.Figures, slices.Concat(both(P50, s.Sides...), both(WireBytes, s.Sides...), both(CPU, s.Sides...), both(Allocs, s.Sides...))...)
	return s
}

func bandwidth(mbit int) string {
	switch {
	case mbit == 0:
		return "no emulated network"
	case mbit%1000 == 0:
		return fmt.Sprintf("%d Gbit/s", mbit/1000)
	}
	return fmt.Sprintf("%d Mbit/s", mbit)
}

// fewerBytes is the goal of row 14.
const fewerBytes = 0.6

var compressScenarios = []*Scenario{
	compressScenario(10, "At this bandwidth bytes are what takes the time.", fewerBytes),
	compressScenario(100, "At this bandwidth gzip is worth its time for plain documents and for a list, and not for a frame.", fewerBytes),
	compressScenario(1000, "At this bandwidth gzip takes the server longer than the path takes for what it saves, so it is not asked for; the base asks for it all the same. "+
		"The number of bytes has no goal here: more of them take less time.", 0),
	scanScenario(0, ratio(compressing, uncompressed, CPU).atMost(1.1), ratio(byZstd, uncompressed, CPU), frameShrink(1<<10).atLeast(0.35).always(), frameShrink(16<<10).atLeast(0.6).always()),
	scanScenario(100, ratio(compressing, uncompressed, P50).atMost(1), ratio(byZstd, uncompressed, P50).atMost(1), ratio(byZstd, uncompressed, CPU)),
	scanScenario(10, ratio(compressing, uncompressed, P50).atMost(1), ratio(byZstd, uncompressed, P50).atMost(1)),
}
