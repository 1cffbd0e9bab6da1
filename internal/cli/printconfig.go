package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/awaitd/awaitd/internal/config"
)

// printConfig shows every setting, its value and where it comes from.
func printConfig(env Env, loaded *config.Loaded) error {
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "setting\tvalue\tfrom")
	for _, e := range loaded.Entries {
		value := e.Value
		if value == "" {
			value = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", e.Setting.Name, value, e.Source)
	}
	return w.Flush()
}
