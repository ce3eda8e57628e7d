package bundle

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/anyfaas/anyfaas/manifest/diag"
)

// A goHandler is a handler found in a package folder.
type goHandler struct {
	handlerRef
	folder string // absolute
	pkg    string // package clause
	name   string
}

// splitGo returns the folder and the name: "functions/api" and "Handler", "." and
// "Handler" for ".Handler".
func (r handlerRef) splitGo() (folder, name string, ok bool) {
	dir, last := path.Split(path.Clean(r.text))
	i := strings.LastIndexByte(last, '.')
	if i < 0 || !token.IsIdentifier(last[i+1:]) {
		return "", "", false
	}
	return path.Clean(dir + last[:i]), last[i+1:], true
}

func (j *job) goHandlers(set *inputSet) ([]goHandler, error) {
	refs, err := j.handlers()
	if err != nil {
		return nil, err
	}
	var found []goHandler
	for _, ref := range refs {
		if h, ok := j.goHandler(ref, set); ok {
			found = append(found, h)
		}
	}
	if len(found) < len(refs) {
		return nil, errDiagnosed
	}
	if len(found) == 2 && found[0].folder != found[1].folder && found[0].pkg == "main" && found[1].pkg == "main" {
		j.diags.Errorf(j.fn.Position.At(found[1].setting), CodeHandlerForm, "handlers %q and %q are in two packages called main", found[0].text, found[1].text).
			Hint = "give one of them another package name"
		return nil, errDiagnosed
	}
	return found, nil
}

func (j *job) goHandler(ref handlerRef, set *inputSet) (goHandler, bool) {
	pos := j.fn.Position.At(ref.setting)
	folder, name, ok := ref.splitGo()
	if !ok {
		j.diags.Errorf(pos, CodeHandlerForm, "handler %q must be a package folder and an exported name, like functions/api.Handler", ref.text)
		return goHandler{}, false
	}
	dir := filepath.Join(j.graph.Dir, filepath.FromSlash(folder))
	p, err := parseGoFolder(dir)
	if err != nil {
		d := j.diags.Errorf(pos, CodeHandlerFile, "handler %q: there is no Go package in folder %s", ref.text, folder)
		d.Hint = j.similarFolder(folder)
		return goHandler{}, false
	}
	set.dir(dir, goNames)
	if p.broken && moduleRoot(dir) != "" {
		return goHandler{ref, dir, p.name, name}, true // the compiler says what is wrong, and where
	}
	decl, ok := p.names[name]
	if !ok {
		d := j.diags.Errorf(pos, CodeHandlerExport, "handler %q: package %s has no %s", ref.text, folder, name)
		exported := p.exported()
		if near := diag.Nearest(name, exported); near != "" {
			d.Hint = fmt.Sprintf("did you mean %q?", near)
		} else if len(exported) > 0 {
			d.Hint = "it exports " + joinWords(exported)
		} else {
			d.Hint = "it exports nothing; a handler is a func or var whose name starts with a capital letter"
		}
		return goHandler{}, false
	}
	if !ast.IsExported(name) && p.name != "main" {
		j.diags.Errorf(pos, CodeHandlerExport, "handler %q: %s is not exported", ref.text, name).
			Hint = "rename it to " + strings.ToUpper(name[:1]) + name[1:]
		return goHandler{}, false
	}
	if f, ok := decl.(*ast.FuncDecl); ok {
		if want := wrongGoSignature(ref.kind, f); want != "" {
			at := p.fset.Position(f.Pos())
			j.diags.Errorf(pos, CodeHandlerSignature, "handler %q: %s:%d: %s is not a handler for %s triggers", ref.text, relative(j.graph.Dir, at.Filename), at.Line, name, ref.kind).
				Hint = "it must be a " + want
			return goHandler{}, false
		}
	}
	if p.name == "main" && p.names["main"] != nil {
		at := p.fset.Position(p.names["main"].Pos())
		j.diags.Errorf(pos, CodeHandlerSignature, "handler %q: %s:%d declares func main", ref.text, relative(j.graph.Dir, at.Filename), at.Line).
			Hint = "remove it, or move the handler to a package of another name: the program that serves the handler is made by anyfaas"
		return goHandler{}, false
	}
	if root := moduleRoot(dir); root == "" {
		j.diags.Errorf(pos, CodeBuildFailed, "handler %q: there is no go.mod in %s or above", ref.text, folder).
			Hint = "run `go mod init example.com/" + j.graph.Service + "` in the manifest's folder"
		return goHandler{}, false
	}
	return goHandler{ref, dir, p.name, name}, true
}

// moduleRoot returns the folder of the go.mod that dir belongs to, or "".
func moduleRoot(dir string) string {
	for ; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil && info.Mode().IsRegular() {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// A goSource is a package as parsed, without types.
type goSource struct {
	name   string
	names  map[string]ast.Node // functions and variables at the top level
	fset   *token.FileSet
	broken bool // a file has a syntax error
}

// parseGoFolder parses the files of a folder that this platform compiles. Syntax
// errors are left to the compiler: what could be parsed counts.
func parseGoFolder(dir string) (goSource, error) {
	p := goSource{names: map[string]ast.Node{}, fset: token.NewFileSet()}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return p, err
	}
	platform := build.Default
	platform.GOOS, platform.GOARCH = runtime.GOOS, runtime.GOARCH
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		if ok, err := platform.MatchFile(dir, e.Name()); err != nil || !ok {
			continue
		}
		f, err := parser.ParseFile(p.fset, filepath.Join(dir, e.Name()), nil, parser.SkipObjectResolution)
		if f == nil || f.Name == nil {
			continue
		}
		p.name = f.Name.Name
		p.broken = p.broken || err != nil
		p.add(f)
	}
	if p.name == "" {
		return p, fmt.Errorf("no Go files in %s", dir)
	}
	return p, nil
}

func (p *goSource) add(f *ast.File) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				p.names[d.Name.Name] = d
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR {
				continue
			}
			for _, s := range d.Specs {
				for _, name := range s.(*ast.ValueSpec).Names {
					p.names[name.Name] = name
				}
			}
		}
	}
}

func (p *goSource) exported() []string {
	var names []string
	for name := range p.names {
		if ast.IsExported(name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, cmp.Compare[string])
	return names
}

// wrongGoSignature says what a function would have to look like for a kind of
// trigger, or "" when its shape fits. Types are the compiler's to judge.
func wrongGoSignature(kind string, f *ast.FuncDecl) string {
	in, out := f.Type.Params.NumFields(), f.Type.Results.NumFields()
	generic := f.Type.TypeParams.NumFields() > 0
	if kind == "http" {
		if generic || in != 2 || out != 0 {
			return "func(http.ResponseWriter, *http.Request) or a variable that is an http.Handler"
		}
		return ""
	}
	if generic || in != 2 || out != 1 && out != 2 {
		return "func(context.Context, T) error or func(context.Context, T) (R, error)"
	}
	return ""
}

// similarFolder is a hint that names the folder most like the one given.
func (j *job) similarFolder(folder string) string {
	dir := path.Dir(folder)
	entries, _ := os.ReadDir(filepath.Join(j.graph.Dir, filepath.FromSlash(dir)))
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	if name := diag.Nearest(path.Base(folder), names); name != "" {
		return fmt.Sprintf("did you mean %q?", path.Join(dir, name))
	}
	return "the path starts at the manifest's folder and names a folder, not a file"
}
