package target

import (
	"bytes"
	"io"
	"net/url"

	tursoopt "github.com/turso-opt/turso-opt"
)

// Secrets are the texts of cfg that nobody may read, as they are and as they
// look in a URL.
func Secrets(cfg *tursoopt.Config) []string {
	var all []string
	add := func(s string) {
		if len(s) < 3 {
			return // would hide half of every text and is no secret
		}
		all = append(all, s)
		for _, escaped := range []string{url.QueryEscape(s), url.PathEscape(s)} {
			if escaped != s {
				all = append(all, escaped)
			}
		}
	}
	add(cfg.AuthToken)
	add(cfg.RemoteEncryptionKey)
	for _, text := range []string{cfg.URL, cfg.Proxy} {
		u, err := url.Parse(text)
		if err != nil || u.User == nil {
			continue
		}
		if password, ok := u.User.Password(); ok {
			add(password)
		} else {
			add(u.User.Username())
		}
	}
	return all
}

// A Scrubber writes to W what is written to it, with the secrets replaced: the
// last defence against a server that quotes a token in its answer. A secret must
// be written in one piece.
type Scrubber struct {
	W       io.Writer
	Secrets []string
}

// Write replaces and writes; it reports len(b) if all was written.
func (s *Scrubber) Write(b []byte) (int, error) {
	clean := b
	for _, secret := range s.Secrets {
		clean = bytes.ReplaceAll(clean, []byte(secret), []byte("xxxxx"))
	}
	if _, err := s.W.Write(clean); err != nil {
		return 0, err
	}
	return len(b), nil
}
