package regtest

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ParseOptions reads options from a command line, for scripts:
//
//	-real               the distribution registry
//	-storage DIR        its content on disk
//	-tls                HTTPS with a certificate of its own
//	-addr HOST:PORT     where to listen
//	-basic, -token      want credentials, of this kind
//	-user NAME:PASS     who may push and pull; repeatable
//	-reader NAME:PASS   who may pull only; repeatable
//	-anonymous          whoever has no credentials may pull
//	-read-only          refuse writes
//	-deny METHOD:REGEXP refuse such requests; repeatable
//	-immutable REGEXP   tags that stay
//	-stale REGEXP:N     tags whose next N reads after a write are stale
//	-no-referrers       no referrers API
//	-fail METHOD:REGEXP:STATUS:TIMES   answer so; repeatable
func ParseOptions(args []string) (opts []Option, faults []Fault, err error) {
	set := flag.NewFlagSet("regd", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	var users []User
	user := func(readOnly bool) func(string) error {
		return func(s string) error {
			name, password, ok := strings.Cut(s, ":")
			if !ok {
				return errors.New("want NAME:PASS")
			}
			users = append(users, User{Name: name, Password: password, ReadOnly: readOnly})
			return nil
		}
	}
	add := func(f func(string) (Option, error)) func(string) error {
		return func(s string) error {
			o, err := f(s)
			opts = append(opts, o)
			return err
		}
	}
	plain := func(o func() Option) func(string) error {
		return func(string) error { opts = append(opts, o()); return nil }
	}
	set.BoolFunc("real", "", plain(Real))
	set.BoolFunc("tls", "", plain(TLS))
	set.BoolFunc("read-only", "", plain(ReadOnly))
	set.BoolFunc("no-referrers", "", plain(NoReferrers))
	set.Func("storage", "", add(func(s string) (Option, error) { return Storage(s), nil }))
	set.Func("addr", "", add(func(s string) (Option, error) { return Address(s), nil }))
	set.Func("immutable", "", add(func(s string) (Option, error) { return Immutable(s), nil }))
	set.Func("user", "", user(false))
	set.Func("reader", "", user(true))
	set.BoolFunc("anonymous", "", func(string) error { users = append(users, User{ReadOnly: true}); return nil })
	set.Func("deny", "", add(func(s string) (Option, error) {
		method, path, ok := strings.Cut(s, ":")
		if !ok {
			return nil, errors.New("want METHOD:REGEXP")
		}
		return Deny(method, path), nil
	}))
	set.Func("stale", "", add(func(s string) (Option, error) {
		i := strings.LastIndex(s, ":")
		n, err := strconv.Atoi(s[i+1:])
		if i < 0 || err != nil {
			return nil, errors.New("want REGEXP:N")
		}
		return Stale(s[:i], n), nil
	}))
	set.Func("fail", "", func(s string) error {
		f, err := parseFault(s)
		faults = append(faults, f)
		return err
	})
	basic, token := set.Bool("basic", false, ""), set.Bool("token", false, "")
	if err := set.Parse(args); err != nil {
		return nil, nil, err
	}
	if set.NArg() > 0 {
		return nil, nil, fmt.Errorf("unknown argument '%s'", set.Arg(0))
	}
	switch {
	case *token:
		opts = append(opts, TokenAuth(users...))
	case *basic:
		opts = append(opts, BasicAuth(users...))
	}
	return opts, faults, nil
}

// parseFault reads METHOD:REGEXP:STATUS:TIMES.
func parseFault(s string) (Fault, error) {
	method, rest, _ := strings.Cut(s, ":")
	parts := strings.Split(rest, ":")
	if len(parts) < 3 {
		return Fault{}, errors.New("want METHOD:REGEXP:STATUS:TIMES")
	}
	n := len(parts)
	status, err1 := strconv.Atoi(parts[n-2])
	times, err2 := strconv.Atoi(parts[n-1])
	return Fault{Method: method, Path: strings.Join(parts[:n-2], ":"), Status: status, Times: times}, errors.Join(err1, err2)
}
