package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// errHelp says that help was asked for and has been given.
var errHelp = errors.New("help")

// flags are the flags of one command. The placeholder of a value is the word in
// back quotes in a flag's text, as package flag has it.
type flags struct {
	*flag.FlagSet
	about string // what -h says above the flags
}

func newFlags(name, about string) *flags {
	f := &flags{flag.NewFlagSet(name, flag.ContinueOnError), about}
	f.SetOutput(io.Discard) // errors and help are written here, not by package flag
	return f
}

// parse reads flags, which may stand before and behind the arguments, of which
// there may be so many at most.
func (f *flags) parse(args []string, most int, help io.Writer) (rest []string, err error) {
	for {
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			f.help(help)
			return nil, errHelp
		}
		if err != nil {
			return nil, usagef("%v", err)
		}
		left := f.Args()
		if len(left) == 0 {
			break
		}
		// A "--" before left ends the flags.
		if n := len(args) - len(left); n > 0 && args[n-1] == "--" {
			rest = append(rest, left...)
			break
		}
		rest, args = append(rest, left[0]), left[1:]
	}
	if len(rest) > most {
		return nil, usagef("too many arguments")
	}
	return rest, nil
}

func (f *flags) help(w io.Writer) {
	fmt.Fprintf(w, "%s\n", strings.TrimSpace(f.about))
	t := ui.Table{Left: 2}
	f.VisitAll(func(fl *flag.Flag) {
		value, text := flag.UnquoteUsage(fl)
		name := "  --" + fl.Name
		if value != "" {
			name += " " + strings.ToUpper(value)
		}
		if d := fl.DefValue; d != "" && d != "false" {
			text += " (default " + d + ")"
		}
		t.Add(name, text)
	})
	if len(t.Rows) > 0 {
		fmt.Fprint(w, "\nFlags:\n")
		_, _ = t.WriteTo(w)
	}
}
