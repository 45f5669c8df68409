package commands

import "github.com/spf13/cobra"

func manifestFamily(s *session) family {
	group := &cobra.Command{
		Use:   "manifest",
		Short: "Make and edit manifest lists (image indexes) of images from anywhere",
		Long: `Make and edit manifest lists (image indexes) of images from anywhere, and push them anywhere.

A list is an index that is kept in the local store under a name, which is an image name:
'x', 'x:latest' and 'docker.io/library/x:latest' are one list. The store is $MULTIPACK_HOME,
else $XDG_DATA_HOME/multipack, else ~/.local/share/multipack; each list is an OCI image layout there.`,
		Example: `  multipack manifest create ghcr.io/acme/app:1 ghcr.io/acme/app:1-amd64 ghcr.io/acme/app:1-arm64
  multipack manifest add ghcr.io/acme/app:1 oci-archive:app-riscv64.tar
  multipack manifest inspect ghcr.io/acme/app:1`,
		Args: cobra.ArbitraryArgs,
		RunE: runGroup,
	}
	return family{group, func() []*cobra.Command {
		return []*cobra.Command{
			newManifestCreate(s), newManifestAdd(s), newManifestAnnotate(s), newManifestRm(s), newManifestRemove(s), newManifestSettle(s),
			newManifestLs(s), newManifestExists(s), newManifestInspect(s), newManifestPrune(s),
			newManifestPush(s), newManifestSave(s), newManifestLoad(s), newManifestCopy(s), newManifestDiff(s), newManifestVerify(s),
		}
	}}
}
