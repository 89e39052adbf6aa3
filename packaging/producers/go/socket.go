//go:build unix

package lifecycle

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// findSocket says where the exporter is if nothing else does: at the socket of its package, else at one of an exporter that this user
// runs. It takes the first one in a directory of root or of this user: whoever listens there gets all events.
func findSocket() string {
	candidates := []string{DefaultSocket}
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(runtime) {
		candidates = append(candidates, filepath.Join(runtime, "lifecycle-exporter", "events.sock"))
	}
	candidates = append(candidates, fmt.Sprintf("/tmp/lifecycle-exporter-%d/events.sock", os.Geteuid()))
	for _, path := range candidates {
		directory, err := os.Lstat(filepath.Dir(path))
		if err != nil {
			continue
		}
		stat, isKnown := directory.Sys().(*syscall.Stat_t)
		if !isKnown || (stat.Uid != 0 && int(stat.Uid) != os.Geteuid()) {
			continue
		}
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return DefaultSocket
}
