package tursoopt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const house = "github.com/turso-opt/turso-opt"

// arrows says which packages of this module a package may import; folders are
// relative to the root package, whose own is ".". A package that is not listed
// is not built: whoever adds one decides here where it stands.
var arrows = map[string][]string{
	".": {
		"internal/cache", "internal/exec", "internal/frame", "internal/histogram", "internal/hrana", "internal/hranahttp",
		"internal/lane", "internal/limit", "internal/shadow", "internal/sqltext", "internal/stream",
	},
	"internal/exec":      {},
	"internal/sqltext":   {"internal/exec"},
	"internal/hrana":     {"internal/exec"},
	"internal/hranahttp": {"internal/histogram", "internal/hrana", "internal/http1", "internal/exec", "internal/limit", "internal/wire"},
	"internal/wire":      {},
	"internal/http1":     {},
	"internal/histogram": {},
	"internal/stream":    {"internal/histogram", "internal/hranahttp", "internal/hrana", "internal/exec", "internal/sqltext", "internal/limit"},
	"internal/shadow":    {"internal/sqltext"},
	"internal/limit":     {},
	"internal/cache":     {"internal/exec"},
	"internal/frame":     {},
	"internal/lane":      {"internal/limit", "internal/stream", "internal/exec"},
	"hranatest":          {"internal/hrana", "internal/exec", "internal/sqltext"},
	// What follows serves tests and benchmarks and stands aside.
	"internal/netem":   {},
	"internal/sqld":    {},
	"testdata/drivers": {"."},
}

// scaffolding may be imported by tests, never by what users build, and
// hranatest by users' tests.
var scaffolding = []string{"hranatest", "internal/netem", "internal/sqld"}

// The modules whose packages a program gets when it imports the root package,
// and when it does so with the build tag tursoopt_slim.
var (
	dependencies = []string{
		"github.com/antlr4-go/antlr/v4",
		"github.com/cespare/xxhash/v2",
		"github.com/coder/websocket",
		"github.com/dgraph-io/ristretto/v2",
		"github.com/dustin/go-humanize",
		"github.com/klauspost/compress",
		"github.com/ncruces/go-sqlite3",
		"github.com/ncruces/go-sqlite3-wasm/v6",
		"github.com/ncruces/julianday",
		"github.com/pierrec/lz4/v4",
		"github.com/tursodatabase/libsql-client-go",
		"golang.org/x/exp",
		"golang.org/x/sys",
		"google.golang.org/protobuf",
	}
	// ristretto keeps the cache, go-sqlite3 reads its schema; neither registers
	// anything.
	slimDependencies = []string{
		"github.com/cespare/xxhash/v2",
		"github.com/dgraph-io/ristretto/v2",
		"github.com/dustin/go-humanize",
		"github.com/klauspost/compress",
		"github.com/ncruces/go-sqlite3",
		"github.com/ncruces/go-sqlite3-wasm/v6",
		"github.com/ncruces/julianday",
		"github.com/pierrec/lz4/v4",
		"golang.org/x/sys",
		"google.golang.org/protobuf",
	}
)

// listed is what the tests read of go list's output.
type listed struct {
	ImportPath                         string
	Standard                           bool
	Module                             *struct{ Path string }
	Imports, TestImports, XTestImports []string
}

// goList asks the go command, which knows build tags and platforms. It answers
// for one platform, whatever the tests run on.
func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	out := goCommand(t, append([]string{"list", "-json=ImportPath,Standard,Module,Imports,TestImports,XTestImports"}, args...)...)
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var one listed
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

