package registry

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/multipack/multipack/internal/fault"
)

const (
	longestErrorBody = 64 << 10
	longestErrorText = 300
)

// answerError is a registry's refusal.
type answerError struct {
	status int
	code   string
	text   string
	header http.Header
}

func (e *answerError) Error() string {
	said := fmt.Sprintf("%d %s", e.status, http.StatusText(e.status))
	switch {
	case e.code != "" && e.text != "":
		return fmt.Sprintf("%s: %s (%s)", e.code, e.text, said)
	case e.code+e.text != "":
		return fmt.Sprintf("%s (%s)", e.code+e.text, said)
	}
	return "the registry answered " + said
}

// expect is nil when resp has one of the statuses wanted. Otherwise resp's body
// is read and closed, and the error tells what the registry said.
func expect(resp *http.Response, wanted ...int) error {
	for _, s := range wanted {
		if resp.StatusCode == s {
			return nil
		}
	}
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, longestErrorBody))
	drain(resp)
	e := &answerError{status: resp.StatusCode, header: resp.Header}
	e.code, e.text = registryWords(raw)
	return e
}

// registryWords finds the code and message in an error's body: the
// specification's form first, then the forms that proxies and portals use. HTML
// is nothing that a user of a terminal can read.
func registryWords(raw []byte) (code, text string) {
	var spec struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
		Code    any    `json:"code"`
		Message string `json:"message"`
		Details string `json:"details"`
	}
	if err := json.Unmarshal(raw, &spec); err == nil {
		for i, d := range spec.Errors {
			if i == 0 {
				code, text = d.Code, d.Message
				continue
			}
			text += "; " + strings.Trim(d.Code+": "+d.Message, ": ")
		}
		if text == "" {
			text = spec.Message
		}
		if text == "" {
			text = spec.Details
		}
		return oneLine(code), oneLine(text)
	}
	if strings.HasPrefix(strings.TrimSpace(string(raw)), "<") {
		return "", ""
	}
	return "", oneLine(string(raw))
}

// oneLine is s as one short line without control characters.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(s); len(r) > longestErrorText {
		s = string(r[:longestErrorText]) + "…"
	}
	return s
}

// immutable are the words with which registries refuse to move a tag: ECR and
// Docker Hub ("already exists", "immutable"), Harbor ("configured as immutable"),
// Quay, ACR ("locked"), GitLab ("immutable"), Artifactory ("permissions to
// overwrite", "delete/overwrite").
var immutable = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)immutable|already exists|not be overwritten|cannot overwrite|` +
		`permissions? to (delete|overwrite)|delete/overwrite|(tag|manifest|image) is locked|TAG_LOCKED`)
})

// conflict reports whether e refuses to change a tag that is immutable.
func (e *answerError) conflict() bool {
	switch e.status {
	case http.StatusConflict, http.StatusPreconditionFailed:
		return true
	case http.StatusBadRequest, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusUnprocessableEntity:
		return immutable().MatchString(e.code + " " + e.text)
	}
	return false
}

func (e *answerError) kind() fault.Kind {
	switch {
	case e.status == http.StatusNotFound, e.code == "NAME_UNKNOWN", e.code == "MANIFEST_UNKNOWN":
		return fault.NotFound
	case e.status == http.StatusUnauthorized, e.status == http.StatusForbidden:
		return fault.Denied
	}
	return fault.Failed
}

// fail classifies err, which came up while doing something at reg.
func (c *Client) fail(ctx context.Context, reg name.Registry, err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	doing := fmt.Sprintf(format, args...)
	if ctx.Err() != nil {
		return interrupted(ctx, doing)
	}
	err = wordly(err)
	var said *answerError
	if errors.As(err, &said) {
		out := fault.New(said.kind(), "%s: %w", doing, err)
		if said.kind() == fault.Denied {
			return c.denied(reg, out)
		}
		return out
	}
	kind, ok := fault.KindOf(err)
	if !ok {
		kind = fault.Failed
	}
	return c.tlsHint(reg, err, fault.New(kind, "%s: %w", doing, err))
}

// denied adds the way to log in, and why the credentials that were configured
// could not be had.
func (c *Client) denied(reg name.Registry, err error) error {
	if note := c.keys.note(reg); note != "" {
		err = fault.New(fault.Denied, "%w; %s", err, note)
	}
	host := reg.RegistryStr()
	if host == name.DefaultRegistry {
		return fault.Hint(err, "log in with `docker login`")
	}
	return fault.Hint(err, "log in with `docker login %s`", host)
}

// tlsHint names the flags that a registry without HTTPS, or with a certificate
// of one's own, needs.
func (c *Client) tlsHint(reg name.Registry, cause, err error) error {
	_, refused := errors.AsType[*plainError](cause)
	_, record := errors.AsType[tls.RecordHeaderError](cause)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](cause)
	switch {
	case certificate:
		return fault.Hint(err, "if you trust '%s', pass its certificate with --ca-file, or --insecure-registry %s", reg, reg)
	case refused || record || errors.Is(cause, http.ErrSchemeMismatch):
		return fault.Hint(err, "if '%s' speaks plain HTTP, pass --insecure-registry %s", reg, reg)
	}
	return err
}

// wordly takes the address, which messages name in their own words and whose
// query may hold a secret, off net/http's errors, and turns the handshake's
// errors into the registry's words.
func wordly(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	if te, ok := errors.AsType[*transport.Error](err); ok {
		said := &answerError{status: te.StatusCode}
		for _, d := range te.Errors {
			if said.code == "" && said.text == "" {
				said.code, said.text = oneLine(string(d.Code)), oneLine(d.Message)
			}
		}
		return said
	}
	return err
}
