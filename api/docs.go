package api

func renderDocs() ([]byte, error) { return nil, nil }
