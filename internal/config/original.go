package config

import "github.com/nes-run/nes"

// Original says what images and sizes of the original service's second contract mean here.
type Original struct {
	// Runtimes are names of runtimes by image and tag: "team/python:3.12".
	Runtimes map[string]string `yaml:"runtimes"`
	// Sizes are resources by kind and size: "CPU/LARGE". An empty one asks for nothing.
	Sizes map[string]nes.Resources `yaml:"sizes"`
}
