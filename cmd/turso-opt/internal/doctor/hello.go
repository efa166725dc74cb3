package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
)

// hello runs a statement, which shows at once whether the server is one for
// libSQL and whether it takes the token.
func hello(ctx context.Context, p *patient) finding {
	a, pa, err := p.pipeline(ctx, "SELECT 1")
	if err != nil {
		return fail(explain(err))
	}
	if pa == nil {
		return p.refusal(a)
	}
	p.endStream(ctx)
	if e := pa.Results[0].Error; e != nil {
		return fail("SELECT 1 failed: "+oneLine(e.Message), "look at the server's log")
	}
	if a, err := p.ask(ctx, http.MethodGet, "version", nil); err == nil && a.status == http.StatusOK {
		p.version = target.VersionText(a.header.Get("Content-Type"), string(a.body))
	}
	who := p.version
	if who == "" {
		who = "a libSQL server that does not say its version"
	}
	f := finding{status: ok, summary: who + ", over " + a.proto}
	if p.cfg.AuthToken != "" {
		f.details = append(f.details, "the token is accepted, or not asked for")
	} else {
		f.details = append(f.details, "no token is asked for")
	}
	return f
}

// refusal explains an answer that is not a result.
func (p *patient) refusal(a *answer) finding {
	said := ""
	if m := message(a); m != "" {
		said = " (" + m + ")"
	}
	url := "the URL must be that of the database, without /v2 or the like at its end"
	switch s := a.status; {
	case s == http.StatusUnauthorized && p.cfg.AuthToken == "":
		return fail("the server asks for a token"+said, "give it as authToken in the DSN, or as "+target.EnvToken)
	case s == http.StatusUnauthorized:
		return fail("the server refuses the token"+said,
			"it may have expired, or be for another database or group; make a new one (turso db tokens create NAME)")
	case s == http.StatusForbidden:
		return fail("the token is not allowed to read this database"+said, "make a token for this database")
	case s == http.StatusNotFound:
		return fail("the server has no database there"+said, url+"; look for a typing error in host and path")
	case s >= 300 && s < 400:
		return fail("the server sends us elsewhere", "put the final URL into the DSN: the driver follows no redirects, since the token would travel with them")
	case s == http.StatusBadRequest && strings.Contains(string(a.body), "HTTPS server"):
		return fail("the server speaks TLS at this port", "use https://, or libsql:// without tls=0")
	case s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable:
		return fail(fmt.Sprintf("the server is too busy: HTTP %d%s", s, said), "try again; sqld holds 128 streams, and each waits until another ends")
	case s == http.StatusMethodNotAllowed, s == http.StatusNotImplemented:
		return fail(fmt.Sprintf("what answers is not a libSQL server: HTTP %d%s", s, said), url+"; and look at the port")
	case s >= 500:
		return fail(fmt.Sprintf("the server failed: HTTP %d%s", s, said), "look at the server's log; a gateway in front of it may have no server behind it")
	case s != http.StatusOK:
		return fail(fmt.Sprintf("the server refuses: HTTP %d%s", s, said), url)
	}
	return fail("what answers is not a libSQL server: HTTP 200 and no result", url)
}

// message is what the server says of its refusal, cut to a line. Web pages say
// nothing.
func message(a *answer) string {
	var shape struct {
		Error   any    `json:"error"`
		Message string `json:"message"`
	}
	if json.Unmarshal(a.body, &shape) == nil {
		if text, ok := shape.Error.(string); ok {
			return oneLine(text)
		}
		return oneLine(shape.Message)
	}
	if strings.Contains(a.header.Get("Content-Type"), "html") || strings.HasPrefix(string(a.body), "<") {
		return "with a web page"
	}
	return oneLine(string(a.body))
}

func oneLine(s string) string {
	const limit = 160
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "..."
	}
	return s
}
