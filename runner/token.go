package runner

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Key makes the tokens of attempts. They are derived and not drawn, so that a server that
// crashed between the intent to launch and the launch can make the same token again; the ledger
// keeps a hash alone.
type Key []byte

// keySize of a key, in bytes.
const keySize = 32

// DrawKey makes a key, as text.
func DrawKey() string {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	return base64.RawURLEncoding.EncodeToString(key)
}

// ParseKey reads a key that DrawKey made.
func ParseKey(text string) (Key, error) {
	key, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(key) != keySize {
		return nil, errors.New("key of the attempts' tokens: what the ledger keeps is none")
	}
	return key, nil
}

// LoadKey reads the key in file, and makes one there when there is none.
func LoadKey(file string) (Key, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = makeKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("key of the attempts' tokens: %w", err)
	}
	if len(raw) != keySize {
		return nil, fmt.Errorf("key of the attempts' tokens: %s has %d bytes, not %d: delete it when no run is under way", file, len(raw), keySize)
	}
	return raw, nil
}

// makeKey links a finished file into place, so that nobody reads half a key and of two makers one wins.
func makeKey(file string) ([]byte, error) {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	tmp, err := os.CreateTemp(filepath.Dir(file), ".key-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(key)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(tmp.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(file)
}

// Token of an attempt.
func (k Key) Token(ref Ref) string {
	mac := hmac.New(sha256.New, k)
	fmt.Fprintf(mac, "nes attempt %s %d", ref.Run, ref.Attempt)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// HashToken is what the ledger keeps of a token.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// tokenFits compares in a time that tells nothing.
func tokenFits(token, hash string) bool {
	return subtle.ConstantTimeCompare([]byte(HashToken(token)), []byte(hash)) == 1
}
