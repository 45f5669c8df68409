package store

import (
	"context"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/reference"
)

// suggestions is how many similar names an error gives.
const suggestions = 3

// notFound is the error for a list that does not exist.
func (s *Store) notFound(ctx context.Context, tag name.Tag) error {
	want := reference.Familiar(tag)
	err := fault.New(fault.NotFound, "opening manifest list '%s': %w", want, errNoList)
	if near := s.nearest(ctx, want); len(near) > 0 {
		return fault.Hint(err, "did you mean %s?", strings.Join(near, " or "))
	}
	return fault.Hint(err, "'multipack manifest create %s' makes it, 'multipack manifest ls' shows those there are", want)
}

// nearest gives the quoted names of the lists whose names are most like want.
func (s *Store) nearest(ctx context.Context, want string) []string {
	folders, err := s.folders()
	if err != nil {
		return nil
	}
	type candidate struct {
		name string
		far  int
	}
	var all []candidate
	for _, dir := range folders {
		if ctx.Err() != nil {
			return nil
		}
		_, doc, err := s.readDocument(dir)
		if err != nil {
			continue
		}
		tag, err := reference.ParseListName(doc.listName())
		if err != nil {
			continue
		}
		have := reference.Familiar(tag)
		far := distance(want, have)
		repo, _, _ := strings.Cut(want, ":")
		if strings.HasPrefix(have, repo+":") {
			far = 1 // only the tag is another
		}
		if far <= max(2, len(want)/3) {
			all = append(all, candidate{have, far})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		if a.far != b.far {
			return a.far - b.far
		}
		return strings.Compare(a.name, b.name)
	})
	var out []string
	for _, c := range all[:min(suggestions, len(all))] {
		out = append(out, "'"+c.name+"'")
	}
	return out
}

// distance is the number of letters to insert, delete or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