func goCommand(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// inHouse is the folder of a package of this module, and whether it is one.
func inHouse(importPath string) (folder string, ok bool) {
	if importPath == house {
		return ".", true
	}
	folder, ok = strings.CutPrefix(importPath, house+"/")
	return folder, ok
}

func TestHouseArrowsPointDown(t *testing.T) {
	for _, tags := range []string{"", "tursoopt_slim"} {
		for _, p := range goList(t, "-tags="+tags, "./...", "./testdata/drivers") {
			folder, ok := inHouse(p.ImportPath)
			if !ok {
				t.Fatalf("go list ./... names %s", p.ImportPath)
			}
			may, known := arrows[folder]
			if !known {
				t.Errorf("%s is not in the list of arrows", folder)
				continue
			}
			for _, path := range p.Imports {
				if to, ok := inHouse(path); ok && !slices.Contains(may, to) {
					t.Errorf("%s imports %s", folder, to)
				}
			}
			// Tests may also use the scaffolding; the root package is for those
			// of external test packages alone.
			for _, path := range p.TestImports {
				if to, ok := inHouse(path); ok && !slices.Contains(may, to) && !slices.Contains(scaffolding, to) {
					t.Errorf("a test in package %s imports %s", folder, to)
				}
			}
			if strings.HasPrefix(folder, "internal/") && slices.Contains(p.XTestImports, house) {
				t.Errorf("a test of %s imports the root package", folder)
			}
		}
	}
}

func TestHouseArrowsListNothingThatIsGone(t *testing.T) {
	for folder := range arrows {
		if matches, err := filepath.Glob(filepath.Join(folder, "*.go")); err != nil || len(matches) == 0 {
			t.Errorf("%s is in the list of arrows and holds no Go file (%v)", folder, err)
		}
	}
}

func TestHouseDependencies(t *testing.T) {
	for _, c := range []struct {
		tags string
		want []string
	}{
		{"", dependencies},
		{"tursoopt_slim", slimDependencies},
	} {
		var got []string
		for _, p := range goList(t, "-deps", "-tags="+c.tags, ".") {
			if folder, ok := inHouse(p.ImportPath); ok {
				if slices.Contains(scaffolding, folder) {
					t.Errorf("with tags %q the root package comes with %s", c.tags, folder)
				}
				continue
			}
			if !p.Standard {
				got = append(got, p.Module.Path)
			}
		}
		slices.Sort(got)
		got = slices.Compact(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("with tags %q the root package depends on\n\t%s\nwritten down are\n\t%s", c.tags,
				strings.Join(got, "\n\t"), strings.Join(c.want, "\n\t"))
		}
	}
}

// Two packages that register one name panic when a program starts, so each name
// that an import registers is a program that it can break.
func TestHouseRegistersItsOwnDriversOnly(t *testing.T) {
	for _, c := range []struct{ tags, want string }{
		{"", "libsql\nturso-opt\n"},
		{"tursoopt_slim", "turso-opt\n"},
	} {
		if got := string(goCommand(t, "run", "-tags="+c.tags, "./testdata/drivers")); got != c.want {
			t.Errorf("with tags %q the drivers are %q, want %q", c.tags, got, c.want)
		}
	}
}

// goFiles visits every Go file of the repository, those of nested modules too.
func goFiles(t *testing.T, visit func(path string, text []byte)) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != "." && (name[0] == '.' || name == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen++
		visit(path, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Fatal("no Go file was found")
	}
}

func TestHouseFilesHoldOneIdea(t *testing.T) {
	const limit = 450 // lines
	goFiles(t, func(path string, text []byte) {
		if strings.HasSuffix(path, "_test.go") || generated(t, path, text) {
			return
		}
		if n := bytes.Count(text, []byte("\n")); n > limit {
			t.Errorf("%s has %d lines, more than %d", path, n, limit)
		}
	})
}

func generated(t *testing.T, path string, text []byte) bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	return ast.IsGenerated(file)
}

// The map in doc.go names every file of the root package and every folder of code,
// by itself or by a pattern such as base_*.go.
func TestHouseIsOnTheMap(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`[a-z0-9_*/-]+(\.go)?`).FindAllString(string(text), -1)
	named := func(path string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			ok, err := filepath.Match(name, path)
			return ok && err == nil && name != "*"
		})
	}
	goFiles(t, func(path string, _ []byte) {
		folder := filepath.ToSlash(filepath.Dir(path))
		switch parts := strings.Split(folder, "/"); {
		case folder == ".":
			if !strings.HasSuffix(path, "_test.go") && path != "doc.go" && !named(path) {
				t.Errorf("the map does not name %s", path)
			}
		case parts[0] == "testdata":
		case parts[0] == "internal":
			if !named("internal/" + parts[1]) {
				t.Errorf("the map does not name internal/%s", parts[1])
			}
		default:
			if !named(parts[0]) && !named(folder) && (len(parts) < 2 || !named(parts[0]+"/"+parts[1])) {
				t.Errorf("the map does not name %s", folder)
			}
		}
	})
}

// The README's figures are those of the last full run, whatever they have become.
func TestHouseFiguresAreTheLastRuns(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	readme, report := read("README.md"), read("docs/benchmarks.md")
	for _, c := range []struct{ row, scenario, base, ours string }{
		{"one caller", "1", "latency p50, base", "latency p50, ours"},
		{"32 callers", "2", "throughput, base", "throughput, ours"},
		{"requests per statement", "1", "HTTP requests per op, base", "HTTP requests per op, ours"},
		{"idle time", "12", "", "latency p50, ours, pings"},
	} {
		row := regexp.MustCompile(`(?m)^\| .*` + c.row + `.* \| (.+) \| (.+) \|$`).FindStringSubmatch(readme)
		_, section, found := strings.Cut(report, "\n## "+c.scenario+". ")
		section, _, _ = strings.Cut(section, "\n## ")
		if row == nil || !found {
			t.Errorf("no row of the README has %q, or the report no scenario %s", c.row, c.scenario)
			continue
		}
		for i, figure := range []string{c.base, c.ours} {
			if figure != "" && !strings.Contains(section, "\n| "+figure+" | "+row[i+1]+" |") {
				t.Errorf("the README says %s of %q, which is not what the report says of %q", row[i+1], c.row, figure)
			}
		}
	}
}

func TestHouseLeavesNothingOpen(t *testing.T) {
	// Put together here, so that this file does not find itself.
	marks := []string{"TO" + "DO", "FIX" + "ME"}
	goFiles(t, func(path string, text []byte) {
		if generated(t, path, text) {
			return
		}
		for _, mark := range marks {
			if bytes.Contains(text, []byte(mark)) {
				t.Errorf("%s holds a %s", path, mark)
			}
		}
	})
}
