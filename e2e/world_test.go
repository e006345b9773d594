package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/standin"
)

// ringpath is the program under test, built once.
var ringpath string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ringpath-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ringpath = filepath.Join(dir, "ringpath")
	build := exec.Command("go", "build", "-o", ringpath, "github.com/ringpath/ringpath/cmd/ringpath")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building ringpath: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// need skips the test, loudly, when a client program is not installed.
func need(t *testing.T, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("SKIPPED: %s is not installed, so this story was not tried (Debian: apt-get install %s)", program, debian)
	}
}

// world is one Ringpath and everybody around it.
type world struct {
	t   *testing.T
	dir string

	sip      netip.AddrPort // where Ringpath speaks SIP
	http     netip.AddrPort
	media    int            // first of its RTP ports
	carrier  netip.AddrPort // where the carrier's calls come from,
	carrier2 netip.AddrPort // and a second place, for calls at the same time
	outside  netip.AddrPort // where the carrier takes our calls
	crm      *standin.CRM
	digest   string // sip.digest; empty: the default

	users   []*user
	teams   []string // lines of the document
	numbers []string
	flows   []string

	key     apiKey
	process *exec.Cmd
	ended   chan struct{} // closed when process has ended
	log     *os.File
}

// apiKey is a key of this world's Ringpath, with every right to read.
type apiKey struct{ id, token string }

// user is a person with one phone.
type user struct {
	w        *world
	id       int
	name     string
	password string
	addr     netip.AddrPort // the phone's
}

func newWorld(t *testing.T) *world {
	t.Helper()
	need(t, "sipp", "sip-tester")
	return newWorldWithoutSIPp(t)
}

func newWorldWithoutSIPp(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, dir: t.TempDir(),
		sip: freeAddr(t), http: freeAddr(t), carrier: freeAddr(t), carrier2: freeAddr(t), outside: freeAddr(t),
		media: mediaPorts(),
		crm:   standin.NewCRM(standin.CRMOptions{Token: "stand-in-token"}),
	}
	if err := w.crm.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.crm.Close() })
	return w
}

// user adds a person; ids count from 101.
func (w *world) user(name string) *user {
	u := &user{w: w, id: 101 + len(w.users), name: name, password: name + "-has-a-long-password", addr: freeAddr(w.t)}
	w.users = append(w.users, u)
	return u
}

func (u *user) email() string { return u.name + "@example.test" }

func (w *world) team(id int, name string, members ...*user) {
	emails := make([]string, len(members))
	for i, m := range members {
		emails[i] = m.email()
	}
	w.teams = append(w.teams, fmt.Sprintf("  - {id: %d, name: %s, members: [%s]}", id, name, strings.Join(emails, ", ")))
}

func (w *world) number(id int, digits, flow string) {
	w.numbers = append(w.numbers, fmt.Sprintf("  - {id: %d, name: Line %d, digits: %q, flow: %s}", id, id, digits, flow))
}

// flow adds a flow; steps are YAML, indented as in the document's `steps:`.
func (w *world) flow(name, steps string) {
	steps = strings.NewReplacer("{CRM}", w.crm.URL(), "{OWN}", "http://"+w.http.String()).Replace(steps)
	w.flows = append(w.flows, "  - name: "+name+"\n    steps:\n"+indent(steps, "      "))
}

func indent(s, by string) string {
	lines := strings.Split(strings.Trim(s, "\n"), "\n")
	cut := len(lines[0]) - len(strings.TrimLeft(lines[0], "\t "))
	for i, l := range lines {
		lines[i] = by + strings.ReplaceAll(l[min(cut, len(l)):], "\t", "  ")
	}
	return strings.Join(lines, "\n")
}

// document is the directory document of this world.
func (w *world) document() string {
	var b strings.Builder
	b.WriteString("version: 1\ncompany: {name: Example Ltd, time_zone: UTC, default_region: US}\nusers:\n")
	for _, u := range w.users {
		fmt.Fprintf(&b, "  - {id: %d, name: %s, email: %s, phones: [{username: %s, password: {value: %s}}]}\n",
			u.id, u.name, u.email(), u.name, u.password)
	}
	section := func(name string, lines []string) {
		if len(lines) > 0 {
			b.WriteString(name + ":\n" + strings.Join(lines, "\n") + "\n")
		}
	}
	section("teams", w.teams)
	fmt.Fprintf(&b, "trunks:\n  - name: carrier\n    networks: [%q, %q]\n    hosts: [%q]\n    outbound: {prefixes: [\"+33\"], deny: [\"+3389\"]}\n", w.carrier, w.carrier2, w.outside)
	section("numbers", w.numbers)
	fmt.Fprintf(&b, "credentials:\n  - {name: crm, type: bearer, token: {value: stand-in-token}, hosts: [%q]}\n", w.crm.Addr())
	fmt.Fprintf(&b, "  - {name: own-api, type: basic, username: %q, password: {value: %q}, hosts: [%q]}\n", w.key.id, w.key.token, w.http)
	section("flows", w.flows)
	return b.String()
}

