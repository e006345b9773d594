package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
)

// maxAnswer bounds what a Client reads of an answer.
const maxAnswer = 64 << 20

// Client speaks to a running server's /api, by its address and an API key or,
// on the same machine, by the socket in its data directory.
type Client struct {
	Server string      // http://127.0.0.1:8080; not used with Socket
	KeyID  string      // of the API key
	Token  secret.Text // its token
	Socket string      // path of DIR/ringpath.sock; empty: Server
}

// ErrNoServer says that nobody listens where the server should be.
var ErrNoServer = errors.New("no server reached")

// Refused is why the server did not do it. As an error's text it is only the
// faults: the detail stands before it in the *phone.Error.
type Refused struct{ *Problem }

// Error lists the faults, one a line; without any it is the code.
func (r *Refused) Error() string {
	if len(r.Errors) == 0 {
		return r.Code
	}
	return "\n" + document.Faults(r.Errors).Error()
}

// Unwrap is the faults, if there are any.
func (r *Refused) Unwrap() error {
	if len(r.Errors) == 0 {
		return nil
	}
	return document.Faults(r.Errors)
}

// Raw is a body, sent or received, that is not to be read as JSON.
type Raw struct {
	ContentType string // of what is sent; of what is wanted
	Data        []byte
	// IfMatch goes with what is sent; ETag came with what was received.
	IfMatch, ETag string
}

// Do sends in (nil: nothing, *Raw, or anything that JSON can say) and reads the
// answer into out (nil: thrown away, *Raw, or a pointer for JSON). What the
// server refuses comes back as a *phone.Error whose cause is a *Refused, with
// all its faults; ErrNoServer is in the chain when there was nobody to ask.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	req, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	if raw, ok := out.(*Raw); ok && raw.ContentType != "" {
		req.Header.Set("Accept", raw.ContentType)
	}
	client := &http.Client{Transport: c.transport(), CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the key goes to the server that was named, and nowhere else
	}}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return c.unreached(ctx, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return &phone.Error{Kind: phone.Unreachable, Text: "the server's answer broke off", Err: err}
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return refusal(res, data)
	}
	return receive(res, data, out)
}

func (c *Client) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	var body io.Reader
	header := http.Header{}
	switch in := in.(type) {
	case nil:
		if method == http.MethodDelete {
			header.Set("If-Match", "*") // what the user named goes, however it is by now
		}
	case *Raw:
		body = bytes.NewReader(in.Data)
		header.Set("Content-Type", in.ContentType)
		if in.IfMatch != "" {
			header.Set("If-Match", in.IfMatch)
		}
	default:
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		body = bytes.NewReader(data)
		header.Set("Content-Type", "application/json")
	}
	base := strings.TrimSuffix(c.Server, "/")
	if c.Socket != "" {
		base = "http://ringpath" // the transport dials the socket whatever the name
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, body)
	if err != nil {
		return nil, &phone.Error{Kind: phone.Invalid, Text: "the server's address is no URL: " + c.Server, Err: err}
	}
	req.Header = header
	if c.KeyID != "" {
		req.SetBasicAuth(c.KeyID, c.Token.Reveal())
	}
	return req, nil
}

func (c *Client) transport() *http.Transport {
	t := &http.Transport{DisableKeepAlives: true}
	if c.Socket != "" {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", c.Socket)
		}
	}
	return t
}

// unreached says where nobody answered and what to do.
func (c *Client) unreached(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	text := "no server at " + c.Server
	if c.Socket != "" {
		text = "no server at the socket " + c.Socket
		if errors.Is(err, os.ErrPermission) {
			text = "the socket " + c.Socket + " belongs to another user: run the command as that user, or give --server and an API key"
		}
	}
	return &phone.Error{Kind: phone.Unreachable, Text: text, Err: fmt.Errorf("%w: %w", ErrNoServer, err)}
}

// refusal makes an error of an answer that is no success.
func refusal(res *http.Response, data []byte) error {
	e := &phone.Error{Kind: kindOf(res.StatusCode)}
	p := &Problem{}
	if json.Unmarshal(data, p) == nil && p.Detail != "" {
		e.Text, e.Err = p.Detail, &Refused{Problem: p}
		return e
	}
	e.Text = "the server answered " + strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode)
	return e
}

func receive(res *http.Response, data []byte, out any) error {
	switch out := out.(type) {
	case nil:
	case *Raw:
		out.Data, out.ContentType, out.ETag = data, res.Header.Get("Content-Type"), res.Header.Get("ETag")
	default:
		if err := json.Unmarshal(data, out); err != nil {
			return &phone.Error{Kind: phone.Internal, Text: "the server's answer is not what this version expects", Err: err}
		}
	}
	return nil
}
