package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/ringpath/ringpath/internal/standin"
)

// Options of Run.
type Options struct {
	Once bool      // end after the stories
	JSON bool      // one object a call instead of words
	Out  io.Writer // the story
	Log  io.Writer // what the program itself warns of
}

// ErrNotAsTold says that some call did not go as its story says.
var ErrNotAsTold = errors.New("not every story went as told")

// Run tells the stories and, without Once, stays up until ctx is cancelled.
func Run(ctx context.Context, o Options) error {
	t := &teller{out: o.Out, json: o.JSON}
	t.say("Starting Ringpath, three agents' phones, a carrier and a CRM on 127.0.0.1 …")
	w, err := open(ctx, o.Log, t.say)
	if err != nil {
		return err
	}
	told := tell(ctx, w, t)
	if told == nil {
		t.table()
		if n := t.failed(); n > 0 {
			told = fmt.Errorf("%w: %d of %d calls", ErrNotAsTold, n, len(t.done))
		}
	}
	if told == nil && !o.Once {
		told = w.stay(ctx, t)
	}
	return errors.Join(told, w.close())
}

func tell(ctx context.Context, w *world, t *teller) error {
	for _, st := range stories() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t.say("\nStory %s", st.name)
		for _, line := range st.text {
			t.say("  %s", line)
		}
		from := len(t.done)
		if err := st.tell(ctx, &stage{world: w, teller: t, story: st.name}); err != nil {
			return fmt.Errorf("story %s: %w", st.name, err)
		}
		if err := t.end(from); err != nil {
			return err
		}
	}
	return nil
}

// stay says what to try now that everything is up, and waits until ctx is
// cancelled.
func (w *world) stay(ctx context.Context, t *teller) error {
	password, err := w.passwordFile()
	if err != nil {
		return err
	}
	w.crm.Answer(yourNumber, standin.User("ann@example.test"))
	sip, http := w.app.SIPAddr(), w.app.HTTPAddr()
	t.say(`
Everything stays up until you press Ctrl-C.

  your softphone   user name %[1]s, domain %[2]s, password %[3]s (UDP)
                   or: ringpath phone --account %[1]s@%[2]s --password-file %[4]s
  APIs             http://%[5]s/docs/v1  http://%[5]s/docs/api
  data             %[6]s

Three things to try:
  1. Dial %[7]s from your softphone. The CRM names Ann for your number %[8]s,
     and she answers with a tone.
  2. Break the CRM and dial again; the whole team rings:
       curl -X POST %[9]s/control/down     (and …/control/up, …/control/hang)
  3. See what a lookup does, without ringing anybody:
       ringpath lookup test --data %[6]s --flow crm --caller %[8]s
`, you, sip, w.yours, password, http, w.data, crmNumber, yourNumber, w.crm.ControlURL())
	<-ctx.Done()
	t.say("\nEnding …")
	return nil
}

// random is a secret of 130 bits.
func random() string { return rand.Text() }
