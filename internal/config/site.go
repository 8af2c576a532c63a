package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/allowance"
)

// Site is the YAML file: what an administrator offers, and to whom.
type Site struct {
	Runtimes []Runtime      `yaml:"runtimes"`
	Profiles []Profile      `yaml:"profiles"`
	Tokens   []access.Token `yaml:"tokens"`
	Sources  []Source       `yaml:"sources"`
	Trusted  Trusted        `yaml:"trusted"`
	// Timeout is the executing time of runs that set none; 0 is none.
	Timeout duration `yaml:"timeout"`
	// Inputs are buckets beside NES's own that notebooks may be read from: gs://name, s3://name.
	Inputs []string `yaml:"inputs"`
	// CredentialParameters says what becomes of a request with a parameter that looks like a credential.
	CredentialParameters CredentialParameters `yaml:"credential_parameters"`
	// Original is for clients of the original service.
	Original Original `yaml:"original"`
}

// Runtime is a named environment that notebooks run in.
type Runtime = allowance.Runtime

// Profile is a named allowance.
type Profile = allowance.Profile

// duration is nes.Duration in YAML.
type duration nes.Duration

// UnmarshalYAML reads 90s, 15m or a number of seconds.
func (d *duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := nes.ParseDuration(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*d = duration(v)
	return nil
}

// maxSite is the size of the file, in bytes.
const maxSite = 1 << 20

// ReadSite reads the file at path. Keys that are not known are errors, with their line.
func ReadSite(path string) (Site, error) {
	f, err := os.Open(path)
	if err != nil {
		return Site{}, fmt.Errorf("cannot be read: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSite+1))
	if err != nil {
		return Site{}, fmt.Errorf("cannot be read: %w", err)
	}
	if len(b) > maxSite {
		return Site{}, fmt.Errorf("%s: is larger than %d bytes", path, maxSite)
	}
	site, err := parseSite(b)
	if err != nil {
		return Site{}, fmt.Errorf("%s: %w", path, err)
	}
	return site, nil
}

func parseSite(b []byte) (Site, error) {
	var s Site
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return Site{}, plain(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Site{}, errors.New("holds more than one YAML document")
	}
	return s, s.validate()
}

// unknownKey is how the YAML library speaks of a key that no field has.
var unknownKey = regexp.MustCompile(`field (\S+) not found in type \S+`)

// plain says what is wrong with a file in words that do not need the source code of NES.
func plain(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n")
	text = unknownKey.ReplaceAllString(text, `unknown key "$1"`)
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return errors.New(strings.Join(lines, "; "))
}

func (s Site) validate() error {
	var wrong []string
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	names, defaults := map[string]bool{}, 0
	for i, r := range s.Runtimes {
		if r.Name == "" || names[r.Name] {
			add("runtimes[%d]: a name of its own is needed", i)
		}
		for _, problem := range r.Problems() {
			add("runtimes[%d]: %s", i, problem)
		}
		names[r.Name] = true
		defaults += count(r.Default)
	}
	for _, problem := range s.inputProblems() {
		add("%s", problem)
	}
	if defaults > 1 {
		add("runtimes: only one may be the default")
	}
	names = map[string]bool{}
	for i, p := range s.Profiles {
		if p.Name == "" || names[p.Name] || p.MaxRunning < 0 {
			add("profiles[%d]: a name of its own is needed, and a max_running that is not negative", i)
		}
		for _, problem := range p.Problems() {
			add("profiles[%d]: %s", i, problem)
		}
		names[p.Name] = true
	}
	if !s.CredentialParameters.valid() {
		add("credential_parameters: %q is neither refuse nor allow", s.CredentialParameters)
	}
	for i, c := range s.Sources {
		for _, why := range c.validate() {
			add("sources[%d]: %s", i, why)
		}
	}
	for _, why := range s.validateTrusted() {
		add("trusted: %s", why)
	}
	if _, err := access.NewTokens(s.Tokens); err != nil {
		add("%v", err)
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
