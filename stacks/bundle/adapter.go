package bundle

import (
	"embed"
	"io/fs"
	"path"
	"sync"
)

// Adapters stand between a target's way of calling and the portable contract.
//
//go:embed adapter/node/*.mjs adapter/node/*.d.ts adapter/python/*.py adapter/go/worker/*.go
var adapters embed.FS

// adapterFile returns one embedded file.
func adapterFile(name string) []byte {
	data, err := adapters.ReadFile("adapter/" + name)
	if err != nil {
		panic("bundle: " + err.Error())
	}
	return data
}

// adapterFiles returns the embedded files of a folder by base name.
func adapterFiles(dir string) map[string][]byte {
	entries, err := fs.ReadDir(adapters, "adapter/"+dir)
	if err != nil {
		panic("bundle: " + err.Error())
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if !e.IsDir() {
			files[e.Name()] = adapterFile(path.Join(dir, e.Name()))
		}
	}
	return files
}

// packagingRules counts the versions of what is done with sources. Raise it when the
// same sources make another package: packages of earlier releases are then built
// anew.
const packagingRules = 2

// adapterHash identifies the adapter of a language and the rules of packaging, for
// recipes.
func adapterHash(dir string) string {
	if h, ok := adapterHashes.Load(dir); ok {
		return h.(string)
	}
	h := digest([]any{packagingRules, adapterFiles(dir)})
	adapterHashes.Store(dir, h)
	return h
}

var adapterHashes sync.Map // of what is embedded, hence never stale

// TypeScriptTypes returns the declarations of the handler contract, to lie in a
// TypeScript project as anyfaas.d.ts. They are needed by editors only.
func TypeScriptTypes() []byte { return adapterFile("node/anyfaas.d.ts") }
