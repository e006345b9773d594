// Command relay measures what relaying sound costs:
//
//	go run ./bench/relay --calls 200,500 --seconds 10
//
// This process is the relay. A child process plays both ends of every call, 50
// packets of G.711 a second each way over loopback, so that its cost is apart.
// The table shows the relay's CPU time (getrusage, which is what /proc tells)
// for a million packets, and what a call holds in memory.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ringpath/ringpath/internal/media"
)

// Bounds of the flags.
const (
	maxCalls   = 2000
	maxSeconds = 120
)

var loopback = netip.MustParseAddr("127.0.0.1")

func main() {
	calls := flag.String("calls", "200,500", "calls at the same time, one run for each number, at most 2000")
	seconds := flag.Int("seconds", 10, "length of a run in seconds, at most 120")
	generate := flag.Bool("generate", false, "be the child process")
	flag.Parse()
	if *generate {
		exit(generator(os.Stdin, os.Stdout))
	}
	exit(measure(os.Stdout, *calls, *seconds))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/relay:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func measure(out io.Writer, calls string, seconds int) error {
	if seconds < 1 || seconds > maxSeconds {
		return fmt.Errorf("--seconds is %d, must be 1–%d", seconds, maxSeconds)
	}
	fmt.Fprintf(out, "%d CPUs, %s, 50 packets a second each way, %d s a run\n\n", runtime.NumCPU(), runtime.Version(), seconds)
	fmt.Fprintln(out, "calls   packets     lost   CPU-s   CPU-s per million   KiB per call")
	for text := range strings.SplitSeq(calls, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > maxCalls {
			return fmt.Errorf("--calls has %q, must be 1–%d", text, maxCalls)
		}
		r, err := run(n, seconds)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%5d %9d %7.3f%% %7.2f %19.2f %14.1f\n", n, r.relayed, r.lost(),
			r.cpu.Seconds(), r.cpu.Seconds()*1e6/float64(r.relayed), float64(r.memory)/1024/float64(n))
	}
	return nil
}

type result struct {
	sent, relayed, received uint64
	cpu                     time.Duration
	memory                  uint64 // bytes that the sessions hold while they talk
}

func (r result) lost() float64 {
	return 100 * float64(r.sent-r.received) / float64(r.sent)
}

// run relays n calls for some seconds.
func run(n, seconds int) (result, error) {
	self, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	child := exec.Command(self, "--generate")
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		return result{}, err
	}
	out, err := child.StdoutPipe()
	if err != nil {
		return result{}, err
	}
	if err := child.Start(); err != nil {
		return result{}, err
	}
	r, err := relay(n, seconds, json.NewEncoder(in), json.NewDecoder(out))
	in.Close()
	if waited := child.Wait(); err == nil {
		err = waited
	}
	return r, err
}

func relay(n, seconds int, to *json.Encoder, from *json.Decoder) (result, error) {
	before := held()
	r := media.NewRelay(media.Options{MinPort: 30000, MaxPort: 30000 + 4*maxCalls + 200, Addr: loopback})
	defer r.Close()
	if err := to.Encode(order{Calls: n, Seconds: seconds}); err != nil {
		return result{}, err
	}
	var ends ports
	if err := from.Decode(&ends); err != nil {
		return result{}, fmt.Errorf("the child process: %w", err)
	}
	sessions, ours, err := join(r, ends)
	if err != nil {
		return result{}, err
	}
	memory := held() - before
	start := cpu()
	if err := to.Encode(ours); err != nil {
		return result{}, err
	}
	var done count
	if err := from.Decode(&done); err != nil {
		return result{}, fmt.Errorf("the child process: %w", err)
	}
	sum := result{sent: done.Sent, received: done.Received, cpu: cpu() - start, memory: memory}
	for _, s := range sessions {
		stats := s.Stats()
		sum.relayed += stats.ToCaller + stats.ToPhone
	}
	if sum.relayed == 0 {
		return result{}, fmt.Errorf("nothing was relayed")
	}
	return sum, nil
}

// join opens a session for every pair of ends.
func join(r *media.Relay, ends ports) ([]*media.Session, ports, error) {
	var sessions []*media.Session
	var ours ports
	for _, end := range ends {
		s, err := r.Open()
		if err != nil {
			return nil, nil, err
		}
		var own [2]uint16
		for _, side := range []media.Side{media.CallerSide, media.PhoneSide} {
			port, err := s.Port(side)
			if err != nil {
				return nil, nil, err
			}
			own[side] = uint16(port)
			at := netip.AddrPortFrom(loopback, end[side])
			s.SetRemote(side, &media.Description{RTP: at, RTCP: at}, loopback)
		}
		if err := s.Start(); err != nil {
			return nil, nil, err
		}
		sessions, ours = append(sessions, s), append(ours, own)
	}
	return sessions, ours, nil
}

// cpu is the time that this process has computed, in its own code and in the
// system's for it.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// held is what lives in the heap and on stacks.
func held() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
