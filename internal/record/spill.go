package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// maxSpill bounds the spill file, in bytes.
const maxSpill = 1 << 30

var errNoSpill = errors.New("there is no room for a spill file")

// spill is the file that takes entries the queue has no room for: one JSON
// object a line, appended and synced a batch at a time, emptied when all of it
// is stored. A crash while it is being stored only means that it is stored
// again. One goroutine uses it.
type spill struct {
	file *os.File     // nil: no file is wanted
	size atomic.Int64 // bytes written
	read int64        // bytes stored already
}

// openSpill opens the file at path with what an earlier process left in it.
func openSpill(path string) (*spill, error) {
	if path == "" {
		return &spill{}, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("spill file of call records: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("spill file of call records: %w", err)
	}
	s := &spill{file: f}
	s.size.Store(info.Size())
	return s, nil
}

func (s *spill) pending() bool { return s.read < s.size.Load() }

// append writes a batch, whole or not at all.
func (s *spill) append(batch []Entry) error {
	if len(batch) == 0 {
		return nil
	}
	size := s.size.Load()
	if s.file == nil || size > maxSpill {
		return errNoSpill
	}
	var b bytes.Buffer
	b.WriteByte('\n') // ends a line that a crash cut short
	for _, e := range batch {
		line, err := e.line()
		if err != nil {
			return err
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	n, err := s.file.WriteAt(b.Bytes(), size)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return errors.Join(err, s.file.Truncate(size))
	}
	s.size.Store(size + int64(n))
	return nil
}

// line is the entry as JSON, without the traces if one of them is no JSON.
func (e Entry) line() ([]byte, error) {
	line, err := json.Marshal(e)
	if err == nil || e.Call == nil {
		return line, err
	}
	bare := e.Call.withoutDetails()
	return json.Marshal(Entry{Call: &bare})
}

// next reads up to n entries that are not stored yet, and where they end. Lines
// that are no entry (cut short by a crash) are passed over.
func (s *spill) next(n int) (batch []Entry, end int64, err error) {
	end = s.read
	r := bufio.NewReaderSize(io.NewSectionReader(s.file, s.read, s.size.Load()-s.read), 64<<10)
	for len(batch) < n {
		line, err := r.ReadBytes('\n')
		end += int64(len(line))
		var e Entry
		if json.Unmarshal(line, &e) == nil && e != (Entry{}) {
			batch = append(batch, e)
		}
		if err == io.EOF {
			return batch, s.size.Load(), nil
		}
		if err != nil {
			return nil, 0, err
		}
	}
	return batch, end, nil
}

// stored notes that everything before end is stored, and empties the file when
// that is all of it.
func (s *spill) stored(end int64) error {
	s.read = end
	if s.pending() {
		return nil
	}
	if err := s.file.Truncate(0); err != nil {
		return err
	}
	s.read = 0
	s.size.Store(0)
	return nil
}

func (s *spill) close() {
	if s.file != nil {
		s.file.Close()
	}
}
