package directory

import (
	"fmt"
	"sync"
	"testing"
)

// TestSnapshotsWhileApplying: readers never wait and never see half a change.
func TestSnapshotsWhileApplying(t *testing.T) {
	d := openTest(t, &memory{})
	apply(t, d, small, ApplyOptions{})
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for last := int64(0); ; {
				select {
				case <-stop:
					return
				default:
				}
				s := d.Snapshot()
				u, ok := s.User(456)
				if s.Rev() < last || !ok || s.Rev() > 1 && u.Name != s.Company().Name {
					t.Errorf("revision %d after %d: user %q, company %q", s.Rev(), last, u.Name, s.Company().Name)
					return
				}
				last = s.Rev()
			}
		})
	}
	for i := range 20 {
		apply(t, d, fmt.Sprintf("company: {name: n%d}\nusers: [{id: 456, name: n%d}]", i, i), ApplyOptions{})
	}
	close(stop)
	readers.Wait()
}
