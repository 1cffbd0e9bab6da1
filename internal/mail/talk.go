package mail

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/awaitd/awaitd/internal/smtp"
)

// What the server and the application say to one another, as JSON.

// told is what the application is told or asked.
type told struct {
	Type        string      `json:"type"`
	Transaction int         `json:"transaction"`
	Hostname    string      `json:"hostname"`
	Helo        string      `json:"helo"`
	Extended    bool        `json:"extended"`
	Command     string      `json:"command,omitempty"`
	Argument    string      `json:"argument"`
	Address     string      `json:"address"`
	Options     []string    `json:"options"`
	Lines       []string    `json:"lines,omitempty"`
	Mail        *told       `json:"mail,omitempty"`
	UTF8        bool        `json:"utf8"`
	Recipients  []recipient `json:"recipients,omitempty"`
}

type recipient struct {
	Address string   `json:"address"`
	Options []string `json:"options"`
}

// login is what it is asked about a client that wants to be known by name. The bytes travel as base64.
type login struct {
	Type      string `json:"type"`
	Mechanism string `json:"mechanism"`
	Identity  []byte `json:"identity"`
	Login     []byte `json:"login"`
	Password  []byte `json:"password"`
}

// note is what it is told of a message's end, whole or not.
type note struct {
	Type string `json:"type"`
	More bool   `json:"more"`
}

// secured is what it is told when STARTTLS has succeeded.
type secured struct {
	Type        string          `json:"type"`
	Transaction int             `json:"transaction"`
	TLS         json.RawMessage `json:"tls"`
}

// word is what the application says.
type word struct {
	Type          string   `json:"type"`
	Commands      []string `json:"commands"`
	Auth          bool     `json:"auth"`
	Reply         reply    `json:"reply"`
	Authenticated bool     `json:"authenticated"`
}

// reply is a text, or several of them.
type reply []string

// UnmarshalJSON takes null, a string or a list of strings.
func (r *reply) UnmarshalJSON(b []byte) error {
	if *r = nil; b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(r))
	}
	var one *string
	err := json.Unmarshal(b, &one)
	if one != nil {
		*r = reply{*one}
	}
	return err
}

// texts are the replies as the engine wants them: one, of all lines, or one for each recipient.
func (r reply) texts(each bool, recipients int) (texts [][]byte) {
	if each && len(r) == recipients {
		for _, text := range r {
			texts = append(texts, []byte(text))
		}
		return texts
	}
	if len(r) == 0 {
		return nil
	}
	lines := strings.Split(strings.Join(r, "\r\n"), "\r\n")
	for i, line := range lines {
		if mark := "-"; len(line) > 3 && (line[3] == ' ' || line[3] == '-') { // a list may not know which is its last
			if i == len(lines)-1 {
				mark = " "
			}
			lines[i] = line[:3] + mark + line[4:]
		}
	}
	return append(texts, []byte(strings.Join(lines, "\r\n")))
}

// hooks are the commands that an application decides about.
type hooks uint32

func (h hooks) has(v smtp.Verb) bool { return h&(1<<v) != 0 }

// decidable are the commands that an application may ask for.
var decidable = []smtp.Verb{smtp.HELO, smtp.EHLO, smtp.LHLO, smtp.MAIL, smtp.RCPT, smtp.RSET, smtp.NOOP, smtp.VRFY, smtp.QUIT}

func hooksOf(commands []string) (h hooks, err error) {
	for _, name := range commands {
		found := false
		for _, v := range decidable {
			if v.String() == strings.ToUpper(name) {
				h, found = h|1<<v, true
			}
		}
		if !found {
			return 0, fmt.Errorf("there is no %q to decide about", name)
		}
	}
	return h, nil
}

var errWord = errors.New("the application must send smtp.accept first, then an smtp.reply to each question")

// parse reads what the application says.
func parse(text []byte) (w word, err error) {
	err = json.Unmarshal(text, &w)
	return w, err
}

// encode makes the text of what it is told. There is nothing in it that could fail.
func encode(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}

// optionsOf are the parameters of MAIL or RCPT.
func optionsOf(parameters string) []string {
	return append([]string{}, strings.Fields(parameters)...)
}
