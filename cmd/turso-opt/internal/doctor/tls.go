package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// renewal is how long before its end a certificate is worth a warning.
const renewal = 14 * 24 * time.Hour

func handshake(ctx context.Context, p *patient) finding {
	switch {
	case !p.ep.TLS():
		return finding{status: skipped, summary: "not used"}
	case p.proxy != nil:
		return byProxy
	}
	// What the driver's transport offers.
	cfg := p.cfg.TLSConfig.Clone()
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg.NextProtos = []string{"h2", "http/1.1"}
	if cfg.ServerName == "" {
		cfg.ServerName = p.ep.Base.Hostname()
	}
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", p.ep.Addr())
	if err != nil {
		return fail(explain(err))
	}
	defer raw.Close()
	conn := tls.Client(raw, cfg)
	began := time.Now()
	if err := conn.HandshakeContext(ctx); err != nil {
		return fail(explain(err))
	}
	took := time.Since(began)
	state := conn.ConnectionState()
	f := finding{status: ok, summary: fmt.Sprintf("%s in %s, %s", tls.VersionName(state.Version), ui.Duration(took), protocolName(state.NegotiatedProtocol))}
	cert := state.PeerCertificates[0]
	left := time.Until(cert.NotAfter)
	f.details = append(f.details, fmt.Sprintf("the certificate is for %s, from %s, until %s",
		name(cert.DNSNames, cert.Subject.CommonName), name(cert.Issuer.Organization, cert.Issuer.CommonName), cert.NotAfter.UTC().Format(time.DateOnly)))
	if left < renewal {
		f.status = warning
		f.advice = "the certificate must be renewed within " + fmt.Sprint(int(left.Hours()/24)) + " days"
	}
	return f
}

// protocolName is what ALPN agreed on.
func protocolName(alpn string) string {
	switch alpn {
	case "h2":
		return "HTTP/2"
	case "":
		return "HTTP/1.1 (the server chose nothing by ALPN)"
	}
	return "HTTP/1.1"
}

func name(names []string, other string) string {
	if len(names) > 0 {
		return names[0]
	}
	return other
}
