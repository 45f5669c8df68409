package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// multipackName, limitName: the contenders that the benchmark builds itself.
const (
	multipackName = "multipack"
	limitName     = "limit"
)

// tool is a program that takes part.
type tool struct {
	Name    string `json:"name"`
	Path    string `json:"path,omitempty"` // "" for a missing one
	Version string `json:"version,omitempty"`
	prefix  []string
	version []string
}

// peers are the programs to compare with, by the names that -peers takes; the
// arguments print the version.
func peers() []tool {
	return []tool{
		{Name: "pack", version: []string{"version"}},
		{Name: "crane", version: []string{"version"}},
		{Name: "regctl", version: []string{"version"}},
		{Name: "oras", version: []string{"version"}},
		{Name: "buildx", version: []string{"version"}},
		{Name: "podman", version: []string{"--version"}},
		{Name: "skopeo", version: []string{"--version"}},
	}
}

// findPeers looks for the peers on PATH. only lists the wanted ones, empty for
// all. The missing ones come back without a path.
func findPeers(ctx context.Context, only []string) ([]*tool, error) {
	all := peers()
	for _, name := range only {
		if name != "none" && !slices.ContainsFunc(all, func(t tool) bool { return t.Name == name }) {
			return nil, fmt.Errorf("no peer '%s'; there are %s", name, peerNames())
		}
	}
	var found []*tool
	for _, t := range all {
		if len(only) > 0 && !slices.Contains(only, t.Name) {
			continue
		}
		if path, prefix := locate(ctx, t.Name); path != "" {
			t.Path, t.prefix = path, prefix
			t.Version = versionOf(ctx, &t)
		}
		found = append(found, &t)
	}
	return found, nil
}

func peerNames() string {
	var names []string
	for _, t := range peers() {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}

// locate finds a program, and the arguments that must precede all others:
// buildx is most often a plugin of docker.
func locate(ctx context.Context, name string) (path string, prefix []string) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	if name != "buildx" {
		return "", nil
	}
	if path, err := exec.LookPath("docker-buildx"); err == nil {
		return path, nil
	}
	docker, err := exec.LookPath("docker")
	if err != nil || exec.CommandContext(ctx, docker, "buildx", "version").Run() != nil {
		return "", nil
	}
	return docker, []string{"buildx"}
}

// versionNumber is a number that stands by itself: go1.26 is another program's.
var versionNumber = regexp.MustCompile(`(?:^|[^\w.])(v?\d+\.\d+[^\s,]*)`)

// versionOf asks the tool, "?" where it does not say.
func versionOf(ctx context.Context, t *tool) string {
	out, err := exec.CommandContext(ctx, t.Path, slices.Concat(t.prefix, t.version)...).Output()
	if err != nil {
		return "?"
	}
	return versionIn(string(out))
}

// versionIn finds the version in what a tool says of itself: a number, else the
// last word of the first line.
func versionIn(out string) string {
	if found := versionNumber.FindStringSubmatch(out); found != nil {
		return found[1]
	}
	line, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	words := strings.Fields(line)
	if len(words) == 0 {
		return "?"
	}
	return words[len(words)-1]
}

// build compiles one of this module's programs into dir.
func build(ctx context.Context, dir, name, pkg string) (string, error) {
	path := filepath.Join(dir, name)
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "github.com/multipack/multipack/"+pkg)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building '%s': %w: %s", pkg, err, strings.TrimSpace(string(out)))
	}
	return path, nil
}

// home fills a fresh home folder with what the tools need to talk to the
// registries, and gives the whole environment of a command: nothing of the
// caller's own settings, credentials or caches takes part.
func home(dir string, hosts []string) ([]string, error) {
	insecure := ""
	for _, host := range hosts {
		insecure += fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n", host)
	}
	files := map[string]string{
		"pack/config.toml":                   "experimental = true\n",
		"docker/config.json":                 "{}\n",
		".config/containers/registries.conf": insecure,
		".config/containers/policy.json":     `{"default":[{"type":"insecureAcceptAnything"}]}`,
		".config/containers/containers.conf": "[engine]\nevents_logger = \"none\"\ncgroup_manager = \"cgroupfs\"\n",
	}
	for name, text := range files {
		if err := writeFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	for _, sub := range []string{"run", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LANG=C", "TMPDIR=" + at("tmp"), "XDG_RUNTIME_DIR=" + at("run"),
		"MULTIPACK_HOME=" + at("multipack"), "PACK_HOME=" + at("pack"), "DOCKER_CONFIG=" + at("docker"), "BUILDX_CONFIG=" + at("buildx"),
		"REGCTL_CONFIG=" + at("regctl.json"), "CONTAINERS_REGISTRIES_CONF=" + at(".config/containers/registries.conf"),
		"CONTAINERS_CONF=" + at(".config/containers/containers.conf"),
	}, nil
}

// fixed gives the arguments that a tool needs before any others in a run. short
// is a folder of the run that need not exist; podman wants its path to have 50
// characters at most.
func (t *tool) fixed(short string, hosts []string) []string {
	args := slices.Clone(t.prefix)
	switch t.Name {
	case "regctl":
		for _, host := range hosts {
			args = append(args, "--host", "reg="+host+",tls=disabled")
		}
	case "podman":
		args = append(args, "--root", filepath.Join(short, "lib"), "--runroot", filepath.Join(short, "run"), "--storage-driver", "vfs")
	}
	return args
}

// writeFile writes a file and the folders above it.
func writeFile(path string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, mode)
}
