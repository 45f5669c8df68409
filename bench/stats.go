package main

import (
	"cmp"
	"slices"
	"time"
)

// sample is one round of one row.
type sample struct {
	cost
	traffic
}

// spread is a median and the two ends around it.
type spread struct {
	Median time.Duration `json:"median"`
	Min    time.Duration `json:"min"`
	Max    time.Duration `json:"max"`
}

// row is one line of the result: a tool at one step of a workload.
type row struct {
	Step string `json:"step"`
	Tool string `json:"tool"`
	Note string `json:"note,omitempty"`
	// Error says why there are no figures: the tool failed, or did something else.
	Error string `json:"error,omitempty"`
	// Lacks says that the tool has no command for it.
	Lacks   string   `json:"lacks,omitempty"`
	Samples []sample `json:"samples,omitempty"`
}

// summary is what a table shows of a row.
type summary struct {
	Wall spread `json:"wall"`
	CPU  spread `json:"cpu"`
	Peak int64  `json:"peak"`
	traffic
	// WallRatio and CPURatio compare the medians with multipack's, 0 where
	// there is nothing to compare with.
	WallRatio float64 `json:"wallRatio,omitempty"`
	CPURatio  float64 `json:"cpuRatio,omitempty"`
}

// summarise needs at least one sample. base is multipack's row of the same
// step, or nil.
func summarise(samples []sample, base *row) summary {
	byWall := slices.SortedFunc(slices.Values(samples), func(a, b sample) int { return cmp.Compare(a.Wall, b.Wall) })
	s := summary{
		Wall:    spreadOf(samples, func(s sample) time.Duration { return s.Wall }),
		CPU:     spreadOf(samples, func(s sample) time.Duration { return s.CPU }),
		traffic: byWall[(len(byWall)-1)/2].traffic,
	}
	for _, one := range samples {
		s.Peak = max(s.Peak, one.Peak)
	}
	if base != nil && base.Error == "" && len(base.Samples) > 0 {
		b := summarise(base.Samples, nil)
		s.WallRatio, s.CPURatio = ratio(s.Wall.Median, b.Wall.Median), ratio(s.CPU.Median, b.CPU.Median)
	}
	return s
}

func ratio(a, b time.Duration) float64 {
	if b <= 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// spreadOf gives the median (of an even number the mean of the middle two),
// the least and the greatest of one quantity.
func spreadOf(samples []sample, of func(sample) time.Duration) spread {
	values := make([]time.Duration, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	n := len(values)
	return spread{Median: (values[(n-1)/2] + values[n/2]) / 2, Min: values[0], Max: values[n-1]}
}
