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
func (s *scene) measure(ctx context.Context) (r result, err error) {
	phones, err := s.each(ctx, s.answer)
	defer killAll(phones)
	if err != nil {
		return r, err
	}
	tap, err := openTap(s.sip.Port())
	if err != nil && !errors.Is(err, syscall.EPERM) && !errors.Is(err, errors.ErrUnsupported) {
		return r, err
	}
	time.Sleep(500 * time.Millisecond) // SIPp binds its port; the server ends what registering left behind

	callers, err := s.place(ctx, &r)
	defer killAll(callers)
	if err != nil {
		return r, fmt.Errorf("%w\n%s", err, s.logTail())
	}
	for _, p := range phones {
		stats, err := p.finish()
		if err != nil {
			return r, err
		}
		r.Resent += stats.count("Retransmissions(C)")
	}
	for _, p := range append(phones, callers...) {
		r.SippCPUS += r.per1000(p.cpu().Seconds())
	}
	if tap != nil {
		invites := tap.close()
		r.Resent += invites.repeated
		r.delays(invites, s.lookup.held())
	}
	if r.Records, err = s.recorded(ctx); err != nil {
		return r, err
	}
	if r.Failed > 0 {
		fmt.Fprintf(os.Stderr, "what the server says of the calls:\n%s", s.outcomes(ctx))
	}
	return r, nil
}

// place places all calls, waits until they are over, and reads what they cost the
// server.
func (s *scene) place(ctx context.Context, r *result) ([]*sipp, error) {
	pid := s.server.Process.Pid
	before, err := cpuSeconds(pid)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	callers, err := s.each(ctx, s.call)
	if err != nil {
		return callers, err
	}
	for _, c := range callers {
		stats, err := c.wait()
		if err != nil {
			return callers, err
		}
		r.addCaller(stats)
	}
	r.CallsPerS = float64(r.Calls) / (time.Since(begin) - talk).Seconds()
	after, err := cpuSeconds(pid)
	if err != nil {
		return callers, err
	}
	r.CPUPer1000S = r.per1000(after - before)
	r.PSSMiB, err = pssMiB(pid)
	return callers, err
}

// each starts one SIPp a pair.
func (s *scene) each(ctx context.Context, start func(context.Context, int) (*sipp, error)) ([]*sipp, error) {
	var all []*sipp
	for pair := range s.o.pairs {
		p, err := start(ctx, pair)
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

func killAll(all []*sipp) {
	for _, p := range all {
		p.kill()
	}
}

func (r *result) per1000(seconds float64) float64 { return seconds / float64(max(1, r.Calls)) * 1000 }

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
