package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/awaitd/awaitd/internal/config"
)

// widestValue is how wide the column of values may get; a longer value moves only its own line.
const widestValue = 32

// printConfig shows every setting, its value and where it comes from.
func printConfig(env Env, loaded *config.Loaded) error {
	rows := [][3]string{{"setting", "value", "from"}}
	for _, e := range loaded.Entries {
		rows = append(rows, [3]string{e.Setting.Name, cmp.Or(e.Value, "-"), e.Source})
	}
	var names, values int
	for _, r := range rows {
		names = max(names, len(r[0]))
		if len(r[1]) <= widestValue {
			values = max(values, len(r[1]))
		}
	}
	var table strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&table, "%-*s  %-*s  %s\n", names, r[0], values, r[1], r[2])
	}
	_, err := io.WriteString(env.Stdout, table.String())
	return err
}
