package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/config"
	"github.com/nes-run/nes/internal/ledger"
)

func newToken(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Create, list and revoke the tokens by which callers sign in",
		Long: `Create, list and revoke the tokens by which callers sign in, while servers run.

Tokens are kept in the ledger (NES_LEDGER), by their SHA-256 alone, beside those of NES_CONFIG. All servers of
the ledger know a new token at once, and let a revoked one in for 2 seconds more at most.
From the first token on, everybody has to sign in. What is done is logged with who did it.`,
	}
	cmd.AddCommand(newTokenCreate(s), newTokenList(s), newTokenRevoke(s))
	return cmd
}

// tokenAsked is what a token is asked for with.
type tokenAsked struct {
	team    string
	roles   []string
	expires string
	entry   bool
}

func newTokenCreate(s streams) *cobra.Command {
	var asked tokenAsked
	cmd := &cobra.Command{
		Use:   "create NAME --team TEAM",
		Short: "Create a token and print it, once",
		Args:  arguments(1, 1, "the name of who gets the token"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return asked.create(cmd.Context(), s, args[0], time.Now())
		},
	}
	f := cmd.Flags()
	f.StringVar(&asked.team, "team", "", "whose runs the token gives access to")
	f.StringSliceVar(&asked.roles, "role", []string{string(access.RoleSubmit)}, "read, submit, operate or admin")
	f.StringVar(&asked.expires, "expires", "", "for how long it may be used, such as 720h or 90d; without it for ever")
	f.BoolVar(&asked.entry, "entry", false, "keep nothing: print the entry for NES_CONFIG as well, which has only the token's SHA-256")
	return cmd
}

func (a tokenAsked) create(ctx context.Context, s streams, name string, now time.Time) error {
	p := access.Principal{Name: name, Team: a.team}
	for _, r := range a.roles {
		p.Roles = append(p.Roles, access.Role(r))
	}
	end, err := expiry(a.expires, now)
	if err != nil {
		return err
	}
	token, issued, err := access.Issue(p, whoami(), now, end)
	if err != nil {
		return err
	}
	if a.entry {
		if end != nil {
			return nes.Errorf(nes.CodeInvalid, "--expires: an entry of NES_CONFIG does not expire; leave out --entry")
		}
		_, err := fmt.Fprintf(s.out, "%s\n\ntokens:\n  - name: %q\n    team: %q\n    token: %s\n    roles: [%s]\n", token, name, a.team, issued.Digest, strings.Join(a.roles, ", "))
		return err
	}
	err = withTokens(ctx, s, func(l *ledger.Ledger, c config.Config) error {
		if err := l.IssueToken(ctx, issued); err != nil {
			return err
		}
		c.Logger(s.err).InfoContext(ctx, "audit", "action", "token_create", "token", name, "team", a.team, "roles", a.roles, "principal", whoami())
		return nil
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, token)
	return err
}

func newTokenList(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the tokens that were ever created, without the tokens themselves",
		Args:  arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withTokens(cmd.Context(), s, func(l *ledger.Ledger, _ config.Config) error {
				all, err := l.IssuedTokens(cmd.Context())
				if err != nil {
					return err
				}
				return listTokens(s, all, time.Now())
			})
		},
	}
}

func listTokens(s streams, all []access.Issued, now time.Time) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tTEAM\tROLES\tCREATED\tBY\tSTATE")
	for _, t := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", t.Name, t.Team, rolesOf(t.Roles), day(t.CreatedAt), t.CreatedBy, stateOf(t, now))
	}
	return w.Flush()
}

func rolesOf(roles []access.Role) string {
	var words []string
	for _, r := range roles {
		words = append(words, string(r))
	}
	return strings.Join(words, ",")
}

func day(at time.Time) string { return at.UTC().Format("2006-01-02") }

// stateOf says whether a token may be used.
func stateOf(t access.Issued, now time.Time) string {
	switch {
	case t.RevokedAt != nil:
		return "revoked " + day(*t.RevokedAt) + " by " + t.RevokedBy
	case !t.Valid(now):
		return "expired " + day(*t.ExpiresAt)
	case t.ExpiresAt != nil:
		return "valid until " + day(*t.ExpiresAt)
	}
	return "valid"
}

func newTokenRevoke(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke NAME",
		Short: "End the use of a token",
		Args:  arguments(1, 1, "the name of who has the token"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return withTokens(ctx, s, func(l *ledger.Ledger, c config.Config) error {
				if err := l.RevokeToken(ctx, args[0], whoami(), time.Now()); err != nil {
					return err
				}
				c.Logger(s.err).InfoContext(ctx, "audit", "action", "token_revoke", "token", args[0], "principal", whoami())
				return nil
			})
		},
	}
}

// withTokens opens the ledger, also beside a server that uses it.
func withTokens(ctx context.Context, s streams, do func(*ledger.Ledger, config.Config) error) error {
	c, err := config.Load()
	if err != nil {
		return err
	}
	if c.Server != "" {
		return nes.Errorf(nes.CodeInvalid, "NES_SERVER is set, but tokens are made where the ledger is: unset it, and set NES_LEDGER or NES_DATA_DIR as the server has it")
	}
	l, err := ledger.Open(ctx, c.Ledger, quiet(c, s))
	if err != nil {
		return err
	}
	err = do(l, c)
	if closing := l.Close(); err == nil {
		err = closing
	}
	return err
}

// expiry reads for how long a token may be used; nil is for ever.
func expiry(text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	var days int
	var rest string
	if n, _ := fmt.Sscanf(text, "%d%s", &days, &rest); n == 2 && rest == "d" && days > 0 && days < 3650 {
		end := now.AddDate(0, 0, days)
		return &end, nil
	}
	d, err := nes.ParseDuration(text)
	if err != nil || d <= 0 {
		return nil, nes.Errorf(nes.CodeInvalid, "--expires: %q is not a time ahead: write 12h or 90d", text)
	}
	end := now.Add(time.Duration(d))
	return &end, nil
}

// whoami is who runs the command on this machine.
func whoami() string {
	name := os.Getenv("SUDO_USER")
	if u, err := user.Current(); err == nil && name == "" {
		name = u.Username
	}
	host, _ := os.Hostname() // without it the name alone has to do
	return strings.Join(slices.DeleteFunc([]string{name, host}, func(s string) bool { return s == "" }), "@")
}
