package regtest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	// The storage drivers register themselves.
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sirupsen/logrus"
)

var acceptAll = strings.Join([]string{
	string(types.OCIImageIndex), string(types.DockerManifestList), string(types.OCIManifestSchema1), string(types.DockerManifestSchema2),
}, ", ")

// newDistribution is the distribution registry, in memory, or on disk when dir
// is not "". Its log, which only logrus' standard logger takes, is silenced.
func newDistribution(dir string) (http.Handler, func() error, error) {
	logrus.SetOutput(io.Discard)
	conf := &configuration.Configuration{
		Storage: configuration.Storage{
			"delete":      configuration.Parameters{"enabled": true},
			"maintenance": configuration.Parameters{"uploadpurging": map[any]any{"enabled": false}},
		},
	}
	conf.HTTP.Secret = "regtest"
	conf.Catalog.MaxEntries = 1000
	if dir == "" {
		conf.Storage["inmemory"] = configuration.Parameters{}
	} else {
		conf.Storage["filesystem"] = configuration.Parameters{"rootdirectory": dir}
	}
	app := handlers.NewApp(context.Background(), conf)
	return app, app.Shutdown, nil
}

// readAgain reads a request's body and gives it a second time.
func readAgain(req *http.Request) (io.ReadCloser, []byte, error) {
	raw, err := io.ReadAll(req.Body)
	return io.NopCloser(bytes.NewReader(raw)), raw, err
}
