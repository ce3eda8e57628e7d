package cli

// The exit codes are an interface that scripts rely on: they never change their
// meaning.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitChanges     = 3
	exitInvalid     = 4
	exitLocked      = 5
	exitInterrupted = 130
)

// exitCodes is the table that help and documents show.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitOK, "done"},
	{exitFailed, "the operation failed"},
	{exitUsage, "the command line is wrong"},
	{exitChanges, "preview --exit-code found changes"},
	{exitInvalid, "the manifest is invalid"},
	{exitLocked, "the stack is locked"},
	{exitInterrupted, "interrupted"},
}

// The sets of codes that commands have.
var (
	exitsPlain  = []int{exitOK, exitFailed, exitUsage}
	exitsRead   = []int{exitOK, exitFailed, exitUsage, exitInvalid, exitInterrupted}
	exitsChange = []int{exitOK, exitFailed, exitUsage, exitInvalid, exitLocked, exitInterrupted}
)
