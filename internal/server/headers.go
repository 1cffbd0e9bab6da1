package server

import "strings"

// headerLine turns a setting "Name:Value" into a header line, without its end. The settings table has checked both.
func headerLine(setting string) string {
	name, value, _ := strings.Cut(setting, ":")
	return strings.ToLower(strings.TrimSpace(name)) + ": " + strings.TrimSpace(value)
}
