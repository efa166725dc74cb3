package doctor

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
)

// unreadable is a DSN that is none. The driver's errors hold no value of it.
func unreadable(err error) finding {
	text := strings.TrimPrefix(err.Error(), "turso-opt: ")
	return fail("cannot be read: "+text,
		"a DSN is a URL such as libsql://my-db.turso.io?authToken=TOKEN; characters such as & + # in a value are escaped as %26 %2B %23")
}

// examineDSN says where the DSN leads.
func (p *patient) examineDSN(now time.Time) finding {
	ep, err := target.EndpointOf(p.cfg)
	if err != nil {
		return fail(err.Error()+", so there is nothing to look at",
			"open it in a program that imports a SQLite driver; the doctor is for libsql, https, http, wss and ws URLs")
	}
	p.ep = ep
	if req, err := http.NewRequest(http.MethodGet, ep.Base.String(), nil); err == nil {
		p.proxy, _ = http.ProxyFromEnvironment(req) // a proxy that cannot be read fails when it is used
	}
	how := "plain HTTP"
	if ep.TLS() {
		how = "TLS"
	}
	f := finding{status: ok, summary: how + " to " + ep.Addr()}
	if ep.WebSocket {
		f.details = append(f.details, "the driver will speak to it through libsql-client-go over a WebSocket; the steps below use HTTP")
	}
	if ep.HostHeader != "" {
		f.details = append(f.details, "through the proxy of the DSN, as "+ep.HostHeader)
	}
	if p.proxy != nil {
		f.details = append(f.details, "through "+p.proxy.Host+", the proxy that HTTP_PROXY or HTTPS_PROXY names")
	}
	if p.fromEnv {
		f.details = append(f.details, "the DSN is that of "+target.EnvURL)
	}
	token := readToken(p.cfg.AuthToken)
	f.details = append(f.details, token.String())
	switch {
	case token.expired(now):
		f.status = warning
		f.advice = "the token has expired; make a new one (turso db tokens create NAME)"
	case !ep.TLS() && p.cfg.AuthToken != "" && !loopback(ep.Base.Hostname()):
		f.status = warning
		f.advice = "the token travels in the clear; use https:// or libsql:// without tls=0"
	case ep.TLS() && loopback(ep.Base.Hostname()):
		f.details = append(f.details, fmt.Sprintf("a server on this machine often has no TLS; it is http://%s then", ep.Base.Host))
	}
	return f
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
