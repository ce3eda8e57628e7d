package host

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// maxSocket is the longest path used for a unix socket. The kernel's limit is
// 104 bytes on macOS and 108 on Linux.
const maxSocket = 100

// Socket returns the path of the admin socket of the host of home:
// <home>/local/admin.sock, or a short one in a folder of the same user under
// the system's temporary folder when the former is too long for a socket.
func Socket(home string) string {
	home = absolute(home)
	path := filepath.Join(home, "local", "admin.sock")
	if len(path) <= maxSocket {
		return path
	}
	sum := sha256.Sum256([]byte(home))
	// Not os.TempDir: it differs between sessions of one user, and two
	// commands must come to the same answer.
	temp := "/tmp"
	if _, err := os.Stat(temp); err != nil {
		temp = os.TempDir()
	}
	return filepath.Join(temp, "anyfaas-"+strconv.Itoa(os.Getuid()), hex.EncodeToString(sum[:6]), "admin.sock")
}

// A layout names the files and folders of one home.
type layout struct {
	home      string
	root      string // <home>/local
	socket    string // of the admin API
	sockets   string // folder of the workers' sockets
	artifacts string
	broker    string
	logs      string
	temp      string // one folder for each running worker
	database  string
	hostLock  string // held by the running host
	guardLock string // held by the supervisor of a host
	startLock string // held by Ensure while it starts one
	output    string // of the host process
}

func layoutOf(home string) layout {
	home = absolute(home)
	root := filepath.Join(home, "local")
	socket := Socket(home)
	return layout{
		home:      home,
		root:      root,
		socket:    socket,
		sockets:   filepath.Join(filepath.Dir(socket), "w"),
		artifacts: filepath.Join(root, "artifacts"),
		broker:    filepath.Join(root, "broker"),
		logs:      filepath.Join(root, "logs"),
		temp:      filepath.Join(root, "tmp"),
		database:  filepath.Join(root, "desired.db"),
		hostLock:  filepath.Join(root, "host.lock"),
		guardLock: filepath.Join(root, "supervisor.lock"),
		startLock: filepath.Join(root, "start.lock"),
		output:    filepath.Join(root, "host.log"),
	}
}

// prepare makes the folders, all of them for the owner only.
func (l layout) prepare() error {
	dirs := []string{l.home, l.root, l.artifacts, l.logs, l.temp}
	short := filepath.Dir(l.socket)
	if short != l.root {
		dirs = append(dirs, filepath.Dir(short), short)
	}
	dirs = append(dirs, l.sockets)
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if dir == l.home {
			continue // the user's own choice; what we keep lies below root
		}
		if err := private(dir); err != nil {
			return err
		}
	}
	return nil
}

// trusted refuses a socket in the temporary folder, where everybody can make
// files of any name, unless its folders are this user's: somebody else's would
// get the secrets of functions.
func (l layout) trusted() error {
	short := filepath.Dir(l.socket)
	if short == l.root {
		return nil
	}
	for _, dir := range []string{filepath.Dir(short), short} {
		info, err := os.Lstat(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil // then there is no host
		}
		if err != nil {
			return err
		}
		if err := owned(dir, info); err != nil {
			return err
		}
	}
	return nil
}

// owned refuses what somebody else has put in the place of a folder of ours.
func owned(dir string, info os.FileInfo) error {
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	if !ownedByUser(info) {
		return fmt.Errorf("%s belongs to another user", dir)
	}
	return nil
}

// private makes dir accessible to the owner only and refuses a folder that
// somebody else has put in our place.
func private(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if err := owned(dir, info); err != nil {
		return err
	}
	if info.Mode().Perm() == 0o700 {
		return nil
	}
	return os.Chmod(dir, 0o700)
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
