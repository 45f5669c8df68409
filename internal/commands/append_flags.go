package commands

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/announce"
	"github.com/multipack/multipack/pkg/platform"
)

// appendFlags are those of every command that appends to a tag of a registry.
type appendFlags struct {
	existingPlatform string
	expect           []string
	noAnnounce       bool
}

func (f *appendFlags) register(fl *pflag.FlagSet) {
	f.registerExisting(fl)
	f.registerExpect(fl)
	fl.BoolVar(&f.noAnnounce, "no-announce", false, "write no announcement tags, for registries that keep tags immutable: a race with another job is then possible")
}

func (f *appendFlags) registerExpect(fl *pflag.FlagSet) {
	fl.StringArrayVar(&f.expect, "expect", nil, "all `platforms` that the tag will have: announcements of others are ignored, no tags are listed, and a note says which are missing (repeatable)")
}

func (f *appendFlags) registerExisting(fl *pflag.FlagSet) {
	fl.StringVar(&f.existingPlatform, "existing-platform", "", "`platform` of a plain image found under the tag, where its config does not say")
}

// request reads the flags.
func (f *appendFlags) request() (announce.Request, error) {
	req := announce.Request{NoAnnounce: f.noAnnounce}
	var err error
	if f.existingPlatform != "" {
		if req.ExistingPlatform, err = platform.Parse(f.existingPlatform); err != nil {
			return req, fmt.Errorf("reading flag '--existing-platform': %w", err)
		}
	}
	list, err := platform.ParseList(f.expect, platform.Local())
	if err != nil {
		return req, fmt.Errorf("reading flag '--expect': %w", err)
	}
	if list.All {
		return req, flagFault("'--expect' wants the platforms by name, not 'all'")
	}
	if req.Expect, err = list.Platforms(); err != nil {
		return req, fmt.Errorf("reading flag '--expect': %w", err)
	}
	return req, nil
}

// given names the first of the flags that was given, "" for none.
func (f *appendFlags) given() string {
	switch {
	case f.existingPlatform != "":
		return "--existing-platform"
	case len(f.expect) > 0:
		return "--expect"
	case f.noAnnounce:
		return "--no-announce"
	}
	return ""
}

// onlyWith refuses the flags where nothing is appended.
func (f *appendFlags) onlyWith(flag string) error {
	if given := f.given(); given != "" {
		return fault.Hint(flagFault("'%s' is about appending to a tag", given), "add '%s'", flag)
	}
	return nil
}
