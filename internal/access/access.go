package access

import (
	"context"
	"fmt"
	"slices"

	"github.com/nes-run/nes"
)

// Role is a set of rights. Each role has those of the ones before it too.
type Role string

// The roles, from least to most.
const (
	RoleRead    Role = "read"    // see the team's runs
	RoleSubmit  Role = "submit"  // run notebooks; cancel what one submitted oneself
	RoleOperate Role = "operate" // cancel any run of the team
	RoleAdmin   Role = "admin"   // everything, in every team
)

// Roles lists the roles, from least to most.
func Roles() []Role { return []Role{RoleRead, RoleSubmit, RoleOperate, RoleAdmin} }

// Action is something a caller wants to do.
type Action string

// The actions. Those on an object need the run they are about.
const (
	ActionList    Action = "list"    // see which runs there are
	ActionRead    Action = "read"    // see a run and everything of it
	ActionSubmit  Action = "submit"  // run a notebook, look into one, or send one
	ActionRerun   Action = "rerun"   // run a run's notebook again
	ActionCancel  Action = "cancel"  // end a run
	ActionMetrics Action = "metrics" // see the figures of the whole service
	ActionBrowse  Action = "browse"  // see all of the bucket, whoever's it is
)

// Principal is a caller whose credential was checked.
type Principal struct {
	Name  string
	Team  string
	Roles []Role
	// Profile, if there is one, is that of all its runs: what others may choose is chosen for it.
	Profile string
}

// Allot gives spec the profile of p, if it has one. The problem is that spec names another.
func (p Principal) Allot(spec *nes.Spec) []nes.Problem {
	if p.Profile == "" || spec.Profile == p.Profile {
		return nil
	}
	if spec.Profile == "" {
		spec.Profile = p.Profile
		return nil
	}
	return []nes.Problem{{Field: "profile", Message: fmt.Sprintf("must be %q for %s, or left out", p.Profile, p.Name)}}
}

// Local is the principal of a server on loopback without configured tokens: the
// person at the machine, who may do everything.
func Local() Principal {
	return Principal{Name: "local", Team: "local", Roles: []Role{RoleAdmin}}
}

// Has reports whether p has role or one above it.
func (p Principal) Has(role Role) bool {
	order := Roles()
	need := slices.Index(order, role)
	return need >= 0 && slices.ContainsFunc(p.Roles, func(r Role) bool { return slices.Index(order, r) >= need })
}

// Teams lists whose runs p may see; nil means every team's.
func (p Principal) Teams() []string {
	if p.Has(RoleAdmin) {
		return nil
	}
	return []string{p.Team}
}

// Authorize says whether p may do a with run, which is nil for what concerns no
// single run. The error is a *nes.Error: not_found for what p may not know of, else forbidden.
func Authorize(p Principal, a Action, run *nes.Run) error {
	if run != nil && run.Team != p.Team && !p.Has(RoleAdmin) {
		return NotFound(run.ID)
	}
	if need := required(p, a, run); !p.Has(need) {
		if run != nil && !p.Has(RoleRead) {
			return NotFound(run.ID)
		}
		return nes.Errorf(nes.CodeForbidden, "%s may not %s here: that needs the role %q", p.Name, a, need)
	}
	return nil
}

// required is the least role that allows a. An unknown action is nobody's but an administrator's.
func required(p Principal, a Action, run *nes.Run) Role {
	switch a {
	case ActionList, ActionRead, ActionMetrics:
		return RoleRead
	case ActionSubmit, ActionRerun:
		return RoleSubmit
	case ActionCancel:
		if run != nil && run.Owner == p.Name {
			return RoleSubmit
		}
		return RoleOperate
	}
	return RoleAdmin
}

// NotFound is the answer for a run that does not exist or may not be known of.
func NotFound(id nes.RunID) error {
	return nes.Errorf(nes.CodeNotFound, "there is no run %q", id)
}

type contextKey struct{}

// With returns a context that carries p.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// From returns the principal that ctx carries. Without one it is nobody, who may do nothing.
func From(ctx context.Context) Principal {
	p, _ := ctx.Value(contextKey{}).(Principal)
	return p
}
