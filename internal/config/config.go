// Package config reads how NES is set up: variables of the environment that begin
// with NES_, and one YAML file for what is a list (runtimes, profiles, tokens).
//
// Everything has a default with which "nes serve" works on a laptop. Errors name
// the variable or the line of the file, and say what to write instead.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"

	"github.com/kelseyhightower/envconfig"

	"github.com/nes-run/nes"
)

// Config is how one process of NES is set up. The tags are the documentation:
// docs/configuration.md is made of them.
type Config struct {
	Addr      string `envconfig:"ADDR" default:"127.0.0.1:8080" desc:"Where the server listens: host and port. Anything but loopback needs tokens in NES_CONFIG."`
	DataDir   string `envconfig:"DATA_DIR" shown:"~/.local/share/nes" desc:"Directory of everything that is kept on this machine. One process owns it at a time. XDG_DATA_HOME moves the default."`
	Ledger    string `envconfig:"LEDGER" shown:"sqlite below the data directory" desc:"Database of runs: sqlite:///var/lib/nes/ledger.db, or postgres://user:password@host/database for several servers; see docs/ledger.md."`
	Bucket    string `envconfig:"BUCKET" shown:"file below the data directory" desc:"Where notebooks are stored: file:///var/lib/nes/bucket, gs://bucket/prefix or s3://bucket/prefix; see docs/storage.md."`
	Backend   string `envconfig:"BACKEND" default:"local" desc:"What executes notebooks: local, as processes on this machine, or kubernetes, as pods; see docs/kubernetes.md."`
	File      string `envconfig:"CONFIG" desc:"YAML file with runtimes, profiles and tokens; see below."`
	Python    string `envconfig:"PYTHON" shown:"python3 on PATH" desc:"Python interpreter that has papermill and a kernel, for runs that name no runtime."`
	Server    string `envconfig:"SERVER" desc:"Address of the server that commands talk to, such as https://nes.example.com. Unset, they use the server that owns the data directory, or run notebooks themselves."`
	Token     string `envconfig:"TOKEN" secret:"true" desc:"Token with which commands sign in to NES_SERVER."`
	PublicURL string `envconfig:"PUBLIC_URL" shown:"the address listened on" desc:"Address by which people reach the server; links are made with it."`
	URLPrefix string `envconfig:"URL_PREFIX" desc:"Path below which everything is served, such as /nes."`

	FetchAllowCIDRs []string `envconfig:"FETCH_ALLOW_CIDRS" desc:"Networks beside the public internet that notebooks may be fetched from, such as 10.0.0.0/8,192.168.1.7/32. A server on loopback may fetch from loopback too."`
	FetchRoots      []string `envconfig:"FETCH_ROOTS" desc:"Directories whose Git repositories may be run by file:// addresses."`
	FetchSSHKey     string   `envconfig:"FETCH_SSH_KEY" desc:"File with the private key, without passphrase, by which notebooks are fetched over SSH."`
	FetchKnownHosts string   `envconfig:"FETCH_SSH_KNOWN_HOSTS" desc:"File of SSH host keys, as ssh-keyscan prints them; a host that is not in it is refused."`
	TrustedCIDRs    []string `envconfig:"TRUSTED_CIDRS" desc:"Networks whose callers need no token, such as 10.20.0.0/16. Without one they are who the key trusted of NES_CONFIG says, else \"trusted\" of a team of that name, who may submit. Anybody else has to sign in then."`
	TrustedProxies  []string `envconfig:"TRUSTED_PROXIES" desc:"Proxies before the server whose X-Forwarded-For says where a request comes from, for NES_TRUSTED_CIDRS."`
	RateLimit       int      `envconfig:"RATE_LIMIT" default:"200" desc:"Requests a second that each caller may make, with a burst of ten seconds' worth, where people sign in. Further ones are answered 429."`
	AllowedHosts    []string `envconfig:"ALLOWED_HOSTS" desc:"Further names by which a server without tokens may be addressed."`

	AgentAddr     string `envconfig:"AGENT_ADDR" shown:"loopback; :8081 for pods" desc:"Where the server listens for the agents that stand beside notebooks: host and port."`
	AgentURL      string `envconfig:"AGENT_URL" desc:"Address by which agents in pods reach the server, such as http://nes-agents.nes:8081. Needed for kubernetes."`
	AgentImage    string `envconfig:"AGENT_IMAGE" desc:"Image of nes-agent, which goes into every pod. Needed for kubernetes."`
	AgentKeyFile  string `envconfig:"AGENT_KEY_FILE" shown:"the ledger's, where servers share it; agent.key in the data directory" desc:"File with the 32 bytes from which agents' tokens are made. Servers that share a ledger must have the same."`
	KubeNamespace string `envconfig:"KUBE_NAMESPACE" shown:"the kubeconfig's, or the server's own" desc:"Namespace of pods whose profile names none. The cluster is the one that KUBECONFIG names, or the one around the server."`

	MaxRunning int    `envconfig:"MAX_RUNNING" shown:"number of cores; 100 for pods" desc:"Notebooks that run at once; further ones wait their turn."`
	Insecure   bool   `envconfig:"INSECURE" default:"false" desc:"Let everyone who reaches the server do everything, without tokens. Only behind something that signs people in."`
	LogLevel   string `envconfig:"LOG_LEVEL" default:"info" desc:"Least level that is logged: debug, info, warn or error."`
	LogFormat  string `envconfig:"LOG_FORMAT" default:"text" desc:"Form of the log on standard error: text or json."`

	// Site is what the file says.
	Site Site `ignored:"true"`
}

