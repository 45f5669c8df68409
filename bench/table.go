package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is all that the benchmark found out.
type report struct {
	OS        string   `json:"os"`
	Arch      string   `json:"arch"`
	Cores     int      `json:"cores"`
	Go        string   `json:"go"`
	Rounds    int      `json:"rounds"`
	Scale     float64  `json:"scale"`
	Tools     []*tool  `json:"tools"`
	Missing   []string `json:"missing"`
	Workloads []result `json:"workloads"`
}

// base finds multipack's first row of a step.
func (r result) base(step string) *row {
	i := slices.IndexFunc(r.Rows, func(o *row) bool { return o.Step == step && o.Tool == multipackName })
	if i < 0 {
		return nil
	}
	return r.Rows[i]
}

// MarshalJSON adds each row's summary to its samples.
func (r result) MarshalJSON() ([]byte, error) {
	type full struct {
		*row
		Summary *summary `json:"summary,omitempty"`
	}
	out := struct {
		ID    string `json:"id"`
		Title string `json:"title"`
		Rows  []full `json:"rows"`
	}{ID: r.ID, Title: r.Title, Rows: []full{}}
	for _, o := range r.Rows {
		f := full{row: o}
		if len(o.Samples) > 0 {
			s := summarise(o.Samples, r.base(o.Step))
			f.Summary = &s
		}
		out.Rows = append(out.Rows, f)
	}
	return json.Marshal(out)
}

// writeJSON writes the report as one document.
func (r report) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// writeTable writes the report for people.
func (r report) writeTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s, %d cores, %s, %d rounds, scale %g\n", r.OS, r.Arch, r.Cores, r.Go, r.Rounds, r.Scale)
	for _, t := range r.Tools {
		fmt.Fprintf(&b, "  %s %s\n", t.Name, t.Version)
	}
	for _, name := range r.Missing {
		fmt.Fprintf(&b, "  %s: missing (not on PATH)\n", name)
	}
	for _, res := range r.Workloads {
		fmt.Fprintf(&b, "\n%s) %s\n", res.ID, res.Title)
		if err := res.write(&b); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r result) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  step\ttool\twall s\tmin–max\tCPU s\tmin–max\tpeak MB\trequests\tup\tdown\twall ÷\tCPU ÷")
	var notes footnotes
	for _, o := range r.Rows {
		name := o.Tool
		if o.Note != "" {
			name += " (" + o.Note + ")"
		}
		switch {
		case o.Error != "":
			fmt.Fprintf(t, "  %s\t%s\tfailed\n", o.Step, name)
			notes.add("failed", name, o.Step, o.Error)
		case len(o.Samples) == 0:
			fmt.Fprintf(t, "  %s\t%s\t–\n", o.Step, name)
			notes.add("–", name, o.Step, o.Lacks)
		default:
			s := summarise(o.Samples, r.base(o.Step))
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", o.Step, name, s.Wall, s.CPU, s.Peak>>20,
				methods(s.Requests), size(s.Up), size(s.Down), times(s.WallRatio), times(s.CPURatio))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range notes {
		fmt.Fprintf(w, "  %s: %s (%s): %s\n", n.sign, n.name, strings.Join(n.steps, ", "), n.why)
	}
	return nil
}

// footnote says why rows have no figures.
type footnote struct {
	sign, name, why string
	steps           []string
}

type footnotes []footnote

// add puts a step's reason with those of the tool's other steps, if it is the same.
func (f *footnotes) add(sign, name, step, why string) {
	for i, n := range *f {
		if n.sign == sign && n.name == name && n.why == why {
			(*f)[i].steps = append(n.steps, step)
			return
		}
	}
	*f = append(*f, footnote{sign: sign, name: name, why: why, steps: []string{step}})
}

// String gives the two cells of a spread, in seconds.
func (s spread) String() string {
	return seconds(s.Median) + "\t" + seconds(s.Min) + "–" + seconds(s.Max)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// methods lists requests by method, in the alphabet's order.
func methods(requests map[string]int) string {
	var parts []string
	for _, m := range slices.Sorted(maps.Keys(requests)) {
		parts = append(parts, fmt.Sprintf("%s %d", m, requests[m]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, " ")
}

func size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f kB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

func times(ratio float64) string {
	if ratio == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", ratio)
}
