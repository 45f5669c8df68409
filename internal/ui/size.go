package ui

import "strconv"

// Size is a number of bytes as people read it, in the decimal units of Docker
// and of the progress bars: "512 B", "1.2 MB".
func Size(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		if value /= 1000; value < 999.95 { // what would round to 1000.0 is 1.0 of the next
			break
		}
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + " " + unit
}
