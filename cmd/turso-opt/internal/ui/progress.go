package ui

import (
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// IsTerminal tells whether a person reads w as it is written.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// A Progress shows how far some work has come: as a bar on a terminal, where it
// leaves nothing behind, and as a line for each stage elsewhere. It is for one
// goroutine.
type Progress struct {
	w   io.Writer
	bar *progressbar.ProgressBar // nil where w is no terminal
}

// NewProgress begins to show work of so many steps.
func NewProgress(w io.Writer, steps int) *Progress {
	p := &Progress{w: w}
	if IsTerminal(w) {
		p.bar = bar(w, steps)
	}
	return p
}

func bar(w io.Writer, steps int) *progressbar.ProgressBar {
	return progressbar.NewOptions(steps,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetWidth(24),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionShowCount(),
		progressbar.OptionSetRenderBlankState(true))
}

// Stage says what is being done from now on.
func (p *Progress) Stage(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.bar == nil {
		fmt.Fprintln(p.w, text)
		return
	}
	p.bar.Describe(fmt.Sprintf("%-58.58s", text))
}

// Step says that one more of the steps is done.
func (p *Progress) Step() {
	if p.bar != nil {
		_ = p.bar.Add(1) // it fails past the last step only, and then all is shown
	}
}

// Done ends the showing.
func (p *Progress) Done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
