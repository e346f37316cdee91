// SPDX-License-Identifier: Apache-2.0

package lab_test

import (
	"testing"
	"time"

	"github.com/weir-lb/weir/internal/lab"
)

func TestUsageIsThatOfTheDaemon(t *testing.T) {
	l := start(t, lab.Config{Shape: lab.LAN, Weir: standIn(t, "while :; do :; done", serving)})
	d := l.Directors[0]
	if _, err := d.Usage(); err == nil {
		t.Error("a daemon that was not started has used something")
	}
	if err := d.Start(l.Services()); err != nil {
		t.Fatal(err)
	}
	const much = 50 * time.Millisecond
	var used lab.Usage
	var err error
	begin := time.Now()
	for err == nil && used.Daemon < much && time.Since(begin) < 30*time.Second {
		time.Sleep(5 * time.Millisecond)
		used, err = d.Usage()
	}
	if took := time.Since(begin); err != nil || used.Daemon < much || used.Daemon > took || used.Packets != 0 {
		t.Errorf("in %v a busy daemon without a program has used %+v, %v", took, used, err)
	}
}
