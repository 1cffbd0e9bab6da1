package smtp

// The engine's own replies.
const (
	textOK            = "250 OK"
	textBye           = "221 Bye"
	textStartData     = "354 End data with <CR><LF>.<CR><LF>"
	textReadyForTLS   = "220 Ready to start TLS"
	textVerify        = "252 Cannot VRFY user, but will accept message and attempt delivery"
	textNoExpand      = "502 EXPN not implemented"
	textAuthOK        = "235 2.7.0 Authentication successful"
	textAuthFailed    = "535 5.7.8 Authentication credentials invalid"
	textAuthUnclear   = "454 4.7.0 Temporary authentication failure"
	textBadReply      = "451 4.3.0 Error: the server could not answer"
	textReceived      = " octets received"
	textAskIdentity   = "334 "
	textAskUser       = "334 VXNlciBOYW1lAA==" // "User Name\0"
	textAskPassword   = "334 UGFzc3dvcmQA"     // "Password\0"
	textBadSyntax     = "500 Error: bad syntax"
	textLineTooLong   = "500 Command line too long"
	textLineEnd       = "500 Error: lines end with CR LF"
	textHTTP          = "421 4.7.0 Error: this is not a web server"
	textTooManyErrors = "421 4.7.0 Error: too many errors"
	textPipelined     = "554 5.5.1 Error: commands sent behind STARTTLS"
)

// Replies about order.
const (
	textHeloFirst      = "503 Error: send HELO first"
	textEhloFirst      = "503 Error: send EHLO first"
	textLhloFirst      = "503 Error: send LHLO first"
	textNeedMail       = "503 Error: need MAIL command"
	textNeedRcpt       = "503 Error: need RCPT command"
	textNested         = "503 Error: nested MAIL command"
	textInChunks       = "503 Error: the message has begun with BDAT"
	textBinaryData     = "503 Error: BODY=BINARYMIME needs BDAT"
	textTLSFirst       = "530 Must issue a STARTTLS command first"
	textNoTLS          = "454 TLS not available"
	textTLSAlready     = "503 Error: TLS is active"
	textAuthFirst      = "530 5.7.0 Authentication required"
	textAuthTLS        = "538 5.7.11 Encryption required for requested authentication mechanism"
	textAuthAlready    = "503 Already authenticated"
	textAuthInMail     = "503 Error: AUTH not permitted during a mail transaction"
	textAuthNotNow     = "500 Error: command 'AUTH' not recognized"
	textAuthNoValue    = "501 Not enough value"
	textAuthValues     = "501 Too many values"
	textAuthMechanism  = "504 5.5.4 Unrecognized authentication type"
	textAuthCancelled  = "501 5.7.0 Auth aborted"
	textAuthBase64     = "501 5.5.2 Can't decode base64"
	textAuthSplit      = "501 5.5.2 Can't split auth value"
	textAuthTooLong    = "500 5.5.6 Authentication exchange line is too long"
	textManyRecipients = "452 4.5.3 Error: too many recipients"
)

// Replies about addresses and parameters.
const (
	textMalformed   = "553 5.1.3 Error: malformed address"
	textNotUTF8     = "553 5.6.7 Error: non-ASCII address without SMTPUTF8"
	textPathTooLong = "501 5.1.3 Error: path too long"
	textMailUnknown = "555 MAIL FROM parameters not recognized or not implemented"
	textRcptUnknown = "555 RCPT TO parameters not recognized or not implemented"
	textBody        = "501 Error: BODY can only be one of 7BIT, 8BITMIME, BINARYMIME"
	textUTF8Value   = "501 Error: SMTPUTF8 takes no arguments"
	textSizeOver    = "552 Error: message size exceeds fixed maximum message size"
	textParameter   = "501 5.5.4 Error: bad parameter"
	textNoVerify    = "502 Could not VRFY"
)

// Replies about messages.
const (
	textBare        = "550 5.6.0 Error: bare CR or LF in the message"
	textTextTooLong = "500 Line too long (see RFC5321 4.5.3.1.6)"
	textTooMuch     = "552 5.3.4 Error: Too much mail data"
)
