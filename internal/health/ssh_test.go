// SPDX-License-Identifier: Apache-2.0

package health

import (
	"testing"

	"github.com/weir-lb/weir/internal/model"
)

func TestSSHServersAreJudged(t *testing.T) {
	runLineTests(t, probeMade(probeSSH(model.AskSSH{})), map[string]lineTest{
		"good":         {says("SSH-2.0-OpenSSH_10.0\r\n"), ""},
		"both":         {says("SSH-1.99-Cisco-1.25\n"), ""},
		"lines before": {says("welcome\r\n\r\nSSH is spoken here\r\nSSH-2.0-x y\r\n"), ""},
		"polite":       {answersAndCloses("SSH-2.0-x\r\n"), ""},
		"old":          {says("SSH-1.5-x\r\n"), "ssh: SSH-1.5-x, expected SSH-2.0"},
		"full":         {answersAndCloses("Exceeded MaxStartups\r\n"), "ssh: Exceeded MaxStartups"},
		"closes":       {answersAndCloses(""), "closed before the answer to SSH-2.0-weir"},
		"silent":       {says(""), "no answer to SSH-2.0-weir"},
		"other":        {says("220 mx.example.org ESMTP\r\n"), "no answer to SSH-2.0-weir, only 220 mx.example.org ESMTP"},
	})
}

func TestSSHServerHearsWhoAsks(t *testing.T) {
	heard := make(chan string, 1)
	to := lineServer(t, dialogue("", map[string]string{"SSH-2.0-weir": "SSH-2.0-x\r\n"}, heard))
	wantReason(t, answered(t, probeMade(probeSSH(model.AskSSH{})), to, forever), "")
	if got := hears(t, heard); got != "SSH-2.0-weir" {
		t.Errorf("it heard %q", got)
	}
}
