package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

// TestNotebooksInABucket: the original service's operator puts a notebook of the DAGs folder into a bucket,
// submits its address, and takes it away again when the task is over. The emulator stands for Google's storage.
func TestNotebooksInABucket(t *testing.T) {
	t.Parallel()
	store, err := fakestorage.NewServerWithOptions(fakestorage.Options{Scheme: "http", Host: "127.0.0.1", PublicHost: "127.0.0.1"})
	require.NoError(t, err)
	t.Cleanup(store.Stop)
	const name = "2026-01-31/6f0d1c1e-0d6f-4d0e-9c55-0d5f0a3f6a11.ipynb"
	notebook := `{"nbformat":4,"nbformat_minor":5,"metadata":{"kernelspec":{"name":"python3","display_name":"Python 3","language":"python"}},` +
		`"cells":[{"cell_type":"code","id":"a","execution_count":null,"outputs":[],"metadata":{},"source":"import nes; nes.result('서울')"}]}`
	store.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "nes_notebooks_seoul_28d"})
	store.CreateObject(fakestorage.Object{ObjectAttrs: fakestorage.ObjectAttrs{BucketName: "nes_notebooks_seoul_28d", Name: name}, Content: []byte(notebook)})
	config := filepath.Join(t.TempDir(), "nes.yaml")
	require.NoError(t, os.WriteFile(config, []byte("inputs: [gs://nes_notebooks_seoul_28d]\n"), 0o600))
	s := serve(t, "NES_CONFIG="+config, "STORAGE_EMULATOR_HOST="+store.URL()[len("http://"):])

	run := s.wait(s.submit(nes.Spec{InputURL: "gs://nes_notebooks_seoul_28d/" + name}).ID)
	require.Equal(t, nes.StatusSucceeded, run.Status, run.Message)
	require.JSONEq(t, `"서울"`, string(run.Outcome.Result))
	require.Equal(t, name, run.Source.Path)

	run = s.wait(s.submit(nes.Spec{InputURL: "gs://nes_notebooks_seoul_28d/gone.ipynb"}).ID)
	require.Equal(t, nes.ReasonSourceNotFound, run.Reason)
	run = s.wait(s.submit(nes.Spec{InputURL: "gs://another/" + name}).ID)
	require.Equal(t, nes.ReasonSourceForbidden, run.Reason)
	require.Contains(t, run.Message, "gs://another")
}