func (w *world) settings() string {
	s := fmt.Sprintf(`data: %s
http: {listen: %q}
sip: {listen: ["udp://%s", "tcp://%s"]}
media: {ports: %d-%d}
lookup: {allow: [%q]}
`, w.dataDir(), w.http, w.sip, w.sip, w.media, w.media+mediaSpan-1, w.crm.Addr())
	if w.digest != "" {
		s = strings.Replace(s, "sip: {", "sip: {digest: "+w.digest+", ", 1)
	}
	return s
}

func (w *world) dataDir() string { return filepath.Join(w.dir, "data") }

// serve starts Ringpath, makes an API key and applies the document.
func (w *world) serve() {
	w.t.Helper()
	w.write("ringpath.yaml", w.settings())
	w.start()
	w.key = w.createKey()
	w.write("directory.yaml", w.document())
	w.command("apply", "--data", w.dataDir(), "-f", filepath.Join(w.dir, "directory.yaml"))
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// start starts the server on the files that are there and waits until it is ready.
func (w *world) start() {
	w.t.Helper()
	log, err := os.OpenFile(filepath.Join(w.dir, "serve.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(ringpath, "serve", "--config", filepath.Join(w.dir, "ringpath.yaml"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = w.dir, log, log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is read from ProcessState
		_ = log.Close()
		close(ended)
	}()
	w.process, w.ended, w.log = cmd, ended, log
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if w.t.Failed() {
			w.t.Logf("server's log:\n%s", tail(filepath.Join(w.dir, "serve.log"), 6000))
		}
	})
	w.until("ready", 20*time.Second, func() bool {
		select {
		case <-ended:
			w.t.Fatalf("serve ended at once: %s\n%s", cmd.ProcessState, tail(filepath.Join(w.dir, "serve.log"), 4000))
		default:
		}
		status, _ := w.get("/readyz")
		return status == http.StatusOK
	})
}

// kill ends the server as a power cut would.
func (w *world) kill() {
	w.t.Helper()
	if err := w.process.Process.Kill(); err != nil {
		w.t.Fatal(err)
	}
	<-w.ended
}

// terminate asks the server to end, as an operator would.
func (w *world) terminate() {
	w.t.Helper()
	if err := w.process.Process.Signal(syscall.SIGTERM); err != nil {
		w.t.Fatal(err)
	}
}

// command runs one of the program's commands to its end and returns what it printed.
func (w *world) command(args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, ringpath, args...)
	cmd.Dir = w.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("ringpath %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// createKey makes a key that may read calls and their traces.
func (w *world) createKey() apiKey {
	w.t.Helper()
	out := w.command("apikey", "create", "--name", "e2e", "--scope", "v1:read", "--scope", "api:read", "--json", "--data", w.dataDir())
	var key struct{ ID, Token string }
	if err := json.Unmarshal([]byte(out), &key); err != nil || key.Token == "" {
		w.t.Fatalf("apikey create printed %q: %v", out, err)
	}
	return apiKey{id: key.ID, token: key.Token}
}

// get asks the server's HTTP face with the world's key.
func (w *world) get(path string) (int, []byte) {
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.http.String()+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.key.id != "" {
		req.SetBasicAuth(w.key.id, w.key.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, body
}

// getJSON asks for path and fails the test unless it gets a 200 with JSON.
func (w *world) getJSON(path string, into any) {
	w.t.Helper()
	status, body := w.get(path)
	if status != http.StatusOK {
		w.t.Fatalf("GET %s = %d %s", path, status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		w.t.Fatalf("GET %s: %v in %s", path, err, body)
	}
}

// until waits for something to become true.
func (w *world) until(what string, atMost time.Duration, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(atMost); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not %s within %s", what, atMost)
		}
	}
}

// Ports: ours are below the range from which the kernel hands out its own, so that
// a port found free stays free until its owner binds it.
const mediaSpan = 100

var (
	nextPort  atomic.Int32
	nextMedia atomic.Int32
)

func init() {
	nextPort.Store(20000 + rand.Int32N(80)*100)
	nextMedia.Store(rand.Int32N(80))
}

// freeAddr is a loopback address on which nobody listens, in UDP or TCP.
func freeAddr(t *testing.T) netip.AddrPort {
	t.Helper()
	for range 200 {
		addr := netip.AddrPortFrom(loopback, uint16(nextPort.Add(2)))
		if free(addr) {
			return addr
		}
	}
	t.Fatal("no free port")
	return netip.AddrPort{}
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// free says that nobody has bound the port, on any address. It looks, and does not
// try: a port that was bound for a moment stays so while another test forks.
func free(addr netip.AddrPort) bool {
	local := fmt.Appendf(nil, ":%04X", addr.Port())
	for _, name := range []string{"udp", "udp6", "tcp", "tcp6"} {
		list, err := os.ReadFile("/proc/net/" + name)
		if err != nil {
			continue // no IPv6 here
		}
		for line := range bytes.Lines(list) {
			// "  sl  local_address rem_address …": the second word
			if words := bytes.Fields(line); len(words) > 1 && bytes.HasSuffix(words[1], local) {
				return false
			}
		}
	}
	return true
}

// mediaPorts is the first of mediaSpan ports that no other world here uses.
func mediaPorts() int { return 10000 + int(nextMedia.Add(1))%90*mediaSpan }

// tail is the end of a file, for a failing test's log.
func tail(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(b) > n {
		b = append([]byte("…"), b[len(b)-n:]...)
	}
	return string(b)
}
