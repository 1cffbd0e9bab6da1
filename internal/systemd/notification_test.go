package systemd

import "testing"

// spec: jobs 5
func TestANotificationIsRead(t *testing.T) {
	for text, want := range map[string]Notification{
		"":                              {},
		"READY=1":                       {Ready: true},
		"READY=1\nSTATUS=Serving a=b\n": {Ready: true, Status: "Serving a=b"},
		"STOPPING=1":                    {Stopping: true},
		"READY=0\nFDSTORE=1\nMAINPID=1": {},
		"READY":                         {},
		"=\n\n==1\x00":                  {},
	} {
		if got := ParseNotification(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}
