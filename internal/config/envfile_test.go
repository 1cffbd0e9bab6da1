package config

import (
	"slices"
	"testing"
)

func TestParseEnvFile(t *testing.T) {
	known := variables{{name: "HOME", value: "/root"}}
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"plain":                    {"A=1\nB = two words \n", []string{"A=1", "B=two words"}},
		"export, comments, blanks": {"# x\n\n  export A=1 # one\nB=a#b\nC=# nothing\n", []string{"A=1", "B=a#b", "C="}},
		"CRLF, no last line end":   {"A=1\r\nB=2", []string{"A=1", "B=2"}},
		"empty":                    {"A=\nB=''\n", []string{"A=", "B="}},
		"literal":                  {`A='a "b" ${HOME} \n # c' # d`, []string{`A=a "b" ${HOME} \n # c`}},
		"a quote in a literal":     {`A='it\'s'`, []string{"A=it's"}},
		"escaped":                  {`A="a\nb\t\"c\" \\n"`, []string{"A=a\nb\t\"c\" \\n"}},
		"several lines":            {"A=\"x\ny\"\nB=1", []string{"A=x\ny", "B=1"}},
		"expanded":                 {"A=${HOME}/a\nB=\"${A}/b\"\nC=${NO:-none}${NO}", []string{"A=/root/a", "B=/root/a/b", "C=none"}},
		"not expanded":             {"A=$HOME ${", []string{"A=$HOME ${"}},
		"an equals sign":           {"A=b=c", []string{"A=b=c"}},
	} {
		vars, problems := parseEnvFile(".env", c.text, known)
		if got := vars.list(); problems != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, %v; want %q", name, got, problems, c.want)
		}
	}
}

func TestParseEnvFileNamesTheLine(t *testing.T) {
	for text, want := range map[string]envProblem{
		"A=1\nnonsense":      {".env:2", "must be NAME=value, got `nonsense`"},
		"A=\"x\ny\"\n=1":     {".env:3", "must be NAME=value, got `=1`"},
		"\nA='x":             {".env:2: A", "the quote is never closed"},
		"A='x' y":            {".env:1: A", "there is text after the closing quote: `y`"},
		"A=1\nB C=2\nD=3":    {".env:2", "must be NAME=value, got `B C=2`"},
		"A=\"x\\\"\nB=1\nC=": {".env:1: A", "the quote is never closed"},
	} {
		if _, got := parseEnvFile(".env", text, nil); len(got) != 1 || got[0] != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func FuzzParseEnvFile(f *testing.F) {
	f.Add("A=1\nexport B=\"x${A}\ny\" # z\nC='\n")
	f.Fuzz(func(t *testing.T, text string) {
		vars, _ := parseEnvFile(".env", text, nil)
		for _, v := range vars {
			if v.name == "" {
				t.Errorf("a variable without a name in %q", text)
			}
		}
	})
}
