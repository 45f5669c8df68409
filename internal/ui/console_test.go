package ui_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/multipack/multipack/internal/ui"
)

func console(o ui.Options) (c *ui.Console, out, errs *bytes.Buffer) {
	out, errs = &bytes.Buffer{}, &bytes.Buffer{}
	o.Out, o.Err = out, errs
	return ui.New(o), out, errs
}

func TestResultsAndMessagesGoDifferentWays(t *testing.T) {
	t.Parallel()
	c, out, errs := console(ui.Options{})
	c.Result("name@sha256:1")
	c.Success("Successfully %s", "done")
	c.Warn("careful")
	c.Error("adding 'x': no")
	c.Tip("run y")
	c.Debug("unseen")
	if got := out.String(); got != "name@sha256:1\n" {
		t.Errorf("stdout: %q", got)
	}
	want := "Successfully done\nWarning: careful\nERROR: adding 'x': no\nTip: run y\n"
	if got := errs.String(); got != want {
		t.Errorf("stderr: %q, want %q", got, want)
	}
}

func TestQuietKeepsResultsAndErrors(t *testing.T) {
	t.Parallel()
	c, out, errs := console(ui.Options{Quiet: true})
	c.Result("r")
	c.Note("n")
	c.Success("s")
	c.Warn("w")
	c.Error("e")
	p := c.Progress()
	p.Finished("f")
	p.Close()
	if out.String() != "r\n" || errs.String() != "ERROR: e\n" {
		t.Errorf("stdout %q, stderr %q", out, errs)
	}
}

func TestColourIsInPrefixesOnly(t *testing.T) {
	t.Parallel()
	c, out, errs := console(ui.Options{Color: true})
	c.Error("adding 'x': no")
	if !strings.Contains(errs.String(), "\x1b[") || !strings.HasSuffix(errs.String(), "adding 'x': no\n") {
		t.Errorf("stderr: %q", errs)
	}
	if got := c.Paint(ui.Bad, "x"); got != "x" {
		t.Errorf("stdout is no terminal, and yet %q", got)
	}
	c, _, _ = console(ui.Options{ColorOut: true})
	if got := c.Paint(ui.Bad, "x"); got == "x" {
		t.Error("no colour on stdout")
	}
	_ = out
}

func TestTimestamps(t *testing.T) {
	t.Parallel()
	at := time.Date(2001, 2, 3, 4, 5, 6, 7000, time.UTC)
	c, out, errs := console(ui.Options{Timestamps: true, Now: func() time.Time { return at }})
	c.Note("n")
	c.Result("r")
	if got := errs.String(); got != "2001/02/03 04:05:06.000007 n\n" {
		t.Errorf("stderr: %q", got)
	}
	if got := out.String(); got != "r\n" {
		t.Errorf("stdout must stay as it is: %q", got)
	}
}

func TestMessagesCannotDriveTheTerminal(t *testing.T) {
	t.Parallel()
	c, _, errs := console(ui.Options{})
	c.Error("registry says: %s", "\x1b[2Jgone\r")
	if strings.ContainsAny(errs.String(), "\x1b\r") {
		t.Errorf("stderr: %q", errs)
	}
}

type platform string

func (p platform) String() string { return string(p) }

// What others wrote begins no line of a note; errors that are joined do.
func TestNotesAreOneLine(t *testing.T) {
	t.Parallel()
	c, _, errs := console(ui.Options{Verbose: true})
	c.Note("showing '%s'", platform("linux\nERROR: forged"))
	c.Warn("'%s'", "a\r\nb")
	c.Debug("%d: %s", 1, "a\nb")
	c.Note("left: %s", errors.Join(errors.New("a"), errors.New("b")))
	want := `showing 'linux\nERROR: forged'
Warning: 'a\r\nb'
1: a\nb
left: a
  b
`
	if got := errs.String(); got != want {
		t.Errorf("stderr: %q, want %q", got, want)
	}
}

type document struct {
	Name   string            `json:"name"`
	Size   int64             `json:"size"`
	Nested []document        `json:"nested,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	None   *string           `json:"none"`
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	v := document{Name: "a: <b>", Size: 12345678901, Nested: []document{{Name: "on"}}, Labels: map[string]string{"k": "v"}}
	for format, want := range map[string]string{
		ui.JSON: "{\n  \"name\": \"a: <b>\",\n  \"size\": 12345678901,\n  \"nested\": [\n    {\n      \"name\": \"on\",\n      \"size\": 0,\n      \"none\": null\n    }\n  ],\n  \"labels\": {\n    \"k\": \"v\"\n  },\n  \"none\": null\n}\n",
		ui.YAML: "name: 'a: <b>'\nsize: 12345678901\nnested:\n  - name: \"on\"\n    size: 0\n    none: null\nlabels:\n  k: v\nnone: null\n",
		ui.TOML: "name = \"a: <b>\"\nsize = 12345678901\n\n[labels]\n  k = \"v\"\n\n[[nested]]\n  name = \"on\"\n  size = 0\n",
	} {
		var b bytes.Buffer
		if err := ui.WriteDocument(&b, format, v); err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		if b.String() != want {
			t.Errorf("%s:\n%s\nwant\n%s", format, b.String(), want)
		}
	}
	if err := ui.WriteDocument(&bytes.Buffer{}, "xml", v); err == nil {
		t.Error("xml gave no error")
	}
}

func TestStepsOffTheTerminalAreLines(t *testing.T) {
	t.Parallel()
	c, out, errs := console(ui.Options{})
	p := c.Progress()
	p.Update("linux/amd64", "blob", 1, 2)
	p.Finished("Uploaded %s", "x")
	p.Close()
	p.Close()
	if out.Len() != 0 || errs.String() != "Uploaded x\n" {
		t.Errorf("stdout %q, stderr %q", out, errs)
	}
}

// full is a writer on a full disk.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
}

func TestLostResultsAreKnown(t *testing.T) {
	t.Parallel()
	c, _, _ := console(ui.Options{})
	c.Result("there")
	if err := c.Lost(); err != nil {
		t.Fatal(err)
	}
	c = ui.New(ui.Options{Out: full{}, Err: io.Discard})
	c.Result("gone")
	err := c.Lost()
	if !errors.Is(err, syscall.ENOSPC) || err.Error() != "writing the result to standard output: no space left on device" {
		t.Errorf("got %v", err)
	}
	if err := c.Document(ui.JSON, 1); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("document: %v", err)
	}
}

func TestDivertedResultsLeaveStdoutAlone(t *testing.T) {
	t.Parallel()
	c, out, errs := console(ui.Options{})
	c.Divert()
	c.Result("name@sha256:1")
	if err := c.Document(ui.JSON, "x"); err != nil {
		t.Fatal(err)
	}
	if out.String() != "" || errs.String() != "name@sha256:1\n\"x\"\n" {
		t.Errorf("stdout %q, stderr %q", out, errs)
	}
}

func TestJoinedErrorsAreToldOnce(t *testing.T) {
	t.Parallel()
	c, _, errs := console(ui.Options{})
	c.Error("%v", errors.Join(errors.New("a: x"), errors.New("b: y"), errors.New("a: x")))
	if got := errs.String(); got != "ERROR: a: x\n  b: y\n" {
		t.Errorf("stderr: %q", got)
	}
}
