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
	p := &parser{set: flag.NewFlagSet("regd", flag.ContinueOnError)}
	p.set.SetOutput(io.Discard)
	for name, option := range map[string]func() Option{"real": Real, "tls": TLS, "read-only": ReadOnly, "no-referrers": NoReferrers} {
		p.set.BoolFunc(name, "", func(string) error { p.opts = append(p.opts, option()); return nil })
	}
	for name, option := range map[string]func(string) Option{"storage": Storage, "addr": Address, "immutable": Immutable} {
		p.set.Func(name, "", func(s string) error { p.opts = append(p.opts, option(s)); return nil })
	}
	p.set.Func("deny", "", p.deny)
	p.set.Func("stale", "", p.stale)
	p.set.Func("user", "", func(s string) error { return p.user(s, false) })
	p.set.Func("reader", "", func(s string) error { return p.user(s, true) })
	p.set.BoolFunc("anonymous", "", func(string) error { return p.user(":", true) })
	p.set.Func("fail", "", func(s string) error {
		f, err := parseFault(s)
		faults = append(faults, f)
		return err
	})
	basic, token := p.set.Bool("basic", false, ""), p.set.Bool("token", false, "")
	if err := p.set.Parse(args); err != nil {
		return nil, nil, err
	}
	if p.set.NArg() > 0 {
		return nil, nil, fmt.Errorf("unknown argument '%s'", p.set.Arg(0))
	}
	switch {
	case *token:
		p.opts = append(p.opts, TokenAuth(p.users...))
	case *basic:
		p.opts = append(p.opts, BasicAuth(p.users...))
	}
	return p.opts, faults, nil
}

// parser collects what the flags say.
type parser struct {
	set   *flag.FlagSet
	opts  []Option
	users []User
}

func (p *parser) user(s string, readOnly bool) error {
	name, password, ok := strings.Cut(s, ":")
	if !ok {
		return errors.New("want NAME:PASS")
	}
	p.users = append(p.users, User{Name: name, Password: password, ReadOnly: readOnly})
	return nil
}

func (p *parser) deny(s string) error {
	method, path, ok := strings.Cut(s, ":")
	if !ok {
		return errors.New("want METHOD:REGEXP")
	}
	p.opts = append(p.opts, Deny(method, path))
	return nil
}

func (p *parser) stale(s string) error {
	i := strings.LastIndex(s, ":")
	n, err := strconv.Atoi(s[i+1:])
	if i < 0 || err != nil {
		return errors.New("want REGEXP:N")
	}
	p.opts = append(p.opts, Stale(s[:i], n))
	return nil
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
