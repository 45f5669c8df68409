package registry_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// section is a part of a file, as those of archives are.
type section struct{ *io.SectionReader }

func (section) Close() error { return nil }

// unhashed leaves what it holds to the registry.
type unhashed struct{ io.ReadCloser }

func (u unhashed) Unverified() io.ReadCloser { return u.ReadCloser }

// inFile gives blobs that stand one after the other in one file, and each in a
// file of its own.
func inFile(t *testing.T, contents ...[]byte) (parts, whole []registry.Blob) {
	t.Helper()
	all, err := os.Create(filepath.Join(t.TempDir(), "all"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { all.Close() })
	off := int64(0)
	for i, raw := range contents {
		if _, err := all.Write(raw); err != nil {
			t.Fatal(err)
		}
		at, size := off, int64(len(raw))
		part := blobOf(raw)
		part.Open = func() (io.ReadCloser, error) {
			return unhashed{section{io.NewSectionReader(all, at, size)}}, nil
		}
		parts = append(parts, part)
		off += size
		path := writeFile(t, filepath.Join(t.TempDir(), fmt.Sprint(i)), string(raw), 0o600)
		own := blobOf(raw)
		own.Open = func() (io.ReadCloser, error) {
			f, err := os.Open(path)
			return unhashed{f}, err
		}
		whole = append(whole, own)
	}
	return parts, whole
}

func TestFilesAreSentByTheSystem(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		for what, opts := range map[string][]regtest.Option{"plain": nil, "tls": {regtest.TLS()}} {
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				parts, whole := inFile(t, content(81, 700_000), content(82, 1), content(83, 300_000))
				for name, blobs := range map[string][]registry.Blob{"parts": parts, "files": whole} {
					r := start(opts...)
					watch := &seen{}
					c := newClient(t, registry.Config{Observe: watch.add, CAFile: r.CAFile()})
					var all sync.WaitGroup
					for _, b := range blobs {
						all.Go(func() {
							if out, err := c.PutBlob(t.Context(), r.Repo("a"), b, nil); err != nil || out != registry.Uploaded {
								t.Errorf("%s: %s, %v", name, out, err)
							}
						})
					}
					all.Wait()
					sent := int64(0)
					for _, q := range watch.all() {
						sent += q.Sent
					}
					if sent != 1_000_001 {
						t.Errorf("%s: %d bytes are said to be sent", name, sent)
					}
				}
			})
		}
	})
}

// Every try begins at the content's start, whatever the one before has read.
func TestFilesAreSentAgain(t *testing.T) {
	t.Parallel()
	parts, whole := inFile(t, content(84, 400_000), content(85, 900_000))
	for name, blobs := range map[string][]registry.Blob{"parts": parts, "files": whole} {
		r := regtest.New(t)
		r.Inject(regtest.Fault{Method: "PUT", CutUpload: 300_000, Times: 2})
		c := newClient(t, registry.Config{Retries: 3})
		for _, b := range blobs {
			if out := put(t, c, r.Repo("a"), b); out != registry.Uploaded {
				t.Errorf("%s: %s", name, out)
			}
		}
	}
}

func TestDamagedFilesAreNotTaken(t *testing.T) {
	t.Parallel()
	parts, whole := inFile(t, content(86, 400_000))
	for name, b := range map[string]registry.Blob{"part": parts[0], "file": whole[0]} {
		r := regtest.New(t)
		c := newClient(t, registry.Config{Retries: 1})
		b.Digest = sum(content(87, 10))
		_, err := c.PutBlob(t.Context(), r.Repo("a"), b, nil)
		wantKind(t, err, fault.Failed)
		wantText(t, err.Error(), "the content's digest is")
		if has, err := c.HasBlob(t.Context(), r.Repo("a"), b.Digest); has || err != nil {
			t.Errorf("%s: the registry has it: %v, %v", name, has, err)
		}
	}
}

// A file whose name now is another's is read as it was opened.
func TestFileIsReplaced(t *testing.T) {
	t.Parallel()
	raw := content(88, 400_000)
	path := writeFile(t, filepath.Join(t.TempDir(), "all"), string(raw), 0o600)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Rename(writeFile(t, path+".new", string(content(89, 400_000)), 0o600), path); err != nil {
		t.Fatal(err)
	}
	b := blobOf(raw)
	b.Open = func() (io.ReadCloser, error) {
		return unhashed{section{io.NewSectionReader(f, 0, b.Size)}}, nil
	}
	r := regtest.New(t)
	put(t, newClient(t, registry.Config{}), r.Repo("a"), b)
}
