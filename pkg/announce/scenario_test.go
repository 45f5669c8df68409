package announce

import (
	"context"
	"fmt"
	"time"

	"github.com/multipack/multipack/pkg/platform"
)

const modelTag = "1"

// scenario is a registry as it is found, and writers that start at once.
type scenario struct {
	name    string
	begin   func(*memory)
	writers []actor
}

// actor is one writer: what it brings and removes.
type actor struct {
	name string
	// puts are the digests that it brings by platform; "" means that it withdraws.
	puts map[string]string
	req  Request
	run  func(ctx context.Context, reg Registry, req Request) (Result, error)
}

func noWait(int) time.Duration { return 0 }

// adds is a writer that brings images, removes one that withdraws.
func adds(c *content, name string, platforms ...string) actor {
	a := actor{name: name, run: Append, puts: map[string]string{}, req: Request{Tag: modelTag, Jitter: noWait}}
	for _, p := range platforms {
		add, m := c.addition(p, name)
		a.req.Add = append(a.req.Add, add)
		a.puts[p] = m.Digest.String()
	}
	return a
}

func removes(name, p string) actor {
	return actor{name: name, run: Append, puts: map[string]string{p: ""},
		req: Request{Tag: modelTag, Jitter: noWait, Remove: []platform.Platform{mustPlatform(p)}}}
}

func settles(name string) actor {
	return actor{name: name, run: Settle, req: Request{Tag: modelTag, Jitter: noWait}}
}

// annotated lets the entries of an actor say more than their images.
func annotated(a actor, m *memory) actor {
	for i, add := range a.req.Add {
		e, err := parseEntry(add.Entry)
		if err != nil {
			panic(err)
		}
		p := e.Platform
		img, err := m.manifest(e.Descriptor.Digest.String())
		if err != nil {
			panic(err)
		}
		a.req.Add[i].Entry = descriptor(img, p.String(), fmt.Sprintf(`"annotations":{"by":%q}`, a.name))
	}
	return a
}

func legacy(m *memory, platforms ...string) {
	var entries []byte
	for i, p := range platforms {
		if i > 0 {
			entries = append(entries, ',')
		}
		entries = append(entries, descriptor(m.image(p, "legacy"), p, "")...)
	}
	m.tag(modelTag, m.index("", entries))
}

// scenarios are built anew for every run, since they own their registry.
func scenarios2(m *memory) []scenario {
	c := m.content
	none := func(*memory) {}
	two := func(m *memory) { legacy(m, "linux/s390x", "linux/arm64") }
	return []scenario{
		{"new tag, two platforms", none, []actor{adds(c, "A", "linux/amd64"), adds(c, "B", "linux/arm64")}},
		{"new tag, two platforms each", none, []actor{adds(c, "A", "linux/amd64", "linux/riscv64"), adds(c, "B", "linux/arm64")}},
		{"the same platform", two, []actor{adds(c, "A", "linux/arm64"), adds(c, "B", "linux/arm64")}},
		{"add and replace", two, []actor{adds(c, "A", "linux/arm64"), adds(c, "B", "linux/amd64")}},
		{"add and remove", two, []actor{adds(c, "A", "linux/amd64"), removes("B", "linux/arm64")}},
		{"replace and remove", two, []actor{adds(c, "A", "linux/arm64"), removes("B", "linux/arm64")}},
		{"remove twice", two, []actor{removes("A", "linux/s390x"), removes("B", "linux/arm64")}},
		{"a plain image", func(m *memory) { m.tag(modelTag, m.image("linux/amd64", "legacy")) },
			[]actor{adds(c, "A", "linux/amd64"), adds(c, "B", "linux/arm64")}},
		{"entries that say more", two, []actor{annotated(adds(c, "A", "linux/arm64"), m), annotated(adds(c, "B", "linux/amd64"), m)}},
		{"add and settle", func(m *memory) { two(m); m.tag("1-linux-riscv64", m.image("linux/riscv64", "earlier")) },
			[]actor{adds(c, "A", "linux/arm64"), settles("S")}},
		{"remove and settle", two, []actor{removes("A", "linux/arm64"), settles("S")}},
	}
}

func scenarios3(m *memory) []scenario {
	c := m.content
	none := func(*memory) {}
	two := func(m *memory) { legacy(m, "linux/s390x", "linux/arm64") }
	return []scenario{
		{"new tag, three platforms", none, []actor{adds(c, "A", "linux/amd64"), adds(c, "B", "linux/arm64"), adds(c, "C", "linux/riscv64")}},
		{"add, replace, remove", two, []actor{adds(c, "A", "linux/amd64"), adds(c, "B", "linux/arm64"), removes("C", "linux/s390x")}},
		{"replace twice and remove, one platform", two, []actor{adds(c, "A", "linux/arm64"), adds(c, "B", "linux/arm64"), removes("C", "linux/arm64")}},
		{"add, remove, settle", two, []actor{adds(c, "A", "linux/amd64"), removes("B", "linux/arm64"), settles("S")}},
	}
}
