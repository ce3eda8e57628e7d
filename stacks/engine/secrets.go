package engine

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/pkg/v3/secrets"
	"github.com/pulumi/pulumi/pkg/v3/secrets/passphrase"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
)

// Secrets are encrypted as Pulumi's passphrase manager does, so that the pulumi
// command reads them with the same passphrase. Turning a passphrase into a key
// takes a million rounds of hashing, a noticeable part of a second; so it is done
// in the background, only when a value is really encrypted or decrypted, and
// once per process. For the key file of a local state the result is also kept
// beside the file, since who reads one can read the other.
type keyring struct {
	env func(string) string
	dir string // folder of the state; "" when it is remote

	mu   sync.Mutex
	keys map[string]*derivation // by salt state
}

// derivation is a key being worked out.
type derivation struct {
	done    chan struct{}
	crypter config.Crypter
	err     error
}

const (
	keyFile      = "key"         // the passphrase of a local state
	keyCacheFile = "key.derived" // keys worked out from it, by salt
	keyRounds    = 1_000_000     // of Pulumi's format "v1"
)

// A manager is Pulumi's passphrase manager with the key worked out late.
type manager struct {
	ring *keyring
	salt string // "v1:<salt>:<check>"
}

func (m *manager) Type() string { return passphrase.Type }

func (m *manager) State() json.RawMessage {
	data, err := json.Marshal(map[string]string{"salt": m.salt})
	if err != nil {
		panic("engine: " + err.Error())
	}
	return data
}

func (m *manager) Encrypter() config.Encrypter { return lateCrypter{m} }
func (m *manager) Decrypter() config.Decrypter { return lateCrypter{m} }

// lateCrypter waits for the key at the first value.
type lateCrypter struct{ m *manager }

func (c lateCrypter) EncryptValue(ctx context.Context, plain string) (string, error) {
	k, err := c.m.ring.crypter(c.m.salt)
	if err != nil {
		return "", err
	}
	return k.EncryptValue(ctx, plain)
}

func (c lateCrypter) BatchEncrypt(ctx context.Context, plain []string) ([]string, error) {
	if len(plain) == 0 {
		return nil, nil
	}
	k, err := c.m.ring.crypter(c.m.salt)
	if err != nil {
		return nil, err
	}
	return k.BatchEncrypt(ctx, plain)
}

func (c lateCrypter) DecryptValue(ctx context.Context, sealed string) (string, error) {
	k, err := c.m.ring.crypter(c.m.salt)
	if err != nil {
		return "", err
	}
	return k.DecryptValue(ctx, sealed)
}

func (c lateCrypter) BatchDecrypt(ctx context.Context, sealed []string) ([]string, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	k, err := c.m.ring.crypter(c.m.salt)
	if err != nil {
		return nil, err
	}
	return k.BatchDecrypt(ctx, sealed)
}

// OfType returns the manager of a recorded state; it implements the engine's
// secrets.Provider.
func (r *keyring) OfType(_ context.Context, kind string, state json.RawMessage) (secrets.Manager, error) {
	if kind != passphrase.Type {
		return nil, fmt.Errorf("the state is encrypted with %q; only %q is supported", kind, passphrase.Type)
	}
	var s struct{ Salt string }
	if err := json.Unmarshal(state, &s); err != nil {
		return nil, fmt.Errorf("secrets manager of the state: %w", err)
	}
	return r.manager(s.Salt)
}

func (r *keyring) manager(salt string) (secrets.Manager, error) {
	if _, _, err := splitSalt(salt); err != nil {
		return nil, err
	}
	return &manager{ring: r, salt: salt}, nil
}

// fresh returns a manager for a stack that has none. Stacks of one local state
// share a salt, as they share the key file.
func (r *keyring) fresh() (secrets.Manager, error) {
	phrase, cached, err := r.phrase(true)
	if err != nil {
		return nil, err
	}
	if cached {
		if salt := r.cachedSalt(phrase); salt != "" {
			return r.manager(salt)
		}
	}
	salt := make([]byte, 8)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	key, err := derive(phrase, salt)
	if err != nil {
		return nil, err
	}
	crypter := config.NewSymmetricCrypter(key)
	check, err := crypter.EncryptValue(context.Background(), "pulumi")
	if err != nil {
		return nil, err
	}
	state := "v1:" + base64.StdEncoding.EncodeToString(salt) + ":" + check
	d := &derivation{done: make(chan struct{}), crypter: crypter}
	close(d.done)
	r.mu.Lock()
	if r.keys == nil {
		r.keys = map[string]*derivation{}
	}
	r.keys[state] = d
	r.mu.Unlock()
	if cached {
		r.remember(phrase, state, key)
	}
	return &manager{ring: r, salt: state}, nil
}

// crypter returns the key of a salt, working it out at the first call.
func (r *keyring) crypter(salt string) (config.Crypter, error) {
	r.mu.Lock()
	d, ok := r.keys[salt]
	if !ok {
		d = &derivation{done: make(chan struct{})}
		if r.keys == nil {
			r.keys = map[string]*derivation{}
		}
		r.keys[salt] = d
	}
	r.mu.Unlock()
	if !ok {
		d.crypter, d.err = r.unlock(salt)
		close(d.done)
	}
	<-d.done
	return d.crypter, d.err
}

