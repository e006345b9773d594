package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ringpath/ringpath/internal/standin"
)

const (
	dialled    = "+14155550100"
	talk       = time.Second
	turnaround = 6 * time.Second // after which a user takes the next call
)

// scene is one run's server and everybody around it.
type scene struct {
	o      options
	dir    string
	binary string

	sip, http netip.AddrPort
	callers   []netip.AddrPort // one a pair
	phones    []netip.AddrPort
	perPair   int // users of a pair
	lookup    *lookupServer
	server    *exec.Cmd
	key       struct{ ID, Token string }
}

func run(ctx context.Context, o options, binary, dir string) (result, error) {
	// Bounded in time, whatever hangs: starting, registering, calling, and what
	// SIPp and the server need to end.
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.seconds)*time.Second+2*time.Minute)
	defer cancel()
	s := &scene{o: o, dir: dir, binary: binary}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return result{}, err
	}
	if err := s.findPorts(); err != nil {
		return result{}, err
	}
	var err error
	if s.lookup, err = startLookup(); err != nil {
		return result{}, err
	}
	defer s.lookup.close()
	defer s.stop()
	if err := s.serve(ctx); err != nil {
		return result{}, fmt.Errorf("%w\n%s", err, s.logTail())
	}
	if err := s.register(ctx); err != nil {
		return result{}, err
	}
	return s.measure(ctx)
}

// findPorts takes ports below those that the kernel hands out by itself, and
// outside the relay's.
func (s *scene) findPorts() error {
	next := uint16(7000)
	find := func() (netip.AddrPort, error) {
		for ; next < 10000; next++ {
			addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), next)
			u, err := net.ListenPacket("udp", addr.String())
			if err != nil {
				continue
			}
			l, err := net.Listen("tcp", addr.String())
			if err == nil {
				err = l.Close()
			}
			if errors.Join(err, u.Close()) == nil {
				next++
				return addr, nil
			}
		}
		return netip.AddrPort{}, errors.New("no free port from 7000 to 9999")
	}
	s.callers, s.phones = make([]netip.AddrPort, s.o.pairs), make([]netip.AddrPort, s.o.pairs)
	for _, p := range append([]*netip.AddrPort{&s.sip, &s.http}, append(pointers(s.callers), pointers(s.phones)...)...) {
		addr, err := find()
		if err != nil {
			return err
		}
		*p = addr
	}
	s.perPair = max(1, s.o.rate*int(turnaround.Seconds())/s.o.pairs)
	return nil
}

func pointers(a []netip.AddrPort) []*netip.AddrPort {
	p := make([]*netip.AddrPort, len(a))
	for i := range a {
		p[i] = &a[i]
	}
	return p
}

// The n-th user of a pair: the caller's number says whom the lookup names, so that
// no call waits for a user who is still talking.
func userName(pair, n int) string     { return fmt.Sprintf("p%dn%d", pair, n) }
func callerNumber(pair, n int) string { return fmt.Sprintf("+1415%02d%05d", 55+pair, n) }

const password = "a-password-for-the-bench"

func (s *scene) serve(ctx context.Context) error {
	settings := fmt.Sprintf(`data: %s
http: {listen: %q}
sip: {listen: ["udp://%s"]}
media: {ports: 10000-31999}
lookup: {allow: [%q]}
`, s.data(), s.http, s.sip, s.lookup.addr())
	if err := os.WriteFile(s.path("ringpath.yaml"), []byte(settings), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("directory.yaml"), []byte(s.document()), 0o600); err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	if _, err := s.command(ctx, "apply", "--data", s.data(), "-f", s.path("directory.yaml")); err != nil {
		return err
	}
	out, err := s.command(ctx, "apikey", "create", "--name", "bench", "--scope", "api:read", "--json", "--data", s.data())
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, &s.key); err != nil {
		return err
	}
	// Taking in a document with thousands of users leaves its own mark on the heap;
	// what is measured is the calls.
	s.stop()
	return s.start(ctx)
}

