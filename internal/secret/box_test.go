package secret

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestBoxSealsAndOpens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "key")
	box, err := OpenBox(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode().Perm(), os.FileMode(0o600); got != want {
		t.Errorf("mode of the key file: got %04o, want %04o", got, want)
	}
	for _, plain := range []string{"", "p", strings.Repeat("long ", 1000)} {
		sealed, err := box.Seal(New(plain), "user/1/agent")
		if err != nil {
			t.Fatal(err)
		}
		if len(plain) > 1 && bytes.Contains(sealed, []byte(plain)) {
			t.Error("the sealed form holds the secret")
		}
		again, err := OpenBox(path) // a later start
		if err != nil {
			t.Fatal(err)
		}
		got, err := again.Open(sealed, "user/1/agent")
		if err != nil || got.Reveal() != plain {
			t.Errorf("Open: got %q, %v, want %q", got.Reveal(), err, plain)
		}
	}
	a, _ := box.Seal(New("same"), "c")
	b, _ := box.Seal(New("same"), "c")
	if bytes.Equal(a, b) {
		t.Error("sealing twice gives the same bytes")
	}
}

func TestBoxRefuses(t *testing.T) {
	box, err := NewBox(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewBox(bytes.Repeat([]byte{2}, 32))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := box.Seal(New("secret"), "here")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(sealed, "here"); !errors.Is(err, ErrOtherKey) {
		t.Errorf("another key: got %v, want ErrOtherKey", err)
	}
	if _, err := box.Open(sealed, "there"); !errors.Is(err, ErrSealed) {
		t.Errorf("another context: got %v, want ErrSealed", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 0x40
		if _, err := box.Open(bad, "here"); err == nil {
			t.Errorf("byte %d changed: opened", i)
		}
	}
	for n := range sealed {
		if _, err := box.Open(sealed[:n], "here"); !errors.Is(err, ErrSealed) {
			t.Errorf("cut to %d bytes: got %v, want ErrSealed", n, err)
		}
	}
	if _, err := NewBox(nil); !errors.Is(err, ErrKeyFile) {
		t.Errorf("no key: got %v, want ErrKeyFile", err)
	}
}

func TestKeyFileFaults(t *testing.T) {
	good := keyPrefix + strings.Repeat("A", 43) + "=\n"
	for _, tt := range []struct {
		name, text string
		mode       os.FileMode
		want       string // part of the error
	}{
		{"good", good, 0o600, ""},
		{"read-only", good, 0o400, ""},
		{"group can read", good, 0o640, "chmod 600"},
		{"world can read", good, 0o604, "chmod 600"},
		{"empty", "", 0o600, "no key file"},
		{"another file", "-----BEGIN PRIVATE KEY-----\n", 0o600, "no key file"},
		{"short", keyPrefix + "AAAA\n", 0o600, "damaged"},
		{"not base64", keyPrefix + "!!!!\n", 0o600, "damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			_, err := OpenBox(path)
			if tt.want == "" {
				if err != nil {
					t.Errorf("got %v, want none", err)
				}
				return
			}
			if !errors.Is(err, ErrKeyFile) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ErrKeyFile with %q", err, tt.want)
			}
		})
	}
	if _, err := OpenBox(t.TempDir()); !errors.Is(err, ErrKeyFile) {
		t.Errorf("a folder: got %v, want ErrKeyFile", err)
	}
}

func TestKeyFileIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	sealed := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range sealed {
		wg.Go(func() {
			box, err := OpenBox(path)
			if err != nil {
				t.Error(err)
				return
			}
			if sealed[i], err = box.Seal(New("x"), "c"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	box, err := OpenBox(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		if _, err := box.Open(sealed[i], "c"); err != nil {
			t.Errorf("box %d has another key: %v", i, err)
		}
	}
}
