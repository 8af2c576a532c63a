package config

import (
	"fmt"
	"strings"
)

// Source is a credential for private repositories.
type Source struct {
	Host         string   `yaml:"host"`         // such as github.com, with a port where it is not the usual one
	Repositories string   `yaml:"repositories"` // elements that their paths begin with, such as acme or acme/reports; empty is all of the host
	Teams        []string `yaml:"teams"`        // who may use it; without the key every team, with an empty list none
	Username     string   `yaml:"username"`     // beside the token, where the host asks for a certain one
	Token        Hidden   `yaml:"token"`
	TokenFile    string   `yaml:"token_file"` // instead of the token; read at each fetch
	SSHKey       string   `yaml:"ssh_key"`    // file with a private key, for SSH addresses
	KnownHosts   string   `yaml:"known_hosts"`
}

// Hidden is a secret that shows itself nowhere.
type Hidden string

// String hides the secret from what prints it.
func (Hidden) String() string { return "***" }

// GoString hides the secret from what prints it with its type.
func (Hidden) GoString() string { return "***" }

// files are what has to be readable for the credential to be of use.
func (c Source) files() []string { return []string{c.TokenFile, c.SSHKey, c.KnownHosts} }

// validate says what is wrong with a credential; it never shows one.
func (c Source) validate() (wrong []string) {
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if c.Host == "" || c.Host != strings.ToLower(c.Host) || strings.ContainsAny(c.Host, "/@ ") {
		add("host must be a name such as github.com, without scheme and path")
	}
	if given := count(c.Token != "") + count(c.TokenFile != "") + count(c.SSHKey != ""); given != 1 {
		add("exactly one of token, token_file and ssh_key is needed")
	}
	if (c.SSHKey != "") != (c.KnownHosts != "") {
		add("ssh_key and known_hosts belong together: a host that nobody vouches for is not trusted")
	}
	if c.Username != "" && c.SSHKey != "" {
		add("username belongs to a token; that of SSH stands in the address")
	}
	return wrong
}
