package config

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// unbounded is the max of a number without one.
const unbounded = math.MaxInt

func between(lowest, highest int, show func(int) string) string {
	if highest == unbounded {
		return show(lowest) + " or more"
	}
	return show(lowest) + " to " + show(highest)
}

// number is a whole number; word, if there is one, stands for the number as.
type number struct {
	field    *int
	min, max int
	word     string
	as       int
}

func (v number) Set(texts ...string) error {
	text := last(texts)
	if v.word != "" && strings.EqualFold(text, v.word) {
		*v.field = v.as
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return must(v.orWord("a whole number"), text)
	}
	if n < v.min || n > v.max {
		return must(v.orWord(between(v.min, v.max, strconv.Itoa)), n)
	}
	*v.field = n
	return nil
}

func (v number) orWord(what string) string {
	if v.word == "" {
		return what
	}
	return "`" + v.word + "` or " + what
}

func (v number) String() string {
	if v.word != "" && *v.field == v.as {
		return v.word
	}
	return strconv.Itoa(*v.field)
}

func (v number) Shape() Shape {
	schema := map[string]any{"type": "integer", "minimum": v.min}
	if v.max != unbounded {
		schema["maximum"] = v.max
	}
	shape := Shape{Type: v.orWord("whole number"), Limits: between(v.min, v.max, strconv.Itoa), Schema: schema}
	if v.word != "" {
		shape.Choices, shape.Open = []string{v.word}, true
		shape.Schema = map[string]any{"anyOf": []any{schema, map[string]any{"const": v.word}}}
	}
	return shape
}

// duration is a time span; a bare number counts seconds.
type duration struct {
	field    *time.Duration
	min, max time.Duration
}

func (v duration) Set(texts ...string) error {
	text := last(texts)
	d, ok := parseDuration(text)
	if !ok {
		return must("a duration such as 30, 500ms or 2m", text)
	}
	if d < v.min || d > v.max {
		return must(formatDuration(v.min)+" to "+formatDuration(v.max), text)
	}
	*v.field = d
	return nil
}

func parseDuration(text string) (time.Duration, bool) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(seconds) || math.Abs(seconds) > math.MaxInt64/float64(time.Second)/2 {
			return 0, false
		}
		return time.Duration(math.Round(seconds * float64(time.Second))), true
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

func formatDuration(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if d != 0 && d%unit.size == 0 {
			return strconv.FormatInt(int64(d/unit.size), 10) + unit.name
		}
	}
	return d.String()
}

func (v duration) String() string { return formatDuration(*v.field) }

func (v duration) Shape() Shape {
	return Shape{
		Type:   "duration",
		Limits: formatDuration(v.min) + " to " + formatDuration(v.max),
		Schema: map[string]any{"type": []string{"number", "string"}, "pattern": `^[0-9.]+(ns|us|ms|s|m|h)?([0-9.]+(ns|us|ms|s|m|h))*$`},
	}
}

// durationOr is a duration, or a word that stands for none.
type durationOr struct {
	duration
	word string
}

func (v durationOr) Set(texts ...string) error {
	if last(texts) == v.word {
		*v.field = 0
		return nil
	}
	if err := v.duration.Set(texts...); err != nil {
		return must("`"+v.word+"` or a duration of "+formatDuration(v.min)+" to "+formatDuration(v.max), last(texts))
	}
	return nil
}

func (v durationOr) String() string {
	if *v.field == 0 {
		return v.word
	}
	return v.duration.String()
}

func (v durationOr) Shape() Shape {
	shape := v.duration.Shape()
	shape.Type += " or `" + v.word + "`"
	shape.Choices, shape.Open = []string{v.word}, true
	shape.Schema = map[string]any{"anyOf": []any{shape.Schema, map[string]any{"const": v.word}}}
	return shape
}

// size is a number of bytes.
type size[T int | int64] struct {
	field    *T
	min, max T
}

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"gib", 1 << 30}, {"mib", 1 << 20}, {"kib", 1 << 10}, {"gb", 1e9}, {"mb", 1e6}, {"kb", 1e3}, {"b", 1}, {"", 1}}

func (v size[T]) Set(texts ...string) error {
	text := last(texts)
	n, ok := parseSize(text)
	if !ok {
		return must("a size such as 65536, 64KiB or 1MB", text)
	}
	if n < int64(v.min) || n > int64(v.max) {
		return must(v.limits(), text)
	}
	*v.field = T(n)
	return nil
}

func parseSize(text string) (int64, bool) {
	lower := strings.ToLower(text)
	for _, unit := range sizeUnits {
		digits, found := strings.CutSuffix(lower, unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n > math.MaxInt64/unit.bytes || n < math.MinInt64/unit.bytes {
			return 0, false
		}
		return n * unit.bytes, true
	}
	return 0, false
}

func formatSize(n int64) string {
	for _, unit := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n != 0 && n%unit.bytes == 0 {
			return strconv.FormatInt(n/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func (v size[T]) limits() string {
	if int64(v.max) == math.MaxInt64 {
		return formatSize(int64(v.min)) + " or more"
	}
	return formatSize(int64(v.min)) + " to " + formatSize(int64(v.max))
}

func (v size[T]) String() string { return formatSize(int64(*v.field)) }

func (v size[T]) Shape() Shape {
	return Shape{
		Type:   "size",
		Limits: v.limits(),
		Schema: map[string]any{"type": []string{"integer", "string"}, "pattern": `^[0-9]+ *([KMGkmg]?[Ii]?[Bb])?$`},
	}
}

// mode is file permissions, in octal.
type mode struct{ field *uint32 }

const maxMode = 0o777

func (v mode) Set(texts ...string) error {
	text := last(texts)
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
	if err != nil || n > maxMode {
		return must("octal permissions, 0 to 777", text)
	}
	*v.field = uint32(n)
	return nil
}

func (v mode) String() string { return strconv.FormatUint(uint64(*v.field), 8) }

func (v mode) Shape() Shape {
	return Shape{
		Type: "octal permissions", Limits: "0 to 777",
		Schema: map[string]any{"type": []string{"integer", "string"}, "pattern": "^(0o)?[0-7]{1,4}$"},
	}
}

// umask is a mask of permissions, in octal, or none, which is -1.
type umask struct{ field *int }

const noMask = "none"

func (v umask) Set(texts ...string) error {
	if strings.EqualFold(last(texts), noMask) {
		*v.field = -1
		return nil
	}
	var n uint32
	if err := (mode{&n}).Set(texts...); err != nil {
		return must("`none` or octal permissions, 0 to 777", last(texts))
	}
	*v.field = int(n)
	return nil
}

func (v umask) String() string {
	if *v.field < 0 {
		return noMask
	}
	return strconv.FormatInt(int64(*v.field), 8)
}

func (v umask) Shape() Shape {
	shape := mode{}.Shape()
	shape.Type, shape.Choices, shape.Open = "`none` or "+shape.Type, []string{noMask}, true
	shape.Schema = map[string]any{"anyOf": []any{shape.Schema, map[string]any{"const": noMask}}}
	return shape
}