func (r *keyring) unlock(state string) (config.Crypter, error) {
	salt, check, err := splitSalt(state)
	if err != nil {
		return nil, err
	}
	phrase, cached, err := r.phrase(false)
	if err != nil {
		return nil, err
	}
	var key []byte
	if cached {
		key = r.recall(phrase, state)
	}
	known := key != nil
	if !known {
		if key, err = derive(phrase, salt); err != nil {
			return nil, err
		}
	}
	crypter := config.NewSymmetricCrypter(key)
	if plain, err := crypter.DecryptValue(context.Background(), check); err != nil || plain != "pulumi" {
		return nil, fmt.Errorf("the passphrase is not the one the secrets of this stack were encrypted with")
	}
	if cached && !known {
		r.remember(phrase, state, key)
	}
	return crypter, nil
}

func derive(phrase string, salt []byte) ([]byte, error) {
	return pbkdf2.Key(sha256.New, phrase, salt, keyRounds, config.SymmetricCrypterKeyBytes)
}

func splitSalt(state string) (salt []byte, check string, err error) {
	parts := strings.SplitN(state, ":", 3)
	if len(parts) != 3 || parts[0] != "v1" {
		return nil, "", errors.New("the encryption salt of the stack is malformed")
	}
	salt, err = base64.StdEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, "", fmt.Errorf("the encryption salt of the stack is malformed: %w", err)
	}
	return salt, parts[2], nil
}

// phrase returns the passphrase: from the environment, else from the key file of
// a local state, which is created when asked for. Only for the latter may what is
// worked out from it be kept on disk.
func (r *keyring) phrase(create bool) (phrase string, keep bool, err error) {
	for _, name := range []string{"ANYFAAS_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE"} {
		if p := r.env(name); p != "" {
			return p, false, nil
		}
		if file := r.env(name + "_FILE"); file != "" {
			data, err := os.ReadFile(file)
			if err != nil {
				return "", false, fmt.Errorf("%s_FILE: %w", name, err)
			}
			return strings.TrimSpace(string(data)), false, nil
		}
	}
	if r.dir == "" {
		return "", false, errors.New("a remote state needs a passphrase for its secrets: set ANYFAAS_PASSPHRASE, or ANYFAAS_PASSPHRASE_FILE to a file that holds it")
	}
	name := filepath.Join(r.dir, keyFile)
	data, err := os.ReadFile(name)
	if isGone(err) && create {
		if data, err = newKeyFile(name); err != nil {
			return "", false, fmt.Errorf("key file: %w", err)
		}
	}
	if isGone(err) {
		return "", false, fmt.Errorf("the key file %s is gone, and with it the key to the secrets of this stack: restore it, or set ANYFAAS_PASSPHRASE", name)
	}
	if err != nil {
		return "", false, fmt.Errorf("key file: %w", err)
	}
	return strings.TrimSpace(string(data)), true, nil
}

// newKeyFile creates a key file for its owner's eyes only; of several processes
// at once all get the content of one.
func newKeyFile(name string) ([]byte, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	var random [32]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	tmp, err := writeTemporary(name, []byte(hex.EncodeToString(random[:])+"\n"), durable)
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp)
	if err := os.Link(tmp, name); err != nil && !isThere(err) {
		return nil, err
	}
	return os.ReadFile(name)
}

// derivedKeys is the content of the file of worked-out keys. Phrase tells whether
// the key file is still the same.
type derivedKeys struct {
	Phrase string            `json:"phrase"` // SHA-256 of the content of the key file
	Keys   map[string][]byte `json:"keys"`   // by salt state
}

func (r *keyring) derived(phrase string) derivedKeys {
	sum := sha256.Sum256([]byte(phrase))
	empty := derivedKeys{Phrase: hex.EncodeToString(sum[:]), Keys: map[string][]byte{}}
	data, err := os.ReadFile(filepath.Join(r.dir, keyCacheFile))
	if err != nil {
		return empty
	}
	var d derivedKeys
	if json.Unmarshal(data, &d) != nil || d.Phrase != empty.Phrase || d.Keys == nil {
		return empty
	}
	return d
}

func (r *keyring) recall(phrase, salt string) []byte {
	key := r.derived(phrase).Keys[salt]
	if len(key) != config.SymmetricCrypterKeyBytes {
		return nil
	}
	return key
}

func (r *keyring) cachedSalt(phrase string) string {
	best := ""
	for salt := range r.derived(phrase).Keys {
		if best == "" || salt < best {
			best = salt
		}
	}
	return best
}

// remember keeps a key for the next command. It is only a saving: when it
// fails, the next command works the key out again.
func (r *keyring) remember(phrase, salt string, key []byte) {
	d := r.derived(phrase)
	d.Keys[salt] = key
	data, err := json.Marshal(d)
	if err != nil {
		return
	}
	name := filepath.Join(r.dir, keyCacheFile)
	tmp, err := writeTemporary(name, data, passing)
	if err != nil {
		return
	}
	if os.Rename(tmp, name) != nil {
		os.Remove(tmp)
	}
}
