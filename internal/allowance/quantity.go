package allowance

import (
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/nes-run/nes"
)

// quantity as Kubernetes writes it: a decimal number and a suffix.
var quantity = regexp.MustCompile(`^([0-9]{1,18}(?:\.[0-9]{1,9})?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$`)

var suffixes = map[string]*big.Rat{
	"": big.NewRat(1, 1), "m": big.NewRat(1, 1000),
	"k": power(10, 3), "M": power(10, 6), "G": power(10, 9), "T": power(10, 12), "P": power(10, 15),
	"Ki": power(2, 10), "Mi": power(2, 20), "Gi": power(2, 30), "Ti": power(2, 40), "Pi": power(2, 50),
}

func power(base, exponent int64) *big.Rat {
	return new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(base), big.NewInt(exponent), nil))
}

// parse reads a quantity that is more than nothing.
func parse(s string) (*big.Rat, error) {
	m := quantity.FindStringSubmatch(s)
	if m == nil {
		return nil, fmt.Errorf("%q is no quantity: write 500m, 2 or 4Gi", s)
	}
	v, _ := new(big.Rat).SetString(m[1]) // the pattern lets nothing else through
	if v.Sign() == 0 {
		return nil, fmt.Errorf("%q is nothing: leave it out", s)
	}
	return v.Mul(v, suffixes[m[2]]), nil
}

// fits says why asked is not at most limit; an empty limit is none.
func fits(asked, limit string) error {
	a, err := parse(asked)
	if err != nil || limit == "" {
		return err
	}
	l, err := parse(limit)
	if err != nil {
		return fmt.Errorf("the profile's own limit is wrong: %w", err)
	}
	if a.Cmp(l) > 0 {
		return fmt.Errorf("%s is more than the %s that this profile allows", asked, limit)
	}
	return nil
}

// Grow multiplies memory, up to the profile's maximum; memory that is more already stays as it is. What is no quantity is left alone.
func (p Profile) Grow(memory string, factor float64) string {
	v, err := parse(memory)
	by := new(big.Rat)
	if err != nil || factor <= 1 || by.SetFloat64(factor) == nil {
		return memory
	}
	by.Mul(by, v)
	if limit, err := parse(p.Resources.Max.Memory); err == nil && by.Cmp(limit) > 0 {
		if by = limit; limit.Cmp(v) < 0 {
			return memory
		}
	}
	// Whole mebibytes, rounded up: what Kubernetes and people read alike.
	mebi := new(big.Rat).Quo(by, suffixes["Mi"])
	n := new(big.Int).Div(new(big.Int).Add(mebi.Num(), new(big.Int).Sub(mebi.Denom(), big.NewInt(1))), mebi.Denom())
	return n.String() + "Mi"
}

// Bytes of a quantity, rounded up; 0 where it is none.
func Bytes(s string) int64 {
	v, err := parse(s)
	if err != nil {
		return 0
	}
	n := new(big.Int).Div(new(big.Int).Add(v.Num(), new(big.Int).Sub(v.Denom(), big.NewInt(1))), v.Denom())
	if !n.IsInt64() {
		return 1<<63 - 1
	}
	return n.Int64()
}

func unknownSize(name string, p Profile) string {
	if len(p.Sizes) == 0 {
		return fmt.Sprintf("there is no size %q: this profile offers none by name, so ask for cpu and memory", name)
	}
	names := slices.Sorted(maps.Keys(p.Sizes))
	text := fmt.Sprintf("there is no size %q; there is %s", name, strings.Join(names, ", "))
	if near := nes.Nearest(name, names); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	return text
}
