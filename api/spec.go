package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/intake"
	"github.com/nes-run/nes/internal/parameters"
	"github.com/nes-run/nes/internal/strictjson"
)

// readSpec reads a submission and lists everything that is wrong with it. The header's
// idempotency key wins over the body's.
func readSpec(data []byte, header http.Header) (nes.Spec, []nes.Problem) {
	var spec nes.Spec
	problems := strictjson.Decode(data, &spec)
	if key := header.Get("Idempotency-Key"); key != "" {
		spec.IdempotencyKey = key
	}
	if slices.ContainsFunc(problems, func(p nes.Problem) bool { return p.Field == "" }) {
		return spec, problems // no object was read, so nothing is known of its fields
	}
	return spec, merge(problems, checkSpec(&spec))
}

// checkSpec lists what is wrong with a submission by itself.
func checkSpec(spec *nes.Spec) []nes.Problem {
	problems := append(spec.Validate(), parameters.CheckNames(spec.Parameters)...)
	return merge(problems, intake.CheckAddress(spec.InputURL))
}

// merge adds problems of fields that nothing was said about yet: of a field that could
// not be read, the check of its value would only say that it is missing.
func merge(said, more []nes.Problem) []nes.Problem {
	read := len(said)
	for _, p := range more {
		known := slices.ContainsFunc(said[:read], func(o nes.Problem) bool {
			return o.Field == p.Field || strings.HasPrefix(p.Field, o.Field+".") || strings.HasPrefix(p.Field, o.Field+"[")
		})
		if !known {
			said = append(said, p)
		}
	}
	return said
}

// fingerprint is equal for two submissions that ask for the same, whatever the order
// in which they write it. The key itself is not part of it; numbers count as they are written.
func fingerprint(spec nes.Spec) (string, error) {
	spec.IdempotencyKey = ""
	b, err := json.Marshal(spec)
	if err != nil {
		return "", err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return "", err
	}
	canonical, err := json.Marshal(v) // maps are written in the order of their keys
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}
