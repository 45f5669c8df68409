package buildpack

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"

	"github.com/multipack/multipack/internal/fault"
)

// document is one TOML file while it is read: it turns every problem into an
// error that names the file, the line and the key.
type document struct {
	name string
	raw  string
	at   lines
	meta toml.MetaData
}

func decode(name string, raw []byte, into any) (*document, error) {
	d := &document{name: name, raw: string(raw), at: findLines(string(raw))}
	meta, err := toml.Decode(d.raw, into)
	if err != nil {
		return nil, d.decodeError(err)
	}
	d.meta = meta
	return d, nil
}

// The decoder's type errors are plain text that begins so.
var typeError = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^toml: line (\d+) \(last key "(.*)"\): (?s:(.*))$`) })

func (d *document) decodeError(err error) error {
	var parse toml.ParseError
	if errors.As(err, &parse) {
		message := strings.TrimSuffix(parse.Message, ".")
		if parse.LastKey != "" {
			message = fmt.Sprintf("key '%s': %s", parse.LastKey, message)
		}
		return d.wrap(parse.Position.Line, errors.New(message))
	}
	if m := typeError().FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		key := strings.ReplaceAll(m[2], `\"`, `"`)
		return d.wrap(line, fmt.Errorf("key '%s': %s", key, m[3]))
	}
	return d.wrap(0, errors.New(strings.TrimPrefix(err.Error(), "toml: ")))
}

// wrap is the error for a problem at a line; 0 is the whole file.
func (d *document) wrap(line int, why error) error {
	return fault.New(fault.Failed, "reading %s: %w", d.place(line), why)
}

func (d *document) place(line int) string {
	if line > 0 {
		return d.name + ":" + strconv.Itoa(line)
	}
	return d.name
}

// problem is the error for a problem with the value of a key.
func (d *document) problem(kind fault.Kind, key string, why error) error {
	return fault.New(kind, "reading %s: key '%s': %w", d.place(d.at.find(key)), plainKey(key), why)
}

// unknown are the keys that nothing read, sorted. Of an unknown table only the
// table is named. Keys for which skip holds are left out.
func (d *document) unknown(skip func(key string) bool) []UnknownKey {
	var out []UnknownKey
	seen := map[string]bool{}
	for _, key := range d.meta.Undecoded() {
		name := key.String()
		if seen[name] || skip(name) || parentSeen(key, seen) {
			continue
		}
		seen[name] = true
		out = append(out, UnknownKey{Key: name, Line: d.at.find(name)})
	}
	slices.SortFunc(out, func(a, b UnknownKey) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func parentSeen(key toml.Key, seen map[string]bool) bool {
	for i := 1; i < len(key); i++ {
		if seen[key[:i].String()] {
			return true
		}
	}
	return false
}

// lines says where the keys of a document stand. Elements of arrays of tables
// are counted: targets[1].arch.
type lines map[string]int

var arrayIndex = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\[\d+\]`) })

// plainKey is the key without the indexes of array elements.
func plainKey(key string) string { return arrayIndex().ReplaceAllString(key, "") }

// find is the line of a key, else of the nearest table around it, else 0.
func (l lines) find(key string) int {
	for key != "" {
		if n, ok := l[key]; ok {
			return n
		}
		plain := arrayIndex().FindStringIndex(key)
		if n, ok := l[plainKey(key)]; ok && plain == nil {
			return n
		}
		cut := strings.LastIndexAny(key, ".[")
		if cut < 0 {
			return 0
		}
		key = key[:cut]
	}
	return 0
}

// findLines notes where tables and keys begin. It need not understand values:
// the decoder has judged the file, this only serves messages.
func findLines(raw string) lines {
	out := lines{}
	note := func(key string, line int) {
		if _, ok := out[key]; !ok {
			out[key] = line
		}
		if plain := plainKey(key); plain != key {
			if _, ok := out[plain]; !ok {
				out[plain] = line
			}
		}
	}
	counts := map[string]int{}
	table, quote := "", ""
	for i, text := range strings.Split(raw, "\n") {
		text = strings.TrimSpace(text)
		if quote != "" {
			if strings.Contains(text, quote) {
				quote = ""
			}
			continue
		}
		switch {
		case strings.HasPrefix(text, "#"):
		case strings.HasPrefix(text, "[["):
			name, _, _ := strings.Cut(text[2:], "]")
			name = indexed(cleanKey(name), counts)
			n := counts[name]
			counts[name]++
			table = fmt.Sprintf("%s[%d]", name, n)
			note(table, i+1)
		case strings.HasPrefix(text, "["):
			name, _, _ := strings.Cut(text[1:], "]")
			table = indexed(cleanKey(name), counts)
			note(table, i+1)
		default:
			key, value, ok := strings.Cut(text, "=")
			if !ok {
				continue
			}
			key = cleanKey(key)
			if table != "" {
				key = table + "." + key
			}
			note(key, i+1)
			quote = opened(value)
		}
	}
	return out
}

// opened is the quote of a multi-line string that the value leaves open.
func opened(value string) string {
	for _, q := range []string{`"""`, `'''`} {
		if strings.Count(value, q)%2 == 1 {
			return q
		}
	}
	return ""
}

// indexed puts the current index of each array of tables into a table's name.
func indexed(name string, counts map[string]int) string {
	parts := strings.Split(name, ".")
	full := ""
	for i, part := range parts {
		if i > 0 {
			full += "."
		}
		full += part
		if n := counts[full]; n > 0 && i < len(parts)-1 {
			full += fmt.Sprintf("[%d]", n-1)
		}
	}
	return full
}

func cleanKey(s string) string {
	parts := strings.Split(s, ".")
	for i, p := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(p), `"'`)
	}
	return strings.Join(parts, ".")
}
