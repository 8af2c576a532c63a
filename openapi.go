package nes

import _ "embed" // for the contract below

//go:embed openapi.yaml
var openAPI string

// OpenAPI returns the HTTP API's contract, openapi.yaml.
func OpenAPI() string { return openAPI }
