//go:build unix

package layer_test

import (
	"archive/tar"
	"bytes"
	stdgzip "compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/layer"
	"github.com/multipack/multipack/pkg/tree"
)

// The diffIDs below are what pack 0.40.5 made of the same folders and archives.
const (
	goldenLinux     = "43eda55ac14d4ef873600c1cf549818d78a94420273d0aa35bdb883cc8daee16"
	goldenExtension = "7fb72f41544d6c02bf6b7f10bbb29c0cee5da5e7520eee8433c57e93c7fb072f"
	goldenFlat      = "b9f76a9159bf5ff544fc0b73c0f0eac7abbb35d34ba635e8861f2d3d231d067c"
	goldenBase      = "067833dadeca9180bb71a211248cbc0f6ada05499bfdef07dfb04e2eb96e7c82"
	// Without hard links: their targets are wrong in what pack writes for Windows.
	goldenWindows = "678dd009013818403fd2a43e966dc4f7e92c52e719cf7c8415ed464dda5fda96"
)

func maker(t testing.TB, o layer.Options) *layer.Maker {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	m := layer.NewMaker(o)
	t.Cleanup(func() { must(t, m.Close()) })
	return m
}

// module is the fixture's layer by a Maker of its own.
func module(t testing.TB, tr tree.Tree, os string) v1.Layer {
	t.Helper()
	l, err := maker(t, layer.Options{}).Module(t.Context(), "buildpacks", "golden/fixture", "1.2.3", tr, os)
	must(t, err)
	return l
}

func diffID(t testing.TB, l v1.Layer) string {
	t.Helper()
	h, err := l.DiffID()
	must(t, err)
	return h.Hex
}

func digest(t testing.TB, l v1.Layer) string {
	t.Helper()
	h, err := l.Digest()
	must(t, err)
	return h.Hex
}

func equal(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %s, want %s", what, got, want)
	}
}

func TestDiffIDsArePacks(t *testing.T) {
	t.Parallel()
	root := fixture(t)
	tr := open(t, root)
	equal(t, "folder", diffID(t, module(t, tr, "linux")), goldenLinux)
	equal(t, "freebsd", diffID(t, module(t, tr, "freebsd")), goldenLinux)
	for _, name := range []string{"x.tgz", "x.tar"} {
		equal(t, name, diffID(t, module(t, open(t, archive(t, name, tr, nil)), "linux")), goldenLinux)
	}

	base, err := maker(t, layer.Options{}).WindowsBase(t.Context())
	must(t, err)
	equal(t, "windows base", diffID(t, base), goldenBase)
	for _, p := range []string{"hard", "a/hard", "same-symlink"} {
		tr = tr.Without(p)
	}
	equal(t, "windows", diffID(t, module(t, tr, "windows")), goldenWindows)
}

func TestDiffIDOfExtensionIsPacks(t *testing.T) {
	t.Parallel()
	root := fixture(t)
	must(t, os.Remove(filepath.Join(root, "buildpack.toml")))
	must(t, os.WriteFile(filepath.Join(root, "extension.toml"),
		[]byte("api = \"0.10\"\n\n[extension]\nid = \"golden/extension\"\nversion = \"1.2.3\"\n"), 0o644))
	l, err := maker(t, layer.Options{}).Module(t.Context(), "extensions", "golden/extension", "1.2.3", open(t, root), "linux")
	must(t, err)
	equal(t, "extension", diffID(t, l), goldenExtension)
}

func TestDiffIDOfFlatLayerIsPacks(t *testing.T) {
	t.Parallel()
	all, two := folder{t, t.TempDir()}, folder{t, t.TempDir()}
	all.file("buildpack.toml", 0o644, []byte(`api = "0.10"

[buildpack]
id = "golden/all"
version = "9.0.0"

[[order]]
[[order.group]]
id = "golden/fixture"
version = "1.2.3"

[[order]]
[[order.group]]
id = "golden/fixture"
version = "2.0.0"
`))
	all.file("package.toml", 0o644, []byte("[buildpack]\nuri = \".\"\n[[dependencies]]\nuri = \"../bp\"\n[[dependencies]]\nuri = \"../two\"\n"))
	two.file("buildpack.toml", 0o644, []byte("api = \"0.10\"\n\n[buildpack]\nid = \"golden/fixture\"\nversion = \"2.0.0\"\n"))
	one := tree.Module{Kind: "buildpacks", ID: "golden/fixture", Version: "1.2.3", Tree: open(t, fixture(t))}
	modules := []tree.Module{
		one,
		{Kind: "buildpacks", ID: "golden/fixture", Version: "2.0.0", Tree: open(t, two.root)},
		one,
		{Kind: "buildpacks", ID: "golden/all", Version: "9.0.0", Tree: open(t, all.root)},
	}
	l, err := maker(t, layer.Options{}).Flat(t.Context(), modules, "linux")
	must(t, err)
	equal(t, "flat", diffID(t, l), goldenFlat)
}

