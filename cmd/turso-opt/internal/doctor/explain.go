package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
)

// plain is an error's text without the URL that some errors quote.
func plain(err error) string {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err.Error()
}

// explain says why no answer came, and what to do.
func explain(err error) (what, advice string) {
	var (
		unknownCA x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		netErr    net.Error
	)
	text := plain(err)
	switch {
	case errors.As(err, &unknownCA):
		return "this machine does not trust the certificate's issuer",
			"install the issuer's certificate, or the package ca-certificates if there are none at all; a program can set Config.TLSConfig"
	case errors.As(err, &hostname):
		return strings.TrimPrefix(hostname.Error(), "x509: "), "use the host name that the certificate is for"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate is not valid now: " + strings.TrimPrefix(invalid.Error(), "x509: "), "look at this machine's clock; or the server's certificate must be renewed"
	case errors.As(err, &record), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return "the server does not speak TLS at this port", "use http://, or tls=0 and a port with libsql://"
	case strings.Contains(text, "malformed HTTP response"), strings.Contains(text, "malformed HTTP status"):
		return "what came back is not HTTP", "look at the port; a server that speaks TLS there is reached by https:// or libsql://"
	case errors.Is(err, syscall.ECONNREFUSED), strings.Contains(text, "actively refused"):
		return "refused, since no program listens at that port", "start the server, or look at the port in the DSN"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to that network from here", "look at this machine's network, and at VPN and firewall"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the other side broke the connection off", "look at what is between here and the server: a firewall, a proxy; and whether the port speaks TLS"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return "no answer within the time limit", "a firewall may swallow it; --timeout gives a slow network more time"
	case strings.Contains(text, "tls:"):
		return text, "look at the server's TLS settings"
	}
	return text, "look at the network between here and the server"
}
