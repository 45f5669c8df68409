// Command regd runs a test registry for scripts. Its flags are those of
// regtest.ParseOptions. It prints one line of JSON, {"host":…,"caFile":…}, and
// serves until its standard input ends or it is interrupted.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/multipack/multipack/testhelpers/regtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "regd:", err)
		os.Exit(1)
	}
}

// run serves until ctx or stdin ends.
func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	opts, faults, err := regtest.ParseOptions(args)
	if err != nil {
		return err
	}
	r, err := regtest.Start(opts...)
	if err != nil {
		return err
	}
	for _, f := range faults {
		r.Inject(f)
	}
	if err := json.NewEncoder(stdout).Encode(map[string]string{"host": r.Host(), "caFile": r.CAFile()}); err != nil {
		_ = r.Close()
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, stdin)
	}()
	select {
	case <-ctx.Done():
	case <-ended:
	}
	return r.Close()
}
