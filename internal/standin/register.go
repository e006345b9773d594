package standin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/icholy/digest"
)

// Registration is a phone's wish to be reachable at a UDP socket. It is for tests
// and benchmarks in which another program plays the phone on that port later.
type Registration struct {
	Server   netip.AddrPort
	Domain   string // of the address of record; empty: the server's IP address
	Username string
	Password string
	Expires  time.Duration // 0: 5 minutes
}

// resend is T1 of RFC 3261 §17.1.2.2: how long to wait before asking again.
const resend = 500 * time.Millisecond

// tries bounds how often one REGISTER is sent.
const tries = 8

// Send registers from conn, which must be bound to a definite address, and
// answers the first challenge that it is offered, which is the strongest (RFC
// 8760 §2.3). It returns the final status: 200 when registered. Whatever else
// arrives at conn meanwhile is lost.
func (r Registration) Send(ctx context.Context, conn *net.UDPConn) (status int, err error) {
	callID := rand.Text()
	answer, err := r.exchange(ctx, conn, r.request(conn, callID, 1, ""))
	if err != nil || answer.status != 401 {
		return answer.status, err
	}
	challenge, err := digest.ParseChallenge(answer.challenge)
	if err != nil {
		return answer.status, fmt.Errorf("challenge %q: %w", answer.challenge, err)
	}
	cred, err := digest.Digest(challenge, digest.Options{Method: "REGISTER", URI: r.uri(), Username: r.Username, Password: r.Password})
	if err != nil {
		return answer.status, err
	}
	answer, err = r.exchange(ctx, conn, r.request(conn, callID, 2, "Authorization: "+cred.String()+"\r\n"))
	return answer.status, err
}

func (r Registration) uri() string { return "sip:" + r.Server.String() }

func (r Registration) request(conn *net.UDPConn, callID string, cseq int, authorization string) string {
	domain, expires := r.Domain, r.Expires
	if domain == "" {
		domain = r.Server.Addr().String()
	}
	if expires == 0 {
		expires = 5 * time.Minute
	}
	aor := "<sip:" + r.Username + "@" + domain + ">"
	local := conn.LocalAddr().String()
	return "REGISTER " + r.uri() + " SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP " + local + ";branch=z9hG4bK" + callID + strconv.Itoa(cseq) + "\r\n" +
		"From: " + aor + ";tag=" + callID[:10] + "\r\n" +
		"To: " + aor + "\r\n" +
		"Call-ID: " + callID + "\r\n" +
		"CSeq: " + strconv.Itoa(cseq) + " REGISTER\r\n" +
		"Contact: <sip:" + r.Username + "@" + local + ">\r\n" +
		"Max-Forwards: 70\r\n" +
		"Expires: " + strconv.Itoa(int(expires.Seconds())) + "\r\n" +
		authorization +
		"Content-Length: 0\r\n\r\n"
}

type registerAnswer struct {
	status    int
	challenge string // the first WWW-Authenticate
}

// exchange sends a request until its final answer comes.
func (r Registration) exchange(ctx context.Context, conn *net.UDPConn, request string) (registerAnswer, error) {
	_, rest, _ := strings.Cut(request, ";branch=")
	branch, _, _ := strings.Cut(rest, "\r\n")
	for range tries {
		if err := ctx.Err(); err != nil {
			return registerAnswer{}, err
		}
		if _, err := conn.WriteToUDPAddrPort([]byte(request), r.Server); err != nil {
			return registerAnswer{}, err
		}
		answer, err := awaitFinal(conn, branch)
		if err == nil {
			return answer, nil
		}
		if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
			return registerAnswer{}, err
		}
	}
	return registerAnswer{}, fmt.Errorf("no answer from %s to REGISTER of %s", r.Server, r.Username)
}

// awaitFinal reads until a final response with that branch comes, for resend at most.
func awaitFinal(conn *net.UDPConn, branch string) (registerAnswer, error) {
	if err := conn.SetReadDeadline(time.Now().Add(resend)); err != nil {
		return registerAnswer{}, err
	}
	buf := make([]byte, 8<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return registerAnswer{}, err
		}
		text := string(buf[:n])
		code, ok := strings.CutPrefix(text, "SIP/2.0 ")
		if !ok || len(code) < 3 || !strings.Contains(text, branch) {
			continue
		}
		status, err := strconv.Atoi(code[:3])
		if err != nil || status < 200 {
			continue
		}
		answer := registerAnswer{status: status}
		for line := range strings.SplitSeq(text, "\r\n") {
			name, value, _ := strings.Cut(line, ":")
			if strings.EqualFold(name, "WWW-Authenticate") {
				answer.challenge = strings.TrimSpace(value)
				break
			}
		}
		return answer, conn.SetReadDeadline(time.Time{})
	}
}
