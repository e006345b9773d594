package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

type personInput struct {
	Body struct {
		Number string `json:"number" maxLength:"40" example:"+14155550123" doc:"E.164"`
	}
}

type personOutput struct {
	Body struct {
		Number phone.E164    `json:"number"`
		Calls  []personsCall `json:"calls" doc:"Oldest first"`
	}
}

// personsCall is all that is kept of one call of a person.
type personsCall struct {
	CallDetail
	Traces   []callTrace  `json:"traces"`
	Messages []sipMessage `json:"messages"`
}

type erasedOutput struct {
	Body struct {
		Calls   int `json:"calls" doc:"From which the number was taken"`
		Running int `json:"running" doc:"Still going on and left alone: erase again when they have ended"`
	}
}

func (s *Server) privacyOperations(h huma.API) {
	add(s, h, operation{Method: http.MethodPost, Path: "/api/privacy/export", Scope: access.APIWrite, Tag: "privacy",
		Summary: "Export what is kept about a number", About: "Every call with its steps, traces and SIP messages."}, s.exportPerson)
	add(s, h, operation{Method: http.MethodPost, Path: "/api/privacy/erase", Scope: access.APIWrite, Tag: "privacy",
		Summary: "Erase a number", About: "Calls keep their times and outcome; the number, names, traces, shown facts and SIP messages go. This cannot be undone."}, s.erasePerson)
}

func (s *Server) exportPerson(ctx context.Context, in *personInput) (*personOutput, error) {
	n, err := personsNumber(in)
	if err != nil {
		return nil, err
	}
	out := &personOutput{}
	out.Body.Number, out.Body.Calls = n, []personsCall{}
	err = s.Records.Personal(ctx, n, func(a record.Account) error {
		c := personsCall{CallDetail: detailOf(&a.Call), Traces: []callTrace{}, Messages: messagesOf(a.Messages)}
		for _, note := range a.Call.Steps {
			if len(note.Detail) > 0 {
				c.Traces = append(c.Traces, callTrace{Step: note.Step, At: note.At, Trace: note.Detail})
			}
		}
		out.Body.Calls = append(out.Body.Calls, c)
		return nil
	})
	return out, err
}

func (s *Server) erasePerson(ctx context.Context, in *personInput) (*erasedOutput, error) {
	n, err := personsNumber(in)
	if err != nil {
		return nil, err
	}
	erased, err := s.Records.Erase(ctx, n)
	if err != nil {
		return nil, err
	}
	s.once.clear()
	// That it was done is noted, for whom is not (spec/privacy.md).
	s.log.InfoContext(ctx, "a number was erased", "calls", erased.Calls, "by", signedIn(ctx))
	out := &erasedOutput{}
	out.Body.Calls, out.Body.Running = erased.Calls, erased.Running
	return out, nil
}

func personsNumber(in *personInput) (phone.E164, error) {
	n, err := phone.ParseNumber(in.Body.Number, "")
	if err != nil {
		return "", invalidAt("/number", phone.ErrNumber.Error())
	}
	return n, nil
}
