package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	lookupTakes  = 20 * time.Millisecond
	lookupAnswer = 2 << 10 // bytes
)

// lookupServer names the user who belongs to a caller's number, and notes for how
// long it held each request.
type lookupServer struct {
	ln   net.Listener
	http *http.Server
	done chan struct{}

	mu    sync.Mutex
	times map[string][]time.Duration // by caller, in order
}

func startLookup() (*lookupServer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &lookupServer{ln: ln, done: make(chan struct{}), times: map[string][]time.Duration{}}
	s.http = &http.Server{Handler: http.HandlerFunc(s.owner), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			fmt.Println("lookup server:", err)
		}
	}()
	return s, nil
}

func (s *lookupServer) addr() string { return s.ln.Addr().String() }

func (s *lookupServer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.http.Shutdown(ctx)
	_ = s.http.Close()
	<-s.done
}

func (s *lookupServer) owner(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	caller := r.URL.Query().Get("phone")
	pair, n, ok := parseNumber(caller)
	if !ok {
		http.NotFound(w, r)
		return
	}
	body := fmt.Sprintf(`{"owner":{"email":"%s@bench.test"},"note":"`, userName(pair, n))
	body += strings.Repeat("x", lookupAnswer-len(body)-2) + `"}`
	time.Sleep(lookupTakes)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(body))
	held := time.Since(begin)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times[caller] = append(s.times[caller], held)
}

// parseNumber undoes callerNumber.
func parseNumber(caller string) (pair, n int, ok bool) {
	rest, found := strings.CutPrefix(caller, "+1415")
	if !found || len(rest) != 7 {
		return 0, 0, false
	}
	pair, err1 := strconv.Atoi(rest[:2])
	n, err2 := strconv.Atoi(rest[2:])
	return pair - 55, n, errors.Join(err1, err2) == nil
}

// held is for how long each caller's requests were held, in order.
func (s *lookupServer) held() map[string][]time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.times
}
