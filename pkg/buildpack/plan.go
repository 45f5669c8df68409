package buildpack

import (
	"path"
	"slices"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/tree"
)

// Plan says what goes into each platform's image.
type Plan struct {
	// Name is what messages call the tree that is planned.
	Name       string
	Descriptor Descriptor
	// Items are in the order of the targets.
	Items []PlanItem
}

// PlanItem is one platform of a plan.
type PlanItem struct {
	Target platform.Target
	// Folder is the platform's folder below the root, "." for the root itself.
	Folder string
	// Tree is what becomes the module: the folder, with the descriptor and the
	// shared files of the root where the folder has none of its own.
	Tree tree.Tree
	// Descriptor is the plan's, or that of the folder where it has its own.
	Descriptor Descriptor
}

// NewPlan finds the folder of each target under root: the target's own path,
// else the deepest folder of os/arch/variant/distro@version, else, where no
// platform has a folder, the root. A target without a folder where others have
// one is a fault.NotFound that lists the folders; a folder's name may be any
// spelling of its platform (linux/arm64/v8, linux/arm). The files that d.Shared
// and shared select from the root are laid under every platform's folder.
func NewPlan(d Descriptor, root tree.Tree, targets []platform.Target, shared []string) (Plan, error) {
	patterns := slices.Concat(d.Shared, shared)
	for _, p := range patterns {
		if err := tree.CheckGlob(p); err != nil {
			return Plan{}, err
		}
	}
	f := findFolders(root)
	declared := Targets(d.Targets)
	finder := finder{folders: f, found: f.platforms(), own: ownPaths(slices.Concat(targets, declared))}
	plan := Plan{Name: root.Name, Descriptor: d}
	var missing []platform.Target
	for _, t := range targets {
		dir, ok := finder.find(t)
		if !ok {
			missing = append(missing, t)
			continue
		}
		plan.Items = append(plan.Items, PlanItem{Target: t, Folder: dir})
	}
	if len(missing) > 0 {
		return Plan{}, finder.notFound(root.Name, missing, declared)
	}
	extra, err := finder.sharedTree(root, patterns)
	if err != nil {
		return Plan{}, err
	}
	for i := range plan.Items {
		item := &plan.Items[i]
		if item.Tree, err = contentOf(root, item.Folder, d.FileName(), extra); err != nil {
			return Plan{}, err
		}
		if item.Descriptor, err = descriptorOf(d, root, *item); err != nil {
			return Plan{}, err
		}
	}
	return plan, nil
}

// finder looks for the targets' folders.
type finder struct {
	folders
	found []platformFolder
	own   []string // paths that targets, of the flags or of the descriptor, name themselves
}

