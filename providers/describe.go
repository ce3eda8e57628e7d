package providers

// A Describer is an optional ability: tell what a resource means to the person
// who wrote the manifest. Its answers depend on the arguments alone, so they
// also hold for what was recorded by an earlier version of the manifest.
//
// Providers name the resources of a function "<function>" (the function itself)
// or "<function>.<rest>" (a trigger, a role …): manifest names hold no dot, so
// OwnerOf is the part before the first dot for the types that belong to
// functions, and "" for queues, buckets and what else the service shares.
type Describer interface {
	// OwnerOf returns the function that the resource with this type token and
	// logical name belongs to, or "" for what the service shares.
	OwnerOf(typ, name string) string
	// Stateful reports whether losing a resource of this type loses stored
	// data.
	Stateful(typ string) bool
}
