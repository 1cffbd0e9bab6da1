package smtp

// Kind says what Session.Next has found.
type Kind uint8

// Kinds of events. The first three are reasons why there is nothing.
const (
	Starved     Kind = iota // more bytes are needed
	Waiting                 // what came last has to be answered first
	Full                    // Session.Out has to be sent first
	Command                 // answer with Default or Reply
	Credentials             // answer with Authenticate
	Content                 // a piece of a message
	End                     // the message is whole: answer with Default or Reply
	Discard                 // the message that was begun will not be whole, whatever of it has been passed on
	StartTLS                // send Session.Out, shake hands, call Secured
	Over                    // send Session.Out and close; a message that was begun is to be thrown away
)

// Verb is a command. The zero value is none.
type Verb uint8

// Verbs.
const (
	HELO Verb = 1 + iota
	EHLO
	LHLO
	MAIL
	RCPT
	DATA
	BDAT
	RSET
	NOOP
	VRFY
	EXPN
	HELP
	AUTH
	STARTTLS
	QUIT
)

// String returns the verb as it stands on the wire.
func (v Verb) String() string { return verbs[v].name }

// Event is what Session.Next has found. Its bytes are borrowed from the input.
type Event struct {
	Kind Kind
	Verb Verb // of a Command
	// Arg is what follows the verb of a Command, without the spaces around it.
	Arg []byte
	// Mail is what MAIL says, and Recipient what RCPT says: they become part of the Envelope by a 2xx answer. Address is the
	// argument of VRFY.
	Mail      *Mail
	Recipient *Recipient
	Address   string
	// Data is a piece of a message, of Content.
	Data []byte
	// Mechanism is how the client authenticates itself, with its Login and Password; Identity is whom it wants to act for, if
	// it says so (RFC 4616). Of Credentials, and valid until they are answered.
	Mechanism                 string
	Identity, Login, Password []byte
	// Reason tells the log why, of Discard and Over.
	Reason string
}

// Envelope is a mail transaction as far as it has come: valid until it ends.
type Envelope struct {
	Begun      bool // MAIL was accepted
	Mail       Mail
	Recipients []Recipient // that were accepted
}

// Mail is what MAIL says.
type Mail struct {
	// Address is the reverse path without brackets and source route; "" is the null path "<>".
	Address string
	// Parameters are all parameters, as they came.
	Parameters string
	Size       int64  // SIZE (RFC 1870); 0: none was said
	Body       Body   // BODY (RFC 6152, RFC 3030)
	UTF8       bool   // SMTPUTF8 (RFC 6531)
	Return     Return // RET (RFC 3461)
	EnvelopeID string // ENVID (RFC 3461): xtext, as it came
	Auth       string // AUTH (RFC 4954 §5): xtext, as it came
}

// Recipient is what RCPT says.
type Recipient struct {
	// Address is the forward path without brackets and source route.
	Address string
	// Parameters are all parameters, as they came.
	Parameters string
	Notify     Notify // NOTIFY (RFC 3461)
	Original   string // ORCPT (RFC 3461): type ";" xtext, as it came
}

// Body is the kind of content that MAIL announces.
type Body uint8

// Kinds of content.
const (
	Body7Bit Body = iota // BODY=7BIT, or none
	Body8Bit
	BodyBinary
)

// Return is how much of a message a report about it shall hold.
type Return uint8

// What RET can say.
const (
	ReturnUnsaid Return = iota
	ReturnFull
	ReturnHeaders
)

// Notify is when the sender of a message wants a report. The zero value: it has not said so.
type Notify uint8

// What NOTIFY can say; all but NotifyNever may come together.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)
