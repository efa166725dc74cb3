package main

import (
	"strings"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
)

func TestCompressCommand(t *testing.T) {
	url := hranatest.NewServer(t, hranatest.Options{}).URL()
	cfg, err := tursoopt.ParseDSN(url)
	if err != nil {
		t.Fatal(err)
	}
	db, err := tursoopt.OpenDB(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{"CREATE TABLE docs (body TEXT)", "INSERT INTO docs VALUES ('" + strings.Repeat("text ", 1000) + "')"} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	run(t, nil, "compress", "estimate", url).want(t, exitOK, "docs.body", "5,000", "by LZ4", "by zstd")
	run(t, nil, "compress", "rewrite", url+"?compress_columns=docs.body", "--dry-run").want(t, exitOK, "1 would be compressed")
	run(t, map[string]string{"TURSO_DATABASE_URL": url}, "compress", "rewrite", "--columns", "docs.body").want(t, exitOK, "1 compressed", "done")
	run(t, nil, "compress", "rewrite", url, "--columns", "docs.body", "--algorithm", "lz4").want(t, exitOK, "0 compressed", "done")
	run(t, nil, "compress", "rewrite", url, "--columns", "docs.body", "--algorithm", "zstd").want(t, exitOK, "1 compressed", "done")
	run(t, nil, "compress", "rewrite", url+"?compress_algorithm=zstd", "--columns", "docs.body").want(t, exitOK, "0 compressed", "done")
	run(t, nil, "compress", "undo", url, "--columns", "docs.body").want(t, exitOK, "1 given back", "done")
	for _, args := range [][]string{
		{"compress"}, {"compress", "nonsense", url}, {"compress", "rewrite", url}, {"compress", "estimate"},
		{"compress", "undo", url, "--rows", "0"}, {"compress", "estimate", url, "--sample", "0"}, {"compress", "estimate", url, "--min", "-1"},
		{"compress", "rewrite", url, "--columns", "docs.body", "--algorithm", "gzip"},
	} {
		run(t, nil, args...).want(t, exitUsage)
	}
}