// Load reads the environment and the file that it names.
func Load() (Config, error) {
	for _, v := range Variables() {
		// Empty is as good as unset, but the library takes it for a wrong number.
		if value, set := os.LookupEnv(v.Name); set && value == "" {
			if err := os.Unsetenv(v.Name); err != nil {
				return Config{}, fmt.Errorf("unset %s: %w", v.Name, err)
			}
		}
	}
	var c Config
	if err := envconfig.Process(prefix, &c); err != nil {
		return Config{}, asProblem(err)
	}
	return c.Complete()
}

// prefix of every variable, in lower case.
const prefix = "nes"

// asProblem says which variable could not be read.
func asProblem(err error) error {
	var p *envconfig.ParseError
	if !errors.As(err, &p) {
		return nes.Errorf(nes.CodeInvalid, "read the environment: %w", err)
	}
	cure := "a whole number is needed, such as 4"
	if p.TypeName == "bool" {
		cure = "true or false is needed"
	}
	return nes.Invalid([]nes.Problem{{Field: p.KeyName, Message: fmt.Sprintf("%q cannot be read: %s, or leave the variable unset", p.Value, cure)}})
}

// Complete fills in defaults, reads the file, and checks everything. Its error is
// made by nes.Invalid and names every variable that is wrong.
func (c Config) Complete() (Config, error) {
	c, problems := c.withDefaults()
	if c.File != "" {
		site, err := ReadSite(c.File)
		if err != nil {
			problems = append(problems, nes.Problem{Field: "NES_CONFIG", Message: err.Error()})
		}
		c.Site = site
	}
	problems = append(problems, c.validate()...)
	return c, nes.Invalid(problems)
}

func (c Config) withDefaults() (Config, []nes.Problem) {
	var problems []nes.Problem
	if c.DataDir == "" {
		dir, err := defaultDataDir()
		if err != nil {
			problems = append(problems, nes.Problem{Field: "NES_DATA_DIR", Message: "has no default here, because " + err.Error() + ": set it"})
		}
		c.DataDir = dir
	}
	if abs, err := filepath.Abs(c.DataDir); err == nil && c.DataDir != "" {
		c.DataDir = abs
	}
	c.Addr = or(c.Addr, "127.0.0.1:8080")
	c.Ledger = or(c.Ledger, "sqlite://"+filepath.Join(c.DataDir, "ledger.db"))
	c.Bucket = or(c.Bucket, "file://"+filepath.Join(c.DataDir, "bucket"))
	c.Backend = or(c.Backend, "local")
	if c.Backend == Kubernetes {
		c = c.forPods()
	}
	c.LogLevel = or(c.LogLevel, "info")
	c.LogFormat = or(c.LogFormat, "text")
	c.MaxRunning = or(c.MaxRunning, runtime.GOMAXPROCS(0))
	c.RateLimit = or(c.RateLimit, 200)
	c.AgentAddr = or(c.AgentAddr, "127.0.0.1:0")
	return c, problems
}

// or returns v, or what stands for its zero value.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func defaultDataDir() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "nes"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "share", "nes"), nil
}

// AllowedPrefixes are the networks of NES_FETCH_ALLOW_CIDRS.
func (c Config) AllowedPrefixes() []netip.Prefix {
	return prefixes(c.FetchAllowCIDRs)
}

// Level is that of NES_LOG_LEVEL.
func (c Config) Level() slog.Level {
	var l slog.Level
	_ = l.UnmarshalText([]byte(c.LogLevel)) // validate has refused what is none
	return l
}

// Logger writes to w as the configuration says.
func (c Config) Logger(w *os.File) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.Level()}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
