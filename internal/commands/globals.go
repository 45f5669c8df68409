package commands

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/ui"
)

// hostPort is HOST[:PORT]: a name, an IPv4 address, or an IPv6 address in brackets.
var hostPort = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
})

// globals are the flags that every command has.
type globals struct {
	quiet, verbose, noColor, forceColor, timestamps bool
	output                                          string
	jobs, retries                                   int
	insecure                                        []string
	authfile, cafile                                string
}

func (g *globals) register(f *pflag.FlagSet) {
	f.BoolVarP(&g.quiet, "quiet", "q", false, "no notes and no progress; results and errors only")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "show what is being done")
	f.BoolVar(&g.noColor, "no-color", false, "no colour (also: NO_COLOR)")
	f.BoolVar(&g.forceColor, "force-color", false, "colour even where the output is no terminal")
	f.BoolVar(&g.timestamps, "timestamps", false, "put the time before each line on stderr")
	f.StringVarP(&g.output, "output", "o", "", "print the result, or the error, as a document: `json` (some commands: yaml, toml)")
	f.IntVar(&g.jobs, "jobs", 0, "`number` of requests and compressions at once (default: the cores, at least 4 requests)")
	f.IntVar(&g.retries, "retries", 4, "`number` of further tries after a request failed for a passing reason")
	f.StringArrayVar(&g.insecure, "insecure-registry", nil, "registry `host[:port]` that may use plain HTTP or an unverified certificate (repeatable)")
	f.StringVar(&g.authfile, "authfile", "", "`file` with registry credentials, as Docker's config.json or podman's auth.json")
	f.StringVar(&g.cafile, "ca-file", "", "PEM `file` of certificate authorities to trust besides the system's")
}

// check refuses values that no command can use. formats are the documents that
// the command can print.
func (g *globals) check(formats []string) error {
	if g.output != "" && !slices.Contains(formats, g.output) {
		bad := g.output
		if !slices.Contains(documentFormats, bad) {
			g.output = "" // the error is told in words
		}
		return fault.New(fault.Usage, "reading flag '--output': '%s' is not one of '%s'", bad, strings.Join(formats, "', '"))
	}
	if g.jobs < 0 {
		return fault.New(fault.Usage, "reading flag '--jobs': %d is negative", g.jobs)
	}
	if g.retries < 0 {
		return fault.New(fault.Usage, "reading flag '--retries': %d is negative", g.retries)
	}
	if g.noColor && g.forceColor {
		return fault.New(fault.Usage, "reading the flags: '--no-color' and '--force-color' exclude each other")
	}
	for _, h := range g.insecure {
		if !hostPort().MatchString(h) {
			return fault.New(fault.Usage, "reading flag '--insecure-registry': '%s' is no host[:port]", h)
		}
	}
	return nil
}

// documentFormats are the documents that -o can name.
var documentFormats = []string{ui.JSON, ui.YAML, ui.TOML}

// wanted is the format that -o names among arguments that could not be read as
// flags, "" where it names none: whoever asks for documents gets the error as one,
// wherever the mistake stands.
func wanted(args []string) string {
	for i, a := range args {
		next := ""
		if i+1 < len(args) {
			next = args[i+1]
		}
		if a == "--" {
			return ""
		}
		for _, format := range documentFormats {
			switch {
			case a == "--output="+format, a == "--output" && next == format:
				return format
			case strings.HasPrefix(a, "--") || !strings.HasPrefix(a, "-"):
			case strings.HasSuffix(a, "o"+format), strings.HasSuffix(a, "o="+format), strings.HasSuffix(a, "o") && next == format:
				return format // also as the last of several letters: -qo json
			}
		}
	}
	return ""
}
