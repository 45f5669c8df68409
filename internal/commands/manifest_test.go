package commands

import (
	"slices"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", time.Minute: "1m", 59 * time.Minute: "59m", 25 * time.Hour: "1d", 23 * time.Hour: "23h", 1000 * time.Hour: "41d",
	} {
		if got := ageText(d); got != want {
			t.Errorf("%s ago: %s, want %s", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{time.Hour: "1h", 90 * time.Minute: "1h30m", 20 * time.Minute: "20m", 10 * time.Second: "10s", 61 * time.Second: "1m1s"} {
		if got := durationText(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}

// TestAnnotationFlags: --annotation takes a value as it is, --annotations reads
// as pack does; both fill one list in the order in which they are given.
func TestAnnotationFlags(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ args, want []string }{
		{[]string{"--annotation", "a=1,b=2", "--annotation", `q="x"`}, []string{"a=1,b=2", `q="x"`}},
		{[]string{"--annotations", "a=1,b=2", "--annotation", "a-", "--annotations", "c=3"}, []string{"a=1", "b=2", "a-", "c=3"}},
		{[]string{"--annotations", "a=1,2,3"}, []string{"a=1,2,3"}},
		{[]string{"--annotations", `"a=1,2",b=2`}, []string{"a=1,2", "b=2"}},
		{[]string{"--annotations", "a-,b-"}, []string{"a-", "b-"}},
		{[]string{"--annotations", ""}, nil},
	} {
		var got []string
		f := pflag.NewFlagSet("test", pflag.ContinueOnError)
		annotationFlags(f, &got, "annotation")
		err := f.Parse(test.args)
		if test.want == nil && err == nil {
			t.Errorf("%q: %q", test.args, got)
		}
		if test.want != nil && (err != nil || !slices.Equal(got, test.want)) {
			t.Errorf("%q: %q, %v; want %q", test.args, got, err, test.want)
		}
	}
}

func TestPlatformFlags(t *testing.T) {
	t.Parallel()
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	var flags platformFlags
	flags.register(f)
	if !flags.change(f).IsZero() {
		t.Error("flags that were not given change something")
	}
	if err := f.Parse([]string{"--variant", "", "--os-feature", ""}); err != nil {
		t.Fatal(err)
	}
	c := flags.change(f)
	if c.OS != nil || c.Variant == nil || *c.Variant != "" || !c.ClearFeatures {
		t.Errorf("%+v", c)
	}
}
