package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"github.com/multipack/multipack/internal/fsx"
	"github.com/multipack/multipack/pkg/manifest"
)

// Record publishes through Next and keeps the reports, for --metadata-file and
// --digestfile. It is safe for concurrent use.
type Record struct {
	// Next does the publishing.
	Next Publisher

	mu      sync.Mutex
	reports []Report
}

// Publish implements Publisher.
func (r *Record) Publish(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	report, err := r.Next.Publish(ctx, a, to)
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reports = append(r.reports, report)
	}
	return report, err
}

// Reports are those of what was published so far.
func (r *Record) Reports() []Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Report(nil), r.reports...)
}

// Save writes both files, each where its path is not ""; see Metadata and Digests.
func (r *Record) Save(metadataFile, digestFile string) error {
	return Save(r.Reports(), metadataFile, digestFile)
}

// Save writes the metadata and the digest file of reports, each where its path
// is not "".
func Save(reports []Report, metadataFile, digestFile string) error {
	if metadataFile != "" {
		raw, err := Metadata(reports)
		if err != nil {
			return fmt.Errorf(savingMetadata, err)
		}
		if err := fsx.WriteFile(metadataFile, raw, 0o666); err != nil {
			return fmt.Errorf(savingMetadata, err)
		}
	}
	if digestFile != "" {
		if err := fsx.WriteFile(digestFile, Digests(reports), 0o666); err != nil {
			return fmt.Errorf(savingDigest, err)
		}
	}
	return nil
}

const (
	savingMetadata = "writing the metadata file: %w"
	savingDigest   = "writing the digest file: %w"
)

// CanSave is the error that Save would end with where a file cannot be made; it
// leaves nothing behind. To be asked before anything is published: a release
// that fails when its tags are out is half a release.
func CanSave(metadataFile, digestFile string) error {
	if err := canCreate(metadataFile); err != nil {
		return fmt.Errorf(savingMetadata, err)
	}
	if err := canCreate(digestFile); err != nil {
		return fmt.Errorf(savingDigest, err)
	}
	return nil
}

func canCreate(path string) error {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil // opening a pipe would be noticed at its other end
	}
	t, err := fsx.Create(path)
	if err != nil {
		return err
	}
	return t.Abort()
}

// Metadata is the JSON of --metadata-file: the first report, and those of
// further destinations as its "also".
func Metadata(reports []Report) ([]byte, error) {
	if len(reports) == 0 {
		return []byte("{}\n"), nil
	}
	r, err := first(reports, nil)
	if err != nil {
		return nil, err
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	return append(raw, '\n'), err
}

// Digests is the content of --digestfile: the digest of what was published,
// without an end of line where there is just one (as podman writes it), else
// one a line in the order of publishing, repetitions left out.
func Digests(reports []Report) []byte {
	var out []byte
	seen := map[string]bool{}
	for _, r := range reports {
		for _, r := range r.All() {
			if d := r.Digest.String(); !seen[d] {
				seen[d] = true
				out = append(out, d+"\n"...)
			}
		}
	}
	if len(seen) == 1 {
		out = out[:len(out)-1]
	}
	return out
}
