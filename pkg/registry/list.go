package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
)

const (
	// pageSize is the largest that ECR answers.
	pageSize = 1000
	// longestPage bounds one page: 1000 tags of 128 bytes, with room.
	longestPage = 8 << 20
)

// nextPage finds the link to the next page, RFC 8288.
var nextPage = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`<([^>]*)>\s*;[^,]*\brel="?next\b`) })

// Tags lists repo's tags after last, in the order of the registry, all pages;
// last is "" for all tags. A repository that does not exist is fault.NotFound.
func (c *Client) Tags(ctx context.Context, repo name.Repository, last string) ([]string, error) {
	tags, err := c.tags(ctx, repo, last)
	return tags, c.fail(ctx, repo.Registry, err, "listing the tags of %s", quote(repo))
}

func (c *Client) tags(ctx context.Context, repo name.Repository, last string) ([]string, error) {
	query := url.Values{"n": {fmt.Sprint(pageSize)}}
	if last != "" {
		query.Set("last", last)
	}
	var tags []string
	err := c.pages(ctx, repo, "/v2/"+repo.RepositoryStr()+"/tags/list", query, func(raw []byte) error {
		var page struct {
			Tags []string `json:"tags"`
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			return &contentError{"the registry's list of tags is not valid: " + err.Error()}
		}
		tags = append(tags, page.Tags...)
		return nil
	})
	return tags, err
}

// pages reads one page after the other, as the Link header says.
func (c *Client) pages(ctx context.Context, repo name.Repository, path string, query url.Values, page func([]byte) error) error {
	s, err := c.reading(ctx, repo)
	if err != nil {
		return err
	}
	next := call{method: http.MethodGet, path: path, query: query}
	seen := map[string]bool{}
	for {
		resp, err := s.send(ctx, next)
		if err != nil {
			return err
		}
		raw, err := readPage(resp)
		if err != nil {
			return err
		}
		if s, err = c.session(ctx, repo, pull(repo)); err != nil {
			return err
		}
		if err := page(raw); err != nil {
			return err
		}
		link := nextPage().FindStringSubmatch(strings.Join(resp.Header.Values("Link"), ", "))
		if link == nil {
			return nil
		}
		u, err := resp.Request.URL.Parse(link[1])
		if err != nil || seen[u.String()] || u.Host != s.greeting.registry.RegistryStr() {
			return &contentError{"the registry's link to the next page leads nowhere"}
		}
		seen[u.String()] = true
		u.Scheme = s.greeting.scheme
		next = call{method: http.MethodGet, url: u}
	}
}

func readPage(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	if err := expect(resp, http.StatusOK); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, longestPage+1))
	if err == nil && len(raw) > longestPage {
		err = &contentError{fmt.Sprintf("a page is larger than %d MiB", longestPage>>20)}
	}
	return raw, err
}

// Referrers lists the manifests whose subject is d: by the referrers API, else
// by the fallback tag of the specification (sha256-<hex>). None is no error.
func (c *Client) Referrers(ctx context.Context, d name.Digest) ([]v1.Descriptor, error) {
	found, err := c.referrers(ctx, d)
	if said, ok := errors.AsType[*answerError](err); ok && (said.status == http.StatusNotFound || said.status == http.StatusMethodNotAllowed) {
		found, err = c.fallbackReferrers(ctx, d)
	}
	return found, c.fail(ctx, d.Context().Registry, err, "listing the referrers of %s", quote(d))
}

func (c *Client) referrers(ctx context.Context, d name.Digest) ([]v1.Descriptor, error) {
	var found []v1.Descriptor
	path := fmt.Sprintf("/v2/%s/referrers/%s", d.Context().RepositoryStr(), d.DigestStr())
	err := c.pages(ctx, d.Context(), path, nil, func(raw []byte) error {
		return addReferrers(&found, raw)
	})
	return found, err
}

func (c *Client) fallbackReferrers(ctx context.Context, d name.Digest) ([]v1.Descriptor, error) {
	tag := d.Context().Tag(strings.Replace(d.DigestStr(), ":", "-", 1))
	m, err := c.manifest(ctx, tag)
	if said, ok := errors.AsType[*answerError](err); ok && said.kind() == fault.NotFound {
		return nil, nil
	}
	if err != nil || !m.MediaType.IsIndex() {
		return nil, err
	}
	var found []v1.Descriptor
	err = addReferrers(&found, m.Raw)
	return found, err
}

func addReferrers(found *[]v1.Descriptor, raw []byte) error {
	index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return &contentError{"the registry's list of referrers is not valid: " + err.Error()}
	}
	*found = append(*found, index.Manifests...)
	return nil
}

// Delete deletes a tag, or by digest a manifest with all its tags. Many
// registries do neither; the error then says so.
func (c *Client) Delete(ctx context.Context, ref name.Reference) error {
	err := c.delete(ctx, ref)
	if said, ok := errors.AsType[*answerError](err); ok && ctx.Err() == nil {
		switch {
		case said.status == http.StatusMethodNotAllowed, said.code == "UNSUPPORTED":
			return fault.New(fault.Failed, "deleting %s: the registry does not allow it: %w", quote(ref), said)
		case said.conflict():
			return fault.New(fault.Conflict, "deleting %s: %w", quote(ref), said)
		}
	}
	return c.fail(ctx, ref.Context().Registry, err, "deleting %s", quote(ref))
}

func (c *Client) delete(ctx context.Context, ref name.Reference) error {
	repo := ref.Context()
	// The action "delete" is the token specification's; registries that do not
	// know it look at push.
	s, err := c.session(ctx, repo, "repository:"+repo.RepositoryStr()+":delete,push,pull")
	if err != nil {
		return err
	}
	defer c.manifests.forget(repo)
	resp, err := s.send(ctx, call{method: http.MethodDelete, path: manifestPath(ref), manner: manner{write: true}})
	if err != nil {
		return err
	}
	defer drain(resp)
	return expect(resp, http.StatusAccepted, http.StatusOK, http.StatusNoContent)
}
