package config

// CredentialParameters is refuse, which is also the meaning of nothing, or allow.
type CredentialParameters string

// The values of CredentialParameters.
const (
	RefuseCredentials CredentialParameters = "refuse"
	AllowCredentials  CredentialParameters = "allow"
)

func (c CredentialParameters) valid() bool {
	return c == "" || c == RefuseCredentials || c == AllowCredentials
}
