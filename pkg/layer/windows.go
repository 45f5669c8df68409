package layer

import (
	"archive/tar"
	"io"
	"path"

	imgutil "github.com/buildpacks/imgutil/layer"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/tree"
)

// windowsPaths moves entries to where a Windows layer has them: below Files,
// beside an empty Hives, parents written bare, and every entry owned by
// Administrators. Targets of hard links are moved as well, without which they
// would name nothing.
func windowsPaths(yield func(tar.Header, *tree.Entry) error) func(tar.Header, *tree.Entry) error {
	seen := map[string]bool{}
	bare := func(dir string) error {
		if seen[dir] {
			return nil
		}
		seen[dir] = true
		return yield(tar.Header{Typeflag: tar.TypeDir, Name: dir}, nil)
	}
	var parents func(dir string) error
	parents = func(dir string) error {
		if dir == "." || seen[dir] {
			return nil
		}
		if err := parents(path.Dir(dir)); err != nil {
			return err
		}
		return bare(dir)
	}
	return func(h tar.Header, e *tree.Entry) error {
		for _, dir := range []string{"Files", "Hives"} {
			if err := bare(dir); err != nil {
				return err
			}
		}
		h.Name = path.Join("Files", h.Name)
		if h.Typeflag == tar.TypeLink {
			h.Linkname = path.Join("Files", h.Linkname)
		}
		if err := parents(path.Dir(h.Name)); err != nil {
			return err
		}
		if h.Typeflag == tar.TypeDir {
			if seen[h.Name] {
				return nil
			}
			seen[h.Name] = true
		}
		h.Format = tar.FormatPAX
		h.PAXRecords = map[string]string{"MSWINDOWS.rawsd": imgutil.AdministratratorOwnerAndGroupSID}
		return yield(h, e)
	}
}

// windowsBaseSpec is the base layer's tar, which is constant and small.
func windowsBaseSpec() (spec, error) {
	r, err := imgutil.WindowsBaseLayer()
	if err != nil {
		return spec{}, fault.New(fault.Failed, "making the Windows base layer: %w", err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return spec{}, fault.New(fault.Failed, "making the Windows base layer: %w", err)
	}
	return spec{name: "the Windows base", os: "windows", raw: raw}, nil
}
