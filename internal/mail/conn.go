package mail

import (
	"strings"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/smtp"
	"github.com/awaitd/awaitd/internal/stream"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// conn is one session. It is the Upgrader that its stream begins with, and the Socket that it goes on with.
type conn struct {
	stream.Link
	exchange.Flow
	exchange.Unanswered
	door    *door
	stream  exchange.Stream // nil before it is handed over, and once the application's side is over
	session *smtp.Session   // nil before the application has said what it wants
	hooks   hooks
	queue   []piece // for the application, who has no room for it
	said    []byte  // the parts of a text that the application sends
	credit  int     // what the application takes now

	transaction int       // counts them: what is known of one is not said of another
	asked       bool      // the application has a question to answer
	asking      smtp.Kind // what it is about
	receiving   bool      // a message has begun that is not whole
	told        bool      // and knows of the transaction
	leaving     bool      // ends with the message that has begun
}

// piece is a message for the application, or the rest of one.
type piece struct {
	data []byte
	kind exchange.MessageKind
}

const (
	// patience is how long a client may say nothing (RFC 5321 §4.5.3.2.7).
	patience = 5 * time.Minute
	// mostSaid is the longest text of an application's.
	mostSaid = 64 << 10
)

// Begin hands the connection to the application.
func (c *conn) Begin(unix string) {
	s := c.door.s
	c.Window = s.Room()
	req := c.Request(exchange.SMTP, c.Window, unix)
	req.ID = s.NextID()
	stream, reason := s.app.Open(&req, c)
	if c.stream = stream; stream == nil {
		c.Fail(reason)
	}
}

// Accept is called when an application takes the session: its first word is awaited.
func (c *conn) Accept(*exchange.Acceptance) exchange.Socket { return c }

// greet begins the session as the application wants it.
func (c *conn) greet(w *word) {
	h, err := hooksOf(w.Commands)
	if err == nil && w.Type != "smtp.accept" {
		err = errWord
	}
	if err != nil {
		c.wrong(err)
		return
	}
	settings := &c.door.plain
	if w.Auth {
		settings = &c.door.auth
	}
	c.hooks, c.session = h, &smtp.Session{}
	c.session.Reset(settings, c.Secured() != nil)
	c.SetTimer(patience)
	c.Later()
}

// wrong ends a session whose application breaks its rules.
func (c *conn) wrong(err error) {
	c.door.s.cfg.Log.Error("a mail application is wrong", "error", err)
	c.giveUp(exchange.AppError)
}

// Input goes on with what has come.
func (c *conn) Input() {
	if c.Proxied() {
		c.ReadProxy()
	}
	c.run()
}

// run takes what has come, until the application has to answer or has no room.
func (c *conn) run() {
	if c.session == nil || c.Closed() || c.Closing() || c.PutOff() {
		return
	}
	rounds := 0
	for !c.asked && len(c.queue) == 0 && !c.Closed() {
		n, ev := c.session.Next(c.Received)
		if c.Received = c.Received[n:]; len(c.Received) == 0 {
			c.Received = nil
		}
		switch {
		case ev.Kind == smtp.Starved:
			if rounds++; rounds > 1 || !c.receive() {
				c.pause()
				return
			}
		case ev.Kind == smtp.Over:
			c.over()
			return
		case ev.Kind == smtp.StartTLS:
			c.flush()
			c.startTLS()
			return
		default:
			c.act(ev)
		}
	}
	c.pause()
}

// startTLS goes on in TLS. The session begins anew: what was said before could have come from somebody in between (RFC 3207 §4.2).
func (c *conn) startTLS() {
	if c.Closed() {
		return
	}
	c.StartTLS(func() {
		c.session.Secured()
		c.discard()
		c.transaction++
		c.pass(encode(secured{"smtp.tls", c.transaction, c.Secured()}), exchange.Text)
		c.SetTimer(patience)
		c.Later()
	})
}

// pause sends what the engine has said, and waits.
func (c *conn) pause() {
	if c.Closed() {
		return
	}
	c.flush()
	switch {
	case c.Closed():
	case c.leaving && !c.asked && !c.receiving:
		c.session.Close("421 4.3.2 Service shutting down")
		c.over()
	case c.Finished() && !c.asked && len(c.queue) == 0: // all is said
		c.leave()
		c.Shut(false)
	case c.Readable() && !c.asked && len(c.queue) == 0:
		c.Later() // the reactor's other connections come first
	}
}

// receive reads more behind what is there. It reports false if there is nothing now.
func (c *conn) receive() bool {
	if !c.Readable() {
		return false
	}
	buf := c.Receive(reactor.ReadSize)
	if len(buf) == 0 {
		return false
	}
	c.Received = append(c.Received, buf...)
	c.SetTimer(patience)
	return true
}

// flush sends replies.
func (c *conn) flush() {
	if out := c.session.Out; len(out) > 0 {
		c.session.Out = out[:0]
		c.Send(out, nil, "")
	}
}

// over ends a session that has come to its end.
func (c *conn) over() {
	c.flush()
	c.leave()
	c.Shut(true)
}

// act does what the engine has found.
func (c *conn) act(ev smtp.Event) {
	switch ev.Kind {
	case smtp.Full:
		c.flush()
	case smtp.Command:
		c.command(&ev)
	case smtp.Credentials:
		c.ask(ev.Kind, encode(login{"smtp.auth", ev.Mechanism, ev.Identity, ev.Login, ev.Password}))
	case smtp.Content:
		c.tellEnvelope()
		c.pass(ev.Data, exchange.Binary)
	case smtp.End:
		c.tellEnvelope()
		c.ask(ev.Kind, theEnd)
	case smtp.Discard:
		c.discard()
	}
}

// command answers a command, or has the application do so.
func (c *conn) command(ev *smtp.Event) {
	switch ev.Verb {
	case smtp.HELO, smtp.EHLO, smtp.LHLO, smtp.RSET:
		c.discard()
		c.transaction++
	case smtp.DATA, smtp.BDAT:
		c.receiving = true
	}
	if ev.Verb == smtp.MAIL && c.door.s.cfg.Rates.exceeds(&c.Client, c.Reactor().Now()) {
		c.Note(telemetry.RateExceeded)
		_ = c.session.Reply(replyRate) // it is a reply
		return
	}
	if !c.hooks.has(ev.Verb) {
		c.session.Default()
		return
	}
	t := c.about("smtp.command")
	t.Command, t.Argument, t.Address = ev.Verb.String(), string(ev.Arg), ev.Address
	switch ev.Verb {
	case smtp.MAIL:
		t.Address, t.Options, t.UTF8 = ev.Mail.Address, optionsOf(ev.Mail.Parameters), ev.Mail.UTF8
	case smtp.RCPT:
		t.Address, t.Options = ev.Recipient.Address, optionsOf(ev.Recipient.Parameters)
	case smtp.EHLO, smtp.LHLO:
		t.Lines = strings.Split(string(c.session.AppendDefault(nil)), "\r\n")
	}
	if e := &c.session.Envelope; e.Begun {
		t.Mail = mailOf(e)
		if ev.Verb != smtp.RCPT { // who decides about these knows them
			t.Recipients = recipientsOf(e)
		}
	}
	c.ask(ev.Kind, encode(t))
}

// theEnd tells the application that a message is whole.
var theEnd = encode(note{Type: "smtp.data"})

// replyRate answers a client that sends too much.
var replyRate = []byte("451 4.7.1 Error: too many messages, come back later")

// about begins what the application is told.
func (c *conn) about(kind string) *told {
	return &told{
		Type: kind, Transaction: c.transaction, Hostname: c.door.plain.Hostname, Helo: c.session.Name, Extended: c.session.Extended,
		Options: []string{},
	}
}

func mailOf(e *smtp.Envelope) *told {
	return &told{Address: e.Mail.Address, Options: optionsOf(e.Mail.Parameters), UTF8: e.Mail.UTF8}
}

func recipientsOf(e *smtp.Envelope) (list []recipient) {
	for _, r := range e.Recipients {
		list = append(list, recipient{r.Address, optionsOf(r.Parameters)})
	}
	return list
}

// tellEnvelope tells the application, once, whose message it is to get.
func (c *conn) tellEnvelope() {
	if c.told {
		return
	}
	c.told = true
	t, e := c.about("smtp.envelope"), &c.session.Envelope
	t.Mail, t.Recipients = mailOf(e), recipientsOf(e)
	c.pass(encode(t), exchange.Text)
}

// discard tells the application that the message whose parts it has will not be whole.
func (c *conn) discard() {
	c.receiving = false
	if c.told {
		c.told = false
		c.transaction++
		c.pass(encode(note{Type: "smtp.abort"}), exchange.Text)
	}
}

// ask passes a question on.
func (c *conn) ask(kind smtp.Kind, text []byte) {
	c.asked, c.asking = true, kind
	c.pass(text, exchange.Text)
}

// pass gives bytes to the application, now or when it has room. p is borrowed.
func (c *conn) pass(p []byte, kind exchange.MessageKind) {
	if c.stream == nil {
		return
	}
	if len(c.queue) == 0 {
		if p = c.passSome(p, kind); len(p) == 0 {
			return
		}
	}
	c.queue = append(c.queue, piece{append([]byte(nil), p...), kind})
}

// passSome gives as much as there is room for, and returns the rest. The parts of a message's content are messages of their own; a
// text goes on.
func (c *conn) passSome(p []byte, kind exchange.MessageKind) []byte {
	for len(p) > 0 && c.credit > 0 {
		n := min(len(p), c.credit)
		c.credit = c.stream.Message(p[:n], kind, kind == exchange.Text && n < len(p))
		p = p[n:]
	}
	return p
}

// Credit lets more of the client's mail flow.
func (c *conn) Credit(n int) {
	c.credit = n
	for len(c.queue) > 0 {
		p := &c.queue[0]
		if p.data = c.passSome(p.data, p.kind); len(p.data) > 0 {
			return
		}
		c.queue = c.queue[1:]
	}
	c.queue = nil
	c.Later()
}

// Message takes what the application says.
func (c *conn) Message(p []byte, kind exchange.MessageKind, more bool) {
	c.Owed += len(p)
	if c.stream != nil {
		if n := c.RefillSome(c.door.s.Room()); n > 0 {
			c.stream.Grant(n)
		}
	}
	if kind != exchange.Text || len(c.said)+len(p) > mostSaid {
		c.wrong(errWord)
		return
	}
	if more || c.said != nil {
		c.said = append(c.said, p...)
		p = c.said
	}
	if more {
		return
	}
	w, err := parse(p)
	c.said = nil
	switch {
	case err != nil:
		c.wrong(err)
	case c.session == nil:
		c.greet(&w)
	case w.Type != "smtp.reply" || !c.asked:
		c.wrong(errWord)
	default:
		c.answer(&w)
	}
}

// answer passes the application's answer on to the client.
func (c *conn) answer(w *word) {
	c.asked = false
	if c.told { // a message's end: the next is another
		c.told, c.receiving = false, false
		c.transaction++
	}
	if err := c.reply(w); err != nil {
		c.door.s.cfg.Log.Error("the reply of a mail application is no reply", "error", err)
	}
	c.Later()
}

// reply answers the client as the application has it.
func (c *conn) reply(w *word) error {
	texts := w.Reply.texts(c.door.LMTP && c.asking == smtp.End, len(c.session.Recipients))
	switch {
	case c.asking == smtp.Credentials && len(texts) > 0:
		return c.session.Authenticate(w.Authenticated, texts[0])
	case c.asking == smtp.Credentials:
		return c.session.Authenticate(w.Authenticated, nil)
	case len(texts) > 0:
		return c.session.Reply(texts...)
	}
	c.session.Default()
	return nil
}

// Close ends the session for an application that wants no more of it.
func (c *conn) Close(code exchange.CloseCode, _ []byte) {
	c.stream = nil
	if code == exchange.CloseRestarting {
		c.giveUp(exchange.Stopping)
	} else {
		c.giveUp(exchange.AppError)
	}
}

// Fail ends the session without an application, or one that has failed. What the client has not been told was taken, it keeps.
func (c *conn) Fail(reason exchange.Reason) {
	c.stream = nil
	c.giveUp(reason)
}

// giveUp tells the client to come back.
func (c *conn) giveUp(reason exchange.Reason) {
	if c.Closed() || c.Closing() {
		return
	}
	c.Note(telemetry.RefusalOf(reason))
	if c.session == nil {
		c.session = &smtp.Session{}
		c.session.Reset(&c.door.plain, c.Secured() != nil)
		c.session.Out = c.session.Out[:0]
	}
	c.session.Close("421 4.3.2 Service not available, come back later")
	c.over()
}

// Leave ends the session as soon as no message is under way.
func (c *conn) Leave() {
	if c.leaving || c.Closing() {
		return
	}
	c.leaving = true
	if c.session == nil {
		c.giveUp(exchange.Stopping)
		return
	}
	c.Later()
}

// Abort closes the connection at once.
func (c *conn) Abort() { c.Reset() }

// Among says whose connection it is.
func (c *conn) Among() *reactor.Connections { return &c.door.s.Connections }

// End has no meaning here: a worker that tries is killed before.
func (c *conn) End() {}

// Resume goes on in a later turn.
func (c *conn) Resume() {
	c.Resuming()
	c.run()
}

// Drained is called when all output has left.
func (c *conn) Drained() { c.SetTimer(patience) }

// Hangup is called when the client has finished sending. What it has sent is still answered.
func (c *conn) Hangup() bool { return true }

// Expire is called when the client has said nothing, or taken nothing, for long.
func (c *conn) Expire() {
	switch {
	case c.Pending():
		c.Refuse(telemetry.SendTimeout)
	case c.Proxied() || c.session == nil:
		c.Refuse(telemetry.HeaderTimeout)
	case c.asked || len(c.queue) > 0:
		c.SetTimer(patience) // it waits for us
	default:
		c.session.Close("421 4.4.2 Error: timeout exceeded")
		c.over()
	}
}

// Lost is called when the client is gone.
func (c *conn) Lost() { c.leave() }

// Ended is called when the connection was closed.
func (c *conn) Ended() {
	c.leave()
	c.Received, c.queue, c.said = nil, nil, nil
	c.door.s.Left()
}

// leave tells the application that its client is gone.
func (c *conn) leave() {
	if s := c.stream; s != nil {
		c.stream = nil
		s.Close(exchange.CloseAbnormal, nil)
	}
}
