package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// Check is one line of /api/health.
type Check struct {
	Name   string `json:"name" example:"sip"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty" doc:"What is wrong and what to do, or how it is"`
}

type healthOutput struct {
	Body struct {
		OK       bool    `json:"ok" doc:"Calls are served"`
		Version  string  `json:"version"`
		Revision int64   `json:"revision" doc:"Of the directory"`
		Uptime   string  `json:"uptime" example:"26h3m0s"`
		Checks   []Check `json:"checks"`
	}
}

type statsOutput struct {
	Body struct {
		ActiveCalls    int `json:"active_calls"`
		CallsToday     int `json:"calls_today" doc:"Begun since midnight of the company's time zone"`
		Users          int `json:"users"`
		UsersAvailable int `json:"users_available"`
		Numbers        int `json:"numbers"`
	}
}

func (s *Server) healthOperations(h huma.API) {
	add(s, h, operation{Method: http.MethodGet, Path: "/api/health", Scope: access.APIRead, Tag: "health",
		Summary: "How the program is", About: "Whether calls are served, and if not, why."}, s.getHealth)
	add(s, h, operation{Method: http.MethodGet, Path: "/api/stats", Scope: access.APIRead, Tag: "health",
		Summary: "How much is going on", About: "A few numbers of this moment."}, s.getStats)
}

func (s *Server) getHealth(context.Context, *struct{}) (*healthOutput, error) {
	out := &healthOutput{}
	b := &out.Body
	b.OK, b.Version, b.Revision = true, s.Version, s.Directory.Snapshot().Rev()
	b.Uptime = s.Now().Sub(s.started).Truncate(time.Second).String()
	ready := Check{Name: "ready", OK: true}
	if err := s.Ready(); err != nil {
		ready.OK, ready.Detail = false, err.Error()
	}
	b.Checks = append([]Check{ready}, s.Health()...)
	for _, c := range b.Checks {
		b.OK = b.OK && c.OK
	}
	return out, nil
}

func (s *Server) getStats(ctx context.Context, _ *struct{}) (*statsOutput, error) {
	snapshot := s.Directory.Snapshot()
	out := &statsOutput{}
	b := &out.Body
	b.ActiveCalls, b.Users, b.Numbers = len(s.Live()), len(snapshot.Users()), len(snapshot.Numbers())
	for _, u := range snapshot.Users() {
		if s.State(u.ID) == phone.Available {
			b.UsersAvailable++
		}
	}
	_, total, err := s.Records.Find(ctx, record.Query{
		Statuses: []record.Status{record.Initial, record.Answered, record.Done},
		From:     midnight(s.Now(), snapshot.Company().TimeZone), Limit: 1, Bare: true,
	})
	b.CallsToday = total
	return out, err
}

// midnight is when the day of now began in a time zone (IANA; unknown: UTC).
func midnight(now time.Time, zone string) time.Time {
	place, err := time.LoadLocation(zone)
	if err != nil {
		place = time.UTC
	}
	y, m, d := now.In(place).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, place)
}
