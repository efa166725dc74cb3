package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// byProxy is the finding of steps that the environment's proxy takes for us.
var byProxy = finding{status: skipped, summary: "left to the proxy"}

func resolve(ctx context.Context, p *patient) finding {
	if p.proxy != nil {
		return byProxy
	}
	host := p.ep.Base.Hostname()
	if ip := net.ParseIP(host); ip != nil {
		p.addrs = []string{host}
		return finding{status: ok, summary: host + " is an address"}
	}
	began := time.Now()
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fail("the name "+host+" does not exist",
			"look for a typing error in the DSN; the database may have been deleted or renamed")
	case err != nil && (ctx.Err() != nil || errors.As(err, &dns) && dns.Timeout()):
		return fail("the name server did not answer", "look at this machine's network and at /etc/resolv.conf")
	case err != nil:
		return fail(host+" could not be looked up: "+plain(err), "look at this machine's network and name server")
	}
	p.addrs = addrs
	return finding{status: ok, summary: fmt.Sprintf("%s is %s (%s)", host, strings.Join(addrs, ", "), ui.Duration(time.Since(began)))}
}

// connect tries the addresses one by one, as a dialler would.
func connect(ctx context.Context, p *patient) finding {
	if p.proxy != nil {
		return byProxy
	}
	_, port, err := net.SplitHostPort(p.ep.Addr())
	if err != nil {
		return fail(plain(err), "look at the port in the DSN")
	}
	var failed []string
	for i, addr := range p.addrs {
		// Each address gets its share of what time is left.
		limit, cancel := ctx, func() {}
		if deadline, ok := ctx.Deadline(); ok {
			limit, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(len(p.addrs)-i))
		}
		began := time.Now()
		conn, err := (&net.Dialer{}).DialContext(limit, "tcp", net.JoinHostPort(addr, port))
		cancel()
		if err == nil {
			conn.Close()
			f := finding{status: ok, summary: fmt.Sprintf("%s answers in %s", net.JoinHostPort(addr, port), ui.Duration(time.Since(began)))}
			if failed != nil {
				f.status, f.details = warning, failed
				f.advice = "the driver tries the other addresses first; have them taken out of the name's record"
			}
			return f
		}
		text, _ := explain(err)
		failed = append(failed, net.JoinHostPort(addr, port)+": "+text)
		if i == len(p.addrs)-1 {
			text, advice := explain(err)
			f := fail("no connection to "+p.ep.Addr()+": "+text, advice)
			if len(failed) > 1 {
				f.details = failed
			}
			return f
		}
	}
	return fail("the name has no address", "look at the name's record")
}