func ownPaths(targets []platform.Target) []string {
	var out []string
	for _, t := range targets {
		if p := path.Clean(t.Path); t.Path != "" && p != "." && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// split reports whether platforms have folders of their own in this tree.
func (f finder) split() bool { return len(f.found) > 0 || len(f.own) > 0 }

func (f finder) find(t platform.Target) (string, bool) {
	if t.Path != "" {
		dir := path.Clean(t.Path)
		return dir, isLocal(dir) && f.leadsToDir(dir)
	}
	if !f.split() {
		return ".", true
	}
	want := t.Platform.Normalize()
	want.OSVersion, want.Features = "", ""
	// A folder that spells the variant is deeper than one that leaves it out.
	var best *platformFolder
	for i := range f.found {
		c := &f.found[i]
		if c.platform == want && (best == nil || c.variant && !best.variant) {
			best = c
		}
	}
	if best == nil {
		best = f.withoutVariant(want)
	}
	if best == nil {
		return "", false
	}
	return f.inside(*best, t)
}

// withoutVariant is the os/arch folder for a platform with a variant, where
// the folder does not tell variants apart.
func (f finder) withoutVariant(want platform.Platform) *platformFolder {
	if want.Variant == "" {
		return nil
	}
	var best *platformFolder
	for i := range f.found {
		c := &f.found[i]
		if c.platform.OS != want.OS || c.platform.Arch != want.Arch {
			continue
		}
		if c.variant {
			return nil
		}
		if best == nil {
			best = c
		}
	}
	return best
}

// inside is the folder's distribution for the target, or the folder itself
// where it does not tell distributions apart.
func (f finder) inside(c platformFolder, t platform.Target) (string, bool) {
	version := t.Distro.Version
	if t.Distro.Name == "" {
		version = t.Platform.OSVersion
	}
	var matches []string
	for _, name := range c.distros {
		distro, v, _ := strings.Cut(name, "@")
		if (t.Distro.Name == "" || t.Distro.Name == distro) && version != "" && v == version {
			matches = append(matches, name)
		}
	}
	switch {
	case len(matches) == 1:
		return c.path + "/" + matches[0], true
	case len(c.distros) > 0 && (t.Distro.Name != "" || version != ""):
		return "", false
	case !f.holdsContent(c):
		return "", false
	}
	return c.path, true
}

// holdsContent reports whether a platform folder has anything but the folders
// of its variants and distributions, or has none of these.
func (f finder) holdsContent(c platformFolder) bool {
	if f.holdsFiles(c.path) {
		return true
	}
	sub := 0
	for _, name := range f.below(c.path) {
		if _, ok := spelled(c.path + "/" + name); ok && !c.variant || slices.Contains(c.distros, name) {
			sub++
			continue
		}
		return true
	}
	return sub == 0
}

// notFound lists the folders that are there. Of nested ones only the deepest
// are named, unless the outer one can be packaged too.
func (f finder) notFound(name string, missing, declared []platform.Target) error {
	m := &MissingFolders{Tree: name, Targets: missing}
	for _, c := range f.found {
		if f.holdsContent(c) {
			m.add(c.path, c.platform)
		}
		for _, d := range c.distros {
			p := c.platform
			_, p.OSVersion, _ = strings.Cut(d, "@")
			m.add(c.path+"/"+d, p)
		}
	}
	for _, p := range f.own {
		if !slices.Contains(m.Folders, p) && f.leadsToDir(p) {
			m.Folders = append(m.Folders, p)
			for _, d := range declared {
				if d.Path == p {
					m.Platforms = append(m.Platforms, d.Platform)
				}
			}
		}
	}
	return fault.Hint(fault.As(fault.NotFound, m), "add the folder, or name only platforms that have one with --platform")
}

// sharedTree is what the patterns select from the root, without the platforms'
// folders. A pattern that selects nothing is an error: it is a misspelling.
// Where no platform has a folder everything is in the root, and nothing is to be shared.
func (f finder) sharedTree(root tree.Tree, patterns []string) (tree.Tree, error) {
	if !f.split() || len(patterns) == 0 {
		return tree.Tree{}, nil
	}
	common := root
	for _, c := range f.found {
		if !c.variant {
			common = common.Without(c.path)
		}
	}
	for _, p := range f.own {
		common = common.Without(p)
	}
	common = withoutHollow(root, common)
	for _, p := range patterns {
		if len(common.Match([]string{p}).Entries) == 0 {
			return tree.Tree{}, fault.New(fault.NotFound, "sharing files of '%s': the pattern '%s' selects nothing", root.Name, p)
		}
	}
	return common.Match(patterns), nil
}

// withoutHollow takes out the directories that became empty because their
// platform folders were taken out.
func withoutHollow(root, common tree.Tree) tree.Tree {
	filled := func(t tree.Tree) map[string]bool {
		out := map[string]bool{}
		for _, e := range t.Entries {
			if e.Type != tree.Dir {
				for p := path.Dir(e.Path); p != "." && !out[p]; p = path.Dir(p) {
					out[p] = true
				}
			}
		}
		return out
	}
	before, after := filled(root), filled(common)
	for _, e := range root.Entries {
		if e.Type == tree.Dir && before[e.Path] && !after[e.Path] {
			common = common.Without(e.Path)
		}
	}
	return common
}

// contentOf is the tree of one platform's folder.
func contentOf(root tree.Tree, dir, descriptor string, extra tree.Tree) (tree.Tree, error) {
	if dir == "." {
		return root, nil
	}
	sub, ok := root.Sub(dir)
	if !ok {
		return tree.Tree{}, fault.New(fault.NotFound, "reading the folder '%s' of '%s': no such folder", dir, root.Name)
	}
	below := extra
	own, has := sub.Lookup(descriptor)
	if !has || own.Type == tree.Symlink {
		// A link to the root's descriptor (RFC 0128 suggests one) would dangle in
		// the layer, so its content goes in.
		from := descriptor
		if has {
			from = dir + "/" + descriptor
		}
		entry, ok := root.Target(from)
		if !ok || entry.Type != tree.Regular {
			return tree.Tree{}, fault.New(fault.NotFound, "reading '%s' of '%s': no such file", from, root.Name)
		}
		entry.Path = descriptor
		file := tree.Tree{Entries: []tree.Entry{entry}}
		if has {
			sub = sub.Without(descriptor)
		}
		sub = tree.Overlay(file, sub)
	}
	if len(below.Entries) > 0 {
		sub = tree.Overlay(below.Without(descriptor), sub)
	}
	return sub, nil
}

// descriptorOf is the descriptor that the item's layer will hold. A folder's own
// one must be of the same module: labels and layers would contradict each other.
func descriptorOf(d Descriptor, root tree.Tree, item PlanItem) (Descriptor, error) {
	file := path.Join(item.Folder, d.FileName())
	at, ok := root.Resolve(file)
	if item.Folder == "." || !ok || at == d.FileName() {
		return d, nil
	}
	raw, err := item.Tree.ReadFile(d.FileName())
	if err != nil {
		return Descriptor{}, err
	}
	own, err := ParseDescriptor(d.Kind, strings.TrimSuffix(d.File, d.FileName())+file, raw)
	if err != nil {
		return Descriptor{}, err
	}
	if own.Info.FullName() != d.Info.FullName() {
		return Descriptor{}, fault.New(fault.Failed, "reading '%s': it describes '%s', but the root's file describes '%s'", own.File, own.Info.FullName(), d.Info.FullName())
	}
	return own, nil
}

// Module is the item as a module to pack.
func (i PlanItem) Module() Module {
	return Module{Descriptor: i.Descriptor, Content: Content{Tree: i.Tree}}
}

// Load reads the descriptor at the root of a tree: buildpack.toml, else
// extension.toml. Messages call it by its path: the tree's name and the file's.
func Load(root tree.Tree) (Descriptor, error) {
	for _, kind := range []string{KindBuildpack, KindExtension} {
		file := FileName(kind)
		if !root.Has(file) {
			continue
		}
		raw, err := root.ReadFile(file)
		if err != nil {
			return Descriptor{}, err
		}
		return ParseDescriptor(kind, fileOf(root.Name, file), raw)
	}
	err := fault.New(fault.NotFound, "reading '%s': it has neither a buildpack.toml nor an extension.toml", root.Name)
	if dirs := oneBelow(root); len(dirs) > 0 {
		return Descriptor{}, fault.Hint(err, "name the folder itself: there is one in '%s'", strings.Join(dirs, "', '"))
	}
	return Descriptor{}, err
}

// fileOf is the path of a file of a tree, for messages. A URL stays a URL.
func fileOf(name, file string) string {
	if strings.Contains(name, "://") {
		return strings.TrimSuffix(name, "/") + "/" + file
	}
	return path.Join(name, file)
}

// oneBelow are the folders right below the root that hold a descriptor: archives
// are often made of a folder and not of its content.
func oneBelow(root tree.Tree) []string {
	var out []string
	for _, e := range root.Entries {
		dir, name := path.Split(e.Path)
		if dir = strings.TrimSuffix(dir, "/"); (name == "buildpack.toml" || name == "extension.toml") && dir != "" && !strings.Contains(dir, "/") {
			out = append(out, dir)
		}
	}
	return out
}
