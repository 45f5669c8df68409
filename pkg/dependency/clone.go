package dependency

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/fsx"
)

// cloneRef is the only ref of a clone. Git moves it in one step, after all
// objects are there: a fetch that is cut off leaves the state before it.
const cloneRef = "refs/multipack/index"

// retryLock is how often a clone that another process updates is tried again.
const retryLock = 20 * time.Millisecond

// clonedIndex is the index in a git repository somewhere, by way of a clone in
// the cache folder.
func clonedIndex(ctx context.Context, name, from string, o IndexOptions) (*Index, error) {
	if o.CacheDir == "" {
		return nil, fault.Hint(fault.New(fault.Failed, "cloning CNB registry '%s': there is no cache folder", name), "set MULTIPACK_CACHE to a folder")
	}
	parent := filepath.Join(o.CacheDir, "registries")
	if err := fsx.MkdirAll(parent, 0o777); err != nil {
		return nil, fault.New(fault.Failed, "cloning CNB registry '%s': %w", name, err)
	}
	r := repository{dir: filepath.Join(parent, cacheName(from)+".git"), name: name, from: from}
	unlock, err := r.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	failed := r.update(ctx)
	if failed != nil && ctx.Err() == nil && !r.usable(ctx) {
		// Begun anew once, in case it is the clone that is broken.
		if err := (fsx.FS{}).RemoveTree(r.dir); err != nil {
			return nil, fault.New(fault.Failed, "cloning CNB registry '%s': %w", name, err)
		}
		if failed = r.update(ctx); failed != nil {
			return nil, failed
		}
	}
	if ctx.Err() != nil {
		return nil, fault.New(fault.Interrupted, "cloning CNB registry '%s': %w", name, context.Cause(ctx))
	}
	x, err := r.index(ctx, cloneRef)
	if err != nil {
		return nil, err
	}
	x.old = failed
	return x, nil
}

// repository is a bare git repository on this disk.
type repository struct{ dir, name, from string }

func (r repository) lock(ctx context.Context) (func(), error) {
	l := flock.New(r.dir + ".lock")
	if _, err := l.TryLockContext(ctx, retryLock); err != nil {
		return nil, fault.New(fault.Failed, "locking the clone of CNB registry '%s': %w", r.name, err)
	}
	return func() { _ = l.Close() }, nil
}

// update fetches the newest commit, and no history.
func (r repository) update(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(r.dir, "HEAD")); errors.Is(err, fs.ErrNotExist) {
		if _, err := r.git(ctx, "init", "--quiet", "--bare", r.dir); err != nil {
			return fault.New(fault.Failed, "cloning CNB registry '%s': %w", r.name, err)
		}
	}
	_, err := r.git(ctx, "--git-dir", r.dir, "fetch", "--quiet", "--no-tags", "--depth", "1", "--force", "--", r.from, "HEAD:"+cloneRef)
	if err != nil {
		return fault.New(fault.Failed, "updating CNB registry '%s': %w", r.name, err)
	}
	return nil
}

// usable reports whether the clone holds a commit with all its files.
func (r repository) usable(ctx context.Context) bool {
	_, err := r.git(ctx, "--git-dir", r.dir, "rev-list", "--objects", "--quiet", cloneRef)
	return err == nil
}

// index reads files of the commit that ref names now, whatever becomes of ref.
func (r repository) index(ctx context.Context, ref string) (*Index, error) {
	out, err := r.git(ctx, "--git-dir", r.dir, "rev-parse", "--verify", "--quiet", ref+"^{commit}")
	if err != nil {
		return nil, fault.New(fault.Failed, "opening CNB registry '%s': it has no commit", r.name)
	}
	commit := strings.TrimSpace(string(out))
	return &Index{name: r.name, read: func(ctx context.Context, file string) ([]byte, error) {
		// A file that is not there and a repository that cannot be read are told
		// apart by the listing.
		listed, err := r.git(ctx, "--git-dir", r.dir, "ls-tree", "-z", "--full-tree", commit, "--", file)
		if err != nil {
			return nil, err
		}
		if len(listed) == 0 {
			return nil, fs.ErrNotExist
		}
		return r.git(ctx, "--git-dir", r.dir, "cat-file", "blob", commit+":"+file)
	}}, nil
}

// git runs the git program and gives what it says on stdout. What it complains
// about on stderr is the error.
func (r repository) git(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	// Asked to end, git ends its own programs too, which would keep the pipes open.
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return cmd.Process.Kill()
		}
		return nil
	}
	cmd.WaitDelay = 300 * time.Millisecond
	cmd.Env = gitEnv(os.Environ())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.Bytes(), nil
	case ctx.Err() != nil:
		return nil, fault.As(fault.Interrupted, context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return nil, fault.Hint(errors.New("there is no git program"), "install git, or give the folder of a clone")
	}
	said := complaint(stderr.String())
	if said == "" {
		said = err.Error()
	}
	if r.from != "" {
		said = strings.ReplaceAll(said, r.from, without(r.from))
	}
	return nil, fmt.Errorf("git says: %s", said)
}

// complaint is the first line that git calls fatal, else the last one.
func complaint(stderr string) string {
	last := ""
	for line := range strings.SplitSeq(stderr, "\n") {
		if said, ok := strings.CutPrefix(line, "fatal: "); ok {
			return said
		}
		if strings.TrimSpace(line) != "" {
			last = strings.TrimSpace(line)
		}
	}
	return last
}

// gitEnv is the environment less what would point git at another repository
// (a hook's, say), with nobody asked for a password. URLs reach git as they are
// given, so transports that run programs of their own choice are shut.
func gitEnv(env []string) []string {
	out := []string{"GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "GIT_ALLOW_PROTOCOL=file:git:http:https:ssh"}
	for _, kv := range env {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
			"GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_TERMINAL_PROMPT", "LC_ALL":
		default:
			out = append(out, kv)
		}
	}
	return out
}
