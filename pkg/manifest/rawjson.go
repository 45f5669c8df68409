package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// object is a JSON object cut into its members without losing a byte, so that
// one member can be changed and all others stay as they were written.
type object struct {
	head    []byte // white space and '{'
	members []member
	tail    []byte // white space and '}', and what follows
}

// member is one member of an object. What is repeated under one name counts
// as the last one does, as encoding/json has it.
type member struct {
	lead  []byte // white space before the name
	key   []byte // the name as written, quotes included
	name  string
	colon []byte // ':' and the white space on both sides
	value []byte
	trail []byte // white space before the comma
}

// array is a JSON array cut into its elements, likewise.
type array struct {
	head  []byte
	elems []element
	tail  []byte
}

type element struct{ lead, value, trail []byte }

// cursor walks over bytes that are known to be valid JSON.
type cursor struct {
	b []byte
	i int
}

func (c *cursor) space() []byte {
	start := c.i
	for c.i < len(c.b) && bytes.IndexByte([]byte(" \t\r\n"), c.b[c.i]) >= 0 {
		c.i++
	}
	return c.b[start:c.i]
}

func (c *cursor) value() []byte {
	start := c.i
	switch c.b[c.i] {
	case '"':
		c.text()
	case '{', '[':
		for depth := 0; ; {
			switch c.b[c.i] {
			case '"':
				c.text()
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			c.i++
			if depth == 0 {
				break
			}
		}
	default:
		for c.i < len(c.b) && bytes.IndexByte([]byte(" \t\r\n,]}"), c.b[c.i]) < 0 {
			c.i++
		}
	}
	return c.b[start:c.i]
}

// text passes over a string, from its opening quote.
func (c *cursor) text() {
	for c.i++; c.b[c.i] != '"'; c.i++ {
		if c.b[c.i] == '\\' {
			c.i++
		}
	}
	c.i++
}

// plain is the text of a JSON string that is written as it reads, which most
// are; others take the long way.
func plain(quoted []byte) (string, bool) {
	if quoted[0] != '"' {
		return "", false
	}
	text := quoted[1 : len(quoted)-1]
	for _, c := range text {
		if c == '\\' || c >= 0x80 {
			return "", false
		}
	}
	return string(text), true
}

// cutObject cuts valid JSON; false where it is no object.
func cutObject(raw []byte) (object, bool) {
	c := &cursor{b: raw}
	c.space()
	if c.i == len(raw) || raw[c.i] != '{' {
		return object{}, false
	}
	c.i++
	o := object{head: raw[:c.i]}
	start := c.i
	for {
		lead := c.space()
		if raw[c.i] == '}' {
			o.tail = raw[start:]
			return o, true
		}
		m := member{lead: lead, key: c.value()}
		if name, ok := plain(m.key); ok {
			m.name = name
		} else {
			_ = json.Unmarshal(m.key, &m.name) // valid, so it is a string
		}
		colon := c.i
		c.space()
		c.i++
		c.space()
		m.colon = raw[colon:c.i]
		m.value = c.value()
		start = c.i
		trail := c.space()
		if raw[c.i] == ',' {
			m.trail = trail
			c.i++
		} else {
			c.i = start
		}
		o.members = append(o.members, m)
	}
}

// cutArray cuts valid JSON; false where it is no array.
func cutArray(raw []byte) (array, bool) {
	c := &cursor{b: raw}
	c.space()
	if c.i == len(raw) || raw[c.i] != '[' {
		return array{}, false
	}
	c.i++
	a := array{head: raw[:c.i]}
	start := c.i
	for {
		lead := c.space()
		if raw[c.i] == ']' {
			a.tail = raw[start:]
			return a, true
		}
		e := element{lead: lead, value: c.value()}
		start = c.i
		trail := c.space()
		if raw[c.i] == ',' {
			e.trail = trail
			c.i++
		} else {
			c.i = start
		}
		a.elems = append(a.elems, e)
	}
}

func (o object) bytes() []byte {
	var b []byte
	b = append(b, o.head...)
	for i, m := range o.members {
		if i > 0 {
			b = append(b, ',')
		}
		for _, part := range [][]byte{m.lead, m.key, m.colon, m.value, m.trail} {
			b = append(b, part...)
		}
	}
	return append(b, o.tail...)
}

// find is the position of the member that counts under the name, or -1.
func (o object) find(name string) int {
	for i := len(o.members) - 1; i >= 0; i-- {
		if o.members[i].name == name {
			return i
		}
	}
	return -1
}

// get is the value under the name, nil where there is none or it is null.
func (o object) get(name string) []byte {
	i := o.find(name)
	if i < 0 || string(o.members[i].value) == "null" {
		return nil
	}
	return o.members[i].value
}

// set gives the object with the value under the name: in place where the name
// is there, else before the first member that less puts after it.
func (o object) set(name string, value []byte, less func(a, b string) bool) object {
	o.members = slices.Clone(o.members)
	if i := o.find(name); i >= 0 {
		o.members[i].value = value
		return o
	}
	key, _ := json.Marshal(name) // a string always marshals
	m := member{key: key, name: name, colon: []byte(":"), value: value}
	at := slices.IndexFunc(o.members, func(other member) bool { return less(name, other.name) })
	if at < 0 {
		at = len(o.members)
	}
	if n := len(o.members); n > 0 {
		near := o.members[min(at, n-1)]
		m.lead, m.colon = near.lead, near.colon
		if at == 0 {
			o.members[0].lead = o.members[min(1, n-1)].lead
		}
	}
	o.members = slices.Insert(o.members, at, m)
	return o
}

// without gives the object with no member under the name.
func (o object) without(name string) object {
	kept := make([]member, 0, len(o.members))
	for _, m := range o.members {
		if m.name != name {
			kept = append(kept, m)
		}
	}
	if len(kept) > 0 && len(o.members) > 0 {
		kept[0].lead = o.members[0].lead
	}
	o.members = kept
	return o
}

// decode reads the named members into the pointers beside the names; what is
// repeated counts as the last one. Names are compared exactly.
func (o object) decode(into ...any) error {
	for i := 0; i < len(into); i += 2 {
		name := into[i].(string)
		value := o.get(name)
		if value == nil {
			continue
		}
		if target, ok := into[i+1].(*string); ok {
			if *target, ok = plain(value); ok {
				continue
			}
		}
		if err := json.Unmarshal(value, into[i+1]); err != nil {
			return fmt.Errorf("'%s': %w", name, err)
		}
	}
	return nil
}

// ranked orders names as the list has them, those it lacks after all others.
func ranked(names ...string) func(a, b string) bool {
	rank := func(s string) int {
		if i := slices.Index(names, s); i >= 0 {
			return i
		}
		return len(names)
	}
	return func(a, b string) bool { return rank(a) < rank(b) }
}
