// SPDX-License-Identifier: Apache-2.0

package parity

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Table prints results, those in one line that are alike, and how many there are of each kind.
func Table(results []Result) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SCHEDULER\tTRAFFIC\tRESULT")
	for i := 0; i < len(results); {
		n := alike(results[i:])
		fmt.Fprintf(w, "%s\t%s\t%s\n", results[i].Row.Name(), traffic(results[i:i+n]), results[i])
		i += n
	}
	w.Flush()
	out.WriteString("\n" + Summary(results) + "\n")
	return out.String()
}

// alike is how many results from the first on have a line in common, which is not too long.
func alike(results []Result) int {
	const wide = 50
	first := results[0]
	for i, r := range results[1:] {
		same := r.Row.File == first.Row.File && r.Row.Name() == first.Row.Name() && r.String() == first.String()
		if !same || len(traffic(results[:i+2])) > wide {
			return i + 1
		}
	}
	return len(results)
}

func traffic(results []Result) string {
	var words []string
	for _, r := range results {
		words = append(words, r.Row.Traffic)
	}
	return strings.Join(words, "; ")
}

// String is the verdict, with what there is to say of it.
func (r Result) String() string {
	switch {
	case r.Note == "":
		return string(r.Verdict)
	case r.Verdict == Differs:
		return fmt.Sprintf("%s: %s (%s)", r.Verdict, r.Note, r.Row.Place())
	}
	return fmt.Sprintf("%s: %s", r.Verdict, r.Note)
}

// Summary counts results.
func Summary(results []Result) string {
	var words []string
	for _, v := range []Verdict{Equal, Shared, Differs, Later, Mute} {
		n := 0
		for _, r := range results {
			if r.Verdict == v {
				n++
			}
		}
		words = append(words, fmt.Sprintf("%d %s", n, v))
	}
	return strings.Join(words, ", ")
}
