package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Server is what server.json in the data directory says of the process that owns it.
type Server struct {
	URL string `json:"url"` // by which this machine reaches it
	PID int    `json:"pid"`
	// Token to sign in with, where the server made one for this machine's user alone.
	Token string `json:"token,omitempty"`
}

const serverFile = "server.json"

// ReadServer reads which server owns a data directory. That it is written there
// does not mean that it lives.
func ReadServer(dir string) (Server, error) {
	b, err := os.ReadFile(filepath.Join(dir, serverFile))
	if err != nil {
		return Server{}, err
	}
	var s Server
	if err := json.Unmarshal(b, &s); err != nil {
		return Server{}, fmt.Errorf("read %s: %w", serverFile, err)
	}
	return s, nil
}

// writeFile replaces a file for its readers at once. It need not live through a
// loss of power: what it says would not be true any more.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
