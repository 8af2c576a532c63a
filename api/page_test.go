package api_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestANotebookIsReadAsOnePage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.executing(b.submit())
	path := "/v1/runs/" + string(run.ID) + "/notebook.html"
	require.Equal(t, 404, b.call("GET", path, "").StatusCode, "nothing yet")
	b.shelf.notebook[place(&run, 1)] = `{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
		{"cell_type": "markdown", "metadata": {}, "source": "# Hello <script>alert(1)</script>"},
		{"cell_type": "code", "metadata": {"tags": ["x"]}, "source": "print('source')", "outputs": [{"output_type": "stream", "name": "stdout", "text": "printed\n"}]},
		{"cell_type": "code", "metadata": {"papermill": {"status": "pending"}}, "source": "later()", "outputs": []}]}`

	res := b.open(path)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	page := string(body)
	require.Equal(t, "text/html; charset=utf-8", res.Header.Get("Content-Type"))
	require.True(t, strings.HasPrefix(res.Header.Get("Content-Security-Policy"), "sandbox allow-scripts; default-src 'none'"))
	require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
	require.Contains(t, res.Header.Get("Content-Disposition"), `inline; filename="daily 1-`+string(run.ID)+`.html"`)
	for _, want := range []string{"<title>daily 1-" + string(run.ID), ">Hello ", "printed", "source"} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "alert(1)")
	require.NotContains(t, page, "not run", "it may still run")

	report := b.open(path + "?report")
	body, err = io.ReadAll(report.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), "printed")
	require.NotContains(t, string(body), "source</span>")
	require.NotContains(t, string(body), "later()")

	require.Equal(t, 404, b.call("GET", path+"?attempt=7", "").StatusCode)
	require.Equal(t, 400, b.call("GET", path+"?report=perhaps", "").StatusCode)
	b.shelf.notebook[place(&run, 1)] = "<html>"
	require.GreaterOrEqual(t, b.call("GET", path, "").StatusCode, 400)
}
