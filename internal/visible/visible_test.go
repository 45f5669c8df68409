package visible_test

import (
	"fmt"
	"testing"
	"unicode"

	"github.com/multipack/multipack/internal/visible"
)

func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":              "",
		"plain é 日本 🎉":  "plain é 日本 🎉",
		"a\x00\x1b[0m":  `a\x00\x1b[0m`,
		"\x1b]0;t\x07":  `\x1b]0;t\a`,
		"\u202eevil":    `\u202eevil`,
		"\u2067x\u2069": `\u2067x\u2069`,
		"\u009b31m":     `\u009b31m`,
		"\x7f":          `\x7f`,
		"\xff\x9b":      `\xff\x9b`,
		"cut \xe6\x97":  `cut \xe6\x97`,
		"zero\u200b":    `zero\u200b`,
		"no\u00a0break": `no\u00a0break`,
		"a\nb\r\tc":     `a\nb\r\tc`,
		"a\u2028b":      `a\u2028b`,
		"\U000e0041":    `\U000e0041`,
		"\ufffd":        "\ufffd",
		"a\u3164b":      `a\u3164b`,
		"\u115f\uffa0":  `\u115f\uffa0`,
		"a\u034fb":      `a\u034fb`,
		"a\U000e0100":   `a\U000e0100`,
		"\u2800":        `\u2800`,
		"☕\ufe0f":       "☕\ufe0f",
		`back\slash'"`:  `back\slash'"`,
	} {
		if got := visible.Text(in); got != want {
			t.Errorf("Text(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestEscape(t *testing.T) {
	t.Parallel()
	hex := func(r rune) string { return fmt.Sprintf("<%x>", r) }
	for in, want := range map[string]string{
		"{\n\t\"a\": \"é 日本\"\n}\n": "{\n\t\"a\": \"é 日本\"\n}\n",
		"x\u009by\n\u202ez":         "x<9b>y\n<202e>z",
	} {
		if got := visible.Escape(in, hex); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("\x1b[2J\u202e\xff日本")
	f.Fuzz(func(t *testing.T, s string) {
		got := visible.Text(s)
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("Text(%q) = %q has %U", s, got, r)
			}
		}
		if again := visible.Text(got); again != got {
			t.Fatalf("Text(%q) = %q is not stable: %q", s, got, again)
		}
	})
}

func BenchmarkText(b *testing.B) {
	for name, s := range map[string]string{"plain": "paketo-buildpacks/bellsoft-liberica@10.4.2", "hidden": "a\x1b[2J\u202eb\nc"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = visible.Text(s)
			}
		})
	}
}
