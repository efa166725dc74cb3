package tursoopt_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
)

// What there is to prove: the fields of these structs, those of structs within them
// too, and the methods of these interfaces.
var toProve = map[string]reflect.Type{
	"Config":            reflect.TypeFor[tursoopt.Config](),
	"SharedConfig":      reflect.TypeFor[tursoopt.SharedConfig](),
	"TxOptions":         reflect.TypeFor[tursoopt.TxOptions](),
	"hranatest.Options": reflect.TypeFor[hranatest.Options](),
	"hranatest.Stats":   reflect.TypeFor[hranatest.Stats](),
	"Stats":             reflect.TypeFor[tursoopt.Stats](),
	"PoolStats":         reflect.TypeFor[tursoopt.PoolStats](), // as PoolSizer.Stats gives them
	"Tracer":            reflect.TypeFor[tursoopt.Tracer](),
	"RequestTracer":     reflect.TypeFor[tursoopt.RequestTracer](),
	"RetryTracer":       reflect.TypeFor[tursoopt.RetryTracer](),
	"DialTracer":        reflect.TypeFor[tursoopt.DialTracer](),
	"StatementStart":    reflect.TypeFor[tursoopt.StatementStart](),
	"StatementEnd":      reflect.TypeFor[tursoopt.StatementEnd](),
	"RequestStart":      reflect.TypeFor[tursoopt.RequestStart](),
	"RequestEnd":        reflect.TypeFor[tursoopt.RequestEnd](),
}

// Every option and every counter has a test that fails when nothing reads the one or
// feeds the other. That the named tests do so no test can see; who adds a line here
// takes the field's effect away, sees them fail, and puts it back.
func TestEveryFieldIsProven(t *testing.T) {
	want := map[string][]string{"DSN": tursoopt.DSNParams}
	seen := map[string]bool{} // types
	for root, of := range toProve {
		if of.Kind() == reflect.Interface {
			for i := range of.NumMethod() {
				want[root] = append(want[root], of.Method(i).Name)
			}
			continue
		}
		want[root] = fieldsOf(of, seen)
	}
	tests := map[string]bool{}
	goFiles(t, func(name string, text []byte) {
		folder := filepath.ToSlash(filepath.Dir(name))
		if strings.HasSuffix(name, "_test.go") {
			for line := range bytes.Lines(text) { // to parse them all would take seconds
				if name, ok := bytes.CutPrefix(line, []byte("func Test")); ok {
					name, _, _ = bytes.Cut(name, []byte("("))
					tests[strings.TrimPrefix(folder+"/Test"+string(name), "./")] = true
				}
			}
			return
		}
		if folder != "." {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && isOption(f) {
				want["functions"] = append(want["functions"], f.Name.Name)
			}
			for _, name := range holdersOf(d) {
				if !seen[name] {
					t.Errorf("the fields of %s are nowhere in toProve", name)
				}
			}
		}
	})
	missing := map[string]bool{}
	for root, fields := range want {
		for _, f := range fields {
			missing[root+"."+f] = true
		}
	}
	for _, p := range proven {
		for f := range strings.FieldsSeq(p.fields) {
			if f = p.of + "." + f; !missing[f] {
				t.Errorf("%s is in the list twice, or nowhere else", f)
			}
			delete(missing, f)
		}
		if p.tests == "" {
			t.Errorf("no test is named for %s of %s", p.fields, p.of)
		}
		for name := range strings.FieldsSeq(p.tests) {
			if !tests[name] {
				t.Errorf("%s, which is to prove %s of %s, is no test", name, p.fields, p.of)
			}
		}
	}
	for _, f := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("no test is named for %s", f)
	}
}

// fieldsOf are the exported fields of a struct, with those of structs within it, also
// where they are in slices and maps. Those of an embedded struct are its own. The types
// are noted as seen.
func fieldsOf(of reflect.Type, seen map[string]bool) (fields []string) {
	seen[of.Name()] = true
	for i := range of.NumField() {
		f := of.Field(i)
		if !f.IsExported() {
			continue
		}
		within := f.Type
		for slices.Contains([]reflect.Kind{reflect.Slice, reflect.Map}, within.Kind()) {
			within = within.Elem()
		}
		own := within.Kind() == reflect.Struct && within.PkgPath() == of.PkgPath()
		if within != f.Type || !own {
			fields = append(fields, f.Name)
		}
		if !own {
			continue
		}
		prefix := f.Name + "."
		if f.Anonymous {
			prefix = ""
		}
		for _, name := range fieldsOf(within, seen) {
			fields = append(fields, prefix+name)
		}
	}
	return fields
}

// holdersOf are the exported structs of a declaration that by their names hold options
// or counters.
func holdersOf(d ast.Decl) (names []string) {
	g, ok := d.(*ast.GenDecl)
	if !ok {
		return nil
	}
	for _, s := range g.Specs {
		if s, ok := s.(*ast.TypeSpec); ok && s.Name.IsExported() && slices.ContainsFunc([]string{"Config", "Options", "Stats"}, func(end string) bool {
			return strings.HasSuffix(s.Name.Name, end)
		}) {
			names = append(names, s.Name.Name)
		}
	}
	return names
}

// isOption tells whether a function is an option of BulkInsert, or of a context.
func isOption(f *ast.FuncDecl) bool {
	if f.Recv != nil || !f.Name.IsExported() || f.Type.Results.NumFields() != 1 {
		return false
	}
	switch r := f.Type.Results.List[0].Type.(type) {
	case *ast.Ident:
		return r.Name == "BulkOption"
	case *ast.SelectorExpr:
		return r.Sel.Name == "Context"
	}
	return false
}
