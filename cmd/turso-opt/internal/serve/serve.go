// Package serve runs the embedded libSQL server for people.
package serve

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/turso-opt/turso-opt/hranatest"
)

// Options say what is served.
type Options struct {
	// Addr is host:port; port 0 takes a free one.
	Addr string
	// DB is a file, or empty for a database in memory.
	DB string
	// Profile is whose manners the server has: one of Profiles.
	Profile string
	// Token is what clients must send, empty for none.
	Token string
	// Input, if it is not nil, ends the server when it ends.
	Input io.Reader
}

var profiles = []hranatest.Profile{hranatest.Sqld, hranatest.Cloud, hranatest.V2}

// Profiles are the names that Options.Profile may have.
func Profiles() (names []string) {
	for _, p := range profiles {
		names = append(names, p.String())
	}
	return names
}

// Run serves until ctx ends. It prints the URL on out, alone on a line, and what
// a person wants to know beside it on info.
func Run(ctx context.Context, o Options, out, info io.Writer) error {
	i := slices.IndexFunc(profiles, func(p hranatest.Profile) bool { return p.String() == o.Profile })
	if i < 0 {
		return fmt.Errorf("no profile %q; there are %s", o.Profile, strings.Join(Profiles(), ", "))
	}
	s, err := hranatest.Start(hranatest.Options{Addr: o.Addr, Path: o.DB, Profile: profiles[i], Token: o.Token})
	if err != nil {
		return err
	}
	what := "a database in memory, which ends with the server"
	if o.DB != "" {
		what = o.DB
	}
	token := "no token is asked for"
	if o.Token != "" {
		token = "a token is asked for"
	}
	fmt.Fprintf(info, "serving %s with the manners of %s; %s; end with Ctrl-C\n", what, o.Profile, token)
	if _, err := fmt.Fprintln(out, s.URL()); err != nil {
		s.Close()
		return err
	}
	ended := make(chan struct{})
	if o.Input != nil {
		go func() {
			_, _ = io.Copy(io.Discard, o.Input) // however it ends, it has ended
			close(ended)
		}()
	}
	select {
	case <-ctx.Done():
	case <-ended:
	}
	return s.Close()
}
