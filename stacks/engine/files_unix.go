//go:build !windows

package engine

import "os"

// syncFolder makes renames and removals inside dir durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
