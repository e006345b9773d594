package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// What Open and OpenBox say when they cannot.
var (
	// ErrSealed: the bytes are not a sealed secret, or were changed.
	ErrSealed = errors.New("the sealed secret is damaged or belongs to something else")
	// ErrOtherKey: sealed with another key file than the one in use.
	ErrOtherKey = errors.New("the secret was sealed with another key file: put the key file back that belongs to this database")
	// ErrKeyFile: the key file cannot be used.
	ErrKeyFile = errors.New("key file")
)

const (
	keySize    = 32 // AES-256
	sealedV1   = 1
	keyIDSize  = 4
	headerSize = 1 + keyIDSize
	// overhead of one GCM box: a random nonce in front, a tag behind
	gcmOverhead = 12 + 16
	wrappedSize = keySize + gcmOverhead
	keyPrefix   = "ringpath-key-1 "
)

// Box seals and opens secrets. It is an envelope: each secret has a random key
// of its own, which the box's key wraps, so that the long-lived key encrypts
// random bytes only. Safe for use by many goroutines.
//
// Sealed form: version 1 | key id 4 | wrapped key 60 | nonce, secret, tag.
type Box struct {
	wrap cipher.AEAD
	id   [keyIDSize]byte // first bytes of the key's SHA-256: tells a wrong key file from damage
}

// OpenBox reads the key file, or makes it (0600, with its folders 0700) when it
// is not there. A key file that others than its owner can read is refused.
func OpenBox(path string) (*Box, error) {
	key, err := readKey(path)
	if errors.Is(err, os.ErrNotExist) {
		if err = makeKey(path); err == nil || errors.Is(err, os.ErrExist) {
			key, err = readKey(path) // made by us, or by another process just now
		}
	}
	if err != nil {
		return nil, err
	}
	return NewBox(key)
}

// NewBox makes a box with a key of 32 bytes.
func NewBox(key []byte) (*Box, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("%w: a key has %d bytes, this one %d", ErrKeyFile, keySize, len(key))
	}
	wrap, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(key)
	return &Box{wrap: wrap, id: [keyIDSize]byte(sum[:keyIDSize])}, nil
}

// Seal encrypts text. Context names the place that the secret is for
// ("credential/3/token"): it is bound to it and opens nowhere else.
func (b *Box) Seal(text Text, context string) ([]byte, error) {
	var key [keySize]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	inner, err := newAEAD(key[:])
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, headerSize+wrappedSize+len(text.s)+gcmOverhead)
	out = append(out, sealedV1)
	out = append(out, b.id[:]...)
	out = b.wrap.Seal(out, nil, key[:], []byte(context))
	return inner.Seal(out, nil, []byte(text.s), []byte(context)), nil
}

// Open decrypts what Seal made with the same context. Errors: ErrOtherKey, ErrSealed.
func (b *Box) Open(sealed []byte, context string) (Text, error) {
	if len(sealed) < headerSize+wrappedSize+gcmOverhead || sealed[0] != sealedV1 {
		return Text{}, ErrSealed
	}
	if [keyIDSize]byte(sealed[1:headerSize]) != b.id {
		return Text{}, ErrOtherKey
	}
	wrapped, rest := sealed[headerSize:headerSize+wrappedSize], sealed[headerSize+wrappedSize:]
	key, err := b.wrap.Open(nil, nil, wrapped, []byte(context))
	if err != nil {
		return Text{}, ErrSealed
	}
	inner, err := newAEAD(key)
	if err != nil {
		return Text{}, err
	}
	plain, err := inner.Open(nil, nil, rest, []byte(context))
	if err != nil {
		return Text{}, ErrSealed
	}
	return New(string(plain)), nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w %s: not a regular file", ErrKeyFile, path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%w %s: others than its owner can use it (mode %04o): run chmod 600 %s", ErrKeyFile, path, mode, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	coded, ok := strings.CutPrefix(strings.TrimSpace(string(text)), keyPrefix)
	if !ok {
		return nil, fmt.Errorf("%w %s: this is no key file of Ringpath", ErrKeyFile, path)
	}
	key, err := base64.StdEncoding.DecodeString(coded)
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("%w %s: damaged: put it back from a backup", ErrKeyFile, path)
	}
	return key, nil
}

// makeKey writes a new key beside path and links it there: whoever reads path
// sees a whole key or none, and of two processes one wins (os.ErrExist).
func makeKey(path string) (err error) {
	var key [keySize]byte
	if _, err := rand.Read(key[:]); err != nil {
		return fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.WriteString(keyPrefix + base64.StdEncoding.EncodeToString(key[:]) + "\n")
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	return nil
}
