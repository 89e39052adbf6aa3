//go:build !unix

package lifecycle

// findSocket says where the exporter is if nothing else does.
func findSocket() string { return DefaultSocket }
