package commands

import (
	"net/url"
	"path/filepath"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/tree"
)

// outputs are the paths on this disk that the run writes to.
func (p *packaging) outputs() []string {
	var out []string
	for _, path := range []string{p.flags.metadataFile, p.flags.digestFile, p.to.ref.Path} {
		if path != "" && path != "-" {
			out = append(out, path)
		}
	}
	if p.to.ref.Kind == reference.File && p.to.stem != "" {
		for _, t := range p.input.targets {
			out = append(out, p.to.stem+"-"+t.Suffix()+".cnb")
		}
	}
	return out
}

// withoutOutputs is the tree of the folder at uri less what the run writes into
// it: what an earlier run left there is no input of this one, or no two runs
// would give one digest.
func (p *packaging) withoutOutputs(t tree.Tree, uri string) (tree.Tree, error) {
	root, err := realPath(folderOf(uri))
	if err != nil {
		return t, nil // it was read, so it has a path; a strange one has no outputs in it
	}
	for _, output := range p.outputs() {
		path, err := realPath(output)
		if err != nil {
			continue // its folder is not there yet
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			continue
		}
		if rel == "." {
			return t, fault.New(fault.Usage, "publishing to '%s': it is the folder of the %s itself", p.to.given, p.module.word)
		}
		less := t.Without(filepath.ToSlash(rel))
		if len(less.Entries) < len(t.Entries) {
			p.console.Note("Leaving out '%s', which this run writes", output)
		}
		t = less
	}
	return t, nil
}

// folderOf is the path of a folder that is given as such or as a file URL.
func folderOf(uri string) string {
	if u, err := url.Parse(uri); err == nil && u.Scheme == "file" {
		return u.Path
	}
	return uri
}

// realPath is path, absolute and without symbolic links; its last element need
// not be there.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved, nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(dir, filepath.Base(path)), err
}
