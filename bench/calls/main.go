// Command calls measures how many calls Ringpath carries, and what they cost.
//
//	go run ./bench/calls [--rate 500] [--seconds 40] [--runs 3] [--json]
//
// Each run starts the built program on a data directory of its own, with records
// and traces on, and several pairs of SIPp around it: one of a pair calls, the other
// answers. Every call is looked up over HTTP; the server that is asked holds each
// request for 20 ms and answers with 2 KiB. The call rings one phone, which
// answers at once; it talks 1 s, without RTP but with its media relayed; the
// caller sends the BYE. What is printed is the median of the runs, figure by
// figure.
//
// How the figures come about:
//
//   - calls/s: calls that went as written, over the time from the first INVITE to
//     the last BYE less the second that the last one talks.
//   - failed: calls that did not; SIPp's own failures (it could not send) apart.
//   - resent: messages that SIPp had to send again, and INVITEs that crossed the
//     wire more than once in either direction. 0 means that nobody waited 500 ms.
//   - CPU: user and system time of the server's process, from /proc/PID/stat, from
//     before the first call until after the last, per 1000 calls.
//   - PSS: the server's memory right after the last call, from /proc/PID/smaps_rollup.
//   - added delay: from the caller's INVITE on the wire to the phone's INVITE on
//     the wire, less the time for which the lookup server held the request. Both
//     times are the kernel's, taken by a packet socket on the loopback interface
//     (which needs root or CAP_NET_RAW; else the delay is not measured). The HTTP
//     exchange itself counts as ours.
//   - records: how many calls the server has on record afterwards.
//
// SIPp runs on the same processors as the server, so on few of them a high rate
// measures both; its own CPU is printed beside.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// Bounds of what one may ask for: a benchmark that nobody can stop is no tool.
const (
	maxRate    = 3000 // calls/s
	maxSeconds = 600
	maxRuns    = 10
	maxPairs   = 16
)

type options struct {
	rate, seconds, runs, pairs int
	json                       bool
}

func main() {
	var o options
	flag.IntVar(&o.rate, "rate", 500, "calls per second, at most 3000")
	flag.IntVar(&o.seconds, "seconds", 40, "how long to call, at most 600")
	flag.IntVar(&o.runs, "runs", 3, "runs to take the median of, at most 10")
	flag.IntVar(&o.pairs, "pairs", 2, "pairs of SIPp to share the rate, at most 16")
	flag.BoolVar(&o.json, "json", false, "print JSON")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/calls:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, o options) error {
	if o.rate < 1 || o.rate > maxRate || o.seconds < 1 || o.seconds > maxSeconds || o.runs < 1 || o.runs > maxRuns || o.pairs < 1 || o.pairs > maxPairs {
		return fmt.Errorf("rate 1–%d, seconds 1–%d, runs 1–%d, pairs 1–%d", maxRate, maxSeconds, maxRuns, maxPairs)
	}
	if _, err := exec.LookPath("sipp"); err != nil {
		return errors.New("sipp is not installed (Debian: apt-get install sip-tester)")
	}
	dir, err := os.MkdirTemp("", "ringpath-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "ringpath")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/ringpath/ringpath/cmd/ringpath")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building ringpath: %w\n%s", err, out)
	}

	progress := io.Writer(os.Stderr)
	fmt.Fprintf(progress, "%d calls/s for %d s, %d runs, %d pairs of SIPp, %d processors\n", o.rate, o.seconds, o.runs, o.pairs, runtime.NumCPU())
	var results []result
	for i := range o.runs {
		r, err := run(ctx, o, binary, filepath.Join(dir, fmt.Sprint("run", i+1)))
		if err != nil {
			return fmt.Errorf("run %d: %w", i+1, err)
		}
		results = append(results, r)
		if !o.json {
			if i == 0 {
				printHead()
			}
			r.print(fmt.Sprint(i + 1))
		}
	}
	m := median(results)
	if o.json {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{
			"rate": o.rate, "seconds": o.seconds, "pairs": o.pairs, "processors": runtime.NumCPU(),
			"go": runtime.Version(), "at": time.Now().UTC().Format(time.RFC3339), "runs": results, "median": m,
		})
	}
	m.print("median")
	if !m.DelayMeasured {
		fmt.Println("added delay: not measured; a packet socket needs root or CAP_NET_RAW")
	}
	return nil
}

// result is what one run gave. Units are in the names.
type result struct {
	Calls         int     `json:"calls"`
	CallsPerS     float64 `json:"calls_per_s"`
	Failed        int     `json:"failed"`
	SippFailed    int     `json:"sipp_failed"`
	Resent        int     `json:"resent"`
	CPUPer1000S   float64 `json:"cpu_s_per_1000_calls"`
	SippCPUS      float64 `json:"sipp_cpu_s_per_1000_calls"`
	PSSMiB        float64 `json:"pss_mib"`
	DelayMeasured bool    `json:"delay_measured"`
	DelayP50MS    float64 `json:"added_delay_p50_ms"`
	DelayP99MS    float64 `json:"added_delay_p99_ms"`
	DelayMaxMS    float64 `json:"added_delay_max_ms"`
	Records       int     `json:"records"`
}

func printHead() {
	fmt.Printf("%-6s %8s %8s %7s %6s %7s %12s %9s %21s %8s %10s\n",
		"run", "calls", "calls/s", "failed", "SIPp's", "resent", "CPU-s/1000", "PSS MiB", "added ms p50/p99/max", "records", "SIPp CPU-s")
}

func (r result) print(name string) {
	delay := "-"
	if r.DelayMeasured {
		delay = fmt.Sprintf("%.2f/%.2f/%.1f", r.DelayP50MS, r.DelayP99MS, r.DelayMaxMS)
	}
	fmt.Printf("%-6s %8d %8.1f %7d %6d %7d %12.3f %9.1f %21s %8d %10.3f\n",
		name, r.Calls, r.CallsPerS, r.Failed, r.SippFailed, r.Resent, r.CPUPer1000S, r.PSSMiB, delay, r.Records, r.SippCPUS)
}

// median is the median of each figure by itself.
func median(rs []result) result {
	of := func(figure func(result) float64) float64 {
		v := make([]float64, len(rs))
		for i, r := range rs {
			v[i] = figure(r)
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return result{
		Calls:         int(of(func(r result) float64 { return float64(r.Calls) })),
		CallsPerS:     of(func(r result) float64 { return r.CallsPerS }),
		Failed:        int(of(func(r result) float64 { return float64(r.Failed) })),
		SippFailed:    int(of(func(r result) float64 { return float64(r.SippFailed) })),
		Resent:        int(of(func(r result) float64 { return float64(r.Resent) })),
		CPUPer1000S:   of(func(r result) float64 { return r.CPUPer1000S }),
		SippCPUS:      of(func(r result) float64 { return r.SippCPUS }),
		PSSMiB:        of(func(r result) float64 { return r.PSSMiB }),
		DelayMeasured: !slices.ContainsFunc(rs, func(r result) bool { return !r.DelayMeasured }),
		DelayP50MS:    of(func(r result) float64 { return r.DelayP50MS }),
		DelayP99MS:    of(func(r result) float64 { return r.DelayP99MS }),
		DelayMaxMS:    of(func(r result) float64 { return r.DelayMaxMS }),
		Records:       int(of(func(r result) float64 { return float64(r.Records) })),
	}
}
