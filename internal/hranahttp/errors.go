package hranahttp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/http1"
)

// encodeError is what the caller's own values did wrong: nothing was sent.
func encodeError(err error) *exec.Error {
	return &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Hopeless: true, Err: err}
}

// contextError is the end of the caller's context. A request that was sent goes
// on, or was cut off at a point that nobody knows.
func contextError(ctx context.Context, sent bool) *exec.Error {
	e := &exec.Error{Source: exec.FromTransport, Err: ctx.Err(), StreamLost: sent}
	if sent {
		e.Message = "the context ended after the request was sent"
	} else {
		e.Proof = exec.NotExecuted
		e.Message = "the context ended before the request was sent"
	}
	return e
}

// broken classifies every failure that is not an answer of the server. sent
// tells whether the server may have the whole request.
func (c *Client) broken(ctx context.Context, err error, sent bool) *exec.Error {
	switch {
	case ctx.Err() != nil && c.life.Err() == nil:
		return contextError(ctx, sent)
	case c.life.Err() != nil:
		return closedError(sent)
	}
	e := &exec.Error{Source: exec.FromTransport, StreamLost: true, Err: c.redacted(err), Hopeless: hopeless(err)}
	if !sent {
		e.Proof = exec.NotExecuted
	}
	var record tls.RecordHeaderError
	var noConn *unconnected
	switch {
	case errors.As(err, &record):
		e.Message = "the server does not speak TLS on this port (without TLS the URL begins with http://, or has tls=0)"
	case errors.Is(err, http1.ErrTLS):
		// To a TLS server a request in the clear is not even a request.
		e.Proof = exec.NotExecuted
		e.Message = "the URL is for HTTP without TLS"
	case errors.As(err, &noConn):
		e.Message = "connecting to the server"
	case !sent:
		e.Message = "the request could not be sent"
	case errors.Is(err, errTooLong):
		e.Source = exec.FromProtocol
	default:
		e.Message = "the connection broke before the answer was complete"
	}
	return e
}

// hopeless tells whether another attempt at once would fail the same way: what is
// wrong is a name, a certificate or a setting, or connect_timeout has passed, which
// is as long as the caller wants to wait for a connection.
func hopeless(err error) bool {
	var name *net.DNSError
	var timeout *connectTimeout
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &name) && name.IsNotFound || errors.As(err, &timeout) || errors.As(err, &cert) ||
		errors.As(err, &record) || errors.As(err, &alert) || errors.Is(err, http1.ErrTLS) || errors.Is(err, errProxy)
}

// notHrana is for an answer of status 200 that is not Hrana: the server may have
// done anything.
func (c *Client) notHrana(foreign string, err error) *exec.Error {
	msg := "the server's answer cannot be understood"
	if foreign != "" {
		msg = "the server does not speak Hrana (it answers with " + clean(foreign, 60) + ")"
	}
	return &exec.Error{Source: exec.FromProtocol, Message: c.redact(msg), Err: c.redacted(err), StreamLost: true}
}

// errProxy stands for net/http's error, which quotes the proxy's URL.
var errProxy = errors.New("the proxy named by the environment is not a valid URL")

// secrets are what no text may show.
func (c *Client) secrets() []string {
	all := []string{c.cfg.EncryptionKey, basicAuth(&c.cfg)}
	if cred := c.auth.current.Load(); cred != nil {
		all = append(all, cred.token)
	}
	if u := c.cfg.URL.User; u != nil {
		password, _ := u.Password()
		all = append(all, password, url.QueryEscape(password), url.PathEscape(password))
	}
	return all
}

// redact takes the secrets out of a text. A server may quote what it was sent,
// and an error of net/http the URL.
func (c *Client) redact(text string) string {
	for _, s := range c.secrets() {
		if len(s) >= 3 { // shorter ones are in any text
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	return text
}

// redacted is err, or if its text holds a secret, only that text without it.
func (c *Client) redacted(err error) error {
	text := err.Error()
	if clean := c.redact(text); clean != text {
		return errors.New(clean)
	}
	return err
}
