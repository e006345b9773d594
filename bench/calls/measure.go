package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// measure places the calls and reads the meters.
func (s *scene) measure(ctx context.Context) (result, error) {
	var phones, callers []*sipp
	defer func() {
		for _, p := range append(phones, callers...) {
			p.kill()
		}
	}()
	for pair := range s.o.pairs {
		p, err := s.answer(ctx, pair)
		if err != nil {
			return result{}, err
		}
		phones = append(phones, p)
	}
	tap, err := openTap(s.sip.Port())
	if err != nil && !errors.Is(err, syscall.EPERM) && !errors.Is(err, errors.ErrUnsupported) {
		return result{}, err
	}
	time.Sleep(500 * time.Millisecond) // SIPp binds its port; the server ends what registering left behind

	before, err := cpuSeconds(s.server.Process.Pid)
	if err != nil {
		return result{}, err
	}
	begin := time.Now()
	for pair := range s.o.pairs {
		c, err := s.call(ctx, pair)
		if err != nil {
			return result{}, err
		}
		callers = append(callers, c)
	}
	var r result
	for _, c := range callers {
		stats, err := c.wait()
		if err != nil {
			return result{}, fmt.Errorf("%w\n%s", err, s.logTail())
		}
		r.addCaller(stats)
	}
	took := time.Since(begin) - talk
	after, err := cpuSeconds(s.server.Process.Pid)
	if err != nil {
		return result{}, err
	}
	if r.PSSMiB, err = pssMiB(s.server.Process.Pid); err != nil {
		return result{}, err
	}
	for _, p := range phones {
		stats, err := p.finish()
		if err != nil {
			return result{}, err
		}
		r.Resent += stats.count("Retransmissions(C)")
	}
	r.CallsPerS = float64(r.Calls) / took.Seconds()
	r.CPUPer1000S = (after - before) / float64(max(1, r.Calls)) * 1000
	for _, p := range append(phones, callers...) {
		r.SippCPUS += p.cpu().Seconds() / float64(max(1, r.Calls)) * 1000
	}
	if tap != nil {
		invites := tap.close()
		r.Resent += invites.repeated
		r.delays(invites, s.lookup.held())
	}
	if r.Records, err = s.recorded(ctx); err != nil {
		return result{}, err
	}
	if r.Failed > 0 {
		fmt.Fprintf(os.Stderr, "what the server says of the calls:\n%s", s.outcomes(ctx))
	}
	return r, nil
}

func (r *result) addCaller(st stats) {
	own := 0
	for _, name := range []string{"FailedCannotSendMessage(C)", "FailedOutboundCongestion(C)", "FailedTimeoutOnSend(C)", "FailedCmdNotSent(C)"} {
		own += st.count(name)
	}
	r.Calls += st.count("SuccessfulCall(C)")
	r.SippFailed += own
	r.Failed += st.count("FailedCall(C)") - own
	r.Resent += st.count("Retransmissions(C)")
}

// clockTick is the unit of /proc/PID/stat: USER_HZ, 100 on every Linux that Go
// runs on.
const clockTick = 10 * time.Millisecond

// cpuSeconds is user and system time that a process has used.
func cpuSeconds(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in brackets and may hold anything;
	// utime and stime are the 14th and 15th, proc(5).
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, b)
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return (time.Duration(user+system) * clockTick).Seconds(), errors.Join(err1, err2)
}

// pssMiB is a process's memory, shared pages counted by their share.
func pssMiB(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/smaps_rollup has no Pss", pid)
}
