package nes_test

import (
	"testing"

	"github.com/nes-run/nes"
	"github.com/stretchr/testify/require"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"input_url", "parameters", "timeout", "cell_timeout", "labels", "지역"}
	for given, want := range map[string]string{
		"parameter":   "parameters",
		"paramaters":  "parameters",
		"imput_url":   "input_url",
		"inptu_url":   "input_url", // two neighbours swapped count once
		"Timeout":     "timeout",
		"cellTimeout": "cell_timeout",
		"lable":       "labels",
		"lables":      "labels",
		"지약":          "지역",
		"x":           "",
		"":            "",
		"colour":      "",
		"zzzzzzzzzz":  "",
	} {
		require.Equal(t, want, nes.Nearest(given, known), given)
	}
	require.Empty(t, nes.Nearest("anything", nil))
}
