package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nes-run/nes/api/client"
	"github.com/nes-run/nes/internal/parameters"
)

func newInspect(s streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect NOTEBOOK",
		Short: "Show a notebook's parameters and kernel without running it",
		Args:  arguments(1, 1, "the notebook's address or path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd.Context(), s, look, func(ctx context.Context, ses *session) error {
				found, err := inspect(ctx, s, ses, args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(s.out, found)
				}
				return showInspection(s, &found)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was found as the API gives it")
	return cmd
}

func inspect(ctx context.Context, s streams, ses *session, notebook string) (client.Inspection, error) {
	tree, err := treeOf(ctx, notebook)
	if err != nil {
		return client.Inspection{}, err
	}
	if tree != nil {
		if notebook, err = send(ctx, s, ses, notebook, tree); err != nil {
			return client.Inspection{}, err
		}
	}
	return ses.Inspect(ctx, notebook)
}

func showInspection(s streams, found *client.Inspection) error {
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "notebook\t%s\n", clean(found.Source.Repository+"/"+found.Source.Path))
	if found.Source.Commit != "" {
		fmt.Fprintf(w, "commit\t%s\n", found.Source.Commit)
	}
	fmt.Fprintf(w, "kernel\t%s (%s)\n", clean(found.KernelName), clean(found.Language))
	fmt.Fprintf(w, "cells\t%d\n", found.Cells)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	if !found.Schema.Declared && len(found.Schema.Parameters) == 0 {
		fmt.Fprintln(s.out, "There is no cell tagged \"parameters\" that can be read: every parameter is accepted.")
		return nil
	}
	if len(found.Schema.Parameters) == 0 {
		fmt.Fprintln(s.out, "The parameters cell declares none.")
		return nil
	}
	fmt.Fprintln(w, "PARAMETER\tTYPE\tDEFAULT\tHELP")
	for _, p := range found.Schema.Parameters {
		fmt.Fprintln(w, strings.Join([]string{clean(p.Name), typeWord(p), clean(defaultWord(p)), clean(p.Help)}, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, note := range found.Schema.Notes {
		fmt.Fprintln(s.err, "warning: "+clean(note))
	}
	return nil
}

// defaultWord is a parameter's default for people.
func defaultWord(p parameters.Parameter) string {
	switch {
	case p.Source != "":
		return firstLine(p.Source)
	case p.Required:
		return "(required)"
	}
	return string(p.Default)
}

// typeWord is a parameter's type for people.
func typeWord(p parameters.Parameter) string {
	word := p.Type
	if len(p.Choices) > 0 {
		var all []string
		for _, c := range p.Choices {
			all = append(all, string(c))
		}
		word = strings.Join(all, " | ")
	}
	if p.Optional && p.Type != "none" && word != "" {
		word += "?"
	}
	if p.Minimum != nil || p.Maximum != nil {
		word += " " + string(p.Minimum) + ".." + string(p.Maximum)
	}
	return clean(word)
}
