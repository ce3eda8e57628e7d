package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// openTerminal returns both ends of a pseudo-terminal.
func openTerminal(t *testing.T) (control, terminal *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("this machine has no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { control.Close() })
	ioctl := func(request uintptr, arg *int32) {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, control.Fd(), request, uintptr(unsafe.Pointer(arg))); errno != 0 {
			t.Fatal(errno)
		}
	}
	var unlock, number int32
	ioctl(syscall.TIOCSPTLCK, &unlock)
	ioctl(syscall.TIOCGPTN, &number)
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return control, terminal
}

// Libraries that ask the terminal for its colours when they are loaded delay
// every command and eat what the user types; see internal/quiet.
func TestNothingIsAskedOfTheTerminalAtTheStart(t *testing.T) {
	control, terminal := openTerminal(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "version")
	cmd.Args[0] = "anyfaas"
	cmd.Env = append(os.Environ(), "TERM=xterm", "CI=", "AS_ANYFAAS=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // in the foreground, as at a prompt
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	stuck := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	said, _ := io.ReadAll(control) // ends with EIO when the program does
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v, said %q", err, said)
	}
	if !strings.HasPrefix(string(said), "anyfaas ") || strings.Contains(string(said), "\x1b") {
		t.Errorf("said %q", said)
	}
}
