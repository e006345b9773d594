package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/store"
)

// childDatabase names the environment variable that turns the test binary into
// the process to be killed.
const childDatabase = "RINGPATH_TEST_DATABASE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childDatabase); path != "" {
		if err := writeForEver(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForEver opens a call every 5 ms, ends the one of half a second before,
// and prints what it has handed over: "open ID" or "end ID".
func writeForEver(path string) error {
	db, err := store.Open(context.Background(), path)
	if err != nil {
		return err
	}
	w, err := record.Open(db, record.Options{Spill: path + ".spill"})
	if err != nil {
		return err
	}
	var open []record.Call
	n := 0
	for range time.Tick(5 * time.Millisecond) {
		c := routed(time.Now(), 0)
		c.ID += phone.CallID(n)
		n++
		w.Opened(c)
		w.Dialog(*dialog(c.ID, 1))
		open = append(open, c)
		fmt.Println("open", c.ID)
		if len(open) > 100 {
			w.Ended(ended(open[0]))
			w.DialogClosed(dialog(open[0].ID, 1).Leg)
			fmt.Println("end", open[0].ID)
			open = open[1:]
		}
	}
	return nil
}

// handed is one line of the child.
type handed struct {
	id  phone.CallID
	end bool
	at  time.Time // when we read it, so at or after it was handed over
}

// A process that is killed loses at most its last 200 ms. How soon the disk takes
// a batch is not ours alone, and a test machine may be busy: of three tries one
// has to keep the 200 ms, and all of them two seconds.
func TestKill(t *testing.T) {
	best := time.Hour
	for range 3 {
		best = min(best, kill(t))
		if best <= 200*time.Millisecond {
			return
		}
	}
	t.Errorf("the newest news that was lost was handed over %v before the kill, want at most 200 ms", best)
}

// kill lets a child write, kills it, and returns how old the oldest news is
// that was lost.
func kill(t *testing.T) time.Duration {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ringpath.db")
	news, killed := runChild(t, path, 400)

	w := openWriter(t, open(t, path), record.Options{Spill: path + ".spill"})
	dialogs, err := w.Interrupted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lost := time.Duration(0)
	stillOpen := map[phone.CallID]bool{}
	for _, h := range news {
		c, err := w.Call(t.Context(), h.id)
		if kept := err == nil && (!h.end || c.Cause == phone.CauseNormal); !kept {
			lost = max(lost, killed.Sub(h.at))
		}
		stillOpen[h.id] = err == nil && c.Cause == phone.CauseInterrupted
		if err == nil && c.Cause == phone.CauseInterrupted && killed.Sub(c.EndedAt) > 2*time.Second {
			t.Errorf("call %d ended %v before the kill by its record", c.ID, killed.Sub(c.EndedAt))
		}
	}
	if lost > 2*time.Second {
		t.Errorf("news %v old was lost", lost)
	}
	if len(dialogs) == 0 {
		t.Error("no dialogs of calls that were open")
	}
	for _, d := range dialogs {
		if open, known := stillOpen[d.Call]; known && !open {
			t.Errorf("the dialog of call %d came back, which was not interrupted", d.Call)
		}
	}
	return lost
}

// runChild starts the child and kills it after n lines.
func runChild(t *testing.T, path string, n int) (news []handed, killed time.Time) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(slices.Clone(os.Environ()), childDatabase+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for len(news) < n && lines.Scan() {
		var what, id string
		if _, err := fmt.Sscan(lines.Text(), &what, &id); err != nil {
			t.Fatal(err)
		}
		number, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		news = append(news, handed{phone.CallID(number), what == "end", time.Now()})
	}
	killed = time.Now()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "killed"
	if len(news) < n {
		t.Fatalf("the child ended after %d lines", len(news))
	}
	return news, killed
}
