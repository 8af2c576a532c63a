package nes

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Duration is a time span that JSON carries as Go writes it ("90s", "1h30m") and
// accepts as a number of seconds too.
type Duration time.Duration

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns d as Go writes it.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON writes d as a string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads "1m30s", "90" or 90; null leaves d as it is.
func (d *Duration) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var s string
	if json.Unmarshal(b, &s) != nil {
		s = string(b)
	}
	v, err := ParseDuration(s)
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// maxDuration keeps seconds within what time.Duration can hold.
const maxDuration = 10 * 365 * 24 * time.Hour

// ParseDuration reads a Go duration or a number of seconds, neither negative nor beyond ten years.
func ParseDuration(s string) (Duration, error) {
	v, err := time.ParseDuration(s)
	if err != nil {
		sec, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || sec != sec || sec > maxDuration.Seconds() {
			return 0, fmt.Errorf("%q is not a duration: write 90s, 15m or 2h", s)
		}
		v = time.Duration(sec * float64(time.Second))
	}
	if v < 0 || v > maxDuration {
		return 0, fmt.Errorf("%q is not between 0 and ten years", s)
	}
	return Duration(v), nil
}
