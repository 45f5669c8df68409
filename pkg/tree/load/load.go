// Package load reads folders and archives into trees. It holds the effects that
// pkg/tree has none of: files, downloads, temporary files. What it reads is
// never written to, and nothing of an archive is put on disk under its own name.
package load

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/tree"
)

// Options say how Open works.
type Options struct {
	// Dir is where downloads and unpacked archives are kept until Close; "" is
	// the system's folder for temporary files.
	Dir string
	// HTTP does the downloads; nil is a client that honours the proxy environment.
	HTTP *http.Client
	// Retries is how many further tries a failed download gets; below 0: 4.
	Retries int
	// Backoff is the pause before the given try (1 is the first retry); nil
	// doubles from half a second.
	Backoff func(try int) time.Duration
	// Observe, if set, is told how far a download is: done of total bytes, total
	// -1 where the server does not say. A further try starts at 0 again.
	Observe func(done, total int64)
}

// Loaded is an opened tree. Its entries can be opened until Close.
type Loaded struct {
	Tree tree.Tree
	// Folder says that the source is a folder, and not an archive.
	Folder bool
	// File is the archive as it lies on this disk until Close, downloaded where it
	// came from elsewhere; "" for a folder.
	File string

	spool []*os.File
}

// Close gives back temporary files. Contents that are still open keep working
// where the system allows it, new ones cannot be opened.
func (l *Loaded) Close() error {
	var errs []error
	for _, f := range l.spool {
		errs = append(errs, f.Close())
		if err := os.Remove(f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	l.spool = nil
	return errors.Join(errs...)
}

// Open reads the tree at uri: a folder, a tar, a tar compressed with gzip or
// zstd (told apart by their first bytes), each as a path, a file:// URL, or, for
// archives, an http:// or https:// URL.
//
// A folder's entries come in filepath.Walk's order, with second names of one
// inode as hard links and without sockets; an archive's entries come in its
// order. Paths are unique: of entries of one name in an archive the last one
// counts, as when it is extracted. Contents are not read yet.
//
// Errors: fault.NotFound (nothing there), fault.Denied (a server's 401 or 403),
// fault.Usage (no such kind of URL), fault.Failed for all else, also for an
// archive whose entries leave its root or stand below something that is no directory.
func Open(ctx context.Context, uri string, opts Options) (*Loaded, error) {
	if scheme, _, ok := strings.Cut(uri, "://"); ok {
		switch strings.ToLower(scheme) {
		case "http", "https":
			return openURL(ctx, uri, opts)
		case "file":
			path, err := filePath(uri)
			if err != nil {
				return nil, err
			}
			return openPath(ctx, path, uri, opts)
		default:
			if _, err := os.Lstat(uri); err != nil {
				return nil, fault.New(fault.Usage, "opening '%s': unsupported protocol '%s', use a path, file://, http:// or https://", uri, scheme)
			}
		}
	}
	return openPath(ctx, uri, uri, opts)
}

func openPath(ctx context.Context, path, name string, opts Options) (*Loaded, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, pathError(name, err)
	}
	if info.IsDir() {
		t, err := readFolder(ctx, path, name)
		if err != nil {
			return nil, err
		}
		return &Loaded{Tree: t, Folder: true}, nil
	}
	if !info.Mode().IsRegular() {
		return nil, fault.New(fault.Failed, "opening '%s': it is neither a folder nor a file", name)
	}
	file, err := realPath(path)
	if err != nil {
		return nil, pathError(name, err)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, pathError(name, err)
	}
	l := &Loaded{File: file}
	defer f.Close()
	if err := l.readArchive(ctx, f, origin{path: file}, name, opts); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// realPath is the absolute path without symbolic links.
func realPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// pathError classifies a failure to reach a path.
func pathError(name string, err error) error {
	var pe *fs.PathError
	why := err
	if errors.As(err, &pe) {
		why = pe.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "opening '%s': %w", name, why)
	}
	return fault.New(fault.Failed, "opening '%s': %w", name, why)
}

// filePath is the local path of a file:// URL.
func filePath(uri string) (string, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Path == "" {
		return "", fault.New(fault.Usage, "opening '%s': it is no valid file URL", uri)
	}
	if u.Host != "" && u.Host != "localhost" {
		return "", fault.New(fault.Usage, "opening '%s': the file URL names another machine, '%s'; write file:///path", uri, u.Host)
	}
	p := u.Path
	if len(p) > 2 && p[0] == '/' && p[2] == ':' { // file:///C:/folder
		p = p[1:]
	}
	return filepath.FromSlash(p), nil
}
