package host

import (
	"crypto/rand"
	"encoding/hex"
)

// newTraceparent starts a trace in the form of W3C Trace Context.
func newTraceparent() string {
	var b [24]byte
	rand.Read(b[:])
	return "00-" + hex.EncodeToString(b[:16]) + "-" + hex.EncodeToString(b[16:]) + "-01"
}
