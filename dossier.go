package nes

import (
	"encoding/json"
	"time"
)

// Dossier is all that the ledger knows of one run. It is kept in the bucket, so that a lost ledger can be made again.
type Dossier struct {
	V        int           `json:"v"` // 1
	Run      Run           `json:"run"`
	AskedAt  *time.Time    `json:"asked_at,omitempty"`
	Attempts []KeptAttempt `json:"attempts,omitempty"`
	Events   []Event       `json:"events,omitempty"`
	Keys     []KeptKey     `json:"keys,omitempty"`
}

// KeptAttempt is an attempt with what the API does not show of it.
type KeptAttempt struct {
	Attempt
	TokenHash string          `json:"token_hash"`
	Place     string          `json:"place,omitempty"`
	Exit      json.RawMessage `json:"exit,omitempty"`
}

// KeptKey is an idempotency key that belongs to the run.
type KeptKey struct {
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint"`
}
