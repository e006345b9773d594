package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

//go:embed caller.xml
var callerXML []byte

//go:embed phone.xml
var phoneXML []byte

// sipp is one SIPp process.
type sipp struct {
	name  string
	cmd   *exec.Cmd
	stats string // file
	errs  string // file
	ended chan struct{}
	err   error // after ended
}

// answer starts the SIPp that plays all phones of a pair, until it is told to finish.
func (s *scene) answer(ctx context.Context, pair int) (*sipp, error) {
	return s.play(ctx, fmt.Sprint("phone", pair), phoneXML, s.phones[pair])
}

// call starts the SIPp that places the calls of a pair.
func (s *scene) call(ctx context.Context, pair int) (*sipp, error) {
	numbers := s.path(fmt.Sprintf("numbers%d.csv", pair))
	var b strings.Builder
	b.WriteString("SEQUENTIAL\n")
	for n := range s.perPair {
		fmt.Fprintf(&b, "%s;\n", callerNumber(pair, n))
	}
	if err := os.WriteFile(numbers, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	rate := s.o.rate / s.o.pairs
	if pair < s.o.rate%s.o.pairs {
		rate++
	}
	return s.play(ctx, fmt.Sprint("caller", pair), callerXML, s.callers[pair],
		"-s", dialled, "-inf", numbers, "-d", strconv.Itoa(int(talk.Milliseconds())),
		"-r", strconv.Itoa(rate), "-m", strconv.Itoa(rate*s.o.seconds), "-l", strconv.Itoa(rate*40))
}

func (s *scene) play(ctx context.Context, name string, xml []byte, at netip.AddrPort, args ...string) (*sipp, error) {
	p := &sipp{name: name, stats: s.path(name + ".csv"), errs: s.path(name + ".errors"), ended: make(chan struct{})}
	scenario := s.path(name + ".xml")
	if err := os.WriteFile(scenario, xml, 0o600); err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, "sipp", append([]string{s.sip.String(), "-sf", scenario,
		"-i", at.Addr().String(), "-p", strconv.Itoa(int(at.Port())), "-nostdin",
		"-timeout", strconv.Itoa(s.o.seconds+60) + "s",
		"-trace_stat", "-stf", p.stats, "-fd", "5",
		"-trace_err", "-error_file", p.errs, "-max_log_size", "1000000"}, args...)...)
	p.cmd.Dir = s.dir
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// wait waits until all calls are over. Failed calls are no error here: they are
// what is counted.
func (p *sipp) wait() (stats, error) {
	<-p.ended
	if exit, ok := errors.AsType[*exec.ExitError](p.err); ok && exit.ExitCode() == 1 { // "at least one call failed"
		fmt.Fprintf(os.Stderr, "%s: calls failed:\n%s", p.name, complaints(p.errs))
	} else if p.err != nil {
		return stats{}, fmt.Errorf("%s: %w\n%s", p.name, p.err, head(p.errs, 1500))
	}
	return readStats(p.stats)
}

// finish asks the phones to end when their calls have (SIGUSR1) and reads their
// figures.
func (p *sipp) finish() (stats, error) {
	_ = p.cmd.Process.Signal(syscall.SIGUSR1)
	hard := time.AfterFunc(5*time.Second, p.kill)
	<-p.ended
	hard.Stop()
	return readStats(p.stats)
}

// kill ends the process at once; harmless when it has ended.
func (p *sipp) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

func (p *sipp) cpu() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// stats are the figures of the last line of SIPp's statistics, by column.
type stats map[string]string

func (s stats) count(column string) int {
	n, _ := strconv.Atoi(s[column]) // readStats made sure that the columns are there
	return n
}

func readStats(path string) (stats, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	names, values := strings.Split(lines[0], ";"), strings.Split(lines[len(lines)-1], ";")
	if len(lines) < 2 || len(names) != len(values) {
		return nil, fmt.Errorf("%s: no statistics", path)
	}
	s := stats{}
	for i, name := range names {
		s[name] = values[i]
	}
	for _, name := range []string{"SuccessfulCall(C)", "FailedCall(C)", "Retransmissions(C)"} {
		if _, err := strconv.Atoi(s[name]); err != nil {
			return nil, fmt.Errorf("%s: column %s: %w", path, name, err)
		}
	}
	return s, nil
}

// complaints counts what SIPp wrote about failed calls, by what it received
// instead of what it expected.
func complaints(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	count := map[string]int{}
	for line := range strings.Lines(string(b)) {
		_, what, ok := strings.Cut(line, "Aborting call on ")
		if !ok {
			continue
		}
		before, _, _ := strings.Cut(what, " for Call-Id")
		if _, received, ok := strings.Cut(what, "received '"); ok {
			before += ": " + received
		}
		count[strings.TrimSpace(before)]++
	}
	var out strings.Builder
	for _, what := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(&out, "  %6d × %s\n", count[what], what)
	}
	return out.String()
}

func head(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b[:min(n, len(b))])
}
