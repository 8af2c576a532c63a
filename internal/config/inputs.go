package config

import (
	"fmt"
	"net/url"
)

// inputProblems says which of Inputs is no bucket.
func (s Site) inputProblems() (wrong []string) {
	for i, address := range s.Inputs {
		u, err := url.Parse(address)
		if err != nil || (u.Scheme != "gs" && u.Scheme != "s3") || u.Host == "" || u.User != nil || address != u.Scheme+"://"+u.Host {
			wrong = append(wrong, fmt.Sprintf("inputs[%d]: %q is no bucket: write gs://name or s3://name", i, address))
		}
	}
	return wrong
}