// start starts the server and waits until it is ready.
func (s *scene) start(ctx context.Context) error {
	log, err := os.OpenFile(s.path("serve.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own descriptor
	s.server = exec.CommandContext(ctx, s.binary, "serve", "--config", s.path("ringpath.yaml"))
	s.server.Stdout, s.server.Stderr = log, log
	if err := s.server.Start(); err != nil {
		return err
	}
	return s.ready(ctx)
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, name) }
func (s *scene) data() string            { return s.path("data") }

func (s *scene) document() string {
	var b strings.Builder
	b.WriteString("version: 1\ncompany: {name: Bench, time_zone: UTC, default_region: US}\nusers:\n")
	networks := make([]string, s.o.pairs)
	for pair := range s.o.pairs {
		networks[pair] = fmt.Sprintf("%q", s.callers[pair])
		for n := range s.perPair {
			name := userName(pair, n)
			fmt.Fprintf(&b, "  - {name: %s, email: %s@bench.test, phones: [{username: %s, password: {value: %s}}]}\n", name, name, name, password)
		}
	}
	fmt.Fprintf(&b, `trunks:
  - {name: carrier, networks: [%s]}
numbers:
  - {id: 1, name: Main line, digits: %q, flow: main}
flows:
  - name: main
    steps:
      - name: owner
        ring_to_api:
          method: GET
          url: "http://%s/owner?phone={{callerNumber}}"
          response: {type: user, path: "owner.email"}
          ringing: {ring_for: 20s}
      - name: nobody
        hang_up: {}
`, strings.Join(networks, ", "), dialled, s.lookup.addr())
	return b.String()
}

func (s *scene) command(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Dir = s.dir
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("ringpath %s: %w\n%s%s", args[0], err, out, exit.Stderr)
	}
	return out, err
}

// ready waits until the server says that it is.
func (s *scene) ready(ctx context.Context) error {
	for range 400 {
		resp, err := http.Get("http://" + s.http.String() + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.New("the server was not ready within 20 s")
}

// stop ends the server, gently first; harmless when it has ended or never began.
func (s *scene) stop() {
	if s.server == nil || s.server.ProcessState != nil {
		return
	}
	_ = s.server.Process.Signal(syscall.SIGTERM)
	hard := time.AfterFunc(5*time.Second, func() { _ = s.server.Process.Kill() })
	_ = s.server.Wait()
	hard.Stop()
}

func (s *scene) logTail() string {
	b, _ := os.ReadFile(s.path("serve.log"))
	return string(b[max(0, len(b)-2000):])
}

// register registers all users of a pair from the port on which SIPp answers for
// them afterwards.
func (s *scene) register(ctx context.Context) error {
	for pair, at := range s.phones {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return err
		}
		for n := range s.perPair {
			name := userName(pair, n)
			r := standin.Registration{Server: s.sip, Username: name, Password: password, Expires: time.Hour}
			status, err := r.Send(ctx, conn)
			if err == nil && status != 200 {
				err = fmt.Errorf("REGISTER of %s got %d", name, status)
			}
			if err != nil {
				return errors.Join(err, conn.Close())
			}
		}
		if err := conn.Close(); err != nil {
			return err
		}
	}
	return nil
}

// recorded is how many calls the server has on record, once it has none going on:
// a busy server ends the last ones a moment after SIPp has.
func (s *scene) recorded(ctx context.Context) (int, error) {
	for range 50 {
		metrics, err := s.get(ctx, "/metrics")
		if err != nil {
			return 0, err
		}
		if bytes.Contains(metrics, []byte("\nringpath_active_calls 0\n")) {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	body, err := s.get(ctx, "/api/calls?state=ended&limit=1")
	if err != nil {
		return 0, err
	}
	var list struct{ Total int }
	err = json.Unmarshal(body, &list)
	return list.Total, err
}

// outcomes are the server's own counters of calls, by exit, reason and result.
func (s *scene) outcomes(ctx context.Context) string {
	body, err := s.get(ctx, "/metrics")
	if err != nil {
		return err.Error() + "\n"
	}
	var out strings.Builder
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "ringpath_calls_total{") {
			out.WriteString("  " + line)
		}
	}
	return out.String()
}

// get asks the server's HTTP face with the bench's key.
func (s *scene) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.http.String()+path, nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(s.key.ID, s.key.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return body, err
}
