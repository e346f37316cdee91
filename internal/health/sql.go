// SPDX-License-Identifier: Apache-2.0

package health

import (
	"fmt"
	"strings"

	"github.com/weir-lb/weir/internal/model"
)

// judgeRow compares the first row of a result; there is none where columns are nil.
func judgeRow(kind string, ask model.SQL, columns []string) error {
	row := strings.Join(columns, "\t")
	switch {
	case ask.Row == "":
		return nil
	case columns == nil:
		return fmt.Errorf("%s: no row, expected %s", kind, brief(ask.Row))
	case row != ask.Row:
		return fmt.Errorf("%s: row %s, expected %s", kind, brief(row), brief(ask.Row))
	}
	return nil
}

// brief is shown for two texts in one reason.
func brief(text string) string { return shown(shorten(text, 30)) }