// The compressed digest pins the compressor, its level and the segments. Should
// it change, the recipe's name in spec.go has to change with it.
func TestDigestIsPinned(t *testing.T) {
	t.Parallel()
	l := module(t, open(t, fixture(t)), "linux")
	equal(t, "digest", digest(t, l), "79a06bd567f16759d5edeef3177f5d9374564f377cc2be4db315c8644a3bd626")
	mt, err := l.MediaType()
	must(t, err)
	equal(t, "media type", string(mt), string(types.OCILayer))
}

// Times and flavours of an archive do not reach the layer.
func TestArchiveFlavoursGiveTheFoldersDiffID(t *testing.T) {
	t.Parallel()
	tr := open(t, fixture(t))
	now := time.Unix(1712345678, 987654321)
	flavours := map[string]func(*tar.Header){
		"gnu": func(h *tar.Header) {
			h.Format, h.AccessTime, h.ChangeTime, h.ModTime = tar.FormatGNU, now, now, now
			h.Uname, h.Gname, h.Uid, h.Gid = "me", "us", 1000, 1000
		},
		"pax": func(h *tar.Header) {
			h.Format, h.AccessTime, h.ChangeTime, h.ModTime = tar.FormatPAX, now, now, now
			h.PAXRecords = map[string]string{"SCHILY.xattr.user.x": "y", "comment": "c"}
		},
		"absolute": func(h *tar.Header) {
			h.Name = "/" + h.Name
			if h.Typeflag == tar.TypeLink {
				h.Linkname = "/" + h.Linkname
			}
		},
		"dotted": func(h *tar.Header) {
			h.Name = "./" + h.Name
			if h.Typeflag == tar.TypeDir {
				h.Name += "/"
			}
		},
	}
	for name, edit := range flavours {
		equal(t, name, diffID(t, module(t, open(t, archive(t, "x.tgz", tr, edit)), "linux")), goldenLinux)
	}
}

// One gzip member by the standard library's reader, whose content is the tar.
func TestLayerIsOneGzipMember(t *testing.T) {
	t.Parallel()
	l := module(t, open(t, fixture(t)), "linux")
	for range 2 { // reopenable
		rc, err := l.Compressed()
		must(t, err)
		data, err := io.ReadAll(rc)
		must(t, err)
		must(t, rc.Close())
		equal(t, "digest", hexSum(data), digest(t, l))
		if size, err := l.Size(); err != nil || size != int64(len(data)) {
			t.Errorf("size: %d, %v, want %d", size, err, len(data))
		}
		in := bytes.NewReader(data)
		z, err := stdgzip.NewReader(in)
		must(t, err)
		z.Multistream(false)
		plain, err := io.ReadAll(z)
		must(t, err)
		if in.Len() != 0 {
			t.Errorf("%d bytes behind the gzip member", in.Len())
		}
		equal(t, "diffID", hexSum(plain), diffID(t, l))

		rc, err = l.Uncompressed()
		must(t, err)
		again, err := io.ReadAll(rc)
		must(t, err)
		must(t, rc.Close())
		if !bytes.Equal(plain, again) {
			t.Error("Uncompressed is not what Compressed holds")
		}
		if !bytes.HasSuffix(plain, make([]byte, 1024)) || bytes.HasSuffix(plain, make([]byte, 1024+512)) {
			t.Error("the tar does not end in exactly two zero blocks")
		}
	}
}

func hexSum(p []byte) string {
	s := sha256.Sum256(p)
	return hex.EncodeToString(s[:])
}

// Names that pack cannot write are written as PAX.
func TestNamesThatPackCannotWrite(t *testing.T) {
	t.Parallel()
	f := folder{t, t.TempDir()}
	name := strings.Repeat("d", 140) + "/" + strings.Repeat("f", 100) // fits USTAR, but not below /cnb/…
	f.file(name, 0o644, []byte("far\n"))
	f.file("z/"+strings.Repeat("h", 90), 0o644, []byte("linked\n"))
	f.link("z/"+strings.Repeat("h", 90), "zz") // its target fits, but not below /cnb/…
	l := module(t, open(t, f.root), "linux")
	rc, err := l.Uncompressed()
	must(t, err)
	defer rc.Close()
	got := map[string]string{}
	for tr := tar.NewReader(rc); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		data, err := io.ReadAll(tr)
		must(t, err)
		got[h.Name] = h.Linkname + string(data)
	}
	base := "/cnb/buildpacks/golden_fixture/1.2.3/"
	equal(t, "long name", got[base+name], "far\n")
	equal(t, "long link", got[base+"zz"], base+"z/"+strings.Repeat("h", 90))
}
