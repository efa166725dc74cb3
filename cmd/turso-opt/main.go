// Command turso-opt shows what the driver turso-opt does, measures it, looks at
// databases and serves one. Run it without arguments for what there is.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := (&app{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, args: os.Args, self: os.Executable,
	}).run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
