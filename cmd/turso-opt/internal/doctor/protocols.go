package doctor

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	tursoopt "github.com/turso-opt/turso-opt"
)

// protocols asks by the GET requests of the Hrana 3 specification, section
// "Hrana over HTTP". Version 2 in JSON has answered already.
func protocols(ctx context.Context, p *patient) finding {
	offered := []string{"v2 JSON"}
	var unclear []string
	protobuf := false
	for _, l := range []struct{ path, name string }{{"v3", "v3 JSON"}, {"v3-protobuf", "v3 protobuf"}} {
		a, err := p.ask(ctx, http.MethodGet, l.path, nil)
		switch {
		case err != nil:
			text, _ := explain(err)
			unclear = append(unclear, l.name+": "+text)
		case a.status/100 == 2:
			offered = append(offered, l.name)
			protobuf = protobuf || l.path == "v3-protobuf"
		case a.status == http.StatusTooManyRequests || a.status >= 502:
			unclear = append(unclear, fmt.Sprintf("%s: HTTP %d", l.name, a.status))
		}
	}
	p.version3, p.protobuf = len(offered) > 1, protobuf
	f := finding{status: ok, summary: strings.Join(offered, ", ")}
	switch {
	case unclear != nil:
		f.status, f.details = warning, unclear
		f.advice = "try again; until the server says what it has the driver stays with version 2"
	case !protobuf && p.cfg.Encoding == tursoopt.EncodingProtobuf:
		f.status = failure
		f.advice = "the DSN asks for encoding=protobuf, which the server has not; leave the parameter out"
	case len(offered) == 1:
		f.details = append(f.details, "version 3 is missing: large results cannot be streamed, and transactions are guarded in a dearer way")
	case !protobuf:
		f.details = append(f.details, "protobuf is missing: answers are larger")
	}
	return f
}
