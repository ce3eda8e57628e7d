// Package machine is this machine as commands see it: the process that runs
// functions, the programs that are installed, the disk and the ports.
package machine

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/disk"

	"github.com/anyfaas/anyfaas/cmd/anyfaas/internal/cli"
)

// Tools returns the real ones.
func Tools() cli.Tools {
	return cli.Tools{Version: version, Free: free, Listen: listen}
}

// version runs a program and returns the first line of what it prints.
func version(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	line, _ := bufio.NewReader(bytes.NewReader(out)).ReadString('\n')
	return strings.TrimSpace(line), nil
}

// free returns the bytes left for this user on the disk of a folder, or of its
// nearest parent that exists.
func free(folder string) (uint64, error) {
	for {
		if _, err := os.Stat(folder); err == nil || filepath.Dir(folder) == folder {
			break
		}
		folder = filepath.Dir(folder)
	}
	u, err := disk.Usage(folder)
	if err != nil {
		return 0, fmt.Errorf("look at the disk of %s: %w", folder, err)
	}
	return u.Free, nil
}

// listen reports whether a loopback port can be had, and gives it back.
func listen(port int) error {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	return l.Close()
}
