package templates

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A project is one template in one language with everything chosen.
type project struct {
	template, runtime, service, provider string

	version string // the runtime as manifests name it, such as node24; "" is the template's own
}

// Language returns the language of a runtime as manifests name it: node of node22.
// Whether there is such a version is not checked.
func Language(runtime string) string { return strings.TrimRight(runtime, "0123456789.") }

// choose fills in what o leaves open and refuses what does not exist.
func choose(dir string, o Options) (project, error) {
	p := project{template: o.Template, runtime: o.Runtime, service: o.Service, provider: o.Provider}
	if p.template == "" {
		p.template = "http-api"
	}
	if p.runtime == "" {
		p.runtime = "node"
	}
	if language := Language(p.runtime); language != p.runtime {
		p.runtime, p.version = language, p.runtime
	}
	if p.provider == "" {
		p.provider = "local"
	}
	if p.service == "" {
		p.service = ServiceName(dir)
	}

	i := slices.IndexFunc(List(), func(t Template) bool { return t.Name == p.template })
	if i < 0 {
		var names []string
		for _, t := range List() {
			names = append(names, t.Name)
		}
		return p, fmt.Errorf("no template %q; there are %s", p.template, strings.Join(names, ", "))
	}
	if t := List()[i]; !slices.Contains(t.Runtimes, p.runtime) {
		return p, fmt.Errorf("template %q has no runtime %q; it has %s", p.template, cmp.Or(p.version, p.runtime), strings.Join(t.Runtimes, ", "))
	}
	if !legalService.MatchString(p.service) {
		return p, fmt.Errorf("service name %q must be 2 to 40 of a-z, 0-9 and -, and start with a letter", p.service)
	}
	if _, ok := settings[p.provider]; !ok {
		return p, fmt.Errorf("no provider %q", p.provider)
	}
	return p, nil
}

var legalService = regexp.MustCompile(`^[a-z][a-z0-9-]{1,39}$`)

// ServiceName makes a legal service name of a folder's name: "My Shop (v2)"
// becomes "my-shop-v2". A name without any letter becomes "service".
func ServiceName(dir string) string {
	name := strings.ToLower(filepath.Base(dir))
	name = illegal.ReplaceAllString(name, "-")
	name = strings.TrimLeft(name, "-0123456789")
	name = strings.TrimRight(name[:min(len(name), 40)], "-")
	if len(name) < 2 {
		return "service"
	}
	return name
}

var illegal = regexp.MustCompile(`[^a-z0-9]+`)

// settings are the lines a manifest needs below `provider:`, by provider: where
// to deploy, for those that cannot know.
var settings = map[string]string{
	"local": "",
	"aws":   "providers:\n  aws: { region: us-east-1 }\n",
	"azure": "providers:\n  azure: { location: westeurope }\n",
	"gcp":   "providers:\n  gcp: { project: my-project, region: europe-west1 }\n",
	"oci":   "providers:\n  oci: { region: eu-frankfurt-1, compartment: ocid1.compartment.oc1..example }\n",
}

// leftovers of working inside this repository are no part of a project.
var leftovers = []string{".anyfaas", "node_modules", "package-lock.json", "__pycache__"}

// render returns the project's files by slash-separated name.
func (p project) render() (map[string][]byte, error) {
	files := map[string][]byte{}
	root := path.Join(p.template, p.runtime)
	err := fs.WalkDir(projects, root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if slices.Contains(leftovers, d.Name()) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		content, err := projects.ReadFile(name)
		if err != nil {
			return err
		}
		name = strings.TrimSuffix(strings.TrimPrefix(name, root+"/"), ".tmpl")
		files[name] = p.personal(name, content)
		return nil
	})
	return files, err
}

var runtimeLine = regexp.MustCompile(`(?m)^( +runtime: ).+$`)

// personal puts the user's choices in the place of the template's own.
func (p project) personal(name string, content []byte) []byte {
	replace := func(pairs ...string) []byte { return []byte(strings.NewReplacer(pairs...).Replace(string(content))) }
	switch name {
	case "serverless.yaml":
		if p.version != "" {
			content = runtimeLine.ReplaceAll(content, []byte("${1}"+p.version))
		}
		return replace(
			"\nservice: "+p.template+"\n", "\nservice: "+p.service+"\n",
			"provider: local\n", "provider: "+p.provider+"\n"+settings[p.provider])
	case "package.json":
		return replace(`"name": "`+p.template+`"`, `"name": "`+p.service+`"`)
	case "go.mod":
		return replace("module example.com/"+p.template+"\n", "module example.com/"+p.service+"\n")
	case "README.md":
		return replace("# "+p.template+"\n", "# "+p.service+"\n")
	}
	return content
}
