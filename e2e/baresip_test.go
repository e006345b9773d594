package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Two baresip phones hear each other's tone through the relay: real media, made
// and judged by somebody else's code.
func TestBaresipTones(t *testing.T) {
	t.Parallel()
	need(t, "baresip", "baresip-core")
	const adasTone, bobsTone = 440.0, 1000.0
	w := newWorldWithoutSIPp(t)
	w.digest = "md5" // baresip 1.0 gives up at a challenge with SHA-256, even beside one with MD5
	ada, bob := w.user("ada"), w.user("bob")
	w.flow("main", `
	- name: bob
	  ring_to: {user: bob@example.test, ringing: {ring_for: 10s}}
	- name: nobody
	  hang_up: {}
	`)
	w.number(1, mainLine, "main")
	w.serve()

	bobs := bob.baresip(bobsTone)
	w.until("registered: bob", 10*time.Second, func() bool { return bobs.says("200 OK") })
	adas := ada.baresip(adasTone, "-e", "/dial sip:"+mainLine+"@"+w.sip.String())
	w.until("talking", 15*time.Second, func() bool { return adas.says("Call established") && bobs.says("Call established") })
	time.Sleep(3 * time.Second) // of tone
	adas.stop()
	w.until("over at bob's", 5*time.Second, func() bool { return bobs.says("terminated") || bobs.says("session closed") })
	bobs.stop()

	for _, tt := range []struct {
		name        string
		phone       *baresip
		hears, self float64
	}{{"ada", adas, bobsTone, adasTone}, {"bob", bobs, adasTone, bobsTone}} {
		heard := tt.phone.heard()
		of, own := power(heard, tt.hears), power(heard, tt.self)
		if of < 0.5 || own > 0.05 {
			t.Errorf("%s heard %d samples, %.0f %% of it the other's tone and %.0f %% her own, want most and none",
				tt.name, len(heard), of*100, own*100)
		}
	}
	if a := w.newest(""); a.User != bob.id {
		t.Errorf("record: user %d answered, want %d", a.User, bob.id)
	}
}

// baresip is one baresip process with a configuration of its own and no sound
// device: it plays a file and writes what it hears into another.
type baresip struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd

	mu  sync.Mutex
	out bytes.Buffer
}

func (u *user) baresip(tone float64, args ...string) *baresip {
	t := u.w.t
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rtp := freeAddr(t).Port()
	write("tone.wav", wav(tone, 20*time.Second))
	write("contacts", nil)
	write("accounts", fmt.Appendf(nil, "<sip:%s@%s>;auth_pass=%s;regint=60;answermode=auto;audio_codecs=pcmu\n", u.name, u.w.sip, u.password))
	write("config", []byte(strings.Join([]string{
		"poll_method epoll",
		"net_interface 127.0.0.1",
		"sip_listen " + u.addr.String(),
		"rtp_ports " + fmt.Sprintf("%d-%d", rtp, rtp+2),
		"audio_source aufile," + filepath.Join(dir, "tone.wav"),
		"audio_player aubridge,nobody", // players must exist; what is heard is kept by sndfile
		"audio_alert aubridge,nobody",
		"ring_aufile none",
		"snd_path " + dir,
		"module_path " + modulePath(t),
		"module g711.so", "module aufile.so", "module aubridge.so", "module sndfile.so",
		"module_tmp uuid.so", "module_tmp account.so", "module_app menu.so", "",
	}, "\n")))

	b := &baresip{t: t, dir: dir}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	b.cmd = exec.CommandContext(ctx, "baresip", append([]string{"-f", dir}, args...)...)
	b.cmd.Stdout, b.cmd.Stderr = b, b
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		b.stop()
		if t.Failed() {
			t.Logf("%s's baresip:\n%s", u.name, b.text())
		}
	})
	return b
}

// modulePath is where Debian puts baresip's modules on this machine.
func modulePath(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib*/**/baresip/modules")
	more, err2 := filepath.Glob("/usr/lib/baresip/modules")
	for _, dir := range append(more, found...) {
		if _, err := os.Stat(filepath.Join(dir, "sndfile.so")); err == nil {
			return dir
		}
	}
	t.Skipf("SKIPPED: baresip has no module sndfile in /usr/lib (%v, %v)", err, err2)
	return ""
}

// Write collects what the process prints; baresip's Stdout and Stderr.
func (b *baresip) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Write(p)
}

func (b *baresip) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.String()
}

func (b *baresip) says(text string) bool { return strings.Contains(b.text(), text) }

// stop lets baresip hang up and waits for its end; twice is harmless.
func (b *baresip) stop() {
	if b.cmd.ProcessState != nil {
		return
	}
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	_ = b.cmd.Wait() // killed by its context when it does not listen
}

// heard is what the phone decoded, as samples from -1 to 1.
func (b *baresip) heard() []float64 {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "dump-*-dec.wav"))
	if err != nil || len(files) == 0 {
		b.t.Fatalf("baresip kept no audio: %v", err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		b.t.Fatal(err)
	}
	const header = 44 // bytes, of a plain WAV file
	var samples []float64
	for i := header; i+1 < len(data); i += 2 {
		samples = append(samples, float64(int16(binary.LittleEndian.Uint16(data[i:])))/(1<<15))
	}
	return samples
}

const sampleRate = 8000 // Hz

// wav is a tone as a WAV file: 16 bit, mono.
func wav(hz float64, d time.Duration) []byte {
	n := int(d.Seconds() * sampleRate)
	b := []byte("RIFF")
	b = binary.LittleEndian.AppendUint32(b, uint32(36+2*n))
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = binary.LittleEndian.AppendUint16(b, 1) // PCM
	b = binary.LittleEndian.AppendUint16(b, 1) // channels
	b = binary.LittleEndian.AppendUint32(b, sampleRate)
	b = binary.LittleEndian.AppendUint32(b, 2*sampleRate)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(2*n))
	for i := range n {
		s := int16(12000 * math.Sin(2*math.Pi*hz*float64(i)/sampleRate))
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

// power is the share of the signal's power at one frequency, 0 to 1: Goertzel's
// algorithm over the second in the middle.
func power(samples []float64, hz float64) float64 {
	if len(samples) < sampleRate {
		return 0
	}
	mid := (len(samples) - sampleRate) / 2
	samples = samples[mid : mid+sampleRate]
	k := 2 * math.Cos(2*math.Pi*hz/sampleRate)
	var s1, s2, total float64
	for _, x := range samples {
		s1, s2 = x+k*s1-s2, s1
		total += x * x
	}
	if total == 0 {
		return 0
	}
	n := float64(len(samples))
	return (s1*s1 + s2*s2 - k*s1*s2) / (total * n / 2)
}
