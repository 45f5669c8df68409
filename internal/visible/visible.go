// Package visible makes text of others fit for a terminal. Names, labels and
// annotations come from images that anybody may have written: shown as they
// are, they could move the cursor, clear the screen, or read other than they say.
package visible

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is s as a terminal may show it, on one line: control characters, escape
// sequences, line feeds, tabs, direction marks, invisible characters, spaces
// other than U+0020 and invalid UTF-8 are spelled out as in a Go string. What is
// printable stays as it is, backslashes too: the result is to be read, not parsed.
// Of the characters that choose another form of the one before, those that emoji
// are written with stay.
func Text(s string) string {
	if strings.IndexFunc(s, hidden) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[0]), 16)) // 80 or above: two digits
		case hidden(r):
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
		s = s[size:]
	}
	return b.String()
}

// Escape is a document with every character that Text would spell out replaced
// by what escape gives for it; line feeds and tabs, which lay a document out,
// stay. It is for encodings that have escapes of their own.
func Escape(doc string, escape func(rune) string) string {
	layout := func(r rune) bool { return r == '\n' || r == '\t' }
	if strings.IndexFunc(doc, func(r rune) bool { return hidden(r) && !layout(r) }) < 0 {
		return doc
	}
	var b strings.Builder
	for _, r := range doc {
		if hidden(r) && !layout(r) {
			b.WriteString(escape(r))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool {
	switch {
	case r < 0x80:
		return r < ' ' || r == 0x7f
	case r == '\ufe0e', r == '\ufe0f': // text or emoji
		return false
	}
	return !unicode.IsPrint(r) || unicode.In(r, blank...)
}

// blank are characters that count as letters, marks or symbols and show nothing:
// fillers, joiners, variation selectors, and the pattern of Braille without a dot.
var blank = []*unicode.RangeTable{
	unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector,
	{R16: []unicode.Range16{{Lo: 0x2800, Hi: 0x2800, Stride: 1}}},
}
