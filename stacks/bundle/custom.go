package bundle

import (
	"context"
)

// custom packages programs of the user's own making, started by their command.
type custom struct{}

func (custom) plan(_ context.Context, j *job) (recipe, error) {
	if j.fn.Image != "" {
		j.diags.Errorf(j.fn.Position.At("image"), CodeRuntimeTarget, "provider %s does not run container images", j.graph.Provider).
			Hint = "give the program as command, with its files under package.include"
		return recipe{}, errDiagnosed
	}
	if len(j.fn.Command) == 0 {
		j.diags.Errorf(j.fn.Position.At("command"), CodeHandlerForm, "runtime custom needs a command").
			Hint = "write command: [./server], a program that serves HTTP on the address in ANYFAAS_LISTENER"
		return recipe{}, errDiagnosed
	}
	return recipe{Command: j.fn.Command}, nil
}

func (custom) build(_ context.Context, j *job) (output, error) {
	set := newInputSet(j.graph.Dir)
	files, err := j.addPackageFiles(nil, set)
	return output{files: files, inputs: set, args: j.fn.Command}, err
}
