// SPDX-License-Identifier: Apache-2.0

// Package newest hands what is wanted to the goroutine that sees to it: who wants something does not wait, and what is
// not fetched yet when something newer comes is wanted by nobody any more. It is no queue: nothing is handed over of
// which each is to be known. This file is all of it.
package newest

// Box is a mailbox: it holds the newest, until its owner receives that. Others put it there.
type Box[T any] chan T

// NewBox makes an empty one.
func NewBox[T any]() Box[T] { return make(Box[T], 1) }

// Put does not wait, however many put something at once.
func (b Box[T]) Put(newest T) {
	for {
		select {
		case b <- newest:
			return
		case <-b: // nobody wants the older one any more
		}
	}
}
