package bundle

// Codes of the diagnostics of this package. They are stable for ever.
const (
	CodeHandlerForm      = "handler-form"      // the handler is not written as a path and a name
	CodeHandlerFile      = "handler-file"      // no source file or folder lies where the handler says
	CodeHandlerExport    = "handler-export"    // the file has no such export
	CodeHandlerSignature = "handler-signature" // the export cannot be called as a handler
	CodeBuildFailed      = "build-failed"      // the compiler or bundler refused the sources
	CodeRequirements     = "requirements"      // a package cannot be installed
	CodePackageFile      = "package-file"      // a file of the package cannot be read or lies outside the project
	CodePackagePattern   = "package-pattern"   // an include or exclude pattern is malformed or matches nothing
	CodeToolchainMissing = "toolchain-missing" // the language's compiler or interpreter is not installed
	CodeToolchainVersion = "toolchain-version" // another version than the one asked for is used
	CodeRuntimeTarget    = "runtime-target"    // the target cannot run this runtime
	CodeTarget           = "target"            // functions cannot be packaged for this provider
)
