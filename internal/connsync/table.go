// SPDX-License-Identifier: Apache-2.0

package connsync

import (
	"context"

	"github.com/weir-lb/weir/internal/model"
)

// Table is the connection table of this director: internal/dataplane has it. It may be asked from several goroutines at
// once. What is served here, and so is told to others and not taken from them, it knows by itself.
type Table interface {
	// Changes calls yield for what is served here and has changed since it was told. What yield refuses is told again.
	Changes(ctx context.Context, yield func(model.Record) bool) error
	// Slices calls yield for all that is in some slices, whoever serves it. It may take its time, while the table is
	// asked for other things.
	Slices(ctx context.Context, wanted *[model.Slices]bool, yield func(model.Record) bool) error
	// Digests are of all that lasts, whoever serves it, as far as it was told or taken.
	Digests() ([model.Slices]uint64, error)
	// Insert takes records in, and End takes identities out, but for what is here and served here.
	Insert(records []model.Record) (model.Arrived, error)
	End(ids []model.Identity) (model.Arrived, error)
}
