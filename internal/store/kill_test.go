package store_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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

// telling prints what is stored, the moment it is: "open ID" and "end ID", and
// after each batch "alive T AGE": its time in microseconds since 1970, and how
// many milliseconds before the oldest of its calls began that it opened.
type telling struct{ *store.DB }

func (s telling) Save(ctx context.Context, now time.Time, batch []record.Entry) error {
	if err := s.DB.Save(ctx, now, batch); err != nil {
		return err
	}
	var b strings.Builder
	age := time.Duration(0)
	for _, e := range batch {
		switch {
		case e.Call == nil:
		case e.Call.Status == record.Done:
			fmt.Fprintln(&b, "end", e.Call.ID)
		default:
			fmt.Fprintln(&b, "open", e.Call.ID)
			age = max(age, time.Since(e.Call.StartedAt))
		}
	}
	fmt.Fprintln(&b, "alive", now.UnixMicro(), age.Milliseconds())
	_, err := os.Stdout.WriteString(b.String())
	return err
}

// writeForEver opens a call every 5 ms and ends the one of half a second before.
func writeForEver(path string) error {
	db, err := store.Open(context.Background(), path)
	if err != nil {
		return err
	}
	w, err := record.Open(telling{db}, record.Options{Spill: path + ".spill"})
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
		if len(open) > 100 {
			w.Ended(ended(open[0]))
			w.DialogClosed(dialog(open[0].ID, 1).Leg)
			open = open[1:]
		}
	}
	return nil
}

// told is what the child said of itself until it was killed.
type told struct {
	ended map[phone.CallID]bool // the calls stored: whether as ended
	alive int64                 // microseconds since 1970
	ages  []int                 // of batches, in milliseconds
}

// What was stored when a process is killed is there afterwards, whole; so what is
// lost is at most what waited. That this is handed to the store within 75 ms is
// tested in virtual time (package record). How soon the disk takes it is not ours
// alone: here the quickest batch has to be stored within 200 ms.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ringpath.db")
	said := runChild(t, path, 10)
	slices.Sort(said.ages)
	if best := said.ages[0]; best > 200 {
		t.Errorf("the quickest of %d batches was stored after %d ms, want at most 200", len(said.ages), best)
	}

	w := openWriter(t, open(t, path), record.Options{Spill: path + ".spill"})
	dialogs, err := w.Interrupted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byCall := map[phone.CallID]int{}
	for _, d := range dialogs {
		byCall[d.Call]++
	}
	for id, end := range said.ended {
		c, err := w.Call(t.Context(), id)
		switch {
		case err != nil:
			t.Errorf("call %d, stored before the kill: %v", id, err)
		case end && c.Cause != phone.CauseNormal:
			t.Errorf("call %d, stored as ended: got cause %s", id, c.Cause)
		case end && byCall[id] != 0:
			t.Errorf("call %d had ended, yet its dialog came back", id)
		case c.Cause == phone.CauseInterrupted && byCall[id] != 1:
			t.Errorf("call %d was interrupted: got %d dialogs, want 1", id, byCall[id])
		case c.Cause == phone.CauseInterrupted && c.EndedAt.UnixMicro() < said.alive:
			t.Errorf("call %d ended %d µs before the last sign of life", id, said.alive-c.EndedAt.UnixMicro())
		}
	}
	if len(dialogs) == 0 || len(said.ended) == 0 {
		t.Errorf("got %d dialogs of %d calls", len(dialogs), len(said.ended))
	}
}

// runChild starts the child and kills it after some batches.
func runChild(t *testing.T, path string, batches int) told {
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
	said := told{ended: map[phone.CallID]bool{}}
	batch, killed := map[phone.CallID]bool{}, false
	for lines := bufio.NewScanner(out); lines.Scan(); { // to the end: it was stored before it was said
		var what string
		var n int64
		var age int
		if fields, _ := fmt.Sscan(lines.Text(), &what, &n, &age); fields < 3 || what != "alive" {
			batch[phone.CallID(n)] = what == "end" // counts with the line that ends it: the last may be cut
			continue
		}
		maps.Copy(said.ended, batch)
		clear(batch)
		if said.alive = n; age > 0 {
			said.ages = append(said.ages, age)
		}
		if len(said.ages) == batches && !killed {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // "killed"
	if len(said.ages) < batches {
		t.Fatalf("the child ended after %d batches", len(said.ages))
	}
	return said
}
