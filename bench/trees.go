package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// component is a buildpack's folder with a folder for each platform.
type component struct {
	dir, id   string
	platforms []string
}

// newComponent writes what every component has: buildpack.toml, and bin/detect
// and bin/build for each platform.
func newComponent(dir, id string, platforms []string) (component, error) {
	c := component{dir: dir, id: id, platforms: platforms}
	toml := fmt.Sprintf("api = \"0.10\"\n\n[buildpack]\nid = %q\nname = %q\nversion = \"1.0.0\"\n\n%s", id, id, targets(platforms))
	err := writeFile(filepath.Join(dir, "buildpack.toml"), []byte(toml), 0o644)
	for _, p := range platforms {
		for _, script := range []string{"detect", "build"} {
			err = errors.Join(err, writeFile(filepath.Join(c.folder(p), "bin", script), []byte("#!/bin/sh\nexit 0\n"), 0o755))
		}
	}
	return c, err
}

// folder is the platform's folder: os/arch[/variant] is its path too.
func (c component) folder(platform string) string {
	return filepath.Join(c.dir, filepath.FromSlash(platform))
}

// targets are the [[targets]] of buildpack.toml and package.toml.
func targets(platforms []string) string {
	var b strings.Builder
	for _, p := range platforms {
		part := append(strings.Split(p, "/"), "")
		fmt.Fprintf(&b, "[[targets]]\nos = %q\narch = %q\n", part[0], part[1])
		if part[2] != "" {
			fmt.Fprintf(&b, "variant = %q\n", part[2])
		}
	}
	return b.String()
}

// big is a component with n bytes of binaries for each platform.
func (l *lab) big(dir string, n int64, platforms ...string) (component, error) {
	c, err := newComponent(dir, "bench/big", platforms)
	for _, p := range platforms {
		err = errors.Join(err, copyBinaries(filepath.Join(c.folder(p), "bin"), l.binaries[filepath.Base(p)], n))
	}
	return c, err
}

// alike is a component whose platforms have 90 of 100 files in common; n bytes
// for each platform.
func (l *lab) alike(dir string, n int64, platforms ...string) (component, error) {
	const files, shared = 100, 90
	c, err := newComponent(dir, "bench/alike", platforms)
	for i, p := range platforms {
		common, openErr := at(l.binaries["amd64"], 0)
		if openErr != nil {
			return c, openErr
		}
		own, openErr := at(l.binaries["arm64"], int64(i)*n)
		if openErr != nil {
			return c, errors.Join(openErr, common.close())
		}
		for f := range files {
			from := common
			if f >= shared {
				from = own
			}
			err = errors.Join(err, from.cut(filepath.Join(c.folder(p), "lib", fmt.Sprintf("part-%02d", f)), n/files))
		}
		err = errors.Join(err, common.close(), own.close())
	}
	return c, err
}

// small writes count components with n bytes for each platform, dir/00 and on.
func (l *lab) small(dir string, count int, n int64, platforms ...string) ([]component, error) {
	var all []component
	for i := range count {
		c, err := newComponent(filepath.Join(dir, fmt.Sprintf("%02d", i)), fmt.Sprintf("bench/part-%02d", i), platforms)
		if err != nil {
			return nil, err
		}
		for _, p := range platforms {
			from, err := at(l.binaries[filepath.Base(p)], int64(i)*n)
			if err != nil {
				return nil, err
			}
			if err := errors.Join(from.cut(filepath.Join(c.folder(p), "lib", "data"), n), from.close()); err != nil {
				return nil, err
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// composite writes buildpack.toml and package.toml of a buildpack that is made
// of the given components, found at the given locators.
func composite(dir string, parts []component, locators []string) error {
	var order, deps strings.Builder
	for i, c := range parts {
		fmt.Fprintf(&order, "[[order.group]]\nid = %q\nversion = \"1.0.0\"\n", c.id)
		fmt.Fprintf(&deps, "[[dependencies]]\nuri = %q\n", locators[i])
	}
	return errors.Join(
		writeFile(filepath.Join(dir, "buildpack.toml"), []byte("api = \"0.10\"\n\n[buildpack]\nid = \"bench/composite\"\nversion = \"1.0.0\"\n\n[[order]]\n"+order.String()), 0o644),
		writeFile(filepath.Join(dir, "package.toml"), []byte("[buildpack]\nuri = \".\"\n\n"+targets(parts[0].platforms)+deps.String()), 0o644))
}
