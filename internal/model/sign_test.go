// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

func TestBadSignSaysWhatIsBad(t *testing.T) {
	for sign, want := range map[model.Sign]string{
		{Begun: 24}:                            "of 24 connections begun in 10s 0 were answered",
		{Begun: 40, Answered: 10, Refused: 30}: "of 40 connections begun in 10s 30 were refused",
		{Begun: 10, Refused: 13}:               "of 10 connections begun in 10s 10 were refused", // a client that tries again begins none
		{Burst: true}:                          "the last connections were all refused",
	} {
		if got := sign.String(); !sign.IsBad() || got != want {
			t.Errorf("%+v: bad %v, %q, want %q", sign, sign.IsBad(), got, want)
		}
	}
}
