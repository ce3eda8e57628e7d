package host

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
)

// newTraceparent starts a trace in the form of W3C Trace Context.
func newTraceparent() string {
	var b [24]byte
	rand.Read(b[:])
	return "00-" + hex.EncodeToString(b[:16]) + "-" + hex.EncodeToString(b[16:]) + "-01"
}

// trace starts a trace for a call that is not part of one yet, when the function
// asks for it.
func (e *execution) trace(b *bytes.Buffer, have string) {
	if have == "" && e.function.tracing.Load() {
		b.WriteString("Traceparent: " + newTraceparent() + "\r\n")
	}
}
