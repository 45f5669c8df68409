package load

import (
	"io/fs"
	"testing"
	"time"
)

// written is the part of a file's listing that its identity looks at.
type written struct {
	fs.FileInfo
	size  int64
	mtime time.Time
}

func (w written) Size() int64        { return w.size }
func (w written) Mode() fs.FileMode  { return 0o644 }
func (w written) ModTime() time.Time { return w.mtime }

func TestIdentity(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 500)
	long := now.Add(-time.Hour)
	whole := time.Unix(long.Unix(), 0)
	for name, c := range map[string]struct {
		mtime, ctime time.Time
		durable      bool
	}{
		"settled":                     {long, long, true},
		"coarse and settled":          {whole, whole, true},
		"written just now":            {now, now, false},
		"changed just now":            {long, now.Add(-50 * time.Millisecond), false},
		"fine clock, a moment ago":    {long, now.Add(-200 * time.Millisecond), true},
		"coarse clock, a moment ago":  {long, time.Unix(now.Unix()-2, 0), false},
		"coarse clock, a little more": {long, time.Unix(now.Unix()-3, 0), true},
		"in the future":               {now.Add(time.Hour), long, false},
		"no time of change":           {long, time.Time{}, false},
	} {
		if _, durable := identity("f", written{size: 1, mtime: c.mtime}, stat{ctime: c.ctime}, now); durable != c.durable {
			t.Errorf("%s: durable is %v", name, durable)
		}
	}

	seen := map[string]bool{}
	note := func(file string, w written, s stat) {
		id, _ := identity(file, w, s, now)
		if seen[id] {
			t.Errorf("two files have the identity %s", id)
		}
		seen[id] = true
	}
	base, st := written{size: 1, mtime: long}, stat{ctime: long, inode: inode{1, 2}}
	note("f", base, st)
	note("g", base, st)
	note("f", written{size: 2, mtime: long}, st)
	note("f", written{size: 1, mtime: long.Add(1)}, st)
	note("f", base, stat{ctime: long.Add(1), inode: inode{1, 2}})
	note("f", base, stat{ctime: long, inode: inode{1, 3}})
	note("f", base, stat{ctime: long, inode: inode{2, 2}})
}
